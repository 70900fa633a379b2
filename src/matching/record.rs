//! A record: what of a Patient can be compared, normalised, with missing and placeholder values absent.
//!
//! What: [`Record::from_patient`] never fails on a base-valid Patient; [`Record::encode`] is the compact form kept in
//! the store and read at start instead of JSON. Every list has a limit; values beyond it are not compared, historic
//! ones first. Not here: the rules of each kind of value (see `normalise`), the index's form (see `dictionary`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::normalise::Normaliser;
use super::normalise::address::{self, Address};
use super::normalise::identifier::{self, Identifier};
use super::normalise::name::{self, Name};
use super::normalise::relationship::{self, Relationship};
use super::normalise::telecom::{self, Telecom};
use crate::fhir::date::Date;
use crate::fhir::json::Value;

/// Raised whenever the same Patient would give another [`Record`], by code or by `profiles/nicknames.json` and
/// `profiles/placeholders.json`; encoded records of another version are recomputed.
pub const NORMALISER_VERSION: i32 = 5;

const NAMES_MAX: usize = 8;
const ADDRESSES_MAX: usize = 8;
const PHONES_MAX: usize = 8;
const EMAILS_MAX: usize = 8;
const IDENTIFIERS_MAX: usize = 24;
const RELATIONSHIPS_MAX: usize = 4;

const BIRTH_SEX: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";

/// What of a Patient can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Current names first.
    pub names: Vec<Name>,
    pub birth_date: Option<BirthDate>,
    pub gender: Option<Sex>,
    pub birth_sex: Option<Sex>,
    /// Current addresses first.
    pub addresses: Vec<Address>,
    pub phones: Vec<String>,
    pub emails: Vec<String>,
    pub identifiers: Vec<Identifier>,
    /// By clinical records only.
    pub relationships: Vec<Relationship>,
}

/// A birth date of the precision it was given with; month and day are 0 when unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthDate {
    pub year: u16,
    pub month: u8,
    pub day: u8,
}

impl BirthDate {
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.day != 0
    }
}

/// Gender or birth sex as far as it can be compared; other and unknown are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sex {
    Female,
    Male,
}

/// Why bytes are no record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// Written by a normaliser of this other version: compute the record again from the document.
    OtherVersion(i32),
    Malformed,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion(version) => write!(f, "the record was written by version {version} of the normaliser"),
            Self::Malformed => f.write_str("the bytes are no record"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Elements of which a Patient has more than take part in matching, with how many do: what must be said, not kept quiet.
#[must_use]
pub fn beyond_limits(patient: &Value<'_>) -> Vec<(&'static str, usize)> {
    let telecoms =
        |system: &str| patient.list("telecom").iter().filter(|item| item.text("system") == Some(system)).count();
    let counted = [
        ("Patient.name", patient.list("name").len(), NAMES_MAX),
        ("Patient.address", patient.list("address").len(), ADDRESSES_MAX),
        ("Patient.telecom", telecoms("phone"), PHONES_MAX),
        ("Patient.telecom", telecoms("email"), EMAILS_MAX),
        ("Patient.identifier", patient.list("identifier").len(), IDENTIFIERS_MAX),
    ];
    counted.into_iter().filter(|(_, count, max)| count > max).map(|(element, _, max)| (element, max)).collect()
}

impl Record {
    /// Reads what of `patient` can be compared.
    #[must_use]
    pub fn from_patient(patient: &Value<'_>, rules: &Normaliser) -> Self {
        let (phones, emails) = telecoms(patient, rules);
        Self {
            names: names(patient, rules),
            birth_date: patient.text("birthDate").and_then(|text| birth_date(text, rules)),
            gender: patient.text("gender").and_then(sex),
            birth_sex: birth_sex(patient),
            addresses: addresses(patient, rules),
            phones,
            emails,
            identifiers: identifiers(patient, rules),
            relationships: relationships(patient, rules),
        }
    }

    /// The compact form, tagged with the version of the normaliser.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // postcard fails only for sequences of unknown length and full buffers, neither of which is here; an empty
        // result would be refused by `decode` and the record computed again.
        postcard::to_stdvec(&(NORMALISER_VERSION, self)).unwrap_or_default()
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// When another version of the normaliser wrote it, or it is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, rest) = postcard::take_from_bytes::<i32>(bytes).map_err(|_| DecodeError::Malformed)?;
        if version != NORMALISER_VERSION {
            return Err(DecodeError::OtherVersion(version));
        }
        match postcard::take_from_bytes(rest) {
            Ok((record, [])) => Ok(record),
            _ => Err(DecodeError::Malformed),
        }
    }
}

fn names(patient: &Value<'_>, rules: &Normaliser) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for name in patient.list("name").iter().take(NAMES_MAX * 4).filter_map(|name| name::read(name, rules)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| name.is_historic);
    names.truncate(NAMES_MAX);
    names
}

fn addresses(patient: &Value<'_>, rules: &Normaliser) -> Vec<Address> {
    let (old, current): (Vec<_>, Vec<_>) =
        patient.list("address").iter().take(ADDRESSES_MAX * 4).partition(|address| is_old(address));
    distinct(current.into_iter().chain(old).filter_map(|address| address::read(address, rules)), ADDRESSES_MAX)
}

