//! The records that a kept record may belong together with, and their evidence, pair by pair.
//!
//! What: a [`Space`] is an index, alone or under what an open transaction has changed; a [`Place`] is a record in it.
//! Two records have the same evidence whichever is asked about. Where a candidate search is cut (a block split by what a
//! record does not say, more candidates than are compared), one of them may find the other and not the reverse.
//! Not here: identities as answers to a query (see `propose`), what pairs amount to (see `judgement`).

use std::collections::HashSet;

use super::Index;
use super::neighbourhood::{Neighbourhood, Partial};
use super::propose::Layer;
use crate::matching::blocking::{Rule, query_keys};
use crate::matching::compact_id::CompactId;
use crate::matching::comparison::{Pair, compare};
use crate::matching::component::components;
use crate::matching::entry::Query;
use crate::matching::model::Model;

/// What the blocking rules weigh, under which two records meet, before they are compared. One alone is a birth date, or a
/// surname and a postal code: what makes one person of two records is found by several, or by one that is [`TELLING`].
const WEIGHT_MIN: u32 = 2;

/// Rules that weigh twice as much: few people share such a value.
const TELLING: [Rule; 6] =
    [Rule::Phone, Rule::Email, Rule::Member, Rule::MedicalRecord, Rule::Identifier, Rule::Last4BirthYear];

fn weight(rule: u8) -> u32 {
    if TELLING.iter().any(|telling| *telling as u8 == rule) { 2 } else { 1 }
}

/// What the rules weigh under which two records meet, a bit each; `None` of too little to compare them.
#[must_use]
pub fn weight_of(rules: u32) -> Option<u32> {
    let weight =
        Rule::ALL.into_iter().filter(|rule| rules >> *rule as u8 & 1 == 1).map(|rule| weight(rule as u8)).sum();
    (weight >= WEIGHT_MIN).then_some(weight)
}

/// A record in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    layer: u8,
    slot: u32,
}

impl Place {
    /// Its number among the places of an index by itself; there are gaps.
    #[must_use]
    pub const fn number(self) -> usize {
        self.slot as usize
    }
}

/// Records that are there together.
pub struct Space<'i> {
    layers: Vec<Layer<'i>>,
    /// Where the first layer is only a part of what there is.
    partial: Option<Partial<'i>>,
}

impl Index {
    /// What this index holds.
    #[must_use]
    pub fn space(&self) -> Space<'_> {
        Space { layers: vec![self.layer()], partial: None }
    }
}

impl<'i> Space<'i> {
    pub(super) fn over(base: &'i Index, hidden: &'i HashSet<u32>, changed: &'i Index) -> Self {
        Self { layers: vec![Layer { hidden: Some(hidden), ..base.layer() }, changed.layer()], partial: None }
    }

    pub(super) fn over_part(
        base: &'i Neighbourhood,
        hidden: &'i HashSet<u32>,
        changed: &'i Index,
        changed_ids: &'i HashSet<String>,
    ) -> Self {
        Self { partial: Some(Partial::new(base, changed_ids)), ..Self::over(base.index(), hidden, changed) }
    }

