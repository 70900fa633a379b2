//! The token of a session, which is the cookie, and the token against forged requests that follows from it.
//!
//! 256 random bits; only their SHA-256 is stored. The second token is an HMAC under the first: a form holds it, and who sends
//! the form must have the cookie too (OWASP, Cross-Site Request Forgery Prevention, signed double submit). Not here:
//! randomness, cookies, how long a session lasts.

use std::fmt::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const TOKEN_BYTES: usize = 32;
/// What the second token is for; another use of the first would have another one.
const CSRF: &[u8] = b"idi-match csrf 1";

/// The secret of a session, or of a form before there is a session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(Zeroizing<[u8; TOKEN_BYTES]>);

impl SessionToken {
    /// A token of fresh random bytes.
    #[must_use]
    pub fn new(random: [u8; TOKEN_BYTES]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads a cookie; there is one spelling of each token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let token: [u8; TOKEN_BYTES] = bytes.as_slice().try_into().ok()?;
        Some(Self::new(token))
    }

    /// The value of the cookie.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// What is stored of it: hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let digest = Sha256::digest(self.0.as_slice());
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// What the forms of this session hold.
    #[must_use]
    pub fn csrf(&self) -> CsrfToken {
        CsrfToken(URL_SAFE_NO_PAD.encode(sign(&Key::new(HMAC_SHA256, self.0.as_slice()), CSRF)))
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(***)")
    }
}

/// What a form holds, so that nobody else's form is taken for it.
#[derive(Clone)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// The value of the hidden field.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a form holds it.
    #[must_use]
    pub fn is(&self, sent: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), sent.as_bytes()).is_ok()
    }
}

impl std::fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CsrfToken(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling_and_is_shown_nowhere() {
        let token = SessionToken::new([0xfb; 32]);
        let text = token.expose().to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(SessionToken::parse(&text), Some(token.clone()));
        let (head, last) = text.split_at(42);
        // The last letter has two bits that nothing stands for.
        for other in [head.to_owned(), format!("{text}="), format!("{head}{}", next(last)), format!(" {text}")] {
            assert_eq!(SessionToken::parse(&other), None, "{other}");
        }
        assert!(!format!("{token:?} {:?}", token.csrf()).contains(text.as_str()));
    }

    fn next(letter: &str) -> char {
        char::from(letter.as_bytes()[0] + 1)
    }

    #[test]
    fn the_token_of_forms_is_that_of_one_session() {
        let (one, other) = (SessionToken::new([1; 32]), SessionToken::new([2; 32]));
        assert!(one.csrf().is(one.csrf().expose()));
        assert!(!one.csrf().is(other.csrf().expose()));
        assert!(!one.csrf().is(""));
        assert!(!one.csrf().is(&one.expose()));
        assert_ne!(one.sha256(), other.sha256());
        assert_eq!(one.sha256().len(), 64);
    }
}
