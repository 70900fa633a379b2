//! A part of a population whose records are read from elsewhere as they are asked for.
//!
//! What: records without block keys, and of some the list of those that share a block with them. A [`Space`] over it notes
//! what it was asked and does not hold ([`Wanted`]); who looked reads that, adds it, and looks again until nothing is
//! wanted: then the answer is that of the whole population. Not here: the reading.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::neighbours::{Place, Space};
use super::{Index, Member};
use crate::matching::model::Model;
use crate::matching::record::Record;

/// Records, and who stands near them.
#[derive(Debug)]
pub struct Neighbourhood {
    index: Index,
    /// Slots of the records that share a block with a record, by its id.
    near: HashMap<String, Vec<u32>>,
    /// Records that were looked for: those that are not in the index are not stored.
    sought: HashSet<String>,
}

/// What was asked for and is not held.
#[derive(Debug, Default)]
pub struct Wanted {
    pub records: Vec<String>,
    /// Records whose neighbours are wanted.
    pub neighbours: Vec<Place>,
}

impl Wanted {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.neighbours.is_empty()
    }
}

impl Neighbourhood {
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self { index: Index::new(model), near: HashMap::new(), sought: HashSet::new() }
    }

    /// Adds a record, if it is not there yet.
    pub fn add(&mut self, member: Member<'_>, record: &Record) {
        if self.index.slot_of(member.record_id).is_none() {
            self.index.keep(member, record);
        }
    }

    /// Says that what is stored under this id was added, if anything is.
    pub fn note_sought(&mut self, record_id: &str) {
        self.sought.insert(record_id.to_owned());
    }

    /// Says which of the records added share a block with `record_id`.
    pub fn note_near<'a>(&mut self, record_id: &str, near: impl Iterator<Item = &'a str>) {
        let slots = near.filter_map(|id| self.index.slot_of(id)).collect();
        self.near.insert(record_id.to_owned(), slots);
    }

    pub(super) const fn index(&self) -> &Index {
        &self.index
    }
}

/// A neighbourhood as the base of a space.
pub(super) struct Partial<'i> {
    neighbourhood: &'i Neighbourhood,
    /// Records that an open transaction has changed: what is stored of them does not count.
    changed: &'i HashSet<String>,
    wanted: Mutex<Wanted>,
}

impl<'i> Partial<'i> {
    pub(super) fn new(neighbourhood: &'i Neighbourhood, changed: &'i HashSet<String>) -> Self {
        Self { neighbourhood, changed, wanted: Mutex::default() }
    }

    /// A record was looked for and not found.
    pub(super) fn miss(&self, record_id: &str) {
        if !self.neighbourhood.sought.contains(record_id) && !self.changed.contains(record_id) {
            self.want(|wanted| wanted.records.push(record_id.to_owned()));
        }
    }

    /// Who shares a block with a record; nobody, as long as that is not known.
    pub(super) fn near(&self, record_id: &str, place: Place) -> &'i [u32] {
        let near = self.neighbourhood.near.get(record_id);
        if near.is_none() {
            self.want(|wanted| wanted.neighbours.push(place));
        }
        near.map_or(&[], Vec::as_slice)
    }

    fn want(&self, add: impl FnOnce(&mut Wanted)) {
        add(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> Wanted {
        std::mem::take(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Space<'_> {
    /// What was asked of this space and is not held, each once.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let mut wanted = self.partial().map(Partial::take).unwrap_or_default();
        wanted.records.sort_unstable();
        wanted.records.dedup();
        wanted.neighbours.sort_unstable();
        wanted.neighbours.dedup();
        wanted
    }
}
