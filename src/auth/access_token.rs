//! Access tokens as signed JWTs (RFC 9068): what a grant looks like on the wire.
//!
//! What: [`claims_of`] writes a [`Grant`], [`read`] reads one back, [`verify`] takes a received token from text to grant.
//! Why strict: the server is the only one who makes these, so anything that it would not have written is a forgery. Only
//! keys of our own are tried, by their `kid`; the type is `at+jwt` and nothing else; no clock is forgiven at the end of the
//! life. The extensions of a request hold demographics, so a token carries their digests only. Not here: whether a token
//! was revoked, and the extensions in full (see `store`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::error::{OAuthError, Reason, Refusal};
use super::jws::claims::{self, ClaimError};
use super::jws::{self, Jws, PublicKey, TokenType, Verified};
use super::scope::Scopes;
use crate::assurance::entity::EntityType;
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};

/// FAST Security 4.2.3 and 5.2.3: 60 minutes.
pub const LIFETIME_S_MAX: i64 = 3600;

/// How far the clocks of our own instances may differ.
const SKEW_S: i64 = 5;

const SECOND_US: i64 = 1_000_000;

/// What a token grants, to whom and on what ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub client_id: String,
    /// The name of the community under which the client registered.
    pub community: Option<String>,
    pub organization_id: Option<String>,
    pub entity_type: Option<EntityType>,
    /// Purposes of use, as asserted.
    pub purposes: Vec<String>,
    pub scopes: Scopes,
    pub identity_level: IdentityLevel,
    pub authentication_level: AuthenticationLevel,
    /// SHA-256 of each extension, by its name.
    pub extensions: BTreeMap<String, String>,
    pub token_id: String,
    pub expires_us: i64,
    /// Whom the token is about, where that is not the client itself.
    pub subject: Option<String>,
    /// SMART App Launch 2.2, launch context: the id of the Patient in context, to whose records `patient/` scopes are confined.
    pub patient: Option<String>,
    pub holder: Holder,
}

/// Who holds a token: the client in its own name, or somebody who has signed in and uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Holder {
    /// The token says nothing of an account.
    #[default]
    Client,
    /// Somebody with an account of the workforce.
    Workforce,
    /// Anybody else who has signed in.
    Person,
}

impl Holder {
    /// The claim; a client has none.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Client => None,
            Self::Workforce => Some("workforce"),
            Self::Person => Some("person"),
        }
    }

    fn parse(code: &str) -> Option<Self> {
        [Self::Workforce, Self::Person].into_iter().find(|holder| holder.code() == Some(code))
    }
}

/// A key of this server, by its name.
#[derive(Debug, Clone)]
pub struct OwnKey {
    pub kid: String,
    pub key: PublicKey,
}

/// The claims of a token for this grant, issued now. Its life ends when the grant says, and after an hour in any case.
#[must_use]
pub fn claims_of(grant: &Grant, issuer: &str, audience: &str, now_us: i64) -> Map<String, Value> {
    let issued_s = now_us.div_euclid(SECOND_US);
    let expires_s = grant.expires_us.div_euclid(SECOND_US).min(issued_s + LIFETIME_S_MAX);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", json!(issuer));
    put("sub", json!(grant.subject.as_ref().unwrap_or(&grant.client_id)));
    put("aud", json!(audience));
    put("exp", json!(expires_s));
    put("iat", json!(issued_s));
    put("jti", json!(grant.token_id));
    put("client_id", json!(grant.client_id));
    put("scope", json!(grant.scopes.to_string()));
    put("acr", json!(grant.identity_level.uri()));
    // RFC 8176 and OpenID Connect Core section 2: a list.
    put("amr", json!([grant.authentication_level.uri()]));
    put("purpose_of_use", json!(grant.purposes));
    put("extensions", json!(grant.extensions));
    if let Some(community) = &grant.community {
        put("community", json!(community));
    }
    if let Some(organization) = &grant.organization_id {
        put("organization_id", json!(organization));
    }
    if let Some(entity_type) = grant.entity_type {
        put("entity_type", json!(entity_type.code()));
    }
    if let Some(patient) = &grant.patient {
        put("patient", json!(patient));
    }
    if let Some(holder) = grant.holder.code() {
        put("account", json!(holder));
    }
    claims
}

