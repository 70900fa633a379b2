//! A bucket of tokens that come back evenly: one number, the time at which it is full again.
//!
//! What: the generic cell rate algorithm (ITU-T I.371, virtual scheduling). Why one number: a bucket that is full again
//! says nothing and its row can go; and refilling costs no write. Over a time `w` a limit gives at most `tokens_max` tokens
//! and one for each whole `period_us / tokens_max` of `w`. Not here: parts that instances hold (see `lease`).

/// So many tokens at once, all of which come back, one after the other, within a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    tokens_max: u32,
    /// The time in which one token comes back.
    interval_us: i64,
}

impl Limit {
    /// At least one token, and at least a microsecond for each.
    #[must_use]
    pub fn new(tokens_max: u32, period_us: i64) -> Self {
        let tokens_max = tokens_max.max(1);
        let tokens = i64::from(tokens_max);
        // Rounded up: a limit is never more than it says.
        let interval_us = (period_us.max(1).saturating_add(tokens - 1) / tokens).max(1);
        Self { tokens_max, interval_us }
    }

    #[must_use]
    pub const fn tokens_max(self) -> u32 {
        self.tokens_max
    }

    /// The time in which an empty bucket becomes full.
    #[must_use]
    pub const fn period_us(self) -> i64 {
        self.interval_us.saturating_mul(self.tokens_max as i64)
    }

    const fn worth_us(self, tokens: u32) -> i64 {
        self.interval_us.saturating_mul(tokens as i64)
    }
}

/// A bucket: when it is full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    full_us: i64,
}

impl Bucket {
    /// Nothing was ever taken.
    pub const FULL: Self = Self { full_us: 0 };

    #[must_use]
    pub const fn full_at(full_us: i64) -> Self {
        Self { full_us }
    }

    #[must_use]
    pub const fn full_us(self) -> i64 {
        self.full_us
    }

    /// The time that what is missing needs to come back: never more than a whole period, also when a clock was set back or
    /// the limit was a longer one.
    fn missing_us(self, limit: Limit, now_us: i64) -> i64 {
        self.full_us.saturating_sub(now_us).clamp(0, limit.period_us())
    }

    /// Tokens that are there now.
    #[must_use]
    pub fn available(self, limit: Limit, now_us: i64) -> u32 {
        let tokens = (limit.period_us() - self.missing_us(limit, now_us)) / limit.interval_us;
        u32::try_from(tokens).unwrap_or(u32::MAX).min(limit.tokens_max)
    }

    /// The bucket without `tokens`, or without all that are there, and how many that were.
    #[must_use]
    pub fn take_up_to(self, limit: Limit, now_us: i64, tokens: u32) -> (Self, u32) {
        let taken = tokens.min(self.available(limit, now_us));
        if taken == 0 {
            return (self, 0);
        }
        let missing_us = self.missing_us(limit, now_us).saturating_add(limit.worth_us(taken));
        (Self { full_us: now_us.saturating_add(missing_us) }, taken)
    }

    /// The bucket without `tokens`; a price beyond the limit is the whole bucket.
    ///
    /// # Errors
    /// The time after which they are there, in microseconds.
    pub fn take(self, limit: Limit, now_us: i64, tokens: u32) -> Result<Self, i64> {
        let tokens = tokens.min(limit.tokens_max);
        match self.wait_us(limit, now_us, tokens) {
            0 => Ok(self.take_up_to(limit, now_us, tokens).0),
            wait_us => Err(wait_us),
        }
    }

    /// The time until so many tokens are there.
    #[must_use]
    pub fn wait_us(self, limit: Limit, now_us: i64, tokens: u32) -> i64 {
        let tokens = tokens.min(limit.tokens_max);
        (self.missing_us(limit, now_us) - (limit.period_us() - limit.worth_us(tokens))).max(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_one_after_the_other() {
        let limit = Limit::new(3, 30 * SECOND);
        let (bucket, taken) = Bucket::FULL.take_up_to(limit, 100 * SECOND, 5);
        assert_eq!((taken, bucket.available(limit, 100 * SECOND)), (3, 0));
        assert_eq!(bucket.take(limit, 100 * SECOND, 1), Err(10 * SECOND));
        assert_eq!(bucket.take(limit, 109 * SECOND, 1), Err(SECOND));
        let after = bucket.take(limit, 110 * SECOND, 1).expect("a token");
        assert_eq!(after.wait_us(limit, 110 * SECOND, 3), 30 * SECOND);
        assert_eq!(bucket.available(limit, 131 * SECOND), 3);
    }

    #[test]
    fn a_price_beyond_the_limit_is_the_whole_bucket() {
        let limit = Limit::new(4, 4 * SECOND);
        let empty = Bucket::FULL.take(limit, SECOND, 24).expect("all of it");
        assert_eq!(empty.available(limit, SECOND), 0);
        assert_eq!(empty.take(limit, 4 * SECOND, 24), Err(SECOND));
    }

    #[test]
    fn a_clock_that_was_set_back_costs_a_period_at_most() {
        let limit = Limit::new(2, 2 * SECOND);
        let bucket = Bucket::full_at(1_000_000 * SECOND);
        assert_eq!(bucket.take(limit, SECOND, 1), Err(SECOND));
        assert_eq!(bucket.available(limit, SECOND), 0);
    }

    #[test]
    fn a_period_that_tokens_do_not_divide_is_rounded_against_the_caller() {
        let limit = Limit::new(7, 10);
        assert_eq!(limit.period_us(), 14);
        assert_eq!(Limit::new(0, 0), Limit::new(1, 1));
    }

    proptest! {
        /// Over every window that begins and ends with a request.
        #[test]
        fn no_window_sees_more_than_the_limit(
            tokens_max in 1_u32..20, period in 1_i64..2_000, steps in prop::collection::vec((0_i64..400, 1_u32..30), 1..60),
        ) {
            let limit = Limit::new(tokens_max, period);
            let (mut bucket, mut now, mut taken) = (Bucket::FULL, 1_000_000, Vec::new());
            for (pause, wanted) in steps {
                now += pause;
                let (next, got) = bucket.take_up_to(limit, now, wanted);
                prop_assert!(next.available(limit, now) <= tokens_max);
                bucket = next;
                taken.push((now, i64::from(got)));
            }
            for first in 0..taken.len() {
                for last in first..taken.len() {
                    let got: i64 = taken[first..=last].iter().map(|(_, got)| got).sum();
                    let window = taken[last].0 - taken[first].0;
                    prop_assert!(got <= i64::from(tokens_max) + window / (limit.period_us() / i64::from(tokens_max)));
                }
            }
        }

        #[test]
        fn refilling_never_exceeds_the_capacity(
            full_us in any::<i64>(), now in 0_i64..i64::MAX / 4, tokens_max in 1_u32..1000, period in 1_i64..1_000_000_000,
        ) {
            let limit = Limit::new(tokens_max, period);
            let bucket = Bucket::full_at(full_us);
            prop_assert!(bucket.available(limit, now) <= tokens_max);
            prop_assert!((0..=limit.period_us()).contains(&bucket.wait_us(limit, now, tokens_max)));
        }
    }
}
