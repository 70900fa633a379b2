//! From a document to the values under which it is found.
//!
//! Every value is bounded, and so is their number: a document that has more than are kept is not stored, for it would not
//! be found by all of them. Not here: keys that fit an index entry (see `store::search`).

use std::collections::HashSet;
use std::hash::Hash;

use rphonetic::{DoubleMetaphone, Encoder as _};

use super::{DateValue, Form, SearchParameter, SearchValues, Source, StringValue, TokenValue, of_type};
use crate::fhir::fold::fold;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::Value;
use crate::fhir::label::is_restricted;
use crate::fhir::moment::range_us;

/// Values of one parameter kept at most: far above any person's.
const VALUES_MAX: usize = 2_000;
/// Words of one text from which on it is found at most.
const WORDS_MAX: usize = 8;
/// Digits without which a contact is compared as written.
const PHONE_DIGITS_MIN: usize = 5;

/// The search values of a resource that has the base shape. `base_url` is this server's: references that begin with it
/// are to its own resources.
#[must_use]
pub fn search_values(resource: &Value<'_>, base_url: &str) -> SearchValues {
    let mut all = SearchValues { is_restricted: is_restricted(resource), ..SearchValues::default() };
    for parameter in of_type(resource.text("resourceType").unwrap_or_default()) {
        let SearchValues { mut strings, mut tokens, mut dates, .. } = found(resource, parameter, base_url);
        all.strings.append(&mut strings);
        all.tokens.append(&mut tokens);
        all.dates.append(&mut dates);
    }
    all
}

/// The search parameters that `values` have reached the limit of, so that some may be left out.
#[must_use]
pub fn too_many(resource: &Value<'_>, values: &SearchValues) -> Vec<Issue> {
    let resource_type = resource.text("resourceType").unwrap_or_default();
    let is_full = |parameter: &&SearchParameter| values.count(parameter.number) >= VALUES_MAX;
    let issue = |parameter: &SearchParameter| {
        let text = format!("The resource has {VALUES_MAX} or more values to be found by under one search parameter.");
        let path = parameter.sources.first().map_or("", |source| source.path);
        Issue::error(IssueCode::TooCostly, text).at(format!("{resource_type}.{path}").trim_end_matches('.'))
    };
    of_type(resource_type).iter().filter(is_full).map(issue).collect()
}

/// The values of one parameter, each once, up to the limit.
fn found(resource: &Value<'_>, parameter: &SearchParameter, base_url: &str) -> SearchValues {
    let mut values = Values { parameter, base_url, found: SearchValues::default() };
    for source in parameter.sources {
        for element in elements(resource, source) {
            values.add(element, source.form);
            // Repeated ones take no room.
            if values.found.len() > 2 * VALUES_MAX && values.found.tidy() >= VALUES_MAX {
                return values.found;
            }
        }
    }
    values.found.tidy();
    values.found
}

impl SearchValues {
    /// Leaves each once, up to the limit, and says how many there are.
    fn tidy(&mut self) -> usize {
        unique(&mut self.strings);
        unique(&mut self.tokens);
        unique(&mut self.dates);
        self.len()
    }

    fn len(&self) -> usize {
        self.strings.len() + self.tokens.len() + self.dates.len()
    }

    /// How many values there are under the number of a parameter.
    fn count(&self, parameter: i16) -> usize {
        let strings = self.strings.iter().filter(|value| value.parameter == parameter).count();
        let tokens = self.tokens.iter().filter(|value| value.parameter == parameter).count();
        strings + tokens + self.dates.iter().filter(|value| value.parameter == parameter).count()
    }
}

/// How a text sounds, by its words: codes of the double metaphone, else the folded word itself.
#[must_use]
pub fn phonetic_codes(text: &str) -> Vec<String> {
    let folded = fold(text);
    folded.split([' ', '-']).filter(|word| !word.is_empty()).take(WORDS_MAX).map(sound).collect()
}

