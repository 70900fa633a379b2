//! Which list of family names a name is in: a rule that groups queries, and says nothing about a person.
//!
//! Not here: the lists (see `origins`), counting by group (see `matching::evaluation`).

use std::collections::BTreeMap;

use super::origins::{ORIGINS, fold, spell_out};

/// In more than one list.
const SEVERAL: &str = "several lists";

/// The lists of family names by origin, ready to look a name up.
#[derive(Debug)]
pub struct FamilyLists {
    by_name: BTreeMap<String, &'static str>,
}

impl FamilyLists {
    #[must_use]
    pub fn new() -> Self {
        let mut by_name: BTreeMap<String, &'static str> = BTreeMap::new();
        for origin in ORIGINS {
            for name in origin.families.split_whitespace() {
                let spellings = [fold(name), spell_out(name)].map(|spelling| letters(&spelling));
                for spelling in spellings {
                    let known = by_name.entry(spelling).or_insert(origin.name);
                    if *known != origin.name {
                        *known = SEVERAL;
                    }
                }
            }
        }
        Self { by_name }
    }

    /// The origin whose list holds the name, whole or, of a compound one, in its first listed part; case, diacritics,
    /// blanks and hyphens do not count.
    #[must_use]
    pub fn origin_of(&self, family: &str) -> Option<&'static str> {
        let parts = family.split([' ', '-']);
        std::iter::once(family).chain(parts).find_map(|part| self.by_name.get(&letters(&fold(part))).copied())
    }
}

impl Default for FamilyLists {
    fn default() -> Self {
        Self::new()
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let lists = FamilyLists::new();
        for (family, origin) in [
            ("Rodriguez", Some("Hispanic")),
            ("DE LA CRUZ", Some("Hispanic")),
            ("García-Smith", Some("Hispanic")),
            ("Nguyễn", Some("Vietnamese")),
            ("Mueller", Some("Northern European")),
            ("Muller", Some("Northern European")),
            ("El Sayed", Some("Arabic")),
            ("Lee", Some("several lists")),
            ("Smith", None),
            ("", None),
        ] {
            assert_eq!(lists.origin_of(family), origin, "{family}");
        }
    }
}
