//! What is spent of each budget: when its bucket is full again, under an HMAC.
//!
//! A transaction opens all buckets of its jobs at once and in the order of keys, so that two instances never wait for each
//! other in a circle; what it writes, it has locked. Rows of buckets that are full again go. Not here: the arithmetic (see
//! `budget`), whose buckets they are (see `app::metering`).

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::budget;
use crate::budget::bucket::Bucket;
use crate::budget::key::{BudgetKey, KEY_BYTES};
use crate::budget::ledger::Ledger;

/// The buckets that a transaction needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those that are taken from.
    pub taken: BTreeSet<BudgetKey>,
    /// Those that are only looked at.
    pub seen: BTreeSet<BudgetKey>,
}

impl Wanted {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.seen.is_empty()
    }

    pub fn add(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.seen.extend(other.seen);
    }
}

/// Opens buckets for this transaction alone.
///
/// # Errors
/// Those of the database; `Other` for a key of another length.
pub fn open(connection: &mut Connection, wanted: &Wanted) -> Result<Ledger, StoreError> {
    if wanted.is_empty() {
        return Ok(Ledger::default());
    }
    let rows = dialect::budget::lock(connection, wanted)?;
    let bucket = |(key, full_us): (Vec<u8>, i64)| {
        let wrong = |_| StoreError::Other("a stored budget key has a wrong length".to_owned());
        Ok((BudgetKey(<[u8; KEY_BYTES]>::try_from(key).map_err(wrong)?), Bucket::full_at(full_us)))
    };
    Ok(Ledger::of(rows.into_iter().map(bucket).collect::<Result<Vec<_>, StoreError>>()?))
}

/// Writes what was taken, and removes as many rows and a few more of those that say nothing.
///
/// # Errors
/// Those of the database.
pub fn close(connection: &mut Connection, ledger: &Ledger, now_us: i64) -> Result<(), StoreError> {
    let changed = ledger.changed();
    if changed.is_empty() {
        return Ok(());
    }
    dialect::budget::put(connection, &changed)?;
    let rows_max = i64::try_from(changed.len()).unwrap_or(i64::MAX).saturating_mul(2);
    dialect::budget::delete_full(connection, now_us, rows_max)
}

/// How many rows there are.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(budget::table.count().get_result(connection)?)
}
