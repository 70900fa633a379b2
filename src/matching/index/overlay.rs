//! What an open transaction has changed, over an index that does not know it yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::neighbourhood::Neighbourhood;
use super::neighbours::Space;
use super::propose::{Ask, Layer, Proposal, propose};
use super::{Index, Member};
use crate::matching::model::Model;
use crate::matching::record::Record;

/// Records added, replaced and removed since the index was read.
#[derive(Debug, Clone)]
pub struct Overlay {
    changed: Index,
    hidden: HashSet<String>,
    /// The slots of the hidden records in the base, which does not change while the transaction is open.
    hidden_slots: HashSet<u32>,
}

impl Overlay {
    /// An overlay without changes, for indexes of the same model.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self { changed: Index::new(model), hidden: HashSet::new(), hidden_slots: HashSet::new() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    /// Adds `record`, in place of an earlier one of the same record id here or in the base, if that is in memory.
    pub fn upsert(&mut self, base: Option<&Index>, member: Member<'_>, record: &Record) {
        self.hide(base, member.record_id);
        self.changed.upsert(member, record);
    }

    /// Hides the record, here and in the base.
    pub fn remove(&mut self, base: Option<&Index>, record_id: &str) {
        self.hide(base, record_id);
        self.changed.remove(record_id);
    }

    fn hide(&mut self, base: Option<&Index>, record_id: &str) {
        if self.hidden.insert(record_id.to_owned()) {
            self.hidden_slots.extend(base.and_then(|base| base.slot_of(record_id)));
        }
    }

    /// Puts a record that was added here into another identity.
    pub fn move_to(&mut self, record_id: &str, identity_id: &str) {
        self.changed.move_to(record_id, identity_id);
    }

    /// `base` with these changes.
    #[must_use]
    pub fn space<'i>(&'i self, base: &'i Index) -> Space<'i> {
        Space::over(base, &self.hidden_slots, &self.changed)
    }

    /// The slots in `base` of what was changed here.
    #[must_use]
    pub fn hidden_in(&self, base: &Neighbourhood) -> HashSet<u32> {
        self.hidden.iter().filter_map(|id| base.index().slot_of(id)).collect()
    }

    /// A part of a population with these changes; `hidden` is [`Self::hidden_in`] it.
    #[must_use]
    pub fn space_over<'i>(&'i self, base: &'i Neighbourhood, hidden: &'i HashSet<u32>) -> Space<'i> {
        Space::over_part(base, hidden, &self.changed, &self.hidden)
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        let changed = Index::new(Arc::clone(self.changed.model()));
        *self = Self { changed, hidden: HashSet::new(), hidden_slots: HashSet::new() };
    }

    /// The identities that `query` may mean in `base` with these changes, best first.
    #[must_use]
    pub fn propose(&self, base: Layer<'_>, query: &Record, ask: &Ask) -> Proposal {
        let hidden: HashSet<u32> = self.hidden.iter().filter_map(|id| base.index.slot_of(id)).collect();
        propose(&[Layer { hidden: Some(&hidden), ..base }, self.changed.layer()], query, ask)
    }
}
