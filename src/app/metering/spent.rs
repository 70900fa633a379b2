//! Persons whose budget this instance has seen spent: who asks for them is refused before anything is looked for.
//!
//! It only saves work: the store decides, with the audit row. Not here: that decision.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::budget::key::BudgetKey;
use crate::budget::ledger::{Charge, Spent};

/// Buckets that are remembered at most.
const SPENT_MAX: usize = 100_000;

/// Until when buckets have too little.
#[derive(Default)]
pub struct SpentSubjects(Mutex<HashMap<BudgetKey, i64>>);

impl SpentSubjects {
    /// The bucket among `charges` that is known to have too little for the longest time.
    pub fn find(&self, charges: &[Charge], now_us: i64) -> Option<Spent> {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |charge: &Charge| until.get(&charge.key).map_or(0, |until_us| until_us.saturating_sub(now_us));
        let spent = charges.iter().map(|charge| Spent { charge: *charge, wait_us: left(charge) });
        spent.filter(|spent| spent.wait_us > 0).max_by_key(|spent| spent.wait_us)
    }

    /// Remembers when the next token is there: a smaller request may be possible before a large one is.
    pub fn remember(&self, spent: &Spent, now_us: i64) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= SPENT_MAX {
            until.retain(|_, until_us| *until_us > now_us);
        }
        if until.len() >= SPENT_MAX {
            until.clear();
        }
        // At most the time in which one token comes back: a wait for several is not everybody's.
        let one_us = spent.charge.limit.period_us() / i64::from(spent.charge.limit.tokens_max());
        until.insert(spent.charge.key, now_us.saturating_add(spent.wait_us.min(one_us)));
    }
}
