//! What the server says of itself: UDAP metadata with its signed part, SMART's configuration, OpenID Connect's.
//!
//! FAST Security 2.2 and 2.3, UDAP Server Metadata; SMART App Launch 2.2, `.well-known/smart-configuration`; OpenID Connect
//! Discovery 3; RFC 9207. Only what is served is listed. Not here: signing, which community is asked for.

use serde_json::{Map, Value, json};

use super::certification::TEFCA_BASIC_APP;
use super::client_assertion;
use super::community::Validator;
use super::extension;
use super::jws::Algorithm;
use super::pkce::S256;
use super::scope::{Level, Scopes};
use super::software_statement::{AUTHORIZATION_CODE, CLIENT_CREDENTIALS, PRIVATE_KEY_JWT, REFRESH_TOKEN};
use crate::assurance::level::IdentityLevel;

/// FAST Security 2.3 allows a year; a signed part that was copied should not speak for long.
pub const SIGNED_LIFETIME_S: i64 = 24 * 3600;

/// Every grant that is served.
pub const GRANT_TYPES: [&str; 3] = [AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS];

/// The scopes of apps that an operator adds; a community lists its own.
pub const SCOPES: [&str; 8] = [
    "openid",
    "fhirUser",
    "profile",
    "launch/patient",
    "offline_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
];

/// To whom a community is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Its scopes are of systems alone.
    Clients,
    /// There are scopes of people too, so apps may send them here.
    ClientsAndPeople,
}

impl Offer {
    /// What a list of scopes is for.
    #[must_use]
    pub fn of(scopes: &Scopes) -> Self {
        let has_people = scopes.has_level(Level::Patient) || scopes.has_level(Level::User);
        if has_people { Self::ClientsAndPeople } else { Self::Clients }
    }

    #[must_use]
    pub const fn grant_types(self) -> &'static [&'static str] {
        match self {
            Self::Clients => &[CLIENT_CREDENTIALS],
            Self::ClientsAndPeople => &GRANT_TYPES,
        }
    }

    /// What every token request must bring. One by a person's code brings none, so nothing is required of all where such are
    /// served.
    const fn required_extensions(self) -> &'static [&'static str] {
        match self {
            Self::Clients => &[extension::hl7_b2b::NAME],
            Self::ClientsAndPeople => &[],
        }
    }
}

/// The addresses of the server, in the one spelling in which tokens must name them (FAST Security 7.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Of access tokens and identity tokens.
    pub issuer: String,
    /// The FHIR base.
    pub base: String,
    pub registration: String,
    pub authorization: String,
    pub token: String,
    pub revocation: String,
    pub introspection: String,
    pub userinfo: String,
    pub end_session: String,
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
            authorization: format!("{root}/oauth/authorize"),
            token: format!("{root}/oauth/token"),
            revocation: format!("{root}/oauth/revoke"),
            introspection: format!("{root}/oauth/introspect"),
            userinfo: format!("{root}/oauth/userinfo"),
            end_session: format!("{root}/oauth/logout"),
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

/// The document at `.well-known/udap` (FAST Security 2.2).
#[must_use]
pub fn udap(endpoints: &Endpoints, validator: Validator, scopes: &Scopes, signed_metadata: &str) -> Value {
    let (certifications, offer) = (certifications(validator), Offer::of(scopes));
    let listed: Vec<String> = scopes.iter().collect();
    let mut document = json!({
        "udap_versions_supported": ["1"],
        "udap_profiles_supported": ["udap_dcr", "udap_authn", "udap_authz"],
        "udap_authorization_extensions_supported": extension::SUPPORTED,
        "udap_authorization_extensions_required": offer.required_extensions(),
        "udap_certifications_supported": certifications,
        "grant_types_supported": offer.grant_types(),
        "scopes_supported": listed,
        "token_endpoint": endpoints.token,
        "token_endpoint_auth_methods_supported": [PRIVATE_KEY_JWT],
        "token_endpoint_auth_signing_alg_values_supported": algorithms(),
        "registration_endpoint": endpoints.registration,
        "registration_endpoint_jwt_signing_alg_values_supported": algorithms(),
        "signed_metadata": signed_metadata,
    });
    if offer == Offer::ClientsAndPeople {
        document["authorization_endpoint"] = json!(endpoints.authorization);
    }
    if !certifications.is_empty() {
        document["udap_certifications_required"] = json!(certifications);
    }
    document
}

