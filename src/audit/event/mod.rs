//! An audit row as FHIR R4 has it: an AuditEvent in the shape of IHE's Basic Audit Log Patterns.
//!
//! The id is the number of the row. An event names records by reference and holds codes and numbers, as the row does: what
//! a caller searched for is not in it. Which pattern an action follows stands in [`pattern`]. Not here: searching events,
//! the rows.

mod agent;
pub mod pattern;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value as Json;

use self::agent::{Agent, Concept, purpose};
use self::pattern::{Kind, OPERATION, Pattern, Shape, profile};
use super::subject::{address, records};
use super::{Outcome, Row};
use crate::fhir::canonical::AUDIT_ACTION;

const AUDIT_EVENT: &str = "AuditEvent";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const INTERACTION_SYSTEM: &str = "http://hl7.org/fhir/restful-interaction";
const TYPE_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const SOURCE_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const ENTITY_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ROLE_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const BALP_ENTITY_SYSTEM: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";

/// Stored and FHIR `audit-event-outcome`.
pub const OUTCOMES: [(Outcome, &str); 3] = [(Outcome::Success, "0"), (Outcome::Refused, "4"), (Outcome::Error, "8")];

/// Who writes the audit.
#[derive(Debug, Clone, Copy)]
pub struct Observer<'o> {
    /// `Organization/…`
    pub reference: &'o str,
    /// Of the server.
    pub base_url: &'o str,
}

/// Which of the records that a row names are in its event.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'s> {
    All,
    /// Only these: whoever asks about one person does not learn who else was in the same answer.
    Only(&'s BTreeSet<String>),
}

/// The event as JSON; `recorded` is the time of the row as a FHIR instant.
///
/// # Errors
/// What serialising gives.
pub fn render(
    row: &Row<'_>,
    recorded: &str,
    observer: &Observer<'_>,
    shown: Shown<'_>,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&AuditEvent::of(row, recorded, observer, shown))
}

/// FHIR R4 AuditEvent, as far as it is filled here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent<'a> {
    resource_type: &'static str,
    id: String,
    meta: Meta<'a>,
    r#type: Coding<'a>,
    subtype: Vec<Coding<'a>>,
    action: &'static str,
    recorded: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome_desc: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    purpose_of_event: Vec<Concept>,
    agent: Vec<Agent>,
    source: Source<'a>,
    entity: Vec<Entity>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    version_id: &'static str,
    last_updated: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tag: Vec<Coding<'static>>,
}

#[derive(Debug, Serialize)]
struct Coding<'a> {
    system: &'a str,
    code: &'a str,
}

#[derive(Debug, Serialize)]
struct Source<'a> {
    observer: Reference<'a>,
    r#type: [Coding<'static>; 1],
}

#[derive(Debug, Serialize)]
struct Reference<'a> {
    reference: &'a str,
}

#[derive(Debug, Default, Serialize)]
struct Entity {
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<What>,
    r#type: Option<Coding<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Coding<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    /// base64
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<EntityDetail>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Reference(String),
    Identifier(Identifier),
}

#[derive(Debug, Serialize)]
struct Identifier {
    value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntityDetail {
    r#type: String,
    value_string: String,
}

/// The detail of a row, read by name: a row of another version of this program may have other members.
struct Detail(Json);

impl Detail {
    fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0[name].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Json::as_str)
    }
}

impl<'a> AuditEvent<'a> {
    fn of(row: &Row<'a>, recorded: &'a str, observer: &Observer<'a>, shown: Shown<'_>) -> Self {
        let pattern = Pattern::of(row.action);
        let detail = Detail(serde_json::from_str(row.detail).unwrap_or_default());
        let outcome = OUTCOMES.iter().find(|(outcome, _)| outcome.code() == row.outcome).map_or("8", |(_, code)| *code);
        let is_success = outcome == "0";
        let reasons: Vec<&str> = detail.texts("reasons").collect();
        let named = named(row);
        let (shown, tag) = match shown {
            Shown::All => (named.clone(), Vec::new()),
            Shown::Only(those) => {
                let kept = named.iter().filter(|record| those.contains(*record)).cloned().collect();
                (
                    kept,
                    vec![Coding {
                        system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                        code: "SUBSETTED",
                    }],
                )
            }
        };
        let shape = Shape {
            action: row.action,
            is_complete: is_success && detail.text("client_address").is_some(),
            has_query: detail.text("query").is_some(),
            records: &shown,
        };
        Self {
            resource_type: AUDIT_EVENT,
            id: row.seq.to_string(),
            meta: Meta { version_id: "1", last_updated: recorded, profile: profile(&shape).into_iter().collect(), tag },
            r#type: kind(&pattern),
            subtype: subtypes(&pattern, row),
            action: pattern.action,
            recorded,
            outcome,
            outcome_desc: (!is_success && !reasons.is_empty()).then(|| reasons.join(", ")),
            purpose_of_event: detail.texts("purposes").map(purpose).collect(),
            agent: agent::agents(row, &pattern, &detail, observer),
            source: Source {
                observer: Reference { reference: observer.reference },
                r#type: [Coding { system: SOURCE_SYSTEM, code: "4" }],
            },
            entity: entities(row, &pattern, &detail, &shown),
        }
    }
}

