//! How far a load of a file has come: written in the same transaction as the lines it counts, so that a resumed load
//! neither loses nor doubles a line.
//!
//! Not here: what makes the key of a file.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::load_progress;

/// Progress of one load, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = load_progress, primary_key(key))]
#[serde(deny_unknown_fields)]
pub struct LoadProgress {
    /// Names the file.
    pub key: String,
    /// Lines that are done.
    pub lines: i64,
    /// Where the next line begins.
    pub bytes: i64,
    pub loaded: i64,
    pub rejected: i64,
    pub updated_us: i64,
}

/// The progress under this key.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, key: &str) -> Result<Option<LoadProgress>, StoreError> {
    Ok(load_progress::table.find(key).select(LoadProgress::as_select()).first(connection).optional()?)
}

/// Stores the progress, or puts it in place of the former one.
///
/// # Errors
/// Those of the database.
pub fn upsert(connection: &mut Connection, progress: &LoadProgress) -> Result<(), StoreError> {
    dialect::upsert_load_progress(connection, progress)
}
