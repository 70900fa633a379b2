//! Block keys of records: the lists behind `match.index = "database"`.
//!
//! Everything here is derived from records: filled by pages, kept up by following the change log. Writers hold the identity
//! lock ([`super::transaction::lock_identities`]). Not here: which keys a record has, when they are written.

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::record::RecordRow;
use super::schema::{block_record, block_state, record, resource};
use crate::matching::stored_blocks::KeyRange;

/// How far the keys are.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = block_state)]
pub struct BlockState {
    /// How the keys were derived.
    pub derivation: i32,
    /// Changes up to this one are in the keys.
    pub seq: i64,
    /// The record that was filled in last; `None` when all were.
    pub filled_to: Option<String>,
}

/// A record with its Patient's number.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Numbered {
    pub number: i64,
    pub record: RecordRow,
}

/// What a record is found by; without keys it is found no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKeys {
    pub number: i64,
    pub record_id: String,
    pub keys: Vec<i64>,
}

/// How far the keys are; `None` when none were ever written.
///
/// # Errors
/// Those of the database.
pub fn find_state(connection: &mut Connection) -> Result<Option<BlockState>, StoreError> {
    Ok(block_state::table.select(BlockState::as_select()).first(connection).optional()?)
}

/// Says how far the keys are.
///
/// # Errors
/// Those of the database.
pub fn put_state(connection: &mut Connection, state: &BlockState) -> Result<(), StoreError> {
    let values = (
        block_state::derivation.eq(state.derivation),
        block_state::seq.eq(state.seq),
        block_state::filled_to.eq(&state.filled_to),
    );
    if diesel::update(block_state::table).set(values).execute(connection)? == 0 {
        diesel::insert_into(block_state::table).values((block_state::one.eq(1), values)).execute(connection)?;
    }
    Ok(())
}

/// Forgets all keys.
///
/// # Errors
/// Those of the database.
pub fn clear(connection: &mut Connection) -> Result<(), StoreError> {
    dialect::clear_block_keys(connection)
}

/// Puts the keys of records in place of those that they had.
///
/// # Errors
/// Those of the database.
pub fn replace_many(connection: &mut Connection, records: &[RecordKeys]) -> Result<(), StoreError> {
    let numbers: Vec<i64> = records.iter().map(|record| record.number).collect();
    let before: Vec<(i64, Vec<u8>)> = block_record::table
        .filter(block_record::number.eq_any(&numbers))
        .select((block_record::number, block_record::keys))
        .load(connection)?;
    if !before.is_empty() {
        let rows: Vec<(i64, i64)> =
            before.iter().flat_map(|(number, keys)| read_keys(keys).map(move |key| (key, *number))).collect();
        dialect::delete_block_keys(connection, &rows)?;
        diesel::delete(block_record::table.filter(block_record::number.eq_any(&numbers))).execute(connection)?;
    }
    let found: Vec<&RecordKeys> = records.iter().filter(|record| !record.keys.is_empty()).collect();
    // Sorted: rows that lie together are written together.
    let mut rows: Vec<(i64, i64)> =
        found.iter().flat_map(|record| record.keys.iter().map(|key| (*key, record.number))).collect();
    rows.sort_unstable();
    dialect::insert_block_keys(connection, &rows)?;
    dialect::insert_block_records(connection, &found)
}

/// Keys as they are kept with their record.
pub(super) fn written_keys(keys: &[i64]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_le_bytes()).collect()
}

fn read_keys(bytes: &[u8]) -> impl Iterator<Item = i64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes))
}

/// What is in each range, by its place in the list: the numbers of as many records as it wants.
///
/// # Errors
/// Those of the database.
pub fn list_ranges(connection: &mut Connection, ranges: &[KeyRange]) -> Result<Vec<(usize, i64)>, StoreError> {
    dialect::block_ranges(connection, ranges)
}

/// The records of these numbers, in any order.
///
/// # Errors
/// Those of the database.
pub fn list_records(connection: &mut Connection, numbers: &[i64]) -> Result<Vec<Numbered>, StoreError> {
    dialect::records_of_numbers(connection, numbers)
}

/// The next records after an id, ordered by id, with their numbers.
///
/// # Errors
/// Those of the database.
pub fn list_numbered_page(
    connection: &mut Connection,
    after_id: &str,
    records_max: u32,
) -> Result<Vec<Numbered>, StoreError> {
    Ok(record::table
        .inner_join(resource::table.on(resource::resource_type.eq("Patient").and(resource::id.eq(record::id))))
        .filter(record::id.gt(after_id))
        .order(record::id)
        .limit(i64::from(records_max))
        .select((resource::number, RecordRow::as_select()))
        .load(connection)?)
}

/// The numbers of Patients, deleted ones too.
///
/// # Errors
/// Those of the database.
pub fn list_numbers(connection: &mut Connection, ids: &[&str]) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(resource::table
        .filter(resource::resource_type.eq("Patient"))
        .filter(resource::id.eq_any(ids))
        .select((resource::id, resource::number))
        .load(connection)?)
}
