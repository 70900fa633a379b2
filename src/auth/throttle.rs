//! How often somebody may try to sign in: a number of failures is free, then each is followed by a pause, twice as long each
//! time.
//!
//! NIST SP 800-63B-4 section 3.2.2: the number of consecutive failures is limited, and pauses that grow keep others from
//! using it up. An attempt counts as failed before it is judged, and is taken back when it succeeds: so no number of attempts
//! at once gets past the count. Not here: where counts are kept, whose they are.

/// What is known of a login or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// Since the last success.
    pub failures: i64,
    pub last_us: i64,
    /// Nothing is tried before.
    pub next_us: i64,
}

/// The limits of a login or of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures without a pause.
    pub free: i64,
    pub first_pause_us: i64,
    pub pause_us_max: i64,
    /// With so many nothing is tried any more.
    pub failures_max: Option<i64>,
    /// After so long one failure is forgotten, and after as long the next.
    pub forgotten_us: Option<i64>,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It may, and counts as failed until it has succeeded.
    Counted(Attempts),
    /// Not before so long.
    Wait { us: i64 },
}

/// Judges an attempt at `now_us`.
#[must_use]
pub fn judge(known: Option<Attempts>, limits: &Limits, now_us: i64) -> Attempt {
    let known = known.unwrap_or_default();
    let failures = known.failures - forgotten(&known, limits, now_us);
    if limits.failures_max.is_some_and(|most| failures >= most) {
        return Attempt::Wait { us: limits.pause_us_max };
    }
    // A clock that was set back makes no pause longer.
    let wait_us = known.next_us.saturating_sub(now_us).min(limits.pause_us_max);
    if failures >= limits.free && wait_us > 0 {
        return Attempt::Wait { us: wait_us };
    }
    let failures = failures + 1;
    Attempt::Counted(Attempts { failures, last_us: now_us, next_us: now_us.saturating_add(pause_us(failures, limits)) })
}

/// What is known of an address after one of its attempts has succeeded.
#[must_use]
pub fn succeeded(known: Attempts, now_us: i64) -> Attempts {
    Attempts { failures: (known.failures - 1).max(0), next_us: now_us.min(known.next_us), ..known }
}

fn forgotten(known: &Attempts, limits: &Limits, now_us: i64) -> i64 {
    let Some(each_us) = limits.forgotten_us else { return 0 };
    let since_us = now_us.saturating_sub(known.last_us).max(0);
    since_us.div_euclid(each_us.max(1)).min(known.failures)
}

fn pause_us(failures: i64, limits: &Limits) -> i64 {
    let doublings = failures - limits.free;
    if doublings < 0 {
        return 0;
    }
    let factor = 1_i64.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).filter(|factor| *factor > 0);
    let pause_us = factor.and_then(|factor| limits.first_pause_us.checked_mul(factor));
    pause_us.unwrap_or(i64::MAX).min(limits.pause_us_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const LOGIN: Limits = Limits {
        free: 3,
        first_pause_us: 10 * SECOND,
        pause_us_max: 60 * SECOND,
        failures_max: Some(8),
        forgotten_us: None,
    };
    const ADDRESS: Limits = Limits { failures_max: None, forgotten_us: Some(5 * SECOND), ..LOGIN };

    /// Tries whenever it may; how long each pause was, in seconds.
    fn pauses(limits: &Limits, tries: usize) -> Vec<i64> {
        let (mut known, mut now_us) = (None, 1_000 * SECOND);
        let mut pauses = Vec::new();
        while pauses.len() < tries {
            match judge(known, limits, now_us) {
                Attempt::Counted(counted) => {
                    known = Some(counted);
                    pauses.push(0);
                }
                Attempt::Wait { us } => {
                    now_us += us;
                    pauses.push(us / SECOND);
                }
            }
        }
        pauses
    }

    #[test]
    fn some_failures_are_free_then_pauses_grow_to_their_limit_and_end_in_one_that_does_not() {
        let expected = [0, 0, 0, 10, 0, 20, 0, 40, 0, 60, 0, 60, 0, 60, 60, 60];
        assert_eq!(pauses(&LOGIN, expected.len()), expected);
    }

    #[test]
    fn failures_of_an_address_are_forgotten_one_after_the_other() {
        let known = Attempts { failures: 6, last_us: 100 * SECOND, next_us: 140 * SECOND };
        for (second, expected) in [(100, 40), (104, 36), (110, 30)] {
            assert_eq!(judge(Some(known), &ADDRESS, second * SECOND), Attempt::Wait { us: expected * SECOND });
        }
        let counted = |failures, second: i64, pause: i64| {
            let (last_us, next_us) = (second * SECOND, (second + pause) * SECOND);
            Attempt::Counted(Attempts { failures, last_us, next_us })
        };
        assert_eq!(judge(Some(known), &ADDRESS, 120 * SECOND), counted(3, 120, 10));
        assert_eq!(judge(Some(known), &ADDRESS, 1_000 * SECOND), counted(1, 1_000, 0));
    }

    #[test]
    fn a_success_takes_back_its_own_attempt() {
        let Attempt::Counted(counted) = judge(None, &ADDRESS, 7 * SECOND) else { panic!("not counted") };
        assert_eq!(succeeded(counted, 7 * SECOND).failures, 0);
        assert_eq!(succeeded(Attempts::default(), 7 * SECOND).failures, 0);
    }

    #[test]
    fn neither_a_clock_that_was_set_back_nor_a_huge_count_breaks_the_arithmetic() {
        let known = Attempts { failures: 5, last_us: i64::MAX - 1, next_us: i64::MAX };
        assert_eq!(judge(Some(known), &LOGIN, 0), Attempt::Wait { us: 60 * SECOND });
        let known = Attempts { failures: i64::MAX - 1, last_us: 0, next_us: 0 };
        let limits = Limits { failures_max: None, ..LOGIN };
        let expected = Attempts { failures: i64::MAX, last_us: SECOND, next_us: 61 * SECOND };
        assert_eq!(judge(Some(known), &limits, SECOND), Attempt::Counted(expected));
    }
}
