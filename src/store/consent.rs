//! What people have agreed to let clients do: the last agreement for each account and client.
//!
//! It lets an app ask again without a page (`prompt=none`), for as long as the page said, and ends with what came of it (see
//! `token_family`); what was agreed to when is in the audit. Not here: asking.

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::consent;

/// An agreement, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = consent)]
pub struct ConsentRow {
    pub account_id: String,
    pub client_id: String,
    /// Separated by spaces.
    pub scope: String,
    pub granted_us: i64,
}

/// Puts an agreement in place of the last one.
///
/// # Errors
/// Those of the database.
pub fn put(connection: &mut Connection, row: &ConsentRow) -> Result<(), StoreError> {
    dialect::authorization::put_consent(connection, row)
}

/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, account_id: &str, client_id: &str) -> Result<Option<ConsentRow>, StoreError> {
    Ok(consent::table.find((account_id, client_id)).select(ConsentRow::as_select()).first(connection).optional()?)
}

/// Up to `consents_max` agreements of an account, the newest first.
///
/// # Errors
/// Those of the database.
pub fn list_of_account(
    connection: &mut Connection,
    account_id: &str,
    consents_max: u32,
) -> Result<Vec<ConsentRow>, StoreError> {
    Ok(consent::table
        .filter(consent::account_id.eq(account_id))
        .order((consent::granted_us.desc(), consent::client_id))
        .limit(i64::from(consents_max))
        .select(ConsentRow::as_select())
        .load(connection)?)
}

/// Whether an agreement is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Still,
    /// It was taken back, or another one is in its place.
    Gone,
}

/// Holds an agreement until the transaction ends, so that whoever takes it back comes before or after.
///
/// # Errors
/// Those of the database.
pub fn hold(
    connection: &mut Connection,
    account_id: &str,
    client_id: &str,
    granted_us: i64,
) -> Result<Held, StoreError> {
    let read = consent::table.find((account_id, client_id)).filter(consent::granted_us.eq(granted_us));
    let rows = diesel::update(read).set(consent::granted_us.eq(granted_us)).execute(connection)?;
    Ok(if rows == 0 { Held::Gone } else { Held::Still })
}

/// Takes an agreement back.
///
/// # Errors
/// Those of the database.
pub fn delete(connection: &mut Connection, account_id: &str, client_id: &str) -> Result<(), StoreError> {
    diesel::delete(consent::table.find((account_id, client_id))).execute(connection)?;
    Ok(())
}
