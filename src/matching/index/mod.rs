//! The index: every record by block key, in memory, and the identities a query may mean.
//!
//! What: [`Index`] keeps records as entries over one dictionary; [`Index::propose`] finds, compares and weighs.
//! [`Overlay`] adds what an open transaction has changed. The index proposes; the store decides. A removed or replaced
//! entry stays as a gap until a quarter of all are gaps, then they are swept. Not here: the change log that feeds it.

mod excerpt;
mod neighbourhood;
mod neighbours;
mod overlay;
mod propose;
mod sample;

use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

pub use super::blocking::Reach;
pub use excerpt::Excerpt;
pub use neighbourhood::{Neighbourhood, Wanted};
pub use neighbours::{Place, Space, weight_of};
pub use overlay::Overlay;
pub use propose::{Ask, Layer, Proposal, rank};
pub use sample::SampleAsk;

use super::blocking::{BlockKey, stored_keys};
use super::compact_id::CompactId;
use super::component::stored_components;
use super::dictionary::{Dictionary, IdTable};
use super::entry::{Entry, Query};
use super::model::Model;
use super::postings::{Coverage, Postings};
use super::record::Record;

/// Gaps are not swept before there are this many.
const SWEEP_MIN: usize = 1024;

/// A record's place: which record, of which version, in which identity.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub record_id: &'a str,
    pub version: i64,
    pub identity_id: &'a str,
}

/// Records by block key.
#[derive(Debug, Clone)]
pub struct Index {
    model: Arc<Model>,
    dictionary: Dictionary,
    postings: Postings,
    slots: Vec<Slot>,
    /// Slots without a record that are in no list.
    free: Vec<u32>,
    gaps: Vec<u32>,
    slots_by_record: IdTable,
    identities: Vec<Identity>,
    free_identities: Vec<u32>,
    identities_by_id: IdTable,
    live: usize,
}

#[derive(Debug, Clone)]
struct Slot {
    entry: Entry,
    record_id: CompactId,
    version: u32,
    identity: u32,
    is_live: bool,
}

#[derive(Debug, Clone)]
struct Identity {
    id: CompactId,
    members: Members,
}

/// Slots of an identity's records; one in nearly every case.
#[derive(Debug, Clone, Default)]
enum Members {
    #[default]
    None,
    One(u32),
    #[allow(clippy::box_collection, reason = "three words less in the common case")]
    Many(Box<Vec<u32>>),
}

impl Members {
    fn slots(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    fn add(&mut self, slot: u32) {
        match self {
            Self::None => *self = Self::One(slot),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, slot])),
            Self::Many(slots) => slots.push(slot),
        }
    }

    fn remove(&mut self, slot: u32) {
        let kept: Vec<u32> = self.slots().iter().copied().filter(|other| *other != slot).collect();
        *self = match kept.as_slice() {
            [] => Self::None,
            [one] => Self::One(*one),
            _ => Self::Many(Box::new(kept)),
        };
    }

    const fn bytes(&self) -> usize {
        if let Self::Many(slots) = self { 24 + slots.capacity() * 4 } else { 0 }
    }
}

