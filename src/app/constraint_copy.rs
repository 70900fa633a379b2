//! The process's copy of what is known of records beside their evidence: constraints of stewards, and who replaced whom.
//!
//! Few beside the records, so they are in memory wherever the candidates are. Changed only by following the change log.
//! Not here: what they mean (see `identity::constraint`).

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::identity::constraint::{Constraint, Constraints, Kind};
use crate::store::change::ChangeRow;
use crate::store::record::RecordRow;
use crate::store::steward::ConstraintRow;
use crate::store::{Connection, StoreError, change, record, steward};

use super::links::ELSEWHERE;

/// Rows read at a time.
const PAGE_ROWS: u32 = 2000;

pub struct ConstraintCopy {
    constraints: RwLock<Arc<Constraints>>,
    /// The last change that is known here, where nobody tells of each.
    followed: Mutex<i64>,
}

impl ConstraintCopy {
    /// What is stored now, up to the change `seq`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn read(conn: &mut Connection, seq: i64) -> Result<Self, StoreError> {
        let mut constraints = Constraints::default();
        let mut after = None;
        loop {
            let rows = steward::list_constraints(conn, after.as_ref(), PAGE_ROWS)?;
            rows.iter().filter_map(constraint).for_each(|one| constraints.insert(&one));
            match rows.last() {
                Some(last) => after = Some(last.clone()),
                None => break,
            }
        }
        let mut after = None;
        loop {
            let rows = record::list_replaced_page(conn, after.as_deref(), PAGE_ROWS)?;
            rows.iter().for_each(|row| constraints.declare(&row.id, survivor(row)));
            match rows.last() {
                Some(last) => after = Some(last.id.clone()),
                None => break,
            }
        }
        Ok(Self { constraints: RwLock::new(Arc::new(constraints)), followed: Mutex::new(seq) })
    }

    /// What is known now.
    #[must_use]
    pub fn get(&self) -> Arc<Constraints> {
        Arc::clone(&self.constraints.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the log from where this copy is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn catch_up(&self, conn: &mut Connection) -> Result<(), StoreError> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let rows = change::list_after(conn, *followed, PAGE_ROWS)?;
            let Some(last) = rows.last() else { return Ok(()) };
            self.follow(conn, &rows)?;
            *followed = last.seq;
        }
    }

    /// Takes over what changed of the records of `rows`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn follow(&self, conn: &mut Connection, rows: &[ChangeRow]) -> Result<(), StoreError> {
        let bound: Vec<&str> = rows.iter().filter(|row| row.binds).map(|row| row.record_id.as_str()).collect();
        let stored: Vec<Constraint> = match bound.as_slice() {
            [] => Vec::new(),
            _ => steward::list_constraints_of(conn, &bound)?.iter().filter_map(constraint).collect(),
        };
        let declares = rows.iter().any(|row| row.record.as_ref().is_some_and(|record| record.replaced_by.is_some()));
        let mut constraints = self.constraints.write().unwrap_or_else(PoisonError::into_inner);
        let is_declaring = !constraints.is_declaring_nothing();
        if bound.is_empty() && !declares && !is_declaring {
            return Ok(());
        }
        let constraints = Arc::make_mut(&mut constraints);
        bound.iter().for_each(|id| constraints.replace(id, &stored));
        for row in rows {
            constraints.declare(&row.record_id, row.record.as_ref().and_then(survivor));
        }
        Ok(())
    }
}

/// The constraint that a row keeps; which record replaced which is in the records.
pub(super) fn constraint(row: &ConstraintRow) -> Option<Constraint> {
    Kind::of(&row.kind).map(|kind| Constraint::new(&row.record_a, &row.record_b, kind))
}

/// The record of this server that has replaced another one.
fn survivor(row: &RecordRow) -> Option<&str> {
    row.replaced_by.as_deref().filter(|id| *id != ELSEWHERE)
}
