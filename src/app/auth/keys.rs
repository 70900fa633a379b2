//! The keys that access tokens are signed with: made here, kept sealed in the database, shared by all instances on it.
//!
//! The newest key signs and is replaced after `ROTATE_AFTER_US`; the others verify until the last token signed with them
//! has expired. An instance reads the keys again every minute, and at once when a token names a key that it does not know.
//! Not here: what is signed (see `token`), sealing (see `seal`).

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::app::App;
use crate::app::clock::Clock;
use crate::app::error::AppError;
use crate::app::writer::Scope;
use crate::auth::access_token::{LIFETIME_S_MAX, OwnKey};
use crate::auth::signing::{self, Signer};
use crate::store::signing_key::{self, SigningKeyRow};
use crate::store::{Connection, StoreError, transaction};

use super::seal::Sealer;

/// Ninety days.
const ROTATE_AFTER_US: i64 = 90 * 24 * 3600 * 1_000_000;
/// How long a key that was retired still verifies: the life of a token, twice, for clocks that differ.
const KEPT_US: i64 = 2 * LIFETIME_S_MAX * 1_000_000;
/// How old the copy of an instance may be.
const COPY_US_MAX: i64 = 60_000_000;
/// How often a token of an unknown key may make an instance look again.
const LOOK_AGAIN_US: i64 = 1_000_000;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("a key for access tokens cannot be made: {0}")]
    Signing(#[from] signing::SigningError),
    #[error("a key for access tokens cannot be sealed")]
    Seal,
}

/// This instance's copy of the keys.
pub struct Keys {
    ring: RwLock<Arc<Ring>>,
    reading: Mutex<()>,
}

/// The keys at one moment.
pub(super) struct Ring {
    pub signer: Signer,
    pub own: Vec<OwnKey>,
    created_us: i64,
    read_us: i64,
    jwks: Vec<Value>,
}

impl Keys {
    /// Reads the keys, and makes one when there is none that signs. `connection` must be one that writes.
    ///
    /// # Errors
    /// When the database cannot be used or there is no randomness.
    pub fn open(connection: &mut Connection, sealer: &Sealer, clock: Clock) -> Result<Self, KeysError> {
        let now_us = (clock.now_us)();
        transaction::begin_write(connection)?;
        let ring = match renew(connection, sealer, (clock.secret)(), now_us) {
            Ok(ring) => ring,
            Err(error) => {
                transaction::rollback(connection)?;
                return Err(error);
            }
        };
        transaction::commit(connection)?;
        Ok(Self { ring: RwLock::new(Arc::new(ring)), reading: Mutex::default() })
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, ring: Arc<Ring>) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }
}

impl App {
    /// The keys as they are now, at most a minute old. When they cannot be read, the former ones go on.
    pub(super) fn signing_keys(&self, now_us: i64) -> Arc<Ring> {
        let keys = &self.authorization.keys;
        let ring = keys.ring();
        if now_us.saturating_sub(ring.read_us) < COPY_US_MAX {
            return ring;
        }
        // One reads; the others go on with what they have.
        let Ok(_reading) = keys.reading.try_lock() else { return ring };
        self.read_signing_keys(&ring, now_us)
    }

    /// The keys for a token whose key is not among `known`; `None` when they were looked at just now.
    pub(super) fn signing_keys_after(&self, known: &Arc<Ring>, now_us: i64) -> Option<Arc<Ring>> {
        let keys = &self.authorization.keys;
        let _reading = keys.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = keys.ring();
        if !Arc::ptr_eq(&ring, known) {
            return Some(ring);
        }
        let is_due = now_us.saturating_sub(ring.read_us) >= LOOK_AGAIN_US;
        is_due.then(|| self.read_signing_keys(&ring, now_us))
    }

    fn read_signing_keys(&self, before: &Arc<Ring>, now_us: i64) -> Arc<Ring> {
        let is_old = now_us.saturating_sub(before.created_us) >= ROTATE_AFTER_US;
        let read = if is_old { self.renew_signing_keys() } else { self.copy_signing_keys(now_us) };
        match read {
            Ok(ring) => {
                let ring = Arc::new(ring);
                self.authorization.keys.set(Arc::clone(&ring));
                ring
            }
            Err(error) => {
                tracing::warn!(?error, "the keys for access tokens cannot be read again; the former ones go on");
                Arc::clone(before)
            }
        }
    }

