//! A lease: tokens that an instance has taken from a bucket and spends by itself.
//!
//! Why: the bucket of a client is one row, and a row that every request updates is where all instances wait for each other.
//! A lease is short, so that what was taken long ago is not spent beside what came back meanwhile. What is left of it then is
//! forfeited, as by a crash: to put it back would give what the bucket has got back meanwhile a second time. So no more is
//! taken than is soon spent. Over a time `w` all
//! instances together spend at most what the limit gives over `w` and [`LEASE_US`]. Not here: the bucket (see `bucket`).

use super::bucket::Limit;
use super::key::BudgetKey;
use super::ledger::{Demand, Granted};

/// How long tokens of a lease may be spent.
pub const LEASE_US: i64 = 5_000_000;
/// A lease is at most this part of the limit, so that a few instances do not hold all of it.
const PART: u32 = 16;
const CHUNK_MAX: u32 = 256;
/// A lease that is spent as soon as this is followed by one of twice the size.
const SOON_US: i64 = LEASE_US / 2;

/// What an instance holds of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    tokens: u32,
    began_us: i64,
    /// Tokens to ask for next.
    chunk: u32,
    /// Tokens that were left in the bucket.
    beyond: u32,
    /// Until then there is nothing to be had.
    dry_until_us: i64,
}

impl Default for Lease {
    fn default() -> Self {
        Self { tokens: 0, began_us: i64::MIN, chunk: 1, beyond: 0, dry_until_us: i64::MIN }
    }
}

impl Lease {
    fn is_over(&self, now_us: i64) -> bool {
        now_us.saturating_sub(self.began_us) >= LEASE_US || now_us < self.began_us
    }

    /// Whether a token can be spent now.
    #[must_use]
    pub fn has_token(&self, now_us: i64) -> bool {
        self.tokens > 0 && !self.is_over(now_us)
    }

    /// The time until asking again makes sense.
    #[must_use]
    pub fn wait_us(&self, now_us: i64) -> i64 {
        self.dry_until_us.saturating_sub(now_us).max(0)
    }

    /// What to ask the store for; nothing while there is a token, or known to be none.
    #[must_use]
    pub fn demand(&self, key: BudgetKey, limit: Limit, now_us: i64) -> Option<Demand> {
        if self.has_token(now_us) || self.wait_us(now_us) > 0 {
            return None;
        }
        let chunk_max = (limit.tokens_max() / PART).clamp(1, CHUNK_MAX);
        let is_soon = now_us.saturating_sub(self.began_us) < SOON_US;
        let chunk = match (self.tokens, is_soon) {
            (0, true) => self.chunk.saturating_mul(2),
            (0, false) => self.chunk,
            (_, _) => self.chunk / 2,
        };
        Some(Demand { key, limit, take: chunk.clamp(1, chunk_max) })
    }

    /// Begins anew with what was granted.
    pub fn renew(&mut self, demand: &Demand, granted: &Granted, now_us: i64) {
        *self = Self {
            tokens: granted.tokens,
            began_us: now_us,
            chunk: demand.take,
            beyond: granted.beyond,
            dry_until_us: now_us.saturating_add(granted.wait_us),
        };
    }

    /// Spends a token.
    pub fn spend(&mut self) {
        self.tokens = self.tokens.saturating_sub(1);
    }

    /// Takes back tokens that were spent at `spent_us` and are not used. Those of an earlier lease are forfeited.
    pub fn unspend(&mut self, tokens: u32, spent_us: i64) {
        if spent_us >= self.began_us {
            self.tokens = self.tokens.saturating_add(tokens);
        }
    }

    /// About how many tokens there are: here, and in the bucket when it was last seen.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.tokens.saturating_add(self.beyond)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ledger::Ledger;
    use super::*;

    const KEY: BudgetKey = BudgetKey([1; 16]);

    /// One request at an instance; whether it was let through.
    fn ask(lease: &mut Lease, ledger: &mut Ledger, limit: Limit, now_us: i64) -> bool {
        if let Some(demand) = lease.demand(KEY, limit, now_us) {
            let granted = ledger.lease(&demand, now_us);
            lease.renew(&demand, &granted, now_us);
        }
        let has_token = lease.has_token(now_us);
        if has_token {
            lease.spend();
        }
        has_token
    }

