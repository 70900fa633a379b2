//! From what systems write to what can be compared: names, addresses, telecoms, identifiers, dates.
//!
//! What: [`Normaliser`] holds the rules that are data (`profiles/nicknames.json`, `profiles/placeholders.json`); one
//! file per kind of value holds the rules that are code. Missing and placeholder values come out absent. Not here: the
//! order and limits in which a Patient is read (see `record`), any comparison.

pub mod address;
pub mod identifier;
pub mod name;
pub mod relationship;
pub mod telecom;
pub mod text;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

/// A short form stands for at most this many formal names.
const FORMAL_NAMES_MAX: usize = 4;

/// The rules of normalisation that are data.
#[derive(Debug, Clone, Default)]
pub struct Normaliser {
    formal_names: HashMap<String, Vec<String>>,
    placeholders: Placeholders,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placeholders {
    #[serde(rename = "source")]
    _source: String,
    given: HashSet<String>,
    family: HashSet<String>,
    names: HashSet<String>,
    birth_dates: HashSet<String>,
    phones: HashSet<String>,
    emails: HashSet<String>,
    email_locals: HashSet<String>,
    address_lines: HashSet<String>,
    cities: HashSet<String>,
    postal_codes: HashSet<String>,
    identifier_values: HashSet<String>,
    social_security_numbers: HashSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nicknames {
    #[serde(rename = "source")]
    _source: String,
    formal: BTreeMap<String, Vec<String>>,
}

impl Normaliser {
    /// Reads the two data files.
    ///
    /// # Errors
    /// Says which file is wrong and where.
    pub fn parse(nicknames: &str, placeholders: &str) -> Result<Self, String> {
        let nicknames: Nicknames = serde_json::from_str(nicknames).map_err(|e| format!("nicknames.json: {e}"))?;
        let placeholders = serde_json::from_str(placeholders).map_err(|e| format!("placeholders.json: {e}"))?;
        let mut formal_names: HashMap<String, Vec<String>> = HashMap::new();
        for (formal, short_forms) in nicknames.formal {
            for short in short_forms {
                let names = formal_names.entry(short).or_default();
                if names.len() < FORMAL_NAMES_MAX {
                    names.push(formal.clone());
                }
            }
        }
        Ok(Self { formal_names, placeholders })
    }

    /// The formal names that `given` is a short form of.
    #[must_use]
    pub fn formal_names(&self, given: &str) -> &[String] {
        self.formal_names.get(given).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_placeholder_birth_date(&self, text: &str) -> bool {
        self.placeholders.birth_dates.contains(text)
    }
}

/// Whether `text` repeats one character, as made-up numbers do.
fn repeats_one(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| text.len() > 4 && chars.all(|c| c == first))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn rules() -> Normaliser {
        Normaliser::parse(
            include_str!("../../../profiles/nicknames.json"),
            include_str!("../../../profiles/placeholders.json"),
        )
        .expect("shipped files are valid")
    }

    #[test]
    fn shipped_short_forms_stand_for_their_formal_names() {
        let rules = rules();
        assert_eq!(rules.formal_names("bob"), ["robert", "roberto"]);
        assert!(rules.formal_names("robert").is_empty());
    }

    #[test]
    fn a_misspelt_data_file_is_named() {
        let error = Normaliser::parse("{\"source\":\"\",\"formal\":{}}", "{\"givn\":[]}").expect_err("refused");
        assert!(error.starts_with("placeholders.json"), "{error}");
    }
}
