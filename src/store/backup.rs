//! Everything that a backup holds: every row that cannot be made again from others, read in pages and written back.
//!
//! Why here and not the databases' own tools: one file serves both databases and proves itself. Search values are made
//! again from the documents, what audit rows are about from the rows; secrets, exports in progress and the schema's own table do not leave. The order is the one
//! in which rows refer to each other: identities, then each resource with its versions, record and reviews, then the
//! logs, then what stewards decided, then clients, signing keys and accounts of people. Access tokens and what they came from,
//! sessions, used ids and counts of failed sign-ins do not leave either: a restored store knows no token, so that none comes back
//! that was revoked; nor do budgets, whose keys only the secret tells. Not here: the file and what must hold in it (see
//! `app::backup`), transactions.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::audit::{self, AuditRow};
use super::audit_seal;
use super::audit_subject;
use super::client::{self, ClientRow, Inserted};
use super::connection::Connection;
use super::constraint;
use super::dialect;
use super::error::StoreError;
use super::identity::IdentityRow;
use super::identity_history::{self, AssignmentRow, MergedRow};
use super::load_progress::LoadProgress;
use super::person_account::{self, PersonAccountRow};
use super::record::{self, RecordRow};
use super::resource::{Older, Resource, current, older};
use super::review::ReviewRow;
use super::schema::{
    audit as audits, audit_seal as audit_seals, change, client as clients, identity, identity_history as histories,
    load_progress, merged_identity, person_account as accounts, record as records, record_constraint, resource,
    resource_history, review, signing_key as signing_keys, steward_decision,
};
use super::signing_key::{self, SigningKeyRow};
use super::steward::{self, ConstraintRow, DecisionRow};
use crate::audit::chain::Seal;
use crate::fhir::label::is_restricted_document;
use crate::fhir::search_parameter::SearchValues;

/// Rows read at a time; a body can have the size of a request.
const PAGE_ROWS: u32 = 200;
/// Resources with more versions are read one by one.
const VERSIONS_TOGETHER_MAX: i64 = 4;

/// A table whose rows a backup holds, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Identity,
    ResourceHistory,
    Resource,
    Record,
    Review,
    Change,
    Audit,
    AuditSeal,
    LoadProgress,
    StewardDecision,
    RecordConstraint,
    IdentityHistory,
    MergedIdentity,
    Client,
    SigningKey,
    PersonAccount,
}

impl Table {
    pub const ALL: [Self; 16] = [
        Self::Identity,
        Self::ResourceHistory,
        Self::Resource,
        Self::Record,
        Self::Review,
        Self::Change,
        Self::Audit,
        Self::AuditSeal,
        Self::LoadProgress,
        Self::StewardDecision,
        Self::RecordConstraint,
        Self::IdentityHistory,
        Self::MergedIdentity,
        Self::Client,
        Self::SigningKey,
        Self::PersonAccount,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ResourceHistory => "resource_history",
            Self::Resource => "resource",
            Self::Record => "record",
            Self::Review => "review",
            Self::Change => "change",
            Self::Audit => "audit",
            Self::AuditSeal => "audit_seal",
            Self::LoadProgress => "load_progress",
            Self::StewardDecision => "steward_decision",
            Self::RecordConstraint => "record_constraint",
            Self::IdentityHistory => "identity_history",
            Self::MergedIdentity => "merged_identity",
            Self::Client => "client",
            Self::SigningKey => "signing_key",
            Self::PersonAccount => "person_account",
        }
    }
}

/// A row of one of the tables, and how it is written: `{"table":{"column":value,…}}`. Names of columns are part of the
/// format of backups; a new one needs a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    Identity(IdentityRow),
    /// A version that is no longer current, before the current one.
    ResourceHistory(Resource),
    Resource(Resource),
    Record(RecordRow),
    Review(ReviewRow),
    Change(ChangeEntry),
    Audit(AuditRow),
    AuditSeal(Seal),
    LoadProgress(LoadProgress),
    StewardDecision(DecisionRow),
    RecordConstraint(ConstraintRow),
    IdentityHistory(AssignmentRow),
    MergedIdentity(MergedRow),
    Client(Box<ClientRow>),
    SigningKey(SigningKeyRow),
    PersonAccount(PersonAccountRow),
}

impl Row {
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Identity(_) => Table::Identity,
            Self::ResourceHistory(_) => Table::ResourceHistory,
            Self::Resource(_) => Table::Resource,
            Self::Record(_) => Table::Record,
            Self::Review(_) => Table::Review,
            Self::Change(_) => Table::Change,
            Self::Audit(_) => Table::Audit,
            Self::AuditSeal(_) => Table::AuditSeal,
            Self::LoadProgress(_) => Table::LoadProgress,
            Self::StewardDecision(_) => Table::StewardDecision,
            Self::RecordConstraint(_) => Table::RecordConstraint,
            Self::IdentityHistory(_) => Table::IdentityHistory,
            Self::MergedIdentity(_) => Table::MergedIdentity,
            Self::Client(_) => Table::Client,
            Self::SigningKey(_) => Table::SigningKey,
            Self::PersonAccount(_) => Table::PersonAccount,
        }
    }
}

