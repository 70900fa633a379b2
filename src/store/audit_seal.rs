//! Seals over audit rows: appended, never changed.
//!
//! Whoever seals holds the seal lock ([`super::transaction::try_lock_seals`]). Not here: what a seal holds and how a chain
//! is judged (see [`crate::audit::chain`]).

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::schema::audit_seal;
use crate::audit::chain::{Numbers, Seal};

/// A seal as the columns have it, in their order.
type Columns = (i64, String, i64, i64, i64, String, String, String, i64, String, Option<String>, Option<String>);

/// The newest seal.
///
/// # Errors
/// Those of the database; `Corrupt` for what is no seal.
pub fn find_last(connection: &mut Connection) -> Result<Option<Seal>, StoreError> {
    let found = audit_seal::table.order(audit_seal::number.desc()).first::<Columns>(connection).optional()?;
    found.map(seal).transpose()
}

/// Up to `seals_max` seals after `number`, in order.
///
/// # Errors
/// As [`find_last`].
pub fn list_after(connection: &mut Connection, number: i64, seals_max: u32) -> Result<Vec<Seal>, StoreError> {
    let found: Vec<Columns> = audit_seal::table
        .filter(audit_seal::number.gt(number))
        .order(audit_seal::number)
        .limit(i64::from(seals_max))
        .load(connection)?;
    found.into_iter().map(seal).collect()
}

/// Seals after `number` that have missed rows or have found late ones, since a time, in order.
///
/// # Errors
/// As [`find_last`].
pub fn list_incomplete(connection: &mut Connection, number: i64, since_us: i64) -> Result<Vec<Seal>, StoreError> {
    let found: Vec<Columns> = audit_seal::table
        .filter(audit_seal::number.gt(number))
        .filter(audit_seal::sealed_us.ge(since_us))
        .filter(audit_seal::missing.ne("").or(audit_seal::late.ne("")))
        .order(audit_seal::number)
        .load(connection)?;
    found.into_iter().map(seal).collect()
}

/// The number of the last seal whose rows all come before `seq`; 0 when there is none.
///
/// # Errors
/// Those of the database.
pub fn number_before(connection: &mut Connection, seq: i64) -> Result<i64, StoreError> {
    let found = audit_seal::table.filter(audit_seal::last_seq.lt(seq)).select(diesel::dsl::max(audit_seal::number));
    Ok(found.first::<Option<i64>>(connection)?.unwrap_or(0))
}

/// Appends a seal.
///
/// # Errors
/// `Conflict` when there is one of its number.
pub fn insert(connection: &mut Connection, seal: &Seal) -> Result<(), StoreError> {
    diesel::insert_into(audit_seal::table)
        .values((
            (
                audit_seal::number.eq(seal.number),
                audit_seal::previous.eq(&seal.previous),
                audit_seal::first_seq.eq(seal.first_seq),
                audit_seal::last_seq.eq(seal.last_seq),
                audit_seal::row_count.eq(seal.row_count),
                audit_seal::missing.eq(seal.missing.to_string()),
            ),
            (
                audit_seal::late.eq(seal.late.to_string()),
                audit_seal::rows_sha256.eq(&seal.rows_sha256),
                audit_seal::sealed_us.eq(seal.sealed_us),
                audit_seal::digest.eq(&seal.digest),
                audit_seal::key_id.eq(seal.key_id.as_deref()),
                audit_seal::mac.eq(seal.mac.as_deref()),
            ),
        ))
        .execute(connection)?;
    Ok(())
}

fn seal(columns: Columns) -> Result<Seal, StoreError> {
    let (number, previous, first_seq, last_seq, row_count, missing, late, rows_sha256, sealed_us, digest, key_id, mac) =
        columns;
    let numbers =
        |text: &str| Numbers::parse(text).map_err(|_| StoreError::Corrupt(format!("audit seal {number} is no seal")));
    let (missing, late) = (numbers(&missing)?, numbers(&late)?);
    Ok(Seal {
        number,
        previous,
        first_seq,
        last_seq,
        row_count,
        missing,
        late,
        rows_sha256,
        sealed_us,
        digest,
        key_id,
        mac,
    })
}
