//! Who is let in while much is asked: a bounded number of requests is worked on, the others are refused at once.
//!
//! The threads that read sockets must never wait for those that work: a request that nobody reads is one that nobody can
//! refuse. So work has a bounded number of threads of a lower priority, and what arrives while all places are taken is
//! answered 503 with Retry-After before its body is read. A probe needs no place. Such an answer has no audit row: nothing
//! was looked at, and a flood must cost less than what it keeps out; it is counted. Not here: budgets of callers (see `app`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{getpriority_process, setpriority_process};

/// The requests that are worked on.
pub struct Places {
    taken: Arc<AtomicUsize>,
    max: usize,
    refused: metrics::Counter,
}

/// Held by the work itself, not by its request: work goes on when a caller hangs up.
pub struct Place(Arc<AtomicUsize>);

impl Places {
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max, refused: metrics::counter!("idi_match_http_overload_refused_total") }
    }

    /// Whether a request that arrives now would find none.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.taken.load(Ordering::Acquire) >= self.max
    }

    /// A place; `None` when all are taken.
    #[must_use]
    pub fn take(&self) -> Option<Place> {
        let before = self.taken.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&self.taken));
        (before < self.max).then_some(place)
    }

    /// Counts a request that was refused for want of a place.
    pub fn count_refused(&self) {
        self.refused.increment(1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How much less of a processor a thread that works gets than one that reads sockets, where both want it: a nice value, which
/// on Linux each thread has for itself. There are many of the former and few of the latter: at 15 (of which each weighs a
/// thirtieth) 64 that work leave half of a core to two that read.
const NICE_OF_WORK: i32 = 15;

thread_local! {
    static LOWERED: bool = lower_priority();
}

/// Makes this thread one that works. The system may keep it from that; then it works as it is.
pub fn be_worker() {
    LOWERED.with(|_| ());
}

fn lower_priority() -> bool {
    let is_higher = getpriority_process(None).is_ok_and(|nice| nice < NICE_OF_WORK);
    is_higher && setpriority_process(None, NICE_OF_WORK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_is_gone() {
        let places = Places::new(2);
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some() && places.is_full());
        assert!(places.take().is_none());
        drop(first);
        assert!(!places.is_full());
        assert!(places.take().is_some());
    }

    #[test]
    fn only_the_thread_that_works_is_of_a_lower_priority() {
        let nice = || getpriority_process(None).unwrap();
        let before = nice();
        let inside = std::thread::spawn(move || {
            be_worker();
            be_worker();
            nice()
        });
        assert_eq!(inside.join().unwrap(), before.max(NICE_OF_WORK));
        assert_eq!(nice(), before);
    }
}
