//! The subgroups that a query belongs to, by what it says itself.
//!
//! What: [`Subgroups::of`] puts a query into groups by the origin of its family name, how its name is written, sex, year
//! of birth and which facts are missing. Why by the query: it is what a matcher gets, and no truth file says more. Birth
//! years stand for age, so that the same files give the same groups in any year. The origin is a rule about names
//! (whoever calls brings it), never a statement about people. Not here: counting (see the parent module), lists of names.

use serde::Serialize;

use super::report::Share;
use crate::fhir::json::Value;

/// What a query can be grouped by, and the groups in the order they are shown.
const GROUPS: &[(&str, &[&str])] = &[
    (
        ORIGIN,
        &[
            "Hispanic",
            "Vietnamese",
            "Chinese",
            "Korean",
            "Indian",
            "Arabic",
            "Slavic",
            "Northern European",
            "French",
            "West African",
            "several lists",
            OTHER_ORIGIN,
        ],
    ),
    (WRITTEN, &["other script", "diacritics", "several words", "three letters or fewer", "plain", "no name"]),
    (SEX, &["female", "male", "other or not stated"]),
    (BORN, &["before 1945", "1945 to 1964", "1965 to 1984", "1985 to 2004", "2005 or later", "not stated"]),
    (
        MISSING,
        &["family name", "given name", "birth date", "sex", "address line", "phone", "email", "identifier", "nothing"],
    ),
];

const ORIGIN: &str = "family name is in the list";
const OTHER_ORIGIN: &str = "none of them";
const WRITTEN: &str = "name is written with";
const SEX: &str = "sex";
const BORN: &str = "born";
const MISSING: &str = "missing";

/// The groups of one query, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subgroups(u64);

/// How the queries of one group fared at the threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubgroupLine {
    pub characteristic: &'static str,
    pub group: &'static str,
    pub queries: u64,
    /// Right among the accepted queries.
    pub precision: Share,
    /// Right among the queries whose person is stored.
    pub recall: Share,
    pub candidate_recall: Share,
    pub f1: Option<f64>,
}

impl Subgroups {
    /// The groups of a Patient. `origin_of` knows lists of family names: the list that holds a name.
    #[must_use]
    pub fn of(patient: &Value<'_>, origin_of: impl Fn(&str) -> Option<&'static str>) -> Self {
        let mut groups = Self::default();
        let names = patient.list("name");
        let family = names.iter().find_map(|name| name.text("family")).unwrap_or_default();
        let given = names.iter().find_map(|name| name.list("given").first()?.as_str()).unwrap_or_default();
        if !family.is_empty() {
            groups.add(ORIGIN, origin_of(family).unwrap_or(OTHER_ORIGIN));
        }
        groups.add(WRITTEN, written(family, given));
        groups
            .add(SEX, patient.text("gender").filter(|sex| matches!(*sex, "female" | "male")).unwrap_or(GROUPS[2].1[2]));
        groups.add(BORN, born(patient.text("birthDate")));
        groups.add_missing(patient, family, given);
        groups
    }

    fn add_missing(&mut self, patient: &Value<'_>, family: &str, given: &str) {
        let has_telecom = |system: &str| patient.list("telecom").iter().any(|one| one.text("system") == Some(system));
        let has_line = patient.list("address").iter().any(|address| !address.list("line").is_empty());
        let facts = [
            !family.is_empty(),
            !given.is_empty(),
            patient.text("birthDate").is_some(),
            patient.text("gender").is_some(),
            has_line,
            has_telecom("phone"),
            has_telecom("email"),
            !patient.list("identifier").is_empty(),
        ];
        let missing = GROUPS[4].1.iter().zip(facts).filter(|(_, is_there)| !is_there);
        missing.for_each(|(group, _)| self.add(MISSING, group));
        if facts == [true; 8] {
            self.add(MISSING, "nothing");
        }
    }

