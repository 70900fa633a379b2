//! The page on which a person sees which apps they have allowed something, and takes it back.

use idi_match::app::people::account::AccountKind;
use idi_match::store::client::{self, ClientRow, DISABLED};
use idi_match::store::consent;
use idi_match::store::token_family::{self, FamilyRow};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::launch::{Launch, REDIRECT, SCOPE, add_app, location, parameter};
use crate::signed_in::{Browser, Person, detail, hidden, rows_of};
use crate::support::TestApp;
use crate::trust::error;

on_both_databases! {
    a_person_sees_what_they_have_allowed_and_until_when,
    whoever_has_allowed_nothing_is_told_so,
    what_is_taken_back_is_over_at_once_at_every_instance,
    what_is_taken_back_ends_codes_and_agreements_too,
    taking_back_twice_is_as_good_as_once,
    others_apps_and_others_accounts_keep_what_they_have,
    everything_is_taken_back_at_once,
    a_form_of_others_takes_nothing_back,
    whoever_is_not_signed_in_signs_in_and_comes_back,
    what_is_over_is_not_shown_and_what_cannot_be_read_is,
    a_page_has_room_for_so_many_and_says_when_there_are_more,
}

/// The first moment of 2100.
const LATE_US: i64 = 4_102_444_800_000_000;
const ONLINE: &str = "launch/patient openid patient/Patient.rs";

/// The handles of the apps on a page, in its order.
fn handles(page: &Answer) -> Vec<String> {
    let text = page.text();
    let fields = text.split("name=\"app\" value=\"").skip(1);
    fields.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Sends the form of an app.
fn take_back(browser: &mut Browser<'_>, handle: &str) -> Answer {
    let csrf = hidden(&browser.get("/account").expect(200), "csrf");
    browser.post("/account", &[("csrf", &csrf), ("app", handle)])
}

/// The tokens of an app that somebody has just allowed.
fn allow(launch: &Launch<'_>, browser: &mut Browser<'_>, scope: &str) -> Value {
    let code = launch.code(browser, &[("scope", scope)]);
    launch.redeem(&code, &[]).expect(200).json()
}

fn text_of<'a>(token: &'a Value, name: &str) -> &'a str {
    token[name].as_str().unwrap()
}

/// How an app that may show nothing is answered.
fn silently(launch: &Launch<'_>, browser: &mut Browser<'_>) -> Option<String> {
    let begun = launch.begin(browser, &[("prompt", "none"), ("scope", ONLINE)]).expect(303);
    let next = browser.get(location(&begun)).expect(303);
    parameter(location(&next), "error")
}

fn a_person_sees_what_they_have_allowed_and_until_when(app: &TestApp) {
    let launch = Launch::new(app);
    let online = Launch::of(app, add_app(app, &[REDIRECT], ONLINE));
    let mut browser = launch.browser("robin");
    allow(&launch, &mut browser, SCOPE);
    allow(&online, &mut browser, ONLINE);
    let page = browser.get("/account").expect(200);
    let text = page.text();
    assert_eq!(handles(&page).len(), 2);
    let sections: Vec<&str> = text.split("<section").skip(1).collect();
    let [offline, brief] = sections[..] else { panic!("{text}") };
    for section in [offline, brief] {
        for words in [
            "Example &lt;App&gt;</h3>",
            "<li>see the record (name, birth date, address, contacts) of yours</li>",
            "<li>know that it is you, and how surely that was verified</li>",
            "<dd>app.example</dd>",
            "Example Health has added it",
            "Allowed since",
            "Take access back from Example &lt;App&gt;",
        ] {
            assert!(section.contains(words), "{words} is not in {section}");
        }
    }
    assert!(offline.contains("also while you are not using it") && offline.contains("your verified name"), "{offline}");
    assert!(!brief.contains("also while you are not using it") && !brief.contains("your verified name"), "{brief}");
    for absent in ["Robin", "Case", "1992", "patient/Patient", launch.client_id.as_str(), "own\""] {
        assert!(!text.contains(absent), "{absent} is in {text}");
    }
    let row = rows_of(app, "authorize").pop().unwrap();
    assert_eq!((row.outcome.as_str(), &detail(&row)["user"]), ("success", &json!(row.caller)));
    // An app that is not let in any more has nothing, and what it was allowed stays there to be taken back.
    let row = client::find(&mut app.connection(), &online.client_id).unwrap().unwrap();
    app.write(|connection| client::update(connection, &ClientRow { state: DISABLED.to_owned(), ..row }));
    assert_eq!(browser.get("/account").expect(200).text().matches("this app is not let in here").count(), 1);
}

