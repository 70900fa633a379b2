//! `idi-match audit verify`: the chain from its first seal to its last, at one moment, while others write.
//!
//! Not here: what counts as a flaw (see `audit::walk`).

use serde::Serialize;

use super::sealed_rows::{Go, each};
use super::{ChainError, open};
use crate::app::clock::Clock;
use crate::audit::Row;
use crate::audit::chain::SealKey;
use crate::audit::walk::{Anchor, Break, Walk, Walked};
use crate::config::Config;
use crate::store::audit::{self, AuditRow};
use crate::store::transaction;

/// What checking has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The first flaw, where there is one.
    pub broken: Option<Break>,
    /// The whole chain, where there is none.
    pub whole: Option<Walked>,
    pub unsealed: Unsealed,
}

/// Rows behind the last seal: nothing is proven of them yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsealed {
    pub rows: i64,
    /// When the first of them arrived.
    pub since_us: Option<i64>,
}

/// Checks the chain of the configured database; `progress` is told how many rows were read.
///
/// # Errors
/// When the database is not there or of another schema, or cannot be read.
pub fn verify(
    config: &Config,
    clock: Clock,
    (keys, anchors): (Vec<SealKey>, Vec<Anchor>),
    mut progress: impl FnMut(i64),
) -> Result<Report, ChainError> {
    let store = open(config)?;
    let mut conn = store.backup_connection()?;
    transaction::read_snapshot(&mut conn, |conn| {
        let (mut walk, mut broken, mut rows) = (Walk::new(keys, anchors), None, 0);
        each(conn, 0, |sealed| {
            rows += (sealed.late.len() + sealed.range.len()) as i64;
            progress(rows);
            let late: Vec<Row<'_>> = sealed.late.iter().map(AuditRow::as_row).collect();
            let range: Vec<Row<'_>> = sealed.range.iter().map(AuditRow::as_row).collect();
            broken = walk.seal(&sealed.seal, &late, &range).err();
            Ok::<_, ChainError>(if broken.is_some() { Go::Stop } else { Go::On })
        })?;
        let (rows, since_us) = audit::count_after(conn, walk.tail().last_seq)?;
        let (broken, whole) = match broken {
            Some(broken) => (Some(broken), None),
            None => match walk.finish((clock.now_us)()) {
                Ok(walked) => (None, Some(walked)),
                Err(broken) => (Some(broken), None),
            },
        };
        Ok(Report { broken, whole, unsealed: Unsealed { rows, since_us } })
    })
}
