//! AuditEvent: the rows of the audit as FHIR R4 has them, read and searched, never written.
//!
//! The id is the sequence number of the row. An event names records by reference and holds codes and numbers, as the row
//! does. Not here: writing rows (see `writer`), the resource's shape on the wire of other types.

use serde::Serialize;
use serde_json::Value as Json;

use crate::audit::{AuditRecord, Outcome};
use crate::store::audit::AuditRow;
use crate::store::audit_search::{AuditCondition, AuditQuery, search};
use crate::store::resource::{Direction, Position, SearchCondition, SortKey, SortValue, Token};
use crate::store::transaction;

use super::App;
use super::clock::instant;
use super::context::Context;
use super::error::AppError;
use super::read::{StoredVersion, Version};
use super::search::query::unknown;
use super::search::{AUDIT_EVENT, Entry, Handling, Mode, Page, Paged, bytes};

const ACTION_SYSTEM: &str = "http://hl7.org/fhir/audit-event-action";
const OUTCOME_SYSTEM: &str = "http://hl7.org/fhir/audit-event-outcome";
const INTERACTION_SYSTEM: &str = "http://hl7.org/fhir/restful-interaction";
const TYPE_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const ENTITY_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";

/// Stored action, FHIR interaction, FHIR action; every other one is an operation, which is executed.
const ACTIONS: [(&str, &str, &str); 8] = [
    ("read", "read", "R"),
    ("history", "history", "R"),
    ("search", "search-type", "E"),
    ("create", "create", "C"),
    ("update", "update", "U"),
    ("patch", "patch", "U"),
    ("delete", "delete", "D"),
    ("bundle", "transaction", "E"),
];
const OPERATION: (&str, &str) = ("operation", "E");

const OUTCOMES: [(Outcome, &str); 3] = [(Outcome::Success, "0"), (Outcome::Refused, "4"), (Outcome::Error, "8")];

/// Numbers of the parameters in `fhir::search_parameter`.
const ACTION: i16 = 240;
const DATE: i16 = 241;
const OUTCOME: i16 = 242;

impl App {
    /// One event.
    pub(super) fn read_audit_event(
        &self,
        audit: &mut AuditRecord,
        id: &str,
        version: Version,
    ) -> Result<StoredVersion, AppError> {
        audit.resource_type = Some(AUDIT_EVENT.to_owned());
        let seq = seq_of(id).filter(|_| version == Version::Current);
        let rows = match seq {
            Some(seq) => crate::store::audit::list_after(&mut *self.connection()?, seq - 1, 1)?,
            None => Vec::new(),
        };
        let row = rows.into_iter().find(|row| Some(row.seq) == seq);
        let row = row.ok_or_else(|| AppError::not_found("There is no such resource."))?;
        audit.detail.records.push(id.to_owned());
        Ok(StoredVersion { version: 1, updated_us: row.at_us, body: self.audit_event(&row)? })
    }

