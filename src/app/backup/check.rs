//! What must hold in a backup: each row by itself, and the rows among each other.
//!
//! A row is judged on any thread ([`judge`]); what it says of others is checked in the order of the file ([`Checker`]).
//! Versions have no gap and end with the current one, every record has its Patient and its identity, reviews and changes
//! refer to what exists. Memory: eight bytes an identity and a resource (a hash of the id), and one resource at a time.
//! Not here: the file (see `file`).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::file::Line;
use super::{Problem, ProblemKind};
use crate::app::STORED_LIMITS;
use crate::app::clock::instant;
use crate::app::rules::Rules;
use crate::fhir::issue::Severity;
use crate::fhir::json::{Value, parse};
use crate::fhir::search_parameter::{SearchValues, search_values};
use crate::identity::constraint::Kind;
use crate::matching::record::{NORMALISER_VERSION, Record};
use crate::store::backup::{Row, Table};
use crate::store::identity_history::AssignmentRow;
use crate::store::record::RecordRow;
use crate::store::resource::Resource;
use crate::store::review::ReviewRow;
use crate::store::steward::{ConstraintRow, REPLACED_BY};

/// A line, read and judged by itself.
#[derive(Debug)]
pub struct Judged {
    pub line: u64,
    /// None when the line is no row.
    pub row: Option<Row>,
    /// What the document of a current resource is found by.
    pub search: SearchValues,
    pub problems: Vec<Problem>,
}

/// What documents are judged by, and which absolute references are this server's own.
#[derive(Clone, Copy)]
pub struct Judge<'r> {
    pub rules: &'r Rules,
    pub base_url: &'r str,
}

/// Reads a line and checks what can be checked without the others.
#[must_use]
pub fn judge(line: &Line, by: Judge<'_>) -> Judged {
    let row = serde_json::from_slice(&line.text).ok();
    let mut judged = Judged { line: line.number, row: None, search: SearchValues::default(), problems: Vec::new() };
    match &row {
        None => judged.damage("not a row of this format".to_owned()),
        Some(Row::Resource(resource) | Row::ResourceHistory(resource)) => judged.document(resource, by),
        Some(Row::Record(record)) => judged.features(record),
        Some(Row::Audit(audit)) if serde_json::from_str::<serde::de::IgnoredAny>(&audit.detail).is_err() => {
            judged.damage("the detail of an audit row is no JSON".to_owned());
        }
        Some(_) => {}
    }
    judged.row = row;
    judged
}

impl Judged {
    fn damage(&mut self, text: String) {
        self.problems.push(Problem { line: self.line, kind: ProblemKind::Damage, text });
    }

    fn document(&mut self, resource: &Resource, by: Judge<'_>) {
        let name = name_of(resource);
        if resource.deleted {
            if !resource.body.is_empty() {
                self.damage(format!("{name}: a deleted version has a document"));
            }
            return;
        }
        let Ok(document) = parse(resource.body.as_bytes(), &STORED_LIMITS) else {
            return self.damage(format!("{name}: the document is no JSON"));
        };
        if !is_of(resource, &document) {
            self.damage(format!("{name}: the document's type, id, version or time is another"));
        }
        let issues = by.rules.profiles.validate_base(&document);
        if let Some(issue) = issues.iter().find(|issue| issue.severity <= Severity::Error) {
            let text = format!("{name}: {} at {}", issue.diagnostics, issue.expression.join(", "));
            self.problems.push(Problem { line: self.line, kind: ProblemKind::Shape, text });
        }
        self.search = search_values(&document, by.base_url);
    }

    fn features(&mut self, record: &RecordRow) {
        // Those of another normaliser are made again at the next start.
        if record.normaliser == NORMALISER_VERSION && Record::decode(&record.features).is_err() {
            self.damage(format!("record {}: its features cannot be read", record.id));
        }
    }
}

fn name_of(resource: &Resource) -> String {
    format!("{}/{} version {}", resource.resource_type, resource.id, resource.version)
}

/// Whether the document says of itself what its row says.
fn is_of(resource: &Resource, document: &Value<'_>) -> bool {
    let meta = document.get("meta");
    let of_meta = |name| meta.and_then(|meta| meta.text(name));
    document.text("resourceType") == Some(resource.resource_type.as_str())
        && document.text("id") == Some(resource.id.as_str())
        && of_meta("versionId") == Some(resource.version.to_string().as_str())
        && of_meta("lastUpdated") == Some(instant(resource.updated_us).as_str())
}

