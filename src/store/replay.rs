//! Ids of signed requests that were used: each is taken once until it expires, by whichever instance.
//!
//! Why in the database: a request that was used before a restart, or at another instance, is used (RFC 7523 §3, `jti`;
//! SMART App Launch, asymmetric authentication). Call it after the signature was verified, in the transaction of what the
//! request brings about. Not here: what the ids are of, and when they expire.

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::replay;

/// Whether an id could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Now,
    /// Somebody has used it, and it has not expired.
    Before,
}

/// Takes the id of an issuer until `expires_us`. An expired row of the same id gives way in the same statement; one that
/// has not expired is never overwritten: of two at once the unique key lets one through.
///
/// # Errors
/// Those of the database.
pub fn take(
    connection: &mut Connection,
    issuer: &str,
    token_id: &str,
    expires_us: i64,
    now_us: i64,
) -> Result<Taken, StoreError> {
    let rows = dialect::authorization::take_replay(connection, issuer, token_id, expires_us, now_us)?;
    Ok(if rows == 0 { Taken::Before } else { Taken::Now })
}

/// Removes up to `rows_max` expired ids; how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete_expired(connection: &mut Connection, now_us: i64, rows_max: u32) -> Result<usize, StoreError> {
    let oldest: Option<i64> = replay::table
        .filter(replay::expires_us.le(now_us))
        .order(replay::expires_us)
        .offset(i64::from(rows_max))
        .select(replay::expires_us)
        .first(connection)
        .optional()?;
    // Of several that expire at the boundary all stay for the next time.
    let before_us = oldest.unwrap_or(now_us + 1);
    Ok(diesel::delete(replay::table.filter(replay::expires_us.lt(before_us))).execute(connection)?)
}

/// How many ids are kept.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(replay::table.count().get_result(connection)?)
}
