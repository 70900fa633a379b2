//! What an operator asks of a database: how safely it keeps what it was given, whether it takes writes, what other versions
//! of this program have left in it.
//!
//! Nothing is written. Not here: what is good or bad (see `app::doctor`).

use std::path::{Path, PathBuf};

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Integer, Text};

use super::connection::Connection;
use super::database_url::DatabaseUrl;
use super::error::StoreError;
use super::schema::{audit, audit_subject, record};
use super::transaction;
use crate::audit::subject::ANY_PATIENT;

/// How a database runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `PostgreSQL 17.2`
    pub product: String,
    pub durability: Vec<Setting>,
    /// Of a database that has a clock of its own.
    pub clock_us: Option<i64>,
}

/// A setting on which it depends whether what was committed outlives a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    /// In force on connections of this program.
    pub value: String,
    /// With which nothing is lost.
    pub safe: &'static [&'static str],
}

impl Setting {
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.safe.contains(&self.value.as_str())
    }
}

/// The files of a SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    pub database_bytes: u64,
    /// The write-ahead log.
    pub log_bytes: u64,
    /// Free for this program on their file system.
    pub free_bytes: u64,
}

/// Records, and how many of them another version has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub records: i64,
    pub of_other_normaliser: i64,
    /// Put into their identities by another model.
    pub of_other_model: i64,
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

#[derive(QueryableByName)]
struct Synchronous {
    #[diesel(sql_type = Integer)]
    synchronous: i32,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// How the database behind a connection runs.
///
/// # Errors
/// Those of the database.
pub fn condition(connection: &mut Connection) -> Result<Condition, StoreError> {
    match connection {
        Connection::Sqlite(connection) => of_sqlite(connection),
        Connection::Postgres(connection) => of_postgres(connection),
    }
}

fn of_sqlite(connection: &mut SqliteConnection) -> Result<Condition, StoreError> {
    let version: Word = sql_query("SELECT sqlite_version() AS value").get_result(connection)?;
    let journal: JournalMode = sql_query("PRAGMA journal_mode").get_result(connection)?;
    let synchronous: Synchronous = sql_query("PRAGMA synchronous").get_result(connection)?;
    Ok(Condition {
        product: format!("SQLite {}", version.value),
        durability: vec![
            Setting { name: "journal_mode", value: journal.journal_mode, safe: &["wal"] },
            // FULL and EXTRA.
            Setting { name: "synchronous", value: synchronous.synchronous.to_string(), safe: &["2", "3"] },
        ],
        clock_us: None,
    })
}

fn of_postgres(connection: &mut PgConnection) -> Result<Condition, StoreError> {
    let mut shown = |name: &'static str| -> Result<String, StoreError> {
        let word: Word =
            sql_query("SELECT current_setting($1) AS value").bind::<Text, _>(name).get_result(connection)?;
        Ok(word.value)
    };
    let product = format!("PostgreSQL {}", shown("server_version")?);
    let settings: [(&'static str, &'static [&'static str]); 3] = [
        ("fsync", &["on"]),
        ("full_page_writes", &["on"]),
        ("synchronous_commit", &["on", "local", "remote_write", "remote_apply"]),
    ];
    let durability = settings.into_iter().map(|(name, safe)| Ok(Setting { name, value: shown(name)?, safe }));
    let durability = durability.collect::<Result<_, StoreError>>()?;
    let clock: Number = sql_query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS value")
        .get_result(connection)?;
    Ok(Condition { product, durability, clock_us: Some(clock.value) })
}

/// Whether the database takes writes: a transaction that writes is begun and undone. `connection` must be one that writes.
///
/// # Errors
/// Why it does not begin.
pub fn is_writable(connection: &mut Connection) -> Result<bool, StoreError> {
    transaction::begin_write(connection)?;
    let permitted = match connection {
        // Its file is locked for writing by now.
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(connection) => {
            let sql = "SELECT (NOT pg_is_in_recovery() AND has_table_privilege('audit', 'INSERT'))::text AS value";
            sql_query(sql).get_result::<Word>(connection).map(|word| word.value == "true").map_err(StoreError::from)
        }
    };
    transaction::rollback(connection)?;
    permitted
}

/// What the files of a SQLite database need and have; `None` for PostgreSQL.
///
/// # Errors
/// Where they cannot be looked at.
pub fn files(url: &DatabaseUrl) -> std::io::Result<Option<Files>> {
    let DatabaseUrl::Sqlite(path) = url else { return Ok(None) };
    let length = |path: &Path| match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    };
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let space = rustix::fs::statvfs(folder)?;
    Ok(Some(Files {
        database_bytes: length(path)?,
        log_bytes: length(&PathBuf::from(log))?,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
    }))
}

/// Counts records, and those that are not of this normaliser or model.
///
/// # Errors
/// Those of the database.
pub fn tally(connection: &mut Connection, normaliser: i32, model: &str) -> Result<Tally, StoreError> {
    Ok(Tally {
        records: record::table.count().get_result(connection)?,
        of_other_normaliser: record::table.filter(record::normaliser.ne(normaliser)).count().get_result(connection)?,
        of_other_model: record::table.filter(record::model_version.ne(model)).count().get_result(connection)?,
    })
}

/// When the last backup was begun, as the audit says; `sealed_seq` is the last row that is sealed.
///
/// # Errors
/// Those of the database.
pub fn last_backup_us(connection: &mut Connection, sealed_seq: i64) -> Result<Option<i64>, StoreError> {
    let copies = audit_subject::table.filter(audit_subject::subject.eq(ANY_PATIENT)).select(audit_subject::seq);
    let backups = || audit::table.filter(audit::action.eq("backup")).filter(audit::outcome.eq("success"));
    let sealed: Option<i64> =
        backups().filter(audit::seq.eq_any(copies)).select(max(audit::at_us)).first(connection)?;
    let newer: Option<i64> = backups().filter(audit::seq.gt(sealed_seq)).select(max(audit::at_us)).first(connection)?;
    Ok(sealed.max(newer))
}
