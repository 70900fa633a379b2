//! Keys that the server makes for itself, once for all instances on a database.
//!
//! Not here: randomness (the caller brings the value), what a key is for.

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::secret;

/// The key of this name, after keeping `value` as such if there was none. Run it with a connection that writes: of two
/// at once one wins, and both get the winner's.
///
/// # Errors
/// Those of the database; `Other` for a stored key of another length.
pub fn get_or_insert(
    connection: &mut Connection,
    name: &str,
    value: [u8; 32],
    now_us: i64,
) -> Result<[u8; 32], StoreError> {
    if let Some(known) = find(connection, name)? {
        return Ok(known);
    }
    dialect::insert_secret(connection, name, &value, now_us)?;
    Ok(find(connection, name)?.unwrap_or(value))
}

/// The key of this name, where there is one.
///
/// # Errors
/// As [`get_or_insert`].
pub fn find(connection: &mut Connection, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
    let found: Option<Vec<u8>> = secret::table.find(name).select(secret::value).first(connection).optional()?;
    let wrong = |_| StoreError::Other("a stored key has a wrong length".to_owned());
    found.map(|bytes| bytes.try_into().map_err(wrong)).transpose()
}
