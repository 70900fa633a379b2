//! One-time codes from a clock (RFC 6238): six digits, thirty seconds, HMAC-SHA-1, as authenticators have them.
//!
//! A code counts in its own step and in the ones beside it, for clocks differ. Which step it was is told, so that it is never
//! taken twice (RFC 6238 section 5.2; NIST SP 800-63B-4 section 3.1.5.2). Not here: which steps were used, randomness.

use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use super::secret::Secret;

pub const SECRET_BYTES: usize = 20;
const DIGITS: u8 = 6;
const STEP_S: u64 = 30;
/// Steps before and after that count too.
const SKEW_STEPS: u16 = 1;
/// Authenticators show spaces within a code.
const CODE_CHARS_MAX: usize = 16;

/// The codes of one secret.
pub struct OneTimeCodes(Totp);

impl OneTimeCodes {
    /// Those of a secret; `None` for one of another length.
    #[must_use]
    pub fn of(secret: &[u8]) -> Option<Self> {
        Self::named(secret, "", "")
    }

    /// The same, for [`Self::uri`]: with the names that an authenticator shows.
    #[must_use]
    pub fn named(secret: &[u8], issuer: &str, login: &str) -> Option<Self> {
        let secret: [u8; SECRET_BYTES] = secret.try_into().ok()?;
        let without_colon = |name: &str| name.replace(':', " ");
        let builder = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_step_duration(STEP_S)
            .with_skew(SKEW_STEPS)
            .with_secret(secret)
            .with_account_name(without_colon(login))
            .with_issuer((!issuer.is_empty()).then(|| without_colon(issuer)));
        builder.build().ok().map(Self)
    }

    /// The step whose code this is, among those that count at `now_us`.
    #[must_use]
    pub fn step(&self, code: &Secret, now_us: i64) -> Option<i64> {
        let typed = code.expose();
        if typed.len() > CODE_CHARS_MAX {
            return None;
        }
        let digits: Zeroizing<String> = Zeroizing::new(typed.chars().filter(|letter| *letter != ' ').collect());
        let step = self.0.check(&digits, seconds(now_us))?;
        i64::try_from(step).ok()
    }

    /// The code of a moment.
    #[must_use]
    pub fn code(&self, now_us: i64) -> String {
        self.0.generate(seconds(now_us)).to_string()
    }

    /// What an authenticator scans: `otpauth://totp/…`; `None` without a name.
    #[must_use]
    pub fn uri(&self) -> Option<String> {
        self.0.to_url().ok()
    }

    /// The secret as people type it.
    #[must_use]
    pub fn base32(&self) -> String {
        self.0.secret().to_base32()
    }
}

/// Shows no secret.
impl std::fmt::Debug for OneTimeCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeCodes(***)")
    }
}

fn seconds(us: i64) -> u64 {
    u64::try_from(us.div_euclid(1_000_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn codes_are_those_of_the_standard_in_their_step_and_the_ones_beside_it() {
        let codes = OneTimeCodes::of(SECRET).expect("codes");
        // The standard has eight digits of these moments; the last six are the code.
        for (second, code) in [(1_234_567_890, "005924"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            let step = second / 30;
            let at = |step: i64| codes.step(&secret(code), step * 30_000_000);
            assert_eq!(codes.code(second * 1_000_000), code);
            assert_eq!([step - 1, step, step + 1].map(at), [Some(step); 3], "{code}");
            assert_eq!([step - 2, step + 2].map(at), [None; 2], "{code}");
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        let codes = OneTimeCodes::of(SECRET).expect("codes");
        assert_eq!(codes.step(&secret("287 082"), 59_000_000), Some(1));
        for text in ["", "28708", "2870820", "+87082", "２８７０８２", "28708a", "287082                "] {
            assert_eq!(codes.step(&secret(text), 59_000_000), None, "{text}");
        }
        assert!(OneTimeCodes::of(b"short").is_none());
    }

    #[test]
    fn an_authenticator_is_told_whose_codes_they_are() {
        let codes = OneTimeCodes::named(SECRET, "Example: Health", "marisol.vega").expect("codes");
        let uri = codes.uri().expect("a URI");
        assert!(uri.starts_with("otpauth://totp/Example"), "{uri}");
        assert!(uri.contains("marisol.vega") && uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{uri}");
        assert_eq!(codes.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(OneTimeCodes::of(SECRET).expect("codes").uri(), None);
        assert_eq!(format!("{codes:?}"), "OneTimeCodes(***)");
    }
}