fn sound(word: &str) -> String {
    let letters: String = word.chars().filter(char::is_ascii_alphabetic).collect();
    let code = DoubleMetaphone::default().encode(&letters);
    if code.is_empty() { word.to_owned() } else { code.to_lowercase() }
}

/// A contact as it is compared: an email address in lower case, a phone number by its digits.
#[must_use]
pub fn contact_key(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_number = !text.contains(|c: char| c.is_alphabetic()) && digits.len() >= PHONE_DIGITS_MIN;
    if is_number { digits } else { fold(text) }
}

/// What a reference is to: type and id of a resource of this server, or no type and the URL of another one's. A
/// version does not count; what is within the document is to nothing.
#[must_use]
pub fn reference_target(reference: &str, base_url: &str) -> Option<(String, String)> {
    let own = reference.strip_prefix(base_url).and_then(|rest| rest.strip_prefix('/'));
    let text = if base_url.is_empty() { reference } else { own.unwrap_or(reference) };
    let text = text.split_once("/_history/").map_or(text, |(unversioned, _)| unversioned);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    match text.split_once('/') {
        Some((resource_type, id)) if is_type(resource_type) && !id.contains('/') && !id.is_empty() => {
            Some((resource_type.to_owned(), id.to_owned()))
        }
        _ => Some((String::new(), text.to_owned())),
    }
}

fn is_type(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// The elements at the end of a path, lists taken apart.
fn elements<'v, 'd>(resource: &'v Value<'d>, source: &Source) -> Vec<&'v Value<'d>> {
    let mut here = vec![resource];
    for step in source.path.split('.').filter(|step| !step.is_empty()) {
        let found = here.into_iter().filter_map(|value| value.get(step));
        here = found.flat_map(items).collect();
    }
    here
}

fn items<'v, 'd>(value: &'v Value<'d>) -> impl Iterator<Item = &'v Value<'d>> {
    match value {
        Value::Array(items) => items.iter(),
        single => std::slice::from_ref(single).iter(),
    }
}

/// Each once, the first ones up to the limit.
fn unique<T: Eq + Hash>(list: &mut Vec<T>) {
    let mut seen = HashSet::with_capacity(list.len());
    let mut is_new = list.iter().map(|item| seen.insert(item)).collect::<Vec<bool>>().into_iter();
    list.retain(|_| is_new.next().unwrap_or_default());
    list.truncate(VALUES_MAX);
}

struct Values<'a> {
    parameter: &'a SearchParameter,
    base_url: &'a str,
    found: SearchValues,
}

