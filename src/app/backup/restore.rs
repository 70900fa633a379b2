//! Restoring a backup into an empty database: one transaction, so that a restore is whole or did not happen.
//!
//! Before it commits, everything is read again from the store and compared with the file, table by table. Search values
//! are made from the documents as writing makes them. Documents that today's rules would not accept come back too: they
//! were accepted in their day. Not here: reading and checking the file (see `verify`).

use std::collections::BTreeMap;
use std::io::BufRead;

use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::store::backup::{Row, Rows, Table, continue_numbering, each_row, insert, is_empty, lock_tables};
use crate::store::{Connection, Store, transaction};

use super::check::Judge;
use super::file::{Damage, ReadError, line_of};
use super::verify::{Problems, Reading};
use super::{BackupError, Progress, Report, Summary, database};
use crate::app::rules::Rules;
use crate::app::{start_pool, store_options};

/// Rows between two reports of progress.
const REPORT_ROWS: u64 = 500;

/// Restores a backup into the configured database, which must be empty or not be there yet.
///
/// # Errors
/// When the database is not empty, the file is damaged or of another format, or the database fails: then the database is
/// as it was.
pub fn restore(
    config: &Config,
    input: impl BufRead,
    mut progress: impl FnMut(Progress),
) -> Result<Report, BackupError> {
    let rules = Rules::of(config)?;
    start_pool(config.matching.threads);
    // What is no backup leaves no empty database behind.
    let reading = Reading::begin(input, Judge { rules: &rules, base_url: &config.server.base_url }).map_err(refused)?;
    check_schema(&reading)?;
    let (url, cannot) = database(config)?;
    let store = Store::open(&url, &store_options(config)).map_err(&cannot)?;
    let mut conn = store.patient_connection().map_err(&cannot)?;
    transaction::begin_write(&mut conn)?;
    let restored = restore_within(&mut conn, reading, &mut progress);
    match restored {
        Ok((summary, problems)) => {
            transaction::commit(&mut conn)?;
            store.analyze()?;
            Ok(problems.report(Some(summary)))
        }
        Err(error) => {
            // The first error is the reason; a failed rollback adds nothing to it.
            let _ = transaction::rollback(&mut conn);
            Err(error)
        }
    }
}

fn check_schema<R: BufRead>(reading: &Reading<'_, R>) -> Result<(), BackupError> {
    if reading.schema() <= Store::schema().as_str() {
        return Ok(());
    }
    Err(BackupError::Refused(format!(
        "the backup is of a newer schema (migration {}): restore it with idi-match {} or later",
        reading.schema(),
        reading.program()
    )))
}

fn refused(error: ReadError) -> BackupError {
    match error {
        ReadError::Damage(Damage { line, text }) => BackupError::Refused(format!("line {line}: {text}")),
        ReadError::Refused(text) => BackupError::Refused(text),
        ReadError::Io(error) => error.into(),
    }
}

fn restore_within<R: BufRead>(
    conn: &mut Connection,
    mut reading: Reading<'_, R>,
    progress: &mut impl FnMut(Progress),
) -> Result<(Summary, Problems), BackupError> {
    transaction::lock_identities(conn)?;
    lock_tables(conn)?;
    if !is_empty(conn)? {
        return Err(BackupError::Refused("the database is not empty: restore into a new one".to_owned()));
    }
    let mut expected = Digests::default();
    loop {
        let batch = reading.next_batch().map_err(refused)?;
        if batch.is_empty() {
            break;
        }
        check_sound(&reading.problems)?;
        let mut rows = Rows::default();
        for judged in batch {
            let Some(row) = judged.row else { continue };
            expected.add(&row)?;
            rows.push(row, judged.search);
        }
        insert(conn, &rows)?;
        progress(Progress::Read { bytes: reading.bytes() });
    }
    let (summary, problems) = reading.finish();
    let summary = summary.map_err(refused)?;
    check_sound(&problems)?;
    continue_numbering(conn)?;
    compare(conn, expected, summary.rows.values().sum(), progress)?;
    Ok((summary, problems))
}

fn check_sound(problems: &Problems) -> Result<(), BackupError> {
    if !problems.has_damage() {
        return Ok(());
    }
    let first = problems.damage().map(|problem| format!("line {}: {}", problem.line, problem.text));
    Err(BackupError::Refused(format!("the backup is damaged: {}", first.unwrap_or_default())))
}

/// Reads everything again and compares.
fn compare(
    conn: &mut Connection,
    expected: Digests,
    of: u64,
    progress: &mut impl FnMut(Progress),
) -> Result<(), BackupError> {
    let (mut found, mut rows) = (Digests::default(), 0);
    each_row(conn, |row| {
        rows += 1;
        if rows % REPORT_ROWS == 0 {
            progress(Progress::Compared { rows, of });
        }
        found.add(&row)
    })?;
    match expected.first_difference(found) {
        None => Ok(()),
        Some(table) => Err(BackupError::Refused(format!(
            "the restored table {} is not what the backup holds; nothing was restored",
            table.name()
        ))),
    }
}

/// Number and digest of the rows of each table, in their order.
#[derive(Default)]
struct Digests(BTreeMap<Table, (u64, Sha256)>);

impl Digests {
    fn add(&mut self, row: &Row) -> Result<(), BackupError> {
        let (rows, digest) = self.0.entry(row.table()).or_default();
        *rows += 1;
        digest.update(line_of(row)?);
        Ok(())
    }

    fn first_difference(self, mut other: Self) -> Option<Table> {
        let mut take = |table| other.0.remove(&table).map(|(rows, digest)| (rows, digest.finalize()));
        let mut own = self.0;
        Table::ALL.into_iter().find(|table| {
            let expected = own.remove(table).map(|(rows, digest)| (rows, digest.finalize()));
            expected != take(*table)
        })
    }
}
