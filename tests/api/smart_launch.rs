//! SMART App Launch for people: from the app to the page, to the code, to the tokens, to the data, over HTTP with cookies by
//! hand.

use idi_match::app::clock::Clock;
use idi_match::app::people::account::AccountKind;
use idi_match::app::people::login::Login;
use idi_match::app::people::manage::{self, Codes, Reset};
use idi_match::store::client::{self, ClientRow};
use idi_match::store::consent::{self, ConsentRow};
use idi_match::store::person_account::{self, PersonAccountRow};
use serde_json::{Value, json};

use crate::launch::{Launch, REDIRECT, SCOPE, STATE, add_app, id_token_claims, location, own_patient, parameter};
use crate::people::{guide, parameters, stranger, with_id};
use crate::signed_in::{Browser, PASSWORD, Person, detail, hidden, rows_of, secret};
use crate::support::TestApp;
use crate::trust::{error, post_form};

on_both_databases! {
    a_person_lets_an_app_read_their_own_record,
    whoever_is_not_signed_in_signs_in_first_and_comes_back,
    an_app_may_ask_that_somebody_signs_in_anew,
    an_app_that_may_show_nothing_is_told_what_is_missing,
    the_question_says_in_plain_words_what_is_asked,
    who_is_not_known_here_gets_no_data,
    a_workforce_account_has_user_scopes_and_no_patient,
    a_refresh_gives_new_tokens_and_narrower_ones_where_asked,
    a_public_app_need_not_name_itself_to_refresh,
    a_token_says_who_signed_in_and_only_to_whom_was_allowed,
    an_app_introspects_and_revokes_its_own_tokens,
    an_app_signs_a_person_out_and_sends_them_where_it_is_registered,
    a_disabled_account_has_no_tokens_any_more,
    a_code_does_not_outlive_the_reset_of_its_account,
    what_was_agreed_to_lasts_as_long_as_the_page_said,
    what_was_agreed_to_is_over_when_its_app_or_account_is_done,
    a_refresh_gives_no_more_than_is_registered_by_now,
    a_refresh_finds_the_person_again_or_ends,
    the_metadata_say_what_holds,
}

fn a_person_lets_an_app_read_their_own_record(app: &TestApp) {
    let launch = Launch::new(app);
    app.store_patient(&with_id(&stranger(4), "other"));
    let mut browser = launch.browser("robin");
    let answer = launch.answer(&mut browser, &[], "allow").expect(303);
    let address = location(&answer).to_owned();
    assert!(address.starts_with(REDIRECT), "{address}");
    assert_eq!(parameter(&address, "state").as_deref(), Some(STATE));
    let issuer = app.at_root("");
    assert_eq!(parameter(&address, "iss"), Some(issuer.clone()), "RFC 9207");
    let token = launch.redeem(&parameter(&address, "code").unwrap(), &[]).expect(200);
    assert_eq!((token.header("cache-control"), token.header("pragma")), (Some("no-store"), Some("no-cache")));
    let token = token.json();
    assert_eq!((&token["patient"], &token["token_type"]), (&json!("own"), &json!("Bearer")));
    assert_eq!((&token["need_patient_banner"], &token["expires_in"]), (&json!(true), &json!(600)));
    assert_eq!(token["scope"], SCOPE);
    assert!(token["refresh_token"].is_string());
    let claims = Value::Object(id_token_claims(app, token["id_token"].as_str().unwrap()));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(issuer), &json!(launch.client_id)));
    assert_eq!(claims["nonce"], "nonce-of-the-app");
    assert_eq!(claims["acr"], "http://udap.org/code/id/idial1.8");
    assert_eq!(claims["amr"], json!(["http://udap.org/code/auth/aal2", "pwd", "otp", "mfa"]));
    assert_eq!(claims["fhirUser"], format!("{}/Patient/own", app.base));
    assert_eq!((&claims["family_name"], &claims["birthdate"]), (&json!("Case"), &json!("1992-05-17")));
    // The data, of a server that is guarded.
    let guarded = app.beside(&[("server.open", "false"), ("server.base_url", &app.base)]);
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let get = |path: &str| guarded.get(path).header("authorization", &bearer).send();
    assert_eq!(get("/Patient/own").expect(200).json()["name"][0]["family"], "Case");
    get("/Patient/other").expect(404);
    let found = get("/Patient").expect(200).json();
    assert_eq!((&found["total"], &found["entry"][0]["resource"]["id"]), (&json!(1), &json!("own")));
    guarded
        .post("/Patient/$idi-match", parameters("IDIPatient", &guide("l1"), &[]))
        .header("authorization", &bearer)
        .send()
        .expect(403);
    let granted = rows_of(app, "authorize").into_iter().map(|row| detail(&row)).find(|one| !one["records"].is_null());
    let granted = granted.expect("an audit row with the record");
    assert_eq!((&granted["records"], &granted["workflows"]), (&json!(["own"]), &json!(["consumer"])));
}

