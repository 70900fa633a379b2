//! The lists behind block keys: which entries share a key.
//!
//! What: one set of lists per rule, by a 32-bit key. Most are settled: sorted by key in flat arrays, six bytes an entry.
//! What came lately is in a table, and is settled when there is a quarter as much of it. A list that outgrows
//! [`BLOCK_MAX`] is split by a component of its records (birth year, then initials), never dropped; a query that cannot
//! name the component says so. A key met by chance costs a comparison, nothing else. Not here: which keys there are (see
//! `blocking`).

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use super::blocking::{BlockKey, Rule};
use super::component::{BLOCK_MAX, Components};

/// Entries that came lately are not settled before there are this many of a rule.
const SETTLE_MIN: usize = 1 << 16;

/// Entries by block key.
#[derive(Debug, Clone)]
pub struct Postings {
    rules: Vec<Blocks>,
}

/// The blocks of one rule.
#[derive(Debug, Clone, Default)]
struct Blocks {
    settled: Settled,
    recent: Recent,
    /// Keys whose entries are under refined keys. What is settled under them counts no more.
    split: HashSet<u32, BuildHasherDefault<KeyHasher>>,
}

/// Entries in the order of their keys. The upper half of a key says where to look, the lower half is compared.
#[derive(Debug, Clone, Default)]
struct Settled {
    /// Where the keys of each upper half begin, and the end; empty when nothing is settled.
    starts: Vec<u32>,
    lower: Vec<u16>,
    entries: Vec<u32>,
}

/// Entries by key: one in place, or a list.
#[derive(Debug, Clone, Default)]
struct Recent {
    table: HashMap<u32, u32, BuildHasherDefault<KeyHasher>>,
    lists: Vec<List>,
    nodes: Vec<Node>,
    len: usize,
}

/// Marks a slot that holds a list's number rather than an entry.
const LIST: u32 = 1 << 31;

/// Entries of one block: a chain of nodes in one arena, because most blocks hold two or three.
#[derive(Debug, Clone, Copy)]
struct List {
    /// The node that is filled now.
    head: u32,
    len: u32,
}

const NODE_ENTRIES: usize = 3;

#[derive(Debug, Clone, Copy)]
struct Node {
    entries: [u32; NODE_ENTRIES],
    next: u32,
}

/// No entry, or no further node.
const NONE: u32 = u32::MAX;

/// Spreads a key that is a hash already over the bits a table looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// An entry that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    pub entry: u32,
    /// Of the rules under which it was found.
    pub weight: u32,
}

/// Whether everything under a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    Whole,
    /// A block was split by what the query does not say.
    Cut,
}

impl Default for Postings {
    fn default() -> Self {
        Self { rules: vec![Blocks::default(); Rule::COUNT] }
    }
}

impl Postings {
    /// Adds `entry` under `key`; `components_of` gives the components of any entry.
    pub fn insert(&mut self, key: BlockKey, entry: u32, components_of: &impl Fn(u32) -> Components) {
        self.rules[usize::from(key.rule)].insert(key, entry, 0, components_of);
    }

    /// Adds each entry under its key, in order: as many calls of [`Self::insert`], but rules beside each other.
    pub fn insert_all(&mut self, keys: &[(BlockKey, u32)], components_of: &(impl Fn(u32) -> Components + Sync)) {
        self.rules.par_iter_mut().enumerate().for_each(|(rule, blocks)| {
            for (key, entry) in keys.iter().filter(|(key, _)| usize::from(key.rule) == rule) {
                blocks.insert(*key, *entry, 0, components_of);
            }
        });
    }

