//! How often signing in has failed, by login and by address; of both only an HMAC stands here.
//!
//! Whoever writes holds [`lock_people`](super::transaction::lock_people) and has read under it: so no two attempts, at
//! whichever instances, count as one. Not here: what follows from a count (see `auth::throttle`).

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::schema::sign_in_attempt;

/// A count, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sign_in_attempt, primary_key(key))]
pub struct AttemptRow {
    pub key: String,
    pub failures: i64,
    pub last_us: i64,
    /// Nothing is tried before.
    pub next_us: i64,
}

/// What is known of a key.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, key: &str) -> Result<Option<AttemptRow>, StoreError> {
    Ok(sign_in_attempt::table.find(key).select(AttemptRow::as_select()).first(connection).optional()?)
}

/// Keeps a count in place of the one that was there.
///
/// # Errors
/// Those of the database.
pub fn put(connection: &mut Connection, row: &AttemptRow) -> Result<(), StoreError> {
    let replaced = diesel::update(sign_in_attempt::table.find(&row.key)).set(row).execute(connection)?;
    if replaced == 0 {
        diesel::insert_into(sign_in_attempt::table).values(row).execute(connection)?;
    }
    Ok(())
}

/// Forgets a count.
///
/// # Errors
/// Those of the database.
pub fn delete(connection: &mut Connection, key: &str) -> Result<(), StoreError> {
    diesel::delete(sign_in_attempt::table.find(key)).execute(connection)?;
    Ok(())
}

/// Which counts are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Those that never led to a pause, when the last failure was before.
    pub idle_before_us: i64,
    /// Those that led to one, when the last failure was before.
    pub paused_before_us: i64,
    /// Those with so many failures never.
    pub failures_max: i64,
}

/// Removes what is forgotten; how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete_forgotten(connection: &mut Connection, which: Forgotten) -> Result<usize, StoreError> {
    let idle =
        sign_in_attempt::last_us.lt(which.idle_before_us).and(sign_in_attempt::next_us.le(sign_in_attempt::last_us));
    let paused = sign_in_attempt::last_us.lt(which.paused_before_us);
    let few = sign_in_attempt::failures.lt(which.failures_max);
    Ok(diesel::delete(sign_in_attempt::table.filter(few.and(idle.or(paused)))).execute(connection)?)
}

/// How many counts are kept.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(sign_in_attempt::table.count().get_result(connection)?)
}
