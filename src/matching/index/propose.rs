//! From a query to the identities it may mean: collect by block key, compare, pool, weigh, sort.
//!
//! Small sets run on the calling thread; from `parallel_from` candidates on, chunks run on rayon's current pool. Every
//! step keeps the order of the candidates, so the number of threads changes nothing.

use std::collections::HashSet;

use rayon::prelude::*;

use super::{Index, Slot};
use crate::matching::blocking::{Reach, keys_within};
use crate::matching::compact_id::CompactId;
use crate::matching::comparison::{Pair, compare};
use crate::matching::component::{Components, components, stored_components};
use crate::matching::entry::Query;
use crate::matching::model::Model;
use crate::matching::pool::{IdentityMatch, RecordPair, Weighed, resolve_within, sort};
use crate::matching::postings::Coverage;
use crate::matching::record::Record;

/// Identities compared by one task of a parallel proposal.
const CHUNK: usize = 64;

/// How to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// A record that is no candidate: the one asked about, when it is stored already.
    pub exclude_record: Option<String>,
    /// Records compared at most; the rest is cut and said to be.
    pub candidates_max: usize,
    /// Identities returned at most.
    pub identities_max: usize,
    /// Candidates from which rayon's current pool is used.
    pub parallel_from: usize,
    pub reach: Reach,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            exclude_record: None,
            candidates_max: 2000,
            identities_max: 10,
            parallel_from: 2000,
            reach: Reach::Blocks,
        }
    }
}

/// What a query may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Best first.
    pub identities: Vec<IdentityMatch>,
    /// Records found by block key.
    pub candidates: usize,
    /// Some candidates were not compared.
    pub truncated: bool,
}

/// An index, or a part of one.
#[derive(Clone, Copy)]
pub struct Layer<'i> {
    pub(super) index: &'i Index,
    /// Slots that another layer replaces.
    pub(super) hidden: Option<&'i HashSet<u32>>,
    /// Identities against which a match is weighed.
    pub(super) population: usize,
    /// Candidates of the query that are not in the index.
    pub(super) left_out: usize,
    /// Whether the index holds all that the blocks of the query do.
    pub(super) coverage: Coverage,
}

impl Layer<'_> {
    pub(super) fn is_open(&self, slot: u32, excluded: Option<u32>) -> bool {
        self.index.slots[slot as usize].is_live
            && Some(slot) != excluded
            && self.hidden.is_none_or(|hidden| !hidden.contains(&slot))
    }
}

/// A layer with the query resolved against its dictionary.
struct Asked<'i> {
    layer: Layer<'i>,
    query: Query<'i>,
    excluded: Option<u32>,
}

/// The same identity in each layer.
type Place = [Option<u32>; 2];

struct Scored {
    place: Place,
    weighed: Weighed,
}

