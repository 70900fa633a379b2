//! What RFC 9700 (best current practice for OAuth 2.0 security) asks of an authorization server, one attack after the other.
//!
//! `docs/conformance.md` has the table of its sections with the names of these tests. Not here: tokens at the FHIR interface
//! (see `gate`, `own_records`), forged tokens (see `tests/forgeries`).

use std::thread;

use idi_match::app::auth::clients;
use idi_match::app::clock::Clock;
use serde_json::json;

use crate::answer::Answer;
use crate::launch::{Launch, REDIRECT, SCOPE, STATE, add_app, challenge, location, parameter};
use crate::signed_in::{Browser, hidden};
use crate::support::TestApp;
use crate::trust::error;

on_both_databases! {
    nobody_is_sent_to_an_address_that_is_not_registered,
    the_port_of_a_loopback_address_is_the_apps_and_nothing_else,
    an_error_goes_back_to_the_app_with_its_state_and_the_issuer,
    a_code_without_its_proof_is_worth_nothing,
    the_proof_cannot_be_taken_out_of_a_request,
    a_code_of_another_request_client_or_address_is_refused,
    a_code_that_is_shown_twice_ends_all_that_came_of_it,
    a_code_is_good_for_a_minute,
    of_many_that_show_a_code_at_once_one_has_it,
    a_refresh_token_that_is_shown_twice_ends_its_family,
    of_many_that_refresh_at_once_at_two_instances_one_does,
    a_refresh_token_is_its_clients_alone,
    an_answer_needs_the_persons_own_form,
    what_is_sent_on_is_sent_with_303_and_tells_nobody,
    a_handle_that_was_changed_or_is_old_is_none,
    a_token_is_taken_in_the_header_alone,
    a_client_with_a_key_must_use_it,
    other_grants_and_flows_are_not_served,
    the_operators_switch_is_for_one_client_and_says_so,
}

/// A page for the person, which sends nobody anywhere.
fn is_page(answer: &Answer) -> bool {
    answer.status == 400 && answer.header("location").is_none() && answer.text().contains("<h1>")
}

fn nobody_is_sent_to_an_address_that_is_not_registered(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = Browser::new(app);
    for uri in [
        "",
        "https://evil.example/cb",
        "https://app.example/cb/",
        "https://app.example/cb?next=https://evil.example",
        "https://app.example/cb#x",
        "https://app.example:444/cb",
        "https://app.example.evil.example/cb",
        "https://app.example@evil.example/cb",
        "http://app.example/cb",
        "HTTPS://app.example/cb",
        "https://app.example/%63b",
        "javascript:alert(1)",
        "//evil.example",
    ] {
        assert!(is_page(&launch.begin(&mut browser, &[("redirect_uri", uri)])), "{uri}");
    }
    for client_id in ["", "nobody", "00000000-0000-0000-0000-000000000000"] {
        assert!(is_page(&launch.begin(&mut browser, &[("client_id", client_id)])), "{client_id}");
    }
    // A second address, or a second client, beside the right one.
    for more in ["redirect_uri=https%3A%2F%2Fevil.example%2Fcb", "client_id=x"] {
        assert!(is_page(&browser.get(&format!("/oauth/authorize?{}&{more}", launch.query(&[])))), "{more}");
    }
    clients::disable(app.config(), Clock::system(), &launch.client_id).unwrap();
    assert!(is_page(&launch.begin(&mut browser, &[])), "a disabled client");
}

fn the_port_of_a_loopback_address_is_the_apps_and_nothing_else(app: &TestApp) {
    let launch = Launch::of(app, add_app(app, &["http://127.0.0.1/cb", "org.example.app:/cb"], SCOPE));
    let mut browser = Browser::new(app);
    for uri in ["http://127.0.0.1:49152/cb", "http://127.0.0.1/cb", "org.example.app:/cb"] {
        launch.begin(&mut browser, &[("redirect_uri", uri)]).expect(303);
    }
    for uri in
        ["http://127.0.0.1:49152/other", "http://localhost:49152/cb", "http://127.0.0.2/cb", "org.example.app:/x"]
    {
        assert!(is_page(&launch.begin(&mut browser, &[("redirect_uri", uri)])), "{uri}");
    }
}

