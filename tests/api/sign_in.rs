//! Signing in and out: pages, cookies, forms, and what nobody is told.

use std::thread;

use idi_match::app::clock::Clock;
use idi_match::app::people::manage::Codes;
use idi_match::auth::session_token::SessionToken;
use idi_match::store::session::{self, SessionRow};
use idi_match::store::transaction;
use serde_json::json;

use crate::proxy::Proxy;
use crate::signed_in::{Browser, FORM, PASSWORD, Person, SESSION, detail, hidden, rows_of};
use crate::support::{Database, TestApp};

on_both_databases! {
    a_person_signs_in_and_out,
    every_page_leaves_with_its_headers,
    every_refusal_looks_the_same_and_the_audit_knows_why,
    a_code_counts_once_whoever_asks_at_whichever_instance,
    a_session_is_new_each_time_and_ends_the_one_before,
    sessions_end_when_their_time_is_over_or_the_operator_says_so,
    forms_of_others_are_not_taken,
    where_a_browser_is_led_is_one_address_of_this_server,
    forms_that_are_none_are_refused_and_audited,
    a_reset_account_has_another_password_and_other_codes,
}

const LOGIN: &str = "marisol.vega";

fn a_person_signs_in_and_out(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    let mut browser = Browser::new(app);
    let answer = browser.sign_in(" Marisol.VEGA ", PASSWORD, &person.code(0)).expect(303);
    assert_eq!(answer.header("location"), Some("/account"));
    let cookies: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let session = browser.cookie(SESSION).unwrap().to_owned();
    assert_eq!(
        cookies,
        [
            format!("{SESSION}={session}; Path=/; Secure; HttpOnly; SameSite=Lax"),
            format!("{FORM}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"),
        ]
    );
    assert_eq!(browser.get("/sign-in").expect(303).header("location"), Some("/account"));
    let page = browser.get("/account").expect(200);
    assert!(page.text().contains("Signed in since") && page.text().contains("IDIAL1.8"), "{}", page.text());
    assert!(!page.text().to_lowercase().contains("marisol"), "a page names nobody");
    let csrf = hidden(&page, "csrf");
    let answer = browser.post("/sign-out", &[("csrf", &csrf)]).expect(303);
    assert_eq!((answer.header("location"), browser.cookie(SESSION)), (Some("/sign-in?signed-out"), None));
    assert!(browser.get("/sign-in?signed-out").expect(200).text().contains("You have signed out."));
    // Whoever has kept the cookie has nothing.
    browser.cookies.push((SESSION.to_owned(), session));
    assert!(browser.get("/sign-in").expect(200).text().contains("name=\"password\""));
    let rows = [rows_of(app, "sign-in"), rows_of(app, "sign-out")].concat();
    assert_eq!(rows.len(), 2, "one row each: {rows:?}");
    for row in &rows {
        assert_eq!((row.outcome.as_str(), &row.caller), ("success", &person.account_id));
        assert_eq!(detail(row)["user"], json!(person.account_id));
        assert!(!format!("{row:?}").to_lowercase().contains("marisol"), "{row:?}");
    }
    assert_eq!(detail(&rows[0])["authentication_level"], "AAL2");
}

fn every_page_leaves_with_its_headers(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    let mut browser = Browser::new(app);
    let form = browser.get("/sign-in").expect(200);
    let refused = browser.sign_in(LOGIN, "wrong", "000000").expect(403);
    let incomplete = browser.sign_in(LOGIN, "", "").expect(422);
    let foreign = browser.post("/sign-in", &[("csrf", "wrong")]).expect(403);
    browser.sign_in_as(&person, 0).expect(303);
    let inside = browser.get("/account").expect(200);
    for page in [&form, &refused, &incomplete, &foreign, &inside] {
        let policy = page.header("content-security-policy").unwrap();
        for word in [
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(word), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.header(name), Some(value), "{name}");
        }
        let text = page.text();
        assert!(
            text.contains("<html lang=\"en\">") && !text.contains("<script") && !text.contains("style=\""),
            "{text}"
        );
    }
    let (_, address) = form
        .text()
        .split_once("rel=\"stylesheet\" href=\"")
        .map(|(head, rest)| (head.to_owned(), rest.to_owned()))
        .unwrap();
    let style = browser.get(address.split('"').next().unwrap()).expect(200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(style.text().contains("prefers-color-scheme"));
}

