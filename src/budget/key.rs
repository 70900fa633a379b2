//! Keys of buckets: what is counted on one bucket, behind an HMAC.
//!
//! Why: the rows of the database, and copies of them, must tell nobody who was asked for, not even by trying names. The
//! secret is one of the database's own. Not here: which buckets there are (see `app::metering`).

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};

/// Bytes of a key: enough that no two meet by chance.
pub const KEY_BYTES: usize = 16;

/// The key of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetKey(pub [u8; KEY_BYTES]);

impl BudgetKey {
    /// A number that stands for it where few are told apart.
    #[must_use]
    pub fn short(self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// What makes keys.
#[derive(Clone)]
pub struct Keyed(hmac::Key);

/// Shows no secret.
impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(***)")
    }
}

impl Keyed {
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret))
    }

    /// The key of `parts`, of which the first is what kind of bucket it is. Parts are told apart by their lengths.
    #[must_use]
    pub fn key(&self, parts: &[&[u8]]) -> BudgetKey {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&context.sign().as_ref()[..KEY_BYTES]);
        BudgetKey(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_the_secret_and_on_where_parts_end() {
        let keyed = Keyed::new(&[7; 32]);
        assert_eq!(keyed.key(&[b"client", b"a"]), keyed.key(&[b"client", b"a"]));
        assert_ne!(keyed.key(&[b"client", b"a"]), keyed.key(&[b"clienta", b""]));
        assert_ne!(keyed.key(&[b"client", b"a"]), Keyed::new(&[8; 32]).key(&[b"client", b"a"]));
        assert_eq!(format!("{keyed:?}"), "Keyed(***)");
    }
}
