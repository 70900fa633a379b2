//! What of a stored Patient may leave: a set of elements, and identifiers that never do.
//!
//! Why: no attribute leaves that the caller is not entitled to (IG Patient Matching, guidance on responses), and a social
//! security number never leaves in an answer to a match. Not here: who is entitled to what (policy decides), writing the
//! Patient (see `us_core`).

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;

/// The elements of a Patient that may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosure(Elements);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Elements {
    All,
    Only(BTreeSet<Cow<'static, str>>),
}

impl Disclosure {
    /// Every element; what never leaves still does not.
    #[must_use]
    pub const fn full() -> Self {
        Self(Elements::All)
    }

    /// Only the named top-level elements (`name`, `birthDate`), beside `resourceType`, `id` and `meta`.
    #[must_use]
    pub fn only(elements: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        Self(Elements::Only(elements.into_iter().map(Into::into).collect()))
    }

    /// Whether the top-level member `name` may leave. `_birthDate` goes with `birthDate` (FHIR R4 JSON, primitives).
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match &self.0 {
            Elements::All => true,
            Elements::Only(elements) => {
                let element = name.strip_prefix('_').unwrap_or(name);
                matches!(element, "resourceType" | "id" | "meta") || elements.contains(element)
            }
        }
    }
}

/// As much of an Identifier as decides whether it leaves.
#[derive(Deserialize)]
pub(super) struct Identifier<'a> {
    #[serde(borrow)]
    pub system: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub value: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Concept<'a>>,
}

#[derive(Deserialize)]
struct Concept<'a> {
    #[serde(borrow, default)]
    coding: Vec<Coding<'a>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Coding<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    display: Option<Cow<'a, str>>,
}

impl Identifier<'_> {
    /// A social security number or part of one: by its system (`us-ssn` or the same as an OID), by a type `SS` (v2-0203) or
    /// `SSN4` (Identity-Identifier-cs), or by what the type is called. In doubt it stays here. `SB` (v2-0203, social
    /// beneficiary) is one only by its system: other countries and payers number beneficiaries too.
    pub fn is_ssn(&self) -> bool {
        let by_system = self.system.as_deref().is_some_and(is_ssn_system);
        by_system || self.kind.as_ref().is_some_and(Concept::is_ssn)
    }
}

impl Concept<'_> {
    fn is_ssn(&self) -> bool {
        let coded = |coding: &Coding<'_>| {
            let by_code = coding.code.as_deref().is_some_and(|code| matches!(code, "SS" | "SSN" | "SSN4"));
            by_code || coding.display.as_deref().is_some_and(says_ssn)
        };
        self.coding.iter().any(coded) || self.text.as_deref().is_some_and(says_ssn)
    }
}

fn is_ssn_system(system: &str) -> bool {
    contains_ignoring_case(system, "us-ssn") || system.ends_with("2.16.840.1.113883.4.1")
}

fn says_ssn(text: &str) -> bool {
    contains_ignoring_case(text, "social security") || contains_ignoring_case(text, "ssn")
}

fn contains_ignoring_case(text: &str, wanted: &str) -> bool {
    text.as_bytes().windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_social_security_number_is_known_by_system_code_or_words() {
        let table = [
            (r#"{"system":"http://hl7.org/fhir/sid/us-ssn","value":"1"}"#, true),
            (r#"{"system":"https://hl7.org/fhir/sid/US-SSN/","value":"1"}"#, true),
            (r#"{"system":"urn:oid:2.16.840.1.113883.4.1","value":"1"}"#, true),
            (r#"{"system":"urn:oid:2.16.840.1.113883.4.11","value":"1"}"#, false),
            (r#"{"system":"http://x","type":{"coding":[{"code":"MR"},{"code":"SS"}]}}"#, true),
            (r#"{"system":"http://x","type":{"coding":[{"code":"SSN4"}]}}"#, true),
            (r#"{"system":"http://hl7.org/fhir/sid/us-ssn","type":{"coding":[{"code":"SB"}]}}"#, true),
            (r#"{"system":"urn:oid:2.16.840.1.113883.4.1","type":{"coding":[{"code":"SB"}]}}"#, true),
            (
                r#"{"system":"http://x","type":{"coding":[{"code":"SB","display":"Social Beneficiary Identifier"}]}}"#,
                false,
            ),
            (r#"{"system":"http://x","type":{"coding":[{"code":"X","display":"Social Security Number"}]}}"#, true),
            (r#"{"system":"http://x","type":{"text":"last four of SSN"}}"#, true),
            (r#"{"system":"http://x","type":{"coding":[{"code":"SN"}],"text":"Subscriber Number"}}"#, false),
            (r#"{"system":"http://x","value":"123456789"}"#, false),
            ("{}", false),
        ];
        for (text, expected) in table {
            let identifier: Identifier<'_> = serde_json::from_str(text).expect("an identifier");
            assert_eq!(identifier.is_ssn(), expected, "{text}");
        }
    }

    #[test]
    fn an_element_set_lets_only_its_elements_and_their_extensions_out() {
        let some = Disclosure::only(["name", "birthDate"]);
        let table = [
            ("resourceType", true),
            ("id", true),
            ("meta", true),
            ("birthDate", true),
            ("_birthDate", true),
            ("photo", false),
            ("_gender", false),
        ];
        for (name, expected) in table {
            assert_eq!(some.allows(name), expected, "{name}");
            assert!(Disclosure::full().allows(name), "{name}");
        }
    }
}
