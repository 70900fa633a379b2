//! The keys that access tokens and identity tokens are signed with, shared by all instances on a database.
//!
//! The newest of each algorithm signs. One that was retired verifies until the last token signed with it has expired, and goes then.
//! Not here: making, sealing and using keys.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::StoreError;
use super::schema::signing_key;

/// A key, to write and as read.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = signing_key, treat_none_as_default_value = false)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyRow {
    pub kid: String,
    /// `key-file` or `database`.
    pub sealed_by: String,
    /// Base64 of the sealed PKCS #8.
    pub private_key: String,
    pub created_us: i64,
    pub retired_us: Option<i64>,
    /// `ES256` of access tokens, `RS256` of identity tokens.
    #[serde(default = "of_access_tokens")]
    pub algorithm: String,
}

fn of_access_tokens() -> String {
    "ES256".to_owned()
}

/// Shows no key.
impl std::fmt::Debug for SigningKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeyRow").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// # Errors
/// `Conflict` when the id is there.
pub fn insert(connection: &mut Connection, row: &SigningKeyRow) -> Result<(), StoreError> {
    diesel::insert_into(signing_key::table).values(row).execute(connection)?;
    Ok(())
}

/// All keys, the newest first.
///
/// # Errors
/// Those of the database.
pub fn list(connection: &mut Connection) -> Result<Vec<SigningKeyRow>, StoreError> {
    Ok(signing_key::table
        .order((signing_key::created_us.desc(), signing_key::kid.desc()))
        .select(SigningKeyRow::as_select())
        .load(connection)?)
}

/// Lets every key of this algorithm but the one of this id only verify from `at_us` on, where it is not so already.
///
/// # Errors
/// Those of the database.
pub fn retire_others(connection: &mut Connection, algorithm: &str, kid: &str, at_us: i64) -> Result<(), StoreError> {
    let others = signing_key::table
        .filter(signing_key::kid.ne(kid))
        .filter(signing_key::algorithm.eq(algorithm))
        .filter(signing_key::retired_us.is_null());
    diesel::update(others).set(signing_key::retired_us.eq(at_us)).execute(connection)?;
    Ok(())
}

/// Removes keys that were retired before `retired_us`.
///
/// # Errors
/// Those of the database.
pub fn delete_retired_before(connection: &mut Connection, retired_us: i64) -> Result<usize, StoreError> {
    Ok(diesel::delete(signing_key::table.filter(signing_key::retired_us.lt(retired_us))).execute(connection)?)
}
