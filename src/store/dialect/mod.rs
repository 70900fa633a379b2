//! Every query that differs between the databases, behind one function each.
//!
//! Why they differ: writing many rows. PostgreSQL takes a batch in one statement, as arrays, because a round trip costs
//! more than a row; SQLite has no round trip, and one prepared statement per row is fastest. Upserts are refused by the
//! query builder's common type too. Not here: queries that both databases read alike; they stand in their families.

pub(super) mod authorization;
pub(super) mod budget;
mod postgres;
mod prepared;
pub(super) mod restore;
mod sqlite;

use super::audit::NewAuditRow;
use super::audit_subject::SubjectRow;
use super::block_key::{Numbered, RecordKeys};
use super::body::Head;
use super::connection::Connection;
use super::error::StoreError;
use super::identity::IdentityRow;
use super::load_progress::LoadProgress;
use super::record::RecordRow;
use super::resource::{ExpectedVersion, NewVersion, ResourceRow, SearchRows};
use super::review::ReviewRow;
use super::search::Sql;
use super::steward::ConstraintRow;
use crate::matching::stored_blocks::KeyRange;

/// SQLite prepares a list of values anew each time, and one value once for all.
pub(super) fn records_of_identities(connection: &mut Connection, ids: &[&str]) -> Result<Vec<RecordRow>, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::records_of_identities(c, ids)?),
        Connection::Postgres(c) => Ok(postgres::records_of_identities(c, ids)?),
    }
}

/// Current versions, tombstones too.
pub(super) fn current_heads(
    connection: &mut Connection,
    resource_type: &str,
    ids: &[&str],
    bytes_max: i32,
) -> Result<Vec<Head>, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::current_heads(c, resource_type, ids, bytes_max)?),
        Connection::Postgres(c) => Ok(postgres::current_heads(c, resource_type, ids, bytes_max)?),
    }
}

pub(super) fn insert_resources(connection: &mut Connection, rows: &[ResourceRow<'_>]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_resources(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_resources(c, rows)?),
    }
}

/// Numbers of resources that are about to be inserted, ascending. SQLite has one writer, and no resource is ever removed.
pub(super) fn next_resource_numbers(connection: &mut Connection, count: usize) -> Result<Vec<i64>, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::next_resource_numbers(c, count)?),
        Connection::Postgres(c) => Ok(postgres::next_resource_numbers(c, count)?),
    }
}

/// The expected version to history and the new one in its place; gives its number, or nothing when another is current.
pub(super) fn replace_resource(
    connection: &mut Connection,
    expected: &ExpectedVersion<'_>,
    version: &NewVersion<'_>,
) -> Result<Option<i64>, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::replace_resource(c, expected, version)?),
        Connection::Postgres(c) => Ok(postgres::replace_resource(c, expected, version)?),
    }
}

pub(super) fn put_search_rows(connection: &mut Connection, number: i64, rows: &SearchRows) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::put_search_rows(c, number, rows)?),
        Connection::Postgres(c) => Ok(postgres::put_search_rows(c, number, rows)?),
    }
}

pub(super) fn insert_search_rows(connection: &mut Connection, rows: &SearchRows) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::insert_search_rows(c, rows)?),
        Connection::Postgres(c) => Ok(postgres::insert_search_rows(c, rows)?),
    }
}

pub(super) fn insert_identities(connection: &mut Connection, rows: &[IdentityRow]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_identities(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_identities(c, rows)?),
    }
}

pub(super) fn upsert_records(connection: &mut Connection, rows: &[RecordRow]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::upsert_records(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::upsert_records(c, rows)?),
    }
}

pub(super) fn upsert_reviews(connection: &mut Connection, rows: &[ReviewRow]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::upsert_reviews(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::upsert_reviews(c, rows)?),
    }
}

pub(super) fn insert_constraints(connection: &mut Connection, rows: &[ConstraintRow]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_constraints(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_constraints(c, rows)?),
    }
}

