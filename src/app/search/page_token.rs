//! Opaque links to further pages: the whole query and the place to go on from, sealed.
//!
//! Why sealed: a query and a place in an order by name are personal data, and links end in logs and histories. Why
//! whole: every instance with the key of the database can go on, and nothing is kept between pages. Authenticated
//! encryption (XChaCha20-Poly1305) with a key of the store; a link of another type or caller is refused, and that of another person in the same app.
//! Not here: where the key comes from (see `App::open`), reading the query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Key, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use crate::store::resource::{Position, SortValue};

/// Characters of a token at most: a query within its own limits fits.
const TOKEN_CHARS_MAX: usize = 64 * 1024;
/// Sets the nonces of this use of the key apart from others; the rest of a nonce is a fresh UUID.
const DOMAIN: &[u8; 8] = b"page-v01";
const NONCE_BYTES: usize = 24;

/// Seals and opens tokens.
#[derive(Clone)]
pub struct PageKey(Key<XChaCha20Poly1305>);

impl PageKey {
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key.into())
    }
}

/// Shows nothing.
impl std::fmt::Debug for PageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PageKey(***)")
    }
}

/// Where a search goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// The parameters as they were understood.
    pub pairs: Vec<(String, String)>,
    keys: Vec<SealedKey>,
    number: i64,
    /// Counted for the first page.
    pub total: Option<i64>,
}

/// A key of the order, as it is written into a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum SealedKey {
    Text(String),
    Number(i64),
}

impl Continuation {
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>, position: Position, total: Option<i64>) -> Self {
        let key = |key| match key {
            SortValue::Text(text) => SealedKey::Text(text),
            SortValue::Number(number) => SealedKey::Number(number),
        };
        Self { pairs, keys: position.keys.into_iter().map(key).collect(), number: position.number, total }
    }

    #[must_use]
    pub fn position(&self) -> Position {
        let key = |key: &SealedKey| match key {
            SealedKey::Text(text) => SortValue::Text(text.clone()),
            SealedKey::Number(number) => SortValue::Number(*number),
        };
        Position { keys: self.keys.iter().map(key).collect(), number: self.number }
    }

    /// The token, for one type and caller. `uuid` must be fresh: it makes the nonce.
    #[must_use]
    pub fn seal(&self, key: &PageKey, holder: &Holder<'_>, uuid: &str) -> Option<String> {
        let plain = postcard::to_stdvec(self).ok()?;
        let nonce = nonce(uuid)?;
        let holder = holder.text();
        let payload = Payload { msg: &plain, aad: holder.as_bytes() };
        let sealed = XChaCha20Poly1305::new(&key.0).encrypt(&XNonce::from(nonce), payload).ok()?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens a token; `None` for what was not sealed by this store for this type and caller.
    #[must_use]
    pub fn open(token: &str, key: &PageKey, holder: &Holder<'_>) -> Option<Self> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let holder = holder.text();
        let payload = Payload { msg: sealed, aad: holder.as_bytes() };
        let plain = XChaCha20Poly1305::new(&key.0).decrypt(&XNonce::from(nonce), payload).ok()?;
        postcard::from_bytes(&plain).ok()
    }
}

/// For what and whom a token is: of an app, for the person who uses it, and as far as that person may see.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    pub resource_type: &'a str,
    pub caller: &'a str,
    pub subject: Option<&'a str>,
    pub patient: Option<&'a str>,
    /// What is there for the caller: labels and persons.
    pub constraint: [&'a str; 2],
}

impl Holder<'_> {
    fn text(&self) -> String {
        let [labels, persons] = self.constraint;
        let parts =
            [Some(self.resource_type), Some(self.caller), self.subject, self.patient, Some(labels), Some(persons)];
        parts.map(Option::unwrap_or_default).join("\n")
    }
}

/// 16 bytes of the UUID, 8 of the domain.
fn nonce(uuid: &str) -> Option<[u8; NONCE_BYTES]> {
    let digits: Vec<u8> = uuid.bytes().filter(|b| *b != b'-').collect();
    let digits = std::str::from_utf8(&digits).ok().filter(|digits| digits.len() == 32)?;
    let number = u128::from_str_radix(digits, 16).ok()?;
    let mut nonce = [0; NONCE_BYTES];
    nonce[..16].copy_from_slice(&number.to_be_bytes());
    nonce[16..].copy_from_slice(DOMAIN);
    Some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const HOLDER: Holder<'_> = Holder {
        resource_type: "Patient",
        caller: "open",
        subject: None,
        patient: None,
        constraint: ["all", "everybody"],
    };

    fn continuation() -> Continuation {
        let position = Position { keys: vec![SortValue::Text("roe".to_owned()), SortValue::Number(-7)], number: 41 };
        Continuation::new(vec![("family".to_owned(), "Roe".to_owned())], position, Some(3))
    }

    #[test]
    fn what_is_sealed_is_opened_again() {
        let key = PageKey::new([7; 32]);
        let token = continuation().seal(&key, &HOLDER, UUID).expect("sealed");
        assert!(!token.contains("Roe") && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        let opened = Continuation::open(&token, &key, &HOLDER).expect("opened");
        assert_eq!((opened.position(), &opened), (continuation().position(), &continuation()));
    }

    #[test]
    fn what_was_changed_or_sealed_for_another_is_not_opened() {
        let key = PageKey::new([7; 32]);
        let token = continuation().seal(&key, &HOLDER, UUID).expect("sealed");
        let mut changed = token.clone().into_bytes();
        changed[60] = if changed[60] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        for other in [changed.as_str(), &token[..40], "", "!", "AAAA", &"A".repeat(TOKEN_CHARS_MAX + 1)] {
            assert_eq!(Continuation::open(other, &key, &HOLDER), None);
        }
        assert_eq!(Continuation::open(&token, &PageKey::new([8; 32]), &HOLDER), None);
        for holder in [
            Holder { resource_type: "Task", ..HOLDER },
            Holder { caller: "another", ..HOLDER },
            Holder { subject: Some("somebody"), ..HOLDER },
            Holder { patient: Some("somebody"), ..HOLDER },
            Holder { constraint: ["unrestricted", "everybody"], ..HOLDER },
            Holder { constraint: ["all", "identity"], ..HOLDER },
        ] {
            assert_eq!(Continuation::open(&token, &key, &holder), None);
        }
        assert!(continuation().seal(&key, &HOLDER, "no uuid").is_none());
    }
}
