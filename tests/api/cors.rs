//! Browser apps of other origins: what their scripts may read, and what not.

use serde_json::json;

use crate::answer::Answer;
use crate::launch::{REDIRECT, SCOPE, add_app};
use crate::support::TestApp;
use crate::trust::post_form;

on_both_databases! {
    what_this_server_says_of_itself_is_for_everybodys_scripts,
    tokens_and_data_are_for_registered_origins_alone,
    a_preflight_is_answered_without_a_token,
    no_cookie_ever_goes_along,
}

const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

fn from(app: &TestApp, path: &str, origin: &str) -> Answer {
    app.get(&app.at_root(path)).header("origin", origin).send()
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

fn what_this_server_says_of_itself_is_for_everybodys_scripts(app: &TestApp) {
    for path in
        ["/fhir/metadata", "/fhir/.well-known/smart-configuration", "/.well-known/openid-configuration", "/oauth/jwks"]
    {
        assert_eq!(allowed(&from(app, path, EVIL).expect(200)), Some("*"), "{path}");
    }
}

fn tokens_and_data_are_for_registered_origins_alone(app: &TestApp) {
    add_app(app, &[REDIRECT], SCOPE);
    for path in ["/fhir/Patient", "/oauth/userinfo"] {
        assert_eq!(allowed(&from(app, path, APP)), Some(APP), "{path}");
        for origin in [EVIL, "null", "https://app.example.evil.example", "http://app.example"] {
            assert_eq!(allowed(&from(app, path, origin)), None, "{path} {origin}");
        }
        assert_eq!(from(app, path, EVIL).header("vary"), Some("Origin"), "{path}");
    }
    for path in ["/oauth/authorize", "/sign-in", "/account", "/oauth/logout", "/metrics"] {
        assert_eq!(allowed(&from(app, path, APP)), None, "{path}");
    }
    let refused = post_form(app, "/oauth/token", &[("grant_type", "authorization_code")]);
    assert_eq!(allowed(&refused), None, "without an origin nothing is said");
}

fn a_preflight_is_answered_without_a_token(app: &TestApp) {
    add_app(app, &[REDIRECT], SCOPE);
    let guarded = app.beside(&[("server.open", "false")]);
    let ask = |path: &str, origin: &str| {
        let request = guarded.request("OPTIONS", &guarded.at_root(path)).header("origin", origin);
        request
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .send()
    };
    for path in ["/fhir/Patient/own", "/oauth/token"] {
        let answer = ask(path, APP).expect(204);
        assert_eq!(allowed(&answer), Some(APP), "{path}");
        assert!(answer.header("access-control-allow-headers").unwrap().contains("Authorization"));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
        let refused = ask(path, EVIL).expect(204);
        assert_eq!((allowed(&refused), refused.header("access-control-allow-methods")), (None, None), "{path}");
    }
    let public = ask("/fhir/metadata", EVIL).expect(204);
    assert_eq!(allowed(&public), Some("*"));
    // A page for people has no preflight, and OPTIONS without one is a method that is not served.
    assert_eq!(ask("/sign-in", APP).expect(405).header("access-control-allow-methods"), None);
    guarded.request("OPTIONS", "/Patient/own").send().expect(405);
}

fn no_cookie_ever_goes_along(app: &TestApp) {
    add_app(app, &[REDIRECT], SCOPE);
    for path in ["/fhir/metadata", "/fhir/Patient", "/oauth/userinfo"] {
        assert_eq!(from(app, path, APP).header("access-control-allow-credentials"), None, "{path}");
    }
    let posted = app.post("/Patient", json!({})).header("origin", APP).send();
    assert_eq!(posted.header("access-control-allow-credentials"), None);
}