    /// A page of events, the newest first unless `_sort` says otherwise.
    pub(super) fn search_audit_events(
        &self,
        ctx: &Context,
        audit: &mut AuditRecord,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Page, AppError> {
        audit.resource_type = Some(AUDIT_EVENT.to_owned());
        let mut paged = self.read_page(ctx, AUDIT_EVENT, pairs, handling)?;
        let direction = direction(&mut paged, handling)?;
        let query = AuditQuery {
            conditions: paged.asked.conditions.iter().filter_map(condition).collect(),
            direction,
            after: paged.after.as_ref().and_then(place),
            count: paged.asked.count,
            bytes_max: bytes(self.config.limits.page_bytes_max),
            total: self.total_of(&paged),
        };
        let page = transaction::read_snapshot(&mut *self.connection()?, |conn| search(conn, &query))?;
        let total = paged.total.or(page.total);
        let next = page.rows.last().filter(|_| page.has_more).map(position);
        let entry = |row: &AuditRow| {
            let (resource_type, id) = (AUDIT_EVENT.to_owned(), row.seq.to_string());
            self.audit_event(row).map(|body| Entry { resource_type, id, body, mode: Mode::Match })
        };
        let entries = page.rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        audit.detail.records = entries.iter().map(|entry| entry.id.clone()).collect();
        let (self_link, next_link) = self.links(ctx, AUDIT_EVENT, &paged.asked, next, total)?;
        let total = total.map(|total| u64::try_from(total).unwrap_or(0));
        Ok(Page { total, entries, self_link, next_link, issues: paged.asked.issues })
    }

    fn audit_event(&self, row: &AuditRow) -> Result<String, AppError> {
        let observer = format!("Organization/{}", self.config.organization.id);
        serde_json::to_string(&AuditEvent::of(row, &observer)).map_err(|error| {
            tracing::error!(%error, "an audit event cannot be written");
            AppError::internal()
        })
    }
}

fn seq_of(id: &str) -> Option<i64> {
    id.parse().ok().filter(|seq: &i64| *seq > 0 && seq.to_string() == id)
}

/// Events are ordered by time alone.
fn direction(paged: &mut Paged, handling: Handling) -> Result<Direction, AppError> {
    let is_time = |by| matches!(by, SortKey::Date(DATE) | SortKey::LastUpdated | SortKey::Id);
    match paged.asked.sort.first() {
        None => Ok(Direction::Descending),
        Some(sort) if is_time(sort.by) => Ok(sort.direction),
        Some(_) => {
            paged.asked.issues.push(unknown("http._sort", handling)?);
            paged.asked.understood.retain(|(name, _)| name != "_sort");
            Ok(Direction::Descending)
        }
    }
}

fn position(row: &AuditRow) -> Position {
    Position { keys: vec![SortValue::Number(row.at_us)], number: row.seq }
}

fn place(position: &Position) -> Option<(i64, i64)> {
    match position.keys.as_slice() {
        [SortValue::Number(at_us)] => Some((*at_us, position.number)),
        _ => None,
    }
}

/// The condition on rows; `None` for what holds for all.
fn condition(condition: &SearchCondition) -> Option<AuditCondition> {
    Some(match condition {
        SearchCondition::Id(ids) => AuditCondition::Seq(ids.iter().filter_map(|id| seq_of(id)).collect()),
        SearchCondition::LastUpdated(tests) | SearchCondition::Dates { tests, .. } => AuditCondition::At(tests.clone()),
        SearchCondition::Tokens { parameters, values } if parameters == &[ACTION] => actions(values),
        SearchCondition::Tokens { parameters, values } if parameters == &[OUTCOME] => {
            let codes = OUTCOMES.iter().filter(|(_, code)| is_meant(values, OUTCOME_SYSTEM, code));
            AuditCondition::Outcome(codes.map(|(outcome, _)| outcome.code().to_owned()).collect())
        }
        // Every event has a value for each parameter.
        SearchCondition::Missing { is_missing: false, .. } => return None,
        SearchCondition::Tokens { .. } | SearchCondition::Strings { .. } | SearchCondition::Missing { .. } => {
            AuditCondition::Seq(Vec::new())
        }
    })
}

/// Executed is whatever is nothing else.
fn actions(values: &[Token]) -> AuditCondition {
    let codes = |is_wanted: bool| {
        let fits = move |(_, _, action): &&(&str, &str, &str)| is_meant(values, ACTION_SYSTEM, action) == is_wanted;
        ACTIONS.iter().filter(fits).map(|(stored, _, _)| (*stored).to_owned()).collect()
    };
    if is_meant(values, ACTION_SYSTEM, OPERATION.1) {
        AuditCondition::NotAction(codes(false))
    } else {
        AuditCondition::Action(codes(true))
    }
}

fn is_meant(values: &[Token], own_system: &str, own_code: &str) -> bool {
    values.iter().any(|token| match token {
        Token::Value(value) => value == own_code,
        Token::SystemValue { system, value } => system == own_system && value == own_code,
        Token::System(system) => system == own_system,
        Token::ValueWithoutSystem(_) => false,
    })
}

/// FHIR R4 AuditEvent, as far as it is filled here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent<'a> {
    resource_type: &'static str,
    id: String,
    meta: Meta,
    r#type: Coding<'static>,
    subtype: [Coding<'static>; 1],
    action: &'static str,
    recorded: String,
    outcome: &'static str,
    agent: [Agent<'a>; 1],
    source: Source<'a>,
    entity: Vec<Entity>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    version_id: &'static str,
    last_updated: String,
}

#[derive(Debug, Serialize)]
struct Coding<'a> {
    system: &'a str,
    code: &'a str,
}

#[derive(Debug, Serialize)]
struct Agent<'a> {
    who: Who<'a>,
    requestor: bool,
}

