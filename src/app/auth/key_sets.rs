//! Key sets that clients publish (RFC 7517), kept for as long as their servers say and no longer (SMART App Launch 2.2).
//!
//! Not here: fetching (see `outbound`), which key is the right one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::outbound::fetch::Client;

/// A server that says nothing of how long its keys may be kept.
const FRESH_S_DEFAULT: u64 = 60;
const FRESH_S_MAX: u64 = 3600;
/// How often an address is asked anew because a key was missing.
const AGAIN_US: i64 = 10_000_000;
/// Addresses that are kept at most.
const SETS_MAX: usize = 1_000;

/// What was fetched, by address.
#[derive(Debug, Default)]
pub(super) struct KeySets(Mutex<HashMap<String, Fetched>>);

#[derive(Debug, Clone)]
struct Fetched {
    text: String,
    at_us: i64,
    fresh_until_us: i64,
}

impl KeySets {
    /// The set at an address, fetched if the copy is too old; `None` when it cannot be had.
    pub(super) fn get(&self, source: &Client, url: &str, now_us: i64) -> Option<String> {
        let kept = self.lock().get(url).filter(|kept| now_us < kept.fresh_until_us).map(|kept| kept.text.clone());
        kept.or_else(|| self.fetch(source, url, now_us))
    }

    /// The set as it is there now, unless it was asked for a moment ago.
    pub(super) fn get_anew(&self, source: &Client, url: &str, now_us: i64) -> Option<String> {
        let is_new = self.lock().get(url).is_some_and(|kept| now_us.saturating_sub(kept.at_us) < AGAIN_US);
        if is_new { None } else { self.fetch(source, url, now_us) }
    }

    /// Nobody is kept waiting for the lock while a server is asked.
    fn fetch(&self, source: &Client, url: &str, now_us: i64) -> Option<String> {
        let document = match source.jwks(url) {
            Ok(document) => document,
            Err(error) => {
                tracing::warn!(%error, "the keys of a client cannot be fetched");
                return None;
            }
        };
        let fresh_s = document.fresh_s.unwrap_or(FRESH_S_DEFAULT).min(FRESH_S_MAX);
        let fresh_until_us = now_us.saturating_add(i64::try_from(fresh_s).unwrap_or(0) * 1_000_000);
        let fetched = Fetched { text: document.text.clone(), at_us: now_us, fresh_until_us };
        let mut kept = self.lock();
        if kept.len() >= SETS_MAX {
            kept.clear();
        }
        kept.insert(url.to_owned(), fetched);
        Some(document.text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Fetched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
