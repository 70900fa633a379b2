//! The verbs of a transaction.
//!
//! One use case is one write transaction that carries its audit record; the writer runs many of them, each behind a
//! savepoint, in one commit. Whoever writes records or identities takes the identity lock first: then the order of
//! [`super::change`] is the order of commits. SQLite has one writer at a time by itself (`BEGIN IMMEDIATE`); PostgreSQL
//! needs a transaction-level advisory lock, which ends with the transaction, also when its process dies.
//! Not here: what is written, and when to retry.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::result::Error;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;

/// Advisory locks of this program on PostgreSQL: `idim` in ASCII, and a number.
const LOCK_SPACE: i32 = 0x6964_696d;
const SCHEMA_LOCK: i32 = 1;
const IDENTITY_LOCK: i32 = 2;
const SEAL_LOCK: i32 = 3;
const KEY_LOCK: i32 = 7;
const PEOPLE_LOCK: i32 = 8;

/// Begins a transaction that may write. On SQLite it waits for the other writers of the file.
///
/// # Errors
/// `Unavailable` when another writer does not finish within `busy_timeout_ms`, or the connection is lost.
pub fn begin_write(connection: &mut Connection) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")?,
        Connection::Postgres(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")?;
        }
    }
    Ok(())
}

/// Takes the lock of everyone who writes records or identities, until the transaction ends. Take it before reading
/// what the decision depends on: each later statement sees what the previous holder has committed.
///
/// # Errors
/// `Unavailable` when it is not free within `busy_timeout_ms`.
pub fn lock_identities(connection: &mut Connection) -> Result<(), StoreError> {
    advisory_lock(connection, IDENTITY_LOCK)
}

/// Takes the lock of those who make signing keys, until the transaction ends.
///
/// # Errors
/// `Unavailable` when it is not free within `busy_timeout_ms`.
pub fn lock_keys(connection: &mut Connection) -> Result<(), StoreError> {
    advisory_lock(connection, KEY_LOCK)
}

/// Takes the lock of those who write accounts of people, their sessions, what is counted of signing in, or what people have
/// allowed apps (agreements, codes, token families), until the transaction ends: of two sign-ins at once, at whichever
/// instances, the second sees what the first has counted, and none waits for rows that the other holds. A transaction has the
/// jobs of many requests, so whoever takes such a row without it could wait for somebody who waits for it.
///
/// # Errors
/// `Unavailable` when it is not free within `busy_timeout_ms`.
pub fn lock_people(connection: &mut Connection) -> Result<(), StoreError> {
    advisory_lock(connection, PEOPLE_LOCK)
}

/// Takes the lock of whoever seals the audit until the transaction ends, if nobody has it. It waits for nobody.
///
/// # Errors
/// `Unavailable` when the connection is lost.
pub fn try_lock_seals(connection: &mut Connection) -> Result<bool, StoreError> {
    dialect::try_lock(connection, LOCK_SPACE, SEAL_LOCK)
}

/// Takes the lock of those who migrate.
pub(super) fn lock_schema(connection: &mut Connection) -> Result<(), StoreError> {
    advisory_lock(connection, SCHEMA_LOCK)
}

fn advisory_lock(connection: &mut Connection, lock: i32) -> Result<(), StoreError> {
    dialect::lock(connection, LOCK_SPACE, lock)
}

/// Marks a point inside the open transaction to which [`rollback_to`] can return.
///
/// # Errors
/// `Unavailable` when the connection is lost; `Other` when no transaction is open.
pub fn savepoint(connection: &mut Connection, number: u32) -> Result<(), StoreError> {
    check_open(connection)?;
    Ok(connection.batch_execute(&format!("SAVEPOINT job_{number}"))?)
}

/// Outside a transaction SQLite would begin one with a savepoint, which PostgreSQL refuses.
fn check_open(connection: &mut Connection) -> Result<(), StoreError> {
    let status = match connection {
        Connection::Sqlite(c) => AnsiTransactionManager::transaction_manager_status_mut(c),
        Connection::Postgres(c) => AnsiTransactionManager::transaction_manager_status_mut(c),
    };
    status.transaction_depth()?.map(|_| ()).ok_or_else(|| Error::NotInTransaction.into())
}