#[derive(Debug, Serialize)]
struct Who<'a> {
    identifier: Identifier<'a>,
}

#[derive(Debug, Serialize)]
struct Identifier<'a> {
    value: &'a str,
}

#[derive(Debug, Serialize)]
struct Source<'a> {
    observer: Reference<'a>,
}

#[derive(Debug, Serialize)]
struct Reference<'a> {
    reference: &'a str,
}

#[derive(Debug, Serialize)]
struct Entity {
    what: What,
    r#type: Coding<'static>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<EntityDetail>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Reference(String),
    #[serde(serialize_with = "identifier")]
    Identifier(String),
}

fn identifier<S: serde::Serializer>(value: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Identifier { value }.serialize(serializer)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntityDetail {
    r#type: String,
    value_string: String,
}

impl<'a> AuditEvent<'a> {
    fn of(row: &'a AuditRow, observer: &'a str) -> Self {
        let known = ACTIONS.iter().find(|(stored, _, _)| *stored == row.action);
        let (interaction, action) = known.map_or(OPERATION, |(_, interaction, action)| (*interaction, *action));
        let outcome = OUTCOMES.iter().find(|(outcome, _)| outcome.code() == row.outcome);
        let recorded = instant(row.at_us);
        Self {
            resource_type: AUDIT_EVENT,
            id: row.seq.to_string(),
            meta: Meta { version_id: "1", last_updated: recorded.clone() },
            r#type: Coding { system: TYPE_SYSTEM, code: "rest" },
            subtype: [Coding { system: INTERACTION_SYSTEM, code: interaction }],
            action,
            recorded,
            outcome: outcome.map_or("8", |(_, code)| code),
            agent: [Agent { who: Who { identifier: Identifier { value: &row.caller } }, requestor: true }],
            source: Source { observer: Reference { reference: observer } },
            entity: entities(row),
        }
    }
}

/// The request with what is known of it, then each record.
fn entities(row: &AuditRow) -> Vec<Entity> {
    let detail: serde_json::Map<String, Json> = serde_json::from_str(&row.detail).unwrap_or_default();
    let known =
        [("action", row.action.as_str())].into_iter().chain(row.resource_type.iter().map(|of| ("type", of.as_str())));
    let mut details: Vec<EntityDetail> =
        known.map(|(name, value)| EntityDetail { r#type: name.to_owned(), value_string: value.to_owned() }).collect();
    for (name, value) in detail.iter().filter(|(name, _)| *name != "records") {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        details.extend(
            values.iter().filter_map(text_of).map(|value_string| EntityDetail { r#type: name.clone(), value_string }),
        );
    }
    let request = Entity { what: What::Identifier(row.request_id.clone()), r#type: entity_type("4"), detail: details };
    let records = detail.get("records").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let records = records.iter().filter_map(Json::as_str).filter_map(|id| reference(row.resource_type.as_deref(), id));
    std::iter::once(request).chain(records).collect()
}

fn text_of(value: &Json) -> Option<String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (!text.is_empty()).then_some(text)
}

/// A record is named by its id where it is of the type of the request, else by type and id.
fn reference(resource_type: Option<&str>, id: &str) -> Option<Entity> {
    let reference = if id.contains('/') { id.to_owned() } else { format!("{}/{id}", resource_type?) };
    let is_person = ["Patient/", "Person/", "RelatedPerson/"].iter().any(|kind| reference.starts_with(kind));
    let code = if is_person { "1" } else { "2" };
    Some(Entity { what: What::Reference(reference), r#type: entity_type(code), detail: Vec::new() })
}

/// Person, system object or other.
const fn entity_type(code: &'static str) -> Coding<'static> {
    Coding { system: ENTITY_SYSTEM, code }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fhir::search_parameter::find;

    fn row() -> AuditRow {
        AuditRow {
            seq: 7,
            at_us: 1_767_323_045_000_006,
            request_id: "r-1".to_owned(),
            action: "search".to_owned(),
            outcome: "refused".to_owned(),
            caller: "open".to_owned(),
            resource_type: Some("Patient".to_owned()),
            detail: r#"{"status":200,"reasons":["value"],"records":["p1","Organization/o1"],"duration_us":5}"#
                .to_owned(),
        }
    }

    #[test]
    fn a_row_becomes_an_event() {
        let event = serde_json::to_value(AuditEvent::of(&row(), "Organization/responder")).expect("JSON");
        let detail = |name: &str, value: &str| json!({"type": name, "valueString": value});
        let expected = json!({
            "resourceType": "AuditEvent",
            "id": "7",
            "meta": {"versionId": "1", "lastUpdated": "2026-01-02T03:04:05.000006Z"},
            "type": {"system": TYPE_SYSTEM, "code": "rest"},
            "subtype": [{"system": INTERACTION_SYSTEM, "code": "search-type"}],
            "action": "E",
            "recorded": "2026-01-02T03:04:05.000006Z",
            "outcome": "4",
            "agent": [{"who": {"identifier": {"value": "open"}}, "requestor": true}],
            "source": {"observer": {"reference": "Organization/responder"}},
            "entity": [
                {
                    "what": {"identifier": {"value": "r-1"}},
                    "type": {"system": ENTITY_SYSTEM, "code": "4"},
                    "detail": [
                        detail("action", "search"),
                        detail("type", "Patient"),
                        detail("duration_us", "5"),
                        detail("reasons", "value"),
                        detail("status", "200"),
                    ]
                },
                {"what": {"reference": "Patient/p1"}, "type": {"system": ENTITY_SYSTEM, "code": "1"}},
                {"what": {"reference": "Organization/o1"}, "type": {"system": ENTITY_SYSTEM, "code": "2"}},
            ]
        });
        assert_eq!(event, expected);
        fhir_types::parse(event.to_string().as_bytes()).expect("FHIR");
    }

    #[test]
    fn the_numbers_are_those_of_the_table() {
        for (name, number) in [("action", ACTION), ("date", DATE), ("outcome", OUTCOME)] {
            assert_eq!(find(AUDIT_EVENT, name).map(|parameter| parameter.number), Some(number), "{name}");
        }
    }

    #[test]
    fn codes_of_fhir_become_codes_of_rows() {
        let tokens = |number: i16, values: &[&str]| SearchCondition::Tokens {
            parameters: vec![number],
            values: values.iter().map(|value| Token::Value((*value).to_owned())).collect(),
        };
        let texts = |list: &[&str]| -> Vec<String> { list.iter().map(|text| (*text).to_owned()).collect() };
        for (given, expected) in [
            (tokens(ACTION, &["C", "D"]), AuditCondition::Action(texts(&["create", "delete"]))),
            (tokens(ACTION, &["E", "R"]), AuditCondition::NotAction(texts(&["create", "update", "patch", "delete"]))),
            (tokens(ACTION, &["X"]), AuditCondition::Action(Vec::new())),
            (tokens(OUTCOME, &["0", "8"]), AuditCondition::Outcome(texts(&["success", "error"]))),
            (SearchCondition::Id(texts(&["12", "012", "-3", "x"])), AuditCondition::Seq(vec![12])),
        ] {
            assert_eq!(condition(&given), Some(expected));
        }
        let missing = |is_missing| condition(&SearchCondition::Missing { parameters: vec![DATE], is_missing });
        assert_eq!((missing(true), missing(false)), (Some(AuditCondition::Seq(Vec::new())), None));
    }
}