/// The claims of `signed_metadata` (FAST Security 2.3), spoken by the FHIR base or by the issuer of identity tokens; the
/// addresses are those of the plain document.
#[must_use]
pub fn signed_claims(
    endpoints: &Endpoints,
    speaker: &str,
    offer: Offer,
    token_id: &str,
    now_us: i64,
) -> Map<String, Value> {
    let issued_s = now_us.div_euclid(1_000_000);
    let members = [
        ("iss", json!(speaker)),
        ("sub", json!(speaker)),
        ("iat", json!(issued_s)),
        ("exp", json!(issued_s + SIGNED_LIFETIME_S)),
        ("jti", json!(token_id)),
        ("token_endpoint", json!(endpoints.token)),
        ("registration_endpoint", json!(endpoints.registration)),
    ];
    let authorization = ("authorization_endpoint", json!(endpoints.authorization));
    let authorization = (offer == Offer::ClientsAndPeople).then_some(authorization);
    members.into_iter().chain(authorization).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What SMART App Launch 2.2 and OpenID Connect Discovery list alike.
fn common(endpoints: &Endpoints) -> Value {
    json!({
        "issuer": endpoints.issuer,
        "jwks_uri": endpoints.jwks,
        "authorization_endpoint": endpoints.authorization,
        "token_endpoint": endpoints.token,
        "userinfo_endpoint": endpoints.userinfo,
        "end_session_endpoint": endpoints.end_session,
        "registration_endpoint": endpoints.registration,
        "revocation_endpoint": endpoints.revocation,
        "introspection_endpoint": endpoints.introspection,
        "grant_types_supported": GRANT_TYPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": SCOPES,
        "token_endpoint_auth_methods_supported": [PRIVATE_KEY_JWT, "none"],
        "token_endpoint_auth_signing_alg_values_supported": client_assertion::SMART_ALGORITHMS.map(Algorithm::name),
        "code_challenge_methods_supported": [S256],
        // RFC 9207: against mix-up.
        "authorization_response_iss_parameter_supported": true,
    })
}

/// The document at `{base}/.well-known/smart-configuration`.
#[must_use]
pub fn smart(endpoints: &Endpoints) -> Value {
    let mut document = common(endpoints);
    document["capabilities"] = json!([
        "launch-standalone",
        "authorize-post",
        "client-public",
        "client-confidential-asymmetric",
        "sso-openid-connect",
        "context-standalone-patient",
        "permission-offline",
        "permission-patient",
        "permission-user",
        "permission-v1",
        "permission-v2",
    ]);
    document
}

/// The document at `{issuer}/.well-known/openid-configuration`.
#[must_use]
pub fn open_id(endpoints: &Endpoints) -> Value {
    let mut document = common(endpoints);
    document["subject_types_supported"] = json!(["public"]);
    document["id_token_signing_alg_values_supported"] = json!([Algorithm::Rs256.name()]);
    document["acr_values_supported"] = IdentityLevel::ALL.iter().map(|level| level.uri()).collect();
    document["prompt_values_supported"] = json!(["none", "login", "consent", "select_account"]);
    document["claims_supported"] = json!([
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "at_hash",
        "fhirUser",
        "name",
        "given_name",
        "family_name",
        "birthdate",
        "address",
        "phone_number",
        "email",
        "hl7_person_identifier"
    ]);
    // Their defaults are true (OpenID Connect Discovery 3).
    for name in ["request_uri_parameter_supported", "request_parameter_supported", "claims_parameter_supported"] {
        document[name] = json!(false);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_10_every_field_that_the_guide_asks_for_is_there_and_none_that_is_not_served() {
        let endpoints = Endpoints::of("https://server.example/fhir");
        let scopes = Scopes::parse("system/Patient.rs").expect("scopes");
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
        let document =
            udap(&Endpoints::of("https://server.example/fhir"), Validator::Tefca, &Scopes::default(), "a.b.c");
        for list in ["udap_certifications_supported", "udap_certifications_required"] {
            assert_eq!(document[list], json!([TEFCA_BASIC_APP]), "{list}");
        }
    }

    #[test]
    fn line_11_the_signed_part_says_what_the_plain_one_says_and_ends_within_a_year() {
        let endpoints = Endpoints::of("https://server.example/fhir");
        let scopes = Scopes::parse("system/Patient.rs patient/Patient.rs").expect("scopes");
        let base = "https://server.example/fhir";
        let claims = signed_claims(&endpoints, base, Offer::of(&scopes), "m1", 1_800_000_000_000_000);
        let plain = udap(&endpoints, Validator::Core, &scopes, "a.b.c");
        for name in ["token_endpoint", "registration_endpoint", "authorization_endpoint"] {
            assert!(plain[name].is_string(), "{name}");
            assert_eq!(claims[name], plain[name], "{name}");
        }
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("https://server.example/fhir"), &claims["iss"]));
        let (issued_s, expires_s) = (claims["iat"].as_i64(), claims["exp"].as_i64());
        assert_eq!(issued_s, Some(1_800_000_000));
        assert!(expires_s.is_some_and(|at| at > 1_800_000_000 && at <= 1_800_000_000 + 365 * 24 * 3600));
    }

    #[test]
    fn line_24_a_community_with_scopes_of_people_offers_them_the_code_and_asks_no_extension_of_all() {
        let endpoints = Endpoints::of("https://server.example/fhir");
        let scopes = Scopes::parse("openid patient/Patient.rs system/Patient.rs").expect("scopes");
        let document = udap(&endpoints, Validator::Core, &scopes, "a.b.c");
        assert_eq!(
            document["grant_types_supported"],
            json!(["authorization_code", "refresh_token", "client_credentials"])
        );
        assert_eq!(document["authorization_endpoint"], "https://server.example/oauth/authorize");
        assert_eq!(document["udap_authorization_extensions_required"], json!([]));
    }

    #[test]
    fn smart_metadata_has_what_is_required_and_no_plain_challenge() {
        let document = smart(&Endpoints::of("https://server.example/fhir"));
        let required = ["token_endpoint", "grant_types_supported", "capabilities", "code_challenge_methods_supported"];
        for name in required.into_iter().chain(["authorization_endpoint", "issuer", "jwks_uri"]) {
            assert!(!document[name].is_null(), "{name}");
        }
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["token_endpoint_auth_signing_alg_values_supported"], json!(["RS384", "ES384"]));
    }

    #[test]
    fn the_provider_metadata_has_what_open_id_connect_discovery_requires() {
        let document = open_id(&Endpoints::of("https://server.example/fhir"));
        for name in [
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
        ] {
            assert!(!document[name].is_null(), "{name}");
        }
        assert_eq!(document["issuer"], "https://server.example");
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    }
}
