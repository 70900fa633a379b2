//! A certification: somebody whom the community trusts vouches for a client (UDAP Certifications and Endorsements).
//!
//! What: [`uris_of`] says which certification a token claims to be, so that unknown ones can be ignored before anything is
//! verified; [`Certification::read`] judges one whose signature and chain were verified. Not here: which certifications a
//! community asks for (see `app::auth::register`).

use serde_json::{Map, Value};

use super::certificate::Certificate;
use super::client_assertion::SKEW_S;
use super::error::{OAuthError, Reason, Refusal};
use super::jws::claims::{self, ClaimError};
use super::jws::{Jws, Verified};
use super::members::{Kind, Members};

/// Certifications in one registration.
pub const CERTIFICATIONS_MAX: usize = 10;

/// UDAP Certifications 6: three years.
const LIFETIME_S_MAX: i64 = 3 * 366 * 24 * 3600;

/// TEFCA Facilitated FHIR SOP: what every client of the community has.
pub const TEFCA_BASIC_APP: &str = "https://rce.sequoiaproject.org/udap/profiles/basic-app-certification";
const TEFCA_BASIC_APP_NAME: &str = "TEFCA Basic App Certification";

/// Registration parameters that a certification may fix: the registered value must be the same.
const FIXED: [&str; 6] =
    ["client_name", "client_uri", "logo_uri", "software_id", "software_version", "token_endpoint_auth_method"];
/// Lists that a certification may bound: the registered values must be among them.
const BOUNDED: [&str; 3] = ["redirect_uris", "grant_types", "response_types"];

/// A certification that holds for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certification {
    pub uris: Vec<String>,
    /// TEFCA's home community of the client.
    pub home_community_id: Option<String>,
    /// TEFCA's exchange purposes that the client is certified for.
    pub exchange_purposes: Vec<String>,
}

/// For whom a certification must hold.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The URI of the client.
    pub issuer: &'a str,
    /// The parameters that it registers with.
    pub parameters: &'a Map<String, Value>,
    /// The registration endpoint.
    pub audience: &'a str,
}

/// UDAP Certifications 6: a certification is somebody else's word, of somebody whom the community trusts with it. Of the
/// client itself, whose `issuer` and `certificate` these are, it is none, whichever of its certificates it was signed with.
/// `certifiers` are the URIs of those who may; empty: whoever the community vouches for.
///
/// # Errors
/// `unapproved_certification`.
pub fn check_certifier(
    certifier: &Certificate,
    issuer: &str,
    certificate: &Certificate,
    certifiers: &[String],
) -> Result<(), Refusal> {
    let is_client = certifier.has_uri(issuer) || certifier.has_key_of(certificate);
    let is_named = |uri: &String| certifiers.contains(uri);
    let may = certifiers.is_empty() || certifier.uris().iter().any(is_named);
    if may && !is_client {
        return Ok(());
    }
    let text = "Who has made the certification may not certify this client.";
    Err(Refusal::new(OAuthError::UnapprovedCertification, text, Reason::CertifierNotAllowed))
}

const TEXT: &str = "A certification is not as it must be, or not for this client.";

/// The certifications that a token claims to be; empty when it says nothing of the kind.
#[must_use]
pub fn uris_of<'t>(token: &'t Jws<'_>) -> Vec<&'t str> {
    let uris = token.claims.get("certification_uris").and_then(Value::as_array);
    uris.map_or_else(Vec::new, |uris| uris.iter().filter_map(Value::as_str).collect())
}

impl Certification {
    /// Judges a certification; `uris` are those of the certificate that it was signed with.
    ///
    /// # Errors
    /// `invalid_certification`.
    pub fn read(verified: &Verified, uris: &[String], holder: &Holder<'_>, now_us: i64) -> Result<Self, Refusal> {
        let refuse = |error: ClaimError| error.refusal(OAuthError::InvalidCertification);
        let members = Members::new(&verified.claims, Kind::Claim, OAuthError::InvalidCertification, TEXT);
        let certifier = claims::text(verified, "iss").map_err(refuse)?;
        if !uris.iter().any(|uri| uri == certifier) {
            return Err(Refusal::new(OAuthError::InvalidCertification, TEXT, Reason::SanMismatch));
        }
        if claims::text(verified, "sub").map_err(refuse)? != holder.issuer {
            return Err(Refusal::new(OAuthError::InvalidCertification, TEXT, Reason::SubjectMismatch));
        }
        if members.has("aud") {
            claims::audience(verified, &[holder.audience]).map_err(refuse)?;
        }
        claims::times(verified, now_us, SKEW_S, LIFETIME_S_MAX).map_err(refuse)?;
        members.text("jti")?;
        let uris: Vec<String> = members.texts("certification_uris")?.into_iter().map(str::to_owned).collect();
        check_parameters(&members, holder.parameters)?;
        let purposes = members.optional_texts("exchange_purposes")?.unwrap_or_default();
        let read = Self {
            home_community_id: members.optional_text("home_community_id")?.map(str::to_owned),
            exchange_purposes: purposes.into_iter().map(str::to_owned).collect(),
            uris,
        };
        if read.uris.iter().any(|uri| uri == TEFCA_BASIC_APP) {
            read.check_tefca(&members)?;
        }
        Ok(read)
    }