impl Values<'_> {
    fn add(&mut self, value: &Value<'_>, form: Form) {
        match form {
            Form::Text => self.text(value.as_str()),
            Form::Phonetic => phonetic_codes(value.as_str().unwrap_or_default()).into_iter().for_each(|code| {
                self.string(code.clone(), code);
            }),
            Form::Code(system) => self.token(Some(system), value.as_str()),
            Form::Boolean => self.token(None, value.as_bool().map(boolean)),
            Form::Deceased => {
                let is_dead = value.get("deceasedBoolean").and_then(Value::as_bool) == Some(true);
                self.token(None, Some(boolean(is_dead || value.get("deceasedDateTime").is_some())));
            }
            Form::Coding => self.token(value.text("system"), value.text("code")),
            Form::CodeableConcept => {
                value.list("coding").iter().for_each(|coding| self.token(coding.text("system"), coding.text("code")));
            }
            Form::Identifier => self.token(value.text("system"), value.text("value")),
            Form::Contact(systems) => self.contact(value, systems),
            Form::Reference => self.reference(value, None),
            Form::ReferenceTo(resource_type) => self.reference(value, Some(resource_type)),
            Form::Date => self.date(value.as_str().and_then(range_us)),
            Form::Period => self.date(period(value)),
        }
    }

    /// The text, and what begins with each further word of it: either part of a double name finds it. Only the whole
    /// has an exact form, by which it is told from its parts.
    fn text(&mut self, text: Option<&str>) {
        let exact = text.unwrap_or_default();
        let folded = fold(exact);
        let words = folded.match_indices([' ', '-']).map(|(at, _)| folded[at + 1..].trim_start()).take(WORDS_MAX - 1);
        for word in words.filter(|word| !word.is_empty()) {
            self.string(word.to_owned(), String::new());
        }
        if !folded.is_empty() {
            self.string(folded, exact.to_owned());
        }
    }

    fn string(&mut self, value: String, exact: String) {
        self.found.strings.push(StringValue { parameter: self.parameter.number, value, exact });
    }

    fn token(&mut self, system: Option<&str>, value: Option<&str>) {
        let Some(value) = value else { return };
        let (system, value) = (system.unwrap_or_default().to_owned(), value.to_owned());
        self.found.tokens.push(TokenValue { parameter: self.parameter.number, system, value });
    }

    fn contact(&mut self, value: &Value<'_>, systems: &[&str]) {
        let system = value.text("system").unwrap_or_default();
        let is_meant =
            if systems.is_empty() { !matches!(system, "phone" | "email") } else { systems.contains(&system) };
        if is_meant {
            self.token(None, value.text("value").map(contact_key).as_deref());
        }
    }

    fn reference(&mut self, value: &Value<'_>, only: Option<&str>) {
        let target = value.text("reference").and_then(|reference| reference_target(reference, self.base_url));
        let Some((system, value)) = target else { return };
        if only.is_none_or(|only| only == system) {
            self.token(Some(&system), Some(&value));
        }
    }

    fn date(&mut self, range: Option<(i64, i64)>) {
        let Some((lo_us, hi_us)) = range else { return };
        self.found.dates.push(DateValue { parameter: self.parameter.number, lo_us, hi_us });
    }
}

/// From the start of one time to the end of another; a missing one is open (FHIR R4 Search, date).
fn period(value: &Value<'_>) -> Option<(i64, i64)> {
    let [start, end] = ["start", "end"].map(|name| value.text(name).and_then(range_us));
    if start.is_none() && end.is_none() {
        return None;
    }
    let lo_us = start.map_or(i64::MIN, |(lo_us, _)| lo_us);
    Some((lo_us, end.map_or(i64::MAX, |(_, hi_us)| hi_us).max(lo_us)))
}

