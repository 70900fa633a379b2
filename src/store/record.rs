//! Records: what the matcher knows of one current Patient, and the identity it belongs to.
//!
//! One compact feature row per record lets the index be built at start without parsing JSON. The features are bytes
//! here, tagged with the version of the normaliser that made them. Writers hold the identity lock
//! ([`super::transaction::lock_identities`]). Not here: normalising, matching, assigning.

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::{record, resource};

/// A record, to write and as read.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = record, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct RecordRow {
    /// The Patient's id.
    pub id: String,
    /// The version of the Patient that the features were made from.
    pub version: i64,
    /// The version of the normaliser that made the features.
    pub normaliser: i32,
    pub features: Vec<u8>,
    pub identity_id: String,
    /// The model that assigned the record to its identity.
    pub model_version: String,
    /// The probability of that assignment; `None` where nothing was compared.
    pub probability: Option<f64>,
    pub assigned_us: i64,
}

/// A record of an identity with its Patient, both of one moment.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Member {
    pub record: RecordRow,
    /// The Patient's current version.
    pub version: i64,
    pub updated_us: i64,
    pub body: String,
}

/// Stores records, or puts them in place of those with the same id; of several with one id the last one counts.
///
/// # Errors
/// `Other` when an identity does not exist.
pub fn upsert_many(connection: &mut Connection, records: &[RecordRow]) -> Result<(), StoreError> {
    dialect::upsert_records(connection, records)
}

/// Removes a record and its reviews. Returns the identity that it belonged to, if it existed.
///
/// # Errors
/// Those of the database.
pub fn delete(connection: &mut Connection, id: &str) -> Result<Option<String>, StoreError> {
    let identity = record::table.find(id).select(record::identity_id).first(connection).optional()?;
    if identity.is_some() {
        diesel::delete(record::table.find(id)).execute(connection)?;
    }
    Ok(identity)
}

/// Those of the records that exist, ordered by id.
///
/// # Errors
/// Those of the database.
pub fn find_many(connection: &mut Connection, ids: &[&str]) -> Result<Vec<RecordRow>, StoreError> {
    Ok(record::table.filter(record::id.eq_any(ids)).order(record::id).select(RecordRow::as_select()).load(connection)?)
}

/// All records of the identities with their Patients, ordered by identity and record: one statement, one moment.
///
/// # Errors
/// Those of the database.
pub fn list_members(connection: &mut Connection, identity_ids: &[&str]) -> Result<Vec<Member>, StoreError> {
    Ok(record::table
        .inner_join(resource::table.on(resource::resource_type.eq("Patient").and(resource::id.eq(record::id))))
        .filter(record::identity_id.eq_any(identity_ids))
        .order((record::identity_id, record::id))
        .select((RecordRow::as_select(), resource::version, resource::updated_us, resource::body))
        .load(connection)?)
}

/// Up to `records_max` records after an id, ordered by id: for building the index. `None` begins at the first.
///
/// # Errors
/// Those of the database.
pub fn list_page(
    connection: &mut Connection,
    after_id: Option<&str>,
    records_max: u32,
) -> Result<Vec<RecordRow>, StoreError> {
    Ok(record::table
        .filter(record::id.gt(after_id.unwrap_or_default()))
        .order(record::id)
        .limit(i64::from(records_max))
        .select(RecordRow::as_select())
        .load(connection)?)
}

/// How many records there are.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(record::table.count().get_result(connection)?)
}
