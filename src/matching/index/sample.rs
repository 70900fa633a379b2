//! Pairs of an index to learn from: records that share a block key, by rule, and records at random.
//!
//! What: [`Index::sample`] draws records by a seed, pairs each with those of its blocks (of a large block with some) and
//! counts what they have in common as [`Patterns`]. Memory is bounded by the number of distinct patterns. The same seed
//! gives the same counts at any number of threads. Not here: what is learned (see `train`).

use rayon::prelude::*;

use super::{Index, Slot};
use crate::matching::blocking::whole_blocks;
use crate::matching::comparison::{Pair, compare};
use crate::matching::component::components;
use crate::matching::dictionary::mix;
use crate::matching::entry::Query;
use crate::matching::record::Record;
use crate::matching::train::{Patterns, Session};

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleAsk {
    pub seed: u64,
    /// Records paired with those of their blocks, at most about as many.
    pub records_max: usize,
    /// Records of one block with which one is paired.
    pub partners_max: usize,
    pub random_pairs: usize,
}

/// Records drawn by one task.
const CHUNK: usize = 512;

impl Index {
    /// Pairs of the records held.
    #[must_use]
    pub fn sample(&self, ask: &SampleAsk, progress: impl Fn(usize) + Sync) -> Patterns {
        let drawn = self.drawn(ask);
        let count = |chunk: &[u32]| {
            let mut patterns = Patterns::default();
            for slot in chunk {
                let query = Query::stored(&self.slots[*slot as usize].entry.view(), &self.dictionary);
                self.pair_up(&query, Some(*slot), u64::from(*slot), ask, &mut patterns);
            }
            progress(chunk.len());
            patterns
        };
        let of_blocks = drawn.par_chunks(CHUNK).map(count).reduce(Patterns::default, Patterns::merged);
        of_blocks.merged(self.random(ask))
    }

    /// Pairs of records that are not held with those that are.
    #[must_use]
    pub fn sample_of(&self, records: &[Record], ask: &SampleAsk, progress: impl Fn(usize) + Sync) -> Patterns {
        let count = |(chunk, records): (usize, &[Record])| {
            let mut patterns = Patterns::default();
            for (at, record) in records.iter().enumerate() {
                let query = Query::new(record, &self.dictionary, &self.model);
                let number = (chunk * CHUNK + at) as u64 | 1 << 40;
                self.pair_up(&query, None, number, ask, &mut patterns);
            }
            progress(records.len());
            patterns
        };
        records.par_chunks(CHUNK).enumerate().map(count).reduce(Patterns::default, Patterns::merged)
    }

    /// The pair of two records held.
    #[must_use]
    pub fn pair(&self, record_id: &str, other_id: &str) -> Option<Pair> {
        let (slot, other) = (self.slot_of(record_id)?, self.slot_of(other_id)?);
        Some(self.compare_slots(slot, other))
    }

    fn compare_slots(&self, slot: u32, other: u32) -> Pair {
        let view = |slot: u32| self.slots[slot as usize].entry.view();
        compare(&Query::stored(&view(slot), &self.dictionary), &view(other), &self.dictionary)
    }

    /// Live slots whose number mixed with the seed falls below the share that is wanted.
    fn drawn(&self, ask: &SampleAsk) -> Vec<u32> {
        let share = ask.records_max as f64 / self.live.max(1) as f64;
        let is_drawn = |slot: u32| (mix(ask.seed, u64::from(slot)) >> 11) as f64 / (1_u64 << 53) as f64 <= share;
        let live = |(at, slot): (usize, &Slot)| slot.is_live.then_some(at as u32);
        self.slots.iter().enumerate().filter_map(live).filter(|slot| is_drawn(*slot)).collect()
    }

    fn pair_up(&self, query: &Query<'_>, own: Option<u32>, number: u64, ask: &SampleAsk, patterns: &mut Patterns) {
        let components = components(query);
        let mut met: Vec<u32> = Vec::new();
        for same_rule in whole_blocks(query).chunk_by(|a, b| a[0].rule == b[0].rule) {
            met.clear();
            for block in same_rule {
                let (found, _) = self.postings.collect(block, &components, |_| 1);
                let step = found.len().div_ceil(ask.partners_max.max(1)).max(1);
                let first = mix(ask.seed, number) as usize % step;
                met.extend(found.into_iter().skip(first).step_by(step).map(|met| met.entry));
            }
            met.sort_unstable();
            met.dedup();
            for slot in met.iter().filter(|slot| Some(**slot) != own && self.slots[**slot as usize].is_live) {
                let pair = compare(query, &self.slots[*slot as usize].entry.view(), &self.dictionary);
                let key = mix(number.min(u64::from(*slot)), number.max(u64::from(*slot)));
                patterns.add(Session::Rule(same_rule[0][0].rule), key, &pair);
            }
        }
    }

    fn random(&self, ask: &SampleAsk) -> Patterns {
        let slots = self.slots.len().max(1) as u64;
        let draw = |n: u64| (mix(ask.seed ^ 0x5eed, n) % slots) as u32;
        let count = |chunk: usize| {
            let mut patterns = Patterns::default();
            for n in chunk * CHUNK..((chunk + 1) * CHUNK).min(ask.random_pairs) {
                let (a, b) = (draw(2 * n as u64), draw(2 * n as u64 + 1));
                if a != b && self.slots[a as usize].is_live && self.slots[b as usize].is_live {
                    patterns.add(Session::Random, n as u64, &self.compare_slots(a, b));
                }
            }
            patterns
        };
        if self.slots.len() < 2 {
            return Patterns::default();
        }
        let chunks = ask.random_pairs.div_ceil(CHUNK);
        (0..chunks).into_par_iter().map(count).reduce(Patterns::default, Patterns::merged)
    }
}
