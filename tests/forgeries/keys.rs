//! Forged tokens whose key is found by its name: access tokens, and assertions of clients with a list of keys.
//!
//! Also whatever is a sound token of one purpose and is shown for another. Not here: tokens that bring certificates
//! (see `tokens`).

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use idi_match::assurance::entity::EntityType;
use idi_match::assurance::level::{AuthenticationLevel, IdentityLevel};
use idi_match::auth::access_token::{self, Grant, Holder, OwnKey};
use idi_match::auth::error::Reason;
use idi_match::auth::jws::{self, PublicKey, claims};
use idi_match::auth::scope::Scopes;
use idi_match::auth::signing::Signer;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Map, Value, json};

use crate::pki::{Authority, Kind, Leaf, NOW_S, NOW_US};

const ISSUER: &str = "https://here.example";

const AUDIENCE: &str = "https://here.example/fhir";

const ENDPOINT: &str = "https://here.example/oauth/token";

const CLIENT: &str = "client-1";

/// A server with two keys, a client with two keys, and a stranger.
struct Parties {
    server: [Leaf; 2],
    client: [Leaf; 2],
    stranger: Leaf,
}

impl Parties {
    fn new() -> Self {
        let root = Authority::root("Keys", Kind::P256);
        let leaf = |kind| root.leaf(&[], kind);
        Self {
            server: [leaf(Kind::P256), leaf(Kind::P256)],
            client: [leaf(Kind::P384), leaf(Kind::Rsa)],
            stranger: leaf(Kind::P256),
        }
    }

    fn own_keys(&self) -> Vec<OwnKey> {
        let keys = self.server.iter().enumerate();
        keys.map(|(at, leaf)| OwnKey { kid: format!("own-{at}"), key: leaf.signer().public_key().unwrap() }).collect()
    }

    /// What the FHIR routes do with a token.
    fn accept_access(&self, text: &str) -> Result<(), Reason> {
        let read = access_token::verify(text, &self.own_keys(), ISSUER, AUDIENCE, NOW_US);
        read.map(|_| ()).map_err(|refusal| refusal.log)
    }

    /// What the token endpoint does with the assertion of a client that has registered a list of keys.
    fn accept_assertion(&self, text: &str) -> Result<(), Reason> {
        let token = jws::parse(text).map_err(jws::JwsError::reason)?;
        let kid = token.header.kid.clone().ok_or(Reason::KeyUnknown)?;
        let jwks: Vec<Value> = self.client.iter().map(|leaf| leaf.signer().public_jwk()).collect();
        let jwk = jwks.iter().find(|jwk| jwk["kid"] == kid.as_str()).ok_or(Reason::KeyUnknown)?;
        let key = PublicKey::from_jwk(jwk).map_err(jws::JwsError::reason)?;
        let token = token.verify(&key).map_err(jws::JwsError::reason)?;
        let client = claims::issuer_and_subject(&token).map_err(|error| error.0)?;
        if client != CLIENT {
            return Err(Reason::ClientUnknown);
        }
        claims::audience(&token, &[ENDPOINT]).map_err(|error| error.0)?;
        claims::times(&token, NOW_US, 5, 300).map(|_| ()).map_err(|error| error.0)
    }
}

fn grant() -> Grant {
    Grant {
        client_id: CLIENT.into(),
        community: None,
        organization_id: None,
        entity_type: Some(EntityType::CoveredEntity),
        purposes: vec!["TREAT".into()],
        scopes: Scopes::parse("system/Patient.rs").unwrap(),
        identity_level: IdentityLevel::Idial1_5,
        authentication_level: AuthenticationLevel::Aal1,
        extensions: BTreeMap::new(),
        token_id: "token-1".into(),
        expires_us: NOW_US + 300_000_000,
        subject: None,
        patient: None,
        holder: Holder::Client,
    }
}

fn access_claims() -> Map<String, Value> {
    access_token::claims_of(&grant(), ISSUER, AUDIENCE, NOW_US)
}

fn access_text() -> String {
    Value::Object(access_claims()).to_string()
}

fn assertion_claims() -> Value {
    json!({"iss": CLIENT, "sub": CLIENT, "aud": ENDPOINT, "iat": NOW_S, "exp": NOW_S + 300, "jti": "assertion-1"})
}

