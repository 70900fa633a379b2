//! Identities: what the records of one person have in common.
//!
//! Writers hold the identity lock ([`super::transaction::lock_identities`]). Not here: deciding which record belongs to
//! which identity.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::{identity, record};

/// An identity, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = identity)]
#[serde(deny_unknown_fields)]
pub struct IdentityRow {
    pub id: String,
    pub created_us: i64,
}

/// Stores new identities.
///
/// # Errors
/// `Conflict` when one of the ids exists.
pub fn insert_many(connection: &mut Connection, identities: &[IdentityRow]) -> Result<(), StoreError> {
    dialect::insert_identities(connection, identities)
}

/// The identity of this id.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, id: &str) -> Result<Option<IdentityRow>, StoreError> {
    Ok(identity::table.find(id).select(IdentityRow::as_select()).first(connection).optional()?)
}

/// How many identities there are.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(identity::table.count().get_result(connection)?)
}

/// How many identities have records. It reads the index of them all.
///
/// # Errors
/// Those of the database.
pub fn count_populated(connection: &mut Connection) -> Result<i64, StoreError> {
    let query = "SELECT COUNT(*) AS identities FROM (SELECT DISTINCT identity_id FROM record) AS populated";
    let counted: Counted = diesel::sql_query(query).get_result(connection)?;
    Ok(counted.identities)
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    identities: i64,
}

/// What became of an identity that may have lost its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// It had no record left and is gone, with the reviews that named it.
    Deleted,
    /// It has records, or never existed.
    Kept,
}

/// Removes an identity to which no record belongs.
///
/// # Errors
/// Those of the database.
pub fn delete_if_empty(connection: &mut Connection, id: &str) -> Result<Emptied, StoreError> {
    let members = record::table.filter(record::identity_id.eq(id));
    let deleted =
        diesel::delete(identity::table).filter(identity::id.eq(id)).filter(not(exists(members))).execute(connection)?;
    Ok(if deleted == 0 { Emptied::Kept } else { Emptied::Deleted })
}
