//! Identity tokens of others: a provider says who a person is and how that was proofed (TEFCA IAS SOP, CSP token; OpenID
//! Connect Core 2).
//!
//! What: [`IdToken::read`] judges the claims of a token whose signature was verified with a key of its configured issuer.
//! Levels: `acr` and `amr` where the token has them, else what is configured for the issuer, and never more than that.
//! Not here: finding the issuer's keys, comparing the person with a patient.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client_assertion::SKEW_S;
use super::error::{OAuthError, Reason, Refusal};
use super::jws::claims::{self, ClaimError};
use super::jws::{Jws, Verified};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};

/// Providers issue tokens for minutes; a day is beyond all of them.
const LIFETIME_S_MAX: i64 = 24 * 3600;

/// An issuer that is believed, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    pub identity: IdentityLevel,
    pub authentication: AuthenticationLevel,
}

/// A verified identity token. Its claims are a person's data.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct IdToken {
    pub issuer: String,
    pub subject: Option<String>,
    /// Names of the levels, as `IDIAL1.8` and `AAL2`.
    pub identity: String,
    pub authentication: String,
    /// Everything that the token says.
    pub claims: Map<String, Value>,
}

/// Shows no person's data.
impl std::fmt::Debug for IdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, identity, authentication, .. } = self;
        f.debug_struct("IdToken")
            .field("issuer", issuer)
            .field("identity", identity)
            .field("authentication", authentication)
            .finish_non_exhaustive()
    }
}

const TEXT: &str = "The identity token is not accepted.";

/// The refusal of an identity token for this reason.
#[must_use]
pub const fn refusal(reason: Reason) -> Refusal {
    Refusal::new(OAuthError::InvalidGrant, TEXT, reason)
}

/// Who says to have issued a token.
#[must_use]
pub fn issuer_of<'t>(token: &'t Jws<'_>) -> Option<&'t str> {
    token.claims.get("iss").and_then(Value::as_str)
}

impl IdToken {
    /// What [`Self::read`] would refuse once the signature is verified; of who made the token this says nothing.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn foresee(token: &Jws<'_>, issuer: &str, trust: Trust, audience: &[&str], now_us: i64) -> Result<(), Refusal> {
        let claimed = Verified { header: token.header.clone(), claims: token.claims.clone() };
        Self::read(&claimed, issuer, trust, audience, now_us).map(drop)
    }

    /// Judges a token of `issuer` that is meant for one of `audience`.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub fn read(
        verified: &Verified,
        issuer: &str,
        trust: Trust,
        audience: &[&str],
        now_us: i64,
    ) -> Result<Self, Refusal> {
        let refuse = |error: ClaimError| refusal(error.0);
        if claims::text(verified, "iss").map_err(refuse)? != issuer {
            return Err(refusal(Reason::IssuerMismatch));
        }
        claims::audience(verified, audience).map_err(refuse)?;
        claims::times(verified, now_us, SKEW_S, LIFETIME_S_MAX).map_err(refuse)?;
        let subject = verified.claims.get("sub").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            issuer: issuer.to_owned(),
            subject,
            identity: identity(verified, trust)?.name().to_owned(),
            authentication: authentication(verified, trust)?.name().to_owned(),
            claims: verified.claims.clone(),
        })
    }

    #[must_use]
    pub fn identity_level(&self) -> IdentityLevel {
        IdentityLevel::parse(&self.identity).unwrap_or_default()
    }

    #[must_use]
    pub fn authentication_level(&self) -> AuthenticationLevel {
        AuthenticationLevel::parse(&self.authentication).unwrap_or_default()
    }
}

/// A level that is not understood is none.
fn identity(verified: &Verified, trust: Trust) -> Result<IdentityLevel, Refusal> {
    match verified.claims.get("acr") {
        None => Ok(trust.identity),
        Some(Value::String(acr)) => Ok(IdentityLevel::parse(acr).unwrap_or_default().min(trust.identity)),
        Some(_) => Err(refusal(Reason::ClaimInvalid("acr"))),
    }
}