fn header(more: Value) -> String {
    let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "own-0"}).as_object().unwrap().clone();
    let Value::Object(more) = more else { panic!("{more}") };
    header.extend(more);
    Value::Object(header).to_string()
}

type Case = (String, String, Reason);

fn forged_access(parties: &Parties) -> Vec<Case> {
    let own = &parties.server[0];
    let stranger = &parties.stranger;
    let signed = |more: Value| own.raw_token(&header(more), &access_text());
    let mut all: Vec<Case> = Vec::new();
    let mut add = |name: &str, text: String, reason| all.push((format!("access token: {name}"), text, reason));
    add("by a stranger", stranger.raw_token(&header(json!({})), &access_text()), Reason::SignatureInvalid);
    add(
        "by the other own key",
        parties.server[1].raw_token(&header(json!({})), &access_text()),
        Reason::SignatureInvalid,
    );
    let brought = stranger.raw_token(&header(json!({"jwk": stranger.signer().public_jwk()})), &access_text());
    add("with a key of its own", brought, Reason::HeaderNotAllowed);
    let certificate = base64::engine::general_purpose::STANDARD.encode(&own.der);
    add("with certificates", signed(json!({"x5c": [certificate]})), Reason::HeaderNotAllowed);
    add("with an address of keys", signed(json!({"jku": "https://here.example/oauth/jwks"})), Reason::HeaderNotAllowed);
    for kid in ["own-2", "OWN-0", "own-0 ", "own-0\u{0}", "../own-0", "own-0' OR '1'='1", "*", "0", "/dev/null"] {
        add(&format!("kid {kid:?}"), signed(json!({"kid": kid})), Reason::KeyUnknown);
    }
    let mut without_kid = json!({"alg": "ES256", "typ": "at+jwt"});
    add("no kid", own.raw_token(&without_kid.to_string(), &access_text()), Reason::KeyUnknown);
    without_kid["kid"] = json!("own-0");
    without_kid["typ"] = json!("JWT");
    add("of type JWT", own.raw_token(&without_kid.to_string(), &access_text()), Reason::TypeNotAllowed);
    without_kid.as_object_mut().unwrap().remove("typ");
    add("of no type", own.raw_token(&without_kid.to_string(), &access_text()), Reason::TypeNotAllowed);
    for typ in ["AT+JWT", "at+JWT", "application/at+jwt", "at+jwt ", "at", "id+jwt"] {
        add(&format!("of type {typ:?}"), signed(json!({"typ": typ})), Reason::TypeNotAllowed);
    }
    for alg in ["none", "HS256", "PS256", "EdDSA", "ES256K"] {
        add(&format!("alg {alg}"), signed(json!({"alg": alg})), Reason::AlgorithmNotAllowed);
    }
    for alg in ["RS256", "RS384", "ES384"] {
        add(&format!("alg {alg}"), signed(json!({"alg": alg})), Reason::KeyMismatch);
    }
    for (form, secret) in [
        ("the key", own.key.public_key_raw().to_vec()),
        ("the JWK", own.signer().public_jwk().to_string().into_bytes()),
    ] {
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header(json!({"alg": "HS256"}))),
            URL_SAFE_NO_PAD.encode(access_text())
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        let text = format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag));
        add(&format!("HMAC with {form}"), text, Reason::AlgorithmNotAllowed);
    }
    let zero = format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(header(json!({}))),
        URL_SAFE_NO_PAD.encode(access_text()),
        URL_SAFE_NO_PAD.encode([0; 64])
    );
    add("signed with zeros", zero, Reason::SignatureInvalid);
    all.extend(changed_access(own));
    all
}