pub(super) fn propose(layers: &[Layer<'_>], record: &Record, ask: &Ask) -> Proposal {
    let Some(first) = layers.first() else {
        return Proposal { identities: Vec::new(), candidates: 0, truncated: false };
    };
    let model = &*first.index.model;
    let population = layers.iter().map(|layer| layer.population).sum();
    let asked: Vec<Asked<'_>> = layers.iter().take(2).map(|layer| Asked::new(*layer, record, ask)).collect();
    let (found, coverage) = collect(&asked, ask.reach);
    let candidates = found.len() + layers.iter().map(|layer| layer.left_out).sum::<usize>();
    let kept = cut(&asked, found, ask.candidates_max);
    let truncated = coverage == Coverage::Cut || kept.len() < candidates;
    warm(&asked, &kept);
    let places = places(&asked, &kept);
    let score = |place: &Place| scored(&asked, *place, model, population);
    let scored: Vec<Scored> = if kept.len() >= ask.parallel_from.max(1) {
        places.par_chunks(CHUNK).flat_map_iter(|chunk| chunk.iter().map(score)).collect()
    } else {
        places.iter().map(score).collect()
    };
    let odds_sum: f64 = scored.iter().map(|scored| scored.weighed.classes.odds()).sum();
    let answer = |scored: Scored| answer(&asked, scored, model, population);
    let mut identities: Vec<IdentityMatch> = best(&asked, scored, ask.identities_max).into_iter().map(answer).collect();
    resolve_within(&mut identities, odds_sum, model);
    sort(&mut identities);
    Proposal { identities, candidates, truncated }
}

impl<'i> Asked<'i> {
    fn new(layer: Layer<'i>, record: &Record, ask: &Ask) -> Self {
        let index = layer.index;
        let excluded = ask.exclude_record.as_deref().and_then(|id| index.slot_of(id));
        Self { layer, query: Query::new(record, &index.dictionary, &index.model), excluded }
    }

    fn members(&self, identity: u32) -> impl Iterator<Item = &'i Slot> {
        let index = self.layer.index;
        let slots = index.identities[identity as usize].members.slots().iter();
        slots.filter(|slot| self.layer.is_open(**slot, self.excluded)).map(|slot| &index.slots[*slot as usize])
    }

    fn compare(&self, slot: &Slot) -> Pair {
        compare(&self.query, &slot.entry.view(), &self.layer.index.dictionary)
    }
}

/// A record found: under how many blocking rules, in which layer, at which slot.
struct Found {
    rules: u32,
    layer: usize,
    slot: u32,
}

