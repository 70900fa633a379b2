//! What is told of budgets: how large they are, what is left, and when to come back.
//!
//! Not here: the headers that say it (see `http::rate_limit`).

use crate::budget::bucket::Limit;

use super::limits::Budget;
use super::shares::Share;

/// The code of the refusal in audit rows and answers.
pub const REASON: &str = "throttled";

/// One budget as a caller is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub name: &'static str,
    pub quota: u32,
    pub window_s: i64,
    /// About as many as this instance knows of.
    pub remaining: u32,
    /// The time until there is more, where there is nothing.
    pub reset_s: Option<i64>,
}

/// What is left to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    pub standings: Vec<Standing>,
}

impl RateLimit {
    /// Of the client's own budgets.
    #[must_use]
    pub(super) fn of(shares: &[Share]) -> Self {
        let own = shares.iter().filter(|share| share.budget.is_of_client());
        Self { standings: own.map(|share| standing(share.budget, share.limit(), share.remaining(), None)).collect() }
    }

    /// Of a budget that is spent.
    #[must_use]
    pub(super) fn spent(budget: Budget, limit: Limit, wait_us: i64) -> Self {
        Self { standings: vec![standing(budget, limit, 0, Some(seconds(wait_us).max(1)))] }
    }

    /// The seconds after which to ask again.
    #[must_use]
    pub fn retry_after_s(&self) -> i64 {
        self.standings.iter().filter_map(|standing| standing.reset_s).max().unwrap_or(1)
    }

    /// The budget of a refusal.
    #[must_use]
    pub fn spent_name(&self) -> Option<&'static str> {
        self.standings.iter().find(|standing| standing.reset_s.is_some()).map(|standing| standing.name)
    }
}

fn standing(budget: Budget, limit: Limit, remaining: u32, reset_s: Option<i64>) -> Standing {
    let (quota, window_s) = (limit.tokens_max(), seconds(limit.period_us()));
    Standing { name: budget.code(), quota, window_s, remaining: remaining.min(quota), reset_s }
}

/// Whole seconds, the begun one counted.
const fn seconds(us: i64) -> i64 {
    us.saturating_add(999_999) / 1_000_000
}