fn an_error_goes_back_to_the_app_with_its_state_and_the_issuer(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = Browser::new(app);
    let table = [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("aud", "https://evil.example/fhir"), "invalid_request"),
        (("aud", ""), "invalid_request"),
        (("scope", "system/Patient.rs"), "invalid_scope"),
        (("scope", "patient/Observation.rs"), "invalid_scope"),
        (("request", "a.b.c"), "invalid_request"),
        (("prompt", "none login"), "invalid_request"),
    ];
    for (change, expected) in table {
        let answer = launch.begin(&mut browser, &[change]).expect(303);
        let address = location(&answer);
        assert!(address.starts_with(REDIRECT), "{address}");
        assert_eq!(parameter(address, "error").as_deref(), Some(expected), "{change:?}");
        assert_eq!(parameter(address, "state").as_deref(), Some(STATE), "{change:?}");
        assert_eq!(parameter(address, "iss"), Some(app.at_root("")), "{change:?}");
        assert!(!address.contains("evil.example"), "no received value is told: {address}");
    }
    let answer = launch.begin(&mut browser, &[("state", "")]).expect(303);
    assert_eq!(parameter(location(&answer), "error").as_deref(), Some("invalid_request"));
    assert_eq!(parameter(location(&answer), "state"), None);
}

fn a_code_without_its_proof_is_worth_nothing(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    for verifier in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", &challenge(crate::launch::VERIFIER)] {
        let code = launch.code(&mut browser, &[]);
        assert_eq!(
            error(&launch.redeem(&code, &[("code_verifier", verifier)]).expect(400)),
            "invalid_grant",
            "{verifier}"
        );
        // It was out, so it is used up.
        assert_eq!(error(&launch.redeem(&code, &[]).expect(400)), "invalid_grant", "{verifier}");
    }
}

fn the_proof_cannot_be_taken_out_of_a_request(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    for changes in [
        &[("code_challenge", ""), ("code_challenge_method", "")][..],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "")],
        &[("code_challenge", "short")],
    ] {
        let answer = launch.begin(&mut browser, changes).expect(303);
        assert_eq!(parameter(location(&answer), "error").as_deref(), Some("invalid_request"), "{changes:?}");
    }
    // Of a client that may do without: a verifier for a request that had no challenge.
    clients::relax(app.config(), Clock::system(), &launch.client_id, &["no-pkce"]).unwrap();
    let code = launch.code(&mut browser, &[("code_challenge", ""), ("code_challenge_method", "")]);
    assert_eq!(error(&launch.redeem(&code, &[]).expect(400)), "invalid_grant");
}

fn a_code_of_another_request_client_or_address_is_refused(app: &TestApp) {
    let launch = Launch::new(app);
    let other = Launch::of(app, add_app(app, &[REDIRECT, "https://app.example/other"], SCOPE));
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    // Injected into another client, whose own request had the same address and even the same challenge.
    assert_eq!(error(&other.redeem(&code, &[]).expect(400)), "invalid_grant");
    for uri in ["", "https://app.example/other", "https://app.example/cb/"] {
        let code = other.code(&mut browser, &[]);
        assert_eq!(error(&other.redeem(&code, &[("redirect_uri", uri)]).expect(400)), "invalid_grant", "{uri}");
    }
    assert_eq!(error(&launch.redeem("nothing", &[]).expect(400)), "invalid_grant");
}

fn a_code_that_is_shown_twice_ends_all_that_came_of_it(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let renewed = launch.refresh(token["refresh_token"].as_str().unwrap(), &[]).expect(200).json();
    let beside = app.beside(&[("server.base_url", &app.base)]);
    let stands_there = |token: &str| beside.app.verify_access_token(token, (Clock::system().now_us)()).is_ok();
    for token in [&token, &renewed] {
        let text = token["access_token"].as_str().unwrap();
        assert!(launch.stands(text) && stands_there(text));
    }
    assert_eq!(error(&launch.redeem(&code, &[]).expect(400)), "invalid_grant");
    for token in [&token, &renewed] {
        let text = token["access_token"].as_str().unwrap();
        assert!(!launch.stands(text), "here");
        assert!(!stands_there(text), "at another instance");
    }
    let refused = launch.refresh(renewed["refresh_token"].as_str().unwrap(), &[]).expect(400);
    assert_eq!(error(&refused), "invalid_grant");
}

fn a_code_is_good_for_a_minute(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    app.write(|connection| {
        diesel::RunQueryDsl::execute(
            diesel::sql_query("UPDATE authorization_code SET expires_us = expires_us - 61000000"),
            connection,
        )
        .map(drop)
        .map_err(Into::into)
    });
    assert_eq!(error(&launch.redeem(&code, &[]).expect(400)), "invalid_grant");
}