impl Index {
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self {
            model,
            dictionary: Dictionary::default(),
            postings: Postings::default(),
            slots: Vec::new(),
            free: Vec::new(),
            gaps: Vec::new(),
            slots_by_record: IdTable::default(),
            identities: Vec::new(),
            free_identities: Vec::new(),
            identities_by_id: IdTable::default(),
            live: 0,
        }
    }

    #[must_use]
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Records held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.live
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Identities held: the population against which a match is weighed.
    #[must_use]
    pub const fn population(&self) -> usize {
        self.identities.len() - self.free_identities.len()
    }

    /// How often a value was not taken because the dictionary is full; such values are compared with nothing.
    #[must_use]
    pub const fn values_refused(&self) -> u64 {
        self.dictionary.refused()
    }

    /// An estimate of the memory held (bytes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes_by_part().iter().map(|(_, bytes)| bytes).sum()
    }

    /// The same by what holds it.
    #[must_use]
    pub fn bytes_by_part(&self) -> [(&'static str, usize); 5] {
        let entries: usize = self.slots.iter().map(|slot| slot.entry.bytes() + slot.record_id.bytes()).sum();
        let identities: usize =
            self.identities.iter().map(|identity| identity.id.bytes() + identity.members.bytes()).sum();
        [
            ("block keys", self.postings.bytes()),
            ("values", self.dictionary.bytes()),
            ("features", entries),
            ("records", self.slots.capacity() * size_of::<Slot>() + self.slots_by_record.bytes()),
            (
                "identities",
                identities + self.identities.capacity() * size_of::<Identity>() + self.identities_by_id.bytes(),
            ),
        ]
    }

    /// Adds `record`, in place of an earlier one of the same record id.
    pub fn upsert(&mut self, member: Member<'_>, record: &Record) {
        let slot = self.keep(member, record);
        let query = Query::new(record, &self.dictionary, &self.model);
        let (dictionary, slots) = (&self.dictionary, &self.slots);
        let components_of = |slot: u32| stored_components(&slots[slot as usize].entry.view(), dictionary);
        for key in stored_keys(&query) {
            self.postings.insert(key, slot, &components_of);
        }
    }

    /// Adds records that are not there yet, each once: as many calls of [`Self::upsert`], on all threads of rayon's current
    /// pool.
    pub fn extend(&mut self, records: &[(Member<'_>, &Record)]) {
        let slots: Vec<u32> = records.iter().map(|(member, record)| self.keep(*member, record)).collect();
        let keys_of = |((_, record), slot): (&(Member<'_>, &Record), &u32)| -> Vec<(BlockKey, u32)> {
            let query = Query::new(record, &self.dictionary, &self.model);
            stored_keys(&query).into_iter().map(|key| (key, *slot)).collect()
        };
        let keys: Vec<(BlockKey, u32)> = records.par_iter().zip(&slots).flat_map_iter(keys_of).collect();
        let (dictionary, slots) = (&self.dictionary, &self.slots);
        let components_of = |slot: u32| stored_components(&slots[slot as usize].entry.view(), dictionary);
        self.postings.insert_all(&keys, &components_of);
    }

    /// Keeps `record` as evidence of its identity, without block keys; gives its slot.
    fn keep(&mut self, member: Member<'_>, record: &Record) -> u32 {
        self.remove(member.record_id);
        let record_id = CompactId::new(member.record_id);
        let identity = self.identity(CompactId::new(member.identity_id));
        let entry = Entry::new(record, &mut self.dictionary, &self.model);
        let hash = record_id.hash();
        let version = u32::try_from(member.version).unwrap_or(u32::MAX);
        let slot = self.place(Slot { entry, record_id, version, identity, is_live: true });
        self.identities[identity as usize].members.add(slot);
        let slots = &self.slots;
        self.slots_by_record.insert(hash, slot, |slot| slots[slot as usize].record_id.hash());
        self.live += 1;
        slot
    }

    fn place(&mut self, slot: Slot) -> u32 {
        if let Some(at) = self.free.pop() {
            self.slots[at as usize] = slot;
            return at;
        }
        grow(&mut self.slots);
        self.slots.push(slot);
        u32::try_from(self.slots.len() - 1).unwrap_or(0)
    }

    fn identity(&mut self, id: CompactId) -> u32 {
        let identities = &self.identities;
        let hash = id.hash();
        if let Some(at) = self.identities_by_id.find(hash, |at| identities[at as usize].id == id) {
            return at;
        }
        let identity = Identity { id, members: Members::None };
        let at = if let Some(at) = self.free_identities.pop() {
            self.identities[at as usize] = identity;
            at
        } else {
            grow(&mut self.identities);
            self.identities.push(identity);
            u32::try_from(self.identities.len() - 1).unwrap_or(0)
        };
        let identities = &self.identities;
        self.identities_by_id.insert(hash, at, |at| identities[at as usize].id.hash());
        at
    }

    /// Takes the record out, if it is there.
    pub fn remove(&mut self, record_id: &str) {
        let record_id = CompactId::new(record_id);
        let slots = &self.slots;
        let is_it = |slot: u32| slots[slot as usize].record_id == record_id;
        let rehash = |slot: u32| slots[slot as usize].record_id.hash();
        let Some(slot) = self.slots_by_record.remove(record_id.hash(), is_it, rehash) else { return };
        let removed = &mut self.slots[slot as usize];
        removed.is_live = false;
        let identity = removed.identity;
        self.live -= 1;
        self.gaps.push(slot);
        self.leave(identity, slot);
        if self.gaps.len() >= SWEEP_MIN && self.gaps.len() * 4 > self.slots.len() {
            self.sweep();
        }
    }

    fn leave(&mut self, identity: u32, slot: u32) {
        let left = &mut self.identities[identity as usize];
        left.members.remove(slot);
        if !left.members.slots().is_empty() {
            return;
        }
        let identities = &self.identities;
        let hash = identities[identity as usize].id.hash();
        let rehash = |at: u32| identities[at as usize].id.hash();
        self.identities_by_id.remove(hash, |at| at == identity, rehash);
        self.free_identities.push(identity);
    }

    /// Puts the record, if it is there, into another identity.
    pub fn move_to(&mut self, record_id: &str, identity_id: &str) {
        let Some(slot) = self.slot_of(record_id) else { return };
        let left = self.slots[slot as usize].identity;
        let identity = self.identity(CompactId::new(identity_id));
        if identity != left {
            self.slots[slot as usize].identity = identity;
            self.identities[identity as usize].members.add(slot);
            self.leave(left, slot);
        }
    }

    /// Takes gaps out of all lists, so that their slots can be used again.
    fn sweep(&mut self) {
        let slots = &self.slots;
        self.postings.retain(|slot| slots[slot as usize].is_live);
        self.free.append(&mut self.gaps);
    }

    /// Puts what came lately where it takes less memory: for when much has come and nothing comes for a while.
    pub fn settle(&mut self) {
        self.postings.settle();
        self.slots.shrink_to_fit();
        self.identities.shrink_to_fit();
    }

    fn slot_of(&self, record_id: &str) -> Option<u32> {
        let id = CompactId::new(record_id);
        self.slots_by_record.find(id.hash(), |slot| self.slots[slot as usize].record_id == id)
    }

    fn identity_of(&self, id: &CompactId) -> Option<u32> {
        self.identities_by_id.find(id.hash(), |at| self.identities[at as usize].id == *id)
    }

    /// All of it, to propose from.
    #[must_use]
    pub const fn layer(&self) -> Layer<'_> {
        Layer { index: self, hidden: None, population: self.population(), left_out: 0, coverage: Coverage::Whole }
    }

    /// The identities that `query` may mean, best first.
    #[must_use]
    pub fn propose(&self, query: &Record, ask: &Ask) -> Proposal {
        propose::propose(&[self.layer()], query, ask)
    }
}

/// Makes room for one more by a quarter rather than by doubling: half-empty vectors are memory nobody uses.
fn grow<T>(values: &mut Vec<T>) {
    if values.len() == values.capacity() {
        values.reserve_exact(values.len() / 4 + 64);
    }
}

#[cfg(test)]
pub(crate) mod tests;
