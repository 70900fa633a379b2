//! [`Store`]: a migrated database, a pool of connections that read, and connections for the one writer.
//!
//! Why a pool of readers only: writing is one thread's work, in batches; a statement that writes on a pooled connection
//! is refused by the database itself. Not here: what is read or written.

use std::time::Duration;

use diesel::r2d2::{self, ManageConnection, R2D2Connection};

use super::connection::{self, Connection, Purpose};
use super::database_url::DatabaseUrl;
use super::error::{StoreError, Unavailable};
use super::migration;

/// Limits of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Connections that read at the same time.
    pub connections_max: u32,
    /// How long a request waits for a free connection.
    pub acquire_timeout_ms: u64,
    /// How long a writer waits for another writer's lock.
    pub busy_timeout_ms: u64,
    /// How long one statement may run on PostgreSQL.
    pub statement_timeout_ms: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { connections_max: 8, acquire_timeout_ms: 2_000, busy_timeout_ms: 5_000, statement_timeout_ms: 10_000 }
    }
}

/// A connection that returns to the pool when it is dropped.
pub type PooledConnection = r2d2::PooledConnection<Manager>;

/// A database that is ready for use. Cloning shares the pool.
#[derive(Debug, Clone)]
pub struct Store {
    url: DatabaseUrl,
    options: StoreOptions,
    pool: r2d2::Pool<Manager>,
}

impl Store {
    /// Runs pending migrations under a lock and opens the pool.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer version of this program has migrated the database; else whatever keeps
    /// the database from answering.
    pub fn open(url: &DatabaseUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        migration::run(&mut connection::establish(url, options, Purpose::Migrate)?)?;
        Ok(Self::of(url, options))
    }

    /// Opens a database that is there already, in this program's schema, and neither creates nor migrates one.
    ///
    /// # Errors
    /// [`StoreError::NoDatabase`], [`StoreError::OlderSchema`] or [`StoreError::NewerSchema`]; else whatever keeps the
    /// database from answering.
    pub fn open_as_it_is(url: &DatabaseUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        if let DatabaseUrl::Sqlite(path) = url
            && !path.exists()
        {
            return Err(StoreError::NoDatabase);
        }
        migration::check(&mut connection::establish(url, options, Purpose::Backup)?)?;
        Ok(Self::of(url, options))
    }

    fn of(url: &DatabaseUrl, options: &StoreOptions) -> Self {
        let manager = Manager { url: url.clone(), options: *options };
        let pool = r2d2::Pool::builder()
            .max_size(options.connections_max.max(1))
            .min_idle(Some(0))
            .connection_timeout(Duration::from_millis(options.acquire_timeout_ms.max(1)))
            .test_on_check_out(true)
            // What failed is the reason of the error that the caller gets.
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(manager);
        Self { url: url.clone(), options: *options, pool }
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when none is free or none can be opened within `acquire_timeout_ms`.
    pub fn connection(&self) -> Result<PooledConnection, StoreError> {
        self.pool.get().map_err(|error| StoreError::Unavailable(Unavailable::Pool(error.to_string())))
    }

    /// A new connection to write with, outside the pool. Whoever loses it asks for another one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be reached.
    pub fn writer_connection(&self) -> Result<Connection, StoreError> {
        connection::establish(&self.url, &self.options, Purpose::Write)
    }

    /// A new connection to read everything with, however long it takes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be reached.
    pub fn backup_connection(&self) -> Result<Connection, StoreError> {
        connection::establish(&self.url, &self.options, Purpose::Backup)
    }

    /// A new connection to write with, however long it takes and others keep it waiting.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be reached.
    pub fn patient_connection(&self) -> Result<Connection, StoreError> {
        connection::establish(&self.url, &self.options, Purpose::Migrate)
    }

    /// The newest migration that this program knows: the schema of every store that it has opened.
    #[must_use]
    pub fn schema() -> String {
        migration::newest()
    }

    /// Lets the database look at what it holds, for its choice of indexes: call it when a load has brought many rows.
    ///
    /// # Errors
    /// Those of the database.
    pub fn analyze(&self) -> Result<(), StoreError> {
        connection::analyze(&mut connection::establish(&self.url, &self.options, Purpose::Migrate)?)
    }

    /// Where the database is; shows no password.
    #[must_use]
    pub const fn url(&self) -> &DatabaseUrl {
        &self.url
    }
}

/// Opens and judges the pool's connections.
#[derive(Debug)]
pub struct Manager {
    url: DatabaseUrl,
    options: StoreOptions,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        connection::establish(&self.url, &self.options, Purpose::Read)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        connection.check_peer()
    }

    /// A connection in a transaction, or whose server is gone, is not used again.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}