/// A text, as the Identity Matching guide prints it, or the list of texts that OpenID Connect asks for.
fn authentication(verified: &Verified, trust: Trust) -> Result<AuthenticationLevel, Refusal> {
    let texts: Option<Vec<&str>> = match verified.claims.get("amr") {
        None => return Ok(trust.authentication),
        Some(Value::String(amr)) => Some(vec![amr]),
        Some(Value::Array(entries)) => entries.iter().map(Value::as_str).collect(),
        Some(_) => None,
    };
    let texts = texts.ok_or_else(|| refusal(Reason::ClaimInvalid("amr")))?;
    Ok(AuthenticationLevel::highest(texts).unwrap_or_default().min(trust.authentication))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::jws::{Algorithm, Header};

    const NOW_S: i64 = 1_800_000_000;
    const TRUST: Trust = Trust { identity: IdentityLevel::Idial1_8, authentication: AuthenticationLevel::Aal2 };

    fn read(changes: &Value) -> Result<(String, String), Reason> {
        let mut claims = json!({
            "iss": "https://csp.example", "sub": "s1", "aud": "urn:oid:1.2.3", "iat": NOW_S, "exp": NOW_S + 600,
            "given_name": "Robin",
        });
        for (name, value) in changes.as_object().expect("an object") {
            let claims = claims.as_object_mut().expect("an object");
            if value.is_null() { drop(claims.remove(name)) } else { drop(claims.insert(name.clone(), value.clone())) }
        }
        let header = Header { alg: Algorithm::Rs256, typ: None, kid: None, x5c: Vec::new(), jku: None };
        let verified = Verified { header, claims: claims.as_object().expect("an object").clone() };
        let now_us = NOW_S * 1_000_000;
        let token = IdToken::read(&verified, "https://csp.example", TRUST, &["urn:oid:1.2.3"], now_us);
        let token = token.map_err(|refusal| {
            assert_eq!(refusal.code, OAuthError::InvalidGrant, "{changes}");
            refusal.log
        })?;
        assert!(!format!("{token:?}").contains("Robin"));
        Ok((token.identity_level().name().to_owned(), token.authentication_level().name().to_owned()))
    }

    #[test]
    fn line_52_the_claims_of_an_identity_token_are_judged() {
        let table = [
            (json!({"iss": "https://csp.example/"}), Reason::IssuerMismatch),
            (json!({"aud": "urn:oid:1.2.4"}), Reason::AudienceMismatch),
            (json!({"aud": null}), Reason::ClaimMissing("aud")),
            (json!({"exp": null}), Reason::ClaimMissing("exp")),
            (json!({"iat": null}), Reason::ClaimMissing("iat")),
            (json!({"iat": NOW_S - 700, "exp": NOW_S - 100}), Reason::Expired),
            (json!({"exp": NOW_S + 48 * 3600}), Reason::LifetimeTooLong),
            (json!({"acr": 2}), Reason::ClaimInvalid("acr")),
            (json!({"amr": [2]}), Reason::ClaimInvalid("amr")),
        ];
        for (changes, expected) in table {
            assert_eq!(read(&changes), Err(expected), "{changes}");
        }
    }

    #[test]
    fn line_45_levels_are_those_of_the_token_and_never_more_than_the_issuer_is_trusted_for() {
        let table = [
            (json!({}), "IDIAL1.8", "AAL2"),
            (json!({"acr": "http://udap.org/code/id/idial1.5"}), "IDIAL1.5", "AAL2"),
            (json!({"acr": "http://udap.org/code/id/ial2"}), "IDIAL1.8", "AAL2"),
            (json!({"acr": "http://udap.org/ial2"}), "IDIAL1.8", "AAL2"),
            (json!({"acr": "gold"}), "IDIAL1", "AAL2"),
            (json!({"amr": "http://udap.org/code/auth/aal2"}), "IDIAL1.8", "AAL2"),
            (json!({"amr": ["pwd", "http://udap.org/aal1"]}), "IDIAL1.8", "AAL1"),
            (json!({"amr": ["http://udap.org/code/auth/aal3"]}), "IDIAL1.8", "AAL2"),
            (json!({"amr": ["pwd"]}), "IDIAL1.8", "AAL1"),
        ];
        for (changes, identity, authentication) in table {
            assert_eq!(read(&changes), Ok((identity.to_owned(), authentication.to_owned())), "{changes}");
        }
    }
}
