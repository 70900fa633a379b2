//! How long a transaction may hold the identity lock: everybody else who writes waits for it.

use crate::app::error::{AppError, ErrorKind};
use crate::app::write::Desk;
use crate::fhir::issue::{Issue, IssueCode};

/// When a transaction has begun.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started_us: i64,
}

impl Deadline {
    #[must_use]
    pub fn begin(desk: &Desk) -> Self {
        Self { started_us: (desk.clock.now_us)() }
    }

    /// Refuses to go on when the transaction has taken longer than it may.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn check(self, desk: &Desk) -> Result<(), AppError> {
        let elapsed_ms = (desk.clock.now_us)().saturating_sub(self.started_us) / 1000;
        let ms_max = desk.config.limits.transaction_ms_max;
        if u64::try_from(elapsed_ms).unwrap_or(0) <= ms_max {
            return Ok(());
        }
        let text = format!("The transaction takes longer than {ms_max} ms; send less at once, or a batch.");
        Err(AppError::new(ErrorKind::TooLarge, vec![Issue::error(IssueCode::TooCostly, text).at("Bundle.entry")]))
    }
}
