//! Attempts to sign in, counted by login and by address, before they are judged.
//!
//! Both are counted under an HMAC, so the table names nobody, and what was typed by mistake is not kept. An address of IPv6
//! counts as its /64, which one customer has. Counts are in the database: they outlive a restart and are those of all
//! instances. Not here: what follows from a count (see `auth::throttle`).

use std::net::IpAddr;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::throttle::{Attempt, Attempts, Limits, judge, succeeded};
use crate::config;
use crate::store::sign_in_attempt::{self, AttemptRow, Forgotten};
use crate::store::{Connection, StoreError};

use super::login::Login;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 3600 * SECOND_US;
/// One failure of an address is forgotten after this.
const ADDRESS_FORGOTTEN_US: i64 = 60 * SECOND_US;

/// What an attempt is counted under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    pub login: String,
    /// None when nobody knows where the request came from.
    pub address: Option<String>,
}

impl Keys {
    #[must_use]
    pub fn of(key: &[u8; 32], login: &Login, address: Option<&str>) -> Self {
        let hmac = |kind: &str, text: &str| {
            let message = format!("{kind}\0{text}");
            format!("{kind}/{}", URL_SAFE_NO_PAD.encode(sign(&Key::new(HMAC_SHA256, key), message.as_bytes())))
        };
        let address = address.map(|address| hmac("address", &network(address)));
        Self { login: hmac("login", login.expose()), address }
    }
}

fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// The limits as configured.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    login: Limits,
    address: Limits,
}

impl Throttle {
    #[must_use]
    pub fn of(config: &config::People) -> Self {
        let login = Limits {
            free: i64::from(config.sign_in_failures_free),
            first_pause_us: i64::from(config.sign_in_pause_s) * SECOND_US,
            pause_us_max: i64::from(config.sign_in_pause_s_max) * SECOND_US,
            failures_max: Some(i64::from(config.sign_in_failures_max)),
            forgotten_us: None,
        };
        let address = Limits {
            free: i64::from(config.address_failures_free),
            failures_max: None,
            forgotten_us: Some(ADDRESS_FORGOTTEN_US),
            ..login
        };
        Self { login, address }
    }

    /// Counts an attempt as failed, or says how long to wait. Call it under the lock of people.
    ///
    /// # Errors
    /// Those of the database.
    pub fn count(&self, connection: &mut Connection, keys: &Keys, now_us: i64) -> Result<Option<i64>, StoreError> {
        let of_login = judge(find(connection, &keys.login)?, &self.login, now_us);
        let of_address = match &keys.address {
            Some(key) => Some((key, judge(find(connection, key)?, &self.address, now_us))),
            None => None,
        };
        let waits = [Some(of_login), of_address.map(|(_, attempt)| attempt)].into_iter().flatten();
        let wait_us =
            waits.filter_map(|attempt| if let Attempt::Wait { us } = attempt { Some(us) } else { None }).max();
        if wait_us.is_some() {
            return Ok(wait_us);
        }
        for (key, attempt) in [Some((&keys.login, of_login)), of_address].into_iter().flatten() {
            if let Attempt::Counted(attempts) = attempt {
                sign_in_attempt::put(connection, &row(key, attempts))?;
            }
        }
        Ok(None)
    }

    /// Removes what nobody needs to remember.
    ///
    /// # Errors
    /// Those of the database.
    pub fn forget(&self, connection: &mut Connection, now_us: i64) -> Result<(), StoreError> {
        let which = Forgotten {
            idle_before_us: now_us - DAY_US,
            paused_before_us: now_us - 30 * DAY_US,
            failures_max: self.login.failures_max.unwrap_or(i64::MAX),
        };
        sign_in_attempt::delete_forgotten(connection, which).map(|_| ())
    }
}

/// Takes back what was counted of an attempt that has succeeded.
///
/// # Errors
/// Those of the database.
pub fn take_back(connection: &mut Connection, keys: &Keys, now_us: i64) -> Result<(), StoreError> {
    sign_in_attempt::delete(connection, &keys.login)?;
    let Some(key) = &keys.address else { return Ok(()) };
    let Some(known) = find(connection, key)? else { return Ok(()) };
    sign_in_attempt::put(connection, &row(key, succeeded(known, now_us)))
}

fn find(connection: &mut Connection, key: &str) -> Result<Option<Attempts>, StoreError> {
    let found = sign_in_attempt::find(connection, key)?;
    Ok(found.map(|row| Attempts { failures: row.failures, last_us: row.last_us, next_us: row.next_us }))
}

fn row(key: &str, attempts: Attempts) -> AttemptRow {
    let Attempts { failures, last_us, next_us } = attempts;
    AttemptRow { key: key.to_owned(), failures, last_us, next_us }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_nobody_and_a_customer_of_ipv6_is_one() {
        let keys = |login: &str, address: &str| Keys::of(&[7; 32], &Login::typed(login), Some(address));
        let one = keys("Marisol.Vega", "2001:db8:1:2:3:4:5:6");
        assert_eq!(one, keys("marisol.vega", "2001:db8:1:2::99"));
        assert_ne!(one.address, keys("marisol.vega", "2001:db8:1:3::99").address);
        assert_ne!(one.login, keys("other", "192.0.2.1").login);
        assert_eq!(keys("x", "::ffff:192.0.2.1").address, keys("x", "192.0.2.1").address);
        assert_ne!(Keys::of(&[8; 32], &Login::typed("marisol.vega"), None).login, one.login);
        assert!(!format!("{one:?}").contains("marisol") && !format!("{one:?}").contains("2001"));
    }
}
