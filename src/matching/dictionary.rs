//! Numbers for distinct values: names with what is precomputed for each, and texts of every other kind.
//!
//! What: a value is kept once and known by a 32-bit id, so that a record in the index is a few words and equality is
//! the equality of ids. Values of removed records stay until the index is built anew. Not here: records (see `entry`).

use rphonetic::{DoubleMetaphone, Encoder, Soundex};

use super::model::Model;

/// The id of a value that the dictionary does not hold.
pub const UNKNOWN: u32 = u32::MAX;

/// Mixes `value` into `seed`; stable across builds, so that block keys can be stored.
#[must_use]
pub const fn mix(seed: u64, value: u64) -> u64 {
    let product = (seed ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as u128 * 0xd6e8_feb8_6659_fd93;
    #[allow(clippy::cast_possible_truncation, reason = "the fold of both halves is the hash")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded.rotate_left(23)
}

/// A 64-bit hash of `bytes`; stable across builds.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    hash_from(0x1d8e_4e27_c47d_124f, bytes)
}

/// A 128-bit hash of `bytes`, two 64-bit ones of different seeds; stable across builds.
#[must_use]
pub fn wide_hash(bytes: &[u8]) -> u128 {
    u128::from(hash(bytes)) << 64 | u128::from(hash_from(0x8a5c_d789_635d_2dff, bytes))
}

fn hash_from(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0_u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

/// An open-addressing table of ids; the values themselves are elsewhere.
#[derive(Debug, Clone, Default)]
pub struct IdTable {
    slots: Vec<u32>,
    len: usize,
}

impl IdTable {
    /// The id under `hash` for which `is_it` holds.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.position(hash, is_it).map(|at| self.slots[at])
    }

    fn position(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = start(hash, mask);
        while self.slots[at] != UNKNOWN {
            if is_it(self.slots[at]) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds `id`, which must not be there yet. `rehash` gives the hash of any id in the table.
    pub fn insert(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            let size = (self.slots.len() * 2).max(16);
            let old = std::mem::replace(&mut self.slots, vec![UNKNOWN; size]);
            for id in old.into_iter().filter(|id| *id != UNKNOWN) {
                place(&mut self.slots, rehash(id), id);
            }
        }
        place(&mut self.slots, hash, id);
        self.len += 1;
    }

    /// Takes out the id under `hash` for which `is_it` holds, closing the gap it leaves.
    pub fn remove(&mut self, hash: u64, is_it: impl Fn(u32) -> bool, rehash: impl Fn(u32) -> u64) -> Option<u32> {
        let mut gap = self.position(hash, is_it)?;
        let removed = self.slots[gap];
        let mask = self.slots.len() - 1;
        let mut at = (gap + 1) & mask;
        while self.slots[at] != UNKNOWN {
            let wanted = start(rehash(self.slots[at]), mask);
            if (at.wrapping_sub(wanted) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = self.slots[at];
                gap = at;
            }
            at = (at + 1) & mask;
        }
        self.slots[gap] = UNKNOWN;
        self.len -= 1;
        Some(removed)
    }

    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.slots.capacity() * 4
    }
}

#[allow(clippy::cast_possible_truncation, reason = "only the low bits are kept")]
const fn start(hash: u64, mask: usize) -> usize {
    (hash >> 7) as usize & mask
}

fn place(slots: &mut [u32], hash: u64, id: u32) {
    let mask = slots.len() - 1;
    let mut at = start(hash, mask);
    while slots[at] != UNKNOWN {
        at = (at + 1) & mask;
    }
    slots[at] = id;
}

/// A name and what comparing it needs.
#[derive(Debug, Clone)]
pub struct NameForm {
    pub text: Box<str>,
    pub hash: u64,
    pub soundex: u32,
    pub metaphone: u32,
    /// The formal names it is a short form of.
    pub formal: Box<[Formal]>,
    pub given_frequency: f32,
    pub family_frequency: f32,
    pub is_known_given: bool,
}

/// A formal name, as far as comparing and blocking need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formal {
    pub hash: u64,
    pub initial: u32,
}

impl Formal {
    fn new(name: &str) -> Self {
        Self { hash: hash(name.as_bytes()), initial: initial(name) }
    }
}

fn initial(name: &str) -> u32 {
    name.chars().next().map_or(0, u32::from)
}

