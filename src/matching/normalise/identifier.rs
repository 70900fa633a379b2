//! `Identifier`: its kind from type or system, its issuer, its value in capitals and digits.
//!
//! Kinds are recognised by v2-0203 and Identity-Identifier codes, or by the system when callers send no type (IG
//! Patient Matching). A value without system is no identifier here: who assigned it, as a text or a reference, is no
//! issuer that two systems would write alike. Exceptions are the social security number, whose issuer is its kind, and
//! passports and licences whose type names the issuing country or state. Not here: whether agreement on a kind proves anything (see `grade`).

use serde::{Deserialize, Serialize};

use super::Normaliser;
use super::repeats_one;
use super::text::{bounded, fold_whole};
use crate::fhir::json::Value;

const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";
/// The same as an object identifier.
const SSN_OID: &str = "urn:oid:2.16.840.1.113883.4.1";
const MBI: &str = "http://hl7.org/fhir/sid/us-mbi";
const DIGITAL: &str = "http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier";
const PASSPORT: &str = "http://hl7.org/fhir/sid/passport-";
/// The arc of driver's licence numbers, one node per issuing state.
const LICENCE: &str = "urn:oid:2.16.840.1.113883.4.3.";

/// Of longer values and systems the beginning and a hash are kept.
const VALUE_CHARS_MAX: usize = 64;
const ISSUER_CHARS_MAX: usize = 256;

/// What an identifier is. The order is that of storage and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    MedicalRecord,
    Member,
    Subscriber,
    Medicare,
    Licence,
    StateId,
    Passport,
    Digital,
    Other,
    SocialSecurity,
    /// The last four digits of a social security number.
    SocialSecurityLast4,
}

/// A type of number that is no [`Kind`] of its own: all of them compare as numbers of their issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberType {
    /// `PI`: a system's own number of a patient.
    Patient,
    /// `RI`: the id of a resource.
    Resource,
    /// `AN`: an account.
    Account,
}

impl NumberType {
    /// By its v2-0203 code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "PI" => Self::Patient,
            "RI" => Self::Resource,
            "AN" => Self::Account,
            _ => return None,
        })
    }
}

/// An identifier in comparable form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: Kind,
    /// System, or the one of a passport's or licence's type; empty for social security numbers.
    pub issuer: String,
    pub value: String,
    /// Of identifiers of [`Kind::Other`], where the type says.
    pub number_type: Option<NumberType>,
}

/// Reads one `Identifier`; `None` without value or issuer, or when it is a placeholder.
pub(in crate::matching) fn read(identifier: &Value<'_>, rules: &Normaliser) -> Option<Identifier> {
    let value = normal_value(identifier.text("value")?);
    let system = identifier.text("system").map(str::trim).unwrap_or_default();
    let kind = kind(identifier, system);
    if rules.placeholders.identifier_values.contains(&value) || repeats_one(&value) || value.is_empty() {
        return None;
    }
    if matches!(kind, Kind::SocialSecurity | Kind::SocialSecurityLast4) {
        return social_security(kind, &value, rules);
    }
    let system = if system.is_empty() { issuing_system(identifier)? } else { system };
    let number_type = codes(identifier).find_map(NumberType::of_code).filter(|_| kind == Kind::Other);
    Some(Identifier { kind, issuer: bounded(fold_whole(system), ISSUER_CHARS_MAX), value, number_type })
}

fn codes<'v>(identifier: &'v Value<'_>) -> impl Iterator<Item = &'v str> {
    let codings = identifier.get("type").map_or(&[][..], |kind| kind.list("coding"));
    codings.iter().filter_map(|coding| coding.text("code"))
}

fn normal_value(text: &str) -> String {
    let letters: String = fold_whole(text).chars().filter(|c| c.is_alphanumeric()).collect();
    bounded(letters.to_uppercase(), VALUE_CHARS_MAX)
}

fn kind(identifier: &Value<'_>, system: &str) -> Kind {
    if let Some(kind) = kind_of_system(system) {
        return kind;
    }
    codes(identifier).find_map(kind_of_code).unwrap_or(Kind::Other)
}

fn kind_of_system(system: &str) -> Option<Kind> {
    Some(match system {
        SSN | SSN_OID => Kind::SocialSecurity,
        MBI => Kind::Medicare,
        DIGITAL => Kind::Digital,
        _ if system.starts_with(PASSPORT) => Kind::Passport,
        _ if system.starts_with(LICENCE) => Kind::Licence,
        _ => return None,
    })
}

fn kind_of_code(code: &str) -> Option<Kind> {
    Some(match code {
        "MR" => Kind::MedicalRecord,
        "MB" => Kind::Member,
        "SN" => Kind::Subscriber,
        "MC" => Kind::Medicare,
        "DL" => Kind::Licence,
        "STID" => Kind::StateId,
        "PPN" => Kind::Passport,
        "SS" => Kind::SocialSecurity,
        "SSN4" => Kind::SocialSecurityLast4,
        _ => return None,
    })
}