/// An entry of the change log by itself.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = change)]
#[serde(deny_unknown_fields)]
pub struct ChangeEntry {
    pub seq: i64,
    pub record_id: String,
    #[serde(default)]
    pub binds: bool,
}

/// How many rows a table has.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection, table: Table) -> Result<u64, StoreError> {
    let rows: i64 = match table {
        Table::Identity => identity::table.count().get_result(connection)?,
        Table::ResourceHistory => resource_history::table.count().get_result(connection)?,
        Table::Resource => resource::table.count().get_result(connection)?,
        Table::Record => records::table.count().get_result(connection)?,
        Table::Review => review::table.count().get_result(connection)?,
        Table::Change => change::table.count().get_result(connection)?,
        Table::Audit => audits::table.count().get_result(connection)?,
        Table::AuditSeal => audit_seals::table.count().get_result(connection)?,
        Table::LoadProgress => load_progress::table.count().get_result(connection)?,
        Table::StewardDecision => steward_decision::table.count().get_result(connection)?,
        Table::RecordConstraint => record_constraint::table.count().get_result(connection)?,
        Table::IdentityHistory => histories::table.count().get_result(connection)?,
        Table::MergedIdentity => merged_identity::table.count().get_result(connection)?,
        Table::Client => clients::table.count().get_result(connection)?,
        Table::SigningKey => signing_keys::table.count().get_result(connection)?,
        Table::PersonAccount => accounts::table.count().get_result(connection)?,
    };
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// Hands every row to `sink`, in the order of the file. The caller has begun one snapshot for all of them.
///
/// # Errors
/// Those of the database and of `sink`.
pub fn each_row<E: From<StoreError>>(
    connection: &mut Connection,
    mut sink: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    pages(|after: Option<&IdentityRow>| identities(connection, after), |row| sink(Row::Identity(row)))?;
    let mut after = 0;
    loop {
        let page = resources(connection, after)?;
        let Some(last) = page.last() else { break };
        after = last.number;
        resource_groups(connection, page, &mut sink)?;
    }
    pages(|after: Option<&ChangeEntry>| changes(connection, after), |row| sink(Row::Change(row)))?;
    let audits = |after: Option<&AuditRow>| audit::list_after(connection, after.map_or(0, |row| row.seq), PAGE_ROWS);
    pages(audits, |row| sink(Row::Audit(row)))?;
    let seals =
        |after: Option<&Seal>| audit_seal::list_after(connection, after.map_or(0, |seal| seal.number), PAGE_ROWS);
    pages(seals, |seal| sink(Row::AuditSeal(seal)))?;
    pages(|after: Option<&LoadProgress>| loads(connection, after), |row| sink(Row::LoadProgress(row)))?;
    each_identity_row(connection, &mut sink)?;
    each_authorization_row(connection, sink)
}

/// Who may ask for tokens, what they are signed with, and who signs in.
fn each_authorization_row<E: From<StoreError>>(
    connection: &mut Connection,
    mut sink: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let after_id = |after: Option<&ClientRow>| after.map_or_else(String::new, |row| row.client_id.clone());
    pages(|after| client::list_after(connection, &after_id(after), PAGE_ROWS), |row| sink(Row::Client(Box::new(row))))?;
    // They are few.
    let mut keys = signing_key::list(connection)?;
    keys.reverse();
    keys.into_iter().try_for_each(|row| sink(Row::SigningKey(row)))?;
    let after_id = |after: Option<&PersonAccountRow>| after.map_or_else(String::new, |row| row.account_id.clone());
    let accounts =
        |after: Option<&PersonAccountRow>| person_account::list_after(connection, &after_id(after), PAGE_ROWS);
    pages(accounts, |row| sink(Row::PersonAccount(row)))
}

/// What stewards decided, and where records were before.
fn each_identity_row<E: From<StoreError>>(
    connection: &mut Connection,
    mut sink: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    pages(|after| steward::list_decisions_by_id(connection, after, PAGE_ROWS), |row| sink(Row::StewardDecision(row)))?;
    pages(|after| steward::list_constraints(connection, after, PAGE_ROWS), |row| sink(Row::RecordConstraint(row)))?;
    pages(|after| identity_history::list(connection, after, PAGE_ROWS), |row| sink(Row::IdentityHistory(row)))?;
    pages(|after| identity_history::list_merged(connection, after, PAGE_ROWS), |row| sink(Row::MergedIdentity(row)))
}

