//! How many passwords are compared at the same time: each takes 19 MiB and some ten milliseconds of a processor.
//!
//! A few wait for a place, shortly; the others are told that the server is busy, before anything is known of them, so the
//! answer says nothing of anybody. Not here: the comparison itself (see `auth::password`).

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::app::error::AppError;

/// Those that wait, for each that is worked on.
const WAITING_PER_PLACE: usize = 4;
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The places.
pub struct Hashing {
    places: usize,
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    places: usize,
    waiting: usize,
}

/// A place; it is free again when this is dropped.
pub struct Place<'h>(&'h Hashing);

impl Hashing {
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { places, taken: Mutex::default(), freed: Condvar::new() }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `Overloaded` when too many wait, or it takes too long.
    pub fn place(&self) -> Result<Place<'_>, AppError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.places >= self.places {
            if taken.waiting >= self.places * WAITING_PER_PLACE {
                return Err(AppError::overloaded());
            }
            taken.waiting += 1;
            let is_taken = |taken: &mut Taken| taken.places >= self.places;
            let waited = self.freed.wait_timeout_while(taken, WAIT_MAX, is_taken);
            let (still, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            taken = still;
            taken.waiting -= 1;
            if timeout.timed_out() {
                return Err(AppError::overloaded());
            }
        }
        taken.places += 1;
        Ok(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).places -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::error::ErrorKind;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn never_more_than_the_places_are_worked_on_and_who_is_one_too_many_is_told() {
        let hashing = Hashing::new(2);
        let (working, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let barrier = Barrier::new(10);
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    barrier.wait();
                    let _place = hashing.place().expect("a place");
                    most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    working.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(done.into_inner(), 10);
        assert!(most.into_inner() <= 2);
        let full = Hashing::new(0);
        assert_eq!(full.place().err().map(|error| error.kind), Some(ErrorKind::Overloaded));
    }
}
