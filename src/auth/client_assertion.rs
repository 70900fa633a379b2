//! The signed assertion by which a client authenticates (`private_key_jwt`): of UDAP and of SMART backend services.
//!
//! What: [`ClientAssertion::read`] judges the claims of an assertion whose signature was verified before. UDAP JWT-Based
//! Client Authentication 6.3 as FAST Security 5.2 narrows it: `iss` and `sub` are the client's id, the certificate has the
//! URI that was registered. SMART App Launch 2.2, asymmetric authentication: the same claims, with registered keys.
//! Not here: keys, chains, replay.

use serde_json::Value;

use super::error::{OAuthError, Reason, Refusal};
use super::jws::claims::{self, ClaimError, Times};
use super::jws::{Algorithm, Jws, Verified};
use super::members::{Kind, Members};

/// What `client_assertion_type` must say (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// FAST Security 3.1, 4.2.1, 5.2.1 and SMART App Launch 2.2: `exp` is at most five minutes after `iat`.
pub const LIFETIME_S_MAX: i64 = 300;

/// How far the clocks of two honest parties may differ.
pub const SKEW_S: i64 = claims::SKEW_S_MAX;

/// Of a `jti`: it is a key of the database for a while.
const TOKEN_ID_BYTES_MAX: usize = 255;

/// What every SMART server has (SMART App Launch 2.2, asymmetric authentication).
pub const SMART_ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs384, Algorithm::Es384];

/// How the client authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// With a certificate in the header.
    Udap,
    /// With a registered key.
    Smart,
}

/// An assertion that follows the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientAssertion {
    pub token_id: String,
    /// Until then the assertion would be accepted, the clocks' difference included: so long it counts as used.
    pub usable_until_us: i64,
    /// Narrows what the request may ask for (UDAP JWT-Based Authorization 6.5).
    pub scope: Option<String>,
    pub extensions: Option<Value>,
}

const TEXT: &str = "The client assertion is not as it must be.";

impl ClientAssertion {
    /// What [`Self::read`] would refuse once the signature is verified; of who sent the assertion this says nothing.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn foresee(
        token: &Jws<'_>,
        method: Method,
        client_id: &str,
        audience: &[&str],
        now_us: i64,
    ) -> Result<(), Refusal> {
        let claimed = Verified { header: token.header.clone(), claims: token.claims.clone() };
        Self::read(&claimed, method, client_id, audience, now_us).map(drop)
    }

    /// Judges an assertion of `client_id`, meant for one of the addresses `audience`.
    ///
    /// # Errors
    /// `invalid_client`; `invalid_request` for resources that cannot be named (UDAP JWT-Based Authorization 6.7).
    pub fn read(
        verified: &Verified,
        method: Method,
        client_id: &str,
        audience: &[&str],
        now_us: i64,
    ) -> Result<Self, Refusal> {
        let refuse = |error: ClaimError| error.refusal(OAuthError::InvalidClient);
        if claims::issuer_and_subject(verified).map_err(refuse)? != client_id {
            return Err(Refusal::new(OAuthError::InvalidClient, TEXT, Reason::IssuerMismatch));
        }
        claims::audience(verified, audience).map_err(refuse)?;
        let times = times(verified, method, now_us).map_err(refuse)?;
        let token_id = token_id(verified).map_err(refuse)?.to_owned();
        let members = Members::new(&verified.claims, Kind::Claim, OAuthError::InvalidClient, TEXT);
        if members.has("resources") {
            let text = "This server has one resource and takes no list of them.";
            return Err(Refusal::new(OAuthError::InvalidRequest, text, Reason::ClaimInvalid("resources")));
        }
        Ok(Self {
            token_id,
            usable_until_us: usable_until_us(times),
            scope: members.optional_text("scope")?.map(str::to_owned),
            extensions: members.get("extensions").cloned(),
        })
    }
}

/// SMART App Launch asks for no `iat`; the assertion then counts as issued now.
fn times(verified: &Verified, method: Method, now_us: i64) -> Result<Times, ClaimError> {
    if method == Method::Udap || verified.claims.contains_key("iat") {
        return claims::times(verified, now_us, SKEW_S, LIFETIME_S_MAX);
    }
    let mut dated = verified.clone();
    dated.claims.insert("iat".to_owned(), Value::from(now_us.div_euclid(1_000_000)));
    claims::times(&dated, now_us, SKEW_S, LIFETIME_S_MAX)
}

