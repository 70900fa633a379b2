//! This instance's leases on the budgets of clients and organisations.
//!
//! Leases that are wanted together are taken from the store in one piece of work. While one request waits for them, the
//! others of the same client wait for the same leases; every request locks in the same order. Not here: how large a lease
//! is (see `budget::lease`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::budget::bucket::Limit;
use crate::budget::key::BudgetKey;
use crate::budget::lease::Lease;
use crate::budget::ledger::{Charge, Demand, Granted, Spent};
use crate::store::budget::Wanted;

use super::super::App;
use super::super::error::AppError;
use super::super::writer::{Scope, Work};
use super::limits::Budget;
use super::throttled;

/// Leases held at most; beyond them those that nobody uses at the moment are forfeited.
const LEASES_MAX: usize = 20_000;

/// All leases by the keys of their buckets.
#[derive(Default)]
pub struct Shares(Mutex<HashMap<BudgetKey, Arc<Mutex<Lease>>>>);

/// The lease on one budget.
pub struct Share {
    pub budget: Budget,
    charge: Charge,
    lease: Arc<Mutex<Lease>>,
}

impl Shares {
    pub fn of(&self, holders: &[(Budget, Charge)]) -> Vec<Share> {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.len() + holders.len() > LEASES_MAX {
            leases.retain(|_, lease| Arc::strong_count(lease) > 1);
        }
        let share = |(budget, charge): &(Budget, Charge)| Share {
            budget: *budget,
            charge: *charge,
            lease: Arc::clone(leases.entry(charge.key).or_default()),
        };
        holders.iter().map(share).collect()
    }
}

impl Share {
    fn lock(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn limit(&self) -> Limit {
        self.charge.limit
    }

    pub fn key(&self) -> BudgetKey {
        self.charge.key
    }

    pub fn remaining(&self) -> u32 {
        self.lock().remaining()
    }

    pub fn unspend(&self, tokens: u32, spent_us: i64) {
        self.lock().unspend(tokens, spent_us);
    }
}

impl App {
    /// Spends a token of each budget, or none of any.
    ///
    /// # Errors
    /// `Throttled` where a budget is spent; those of the writer.
    pub(super) fn spend(&self, shares: &[&Share], now_us: i64) -> Result<(), AppError> {
        let mut leases: Vec<MutexGuard<'_, Lease>> = shares.iter().map(|share| share.lock()).collect();
        let demands: Vec<Option<Demand>> = shares
            .iter()
            .zip(&leases)
            .map(|(share, lease)| lease.demand(share.charge.key, share.charge.limit, now_us))
            .collect();
        let wanted: Vec<Demand> = demands.iter().flatten().copied().collect();
        let mut granted = if wanted.is_empty() { Vec::new() } else { self.lease(wanted)? }.into_iter();
        for (lease, demand) in leases.iter_mut().zip(&demands) {
            if let (Some(demand), Some(granted)) = (demand, demand.and_then(|_| granted.next())) {
                lease.renew(demand, &granted, now_us);
            }
        }
        let missing = shares.iter().zip(&leases).filter(|(_, lease)| !lease.has_token(now_us));
        let longest = missing.max_by_key(|(_, lease)| lease.wait_us(now_us));
        if let Some((share, lease)) = longest {
            let spent = Spent { charge: share.charge, wait_us: lease.wait_us(now_us) };
            return Err(throttled(share.budget, &spent));
        }
        leases.iter_mut().for_each(|lease| lease.spend());
        Ok(())
    }

    fn lease(&self, demands: Vec<Demand>) -> Result<Vec<Granted>, AppError> {
        let taken = demands.iter().map(|demand| demand.key).collect();
        let work = Work::unasked(move |unit| {
            let now_us = unit.now_us;
            Ok(demands.iter().map(|demand| unit.ledger.lease(demand, now_us)).collect())
        });
        self.writer.submit_one(Scope::Audit, work.with_budgets(Wanted { taken, ..Wanted::default() }))
    }
}
