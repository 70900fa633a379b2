//! Rows of the authorization server that are written unless they are there.
//!
//! Not here: what a row that is there means (see `store::client`, `store::replay`).

use diesel::prelude::*;
use diesel::query_dsl::methods::FilterDsl;
use diesel::upsert::excluded;

use crate::store::client::ClientRow;
use crate::store::connection::Connection;
use crate::store::consent::ConsentRow;
use crate::store::error::StoreError;
use crate::store::schema::{client, consent, replay};

/// How many rows were written: none when a unique key stands against it.
pub fn insert_client(connection: &mut Connection, row: &ClientRow) -> Result<usize, StoreError> {
    match connection {
        Connection::Sqlite(c) => {
            Ok(diesel::insert_into(client::table).values(row).on_conflict_do_nothing().execute(c)?)
        }
        Connection::Postgres(c) => {
            Ok(diesel::insert_into(client::table).values(row).on_conflict_do_nothing().execute(c)?)
        }
    }
}

/// How many rows were written: none when the id is there and has not expired.
pub fn take_replay(
    connection: &mut Connection,
    issuer: &str,
    token_id: &str,
    expires_us: i64,
    now_us: i64,
) -> Result<usize, StoreError> {
    let row = (replay::issuer.eq(issuer), replay::token_id.eq(token_id), replay::expires_us.eq(expires_us));
    match connection {
        Connection::Sqlite(c) => Ok(diesel::insert_into(replay::table)
            .values(row)
            .on_conflict((replay::issuer, replay::token_id))
            .do_update()
            .set(replay::expires_us.eq(excluded(replay::expires_us)))
            .filter(replay::expires_us.le(now_us))
            .execute(c)?),
        Connection::Postgres(c) => Ok(diesel::insert_into(replay::table)
            .values(row)
            .on_conflict((replay::issuer, replay::token_id))
            .do_update()
            .set(replay::expires_us.eq(excluded(replay::expires_us)))
            .filter(replay::expires_us.le(now_us))
            .execute(c)?),
    }
}

/// Writes an agreement, or replaces the one that is there.
pub fn put_consent(connection: &mut Connection, row: &ConsentRow) -> Result<(), StoreError> {
    let new = (consent::scope.eq(&row.scope), consent::granted_us.eq(row.granted_us));
    match connection {
        Connection::Sqlite(c) => diesel::insert_into(consent::table)
            .values(row)
            .on_conflict((consent::account_id, consent::client_id))
            .do_update()
            .set(new)
            .execute(c)?,
        Connection::Postgres(c) => diesel::insert_into(consent::table)
            .values(row)
            .on_conflict((consent::account_id, consent::client_id))
            .do_update()
            .set(new)
            .execute(c)?,
    };
    Ok(())
}
