//! Apps of people that register themselves by UDAP. The numbers are those of docs/conformance.md.

use idi_match::app::auth::clients;
use idi_match::app::clock::Clock;
use idi_match::auth::certificate::Certificate;
use idi_match::auth::jws;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::launch::{Launch, REDIRECT, SCOPE, VERIFIER, id_token_claims, location, own_patient, parameter};
use crate::support::Database;
use crate::trust::{Client, Trust, Trusting, error, post_form};

const URI: &str = "https://client.example/app";

macro_rules! of_people_on_both_databases {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&super::server(crate::support::Database::sqlite()));
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(&super::server(crate::support::Database::postgres()));
            })+
        }
    };
}

of_people_on_both_databases! {
    line_15_an_app_registers_with_what_the_guide_asks_for,
    line_24_an_app_gets_tokens_for_a_person_with_its_certificate,
    line_26_the_operators_switch_lets_a_test_suite_register_http,
    line_13_the_issuer_has_metadata_of_its_own,
    line_44_a_provider_for_other_data_holders_gives_a_chain_and_no_refresh_token,
}

fn server(database: Database) -> Trusting {
    Trusting::start_in(Trust::of_people(), database)
}

/// What an app says of itself, beside what every client does.
fn of_app(changes: &Value) -> Value {
    let own = json!({
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "redirect_uris": [REDIRECT], "logo_uri": "https://client.example/logo.png",
        "scope": format!("{SCOPE} udap system/Patient.rs"),
    });
    // Null in changes takes a member away for good.
    let mut merged = own;
    for (name, value) in changes.as_object().unwrap() {
        merged[name] = value.clone();
    }
    merged
}

fn registered(server: &Trusting) -> (Client, Launch<'_>) {
    let client = server.trust.client(URI);
    let answer = client.register(&server.app, &of_app(&json!({}))).expect(201);
    let launch = Launch::of(&server.app, answer.json()["client_id"].as_str().unwrap().to_owned());
    server.app.store_patient(&own_patient("own"));
    (client, launch)
}

