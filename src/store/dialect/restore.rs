//! Writing rows back with the numbers that they had, on either database.
//!
//! Not here: which rows, and in which order (see `store::backup`).

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};

use super::postgres::column;
use crate::store::audit::AuditRow;
use crate::store::backup::ChangeEntry;
use crate::store::connection::Connection;
use crate::store::error::StoreError;
use crate::store::resource::Resource;
use crate::store::schema::{audit, change, resource_history};

/// Versions that are no longer current.
pub fn insert_history(connection: &mut Connection, rows: &[Resource]) -> Result<(), StoreError> {
    match (rows, connection) {
        ([], _) => Ok(()),
        (_, Connection::Sqlite(c)) => Ok(insert_history_sqlite(c, rows)?),
        (_, Connection::Postgres(c)) => Ok(insert_history_postgres(c, rows)?),
    }
}

fn insert_history_sqlite(connection: &mut SqliteConnection, rows: &[Resource]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(resource_history::table)
            .values((
                resource_history::resource_type.eq(&row.resource_type),
                resource_history::id.eq(&row.id),
                resource_history::version.eq(row.version),
                resource_history::updated_us.eq(row.updated_us),
                resource_history::deleted.eq(row.deleted),
                resource_history::body.eq(&row.body),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn insert_history_postgres(connection: &mut PgConnection, rows: &[Resource]) -> QueryResult<()> {
    sql_query(
        "INSERT INTO resource_history (resource_type, id, version, updated_us, deleted, body) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6)",
    )
    .bind::<Array<Text>, _>(column(rows, |row| row.resource_type.as_str()))
    .bind::<Array<Text>, _>(column(rows, |row| row.id.as_str()))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.version))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.updated_us))
    .bind::<Array<Bool>, _>(column(rows, |row| row.deleted))
    .bind::<Array<Text>, _>(column(rows, |row| row.body.as_str()))
    .execute(connection)?;
    Ok(())
}

pub fn insert_change_entries(connection: &mut Connection, rows: &[ChangeEntry]) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(connection) => {
            for row in rows {
                diesel::insert_into(change::table).values(row).execute(connection)?;
            }
        }
        Connection::Postgres(connection) => {
            sql_query("INSERT INTO change (seq, record_id, binds) SELECT * FROM UNNEST($1, $2, $3)")
                .bind::<Array<BigInt>, _>(column(rows, |row| row.seq))
                .bind::<Array<Text>, _>(column(rows, |row| row.record_id.as_str()))
                .bind::<Array<Bool>, _>(column(rows, |row| row.binds))
                .execute(connection)?;
        }
    }
    Ok(())
}

pub fn insert_audit_rows(connection: &mut Connection, rows: &[AuditRow]) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(connection) => {
            for row in rows {
                diesel::insert_into(audit::table).values(row).execute(connection)?;
            }
            Ok(())
        }
        Connection::Postgres(connection) => Ok(insert_audit_rows_postgres(connection, rows)?),
    }
}

fn insert_audit_rows_postgres(connection: &mut PgConnection, rows: &[AuditRow]) -> QueryResult<()> {
    sql_query(
        "INSERT INTO audit (seq, at_us, request_id, action, outcome, caller, resource_type, detail) \
         OVERRIDING SYSTEM VALUE SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind::<Array<BigInt>, _>(column(rows, |row| row.seq))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.at_us))
    .bind::<Array<Text>, _>(column(rows, |row| row.request_id.as_str()))
    .bind::<Array<Text>, _>(column(rows, |row| row.action.as_str()))
    .bind::<Array<Text>, _>(column(rows, |row| row.outcome.as_str()))
    .bind::<Array<Text>, _>(column(rows, |row| row.caller.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.resource_type.as_deref()))
    .bind::<Array<Text>, _>(column(rows, |row| row.detail.as_str()))
    .execute(connection)?;
    Ok(())
}

/// Others go on reading, and wait when they want to write. SQLite has one writer anyway.
pub fn lock_tables(connection: &mut Connection) -> Result<(), StoreError> {
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    Ok(connection.batch_execute(
        "LOCK TABLE resource, resource_history, identity, record, review, change, audit, audit_seal, load_progress, \
         steward_decision, record_constraint, identity_history, merged_identity, client, \
         signing_key \
         IN EXCLUSIVE MODE",
    )?)
}

/// SQLite's numbers follow the largest one by themselves.
pub fn continue_numbering(connection: &mut Connection) -> Result<(), StoreError> {
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    Ok(connection.batch_execute(
        "SELECT setval('resource_number', number) FROM (SELECT MAX(number) AS number FROM resource) AS last \
         WHERE number IS NOT NULL; \
         SELECT setval(pg_get_serial_sequence('audit', 'seq'), seq) FROM (SELECT MAX(seq) AS seq FROM audit) AS last \
         WHERE seq IS NOT NULL",
    )?)
}