/// SHA-256 of a token's claims as they are written in it, hexadecimal: what its row is bound to.
#[must_use]
pub fn digest_of(text: &str) -> String {
    let claims = text.split('.').nth(1).unwrap_or_default();
    hex(digest(&SHA256, claims.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Takes a received token from its text to its grant.
///
/// # Errors
/// `invalid_token`, whatever is wrong with it.
pub fn verify(text: &str, keys: &[OwnKey], issuer: &str, audience: &str, now_us: i64) -> Result<Grant, Refusal> {
    let token = jws::parse(text).map_err(|error| refused(error.reason()))?;
    let key = key_of(&token, keys)?.clone();
    let verified = token.verify_as(TokenType::AccessToken, &key).map_err(|error| refused(error.reason()))?;
    read(&verified, issuer, audience, now_us)
}

/// The key that the token names, if it is ours. A header that brings certificates or addresses is none of ours.
fn key_of<'k>(token: &Jws<'_>, keys: &'k [OwnKey]) -> Result<&'k PublicKey, Refusal> {
    if !token.header.x5c.is_empty() || token.header.jku.is_some() {
        return Err(refused(Reason::HeaderNotAllowed));
    }
    let kid = token.header.kid.as_deref().ok_or_else(|| refused(Reason::KeyUnknown))?;
    let known = keys.iter().find(|key| key.kid == kid).ok_or_else(|| refused(Reason::KeyUnknown))?;
    Ok(&known.key)
}

/// Reads the grant of a token whose signature was checked.
///
/// # Errors
/// `invalid_token` where it is not for us, not valid now, or says what we do not write.
pub fn read(token: &Verified, issuer: &str, audience: &str, now_us: i64) -> Result<Grant, Refusal> {
    if !is_access_token(token) {
        return Err(refused(Reason::TypeNotAllowed));
    }
    if claims::text(token, "iss").map_err(of_claim)? != issuer {
        return Err(refused(Reason::IssuerMismatch));
    }
    claims::audience(token, &[audience]).map_err(of_claim)?;
    let times = claims::times(token, now_us, SKEW_S, LIFETIME_S_MAX).map_err(of_claim)?;
    if now_us >= times.expires_us {
        return Err(refused(Reason::Expired));
    }
    let text = |name| claims::text(token, name).map(str::to_owned).map_err(of_claim);
    let client_id = text("client_id")?;
    let subject = text("sub")?;
    Ok(Grant {
        community: optional(token, "community")?,
        organization_id: optional(token, "organization_id")?,
        entity_type: known(token, "entity_type", EntityType::parse)?,
        purposes: purposes_of(token)?,
        scopes: Scopes::parse(claims::text(token, "scope").map_err(of_claim)?).map_err(|_| invalid("scope"))?,
        identity_level: known(token, "acr", IdentityLevel::parse)?.ok_or_else(|| invalid("acr"))?,
        authentication_level: authentication_of(token)?,
        extensions: extensions_of(token)?,
        token_id: text("jti")?,
        expires_us: times.expires_us,
        subject: (subject != client_id).then_some(subject),
        patient: optional(token, "patient")?,
        holder: known(token, "account", Holder::parse)?.unwrap_or_default(),
        client_id,
    })
}

/// [`TokenType::AccessToken`] once more: `read` may be called with a token that was verified as another type.
fn is_access_token(token: &Verified) -> bool {
    token.header.typ.as_deref() == Some("at+jwt")
}

const fn refused(reason: Reason) -> Refusal {
    Refusal::new(OAuthError::InvalidToken, "The access token is not valid here or not any more.", reason)
}

const fn invalid(claim: &'static str) -> Refusal {
    refused(Reason::ClaimInvalid(claim))
}

const fn of_claim(error: ClaimError) -> Refusal {
    refused(error.0)
}

fn optional(token: &Verified, name: &'static str) -> Result<Option<String>, Refusal> {
    let given = token.claims.contains_key(name);
    given.then(|| claims::text(token, name).map(str::to_owned)).transpose().map_err(of_claim)
}

/// A claim with a closed list of values.
fn known<T>(token: &Verified, name: &'static str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
    let Some(text) = optional(token, name)? else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| invalid(name))
}

fn purposes_of(token: &Verified) -> Result<Vec<String>, Refusal> {
    let purposes = token.claims.get("purpose_of_use").and_then(Value::as_array);
    let purposes = purposes.ok_or_else(|| invalid("purpose_of_use"))?.iter();
    let texts = purposes.map(|purpose| purpose.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| invalid("purpose_of_use"))
}

fn authentication_of(token: &Verified) -> Result<AuthenticationLevel, Refusal> {
    let methods = token.claims.get("amr").and_then(Value::as_array).ok_or_else(|| invalid("amr"))?;
    AuthenticationLevel::highest(methods.iter().filter_map(Value::as_str)).ok_or_else(|| invalid("amr"))
}

fn extensions_of(token: &Verified) -> Result<BTreeMap<String, String>, Refusal> {
    let extensions = token.claims.get("extensions").and_then(Value::as_object);
    let extensions = extensions.ok_or_else(|| invalid("extensions"))?.iter();
    let digests = extensions.map(|(name, digest)| Some((name.clone(), digest.as_str()?.to_owned())));
    digests.collect::<Option<_>>().ok_or_else(|| invalid("extensions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::signing::{Signer, generate};

    const ISSUER: &str = "https://here.example";
    const AUDIENCE: &str = "https://here.example/fhir";
    const NOW_US: i64 = 1_800_000_000_250_000;

    fn grant() -> Grant {
        Grant {
            client_id: "client-1".into(),
            community: Some("test".into()),
            organization_id: Some("urn:oid:1.2.3".into()),
            entity_type: Some(EntityType::CoveredEntity),
            purposes: vec!["TREAT".into()],
            scopes: Scopes::parse("system/Patient.rs").unwrap(),
            identity_level: IdentityLevel::Idial1_5,
            authentication_level: AuthenticationLevel::Aal2,
            extensions: BTreeMap::from([("hl7-b2b".to_owned(), "00ff".to_owned())]),
            token_id: "token-1".into(),
            expires_us: NOW_US + 300 * SECOND_US,
            subject: None,
            patient: None,
            holder: Holder::Client,
        }
    }

    fn signer() -> Signer {
        Signer::from_der(generate().unwrap().der()).unwrap()
    }

    fn keys(signer: &Signer) -> Vec<OwnKey> {
        vec![OwnKey { kid: signer.kid.clone(), key: signer.public_key().unwrap() }]
    }

    fn reason(text: &str, signer: &Signer, now_us: i64) -> Option<Reason> {
        let refused = verify(text, &keys(signer), ISSUER, AUDIENCE, now_us).err()?;
        assert_eq!(refused.code, OAuthError::InvalidToken);
        Some(refused.log)
    }

    #[test]
    fn a_grant_is_read_as_it_was_written() {
        let signer = signer();
        for grant in [
            grant(),
            Grant { community: None, organization_id: None, entity_type: None, purposes: Vec::new(), ..grant() },
            Grant { subject: Some("person-1".into()), extensions: BTreeMap::new(), ..grant() },
            Grant { patient: Some("patient-1".into()), holder: Holder::Person, ..grant() },
            Grant { subject: Some("person-1".into()), holder: Holder::Workforce, ..grant() },
        ] {
            let text = signer.sign("at+jwt", None, &claims_of(&grant, ISSUER, AUDIENCE, NOW_US)).unwrap();
            let read = verify(&text, &keys(&signer), ISSUER, AUDIENCE, NOW_US).unwrap();
            // The wire knows whole seconds.
            let expires_us = grant.expires_us.div_euclid(SECOND_US) * SECOND_US;
            assert_eq!(read, Grant { expires_us, ..grant });
        }
    }

    #[test]
    fn the_digest_is_of_the_claims_alone() {
        let (one, other) = (signer(), signer());
        let claims = claims_of(&grant(), ISSUER, AUDIENCE, NOW_US);
        let of = |signer: &Signer, claims| digest_of(&signer.sign("at+jwt", None, claims).unwrap());
        assert_eq!(of(&one, &claims), of(&other, &claims));
        let wider = Grant { scopes: Scopes::parse("system/*.cruds").unwrap(), ..grant() };
        assert_ne!(of(&one, &claims), of(&one, &claims_of(&wider, ISSUER, AUDIENCE, NOW_US)));
        assert_eq!(digest_of("a.b.c").len(), 64);
    }

    #[test]
    fn no_token_lives_for_more_than_an_hour() {
        let grant = Grant { expires_us: i64::MAX, ..grant() };
        let claims = claims_of(&grant, ISSUER, AUDIENCE, NOW_US);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), LIFETIME_S_MAX);
    }

    #[test]
    fn a_token_holds_from_its_issue_until_its_end() {
        let signer = signer();
        let text = signer.sign("at+jwt", None, &claims_of(&grant(), ISSUER, AUDIENCE, NOW_US)).unwrap();
        let (issued_us, expires_us) = (1_800_000_000_000_000, 1_800_000_300_000_000);
        let table = [
            (issued_us - 5 * SECOND_US - 1, Some(Reason::ClockSkew)),
            (issued_us - 5 * SECOND_US, None),
            (expires_us - 1, None),
            (expires_us, Some(Reason::Expired)),
            (expires_us + 3600 * SECOND_US, Some(Reason::Expired)),
        ];
        for (now_us, expected) in table {
            assert_eq!(reason(&text, &signer, now_us), expected, "{now_us}");
        }
    }

    #[test]
    fn a_claim_that_the_server_does_not_write_is_refused() {
        let signer = signer();
        let table = [
            ("iss", json!("https://other.example"), Reason::IssuerMismatch),
            ("iss", json!("https://here.example/"), Reason::IssuerMismatch),
            ("aud", json!("https://here.example/fhir/"), Reason::AudienceMismatch),
            ("aud", json!("https://here.example/oauth/token"), Reason::AudienceMismatch),
            ("exp", json!(1_800_003_601), Reason::LifetimeTooLong),
            ("jti", Value::Null, Reason::ClaimInvalid("jti")),
            ("client_id", json!(7), Reason::ClaimInvalid("client_id")),
            ("sub", json!(""), Reason::ClaimInvalid("sub")),
            ("scope", json!(""), Reason::ClaimInvalid("scope")),
            ("scope", json!("a  b"), Reason::ClaimInvalid("scope")),
            ("scope", json!(["system/Patient.rs"]), Reason::ClaimInvalid("scope")),
            ("acr", json!("high"), Reason::ClaimInvalid("acr")),
            ("amr", json!("AAL3"), Reason::ClaimInvalid("amr")),
            ("amr", json!(["pwd"]), Reason::ClaimInvalid("amr")),
            ("purpose_of_use", json!("TREAT"), Reason::ClaimInvalid("purpose_of_use")),
            ("purpose_of_use", json!([1]), Reason::ClaimInvalid("purpose_of_use")),
            ("extensions", json!([]), Reason::ClaimInvalid("extensions")),
            ("extensions", json!({"hl7-b2b": {}}), Reason::ClaimInvalid("extensions")),
            ("entity_type", json!("king"), Reason::ClaimInvalid("entity_type")),
            ("community", json!(["test"]), Reason::ClaimInvalid("community")),
            ("patient", json!(""), Reason::ClaimInvalid("patient")),
            ("patient", json!(["patient-1"]), Reason::ClaimInvalid("patient")),
            ("account", json!("client"), Reason::ClaimInvalid("account")),
            ("account", json!(7), Reason::ClaimInvalid("account")),
        ];
        for (name, value, expected) in table {
            let mut claims = claims_of(&grant(), ISSUER, AUDIENCE, NOW_US);
            claims.insert(name.to_owned(), value.clone());
            let text = signer.sign("at+jwt", None, &claims).unwrap();
            assert_eq!(reason(&text, &signer, NOW_US), Some(expected), "{name}: {value}");
        }
    }

    #[test]
    fn claims_that_are_always_written_are_required() {
        let signer = signer();
        let all = claims_of(&grant(), ISSUER, AUDIENCE, NOW_US);
        let optional = ["community", "organization_id", "entity_type"];
        for name in all.keys() {
            let mut claims = all.clone();
            claims.remove(name);
            let text = signer.sign("at+jwt", None, &claims).unwrap();
            assert_eq!(reason(&text, &signer, NOW_US).is_none(), optional.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn keys_and_headers_of_others_are_refused() {
        let (signer, stranger) = (signer(), self::signer());
        let claims = claims_of(&grant(), ISSUER, AUDIENCE, NOW_US);
        let as_ours = stranger.with_kid(signer.kid.clone());
        let table = [
            (signer.sign("JWT", None, &claims), Reason::TypeNotAllowed),
            (signer.sign("AT+JWT", None, &claims), Reason::TypeNotAllowed),
            (signer.sign("application/at+jwt", None, &claims), Reason::TypeNotAllowed),
            (signer.sign("at+jwt", Some(&[vec![0x30]]), &claims), Reason::HeaderNotAllowed),
            (as_ours.sign("at+jwt", None, &claims), Reason::SignatureInvalid),
            (as_ours.with_kid("unknown").sign("at+jwt", None, &claims), Reason::KeyUnknown),
        ];
        for (text, expected) in table {
            assert_eq!(reason(&text.unwrap(), &signer, NOW_US), Some(expected));
        }
    }
}
