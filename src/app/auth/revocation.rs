//! Revocation lists by the URL that they come from: which are due, which are kept.
//!
//! Bookkeeping without IO; time is an argument. A list is fetched again some time before its `nextUpdate`; after a failure it
//! is tried again, ever more seldom. One that its issuer has not signed, or that is older than the one before, does not
//! replace it. When `nextUpdate` has passed the list stays here and counts for nothing: that is judged with the chain
//! (`auth::trust`). Not here: fetching (see `communities`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::auth::trust::Crl;

/// URLs in certificates of callers that are learnt at most; configured ones do not count, nor wait for their turn behind them.
const LEARNT_URLS_MAX: usize = 2000;
/// Of all lists from learnt URLs together.
const LEARNT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Certificates that may sign what comes from one URL, beside those of the communities.
const SIGNERS_MAX: usize = 32;
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
    is_configured: bool,
    /// May have signed what comes, beside the authorities of the communities.
    signers: BTreeSet<ListSigner>,
    lists: Vec<Arc<Crl>>,
    is_fetched: bool,
    /// Since the last success.
    failures: u32,
    due_us: i64,
    is_in_flight: bool,
}

/// A certificate that was seen on a way to an anchor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListSigner {
    pub der: Vec<u8>,
    pub anchor_sha256: [u8; 32],
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
    #[error("the lists that were learnt of have no room for it")]
    Room,
}

/// Something to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub url: String,
    pub communities: BTreeSet<String>,
    pub signers: Vec<ListSigner>,
}

impl Lists {
    /// Has a URL of the configuration fetched for a community from now on.
    pub fn want_configured(&mut self, community: &str, url: &str) {
        let entry = self.0.entry(url.to_owned()).or_default();
        entry.wanted_by.insert(community.to_owned());
        entry.is_configured = true;
    }

    /// The same for a URL in a certificate of a caller, as long as there is room; `signers` led that caller to an anchor.
    pub fn learn(&mut self, community: &str, url: &str, signers: &[ListSigner]) {
        if !self.0.contains_key(url) && self.learnt().count() >= LEARNT_URLS_MAX {
            return;
        }
        let entry = self.0.entry(url.to_owned()).or_default();
        entry.wanted_by.insert(community.to_owned());
        for signer in signers {
            if entry.signers.len() < SIGNERS_MAX {
                entry.signers.insert(signer.clone());
            }
        }
    }

    fn learnt(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.0.iter().filter(|(_, entry)| !entry.is_configured)
    }

    /// Forgets what no community of `names` wants, and what was configured: that is told anew.
    pub fn keep_only(&mut self, names: &BTreeSet<String>) {
        for entry in self.0.values_mut() {
            entry.wanted_by.retain(|name| names.contains(name));
            entry.is_configured = false;
        }
        self.0.retain(|_, entry| !entry.wanted_by.is_empty());
    }

    /// What is to be fetched now, the configured before the learnt and of each that which waits longest first; it is in
    /// flight until `keep` or `failed` says how it went. Half of the flights are never for what was learnt.
    pub fn take_due(&mut self, now_us: i64, in_flight_max: usize) -> Vec<Due> {
        let flying = |entry: &&Entry| entry.is_in_flight;
        let in_flight = self.0.values().filter(flying).count();
        let learnt = self.learnt().map(|(_, entry)| entry).filter(flying).count();
        let (mut free, mut free_learnt) =
            (in_flight_max.saturating_sub(in_flight), (in_flight_max / 2).saturating_sub(learnt));
        let mut due: Vec<(&String, &mut Entry)> =
            self.0.iter_mut().filter(|(_, entry)| !entry.is_in_flight && entry.due_us <= now_us).collect();
        due.sort_by_key(|(_, entry)| (!entry.is_configured, entry.due_us));
        due.retain(|(_, entry)| {
            let has_room = free > 0 && (entry.is_configured || free_learnt > 0);
            free -= usize::from(has_room);
            free_learnt -= usize::from(has_room && !entry.is_configured);
            has_room
        });
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
    /// When it is older than what is kept, or too much; this counts as a failure.
    pub fn keep(&mut self, url: &str, lists: Vec<Arc<Crl>>, now_us: i64, refresh_us: i64) -> Result<(), Unusable> {
        let size = |lists: &[Arc<Crl>]| lists.iter().map(|list| list.der().len()).sum::<usize>();
        let others: usize =
            self.learnt().filter(|(learnt, _)| *learnt != url).map(|(_, entry)| size(&entry.lists)).sum();
        let Some(entry) = self.0.get_mut(url) else { return Ok(()) };
        let is_older = |new: &Arc<Crl>| {
            entry.lists.iter().any(|old| old.has_scope_of(new) && old.this_update_us() > new.this_update_us())
        };
        if lists.iter().any(is_older) {
            self.failed(url, now_us);
            return Err(Unusable::Older);
        }
        if !entry.is_configured && others.saturating_add(size(&lists)) > LEARNT_BYTES_MAX {
            self.failed(url, now_us);
            return Err(Unusable::Room);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(number: usize) -> ListSigner {
        ListSigner { der: number.to_be_bytes().to_vec(), anchor_sha256: [0; 32] }
    }

    #[test]
    fn configured_urls_are_never_crowded_out_by_learnt_ones() {
        let mut lists = Lists::default();
        for number in 0..LEARNT_URLS_MAX + 5 {
            lists.learn("house", &format!("http://learnt.example/{number}"), &[]);
        }
        assert_eq!(lists.counts("house"), (LEARNT_URLS_MAX, 0));
        let learnt = lists.take_due(1, 8);
        assert_eq!(learnt.len(), 4, "half of the flights");
        for number in 0..5 {
            lists.want_configured("house", &format!("http://own.example/{number}"));
        }
        assert_eq!(lists.counts("house"), (LEARNT_URLS_MAX + 5, 0));
        let due = lists.take_due(1, 8);
        assert_eq!(due.len(), 4, "the other half, although learnt ones wait");
        assert!(due.iter().all(|due| due.url.starts_with("http://own.example/")), "{due:?}");
        assert_eq!(lists.take_due(1, 8), [], "all are on their way");
        // Learnt and then configured: it counts as configured, and no longer once the configuration is without it.
        lists.want_configured("house", "http://learnt.example/0");
        lists.learn("house", "http://learnt.example/new", &[]);
        assert_eq!(lists.counts("house").0, LEARNT_URLS_MAX + 6);
        lists.keep_only(&BTreeSet::from(["house".to_owned()]));
        lists.learn("house", "http://learnt.example/newer", &[]);
        assert_eq!(lists.counts("house").0, LEARNT_URLS_MAX + 6, "no room");
    }

    #[test]
    fn the_signers_of_a_learnt_url_are_bounded() {
        let mut lists = Lists::default();
        let many: Vec<ListSigner> = (0..SIGNERS_MAX + 3).map(signer).collect();
        lists.learn("house", "http://learnt.example/a", &many);
        lists.learn("house", "http://learnt.example/a", &many[SIGNERS_MAX..]);
        assert_eq!(lists.take_due(1, 8)[0].signers, many[..SIGNERS_MAX]);
    }
}