    /// Every entry under one of `keys` that a record with `components` may meet, in order, with the weight of the rules under
    /// which they meet: each rule counts once, be it under several keys.
    pub fn collect(
        &self,
        keys: &[BlockKey],
        components: &Components,
        weight: impl Fn(u8) -> u32,
    ) -> (Vec<Met>, Coverage) {
        let (mut met, mut found, mut coverage) = (Vec::with_capacity(256), Vec::with_capacity(256), Coverage::Whole);
        for key in keys {
            if self.collect_at(*key, components, 0, &mut found) == Coverage::Cut {
                coverage = Coverage::Cut;
            }
            met.extend(found.drain(..).map(|entry| u64::from(entry) << 8 | u64::from(key.rule)));
        }
        met.sort_unstable();
        met.dedup();
        let of_entry = |same: &[u64]| Met {
            entry: (same[0] >> 8) as u32,
            weight: same.iter().map(|one| weight((one & 0xff) as u8)).sum(),
        };
        (met.chunk_by(|a, b| a >> 8 == b >> 8).map(of_entry).collect(), coverage)
    }

    fn collect_at(&self, key: BlockKey, components: &Components, depth: usize, found: &mut Vec<u32>) -> Coverage {
        let blocks = &self.rules[usize::from(key.rule)];
        if !blocks.split.contains(&key.hash) {
            blocks.collect(key.hash, found);
            return Coverage::Whole;
        }
        let values = components.at(key.rule, depth);
        let mut coverage = if values.is_empty() { Coverage::Cut } else { Coverage::Whole };
        for value in values.into_iter().chain([MISSING]) {
            if self.collect_at(key.refined(value), components, depth + 1, found) == Coverage::Cut {
                coverage = Coverage::Cut;
            }
        }
        coverage
    }

    /// Forgets every entry for which `is_kept` does not hold.
    pub fn retain(&mut self, is_kept: impl Fn(u32) -> bool) {
        for blocks in &mut self.rules {
            blocks.settle(&is_kept);
        }
    }

    /// Settles what takes less memory settled: for when nothing comes for a while.
    pub fn settle(&mut self) {
        let is_worth_it = |blocks: &&mut Blocks| blocks.recent.len + blocks.settled.entries.len() >= SETTLE_MIN / 4;
        for blocks in self.rules.iter_mut().filter(is_worth_it) {
            blocks.settle(|_| true);
        }
    }

    /// Memory held (bytes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rules.iter().map(Blocks::bytes).sum()
    }
}

impl Blocks {
    fn insert(&mut self, key: BlockKey, entry: u32, depth: usize, components_of: &impl Fn(u32) -> Components) {
        if self.split.contains(&key.hash) {
            self.insert_refined(key, entry, depth, components_of);
        } else if depth > 1 || self.len_of(key.hash) < BLOCK_MAX {
            self.recent.push(key.hash, entry);
            self.settle_when_due();
        } else {
            let mut moved = Vec::with_capacity(BLOCK_MAX + 1);
            self.collect(key.hash, &mut moved);
            self.recent.remove(key.hash);
            self.split.insert(key.hash);
            for entry in moved.into_iter().chain([entry]) {
                self.insert_refined(key, entry, depth, components_of);
            }
        }
    }

    fn insert_refined(&mut self, key: BlockKey, entry: u32, depth: usize, components_of: &impl Fn(u32) -> Components) {
        let values = components_of(entry).at(key.rule, depth);
        // A record without the component is kept where every query looks.
        let values = if values.is_empty() { vec![MISSING] } else { values };
        for value in values {
            self.insert(key.refined(value), entry, depth + 1, components_of);
        }
    }

    fn len_of(&self, key: u32) -> usize {
        self.settled.range(key).len() + self.recent.len_of(key)
    }

    fn collect(&self, key: u32, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.settled.entries[self.settled.range(key)]);
        self.recent.collect(key, found);
    }

    fn settle_when_due(&mut self) {
        if self.recent.len >= SETTLE_MIN && self.recent.len * 4 >= self.settled.entries.len() {
            self.settle(|_| true);
        }
    }

    fn settle(&mut self, is_kept: impl Fn(u32) -> bool) {
        let mut recent = std::mem::take(&mut self.recent).into_rows();
        recent.retain(|(_, entry)| is_kept(*entry));
        recent.sort_unstable();
        let is_settled = |key: u32, entry: u32| !self.split.contains(&key) && is_kept(entry);
        self.settled = self.settled.merged(&recent, is_settled);
    }

    fn bytes(&self) -> usize {
        self.settled.bytes() + self.recent.bytes() + self.split.capacity() * 8 / 7 * 5
    }
}

