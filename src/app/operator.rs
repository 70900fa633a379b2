//! What commands of an operator have in common that change what running servers read: a `Store` without an
//! [`App`](super::App), for no index is needed, and one transaction with its audit row.
//!
//! Not here: the commands (see `auth::clients`, `auth::key_commands`, `people::manage`).

use crate::audit::{Action, AuditRecord};
use crate::config::Config;
use crate::store::{Connection, DatabaseUrl, Store, StoreError, audit, transaction};

use super::clock::Clock;
use super::context::{Caller, Context};
use super::{StartError, store_options};

/// The configured database, migrated.
///
/// # Errors
/// When it cannot be used.
pub fn open_store(config: &Config) -> Result<Store, StartError> {
    let url = DatabaseUrl::parse(config.server.database_url.expose()).map_err(StartError::Url)?;
    let cannot = |error| StartError::Store { place: url.to_string(), error };
    Store::open(&url, &store_options(config)).map_err(cannot)
}

/// One transaction with its audit row; what is refused is not audited, for nothing was done.
///
/// # Errors
/// What `work` gives, and those of the database.
pub fn write<T, E: From<StoreError>>(
    store: &Store,
    clock: Clock,
    action: Action,
    work: impl FnOnce(&mut Connection, &mut AuditRecord) -> Result<T, E>,
) -> Result<T, E> {
    let mut connection = store.writer_connection()?;
    let mut row = Context::new(Caller::Open, clock).audit(action);
    row.detail.status = 200;
    transaction::begin_write(&mut connection)?;
    let done = work(&mut connection, &mut row).and_then(|done| {
        audit::append(&mut connection, &[row])?;
        Ok(done)
    });
    match done {
        Ok(done) => Ok(transaction::commit(&mut connection).map(|()| done)?),
        Err(error) => {
            transaction::rollback(&mut connection)?;
            Err(error)
        }
    }
}
