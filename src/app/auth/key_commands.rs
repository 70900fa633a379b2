//! The keys that tokens are signed with, in the hands of an operator: listed, and replaced before their time.
//!
//! It opens a `Store`, as commands for clients do: running servers sign with the new key within a minute, and take tokens
//! of the former one until the last has expired. Not here: what keys are (see `keys`).

use crate::app::StartError;
use crate::app::clock::Clock;
use crate::app::operator::{open_store, write};
use crate::audit::Action;
use crate::config::Config;
use crate::store::signing_key;

use super::clients::ClientError;
use super::keys::{ListedKey, Rotation, Use, renew};
use super::seal::Sealer;

/// Every key, the newest first.
///
/// # Errors
/// When the database cannot be used.
pub fn list(config: &Config, clock: Clock) -> Result<Vec<ListedKey>, ClientError> {
    let rows = signing_key::list(&mut *open_store(config)?.connection()?)?;
    let now_us = (clock.now_us)();
    Ok(rows.into_iter().map(|row| ListedKey::of(row, now_us)).collect())
}

/// Lets new keys sign from now on; gives the id of the one of access tokens.
///
/// # Errors
/// When the key file or the database cannot be used.
pub fn rotate(config: &Config, clock: Clock) -> Result<String, ClientError> {
    write(&open_store(config)?, clock, Action::ManageKeys, |connection, audit| {
        let sealer = Sealer::open(&config.auth.key_file, connection, clock).map_err(StartError::from)?;
        let mut replace = |of| {
            let ring = renew(connection, &sealer, (of, Rotation::Now), None, (clock.secret)(), (clock.now_us)());
            ring.map_err(|error| ClientError::Refused(error.to_string()))
        };
        let mut ring = replace(Use::AccessTokens)?;
        // Whatever gave the reason holds for both, where there are both.
        if ring.identity.is_some() {
            ring = replace(Use::IdentityTokens)?;
        }
        let kid = ring.signer.kid;
        audit.detail.records.push(kid.clone());
        audit.detail.records.extend(ring.identity.map(|signer| signer.kid));
        Ok(kid)
    })
}
