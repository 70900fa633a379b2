//! `idi-match audit export`: events, rows and seals of a time, for somebody who checks them without this program.
//!
//! What is asked for is widened to whole seals, so that each can be checked. Rows come in the order in which they were
//! hashed; rows that are not sealed yet come last. Not here: files (see `cli::audit`), the format (see `docs/audit.md`).

use std::io::Write;

use serde::Serialize;

use super::sealed_rows::{Go, each};
use super::{ChainError, open};
use crate::app::clock::{Clock, instant};
use crate::app::context::{Caller, Context};
use crate::audit::Action;
use crate::audit::event::{Observer, Shown, render};
use crate::config::Config;
use crate::store::audit::{self, AuditRow};
use crate::store::{Connection, Store, StoreError, audit_seal, transaction};

/// Rows read at a time behind the last seal.
const PAGE: u32 = 2_000;

/// Where an export goes.
pub struct Outputs<'o> {
    /// AuditEvents, one a line.
    pub events: &'o mut dyn Write,
    /// Rows as they were hashed, one a line.
    pub rows: &'o mut dyn Write,
    /// Seals, one a line.
    pub seals: &'o mut dyn Write,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub rows: u64,
    pub seals: u64,
    /// Rows behind the last seal.
    pub unsealed: u64,
}

/// A time: from one moment on and before another, microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from_us: i64,
    pub before_us: i64,
}

/// Writes the audit of a time. Its own audit row is committed before anything leaves.
///
/// # Errors
/// When the database is not there or of another schema, cannot be read, or an output does not take it.
pub fn export(config: &Config, clock: Clock, period: Period, out: &mut Outputs<'_>) -> Result<Summary, ChainError> {
    let store = open(config)?;
    let ctx = Context::new(Caller::Open, clock);
    let mut row = ctx.audit(Action::AuditExport);
    row.detail.status = 200;
    append(&store, row)?;
    let mut conn = store.backup_connection()?;
    let reference = format!("Organization/{}", config.organization.id);
    let observer = Observer { reference: &reference, base_url: &config.server.base_url };
    transaction::read_snapshot(&mut conn, |conn| {
        let mut writing = Writing { out, observer, summary: Summary::default() };
        if let Some((first, last)) = audit::span(conn, period.from_us, period.before_us)? {
            writing.span(conn, first, last)?;
        }
        Ok(writing.summary)
    })
}

fn append(store: &Store, row: crate::audit::AuditRecord) -> Result<(), StoreError> {
    let mut conn = store.writer_connection()?;
    transaction::begin_write(&mut conn)?;
    audit::append(&mut conn, &[row])?;
    transaction::commit(&mut conn)
}

struct Writing<'w, 'o> {
    out: &'w mut Outputs<'o>,
    observer: Observer<'w>,
    summary: Summary,
}

impl Writing<'_, '_> {
    /// Rows from one number to another.
    fn span(&mut self, conn: &mut Connection, first: i64, last: i64) -> Result<(), ChainError> {
        let before = audit_seal::number_before(conn, first)?;
        let mut sealed_to = first - 1;
        each(conn, before, |sealed| {
            if sealed.seal.first_seq > last {
                return Ok(Go::Stop);
            }
            for row in &sealed.late {
                self.row(row)?;
            }
            for row in sealed.range.iter().filter(|row| !sealed.seal.missing.contains(row.seq)) {
                self.row(row)?;
            }
            sealed_to = sealed.seal.last_seq;
            self.summary.seals += 1;
            serde_json::to_writer(&mut *self.out.seals, &sealed.seal)?;
            self.out.seals.write_all(b"\n")?;
            Ok::<_, ChainError>(Go::On)
        })?;
        while sealed_to < last {
            let page = audit::list_between(conn, sealed_to + 1, last, PAGE)?;
            let Some(end) = page.last() else { break };
            sealed_to = end.seq;
            for row in &page {
                self.row(row)?;
                self.summary.unsealed += 1;
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &AuditRow) -> Result<(), ChainError> {
        self.summary.rows += 1;
        let row = row.as_row();
        writeln!(self.out.rows, "{}", row.line())?;
        writeln!(self.out.events, "{}", render(&row, &instant(row.at_us), &self.observer, Shown::All)?)?;
        Ok(())
    }
}