/// Reads page after page until one is empty.
fn pages<T, E: From<StoreError>>(
    mut read: impl FnMut(Option<&T>) -> Result<Vec<T>, StoreError>,
    mut sink: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut page = read(None)?;
    while let Some(last) = page.last() {
        let next = read(Some(last))?;
        for row in std::mem::replace(&mut page, next) {
            sink(row)?;
        }
    }
    Ok(())
}

/// Each resource with what belongs to it.
fn resource_groups<E: From<StoreError>>(
    connection: &mut Connection,
    page: Vec<Resource>,
    sink: &mut impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let mut older = few_older_versions(connection, &page)?;
    let ids: Vec<&str> = page.iter().map(|resource| resource.id.as_str()).collect();
    let found = record::find_many(connection, &ids)?;
    let mut records: HashMap<String, RecordRow> = found.into_iter().map(|row| (row.id.clone(), row)).collect();
    let mut reviews: HashMap<String, Vec<ReviewRow>> = HashMap::new();
    for row in super::review::list_of_records(connection, &ids)? {
        reviews.entry(row.record_id.clone()).or_default().push(row);
    }
    for resource in page {
        if resource.version > VERSIONS_TOGETHER_MAX {
            pages(
                |after: Option<&Resource>| older_versions(connection, &resource, after),
                |row| sink(Row::ResourceHistory(row)),
            )?;
        }
        for row in older.remove(&resource.number).unwrap_or_default() {
            sink(Row::ResourceHistory(row))?;
        }
        let patient_id = (resource.resource_type == "Patient").then(|| resource.id.clone());
        sink(Row::Resource(resource))?;
        let Some(id) = patient_id else { continue };
        if let Some(row) = records.remove(&id) {
            sink(Row::Record(row))?;
        }
        for row in reviews.remove(&id).unwrap_or_default() {
            sink(Row::Review(row))?;
        }
    }
    Ok(())
}

fn identities(connection: &mut Connection, after: Option<&IdentityRow>) -> Result<Vec<IdentityRow>, StoreError> {
    Ok(identity::table
        .filter(identity::id.gt(after.map_or("", |row| row.id.as_str())))
        .order(identity::id)
        .limit(i64::from(PAGE_ROWS))
        .select(IdentityRow::as_select())
        .load(connection)?)
}

fn resources(connection: &mut Connection, after_number: i64) -> Result<Vec<Resource>, StoreError> {
    Ok(current()
        .filter(resource::number.gt(after_number))
        .order(resource::number)
        .limit(i64::from(PAGE_ROWS))
        .load(connection)?)
}

/// The older versions of those resources that have few, in order, by number.
fn few_older_versions(
    connection: &mut Connection,
    page: &[Resource],
) -> Result<HashMap<i64, Vec<Resource>>, StoreError> {
    let mut ids_of_type: HashMap<&str, HashMap<&str, i64>> = HashMap::new();
    for resource in page.iter().filter(|resource| (2..=VERSIONS_TOGETHER_MAX).contains(&resource.version)) {
        ids_of_type.entry(&resource.resource_type).or_default().insert(&resource.id, resource.number);
    }
    let mut found: HashMap<i64, Vec<Resource>> = HashMap::new();
    for (resource_type, numbers) in ids_of_type {
        let versions: Vec<Older> = older()
            .filter(resource_history::resource_type.eq(resource_type))
            .filter(resource_history::id.eq_any(numbers.keys().copied()))
            .order((resource_history::id, resource_history::version))
            .load(connection)?;
        for version in versions {
            let Some(number) = numbers.get(version.id.as_str()).copied() else { continue };
            found.entry(number).or_default().push(version.into_resource(number));
        }
    }
    Ok(found)
}

/// The next older versions of one resource, in order.
fn older_versions(
    connection: &mut Connection,
    resource: &Resource,
    after: Option<&Resource>,
) -> Result<Vec<Resource>, StoreError> {
    let versions: Vec<Older> = older()
        .filter(resource_history::resource_type.eq(&resource.resource_type))
        .filter(resource_history::id.eq(&resource.id))
        .filter(resource_history::version.gt(after.map_or(0, |row| row.version)))
        .order(resource_history::version)
        .limit(i64::from(PAGE_ROWS))
        .load(connection)?;
    Ok(versions.into_iter().map(|version| version.into_resource(resource.number)).collect())
}

fn changes(connection: &mut Connection, after: Option<&ChangeEntry>) -> Result<Vec<ChangeEntry>, StoreError> {
    Ok(change::table
        .filter(change::seq.gt(after.map_or(0, |row| row.seq)))
        .order(change::seq)
        .limit(i64::from(PAGE_ROWS))
        .select(ChangeEntry::as_select())
        .load(connection)?)
}

