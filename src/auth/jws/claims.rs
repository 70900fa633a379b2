//! The claims that every token has, read by one rule each (RFC 7519 section 4.1, FAST Security 7.1).
//!
//! Why here: a time that one endpoint forgives and another does not is a hole in one of them. The lifetime is arithmetic on
//! the claims and no skew makes it longer; skew only says how far the clocks of two hosts may differ. Not here: the
//! claims of one kind of token (see the file of its name).

use super::Verified;
use crate::auth::error::{OAuthError, Reason, Refusal};
use serde_json::Value;

/// The most that the clocks of two hosts may be taken to differ, in seconds.
pub const SKEW_S_MAX: i64 = 60;

/// Of a claim that is a name: `iss`, `sub`, `jti`, an audience.
pub const TEXT_BYTES_MAX: usize = 2048;

/// Audiences of one token.
const AUDIENCES_MAX: usize = 10;

/// The last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

const SECOND_US: i64 = 1_000_000;

/// Why a claim was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimError(pub Reason);

impl ClaimError {
    /// As the refusal of an endpoint that has `code` for bad tokens.
    #[must_use]
    pub const fn refusal(self, code: OAuthError) -> Refusal {
        let description = match self.0 {
            Reason::ClaimMissing(_) => "The token lacks a claim.",
            Reason::Expired => "The token has expired.",
            Reason::ClockSkew => "The token is not valid yet.",
            Reason::LifetimeTooLong => "The token is valid for too long.",
            Reason::AudienceMismatch => "The token is not meant for this endpoint.",
            _ => "A claim of the token is not valid.",
        };
        Refusal::new(code, description, self.0)
    }
}

/// When a token was issued and until when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub issued_us: i64,
    pub expires_us: i64,
}

