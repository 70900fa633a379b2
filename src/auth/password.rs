//! Passwords: what they must be like, and their hashes.
//!
//! NIST SP 800-63B-4 section 3.1.1.2: at least fifteen characters, all of Unicode, no rules of composition, none that
//! everybody tries; compared whole. Hashed with Argon2id at the parameters of OWASP's Password Storage Cheat Sheet. Unicode
//! is brought to one form first (RFC 8265 section 4.2, OpaqueString: NFC), for keyboards differ. Not here: randomness (the
//! salt is given), how often somebody may try (see `throttle`).

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::secret::Secret;

pub const CHARS_MIN: usize = 15;
pub const BYTES_MAX: usize = 256;
/// 19 MiB, two passes, one lane.
pub const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A longest run that makes a password by being repeated: `abcabcabcabcabc`.
const REPEATED_CHARS_MAX: usize = 5;

/// A hash that no password has, with the parameters of the others: comparing with it takes as long.
pub const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IHNpZ25zIGluIQ$D396hjdZW0i5vNNkz8iomaJLt/FN2fEOmu7fR6fUIWQ";

/// Long ones that everybody tries.
const COMMON: [&str; 16] = [
    "123456789012345",
    "1234567890123456",
    "12345678901234567890",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc4rfv",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "iloveyouforever",
    "letmeinletmein!",
    "passwordpassword",
    "password12345678",
    "password123456789",
    "qwertyuiopasdfgh",
    "qwertyuiopasdfghjkl",
    "qwertyuiop123456",
    "qwertyuiop1234567890",
];

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("a password has at least {CHARS_MIN} characters")]
    Short,
    #[error("a password has at most {BYTES_MAX} bytes")]
    Long,
    #[error("this password is among the first that anybody tries")]
    Common,
    #[error("a password must not hold the login")]
    Login,
}

/// Whether a password may be used for this login.
///
/// # Errors
/// Why not.
pub fn check(password: &Secret, login: &str) -> Result<(), Unfit> {
    let text = normalised(password);
    let lower = Zeroizing::new(text.to_lowercase());
    if text.chars().count() < CHARS_MIN {
        return Err(Unfit::Short);
    }
    if text.len() > BYTES_MAX {
        return Err(Unfit::Long);
    }
    if lower.contains(login) || login.contains(lower.as_str()) {
        return Err(Unfit::Login);
    }
    if COMMON.contains(&lower.as_str()) || is_repeated(&lower) {
        return Err(Unfit::Common);
    }
    Ok(())
}

/// The hash of a password, as a PHC string; `salt` must be fresh. `None` when the library refuses, which it has no reason to.
#[must_use]
pub fn hash(password: &Secret, salt: [u8; 16]) -> Option<String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password_with_salt(normalised(password).as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

/// Whether a password has this hash; what is no hash is nobody's.
#[must_use]
pub fn is_right(password: &Secret, hash: &str) -> bool {
    Argon2::default().verify_password(normalised(password).as_bytes(), hash).is_ok()
}

fn normalised(password: &Secret) -> Zeroizing<String> {
    Zeroizing::new(password.expose().nfc().collect())
}

fn is_repeated(text: &str) -> bool {
    let chars: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    (1..=REPEATED_CHARS_MAX).any(|run| chars.iter().zip(chars.iter().skip(run)).all(|(one, next)| one == next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_password_is_long_and_not_what_anybody_tries() {
        for (password, expected) in [
            ("warm rain on tin roofs", Ok(())),
            ("fourteen chars", Err(Unfit::Short)),
            ("ééééèèèèêêêêëëë", Ok(())),
            ("aaaaaaaaaaaaaaaaaa", Err(Unfit::Common)),
            ("xyzxyzxyzxyzxyzxyz", Err(Unfit::Common)),
            ("QwertyUiopAsdfgh", Err(Unfit::Common)),
            ("Correct Horse Battery Staple", Err(Unfit::Common)),
            ("prefix-marisol.vega", Err(Unfit::Login)),
        ] {
            assert_eq!(check(&secret(password), "marisol.vega"), expected, "{password}");
        }
        assert_eq!(check(&secret(&"lo-ng".repeat(52)), "marisol.vega"), Err(Unfit::Long));
    }

    #[test]
    fn a_hash_is_of_one_password_in_either_form_of_unicode() {
        let hash = hash(&secret("caf\u{e9} at the corner"), [7; 16]).expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_right(&secret("cafe\u{301} at the corner"), &hash));
        assert!(!is_right(&secret("cafe at the corner"), &hash));
        assert!(!is_right(&secret(""), &hash));
        assert!(!is_right(&secret("caf\u{e9} at the corner"), "no hash"));
    }

    #[test]
    fn comparing_for_nobody_is_the_same_work() {
        let nobodys = PasswordHash::new(NOBODYS).expect("a hash");
        let made = hash(&secret("warm rain on tin roofs"), [7; 16]).expect("hashed");
        let made = PasswordHash::new(&made).expect("a hash");
        let length = |hash: &PasswordHash| (hash.salt.map(|salt| salt.len()), hash.hash.map(|hash| hash.len()));
        assert_eq!(length(&nobodys), length(&made));
        assert_eq!((nobodys.algorithm, nobodys.version, nobodys.params), (made.algorithm, made.version, made.params));
    }
}