fn every_refusal_looks_the_same_and_the_audit_knows_why(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    let disabled = Person::add(app, "disabled.one");
    disabled.disable(app);
    Browser::new(app).sign_in_as(&person, 0).expect(303);
    let mut browser = Browser::new(app);
    let wrong = if person.code(0) == "000000" { "000001" } else { "000000" };
    let code = person.code(0);
    let used = [(LOGIN, PASSWORD, code.as_str(), "used-code")];
    let others = [
        ("a\0b", PASSWORD, wrong, "unknown-login"),
        ("nobody.here", PASSWORD, wrong, "unknown-login"),
        ("<script>\u{1f600}", PASSWORD, wrong, "unknown-login"),
        (LOGIN, "wrong", code.as_str(), "wrong-password"),
        (LOGIN, PASSWORD, wrong, "wrong-code"),
        ("disabled.one", PASSWORD, &disabled.code(0), "account-disabled"),
    ];
    let mut answers = Vec::new();
    for (login, password, code, reason) in used.into_iter().chain(others) {
        let answer = browser.sign_in(login, password, code).expect(403);
        let row = rows_of(app, "sign-in").pop().unwrap();
        assert_eq!((row.outcome.as_str(), row.caller.as_str()), ("refused", "unauthenticated"), "{reason}");
        assert_eq!(detail(&row)["reasons"], json!([reason]));
        assert!(!row.detail.contains("script") && !row.detail.contains("nobody.here"), "{}", row.detail);
        let mut headers: Vec<String> =
            answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.retain(|line| !line.starts_with("x-request-id") && !line.starts_with("date"));
        headers.sort();
        answers.push((headers, answer.text()));
    }
    for answer in &answers {
        assert_eq!(*answer, answers[0]);
    }
    assert!(browser.cookie(SESSION).is_none());
}

fn a_code_counts_once_whoever_asks_at_whichever_instance(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    let other = app.beside(&[]);
    let code = person.code(0);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = [app, &other, app, &other]
            .map(|app| scope.spawn(|| Browser::new(app).sign_in(LOGIN, PASSWORD, &code).status))
            .into_iter()
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 3, "{statuses:?}");
    // An earlier step is over too, and the next one is there.
    Browser::new(&other).sign_in_as(&person, -1).expect(403);
    Browser::new(&other).sign_in_as(&person, 1).expect(303);
}

fn a_session_is_new_each_time_and_ends_the_one_before(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    // What somebody has planted is not taken.
    let mut browser = Browser::new(app);
    let planted = SessionToken::new([7; 32]).expose().to_string();
    browser.cookies.push((SESSION.to_owned(), planted.clone()));
    browser.sign_in_as(&person, 0).expect(303);
    let first = browser.cookie(SESSION).unwrap().to_owned();
    assert_ne!(first, planted);
    browser.sign_in_as(&person, 1).expect(303);
    let second = browser.cookie(SESSION).unwrap().to_owned();
    assert_ne!(second, first);
    let mut other = Browser::new(app);
    for (token, is_open) in [(&planted, false), (&first, false), (&second, true)] {
        other.cookies = vec![(SESSION.to_owned(), token.clone())];
        assert_eq!(other.is_signed_in(), is_open);
    }
    let token = SessionToken::parse(&second).unwrap();
    assert!(session::find(&mut app.connection(), &token.sha256()).unwrap().is_some(), "kept by its digest");
    assert_eq!(session::count(&mut app.connection()), Ok(1));
}

fn sessions_end_when_their_time_is_over_or_the_operator_says_so(app: &TestApp) {
    let mut person = Person::add(app, LOGIN);
    let now_us = (Clock::system().now_us)();
    let minute = 60_000_000;
    let is_open = |token: &SessionToken| {
        let mut browser = Browser::new(app);
        browser.cookies = vec![(SESSION.to_owned(), token.expose().to_string())];
        browser.is_signed_in()
    };
    let begin = |number: u8, seen_us: i64, expires_us: i64| {
        let token = SessionToken::new([number; 32]);
        let row = SessionRow {
            token_sha256: token.sha256(),
            account_id: person.account_id.clone(),
            identity_level: "IDIAL1.8".to_owned(),
            authentication_level: "AAL2".to_owned(),
            methods: "pwd otp".to_owned(),
            signed_in_us: seen_us,
            seen_us,
            expires_us,
        };
        app.write(|connection| session::insert(connection, &row));
        token
    };
    let lasting = begin(1, now_us - 20 * minute, now_us + 60 * minute);
    let unused = begin(2, now_us - 31 * minute, now_us + 60 * minute);
    let over = begin(3, now_us, now_us - 1);
    assert_eq!([&lasting, &unused, &over].map(is_open), [true, false, false]);
    let seen_us = session::find(&mut app.connection(), &lasting.sha256()).unwrap().unwrap().seen_us;
    assert!(seen_us >= now_us, "it was used just now");
    person.reset(app, None, Codes::Keep);
    assert!(!is_open(&lasting), "a reset ends all sessions");
    let mut browser = Browser::new(app);
    browser.sign_in_as(&person, 0).expect(303);
    person.disable(app);
    assert!(!browser.is_signed_in());
}

