//! Which audit rows are about what: made from the rows when they are sealed, so that no request writes it.
//!
//! Rows that are not sealed yet are not here; whoever asks looks through them too. Not here: what a row is about (see
//! [`crate::audit::subject`]).

use diesel::prelude::*;

use super::audit::AuditRow;
use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::audit_subject;
use crate::audit::subject::subjects;

/// A row of the audit and one of the things that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = audit_subject)]
pub struct SubjectRow {
    pub subject: String,
    pub seq: i64,
}

/// Notes what rows are about; what is there already stays.
///
/// # Errors
/// Those of the database.
pub fn insert_many(connection: &mut Connection, rows: &[SubjectRow]) -> Result<(), StoreError> {
    dialect::insert_audit_subjects(connection, rows)
}

/// Numbers of the newest rows that are about any of `subjects`, descending, each once; `rows_max` at most.
///
/// # Errors
/// Those of the database.
pub fn list_seqs(connection: &mut Connection, subjects: &[&str], rows_max: u32) -> Result<Vec<i64>, StoreError> {
    Ok(audit_subject::table
        .filter(audit_subject::subject.eq_any(subjects))
        .select(audit_subject::seq)
        .distinct()
        .order(audit_subject::seq.desc())
        .limit(i64::from(rows_max))
        .load(connection)?)
}

/// What rows are about.
#[must_use]
pub fn of_rows(rows: &[AuditRow]) -> Vec<SubjectRow> {
    let of_row = |row: &AuditRow| {
        let seq = row.seq;
        subjects(&row.as_row()).into_iter().map(move |subject| SubjectRow { subject, seq })
    };
    rows.iter().flat_map(of_row).collect()
}