fn collect(asked: &[Asked<'_>], reach: Reach) -> (Vec<Found>, Coverage) {
    let mut found = Vec::new();
    let mut coverage = Coverage::Whole;
    for (layer, asked) in asked.iter().enumerate() {
        if asked.layer.coverage == Coverage::Cut {
            coverage = Coverage::Cut;
        }
        let keys = keys_within(&asked.query, reach);
        let (met, whole) = asked.layer.index.postings.collect(&keys, &components(&asked.query), |_| 1);
        if whole == Coverage::Cut {
            coverage = Coverage::Cut;
        }
        let open = met.into_iter().filter(|met| asked.layer.is_open(met.entry, asked.excluded));
        found.extend(open.map(|met| Found { rules: met.weight, layer, slot: met.entry }));
    }
    (found, coverage)
}

/// Keeps the records that are found under the most blocking rules; among equals those that share a given name, then those
/// of the least [`rank`].
fn cut(asked: &[Asked<'_>], mut found: Vec<Found>, candidates_max: usize) -> Vec<Found> {
    if found.len() > candidates_max {
        let components: Vec<Components> = asked.iter().map(|asked| components(&asked.query)).collect();
        found.sort_by_cached_key(|found| {
            let index = asked[found.layer].layer.index;
            let slot = &index.slots[found.slot as usize];
            let shares_given =
                components[found.layer].share_given(&stored_components(&slot.entry.view(), &index.dictionary));
            (std::cmp::Reverse((found.rules, shares_given)), slot.record_id.hash())
        });
        found.truncate(candidates_max);
    }
    found
}

/// Reads a little of everything that comparing will read, kind by kind. A processor waits for many places of memory at once
/// where none of them has to be known to ask for the next; comparing pair by pair, it would wait for each.
fn warm(asked: &[Asked<'_>], found: &[Found]) {
    let entries = || found.iter().map(|found| (asked[found.layer].layer.index, found.slot as usize));
    let mut read = 0;
    for (index, slot) in entries() {
        read ^= index.slots[slot].entry.first_word();
    }
    for (index, slot) in entries() {
        read ^= index.slots[slot].entry.view().touch(&index.dictionary);
    }
    for (index, slot) in entries() {
        read ^= index.slots[slot].entry.view().touch_names(&index.dictionary);
    }
    std::hint::black_box(read);
}

/// The place of a record among others that are as good: the same in every index, in whatever order it was filled.
#[must_use]
pub fn rank(record_id: &str) -> u64 {
    CompactId::new(record_id).hash()
}

/// The identities of the records found, each once.
fn places(asked: &[Asked<'_>], found: &[Found]) -> Vec<Place> {
    let place = |found: &Found| -> Place {
        let identity = asked[found.layer].layer.index.slots[found.slot as usize].identity;
        let mut place: Place = [None; 2];
        for (layer, other) in asked.iter().enumerate() {
            place[layer] = if layer == found.layer {
                Some(identity)
            } else {
                other.layer.index.identity_of(&asked[found.layer].layer.index.identities[identity as usize].id)
            };
        }
        place
    };
    let mut places: Vec<Place> = found.iter().map(place).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The records of an identity, layer by layer.
fn members<'a, 'i>(asked: &'a [Asked<'i>], place: Place) -> impl Iterator<Item = (&'a Asked<'i>, &'i Slot)> {
    let of = |(asked, identity): (&'a Asked<'i>, Option<u32>)| identity.map(|identity| (asked, identity));
    let identities = asked.iter().zip(place).filter_map(of);
    identities.flat_map(|(asked, identity)| asked.members(identity).map(move |slot| (asked, slot)))
}

fn scored(asked: &[Asked<'_>], place: Place, model: &Model, population: usize) -> Scored {
    let pooled = members(asked, place).fold(Pair::EMPTY, |pooled, (asked, slot)| pooled.join(&asked.compare(slot)));
    Scored { place, weighed: Weighed::of(pooled, model, population) }
}

/// A record with its pair, where that is known already.
fn record_pair<'i>(asked: &Asked<'i>, slot: &'i Slot, known: Option<Pair>) -> RecordPair<'i> {
    let pair = known.unwrap_or_else(|| asked.compare(slot));
    RecordPair { record_id: &slot.record_id, version: i64::from(slot.version), pair }
}

fn answer(asked: &[Asked<'_>], scored: Scored, model: &Model, population: usize) -> IdentityMatch {
    let Scored { place, weighed } = scored;
    let is_alone = members(asked, place).nth(1).is_none();
    let record = |(asked, slot)| record_pair(asked, slot, is_alone.then_some(weighed.pair));
    let pairs: Vec<RecordPair<'_>> = members(asked, place).map(record).collect();
    weighed.answer(identity_id(asked, place), &pairs, model, population)
}

fn identity_id(asked: &[Asked<'_>], place: Place) -> String {
    let found = asked.iter().zip(place).find_map(|(asked, identity)| identity.map(|identity| (asked, identity)));
    found.map_or_else(String::new, |(asked, identity)| asked.layer.index.identities[identity as usize].id.to_string())
}

/// The best `identities_max`, in the order of the answer; ids are looked at only where all else is equal.
fn best(asked: &[Asked<'_>], scored: Vec<Scored>, identities_max: usize) -> Vec<Scored> {
    let (score, odds) = (|at: usize| scored[at].weighed.graded.score, |at: usize| scored[at].weighed.classes.odds());
    let mut order: Vec<usize> = (0..scored.len()).collect();
    order.sort_unstable_by(|a, b| {
        let by_score = score(*b).total_cmp(&score(*a)).then(odds(*b).total_cmp(&odds(*a)));
        by_score.then_with(|| identity_id(asked, scored[*a].place).cmp(&identity_id(asked, scored[*b].place)))
    });
    // The most likely identity is always told, even when others hold a row of the table and it does not.
    let likeliest =
        order.iter().enumerate().max_by(|a, b| odds(*a.1).total_cmp(&odds(*b.1)).then(b.0.cmp(&a.0))).map(|(at, _)| at);
    if let Some(at) = likeliest
        && at >= identities_max
        && identities_max > 0
    {
        order.swap(at, identities_max - 1);
    }
    order.truncate(identities_max);
    debug_assert!(order.iter().all(|at| scored[*at].weighed.graded.row.is_none() || score(*at) >= 0.6));
    let mut scored: Vec<Option<Scored>> = scored.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| scored[at].take()).collect()
}
