//! People who sign in: accounts that an operator makes, signing in with a password and a one-time code, sessions.
//!
//! Whichever way somebody signs in, the result is one [`Authentication`](crate::auth::authentication::Authentication); other
//! ways than a password and a code come through the same door. An attempt is counted before it is judged, under a lock of all
//! instances; comparing passwords costs memory, so only so many are compared at once; who is not known costs as much as who
//! is. Not here: the rules (see `auth::password`, `auth::totp`, `auth::throttle`), pages and cookies (see `web`).

pub mod account;
pub mod attempts;
mod hashing;
pub mod login;
pub mod manage;
pub mod own_identity;
pub mod session;
pub mod sign_in;

use std::sync::atomic::AtomicI64;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::password;
use crate::auth::totp::SECRET_BYTES;
use crate::config::Config;
use crate::store::person_account::{DISABLED, PERSON, PersonAccountRow};
use crate::store::{Connection, Store, StoreError, secret};

use super::auth::seal::Sealer;
use super::clock::Clock;

use account::totp_place;
use hashing::Hashing;

/// The key in the table `secret` under which logins and addresses are counted.
const COUNTING_KEY: &str = "sign-in";

/// What all requests of people share.
pub struct People {
    counting_key: [u8; 32],
    /// Stands for whom nobody knows.
    nobody: PersonAccountRow,
    hashing: Hashing,
    /// When what is over was removed last.
    purged_us: AtomicI64,
}

impl People {
    /// Reads the key, and makes it when there is none.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn open(config: &Config, store: &Store, sealer: &Sealer, clock: Clock) -> Result<Self, StoreError> {
        let counting_key = counting_key(&mut store.writer_connection()?, clock)?;
        let nobody = nobody(sealer, (clock.secret)())
            .ok_or_else(|| StoreError::Other("a secret cannot be sealed".to_owned()))?;
        let hashing = Hashing::new(config.people.password_hashes_max);
        Ok(Self { counting_key, nobody, hashing, purged_us: AtomicI64::new(0) })
    }
}

fn counting_key(connection: &mut Connection, clock: Clock) -> Result<[u8; 32], StoreError> {
    secret::get_or_insert(connection, COUNTING_KEY, (clock.secret)(), (clock.now_us)())
}

/// An account with which everything is done that is done with others, and nobody signs in.
fn nobody(sealer: &Sealer, random: [u8; 32]) -> Option<PersonAccountRow> {
    let account_id = "nobody".to_owned();
    let totp_secret = STANDARD.encode(sealer.seal(&totp_place(&account_id), &[0; SECRET_BYTES], random)?);
    Some(PersonAccountRow {
        account_id,
        login: String::new(),
        kind: PERSON.to_owned(),
        state: DISABLED.to_owned(),
        password_hash: password::NOBODYS.to_owned(),
        totp_secret,
        totp_step: 0,
        level: String::new(),
        verified_on: String::new(),
        attributes: String::new(),
        identity_id: None,
        created_us: 0,
        updated_us: 0,
    })
}