/// Checks rows against those before them.
#[derive(Default)]
pub struct Checker {
    table: Option<Table>,
    identities: HashSet<u64>,
    resources: HashSet<u64>,
    last_identity: String,
    last_number: i64,
    last_change: Option<i64>,
    last_audit: i64,
    last_seal: i64,
    last_load: Option<String>,
    decisions: HashSet<u64>,
    last_decision: Option<String>,
    last_constraint: Option<ConstraintKey>,
    last_assignment: i64,
    last_merged: Option<String>,
    last_client: Option<String>,
    last_key: Option<(i64, String)>,
    last_account: Option<String>,
    group: Group,
}

/// A resource whose rows are being read.
#[derive(Default)]
struct Group {
    line: u64,
    resource_type: String,
    id: String,
    number: i64,
    version: i64,
    stage: Stage,
    last_review: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// No resource has begun.
    #[default]
    None,
    /// Older versions only.
    Older,
    /// The current version; no record may follow it.
    Complete,
    /// A current Patient whose record must follow.
    WantsRecord,
    /// Its record; reviews may follow.
    HasRecord,
}

/// What is wrong with a row among the others, or nothing.
type Found = Result<(), String>;

impl Checker {
    /// Checks the next row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, line: u64, row: &Row) -> Found {
        self.order(row.table())?;
        match row {
            Row::Identity(row) => {
                ascending(&mut self.last_identity, &row.id)?;
                self.identities.insert(hash(&row.id));
                Ok(())
            }
            Row::ResourceHistory(row) => self.older(line, row),
            Row::Resource(row) => self.current(line, row),
            Row::Record(row) => self.record(row),
            Row::Review(row) => self.review(row),
            Row::Change(row) => {
                if self.last_change.is_some_and(|last| row.seq != last + 1) || row.seq < 1 {
                    return Err(format!("change {}: the log has a gap before it", row.seq));
                }
                self.last_change = Some(row.seq);
                let is_known = self.resources.contains(&hash(&("Patient", row.record_id.as_str())));
                if is_known { Ok(()) } else { Err(format!("change {}: its record never existed", row.seq)) }
            }
            Row::Audit(row) if row.seq <= self.last_audit => Err("audit rows are not in order".to_owned()),
            Row::Audit(row) => {
                self.last_audit = row.seq;
                Ok(())
            }
            Row::AuditSeal(seal) => {
                let is_next = seal.number == std::mem::replace(&mut self.last_seal, seal.number) + 1;
                match is_next && seal.last_seq <= self.last_audit {
                    true => Ok(()),
                    false => Err(format!("audit seal {}: the chain has a gap before it", seal.number)),
                }
            }
            Row::LoadProgress(row) => {
                let is_next = self.last_load.as_ref().is_none_or(|last| *last < row.key);
                self.last_load = Some(row.key.clone());
                if is_next { Ok(()) } else { Err("load_progress rows are not in order".to_owned()) }
            }
            Row::StewardDecision(row) => {
                self.decisions.insert(hash(&row.id));
                next(&mut self.last_decision, row.id.clone(), "steward_decision")
            }
            Row::RecordConstraint(row) => self.constraint(row),
            Row::IdentityHistory(row) => self.assignment(row),
            Row::MergedIdentity(row) => {
                if self.identities.contains(&hash(&row.id)) {
                    return Err(format!("merged identity {}: it is there", row.id));
                }
                next(&mut self.last_merged, row.id.clone(), "merged_identity")
            }
            Row::Client(row) => next(&mut self.last_client, row.client_id.clone(), "client"),
            Row::SigningKey(row) => next(&mut self.last_key, (row.created_us, row.kid.clone()), "signing_key"),
            Row::PersonAccount(row) => next(&mut self.last_account, row.account_id.clone(), "person_account"),
        }
    }

    /// Checks that nothing is missing at the end.
    ///
    /// # Errors
    /// What is missing, and the line where it should be.
    pub fn finish(&self) -> Result<(), (u64, String)> {
        self.group.is_whole().map_err(|text| (self.group.line, text))
    }

    /// Tables come one after another; those of a resource come together.
    fn order(&mut self, table: Table) -> Found {
        let stage = |table| match table {
            Table::ResourceHistory | Table::Resource | Table::Record | Table::Review => Table::Resource,
            other => other,
        };
        let before = self.table.replace(table).map(stage);
        if before.is_some_and(|before| before > stage(table)) {
            return Err(format!("a row of {} is not in its place", table.name()));
        }
        // The logs end the last resource.
        if before == Some(Table::Resource) && stage(table) != Table::Resource {
            let whole = self.group.is_whole();
            self.group.stage = Stage::None;
            return whole;
        }
        Ok(())
    }

    /// Begins the next resource with this version of it.
    fn begin(&mut self, line: u64, row: &Resource) -> Found {
        let whole = self.group.is_whole();
        let (resource_type, id) = (row.resource_type.clone(), row.id.clone());
        self.group = Group { line, resource_type, id, number: row.number, ..Group::default() };
        let is_new = self.resources.insert(hash(&(row.resource_type.as_str(), row.id.as_str())));
        let is_next = row.number > std::mem::replace(&mut self.last_number, row.number);
        whole?;
        match (is_new, is_next) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("{}: the resource is there twice", name_of(row))),
            (true, false) => Err(format!("{}: its number is not larger than the one before", name_of(row))),
        }
    }

    fn next_version(&mut self, line: u64, row: &Resource) -> Found {
        let goes_on = self.group.stage == Stage::Older && self.group.is_of(row);
        let begun = if goes_on { Ok(()) } else { self.begin(line, row) };
        let expected = self.group.version + 1;
        self.group.line = line;
        self.group.version = row.version;
        begun?;
        if row.version != expected {
            return Err(format!("{}: version {expected} should stand here", name_of(row)));
        }
        Ok(())
    }

    fn older(&mut self, line: u64, row: &Resource) -> Found {
        let found = self.next_version(line, row);
        self.group.stage = Stage::Older;
        found
    }

    fn current(&mut self, line: u64, row: &Resource) -> Found {
        let found = self.next_version(line, row);
        let is_person = row.resource_type == "Patient" && !row.deleted;
        self.group.stage = if is_person { Stage::WantsRecord } else { Stage::Complete };
        found
    }

    fn record(&mut self, row: &RecordRow) -> Found {
        let Group { stage, id, version, .. } = &self.group;
        if *stage != Stage::WantsRecord || *id != row.id || *version != row.version {
            return Err(format!("record {}: it has no current Patient of its version", row.id));
        }
        self.group.stage = Stage::HasRecord;
        self.check_identity("record", &row.id, &row.identity_id)
    }

    fn review(&mut self, row: &ReviewRow) -> Found {
        let Group { stage, id, last_review, .. } = &mut self.group;
        if *stage != Stage::HasRecord || *id != row.record_id {
            return Err(format!("review of {}: it has no record", row.record_id));
        }
        if last_review.as_ref().is_some_and(|last| *last >= row.identity_id) {
            return Err(format!("review of {}: reviews are not in order", row.record_id));
        }
        *last_review = Some(row.identity_id.clone());
        self.check_identity("review of", &row.record_id, &row.identity_id)
    }

    fn constraint(&mut self, row: &ConstraintRow) -> Found {
        let key = (row.record_a.clone(), row.record_b.clone(), row.kind.clone(), row.decision_id.clone());
        next(&mut self.last_constraint, key, "record_constraint")?;
        let name = format!("constraint of {} and {}", row.record_a, row.record_b);
        if Kind::of(&row.kind).is_none() && row.kind != REPLACED_BY {
            return Err(format!("{name}: its kind is unknown"));
        }
        self.check_decision(&name, Some(row.decision_id.as_str()).filter(|id| !id.is_empty()))
    }

    fn assignment(&mut self, row: &AssignmentRow) -> Found {
        if row.seq <= std::mem::replace(&mut self.last_assignment, row.seq) {
            return Err("identity_history rows are not in order".to_owned());
        }
        self.check_decision(&format!("history of {}", row.record_id), row.decision_id.as_deref())
    }

    fn check_decision(&self, what: &str, decision_id: Option<&str>) -> Found {
        match decision_id.is_none_or(|id| self.decisions.contains(&hash(&id))) {
            true => Ok(()),
            false => Err(format!("{what}: its decision does not exist")),
        }
    }

    fn check_identity(&self, what: &str, id: &str, identity_id: &str) -> Found {
        if self.identities.contains(&hash(&identity_id)) {
            return Ok(());
        }
        Err(format!("{what} {id}: its identity does not exist"))
    }
}

impl Group {
    fn is_of(&self, row: &Resource) -> bool {
        self.number == row.number && self.id == row.id && self.resource_type == row.resource_type
    }

    fn is_whole(&self) -> Found {
        let Self { resource_type, id, .. } = self;
        match self.stage {
            Stage::None | Stage::Complete | Stage::HasRecord => Ok(()),
            Stage::Older => Err(format!("{resource_type}/{id}: the current version is missing")),
            Stage::WantsRecord => Err(format!("{resource_type}/{id}: its record is missing")),
        }
    }
}

/// The columns that a constraint is known by.
type ConstraintKey = (String, String, String, String);

/// Rows of a table are in the order of their keys.
fn next<K: Ord>(last: &mut Option<K>, key: K, table: &str) -> Found {
    let is_next = last.as_ref().is_none_or(|last| *last < key);
    *last = Some(key);
    if is_next { Ok(()) } else { Err(format!("{table} rows are not in order")) }
}

fn ascending(last: &mut String, next: &str) -> Found {
    if last.as_str() >= next {
        return Err("identities are not in order".to_owned());
    }
    next.clone_into(last);
    Ok(())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