    /// TEFCA Facilitated FHIR SOP: its name, one purpose and the home community.
    fn check_tefca(&self, members: &Members<'_>) -> Result<(), Refusal> {
        if members.text("certification_name")? != TEFCA_BASIC_APP_NAME {
            return Err(members.invalid("certification_name"));
        }
        if self.exchange_purposes.len() != 1 {
            return Err(members.invalid("exchange_purposes"));
        }
        members.text("home_community_id").map(|_| ())
    }
}

/// UDAP Certifications 6: the registration keeps to what was certified.
fn check_parameters(members: &Members<'_>, registered: &Map<String, Value>) -> Result<(), Refusal> {
    for name in FIXED {
        if members.has(name) && members.get(name) != registered.get(name) {
            return Err(members.invalid(name));
        }
    }
    for name in BOUNDED {
        let Some(certified) = members.optional_texts(name)? else { continue };
        let values = registered.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if !values.iter().all(|value| value.as_str().is_some_and(|value| certified.contains(&value))) {
            return Err(members.invalid(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::jws::{Algorithm, Header};

    const NOW_S: i64 = 1_800_000_000;
    const CLIENT: &str = "https://client.example/a";

    fn good() -> Value {
        json!({
            "iss": "https://certifier.example", "sub": CLIENT, "jti": "c1", "iat": NOW_S - 1000,
            "exp": NOW_S + 365 * 24 * 3600,
            "certification_uris": [TEFCA_BASIC_APP], "certification_name": "TEFCA Basic App Certification",
            "exchange_purposes": ["urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-TREAT"],
            "home_community_id": "urn:oid:1.2.3",
        })
    }

    fn read(changes: &Value) -> Option<Reason> {
        let mut claims = good();
        for (name, value) in changes.as_object().expect("an object") {
            let claims = claims.as_object_mut().expect("an object");
            if value.is_null() { drop(claims.remove(name)) } else { drop(claims.insert(name.clone(), value.clone())) }
        }
        let header = Header { alg: Algorithm::Rs256, typ: None, kid: None, x5c: Vec::new(), jku: None };
        let verified = Verified { header, claims: claims.as_object().expect("an object").clone() };
        let parameters = json!({"client_name": "A", "grant_types": ["client_credentials"]});
        let holder = Holder {
            issuer: CLIENT,
            parameters: parameters.as_object().expect("an object"),
            audience: "https://server.example/oauth/register",
        };
        let uris = ["https://certifier.example".to_owned()];
        let refusal = Certification::read(&verified, &uris, &holder, NOW_S * 1_000_000).err()?;
        assert_eq!(refusal.code, OAuthError::InvalidCertification, "{changes}");
        Some(refusal.log)
    }

    #[test]
    fn line_20_a_certification_holds_for_its_client_and_for_what_was_certified() {
        let table = [
            (json!({}), None),
            (json!({"iss": "https://other.example"}), Some(Reason::SanMismatch)),
            (json!({"sub": "https://client.example/b"}), Some(Reason::SubjectMismatch)),
            (json!({"aud": "https://server.example/oauth/register"}), None),
            (json!({"aud": "https://other.example"}), Some(Reason::AudienceMismatch)),
            (json!({"exp": NOW_S - 100}), Some(Reason::Expired)),
            (json!({"exp": NOW_S + 4 * 366 * 24 * 3600}), Some(Reason::LifetimeTooLong)),
            (json!({"jti": null}), Some(Reason::ClaimMissing("jti"))),
            (json!({"certification_uris": []}), Some(Reason::ClaimInvalid("certification_uris"))),
            (json!({"client_name": "A"}), None),
            (json!({"client_name": "B"}), Some(Reason::ClaimInvalid("client_name"))),
            (json!({"software_id": "B"}), Some(Reason::ClaimInvalid("software_id"))),
            (json!({"grant_types": ["client_credentials", "authorization_code"]}), None),
            (json!({"grant_types": ["authorization_code"]}), Some(Reason::ClaimInvalid("grant_types"))),
        ];
        for (changes, expected) in table {
            assert_eq!(read(&changes), expected, "{changes}");
        }
    }

    #[test]
    fn line_50_tefcas_certification_has_its_name_one_purpose_and_the_home_community() {
        let table = [
            (json!({"certification_name": "Other"}), Some(Reason::ClaimInvalid("certification_name"))),
            (json!({"exchange_purposes": null}), Some(Reason::ClaimInvalid("exchange_purposes"))),
            (json!({"exchange_purposes": ["a", "b"]}), Some(Reason::ClaimInvalid("exchange_purposes"))),
            (json!({"home_community_id": null}), Some(Reason::ClaimMissing("home_community_id"))),
            (
                json!({"certification_uris": ["https://x.example/c"], "certification_name": null, "exchange_purposes": null}),
                None,
            ),
        ];
        for (changes, expected) in table {
            assert_eq!(read(&changes), expected, "{changes}");
        }
    }
}