fn whoever_has_allowed_nothing_is_told_so(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    for decision in ["", "deny"] {
        if !decision.is_empty() {
            launch.answer(&mut browser, &[], decision).expect(303);
        }
        let page = browser.get("/account").expect(200).text();
        assert!(page.contains("No app has access to anything of yours here."), "{page}");
        assert!(!page.contains("Take access back") && page.contains("Sign out"), "{page}");
    }
    let clerk = Person::add_as(app, "clerk", AccountKind::Workforce);
    let mut browser = Browser::new(app);
    browser.sign_in_as(&clerk, 0).expect(303);
    assert!(browser.get("/account").expect(200).text().contains("No app has access"));
}

fn what_is_taken_back_is_over_at_once_at_every_instance(app: &TestApp) {
    let launch = Launch::new(app);
    let (mut browser, mut other) = (launch.browser("robin"), launch.browser("marisol"));
    let (token, others) = (allow(&launch, &mut browser, SCOPE), allow(&launch, &mut other, SCOPE));
    // A second consent of the same app: all of it goes.
    let second = allow(&launch, &mut browser, ONLINE);
    let guarded = app.beside(&[("server.open", "false"), ("server.base_url", &app.base)]);
    let read = |token: &Value| {
        let bearer = format!("Bearer {}", text_of(token, "access_token"));
        guarded.get("/Patient/own").header("authorization", &bearer).send().status
    };
    // The app asks by what it has of somebody else.
    let is_active = |token: &str| {
        let request = guarded.request("POST", &guarded.at_root("/oauth/introspect"));
        let request = request.header("authorization", &format!("Bearer {}", text_of(&others, "access_token")));
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(&body);
        request.send().expect(200).json()["active"].as_bool().unwrap()
    };
    let (access, refresh) = (text_of(&token, "access_token"), text_of(&token, "refresh_token"));
    assert_eq!((read(&token), read(&second), is_active(access), is_active(refresh)), (200, 200, true, true));
    let page = browser.get("/account").expect(200);
    let [handle] = &handles(&page)[..] else { panic!("{}", page.text()) };
    let answer = take_back(&mut browser, handle).expect(303);
    assert_eq!(location(&answer), "/account?taken-back");
    assert_eq!((read(&token), read(&second), is_active(access), is_active(refresh)), (401, 401, false, false));
    assert_eq!(error(&launch.refresh(refresh, &[]).expect(400)), "invalid_grant");
    let user_info = app.get(&app.at_root("/oauth/userinfo")).header("authorization", &format!("Bearer {access}"));
    user_info.send().expect(401);
    assert_eq!(read(&others), 200);
    let page = browser.get("/account?taken-back").expect(200).text();
    assert!(page.contains("<p role=\"status\">It was taken back.") && page.contains("No app has access to"), "{page}");
    let row = rows_of(app, "revoke-token").pop().unwrap();
    let told = detail(&row);
    assert_eq!((row.outcome.as_str(), &told["user"]), ("success", &json!(row.caller)));
    assert_eq!((&told["client_id"], &told["status"]), (&json!(launch.client_id), &json!(303)));
}

fn what_is_taken_back_ends_codes_and_agreements_too(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let code = launch.code(&mut browser, &[("scope", ONLINE)]);
    assert_eq!(silently(&launch, &mut browser), None, "it may ask again without a page");
    let page = browser.get("/account").expect(200);
    let [handle] = &handles(&page)[..] else { panic!("nothing came of it yet, and it is there: {}", page.text()) };
    take_back(&mut browser, handle).expect(303);
    assert_eq!(error(&launch.redeem(&code, &[]).expect(400)), "invalid_grant");
    assert_eq!(silently(&launch, &mut browser).as_deref(), Some("consent_required"));
    // What is allowed afterwards is allowed.
    allow(&launch, &mut browser, SCOPE);
    assert_eq!(handles(&browser.get("/account").expect(200)).len(), 1);
}

