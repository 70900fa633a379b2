//! What the server says of itself: UDAP metadata with its signed part, and the backend part of SMART's.
//!
//! FAST Security 2.2 and 2.3, UDAP Server Metadata; SMART App Launch 2.2, `.well-known/smart-configuration`. Only what is
//! served is listed. Not here: signing, which community is asked for.

use serde_json::{Map, Value, json};

use super::certification::TEFCA_BASIC_APP;
use super::client_assertion;
use super::community::Validator;
use super::extension;
use super::jws::Algorithm;
use super::software_statement::{CLIENT_CREDENTIALS, PRIVATE_KEY_JWT};

/// FAST Security 2.3 allows a year; a signed part that was copied should not speak for long.
pub const SIGNED_LIFETIME_S: i64 = 24 * 3600;

/// The grants that are served.
pub const GRANT_TYPES: [&str; 1] = [CLIENT_CREDENTIALS];

/// The addresses of the server, in the one spelling in which tokens must name them (FAST Security 7.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Of access tokens.
    pub issuer: String,
    /// The FHIR base.
    pub base: String,
    pub registration: String,
    pub token: String,
    pub revocation: String,
    pub introspection: String,
    pub jwks: String,
}

impl Endpoints {
    /// Those of the server with this FHIR base, which ends in `/fhir`.
    #[must_use]
    pub fn of(base: &str) -> Self {
        let root = base.strip_suffix("/fhir").unwrap_or(base);
        Self {
            issuer: root.to_owned(),
            base: base.to_owned(),
            registration: format!("{root}/oauth/register"),
            token: format!("{root}/oauth/token"),
            revocation: format!("{root}/oauth/revoke"),
            introspection: format!("{root}/oauth/introspect"),
            jwks: format!("{root}/oauth/jwks"),
        }
    }
}

/// The certifications that registrations of a community are asked for.
#[must_use]
pub const fn certifications(validator: Validator) -> &'static [&'static str] {
    match validator {
        Validator::Core => &[],
        Validator::Tefca => &[TEFCA_BASIC_APP],
    }
}

fn algorithms() -> Vec<&'static str> {
    Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect()
}

/// What every token request must bring. One by a user's code brings none, so nothing is required of all where such are
/// served.
fn required_extensions() -> &'static [&'static str] {
    if GRANT_TYPES == [CLIENT_CREDENTIALS] { &[extension::hl7_b2b::NAME] } else { &[] }
}

/// The document at `.well-known/udap` (FAST Security 2.2).
#[must_use]
pub fn udap(endpoints: &Endpoints, validator: Validator, scopes: &[String], signed_metadata: &str) -> Value {
    let certifications = certifications(validator);
    let mut document = json!({
        "udap_versions_supported": ["1"],
        "udap_profiles_supported": ["udap_dcr", "udap_authn", "udap_authz"],
        "udap_authorization_extensions_supported": extension::SUPPORTED,
        "udap_authorization_extensions_required": required_extensions(),
        "udap_certifications_supported": certifications,
        "grant_types_supported": GRANT_TYPES,
        "scopes_supported": scopes,
        "token_endpoint": endpoints.token,
        "token_endpoint_auth_methods_supported": [PRIVATE_KEY_JWT],
        "token_endpoint_auth_signing_alg_values_supported": algorithms(),
        "registration_endpoint": endpoints.registration,
        "registration_endpoint_jwt_signing_alg_values_supported": algorithms(),
        "signed_metadata": signed_metadata,
    });
    if !certifications.is_empty() {
        document["udap_certifications_required"] = json!(certifications);
    }
    document
}

