//! Secrets at rest: sealed with the keys of `auth.key_file`, or else with a key in the database itself.
//!
//! A sealed value is bound to its place, so that one row's secret is none of another's (XChaCha20-Poly1305; the place is
//! associated data). The first key of the file seals and all open: a new key is put before the old ones, which stay
//! until what they sealed is gone. A key in the database protects nothing from whoever reads the database; the log says
//! so. Not here: what is sealed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, Key, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::app::clock::Clock;
use crate::store::{Connection, StoreError};

use super::secret_file;

/// The key in the table `secret`.
const STORED_KEY: &str = "sealing";
const KEYS_MAX: usize = 16;
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Seals and opens.
#[derive(Clone)]
pub struct Sealer {
    /// The first one seals.
    keys: Vec<SealingKey>,
    keeper: Keeper,
}

/// Who keeps the key that seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    KeyFile,
    Database,
}

impl Keeper {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyFile => "key-file",
            Self::Database => "database",
        }
    }
}

#[derive(Clone)]
struct SealingKey {
    id: [u8; KEY_ID_BYTES],
    key: Key<XChaCha20Poly1305>,
}

/// Shows no key.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).field("keeper", &self.keeper).finish()
    }
}

impl SealingKey {
    fn new(key: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"idi-match sealing key").chain_update(key).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { id, key: key.into() }
    }
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("auth.key_file: {0}")]
    File(String),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Sealer {
    /// The sealer of an instance: the file's keys, then the database's own, which is made when there is none.
    ///
    /// # Errors
    /// When the file or the database cannot be used.
    pub fn open(key_file: &str, connection: &mut Connection, clock: Clock) -> Result<Self, KeyFileError> {
        let mut keys = if key_file.is_empty() { Vec::new() } else { read(key_file)? };
        let keeper = if keys.is_empty() { Keeper::Database } else { Keeper::KeyFile };
        keys.push(crate::store::secret::get_or_insert(connection, STORED_KEY, (clock.secret)(), (clock.now_us)())?);
        Ok(Self::new(keys, keeper))
    }

    /// The same without making a key: for whoever only looks.
    ///
    /// # Errors
    /// When the file or the database cannot be used.
    pub fn look(key_file: &str, connection: &mut Connection) -> Result<Self, KeyFileError> {
        let mut keys = if key_file.is_empty() { Vec::new() } else { read(key_file)? };
        let keeper = if keys.is_empty() { Keeper::Database } else { Keeper::KeyFile };
        keys.extend(crate::store::secret::find(connection, STORED_KEY)?);
        Ok(Self::new(keys, keeper))
    }

    fn new(keys: Vec<[u8; 32]>, keeper: Keeper) -> Self {
        Self { keys: keys.into_iter().map(SealingKey::new).collect(), keeper }
    }

    #[must_use]
    pub const fn keeper(&self) -> Keeper {
        self.keeper
    }

    /// Seals `plain` for `place`, such as `signing_key/KID`. `random` must be fresh: the nonce is taken from it.
    #[must_use]
    pub fn seal(&self, place: &str, plain: &[u8], random: [u8; 32]) -> Option<Vec<u8>> {
        let SealingKey { id, key } = self.keys.first()?;
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&random[..NONCE_BYTES]);
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let sealed = XChaCha20Poly1305::new(key).encrypt(&XNonce::from(nonce), payload).ok()?;
        Some([&[VERSION], id.as_slice(), &nonce, &sealed].concat())
    }

    /// What was sealed for `place`; `None` for what was changed, sealed for another place or by a key that is not here.
    #[must_use]
    pub fn open_sealed(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, body) = sealed.split_at_checked(HEAD_BYTES)?;
        let (id, nonce) = head.strip_prefix(&[VERSION])?.split_at(KEY_ID_BYTES);
        let key = &self.keys.iter().find(|key| key.id == id)?.key;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: body, aad: place.as_bytes() };
        XChaCha20Poly1305::new(key).decrypt(&XNonce::from(nonce), payload).ok()
    }

    /// Whether a newer key would seal it now.
    #[must_use]
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        let id = sealed.get(1..=KEY_ID_BYTES);
        self.keys.first().is_some_and(|key| id != Some(key.id.as_slice()))
    }
}