fn forms_of_others_are_not_taken(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    let mut browser = Browser::new(app);
    let csrf = hidden(&browser.get("/sign-in").expect(200), "csrf");
    let mut other = Browser::new(app);
    let others = hidden(&other.get("/sign-in").expect(200), "csrf");
    let code = person.code(0);
    let fields = |csrf: &str| {
        let pairs = [("csrf", csrf), ("login", LOGIN), ("password", PASSWORD), ("code", &code)];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let base = app.at_root("");
    let own = [("sec-fetch-site", "same-origin")];
    let cases: [(&str, &[(&str, &str)]); 8] = [
        (&others, &own),
        ("", &own),
        (&csrf, &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]),
        (&csrf, &[("sec-fetch-site", "same-site")]),
        (&csrf, &[("sec-fetch-site", "cross-site"), ("origin", &base)]),
        (&csrf, &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]),
        (&csrf, &[("origin", "https://evil.example")]),
        (&csrf, &[("origin", &base), ("origin", "https://evil.example")]),
    ];
    for (csrf, headers) in cases {
        let fields = fields(csrf);
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = browser.post_with("/sign-in", &pairs, headers).expect(403);
        assert!(answer.text().contains("Please try again"), "{headers:?}");
        let row = rows_of(app, "sign-in").pop().unwrap();
        assert_eq!(detail(&row)["reasons"], json!(["foreign-form"]));
    }
    // Without the cookie the right field is worth nothing.
    let fields = fields(&csrf);
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Browser::new(app).post("/sign-in", &pairs).expect(403);
    browser.post_with("/sign-in", &pairs, &[("origin", &base)]).expect(303);
    // Of a session too.
    browser.post("/sign-out", &[("csrf", &csrf)]).expect(403);
    browser.post_with("/sign-out", &[], &[("sec-fetch-site", "cross-site")]).expect(403);
    assert!(browser.is_signed_in());
}

fn where_a_browser_is_led_is_one_address_of_this_server(app: &TestApp) {
    let person = Person::add(app, LOGIN);
    let mut browser = Browser::new(app);
    for handle in
        ["//evil.example", "https%3A%2F%2Fevil.example", "a%0d%0aSet-Cookie:x=y", "%22%3E%3Cscript%3E", "a&request=b"]
    {
        let page = browser.get(&format!("/sign-in?request={handle}")).expect(200);
        assert!(!page.text().contains("name=\"request\""), "{handle}: {}", page.text());
    }
    let page = browser.get("/sign-in?request=AbC-_01").expect(200);
    assert_eq!(hidden(&page, "request"), "AbC-_01");
    let (csrf, code) = (hidden(&page, "csrf"), person.code(0));
    let fields =
        [("csrf", csrf.as_str()), ("login", LOGIN), ("password", "wrong"), ("code", "1"), ("request", "AbC-_01")];
    let refused = browser.post("/sign-in", &fields).expect(403);
    assert_eq!(hidden(&refused, "request"), "AbC-_01", "it is not lost");
    let fields =
        [("csrf", csrf.as_str()), ("login", LOGIN), ("password", PASSWORD), ("code", &code), ("request", "AbC-_01")];
    let answer = browser.post("/sign-in", &fields).expect(303);
    assert_eq!(answer.header("location"), Some("/oauth/authorize/continue?request=AbC-_01"));
    let page = browser.get("/sign-in?request=AbC-_01").expect(200);
    assert!(page.text().contains("name=\"password\""), "whoever is led here signs in anew");
    let code = person.code(1);
    let csrf = hidden(&page, "csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("login", LOGIN),
        ("password", PASSWORD),
        ("code", &code),
        ("request", "//evil.example"),
    ];
    assert_eq!(browser.post("/sign-in", &fields).expect(303).header("location"), Some("/account"));
}