impl Settled {
    /// Where the entries of a key are.
    fn range(&self, key: u32) -> std::ops::Range<usize> {
        let upper = (key >> 16) as usize;
        let (Some(start), Some(end)) = (self.starts.get(upper), self.starts.get(upper + 1)) else { return 0..0 };
        let (start, end) = (*start as usize, *end as usize);
        let lower = (key & 0xffff) as u16;
        let within = &self.lower[start..end];
        let from = within.partition_point(|other| *other < lower);
        let same = within[from..].partition_point(|other| *other == lower);
        start + from..start + from + same
    }

    /// Keys and entries, in order.
    fn rows(&self) -> impl Iterator<Item = (u32, u32)> {
        let bounds = self.starts.windows(2).zip(0_u32..);
        bounds.flat_map(move |(bounds, upper)| {
            (bounds[0] as usize..bounds[1] as usize)
                .map(move |at| (upper << 16 | u32::from(self.lower[at]), self.entries[at]))
        })
    }

    /// What is kept of this, and `recent`, which is in order and does not repeat.
    fn merged(&self, recent: &[(u32, u32)], is_kept: impl Fn(u32, u32) -> bool) -> Self {
        let mut lower = Vec::with_capacity(self.entries.len() + recent.len());
        let mut entries = Vec::with_capacity(self.entries.len() + recent.len());
        let mut starts = Vec::with_capacity((1 << 16) + 1);
        let mut push = |(key, entry): (u32, u32)| {
            let upper = (key >> 16) as usize;
            let at = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            starts.resize(starts.len().max(upper + 1), at);
            lower.push((key & 0xffff) as u16);
            entries.push(entry);
        };
        let mut waiting = recent.iter().copied().peekable();
        for row in self.rows().filter(|(key, entry)| is_kept(*key, *entry)) {
            while let Some(earlier) = waiting.next_if(|other| *other <= row) {
                push(earlier);
            }
            push(row);
        }
        waiting.for_each(&mut push);
        starts.resize((1 << 16) + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        Self { starts, lower, entries }
    }

    fn bytes(&self) -> usize {
        self.starts.capacity() * 4 + self.lower.capacity() * 2 + self.entries.capacity() * 4
    }
}

impl Recent {
    fn push(&mut self, key: u32, entry: u32) {
        self.len += 1;
        let Some(slot) = self.table.get_mut(&key) else {
            self.table.insert(key, entry);
            return;
        };
        if *slot & LIST != 0 {
            let number = (*slot & !LIST) as usize;
            self.extend(number, entry);
            return;
        }
        let number = self.lists.len();
        let first = std::mem::replace(slot, LIST | u32::try_from(number).unwrap_or(0));
        self.lists.push(List { head: NONE, len: 0 });
        self.extend(number, first);
        self.extend(number, entry);
    }

    fn extend(&mut self, number: usize, entry: u32) {
        let list = self.lists[number];
        let used = list.len as usize % NODE_ENTRIES;
        let mut head = list.head;
        if used == 0 {
            head = u32::try_from(self.nodes.len()).unwrap_or(NONE);
            self.nodes.push(Node { entries: [NONE; NODE_ENTRIES], next: list.head });
        }
        self.nodes[head as usize].entries[used] = entry;
        self.lists[number] = List { head, len: list.len + 1 };
    }

    fn entries(&self, list: List) -> impl Iterator<Item = u32> {
        let nodes =
            std::iter::successors(self.nodes.get(list.head as usize), |node| self.nodes.get(node.next as usize));
        nodes.flat_map(|node| node.entries).filter(|entry| *entry != NONE)
    }

    fn len_of(&self, key: u32) -> usize {
        match self.table.get(&key) {
            None => 0,
            Some(slot) if slot & LIST == 0 => 1,
            Some(slot) => self.lists[(slot & !LIST) as usize].len as usize,
        }
    }

    fn collect(&self, key: u32, found: &mut Vec<u32>) {
        match self.table.get(&key) {
            None => {}
            Some(slot) if slot & LIST == 0 => found.push(*slot),
            Some(slot) => found.extend(self.entries(self.lists[(slot & !LIST) as usize])),
        }
    }

