//! The change log: which record changed, in the order of commits.
//!
//! `seq` has no gaps: it is given under the identity lock ([`super::transaction::lock_identities`]) as one more than the
//! last one, so a rolled-back transaction leaves none. Whoever has seen everything up to `seq` and asks for what comes
//! after misses nothing. The last row must stay for ever. Not here: following the log.

use diesel::dsl::max;
use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::record::RecordRow;
use super::schema::{change, record};

/// An entry of the log, with the record as it is now: `None` when it is gone.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct ChangeRow {
    pub seq: i64,
    pub record_id: String,
    pub record: Option<RecordRow>,
    /// Constraints of the record changed.
    pub binds: bool,
}

/// Appends one entry per record, in this order, and returns the last `seq` of the log. The caller holds the identity
/// lock.
///
/// # Errors
/// `Conflict` when somebody wrote without the lock.
pub fn append(connection: &mut Connection, record_ids: &[&str]) -> Result<i64, StoreError> {
    dialect::append_changes(connection, record_ids)
}

/// The same for records whose constraints changed.
///
/// # Errors
/// As [`append`].
pub fn append_binding(connection: &mut Connection, record_ids: &[&str]) -> Result<i64, StoreError> {
    let last = append(connection, record_ids)?;
    let first = last - i64::try_from(record_ids.len()).unwrap_or(i64::MAX);
    diesel::update(change::table.filter(change::seq.gt(first))).set(change::binds.eq(true)).execute(connection)?;
    Ok(last)
}

/// The last `seq` that was given; 0 at the beginning.
///
/// # Errors
/// Those of the database.
pub fn last_seq(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(change::table.select(max(change::seq)).first::<Option<i64>>(connection)?.unwrap_or(0))
}

/// Up to `changes_max` entries after `seq`, in order.
///
/// # Errors
/// Those of the database.
pub fn list_after(connection: &mut Connection, seq: i64, changes_max: u32) -> Result<Vec<ChangeRow>, StoreError> {
    Ok(change::table
        .left_join(record::table.on(record::id.eq(change::record_id)))
        .filter(change::seq.gt(seq))
        .order(change::seq)
        .limit(i64::from(changes_max))
        .select((change::seq, change::record_id, Option::<RecordRow>::as_select(), change::binds))
        .load(connection)?)
}