    fn copy_signing_keys(&self, now_us: i64) -> Result<Ring, AppError> {
        let rows = signing_key::list(&mut *self.connection()?)?;
        ring_of(&rows, &self.sealer, now_us).ok_or_else(AppError::internal)
    }

    fn renew_signing_keys(&self) -> Result<Ring, AppError> {
        let (sealer, random) = (self.sealer.clone(), (self.clock.secret)());
        self.writer.upkeep(Scope::Resources, move |unit| {
            renew(unit.conn, &sealer, random, unit.now_us).map_err(|error| match error {
                KeysError::Store(error) => AppError::from(error),
                KeysError::Signing(_) | KeysError::Seal => AppError::internal(),
            })
        })
    }

    /// The public keys that access tokens may be signed with (RFC 7517), of the tokens that are still out too.
    pub fn jwk_set(&self, now_us: i64) -> Value {
        json!({ "keys": self.signing_keys(now_us).jwks })
    }
}

/// Makes a new key when the newest is old, unreadable or missing; drops those whose tokens have expired. All instances on
/// a database do this one after the other.
fn renew(connection: &mut Connection, sealer: &Sealer, random: [u8; 32], now_us: i64) -> Result<Ring, KeysError> {
    transaction::lock_keys(connection)?;
    signing_key::delete_retired_before(connection, now_us.saturating_sub(KEPT_US))?;
    let rows = signing_key::list(connection)?;
    for row in rows.iter().filter(|row| open(row, sealer).is_none()) {
        tracing::warn!(kid = row.kid, "a key for access tokens cannot be opened: its tokens are refused");
    }
    if let Some(ring) = ring_of(&rows, sealer, now_us)
        && now_us.saturating_sub(ring.created_us) < ROTATE_AFTER_US
    {
        return Ok(ring);
    }
    let key = signing::generate()?;
    let signer = Signer::from_der(key.der())?;
    let sealed = sealer.seal(&place_of(&signer.kid), key.der(), random).ok_or(KeysError::Seal)?;
    let row = SigningKeyRow {
        kid: signer.kid.clone(),
        sealed_by: sealer.keeper().code().to_owned(),
        private_key: STANDARD.encode(sealed),
        created_us: now_us,
        retired_us: None,
    };
    signing_key::insert(connection, &row)?;
    signing_key::retire_others(connection, &row.kid, now_us)?;
    tracing::info!(kid = row.kid, sealed_by = row.sealed_by, "a new key signs access tokens");
    ring_of(&signing_key::list(connection)?, sealer, now_us).ok_or(KeysError::Seal)
}

/// The keys that can be opened; `None` when none of them signs.
fn ring_of(rows: &[SigningKeyRow], sealer: &Sealer, now_us: i64) -> Option<Ring> {
    let mut signing = None;
    let (mut own, mut jwks) = (Vec::new(), Vec::new());
    for row in rows {
        let Some((signer, key)) = open(row, sealer) else { continue };
        jwks.push(signer.public_jwk());
        own.push(key);
        if signing.is_none() && row.retired_us.is_none() {
            signing = Some((signer, row.created_us));
        }
    }
    let (signer, created_us) = signing?;
    Some(Ring { signer, own, created_us, read_us: now_us, jwks })
}

/// How many of these keys open with a sealer's, and how many of those a newer one of its keys would seal by now.
#[must_use]
pub fn count_opened(rows: &[SigningKeyRow], sealer: &Sealer) -> (usize, usize) {
    let opened: Vec<&SigningKeyRow> = rows.iter().filter(|row| open(row, sealer).is_some()).collect();
    let is_outdated =
        |row: &&&SigningKeyRow| STANDARD.decode(&row.private_key).is_ok_and(|sealed| sealer.is_outdated(&sealed));
    (opened.len(), opened.iter().filter(is_outdated).count())
}

fn open(row: &SigningKeyRow, sealer: &Sealer) -> Option<(Signer, OwnKey)> {
    let sealed = STANDARD.decode(&row.private_key).ok()?;
    let der = sealer.open_sealed(&place_of(&row.kid), &sealed)?;
    let signer = Signer::from_der(&der).ok()?.with_kid(&row.kid);
    let key = signer.public_key().ok()?;
    Some((signer, OwnKey { kid: row.kid.clone(), key }))
}

fn place_of(kid: &str) -> String {
    format!("signing_key/{kid}")
}
