//! The keys that tokens are signed with: made here, kept sealed in the database, shared by all instances on it.
//!
//! There are two kinds: of access tokens (ES256), which only this server reads, and of identity tokens (RS256, which SMART App
//! Launch 2.2 asks for), of which the first is made when one is needed.
//! The newest key of its kind signs and is replaced after `ROTATE_AFTER_US`, or when an operator says so; the others verify until the
//! last token that they could have signed has expired, and are published as long. An instance reads the keys again every
//! minute, and at once when a token names a key that it does not know.
//! Not here: what is signed (see `token`), sealing (see `seal`).

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::app::clock::{Clock, instant};
use crate::app::error::AppError;
use crate::app::writer::Scope;
use crate::auth::access_token::{LIFETIME_S_MAX, OwnKey};
use crate::auth::error::Refusal;
use crate::auth::jws::Algorithm;
use crate::auth::signing::{self, PrivateKey, Signer};
use crate::store::signing_key::{self, SigningKeyRow};
use crate::store::{Connection, StoreError, transaction};

use super::internal;
use super::seal::Sealer;

/// Ninety days.
const ROTATE_AFTER_US: i64 = 90 * 24 * 3600 * 1_000_000;
/// How old the copy of an instance may be.
const COPY_US_MAX: i64 = 60_000_000;
/// How far the clocks of instances may differ.
const SKEW_US: i64 = 5_000_000;
/// How long a key that was retired still verifies: as long as a copy may sign with it, and the life of a token.
const USABLE_US: i64 = COPY_US_MAX + SKEW_US + LIFETIME_S_MAX * 1_000_000;
/// How long its row is kept: the same, and an hour for whoever looks.
const KEPT_US: i64 = USABLE_US + 3_600_000_000;
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

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    AccessTokens,
    IdentityTokens,
}

impl Use {
    const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 => Self::IdentityTokens,
            Algorithm::Es256 | Algorithm::Es384 => Self::AccessTokens,
        }
    }

    fn draw(self) -> Result<PrivateKey, signing::SigningError> {
        match self {
            Self::AccessTokens => signing::generate(),
            Self::IdentityTokens => signing::generate_rsa(),
        }
    }
}

/// The keys at one moment.
pub(super) struct Ring {
    pub signer: Signer,
    /// Signs identity tokens, once there was one to sign.
    pub identity: Option<Signer>,
    identity_created_us: i64,
    kept: Vec<KeptKey>,
    created_us: i64,
    read_us: i64,
}

struct KeptKey {
    of: Use,
    own: OwnKey,
    jwk: Value,
    /// When the last token that it could have signed has expired.
    usable_until_us: i64,
}

impl Ring {
    /// The keys that tokens of this kind may be signed with that are in force.
    pub(super) fn own_at(&self, of: Use, now_us: i64) -> Vec<OwnKey> {
        self.usable_at(now_us).filter(|key| key.of == of).map(|key| key.own.clone()).collect()
    }

    fn is_fresh(&self, of: Use, now_us: i64) -> bool {
        let created_us = match of {
            Use::AccessTokens => self.created_us,
            Use::IdentityTokens if self.identity.is_none() => return false,
            Use::IdentityTokens => self.identity_created_us,
        };
        now_us.saturating_sub(created_us) < ROTATE_AFTER_US
    }

    fn usable_at(&self, now_us: i64) -> impl Iterator<Item = &KeptKey> {
        self.kept.iter().filter(move |key| now_us < key.usable_until_us)
    }
}

/// When a key verifies no more.
const fn usable_until_us(row: &SigningKeyRow) -> i64 {
    match row.retired_us {
        None => i64::MAX,
        Some(retired_us) => retired_us.saturating_add(USABLE_US),
    }
}

/// Whether a new key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// When the one that signs is old, unreadable or missing.
    IfDue,
    Now,
}

