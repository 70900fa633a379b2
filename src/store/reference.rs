//! References between stored resources, as they are indexed: the system of a reference's token is the type that it is
//! to, the value is the id.
//!
//! Not here: which parameters are references (see `fhir::search_parameter`).

use diesel::prelude::*;

use super::body::{Head, list_numbered_heads};
use super::connection::Connection;
use super::error::StoreError;
use super::schema::search_token;

/// Type and id of what these resources refer to under these parameters; no other server's.
///
/// # Errors
/// Those of the database.
pub fn list_targets(
    connection: &mut Connection,
    parameters: &[i16],
    numbers: &[i64],
) -> Result<Vec<(String, String)>, StoreError> {
    Ok(search_token::table
        .filter(search_token::number.eq_any(numbers))
        .filter(search_token::parameter.eq_any(parameters))
        .filter(search_token::system.ne(""))
        .select((search_token::system, search_token::value))
        .load(connection)?)
}

/// The resources that refer to one of these under these parameters, in the order of their creation; bodies come along as
/// far as there is room.
///
/// # Errors
/// Those of the database.
pub fn list_sources(
    connection: &mut Connection,
    parameters: &[i16],
    resource_type: &str,
    ids: &[&str],
    rows_max: usize,
    bytes_max: i64,
) -> Result<Vec<Head>, StoreError> {
    let numbers: Vec<i64> = search_token::table
        .filter(search_token::parameter.eq_any(parameters))
        .filter(search_token::value.eq_any(ids))
        .filter(search_token::system.eq(resource_type))
        .select(search_token::number)
        .distinct()
        .order(search_token::number)
        .limit(i64::try_from(rows_max).unwrap_or(i64::MAX))
        .load(connection)?;
    list_numbered_heads(connection, &numbers, bytes_max)
}
