//! Looking up the addresses of a name, within a time.
//!
//! The system's resolver cannot be interrupted, so it works on a thread of its own; how many of those may be waiting is
//! limited. Not here: judging what is found (see `guard`).

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Look-ups that may be waiting for an answer.
const LOOKUPS_MAX: usize = 16;

/// Asks for the addresses of a name.
pub type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Looks names up.
#[derive(Clone)]
pub struct Lookup {
    ask: Arc<Ask>,
    waiting: Arc<AtomicUsize>,
}

/// Why a name has no addresses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    NotFound,
    TimedOut,
    /// Too many look-ups wait already.
    Busy,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Lookup {
    /// By the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::by(Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|found| found.ip()).collect())))
    }

    /// By another resolver.
    #[must_use]
    pub fn by(ask: Arc<Ask>) -> Self {
        Self { ask, waiting: Arc::default() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// When nothing is found in time.
    pub fn addresses(&self, name: &str, timeout: Duration) -> Result<Vec<IpAddr>, Failure> {
        let place = Place::take(&self.waiting).ok_or(Failure::Busy)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let (ask, name) = (Arc::clone(&self.ask), name.to_owned());
        let work = move || {
            // Nobody waits for the answer any more when the time is over.
            let _ = sender.send(ask(&name));
            drop(place);
        };
        std::thread::Builder::new().name("lookup".into()).spawn(work).map_err(|_| Failure::Busy)?;
        match receiver.recv_timeout(timeout) {
            Ok(found) => found.map_err(|_| Failure::NotFound),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Failure::TimedOut),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Failure::NotFound),
        }
    }
}

/// One of the look-ups that may wait.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(waiting));
        (waiting.fetch_add(1, Ordering::AcqRel) < LOOKUPS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_that_never_end_are_limited_and_do_not_hold_the_caller() {
        let (_keep, never) = mpsc::channel::<()>();
        let never = std::sync::Mutex::new(never);
        let lookup = Lookup::by(Arc::new(move |_| {
            let _ = never.lock().map(|never| never.recv());
            Ok(Vec::new())
        }));
        for _ in 0..LOOKUPS_MAX {
            assert_eq!(lookup.addresses("a.example.org", Duration::from_millis(1)), Err(Failure::TimedOut));
        }
        assert_eq!(lookup.addresses("a.example.org", Duration::from_millis(1)), Err(Failure::Busy));
    }

    #[test]
    fn a_place_is_free_again_after_the_answer() {
        let lookup = Lookup::by(Arc::new(|_| Err(io::Error::from(io::ErrorKind::NotFound))));
        for _ in 0..LOOKUPS_MAX * 2 {
            assert_eq!(lookup.addresses("a.example.org", Duration::from_mins(1)), Err(Failure::NotFound));
            while lookup.waiting.load(Ordering::Acquire) > 0 {
                std::thread::yield_now();
            }
        }
    }
}
