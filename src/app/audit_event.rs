//! AuditEvent: the rows of the audit as FHIR R4 has them, read and searched, never written.
//!
//! The id is the sequence number of the row. What an event is about is found among what was noted when its row was sealed,
//! and by looking through the rows that are not sealed yet. Not here: writing rows (see `writer`), the resource's shape
//! (see `audit::event`).

use crate::audit::event::pattern::{Kind, OPERATION, Stored, stored};
use crate::audit::event::{OUTCOMES, Observer, Shown, render};
use crate::audit::subject::subjects;
use crate::audit::{AuditRecord, Row};
use crate::fhir::canonical::AUDIT_ACTION;
use crate::fhir::issue::{Issue, IssueCode};
use crate::store::audit::AuditRow;
use crate::store::audit_search::{AuditCondition, AuditPage, AuditQuery, search};
use crate::store::resource::{Direction, Position, SearchCondition, SortKey, SortValue, Token};
use crate::store::{Connection, StoreError, audit_seal, audit_subject, transaction};

use super::App;
use super::clock::instant;
use super::context::Context;
use super::error::AppError;
use super::incoming::ResourceKind;
use super::read::{StoredVersion, Version};
use super::search::condition::refuse;
use super::search::query::unknown;
use super::search::{AUDIT_EVENT, Entry, Handling, Mode, Page, Paged, bytes};

const ACTION_SYSTEM: &str = "http://hl7.org/fhir/audit-event-action";
const OUTCOME_SYSTEM: &str = "http://hl7.org/fhir/audit-event-outcome";
const INTERACTION_SYSTEM: &str = "http://hl7.org/fhir/restful-interaction";

/// Numbers of the parameters in `fhir::search_parameter`.
const ACTION: i16 = 240;
pub(super) const DATE: i16 = 241;
const OUTCOME: i16 = 242;
const SUBTYPE: i16 = 243;
const ENTITY: i16 = 244;
const PATIENT: i16 = 245;

/// Events about something that are looked through at most, the newest first.
pub(super) const EVENTS_MAX: u32 = 5_000;
/// Rows that are not sealed yet and are looked through at most: more than a second has.
const UNSEALED_MAX: u32 = 5_000;
/// Rows read at a time.
const ROWS_READ: usize = 250;

impl App {
    /// One event.
    pub(super) fn read_audit_event(
        &self,
        ctx: &Context,
        audit: &mut AuditRecord,
        id: &str,
        version: Version,
    ) -> Result<StoredVersion, AppError> {
        audit.resource_type = Some(AUDIT_EVENT.to_owned());
        check_audit(ctx)?;
        let seq = seq_of(id).filter(|_| version == Version::Current);
        let rows = match seq {
            Some(seq) => crate::store::audit::list_after(&mut *self.connection()?, seq - 1, 1)?,
            None => Vec::new(),
        };
        let row = rows.into_iter().find(|row| Some(row.seq) == seq);
        let row = row.ok_or_else(|| AppError::not_found("There is no such resource."))?;
        audit.detail.records.push(id.to_owned());
        Ok(StoredVersion { version: 1, updated_us: row.at_us, body: self.audit_event(&row, Shown::All)? })
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
        check_audit(ctx)?;
        let paged = self.read_page(ctx, AUDIT_EVENT, pairs, handling)?;
        audit.detail.query = Some(paged.asked.names(AUDIT_EVENT));
        let base_url = &self.config.server.base_url;
        let (page, paged) = self.find_events(paged, handling, Vec::new(), |conn, asked, issues| {
            let found = match asked {
                SearchCondition::Tokens { parameters, values } if about(parameters) => {
                    let subjects = subjects_of(parameters, values, base_url);
                    let found = find_about(conn, &subjects, |_| true)?;
                    issues.extend(found.remark());
                    Some(AuditCondition::Seq(found.seqs))
                }
                SearchCondition::Missing { parameters, .. } if about(parameters) => {
                    let text = "Whether events are about nothing cannot be searched for.";
                    return Err(refuse(IssueCode::NotSupported, text, "http.patient"));
                }
                other => condition(other),
            };
            Ok(found)
        })?;
        audit.detail.records = page.rows.iter().map(|row| row.seq.to_string()).collect();
        self.page_of_events(ctx, AUDIT_EVENT, &page, paged, Shown::All)
    }

    /// Finds a page of events that meet `conditions` and those that `read` makes of what was asked for.
    pub(super) fn find_events(
        &self,
        mut paged: Paged,
        handling: Handling,
        mut conditions: Vec<AuditCondition>,
        read: impl Fn(&mut Connection, &SearchCondition, &mut Vec<Issue>) -> Result<Option<AuditCondition>, AppError>,
    ) -> Result<(AuditPage, Paged), AppError> {
        let direction = direction(&mut paged, handling)?;
        let page = transaction::read_snapshot(&mut *self.connection()?, |conn| {
            let mut issues = Vec::new();
            for asked in &paged.asked.conditions {
                conditions.extend(read(conn, asked, &mut issues)?);
            }
            paged.asked.issues.append(&mut issues);
            let query = AuditQuery {
                conditions,
                direction,
                after: paged.after.as_ref().and_then(place),
                count: paged.asked.count,
                bytes_max: bytes(self.config.limits.page_bytes_max),
                total: self.total_of(&paged),
            };
            Ok::<_, AppError>(search(conn, &query)?)
        })?;
        Ok((page, paged))
    }

