//! Sessions of people who have signed in, by the SHA-256 of their token.
//!
//! A session that is not here is none: so ending one works at every instance at once. Not here: the tokens, which are never
//! stored, and how long a session lasts.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::person_account::ACTIVE;
use super::schema::{person_account, session};

/// A session, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = session)]
pub struct SessionRow {
    /// Hexadecimal.
    pub token_sha256: String,
    pub account_id: String,
    pub identity_level: String,
    pub authentication_level: String,
    /// Separated by spaces.
    pub methods: String,
    pub signed_in_us: i64,
    pub seen_us: i64,
    pub expires_us: i64,
}

/// # Errors
/// `Conflict` when the token is there.
pub fn insert(connection: &mut Connection, row: &SessionRow) -> Result<(), StoreError> {
    diesel::insert_into(session::table).values(row).execute(connection)?;
    Ok(())
}

/// The session of a token, while its account is active.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, token_sha256: &str) -> Result<Option<SessionRow>, StoreError> {
    Ok(session::table
        .inner_join(person_account::table.on(person_account::account_id.eq(session::account_id)))
        .filter(session::token_sha256.eq(token_sha256))
        .filter(person_account::state.eq(ACTIVE))
        .select(SessionRow::as_select())
        .first(connection)
        .optional()?)
}

/// Notes that a session was used at `seen_us`, unless it was used later.
///
/// # Errors
/// Those of the database.
pub fn touch(connection: &mut Connection, token_sha256: &str, seen_us: i64) -> Result<(), StoreError> {
    let earlier = session::table.filter(session::token_sha256.eq(token_sha256)).filter(session::seen_us.lt(seen_us));
    diesel::update(earlier).set(session::seen_us.eq(seen_us)).execute(connection)?;
    Ok(())
}

/// Ends a session; how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete(connection: &mut Connection, token_sha256: &str) -> Result<usize, StoreError> {
    Ok(diesel::delete(session::table.find(token_sha256)).execute(connection)?)
}

/// Ends all sessions of an account; how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete_of_account(connection: &mut Connection, account_id: &str) -> Result<usize, StoreError> {
    Ok(diesel::delete(session::table.filter(session::account_id.eq(account_id))).execute(connection)?)
}

/// Removes sessions that have ended by themselves; how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete_expired(connection: &mut Connection, now_us: i64) -> Result<usize, StoreError> {
    Ok(diesel::delete(session::table.filter(session::expires_us.le(now_us))).execute(connection)?)
}

/// How many sessions are kept.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(session::table.count().get_result(connection)?)
}
