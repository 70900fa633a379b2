//! SMART backend services: clients that an operator has added with their keys (SMART App Launch 2.2).

use idi_match::app::auth::clients::{self, ClientKeys, NewClient};
use idi_match::app::clock::Clock;
use idi_match::auth::signing::Signer;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::pki::{Authority, Kind, Leaf};
use crate::support::TestApp;
use crate::trust::{ASSERTION_TYPE, changed, error, fresh, now_s, post_form};

on_both_databases! {
    a_service_gets_a_token_with_either_algorithm,
    assertions_that_break_a_rule_are_no_authentication,
    an_assertion_is_taken_as_clients_of_openid_connect_write_it,
    exactly_one_key_has_the_name_and_the_kind,
    an_assertion_is_used_once,
    scopes_are_those_that_the_operator_gave,
    the_two_kinds_of_clients_are_not_taken_for_each_other,
    a_disabled_service_has_no_tokens_any_more,
    the_address_of_keys_is_the_registered_one,
    claims_are_judged_before_keys_are_fetched,
}

/// A key of a service, as a leaf that nobody certifies.
fn key(kind: Kind) -> Leaf {
    Authority::root("Nobody", Kind::P256).leaf(&[], kind)
}

fn public(leaf: &Leaf, kid: &str) -> Value {
    let signer: Signer = leaf.signer().with_kid(kid);
    let mut jwk = signer.public_jwk();
    // A key may be used with another algorithm of its kind.
    jwk.as_object_mut().unwrap().remove("alg");
    jwk
}

fn add(app: &TestApp, scope: &str, keys: &[Value]) -> String {
    let new = NewClient {
        addresses: Default::default(),
        name: "Backend".to_owned(),
        scope: scope.to_owned(),
        keys: ClientKeys::Inline(json!({ "keys": keys }).to_string()),
    };
    clients::add(&app.app.config, Clock::system(), &new).unwrap().client_id
}

fn signed(leaf: &Leaf, alg: &str, header: &Value, claims: &Value) -> String {
    use base64::Engine as _;
    let encode = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(leaf.sign(alg, text.as_bytes()));
    format!("{text}.{signature}")
}

fn header(alg: &str) -> Value {
    json!({"alg": alg, "kid": "k1", "typ": "JWT"})
}

fn claims(app: &TestApp, id: &str) -> Value {
    json!({"iss": id, "sub": id, "aud": app.at_root("/oauth/token"), "exp": now_s() + 290, "jti": fresh("smart")})
}

fn ask(app: &TestApp, assertion: &str, scope: &str) -> Answer {
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
        ("scope", scope),
    ];
    post_form(app, "/oauth/token", &pairs)
}

fn a_service_gets_a_token_with_either_algorithm(app: &TestApp) {
    for (kind, alg) in [(Kind::Rsa, "RS384"), (Kind::P384, "ES384")] {
        let leaf = key(kind);
        let id = add(app, "system/Patient.rs system/Organization.read", &[public(&leaf, "k1")]);
        let assertion = signed(&leaf, alg, &header(alg), &claims(app, &id));
        let answer = ask(app, &assertion, "system/Patient.rs").expect(200);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
        let body = answer.json();
        assert_eq!((&body["scope"], &body["token_type"]), (&json!("system/Patient.rs"), &json!("Bearer")));
        assert!(body["expires_in"].as_i64().is_some_and(|seconds| (1..=300).contains(&seconds)), "{body}");
        assert!(body["refresh_token"].is_null());
        let token = body["access_token"].as_str().unwrap();
        let granted = app.app.verify_access_token(token, (Clock::system().now_us)()).unwrap();
        assert_eq!((granted.grant.client_id, granted.grant.community, granted.context), (id, None, None));
    }
}