    /// The page that is answered; `list` is the address of the search under the base URL.
    pub(super) fn page_of_events(
        &self,
        ctx: &Context,
        list: &str,
        page: &AuditPage,
        paged: Paged,
        shown: Shown<'_>,
    ) -> Result<Page, AppError> {
        let total = paged.total.or(page.total);
        let next = page.rows.last().filter(|_| page.has_more).map(position);
        let entry = |row: &AuditRow| {
            let (resource_type, id) = (AUDIT_EVENT.to_owned(), row.seq.to_string());
            self.audit_event(row, shown).map(|body| Entry { resource_type, id, body, mode: Mode::Match })
        };
        let entries = page.rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let (self_link, next_link) = self.links(ctx, list, &paged.asked, next, total)?;
        let total = total.map(|total| u64::try_from(total).unwrap_or(0));
        Ok(Page { total, entries, self_link, next_link, issues: paged.asked.issues })
    }

    fn audit_event(&self, row: &AuditRow, shown: Shown<'_>) -> Result<String, AppError> {
        let reference = format!("Organization/{}", self.config.organization.id);
        let observer = Observer { reference: &reference, base_url: &self.config.server.base_url };
        render(&row.as_row(), &instant(row.at_us), &observer, shown).map_err(|error| {
            tracing::error!(%error, "an audit event cannot be written");
            AppError::internal()
        })
    }
}

/// The one door to what others have done.
///
/// # Errors
/// `Forbidden`.
pub(super) fn check_audit(ctx: &Context) -> Result<(), AppError> {
    if ctx.caller.reads_audit() { Ok(()) } else { Err(AppError::forbidden()) }
}

/// Events about something.
pub(super) struct About {
    /// Descending.
    pub seqs: Vec<i64>,
    /// Whether there may be more, older ones or unsealed ones.
    pub is_cut: bool,
}

impl About {
    pub fn remark(&self) -> Option<Issue> {
        let text = "There are more events about this than are looked through at once; the oldest are left out.";
        self.is_cut.then(|| Issue::warning(IssueCode::Incomplete, text))
    }
}

