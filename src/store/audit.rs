//! Audit rows: appended, never changed.
//!
//! One row per request, in the same transaction as what the request changed. Not here: what a record holds (see
//! [`crate::audit`]).

#![allow(clippy::ref_option_ref, reason = "what the derive makes of an optional text")]

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::audit;
use crate::audit::AuditRecord;

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