impl NameForm {
    #[must_use]
    pub fn new(text: &str, model: &Model) -> Self {
        let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        let code = |encoded: String| {
            if letters.is_empty() { short(hash(text.as_bytes())) } else { short(hash(encoded.as_bytes())) }
        };
        #[allow(clippy::cast_possible_truncation, reason = "a share of the population needs no more digits")]
        let (given_frequency, family_frequency) =
            (model.given_frequency(text) as f32, model.family_frequency(text) as f32);
        Self {
            text: text.into(),
            hash: hash(text.as_bytes()),
            soundex: code(Soundex::default().encode(&letters)),
            metaphone: code(DoubleMetaphone::default().encode(&letters)),
            formal: Box::default(),
            given_frequency,
            family_frequency,
            is_known_given: model.is_known_given(text),
        }
    }

    #[must_use]
    pub fn initial(&self) -> u32 {
        initial(&self.text)
    }

    /// One letter; a single ideograph or syllable (from U+2E80 on) is a whole name.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        let mut letters = self.text.chars();
        letters.next().is_some_and(|letter| letter < '\u{2e80}') && letters.next().is_none()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a 32-bit code of a 64-bit hash")]
const fn short(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

/// Bits of an id: entries keep the rest of a word for what the value is (see `entry`).
pub const ID_BITS: u32 = 27;

/// The values of an index, numbered. A full dictionary takes no new value: [`UNKNOWN`] is its id then, which equals
/// nothing, and [`Dictionary::refused`] counts it.
#[derive(Debug, Clone)]
pub struct Dictionary {
    names: Vec<NameForm>,
    names_by_hash: IdTable,
    text: Vec<u8>,
    ends: Vec<u32>,
    texts_by_hash: IdTable,
    /// Values of a kind at most.
    values_max: usize,
    refused: u64,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            names_by_hash: IdTable::default(),
            text: Vec::new(),
            ends: Vec::new(),
            texts_by_hash: IdTable::default(),
            // The last id is not given out: a word of it under every tag stays distinct from `UNKNOWN`.
            values_max: (1 << ID_BITS) - 1,
            refused: 0,
        }
    }
}

impl Dictionary {
    #[must_use]
    pub fn find_name(&self, text: &str) -> Option<u32> {
        self.names_by_hash.find(hash(text.as_bytes()), |id| &*self.name(id).text == text)
    }

    #[must_use]
    pub fn name(&self, id: u32) -> &NameForm {
        &self.names[id as usize]
    }

    /// How often a value was not taken because the dictionary is full; such a value is not compared.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// The id for the next of a kind that has `count` values.
    fn next_id(&mut self, count: usize) -> Option<u32> {
        let id = u32::try_from(count).ok().filter(|_| count < self.values_max);
        self.refused += u64::from(id.is_none());
        id
    }

    /// The id of the name `text`, added when it is new; [`UNKNOWN`] when the dictionary is full.
    pub fn intern_name(&mut self, text: &str, model: &Model) -> u32 {
        if let Some(id) = self.find_name(text) {
            return id;
        }
        let Some(id) = self.next_id(self.names.len()) else { return UNKNOWN };
        let form = NameForm::new(text, model);
        let hash = form.hash;
        self.names.push(form);
        self.names_by_hash.insert(hash, id, |id| self.names[id as usize].hash);
        id
    }

    /// The same for a given name, of which `formal` are the formal names.
    pub fn intern_given(&mut self, text: &str, formal: &[String], model: &Model) -> u32 {
        let id = self.intern_name(text, model);
        if let Some(form) = self.names.get_mut(id as usize)
            && form.formal.is_empty()
            && !formal.is_empty()
        {
            form.formal = formal_names(formal);
        }
        id
    }

    #[must_use]
    pub fn find_text(&self, text: &[u8]) -> Option<u32> {
        self.texts_by_hash.find(hash(text), |id| self.bytes_of(id) == text)
    }

    /// The id of `text`, added when it is new; [`UNKNOWN`] when the dictionary is full.
    pub fn intern_text(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.find_text(text) {
            return id;
        }
        // Ends have 32 bits: 4 GiB of distinct text fill the dictionary too.
        let Ok(end) = u32::try_from(self.text.len() + text.len()) else {
            self.refused += 1;
            return UNKNOWN;
        };
        let Some(id) = self.next_id(self.ends.len()) else { return UNKNOWN };
        if self.text.len() + text.len() > self.text.capacity() {
            self.text.reserve_exact(self.text.len() / 4 + 4096);
        }
        if self.ends.len() == self.ends.capacity() {
            self.ends.reserve_exact(self.ends.len() / 4 + 1024);
        }
        self.text.extend_from_slice(text);
        self.ends.push(end);
        let (all, ends) = (&self.text, &self.ends);
        self.texts_by_hash.insert(hash(text), id, |id| hash(slice_of(all, ends, id)));
        id
    }

