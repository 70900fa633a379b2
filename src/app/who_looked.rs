//! "Who looked at me": every disclosure of one person's records, as AuditEvents, the newest first.
//!
//! Of an identity all records count, as long as they are or were its: of one that was moved to another identity, the time
//! until then; of one that was deleted, all of it. Copies of many people (exports, backups) name nobody; they are shown
//! when they may have held one of the records. Of other people in the same answer nothing is shown. Not here: what a
//! disclosure is (see `audit::subject`), FHIR (see `audit::event`).

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::event::Shown;
use crate::audit::subject::{ANY_PATIENT, is_disclosure, records, stretch};
use crate::audit::{Action, Row};
use crate::fhir::issue::IssueCode;
use crate::fhir::operation_parameters::{Definition, Kind, Occurs};
use crate::store::audit_search::AuditCondition;
use crate::store::identity_history::{self, AssignmentRow};
use crate::store::resource::SearchCondition;
use crate::store::{Connection, record, resource};

use super::App;
use super::audit_event::{check_audit, condition, find_about};
use super::context::Context;
use super::error::AppError;
use super::incoming::check_id;
use super::search::condition::refuse;
use super::search::{AUDIT_EVENT, Handling, Page};
use super::steward::page::ListParameters;
use super::steward::queue::resolve;

/// Ended assignments and merged identities that are looked at, at most.
const ROWS_MAX: u32 = 1_000;

/// Who is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// By one of their records, past ones too.
    OfRecord(String),
    OfIdentity(String),
}

impl Person {
    /// The operation's address under the base URL.
    fn address(&self) -> String {
        match self {
            Self::OfRecord(id) => format!("Patient/{id}/$who-looked"),
            Self::OfIdentity(_) => "Patient/$who-looked".to_owned(),
        }
    }
}

/// The records of a person, each with the times at which it was theirs.
#[derive(Debug, Default)]
struct Records(BTreeMap<String, Theirs>);

#[derive(Debug)]
struct Theirs {
    /// From one time on and before another.
    stays: Vec<(i64, i64)>,
    /// The number of the resource, which exports go by.
    number: Option<i64>,
}

impl App {
    /// A page of the disclosures of one person's records.
    ///
    /// # Errors
    /// `NotFound` when nobody is meant, `Invalid` for parameters that cannot be read, `Forbidden`.
    pub fn who_looked(
        &self,
        ctx: &Context,
        person: &Person,
        asked: &ListParameters,
        handling: Handling,
    ) -> Result<Page, AppError> {
        self.answer(ctx, Action::WhoLooked, |audit| {
            check_audit(ctx)?;
            audit.resource_type = Some("Patient".to_owned());
            let list = person.address();
            let paged = self.read_page_of(ctx, (AUDIT_EVENT, &list), &asked.pairs, handling)?;
            audit.detail.query = Some(paged.asked.names("Patient/$who-looked"));
            let (identity_id, theirs) = find_records(&mut *self.connection()?, person)?;
            audit.detail.identities.extend(identity_id);
            audit.detail.records = theirs.0.keys().cloned().collect();
            let subjects: Vec<String> = theirs.references().into_iter().chain([ANY_PATIENT.to_owned()]).collect();
            let found = find_about(&mut *self.connection()?, &subjects, |row| theirs.were_shown_by(row))?;
            let remark = found.remark();
            let ours = vec![AuditCondition::Seq(found.seqs)];
            let (page, mut paged) = self.find_events(paged, handling, ours, |_, asked, _| match asked {
                SearchCondition::Tokens { .. } | SearchCondition::Missing { .. } => {
                    let text = "Disclosures are searched by _id, date and _lastUpdated alone.";
                    Err(refuse(IssueCode::NotSupported, text, "http"))
                }
                other => Ok(condition(other)),
            })?;
            paged.asked.issues.extend(asked.warnings.iter().cloned().chain(remark));
            self.page_of_events(ctx, &list, &page, paged, Shown::Only(&theirs.references()))
        })
    }
}

impl App {
    /// The pairs that the body of a POST stands for.
    ///
    /// # Errors
    /// `Invalid` for what is no input of the operation.
    pub fn read_who_looked_parameters(&self, body: &[u8]) -> Result<ListParameters, AppError> {
        const fn text(name: &'static str) -> Definition {
            Definition { name, kind: Kind::Text, occurs: Occurs::AtMostOnce }
        }
        const TABLE: &[Definition] = &[
            text("identity"),
            text("date"),
            Definition { name: "_count", kind: Kind::Positive, occurs: Occurs::AtMostOnce },
            text("_page"),
        ];
        self.read_pairs(body, TABLE)
    }
}

