//! Proof key for code exchange (RFC 7636), with SHA-256 and nothing else.
//!
//! Whoever redeems a code shows what the request was made with, so a code that was stolen on its way is worth nothing.
//! Not here: who may leave it out (see `authorization_request`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The only method; `plain` protects nothing (RFC 9700 §2.1.1).
pub const S256: &str = "S256";

/// RFC 7636 §4.1.
const VERIFIER_BYTES: std::ops::RangeInclusive<usize> = 43..=128;
/// SHA-256 in base64url.
const CHALLENGE_BYTES: std::ops::RangeInclusive<usize> = 43..=128;

/// Whether a text can be a challenge (RFC 7636 §4.2).
#[must_use]
pub fn is_challenge(text: &str) -> bool {
    CHALLENGE_BYTES.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Whether the verifier is the one that the challenge was made of (RFC 7636 §4.6).
#[must_use]
pub fn is_verified(challenge: &str, verifier: &str) -> bool {
    let is_one = VERIFIER_BYTES.contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    is_one && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_standard_is_verified_and_nothing_near_it() {
        assert!(is_verified(CHALLENGE, VERIFIER));
        let long = "a".repeat(129);
        for verifier in ["", CHALLENGE, &VERIFIER[1..], &long, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"] {
            assert!(!is_verified(CHALLENGE, verifier), "{verifier}");
        }
        assert!(!is_verified(VERIFIER, VERIFIER), "plain is no method");
    }

    #[test]
    fn a_challenge_has_43_to_128_unreserved_letters() {
        let texts =
            [("a".repeat(42), false), ("a".repeat(43), true), ("a".repeat(128), true), ("a".repeat(129), false)];
        for (text, expected) in texts {
            assert_eq!(is_challenge(&text), expected, "{}", text.len());
        }
        assert!(!is_challenge(&format!("{}=", "a".repeat(43))));
    }
}
