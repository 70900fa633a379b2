//! The alarm of a sweep: an audit row of its own, a metric and a line of the log.
//!
//! Each instance watches what it answers. Not here: when it is a sweep (see `budget::sweep`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::audit::Action;
use crate::budget::key::BudgetKey;
use crate::budget::sweep::{Noted, Sweep};

use super::super::context::Context;
use super::super::error::AppError;
use super::super::{App, close};
use super::Attempt;
use super::limits::Budget;

/// Clients and organisations that are watched at most.
const WATCHED_MAX: usize = 10_000;
const SWEEP: &str = "sweep";

#[derive(Default)]
pub struct Sweeps(Mutex<HashMap<BudgetKey, Sweep>>);

impl Sweeps {
    fn note(&self, who: BudgetKey, subject: u64, now_us: i64, subjects_max: usize) -> Noted {
        let mut sweeps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sweeps.len() >= WATCHED_MAX {
            sweeps.retain(|_, sweep| !sweep.is_over(now_us));
        }
        if sweeps.len() >= WATCHED_MAX {
            sweeps.clear();
        }
        sweeps.entry(who).or_default().note(subject, now_us, subjects_max)
    }
}

impl App {
    /// Counts a failure of the client and of its organisation.
    pub(super) fn watch(&self, ctx: &Context, attempt: &Attempt) -> Result<(), AppError> {
        let Some(subject) = attempt.subject else { return Ok(()) };
        let subjects_max = self.config.budgets.sweep_subjects_per_minute;
        for share in attempt.shares.iter().filter(|share| share.budget.is_of_failures()) {
            let noted = self.meter.sweeps.note(share.key(), subject.short(), attempt.began_us, subjects_max);
            if noted == Noted::Alarm {
                self.raise(ctx, share.budget)?;
            }
        }
        Ok(())
    }

    fn raise(&self, ctx: &Context, budget: Budget) -> Result<(), AppError> {
        metrics::counter!("idi_match_alarms_total", "alarm" => SWEEP, "budget" => budget.code()).increment(1);
        tracing::warn!(
            client.id = ctx.caller.label(), request.id = %ctx.request_id, budget = budget.code(),
            "a sweep: many different people are asked for in vain"
        );
        let mut row = ctx.audit(Action::Alarm);
        close(&mut row, None, (self.clock.now_us)());
        row.detail.reasons.push(SWEEP.to_owned());
        row.detail.budget = Some(budget.code().to_owned());
        self.writer.audit(row)
    }
}