/// Keeps what happened since [`savepoint`] and forgets the point.
///
/// # Errors
/// `Unavailable` when the connection is lost.
pub fn release(connection: &mut Connection, number: u32) -> Result<(), StoreError> {
    Ok(connection.batch_execute(&format!("RELEASE SAVEPOINT job_{number}"))?)
}

/// Undoes what happened since [`savepoint`], also after an error of the database, and forgets the point.
///
/// # Errors
/// Any error means that the whole transaction is undone or must be: the connection is lost, or SQLite has undone
/// everything by itself because the disk is full. Answer all jobs of the transaction with a failure.
pub fn rollback_to(connection: &mut Connection, number: u32) -> Result<(), StoreError> {
    let sql = format!("ROLLBACK TO SAVEPOINT job_{number}; RELEASE SAVEPOINT job_{number}");
    Ok(connection.batch_execute(&sql)?)
}

/// One savepoint after the other. That of a finished part is released as the next one begins: a round trip less each.
///
/// A part that is alone needs none: to undo it is to undo the transaction, and to begin another one. Behind a savepoint
/// SQLite writes down every page before it changes it; for a load that is as much again as the changes themselves.
#[derive(Debug)]
pub enum Savepoints {
    /// Of the only part.
    Alone,
    Several {
        number: u32,
        is_open: bool,
    },
}

impl Savepoints {
    /// For so many parts.
    #[must_use]
    pub const fn of(parts: usize) -> Self {
        if parts == 1 { Self::Alone } else { Self::Several { number: 0, is_open: false } }
    }

    /// Marks the beginning of a part.
    ///
    /// # Errors
    /// As [`savepoint`].
    pub fn begin(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let Self::Several { number, is_open } = self else { return Ok(()) };
        *number += 1;
        if *is_open {
            let (finished, next) = (*number - 1, *number);
            return Ok(connection.batch_execute(&format!("RELEASE SAVEPOINT job_{finished}; SAVEPOINT job_{next}"))?);
        }
        *is_open = true;
        savepoint(connection, *number)
    }

    /// Undoes the part that was begun last. When it was alone, the locks of the transaction are gone with it.
    ///
    /// # Errors
    /// As [`rollback_to`], and [`begin_write`] when it was alone.
    pub fn undo(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        match self {
            Self::Alone => {
                rollback(connection)?;
                begin_write(connection)
            }
            Self::Several { number, is_open } => {
                *is_open = false;
                rollback_to(connection, *number)
            }
        }
    }
}

/// Ends the transaction and makes it durable.
///
/// # Errors
/// Whatever kept it from being durable; call [`rollback`] then. After `Unavailable` on PostgreSQL it is not known
/// whether the commit happened.
pub fn commit(connection: &mut Connection) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => AnsiTransactionManager::commit_transaction(c)?,
        Connection::Postgres(c) => AnsiTransactionManager::commit_transaction(c)?,
    }
    Ok(())
}

/// Undoes the transaction, if one is open: afterwards none is. A full disk lets SQLite undo it by itself.
///
/// # Errors
/// `Unavailable` when the connection is lost; the database has undone the transaction then.
pub fn rollback(connection: &mut Connection) -> Result<(), StoreError> {
    let result = match connection {
        Connection::Sqlite(c) => AnsiTransactionManager::rollback_transaction(c),
        Connection::Postgres(c) => AnsiTransactionManager::rollback_transaction(c),
    };
    match result {
        Ok(()) | Err(Error::NotInTransaction) => Ok(()),
        Err(Error::DatabaseError(_, cause)) if cause.message() == "cannot rollback - no transaction is active" => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs `read` so that all its queries see the database at one moment. It cannot write.
///
/// # Errors
/// Those of `read`, and `Unavailable`.
pub fn read_snapshot<T, E: From<StoreError>>(
    connection: &mut Connection,
    read: impl FnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E> {
    begin_read(connection)?;
    let result = read(connection);
    let ended = rollback(connection);
    let value = result?;
    ended?;
    Ok(value)
}

fn begin_read(connection: &mut Connection) -> Result<(), StoreError> {
    match connection {
        Connection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN DEFERRED")?,
        Connection::Postgres(c) => {
            AnsiTransactionManager::begin_transaction_sql(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        }
    }
    Ok(())
}