    #[must_use]
    pub fn bytes_of(&self, id: u32) -> &[u8] {
        slice_of(&self.text, &self.ends, id)
    }

    /// A byte of a name's form.
    #[must_use]
    pub fn touch_name(&self, id: u32) -> u8 {
        self.names.get(id as usize).map_or(0, |form| u8::from(form.is_known_given))
    }

    /// A name's first letter.
    #[must_use]
    pub fn touch_letters(&self, id: u32) -> u8 {
        self.names.get(id as usize).map_or(0, |form| form.text.as_bytes().first().copied().unwrap_or_default())
    }

    /// The first byte of a text.
    #[must_use]
    pub fn touch_text(&self, id: u32) -> u8 {
        self.bytes_of(id).first().copied().unwrap_or_default()
    }

    /// Memory held (bytes).
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = self.names.capacity() * size_of::<NameForm>() + self.names.len() * 16;
        names
            + self.names_by_hash.bytes()
            + self.texts_by_hash.bytes()
            + self.text.capacity()
            + self.ends.capacity() * 4
    }
}

/// Formal names, as kept in [`NameForm::formal`].
#[must_use]
pub fn formal_names(names: &[String]) -> Box<[Formal]> {
    names.iter().map(|name| Formal::new(name)).collect()
}

fn slice_of<'a>(text: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let at = id as usize;
    let start = if at == 0 { 0 } else { ends.get(at - 1).map_or(0, |end| *end as usize) };
    let end = ends.get(at).map_or(0, |end| *end as usize);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::matching::model::tests::model;
    use std::collections::HashSet;

    /// A dictionary that is full.
    pub fn full() -> Dictionary {
        Dictionary { values_max: 0, ..Dictionary::default() }
    }

    #[test]
    fn a_value_is_numbered_once_and_found_again() {
        let (model, mut dictionary) = (model(), Dictionary::default());
        let ids: Vec<u32> = (0..500).map(|n| dictionary.intern_text(format!("value {n}").as_bytes())).collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(dictionary.intern_text(format!("value {n}").as_bytes()), *id);
            assert_eq!(dictionary.bytes_of(*id), format!("value {n}").as_bytes());
        }
        assert_eq!(dictionary.find_text(b"value 500"), None);
        let ray = dictionary.intern_name("ray", model);
        assert_eq!(dictionary.intern_given("ray", &["raymond".to_owned()], model), ray);
        assert_eq!(dictionary.name(ray).formal.len(), 1);
    }

    #[test]
    fn a_full_dictionary_takes_no_value_and_counts_it() {
        let (model, mut dictionary) = (model(), Dictionary { values_max: 2, ..Dictionary::default() });
        let texts = ["a", "b", "c", "d", "a"].map(|text| dictionary.intern_text(text.as_bytes()));
        assert_eq!(texts, [0, 1, UNKNOWN, UNKNOWN, 0]);
        let names = ["ann", "bob", "cid"].map(|text| dictionary.intern_given(text, &["x".to_owned()], model));
        assert_eq!(names, [0, 1, UNKNOWN]);
        assert_eq!((dictionary.refused(), dictionary.find_text(b"c"), dictionary.find_name("cid")), (3, None, None));
    }

    #[test]
    fn names_that_sound_alike_share_a_code_and_other_scripts_do_not_collapse() {
        let model = model();
        let form = |text: &str| NameForm::new(text, model);
        assert_eq!(form("smith").soundex, form("smyth").soundex);
        assert_eq!(form("stephen").metaphone, form("steven").metaphone);
        assert_ne!(form("мария").soundex, form("иван").soundex);
        assert!(form("м").is_initial() && !form("мария").is_initial() && !form("伟").is_initial());
    }

    #[test]
    fn the_table_keeps_what_a_set_keeps_through_inserts_and_removals() {
        let rehash = |id: u32| mix(7, u64::from(id % 97));
        let (mut table, mut set) = (IdTable::default(), HashSet::new());
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = mix(state, 3);
            let id = u32::try_from(state % 400).expect("small");
            let hash = rehash(id);
            if set.remove(&id) {
                assert_eq!(table.remove(hash, |other| other == id, rehash), Some(id));
            } else {
                set.insert(id);
                table.insert(hash, id, rehash);
            }
        }
        for id in 0..400 {
            assert_eq!(table.find(rehash(id), |other| other == id).is_some(), set.contains(&id));
        }
    }
}
