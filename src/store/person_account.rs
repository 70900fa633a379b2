//! Accounts of people who sign in.
//!
//! A row stays when its account is disabled, for the audit names it. What was verified of a person and the secret of the
//! one-time codes come sealed. Whoever writes holds [`lock_people`](super::transaction::lock_people). Not here: sealing,
//! hashing, who may sign in.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::StoreError;
use super::schema::person_account;

pub const PERSON: &str = "person";
pub const WORKFORCE: &str = "workforce";

pub const ACTIVE: &str = "active";
pub const DISABLED: &str = "disabled";

/// An account, to write and as read.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = person_account, primary_key(account_id), treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(deny_unknown_fields)]
pub struct PersonAccountRow {
    pub account_id: String,
    pub login: String,
    pub kind: String,
    pub state: String,
    pub password_hash: String,
    /// Base64, sealed.
    pub totp_secret: String,
    /// The step of the last one-time code that was used.
    pub totp_step: i64,
    pub level: String,
    pub verified_on: String,
    /// Base64, sealed.
    pub attributes: String,
    pub identity_id: Option<String>,
    pub created_us: i64,
    pub updated_us: i64,
}

/// Shows neither who it is nor a secret.
impl std::fmt::Debug for PersonAccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonAccountRow").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

/// # Errors
/// `Conflict` when the id or the login is there.
pub fn insert(connection: &mut Connection, row: &PersonAccountRow) -> Result<(), StoreError> {
    diesel::insert_into(person_account::table).values(row).execute(connection)?;
    Ok(())
}

/// Puts an account in place of the one with its id.
///
/// # Errors
/// Those of the database.
pub fn update(connection: &mut Connection, row: &PersonAccountRow) -> Result<(), StoreError> {
    diesel::update(person_account::table.find(&row.account_id)).set(row).execute(connection)?;
    Ok(())
}

/// The account of this id, whatever became of it.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, account_id: &str) -> Result<Option<PersonAccountRow>, StoreError> {
    let found = person_account::table.find(account_id).select(PersonAccountRow::as_select());
    Ok(found.first(connection).optional()?)
}

/// The account of this login, whatever became of it.
///
/// # Errors
/// Those of the database.
pub fn find_by_login(connection: &mut Connection, login: &str) -> Result<Option<PersonAccountRow>, StoreError> {
    let found = person_account::table.filter(person_account::login.eq(login)).select(PersonAccountRow::as_select());
    Ok(found.first(connection).optional()?)
}

/// Whether the code of a step could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepTaken {
    Now,
    /// It or a later one was used, or the account is no longer as it was read.
    Never,
}

/// Uses the code of `step` for an account that is active and still has the password that was compared.
///
/// # Errors
/// Those of the database.
pub fn take_step(connection: &mut Connection, read: &PersonAccountRow, step: i64) -> Result<StepTaken, StoreError> {
    let unused = person_account::table
        .filter(person_account::account_id.eq(&read.account_id))
        .filter(person_account::state.eq(ACTIVE))
        .filter(person_account::password_hash.eq(&read.password_hash))
        .filter(person_account::totp_secret.eq(&read.totp_secret))
        .filter(person_account::totp_step.lt(step));
    let rows = diesel::update(unused).set(person_account::totp_step.eq(step)).execute(connection)?;
    Ok(if rows == 0 { StepTaken::Never } else { StepTaken::Now })
}

/// Up to `accounts_max` accounts after an id, in the order of ids.
///
/// # Errors
/// Those of the database.
pub fn list_after(
    connection: &mut Connection,
    account_id: &str,
    accounts_max: u32,
) -> Result<Vec<PersonAccountRow>, StoreError> {
    Ok(person_account::table
        .filter(person_account::account_id.gt(account_id))
        .order(person_account::account_id)
        .limit(i64::from(accounts_max))
        .select(PersonAccountRow::as_select())
        .load(connection)?)
}