const fn boolean(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;
    use crate::fhir::json::{Limits, parse};

    const BASE: &str = "http://here.example/fhir";

    fn values(document: &str) -> SearchValues {
        search_values(&parse(document.as_bytes(), &Limits::DEFAULT).expect("JSON"), BASE)
    }

    /// The values of a parameter, as `system|value` for tokens.
    fn of(values: &SearchValues, resource_type: &str, name: &str) -> Vec<String> {
        let number = find(resource_type, name).expect("a parameter").number;
        let strings = values.strings.iter().filter(|v| v.parameter == number).map(|v| v.value.clone());
        let tokens = values.tokens.iter().filter(|v| v.parameter == number);
        let tokens =
            tokens.map(|v| if v.system.is_empty() { v.value.clone() } else { format!("{}|{}", v.system, v.value) });
        let dates = values.dates.iter().filter(|v| v.parameter == number).map(|v| format!("{}..{}", v.lo_us, v.hi_us));
        strings.chain(tokens).chain(dates).collect()
    }

    #[test]
    fn a_patient_is_found_by_each_of_its_values() {
        let patient = values(
            r#"{"resourceType":"Patient","active":true,"gender":"female","birthDate":"1970-01-01",
            "deceasedDateTime":"1970-01-02","identifier":[{"system":"urn:a","value":"1"},{"value":"2"},{"system":"urn:b"},
            {"system":"urn:a","value":"1"}],
            "name":[{"text":"Dr. José Muñoz","family":"Muñoz-García Pérez","given":["José","María"],"prefix":["Dr."]}],
            "telecom":[{"system":"phone","value":"(614) 555-0100"},{"system":"email","value":"Jose@Example.ORG"},
            {"system":"url","value":"http://x"}],
            "address":[{"use":"home","line":["1 Oak St"],"city":"Columbus","state":"OH","postalCode":"43004","country":"US"}],
            "communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"es"}]}}],
            "generalPractitioner":[{"reference":"Organization/o1"},{"reference":"http://here.example/fhir/Organization/o2/_history/3"},
            {"reference":"http://there.example/Organization/o3"},{"reference":"\u0023o4"},{"display":"nobody"}],
            "managingOrganization":{"reference":"Organization/o5"},
            "link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}"#,
        );
        let table: &[(&str, &[&str])] = &[
            ("active", &["true"]),
            ("address", &["oak st", "st", "1 oak st"]),
            ("address-city", &["columbus"]),
            ("address-country", &["us"]),
            ("address-postalcode", &["43004"]),
            ("address-state", &["oh"]),
            ("address-use", &["http://hl7.org/fhir/address-use|home"]),
            ("birthdate", &["0..86399999999"]),
            ("death-date", &["86400000000..172799999999"]),
            ("deceased", &["true"]),
            ("email", &["jose@example.org"]),
            ("family", &["garcia perez", "perez", "munoz-garcia perez"]),
            ("gender", &["http://hl7.org/fhir/administrative-gender|female"]),
            ("general-practitioner", &["Organization|o1", "Organization|o2", "http://there.example/Organization/o3"]),
            ("given", &["jose", "maria"]),
            ("identifier", &["urn:a|1", "2"]),
            ("language", &["urn:ietf:bcp:47|es"]),
            ("link", &["Patient|p2"]),
            ("name", &["jose munoz", "munoz", "dr. jose munoz", "dr."]),
            ("organization", &["Organization|o5"]),
            ("phone", &["6145550100"]),
            ("phonetic", &["mns", "krs", "prs", "hs", "mr", "tr"]),
            ("telecom", &["http://x"]),
        ];
        for (name, expected) in table {
            assert_eq!(of(&patient, "Patient", name), *expected, "{name}");
        }
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        for parameter in of_type("Patient") {
            assert!(names.contains(&parameter.name), "{} has no row", parameter.name);
        }
        let exact = |value: &str| patient.strings.iter().find(|v| v.value == value).map(|v| v.exact.as_str());
        assert_eq!((exact("munoz-garcia perez"), exact("perez")), (Some("Muñoz-García Pérez"), Some("")));
    }

    #[test]
    fn the_other_types_are_found_by_theirs() {
        let table: &[(&str, &str, &str, &[&str])] = &[
            (r#"{"resourceType":"Patient"}"#, "Patient", "deceased", &["false"]),
            (
                r#"{"resourceType":"Organization","name":"A Clinic","alias":["B"]}"#,
                "Organization",
                "name",
                &["clinic", "a clinic", "b"],
            ),
            (
                r#"{"resourceType":"RelatedPerson","patient":{"reference":"Patient/p1"},"name":[{"family":"Roe"}]}"#,
                "RelatedPerson",
                "patient",
                &["Patient|p1"],
            ),
            (
                r#"{"resourceType":"Person","link":[{"target":{"reference":"Patient/p1"}},{"target":{"reference":"RelatedPerson/r1"}}]}"#,
                "Person",
                "patient",
                &["Patient|p1"],
            ),
            (
                r#"{"resourceType":"Consent","status":"active","provision":{"period":{"start":"1970-01-01"}}}"#,
                "Consent",
                "period",
                &["0..9223372036854775807"],
            ),
            (
                r#"{"resourceType":"Provenance","target":[{"reference":"Patient/p1"},{"reference":"Observation/o"}]}"#,
                "Provenance",
                "target",
                &["Patient|p1", "Observation|o"],
            ),
            (
                r#"{"resourceType":"Provenance","recorded":"1970-01-01T00:00:00Z"}"#,
                "Provenance",
                "recorded",
                &["0..999999"],
            ),
            (
                r#"{"resourceType":"Task","status":"requested","for":{"reference":"Patient/p1"}}"#,
                "Task",
                "patient",
                &["Patient|p1"],
            ),
            (
                r#"{"resourceType":"Task","status":"requested"}"#,
                "Task",
                "status",
                &["http://hl7.org/fhir/task-status|requested"],
            ),
        ];
        for (document, resource_type, name, expected) in table {
            assert_eq!(of(&values(document), resource_type, name), *expected, "{resource_type} {name}");
        }
        assert_eq!(values(r#"{"resourceType":"Observation","status":"final"}"#), SearchValues::default());
    }

    #[test]
    fn a_document_is_found_by_all_of_its_values_or_said_to_have_too_many() {
        let repeat = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
        let names = |count| format!(r#""name":[{}]"#, repeat(count, &|n| format!(r#"{{"family":"n{n}"}}"#)));
        let equal = |count| format!(r#""name":[{}]"#, repeat(count, &|_| r#"{"family":"n"}"#.to_owned()));
        let codes = |count| {
            let codings = repeat(count, &|n| format!(r#"{{"code":"c{n}"}}"#));
            format!(r#""communication":[{{"language":{{"coding":[{codings}]}}}}]"#)
        };
        let full: &[&str] = &["Patient.name.family"];
        for (members, parameter, kept, places) in [
            (names(1_999), "family", 1_999, &[][..]),
            (names(10_000), "family", VALUES_MAX, full),
            (equal(10_000), "family", 1, &[]),
            (codes(1_999), "language", 1_999, &[]),
            (codes(9_000), "language", VALUES_MAX, &["Patient.communication.language"]),
        ] {
            let document = format!(r#"{{"resourceType":"Patient",{members}}}"#);
            let resource = parse(document.as_bytes(), &Limits::DEFAULT).expect("JSON");
            let found = search_values(&resource, BASE);
            assert_eq!(of(&found, "Patient", parameter).len(), kept);
            let issues = too_many(&resource, &found);
            let found: Vec<&str> = issues.iter().map(|issue| issue.expression[0].as_str()).collect();
            assert_eq!(found, places);
        }
        let long = "x ".repeat(10_000);
        let found = values(&format!(r#"{{"resourceType":"Patient","name":[{{"family":"{long}"}}]}}"#));
        assert_eq!(of(&found, "Patient", "family").len(), WORDS_MAX);
    }

    #[test]
    fn contacts_are_compared_without_case_and_punctuation() {
        for (one, other) in
            [("+1 (614) 555-0100", "1-614-555-0100"), ("Jane.Roe@Example.org ", "jane.roe@example.org"), ("911", "911")]
        {
            assert_eq!(contact_key(one), contact_key(other));
        }
        assert_ne!(contact_key("a1234567@x"), contact_key("1234567"));
    }

    #[test]
    fn references_are_to_this_server_or_to_another() {
        let own = |resource_type: &str, id: &str| Some((resource_type.to_owned(), id.to_owned()));
        for (reference, expected) in [
            ("Patient/1", own("Patient", "1")),
            ("Patient/1/_history/2", own("Patient", "1")),
            ("http://here.example/fhir/Patient/1", own("Patient", "1")),
            ("http://here.example/fhirs/Patient/1", own("", "http://here.example/fhirs/Patient/1")),
            ("http://there.example/Patient/1/_history/4", own("", "http://there.example/Patient/1")),
            ("urn:uuid:6c1f6f7d-2f5b-4d7e-8f3b-1f2e3d4c5b6a", own("", "urn:uuid:6c1f6f7d-2f5b-4d7e-8f3b-1f2e3d4c5b6a")),
            ("#p1", None),
            ("", None),
        ] {
            assert_eq!(reference_target(reference, BASE), expected, "{reference}");
        }
    }
}
