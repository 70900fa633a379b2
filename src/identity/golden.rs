//! The golden record of an identity: one Patient made of its records, with the source of each value.
//!
//! What: made anew whenever it is asked for, so none is ever left behind. Which record's value survives:
//!
//! | element | which value |
//! |---|---|
//! | birthDate, gender, deceased, maritalStatus, multipleBirth | one: of the best verified records; among those the value that most records have; then that of the latest; then of the smallest record id |
//! | name, telecom, address, identifier, communication, extension | each distinct one once, in the order of records: best verified, then latest |
//! | everything else | none: it is about a record, not a person |
//!
//! A record that another has replaced comes last, whatever it says. Values are compared as written, spaces aside. Not
//! here: reading the records, what of it may leave (see `fhir::us_core`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::fhir::splice::members;

/// A record of the identity.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    pub record_id: &'s str,
    /// The stored Patient.
    pub body: &'s str,
    pub updated_us: i64,
    /// Identity assurance level of the person on the record; greater is better.
    pub verification_level: Option<&'s str>,
    /// The record that has replaced it.
    pub replaced_by: Option<&'s str>,
}

/// An element of the golden record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    /// Each value as written, with the record it comes from.
    pub values: Vec<(String, String)>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    List,
}

/// Elements of which one value survives.
const SINGLE: [&str; 7] = [
    "birthDate",
    "gender",
    "deceasedBoolean",
    "deceasedDateTime",
    "maritalStatus",
    "multipleBirthBoolean",
    "multipleBirthInteger",
];
/// Elements of which every distinct value does.
const LISTS: [&str; 6] = ["identifier", "name", "telecom", "address", "communication", "extension"];
/// Elements of which FHIR allows one choice only.
const CHOICES: [[&str; 2]; 2] =
    [["deceasedDateTime", "deceasedBoolean"], ["multipleBirthInteger", "multipleBirthBoolean"]];
/// Values of a list that are kept.
const VALUES_MAX: usize = 100;

/// The golden record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoldenRecord {
    pub elements: Vec<Element>,
}

