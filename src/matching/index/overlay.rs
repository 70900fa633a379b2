//! What an open transaction has changed, over an index that does not know it yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::propose::{Ask, Layer, Proposal, propose};
use super::{Index, Member};
use crate::matching::model::Model;
use crate::matching::record::Record;

/// Records added, replaced and removed since the index was read.
#[derive(Debug, Clone)]
pub struct Overlay {
    changed: Index,
    hidden: HashSet<String>,
}

impl Overlay {
    /// An overlay without changes, for indexes of the same model.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self { changed: Index::new(model), hidden: HashSet::new() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    /// Adds `record`, in place of an earlier one of the same record id here or in the base.
    pub fn upsert(&mut self, member: Member<'_>, record: &Record) {
        self.hidden.insert(member.record_id.to_owned());
        self.changed.upsert(member, record);
    }

    /// Hides the record, here and in the base.
    pub fn remove(&mut self, record_id: &str) {
        self.hidden.insert(record_id.to_owned());
        self.changed.remove(record_id);
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        *self = Self { changed: Index::new(Arc::clone(self.changed.model())), hidden: HashSet::new() };
    }

    /// The identities that `query` may mean in `base` with these changes, best first.
    #[must_use]
    pub fn propose(&self, base: Layer<'_>, query: &Record, ask: &Ask) -> Proposal {
        let hidden: HashSet<u32> = self.hidden.iter().filter_map(|id| base.index.slot_of(id)).collect();
        propose(&[Layer { hidden: Some(&hidden), ..base }, self.changed.layer()], query, ask)
    }
}
