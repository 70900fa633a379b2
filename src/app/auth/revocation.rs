//! Revocation lists by the URL that they come from: which are due, which are kept.
//!
//! Bookkeeping without IO; time is an argument. A list is fetched again some time before its `nextUpdate`; after a failure it
//! is tried again, ever more seldom. One that its issuer has not signed, or that is older than the one before, does not
//! replace it. When `nextUpdate` has passed the list stays here and counts for nothing: that is judged with the chain
//! (`auth::trust`). Not here: fetching (see `communities`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::auth::trust::Crl;

/// URLs that are kept at most: those in certificates of callers are learnt.
const URLS_MAX: usize = 2000;
const SECOND_US: i64 = 1_000_000;
/// Pauses after failures, doubled each time.
const RETRY_MIN_US: i64 = 5 * SECOND_US;
const RETRY_MAX_US: i64 = 300 * SECOND_US;
/// A list is not fetched more often than this, however soon its `nextUpdate` is.
const REFRESH_MIN_US: i64 = SECOND_US;

/// The lists of all communities.
#[derive(Debug, Default)]
pub struct Lists(BTreeMap<String, Entry>);

/// What comes from one URL.
#[derive(Debug, Default)]
struct Entry {
    wanted_by: BTreeSet<String>,
    /// Certificates, as DER, that may have signed what comes, beside those of the communities.
    signers: BTreeSet<Vec<u8>>,
    lists: Vec<Arc<Crl>>,
    is_fetched: bool,
    /// Since the last success.
    failures: u32,
    due_us: i64,
    is_in_flight: bool,
}

/// Why what was fetched is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is no list that is read here")]
    Form,
    #[error("no known issuer has signed it")]
    Signature,
    #[error("it is older than the one before")]
    Older,
}

/// Something to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub url: String,
    pub communities: BTreeSet<String>,
    pub signers: Vec<Vec<u8>>,
}

impl Lists {
    /// Has a URL fetched for a community from now on.
    pub fn want(&mut self, community: &str, url: &str, signers: &[Vec<u8>]) {
        if !self.0.contains_key(url) && self.0.len() >= URLS_MAX {
            return;
        }
        let entry = self.0.entry(url.to_owned()).or_default();
        entry.wanted_by.insert(community.to_owned());
        entry.signers.extend(signers.iter().cloned());
    }

    /// Forgets what no community of `names` wants.
    pub fn keep_only(&mut self, names: &BTreeSet<String>) {
        for entry in self.0.values_mut() {
            entry.wanted_by.retain(|name| names.contains(name));
        }
        self.0.retain(|_, entry| !entry.wanted_by.is_empty());
    }

    /// What is to be fetched now, that which waits longest first; it is in flight until `keep` or `failed` says how it went.
    pub fn take_due(&mut self, now_us: i64, in_flight_max: usize) -> Vec<Due> {
        let in_flight = self.0.values().filter(|entry| entry.is_in_flight).count();
        let mut due: Vec<(&String, &mut Entry)> =
            self.0.iter_mut().filter(|(_, entry)| !entry.is_in_flight && entry.due_us <= now_us).collect();
        due.sort_by_key(|(_, entry)| entry.due_us);
        due.truncate(in_flight_max.saturating_sub(in_flight));
        let take = |(url, entry): (&String, &mut Entry)| {
            entry.is_in_flight = true;
            let signers = entry.signers.iter().cloned().collect();
            Due { url: url.clone(), communities: entry.wanted_by.clone(), signers }
        };
        due.into_iter().map(take).collect()
    }

    /// Keeps what was fetched and is signed; it is due again before it is out of date.
    ///
    /// # Errors
    /// When it is older than what is kept; this counts as a failure.
    pub fn keep(&mut self, url: &str, lists: Vec<Arc<Crl>>, now_us: i64, refresh_us: i64) -> Result<(), Unusable> {
        let Some(entry) = self.0.get_mut(url) else { return Ok(()) };
        let is_older = |new: &Arc<Crl>| {
            entry.lists.iter().any(|old| old.has_scope_of(new) && old.this_update_us() > new.this_update_us())
        };
        if lists.iter().any(is_older) {
            self.failed(url, now_us);
            return Err(Unusable::Older);
        }
        entry.due_us = due_us(&lists, now_us, refresh_us);
        (entry.lists, entry.is_fetched, entry.failures, entry.is_in_flight) = (lists, true, 0, false);
        Ok(())
    }

    /// Tries again later.
    pub fn failed(&mut self, url: &str, now_us: i64) {
        let Some(entry) = self.0.get_mut(url) else { return };
        let pause_us = RETRY_MIN_US.saturating_mul(1_i64 << entry.failures.min(10)).min(RETRY_MAX_US);
        entry.failures = entry.failures.saturating_add(1);
        (entry.due_us, entry.is_in_flight) = (now_us.saturating_add(pause_us), false);
    }

    /// The lists of a community.
    #[must_use]
    pub fn of(&self, community: &str) -> Vec<Arc<Crl>> {
        let wanted = self.0.values().filter(|entry| entry.wanted_by.contains(community));
        wanted.flat_map(|entry| entry.lists.iter().cloned()).collect()
    }

    /// Whether it is known how fetching from each of `urls` ended, well or not.
    #[must_use]
    pub fn are_tried(&self, urls: &[String]) -> bool {
        urls.iter().all(|url| self.0.get(url).is_none_or(|entry| entry.is_fetched || entry.failures > 0))
    }

    /// How many URLs a community has, and of how many the last fetch failed.
    #[must_use]
    pub fn counts(&self, community: &str) -> (usize, usize) {
        let entries = || self.0.values().filter(|entry| entry.wanted_by.contains(community));
        (entries().count(), entries().filter(|entry| entry.failures > 0).count())
    }
}

/// When three quarters of the time until the first `nextUpdate` are over, or after the configured time.
fn due_us(lists: &[Arc<Crl>], now_us: i64, refresh_us: i64) -> i64 {
    let left_us = lists.iter().map(|list| list.next_update_us().saturating_sub(now_us)).min().unwrap_or(refresh_us);
    now_us.saturating_add((left_us / 4 * 3).min(refresh_us).max(REFRESH_MIN_US))
}
