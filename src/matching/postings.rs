//! The lists behind block keys: which entries share a key.
//!
//! What: one table per rule from the 32-bit key to one entry or to a list. A list that outgrows [`block_max`] is split
//! by a component of its records (see [`Components::at`]), never dropped; a query that cannot name the component
//! says so. A key met by chance costs a comparison, nothing else. Not here: which keys there are (see `blocking`).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::blocking::{BlockKey, Components, Rule, block_max};

/// Marks a slot that holds a list's number rather than an entry.
const LIST: u32 = 1 << 31;

/// Entries by block key.
#[derive(Debug, Clone)]
pub struct Postings {
    tables: Vec<HashMap<u32, u32, BuildHasherDefault<KeyHasher>>>,
    lists: Vec<List>,
    nodes: Vec<Node>,
}

/// Entries of one block: a chain of nodes in one arena, because most blocks hold two or three.
#[derive(Debug, Clone, Copy)]
struct List {
    /// The node that is filled now.
    head: u32,
    len: u32,
}

/// The length of a list whose entries are under refined keys.
const SPLIT: u32 = u32::MAX;

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

/// Whether everything under a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    Whole,
    /// A block was split by what the query does not say.
    Cut,
}

impl Default for Postings {
    fn default() -> Self {
        Self { tables: vec![HashMap::default(); Rule::COUNT], lists: Vec::new(), nodes: Vec::new() }
    }
}

impl Postings {
    /// Adds `entry` under `key`; `components_of` gives the components of any entry.
    pub fn insert(&mut self, key: BlockKey, entry: u32, components_of: &impl Fn(u32) -> Components) {
        self.insert_at(key, entry, 0, components_of);
    }

    fn insert_at(&mut self, key: BlockKey, entry: u32, depth: usize, components_of: &impl Fn(u32) -> Components) {
        let table = &mut self.tables[usize::from(key.rule)];
        let Some(slot) = table.get_mut(&key.hash) else {
            table.insert(key.hash, entry);
            return;
        };
        if *slot & LIST == 0 {
            let number = u32::try_from(self.lists.len()).unwrap_or(0);
            let first = std::mem::replace(slot, LIST | number);
            self.lists.push(List { head: NONE, len: 0 });
            self.push(number as usize, first);
            self.push(number as usize, entry);
            return;
        }
        let number = (*slot & !LIST) as usize;
        let list = self.lists[number];
        if list.len == SPLIT {
            self.insert_refined(key, entry, depth, components_of);
        } else if (list.len as usize) < block_max(key.rule) || depth > 1 {
            self.push(number, entry);
        } else {
            let moved: Vec<u32> = self.entries(list).chain([entry]).collect();
            self.lists[number] = List { head: NONE, len: SPLIT };
            for entry in moved {
                self.insert_refined(key, entry, depth, components_of);
            }
        }
    }

    fn push(&mut self, number: usize, entry: u32) {
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

    fn insert_refined(&mut self, key: BlockKey, entry: u32, depth: usize, components_of: &impl Fn(u32) -> Components) {
        let values = components_of(entry).at(key.rule, depth);
        // A record without the component is kept where every query looks.
        let values = if values.is_empty() { vec![MISSING] } else { values };
        for value in values {
            self.insert_at(key.refined(value), entry, depth + 1, components_of);
        }
    }

    /// Adds to `found` every entry under `key` that a record with `components` may meet.
    pub fn collect(&self, key: BlockKey, components: &Components, found: &mut Vec<u32>) -> Coverage {
        let before = found.len();
        let coverage = self.collect_at(key, components, 0, found);
        if found.len() - before > block_max(key.rule) {
            // A split block has an entry once for each of its initials.
            found[before..].sort_unstable();
            let mut kept = before;
            for at in before..found.len() {
                if kept == before || found[kept - 1] != found[at] {
                    found[kept] = found[at];
                    kept += 1;
                }
            }
            found.truncate(kept);
        }
        coverage
    }

    fn collect_at(&self, key: BlockKey, components: &Components, depth: usize, found: &mut Vec<u32>) -> Coverage {
        let Some(slot) = self.tables[usize::from(key.rule)].get(&key.hash) else {
            return Coverage::Whole;
        };
        if slot & LIST == 0 {
            found.push(*slot);
            return Coverage::Whole;
        }
        let list = self.lists[(slot & !LIST) as usize];
        if list.len != SPLIT {
            found.extend(self.entries(list));
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
        let mut kept = Self { tables: Vec::new(), lists: Vec::with_capacity(self.lists.len()), nodes: Vec::new() };
        for (number, list) in self.lists.iter().enumerate() {
            kept.lists.push(List { head: NONE, len: if list.len == SPLIT { SPLIT } else { 0 } });
            for entry in self.entries(*list).filter(|entry| is_kept(*entry)) {
                kept.push(number, entry);
            }
        }
        (self.lists, self.nodes) = (kept.lists, kept.nodes);
        for table in &mut self.tables {
            table.retain(|_, slot| *slot & LIST != 0 || is_kept(*slot));
        }
    }

    /// Memory held (bytes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(|table| table.capacity() * 8 / 7 * 9).sum();
        tables + self.nodes.capacity() * size_of::<Node>() + self.lists.capacity() * size_of::<List>()
    }
}

/// The component of a record that lacks it.
const MISSING: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BlockKey = BlockKey { rule: 1, hash: 77 };

    fn components_of(entry: u32) -> Components {
        let year = (entry % 10 != 9).then(|| 1900 + u64::from(entry % 3));
        Components::new(year, vec![u64::from(b'a') + u64::from(entry % 7)])
    }

    fn collect(postings: &Postings, components: &Components) -> (Vec<u32>, Coverage) {
        let mut found = Vec::new();
        let coverage = postings.collect(KEY, components, &mut found);
        found.sort_unstable();
        found.dedup();
        (found, coverage)
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
    fn forgotten_entries_are_found_no_more() {
        let mut postings = Postings::default();
        for entry in 0..100 {
            postings.insert(KEY, entry, &components_of);
            postings.insert(BlockKey { rule: 2, hash: entry }, entry, &components_of);
        }
        postings.retain(|entry| entry % 2 == 0);
        assert_eq!(collect(&postings, &Components::default()).0.len(), 50);
        let mut found = Vec::new();
        postings.collect(BlockKey { rule: 2, hash: 3 }, &Components::default(), &mut found);
        assert!(found.is_empty());
    }
}
