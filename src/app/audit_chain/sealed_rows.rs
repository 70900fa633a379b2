//! Audit rows seal by seal, read in pages.
//!
//! Not here: what is made of them.

use std::collections::VecDeque;

use crate::audit::chain::Seal;
use crate::store::audit::{self, AuditRow};
use crate::store::{Connection, StoreError, audit_seal};

/// Rows and seals read at a time.
const PAGE: u32 = 2_000;

/// The rows of a seal.
pub(super) struct SealedRows {
    pub seal: Seal,
    /// Those that it names as late.
    pub late: Vec<AuditRow>,
    /// All at numbers of its range, those that it has missed too.
    pub range: Vec<AuditRow>,
}

/// Hands each seal after `number` with its rows to `take`, until it says that it is enough.
///
/// # Errors
/// Those of the database and of `take`.
pub(super) fn each<E: From<StoreError>>(
    conn: &mut Connection,
    number: i64,
    mut take: impl FnMut(SealedRows) -> Result<Go, E>,
) -> Result<(), E> {
    let mut after = number;
    let mut rows = Pages::default();
    loop {
        let seals = audit_seal::list_after(conn, after, PAGE)?;
        let Some(last) = seals.last() else { return Ok(()) };
        after = last.number;
        for seal in seals {
            let late = if seal.late.count() > i64::from(PAGE) {
                // No seal of this program has so many: whoever wrote it, its rows will not be these.
                Vec::new()
            } else {
                audit::list_of(conn, &seal.late.each().collect::<Vec<_>>())?
            };
            let range = rows.of_range(conn, seal.first_seq, seal.last_seq)?;
            if take(SealedRows { seal, late, range })? == Go::Stop {
                return Ok(());
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Stop,
}

/// Rows in order, read ahead.
#[derive(Default)]
struct Pages {
    rows: VecDeque<AuditRow>,
    /// The number up to which rows were read.
    read_to: i64,
}

impl Pages {
    fn of_range(&mut self, conn: &mut Connection, first: i64, last: i64) -> Result<Vec<AuditRow>, StoreError> {
        if self.read_to < first - 1 {
            self.rows.clear();
            self.read_to = first - 1;
        }
        let mut range = Vec::new();
        loop {
            while self.rows.front().is_some_and(|row| row.seq <= last) {
                range.extend(self.rows.pop_front().filter(|row| row.seq >= first));
            }
            if !self.rows.is_empty() || self.read_to >= last {
                return Ok(range);
            }
            let page = audit::list_after(conn, self.read_to, PAGE)?;
            self.read_to = page.last().map_or(i64::MAX, |row| row.seq);
            self.rows.extend(page);
        }
    }
}