fn assertions_that_break_a_rule_are_no_authentication(app: &TestApp) {
    let (leaf, other) = (key(Kind::P384), key(Kind::P384));
    let id = add(app, "system/Patient.rs", &[public(&leaf, "k1")]);
    let send = |leaf: &Leaf, header: &Value, changes: &Value| {
        ask(app, &signed(leaf, "ES384", header, &changed(&claims(app, &id), changes)), "system/Patient.rs")
    };
    let good = header("ES384");
    let of_header = |changes: Value| changed(&good, &changes);
    for (what, answer) in [
        ("another key", send(&other, &good, &json!({}))),
        ("no key id", send(&leaf, &of_header(json!({"kid": null})), &json!({}))),
        ("an unknown key id", send(&leaf, &of_header(json!({"kid": "k2"})), &json!({}))),
        ("another type", send(&leaf, &of_header(json!({"typ": "at+jwt"})), &json!({}))),
        (
            "an address that is not registered",
            send(&leaf, &of_header(json!({"jku": "https://x.example/k"})), &json!({})),
        ),
        ("no algorithm", send(&leaf, &of_header(json!({"alg": "none"})), &json!({}))),
        ("another audience", send(&leaf, &good, &json!({"aud": app.base}))),
        ("an expired one", send(&leaf, &good, &json!({"exp": now_s() - 100}))),
        ("one that lives too long", send(&leaf, &good, &json!({"exp": now_s() + 400}))),
        ("another issuer", send(&leaf, &good, &json!({"iss": "x", "sub": "x"}))),
        ("another subject", send(&leaf, &good, &json!({"sub": "x"}))),
        ("no id", send(&leaf, &good, &json!({"jti": null}))),
        ("no token", ask(app, "a.b.c", "system/Patient.rs")),
    ] {
        assert_eq!(error(&answer.expect(400)), "invalid_client", "{what}");
    }
    send(&leaf, &good, &json!({"iat": now_s()})).expect(200);
}

fn an_assertion_is_taken_as_clients_of_openid_connect_write_it(app: &TestApp) {
    let leaf = key(Kind::P384);
    let id = add(app, "system/Patient.rs", &[public(&leaf, "k1")]);
    let send = |changes: Value| {
        let claims = changed(&claims(app, &id), &changes);
        ask(app, &signed(&leaf, "ES384", &json!({"alg": "ES384", "kid": "k1"}), &claims), "system/Patient.rs")
    };
    let issuer = app.at_root("");
    send(json!({"aud": issuer, "iat": now_s(), "nbf": now_s()})).expect(200);
    send(json!({"aud": [issuer, app.at_root("/oauth/token")]})).expect(200);
    for other in [format!("{issuer}/"), app.base.clone(), app.at_root("/oauth/register")] {
        assert_eq!(error(&send(json!({"aud": other})).expect(400)), "invalid_client", "{other}");
    }
}

fn exactly_one_key_has_the_name_and_the_kind(app: &TestApp) {
    let (old, new) = (key(Kind::P384), key(Kind::P384));
    let id = add(app, "system/Patient.rs", &[public(&old, "k0"), public(&new, "k1")]);
    let assertion = signed(&new, "ES384", &header("ES384"), &claims(app, &id));
    ask(app, &assertion, "system/Patient.rs").expect(200);
    let with_old = signed(&old, "ES384", &header("ES384"), &claims(app, &id));
    assert_eq!(error(&ask(app, &with_old, "system/Patient.rs").expect(400)), "invalid_client");
    let twice = NewClient {
        addresses: Default::default(),
        name: "Backend".to_owned(),
        scope: "system/Patient.rs".to_owned(),
        keys: ClientKeys::Inline(json!({"keys": [public(&old, "k1"), public(&new, "k1")]}).to_string()),
    };
    assert!(clients::add(&app.app.config, Clock::system(), &twice).is_err());
}

fn an_assertion_is_used_once(app: &TestApp) {
    let leaf = key(Kind::P384);
    let id = add(app, "system/Patient.rs", &[public(&leaf, "k1")]);
    let assertion = signed(&leaf, "ES384", &header("ES384"), &claims(app, &id));
    ask(app, &assertion, "system/Patient.rs").expect(200);
    let other = app.beside(&[("server.base_url", &app.base)]);
    for app in [app, &other] {
        assert_eq!(error(&ask(app, &assertion, "system/Patient.rs").expect(400)), "invalid_client");
    }
}

