//! The token endpoint for UDAP clients, revocation and introspection. The numbers are those of docs/conformance.md.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use idi_match::app::auth::{clients, key_commands};
use idi_match::app::clock::Clock;
use idi_match::assurance::level::{AuthenticationLevel, IdentityLevel};
use idi_match::auth::error::Reason;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::pki::{Authority, Kind};
use crate::support::TestApp;
use crate::trust::{
    ASSERTION_TYPE, Client, T_IAS, T_TREAT, TREAT, Trusting, ask_with, b2b, changed, error, form, fresh, now_s, person,
    post_form, submit,
};

trusting_on_both_databases! {
    line_27_a_request_is_a_form_with_one_assertion_and_no_other_credential,
    line_28_assertions_that_break_a_rule_are_refused_with_their_codes,
    line_28_a_renewed_certificate_of_the_same_uri_needs_no_registration,
    line_29_a_certificate_that_was_revoked_after_the_registration_gets_no_token,
    line_30_a_token_lives_for_an_hour_at_most_and_is_signed_by_a_published_key,
    line_31_client_credentials_need_hl7_b2b_and_give_no_refresh_token,
    line_32_unknown_extensions_are_ignored_and_known_ones_are_judged,
    line_34_the_answer_names_its_scope_and_is_kept_by_nobody,
    line_35_what_was_asserted_is_kept_with_the_token_and_not_in_it,
    line_36_scopes_are_cut_down_silently,
    line_4_an_assertion_is_used_once_also_at_another_instance_and_after_a_restart,
    line_47_an_anchor_of_another_community_does_not_vouch_for_the_client,
    line_51_a_request_of_the_network_has_the_purpose_of_its_client,
    line_52_an_individuals_request_brings_a_genuine_identity_token,
    a_client_of_the_network_speaks_for_its_home_community_alone,
    audit_rows_of_tokens_carry_the_grant_and_the_consent,
    an_assertion_that_is_sent_many_times_at_once_counts_once,
    a_revoked_token_is_no_token_at_any_instance,
    a_token_is_what_was_committed_for_it,
    a_new_key_signs_without_a_restart_and_the_former_one_ends_with_its_tokens,
    only_the_client_of_a_token_learns_what_it_grants,
    a_disabled_client_has_no_tokens_any_more,
    every_request_leaves_one_audit_row_with_its_client_and_reason,
}

const URI: &str = "https://client.example/a";