    pub(super) const fn partial(&self) -> Option<&Partial<'i>> {
        self.partial.as_ref()
    }

    /// The record as a query.
    #[must_use]
    pub fn query(&self, place: Place) -> Query<'i> {
        let own = self.layer(place).index;
        Query::stored(&own.slots[place.slot as usize].entry.view(), &own.dictionary)
    }

    /// The model of the indexes.
    #[must_use]
    pub fn model(&self) -> Option<&'i Model> {
        self.layers.first().map(|layer| &**layer.index.model())
    }

    /// The record of this id.
    #[must_use]
    pub fn find(&self, record_id: &str) -> Option<Place> {
        let mut found = self.layers.iter().enumerate().filter_map(|(number, layer)| {
            let slot = layer.index.slot_of(record_id)?;
            layer.is_open(slot, None).then_some(Place { layer: u8::from(number > 0), slot })
        });
        let found = found.next_back();
        if let (None, Some(partial)) = (found, &self.partial) {
            partial.miss(record_id);
        }
        found
    }

    /// Every record.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let slots = u32::try_from(layer.index.slots.len()).unwrap_or(u32::MAX);
            let open = (0..slots).filter(|slot| layer.is_open(*slot, None));
            places.extend(open.map(|slot| Place { layer: u8::from(number > 0), slot }));
        }
        places
    }

    fn layer(&self, place: Place) -> &Layer<'i> {
        &self.layers[usize::from(place.layer)]
    }

    /// The id of the record.
    #[must_use]
    pub fn record_id(&self, place: Place) -> &'i CompactId {
        &self.layer(place).index.slots[place.slot as usize].record_id
    }

    /// The identity that the record is in.
    #[must_use]
    pub fn identity_id(&self, place: Place) -> &'i CompactId {
        let index = self.layer(place).index;
        &index.identities[index.slots[place.slot as usize].identity as usize].id
    }

    /// The records of the identity that the record is in, itself included.
    #[must_use]
    pub fn members(&self, place: Place) -> Vec<Place> {
        let id = self.identity_id(place);
        let mut members = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let Some(identity) = layer.index.identity_of(id) else { continue };
            let slots = layer.index.identities[identity as usize].members.slots().iter();
            let open = slots.filter(|slot| layer.is_open(**slot, None));
            members.extend(open.map(|slot| Place { layer: u8::from(number > 0), slot: *slot }));
        }
        members
    }

    /// Hands every record that meets the one asked about under rules of `WEIGHT_MIN` to `visit`, with the evidence of the pair; of more
    /// than `candidates_max` those that share most blocks. `is_wanted` leaves records out before they are compared.
    pub fn each_neighbour(
        &self,
        place: Place,
        candidates_max: usize,
        is_wanted: impl Fn(Place) -> bool,
        mut visit: impl FnMut(Place, Pair),
    ) {
        let query = self.query(place);
        for (number, layer) in self.layers.iter().enumerate() {
            let at = |slot: u32| Place { layer: u8::from(number > 0), slot };
            let is_open = |slot: u32| at(slot) != place && layer.is_open(slot, None) && is_wanted(at(slot));
            let resolved =
                (number != usize::from(place.layer)).then(|| query.clone().resolved(&layer.index.dictionary));
            let query = resolved.as_ref().unwrap_or(&query);
            let slots = match self.partial.as_ref().filter(|_| number == 0) {
                Some(partial) => {
                    let near = partial.near(&self.record_id(place).to_string(), place);
                    near.iter().copied().filter(|slot| is_open(*slot)).collect()
                }
                None => candidates(layer.index, query, candidates_max, is_open),
            };
            for slot in slots {
                let view = layer.index.slots[slot as usize].entry.view();
                visit(at(slot), compare(query, &view, &layer.index.dictionary));
            }
        }
    }

    /// The evidence of two records.
    #[must_use]
    pub fn compare(&self, a: Place, b: Place) -> Pair {
        let to = self.layer(b).index;
        let query = self.query(a);
        let query = if a.layer == b.layer { query } else { query.resolved(&to.dictionary) };
        compare(&query, &to.slots[b.slot as usize].entry.view(), &to.dictionary)
    }
}

/// Records that share a block with `query`; of too many those that share most.
fn candidates(index: &Index, query: &Query<'_>, candidates_max: usize, is_open: impl Fn(u32) -> bool) -> Vec<u32> {
    let (met, _) = index.postings.collect(&query_keys(query), &components(query), weight);
    let shared = met.into_iter().filter(|met| met.weight >= WEIGHT_MIN && is_open(met.entry));
    let mut found: Vec<(u32, u32)> = shared.map(|met| (met.weight, met.entry)).collect();
    if found.len() <= candidates_max {
        return found.into_iter().map(|(_, slot)| slot).collect();
    }
    let id = |slot: u32| index.slots[slot as usize].record_id.hash();
    found.sort_by_key(|(blocks, slot)| (std::cmp::Reverse(*blocks), id(*slot)));
    found.truncate(candidates_max);
    found.into_iter().map(|(_, slot)| slot).collect()
}