/// The claims of `signed_metadata` (FAST Security 2.3); the addresses are those of the plain document.
#[must_use]
pub fn signed_claims(endpoints: &Endpoints, token_id: &str, now_us: i64) -> Map<String, Value> {
    let issued_s = now_us.div_euclid(1_000_000);
    let members = [
        ("iss", json!(endpoints.base)),
        ("sub", json!(endpoints.base)),
        ("iat", json!(issued_s)),
        ("exp", json!(issued_s + SIGNED_LIFETIME_S)),
        ("jti", json!(token_id)),
        ("token_endpoint", json!(endpoints.token)),
        ("registration_endpoint", json!(endpoints.registration)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The document at `.well-known/smart-configuration`, of a server for backend services alone.
#[must_use]
pub fn smart(endpoints: &Endpoints, scopes: &[String]) -> Value {
    json!({
        "token_endpoint": endpoints.token,
        "grant_types_supported": GRANT_TYPES,
        "token_endpoint_auth_methods_supported": [PRIVATE_KEY_JWT],
        "token_endpoint_auth_signing_alg_values_supported": client_assertion::SMART_ALGORITHMS.map(Algorithm::name),
        "registration_endpoint": endpoints.registration,
        "revocation_endpoint": endpoints.revocation,
        "introspection_endpoint": endpoints.introspection,
        "scopes_supported": scopes,
        // Required, though nothing here has a code to challenge.
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_10_every_field_that_the_guide_asks_for_is_there_and_none_that_is_not_served() {
        let endpoints = Endpoints::of("https://server.example/fhir");
        let scopes = ["system/Patient.rs".to_owned()];
        let document = udap(&endpoints, Validator::Core, &scopes, "a.b.c");
        let expected = json!({
            "udap_versions_supported": ["1"],
            "udap_profiles_supported": ["udap_dcr", "udap_authn", "udap_authz"],
            "udap_authorization_extensions_supported": ["hl7-b2b", "hl7-b2b-user", "tefca_ias", "cms_smart"],
            "udap_authorization_extensions_required": ["hl7-b2b"],
            "udap_certifications_supported": [],
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["system/Patient.rs"],
            "token_endpoint": "https://server.example/oauth/token",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "ES256", "ES384"],
            "registration_endpoint": "https://server.example/oauth/register",
            "registration_endpoint_jwt_signing_alg_values_supported": ["RS256", "RS384", "ES256", "ES384"],
            "signed_metadata": "a.b.c",
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn line_50_a_tefca_community_asks_for_its_certification() {
        let document = udap(&Endpoints::of("https://server.example/fhir"), Validator::Tefca, &[], "a.b.c");
        for list in ["udap_certifications_supported", "udap_certifications_required"] {
            assert_eq!(document[list], json!([TEFCA_BASIC_APP]), "{list}");
        }
    }

    #[test]
    fn line_11_the_signed_part_says_what_the_plain_one_says_and_ends_within_a_year() {
        let endpoints = Endpoints::of("https://server.example/fhir");
        let claims = signed_claims(&endpoints, "m1", 1_800_000_000_000_000);
        let plain = udap(&endpoints, Validator::Core, &[], "a.b.c");
        for name in ["token_endpoint", "registration_endpoint"] {
            assert_eq!(claims[name], plain[name], "{name}");
        }
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("https://server.example/fhir"), &claims["iss"]));
        let (issued_s, expires_s) = (claims["iat"].as_i64(), claims["exp"].as_i64());
        assert_eq!(issued_s, Some(1_800_000_000));
        assert!(expires_s.is_some_and(|at| at > 1_800_000_000 && at <= 1_800_000_000 + 365 * 24 * 3600));
    }

    #[test]
    fn smart_metadata_has_what_is_required_and_no_plain_challenge() {
        let document = smart(&Endpoints::of("https://server.example/fhir"), &[]);
        for name in ["token_endpoint", "grant_types_supported", "capabilities", "code_challenge_methods_supported"] {
            assert!(!document[name].is_null(), "{name}");
        }
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["token_endpoint_auth_signing_alg_values_supported"], json!(["RS384", "ES384"]));
        assert!(document["issuer"].is_null(), "no OpenID Connect, no issuer");
    }
}
