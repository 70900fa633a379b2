//! `$validate`: what is wrong is the answer, not an error.

use serde_json::json;

use crate::answer::text;
use crate::people::{GUIDE, claiming, guide, organization, stranger, with, without};
use crate::support::TestApp;

on_both_databases! {
    a_resource_is_judged_by_its_base_and_by_the_profiles_it_claims,
    a_profile_that_is_asked_for_is_the_one_that_is_judged,
    what_cannot_be_judged_is_an_error,
}

/// Severity and code of what is said.
fn said(app: &TestApp, path: &str, body: &serde_json::Value) -> Vec<(String, String)> {
    let issues = app.post(path, body).send().expect(200).issues();
    issues.iter().map(|issue| (text(issue, "severity").to_owned(), text(issue, "code").to_owned())).collect()
}

fn has(said: &[(String, String)], severity: &str, code: &str) -> bool {
    said.iter().any(|(s, c)| (s.as_str(), c.as_str()) == (severity, code))
}

fn a_resource_is_judged_by_its_base_and_by_the_profiles_it_claims(app: &TestApp) {
    let plain = without(&stranger(1), "meta");
    let fine = said(app, "/Patient/$validate", &plain);
    assert_eq!(fine, [("information".to_owned(), "informational".to_owned())]);
    assert!(app.post("/Patient/$validate", &plain).send().text().contains("All OK"));
    assert_eq!(said(app, "/Organization/$validate", &organization("o1")), fine);
    let wrapped = json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": plain}]});
    assert_eq!(said(app, "/Patient/$validate", &wrapped), fine);
    assert!(said(app, "/Patient/$validate", &stranger(1)).iter().all(|(severity, _)| severity == "information"));
    let table = [
        ("a wrong date", with(&plain, "birthDate", json!("1980-02-30")), "error", "value"),
        ("an unknown element", with(&plain, "shoeSize", json!(44)), "error", "structure"),
        ("too low a weight", guide("incomplete"), "error", "business-rule"),
        (
            "a broken invariant",
            claiming(&json!({"resourceType": "Patient", "gender": "male"}), "IDI-Patient"),
            "error",
            "invariant",
        ),
        ("an unknown profile", with(&plain, "meta", json!({"profile": ["urn:unknown"]})), "warning", "not-supported"),
    ];
    for (what, body, severity, code) in table {
        let said = said(app, "/Patient/$validate", &body);
        assert!(has(&said, severity, code), "{what}: {said:?}");
    }
    assert_eq!(app.get("/Patient").send().match_bundle().total(), 0, "nothing was stored");
}

fn a_profile_that_is_asked_for_is_the_one_that_is_judged(app: &TestApp) {
    let profile = |name: &str| format!("{GUIDE}/StructureDefinition/{name}");
    let named = without(&without(&stranger(1), "meta"), "identifier");
    let table = [("IDI-Patient", false), ("IDI-Patient-L0", false), ("IDI-Patient-L1", true), ("IDI-Patient-L2", true)];
    for (name, fails) in table {
        let by_address = said(app, &format!("/Patient/$validate?profile={}", profile(name)), &named);
        assert_eq!(has(&by_address, "error", "invariant"), fails, "{name}: {by_address:?}");
    }
    let poor = without(&without(&named, "telecom"), "address");
    for (name, fails) in [("IDI-Patient", false), ("IDI-Patient-L0", true), ("IDI-Patient-L1", true)] {
        let by_address = said(app, &format!("/Patient/$validate?profile={}", profile(name)), &poor);
        assert_eq!(has(&by_address, "error", "invariant"), fails, "{name}: {by_address:?}");
        let body = json!({"resourceType": "Parameters", "parameter": [
            {"name": "resource", "resource": poor},
            {"name": "profile", "valueUri": profile(name)},
        ]});
        assert_eq!(said(app, "/Patient/$validate", &body), by_address, "{name}");
    }
    let unknown = said(app, "/Patient/$validate?profile=urn:unknown", &poor);
    assert!(has(&unknown, "error", "not-supported"), "{unknown:?}");
}

fn what_cannot_be_judged_is_an_error(app: &TestApp) {
    app.post("/Patient/$validate", "no JSON").send().expect(400).issues();
    let answer = app.post("/Patient/$validate", organization("o1")).send().expect(400);
    assert_eq!(answer.errors(), [("invalid".to_owned(), vec!["resourceType".to_owned()])]);
    app.post("/Organization/$validate", stranger(1)).send().expect(400).issues();
    app.post("/Patient/$validate", json!([])).send().expect(400).issues();
    app.post("/Observation/$validate", json!({"resourceType": "Observation"})).send().expect(404).issues();
}
