//! Records: what the matcher knows of one current Patient, and the identity it belongs to.
//!
//! One compact feature row per record lets the index be built at start without parsing JSON. The features are bytes
//! here, tagged with the version of the normaliser that made them. Writers hold the identity lock
//! ([`super::transaction::lock_identities`]). Not here: normalising, matching, assigning.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::record;

/// A record, to write and as read.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = record, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(deny_unknown_fields)]
pub struct RecordRow {
    /// The Patient's id.
    pub id: String,
    /// The version of the Patient that the features were made from.
    pub version: i64,
    /// The version of the normaliser that made the features.
    pub normaliser: i32,
    #[serde(with = "base64_text")]
    pub features: Vec<u8>,
    pub identity_id: String,
    /// The model that assigned the record to its identity.
    pub model_version: String,
    /// The probability of that assignment; `None` where nothing was compared.
    pub probability: Option<f64>,
    pub assigned_us: i64,
    /// Identity assurance level of the person on the record, as given or as configured for its source.
    pub verification_level: Option<String>,
    /// Date of that verification.
    pub verified_on: Option<String>,
    /// The record that has replaced this one (FHIR R4 Patient.link, `replaced-by`): it is evidence and no match itself.
    pub replaced_by: Option<String>,
    /// The steward's decision that put the record into its identity; none when the matcher did.
    #[serde(default)]
    pub decision_id: Option<String>,
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
    Ok(record::table
        .filter(record::id.eq_any(ids))
        .order(record::id)
        .select(RecordRow::as_select())
        .load(connection)?)
}

/// All records of the identities, ordered by identity and record.
///
/// # Errors
/// Those of the database.
pub fn list_of_identities(connection: &mut Connection, identity_ids: &[&str]) -> Result<Vec<RecordRow>, StoreError> {
    let mut rows = dialect::records_of_identities(connection, identity_ids)?;
    rows.sort_by(|a, b| (&a.identity_id, &a.id).cmp(&(&b.identity_id, &b.id)));
    Ok(rows)
}

/// Records that name one of `ids` as the record that has replaced them, ordered by id.
///
/// # Errors
/// Those of the database.
pub fn list_replaced_by(connection: &mut Connection, ids: &[&str]) -> Result<Vec<RecordRow>, StoreError> {
    Ok(record::table
        .filter(record::replaced_by.is_not_null())
        .filter(record::replaced_by.eq_any(ids))
        .order(record::id)
        .select(RecordRow::as_select())
        .load(connection)?)
}

/// Up to `records_max` records after an id that another one has replaced, ordered by id.
///
/// # Errors
/// Those of the database.
pub fn list_replaced_page(
    connection: &mut Connection,
    after_id: Option<&str>,
    records_max: u32,
) -> Result<Vec<RecordRow>, StoreError> {
    Ok(record::table
        .filter(record::replaced_by.is_not_null())
        .filter(record::id.gt(after_id.unwrap_or_default()))
        .order(record::id)
        .limit(i64::from(records_max))
        .select(RecordRow::as_select())
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

/// Bytes as base64 text (RFC 4648 §4) where a row is written as JSON.
mod base64_text {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))
    }
}