pub(super) fn append_changes(connection: &mut Connection, ids: &[&str]) -> Result<i64, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::append_changes(c, ids)?),
        Connection::Postgres(c) => Ok(postgres::append_changes(c, ids)?),
    }
}

pub(super) fn last_updated_us(connection: &mut Connection, resource_types: &[&str]) -> Result<i64, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::last_updated_us(c, resource_types)?),
        Connection::Postgres(c) => Ok(postgres::last_updated_us(c, resource_types)?),
    }
}

/// SQLite has one writer at a time by itself.
pub(super) fn lock(connection: &mut Connection, space: i32, number: i32) -> Result<(), StoreError> {
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    Ok(postgres::lock(connection, space, number)?)
}

/// The same, without waiting: whether it was free.
pub(super) fn try_lock(connection: &mut Connection, space: i32, number: i32) -> Result<bool, StoreError> {
    let Connection::Postgres(connection) = connection else { return Ok(true) };
    Ok(postgres::try_lock(connection, space, number)?)
}

/// What is there already stays.
pub(super) fn insert_audit_subjects(connection: &mut Connection, rows: &[SubjectRow]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_audit_subjects(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_audit_subjects(c, rows)?),
    }
}

pub(super) fn insert_audit_rows(connection: &mut Connection, rows: &[NewAuditRow<'_>]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_audit_rows(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_audit_rows(c, rows)?),
    }
}

pub(super) fn upsert_load_progress(connection: &mut Connection, row: &LoadProgress) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::upsert_load_progress(c, row)?),
        Connection::Postgres(c) => Ok(postgres::upsert_load_progress(c, row)?),
    }
}

/// Of two instances that start at once, the first one's stays.
pub(super) fn insert_secret(
    connection: &mut Connection,
    name: &str,
    value: &[u8],
    now_us: i64,
) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::insert_secret(c, name, value, now_us)?),
        Connection::Postgres(c) => Ok(postgres::insert_secret(c, name, value, now_us)?),
    }
}

/// The steps of a statement's plan.
pub(super) fn explain(connection: &mut Connection, sql: Sql) -> Result<Vec<String>, StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::explain(c, sql)?),
        Connection::Postgres(c) => Ok(postgres::explain(c, sql)?),
    }
}

pub(super) fn clear_block_keys(connection: &mut Connection) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => Ok(sqlite::clear_block_keys(c)?),
        Connection::Postgres(c) => Ok(postgres::clear_block_keys(c)?),
    }
}

pub(super) fn insert_block_keys(connection: &mut Connection, rows: &[(i64, i64)]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_block_keys(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_block_keys(c, rows)?),
    }
}

pub(super) fn delete_block_keys(connection: &mut Connection, rows: &[(i64, i64)]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::delete_block_keys(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::delete_block_keys(c, rows)?),
    }
}

pub(super) fn insert_block_records(connection: &mut Connection, rows: &[&RecordKeys]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::insert_block_records(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(postgres::insert_block_records(c, rows)?),
    }
}

/// The numbers in each range, as many as it wants.
pub(super) fn block_ranges(connection: &mut Connection, ranges: &[KeyRange]) -> Result<Vec<(usize, i64)>, StoreError> {
    match (ranges, connection) {
        ([], _) => Ok(Vec::new()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::block_ranges(c, ranges)?),
        (_, Connection::Postgres(c)) => Ok(postgres::block_ranges(c, ranges)?),
    }
}

/// One value is prepared once for all, a list of them anew each time (see [`records_of_identities`]).
pub(super) fn records_of_numbers(connection: &mut Connection, numbers: &[i64]) -> Result<Vec<Numbered>, StoreError> {
    match (numbers, connection) {
        ([], _) => Ok(Vec::new()),
        (_, Connection::Sqlite(c)) => Ok(sqlite::records_of_numbers(c, numbers)?),
        (_, Connection::Postgres(c)) => Ok(postgres::records_of_numbers(c, numbers)?),
    }
}