fn whoever_is_not_signed_in_signs_in_first_and_comes_back(app: &TestApp) {
    let launch = Launch::new(app);
    let person = Person::add(app, "robin");
    let mut browser = Browser::new(app);
    // As a form of the app's own site: its cookies do not come along, and need not.
    let fields = launch.parameters(&[]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let cross_site = [("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
    let begun = browser.post_with("/oauth/authorize", &fields, &cross_site).expect(303);
    let proceed = location(&begun).to_owned();
    assert!(proceed.starts_with("/oauth/authorize/continue?request="), "{proceed}");
    for word in [STATE, "app.example", launch.client_id.as_str(), "patient"] {
        assert!(!proceed.contains(word), "{proceed}");
    }
    let to_sign_in = browser.get(&proceed).expect(303);
    let page = browser.get(location(&to_sign_in)).expect(200);
    let (csrf, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
    let (login, code) = (person.login.clone(), person.code(0));
    let typed =
        [("csrf", csrf.as_str()), ("request", &request), ("login", &login), ("password", PASSWORD), ("code", &code)];
    let signed_in = browser.post("/sign-in", &typed).expect(303);
    assert_eq!(location(&signed_in), proceed);
    let question = browser.get(&proceed).expect(200);
    let fields = [("csrf", hidden(&question, "csrf")), ("request", hidden(&question, "request"))];
    let fields = [("csrf", fields[0].1.as_str()), ("request", &fields[1].1), ("decision", "allow")];
    let answer = browser.post("/oauth/authorize/continue", &fields).expect(303);
    launch.redeem(&parameter(location(&answer), "code").unwrap(), &[]).expect(200);
}

fn an_app_may_ask_that_somebody_signs_in_anew(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    for changes in [[("prompt", "login")], [("prompt", "select_account")], [("max_age", "0")]] {
        let begun = launch.begin(&mut browser, &changes).expect(303);
        let next = browser.get(location(&begun)).expect(303);
        assert!(location(&next).starts_with("/sign-in?request="), "{changes:?}");
    }
    launch.ask(&mut browser, &[("max_age", "3600")]);
}

fn an_app_that_may_show_nothing_is_told_what_is_missing(app: &TestApp) {
    let launch = Launch::new(app);
    let silent = [("prompt", "none")];
    let answered = |browser: &mut Browser<'_>| {
        let begun = launch.begin(browser, &silent).expect(303);
        let next = browser.get(location(&begun)).expect(303);
        let address = location(&next).to_owned();
        assert!(address.starts_with(REDIRECT), "{address}");
        (parameter(&address, "error"), parameter(&address, "code"))
    };
    assert_eq!(answered(&mut Browser::new(app)).0.as_deref(), Some("login_required"));
    let mut browser = launch.browser("robin");
    assert_eq!(answered(&mut browser).0.as_deref(), Some("consent_required"));
    launch.answer(&mut browser, &[], "deny").expect(303);
    assert_eq!(answered(&mut browser).0.as_deref(), Some("consent_required"));
    launch.answer(&mut browser, &[], "allow").expect(303);
    let (refused, code) = answered(&mut browser);
    assert_eq!(refused, None);
    launch.redeem(&code.unwrap(), &[]).expect(200);
    // What was not agreed to is asked.
    let more = add_app(app, &["http://127.0.0.1/cb"], SCOPE);
    let native = Launch::of(app, more);
    let changes = [("redirect_uri", "http://127.0.0.1:49152/cb")];
    native.answer(&mut browser, &changes, "allow").expect(303);
    let begun = native.begin(&mut browser, &[changes[0], silent[0]]).expect(303);
    let next = browser.get(location(&begun)).expect(303);
    // Anybody's app could listen there (RFC 8252 §8.6).
    assert_eq!(parameter(location(&next), "error").as_deref(), Some("consent_required"));
}

fn the_question_says_in_plain_words_what_is_asked(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let page = launch.ask(&mut browser, &[]);
    let text = page.text();
    for words in [
        "<h1>Allow Example &lt;App&gt;?</h1>",
        "see the record (name, birth date, address, contacts) of yours",
        "Your own record here",
        "90 days",
        "<dd>app.example</dd>",
        "Example Health has added it",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(!text.contains("<script") && !text.contains("Case"), "{text}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self' https:;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let page = launch.ask(&mut browser, &[("scope", "launch/patient patient/Patient.rs")]);
    assert!(page.text().contains("10 minutes"), "{}", page.text());
}

fn who_is_not_known_here_gets_no_data(app: &TestApp) {
    // Nobody is stored, or somebody who is not known surely enough: to the app it is the same as a person who said no.
    let launch = Launch::of(app, add_app(app, &[REDIRECT], SCOPE));
    let mut browser = launch.browser("robin");
    let told = |answer: crate::answer::Answer| {
        let address = location(&answer.expect(303)).to_owned();
        ["error", "error_description", "code"].map(|name| parameter(&address, name))
    };
    let denied = told(launch.answer(&mut browser, &[], "deny"));
    assert_eq!(denied[0].as_deref(), Some("access_denied"));
    assert_eq!(told(launch.answer(&mut browser, &[], "allow")), denied);
    let reasons: Vec<Value> = rows_of(app, "authorize").iter().map(|row| detail(row)["reasons"].clone()).collect();
    assert!(reasons.contains(&json!(["access_denied", "no-record"])), "{reasons:?}");
    let mut unverified = own_patient("own");
    unverified["extension"] = json!([]);
    unverified.as_object_mut().unwrap().remove("extension");
    app.store_patient(&unverified);
    assert_eq!(told(launch.answer(&mut browser, &[], "allow")), denied);
    app.store_patient(&own_patient("own"));
    assert!(told(launch.answer(&mut browser, &[], "allow"))[2].is_some());
    // Signing in alone needs no record.
    let signed_in = launch.code(&mut browser, &[("scope", "openid")]);
    let token = launch.redeem(&signed_in, &[]).expect(200).json();
    assert!(token["patient"].is_null() && token["id_token"].is_string() && token["refresh_token"].is_null(), "{token}");
}

fn a_workforce_account_has_user_scopes_and_no_patient(app: &TestApp) {
    let client_id = add_app(app, &[REDIRECT], "openid profile user/Patient.rs patient/Patient.rs");
    let launch = Launch { scope: "openid user/Patient.rs patient/Patient.rs".to_owned(), ..Launch::of(app, client_id) };
    app.store_patient(&own_patient("own"));
    app.store_patient(&with_id(&stranger(4), "other"));
    let clerk = Person::add_as(app, "clerk", AccountKind::Workforce);
    let mut browser = Browser::new(app);
    browser.sign_in_as(&clerk, 0).expect(303);
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    assert_eq!((&token["scope"], &token["patient"]), (&json!("openid user/Patient.rs"), &Value::Null));
    let guarded = app.beside(&[("server.open", "false"), ("server.base_url", &app.base)]);
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    for path in ["/Patient/own", "/Patient/other"] {
        guarded.get(path).header("authorization", &bearer).send().expect(200);
    }
    // Told on a page: a browser that comes from the form to sign in is led nowhere else.
    let begun = launch.begin(&mut browser, &[("scope", "patient/Patient.rs")]).expect(303);
    let told = browser.get(location(&begun)).expect(403).text();
    assert!(told.contains(&format!("<a href=\"{REDIRECT}?error=invalid_scope&amp;")), "{told}");
    let silent = launch.begin(&mut browser, &[("scope", "patient/Patient.rs"), ("prompt", "none")]).expect(303);
    let answer = browser.get(location(&silent)).expect(303);
    assert_eq!(parameter(location(&answer), "error").as_deref(), Some("invalid_scope"));
}

fn a_refresh_gives_new_tokens_and_narrower_ones_where_asked(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let first = launch.redeem(&code, &[]).expect(200).json();
    let second = launch.refresh(first["refresh_token"].as_str().unwrap(), &[]).expect(200).json();
    assert_eq!((&second["patient"], &second["scope"]), (&json!("own"), &json!(SCOPE)));
    for name in ["access_token", "refresh_token", "id_token"] {
        assert!(second[name].is_string() && second[name] != first[name], "{name}");
    }
    let claims = id_token_claims(app, second["id_token"].as_str().unwrap());
    let before = id_token_claims(app, first["id_token"].as_str().unwrap());
    assert!(!claims.contains_key("nonce"));
    for name in ["sub", "auth_time", "iss", "aud"] {
        assert_eq!(claims[name], before[name], "{name}");
    }
    let narrow = [("scope", "patient/Patient.r")];
    let third = launch.refresh(second["refresh_token"].as_str().unwrap(), &narrow).expect(200).json();
    assert_eq!((&third["scope"], &third["id_token"]), (&json!("patient/Patient.r"), &Value::Null));
    let more = [("scope", "patient/Organization.rs")];
    let refused = launch.refresh(third["refresh_token"].as_str().unwrap(), &more).expect(400);
    assert_eq!(error(&refused), "invalid_scope");
    // The refusal has used nothing up, and what was agreed to is all there.
    let fourth = launch.refresh(third["refresh_token"].as_str().unwrap(), &[]).expect(200).json();
    assert_eq!(fourth["scope"], SCOPE);
}

fn a_public_app_need_not_name_itself_to_refresh(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let first = launch.redeem(&code, &[]).expect(200).json();
    let refresh = |token: &str, more: &[(&str, &str)]| {
        let pairs = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
        post_form(app, "/oauth/token", &pairs)
    };
    let shown = first["refresh_token"].as_str().unwrap();
    assert_eq!(error(&refresh("nothing", &[]).expect(400)), "invalid_grant");
    assert_eq!(error(&refresh(shown, &[("client_secret", "x")]).expect(400)), "invalid_request");
    let second = refresh(shown, &[]).expect(200).json();
    assert_eq!((&second["patient"], &second["scope"]), (&json!("own"), &json!(SCOPE)));
    let granted = rows_of(app, "issue-token").last().map(|row| row.caller.clone());
    assert_eq!(granted.as_deref(), Some(launch.client_id.as_str()));
    assert_eq!(error(&refresh(shown, &[]).expect(400)), "invalid_grant");
    assert!(!launch.stands(second["access_token"].as_str().unwrap()), "what is shown twice ends all of it");
    let unnamed = [("grant_type", "authorization_code"), ("code", code.as_str())];
    assert_eq!(error(&post_form(app, "/oauth/token", &unnamed).expect(400)), "invalid_request", "a code needs a name");
}

fn a_token_says_who_signed_in_and_only_to_whom_was_allowed(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let user_info = |method: &str, token: &Value| {
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        app.request(method, &app.at_root("/oauth/userinfo")).header("authorization", &bearer).send()
    };
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let claims = id_token_claims(app, token["id_token"].as_str().unwrap());
    let told = user_info("GET", &token).expect(200).json();
    for name in ["sub", "name", "given_name", "family_name", "birthdate", "phone_number", "address", "fhirUser"] {
        assert_eq!(told[name], claims[name], "{name}");
        assert!(!told[name].is_null(), "{name}");
    }
    assert_eq!(user_info("POST", &token).expect(200).json(), told);
    let code = launch.code(&mut browser, &[("scope", "openid")]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    assert_eq!(user_info("GET", &token).expect(200).json(), json!({"sub": claims["sub"]}));
    let code = launch.code(&mut browser, &[("scope", "patient/Patient.rs")]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    assert_eq!(error(&user_info("GET", &token).expect(403)), "insufficient_scope");
    let refused = app.get(&app.at_root("/oauth/userinfo")).send().expect(401);
    assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
}

fn an_app_introspects_and_revokes_its_own_tokens(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let (access, refresh) = (token["access_token"].as_str().unwrap(), token["refresh_token"].as_str().unwrap());
    let introspect = |token: &str| {
        let request = app.request("POST", &app.at_root("/oauth/introspect"));
        let request = request.header("authorization", &format!("Bearer {access}"));
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        request.header("content-type", "application/x-www-form-urlencoded").body(&body).send().expect(200).json()
    };
    let told = introspect(access);
    assert_eq!((&told["active"], &told["patient"], &told["scope"]), (&json!(true), &json!("own"), &json!(SCOPE)));
    assert_eq!(told["fhirUser"], format!("{}/Patient/own", app.base));
    let claims = id_token_claims(app, token["id_token"].as_str().unwrap());
    assert_eq!((&told["iss"], &told["sub"]), (&claims["iss"], &claims["sub"]));
    assert_eq!((&introspect(refresh)["active"], &introspect("nothing")["active"]), (&json!(true), &json!(false)));
    let revoke =
        |client_id: &str, token: &str| post_form(app, "/oauth/revoke", &[("client_id", client_id), ("token", token)]);
    let other = add_app(app, &[REDIRECT], SCOPE);
    assert_eq!(error(&revoke(&other, refresh).expect(400)), "invalid_grant");
    assert!(launch.stands(access));
    revoke(&launch.client_id, refresh).expect(200);
    assert!(!launch.stands(access), "with the refresh token all goes that came of the same permission");
    assert_eq!(error(&launch.refresh(refresh, &[]).expect(400)), "invalid_grant");
}

fn an_app_signs_a_person_out_and_sends_them_where_it_is_registered(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let hint = token["id_token"].as_str().unwrap();
    let address = |uri: &str| {
        let pairs = [("id_token_hint", hint), ("post_logout_redirect_uri", uri), ("state", "s")];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("/oauth/logout?{query}")
    };
    browser.get(&address("https://evil.example/bye")).expect(400);
    browser.get("/oauth/logout?id_token_hint=a.b.c").expect(400);
    assert_eq!(
        location(&browser.get("/oauth/logout").expect(303)),
        "/sign-in",
        "without a word of the app the person is asked"
    );
    launch.ask(&mut browser, &[]);
    let gone = browser.get(&address("https://app.example/bye")).expect(303);
    assert_eq!(location(&gone), "https://app.example/bye?state=s");
    let begun = launch.begin(&mut browser, &[]).expect(303);
    let next = browser.get(location(&begun)).expect(303);
    assert!(location(&next).starts_with("/sign-in"), "signed out");
}

fn a_disabled_account_has_no_tokens_any_more(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let token = launch.redeem(&code, &[]).expect(200).json();
    let unused = launch.code(&mut browser, &[]);
    manage::disable(app.config(), Clock::system(), &Login::typed("robin")).unwrap();
    assert!(!launch.stands(token["access_token"].as_str().unwrap()));
    let refreshed = launch.refresh(token["refresh_token"].as_str().unwrap(), &[]).expect(400);
    assert_eq!(error(&refreshed), "invalid_grant");
    assert_eq!(error(&launch.redeem(&unused, &[]).expect(400)), "invalid_grant");
}

fn reset(app: &TestApp, login: &str) {
    let wanted = Reset { password: Some(secret("cold snow on slate roofs")), codes: Codes::Keep };
    manage::reset(app.config(), Clock::system(), &Login::typed(login), &wanted).unwrap();
}

fn a_code_does_not_outlive_the_reset_of_its_account(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let unused = launch.code(&mut browser, &[]);
    reset(app, "robin");
    assert_eq!(error(&launch.redeem(&unused, &[]).expect(400)), "invalid_grant");
    // One that was being made at that moment, by whoever was signed in before.
    let mut session = launch.browser("casey");
    let late = launch.code(&mut session, &[]);
    app.write(|connection| {
        let row = person_account::find_by_login(connection, "casey")?.unwrap();
        person_account::update(connection, &PersonAccountRow { updated_us: (Clock::system().now_us)(), ..row })
    });
    assert_eq!(error(&launch.redeem(&late, &[]).expect(400)), "invalid_grant");
}

/// What an app that may show nothing is told.
fn silently(launch: &Launch<'_>, browser: &mut Browser<'_>, scope: &str) -> Result<String, String> {
    let begun = launch.begin(browser, &[("prompt", "none"), ("scope", scope)]).expect(303);
    let next = browser.get(location(&begun)).expect(303);
    parameter(location(&next), "code").ok_or_else(|| parameter(location(&next), "error").unwrap())
}

fn what_was_agreed_to_lasts_as_long_as_the_page_said(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let consents = |change: fn(&mut ConsentRow)| {
        let mut connection = app.connection();
        let account = person_account::find_by_login(&mut connection, "robin").unwrap().unwrap();
        let row = consent::find(&mut connection, &account.account_id, &launch.client_id).unwrap().unwrap();
        let mut changed = row.clone();
        change(&mut changed);
        if changed != row {
            app.write(|connection| consent::put(connection, &changed));
        }
        row
    };
    const MINUTE_US: i64 = 60_000_000;
    const DAYS_90_US: i64 = 90 * 24 * 60 * MINUTE_US;
    let online = "launch/patient patient/Patient.rs";
    launch.code(&mut browser, &[("scope", online)]);
    let code = silently(&launch, &mut browser, online).unwrap();
    assert!(launch.redeem(&code, &[]).expect(200).json()["expires_in"].as_i64().unwrap() > 300);
    consents(|row| row.granted_us -= 9 * MINUTE_US);
    let code = silently(&launch, &mut browser, online).unwrap();
    let token = launch.redeem(&code, &[]).expect(200).json();
    assert!(token["expires_in"].as_i64().unwrap() <= 60, "not ten minutes more: {token}");
    consents(|row| row.granted_us -= MINUTE_US);
    assert_eq!(silently(&launch, &mut browser, online), Err("consent_required".to_owned()));
    // A refresh token counts from the page on, too.
    launch.code(&mut browser, &[]);
    consents(|row| row.granted_us -= DAYS_90_US - 2 * MINUTE_US);
    let granted_us = consents(|_| ()).granted_us;
    let code = silently(&launch, &mut browser, SCOPE).unwrap();
    assert_eq!(consents(|_| ()).granted_us, granted_us, "nothing was agreed to anew");
    let token = launch.redeem(&code, &[]).expect(200).json();
    assert!(token["expires_in"].as_i64().unwrap() <= 120, "{token}");
    consents(|row| row.granted_us -= 2 * MINUTE_US);
    assert_eq!(silently(&launch, &mut browser, SCOPE), Err("consent_required".to_owned()));
}

fn what_was_agreed_to_is_over_when_its_app_or_account_is_done(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let token = |browser: &mut Browser<'_>| {
        let code = launch.code(browser, &[]);
        (launch.redeem(&code, &[]).expect(200).json(), code)
    };
    let refused = Err("consent_required".to_owned());
    let (granted, _) = token(&mut browser);
    assert!(silently(&launch, &mut browser, SCOPE).is_ok());
    let refresh = granted["refresh_token"].as_str().unwrap();
    post_form(app, "/oauth/revoke", &[("client_id", &launch.client_id), ("token", refresh)]).expect(200);
    assert_eq!(silently(&launch, &mut browser, SCOPE), refused);
    let (granted, _) = token(&mut browser);
    for status in [200, 400] {
        launch.refresh(granted["refresh_token"].as_str().unwrap(), &[]).expect(status);
    }
    assert_eq!(silently(&launch, &mut browser, SCOPE), refused, "a refresh token that was shown twice");
    let (_, code) = token(&mut browser);
    launch.redeem(&code, &[]).expect(400);
    assert_eq!(silently(&launch, &mut browser, SCOPE), refused, "a code that was shown twice");
    token(&mut browser);
    reset(app, "robin");
    let account = person_account::find_by_login(&mut app.connection(), "robin").unwrap().unwrap();
    assert_eq!(consent::find(&mut app.connection(), &account.account_id, &launch.client_id), Ok(None));
}

fn a_refresh_gives_no_more_than_is_registered_by_now(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[]);
    let first = launch.redeem(&code, &[]).expect(200).json();
    let register = |scope: &str| {
        let row = client::find(&mut app.connection(), &launch.client_id).unwrap().unwrap();
        app.write(|connection| client::update(connection, &ClientRow { scope: scope.to_owned(), ..row }));
    };
    register("launch/patient openid offline_access patient/Patient.r");
    let second = launch.refresh(first["refresh_token"].as_str().unwrap(), &[]).expect(200).json();
    assert_eq!(second["scope"], "launch/patient openid offline_access patient/Patient.r");
    register("user/Patient.rs");
    let refresh = second["refresh_token"].as_str().unwrap();
    assert_eq!(error(&launch.refresh(refresh, &[]).expect(400)), "invalid_scope");
    register("patient/Patient.rs");
    let last = launch.refresh(refresh, &[]).expect(200).json();
    assert_eq!((&last["scope"], &last["refresh_token"]), (&json!("patient/Patient.rs"), &Value::Null));
}

fn a_refresh_finds_the_person_again_or_ends(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let mut granted = || {
        let code = launch.code(&mut browser, &[]);
        launch.redeem(&code, &[]).expect(200).json()
    };
    let refresh = |token: &Value| launch.refresh(token["refresh_token"].as_str().unwrap(), &[]);
    // Three records of one identity; the one that was bound is somebody else's by now, and the identity stays with the others.
    app.store_patient(&own_patient("another"));
    app.store_patient(&own_patient("the-same"));
    let first = granted();
    let second = refresh(&first).expect(200).json();
    assert_eq!((&first["patient"], &second["patient"]), (&json!("another"), &json!("another")));
    app.store_patient(&with_id(&stranger(4), "another"));
    let third = refresh(&second).expect(200).json();
    assert!(third["patient"] == "own" || third["patient"] == "the-same", "{third}");
    // Nobody is found.
    app.store_patient(&with_id(&stranger(5), "own"));
    app.store_patient(&with_id(&stranger(6), "the-same"));
    assert_eq!(error(&refresh(&third).expect(400)), "invalid_grant");
    assert!(!launch.stands(third["access_token"].as_str().unwrap()), "all that came of it has ended");
    let row = rows_of(app, "issue-token").pop().unwrap();
    assert_eq!(detail(&row)["reasons"], json!(["invalid_grant", "no-record"]));
    assert_eq!(error(&refresh(&third).expect(400)), "invalid_grant");
    // Somebody of the same attributes, in another identity than before.
    app.store_patient(&own_patient("second"));
    let fourth = granted();
    app.store_patient(&with_id(&stranger(5), "second"));
    app.store_patient(&own_patient("third"));
    assert_eq!(error(&refresh(&fourth).expect(400)), "invalid_grant");
    assert_eq!(granted()["patient"], "third");
    // What was verified is too old.
    let fifth = granted();
    app.write(|connection| {
        let row = person_account::find_by_login(connection, "robin")?.unwrap();
        person_account::update(connection, &PersonAccountRow { verified_on: "2020-02-03".to_owned(), ..row })
    });
    assert_eq!(error(&refresh(&fifth).expect(400)), "invalid_grant");
}

fn the_metadata_say_what_holds(app: &TestApp) {
    let issuer = app.at_root("");
    let get = |path: &str| app.get(&app.at_root(path)).send().expect(200);
    let smart = get("/fhir/.well-known/smart-configuration").json();
    let provider = get("/.well-known/openid-configuration").json();
    for document in [&smart, &provider] {
        assert_eq!(document["issuer"], json!(issuer));
        for name in
            ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint", "jwks_uri"]
        {
            assert!(document[name].as_str().is_some_and(|url| url.starts_with(&issuer)), "{name}");
        }
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["relaxed_for_some_clients"], Value::Null);
    }
    for capability in
        ["launch-standalone", "client-public", "sso-openid-connect", "context-standalone-patient", "authorize-post"]
    {
        assert!(smart["capabilities"].as_array().unwrap().contains(&json!(capability)), "{capability}");
    }
    let keys = get("/oauth/jwks").json();
    let mut algorithms: Vec<&str> =
        keys["keys"].as_array().unwrap().iter().filter_map(|key| key["alg"].as_str()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, ["ES256", "RS256"]);
}
