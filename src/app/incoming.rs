//! A received resource, judged and ready to be stored: parse at the door, afterwards it cannot be wrong.
//!
//! Not here: storing it (see `keep`), profiles of requests to match (see `match_patient`).

use crate::config::Source;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Limits, Value, parse};
use crate::fhir::search_parameter::{SearchValues, search_values, too_many};
use crate::fhir::us_core::is_subsetted;
use crate::fhir::{name_text, splice};
use crate::matching::record::Record;
use crate::profile::primitive;

use super::error::AppError;
use super::links::{Links, read_links};
use super::rules::Rules;
use super::verification::{Verification, find_verification};

/// The resource types that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    Patient,
    Organization,
    RelatedPerson,
    Person,
    Consent,
    Provenance,
    Task,
}

impl ResourceKind {
    pub const ALL: [Self; 7] = [
        Self::Patient,
        Self::Organization,
        Self::RelatedPerson,
        Self::Person,
        Self::Consent,
        Self::Provenance,
        Self::Task,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Organization => "Organization",
            Self::RelatedPerson => "RelatedPerson",
            Self::Person => "Person",
            Self::Consent => "Consent",
            Self::Provenance => "Provenance",
            Self::Task => "Task",
        }
    }

    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A resource that may be stored.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub kind: ResourceKind,
    /// The id inside the document.
    pub id: Option<String>,
    /// The document as received.
    pub document: String,
    pub search: SearchValues,
    /// The features of a Patient.
    pub features: Option<Record>,
    /// How the person on a Patient was verified.
    pub verification: Option<Verification>,
    /// Merges that a Patient declares.
    pub links: Links,
}

/// What a received document is judged by.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    pub rules: &'a Rules,
    pub limits: Limits,
    pub sources: &'a [Source],
    /// Assumed for records that name no source in `meta.source`.
    pub source: Option<&'a str>,
    /// Of this server, to tell its own absolute references.
    pub base_url: &'a str,
}

/// Reads a body that must be a resource of `kind` (any stored kind when `None`).
///
/// # Errors
/// `Invalid` or `TooLarge` with every problem found; `Unprocessable` for a redacted (`SUBSETTED`) resource.
pub fn admit(door: &Door<'_>, kind: Option<ResourceKind>, body: &[u8]) -> Result<Incoming, AppError> {
    let resource = parse(body, &door.limits).map_err(|issue| AppError::invalid(vec![issue]))?;
    let kind = check_kind(&resource, kind)?;
    let issues = door.rules.profiles.validate_base(&resource);
    if any_error(&issues) {
        return Err(AppError::invalid(issues));
    }
    if is_subsetted(&resource) {
        let text = "A SUBSETTED resource is incomplete; storing it would destroy what it leaves out.";
        let issue = Issue::error(IssueCode::BusinessRule, text).at(format!("{}.meta.tag", kind.name()));
        return Err(AppError::unprocessable(vec![issue]));
    }
    // UTF-8 was checked by the parser; splicing proves that the document can be written again.
    let document = String::from_utf8_lossy(body).into_owned();
    splice::members(&document).map_err(|_| AppError::internal())?;
    let id = resource.text("id").map(str::to_owned);
    let search = search_values(&resource, door.base_url);
    let too_many = too_many(&resource, &search);
    if any_error(&too_many) {
        return Err(AppError::unprocessable(too_many));
    }
    let source = resource.get("meta").and_then(|meta| meta.text("source")).or(door.source);
    let links = read_links(&resource, door.base_url);
    let verification = find_verification(&resource, source, door.sources);
    let features = (kind == ResourceKind::Patient).then(|| {
        let (patient, _) = name_text::complete(resource);
        Record::from_patient(&patient, &door.rules.normaliser)
    });
    Ok(Incoming { kind, id, document, search, features, verification, links })
}

fn check_kind(resource: &Value<'_>, kind: Option<ResourceKind>) -> Result<ResourceKind, AppError> {
    let found = resource.text("resourceType");
    let known = found.and_then(ResourceKind::of);
    match (known, kind) {
        (Some(known), None) => Ok(known),
        (Some(known), Some(wanted)) if known == wanted => Ok(known),
        _ => {
            let text = match (resource, kind) {
                (Value::Object(_), Some(wanted)) => format!("The body must be a {} resource.", wanted.name()),
                (Value::Object(_), None) => "The resource type is not one that is stored here.".to_owned(),
                _ => format!("The body must be a resource, not {}.", resource.kind()),
            };
            Err(AppError::invalid(vec![Issue::error(IssueCode::Invalid, text).at("resourceType")]))
        }
    }
}

/// Refuses an id that is no FHIR id (FHIR R4 datatypes, `id`).
///
/// # Errors
/// `Invalid`.
pub fn check_id(id: &str) -> Result<(), AppError> {
    if primitive::is_id(id) {
        return Ok(());
    }
    let text = "An id has 1 to 64 letters, digits, hyphens and dots.";
    Err(AppError::invalid(vec![Issue::error(IssueCode::Value, text).at("Resource.id")]))
}
