//! Access tokens that are out: whose they are, when they end, whether they were revoked, and what was asserted for them.
//!
//! A token that is not here is none, whatever its signature says: so revoking works at every instance at once, and a
//! database that was restored from a backup knows no token. What was asserted holds demographics and comes sealed.
//! Not here: the tokens themselves (they are never stored), sealing.

#![allow(clippy::ref_option_ref, reason = "what the derive makes of optional bytes")]

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::schema::{access_token, client, token_family};

/// A token, to write.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = access_token, treat_none_as_default_value = false)]
pub struct NewAccessToken<'a> {
    pub token_id: &'a str,
    pub client_id: &'a str,
    pub issued_us: i64,
    pub expires_us: i64,
    /// Sealed.
    pub context: Option<&'a [u8]>,
    /// Of the claims, as they were signed.
    pub grant_sha256: &'a str,
    /// What it came from, where a person has signed in for it.
    pub family_id: Option<&'a str>,
}

/// What the database knows of a token and its client.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Standing {
    pub client_id: String,
    pub expires_us: i64,
    pub revoked_us: Option<i64>,
    /// Sealed.
    pub context: Option<Vec<u8>>,
    /// Of the claims, as they were signed; a token of a program before this has none.
    pub grant_sha256: Option<String>,
    /// Of the client; none when it is gone.
    pub client_state: Option<String>,
    pub family_id: Option<String>,
    /// Of the family; none of a token without one, and where the family is gone.
    pub family_created_us: Option<i64>,
    pub family_revoked_us: Option<i64>,
}

impl Standing {
    /// Whether the token or what it came from was revoked.
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        let of_family =
            self.family_id.is_some() && (self.family_revoked_us.is_some() || self.family_created_us.is_none());
        self.revoked_us.is_some() || of_family
    }
}

/// # Errors
/// `Conflict` when the id is there.
pub fn insert(connection: &mut Connection, row: &NewAccessToken<'_>) -> Result<(), StoreError> {
    diesel::insert_into(access_token::table).values(row).execute(connection)?;
    Ok(())
}

/// The token of this id.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, token_id: &str) -> Result<Option<Standing>, StoreError> {
    Ok(access_token::table
        .left_join(client::table.on(client::client_id.eq(access_token::client_id)))
        .left_join(token_family::table.on(access_token::family_id.eq(token_family::family_id.nullable())))
        .filter(access_token::token_id.eq(token_id))
        .select((
            access_token::client_id,
            access_token::expires_us,
            access_token::revoked_us,
            access_token::context,
            access_token::grant_sha256,
            client::state.nullable(),
            access_token::family_id,
            token_family::created_us.nullable(),
            token_family::revoked_us.nullable(),
        ))
        .first(connection)
        .optional()?)
}

/// Notes that a token of this client was revoked, and forgets what was asserted for it; the first time counts.
///
/// # Errors
/// Those of the database.
pub fn revoke(connection: &mut Connection, token_id: &str, client_id: &str, at_us: i64) -> Result<(), StoreError> {
    let of_client = access_token::table
        .filter(access_token::token_id.eq(token_id))
        .filter(access_token::client_id.eq(client_id))
        .filter(access_token::revoked_us.is_null());
    diesel::update(of_client)
        .set((access_token::revoked_us.eq(at_us), access_token::context.eq(None::<Vec<u8>>)))
        .execute(connection)?;
    Ok(())
}

/// Removes up to `rows_max` tokens that have expired; how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete_expired(connection: &mut Connection, now_us: i64, rows_max: u32) -> Result<usize, StoreError> {
    let oldest: Option<i64> = access_token::table
        .filter(access_token::expires_us.le(now_us))
        .order(access_token::expires_us)
        .offset(i64::from(rows_max))
        .select(access_token::expires_us)
        .first(connection)
        .optional()?;
    // Of several that expire at the boundary all stay for the next time.
    let before_us = oldest.unwrap_or(now_us + 1);
    Ok(diesel::delete(access_token::table.filter(access_token::expires_us.lt(before_us))).execute(connection)?)
}

/// How many tokens are kept.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(access_token::table.count().get_result(connection)?)
}
