//! Rows of budgets: locked, written and removed by the hundred.
//!
//! SQLite has one writer, so nothing has to be locked there. Not here: what a row means (see `store::budget`).

use diesel::prelude::*;
use diesel::upsert::excluded;

use crate::budget::bucket::Bucket;
use crate::budget::key::BudgetKey;
use crate::store::budget::Wanted;
use crate::store::connection::Connection;
use crate::store::error::StoreError;
use crate::store::schema::budget;

/// Rows of one statement.
const ROWS_MAX: usize = 1000;

type Row = (Vec<u8>, i64);

/// The rows there are. Those that are taken from are locked until the transaction ends, in the order of their keys; on
/// PostgreSQL they are made where there are none, so that there is something to lock.
pub fn lock(connection: &mut Connection, wanted: &Wanted) -> Result<Vec<Row>, StoreError> {
    let bytes = |key: &BudgetKey| key.0.to_vec();
    let (taken, seen): (Vec<_>, Vec<_>) =
        (wanted.taken.iter().map(bytes).collect(), wanted.seen.iter().map(bytes).collect());
    let mut rows: Vec<Row> = Vec::with_capacity(taken.len() + seen.len());
    match connection {
        Connection::Sqlite(c) => {
            for key in taken.iter().chain(&seen) {
                rows.extend(budget::table.find(key).first::<Row>(c).optional()?);
            }
        }
        Connection::Postgres(c) => {
            for keys in seen.chunks(ROWS_MAX) {
                rows.extend(budget::table.filter(budget::budget_key.eq_any(keys)).load::<Row>(c)?);
            }
            // Not `SELECT FOR UPDATE`: between making a row and locking it another instance could remove it.
            for keys in taken.chunks(ROWS_MAX) {
                let new: Vec<_> =
                    keys.iter().map(|key| (budget::budget_key.eq(key), budget::full_us.eq(0_i64))).collect();
                let made = diesel::insert_into(budget::table)
                    .values(new)
                    .on_conflict(budget::budget_key)
                    .do_update()
                    .set(budget::full_us.eq(budget::full_us));
                rows.extend(made.returning((budget::budget_key, budget::full_us)).get_results::<Row>(c)?);
            }
        }
    }
    Ok(rows)
}

/// Writes rows that this transaction has locked.
pub fn put(connection: &mut Connection, changed: &[(BudgetKey, Bucket)]) -> Result<(), StoreError> {
    let row = |(key, bucket): &(BudgetKey, Bucket)| {
        (budget::budget_key.eq(key.0.to_vec()), budget::full_us.eq(bucket.full_us()))
    };
    match connection {
        Connection::Sqlite(c) => {
            for one in changed {
                diesel::insert_into(budget::table)
                    .values(row(one))
                    .on_conflict(budget::budget_key)
                    .do_update()
                    .set(budget::full_us.eq(excluded(budget::full_us)))
                    .execute(c)?;
            }
        }
        Connection::Postgres(c) => {
            for rows in changed.chunks(ROWS_MAX) {
                diesel::insert_into(budget::table)
                    .values(rows.iter().map(row).collect::<Vec<_>>())
                    .on_conflict(budget::budget_key)
                    .do_update()
                    .set(budget::full_us.eq(excluded(budget::full_us)))
                    .execute(c)?;
            }
        }
    }
    Ok(())
}

/// Removes rows of buckets that are full again, as far as nobody else is about to take from them.
pub fn delete_full(connection: &mut Connection, now_us: i64, rows_max: i64) -> Result<(), StoreError> {
    let full = budget::table.filter(budget::full_us.le(now_us)).order(budget::full_us).limit(rows_max);
    match connection {
        Connection::Sqlite(c) => {
            let keys: Vec<Vec<u8>> = full.select(budget::budget_key).load(c)?;
            for key in &keys {
                diesel::delete(budget::table.find(key)).execute(c)?;
            }
        }
        Connection::Postgres(c) => {
            let keys: Vec<Vec<u8>> = full.select(budget::budget_key).for_update().skip_locked().load(c)?;
            if !keys.is_empty() {
                diesel::delete(budget::table.filter(budget::budget_key.eq_any(&keys))).execute(c)?;
            }
        }
    }
    Ok(())
}