/// Rightly signed by the server's key, with claims that it does not write.
fn changed_access(own: &Leaf) -> Vec<Case> {
    let mut all = Vec::new();
    for (name, value, reason) in [
        ("iss", json!("https://evil.example"), Reason::IssuerMismatch),
        ("aud", json!(ENDPOINT), Reason::AudienceMismatch),
        ("aud", json!(ISSUER), Reason::AudienceMismatch),
        ("exp", json!(NOW_S), Reason::ClaimInvalid("exp")),
        ("exp", json!(NOW_S + 3601), Reason::LifetimeTooLong),
        ("iat", json!(NOW_S + 6), Reason::ClockSkew),
        ("scope", json!("system/Patient.rs  system/*.cruds"), Reason::ClaimInvalid("scope")),
        ("acr", json!("http://udap.org/code/id/idial9"), Reason::ClaimInvalid("acr")),
        ("client_id", json!(["client-1"]), Reason::ClaimInvalid("client_id")),
    ] {
        let mut claims = access_claims();
        claims.insert(name.into(), value.clone());
        let text = own.raw_token(&header(json!({})), &Value::Object(claims).to_string());
        all.push((format!("access token: {name} {value}"), text, reason));
    }
    let text = access_text();
    let twice = format!(r#"{},"scope":"system/*.cruds"}}"#, &text[..text.len() - 1]);
    all.push(("access token: two scopes".into(), own.raw_token(&header(json!({})), &twice), Reason::DuplicateMember));
    all
}

fn forged_assertions(parties: &Parties) -> Vec<Case> {
    let [curve, rsa] = &parties.client;
    let kid = |leaf: &Leaf| leaf.signer().kid.clone();
    let claims = assertion_claims().to_string();
    let with =
        |leaf: &Leaf, alg: &str, kid: Value| leaf.raw_token(&json!({"alg": alg, "kid": kid}).to_string(), &claims);
    let mut all: Vec<Case> = Vec::new();
    let mut add = |name: &str, text: String, reason| all.push((format!("assertion: {name}"), text, reason));
    add("by a stranger", with(&parties.stranger, "ES384", json!(kid(curve))), Reason::SignatureInvalid);
    add("by a stranger on another curve", with(&parties.stranger, "ES256", json!(kid(curve))), Reason::KeyMismatch);
    add(
        "by a stranger with its name",
        with(&parties.stranger, "ES256", json!(kid(&parties.stranger))),
        Reason::KeyUnknown,
    );
    add("by the other key", with(rsa, "ES384", json!(kid(curve))), Reason::SignatureInvalid);
    add("by the other key and algorithm", with(rsa, "RS256", json!(kid(curve))), Reason::KeyMismatch);
    add("the key of a curve for RSA", with(curve, "RS256", json!(kid(rsa))), Reason::SignatureInvalid);
    add("RS384 that is RS256", with(rsa, "RS384", json!(kid(rsa))), Reason::SignatureInvalid);
    add("no kid", curve.raw_token(r#"{"alg":"ES384"}"#, &claims), Reason::KeyUnknown);
    for name in ["", "0"] {
        let reason = if name.is_empty() { Reason::HeaderNotAllowed } else { Reason::KeyUnknown };
        add(&format!("kid {name:?}"), with(curve, "ES384", json!(name)), reason);
    }
    for alg in ["none", "HS256", "HS384"] {
        add(&format!("alg {alg}"), with(curve, alg, json!(kid(curve))), Reason::AlgorithmNotAllowed);
    }
    for name in ["iss", "sub", "aud"] {
        let mut changed = assertion_claims();
        changed[name] = json!("https://evil.example");
        let reason = if name == "aud" { Reason::AudienceMismatch } else { Reason::SubjectMismatch };
        let header = json!({"alg": "ES384", "kid": kid(curve)}).to_string();
        add(&format!("{name} of somebody else"), curve.raw_token(&header, &changed.to_string()), reason);
    }
    all
}

/// Sound for what it is, and shown for something else.
fn exchanged(parties: &Parties) -> Vec<(String, Result<(), Reason>, Reason)> {
    let own = &parties.server[0];
    let client = &parties.client[0];
    let kid = client.signer().kid;
    let access = own.raw_token(&header(json!({})), &access_text());
    let assertion = client.raw_token(&json!({"alg": "ES384", "kid": kid}).to_string(), &assertion_claims().to_string());
    let id_token = own.raw_token(&header(json!({"typ": "JWT"})), &access_text());
    let as_access = client.raw_token(&json!({"alg": "ES384", "kid": kid, "typ": "at+jwt"}).to_string(), &access_text());
    vec![
        ("an access token as assertion".into(), parties.accept_assertion(&access), Reason::KeyUnknown),
        ("an assertion as access token".into(), parties.accept_access(&assertion), Reason::KeyUnknown),
        ("an ID token as access token".into(), parties.accept_access(&id_token), Reason::TypeNotAllowed),
        ("an access token of the client's own making".into(), parties.accept_access(&as_access), Reason::KeyUnknown),
        ("a token of that type as assertion".into(), parties.accept_assertion(&as_access), Reason::TypeNotAllowed),
    ]
}

#[test]
fn no_token_with_another_key_or_purpose_is_accepted() {
    let parties = Parties::new();
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    let access = forged_access(&parties).into_iter().map(|case| (parties.accept_access(&case.1), case));
    let assertions = forged_assertions(&parties).into_iter().map(|case| (parties.accept_assertion(&case.1), case));
    let judged = access.chain(assertions).map(|(judged, (name, _, expected))| (name, judged, expected));
    for (name, judged, expected) in judged.chain(exchanged(&parties)) {
        if judged != Err(expected) {
            wrong.push(format!("{name}: {judged:?}, not {expected:?}"));
        }
        assert!(names.insert(name.clone()), "{name} stands twice");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} forged tokens with named keys, none accepted", names.len());
    assert!(names.len() >= 50, "{}", names.len());
}

#[test]
fn tokens_with_the_right_key_and_purpose_are_accepted() {
    let parties = Parties::new();
    for (at, leaf) in parties.server.iter().enumerate() {
        let text = leaf.raw_token(&header(json!({"kid": format!("own-{at}")})), &access_text());
        assert_eq!(parties.accept_access(&text), Ok(()));
        let signer = leaf.signer().with_kid(format!("own-{at}"));
        assert_eq!(parties.accept_access(&signer.sign("at+jwt", None, &access_claims()).unwrap()), Ok(()));
    }
    for leaf in &parties.client {
        let (signer, claims) = (leaf.signer(), assertion_claims());
        for typ in ["JWT", "jwt"] {
            let text = signer.sign(typ, None, claims.as_object().unwrap()).unwrap();
            assert_eq!(parties.accept_assertion(&text), Ok(()));
        }
    }
    let rs384 = parties.client[1].signer().with_algorithm(jws::Algorithm::Rs384).unwrap();
    let text = rs384.sign("JWT", None, assertion_claims().as_object().unwrap()).unwrap();
    assert_eq!(parties.accept_assertion(&text), Ok(()));
}

#[test]
fn a_signer_reads_every_usual_form_of_a_key_and_knows_its_certificate() {
    let root = Authority::root("Signers", Kind::P256);
    let stranger = root.leaf(&[], Kind::P256);
    for kind in Kind::ACCEPTED {
        let leaf = root.leaf(&[], kind);
        let signer = Signer::from_pem(&leaf.key_pem()).unwrap();
        assert_eq!(signer.alg.name(), leaf.algorithm());
        let jwk: Jwk = serde_json::from_value(signer.public_jwk()).unwrap();
        assert_eq!(signer.kid, jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), "RFC 7638, as another library has it");
        let certificate = |der: &[u8]| idi_match::auth::certificate::Certificate::parse(der).unwrap();
        assert!(signer.fits(&certificate(&leaf.der)));
        assert!(!signer.fits(&certificate(&stranger.der)));
        assert!(!format!("{signer:?}").contains("BEGIN"), "{signer:?}");
        let text = signer.sign("JWT", Some(&leaf.chain(&[&root])), &Map::new()).unwrap();
        let token = jws::parse(&text).unwrap();
        assert_eq!(token.header.x5c, leaf.chain(&[&root]));
        assert!(token.verify(&PublicKey::from_certificate(&certificate(&leaf.der)).unwrap()).is_ok());
    }
    for kind in [Kind::P521, Kind::Ed25519] {
        assert!(Signer::from_pem(&root.leaf(&[], kind).key_pem()).is_err(), "{kind:?}");
    }
    for text in ["", "text", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"] {
        assert!(Signer::from_pem(text).is_err(), "{text}");
    }
}
