//! What an open transaction has changed, over an index that does not know it yet.

use std::collections::HashSet;
use std::sync::Arc;

use super::neighbours::Space;
use super::propose::{Ask, Layer, Proposal, propose};
use super::{Index, Member};
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
    /// An overlay without changes, for `base` and indexes of the same model.
    #[must_use]
    pub fn new(base: &Index) -> Self {
        Self { changed: Index::new(Arc::clone(base.model())), hidden: HashSet::new(), hidden_slots: HashSet::new() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    /// Adds `record`, in place of an earlier one of the same record id here or in the base.
    pub fn upsert(&mut self, base: &Index, member: Member<'_>, record: &Record) {
        self.hide(base, member.record_id);
        self.changed.upsert(member, record);
    }

    /// Hides the record, here and in the base.
    pub fn remove(&mut self, base: &Index, record_id: &str) {
        self.hide(base, record_id);
        self.changed.remove(record_id);
    }

    fn hide(&mut self, base: &Index, record_id: &str) {
        if self.hidden.insert(record_id.to_owned()) {
            self.hidden_slots.extend(base.slot_of(record_id));
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

    /// Forgets all changes.
    pub fn clear(&mut self) {
        let changed = Index::new(Arc::clone(self.changed.model()));
        *self = Self { changed, hidden: HashSet::new(), hidden_slots: HashSet::new() };
    }

    /// The identities that `query` may mean in `base` with these changes, best first.
    #[must_use]
    pub fn propose(&self, base: &Index, query: &Record, ask: &Ask) -> Proposal {
        let layers = [Layer { index: base, hidden: Some(&self.hidden_slots) }, Layer { index: &self.changed, hidden: None }];
        propose(&layers, query, ask)
    }
}
