//! Identity tokens that this server issues, and what is told of a person (OpenID Connect Core 2 and 5.1, Identity Matching
//! guide: `acr` and `amr` wherever identity is part of a transaction).
//!
//! What: [`claims_of`] writes the claims of a token, [`person_claims`] those of the person from the verified attributes of the
//! account. Every attribute must be verified at or above `acr`: an account has one level for all of them, and a token
//! never names a higher one. Not here: signing, identity tokens of others (see `id_token`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::authentication::Authentication;

const DIGITAL_IDENTIFIER: &str = "http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier";

/// Somebody who has signed in, as it is kept with what was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Random, and of no other use than to name the account: `sub`.
    pub account_id: String,
    /// The identity level, as a URI.
    pub acr: String,
    /// The authentication level, as a URI, and the methods.
    pub amr: Vec<String>,
    pub time_us: i64,
}

impl From<&Authentication> for SignedIn {
    fn from(authentication: &Authentication) -> Self {
        Self {
            account_id: authentication.subject.clone(),
            acr: authentication.idial.uri().to_owned(),
            amr: authentication.amr().into_iter().map(str::to_owned).collect(),
            time_us: authentication.time_us,
        }
    }
}

/// What an identity token says.
#[derive(Debug, Clone)]
pub struct Identity<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub signed_in: &'a SignedIn,
    pub nonce: Option<&'a str>,
    /// The access token beside it.
    pub access_token: &'a str,
    /// The address of the person's own record.
    pub fhir_user: Option<String>,
    /// What is told of the person, where that was agreed to.
    pub person: Map<String, Value>,
    pub token_id: &'a str,
    pub now_us: i64,
    pub expires_us: i64,
}

/// The claims of an identity token. What is told of the person cannot replace any of the others.
#[must_use]
pub fn claims_of(identity: &Identity<'_>) -> Map<String, Value> {
    let seconds = |us: i64| json!(us.div_euclid(1_000_000));
    let mut claims = identity.person.clone();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", json!(identity.issuer));
    put("sub", json!(identity.signed_in.account_id));
    put("aud", json!(identity.client_id));
    put("iat", seconds(identity.now_us));
    put("exp", seconds(identity.expires_us));
    put("jti", json!(identity.token_id));
    put("auth_time", seconds(identity.signed_in.time_us));
    put("acr", json!(identity.signed_in.acr));
    put("amr", json!(identity.signed_in.amr));
    put("at_hash", json!(at_hash(identity.access_token)));
    if let Some(nonce) = identity.nonce {
        put("nonce", json!(nonce));
    }
    if let Some(fhir_user) = &identity.fhir_user {
        put("fhirUser", json!(fhir_user));
    }
    claims
}

/// OpenID Connect Core 3.1.3.6, for RS256.
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16])
}

/// Whether the person's identifier for all of healthcare may be told: to members of a trust community alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identifier {
    Told,
    Kept,
}

/// What the verified attributes, a FHIR Patient, say in the words of OpenID Connect Core 5.1.
#[must_use]
pub fn person_claims(patient: &Value, identifier: Identifier) -> Map<String, Value> {
    let list = |name: &str| patient[name].as_array().map_or(&[][..], Vec::as_slice);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            claims.insert(name.to_owned(), json!(value));
        }
    };
    let names = list("name");
    let name = names.iter().find(|name| name["use"] == "official").or_else(|| names.first());
    if let Some(name) = name {
        let given = words(&name["given"]);
        let family = text(&name["family"]).unwrap_or_default();
        put("name", Some(format!("{given} {family}").trim().to_owned()));
        put("given_name", Some(given));
        put("family_name", Some(family));
    }
    put("birthdate", text(&patient["birthDate"]));
    let telecom =
        |system: &str| list("telecom").iter().find(|one| one["system"] == system).and_then(|one| text(&one["value"]));
    put("email", telecom("email"));
    put("phone_number", telecom("phone"));
    if identifier == Identifier::Told {
        let known = list("identifier").iter().find(|one| one["system"] == DIGITAL_IDENTIFIER);
        put("hl7_person_identifier", known.and_then(|one| text(&one["value"])));
    }
    let addresses = list("address");
    let home = addresses.iter().find(|address| address["use"] == "home").or_else(|| addresses.first());
    if let Some(address) = home.map(address_claim).filter(|address| !address.is_empty()) {
        claims.insert("address".to_owned(), Value::Object(address));
    }
    claims
}

