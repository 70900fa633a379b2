//! `$validate`: what is wrong is the answer, not an error.

use serde_json::json;

use crate::answer::text;
use crate::people::{GUIDE, claiming, example, guide, organization, stranger, with, with_id, without};
use crate::support::TestApp;

on_both_databases! {
    a_resource_is_judged_by_its_base_and_by_the_profiles_it_claims,
    a_profile_that_is_asked_for_is_the_one_that_is_judged,
    what_cannot_be_judged_is_an_error,
    every_stored_type_is_judged,
    a_mode_says_what_the_content_would_be_used_for,
    a_stored_resource_is_judged_by_a_profile,
    what_breaks_an_invariant_of_the_base_is_said_and_not_stored,
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

fn every_stored_type_is_judged(app: &TestApp) {
    for kind in ["Patient", "Organization", "RelatedPerson", "Person", "Consent", "Provenance", "Task"] {
        let resource = match kind {
            "Patient" => without(&stranger(1), "meta"),
            "Organization" => organization("o1"),
            _ => example(kind, "e1"),
        };
        for path in [format!("/{kind}/$validate"), format!("/{kind}/e1/$validate")] {
            let fine = said(app, &path, &resource);
            assert_eq!(fine, [("information".to_owned(), "informational".to_owned())], "{path}");
            let broken = said(app, &path, &with(&resource, "shoeSize", json!(44)));
            assert!(has(&broken, "error", "structure"), "{path}: {broken:?}");
        }
    }
    let event = app.get("/AuditEvent?_count=1").send().expect(200).json()["entry"][0]["resource"].clone();
    assert_eq!(said(app, "/AuditEvent/$validate", &event), [("information".to_owned(), "informational".to_owned())]);
    assert!(has(&said(app, "/AuditEvent/$validate", &without(&event, "agent")), "error", "required"));
    app.post("/AuditEvent/$validate", moded("create", Some(&event))).send().expect(400).issues();
}

/// Parameters with a mode and, where there is one, a resource.
fn moded(mode: &str, resource: Option<&serde_json::Value>) -> serde_json::Value {
    let mut list = vec![json!({"name": "mode", "valueCode": mode})];
    list.extend(resource.map(|resource| json!({"name": "resource", "resource": resource})));
    json!({"resourceType": "Parameters", "parameter": list})
}

fn a_mode_says_what_the_content_would_be_used_for(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let patient = without(&stranger(1), "meta");
    let (own, nameless) = (with_id(&patient, "p1"), without(&patient, "id"));
    let tag = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]);
    let subsetted = with(&own, "meta", json!({"tag": tag}));
    let responder = with(&organization("o1"), "id", json!("responder"));
    // Address, mode, resource, what stands against it.
    let table = [
        ("/Patient/$validate", "create", Some(&nameless), None),
        ("/Patient/$validate", "create", Some(&subsetted), Some("business-rule")),
        ("/Patient/p1/$validate", "update", Some(&own), None),
        ("/Patient/p1/$validate", "update", Some(&patient), Some("invalid")),
        ("/Patient/p1/$validate", "update", Some(&nameless), Some("required")),
        ("/Patient/p1/$validate", "update", Some(&subsetted), Some("business-rule")),
        ("/Patient/$validate", "update", Some(&own), None),
        ("/Organization/responder/$validate", "update", Some(&responder), Some("business-rule")),
        ("/Organization/responder/$validate", "delete", None, Some("business-rule")),
        ("/Patient/p1/$validate", "delete", None, None),
    ];
    for (path, mode, resource, against) in table {
        let said = said(app, path, &moded(mode, resource));
        match against {
            Some(code) => assert!(has(&said, "error", code), "{path} {mode}: {said:?}"),
            None => assert!(!said.iter().any(|(severity, _)| severity == "error"), "{path} {mode}: {said:?}"),
        }
    }
    let fine = app.post("/Patient/$validate?mode=create", &nameless).send().expect(200);
    assert!(fine.errors().is_empty(), "a mode of the address");
    let refused = [
        ("/Patient/$validate", moded("destroy", Some(&own)), 400),
        ("/Patient/$validate", moded("delete", None), 400),
        ("/Patient/p1/$validate", moded("create", Some(&own)), 400),
        ("/Patient/p1/$validate", moded("update", None), 400),
        ("/Patient/nobody/$validate", moded("delete", None), 404),
        ("/Patient/p_1/$validate", moded("update", Some(&own)), 400),
    ];
    for (path, body, status) in refused {
        app.post(path, &body).send().expect(status).issues();
    }
    let deleted = app.get("/Patient/p1").send().expect(200).json();
    assert_eq!(text(&deleted["meta"], "versionId"), "1", "nothing was written");
}

fn a_stored_resource_is_judged_by_a_profile(app: &TestApp) {
    let poor = without(&without(&without(&stranger(1), "telecom"), "address"), "identifier");
    app.store_patient(&with_id(&without(&poor, "meta"), "p1"));
    let profile = |name: &str| format!("{GUIDE}/StructureDefinition/{name}");
    for (name, fails) in [("IDI-Patient", false), ("IDI-Patient-L0", true)] {
        let body = json!({"resourceType": "Parameters", "parameter": [
            {"name": "mode", "valueCode": "profile"},
            {"name": "profile", "valueUri": profile(name)},
        ]});
        let found = said(app, "/Patient/p1/$validate", &body);
        assert_eq!(has(&found, "error", "invariant"), fails, "{name}: {found:?}");
        let address = format!("/Patient/p1/$validate?mode=profile&profile={}", profile(name));
        let issues = app.request("POST", &address).send().expect(200).issues();
        assert_eq!(issues.len(), found.len(), "without a body");
    }
    app.post("/Patient/p1/$validate", moded("profile", None)).send().expect(400).issues();
    app.post("/Patient/$validate", moded("profile", None)).send().expect(400).issues();
    app.delete("/Patient/p1").send().expect(204);
    let gone = format!("/Patient/p1/$validate?mode=profile&profile={}", profile("IDI-Patient"));
    app.request("POST", &gone).send().expect(410).issues();
}

fn what_breaks_an_invariant_of_the_base_is_said_and_not_stored(app: &TestApp) {
    let patient = without(&stranger(1), "meta");
    let period = json!([{"family": "Dragomir", "period": {"start": "2020-02-01", "end": "2020-01-01"}}]);
    let table = [
        (without(&without(&organization("x1"), "name"), "identifier"), "Organization"),
        (without(&example("Consent", "x1"), "policyRule"), "Consent"),
        (with(&patient, "telecom", json!([{"value": "614-555-0037"}])), "Patient.telecom[0]"),
        (with(&patient, "contact", json!([{"gender": "female"}])), "Patient.contact[0]"),
        (with(&patient, "name", period), "Patient.name[0].period"),
        (with(&patient, "managingOrganization", json!({"reference": "#o"})), "Patient.managingOrganization"),
    ];
    for (broken, place) in table {
        let kind = text(&broken, "resourceType").to_owned();
        let expected = [("invariant".to_owned(), vec![place.to_owned()])];
        assert_eq!(app.post(&format!("/{kind}/$validate"), &broken).send().expect(200).errors(), expected);
        let refused = app.post(&format!("/{kind}"), &broken).send().expect(422);
        assert_eq!(refused.errors(), expected, "{kind}");
        assert!(!refused.text().contains("614-555"), "no value is repeated");
    }
}