fn forms_that_are_none_are_refused_and_audited(app: &TestApp) {
    let url = app.at_root("/sign-in");
    let form = "application/x-www-form-urlencoded";
    let long = format!("login={}", "x".repeat(70_000));
    let cases: [(&str, Vec<u8>, u16); 6] = [
        (form, long.into_bytes(), 413),
        (form, b"login=%ff%fe".to_vec(), 400),
        (form, b"login=\xff".to_vec(), 400),
        (form, b"login=a&login=b".to_vec(), 400),
        ("application/json", b"{}".to_vec(), 415),
        ("multipart/form-data; boundary=x", b"--x--".to_vec(), 415),
    ];
    for (media_type, body, status) in cases {
        let before = rows_of(app, "sign-in").len();
        let answer = app.request("POST", &url).header("content-type", media_type).body(body).send().expect(status);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let rows = rows_of(app, "sign-in");
        assert_eq!((rows.len(), detail(&rows[before])["status"].as_u64()), (before + 1, Some(u64::from(status))));
    }
    app.request("POST", &url)
        .header("content-type", form)
        .header("content-encoding", "gzip")
        .body("a")
        .send()
        .expect(415);
    app.request("BREW", &url).send().expect(405);
    app.get(&app.at_root("/sign-out")).send().expect(405);
}

fn a_reset_account_has_another_password_and_other_codes(app: &TestApp) {
    let mut person = Person::add(app, LOGIN);
    let old = person.code(1);
    person.reset(app, Some("quite another sentence"), Codes::Replace);
    Browser::new(app).sign_in(LOGIN, PASSWORD, &person.code(0)).expect(403);
    Browser::new(app).sign_in(LOGIN, "quite another sentence", &old).expect(403);
    Browser::new(app).sign_in(LOGIN, "quite another sentence", &person.code(0)).expect(303);
    person.disable(app);
    Browser::new(app).sign_in(LOGIN, "quite another sentence", &person.code(1)).expect(403);
    person.reset(app, None, Codes::Keep);
    Browser::new(app).sign_in(LOGIN, "quite another sentence", &person.code(1)).expect(303);
}

#[test]
fn a_database_that_is_away_is_said_on_a_page_and_nobody_is_signed_in() {
    let app = TestApp::start(Database::sqlite(), &[("limits.database_timeout_ms", "300")]);
    let person = Person::add(&app, LOGIN);
    let mut browser = Browser::new(&app);
    let csrf = hidden(&browser.get("/sign-in").expect(200), "csrf");
    let code = person.code(0);
    let fields = [("csrf", csrf.as_str()), ("login", LOGIN), ("password", PASSWORD), ("code", &code)];
    let mut holder = app.writer();
    transaction::begin_write(&mut holder).unwrap();
    let answer = browser.post("/sign-in", &fields).expect(503);
    assert!(answer.header("retry-after").is_some() && answer.text().contains("at the moment"), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(browser.cookie(SESSION).is_none());
    transaction::rollback(&mut holder).unwrap();
    browser.post("/sign-in", &fields).expect(303);
}

#[test]
fn a_database_that_is_cut_off_is_said_on_a_page_and_a_code_is_not_lost() {
    let app = TestApp::start(Database::postgres(), &[]);
    let url = app.database.url();
    let proxy = Proxy::before(&url);
    let through = proxy.url(&url);
    let remote = app.beside(&[("server.database_url", &through), ("limits.database_timeout_ms", "500")]);
    let person = Person::add(&app, LOGIN);
    let mut browser = Browser::new(&remote);
    let code = person.code(0);
    let csrf = hidden(&browser.get("/sign-in").expect(200), "csrf");
    let fields = [("csrf", csrf.as_str()), ("login", LOGIN), ("password", PASSWORD), ("code", &code)];
    proxy.cut();
    let answer = browser.post("/sign-in", &fields).expect(503);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.header("retry-after").is_some() && browser.cookie(SESSION).is_none());
    proxy.mend();
    remote.wait_until("that signing in works again", |_| browser_of(&browser).post("/sign-in", &fields).status == 303);
}

/// The same browser before whatever follows.
fn browser_of<'a>(browser: &Browser<'a>) -> Browser<'a> {
    Browser { app: browser.app, cookies: browser.cookies.clone() }
}

#[test]
fn whoever_has_no_token_signs_in_where_everything_else_needs_one() {
    let app = TestApp::start(Database::sqlite(), &[("server.open", "false")]);
    let person = Person::add(&app, LOGIN);
    app.get("/Patient").send().expect(401);
    let mut browser = Browser::new(&app);
    browser.sign_in_as(&person, 0).expect(303);
    assert!(browser.is_signed_in());
    // A session is of pages: it gives no FHIR.
    let session = format!("{SESSION}={}", browser.cookie(SESSION).unwrap());
    app.get("/Patient").header("cookie", &session).send().expect(401);
}
