//! Audit rows that wait for room: on a full disk reading goes on, and what was read is not forgotten.
//!
//! Why: a server that refuses to read because it cannot write takes care away from patients when it is needed; one that
//! reads without a trace cannot account for disclosures. So each row that the database had no room for is written to the
//! log at once (it holds ids and codes, no personal data) and kept here, up to a number of bytes; the writer stores it
//! with its next commit. When this is full too, reads are refused like writes. Not here: writing them (see `writer`).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::audit::AuditRecord;

/// Rows that join one commit at most, so that a little room is enough to make progress.
const ROWS_A_COMMIT: usize = 256;
/// What a row takes beside its detail.
const ROW_BYTES: usize = 256;

/// The rows, oldest first.
#[derive(Debug)]
pub struct AuditBacklog {
    bytes_max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: VecDeque<AuditRecord>,
    bytes: usize,
}

impl AuditBacklog {
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, waiting: Mutex::default() }
    }

    /// Keeps a row and logs it; `Full` when there is no place for it here either.
    ///
    /// # Errors
    /// `Full`.
    pub fn hold(&self, record: AuditRecord) -> Result<(), Full> {
        let detail = record.detail.to_json();
        let mut waiting = self.lock();
        let bytes = ROW_BYTES + detail.len();
        if waiting.bytes + bytes > self.bytes_max {
            return Err(Full);
        }
        waiting.bytes += bytes;
        tracing::warn!(
            request.id = %record.request_id, at_us = record.at_us, action = record.action.code(),
            outcome = record.outcome.code(), client.id = %record.caller,
            resource_type = record.resource_type.as_deref().unwrap_or_default(), %detail,
            "an audit row waits for room in the database"
        );
        waiting.rows.push_back(record);
        gauge(&waiting);
        Ok(())
    }

    /// The oldest rows, for the next commit; they stay until [`Self::forget`].
    #[must_use]
    pub fn oldest(&self) -> Vec<AuditRecord> {
        self.lock().rows.iter().take(ROWS_A_COMMIT).cloned().collect()
    }

    /// Drops the oldest rows, which are stored now.
    pub fn forget(&self, rows: usize) {
        let mut waiting = self.lock();
        for _ in 0..rows {
            let Some(record) = waiting.rows.pop_front() else { break };
            waiting.bytes = waiting.bytes.saturating_sub(ROW_BYTES + record.detail.to_json().len());
        }
        if rows > 0 {
            gauge(&waiting);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().rows.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no place for another row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

fn gauge(waiting: &Waiting) {
    #[allow(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("idi_match_audit_backlog_rows").set(waiting.rows.len() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Action, Detail, Outcome};

    fn row(number: i64) -> AuditRecord {
        AuditRecord {
            at_us: number,
            request_id: String::new(),
            action: Action::Read,
            outcome: Outcome::Success,
            caller: "open".to_owned(),
            resource_type: None,
            detail: Detail::default(),
        }
    }

    #[test]
    fn rows_leave_in_the_order_they_came_and_only_when_they_are_stored() {
        let backlog = AuditBacklog::new(1 << 20);
        for number in 0..300 {
            assert_eq!(backlog.hold(row(number)), Ok(()));
        }
        assert_eq!(backlog.oldest().len(), ROWS_A_COMMIT);
        assert_eq!(backlog.oldest()[0].at_us, 0, "looking takes nothing away");
        backlog.forget(ROWS_A_COMMIT);
        assert_eq!(backlog.oldest().iter().map(|row| row.at_us).collect::<Vec<_>>(), (256..300).collect::<Vec<_>>());
        backlog.forget(44);
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_it_holds_is_bounded_and_room_comes_back() {
        let backlog = AuditBacklog::new(1_000);
        let held = (0..10).take_while(|number| backlog.hold(row(*number)).is_ok()).count();
        assert!((1..10).contains(&held), "{held}");
        assert_eq!(backlog.hold(row(10)), Err(Full));
        backlog.forget(1);
        assert_eq!(backlog.hold(row(11)), Ok(()));
    }
}
