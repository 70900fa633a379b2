//! Reviews: a record that may belong to another identity than its own, for a person to decide.
//!
//! A review goes when its record or its identity goes. Not here: the decision.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::review;

/// A review, to write and as read.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = review)]
#[serde(deny_unknown_fields)]
pub struct ReviewRow {
    pub record_id: String,
    /// The identity that the record may belong to.
    pub identity_id: String,
    pub probability: f64,
    pub created_us: i64,
    pub model_version: String,
    /// [`OPEN`] or [`DEFERRED`].
    #[serde(default = "open")]
    pub state: String,
    /// Why it was deferred.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Waits for a decision.
pub const OPEN: &str = "open";
/// Somebody looked at it and could not decide yet.
pub const DEFERRED: &str = "deferred";

fn open() -> String {
    OPEN.to_owned()
}

/// Stores reviews, or puts them in place of those of the same record and identity; of several the last one counts.
///
/// # Errors
/// `Other` when a record or an identity does not exist.
pub fn insert_many(connection: &mut Connection, reviews: &[ReviewRow]) -> Result<(), StoreError> {
    dialect::upsert_reviews(connection, reviews)
}

/// The reviews of these records, ordered by record and identity.
///
/// # Errors
/// Those of the database.
pub fn list_of_records(connection: &mut Connection, record_ids: &[&str]) -> Result<Vec<ReviewRow>, StoreError> {
    Ok(review::table
        .filter(review::record_id.eq_any(record_ids))
        .order((review::record_id, review::identity_id))
        .select(ReviewRow::as_select())
        .load(connection)?)
}

/// The reviews that name an identity, ordered by record.
///
/// # Errors
/// Those of the database.
pub fn list_of_identity(connection: &mut Connection, identity_id: &str) -> Result<Vec<ReviewRow>, StoreError> {
    Ok(review::table
        .filter(review::identity_id.eq(identity_id))
        .order(review::record_id)
        .select(ReviewRow::as_select())
        .load(connection)?)
}

/// Record and identity of the reviews that ask about one of these records or name one of these identities.
///
/// # Errors
/// Those of the database.
pub fn list_about(
    connection: &mut Connection,
    record_ids: &[&str],
    identity_ids: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    Ok(review::table
        .filter(review::record_id.eq_any(record_ids).or(review::identity_id.eq_any(identity_ids)))
        .select((review::record_id, review::identity_id))
        .load(connection)?)
}

/// Removes one review. Returns whether it was there.
///
/// # Errors
/// Those of the database.
pub fn delete(connection: &mut Connection, record_id: &str, identity_id: &str) -> Result<bool, StoreError> {
    Ok(diesel::delete(review::table.find((record_id, identity_id))).execute(connection)? == 1)
}

/// Removes the reviews of a record that wait for a decision; those that somebody deferred stay. Returns how many there
/// were.
///
/// # Errors
/// Those of the database.
pub fn delete_open(connection: &mut Connection, record_id: &str) -> Result<usize, StoreError> {
    let open = review::table.filter(review::record_id.eq(record_id)).filter(review::state.eq(OPEN));
    Ok(diesel::delete(open).execute(connection)?)
}

/// Up to `reviews_max` reviews after a pair of record and identity, ordered by both. `None` begins at the first.
///
/// # Errors
/// Those of the database.
pub fn list(
    connection: &mut Connection,
    after: Option<(&str, &str)>,
    reviews_max: u32,
) -> Result<Vec<ReviewRow>, StoreError> {
    let (record, identity) = after.unwrap_or_default();
    let later = review::record_id.gt(record).or(review::record_id.eq(record).and(review::identity_id.gt(identity)));
    Ok(review::table
        .filter(review::record_id.ge(record))
        .filter(later)
        .order((review::record_id, review::identity_id))
        .limit(i64::from(reviews_max))
        .select(ReviewRow::as_select())
        .load(connection)?)
}