    fn add(&mut self, characteristic: &str, group: &str) {
        if let Some(at) = every_group().position(|known| known == (characteristic, group)) {
            self.0 |= 1 << at;
        }
    }

    pub(super) const fn has(self, at: usize) -> bool {
        self.0 & (1 << at) != 0
    }
}

/// Characteristic and group, in the order of their bits.
pub(super) fn every_group() -> impl Iterator<Item = (&'static str, &'static str)> {
    GROUPS.iter().flat_map(|(characteristic, groups)| groups.iter().map(move |group| (*characteristic, *group)))
}

fn written(family: &str, given: &str) -> &'static str {
    let letters = || family.chars().chain(given.chars()).filter(|letter| letter.is_alphabetic());
    let is_latin = |letter: char| matches!(letter, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}');
    match () {
        () if letters().next().is_none() => "no name",
        () if !letters().all(is_latin) => "other script",
        () if !letters().all(|letter| letter.is_ascii()) => "diacritics",
        () if family.trim().contains([' ', '-']) => "several words",
        () if (1..=3).contains(&family.trim().len()) => "three letters or fewer",
        () => "plain",
    }
}

fn born(birth_date: Option<&str>) -> &'static str {
    let year: Option<u16> = birth_date.and_then(|date| date.get(..4)?.parse().ok());
    match year {
        None => "not stated",
        Some(..1945) => "before 1945",
        Some(1945..1965) => "1945 to 1964",
        Some(1965..1985) => "1965 to 1984",
        Some(1985..2005) => "1985 to 2004",
        Some(_) => "2005 or later",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    fn groups(patient: &str) -> Vec<String> {
        let document = parse(patient.as_bytes(), &Limits::DEFAULT).unwrap();
        let groups = Subgroups::of(&document, |family| (family == "Nguyen").then_some("Vietnamese"));
        every_group()
            .enumerate()
            .filter(|(at, _)| groups.has(*at))
            .map(|(_, (characteristic, group))| format!("{characteristic}: {group}"))
            .collect()
    }

    #[test]
    fn a_query_is_in_one_group_of_each_kind_and_in_one_for_each_fact_it_lacks() {
        let whole = r#"{"name":[{"family":"Nguyen","given":["Mai"]}],"gender":"female","birthDate":"1984-02-03",
            "telecom":[{"system":"phone","value":"1"},{"system":"email","value":"a@b.example"}],
            "address":[{"line":["1 Oak St"]}],"identifier":[{"value":"1"}]}"#;
        let expected = [
            "family name is in the list: Vietnamese",
            "name is written with: plain",
            "sex: female",
            "born: 1965 to 1984",
            "missing: nothing",
        ];
        assert_eq!(groups(whole), expected);
        let bare = r#"{"name":[{"given":["Ana"]}],"gender":"unknown","telecom":[{"system":"fax"}]}"#;
        let expected = [
            "name is written with: plain",
            "sex: other or not stated",
            "born: not stated",
            "missing: family name",
            "missing: birth date",
            "missing: address line",
            "missing: phone",
            "missing: email",
            "missing: identifier",
        ];
        assert_eq!(groups(bare), expected);
    }

    #[test]
    fn names_and_years_fall_into_the_group_they_are_written_for() {
        for (family, given, group) in [
            ("Peña", "Ana", "diacritics"),
            ("Смирнова", "Анна", "other script"),
            ("De La Cruz", "Ana", "several words"),
            ("Smith-Jones", "Ana", "several words"),
            ("Li", "Mei", "three letters or fewer"),
            ("", "", "no name"),
            ("Smith", "José", "diacritics"),
        ] {
            assert_eq!(written(family, given), group, "{family} {given}");
        }
        for (date, group) in
            [("1944", "before 1945"), ("1945-01-01", "1945 to 1964"), ("2005-06", "2005 or later"), ("x", "not stated")]
        {
            assert_eq!(born(Some(date)), group);
        }
    }

    #[test]
    fn every_group_has_a_bit_of_its_own() {
        assert!(every_group().count() <= 64);
    }
}
