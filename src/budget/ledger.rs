//! The buckets of one transaction: read under its locks, taken from by its jobs, and written together.
//!
//! Not here: reading and writing them (see `store::budget`).

use std::collections::BTreeMap;

use super::bucket::{Bucket, Limit};
use super::key::BudgetKey;

/// What a job wants of a bucket for its instance: tokens to spend later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    pub key: BudgetKey,
    pub limit: Limit,
    pub take: u32,
}

/// What it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    pub tokens: u32,
    /// Tokens that stay in the bucket.
    pub beyond: u32,
    /// The time until the next token is there, where none was granted.
    pub wait_us: i64,
}

/// The price of an attempt, on one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    pub key: BudgetKey,
    pub limit: Limit,
}

/// A bucket that has not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub charge: Charge,
    pub wait_us: i64,
}

#[derive(Debug, Default)]
pub struct Ledger {
    buckets: BTreeMap<BudgetKey, Bucket>,
    changed: BTreeMap<BudgetKey, Bucket>,
}

impl Ledger {
    /// What is stored; a bucket that is not is full.
    #[must_use]
    pub fn of(stored: impl IntoIterator<Item = (BudgetKey, Bucket)>) -> Self {
        Self { buckets: stored.into_iter().collect(), changed: BTreeMap::new() }
    }

    fn bucket(&self, key: BudgetKey) -> Bucket {
        self.buckets.get(&key).copied().unwrap_or(Bucket::FULL)
    }

    fn set(&mut self, key: BudgetKey, bucket: Bucket) {
        self.buckets.insert(key, bucket);
        self.changed.insert(key, bucket);
    }

    /// Lets an instance have tokens.
    pub fn lease(&mut self, demand: &Demand, now_us: i64) -> Granted {
        let Demand { key, limit, take } = *demand;
        let (after, tokens) = self.bucket(key).take_up_to(limit, now_us, take);
        if tokens > 0 {
            self.set(key, after);
        }
        let wait_us = if tokens == 0 { after.wait_us(limit, now_us, 1) } else { 0 };
        Granted { tokens, beyond: after.available(limit, now_us), wait_us }
    }

    /// Whether every bucket has the price.
    ///
    /// # Errors
    /// The bucket for which the wait is longest.
    pub fn check(&self, charges: &[Charge], price: u32, now_us: i64) -> Result<(), Spent> {
        let waits = charges.iter().map(|charge| {
            let wait_us = self.bucket(charge.key).wait_us(charge.limit, now_us, price);
            Spent { charge: *charge, wait_us }
        });
        let longest = waits.filter(|spent| spent.wait_us > 0).max_by_key(|spent| spent.wait_us);
        longest.map_or(Ok(()), Err)
    }

    /// Takes the price from every bucket, or from none.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn charge(&mut self, charges: &[Charge], price: u32, now_us: i64) -> Result<(), Spent> {
        self.check(charges, price, now_us)?;
        for Charge { key, limit } in charges {
            let price = price.min(limit.tokens_max());
            let (after, _) = self.bucket(*key).take_up_to(*limit, now_us, price);
            self.set(*key, after);
        }
        Ok(())
    }

    /// What has to be written, in the order of keys.
    #[must_use]
    pub fn changed(&self) -> Vec<(BudgetKey, Bucket)> {
        self.changed.iter().map(|(key, bucket)| (*key, *bucket)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(name: u8, tokens: u32) -> Charge {
        Charge { key: BudgetKey([name; 16]), limit: Limit::new(tokens, 1_000_000) }
    }

    #[test]
    fn a_charge_is_taken_from_all_buckets_or_from_none() {
        let mut ledger = Ledger::default();
        let both = [charge(1, 3), charge(2, 2)];
        assert_eq!(ledger.charge(&both, 2, 10), Ok(()));
        let spent = ledger.charge(&both, 1, 10).expect_err("spent");
        assert_eq!((spent.charge, spent.wait_us), (both[1], 500_000));
        assert_eq!(ledger.charge(&both[..1], 1, 10), Ok(()), "the refused charge took nothing");
        assert_eq!(ledger.changed().len(), 2);
    }

    #[test]
    fn a_check_changes_nothing() {
        let ledger = Ledger::default();
        assert_eq!(ledger.check(&[charge(1, 1)], 1, 10), Ok(()));
        assert!(ledger.changed().is_empty());
    }

    #[test]
    fn the_jobs_of_a_transaction_see_what_those_before_them_took() {
        let mut ledger = Ledger::default();
        let Charge { key, limit } = charge(1, 5);
        let demand = Demand { key, limit, take: 4 };
        assert_eq!(ledger.lease(&demand, 10), Granted { tokens: 4, beyond: 1, wait_us: 0 });
        assert_eq!(ledger.lease(&demand, 10), Granted { tokens: 1, beyond: 0, wait_us: 0 });
        assert_eq!(ledger.lease(&demand, 10), Granted { tokens: 0, beyond: 0, wait_us: 200_000 });
    }
}
