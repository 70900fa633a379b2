//! Families of tokens: the code that a person has authorised, and all access and refresh tokens that came of it.
//!
//! Why a row of its own: whoever shows a code or a refresh token that was used before may have stolen it, so everything
//! of the family ends at once, at every instance (RFC 6749 §4.1.2, RFC 9700 §4.14.2). An access token names its family, and
//! whether the family stands is asked whenever whether the token stands is. Of codes and refresh tokens only the SHA-256 is
//! known. Not here: what they stand for, which comes sealed; rules.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::schema::{authorization_code, consent, refresh_token, token_family};

/// A family, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = token_family, treat_none_as_default_value = false)]
pub struct FamilyRow {
    pub family_id: String,
    pub client_id: String,
    pub account_id: String,
    /// Sealed.
    pub content: Vec<u8>,
    pub created_us: i64,
    pub expires_us: i64,
    pub revoked_us: Option<i64>,
}

/// A code, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = authorization_code, treat_none_as_default_value = false)]
pub struct CodeRow {
    /// Its SHA-256, hexadecimal.
    pub code: String,
    pub client_id: String,
    pub account_id: String,
    /// Of the family that will come of it.
    pub family_id: String,
    /// Sealed.
    pub content: Vec<u8>,
    pub expires_us: i64,
    pub used_us: Option<i64>,
}

/// A refresh token, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_token, treat_none_as_default_value = false)]
pub struct RefreshRow {
    /// Its SHA-256, hexadecimal.
    pub token: String,
    pub family_id: String,
    pub issued_us: i64,
    pub expires_us: i64,
    pub used_us: Option<i64>,
}

/// Whether a code or a refresh token could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    Now,
    /// Somebody has used it, or it is not there.
    Before,
}

const fn used(rows: usize) -> Used {
    if rows == 0 { Used::Before } else { Used::Now }
}

/// # Errors
/// `Conflict` when the id is there.
pub fn insert(connection: &mut Connection, row: &FamilyRow) -> Result<(), StoreError> {
    diesel::insert_into(token_family::table).values(row).execute(connection)?;
    Ok(())
}

/// The family of this id.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, family_id: &str) -> Result<Option<FamilyRow>, StoreError> {
    Ok(token_family::table.find(family_id).select(FamilyRow::as_select()).first(connection).optional()?)
}

/// Ends a family, and with it that its app may ask again without a page; the first time counts.
///
/// # Errors
/// Those of the database.
pub fn revoke(connection: &mut Connection, family_id: &str, at_us: i64) -> Result<(), StoreError> {
    let standing = token_family::table.find(family_id).filter(token_family::revoked_us.is_null());
    if diesel::update(standing).set(token_family::revoked_us.eq(at_us)).execute(connection)? == 0 {
        return Ok(());
    }
    let Some(ended) = find(connection, family_id)? else { return Ok(()) };
    super::consent::delete(connection, &ended.account_id, &ended.client_id)
}

/// Up to `families_max` families of an account that stand at a time, the newest first.
///
/// # Errors
/// Those of the database.
pub fn list_standing(
    connection: &mut Connection,
    account_id: &str,
    now_us: i64,
    families_max: u32,
) -> Result<Vec<FamilyRow>, StoreError> {
    Ok(token_family::table
        .filter(token_family::account_id.eq(account_id))
        .filter(token_family::revoked_us.is_null())
        .filter(token_family::expires_us.gt(now_us))
        .order((token_family::created_us.desc(), token_family::family_id))
        .limit(i64::from(families_max))
        .select(FamilyRow::as_select())
        .load(connection)?)
}

/// Ends all that an account has allowed a client, also what a code would begin; how much there was.
///
/// Families go before the agreement, as in [`revoke`], so that neither waits for the other. An app that is just being let in
/// without a page holds the agreement ([`consent::hold`](super::consent::hold)), so its code is there when codes go; and a
/// redemption that is under way either finds its code gone, or commits before this goes on and its family ends at the second
/// look.
///
/// # Errors
/// Those of the database.
pub fn revoke_of_client(
    connection: &mut Connection,
    account_id: &str,
    client_id: &str,
    at_us: i64,
) -> Result<usize, StoreError> {
    let standing = || {
        token_family::table
            .filter(token_family::account_id.eq(account_id))
            .filter(token_family::client_id.eq(client_id))
            .filter(token_family::revoked_us.is_null())
    };
    let mut ended = diesel::update(standing()).set(token_family::revoked_us.eq(at_us)).execute(connection)?;
    ended += diesel::delete(consent::table.find((account_id, client_id))).execute(connection)?;
    let codes = authorization_code::table
        .filter(authorization_code::account_id.eq(account_id))
        .filter(authorization_code::client_id.eq(client_id));
    ended += diesel::delete(codes).execute(connection)?;
    Ok(ended + diesel::update(standing()).set(token_family::revoked_us.eq(at_us)).execute(connection)?)
}

