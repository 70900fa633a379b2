//! Registration of UDAP clients: new, modified, cancelled, refused. The numbers are those of docs/conformance.md.

use std::collections::BTreeSet;
use std::thread;

use idi_match::app::auth::clients;
use idi_match::app::clock::Clock;
use rcgen::date_time_ymd;
use serde_json::{Value, json};

use crate::pki::{Authority, Kind, Leaf};
use crate::support::TestApp;
use crate::trust::{Client, T_TREAT, Trust, Trusting, changed, error, fresh, now_s, submit};

trusting_on_both_databases! {
    line_14_a_body_that_is_no_registration_is_refused,
    line_17_signature_and_chain_are_judged_before_anything_else,
    line_15_claims_and_parameters_that_break_a_rule_are_refused_with_their_codes,
    line_18_a_new_client_gets_an_id_and_what_it_was_registered_with,
    line_21_a_modification_keeps_the_client_id_and_replaces_everything,
    line_21_the_same_uri_in_another_community_is_another_client,
    line_22_an_empty_list_of_grants_cancels,
    line_4_a_statement_is_used_once_also_at_another_instance,
    line_16_parameters_beside_the_statement_count_for_nothing,
    line_20_unknown_certifications_are_ignored_and_required_ones_are_asked_for,
    line_36_scopes_are_cut_down_and_unsupported_wildcards_are_refused,
    line_48_revoked_and_expired_certificates_register_nobody,
    line_51_a_client_of_the_network_names_its_purpose_in_its_uri,
    a_thousand_identical_registrations_at_once_make_one_client,
    a_client_that_the_operator_disabled_does_not_register_again,
    every_request_leaves_one_audit_row_and_no_error_repeats_what_was_sent,
}

const URI: &str = "https://client.example/a";
const CERTIFIER: &str = "https://certifier.example";

fn id_of(answer: &crate::answer::Answer) -> String {
    answer.json()["client_id"].as_str().unwrap().to_owned()
}