    fn remove(&mut self, key: u32) {
        self.len -= self.len_of(key);
        self.table.remove(&key);
    }

    fn into_rows(self) -> Vec<(u32, u32)> {
        let mut rows = Vec::with_capacity(self.len);
        for (key, slot) in &self.table {
            if slot & LIST == 0 {
                rows.push((*key, *slot));
            } else {
                rows.extend(self.entries(self.lists[(slot & !LIST) as usize]).map(|entry| (*key, entry)));
            }
        }
        rows
    }

    fn bytes(&self) -> usize {
        self.table.capacity() * 8 / 7 * 9
            + self.nodes.capacity() * size_of::<Node>()
            + self.lists.capacity() * size_of::<List>()
    }
}

/// The component of a record that lacks it.
pub const MISSING: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BlockKey = BlockKey { rule: 1, hash: 77 };

    fn components_of(entry: u32) -> Components {
        let year = (entry % 10 != 9).then(|| 1900 + u64::from(entry % 3));
        Components::new(year, vec![u64::from(b'a') + u64::from(entry % 7)])
    }

    fn collect(postings: &Postings, components: &Components) -> (Vec<u32>, Coverage) {
        let (met, coverage) = postings.collect(&[KEY], components, |_| 1);
        (met.into_iter().map(|met| met.entry).collect(), coverage)
    }

    #[test]
    fn a_large_block_is_split_and_still_gives_every_record_of_the_same_components() {
        let mut postings = Postings::default();
        for entry in 0..5000 {
            postings.insert(KEY, entry, &components_of);
        }
        for entry in [0, 1, 9, 19, 4998] {
            let (found, coverage) = collect(&postings, &components_of(entry));
            assert!(found.contains(&entry), "{entry}");
            assert!(found.len() < 1500);
            assert_eq!(coverage == Coverage::Cut, entry % 10 == 9);
        }
        assert_eq!(collect(&postings, &Components::default()).1, Coverage::Cut);
    }

    #[test]
    fn settling_changes_nothing_that_is_found() {
        let mut settled = Postings::default();
        let mut recent = Postings::default();
        for entry in 0..3000_u32 {
            for (rule, hash) in [(1, 77), (2, entry), (2, entry % 500), (3, entry.wrapping_mul(0x9e37_79b9))] {
                let key = BlockKey { rule, hash };
                settled.insert(key, entry, &components_of);
                recent.insert(key, entry, &components_of);
            }
            if entry % 700 == 100 {
                settled.retain(|_| true);
            }
        }
        settled.retain(|_| true);
        assert!(settled.rules.iter().all(|blocks| blocks.recent.len == 0));
        let found =
            |postings: &Postings, key: BlockKey, entry: u32| postings.collect(&[key], &components_of(entry), |_| 1);
        for entry in 0..3000_u32 {
            for (rule, hash) in [(1, 77), (2, entry), (3, entry.wrapping_mul(0x9e37_79b9)), (3, entry)] {
                let key = BlockKey { rule, hash };
                assert_eq!(found(&settled, key, entry), found(&recent, key, entry), "{rule} {hash}");
            }
        }
        settled.retain(|entry| entry % 2 == 0);
        recent.retain(|entry| entry % 2 == 0);
        for entry in 0..3000_u32 {
            let key = BlockKey { rule: 2, hash: entry };
            assert_eq!(found(&settled, key, entry), found(&recent, key, entry));
            assert!(found(&settled, key, entry).0.iter().all(|met| met.entry % 2 == 0));
        }
    }

    #[test]
    fn forgotten_entries_are_found_no_more() {
        let mut postings = Postings::default();
        for entry in 0..100 {
            postings.insert(KEY, entry, &components_of);
            postings.insert(BlockKey { rule: 2, hash: entry }, entry, &components_of);
        }
        postings.retain(|entry| entry % 2 == 0);
        assert_eq!(collect(&postings, &Components::default()).0.len(), 50);
        let (met, _) = postings.collect(&[BlockKey { rule: 2, hash: 3 }], &Components::default(), |_| 1);
        assert!(met.is_empty());
    }
}
