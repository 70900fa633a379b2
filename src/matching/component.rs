//! What splits a block that has grown too large, in memory and in a table alike.
//!
//! Not here: the keys of blocks, and what divides them whatever their size (see `blocking`).

use super::blocking::Rule;
use super::dictionary::{Dictionary, NameForm};
use super::entry::{Query, Tag, View, birth_parts};

/// What splits a block that has grown too large.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Components {
    birth_year: Option<u64>,
    initials: Vec<u64>,
    given: Vec<u64>,
}

impl Components {
    /// Of a block of family name and initial the given name, then the birth year; of any other the birth year, then initials
    /// of the names. A record without the component has none.
    #[must_use]
    pub fn at(&self, rule: u8, depth: usize) -> Vec<u64> {
        match (is_split_by_given(rule), depth) {
            (true, 0) => self.given.clone(),
            (true, _) | (false, 0) => self.birth_year.into_iter().collect(),
            (false, _) => self.initials.clone(),
        }
    }

    /// Whether a given name is the same, or short for the same.
    #[must_use]
    pub fn share_given(&self, other: &Self) -> bool {
        self.given.iter().any(|given| other.given.contains(given))
    }

    /// Whether they meet in a part of initials: one has an initial of the other, or the record has none.
    #[must_use]
    pub fn meet_by_initials(&self, stored: &Self) -> bool {
        stored.initials.is_empty() || stored.initials.iter().any(|initial| self.initials.contains(initial))
    }
}

/// Whether a large block of the rule is split by the given name first, and not by the birth year.
#[must_use]
pub const fn is_split_by_given(rule: u8) -> bool {
    rule == Rule::FamilyInitial as u8
}

/// Entries in one block before it is split.
pub const BLOCK_MAX: usize = 256;

/// The components of a query for looking under refined keys.
#[must_use]
pub fn components(query: &Query<'_>) -> Components {
    let given = query.given.iter().map(|name| &*name.form);
    components_of(query.birth_date, given, query.family.iter().map(|name| &*name.form))
}

/// The components of a stored record for refining its keys.
#[must_use]
pub fn stored_components(view: &View<'_>, dictionary: &Dictionary) -> Components {
    let names = |tag: Tag| view.ids(tag).map(|id| dictionary.name(id));
    components_of(view.birth_date, names(Tag::Given), names(Tag::Family))
}

fn components_of<'n>(
    birth_date: u32,
    given: impl Iterator<Item = &'n NameForm>,
    family: impl Iterator<Item = &'n NameForm>,
) -> Components {
    let year = birth_parts(birth_date).0;
    let mut initials: Vec<u64> = family.map(|name| u64::from(name.initial())).collect();
    let mut names = Vec::new();
    for name in given {
        // A short form and its formal name may begin differently, but both have the initial of the formal name.
        initials.extend(initials_of(name));
        let hashes = name.formal.iter().map(|formal| formal.hash).chain([name.hash]).map(|hash| hash | 1 << 63);
        // An initial is kept where every query looks.
        names.extend(hashes.filter(|_| !name.is_initial()));
    }
    let birth_year = (year != 0).then_some(u64::from(year));
    Components { birth_year, initials: each_once(initials), given: each_once(names) }
}

/// The initial of a name, and those of the formal names that it is short for.
pub(super) fn initials_of(name: &NameForm) -> impl Iterator<Item = u64> {
    name.formal.iter().map(|formal| formal.initial).chain([name.initial()]).map(u64::from)
}

pub(super) fn each_once(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
impl Components {
    /// Of a birth year and initials.
    pub const fn new(birth_year: Option<u64>, initials: Vec<u64>) -> Self {
        Self { birth_year, initials, given: Vec::new() }
    }
}