fn line_14_a_body_that_is_no_registration_is_refused(server: &Trusting) {
    let statement = server.trust.client(URI).statement(&server.app, &json!({}));
    let bodies = [
        "no JSON".to_owned(),
        "[]".to_owned(),
        json!({"software_statement": statement}).to_string(),
        json!({"software_statement": statement, "udap": "2"}).to_string(),
        json!({"udap": "1"}).to_string(),
        format!(r#"{{"udap":"1","udap":"1","software_statement":"{statement}"}}"#),
    ];
    for body in bodies {
        let request = server.app.post(&server.app.at_root("/oauth/register"), &body);
        let answer = request.header("content-type", "application/json").send().expect(400);
        assert_eq!(error(&answer), "invalid_client_metadata", "{body}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

fn line_17_signature_and_chain_are_judged_before_anything_else(server: &Trusting) {
    let client = server.trust.client(URI);
    let claims = client.statement_claims(&server.app, &json!({"grant_types": null}));
    let other = server.trust.client("https://client.example/b");
    let stranger = Authority::root("Stranger", Kind::P256);
    let untrusted = Client::new(URI, stranger.leaf(&[URI], Kind::P256), &[&stranger]);
    let without_x5c = client.leaf.raw_token(r#"{"alg":"ES256"}"#, &claims.to_string());
    let hmac = client.leaf.raw_token(r#"{"alg":"HS256"}"#, &claims.to_string());
    for (what, statement, expected) in [
        ("no token", "a.b".to_owned(), "invalid_software_statement"),
        ("no certificate", without_x5c, "invalid_software_statement"),
        ("an algorithm that is not allowed", hmac, "invalid_software_statement"),
        ("another key", other.leaf.token(&client.chain, &claims), "invalid_software_statement"),
        ("an unknown anchor", untrusted.leaf.token(&untrusted.chain, &claims), "unapproved_software_statement"),
    ] {
        assert_eq!(error(&submit(&server.app, &statement, &[]).expect(400)), expected, "{what}");
    }
}

fn line_15_claims_and_parameters_that_break_a_rule_are_refused_with_their_codes(server: &Trusting) {
    let client = server.trust.client(URI);
    let statement = "invalid_software_statement";
    let metadata = "invalid_client_metadata";
    let table = [
        (json!({"iss": "https://client.example/A", "sub": "https://client.example/A"}), statement),
        (json!({"sub": "https://client.example/b"}), statement),
        (json!({"aud": server.app.at_root("/oauth/token")}), statement),
        (json!({"aud": server.app.at_root("/oauth/register/")}), statement),
        (json!({"exp": now_s() + 400}), statement),
        (json!({"iat": now_s() - 400, "exp": now_s() - 100}), statement),
        (json!({"iat": now_s() + 200, "exp": now_s() + 300}), statement),
        (json!({"jti": null}), statement),
        (json!({"iss": null}), statement),
        (json!({"exp": null}), statement),
        (json!({"client_name": null}), metadata),
        (json!({"contacts": ["https://client.example"]}), metadata),
        (json!({"grant_types": null}), metadata),
        (json!({"grant_types": ["password"]}), metadata),
        (json!({"grant_types": ["authorization_code"]}), metadata),
        (json!({"response_types": ["code"]}), metadata),
        (json!({"token_endpoint_auth_method": "none"}), metadata),
        (json!({"scope": null}), metadata),
        (json!({"logo_uri": "http://client.example/logo.png"}), metadata),
        (json!({"redirect_uris": ["https://client.example/cb"]}), "invalid_redirect_uri"),
    ];
    for (changes, expected) in table {
        assert_eq!(error(&client.register(&server.app, &changes).expect(400)), expected, "{changes}");
    }
    assert_eq!(clients::list(&server.app.app.config).unwrap(), [], "nobody is registered");
}

fn line_18_a_new_client_gets_an_id_and_what_it_was_registered_with(server: &Trusting) {
    let client = server.trust.client(URI);
    let statement = client.statement(&server.app, &json!({"aud": [server.app.at_root("/oauth/register")]}));
    let answer = submit(&server.app, &statement, &[]).expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let document = answer.json();
    let expected = json!({
        "client_id": document["client_id"], "software_statement": statement, "client_name": "Example Client",
        "contacts": ["mailto:ops@client.example"], "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt", "scope": "system/Patient.rs",
    });
    assert_eq!(document, expected, "no claim of the token is told back, and nothing without a value");
    let rsa = Client::new(
        "https://client.example/rsa",
        server.trust.issuing.leaf(&["https://client.example/rsa"], Kind::Rsa),
        &[],
    );
    rsa.register(&server.app, &json!({})).expect(201);
}

fn line_21_a_modification_keeps_the_client_id_and_replaces_everything(server: &Trusting) {
    let client = server.trust.client(URI);
    let first = client.register(&server.app, &json!({"software_id": "s1"})).expect(201);
    // The certificate was renewed in between.
    let renewed = server.trust.client(URI);
    let changes = json!({"client_name": "Another Name", "scope": "system/Organization.rs"});
    let second = renewed.register(&server.app, &changes).expect(200);
    assert_eq!(id_of(&second), id_of(&first));
    let document = second.json();
    assert_eq!(
        (&document["client_name"], &document["scope"]),
        (&json!("Another Name"), &json!("system/Organization.rs"))
    );
    assert!(document["software_id"].is_null(), "nothing of the earlier statement stays");
    let listed = clients::list(&server.app.app.config).unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, "Another Name"));
    let again = client.register(&server.app, &json!({})).expect(200);
    assert_eq!(id_of(&again), id_of(&first));
}

fn line_21_the_same_uri_in_another_community_is_another_client(server: &Trusting) {
    let uri = "https://client.example/a#T-TREAT";
    let (clinic, network) = (server.trust.client(uri), server.trust.network_client(uri));
    let first = clinic.register(&server.app, &json!({})).expect(201);
    let certification = server.trust.certification(&network, &json!({}));
    let statement = network.statement(&server.app, &json!({}));
    let second = submit(&server.app, &statement, &[certification]).expect(201);
    assert_ne!(id_of(&second), id_of(&first));
    network.register(&server.app, &json!({"grant_types": []})).expect(200);
    let states: Vec<(String, String)> = clients::list(&server.app.app.config)
        .unwrap()
        .into_iter()
        .map(|client| (client.community, client.state))
        .collect();
    assert!(states.contains(&("clinics".to_owned(), "active".to_owned())), "{states:?}");
    assert!(states.contains(&("network".to_owned(), "cancelled".to_owned())), "{states:?}");
}

fn line_22_an_empty_list_of_grants_cancels(server: &Trusting) {
    let client = server.trust.client(URI);
    let nothing = client.register(&server.app, &json!({"grant_types": []})).expect(400);
    assert_eq!(error(&nothing), "invalid_client_metadata");
    let first = client.register(&server.app, &json!({})).expect(201);
    let id = id_of(&first);
    client.ask(&server.app, &id, &json!({})).expect(200);
    let others = json!({"grant_types": [], "client_name": null, "contacts": null, "scope": null});
    let cancelled = client.register(&server.app, &others).expect(200).json();
    assert_eq!((&cancelled["client_id"], &cancelled["grant_types"]), (&json!(id), &json!([])));
    assert_eq!(error(&client.ask(&server.app, &id, &json!({})).expect(400)), "invalid_client");
    assert_eq!(error(&client.register(&server.app, &others).expect(400)), "invalid_client_metadata");
    let again = client.register(&server.app, &json!({})).expect(201);
    assert_ne!(id_of(&again), id);
}

fn line_4_a_statement_is_used_once_also_at_another_instance(server: &Trusting) {
    let client = server.trust.client(URI);
    let statement = client.statement(&server.app, &json!({"jti": "same"}));
    submit(&server.app, &statement, &[]).expect(201);
    let other = server.beside();
    for app in [&server.app, &other] {
        assert_eq!(error(&submit(app, &statement, &[]).expect(400)), "invalid_software_statement");
    }
    // Of another issuer the same id is another one.
    server.trust.client("https://client.example/b").register(&server.app, &json!({"jti": "same"})).expect(201);
}

fn line_16_parameters_beside_the_statement_count_for_nothing(server: &Trusting) {
    let statement = server.trust.client(URI).statement(&server.app, &json!({}));
    let body = json!({
        "software_statement": statement, "udap": "1", "scope": "system/Organization.rs", "client_name": "Beside",
        "grant_types": [],
    });
    let request = server.app.post(&server.app.at_root("/oauth/register"), body);
    let document = request.header("content-type", "application/json").send().expect(201).json();
    assert_eq!((&document["scope"], &document["client_name"]), (&json!("system/Patient.rs"), &json!("Example Client")));
}

fn line_20_unknown_certifications_are_ignored_and_required_ones_are_asked_for(server: &Trusting) {
    let clinic = server.trust.client(URI);
    let unknown = server.trust.certification(&clinic, &json!({"certification_uris": ["https://other.example/c"]}));
    let statement = clinic.statement(&server.app, &json!({}));
    let document = submit(&server.app, &statement, &[unknown]).expect(201).json();
    assert!(document["certifications"].is_null(), "what was not accepted is not told back");
    let network = server.trust.network_client("https://client.example/x#T-TREAT");
    let register =
        |certifications: &[String]| submit(&server.app, &network.statement(&server.app, &json!({})), certifications);
    assert_eq!(error(&register(&[]).expect(400)), "invalid_client_metadata");
    let certification = |changes: Value| server.trust.certification(&network, &changes);
    let good = certification(json!({}));
    let by = |leaf: &Leaf, uri: &str| Trust::certification_by(leaf, uri, &network, &json!({}));
    let stranger = by(&server.trust.issuing.leaf(&[CERTIFIER], Kind::P256), CERTIFIER);
    let other = by(&server.trust.network_root.leaf(&["https://other.example"], Kind::P256), "https://other.example");
    let itself = by(&network.leaf, &network.uri);
    // Even under a name that may certify, a client certifies nothing about itself.
    let own_key = by(&server.trust.network_root.leaf_with(&[CERTIFIER], &network.leaf.key, |_| {}), CERTIFIER);
    let own_name = by(&server.trust.network_root.leaf(&[CERTIFIER, &network.uri], Kind::P256), CERTIFIER);
    for (what, bad, expected) in [
        ("of another client", certification(json!({"sub": "https://client.example/y"})), "invalid_certification"),
        ("expired", certification(json!({"iat": now_s() - 900, "exp": now_s() - 300})), "invalid_certification"),
        ("with another name", certification(json!({"client_name": "Other"})), "invalid_certification"),
        ("no token", "a.b.c".to_owned(), "invalid_certification"),
        ("by a certifier of another community", stranger, "unapproved_certification"),
        ("by somebody of the community whom it does not name", other, "unapproved_certification"),
        ("by the client itself", itself, "unapproved_certification"),
        ("with the key of the client", own_key, "unapproved_certification"),
        ("with the name of the client", own_name, "unapproved_certification"),
    ] {
        assert_eq!(error(&register(&[bad]).expect(400)), expected, "{what}");
    }
    let document = register(std::slice::from_ref(&good)).expect(201).json();
    assert_eq!(document["certifications"], json!([good]));
}

fn line_36_scopes_are_cut_down_and_unsupported_wildcards_are_refused(server: &Trusting) {
    let client = server.trust.client(URI);
    let table = [
        ("system/Patient.rs system/Task.rs user/Patient.rs", Some("system/Patient.rs")),
        ("system/Patient.cruds", Some("system/Patient.rs")),
        ("system/Patient.read", Some("system/Patient.read")),
        ("system/*.rs", None),
        ("system/Task.rs", None),
        ("user/Patient.rs", None),
    ];
    for (scope, expected) in table {
        let answer = client.register(&server.app, &json!({"scope": scope}));
        match expected {
            Some(expected) => assert_eq!(answer.json()["scope"], expected, "{scope}"),
            None => assert_eq!(error(&answer.expect(400)), "invalid_client_metadata", "{scope}"),
        }
    }
}

fn line_48_revoked_and_expired_certificates_register_nobody(server: &Trusting) {
    let key = Kind::P256.generate();
    let expired = server.trust.issuing.leaf_with(&[URI], &key, |params| params.not_after = date_time_ymd(2021, 1, 1));
    let usage = server.trust.issuing.leaf_with(&[URI], &key, |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyEncipherment];
    });
    for leaf in [expired, usage] {
        let client = Client::new(URI, leaf, &[&server.trust.issuing]);
        let answer = client.register(&server.app, &json!({})).expect(400);
        assert_eq!(error(&answer), "unapproved_software_statement");
    }
    let revoked = server.trust.client("https://client.example/revoked");
    server.trust.revoke(&[&revoked.leaf]);
    server.app.app.communities().reload();
    server.app.wait_until("the list is read", |app| revoked.register(app, &json!({})).status == 400);
    assert_eq!(error(&revoked.register(&server.app, &json!({}))), "unapproved_software_statement");
}

fn line_51_a_client_of_the_network_names_its_purpose_in_its_uri(server: &Trusting) {
    for (uri, expected) in [
        ("https://client.example/1#T-TREAT", None),
        ("https://client.example/2#T-OTHER", Some("invalid_software_statement")),
        ("https://client.example/3", Some("invalid_software_statement")),
    ] {
        let client = server.trust.network_client(uri);
        let certification = server.trust.certification(&client, &json!({"exchange_purposes": [T_TREAT]}));
        let answer = submit(&server.app, &client.statement(&server.app, &json!({})), &[certification]);
        match expected {
            None => drop(answer.expect(201)),
            Some(expected) => assert_eq!(error(&answer.expect(400)), expected, "{uri}"),
        }
    }
}

const AT_ONCE: usize = 1000;
const THREADS: usize = 16;

fn a_thousand_identical_registrations_at_once_make_one_client(server: &Trusting) {
    let client = server.trust.client(URI);
    let other = server.beside();
    let statements: Vec<String> = (0..AT_ONCE).map(|_| client.statement(&server.app, &json!({}))).collect();
    let answers: Vec<(u16, String)> = thread::scope(|scope| {
        let threads: Vec<_> = statements
            .chunks(AT_ONCE.div_ceil(THREADS))
            .enumerate()
            .map(|(at, chunk)| {
                let app: &TestApp = if at % 2 == 0 { &server.app } else { &other };
                scope.spawn(move || {
                    let send = |statement: &String| submit(app, statement, &[]);
                    chunk.iter().map(send).map(|answer| (answer.status, id_of(&answer))).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status: u16| answers.iter().filter(|(known, _)| *known == status).count();
    assert_eq!((count(201), count(200)), (1, AT_ONCE - 1));
    assert_eq!(answers.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(clients::list(&server.app.app.config).unwrap().len(), 1);
}

fn a_client_that_the_operator_disabled_does_not_register_again(server: &Trusting) {
    let (client, id) = server.registered(URI);
    clients::disable(&server.app.app.config, Clock::system(), &id).unwrap();
    for changes in [json!({}), json!({"grant_types": []})] {
        let answer = client.register(&server.app, &changes).expect(400);
        assert_eq!(error(&answer), "unapproved_software_statement", "{changes}");
    }
    assert_eq!(error(&client.ask(&server.app, &id, &json!({})).expect(400)), "invalid_client");
    assert!(clients::disable(&server.app.app.config, Clock::system(), &id).is_err());
}

fn every_request_leaves_one_audit_row_and_no_error_repeats_what_was_sent(server: &Trusting) {
    let client = server.trust.client(URI);
    let marked = json!({"client_name": "ZQ-canary-name", "contacts": ["ZQ-canary-contact"], "jti": fresh("ZQ-canary")});
    let requests: [(&str, Value); 4] = [
        ("new", json!({})),
        ("modified", json!({})),
        ("cancelled", json!({"grant_types": []})),
        ("refused", marked.clone()),
    ];
    for (what, changes) in requests {
        let before = server.app.audit_rows();
        let answer = client.register(&server.app, &changes);
        assert_eq!(server.app.audit_rows(), before + 1, "{what}");
        assert!(answer.status < 300 || !answer.text().contains("ZQ-canary"), "{}", answer.text());
    }
    let claims = changed(&client.statement_claims(&server.app, &marked), &json!({"iss": "ZQ-canary-issuer"}));
    let answer = submit(&server.app, &client.leaf.token(&client.chain, &claims), &[]).expect(400);
    assert!(!answer.text().contains("ZQ-canary"), "{}", answer.text());
}