fn taking_back_twice_is_as_good_as_once(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    allow(&launch, &mut browser, SCOPE);
    let handle = handles(&browser.get("/account").expect(200)).remove(0);
    let mut ended = |handle: &str| location(&take_back(&mut browser, handle).expect(303)).to_owned();
    assert_eq!(ended(&handle), "/account?taken-back");
    for none in [handle.as_str(), "AAAA", "not a handle", "%00", &"A".repeat(5000)] {
        assert_eq!(ended(none), "/account?nothing-taken-back", "{none}");
    }
    let page = browser.get("/account?nothing-taken-back").expect(200).text();
    assert!(page.contains("<p role=\"status\">Nothing was taken back"), "{page}");
    let made_up = browser.get("/account?taken-back&%3Cb%3E").expect(200).text();
    assert!(!made_up.contains("role=\"status\"") && !made_up.contains("<b>"), "{made_up}");
}

fn others_apps_and_others_accounts_keep_what_they_have(app: &TestApp) {
    let launch = Launch::new(app);
    let second = Launch::of(app, add_app(app, &[REDIRECT], SCOPE));
    let (mut robin, mut marisol) = (launch.browser("robin"), launch.browser("marisol"));
    let [of_first, of_second] = [&launch, &second].map(|launch| allow(launch, &mut robin, SCOPE));
    let of_marisol = allow(&launch, &mut marisol, SCOPE);
    let stands = |token: &Value| launch.stands(text_of(token, "access_token"));
    let theirs = handles(&marisol.get("/account").expect(200)).remove(0);
    // The same app, and yet nobody else's handle.
    assert_eq!(location(&take_back(&mut robin, &theirs).expect(303)), "/account?nothing-taken-back");
    assert!([&of_first, &of_second, &of_marisol].into_iter().all(stands));
    // Of two apps of one name the first allowed stands first.
    let first = handles(&robin.get("/account").expect(200)).remove(0);
    take_back(&mut robin, &first).expect(303);
    assert_eq!([&of_first, &of_second, &of_marisol].map(stands), [false, true, true]);
    launch.refresh(text_of(&of_marisol, "refresh_token"), &[]).expect(200);
    assert_eq!(handles(&robin.get("/account").expect(200)).len(), 1);
    // Another session of the same person may use what this one was shown.
    let left = handles(&robin.get("/account").expect(200)).remove(0);
    assert_eq!(location(&take_back(&mut marisol, &left).expect(303)), "/account?nothing-taken-back");
    assert!(stands(&of_second));
}

fn everything_is_taken_back_at_once(app: &TestApp) {
    let launch = Launch::new(app);
    let second = Launch::of(app, add_app(app, &[REDIRECT], SCOPE));
    let (mut robin, mut marisol) = (launch.browser("robin"), launch.browser("marisol"));
    let tokens = [&launch, &second].map(|launch| allow(launch, &mut robin, SCOPE));
    let others = allow(&launch, &mut marisol, SCOPE);
    let csrf = hidden(&robin.get("/account").expect(200), "csrf");
    let all = [("csrf", csrf.as_str()), ("all", "all")];
    for _ in 0..2 {
        assert_eq!(location(&robin.post("/account", &all).expect(303)), "/account?all-taken-back");
        assert!(tokens.iter().all(|token| !launch.stands(text_of(token, "access_token"))));
    }
    let page = robin.get("/account?all-taken-back").expect(200).text();
    assert!(
        page.contains("<p role=\"status\">You have taken everything back.") && !page.contains("<section"),
        "{page}"
    );
    assert!(launch.stands(text_of(&others, "access_token")));
    assert_eq!(silently(&launch, &mut robin).as_deref(), Some("consent_required"));
    let told = detail(&rows_of(app, "revoke-token").pop().unwrap());
    assert!(told["user"].is_string() && told["client_id"].is_null(), "{told}");
}

fn a_form_of_others_takes_nothing_back(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let token = allow(&launch, &mut browser, SCOPE);
    let page = browser.get("/account").expect(200);
    let (csrf, handle) = (hidden(&page, "csrf"), handles(&page).remove(0));
    let mut marisol = launch.browser("marisol");
    let others = hidden(&marisol.get("/account").expect(200), "csrf");
    let own = [("sec-fetch-site", "same-origin")];
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("", &own),
        (&others, &own),
        (&csrf, &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]),
        (&csrf, &[("sec-fetch-site", "same-site")]),
        (&csrf, &[("origin", "https://evil.example")]),
    ];
    for (csrf, headers) in cases {
        for what in [("app", handle.as_str()), ("all", "all")] {
            let answer = browser.post_with("/account", &[("csrf", csrf), what], headers).expect(403);
            assert!(answer.text().contains("<a href=\"/account\">Open it again</a>"), "{}", answer.text());
            assert_eq!(detail(&rows_of(app, "revoke-token").pop().unwrap())["reasons"], json!(["foreign-form"]));
        }
    }
    browser.post("/account", &[("csrf", &csrf)]).expect(400);
    browser.post("/account", &[("csrf", &csrf), ("app", &handle), ("app", &handle)]).expect(400);
    assert!(launch.stands(text_of(&token, "access_token")));
}

