//! Key sets that clients publish (RFC 7517), kept for as long as their servers say and no longer (SMART App Launch 2.2).
//!
//! Whoever asks is not known yet, and is waiting on a thread that answers others too. So one request at a time asks an
//! address, a few wait for what it brings, all others are told to come again; a failure is remembered. Not here: fetching
//! (see `outbound`), which key is the right one.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::outbound::fetch::{Document, FetchError};

/// A server that says nothing of how long its keys may be kept.
const FRESH_S_DEFAULT: u64 = 60;
const FRESH_S_MAX: u64 = 3600;
/// How often an address is asked anew because a key was missing.
const AGAIN_US: i64 = 10_000_000;
/// How long an address that gave no keys is not asked.
const FAILED_US: i64 = 30_000_000;
/// Addresses that are kept at most.
const SETS_MAX: usize = 1_000;
/// Requests that fetch or wait for it, of one address and of all: a silent server must not hold the threads of all others.
const WAITING_MAX: usize = 4;
const WAITING_IN_ALL_MAX: usize = 16;

/// Why there is no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKeySet {
    /// The server gave none, now or a moment ago.
    Failed,
    /// Too many are waiting already.
    Busy,
}

/// Asks a server for the document at an address.
pub(super) type Fetch<'f> = &'f dyn Fn(&str) -> Result<Document, FetchError>;

/// What was fetched, by address.
#[derive(Debug, Default)]
pub(super) struct KeySets {
    sets: Mutex<HashMap<String, Set>>,
    /// Told whenever a fetch has ended.
    fetched: Condvar,
}

#[derive(Debug, Default)]
struct Set {
    kept: Option<Fetched>,
    failed_until_us: i64,
    is_in_flight: bool,
    /// The request that fetches and those that wait for it.
    waiting: usize,
}

#[derive(Debug, Clone)]
struct Fetched {
    text: String,
    at_us: i64,
    fresh_until_us: i64,
}

impl KeySets {
    /// The set at an address, fetched if the copy is too old.
    pub(super) fn get(&self, fetch: Fetch<'_>, url: &str, now_us: i64) -> Result<String, NoKeySet> {
        let kept = self.lock().get(url).and_then(|set| set.fresh(now_us));
        kept.map_or_else(|| self.fetch(fetch, url, now_us), Ok)
    }

    /// The set as it is there now; a failure where it was asked for a moment ago.
    pub(super) fn get_anew(&self, fetch: Fetch<'_>, url: &str, now_us: i64) -> Result<String, NoKeySet> {
        let is_new = |kept: &Fetched| now_us.saturating_sub(kept.at_us) < AGAIN_US;
        let is_new = self.lock().get(url).is_some_and(|set| set.kept.as_ref().is_some_and(is_new));
        if is_new { Err(NoKeySet::Failed) } else { self.fetch(fetch, url, now_us) }
    }

    /// Fetches, or waits for the one who does. Nobody is kept waiting for the lock while a server is asked.
    fn fetch(&self, fetch: Fetch<'_>, url: &str, now_us: i64) -> Result<String, NoKeySet> {
        let mut sets = self.lock();
        let in_all: usize = sets.values().map(|set| set.waiting).sum();
        if sets.len() >= SETS_MAX && !sets.contains_key(url) {
            sets.retain(|_, set| set.waiting > 0);
        }
        let set = sets.entry(url.to_owned()).or_default();
        if now_us < set.failed_until_us {
            return Err(NoKeySet::Failed);
        }
        if set.waiting >= WAITING_MAX || in_all >= WAITING_IN_ALL_MAX {
            return Err(NoKeySet::Busy);
        }
        set.waiting += 1;
        if set.is_in_flight {
            return self.wait(sets, url, now_us);
        }
        set.is_in_flight = true;
        drop(sets);
        let mut flight = Flight { sets: self, url, now_us, started: Instant::now(), ended: Err(FetchError::Content) };
        flight.ended = fetch(url);
        drop(flight);
        self.leave(self.lock(), url, now_us)
    }

    fn wait(&self, sets: MutexGuard<'_, HashMap<String, Set>>, url: &str, now_us: i64) -> Result<String, NoKeySet> {
        let is_waiting = |sets: &mut HashMap<String, Set>| sets.get(url).is_some_and(|set| set.is_in_flight);
        let sets = self.fetched.wait_while(sets, is_waiting).unwrap_or_else(PoisonError::into_inner);
        self.leave(sets, url, now_us)
    }

