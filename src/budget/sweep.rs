//! Sweeps: somebody fails to match many different people within a minute.
//!
//! What: for one client or organisation, the subjects of its last failures. Why different ones: who guesses about one
//! person is stopped by that person's budget; who goes through a list is not. Not here: the alarm (see `app::metering`).

/// The time within which subjects are counted.
pub const WINDOW_US: i64 = 60_000_000;

/// Subjects that were asked for in vain, each with its last time.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    seen: Vec<(u64, i64)>,
    /// When the alarm was last raised.
    alarmed_us: Option<i64>,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Quiet,
    /// So many different people within a minute, and nobody has been told in the last one.
    Alarm,
}

impl Sweep {
    /// Counts a failure about `subject`. An alarm is raised once a minute while it goes on.
    pub fn note(&mut self, subject: u64, now_us: i64, subjects_max: usize) -> Noted {
        self.seen.retain(|(_, at_us)| now_us.saturating_sub(*at_us) < WINDOW_US);
        if let Some((_, at_us)) = self.seen.iter_mut().find(|(known, _)| *known == subject) {
            *at_us = now_us;
        } else if self.seen.len() < subjects_max {
            self.seen.push((subject, now_us));
        } else {
            // One more than the limit is all that has to be known.
            return self.alarm(now_us);
        }
        Noted::Quiet
    }

    fn alarm(&mut self, now_us: i64) -> Noted {
        if self.alarmed_us.is_some_and(|at_us| now_us.saturating_sub(at_us) < WINDOW_US) {
            return Noted::Quiet;
        }
        self.alarmed_us = Some(now_us);
        Noted::Alarm
    }

    /// Whether nothing of it matters any more.
    #[must_use]
    pub fn is_over(&self, now_us: i64) -> bool {
        let last = self.seen.iter().map(|(_, at_us)| *at_us).chain(self.alarmed_us).max();
        last.is_none_or(|at_us| now_us.saturating_sub(at_us) >= WINDOW_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// At which of `count` failures, one every `pause_us`, alarms are raised.
    fn alarms(count: u64, pause_us: i64, subject: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut sweep = Sweep::default();
        let noted = |at: &u64| sweep.note(subject(*at), 1_000 * SECOND + *at as i64 * pause_us, 10) == Noted::Alarm;
        (0..count).filter(noted).collect()
    }

    #[test]
    fn more_different_people_than_the_limit_within_a_minute_are_a_sweep() {
        assert_eq!(alarms(11, SECOND, |at| at), [10]);
        assert_eq!(alarms(10, SECOND, |at| at), Vec::<u64>::new());
        assert_eq!(alarms(100, 6 * SECOND, |at| at), Vec::<u64>::new(), "ten a minute are not more than ten");
        assert_eq!(alarms(100, SECOND, |at| at % 10), Vec::<u64>::new(), "the same people again and again");
    }

    #[test]
    fn an_alarm_is_raised_once_a_minute_while_the_sweep_goes_on() {
        assert_eq!(alarms(150, SECOND, |at| at), [10, 70, 130]);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut sweep = Sweep::default();
        assert!(sweep.is_over(0));
        sweep.note(1, 0, 10);
        assert!(!sweep.is_over(WINDOW_US - 1));
        assert!(sweep.is_over(WINDOW_US));
    }
}