    #[test]
    fn a_busy_client_touches_its_row_once_a_chunk() {
        let (mut lease, mut ledger, limit) = (Lease::default(), Ledger::default(), Limit::new(1600, 60_000_000));
        let mut leases = 0;
        for request in 0..1000_i64 {
            let now_us = 1_000_000_000 + request * 10_000;
            leases += usize::from(lease.demand(KEY, limit, now_us).is_some());
            assert!(ask(&mut lease, &mut ledger, limit, now_us));
        }
        assert!(leases <= 20, "{leases}");
    }

    #[test]
    fn a_slow_client_loses_nothing_to_leases() {
        // Exactly as fast as the bucket fills: whatever a lease lost would be missing in the end.
        let (mut lease, mut ledger, limit) = (Lease::default(), Ledger::default(), Limit::new(60, 60_000_000));
        for request in 0..10_000_i64 {
            assert!(ask(&mut lease, &mut ledger, limit, 1_000_000_000 + request * 1_000_000), "{request}");
        }
    }

    #[test]
    fn nothing_is_asked_while_nothing_is_there() {
        let (mut lease, mut ledger, limit) = (Lease::default(), Ledger::default(), Limit::new(1, 60_000_000));
        assert!(ask(&mut lease, &mut ledger, limit, 100));
        assert!(!ask(&mut lease, &mut ledger, limit, 200));
        assert_eq!(lease.demand(KEY, limit, 300), None);
        assert_eq!(lease.wait_us(100), 60_000_000, "a whole period after the token went");
        assert!(lease.demand(KEY, limit, 60_000_200).is_some());
    }

    #[test]
    fn a_token_of_an_earlier_lease_is_not_taken_back() {
        let mut lease = Lease { tokens: 1, began_us: 100, ..Lease::default() };
        lease.unspend(1, 99);
        assert_eq!(lease.tokens, 1);
        lease.unspend(1, 100);
        assert_eq!(lease.tokens, 2);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Ask(usize),
        Crash(usize),
        /// The token was not used.
        Return(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
        let step = prop_oneof![
            8 => (0_usize..4).prop_map(Step::Ask),
            1 => (0_usize..4).prop_map(Step::Crash),
            1 => (0_usize..4).prop_map(Step::Return),
        ];
        prop::collection::vec((prop_oneof![4 => 0_i64..20_000, 1 => 0_i64..8_000_000], step), 1..300)
    }

    proptest! {
        /// Any number of instances, any of which may crash: over every window no more is spent than the limit gives over it
        /// and the life of a lease.
        #[test]
        fn instances_that_crash_never_spend_more_than_the_limit(
            tokens_max in 1_u32..80, period_us in 100_000_i64..20_000_000, steps in steps(),
        ) {
            let limit = Limit::new(tokens_max, period_us);
            let interval_us = limit.period_us() / i64::from(tokens_max);
            let (mut ledger, mut leases, mut now_us) = (Ledger::default(), [Lease::default(); 4], 1_000_000_000);
            let mut spent: Vec<i64> = Vec::new();
            for (pause_us, step) in steps {
                now_us += pause_us;
                match step {
                    Step::Ask(at) if ask(&mut leases[at], &mut ledger, limit, now_us) => spent.push(now_us),
                    Step::Ask(_) => {}
                    Step::Crash(at) => leases[at] = Lease::default(),
                    Step::Return(at) => {
                        // Of what this instance spent last, at this very moment.
                        if ask(&mut leases[at], &mut ledger, limit, now_us) {
                            leases[at].unspend(1, now_us);
                        }
                    }
                }
            }
            for first in 0..spent.len() {
                for last in first..spent.len() {
                    let window_us = spent[last] - spent[first] + LEASE_US;
                    let most = i64::from(tokens_max) + window_us / interval_us;
                    prop_assert!((last - first + 1) as i64 <= most);
                }
            }
        }
    }
}