fn access_token(answer: &Answer) -> String {
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn clock_us() -> i64 {
    (Clock::system().now_us)()
}

fn line_27_a_request_is_a_form_with_one_assertion_and_no_other_credential(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let app = &server.app;
    let assertion = client.assertion(app, &id, &json!({}));
    let good = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("udap", "1"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let others = good.into_iter().filter(|(known, _)| *known != name);
        others.chain([(name, value)]).collect::<Vec<_>>()
    };
    let doubled: Vec<(&str, &str)> = good.into_iter().chain([("udap", "1")]).collect();
    for (what, pairs, expected) in [
        ("a secret", with("client_secret", "x"), "invalid_request"),
        ("another kind of assertion", with("client_assertion_type", "urn:x:y"), "invalid_request"),
        (
            "the typo of the guide",
            with("client_assertion_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            "invalid_request",
        ),
        ("another version", with("udap", "2"), "invalid_request"),
        ("a parameter twice", doubled, "invalid_request"),
        ("no grant type", with("grant_type", ""), "invalid_request"),
        ("another grant type", with("grant_type", "password"), "unsupported_grant_type"),
        ("a grant that it is not registered for", with("grant_type", "authorization_code"), "unauthorized_client"),
        ("another client", with("client_id", "other"), "invalid_client"),
        ("no assertion", with("client_assertion", ""), "invalid_request"),
        ("a zero byte", with("client_id", "a\0b"), "invalid_request"),
        ("an assertion that is none", with("client_assertion", "a.b.c"), "invalid_request"),
    ] {
        assert_eq!(error(&post_form(app, "/oauth/token", &pairs).expect(400)), expected, "{what}");
    }
    let url = app.at_root("/oauth/token");
    let typed = app.post(&url, form(&good).as_str()).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(error(&typed.header("authorization", "Basic eDp5").send().expect(400)), "invalid_request");
    let untyped = app.post(&url, form(&good).as_str()).header("content-type", "application/json").send().expect(400);
    assert_eq!(error(&untyped), "invalid_request");
    app.get(&url).send().expect(405);
    let named = client.assertion(app, &id, &json!({}));
    ask_with(app, &named, &[("client_id", &id)]).expect(200);
}

fn line_28_assertions_that_break_a_rule_are_refused_with_their_codes(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let table = [
        (json!({"iss": URI, "sub": URI}), "invalid_client"),
        (json!({"iss": "nobody", "sub": "nobody"}), "invalid_client"),
        (json!({"sub": URI}), "invalid_client"),
        (json!({"aud": server.app.at_root("/oauth/register")}), "invalid_client"),
        (json!({"aud": server.app.at_root("/oauth/token/")}), "invalid_client"),
        (json!({"aud": server.app.at_root("")}), "invalid_client"),
        (json!({"exp": now_s() + 400}), "invalid_client"),
        (json!({"iat": now_s() - 400, "exp": now_s() - 100}), "invalid_client"),
        (json!({"iat": now_s() + 200, "exp": now_s() + 300}), "invalid_client"),
        (json!({"jti": null}), "invalid_client"),
        (json!({"exp": null}), "invalid_client"),
        (json!({"resources": ["https://other.example"]}), "invalid_request"),
    ];
    for (changes, expected) in table {
        assert_eq!(error(&client.ask(&server.app, &id, &changes).expect(400)), expected, "{changes}");
    }
    let claims = Client::assertion_claims(&server.app, &id, &json!({}));
    let (other, _) = server.registered("https://client.example/b");
    for (what, assertion, expected) in [
        ("another key", other.leaf.token(&client.chain, &claims), "invalid_request"),
        ("no certificate", client.leaf.raw_token(r#"{"alg":"ES256"}"#, &claims.to_string()), "invalid_request"),
        (
            "an algorithm that is not allowed",
            client.leaf.raw_token(r#"{"alg":"none"}"#, &claims.to_string()),
            "invalid_request",
        ),
        ("the certificate of another client", other.leaf.token(&other.chain, &claims), "invalid_client"),
    ] {
        assert_eq!(error(&ask_with(&server.app, &assertion, &[]).expect(400)), expected, "{what}");
    }
    client
        .ask(&server.app, &id, &json!({"aud": [server.app.at_root("/oauth/token"), "https://x.example"]}))
        .expect(200);
}

fn line_28_a_renewed_certificate_of_the_same_uri_needs_no_registration(server: &Trusting) {
    let (_, id) = server.registered(URI);
    let renewed = Client::new(URI, server.trust.root.leaf(&["https://other.example", URI], Kind::P384), &[]);
    renewed.ask(&server.app, &id, &json!({})).expect(200);
    let other_spelling = server.trust.client("https://client.example/A");
    assert_eq!(error(&other_spelling.ask(&server.app, &id, &json!({})).expect(400)), "invalid_client");
}

fn line_29_a_certificate_that_was_revoked_after_the_registration_gets_no_token(server: &Trusting) {
    let (client, id) = server.registered(URI);
    client.token(&server.app, &id);
    server.trust.revoke(&[&client.leaf]);
    server.app.app.communities().reload();
    server.app.wait_until("the list is read", |app| client.ask(app, &id, &json!({})).status == 400);
    assert_eq!(error(&client.ask(&server.app, &id, &json!({}))), "invalid_client");
    let renewed = server.trust.client(URI);
    renewed.ask(&server.app, &id, &json!({})).expect(200);
}

fn line_30_a_token_lives_for_an_hour_at_most_and_is_signed_by_a_published_key(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let answer = client.ask(&server.app, &id, &json!({})).expect(200);
    let expires_in = answer.json()["expires_in"].as_i64().unwrap();
    assert!((1..=3600).contains(&expires_in), "{expires_in}");
    let text = access_token(&answer);
    let token = idi_match::auth::jws::parse(&text).unwrap();
    assert_eq!(token.header.typ.as_deref(), Some("at+jwt"));
    let lifetime = token.claims["exp"].as_i64().unwrap() - token.claims["iat"].as_i64().unwrap();
    assert!((1..=3600).contains(&lifetime), "{lifetime}");
    let keys = server.app.get(&server.app.at_root("/oauth/jwks")).send().expect(200).json();
    let published =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *token.header.kid.as_deref().unwrap());
    assert!(published.is_some_and(|key| key["d"].is_null()), "{keys}");
    assert_eq!(token.claims["aud"], server.app.base);
}

fn line_31_client_credentials_need_hl7_b2b_and_give_no_refresh_token(server: &Trusting) {
    let (client, id) = server.registered(URI);
    for extensions in [Value::Null, json!({}), json!({"hl7-b2b-user": {"version": "1"}}), json!({"other": {}})] {
        let answer = client.ask(&server.app, &id, &json!({"extensions": extensions})).expect(400);
        assert_eq!(error(&answer), "invalid_grant", "{extensions}");
    }
    let answer = client.ask(&server.app, &id, &json!({})).expect(200).json();
    assert!(answer["refresh_token"].is_null());
}

fn line_32_unknown_extensions_are_ignored_and_known_ones_are_judged(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let user = |changes: Value| {
        let object = json!({"version": "1", "purpose_of_use": ["PATRQT"], "user_person": person()});
        json!({"hl7-b2b": b2b(&["PATRQT"]), "hl7-b2b-user": changed(&object, &changes)})
    };
    let mut nameless = person();
    nameless["name"] = json!([]);
    let table = [
        (json!({"hl7-b2b": b2b(&[TREAT]), "other": {"a": 1}}), None),
        (json!({"hl7-b2b": b2b(&["TREAT"])}), None),
        (json!({"hl7-b2b": b2b(&["HMARKT"])}), Some("invalid_grant")),
        (json!({"hl7-b2b": b2b(&[])}), Some("invalid_grant")),
        (json!({"hl7-b2b": changed(&b2b(&[TREAT]), &json!({"version": "2"}))}), Some("invalid_grant")),
        (json!({"hl7-b2b": changed(&b2b(&[TREAT]), &json!({"organization_id": "5"}))}), Some("invalid_grant")),
        (user(json!({})), None),
        (user(json!({"user_person": nameless})), Some("invalid_grant")),
        (user(json!({"purpose_of_use": ["TREAT"]})), Some("invalid_grant")),
        (json!([]), Some("invalid_grant")),
    ];
    for (extensions, expected) in table {
        let answer = client.ask(&server.app, &id, &json!({"extensions": extensions}));
        match expected {
            None => drop(answer.expect(200)),
            Some(expected) => assert_eq!(error(&answer.expect(400)), expected, "{extensions}"),
        }
    }
}

fn line_34_the_answer_names_its_scope_and_is_kept_by_nobody(server: &Trusting) {
    let (client, id) = server.registered(URI);
    for more in [&[][..], &[("scope", "system/Patient.rs")]] {
        let answer = ask_with(&server.app, &client.assertion(&server.app, &id, &json!({})), more).expect(200);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let body = answer.json();
        assert_eq!((&body["scope"], &body["token_type"]), (&json!("system/Patient.rs"), &json!("Bearer")));
    }
    let refused = client.ask(&server.app, &id, &json!({"exp": null})).expect(400);
    assert_eq!((refused.header("cache-control"), refused.header("pragma")), (Some("no-store"), Some("no-cache")));
}

fn line_35_what_was_asserted_is_kept_with_the_token_and_not_in_it(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let user = json!({"version": "1", "purpose_of_use": ["PATRQT"], "user_person": person()});
    let extensions = json!({"hl7-b2b": b2b(&["PATRQT"]), "hl7-b2b-user": user});
    let answer = client.ask(&server.app, &id, &json!({"extensions": extensions})).expect(200);
    let text = access_token(&answer);
    let claims = serde_json::to_string(&idi_match::auth::jws::parse(&text).unwrap().claims).unwrap();
    assert!(!claims.contains("Robin") && !claims.contains("1980"), "{claims}");
    let other = server.beside();
    for app in [&server.app, &other] {
        let granted = app.app.verify_access_token(&text, clock_us()).unwrap();
        assert_eq!(granted.grant.client_id, id);
        assert_eq!(granted.grant.community.as_deref(), Some("clinics"));
        assert_eq!(granted.grant.organization_id.as_deref(), Some("urn:oid:2.999.5"));
        assert_eq!(granted.grant.purposes, ["PATRQT"]);
        assert_eq!(granted.grant.identity_level, IdentityLevel::Idial1_8);
        assert_eq!(granted.grant.authentication_level, AuthenticationLevel::Aal2);
        assert_eq!(granted.grant.extensions.keys().collect::<Vec<_>>(), ["hl7-b2b", "hl7-b2b-user"]);
        let context = granted.context.unwrap();
        assert_eq!(context.b2b_user.unwrap().user_person, person());
    }
    let (mut token, at) = (text.into_bytes(), 60);
    token[at] = if token[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(token).unwrap();
    assert!(server.app.app.verify_access_token(&forged, clock_us()).is_err());
}

fn line_36_scopes_are_cut_down_silently(server: &Trusting) {
    let client = server.trust.client(URI);
    let scope = json!({"scope": "system/Patient.rs system/Organization.rs"});
    let id = client.register(&server.app, &scope).expect(201).json()["client_id"].as_str().unwrap().to_owned();
    let table = [
        ("system/Patient.rs system/Task.rs", None, Some("system/Patient.rs")),
        ("system/Patient.r", None, Some("system/Patient.r")),
        ("system/Patient.read", None, Some("system/Patient.read")),
        ("system/Patient.rs system/Organization.rs", Some("system/Organization.rs"), Some("system/Organization.rs")),
        ("system/*.rs", None, None),
        ("system/Task.rs", None, None),
        ("user/Patient.rs", None, None),
        ("system/Patient.rs", Some("system/Organization.rs"), None),
    ];
    for (asked, limit, expected) in table {
        let assertion = client.assertion(&server.app, &id, &json!({ "scope": limit }));
        let answer = ask_with(&server.app, &assertion, &[("scope", asked)]);
        match expected {
            Some(expected) => assert_eq!(answer.expect(200).json()["scope"], expected, "{asked} {limit:?}"),
            None => assert_eq!(error(&answer.expect(400)), "invalid_scope", "{asked} {limit:?}"),
        }
    }
}

fn line_4_an_assertion_is_used_once_also_at_another_instance_and_after_a_restart(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let assertion = client.assertion(&server.app, &id, &json!({"jti": "same"}));
    let refused = client.assertion(&server.app, &id, &json!({"extensions": {}}));
    ask_with(&server.app, &assertion, &[]).expect(200);
    assert_eq!(error(&ask_with(&server.app, &refused, &[]).expect(400)), "invalid_grant");
    // Each instance is a process that knows nothing but what the database says, as one after a restart.
    let other = server.beside();
    for app in [&server.app, &other] {
        for used in [&assertion, &refused] {
            assert_eq!(error(&ask_with(app, used, &[]).expect(400)), "invalid_client");
        }
    }
    let (another, another_id) = server.registered("https://client.example/b");
    another.ask(&server.app, &another_id, &json!({"jti": "same"})).expect(200);
}

fn line_47_an_anchor_of_another_community_does_not_vouch_for_the_client(server: &Trusting) {
    let (_, id) = server.registered(URI);
    let stranger = Authority::root("Stranger", Kind::P256);
    for client in [server.trust.network_client(URI), Client::new(URI, stranger.leaf(&[URI], Kind::P256), &[&stranger])]
    {
        assert_eq!(error(&client.ask(&server.app, &id, &json!({})).expect(400)), "invalid_client");
    }
}

/// A registered client of the network.
fn member(server: &Trusting, purpose: &str) -> (Client, String) {
    let client = server.trust.network_client(&format!("https://client.example/x#{purpose}"));
    let purposes = json!({"exchange_purposes": [format!("urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#{purpose}")]});
    let certification = server.trust.certification(&client, &purposes);
    let statement = client.statement(&server.app, &json!({}));
    let answer = submit(&server.app, &statement, &[certification]).expect(201);
    (client, answer.json()["client_id"].as_str().unwrap().to_owned())
}

fn line_51_a_request_of_the_network_has_the_purpose_of_its_client(server: &Trusting) {
    let (client, id) = member(server, "T-TREAT");
    for (purposes, is_given) in
        [(&[T_TREAT][..], true), (&[T_IAS], false), (&["T-TREAT"], false), (&[T_TREAT, T_IAS], false)]
    {
        let answer = client.ask(&server.app, &id, &json!({"extensions": {"hl7-b2b": b2b(purposes)}}));
        if is_given {
            answer.expect(200);
        } else {
            assert_eq!(error(&answer.expect(400)), "invalid_grant", "{purposes:?}");
        }
    }
}

fn line_52_an_individuals_request_brings_a_genuine_identity_token(server: &Trusting) {
    let (client, id) = member(server, "T-IAS");
    let ias = |id_token: Value| {
        json!({
            "version": "1", "user_information": {"resourceType": "RelatedPerson"},
            "patient_information": {"resourceType": "Patient"}, "consent_policy": ["urn:oid:2.999.7"],
            "id_token": id_token,
        })
    };
    let ask = |tefca_ias: Option<Value>| {
        let mut extensions = json!({"hl7-b2b": b2b(&[T_IAS])});
        if let Some(tefca_ias) = tefca_ias {
            extensions["tefca_ias"] = tefca_ias;
        }
        client.ask(&server.app, &id, &json!({ "extensions": extensions }))
    };
    let token = |changes: Value| json!(server.trust.id_token(&changes));
    let by_another = {
        let claims =
            json!({"iss": "https://csp.example", "aud": "urn:oid:2.999.5", "iat": now_s(), "exp": now_s() + 60});
        let key = server.trust.root.leaf(&["https://csp.example"], Kind::Rsa);
        json!(key.raw_token(r#"{"alg":"RS256","kid":"csp-1"}"#, &claims.to_string()))
    };
    for (what, refused) in [
        ("nothing", None),
        ("no identity token", Some(ias(Value::Null))),
        ("of an unknown issuer", Some(ias(token(json!({"iss": "https://other.example"}))))),
        ("for somebody else", Some(ias(token(json!({"aud": "urn:oid:2.999.6"}))))),
        ("expired", Some(ias(token(json!({"iat": now_s() - 900, "exp": now_s() - 300}))))),
        ("by another key", Some(ias(by_another))),
        ("no token", Some(ias(json!("a.b.c")))),
    ] {
        assert_eq!(error(&ask(refused).expect(400)), "invalid_grant", "{what}");
    }
    let granted = |changes: Value| {
        let answer = ask(Some(ias(token(changes)))).expect(200);
        server.app.app.verify_access_token(&access_token(&answer), clock_us()).unwrap()
    };
    let without = granted(json!({}));
    assert_eq!(without.grant.identity_level, IdentityLevel::Idial2, "the issuer's configured level");
    let context = without.context.unwrap();
    assert_eq!(context.id_token.unwrap().claims["given_name"], "Robin");
    assert_eq!(context.tefca_ias.unwrap().id_token, "", "the encoded token is not kept");
    let lower = granted(json!({"acr": "http://udap.org/code/id/idial1.5", "amr": ["pwd"]}));
    assert_eq!(lower.grant.identity_level, IdentityLevel::Idial1_5);
    assert_eq!(lower.grant.authentication_level, AuthenticationLevel::Aal1);
}

/// The detail of the newest audit row.
fn last_detail(app: &TestApp) -> Value {
    let before = app.audit_rows() - 1;
    let rows = idi_match::store::audit::list_after(&mut app.connection(), before, 10).unwrap();
    serde_json::from_str(&rows.last().unwrap().detail).unwrap()
}

fn a_client_of_the_network_speaks_for_its_home_community_alone(server: &Trusting) {
    let (client, id) = member(server, "T-IAS");
    let ask = |organization: &str| {
        let b2b = changed(&b2b(&[T_IAS]), &json!({ "organization_id": organization }));
        let ias = json!({
            "version": "1", "user_information": {"resourceType": "RelatedPerson"},
            "patient_information": {"resourceType": "Patient"}, "consent_policy": ["urn:oid:2.999.7"],
            "id_token": server.trust.id_token(&json!({ "aud": organization })),
        });
        client.ask(&server.app, &id, &json!({"extensions": {"hl7-b2b": b2b, "tefca_ias": ias}}))
    };
    ask("urn:oid:2.999.5").expect(200);
    assert_eq!(last_detail(&server.app)["organization_basis"], "bound");
    // Both the organisation and the audience of an identity token that was made for somebody else.
    assert_eq!(error(&ask("urn:oid:2.999.6").expect(400)), "invalid_grant");
    let refused = last_detail(&server.app);
    assert_eq!(refused["reasons"], json!(["invalid_grant", "organization-mismatch"]));
    let (other, other_id) = server.registered(URI);
    other.ask(&server.app, &other_id, &json!({})).expect(200);
    assert_eq!(last_detail(&server.app)["organization_basis"], "stated", "nobody says whose client it is");
}

fn audit_rows_of_tokens_carry_the_grant_and_the_consent(server: &Trusting) {
    let owner = server.registered(URI);
    let stranger = server.registered("https://client.example/b");
    let (policy, reference) = ("urn:oid:2.999.7", "https://client.example/fhir/Consent/1");
    let user = json!({"version": "1", "purpose_of_use": ["PATRQT"], "user_person": person(),
        "consent_policy": [policy], "consent_reference": [reference]});
    let extensions = json!({"hl7-b2b": b2b(&["PATRQT"]), "hl7-b2b-user": user});
    let token = access_token(&owner.0.ask(&server.app, &owner.1, &json!({ "extensions": extensions })).expect(200));
    let issued = last_detail(&server.app);
    let id = issued["token"].as_str().unwrap().to_owned();
    let of_grant = |detail: &Value, what: &str| {
        for (member, expected) in [
            ("client_id", json!(owner.1)),
            ("community", json!("clinics")),
            ("organization_id", json!("urn:oid:2.999.5")),
            ("purposes", json!(["PATRQT"])),
            ("identity_level", json!("http://udap.org/code/id/idial1.8")),
            ("authentication_level", json!("http://udap.org/code/auth/aal2")),
            ("token", json!(id)),
        ] {
            assert_eq!(detail[member], expected, "{what}: {member}");
        }
        assert!(detail["user"].is_string() && !detail.to_string().contains("Robin"), "{detail}");
    };
    of_grant(&issued, "issued");
    assert_eq!((&issued["consent_policy"], &issued["consent_reference"]), (&json!([policy]), &json!([reference])));
    about(&server.app, "/oauth/introspect", &owner, &token).expect(200);
    of_grant(&last_detail(&server.app), "introspected");
    about(&server.app, "/oauth/revoke", &stranger, &token).expect(400);
    let refused = last_detail(&server.app);
    assert_eq!((&refused["client_id"], &refused["token"]), (&json!(stranger.1), &json!(id)));
    assert_eq!(refused["reasons"][0], "invalid_grant");
    about(&server.app, "/oauth/revoke", &owner, &token).expect(200);
    of_grant(&last_detail(&server.app), "revoked");
    // A refused request: its client, and what it stated.
    let wrong =
        json!({"hl7-b2b": b2b(&["HMARKT"]), "hl7-b2b-user": changed(&user, &json!({"purpose_of_use": ["HMARKT"]}))});
    owner.0.ask(&server.app, &owner.1, &json!({ "extensions": wrong })).expect(400);
    let refused = last_detail(&server.app);
    assert_eq!((&refused["client_id"], &refused["community"]), (&json!(owner.1), &json!("clinics")));
    assert_eq!((&refused["organization_id"], &refused["purposes"]), (&json!("urn:oid:2.999.5"), &json!(["HMARKT"])));
    assert_eq!((&refused["consent_policy"], &refused["token"]), (&json!([policy]), &Value::Null));
}

fn an_assertion_that_is_sent_many_times_at_once_counts_once(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let other = server.beside();
    let assertion = client.assertion(&server.app, &id, &json!({}));
    let given = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|at| {
                let (app, assertion): (&TestApp, &str) = (if at % 2 == 0 { &server.app } else { &other }, &assertion);
                scope.spawn(move || (0..8).filter(|_| ask_with(app, assertion, &[]).status == 200).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(given, 1);
}

/// Asks an endpoint about a token, with a fresh assertion.
fn about(app: &TestApp, path: &str, (client, id): &(Client, String), token: &str) -> Answer {
    let assertion = client.assertion(app, id, &json!({}));
    let pairs = [
        ("token", token),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("udap", "1"),
    ];
    post_form(app, path, &pairs)
}

fn a_revoked_token_is_no_token_at_any_instance(server: &Trusting) {
    let owner = server.registered(URI);
    let stranger = server.registered("https://client.example/b");
    let token = owner.0.token(&server.app, &owner.1);
    let other = server.beside();
    assert_eq!(error(&about(&server.app, "/oauth/revoke", &stranger, &token).expect(400)), "invalid_grant");
    assert!(other.app.verify_access_token(&token, clock_us()).is_ok());
    about(&server.app, "/oauth/revoke", &owner, &token).expect(200);
    for app in [&server.app, &other] {
        assert!(app.app.verify_access_token(&token, clock_us()).is_err());
    }
    for nothing in [token.as_str(), "no token"] {
        about(&server.app, "/oauth/revoke", &owner, nothing).expect(200);
    }
    let unknown = post_form(&server.app, "/oauth/revoke", &[("token", &token)]).expect(400);
    assert_eq!(error(&unknown), "invalid_request");
}

fn a_token_is_what_was_committed_for_it(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let token = client.token(&server.app, &id);
    let judged = || server.app.app.verify_access_token(&token, clock_us()).map(|_| ()).map_err(|error| error.log);
    let update = |change: &str| {
        server.app.writer().batch_execute(&format!("UPDATE access_token SET {change}")).unwrap();
    };
    assert_eq!(judged(), Ok(()));
    update("grant_sha256 = '0f'");
    assert_eq!(judged(), Err(Reason::GrantMismatch), "another grant was committed under this id");
    update("grant_sha256 = NULL");
    assert_eq!(judged(), Ok(()), "of a program before the rule");
    update("expires_us = expires_us - 60000000");
    assert_eq!(judged(), Err(Reason::GrantMismatch), "it says that it lives longer than was committed");
    update("expires_us = 1");
    assert_eq!(judged(), Err(Reason::Expired));
}

fn a_new_key_signs_without_a_restart_and_the_former_one_ends_with_its_tokens(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let keys = |app: &TestApp| {
        let document = app.get(&app.at_root("/oauth/jwks")).send().expect(200).json();
        // Beside them stands the key of identity tokens.
        document["keys"].as_array().unwrap().iter().filter(|key| key["kty"] == "EC").count()
    };
    let is_good = |app: &TestApp, token: &str| app.app.verify_access_token(token, clock_us()).is_ok();
    let before = client.token(&server.app, &id);
    assert_eq!(keys(&server.app), 1);
    let kid = key_commands::rotate(server.app.config(), Clock::system()).unwrap();
    let mut listed = key_commands::list(server.app.config(), Clock::system()).unwrap();
    listed.retain(|key| key.algorithm == "ES256");
    let states: Vec<&str> = listed.iter().map(|key| key.state.code()).collect();
    assert_eq!((states, &listed[0].kid), (vec!["signing", "verifying"], &kid));
    // Another instance has read the keys since, and the first one learns of the new one by a token.
    let other = server.beside();
    let assertion = client.assertion(&server.app, &id, &json!({}));
    let after = access_token(&ask_with(&other, &assertion, &[]).expect(200));
    thread::sleep(Duration::from_millis(1_100));
    for app in [&server.app, &other] {
        assert!(is_good(app, &before) && is_good(app, &after));
        assert_eq!(keys(app), 2);
    }
    let long_ago = "UPDATE signing_key SET retired_us = 1 WHERE retired_us IS NOT NULL";
    server.app.writer().batch_execute(long_ago).unwrap();
    let third = server.beside();
    assert!(!is_good(&third, &before) && is_good(&third, &after));
    assert_eq!(keys(&third), 1, "what ended is published no more");
}

fn only_the_client_of_a_token_learns_what_it_grants(server: &Trusting) {
    let owner = server.registered(URI);
    let stranger = server.registered("https://client.example/b");
    let token = owner.0.token(&server.app, &owner.1);
    let told = about(&server.app, "/oauth/introspect", &owner, &token).expect(200).json();
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(owner.1)));
    assert_eq!(told["scope"], "system/Patient.rs");
    assert!(told["exp"].as_i64().is_some_and(|exp| exp > now_s()));
    for (asker, token) in [(&stranger, token.as_str()), (&owner, "no token")] {
        assert_eq!(about(&server.app, "/oauth/introspect", asker, token).expect(200).json(), json!({"active": false}));
    }
    let by_bearer = |bearer: &str| {
        let request = server.app.post(&server.app.at_root("/oauth/introspect"), form(&[("token", &token)]).as_str());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("authorization", &format!("Bearer {bearer}")).send()
    };
    assert_eq!(by_bearer(&token).expect(200).json()["active"], true);
    let refused = by_bearer("no token").expect(401);
    assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
}

fn a_disabled_client_has_no_tokens_any_more(server: &Trusting) {
    let (client, id) = server.registered(URI);
    let token = client.token(&server.app, &id);
    assert!(server.app.app.verify_access_token(&token, clock_us()).is_ok());
    clients::disable(&server.app.app.config, Clock::system(), &id).unwrap();
    assert!(server.app.app.verify_access_token(&token, clock_us()).is_err());
    assert_eq!(error(&client.ask(&server.app, &id, &json!({})).expect(400)), "invalid_client");
}

fn every_request_leaves_one_audit_row_with_its_client_and_reason(server: &Trusting) {
    let owner = server.registered(URI);
    let row_of = |send: &dyn Fn() -> Answer| {
        let before = server.app.audit_rows();
        send();
        let rows = idi_match::store::audit::list_after(&mut server.app.connection(), before, 10).unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = &rows[0];
        (row.action.clone(), row.outcome.clone(), row.caller.clone(), row.detail.clone())
    };
    let token = owner.0.token(&server.app, &owner.1);
    let ask = |changes: Value| move || changes.clone();
    let given = row_of(&|| owner.0.ask(&server.app, &owner.1, &ask(json!({}))()));
    assert_eq!((given.0.as_str(), given.1.as_str(), given.2.as_str()), ("issue-token", "success", owner.1.as_str()));
    let refused = row_of(&|| owner.0.ask(&server.app, &owner.1, &json!({"extensions": {}})));
    assert_eq!((refused.1.as_str(), refused.2.as_str()), ("refused", owner.1.as_str()));
    assert!(refused.3.contains("invalid_grant") && refused.3.contains("extension-missing: hl7-b2b"), "{}", refused.3);
    let unknown = row_of(&|| owner.0.ask(&server.app, "ZQ-canary", &json!({"jti": fresh("ZQ-canary")})));
    assert_eq!(unknown.2, "unauthenticated");
    assert!(unknown.3.contains("client-unknown") && !unknown.3.contains("ZQ-canary"), "{}", unknown.3);
    let untyped =
        || server.app.post(&server.app.at_root("/oauth/token"), "x").header("content-type", "text/plain").send();
    assert_eq!(row_of(&untyped).0, "issue-token");
    assert_eq!(row_of(&|| about(&server.app, "/oauth/introspect", &owner, &token)).0, "introspect-token");
    assert_eq!(row_of(&|| about(&server.app, "/oauth/revoke", &owner, &token)).0, "revoke-token");
    let method = row_of(&|| server.app.get(&server.app.at_root("/oauth/token")).send());
    assert_eq!(method.1, "refused");
}