/// The identity, where it is still there, and all records that are or were its.
fn find_records(conn: &mut Connection, person: &Person) -> Result<(Option<String>, Records), AppError> {
    let named = match person {
        Person::OfIdentity(id) => id.clone(),
        Person::OfRecord(id) => {
            check_id(id)?;
            find_identity_of(conn, id)?.ok_or_else(|| AppError::not_found("There is no such record."))?
        }
    };
    let identity_id = resolve(conn, &named)?;
    let id = identity_id.clone().unwrap_or(named);
    let mut records = Records::default();
    for row in record::list_of_identities(conn, &[&id])? {
        records.add(&row.id, ALWAYS);
    }
    let merged = identity_history::list_merged_into(conn, &id, ROWS_MAX as usize)?;
    for id in std::iter::once(&id).chain(&merged) {
        for ended in identity_history::list_of_identity(conn, id, ROWS_MAX)? {
            let stay = stay_of(conn, &ended)?;
            records.add(&ended.record_id, stay);
        }
    }
    if records.0.is_empty() {
        return Err(AppError::not_found("There is no such identity."));
    }
    for (id, theirs) in &mut records.0 {
        theirs.number = resource::find(conn, "Patient", id)?.map(|found| found.number);
    }
    Ok((identity_id, records))
}

/// Where a record is, or was last.
fn find_identity_of(conn: &mut Connection, record_id: &str) -> Result<Option<String>, AppError> {
    if let Some(row) = record::find_many(conn, &[record_id])?.pop() {
        return Ok(Some(row.identity_id));
    }
    let ended = identity_history::list_of_record(conn, record_id, ROWS_MAX)?;
    Ok(ended.into_iter().last().map(|row| row.identity_id))
}

/// A record that is nobody else's now was always theirs.
fn stay_of(conn: &mut Connection, ended: &AssignmentRow) -> Result<(i64, i64), AppError> {
    let is_gone = record::find_many(conn, &[&ended.record_id])?.is_empty();
    let last = identity_history::list_of_record(conn, &ended.record_id, ROWS_MAX)?.into_iter().last();
    let was_last_here = last.is_some_and(|last| last.seq == ended.seq);
    Ok(if is_gone && was_last_here { ALWAYS } else { (ended.assigned_us, ended.until_us) })
}

const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

impl Records {
    fn add(&mut self, id: &str, stay: (i64, i64)) {
        self.0.entry(id.to_owned()).or_insert_with(|| Theirs { stays: Vec::new(), number: None }).stays.push(stay);
    }

    fn references(&self) -> BTreeSet<String> {
        self.0.keys().map(|id| format!("Patient/{id}")).collect()
    }

    fn were_shown_by(&self, row: &Row<'_>) -> bool {
        is_disclosure(row) && (self.are_named_by(row) || self.may_be_copied_by(row))
    }

    fn are_named_by(&self, row: &Row<'_>) -> bool {
        let named = records(row);
        let theirs = named.iter().filter_map(|reference| self.0.get(reference.strip_prefix("Patient/")?));
        theirs.into_iter().any(|theirs| theirs.at(row.at_us))
    }

    fn may_be_copied_by(&self, row: &Row<'_>) -> bool {
        match stretch(row) {
            Some(of) => self.0.values().any(|theirs| {
                let is_within =
                    theirs.number.is_some_and(|number| of.after_number < number && number <= of.last_number);
                is_within && theirs.at(of.as_of_us)
            }),
            None => row.action == "backup" && self.0.values().any(|theirs| theirs.at(row.at_us)),
        }
    }
}

impl Theirs {
    fn at(&self, us: i64) -> bool {
        self.stays.iter().any(|(from, until)| (*from..*until).contains(&us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'r>(action: &'r str, at_us: i64, detail: &'r str) -> Row<'r> {
        let (outcome, resource_type) = ("success", Some("Patient"));
        Row { seq: 1, at_us, request_id: "r", action, outcome, caller: "open", resource_type, detail }
    }

    #[test]
    fn a_record_counts_while_it_was_theirs_and_copies_by_their_numbers() {
        let mut ours = Records::default();
        ours.add("mine", ALWAYS);
        ours.add("split", (10, 20));
        ours.0.get_mut("mine").expect("there").number = Some(5);
        ours.0.get_mut("split").expect("there").number = Some(9);
        let named = |id: &str| format!(r#"{{"records":["{id}"]}}"#);
        let stretch = |after: i64, last: i64, at: i64| {
            format!(r#"{{"stretch":{{"after_number":{after},"last_number":{last},"as_of_us":{at}}}}}"#)
        };
        for (action, at_us, detail, expected) in [
            ("read", 1, named("mine"), true),
            ("read", 15, named("split"), true),
            ("read", 20, named("split"), false),
            ("read", 9, named("split"), false),
            ("read", 15, named("other"), false),
            ("update", 1, named("mine"), false),
            ("export", 99, stretch(0, 5, 99), true),
            ("export", 99, stretch(5, 9, 99), false),
            ("export", 99, stretch(5, 9, 15), true),
            ("export", 99, stretch(9, 99, 15), false),
            ("backup", 1, "{}".to_owned(), true),
            ("export", 1, r#"{"job":"j"}"#.to_owned(), false),
        ] {
            assert_eq!(ours.were_shown_by(&row(action, at_us, &detail)), expected, "{action} {at_us} {detail}");
        }
        assert_eq!(ours.references().into_iter().collect::<Vec<_>>(), ["Patient/mine", "Patient/split"]);
    }
}
