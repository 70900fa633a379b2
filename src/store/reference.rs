//! References between stored resources, as they are indexed: the system of a reference's token is the type that it is
//! to, the value is the id.
//!
//! Not here: which parameters are references (see `fhir::search_parameter`).

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::body::{Head, list_numbered_heads};
use super::connection::Connection;
use super::constraint::SearchConstraint;
use super::error::StoreError;
use super::schema::search_token;
use super::search::Sql;

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

/// References of one type to another, as far as their sources are there for the caller.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// The type that refers.
    pub source: &'a str,
    pub constraint: &'a SearchConstraint,
    /// The type that is referred to.
    pub resource_type: &'a str,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The resources that refer to one of these under these parameters, in the order of their creation; bodies come along as
/// far as there is room.
///
/// # Errors
/// Those of the database.
pub fn list_sources(
    connection: &mut Connection,
    parameters: &[i16],
    sought: Sought<'_>,
    ids: &[&str],
    rows_max: usize,
    bytes_max: i64,
) -> Result<Vec<Head>, StoreError> {
    if ids.is_empty() || parameters.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::default();
    sql.push("SELECT DISTINCT v.number AS number FROM search_token AS v WHERE v.parameter IN (");
    sql.each(parameters, ", ", |sql, parameter| {
        sql.push(&parameter.to_string());
    });
    sql.push(") AND v.system = ").text(sought.resource_type).push(" AND v.value IN (");
    sql.each(ids, ", ", |sql, id| {
        sql.text(id);
    });
    sql.push(")").seen(sought.constraint, sought.source, "v.number");
    sql.push(" ORDER BY v.number LIMIT ").number(i64::try_from(rows_max).unwrap_or(i64::MAX));
    let numbers: Vec<Number> = sql.into_query().load(connection)?;
    let numbers: Vec<i64> = numbers.into_iter().map(|row| row.number).collect();
    list_numbered_heads(connection, &numbers, bytes_max)
}
