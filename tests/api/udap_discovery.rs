//! What the server says of itself to clients of UDAP and of SMART. The numbers are those of docs/conformance.md.

use idi_match::auth::certificate::Certificate;
use idi_match::auth::jws::{self, Algorithm, PublicKey};
use serde_json::{Value, json};

use crate::answer::texts;
use crate::support::{Database, TestApp};
use crate::trust::{CLINICS, NETWORK, Trusting};

trusting_on_both_databases! {
    line_7_metadata_is_public_json_below_the_fhir_base,
    line_10_every_field_is_there_and_says_what_is_served,
    line_11_the_signed_part_is_by_a_certificate_of_the_server_and_agrees_with_the_plain_one,
    line_12_a_community_is_asked_for_by_its_uri,
    line_50_the_network_asks_for_its_certification,
    smart_configuration_is_json_whatever_is_accepted,
    every_look_leaves_one_audit_row,
}

const UDAP: &str = "/.well-known/udap";

fn metadata(app: &TestApp, query: &str) -> Value {
    app.get(&format!("{UDAP}{query}")).send().expect(200).json()
}

fn line_7_metadata_is_public_json_below_the_fhir_base(server: &Trusting) {
    let answer = server.app.get(UDAP).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.json().is_object());
    server.app.request("HEAD", UDAP).send().expect(200);
    let refused = server.app.post(UDAP, "").send().expect(405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD"));
}

#[test]
fn line_8_a_server_without_communities_has_no_udap() {
    let app = TestApp::start(Database::sqlite(), &[]);
    for query in ["", "?community=urn:oid:2.999.1"] {
        app.get(&format!("{UDAP}{query}")).send().expect(404);
    }
}

fn line_10_every_field_is_there_and_says_what_is_served(server: &Trusting) {
    let document = metadata(&server.app, "");
    for (name, expected) in [
        ("udap_versions_supported", json!(["1"])),
        ("udap_profiles_supported", json!(["udap_dcr", "udap_authn", "udap_authz"])),
        ("udap_authorization_extensions_supported", json!(["hl7-b2b", "hl7-b2b-user", "tefca_ias", "cms_smart"])),
        ("udap_authorization_extensions_required", json!(["hl7-b2b"])),
        ("udap_certifications_supported", json!([])),
        ("grant_types_supported", json!(["client_credentials"])),
        ("scopes_supported", json!(["system/Patient.rs", "system/Organization.rs"])),
        ("token_endpoint", json!(server.app.at_root("/oauth/token"))),
        ("registration_endpoint", json!(server.app.at_root("/oauth/register"))),
        ("token_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
    ] {
        assert_eq!(document[name], expected, "{name}");
    }
    for name in
        ["token_endpoint_auth_signing_alg_values_supported", "registration_endpoint_jwt_signing_alg_values_supported"]
    {
        assert!(texts(&document[name]).contains(&"RS256".to_owned()), "{name}");
    }
    for absent in ["authorization_endpoint", "udap_certifications_required"] {
        assert!(document[absent].is_null(), "{absent}");
    }
}

fn line_11_the_signed_part_is_by_a_certificate_of_the_server_and_agrees_with_the_plain_one(server: &Trusting) {
    let document = metadata(&server.app, "");
    let token = jws::parse(document["signed_metadata"].as_str().unwrap()).unwrap();
    assert_eq!(token.header.alg, Algorithm::Rs256);
    let leaf = Certificate::parse(&token.header.x5c[0]).unwrap();
    assert!(leaf.has_uri(&server.app.base), "the certificate names the base URL, byte for byte");
    let trusted = server.app.app.communities().judge(&token.header.x5c).unwrap();
    assert_eq!(trusted.community().community.name, "clinics");
    let verified = token.verify(&PublicKey::from_certificate(&leaf).unwrap()).unwrap();
    assert_eq!((&verified.claims["iss"], &verified.claims["sub"]), (&json!(server.app.base), &json!(server.app.base)));
    for name in ["token_endpoint", "registration_endpoint"] {
        assert_eq!(verified.claims[name], document[name], "{name}");
    }
    let (issued_s, expires_s) = (verified.claims["iat"].as_i64().unwrap(), verified.claims["exp"].as_i64().unwrap());
    assert!(expires_s > issued_s && expires_s - issued_s <= 365 * 24 * 3600);
    assert!(verified.claims["jti"].is_string());
}

fn line_12_a_community_is_asked_for_by_its_uri(server: &Trusting) {
    let signer_of = |query: &str| {
        let document = metadata(&server.app, query);
        let token = jws::parse(document["signed_metadata"].as_str().unwrap()).unwrap();
        let trusted = server.app.app.communities().judge(&token.header.x5c).unwrap();
        trusted.community().community.name.clone()
    };
    assert_eq!(signer_of(""), "clinics");
    assert_eq!(signer_of(&format!("?community={CLINICS}")), "clinics");
    assert_eq!(signer_of(&format!("?community={NETWORK}")), "network");
    for unknown in ["urn:oid:2.999.9", "URN:OID:2.999.1", ""] {
        server.app.get(&format!("{UDAP}?community={unknown}")).send().expect(204);
    }
}

fn line_50_the_network_asks_for_its_certification(server: &Trusting) {
    let document = metadata(&server.app, &format!("?community={NETWORK}"));
    let certification = json!(["https://rce.sequoiaproject.org/udap/profiles/basic-app-certification"]);
    assert_eq!(document["udap_certifications_supported"], certification);
    assert_eq!(document["udap_certifications_required"], certification);
    assert_eq!(document["scopes_supported"], json!(["system/*.rs"]), "wildcards are listed");
}

fn smart_configuration_is_json_whatever_is_accepted(server: &Trusting) {
    for accept in ["application/json", "application/fhir+xml", "text/html"] {
        let answer = server.app.get("/.well-known/smart-configuration").header("accept", accept).send().expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.json();
        assert_eq!(document["token_endpoint"], server.app.at_root("/oauth/token"));
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert!(texts(&document["capabilities"]).contains(&"client-confidential-asymmetric".to_owned()));
        let algorithms = &document["token_endpoint_auth_signing_alg_values_supported"];
        assert_eq!(*algorithms, json!(["RS384", "ES384"]));
        assert_eq!(document["authorization_endpoint"], server.app.at_root("/oauth/authorize"));
        assert_eq!(document["issuer"], server.app.at_root(""));
    }
}

fn every_look_leaves_one_audit_row(server: &Trusting) {
    let keys = server.app.at_root("/oauth/jwks");
    for path in [UDAP, "/.well-known/udap?community=urn:x:y", "/.well-known/smart-configuration", &keys] {
        let before = server.app.audit_rows();
        server.app.get(path).send();
        assert_eq!(server.app.audit_rows(), before + 1, "{path}");
    }
}
