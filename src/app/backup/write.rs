//! Writing a backup: every row of one moment, while others write.
//!
//! Not here: where the file goes (see `cli::backup`).

use std::io::Write;

use crate::audit::{Action, AuditRecord};
use crate::config::Config;
use crate::store::backup::{Table, count, each_row};
use crate::store::{Store, StoreError, audit, transaction};

use super::file::{FileWriter, Header};
use super::{BackupError, Counts, Progress, Summary, database};
use crate::app::clock::{Clock, instant};
use crate::app::context::{Caller, Context};
use crate::app::store_options;

/// Rows between two reports of progress.
const REPORT_ROWS: u64 = 500;

/// Writes the content of the configured database to `out`. Its audit row is committed before anything leaves.
///
/// # Errors
/// When the database is not there or of another schema, cannot be read, or `out` does not take it: then what was written
/// is no backup.
pub fn write(
    config: &Config,
    clock: Clock,
    out: impl Write,
    mut progress: impl FnMut(Progress),
) -> Result<Summary, BackupError> {
    let (url, cannot) = database(config)?;
    let store = Store::open_as_it_is(&url, &store_options(config)).map_err(&cannot)?;
    let ctx = Context::new(Caller::Open, clock);
    let mut row = ctx.audit(Action::Backup);
    row.detail.status = 200;
    append(&store, row)?;
    let mut conn = store.backup_connection()?;
    transaction::read_snapshot(&mut conn, |conn| {
        let rows = Table::ALL.into_iter().map(|table| Ok((table, count(conn, table)?)));
        let rows: Counts = rows.collect::<Result<_, StoreError>>()?;
        let of = rows.values().sum();
        let mut file = FileWriter::begin(out, Header::new(Store::schema(), instant(ctx.now_us), rows))?;
        let mut written = 0;
        each_row(conn, |row| {
            file.row(&row)?;
            written += 1;
            if written % REPORT_ROWS == 0 {
                progress(Progress::Written { rows: written, of });
            }
            Ok::<_, BackupError>(())
        })?;
        file.end()
    })
}

/// However long others write before: a backup is made while everything goes on.
fn append(store: &Store, row: AuditRecord) -> Result<(), StoreError> {
    let mut conn = store.patient_connection()?;
    transaction::begin_write(&mut conn)?;
    audit::append(&mut conn, &[row])?;
    transaction::commit(&mut conn)
}