/// How many of several requests at once succeed, and how the others are refused.
fn at_once(requests: Vec<Box<dyn FnOnce() -> Answer + Send + '_>>) -> Vec<Answer> {
    thread::scope(|scope| {
        let running: Vec<_> = requests.into_iter().map(|request| scope.spawn(request)).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn granted(answers: &[Answer]) -> usize {
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((refused.status, error(refused).as_str()), (400, "invalid_grant"));
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

fn of_many_that_show_a_code_at_once_one_has_it(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let beside = app.beside(&[("server.base_url", &app.base)]);
    let there = Launch::of(&beside, launch.client_id.clone());
    let code = launch.code(&mut browser, &[]);
    let requests = (0..8).map(|at| {
        let (launch, code) = (if at % 2 == 0 { &launch } else { &there }, &code);
        let request: Box<dyn FnOnce() -> Answer + Send + '_> = Box::new(move || launch.redeem(code, &[]));
        request
    });
    let answers = at_once(requests.collect());
    assert_eq!(granted(&answers), 1);
}

fn a_refresh_token_that_is_shown_twice_ends_its_family(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let first = launch.redeem(&code, &[]).expect(200).json();
    let stolen = first["refresh_token"].as_str().unwrap();
    let second = launch.refresh(stolen, &[]).expect(200).json();
    assert_eq!(error(&launch.refresh(stolen, &[]).expect(400)), "invalid_grant");
    for token in [&first, &second] {
        assert!(!launch.stands(token["access_token"].as_str().unwrap()));
    }
    let refused = launch.refresh(second["refresh_token"].as_str().unwrap(), &[]).expect(400);
    assert_eq!(error(&refused), "invalid_grant");
}

fn of_many_that_refresh_at_once_at_two_instances_one_does(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let beside = app.beside(&[("server.base_url", &app.base)]);
    let there = Launch::of(&beside, launch.client_id.clone());
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let token = token["refresh_token"].as_str().unwrap();
    let requests = (0..8).map(|at| {
        let launch = if at % 2 == 0 { &launch } else { &there };
        let request: Box<dyn FnOnce() -> Answer + Send + '_> = Box::new(move || launch.refresh(token, &[]));
        request
    });
    let answers = at_once(requests.collect());
    assert_eq!(granted(&answers), 1);
    // It was in two hands, so nobody goes on.
    let won = answers.iter().find(|answer| answer.status == 200).unwrap().json();
    assert!(!launch.stands(won["access_token"].as_str().unwrap()));
}

fn a_refresh_token_is_its_clients_alone(app: &TestApp) {
    let launch = Launch::new(app);
    let other = Launch::of(app, add_app(app, &[REDIRECT], SCOPE));
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let text = token["refresh_token"].as_str().unwrap();
    assert_eq!(error(&other.refresh(text, &[]).expect(400)), "invalid_grant");
    assert!(!launch.stands(token["access_token"].as_str().unwrap()), "it is in strange hands");
}

fn an_answer_needs_the_persons_own_form(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let page = launch.ask(&mut browser, &[]);
    let (csrf, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
    let right = [("csrf", csrf.as_str()), ("request", request.as_str()), ("decision", "allow")];
    let own = [("origin", "null"), ("sec-fetch-site", "same-origin")];
    let send = |browser: &mut Browser<'_>, fields: &[(&str, &str)], headers: &[(&str, &str)]| {
        browser.post_with("/oauth/authorize/continue", fields, headers)
    };
    for (what, fields, headers) in [
        ("no token", &right[1..], &own[..]),
        ("a wrong token", &[("csrf", request.as_str()), right[1], right[2]][..], &own[..]),
        ("another site", &right[..], &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")][..]),
    ] {
        let answer = send(&mut browser, fields, headers).expect(403);
        assert_eq!(answer.header("location"), None, "{what}");
    }
    assert_eq!(send(&mut Browser::new(app), &right, &own).expect(403).header("location"), None, "no session");
    send(&mut browser, &[right[0], right[1], ("decision", "perhaps")], &own).expect(400);
    let mut stranger = launch.browser("somebody-else");
    send(&mut stranger, &right, &own).expect(403);
    assert!(parameter(location(&send(&mut browser, &right, &own).expect(303)), "code").is_some());
}

fn what_is_sent_on_is_sent_with_303_and_tells_nobody(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let begun = launch.begin(&mut browser, &[]).expect(303);
    let page = launch.ask(&mut browser, &[]);
    let answer = launch.answer(&mut browser, &[], "allow").expect(303);
    let refused = launch.begin(&mut browser, &[("aud", "")]).expect(303);
    for (what, one) in [("begun", &begun), ("page", &page), ("answer", &answer), ("refused", &refused)] {
        assert_eq!(one.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(one.header("referrer-policy"), Some("no-referrer"), "{what}");
        assert_eq!(one.header("access-control-allow-origin"), None, "{what}");
    }
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
}

fn a_handle_that_was_changed_or_is_old_is_none(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let begun = launch.begin(&mut browser, &[]).expect(303);
    let handle = parameter(location(&begun), "request").unwrap();
    let (head, last) = handle.split_at(handle.len() - 2);
    let changed = format!("{head}{}", if last == "AA" { "BB" } else { "AA" });
    for handle in ["", "x", &changed, &handle[1..]] {
        assert!(is_page(&browser.get(&format!("/oauth/authorize/continue?request={handle}"))), "{handle}");
    }
}

fn a_token_is_taken_in_the_header_alone(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let text = token["access_token"].as_str().unwrap();
    let guarded = app.beside(&[("server.open", "false"), ("server.base_url", &app.base)]);
    guarded.get(&format!("/Patient/own?access_token={text}")).send().expect(401);
    guarded.get(&guarded.at_root(&format!("/oauth/userinfo?access_token={text}"))).send().expect(401);
    guarded.get("/Patient/own").header("authorization", &format!("Bearer {text}")).send().expect(200);
    // An identity token is no access token, and neither is a refresh token.
    for name in ["id_token", "refresh_token"] {
        let other = format!("Bearer {}", token[name].as_str().unwrap());
        guarded.get("/Patient/own").header("authorization", &other).send().expect(401);
    }
}

fn a_client_with_a_key_must_use_it(app: &TestApp) {
    let new = clients::NewClient {
        name: "Confidential".to_owned(),
        scope: SCOPE.to_owned(),
        keys: clients::ClientKeys::Url("https://app.example/jwks".to_owned()),
        addresses: clients::Addresses { redirect_uris: vec![REDIRECT.to_owned()], ..Default::default() },
    };
    let client_id = clients::add(app.config(), Clock::system(), &new).unwrap().client_id;
    let launch = Launch { client_id, ..Launch::new(app) };
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    assert_eq!(error(&launch.redeem(&code, &[]).expect(400)), "invalid_client");
    assert_eq!(error(&launch.refresh("x", &[]).expect(400)), "invalid_client");
    // And a public client is no service.
    let public = Launch::of(app, add_app(app, &[REDIRECT], SCOPE));
    let refused = public.redeem("x", &[("grant_type", "client_credentials"), ("code", "")]).expect(400);
    assert_eq!(error(&refused), "invalid_request");
}

fn other_grants_and_flows_are_not_served(app: &TestApp) {
    let launch = Launch::new(app);
    for grant_type in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"] {
        let refused = launch.redeem("x", &[("grant_type", grant_type)]).expect(400);
        assert_eq!(error(&refused), "unsupported_grant_type", "{grant_type}");
    }
    let secret = launch.redeem("x", &[("client_secret", "x")]).expect(400);
    assert_eq!(error(&secret), "invalid_request");
}

fn the_operators_switch_is_for_one_client_and_says_so(app: &TestApp) {
    let launch = Launch::new(app);
    let strict = Launch::of(app, add_app(app, &[REDIRECT], SCOPE));
    clients::relax(app.config(), Clock::system(), &launch.client_id, &["no-pkce"]).unwrap();
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &without);
    launch.redeem(&code, &[("code_verifier", "")]).expect(200);
    let refused = strict.begin(&mut browser, &without).expect(303);
    assert_eq!(parameter(location(&refused), "error").as_deref(), Some("invalid_request"));
    let metadata = app.get(&app.at_root("/fhir/.well-known/smart-configuration")).send().expect(200).json();
    assert_eq!(metadata["relaxed_for_some_clients"], json!(["no-pkce"]));
    clients::relax(app.config(), Clock::system(), &launch.client_id, &[]).unwrap();
    let refused = launch.begin(&mut browser, &without).expect(303);
    assert_eq!(parameter(location(&refused), "error").as_deref(), Some("invalid_request"));
}