/// A token request with the client's assertion.
fn ask(server: &Trusting, client: &Client, client_id: &str, pairs: &[(&str, &str)]) -> Answer {
    let assertion = client.assertion(&server.app, client_id, &json!({"extensions": null}));
    let signed = [
        ("client_assertion_type", crate::trust::ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("udap", "1"),
    ];
    let pairs: Vec<(&str, &str)> = pairs.iter().copied().chain(signed).collect();
    post_form(&server.app, "/oauth/token", &pairs)
}

fn redeem(server: &Trusting, client: &Client, launch: &Launch<'_>, code: &str) -> Answer {
    let pairs =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    ask(server, client, &launch.client_id, &pairs)
}

fn line_15_an_app_registers_with_what_the_guide_asks_for(server: &Trusting) {
    let client = server.trust.client(URI);
    let (metadata, redirect) = ("invalid_client_metadata", "invalid_redirect_uri");
    for (changes, expected) in [
        (json!({"redirect_uris": null}), redirect),
        (json!({"redirect_uris": []}), redirect),
        (json!({"redirect_uris": ["http://client.example/cb"]}), redirect),
        (json!({"redirect_uris": ["https://*.client.example/cb"]}), redirect),
        (json!({"redirect_uris": [REDIRECT, "https://client.example/cb#x"]}), redirect),
        (json!({"response_types": null}), metadata),
        (json!({"response_types": ["token"]}), metadata),
        (json!({"logo_uri": null}), metadata),
        (json!({"grant_types": ["authorization_code", "client_credentials"]}), metadata),
        (json!({"grant_types": ["refresh_token"]}), metadata),
        (json!({"token_endpoint_auth_method": "none"}), metadata),
        (json!({"scope": "system/Patient.rs"}), metadata),
    ] {
        assert_eq!(error(&client.register(&server.app, &of_app(&changes)).expect(400)), expected, "{changes}");
    }
    let answer = client.register(&server.app, &of_app(&json!({}))).expect(201).json();
    for (name, value) in of_app(&json!({})).as_object().unwrap().iter().filter(|(name, _)| *name != "scope") {
        assert_eq!(&answer[name], value, "{name}");
    }
    // system/ is for clients without people (FAST Security 7.3).
    assert_eq!(answer["scope"], format!("{SCOPE} udap"));
}

fn line_24_an_app_gets_tokens_for_a_person_with_its_certificate(server: &Trusting) {
    let (client, launch) = registered(server);
    let mut browser = launch.browser("robin");
    // The address may be left out, and UDAP knows no aud.
    let question = launch.ask(&mut browser, &[("redirect_uri", ""), ("aud", "")]);
    assert!(question.text().contains("has registered itself as a member of the trust community “clinics”"));
    let code = launch.code(&mut browser, &[]);
    let named = launch.redeem(&code, &[]).expect(400);
    assert_eq!(error(&named), "invalid_client", "its id alone is no proof");
    let token = redeem(server, &client, &launch, &code).expect(200).json();
    assert_eq!((&token["patient"], &token["scope"]), (&json!("own"), &json!(SCOPE)));
    assert_eq!(id_token_claims(&server.app, token["id_token"].as_str().unwrap())["aud"], json!(launch.client_id));
    // Line 33: a refresh with a fresh assertion.
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", token["refresh_token"].as_str().unwrap())];
    assert_eq!(error(&launch.refresh(refresh[1].1, &[]).expect(400)), "invalid_client");
    let again = ask(server, &client, &launch.client_id, &refresh).expect(200).json();
    assert!(again["expires_in"].as_i64().is_some_and(|seconds| seconds <= 3600));
    assert_eq!(error(&ask(server, &client, &launch.client_id, &refresh).expect(400)), "invalid_grant");
    let stolen = server.trust.client("https://client.example/other");
    let code = launch.code(&mut browser, &[]);
    let other = stolen.register(&server.app, &of_app(&json!({}))).expect(201).json();
    let other = Launch::of(&server.app, other["client_id"].as_str().unwrap().to_owned());
    assert_eq!(error(&redeem(server, &stolen, &other, &code).expect(400)), "invalid_grant");
}

fn line_26_the_operators_switch_lets_a_test_suite_register_http(server: &Trusting) {
    let (client, launch) = registered(server);
    let http = of_app(&json!({"redirect_uris": ["http://suite.example/cb"]}));
    assert_eq!(error(&client.register(&server.app, &http).expect(400)), "invalid_redirect_uri");
    let relax =
        |words: &[&str]| clients::relax(server.app.config(), Clock::system(), &launch.client_id, words).unwrap();
    relax(&["no-pkce", "http-redirect"]);
    let answer = client.register(&server.app, &http).expect(200).json();
    assert_eq!(answer["client_id"], json!(launch.client_id));
    let mut browser = launch.browser("robin");
    let changes = [("redirect_uri", "http://suite.example/cb"), ("code_challenge", ""), ("code_challenge_method", "")];
    let answer = launch.answer(&mut browser, &changes, "allow").expect(303);
    assert!(parameter(location(&answer), "code").is_some());
    let strict = server.trust.client("https://client.example/strict");
    assert_eq!(error(&strict.register(&server.app, &http).expect(400)), "invalid_redirect_uri", "for one client alone");
    relax(&[]);
    assert_eq!(error(&client.register(&server.app, &http).expect(400)), "invalid_redirect_uri");
}

fn line_13_the_issuer_has_metadata_of_its_own(server: &Trusting) {
    let (app, issuer) = (&server.app, server.app.at_root(""));
    for (path, speaker) in [("/.well-known/udap", issuer.as_str()), ("/fhir/.well-known/udap", app.base.as_str())] {
        let document = app.get(&app.at_root(path)).send().expect(200).json();
        let signed = jws::parse(document["signed_metadata"].as_str().unwrap()).unwrap();
        let leaf = Certificate::parse(&signed.header.x5c[0]).unwrap();
        assert!(leaf.has_uri(speaker), "{path}");
        assert_eq!((&signed.claims["iss"], &signed.claims["sub"]), (&json!(speaker), &json!(speaker)), "{path}");
        for name in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
            assert_eq!(signed.claims[name], document[name], "{path} {name}");
        }
        assert_eq!(
            document["grant_types_supported"],
            json!(["authorization_code", "refresh_token", "client_credentials"])
        );
        assert!(document["scopes_supported"].as_array().unwrap().contains(&json!("udap")));
        assert_eq!(document["udap_authorization_extensions_required"], json!([]), "a code brings no extension");
    }
}

fn line_44_a_provider_for_other_data_holders_gives_a_chain_and_no_refresh_token(server: &Trusting) {
    let (client, launch) = registered(server);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[("scope", "openid udap profile offline_access")]);
    let token = redeem(server, &client, &launch, &code).expect(200).json();
    assert!(token["refresh_token"].is_null(), "{token}");
    assert!(token["expires_in"].as_i64().is_some_and(|seconds| seconds <= 300), "{token}");
    let id_token = jws::parse(token["id_token"].as_str().unwrap()).unwrap();
    assert!(Certificate::parse(&id_token.header.x5c[0]).unwrap().has_uri(&server.app.at_root("")));
    for name in ["iss", "sub", "aud", "exp", "iat", "acr", "amr", "nonce", "jti"] {
        assert!(id_token.claims.contains_key(name), "{name}");
    }
}