fn loads(connection: &mut Connection, after: Option<&LoadProgress>) -> Result<Vec<LoadProgress>, StoreError> {
    Ok(load_progress::table
        .filter(load_progress::key.gt(after.map_or("", |row| row.key.as_str())))
        .order(load_progress::key)
        .limit(i64::from(PAGE_ROWS))
        .select(LoadProgress::as_select())
        .load(connection)?)
}

/// Keeps everyone else from writing until the transaction ends.
///
/// # Errors
/// `Unavailable` when others do not finish their writes.
pub fn lock_tables(connection: &mut Connection) -> Result<(), StoreError> {
    dialect::restore::lock_tables(connection)
}

/// Whether none of the tables has a row.
///
/// # Errors
/// Those of the database.
pub fn is_empty(connection: &mut Connection) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if count(connection, table)? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Rows to write back, by table.
#[derive(Debug, Default)]
pub struct Rows {
    identities: Vec<IdentityRow>,
    resources: Vec<(Resource, SearchValues)>,
    older: Vec<Resource>,
    records: Vec<RecordRow>,
    reviews: Vec<ReviewRow>,
    changes: Vec<ChangeEntry>,
    audits: Vec<AuditRow>,
    seals: Vec<Seal>,
    loads: Vec<LoadProgress>,
    decisions: Vec<DecisionRow>,
    constraints: Vec<ConstraintRow>,
    assignments: Vec<AssignmentRow>,
    merged: Vec<MergedRow>,
    clients: Vec<ClientRow>,
    keys: Vec<SigningKeyRow>,
    accounts: Vec<PersonAccountRow>,
}

impl Rows {
    /// `search`: what the document of a current resource is found by.
    pub fn push(&mut self, row: Row, search: SearchValues) {
        match row {
            Row::Identity(row) => self.identities.push(row),
            Row::ResourceHistory(row) => self.older.push(row),
            Row::Resource(row) => self.resources.push((row, search)),
            Row::Record(row) => self.records.push(row),
            Row::Review(row) => self.reviews.push(row),
            Row::Change(row) => self.changes.push(row),
            Row::Audit(row) => self.audits.push(row),
            Row::AuditSeal(seal) => self.seals.push(seal),
            Row::LoadProgress(row) => self.loads.push(row),
            Row::StewardDecision(row) => self.decisions.push(row),
            Row::RecordConstraint(row) => self.constraints.push(row),
            Row::IdentityHistory(row) => self.assignments.push(row),
            Row::MergedIdentity(row) => self.merged.push(row),
            Row::Client(row) => self.clients.push(*row),
            Row::SigningKey(row) => self.keys.push(row),
            Row::PersonAccount(row) => self.accounts.push(row),
        }
    }
}

/// Writes rows as they were, numbers included; their order among each other is that of the references.
///
/// # Errors
/// `Conflict` when a row is there already; `Other` when it refers to what is not there.
pub fn insert(connection: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    dialect::insert_identities(connection, &rows.identities)?;
    super::resource::insert_numbered(connection, &rows.resources)?;
    dialect::restore::insert_history(connection, &rows.older)?;
    let restricted = rows.older.iter().filter(|row| !row.deleted && is_restricted_document(&row.body));
    constraint::insert_restricted(connection, restricted.map(Resource::named))?;
    dialect::upsert_records(connection, &rows.records)?;
    dialect::upsert_reviews(connection, &rows.reviews)?;
    dialect::restore::insert_change_entries(connection, &rows.changes)?;
    dialect::restore::insert_audit_rows(connection, &rows.audits)?;
    audit_subject::insert_many(connection, &audit_subject::of_rows(&rows.audits))?;
    for seal in &rows.seals {
        audit_seal::insert(connection, seal)?;
    }
    for row in &rows.loads {
        dialect::upsert_load_progress(connection, row)?;
    }
    for row in &rows.decisions {
        steward::insert_decision(connection, row)?;
    }
    steward::insert_constraints(connection, &rows.constraints)?;
    for row in &rows.assignments {
        identity_history::insert(connection, row)?;
    }
    for row in &rows.merged {
        identity_history::insert_merged(connection, row)?;
    }
    for row in &rows.clients {
        if client::insert(connection, row)? == Inserted::Taken {
            return Err(StoreError::Conflict("client".to_owned()));
        }
    }
    for row in &rows.keys {
        signing_key::insert(connection, row)?;
    }
    for row in &rows.accounts {
        person_account::insert(connection, row)?;
    }
    Ok(())
}

/// Lets numbering go on after the numbers that were written back.
///
/// # Errors
/// Those of the database.
pub fn continue_numbering(connection: &mut Connection) -> Result<(), StoreError> {
    dialect::restore::continue_numbering(connection)
}