fn whoever_is_not_signed_in_signs_in_and_comes_back(app: &TestApp) {
    let launch = Launch::new(app);
    let person = Person::add(app, "robin");
    let mut browser = Browser::new(app);
    assert_eq!(location(&browser.get("/account").expect(303)), "/sign-in");
    assert_eq!(location(&browser.get("/account?taken-back").expect(303)), "/sign-in");
    let refused = browser.post("/account", &[("csrf", "x"), ("all", "all")]).expect(403).text();
    assert!(refused.contains("href=\"/account\""), "{refused}");
    let csrf = hidden(&browser.get("/sign-in").expect(200), "csrf");
    let (password, code) = (crate::signed_in::PASSWORD, person.code(0));
    let typed = [("csrf", csrf.as_str()), ("login", "robin"), ("password", password), ("code", &code)];
    assert_eq!(location(&browser.post("/sign-in", &typed).expect(303)), "/account");
    let page = browser.get("/account").expect(200);
    let csrf = hidden(&page, "csrf");
    // The question says where it is taken back.
    let question = launch.ask(&mut browser, &[]).text();
    assert!(question.contains("<a href=\"/account\">your account</a>"), "{question}");
    browser.post("/sign-out", &[("csrf", &csrf)]).expect(303);
    assert_eq!(location(&browser.get("/account").expect(303)), "/sign-in");
}

fn family(number: usize, client_id: &str, account_id: &str, expires_us: i64) -> FamilyRow {
    FamilyRow {
        family_id: format!("made-{number}"),
        client_id: client_id.to_owned(),
        account_id: account_id.to_owned(),
        content: b"of a key that is gone".to_vec(),
        created_us: 1_767_323_045_000_006,
        expires_us,
        revoked_us: None,
    }
}

fn what_is_over_is_not_shown_and_what_cannot_be_read_is(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let account_id = rows_of(app, "sign-in").pop().unwrap().caller;
    let put = |row: &FamilyRow| app.write(|connection| token_family::insert(connection, row));
    put(&family(1, &launch.client_id, &account_id, 1_767_323_045_000_007));
    put(&family(2, "a client that is gone", &account_id, LATE_US));
    assert!(browser.get("/account").expect(200).text().contains("No app has access"));
    put(&family(3, &launch.client_id, &account_id, LATE_US));
    let page = browser.get("/account").expect(200);
    let text = page.text();
    for words in ["What it may do cannot be shown", "<dd>2026-01-02 03:04 UTC</dd>", "<dd>2100-01-01 00:00 UTC</dd>"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert_eq!(location(&take_back(&mut browser, &handles(&page)[0]).expect(303)), "/account?taken-back");
    assert!(token_family::find(&mut app.connection(), "made-3").unwrap().unwrap().revoked_us.is_some());
    assert!(browser.get("/account").expect(200).text().contains("No app has access"));
}

fn a_page_has_room_for_so_many_and_says_when_there_are_more(app: &TestApp) {
    let launch = Launch::new(app);
    let mut browser = launch.browser("robin");
    let account_id = rows_of(app, "sign-in").pop().unwrap().caller;
    let told = "There are more than fit on this page.";
    let put = |from: usize, to: usize| {
        app.write(|connection| {
            (from..to).try_for_each(|number| {
                token_family::insert(connection, &family(number, &launch.client_id, &account_id, LATE_US))
            })
        });
    };
    put(0, 1000);
    assert!(!browser.get("/account").expect(200).text().contains(told));
    put(1000, 1001);
    let page = browser.get("/account").expect(200);
    assert!(page.text().contains(told) && handles(&page).len() == 1, "{}", page.text());
    let csrf = hidden(&page, "csrf");
    browser.post("/account", &[("csrf", &csrf), ("all", "all")]).expect(303);
    assert!(browser.get("/account").expect(200).text().contains("No app has access"), "those beyond the page too");
    assert_eq!(consent::find(&mut app.connection(), &account_id, &launch.client_id), Ok(None));
}