/// Ends every family of an account, those too that a code would begin, and all that its person has agreed to; how many stood.
///
/// In the order of [`revoke_of_client`], for the same reasons.
///
/// # Errors
/// Those of the database.
pub fn revoke_of_account(connection: &mut Connection, account_id: &str, at_us: i64) -> Result<usize, StoreError> {
    let standing = || {
        token_family::table.filter(token_family::account_id.eq(account_id)).filter(token_family::revoked_us.is_null())
    };
    let ended = diesel::update(standing()).set(token_family::revoked_us.eq(at_us)).execute(connection)?;
    diesel::delete(consent::table.filter(consent::account_id.eq(account_id))).execute(connection)?;
    let codes = authorization_code::table.filter(authorization_code::account_id.eq(account_id));
    diesel::delete(codes).execute(connection)?;
    Ok(ended + diesel::update(standing()).set(token_family::revoked_us.eq(at_us)).execute(connection)?)
}

/// # Errors
/// `Conflict` when the code is there.
pub fn insert_code(connection: &mut Connection, row: &CodeRow) -> Result<(), StoreError> {
    diesel::insert_into(authorization_code::table).values(row).execute(connection)?;
    Ok(())
}

/// The code of this SHA-256, used or not.
///
/// # Errors
/// Those of the database.
pub fn find_code(connection: &mut Connection, code: &str) -> Result<Option<CodeRow>, StoreError> {
    Ok(authorization_code::table.find(code).select(CodeRow::as_select()).first(connection).optional()?)
}

/// Uses a code, once: of two at once the second waits for the commit of the first and finds it used.
///
/// # Errors
/// Those of the database.
pub fn use_code(connection: &mut Connection, code: &str, at_us: i64) -> Result<Used, StoreError> {
    let unused = authorization_code::table.find(code).filter(authorization_code::used_us.is_null());
    Ok(used(diesel::update(unused).set(authorization_code::used_us.eq(at_us)).execute(connection)?))
}

/// # Errors
/// `Conflict` when the token is there.
pub fn insert_refresh(connection: &mut Connection, row: &RefreshRow) -> Result<(), StoreError> {
    diesel::insert_into(refresh_token::table).values(row).execute(connection)?;
    Ok(())
}

/// The refresh token of this SHA-256, used or not, and its family.
///
/// # Errors
/// Those of the database.
pub fn find_refresh(connection: &mut Connection, token: &str) -> Result<Option<(RefreshRow, FamilyRow)>, StoreError> {
    Ok(refresh_token::table
        .inner_join(token_family::table.on(token_family::family_id.eq(refresh_token::family_id)))
        .filter(refresh_token::token.eq(token))
        .select((RefreshRow::as_select(), FamilyRow::as_select()))
        .first(connection)
        .optional()?)
}

/// Uses a refresh token, once, as [`use_code`] a code.
///
/// # Errors
/// Those of the database.
pub fn use_refresh(connection: &mut Connection, token: &str, at_us: i64) -> Result<Used, StoreError> {
    let unused = refresh_token::table.find(token).filter(refresh_token::used_us.is_null());
    Ok(used(diesel::update(unused).set(refresh_token::used_us.eq(at_us)).execute(connection)?))
}

/// Removes up to `rows_max` each of the codes, refresh tokens and families that expired before `before_us`. A used code stays
/// as long as its family could have an access token, so that another use of it is noticed: the caller's time says so.
///
/// # Errors
/// Those of the database.
pub fn delete_expired(connection: &mut Connection, before_us: i64, rows_max: u32) -> Result<usize, StoreError> {
    let rows_max = i64::from(rows_max);
    let codes = authorization_code::table
        .filter(authorization_code::expires_us.lt(before_us))
        .order(authorization_code::expires_us)
        .limit(rows_max)
        .select(authorization_code::code)
        .load::<String>(connection)?;
    let tokens = refresh_token::table
        .filter(refresh_token::expires_us.lt(before_us))
        .order(refresh_token::expires_us)
        .limit(rows_max)
        .select(refresh_token::token)
        .load::<String>(connection)?;
    let families = token_family::table
        .filter(token_family::expires_us.lt(before_us))
        .order(token_family::expires_us)
        .limit(rows_max)
        .select(token_family::family_id)
        .load::<String>(connection)?;
    let mut deleted = 0;
    for some in codes.chunks(DELETED_TOGETHER) {
        let those = authorization_code::table.filter(authorization_code::code.eq_any(some));
        deleted += diesel::delete(those).execute(connection)?;
    }
    for some in tokens.chunks(DELETED_TOGETHER) {
        let those = refresh_token::table.filter(refresh_token::token.eq_any(some));
        deleted += diesel::delete(those).execute(connection)?;
    }
    for some in families.chunks(DELETED_TOGETHER) {
        let those = token_family::table.filter(token_family::family_id.eq_any(some));
        deleted += diesel::delete(those).execute(connection)?;
    }
    Ok(deleted)
}

/// Rows named in one statement.
const DELETED_TOGETHER: usize = 500;