/// Rows about any of `wanted` that `is_kept` takes, sealed or not.
pub(super) fn find_about(
    conn: &mut Connection,
    wanted: &[String],
    is_kept: impl Fn(&Row<'_>) -> bool,
) -> Result<About, StoreError> {
    let sealed_to = audit_seal::find_last(conn)?.map_or(0, |seal| seal.last_seq);
    let unsealed = crate::store::audit::list_newest_after(conn, sealed_to, UNSEALED_MAX)?;
    let is_about = |row: &Row<'_>| subjects(row).iter().any(|subject| wanted.contains(subject)) && is_kept(row);
    let mut seqs: Vec<i64> =
        unsealed.iter().map(AuditRow::as_row).filter(|row| is_about(row)).map(|row| row.seq).collect();
    let texts: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let noted = audit_subject::list_seqs(conn, &texts, EVENTS_MAX)?;
    let is_cut = noted.len() >= EVENTS_MAX as usize || unsealed.len() >= UNSEALED_MAX as usize;
    for some in noted.chunks(ROWS_READ) {
        let rows = crate::store::audit::list_of(conn, some)?;
        let kept = rows.iter().map(AuditRow::as_row).filter(|row| row.seq <= sealed_to && is_about(row));
        seqs.extend(kept.map(|row| row.seq));
    }
    seqs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(About { seqs, is_cut })
}

fn about(parameters: &[i16]) -> bool {
    matches!(parameters, [ENTITY | PATIENT])
}

/// `Type/id` of what is asked for; an id without a type may be of any that is stored.
fn subjects_of(parameters: &[i16], values: &[Token], base_url: &str) -> Vec<String> {
    let of_value = |token: &Token| -> Vec<String> {
        match token {
            Token::Value(id) if parameters == [PATIENT] => vec![format!("Patient/{id}")],
            Token::Value(id) => ResourceKind::ALL.iter().map(|kind| format!("{}/{id}", kind.name())).collect(),
            Token::SystemValue { system, value } => vec![format!("{system}/{value}")],
            Token::ValueWithoutSystem(url) => {
                url.strip_prefix(base_url).map(|rest| rest.trim_start_matches('/').to_owned()).into_iter().collect()
            }
            Token::System(_) => Vec::new(),
        }
    };
    values.iter().flat_map(of_value).collect()
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
pub(super) fn condition(condition: &SearchCondition) -> Option<AuditCondition> {
    Some(match condition {
        SearchCondition::Id(ids) => AuditCondition::Seq(ids.iter().filter_map(|id| seq_of(id)).collect()),
        SearchCondition::LastUpdated(tests) | SearchCondition::Dates { tests, .. } => AuditCondition::At(tests.clone()),
        SearchCondition::Tokens { parameters, values } if parameters == &[ACTION] => {
            actions(stored(|pattern| is_meant(values, ACTION_SYSTEM, pattern.action)))
        }
        SearchCondition::Tokens { parameters, values } if parameters == &[SUBTYPE] => subtypes(values),
        SearchCondition::Tokens { parameters, values } if parameters == &[OUTCOME] => {
            let codes = OUTCOMES.iter().filter(|(_, code)| is_meant(values, OUTCOME_SYSTEM, code));
            AuditCondition::Outcome(codes.map(|(outcome, _)| outcome.code().to_owned()).collect())
        }
        // Every event has a value for each other parameter.
        SearchCondition::Missing { is_missing: false, .. } | SearchCondition::Unrestricted => return None,
        SearchCondition::Tokens { .. } | SearchCondition::Strings { .. } | SearchCondition::Missing { .. } => {
            AuditCondition::Seq(Vec::new())
        }
    })
}

fn actions(stored: Stored) -> AuditCondition {
    let texts = |codes: Vec<&'static str>| codes.into_iter().map(str::to_owned).collect();
    match stored {
        Stored::In(codes) => AuditCondition::Action(texts(codes)),
        Stored::NotIn(codes) => AuditCondition::NotAction(texts(codes)),
    }
}

/// FHIR interactions, or this server's own codes of its operations.
fn subtypes(values: &[Token]) -> AuditCondition {
    let of_fhir = |interaction: &str| is_meant(values, INTERACTION_SYSTEM, interaction);
    let found = stored(|pattern| matches!(pattern.kind, Kind::Rest(interaction) if of_fhir(interaction)));
    if of_fhir(OPERATION) {
        return actions(found);
    }
    let own = values.iter().filter_map(|token| match token {
        Token::Value(code) => Some(code),
        Token::SystemValue { system, value } if system == AUDIT_ACTION => Some(value),
        _ => None,
    });
    match actions(found) {
        AuditCondition::Action(codes) => AuditCondition::Action(codes.into_iter().chain(own.cloned()).collect()),
        other => other,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::search_parameter::find;

    #[test]
    fn the_numbers_are_those_of_the_table() {
        for (name, number) in [
            ("action", ACTION),
            ("date", DATE),
            ("outcome", OUTCOME),
            ("subtype", SUBTYPE),
            ("entity", ENTITY),
            ("patient", PATIENT),
        ] {
            assert_eq!(find(AUDIT_EVENT, name).map(|parameter| parameter.number), Some(number), "{name}");
        }
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn codes_of_fhir_become_codes_of_rows() {
        let tokens = |number: i16, values: &[&str]| SearchCondition::Tokens {
            parameters: vec![number],
            values: values.iter().map(|value| Token::Value((*value).to_owned())).collect(),
        };
        for (given, expected) in [
            (
                tokens(ACTION, &["C", "D"]),
                AuditCondition::Action(texts(&["create", "delete", "load", "register-client"])),
            ),
            (
                tokens(ACTION, &["E", "R"]),
                AuditCondition::NotAction(texts(&[
                    "create",
                    "update",
                    "patch",
                    "delete",
                    "load",
                    "register-client",
                    "manage-client",
                    "manage-account",
                    "manage-keys",
                ])),
            ),
            (tokens(ACTION, &["X"]), AuditCondition::Action(texts(&[]))),
            (tokens(OUTCOME, &["0", "8"]), AuditCondition::Outcome(texts(&["success", "error"]))),
            (tokens(SUBTYPE, &["read", "match"]), AuditCondition::Action(texts(&["read", "read", "match"]))),
            (SearchCondition::Id(texts(&["12", "012", "-3", "x"])), AuditCondition::Seq(vec![12])),
        ] {
            assert_eq!(condition(&given), Some(expected));
        }
        let operations = condition(&tokens(SUBTYPE, &["operation"]));
        assert!(matches!(operations, Some(AuditCondition::NotAction(codes)) if codes.contains(&"read".to_owned())));
        let missing = |is_missing| condition(&SearchCondition::Missing { parameters: vec![DATE], is_missing });
        assert_eq!((missing(true), missing(false)), (Some(AuditCondition::Seq(Vec::new())), None));
    }

    #[test]
    fn what_events_are_about_is_named_by_type_and_id() {
        let value = |text: &str| vec![Token::Value(text.to_owned())];
        assert_eq!(subjects_of(&[PATIENT], &value("a"), "http://h/fhir"), ["Patient/a"]);
        assert!(subjects_of(&[ENTITY], &value("a"), "http://h/fhir").contains(&"Organization/a".to_owned()));
        let typed = vec![Token::SystemValue { system: "Task".to_owned(), value: "t".to_owned() }];
        assert_eq!(subjects_of(&[ENTITY], &typed, "http://h/fhir"), ["Task/t"]);
        let url = vec![Token::ValueWithoutSystem("http://elsewhere/Patient/a".to_owned())];
        assert!(subjects_of(&[PATIENT], &url, "http://h/fhir").is_empty());
    }
}