impl Keys {
    /// Reads the keys, and makes one when there is none that signs. `connection` must be one that writes.
    ///
    /// # Errors
    /// When the database cannot be used or there is no randomness.
    pub fn open(connection: &mut Connection, sealer: &Sealer, clock: Clock) -> Result<Self, KeysError> {
        let now_us = (clock.now_us)();
        transaction::begin_write(connection)?;
        let ring = match renew(connection, sealer, (Use::AccessTokens, Rotation::IfDue), None, (clock.secret)(), now_us)
        {
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
        let is_old = !before.is_fresh(Use::AccessTokens, now_us);
        let read = if is_old { self.renew_signing_keys(Use::AccessTokens) } else { self.copy_signing_keys(now_us) };
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

    /// The keys, of which one signs identity tokens: the first is drawn here, and another when it is old.
    ///
    /// # Errors
    /// `server_error` where none can be drawn or kept.
    pub(super) fn identity_keys(&self, now_us: i64) -> Result<Arc<Ring>, Refusal> {
        let ring = self.signing_keys(now_us);
        if ring.is_fresh(Use::IdentityTokens, now_us) {
            return Ok(ring);
        }
        let keys = &self.authorization.keys;
        let _reading = keys.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have drawn one meanwhile.
        let ring = keys.ring();
        if ring.is_fresh(Use::IdentityTokens, now_us) {
            return Ok(ring);
        }
        let ring = self.renew_signing_keys(Use::IdentityTokens).map_err(|error| {
            tracing::error!(?error, "a key for identity tokens cannot be made");
            internal()
        })?;
        let ring = Arc::new(ring);
        keys.set(Arc::clone(&ring));
        Ok(ring)
    }

    fn renew_signing_keys(&self, of: Use) -> Result<Ring, AppError> {
        let (sealer, random) = (self.sealer.clone(), (self.clock.secret)());
        // Drawing an RSA key takes as long as many commits.
        let drawn = if of == Use::IdentityTokens { of.draw().ok() } else { None };
        self.writer.upkeep(Scope::Resources, move |unit| {
            let renewed = renew(unit.conn, &sealer, (of, Rotation::IfDue), drawn, random, unit.now_us);
            renewed.map_err(|error| match error {
                KeysError::Store(error) => AppError::from(error),
                KeysError::Signing(_) | KeysError::Seal => AppError::internal(),
            })
        })
    }

    /// The public keys that tokens may be signed with (RFC 7517), of the tokens that are still out too.
    ///
    /// # Errors
    /// `server_error` where no key for identity tokens can be drawn or kept.
    pub fn jwk_set(&self, now_us: i64) -> Result<Value, Refusal> {
        let ring = self.identity_keys(now_us)?;
        let keys: Vec<&Value> = ring.usable_at(now_us).map(|key| &key.jwk).collect();
        Ok(json!({ "keys": keys }))
    }
}

/// Makes a new key when the newest of its kind is old, unreadable or missing; drops those whose tokens have expired. All
/// instances on a database do this one after the other. `drawn` is the key to keep if one is wanted, or none was drawn yet.
pub(super) fn renew(
    connection: &mut Connection,
    sealer: &Sealer,
    (of, rotation): (Use, Rotation),
    drawn: Option<PrivateKey>,
    random: [u8; 32],
    now_us: i64,
) -> Result<Ring, KeysError> {
    transaction::lock_keys(connection)?;
    signing_key::delete_retired_before(connection, now_us.saturating_sub(KEPT_US))?;
    let rows = signing_key::list(connection)?;
    for row in rows.iter().filter(|row| open(row, sealer).is_none()) {
        tracing::warn!(kid = row.kid, "a key for tokens cannot be opened: what it has signed is refused");
    }
    if rotation == Rotation::IfDue
        && let Some(ring) = ring_of(&rows, sealer, now_us)
        && ring.is_fresh(of, now_us)
    {
        return Ok(ring);
    }
    let key = drawn.map_or_else(|| of.draw(), Ok)?;
    let signer = Signer::from_der(key.der())?;
    let sealed = sealer.seal(&place_of(&signer.kid), key.der(), random).ok_or(KeysError::Seal)?;
    let row = SigningKeyRow {
        kid: signer.kid.clone(),
        sealed_by: sealer.keeper().code().to_owned(),
        private_key: STANDARD.encode(sealed),
        created_us: now_us,
        retired_us: None,
        algorithm: signer.alg.name().to_owned(),
    };
    signing_key::insert(connection, &row)?;
    signing_key::retire_others(connection, &row.algorithm, &row.kid, now_us)?;
    tracing::info!(kid = row.kid, algorithm = row.algorithm, sealed_by = row.sealed_by, "a new key signs tokens");
    ring_of(&signing_key::list(connection)?, sealer, now_us).ok_or(KeysError::Seal)
}

/// The keys that can be opened; `None` when none of them signs access tokens.
fn ring_of(rows: &[SigningKeyRow], sealer: &Sealer, now_us: i64) -> Option<Ring> {
    let (mut signing, mut identity) = (None, None);
    let mut kept = Vec::new();
    for row in rows {
        let Some((signer, own)) = open(row, sealer) else { continue };
        let of = Use::of(signer.alg);
        kept.push(KeptKey { of, own, jwk: signer.public_jwk(), usable_until_us: usable_until_us(row) });
        let signs = if of == Use::IdentityTokens { &mut identity } else { &mut signing };
        if signs.is_none() && row.retired_us.is_none() {
            *signs = Some((signer, row.created_us));
        }
    }
    let (signer, created_us) = signing?;
    let (identity, identity_created_us) = identity.map_or((None, 0), |(signer, at_us)| (Some(signer), at_us));
    Some(Ring { signer, identity, identity_created_us, kept, created_us, read_us: now_us })
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

/// A key as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedKey {
    pub kid: String,
    pub state: KeyState,
    /// FHIR instants.
    pub created: String,
    pub retired: Option<String>,
    pub sealed_by: String,
    /// `ES256` of access tokens, `RS256` of identity tokens.
    pub algorithm: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    Signing,
    /// It signs no more, and tokens that it has signed may be in force.
    Verifying,
    Ended,
}

impl KeyState {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Ended => "ended",
        }
    }
}