fn telecoms(patient: &Value<'_>, rules: &Normaliser) -> (Vec<String>, Vec<String>) {
    let (old, current): (Vec<_>, Vec<_>) =
        patient.list("telecom").iter().take((PHONES_MAX + EMAILS_MAX) * 4).partition(|telecom| is_old(telecom));
    let (mut phones, mut emails) = (Vec::new(), Vec::new());
    for read in current.into_iter().chain(old).filter_map(|telecom| telecom::read(telecom, rules)) {
        match read {
            Telecom::Phone(number) => phones.push(number),
            Telecom::Email(address) => emails.push(address),
        }
    }
    (distinct(phones.into_iter(), PHONES_MAX), distinct(emails.into_iter(), EMAILS_MAX))
}

fn identifiers(patient: &Value<'_>, rules: &Normaliser) -> Vec<Identifier> {
    let list = patient.list("identifier").iter().take(IDENTIFIERS_MAX * 4);
    distinct(list.filter_map(|identifier| identifier::read(identifier, rules)), IDENTIFIERS_MAX)
}

fn relationships(patient: &Value<'_>, rules: &Normaliser) -> Vec<Relationship> {
    let extensions = patient.list("extension").iter();
    distinct(extensions.filter_map(|extension| relationship::read(extension, rules)), RELATIONSHIPS_MAX)
}

fn is_old(value: &Value<'_>) -> bool {
    value.text("use") == Some("old")
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>, max: usize) -> Vec<T> {
    let mut kept = Vec::new();
    for value in values {
        if kept.len() < max && !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

fn birth_date(text: &str, rules: &Normaliser) -> Option<BirthDate> {
    let date = Date::parse(text).filter(|_| !rules.is_placeholder_birth_date(text))?;
    Some(BirthDate { year: date.year(), month: date.month().unwrap_or(0), day: date.day().unwrap_or(0) })
}

fn sex(code: &str) -> Option<Sex> {
    match code {
        "female" | "F" => Some(Sex::Female),
        "male" | "M" => Some(Sex::Male),
        _ => None,
    }
}

/// US Core 6.1, us-core-birthsex.
fn birth_sex(patient: &Value<'_>) -> Option<Sex> {
    let extension = patient.list("extension").iter().find(|extension| extension.text("url") == Some(BIRTH_SEX))?;
    extension.text("valueCode").and_then(sex)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::fhir::json::{Limits, parse};
    use crate::matching::normalise::tests::rules;

    pub fn record(json: &str) -> Record {
        static RULES: OnceLock<Normaliser> = OnceLock::new();
        Record::from_patient(&parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON"), RULES.get_or_init(rules))
    }

    const WHOLE: &str = r#"{"resourceType":"Patient","name":[{"use":"old","family":"Lang","given":["Eva"]},{"family":"Ray","given":["Eva","M"]}],
        "birthDate":"1980-02-03","gender":"female","telecom":[{"system":"phone","value":"212-555-0142","use":"old"},
        {"system":"phone","value":"212-555-0143"},{"system":"email","value":"E@x.org"},{"system":"phone","value":"(212) 555-0143"}],
        "extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}],
        "address":[{"use":"old","postalCode":"10001"},{"line":["1 Oak St"],"city":"Troy","state":"NY"}],
        "identifier":[{"system":"urn:a","value":"7"},{"system":"urn:a","value":"7"}]}"#;

    #[test]
    fn current_values_come_first_and_each_value_once() {
        let record = record(WHOLE);
        assert_eq!(record.names.iter().map(|n| n.family.as_deref()).collect::<Vec<_>>(), [Some("ray"), Some("lang")]);
        assert_eq!(record.phones, ["2125550143", "2125550142"]);
        assert_eq!(record.addresses[1].zip.as_deref(), Some("10001"));
        assert_eq!((record.birth_sex, record.gender), (Some(Sex::Female), Some(Sex::Female)));
        assert_eq!((record.emails.len(), record.identifiers.len()), (1, 1));
    }

    #[test]
    fn a_patient_of_odd_content_gives_what_can_be_read() {
        for json in [
            "{}",
            r#"{"name":[{"_family":{"extension":[]}}],"birthDate":"1980","gender":"other"}"#,
            r#"{"birthDate":"1900-01-01","telecom":[{}],"address":[{}],"identifier":[{"value":"9"}]}"#,
        ] {
            let record = record(json);
            assert!(record.names.is_empty() && record.identifiers.is_empty() && record.gender.is_none(), "{json}");
        }
    }

    #[test]
    fn a_record_survives_encoding_and_other_bytes_are_refused() {
        let record = record(WHOLE);
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Ok(record));
        assert_eq!(Record::decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Malformed));
        assert_eq!(Record::decode(&[]), Err(DecodeError::Malformed));
        let other = postcard::to_stdvec(&(NORMALISER_VERSION + 1)).expect("written");
        assert_eq!(Record::decode(&other), Err(DecodeError::OtherVersion(NORMALISER_VERSION + 1)));
    }

    #[test]
    fn lists_are_cut_at_their_limit() {
        let many: Vec<String> = (0..100).map(|n| format!(r#"{{"system":"urn:a","value":"A{n}"}}"#)).collect();
        assert_eq!(record(&format!(r#"{{"identifier":[{}]}}"#, many.join(","))).identifiers.len(), IDENTIFIERS_MAX);
    }
}
