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
/// How often rows are made that another instance removes at the same moment.
const TRIES_MAX: usize = 8;

type Row = (Vec<u8>, i64);

/// The rows there are, locked until the transaction ends; on PostgreSQL there is one for each that is taken from.
pub fn lock(connection: &mut Connection, wanted: &Wanted) -> Result<Vec<Row>, StoreError> {
    let all: Vec<Vec<u8>> = wanted.taken.union(&wanted.seen).map(|key| key.0.to_vec()).collect();
    match connection {
        Connection::Sqlite(c) => {
            let mut rows = Vec::with_capacity(all.len());
            for key in &all {
                rows.extend(budget::table.find(key).first::<Row>(c).optional()?);
            }
            Ok(rows)
        }
        Connection::Postgres(c) => {
            let taken: Vec<Vec<u8>> = wanted.taken.iter().map(|key| key.0.to_vec()).collect();
            for _ in 0..TRIES_MAX {
                // A row that is new is locked by whoever has made it.
                for keys in taken.chunks(ROWS_MAX) {
                    let new: Vec<_> =
                        keys.iter().map(|key| (budget::budget_key.eq(key), budget::full_us.eq(0_i64))).collect();
                    diesel::insert_into(budget::table).values(new).on_conflict_do_nothing().execute(c)?;
                }
                let mut rows: Vec<Row> = Vec::with_capacity(all.len());
                for keys in all.chunks(ROWS_MAX) {
                    let those = budget::table.filter(budget::budget_key.eq_any(keys)).order(budget::budget_key);
                    rows.extend(those.for_update().load::<Row>(c)?);
                }
                if taken.iter().all(|key| rows.binary_search_by(|(row, _)| row.cmp(key)).is_ok()) {
                    return Ok(rows);
                }
            }
            Err(StoreError::Conflict("budget".to_owned()))
        }
    }
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