impl ListedKey {
    pub(super) fn of(row: SigningKeyRow, now_us: i64) -> Self {
        let state = match row.retired_us {
            None => KeyState::Signing,
            Some(_) if now_us < usable_until_us(&row) => KeyState::Verifying,
            Some(_) => KeyState::Ended,
        };
        let retired = row.retired_us.map(instant);
        Self {
            kid: row.kid,
            state,
            created: instant(row.created_us),
            retired,
            sealed_by: row.sealed_by,
            algorithm: row.algorithm,
        }
    }
}

fn place_of(kid: &str) -> String {
    format!("signing_key/{kid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_key_verifies_until_the_last_token_that_it_could_have_signed_has_expired() {
        let row = |retired_us| SigningKeyRow {
            kid: "k".to_owned(),
            sealed_by: "database".to_owned(),
            private_key: String::new(),
            created_us: 0,
            retired_us,
            algorithm: "ES256".to_owned(),
        };
        let until_us = 1_000 + 60_000_000 + 5_000_000 + 3_600_000_000;
        for (retired_us, now_us, state) in [
            (None, i64::MAX - 1, KeyState::Signing),
            (Some(1_000), 1_000, KeyState::Verifying),
            (Some(1_000), until_us - 1, KeyState::Verifying),
            (Some(1_000), until_us, KeyState::Ended),
        ] {
            assert_eq!(ListedKey::of(row(retired_us), now_us).state, state, "{retired_us:?} {now_us}");
        }
        let signer = Signer::from_der(signing::generate().expect("a key").der()).expect("a key");
        let kept = |kid: &str, retired_us| KeptKey {
            of: Use::AccessTokens,
            own: OwnKey { kid: kid.to_owned(), key: signer.public_key().expect("a key") },
            jwk: json!({"kid": kid}),
            usable_until_us: usable_until_us(&row(retired_us)),
        };
        let ring = Ring {
            identity: None,
            identity_created_us: 0,
            kept: vec![kept("new", None), kept("old", Some(1_000))],
            signer: Signer::from_der(signing::generate().expect("a key").der()).expect("a key"),
            created_us: 0,
            read_us: 0,
        };
        let kids = |now_us| ring.own_at(Use::AccessTokens, now_us).into_iter().map(|key| key.kid).collect::<Vec<_>>();
        assert_eq!(kids(until_us - 1), ["new", "old"]);
        assert_eq!(kids(until_us), ["new"]);
        assert_eq!(ring.usable_at(until_us).count(), 1, "and it is published as long");
    }
}