/// Nine digits are the number, four its end; areas 000, 666 and 9xx were never issued (SSA, POMS RM 10201.035).
fn social_security(kind: Kind, value: &str, rules: &Normaliser) -> Option<Identifier> {
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kind = match (value.len(), kind) {
        (4, _) => Kind::SocialSecurityLast4,
        (9, Kind::SocialSecurity) => Kind::SocialSecurity,
        _ => return None,
    };
    let is_impossible = kind == Kind::SocialSecurity
        && (value.starts_with("000")
            || value.starts_with("666")
            || value.starts_with('9')
            || &value[3..5] == "00"
            || rules.placeholders.social_security_numbers.contains(value));
    let is_made_up = is_impossible || value.ends_with("0000");
    (!is_made_up).then(|| Identifier { kind, issuer: String::new(), value: value.to_owned(), number_type: None })
}

/// The country of a passport or the state of a licence where the type names it.
fn issuing_system<'v>(identifier: &'v Value<'_>) -> Option<&'v str> {
    let codings = identifier.get("type").map_or(&[][..], |kind| kind.list("coding"));
    let mut systems = codings.iter().filter_map(|coding| coding.text("system")).map(str::trim);
    systems.find(|system| system.starts_with(PASSPORT) || system.starts_with(LICENCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};
    use crate::matching::normalise::tests::rules;

    #[test]
    fn kind_and_issuer_are_recognised_by_type_or_system() {
        let typed = |code: &str, rest: &str| format!(r#"{{"type":{{"coding":[{{"code":"{code}"}}]}},{rest}}}"#);
        let table = vec![
            (
                typed("MR", r#""system":"urn:oid:1.2","value":" 00-77 a""#),
                Some((Kind::MedicalRecord, "urn:oid:1.2", "0077A")),
            ),
            (typed("MR", r#""value":"77""#), None),
            (typed("MB", r#""value":"77","assigner":{"display":"Blue Plan"}"#), None),
            (typed("DL", r#""value":"77","assigner":{"display":"Ohio"}"#), None),
            (typed("MR", r#""value":"77","assigner":{"reference":"Organization/1"}"#), None),
            (
                format!(r#"{{"type":{{"coding":[{{"code":"DL"}},{{"system":"{LICENCE}6"}}]}},"value":"D1"}}"#),
                Some((Kind::Licence, "urn:oid:2.16.840.1.113883.4.3.6", "D1")),
            ),
            (format!(r#"{{"system":"{SSN}","value":"219-54-1234"}}"#), Some((Kind::SocialSecurity, "", "219541234"))),
            (
                typed("SB", &format!(r#""system":"{SSN_OID}","value":"219-54-1234""#)),
                Some((Kind::SocialSecurity, "", "219541234")),
            ),
            (typed("SB", r#""system":"urn:x","value":"219541234""#), Some((Kind::Other, "urn:x", "219541234"))),
            (format!(r#"{{"system":"{SSN}","value":"1234"}}"#), Some((Kind::SocialSecurityLast4, "", "1234"))),
            (format!(r#"{{"system":"{SSN}","value":"666-54-1234"}}"#), None),
            (format!(r#"{{"system":"{SSN}","value":"999-99-9999"}}"#), None),
            (typed("SSN4", r#""value":"0042""#), Some((Kind::SocialSecurityLast4, "", "0042"))),
            (format!(r#"{{"system":"{MBI}","value":"1EG4-TE5-MK73"}}"#), Some((Kind::Medicare, MBI, "1EG4TE5MK73"))),
            (
                format!(r#"{{"system":"{LICENCE}6","value":"D1"}}"#),
                Some((Kind::Licence, "urn:oid:2.16.840.1.113883.4.3.6", "D1")),
            ),
            (
                typed("PPN", r#""system":"http://hl7.org/fhir/sid/passport-USA","value":"c1""#),
                Some((Kind::Passport, "http://hl7.org/fhir/sid/passport-usa", "C1")),
            ),
            (r#"{"system":"urn:x","value":"UNKNOWN"}"#.to_owned(), None),
            (r#"{"system":"urn:x","value":"Q1"}"#.to_owned(), Some((Kind::Other, "urn:x", "Q1"))),
        ];
        for (json, expected) in table {
            let read = read(&parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON"), &rules());
            let read = read.as_ref().map(|i| (i.kind, i.issuer.as_str(), i.value.as_str()));
            let expected = expected.map(|(kind, issuer, value)| (kind, fold_whole(issuer), value));
            assert_eq!(read, expected.as_ref().map(|(kind, issuer, value)| (*kind, issuer.as_str(), *value)), "{json}");
        }
    }

    #[test]
    fn long_values_and_systems_that_differ_at_their_end_stay_different() {
        let read = |system_end: &str, value_end: &str| {
            let json = format!(
                r#"{{"system":"urn:{}{system_end}","value":"{}{value_end}"}}"#,
                "s".repeat(70_000),
                "12".repeat(40_000)
            );
            read(&parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON"), &rules()).expect("read")
        };
        let one = read("a", "a");
        assert_eq!((one.issuer.len(), one.value.len()), (ISSUER_CHARS_MAX, VALUE_CHARS_MAX));
        assert_eq!(one, read("a", "a"));
        assert_ne!(one.value, read("a", "b").value);
        assert_ne!(one.issuer, read("b", "a").issuer);
    }
}