/// `jti`, short enough to be kept.
///
/// # Errors
/// Where it is missing, or no short text.
pub fn token_id(verified: &Verified) -> Result<&str, ClaimError> {
    let token_id = claims::text(verified, "jti")?;
    if token_id.len() > TOKEN_ID_BYTES_MAX { Err(ClaimError(Reason::ClaimInvalid("jti"))) } else { Ok(token_id) }
}

/// Until when a token with these times could be accepted once more.
#[must_use]
pub fn usable_until_us(times: Times) -> i64 {
    times.expires_us.saturating_add(SKEW_S * 1_000_000)
}

/// What SMART App Launch 2.2 says of the header: an algorithm of those that every server has, and the key's name; an
/// address of keys must be the registered one. Clients of `OpenID` Connect leave out the type, as they may (RFC 7519 §5.1).
///
/// # Errors
/// `invalid_client`.
pub fn check_smart_header(header: &super::jws::Header, jwks_url: Option<&str>) -> Result<(), Refusal> {
    let refuse = |reason| Err(Refusal::new(OAuthError::InvalidClient, TEXT, reason));
    if !SMART_ALGORITHMS.contains(&header.alg) {
        return refuse(Reason::AlgorithmNotAllowed);
    }
    if header.typ.as_deref().is_some_and(|typ| typ != "JWT") {
        return refuse(Reason::TypeNotAllowed);
    }
    if header.kid.is_none() || (header.jku.is_some() && header.jku.as_deref() != jwks_url) {
        return refuse(Reason::KeyUnknown);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::auth::jws::Header;

    const NOW_US: i64 = 1_800_000_000_000_000;
    const NOW_S: i64 = NOW_US / 1_000_000;
    const TOKEN_URL: &str = "https://server.example/oauth/token";

    fn header() -> Header {
        Header { alg: Algorithm::Rs384, typ: Some("JWT".into()), kid: Some("k1".into()), x5c: Vec::new(), jku: None }
    }

    fn claims_with(changes: &Value) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "client-1", "sub": "client-1", "aud": TOKEN_URL, "jti": "once",
            "iat": NOW_S, "exp": NOW_S + 300,
        });
        let members = claims.as_object_mut().expect("an object");
        for (name, value) in changes.as_object().expect("an object") {
            if value.is_null() { drop(members.remove(name)) } else { drop(members.insert(name.clone(), value.clone())) }
        }
        members.clone()
    }

    fn read(method: Method, changes: &Value) -> Result<ClientAssertion, (OAuthError, Reason)> {
        let verified = Verified { header: header(), claims: claims_with(changes) };
        ClientAssertion::read(&verified, method, "client-1", &[TOKEN_URL], NOW_US)
            .map_err(|refusal| (refusal.code, refusal.log))
    }

    #[test]
    fn line_28_the_claims_of_an_assertion_are_judged() {
        let client = |reason| Some((OAuthError::InvalidClient, reason));
        let table = [
            (json!({}), None),
            (json!({"iss": "client-2", "sub": "client-2"}), client(Reason::IssuerMismatch)),
            (json!({"iss": "https://app.example"}), client(Reason::SubjectMismatch)),
            (json!({"iss": null}), client(Reason::ClaimMissing("iss"))),
            (json!({"sub": "client-2"}), client(Reason::SubjectMismatch)),
            (json!({"sub": null}), client(Reason::ClaimMissing("sub"))),
            (json!({"aud": null}), client(Reason::ClaimMissing("aud"))),
            (json!({"aud": "https://server.example/oauth/token/"}), client(Reason::AudienceMismatch)),
            (json!({"aud": "https://SERVER.example/oauth/token"}), client(Reason::AudienceMismatch)),
            (json!({"aud": "https://server.example:443/oauth/token"}), client(Reason::AudienceMismatch)),
            (json!({"aud": ["https://other.example", TOKEN_URL]}), None),
            (json!({"aud": ["https://other.example"]}), client(Reason::AudienceMismatch)),
            (json!({"aud": {"x": TOKEN_URL}}), client(Reason::ClaimInvalid("aud"))),
            (json!({"jti": null}), client(Reason::ClaimMissing("jti"))),
            (json!({"jti": ""}), client(Reason::ClaimInvalid("jti"))),
            (json!({"jti": 5}), client(Reason::ClaimInvalid("jti"))),
            (json!({"jti": "x".repeat(256)}), client(Reason::ClaimInvalid("jti"))),
            (json!({"jti": "x".repeat(255)}), None),
            (json!({"scope": 5}), client(Reason::ClaimInvalid("scope"))),
            (
                json!({"resources": ["https://x.example"]}),
                Some((OAuthError::InvalidRequest, Reason::ClaimInvalid("resources"))),
            ),
        ];
        for (changes, expected) in table {
            assert_eq!(read(Method::Udap, &changes).err(), expected, "{changes}");
        }
    }

    #[test]
    fn line_49_the_lifetime_is_arithmetic_and_the_clocks_differ_by_a_minute_at_most() {
        let client = |reason| Some((OAuthError::InvalidClient, reason));
        let table = [
            (json!({"iat": NOW_S - 50, "exp": NOW_S + 251}), client(Reason::LifetimeTooLong)),
            (json!({"iat": NOW_S - 50, "exp": NOW_S + 250}), None),
            (json!({"iat": NOW_S - 359, "exp": NOW_S - 59}), None),
            (json!({"iat": NOW_S - 360, "exp": NOW_S - 60}), client(Reason::Expired)),
            (json!({"iat": NOW_S + 61, "exp": NOW_S + 200}), client(Reason::ClockSkew)),
            (json!({"iat": NOW_S + 60, "exp": NOW_S + 200}), None),
            (json!({"exp": null}), client(Reason::ClaimMissing("exp"))),
            (json!({"iat": null}), client(Reason::ClaimMissing("iat"))),
        ];
        for (changes, expected) in table {
            assert_eq!(read(Method::Udap, &changes).err(), expected, "{changes}");
        }
    }

    #[test]
    fn an_assertion_of_smart_needs_no_iat_and_ends_within_five_minutes_all_the_same() {
        assert_eq!(read(Method::Smart, &json!({"iat": null})).err(), None);
        let long = read(Method::Smart, &json!({"iat": null, "exp": NOW_S + 301}));
        assert_eq!(long.err(), Some((OAuthError::InvalidClient, Reason::LifetimeTooLong)));
    }

    #[test]
    fn the_header_of_smart_names_a_key_and_no_foreign_place() {
        let place = "https://client.example/jwks";
        let refused = |change: fn(&mut Header), url| {
            let mut header = header();
            change(&mut header);
            check_smart_header(&header, url).err().map(|refusal| (refusal.code, refusal.log))
        };
        let client = |reason| Some((OAuthError::InvalidClient, reason));
        assert_eq!(refused(|_| (), None), None);
        assert_eq!(refused(|header| header.alg = Algorithm::Es384, None), None);
        assert_eq!(refused(|header| header.alg = Algorithm::Rs256, None), client(Reason::AlgorithmNotAllowed));
        assert_eq!(refused(|header| header.typ = None, None), None);
        assert_eq!(refused(|header| header.typ = Some("at+jwt".into()), None), client(Reason::TypeNotAllowed));
        assert_eq!(refused(|header| header.kid = None, None), client(Reason::KeyUnknown));
        let with_jku = |header: &mut Header| header.jku = Some("https://client.example/jwks".into());
        assert_eq!(refused(with_jku, Some(place)), None);
        assert_eq!(refused(with_jku, Some("https://client.example/other")), client(Reason::KeyUnknown));
        assert_eq!(refused(with_jku, None), client(Reason::KeyUnknown));
    }

    #[test]
    fn scope_and_extensions_are_handed_on_and_the_id_is_kept_while_it_would_be_accepted() {
        let read = read(Method::Udap, &json!({"scope": "system/Patient.rs", "extensions": {"a": 1}})).expect("read");
        assert_eq!((read.scope.as_deref(), read.extensions), (Some("system/Patient.rs"), Some(json!({"a": 1}))));
        assert_eq!(read.usable_until_us, NOW_US + 360_000_000);
    }
}