impl GoldenRecord {
    /// Of these records; a body that is no JSON says nothing.
    #[must_use]
    pub fn of(sources: &[Source<'_>]) -> Self {
        let mut sources = sources.to_vec();
        sources.sort_by_key(|source| {
            let level = source.verification_level.unwrap_or_default();
            (source.replaced_by.is_some(), Reverse(level), Reverse(source.updated_us), source.record_id)
        });
        let read: Vec<(&Source<'_>, BTreeMap<String, &RawValue>)> = sources
            .iter()
            .filter_map(|source| {
                let members = members(source.body).ok()?;
                Some((source, members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()))
            })
            .collect();
        let mut elements: Vec<Element> = SINGLE.iter().filter_map(|name| single(name, &read)).collect();
        for [kept, dropped] in CHOICES {
            if elements.iter().any(|element| element.name == kept) {
                elements.retain(|element| element.name != dropped);
            }
        }
        elements.extend(LISTS.iter().filter_map(|name| list(name, &read)));
        Self { elements }
    }

    /// As a Patient under this id.
    #[must_use]
    pub fn to_patient(&self, id: &str) -> String {
        let mut text = format!(r#"{{"resourceType":"Patient","id":"{id}""#);
        for element in &self.elements {
            let values: Vec<&str> = element.values.iter().map(|(value, _)| value.as_str()).collect();
            match element.kind {
                Kind::One => text.push_str(&format!(r#","{}":{}"#, element.name, values.concat())),
                Kind::List => text.push_str(&format!(r#","{}":[{}]"#, element.name, values.join(","))),
            }
        }
        text.push('}');
        text
    }
}

type Read<'s> = (&'s Source<'s>, BTreeMap<String, &'s RawValue>);

/// The surviving value: best verified, then most frequent, then first in the order of records.
fn single(name: &str, read: &[Read<'_>]) -> Option<Element> {
    let present: Vec<(&Source<'_>, &str)> =
        read.iter().filter_map(|(source, members)| Some((*source, members.get(name)?.get()))).collect();
    let (first, _) = present.first()?;
    let is_best = |source: &Source<'_>| {
        source.replaced_by.is_some() == first.replaced_by.is_some()
            && source.verification_level == first.verification_level
    };
    let best: Vec<&(&Source<'_>, &str)> = present.iter().filter(|(source, _)| is_best(source)).collect();
    let count = |value: &str| present.iter().filter(|(_, other)| *other == value).count();
    let (source, value) = best.iter().rev().max_by_key(|(_, value)| count(value))?;
    let values = vec![((*value).to_owned(), source.record_id.to_owned())];
    Some(Element { name: name.to_owned(), values, kind: Kind::One })
}

fn list(name: &str, read: &[Read<'_>]) -> Option<Element> {
    let mut values: Vec<(String, String)> = Vec::new();
    for (source, members) in read {
        let Some(raw) = members.get(name) else { continue };
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else { continue };
        for item in items {
            let value = item.get();
            if values.len() < VALUES_MAX && values.iter().all(|(known, _)| !is_same(known, value)) {
                values.push((value.to_owned(), source.record_id.to_owned()));
            }
        }
    }
    (!values.is_empty()).then(|| Element { name: name.to_owned(), values, kind: Kind::List })
}

/// Equal but for white space; nothing in a Patient differs in that alone and means something else.
fn is_same(a: &str, b: &str) -> bool {
    let letters = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<String>();
    a == b || letters(a) == letters(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source<'s>(record_id: &'s str, updated_us: i64, body: &'s str) -> Source<'s> {
        Source { record_id, body, updated_us, verification_level: None, replaced_by: None }
    }

    fn value<'g>(golden: &'g GoldenRecord, name: &str) -> Vec<(&'g str, &'g str)> {
        let element = golden.elements.iter().find(|element| element.name == name);
        element.into_iter().flat_map(|one| &one.values).map(|(value, from)| (value.as_str(), from.as_str())).collect()
    }

    #[test]
    fn of_one_value_elements_verification_then_frequency_then_recency_decides() {
        let (old, new, other) = (
            r#"{"birthDate":"1980-02-03","gender":"female"}"#,
            r#"{"birthDate":"1980-03-02","gender":"female"}"#,
            r#"{"birthDate":"1980-02-03"}"#,
        );
        let golden = GoldenRecord::of(&[source("a", 1, old), source("b", 9, new)]);
        assert_eq!(value(&golden, "birthDate"), [(r#""1980-03-02""#, "b")], "the latest");
        let golden = GoldenRecord::of(&[source("a", 1, old), source("b", 9, new), source("c", 5, other)]);
        assert_eq!(value(&golden, "birthDate"), [(r#""1980-02-03""#, "c")], "what most say, from the latest of them");
        let verified = Source { verification_level: Some("IDIAL1.5"), ..source("b", 0, new) };
        let golden = GoldenRecord::of(&[source("a", 1, old), verified, source("c", 5, other)]);
        assert_eq!(value(&golden, "birthDate"), [(r#""1980-03-02""#, "b")], "the verified");
        let replaced = Source { replaced_by: Some("a"), ..source("b", 9, new) };
        let golden = GoldenRecord::of(&[source("a", 1, old), replaced]);
        assert_eq!(value(&golden, "birthDate"), [(r#""1980-02-03""#, "a")], "not the replaced one");
    }

    #[test]
    fn of_lists_every_distinct_value_survives_with_its_source() {
        let a = r#"{"name":[{"family":"Ray"}],"telecom":[{"value":"1"}],"photo":[{"url":"x"}],"id":"a"}"#;
        let b = r#"{"name":[ {"family" : "Ray"}, {"family":"Lang"}],"meta":{}}"#;
        let golden = GoldenRecord::of(&[source("a", 1, a), source("b", 2, b)]);
        assert_eq!(value(&golden, "name").iter().map(|(_, from)| *from).collect::<Vec<_>>(), ["b", "b"]);
        assert_eq!(value(&golden, "telecom"), [(r#"{"value":"1"}"#, "a")]);
        assert_eq!(golden.elements.len(), 2, "neither a photo nor what is about the record");
        let patient = golden.to_patient("i1");
        assert_eq!(
            patient,
            r#"{"resourceType":"Patient","id":"i1","name":[{"family" : "Ray"},{"family":"Lang"}],"telecom":[{"value":"1"}]}"#
        );
    }

    #[test]
    fn the_order_of_the_records_says_nothing_and_what_is_no_json_says_nothing() {
        let bodies = [
            r#"{"gender":"male"}"#,
            r#"{"gender":"female","deceasedBoolean":true}"#,
            "{",
            r#"{"deceasedDateTime":"2020"}"#,
        ];
        let sources: Vec<Source<'_>> =
            ["a", "b", "c", "d"].into_iter().zip(bodies).map(|(id, body)| source(id, 1, body)).collect();
        let golden = GoldenRecord::of(&sources);
        let reversed: Vec<Source<'_>> = sources.iter().rev().copied().collect();
        assert_eq!(golden, GoldenRecord::of(&reversed));
        assert_eq!(value(&golden, "gender"), [(r#""male""#, "a")]);
        assert_eq!((value(&golden, "deceasedBoolean").len(), value(&golden, "deceasedDateTime").len()), (0, 1));
    }
}
