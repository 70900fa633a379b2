//! One connection: either database behind one type, opened and set up for safety.
//!
//! Why our own establishing: the derived `establish` tries every backend and hides the real error. What every
//! connection gets: durable commits (`synchronous=FULL` on WAL; PostgreSQL's default), a bound on every wait, foreign
//! keys, and a vanished peer noticed within seconds. Not here: the pool (see `pool`), migrations.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection, SqliteConnection};

use super::database_url::{DatabaseUrl, PostgresUrl};
use super::error::{StoreError, Unavailable};
use super::pool::StoreOptions;

pub use either::EitherConnection as Connection;
pub(super) use either::MultiBackend;

/// In a module of its own: the derived code has another `Connection` in scope.
mod either {
    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either database.
    #[derive(diesel::MultiConnection)]
    pub enum EitherConnection {
        Sqlite(SqliteConnection),
        Postgres(PgConnection),
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Pooled: the database itself refuses writes.
    Read,
    /// The process's one writer.
    Write,
    /// Reads the whole, which may take long; the database itself refuses writes.
    Backup,
    /// Migrations and other writes on the whole: may wait and run long.
    Migrate,
}

impl Purpose {
    const fn only_reads(self) -> bool {
        matches!(self, Self::Read | Self::Backup)
    }

    const fn is_patient(self) -> bool {
        matches!(self, Self::Backup | Self::Migrate)
    }
}

/// How long a migration may wait for another process's migration.
const MIGRATION_WAIT_MS: u64 = 300_000;
/// A dead peer of a TCP connection is noticed after about this time, on both ends.
const PEER_TIMEOUT_MS: u64 = 20_000;
/// An open transaction of a stopped process must not hold the identity lock for ever.
const IDLE_TRANSACTION_MS: u64 = 60_000;
const CONNECT_TIMEOUT_S: u64 = 5;
/// After this many pages (64 MiB) the write-ahead log is copied into the database; fewer copies of the same page.
const WAL_CHECKPOINT_PAGES: u32 = 16_384;
const WAL_BYTES_KEPT: u32 = 128 << 20;
const READ_CACHE_KIB: u32 = 16 << 10;
const WRITE_CACHE_KIB: u32 = 128 << 10;

pub(super) fn establish(url: &DatabaseUrl, options: &StoreOptions, purpose: Purpose) -> Result<Connection, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => establish_sqlite(path, options, purpose).map(Connection::Sqlite),
        DatabaseUrl::Postgres(url) => establish_postgres(url, options, purpose).map(Connection::Postgres),
    }
}

fn establish_sqlite(path: &Path, options: &StoreOptions, purpose: Purpose) -> Result<SqliteConnection, StoreError> {
    let text = path.to_str().ok_or(StoreError::BadUrl("the path is not UTF-8"))?;
    // The driver reads `file:` and `sqlite://` as URIs with options; a path is meant literally.
    let literal = if path.is_absolute() { text.to_owned() } else { format!("./{text}") };
    create_private(path)?;
    let mut connection = SqliteConnection::establish(&literal)?;
    let busy_ms = if purpose.is_patient() { MIGRATION_WAIT_MS } else { options.busy_timeout_ms };
    connection.batch_execute(&format!("PRAGMA busy_timeout={busy_ms}"))?;
    switch_to_wal(&mut connection, Duration::from_millis(busy_ms))?;
    let cache_kib = if purpose == Purpose::Read { READ_CACHE_KIB } else { WRITE_CACHE_KIB };
    // What a savepoint may have to undo is kept in memory: a temporary file would hold people's data outside of the
    // database, and writes every changed page once more.
    connection.batch_execute(&format!(
        "PRAGMA temp_store=MEMORY; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-{cache_kib}; \
         PRAGMA wal_autocheckpoint={WAL_CHECKPOINT_PAGES}; PRAGMA journal_size_limit={WAL_BYTES_KEPT}; \
         PRAGMA trusted_schema=OFF"
    ))?;
    if purpose.only_reads() {
        connection.batch_execute("PRAGMA query_only=ON")?;
    }
    Ok(connection)
}

/// Creates the file readable by its owner alone; SQLite gives the same mode to the files beside it.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Err(StoreError::Full),
        Err(error) => Err(StoreError::Other(format!("cannot create the database file: {}", error.kind()))),
    }
}

/// Two first connections at once can both switch: SQLite then answers busy without waiting.
fn switch_to_wal(connection: &mut SqliteConnection, patience: Duration) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match connection.batch_execute("PRAGMA journal_mode=WAL").map_err(StoreError::from) {
            Err(StoreError::Unavailable(Unavailable::Busy)) if start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

fn establish_postgres(url: &PostgresUrl, options: &StoreOptions, purpose: Purpose) -> Result<PgConnection, StoreError> {
    // Else OpenSSL clears its state when the process exits, under a thread that may still be talking to the server.
    openssl_sys::init();
    let peer_s = PEER_TIMEOUT_MS / 1000;
    let uri = url.with_defaults(&[
        ("application_name", "idi-match".to_owned()),
        ("connect_timeout", CONNECT_TIMEOUT_S.to_string()),
        ("keepalives_idle", (peer_s / 2).to_string()),
        ("keepalives_interval", (peer_s / 4).to_string()),
        ("keepalives_count", "2".to_owned()),
        ("tcp_user_timeout", PEER_TIMEOUT_MS.to_string()),
    ]);
    let mut connection = PgConnection::establish(&uri)?;
    let (statement_ms, lock_ms, idle_ms) = if purpose.is_patient() {
        // Whoever takes or gives the file of a backup may be slow.
        (0, MIGRATION_WAIT_MS, 0)
    } else {
        (options.statement_timeout_ms, options.busy_timeout_ms, IDLE_TRANSACTION_MS)
    };
    connection.batch_execute(&format!(
        "SET statement_timeout={statement_ms}; SET lock_timeout={lock_ms}; \
         SET idle_in_transaction_session_timeout={idle_ms}; SET tcp_keepalives_idle={}; \
         SET tcp_keepalives_interval={}; SET tcp_keepalives_count=2; SET tcp_user_timeout={PEER_TIMEOUT_MS}; \
         SET synchronous_commit=on; SET default_transaction_isolation='read committed'",
        peer_s / 2,
        peer_s / 4,
    ))?;
    if purpose.only_reads() {
        connection.batch_execute("SET default_transaction_read_only=on")?;
    }
    Ok(connection)
}

/// New statistics for PostgreSQL's planner, which knows nothing of a table until its own round comes by. SQLite has
/// fixed ones (see its first migration).
pub(super) fn analyze(connection: &mut Connection) -> Result<(), StoreError> {
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    Ok(connection.batch_execute(
        "ANALYZE resource, search_string, search_token, search_date, record, identity, change, block_key, block_record",
    )?)
}

impl Connection {
    /// Whether the peer has hung up, seen without a round trip.
    pub(super) fn check_peer(&mut self) -> Result<(), StoreError> {
        let Self::Postgres(connection) = self else { return Ok(()) };
        // Looking for notifications reads what the socket holds: first the server's farewell, then the end.
        for _ in 0..2 {
            if connection.notifications_iter().any(|notification| notification.is_err()) {
                return Err(StoreError::Unavailable(Unavailable::Lost));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Connection(sqlite)",
            Self::Postgres(_) => "Connection(postgres)",
        })
    }
}
