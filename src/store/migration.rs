//! The embedded migrations, run under a lock.
//!
//! Several processes may start at once: the first one migrates, the others wait and find nothing to do. All pending
//! migrations are one transaction on both databases, so a start that fails leaves the schema as it was.
//! A schema with a migration that this program does not know is refused: an older program must not write to it.
//! Both databases have the same migrations under the same names (`migrations/sqlite`, `migrations/postgres`).

use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Connection;
use super::error::StoreError;
use super::transaction;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    transaction::begin_write(connection)?;
    let result = transaction::lock_schema(connection).and_then(|()| match connection {
        Connection::Sqlite(connection) => run_pending(connection, &SQLITE),
        Connection::Postgres(connection) => run_pending(connection, &POSTGRES),
    });
    match result {
        Ok(()) => transaction::commit(connection),
        Err(error) => {
            // The first error is the reason; a failed rollback adds nothing to it.
            let _ = transaction::rollback(connection);
            Err(error)
        }
    }
}

/// Whether every migration that this program knows was run, and no other. Changes nothing.
pub(super) fn check(connection: &mut Connection) -> Result<(), StoreError> {
    let (applied, known) = (applied(connection)?, known()?);
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        return Err(StoreError::NewerSchema(newer.clone()));
    }
    let missing = known.into_iter().find(|version| !applied.contains(version));
    missing.map_or(Ok(()), |version| Err(StoreError::OlderSchema(version)))
}

/// The version of the newest migration.
pub(super) fn newest() -> String {
    known().ok().and_then(|mut versions| versions.pop()).unwrap_or_default()
}

/// Versions of the known migrations, in order; both databases have the same.
fn known() -> Result<Vec<String>, StoreError> {
    let migrations = MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(cause)?;
    let mut versions: Vec<String> = migrations.iter().map(|one| one.name().version().to_string()).collect();
    versions.sort();
    Ok(versions)
}

/// Versions of the migrations that were run. The harness would create its table where there is none.
fn applied(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let query = diesel::sql_query("SELECT version FROM __diesel_schema_migrations");
    let rows: Result<Vec<Applied>, diesel::result::Error> = query.load(connection);
    match rows.map_err(StoreError::from) {
        Ok(rows) => Ok(rows.into_iter().map(|row| row.version).collect()),
        Err(StoreError::Other(text)) if text.starts_with("no such table") || text.starts_with("relation ") => {
            Err(StoreError::NoDatabase)
        }
        Err(error) => Err(error),
    }
}

#[derive(diesel::QueryableByName)]
struct Applied {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

fn run_pending<C, DB>(connection: &mut C, source: &EmbeddedMigrations) -> Result<(), StoreError>
where
    DB: Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let applied = connection.applied_migrations().map_err(cause)?;
    let mut known = MigrationSource::<DB>::migrations(source).map_err(cause)?;
    known.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    for version in &applied {
        if !known.iter().any(|migration| migration.name().version() == *version) {
            return Err(StoreError::NewerSchema(version.to_string()));
        }
    }
    for migration in known.iter().filter(|migration| !applied.contains(&migration.name().version())) {
        connection.run_migration(migration.as_ref()).map_err(cause)?;
    }
    Ok(())
}

/// The database's error. Of a migration that fails the harness gives only the text: its name, and the message.
fn cause(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    match error.downcast::<diesel::result::Error>() {
        Ok(error) => (*error).into(),
        Err(error) => {
            let text = error.to_string();
            StoreError::of_message(text.split_once(" with: ").map_or(text.as_str(), |(_, message)| message))
        }
    }
}