    /// What the flight has brought to one who was waiting.
    fn leave(
        &self,
        mut sets: MutexGuard<'_, HashMap<String, Set>>,
        url: &str,
        now_us: i64,
    ) -> Result<String, NoKeySet> {
        let set = sets.get_mut(url).ok_or(NoKeySet::Failed)?;
        set.waiting -= 1;
        if now_us < set.failed_until_us {
            return Err(NoKeySet::Failed);
        }
        set.kept.as_ref().map(|kept| kept.text.clone()).ok_or(NoKeySet::Failed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Set>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    fn fresh(&self, now_us: i64) -> Option<String> {
        self.kept.as_ref().filter(|kept| now_us < kept.fresh_until_us).map(|kept| kept.text.clone())
    }

    fn settle(&mut self, ended: &Result<Document, FetchError>, now_us: i64, took_us: i64) {
        self.is_in_flight = false;
        match ended {
            Ok(document) => {
                let fresh_s = document.fresh_s.unwrap_or(FRESH_S_DEFAULT).min(FRESH_S_MAX);
                let fresh_until_us = now_us.saturating_add(i64::try_from(fresh_s).unwrap_or(0) * 1_000_000);
                self.failed_until_us = 0;
                self.kept = Some(Fetched { text: document.text.clone(), at_us: now_us, fresh_until_us });
            }
            Err(error) => {
                tracing::warn!(%error, "the keys of a client cannot be fetched");
                self.failed_until_us = now_us.saturating_add(took_us).saturating_add(FAILED_US);
            }
        }
    }
}

/// A fetch on its way: however it ends, a panic included, nobody waits for it any longer.
struct Flight<'a> {
    sets: &'a KeySets,
    url: &'a str,
    now_us: i64,
    started: Instant,
    ended: Result<Document, FetchError>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let took_us = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(0);
        if let Some(set) = self.sets.lock().get_mut(self.url) {
            set.settle(&self.ended, self.now_us, took_us);
        }
        self.sets.fetched.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const NOW_US: i64 = 1_800_000_000_000_000;

    fn document(text: &str) -> Document {
        Document { text: text.to_owned(), fresh_s: None }
    }

    #[test]
    fn a_failure_to_fetch_keys_is_remembered_for_half_a_minute() {
        let (sets, asked) = (KeySets::default(), Cell::new(0));
        let refused = |_: &str| {
            asked.set(asked.get() + 1);
            Err(FetchError::Connection)
        };
        for now_us in [NOW_US, NOW_US + 1, NOW_US + FAILED_US - 1] {
            assert_eq!(sets.get(&refused, "a", now_us), Err(NoKeySet::Failed));
            assert_eq!(sets.get_anew(&refused, "a", now_us), Err(NoKeySet::Failed));
        }
        assert_eq!(asked.get(), 1);
        assert_eq!(sets.get(&refused, "b", NOW_US), Err(NoKeySet::Failed));
        assert_eq!(asked.get(), 2, "of another address nothing is known");
        // The time that the fetch took comes on top.
        let later_us = NOW_US + 2 * FAILED_US;
        assert_eq!(sets.get(&|_| Ok(document("keys")), "a", later_us), Ok("keys".to_owned()));
        assert_eq!(sets.get(&refused, "a", later_us), Ok("keys".to_owned()));
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn keys_are_fetched_once_for_all_who_wait_and_only_a_few_wait() {
        let (sets, asked) = (KeySets::default(), AtomicUsize::new(0));
        let (begun, may_end) = (Barrier::new(2), Barrier::new(2));
        let slow = |_: &str| {
            asked.fetch_add(1, Ordering::SeqCst);
            begun.wait();
            may_end.wait();
            Ok(document("keys"))
        };
        let never = |_: &str| -> Result<Document, FetchError> { unreachable!("somebody is fetching already") };
        let waiting = |url: &str| sets.lock().get(url).map_or(0, |set| set.waiting);
        thread::scope(|scope| {
            let first = scope.spawn(|| sets.get(&slow, "a", NOW_US));
            begun.wait();
            let others: Vec<_> = (1..WAITING_MAX).map(|_| scope.spawn(|| sets.get(&never, "a", NOW_US))).collect();
            while waiting("a") < WAITING_MAX {
                thread::yield_now();
            }
            assert_eq!(sets.get(&never, "a", NOW_US), Err(NoKeySet::Busy), "one too many");
            assert_eq!(
                sets.get(&|_| Ok(document("others")), "b", NOW_US),
                Ok("others".to_owned()),
                "nobody else waits"
            );
            may_end.wait();
            for one in others.into_iter().chain([first]) {
                assert_eq!(one.join().unwrap(), Ok("keys".to_owned()));
            }
        });
        assert_eq!((asked.load(Ordering::SeqCst), waiting("a")), (1, 0));
    }
}
