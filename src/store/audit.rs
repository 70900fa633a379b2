//! Audit rows: appended, never changed.
//!
//! One row per request, in the same transaction as what the request changed. Not here: what a record holds (see
//! [`crate::audit`]).

#![allow(clippy::ref_option_ref, reason = "what the derive makes of an optional text")]

use diesel::dsl::{max, min};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::audit;
use crate::audit::{AuditRecord, Row};

/// An audit row as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    pub seq: i64,
    pub at_us: i64,
    pub request_id: String,
    pub action: String,
    pub outcome: String,
    pub caller: String,
    pub resource_type: Option<String>,
    pub detail: String,
}

impl AuditRow {
    /// The row as the core reads it.
    #[must_use]
    pub fn as_row(&self) -> Row<'_> {
        Row {
            seq: self.seq,
            at_us: self.at_us,
            request_id: &self.request_id,
            action: &self.action,
            outcome: &self.outcome,
            caller: &self.caller,
            resource_type: self.resource_type.as_deref(),
            detail: &self.detail,
        }
    }
}

/// An audit row to write.
#[derive(Debug, Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
pub(super) struct NewAuditRow<'a> {
    pub at_us: i64,
    pub request_id: &'a str,
    pub action: &'a str,
    pub outcome: &'a str,
    pub caller: &'a str,
    pub resource_type: Option<&'a str>,
    pub detail: String,
}

impl<'a> From<&'a AuditRecord> for NewAuditRow<'a> {
    fn from(record: &'a AuditRecord) -> Self {
        Self {
            at_us: record.at_us,
            request_id: &record.request_id,
            action: record.action.code(),
            outcome: record.outcome.code(),
            caller: &record.caller,
            resource_type: record.resource_type.as_deref(),
            detail: record.detail.to_json(),
        }
    }
}

/// Appends the records in this order.
///
/// # Errors
/// Those of the database.
pub fn append(connection: &mut Connection, records: &[AuditRecord]) -> Result<(), StoreError> {
    let rows: Vec<NewAuditRow<'_>> = records.iter().map(NewAuditRow::from).collect();
    dialect::insert_audit_rows(connection, &rows)
}

/// How many rows there are.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(audit::table.count().get_result(connection)?)
}

/// Up to `rows_max` rows after `seq`, in order.
///
/// # Errors
/// Those of the database.
pub fn list_after(connection: &mut Connection, seq: i64, rows_max: u32) -> Result<Vec<AuditRow>, StoreError> {
    Ok(audit::table
        .filter(audit::seq.gt(seq))
        .order(audit::seq)
        .limit(i64::from(rows_max))
        .select(AuditRow::as_select())
        .load(connection)?)
}

/// How many rows there are after `seq`, and when the first of them arrived.
///
/// # Errors
/// Those of the database.
pub fn count_after(connection: &mut Connection, seq: i64) -> Result<(i64, Option<i64>), StoreError> {
    let after = audit::table.filter(audit::seq.gt(seq));
    let rows = after.count().get_result(connection)?;
    Ok((rows, after.select(min(audit::at_us)).first(connection)?))
}

/// The first and the last number of rows that arrived from one time on and before another.
///
/// # Errors
/// Those of the database.
pub fn span(connection: &mut Connection, from_us: i64, before_us: i64) -> Result<Option<(i64, i64)>, StoreError> {
    let within = audit::table.filter(audit::at_us.ge(from_us)).filter(audit::at_us.lt(before_us));
    let (first, last): (Option<i64>, Option<i64>) =
        within.select((min(audit::seq), max(audit::seq))).first(connection)?;
    Ok(first.zip(last))
}

/// Up to `rows_max` rows from one number to another, in order.
///
/// # Errors
/// Those of the database.
pub fn list_between(
    connection: &mut Connection,
    first_seq: i64,
    last_seq: i64,
    rows_max: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    Ok(audit::table
        .filter(audit::seq.between(first_seq, last_seq))
        .order(audit::seq)
        .limit(i64::from(rows_max))
        .select(AuditRow::as_select())
        .load(connection)?)
}

/// The newest rows after `seq`, the newest first; `rows_max` at most.
///
/// # Errors
/// Those of the database.
pub fn list_newest_after(connection: &mut Connection, seq: i64, rows_max: u32) -> Result<Vec<AuditRow>, StoreError> {
    Ok(audit::table
        .filter(audit::seq.gt(seq))
        .order(audit::seq.desc())
        .limit(i64::from(rows_max))
        .select(AuditRow::as_select())
        .load(connection)?)
}

/// The rows of these numbers, in order.
///
/// # Errors
/// Those of the database.
pub fn list_of(connection: &mut Connection, seqs: &[i64]) -> Result<Vec<AuditRow>, StoreError> {
    Ok(audit::table.filter(audit::seq.eq_any(seqs)).order(audit::seq).select(AuditRow::as_select()).load(connection)?)
}