/// A claim that is a text and not empty.
///
/// # Errors
/// Where it is missing, no text, empty, too long, or has control characters.
pub fn text<'a>(token: &'a Verified, name: &'static str) -> Result<&'a str, ClaimError> {
    let value = token.claims.get(name).ok_or(ClaimError(Reason::ClaimMissing(name)))?;
    value.as_str().filter(|text| is_name(text)).ok_or(ClaimError(Reason::ClaimInvalid(name)))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// `iat` and `exp`, which must be there, and `nbf`, against the clock: valid from `iat` (and `nbf`) until before `exp`,
/// `skew_s` at either end, and for no longer than `lifetime_max_s` by its own words.
///
/// # Errors
/// The first rule that does not hold.
pub fn times(token: &Verified, now_us: i64, skew_s: i64, lifetime_max_s: i64) -> Result<Times, ClaimError> {
    let skew_us = skew_s.clamp(0, SKEW_S_MAX) * SECOND_US;
    let issued_us = moment(token, "iat")?.ok_or(ClaimError(Reason::ClaimMissing("iat")))?;
    let expires_us = moment(token, "exp")?.ok_or(ClaimError(Reason::ClaimMissing("exp")))?;
    let begins_us = moment(token, "nbf")?.unwrap_or(issued_us);
    if expires_us <= issued_us || begins_us >= expires_us {
        return Err(ClaimError(Reason::ClaimInvalid("exp")));
    }
    if expires_us - issued_us > lifetime_max_s.saturating_mul(SECOND_US) {
        return Err(ClaimError(Reason::LifetimeTooLong));
    }
    if issued_us.max(begins_us) > now_us.saturating_add(skew_us) {
        return Err(ClaimError(Reason::ClockSkew));
    }
    // RFC 7519 section 4.1.4: on or after it the token is not accepted.
    if now_us.saturating_sub(skew_us) >= expires_us {
        return Err(ClaimError(Reason::Expired));
    }
    Ok(Times { issued_us, expires_us })
}

/// A NumericDate in whole seconds; fractions have no use here and more than one spelling.
fn moment(token: &Verified, name: &'static str) -> Result<Option<i64>, ClaimError> {
    let Some(value) = token.claims.get(name) else { return Ok(None) };
    let seconds = value.as_i64().filter(|seconds| (0..=SECONDS_MAX).contains(seconds));
    seconds.map(|seconds| Some(seconds * SECOND_US)).ok_or(ClaimError(Reason::ClaimInvalid(name)))
}

/// `aud`, a text or a list of texts, names one of the spellings that are accepted, byte for byte (FAST Security 7.1.5).
///
/// # Errors
/// Where it is missing, of another form, or names somebody else only.
pub fn audience(token: &Verified, accepted: &[&str]) -> Result<(), ClaimError> {
    let value = token.claims.get("aud").ok_or(ClaimError(Reason::ClaimMissing("aud")))?;
    let named = texts(value).ok_or(ClaimError(Reason::ClaimInvalid("aud")))?;
    let meant = named.iter().any(|audience| accepted.contains(audience));
    if meant { Ok(()) } else { Err(ClaimError(Reason::AudienceMismatch)) }
}

/// A text or a list of texts; `None` for any other form, or too many.
fn texts(value: &Value) -> Option<Vec<&str>> {
    let texts = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let sound = !texts.is_empty() && texts.len() <= AUDIENCES_MAX && texts.iter().all(|text| is_name(text));
    sound.then_some(texts)
}

/// `sub` is `iss` (FAST Security 3.1 and 4.2.1), which is given back.
///
/// # Errors
/// Where one of them is missing, or they differ.
pub fn issuer_and_subject(token: &Verified) -> Result<&str, ClaimError> {
    let issuer = text(token, "iss")?;
    if text(token, "sub")? == issuer { Ok(issuer) } else { Err(ClaimError(Reason::SubjectMismatch)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jws::{Algorithm, Header};
    use serde_json::json;

    const NOW_S: i64 = 1_800_000_000;

    fn token(claims: &Value) -> Verified {
        let header = Header { alg: Algorithm::Es256, typ: None, kid: None, x5c: Vec::new(), jku: None };
        Verified { header, claims: claims.as_object().unwrap().clone() }
    }

    #[test]
    fn times_hold_to_the_second() {
        let table = [
            // iat, exp, nbf (relative to now), skew, accepted
            (json!({"iat": 0, "exp": 300}), 0, Ok(())),
            (json!({"iat": -299, "exp": 1}), 0, Ok(())),
            (json!({"iat": -300, "exp": 0}), 0, Err(Reason::Expired)),
            (json!({"iat": -300, "exp": 0}), 5, Ok(())),
            (json!({"iat": -305, "exp": -5}), 5, Err(Reason::Expired)),
            (json!({"iat": -304, "exp": -4}), 5, Ok(())),
            (json!({"iat": 1, "exp": 300}), 0, Err(Reason::ClockSkew)),
            (json!({"iat": 5, "exp": 305}), 5, Ok(())),
            (json!({"iat": 6, "exp": 306}), 5, Err(Reason::ClockSkew)),
            (json!({"iat": 0, "exp": 301}), 0, Err(Reason::LifetimeTooLong)),
            (json!({"iat": 0, "exp": 301}), 60, Err(Reason::LifetimeTooLong)),
            (json!({"iat": -60, "exp": 241}), 60, Err(Reason::LifetimeTooLong)),
            (json!({"iat": 0, "exp": 300, "nbf": 0}), 0, Ok(())),
            (json!({"iat": 0, "exp": 300, "nbf": 1}), 0, Err(Reason::ClockSkew)),
            (json!({"iat": 0, "exp": 300, "nbf": 300}), 60, Err(Reason::ClaimInvalid("exp"))),
            (json!({"iat": 0, "exp": 0}), 60, Err(Reason::ClaimInvalid("exp"))),
            (json!({"iat": 10, "exp": 0}), 60, Err(Reason::ClaimInvalid("exp"))),
            // The skew that is asked for is cut to what is sensible.
            (json!({"iat": 61, "exp": 300}), 3600, Err(Reason::ClockSkew)),
        ];
        for (relative, skew_s, expected) in table {
            let claims = relative.as_object().unwrap().iter();
            let claims = claims.map(|(name, value)| (name.clone(), json!(NOW_S + value.as_i64().unwrap())));
            let claims = Value::Object(claims.collect());
            let read = times(&token(&claims), NOW_S * SECOND_US, skew_s, 300);
            assert_eq!(read.map(|_| ()).map_err(|error| error.0), expected, "{relative} skew {skew_s}");
        }
    }

    #[test]
    fn times_of_another_form_are_refused() {
        let table = [
            (json!({"exp": NOW_S + 9}), Reason::ClaimMissing("iat")),
            (json!({"iat": NOW_S}), Reason::ClaimMissing("exp")),
            (json!({"iat": NOW_S, "exp": null}), Reason::ClaimInvalid("exp")),
            (json!({"iat": NOW_S, "exp": "1800000009"}), Reason::ClaimInvalid("exp")),
            (json!({"iat": NOW_S, "exp": 1800000009.5}), Reason::ClaimInvalid("exp")),
            (json!({"iat": NOW_S, "exp": 1.8e9}), Reason::ClaimInvalid("exp")),
            (json!({"iat": NOW_S, "exp": 1e30}), Reason::ClaimInvalid("exp")),
            (json!({"iat": NOW_S, "exp": u64::MAX}), Reason::ClaimInvalid("exp")),
            (json!({"iat": -1, "exp": NOW_S}), Reason::ClaimInvalid("iat")),
            (json!({"iat": i64::MIN, "exp": i64::MAX}), Reason::ClaimInvalid("iat")),
            (json!({"iat": [NOW_S], "exp": NOW_S + 9}), Reason::ClaimInvalid("iat")),
            (json!({"iat": true, "exp": NOW_S + 9}), Reason::ClaimInvalid("iat")),
            (json!({"iat": NOW_S, "exp": NOW_S + 9, "nbf": "x"}), Reason::ClaimInvalid("nbf")),
        ];
        for (claims, expected) in table {
            let read = times(&token(&claims), NOW_S * SECOND_US, 0, 300);
            assert_eq!(read, Err(ClaimError(expected)), "{claims}");
        }
    }

    #[test]
    fn an_audience_is_a_text_or_a_list_that_names_this_endpoint() {
        let here = "https://here.example/oauth/token";
        let table = [
            (json!({"aud": here}), Ok(())),
            (json!({"aud": ["https://other.example", here]}), Ok(())),
            (json!({}), Err(Reason::ClaimMissing("aud"))),
            (json!({"aud": null}), Err(Reason::ClaimInvalid("aud"))),
            (json!({"aud": []}), Err(Reason::ClaimInvalid("aud"))),
            (json!({"aud": {"a": here}}), Err(Reason::ClaimInvalid("aud"))),
            (json!({"aud": [here, 1]}), Err(Reason::ClaimInvalid("aud"))),
            (json!({"aud": [[here]]}), Err(Reason::ClaimInvalid("aud"))),
            (json!({"aud": vec![here; 11]}), Err(Reason::ClaimInvalid("aud"))),
            (json!({"aud": format!("{here}/")}), Err(Reason::AudienceMismatch)),
            (json!({"aud": here.to_uppercase()}), Err(Reason::AudienceMismatch)),
            (json!({"aud": "https://here.example:443/oauth/token"}), Err(Reason::AudienceMismatch)),
            (json!({"aud": format!("{here} ")}), Err(Reason::AudienceMismatch)),
            (json!({"aud": format!("{here}\u{0}")}), Err(Reason::ClaimInvalid("aud"))),
        ];
        for (claims, expected) in table {
            assert_eq!(audience(&token(&claims), &[here]).map_err(|error| error.0), expected, "{claims}");
        }
    }

    #[test]
    fn names_are_texts_with_something_in_them() {
        let table = [
            (json!({}), Err(Reason::ClaimMissing("jti"))),
            (json!({"jti": ""}), Err(Reason::ClaimInvalid("jti"))),
            (json!({"jti": 7}), Err(Reason::ClaimInvalid("jti"))),
            (json!({"jti": ["a"]}), Err(Reason::ClaimInvalid("jti"))),
            (json!({"jti": "a\nb"}), Err(Reason::ClaimInvalid("jti"))),
            (json!({"jti": "a".repeat(TEXT_BYTES_MAX + 1)}), Err(Reason::ClaimInvalid("jti"))),
            (json!({"jti": "a"}), Ok("a")),
        ];
        for (claims, expected) in table {
            assert_eq!(text(&token(&claims), "jti").map_err(|error| error.0), expected, "{claims}");
        }
    }

    #[test]
    fn issuer_and_subject_are_the_same() {
        let same = token(&json!({"iss": "https://a.example", "sub": "https://a.example"}));
        assert_eq!(issuer_and_subject(&same), Ok("https://a.example"));
        let other = token(&json!({"iss": "https://a.example", "sub": "https://a.example/"}));
        assert_eq!(issuer_and_subject(&other), Err(ClaimError(Reason::SubjectMismatch)));
    }
}
