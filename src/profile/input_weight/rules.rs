//! The table of the input weight, as `profiles/input-weights.json` states it, and what a single element is by it.
//!
//! Not here: adding up (see the parent) and counting over a Patient (see `found`).

use serde::Deserialize;

use crate::fhir::json::Value;
use crate::profile::idi::IdiProfile;
use crate::profile::{LoadError, ProfileFile};

/// The points, codes, minima and words of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputWeights {
    /// Where the table is from.
    #[serde(rename = "source")]
    _source: String,
    pub(super) documents: Documents,
    pub(super) contacts: Contacts,
    pub(super) name: Name,
    pub(super) birth_date: BirthDate,
    /// Remarks on what was sent and earns nothing.
    pub(super) without_issuer: Row,
    pub(super) not_counted: Row,
    pub(super) levels: Vec<Level>,
}

/// How a row is reported.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    pub code: String,
    /// What earned the points.
    pub text: String,
    /// What to add to earn them.
    #[serde(default)]
    pub advice: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Documents {
    pub row: Row,
    pub points_each: u32,
    pub points_max: u32,
    /// Codes of `identifier.type`.
    types: Vec<String>,
    /// Systems (of the identifier or of its type) that name the issuer: a prefix and what must follow.
    issuer_systems: Vec<IssuerSystem>,
    digital_identifier_systems: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerSystem {
    prefix: String,
    then: IssuerCode,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IssuerCode {
    /// ISO 3166, as in `http://hl7.org/fhir/sid/passport-USA`.
    ThreeCapitals,
    /// One arc of an OID.
    Number,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contacts {
    pub row: Row,
    pub points_one: u32,
    pub points_more: u32,
    pub address_uses_excluded: Vec<String>,
    identifier_types_excluded: Vec<String>,
    identifier_systems_excluded: Vec<String>,
    /// Types whose value is the last four digits of a number, and which need no issuer.
    last_four_types: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Name {
    pub row: Row,
    pub points: u32,
    uses_excluded: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BirthDate {
    pub row: Row,
    pub points: u32,
}

/// The least strict weight of a level.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    pub level: String,
    pub code: String,
    pub minimum: u32,
    /// Names of IDI profiles (`IDI-Patient-L0`).
    profiles: Vec<String>,
}

/// What an identifier is by the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifierKind {
    /// Passport, licence or state id with its issuer, or Digital Identifier.
    Document,
    WithoutIssuer,
    Other,
    /// An SSN or a subscriber id: 0 by the table.
    NotCounted,
    /// Without a value, a type or an issuer.
    Incomplete,
}

impl InputWeights {
    /// Reads `profiles/input-weights.json`.
    pub(in crate::profile) fn read(file: &ProfileFile<'_>) -> Result<Self, LoadError> {
        let refuse = |element: &str, reason: String| LoadError {
            file: file.name.to_owned(),
            element: element.to_owned(),
            reason,
        };
        let weights: Self = serde_json::from_str(file.text).map_err(|error| refuse("(document)", error.to_string()))?;
        let known = |name: &String| IdiProfile::ALL.iter().any(|profile| profile.name() == name);
        let unknown = weights.levels.iter().flat_map(|level| &level.profiles).find(|name| !known(name));
        match unknown {
            Some(name) => Err(refuse("levels.profiles", format!("{name} is no IDI profile"))),
            None => Ok(weights),
        }
    }

    /// The least strict weight that a claim of `profile` needs.
    #[must_use]
    pub fn minimum(&self, profile: IdiProfile) -> u32 {
        let of = |level: &&Level| level.profiles.iter().any(|name| name == profile.name());
        self.levels.iter().filter(of).map(|level| level.minimum).max().unwrap_or(0)
    }

    /// Whether `identifier` is a Digital Identifier (HL7 Person Identifier) with a value.
    #[must_use]
    pub fn is_digital_identifier(&self, identifier: &Value<'_>) -> bool {
        let system = identifier.text("system").unwrap_or_default();
        has_text(identifier, "value") && self.documents.digital_identifier_systems.iter().any(|known| known == system)
    }

    /// Whether `name` gives a current first and last name.
    #[must_use]
    pub fn is_first_and_last(&self, name: &Value<'_>) -> bool {
        let given = name.list("given").iter().filter_map(Value::as_str).any(|given| !given.trim().is_empty());
        given && has_text(name, "family") && !is_listed(&self.name.uses_excluded, name.text("use"))
    }

    /// Line and (postal code, or city and state) in the same address, unless it is an old or a billing one.
    pub(super) fn is_full_address(&self, address: &Value<'_>) -> bool {
        let line = address.list("line").iter().filter_map(Value::as_str).any(|line| !line.trim().is_empty());
        let place = has_text(address, "postalCode") || (has_text(address, "city") && has_text(address, "state"));
        line && place && !is_listed(&self.contacts.address_uses_excluded, address.text("use"))
    }

    pub(super) fn identifier_kind(&self, identifier: &Value<'_>) -> IdentifierKind {
        if !has_text(identifier, "value") {
            return IdentifierKind::Incomplete;
        }
        if self.is_digital_identifier(identifier) {
            return IdentifierKind::Document;
        }
        let has_type = |types: &[String]| type_codings(identifier).any(|coding| is_listed(types, coding.text("code")));
        if has_type(&self.documents.types) {
            return if self.names_issuer(identifier) {
                IdentifierKind::Document
            } else {
                IdentifierKind::WithoutIssuer
            };
        }
        let contacts = &self.contacts;
        if has_type(&contacts.last_four_types) {
            // More digits are not the last four: the last five, or the whole number, earn nothing.
            let digits = identifier.text("value").unwrap_or_default().chars().filter(char::is_ascii_digit).count();
            return if digits == 4 { IdentifierKind::Other } else { IdentifierKind::NotCounted };
        }
        let system = identifier.text("system");
        if has_type(&contacts.identifier_types_excluded) || is_listed(&contacts.identifier_systems_excluded, system) {
            return IdentifierKind::NotCounted;
        }
        let is_typed = type_codings(identifier).any(|coding| has_text(coding, "code"));
        let is_issued = has_text(identifier, "system") || has_assigner(identifier);
        if is_typed && is_issued { IdentifierKind::Other } else { IdentifierKind::Incomplete }
    }

    fn names_issuer(&self, identifier: &Value<'_>) -> bool {
        let systems = type_codings(identifier).filter_map(|coding| coding.text("system"));
        has_assigner(identifier) || systems.chain(identifier.text("system")).any(|system| self.is_issuer_system(system))
    }

    fn is_issuer_system(&self, system: &str) -> bool {
        self.documents.issuer_systems.iter().any(|known| {
            system.strip_prefix(known.prefix.as_str()).is_some_and(|rest| match known.then {
                IssuerCode::ThreeCapitals => rest.len() == 3 && rest.bytes().all(|b| b.is_ascii_uppercase()),
                IssuerCode::Number => !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()),
            })
        })
    }
}

fn type_codings<'v>(identifier: &'v Value<'v>) -> impl Iterator<Item = &'v Value<'v>> {
    identifier.get("type").map(|kind| kind.list("coding")).unwrap_or_default().iter()
}

fn has_assigner(identifier: &Value<'_>) -> bool {
    identifier.get("assigner").is_some_and(|assigner| has_text(assigner, "display") || has_text(assigner, "reference"))
}

/// Whether the member is a text that is not blank.
pub(super) fn has_text(value: &Value<'_>, name: &str) -> bool {
    value.text(name).is_some_and(|text| !text.trim().is_empty())
}

fn is_listed(list: &[String], code: Option<&str>) -> bool {
    code.is_some_and(|code| list.iter().any(|listed| listed == code))
}
