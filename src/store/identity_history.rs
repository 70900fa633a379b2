//! Where records were before: assignments that are no longer current, and identities that became part of others.
//!
//! The current assignment of a record is in [`super::record`]; a row here is written when it ends. Numbers are given under
//! the identity lock ([`super::transaction::lock_identities`]). Not here: why a record was moved.

use diesel::dsl::max;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::StoreError;
use super::record::RecordRow;
use super::schema::{identity_history, merged_identity};

/// An assignment that has ended.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = identity_history)]
#[serde(deny_unknown_fields)]
pub struct AssignmentRow {
    pub seq: i64,
    pub record_id: String,
    pub identity_id: String,
    pub model_version: String,
    pub probability: Option<f64>,
    pub assigned_us: i64,
    pub decision_id: Option<String>,
    pub until_us: i64,
}

/// An identity that has become part of another one.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = merged_identity)]
#[serde(deny_unknown_fields)]
pub struct MergedRow {
    pub id: String,
    pub survivor_id: String,
    pub merged_us: i64,
}

/// Notes that the assignments in `records` end at `until_us`.
///
/// # Errors
/// `Conflict` when somebody wrote without the lock.
pub fn end(connection: &mut Connection, records: &[RecordRow], until_us: i64) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let last = identity_history::table.select(max(identity_history::seq)).first::<Option<i64>>(connection)?;
    for (seq, record) in (last.unwrap_or(0) + 1..).zip(records) {
        let row = AssignmentRow {
            seq,
            record_id: record.id.clone(),
            identity_id: record.identity_id.clone(),
            model_version: record.model_version.clone(),
            probability: record.probability,
            assigned_us: record.assigned_us,
            decision_id: record.decision_id.clone(),
            until_us,
        };
        insert(connection, &row)?;
    }
    Ok(())
}

/// # Errors
/// `Conflict` when the number is given.
pub(super) fn insert(connection: &mut Connection, row: &AssignmentRow) -> Result<(), StoreError> {
    diesel::insert_into(identity_history::table).values(row).execute(connection)?;
    Ok(())
}

/// Up to `rows_max` ended assignments of a record, oldest first.
///
/// # Errors
/// Those of the database.
pub fn list_of_record(
    connection: &mut Connection,
    record_id: &str,
    rows_max: u32,
) -> Result<Vec<AssignmentRow>, StoreError> {
    Ok(identity_history::table
        .filter(identity_history::record_id.eq(record_id))
        .order(identity_history::seq)
        .limit(i64::from(rows_max))
        .select(AssignmentRow::as_select())
        .load(connection)?)
}

/// Up to `rows_max` ended assignments to an identity, oldest first.
///
/// # Errors
/// Those of the database.
pub fn list_of_identity(
    connection: &mut Connection,
    identity_id: &str,
    rows_max: u32,
) -> Result<Vec<AssignmentRow>, StoreError> {
    Ok(identity_history::table
        .filter(identity_history::identity_id.eq(identity_id))
        .order(identity_history::seq)
        .limit(i64::from(rows_max))
        .select(AssignmentRow::as_select())
        .load(connection)?)
}

/// Notes that an identity has become part of another one.
///
/// # Errors
/// `Conflict` when it has already.
pub fn insert_merged(connection: &mut Connection, row: &MergedRow) -> Result<(), StoreError> {
    diesel::insert_into(merged_identity::table).values(row).execute(connection)?;
    Ok(())
}

/// Forgets that an identity was part of another one: it is there again.
///
/// # Errors
/// Those of the database.
pub fn delete_merged(connection: &mut Connection, id: &str) -> Result<(), StoreError> {
    diesel::delete(merged_identity::table.find(id)).execute(connection)?;
    Ok(())
}

/// What an identity has become part of.
///
/// # Errors
/// Those of the database.
pub fn find_merged(connection: &mut Connection, id: &str) -> Result<Option<MergedRow>, StoreError> {
    Ok(merged_identity::table.find(id).select(MergedRow::as_select()).first(connection).optional()?)
}

/// Identities that have become part of `id`, also by way of others, in the order of their ids; `ids_max` at most.
///
/// # Errors
/// Those of the database.
pub fn list_merged_into(connection: &mut Connection, id: &str, ids_max: usize) -> Result<Vec<String>, StoreError> {
    let (mut found, mut survivors) = (Vec::new(), vec![id.to_owned()]);
    while let Some(survivor) = survivors.pop().filter(|_| found.len() < ids_max) {
        let of_survivor = merged_identity::table.filter(merged_identity::survivor_id.eq(&survivor));
        let ids: Vec<String> = of_survivor.select(merged_identity::id).load(connection)?;
        survivors.extend(ids.iter().cloned());
        found.extend(ids);
    }
    found.sort_unstable();
    found.truncate(ids_max);
    Ok(found)
}

/// Forgets the identities that were part of one that has gone, and those that were part of them.
///
/// # Errors
/// Those of the database.
pub fn forget_survivor(connection: &mut Connection, id: &str) -> Result<(), StoreError> {
    let mut gone = vec![id.to_owned()];
    while let Some(survivor) = gone.pop() {
        let of_survivor = merged_identity::table.filter(merged_identity::survivor_id.eq(&survivor));
        let ids: Vec<String> = of_survivor.select(merged_identity::id).load(connection)?;
        if !ids.is_empty() {
            diesel::delete(merged_identity::table.filter(merged_identity::survivor_id.eq(&survivor)))
                .execute(connection)?;
        }
        gone.extend(ids);
    }
    Ok(())
}

/// Up to `rows_max` rows after one, in order: for a backup.
pub(super) fn list(
    connection: &mut Connection,
    after: Option<&AssignmentRow>,
    rows_max: u32,
) -> Result<Vec<AssignmentRow>, StoreError> {
    Ok(identity_history::table
        .filter(identity_history::seq.gt(after.map_or(0, |row| row.seq)))
        .order(identity_history::seq)
        .limit(i64::from(rows_max))
        .select(AssignmentRow::as_select())
        .load(connection)?)
}

/// Up to `rows_max` rows after one, in order: for a backup.
pub(super) fn list_merged(
    connection: &mut Connection,
    after: Option<&MergedRow>,
    rows_max: u32,
) -> Result<Vec<MergedRow>, StoreError> {
    Ok(merged_identity::table
        .filter(merged_identity::id.gt(after.map_or("", |row| row.id.as_str())))
        .order(merged_identity::id)
        .limit(i64::from(rows_max))
        .select(MergedRow::as_select())
        .load(connection)?)
}