fn address_claim(address: &Value) -> Map<String, Value> {
    let lines = address["line"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str);
    let lines = lines.collect::<Vec<_>>().join("\n");
    let parts = [
        ("street_address", Some(lines).filter(|lines| !lines.is_empty())),
        ("locality", text(&address["city"])),
        ("region", text(&address["state"])),
        ("postal_code", text(&address["postalCode"])),
        ("country", text(&address["country"])),
    ];
    parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn words(list: &Value) -> String {
    list.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
    use crate::auth::authentication::AuthenticationMethod;

    fn signed_in() -> SignedIn {
        SignedIn::from(&Authentication {
            subject: "a1".into(),
            idial: IdentityLevel::Idial1_8,
            aal: AuthenticationLevel::Aal2,
            methods: vec![AuthenticationMethod::Password, AuthenticationMethod::OneTimeCode],
            time_us: 1_800_000_000_000_000,
        })
    }

    fn identity(signed_in: &SignedIn) -> Identity<'_> {
        Identity {
            issuer: "https://server.example",
            client_id: "c1",
            signed_in,
            nonce: Some("n1"),
            access_token: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
            fhir_user: Some("https://server.example/fhir/Patient/p1".into()),
            person: Map::from_iter([
                ("sub".to_owned(), json!("somebody else")),
                ("name".to_owned(), json!("Robin Roe")),
            ]),
            token_id: "t1",
            now_us: 1_800_000_030_000_000,
            expires_us: 1_800_000_630_000_000,
        }
    }

    #[test]
    fn an_identity_token_says_who_signed_in_how_and_when_and_echoes_the_nonce() {
        let claims = Value::Object(claims_of(&identity(&signed_in())));
        let expected = json!({
            "iss": "https://server.example", "sub": "a1", "aud": "c1", "iat": 1_800_000_030, "exp": 1_800_000_630,
            "auth_time": 1_800_000_000, "nonce": "n1", "jti": "t1", "name": "Robin Roe",
            "acr": "http://udap.org/code/id/idial1.8", "amr": ["http://udap.org/code/auth/aal2", "pwd", "otp", "mfa"],
            // OpenID Connect Core, appendix A.3, has this hash of this token.
            "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "fhirUser": "https://server.example/fhir/Patient/p1",
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn what_was_verified_is_told_in_the_words_of_open_id_connect() {
        let patient = json!({
            "resourceType": "Patient",
            "identifier": [{"system": DIGITAL_IDENTIFIER, "value": "6f1c2d3e"}, {"system": "urn:x", "value": "y"}],
            "name": [{"use": "nickname", "given": ["Bob"]}, {"use": "official", "family": "Roe", "given": ["Robin", "Ann"]}],
            "birthDate": "1980-02-29",
            "telecom": [{"system": "phone", "value": "+1 555 0100"}, {"system": "email", "value": "robin@mail.example"}],
            "address": [{"line": ["1 Main St", "Apt 2"], "city": "Springfield", "state": "IL", "postalCode": "62701"}],
        });
        let mut expected = json!({
            "name": "Robin Ann Roe", "given_name": "Robin Ann", "family_name": "Roe", "birthdate": "1980-02-29",
            "email": "robin@mail.example", "phone_number": "+1 555 0100",
            "address": {"street_address": "1 Main St\nApt 2", "locality": "Springfield", "region": "IL", "postal_code": "62701"},
        });
        assert_eq!(Value::Object(person_claims(&patient, Identifier::Kept)), expected);
        expected["hl7_person_identifier"] = json!("6f1c2d3e");
        assert_eq!(Value::Object(person_claims(&patient, Identifier::Told)), expected);
        assert!(person_claims(&json!({}), Identifier::Told).is_empty());
    }
}