fn scopes_are_those_that_the_operator_gave(app: &TestApp) {
    let leaf = key(Kind::P384);
    let id = add(app, "system/Patient.rs", &[public(&leaf, "k1")]);
    let table = [
        ("system/Patient.rs system/Task.rs", Some("system/Patient.rs")),
        ("system/Patient.read", Some("system/Patient.read")),
        ("system/Patient.cruds", Some("system/Patient.rs")),
        ("system/Task.rs", None),
        ("system/*.rs", None),
    ];
    for (scope, expected) in table {
        let answer = ask(app, &signed(&leaf, "ES384", &header("ES384"), &claims(app, &id)), scope);
        match expected {
            Some(expected) => assert_eq!(answer.expect(200).json()["scope"], expected, "{scope}"),
            None => assert_eq!(error(&answer.expect(400)), "invalid_scope", "{scope}"),
        }
    }
}

fn the_two_kinds_of_clients_are_not_taken_for_each_other(app: &TestApp) {
    let leaf = key(Kind::P384);
    let id = add(app, "system/Patient.rs", &[public(&leaf, "k1")]);
    let assertion = signed(&leaf, "ES384", &header("ES384"), &claims(app, &id));
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("udap", "1"),
    ];
    assert_eq!(error(&post_form(app, "/oauth/token", &pairs).expect(400)), "invalid_request");
    let with_chain = leaf.token(&leaf.chain(&[]), &changed(&claims(app, &id), &json!({"iat": now_s()})));
    let pairs =
        pairs.map(|(name, value)| if name == "client_assertion" { (name, with_chain.as_str()) } else { (name, value) });
    assert_eq!(error(&post_form(app, "/oauth/token", &pairs).expect(400)), "invalid_client");
}

fn a_disabled_service_has_no_tokens_any_more(app: &TestApp) {
    let leaf = key(Kind::P384);
    let id = add(app, "system/Patient.rs", &[public(&leaf, "k1")]);
    let fresh = || signed(&leaf, "ES384", &header("ES384"), &claims(app, &id));
    let body = ask(app, &fresh(), "system/Patient.rs").expect(200).json();
    clients::disable(&app.app.config, Clock::system(), &id).unwrap();
    let token = body["access_token"].as_str().unwrap();
    assert!(app.app.verify_access_token(token, (Clock::system().now_us)()).is_err());
    assert_eq!(error(&ask(app, &fresh(), "system/Patient.rs").expect(400)), "invalid_client");
}

/// The keys cannot be had: what is said of an assertion tells whether they were asked for.
fn claims_are_judged_before_keys_are_fetched(app: &TestApp) {
    let leaf = key(Kind::P384);
    let new = NewClient {
        addresses: Default::default(),
        name: "Backend".to_owned(),
        scope: "system/Patient.rs".to_owned(),
        keys: ClientKeys::Url("https://127.0.0.1:1/jwks".to_owned()),
    };
    let id = clients::add(&app.app.config, Clock::system(), &new).unwrap().client_id;
    for (changes, expected) in [
        (json!({}), "The client cannot be authenticated."),
        (json!({"aud": app.base}), "The token is not meant for this endpoint."),
        (json!({"iat": now_s() - 300, "exp": now_s() - 100}), "The token has expired."),
        (json!({"exp": now_s() + 4000}), "The token is valid for too long."),
        (json!({"sub": "x"}), "A claim of the token is not valid."),
        (json!({"jti": null}), "The token lacks a claim."),
    ] {
        let assertion = signed(&leaf, "ES384", &header("ES384"), &changed(&claims(app, &id), &changes));
        let answer = ask(app, &assertion, "system/Patient.rs").expect(400);
        assert_eq!(error(&answer), "invalid_client");
        let description = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.starts_with(expected), "{changes}: {description}");
    }
}

/// Nothing is fetched from this machine: the guard of fetches refuses, and the client is nobody.
fn the_address_of_keys_is_the_registered_one(app: &TestApp) {
    let leaf = key(Kind::P384);
    let new = NewClient {
        addresses: Default::default(),
        name: "Backend".to_owned(),
        scope: "system/Patient.rs".to_owned(),
        keys: ClientKeys::Url("https://127.0.0.1:1/jwks".to_owned()),
    };
    let id = clients::add(&app.app.config, Clock::system(), &new).unwrap().client_id;
    let assertion = signed(&leaf, "ES384", &header("ES384"), &claims(app, &id));
    assert_eq!(error(&ask(app, &assertion, "system/Patient.rs").expect(400)), "invalid_client");
    let plain = NewClient { keys: ClientKeys::Url("http://client.example/jwks".to_owned()), ..new };
    assert!(clients::add(&app.app.config, Clock::system(), &plain).is_err());
}