/// `Type/id` of the records; events are named too.
fn named(row: &Row<'_>) -> Vec<String> {
    if row.resource_type != Some(AUDIT_EVENT) {
        return records(row);
    }
    let detail = Detail(serde_json::from_str(row.detail).unwrap_or_default());
    detail.texts("records").filter_map(|id| address(row.resource_type, id)).collect()
}

fn kind(pattern: &Pattern) -> Coding<'static> {
    match pattern.kind {
        Kind::Rest(_) => Coding { system: TYPE_SYSTEM, code: "rest" },
        Kind::Dicom(code) => Coding { system: DICOM, code },
    }
}

/// The FHIR interaction, and which operation or work of this server it was.
fn subtypes<'a>(pattern: &Pattern, row: &Row<'a>) -> Vec<Coding<'a>> {
    let interaction = match pattern.kind {
        Kind::Rest(interaction) => Some(Coding { system: INTERACTION_SYSTEM, code: interaction }),
        Kind::Dicom(_) => None,
    };
    let is_own = !matches!(pattern.kind, Kind::Rest(interaction) if interaction != OPERATION);
    let own = is_own.then_some(Coding { system: AUDIT_ACTION, code: row.action });
    interaction.into_iter().chain(own).collect()
}

/// The request, its query, each record, and what else is known.
fn entities(row: &Row<'_>, pattern: &Pattern, detail: &Detail, records: &[String]) -> Vec<Entity> {
    let request = Entity {
        what: Some(What::Identifier(Identifier { value: row.request_id.to_owned() })),
        r#type: Some(Coding { system: BALP_ENTITY_SYSTEM, code: "XrequestId" }),
        ..Entity::default()
    };
    let query = detail.text("query").map(|query| Entity {
        r#type: entity_type("2"),
        role: object_role("24"),
        query: Some(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, query)),
        ..Entity::default()
    });
    // In a BALP query the one system object is the query.
    let object = if query.is_some() { "4" } else { "2" };
    let is_of_one = query.is_none() && records.len() == 1 && matches!(pattern.action, "C" | "R" | "U" | "D");
    let of_record = |record: &String| {
        let what = || Some(What::Reference(record.clone()));
        let data = Entity { what: what(), r#type: entity_type(object), role: object_role("4"), ..Entity::default() };
        if !record.starts_with("Patient/") {
            return vec![data];
        }
        let person = Entity { what: what(), r#type: entity_type("1"), role: object_role("1"), ..Entity::default() };
        if is_of_one { vec![person, data] } else { vec![person] }
    };
    let more = Entity {
        r#type: entity_type("4"),
        description: Some("What else is known of the request"),
        detail: details(row, detail),
        ..Entity::default()
    };
    std::iter::once(request).chain(query).chain(records.iter().flat_map(of_record)).chain([more]).collect()
}

fn details(row: &Row<'_>, detail: &Detail) -> Vec<EntityDetail> {
    let one = |name: &str, value: String| EntityDetail { r#type: name.to_owned(), value_string: value };
    let known = [("action", Some(row.action)), ("type", row.resource_type)];
    let mut details: Vec<EntityDetail> =
        known.into_iter().filter_map(|(name, value)| Some(one(name, value?.to_owned()))).collect();
    let members = detail.0.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| *name != "records") {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        details.extend(values.iter().filter_map(text_of).map(|value| one(name, value)));
    }
    details
}

fn text_of(value: &Json) -> Option<String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (!text.is_empty()).then_some(text)
}

/// Person, system object or other.
#[allow(clippy::unnecessary_wraps, reason = "an entity may have none")]
const fn entity_type(code: &'static str) -> Option<Coding<'static>> {
    Some(Coding { system: ENTITY_SYSTEM, code })
}

/// Patient, domain resource or query.
#[allow(clippy::unnecessary_wraps, reason = "an entity may have none")]
const fn object_role(code: &'static str) -> Option<Coding<'static>> {
    Some(Coding { system: ROLE_SYSTEM, code })
}

#[cfg(test)]
mod tests;
