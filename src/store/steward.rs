//! What stewards have decided, and what must hold between records because of it.
//!
//! A decision stays for ever, also when it was revoked; its constraints go then. Writers hold the identity lock
//! ([`super::transaction::lock_identities`]). Not here: whether a decision can hold beside others.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::{record_constraint, steward_decision};

/// A decision, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = steward_decision)]
#[serde(deny_unknown_fields)]
pub struct DecisionRow {
    pub id: String,
    pub kind: String,
    pub reason: String,
    pub decided_by: String,
    pub decided_us: i64,
    /// What was asked, and the assignments before it, as JSON.
    pub detail: String,
    pub revoked_by: Option<String>,
    pub revoked_us: Option<i64>,
    pub revoked_reason: Option<String>,
}

/// What must hold between two records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = record_constraint)]
#[serde(deny_unknown_fields)]
pub struct ConstraintRow {
    pub record_a: String,
    pub record_b: String,
    pub kind: String,
    /// Empty where no steward decided.
    pub decision_id: String,
    pub created_us: i64,
}

/// A record that a steward merged into another one: `record_a` is replaced by `record_b`.
pub const REPLACED_BY: &str = "replaced-by";

/// # Errors
/// `Conflict` when the id exists.
pub fn insert_decision(connection: &mut Connection, row: &DecisionRow) -> Result<(), StoreError> {
    diesel::insert_into(steward_decision::table).values(row).execute(connection)?;
    Ok(())
}

/// The decision of this id.
///
/// # Errors
/// Those of the database.
pub fn find_decision(connection: &mut Connection, id: &str) -> Result<Option<DecisionRow>, StoreError> {
    Ok(steward_decision::table.find(id).select(DecisionRow::as_select()).first(connection).optional()?)
}

/// Notes who revoked a decision and why, and removes its constraints.
///
/// # Errors
/// Those of the database.
pub fn revoke(connection: &mut Connection, id: &str, by: &str, at_us: i64, reason: &str) -> Result<(), StoreError> {
    diesel::update(steward_decision::table.find(id))
        .set((
            steward_decision::revoked_by.eq(by),
            steward_decision::revoked_us.eq(at_us),
            steward_decision::revoked_reason.eq(reason),
        ))
        .execute(connection)?;
    diesel::delete(record_constraint::table.filter(record_constraint::decision_id.eq(id))).execute(connection)?;
    Ok(())
}

/// Up to `decisions_max` decisions before a pair of time and id, newest first. `None` begins at the newest.
///
/// # Errors
/// Those of the database.
pub fn list_decisions(
    connection: &mut Connection,
    before: Option<(i64, &str)>,
    decisions_max: u32,
) -> Result<Vec<DecisionRow>, StoreError> {
    let (time, id) = before.unwrap_or((i64::MAX, ""));
    let earlier = steward_decision::decided_us
        .lt(time)
        .or(steward_decision::decided_us.eq(time).and(steward_decision::id.lt(id)));
    Ok(steward_decision::table
        .filter(earlier)
        .order((steward_decision::decided_us.desc(), steward_decision::id.desc()))
        .limit(i64::from(decisions_max))
        .select(DecisionRow::as_select())
        .load(connection)?)
}

/// The decisions of these ids, in the order of time.
///
/// # Errors
/// Those of the database.
pub fn find_decisions(connection: &mut Connection, ids: &[&str]) -> Result<Vec<DecisionRow>, StoreError> {
    Ok(steward_decision::table
        .filter(steward_decision::id.eq_any(ids))
        .order((steward_decision::decided_us, steward_decision::id))
        .select(DecisionRow::as_select())
        .load(connection)?)
}

/// # Errors
/// `Conflict` when one of them is there.
pub fn insert_constraints(connection: &mut Connection, rows: &[ConstraintRow]) -> Result<(), StoreError> {
    dialect::insert_constraints(connection, rows)
}

/// Every constraint that names one of the records.
///
/// # Errors
/// Those of the database.
pub fn list_constraints_of(connection: &mut Connection, record_ids: &[&str]) -> Result<Vec<ConstraintRow>, StoreError> {
    let mut rows: Vec<ConstraintRow> = record_constraint::table
        .filter(record_constraint::record_a.eq_any(record_ids))
        .select(ConstraintRow::as_select())
        .load(connection)?;
    let others = record_constraint::table.filter(record_constraint::record_b.eq_any(record_ids));
    rows.extend(others.select(ConstraintRow::as_select()).load(connection)?);
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// The record into which a steward has merged this one.
///
/// # Errors
/// Those of the database.
pub fn find_survivor(connection: &mut Connection, record_id: &str) -> Result<Option<String>, StoreError> {
    Ok(record_constraint::table
        .filter(record_constraint::record_a.eq(record_id))
        .filter(record_constraint::kind.eq(REPLACED_BY))
        .select(record_constraint::record_b)
        .first(connection)
        .optional()?)
}

/// Every constraint that a decision has made.
///
/// # Errors
/// Those of the database.
pub fn list_constraints_by(connection: &mut Connection, decision_id: &str) -> Result<Vec<ConstraintRow>, StoreError> {
    Ok(record_constraint::table
        .filter(record_constraint::decision_id.eq(decision_id))
        .order((record_constraint::record_a, record_constraint::record_b))
        .select(ConstraintRow::as_select())
        .load(connection)?)
}

/// Up to `constraints_max` constraints after one, in the order of their keys.
///
/// # Errors
/// Those of the database.
pub fn list_constraints(
    connection: &mut Connection,
    after: Option<&ConstraintRow>,
    constraints_max: u32,
) -> Result<Vec<ConstraintRow>, StoreError> {
    use record_constraint::{decision_id, kind, record_a, record_b};
    let text = |of: fn(&ConstraintRow) -> &String| after.map_or("", |row| of(row).as_str());
    let (a, b) = (text(|row| &row.record_a), text(|row| &row.record_b));
    let (k, d) = (text(|row| &row.kind), text(|row| &row.decision_id));
    let later = record_a.gt(a).or(record_a
        .eq(a)
        .and(record_b.gt(b).or(record_b.eq(b).and(kind.gt(k).or(kind.eq(k).and(decision_id.gt(d)))))));
    Ok(record_constraint::table
        .filter(record_a.ge(a))
        .filter(later)
        .order((record_a, record_b, kind, decision_id))
        .limit(i64::from(constraints_max))
        .select(ConstraintRow::as_select())
        .load(connection)?)
}

/// Up to `decisions_max` decisions after an id, in the order of ids: for a backup.
///
/// # Errors
/// Those of the database.
pub(super) fn list_decisions_by_id(
    connection: &mut Connection,
    after: Option<&DecisionRow>,
    decisions_max: u32,
) -> Result<Vec<DecisionRow>, StoreError> {
    Ok(steward_decision::table
        .filter(steward_decision::id.gt(after.map_or("", |row| row.id.as_str())))
        .order(steward_decision::id)
        .limit(i64::from(decisions_max))
        .select(DecisionRow::as_select())
        .load(connection)?)
}