fn read(file: &str) -> Result<Vec<[u8; 32]>, KeyFileError> {
    let text = secret_file::read(file).map_err(KeyFileError::File)?;
    parse(&text).map_err(|reason| KeyFileError::File(format!("{file}: {reason}")))
}

/// One key a line; empty lines and those that begin with `#` do not count.
fn parse(text: &str) -> Result<Vec<[u8; 32]>, String> {
    let mut keys: Vec<[u8; 32]> = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = at + 1;
        let key = of_hexadecimal(line).or_else(|| of_base64(line));
        let key = key.ok_or_else(|| format!("line {number} is not 32 bytes in hexadecimal or base64"))?;
        if key.iter().all(|byte| *byte == key[0]) || keys.contains(&key) {
            return Err(format!("line {number} is no key of its own"));
        }
        keys.push(key);
    }
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(format!("must hold 1 to {KEYS_MAX} keys"));
    }
    Ok(keys)
}

fn of_hexadecimal(line: &str) -> Option<[u8; 32]> {
    if line.len() != 64 || !line.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).ok();
    (0..64).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

fn of_base64(line: &str) -> Option<[u8; 32]> {
    let bytes = STANDARD.decode(line).or_else(|_| URL_SAFE_NO_PAD.decode(line)).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> [u8; 32] {
        std::array::from_fn(|at| first.wrapping_add(at as u8))
    }

    fn sealer(keys: &[u8]) -> Sealer {
        Sealer::new(keys.iter().map(|first| key(*first)).collect(), Keeper::KeyFile)
    }

    #[test]
    fn what_is_sealed_is_opened_at_its_place_only() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal("signing_key/a", b"a private key", [9; 32]).expect("sealed");
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_eq!(sealer.open_sealed("signing_key/a", &sealed).as_deref(), Some(b"a private key".as_slice()));
        assert_eq!(sealer.open_sealed("signing_key/b", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open_sealed("signing_key/a", &changed), None, "byte {at}");
            assert_eq!(sealer.open_sealed("signing_key/a", &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_new_key_seals_and_the_old_one_opens() {
        let (old, new, other) = (sealer(&[1]), sealer(&[2, 1]), sealer(&[3]));
        let sealed = old.seal("x", b"secret", [9; 32]).expect("sealed");
        assert_eq!(new.open_sealed("x", &sealed).as_deref(), Some(b"secret".as_slice()));
        assert!(new.is_outdated(&sealed) && !old.is_outdated(&sealed));
        assert_eq!(other.open_sealed("x", &sealed), None);
        let sealed = new.seal("x", b"secret", [9; 32]).expect("sealed");
        assert!(!new.is_outdated(&sealed));
        assert_eq!(old.open_sealed("x", &sealed), None);
    }

    #[test]
    fn keys_are_read_in_hexadecimal_and_base64() {
        let hexadecimal = "0708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526";
        let text = format!("# a comment\n\n {hexadecimal} \n{}\n", STANDARD.encode(key(8)));
        assert_eq!(parse(&text), Ok(vec![key(7), key(8)]));
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_without_its_contents() {
        let base64 = STANDARD.encode(key(8));
        let table = [
            (String::new(), "1 to 16"),
            ("# only words\n".to_owned(), "1 to 16"),
            ("passphrase".to_owned(), "line 1"),
            (format!("{base64}\nx"), "line 2"),
            (format!("{base64}\n{base64}"), "line 2"),
            ("00".repeat(32), "line 1"),
            ("ab".repeat(31), "line 1"),
            ((0..17).map(|first| STANDARD.encode(key(first * 3)) + "\n").collect(), "1 to 16"),
        ];
        for (text, expected) in table {
            let error = parse(&text).expect_err("refused");
            assert!(error.contains(expected) && !error.contains("passphrase"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", sealer(&[1])), "Sealer { keys: 1, keeper: KeyFile }");
    }
}
