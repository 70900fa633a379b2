//! Certificates of issuers that a caller left out, fetched from where its certificate says (RFC 5280 §4.2.2.1).
//!
//! Only where `auth.aia` allows it. The URL stands in a certificate that nobody has vouched for yet, so few are fetched at
//! a time, each answer is remembered, and a failure is remembered too. Not here: whether they help (see `auth::trust`).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::outbound::fetch::Client;

/// URLs that are remembered at most.
const URLS_MAX: usize = 500;
/// Fetches at a time at most; further callers do without.
const IN_FLIGHT_MAX: usize = 4;
const FRESH_US: i64 = 86_400_000_000;
const FAILED_FRESH_US: i64 = 60_000_000;

#[derive(Debug, Default)]
pub struct Issuers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    in_flight: usize,
    /// Certificates as DER, none after a failure, and until when that counts.
    by_url: BTreeMap<String, (Vec<Vec<u8>>, i64)>,
}

impl Issuers {
    /// The certificates at `url`; none where they cannot be had now.
    #[must_use]
    pub fn find(&self, url: &str, client: &Client, now_us: i64) -> Vec<Vec<u8>> {
        {
            let mut known = self.lock();
            match known.by_url.get(url) {
                Some((certificates, until_us)) if *until_us > now_us => return certificates.clone(),
                _ if known.in_flight >= IN_FLIGHT_MAX => return Vec::new(),
                _ => known.in_flight += 1,
            }
        }
        let fetched = client.issuers(url);
        let mut known = self.lock();
        known.in_flight -= 1;
        if known.by_url.len() >= URLS_MAX {
            known.by_url.retain(|_, (_, until_us)| *until_us > now_us);
        }
        if known.by_url.len() >= URLS_MAX {
            known.by_url.pop_first();
        }
        let until_us = now_us + if fetched.is_ok() { FRESH_US } else { FAILED_FRESH_US };
        let certificates = fetched.unwrap_or_else(|error| {
            tracing::info!(%error, "the certificate of an issuer cannot be fetched");
            Vec::new()
        });
        known.by_url.insert(url.to_owned(), (certificates.clone(), until_us));
        certificates
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
