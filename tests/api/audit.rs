//! Every request leaves one audit row, which is there before its answer, and which names nobody.

use std::thread;

use idi_match::store::audit::{self, AuditRow};
use serde_json::{Value, json};

use crate::people::{guide, organization, parameters, stranger, with, with_id, without};
use crate::support::TestApp;

on_both_databases! {
    every_request_leaves_one_row_before_its_answer,
    many_requests_at_once_leave_a_row_each,
}

fn last_row(app: &TestApp, before: i64) -> AuditRow {
    let rows = audit::list_after(&mut app.connection(), 0, 10_000).unwrap();
    assert_eq!(rows.len() as i64, before + 1, "one row more");
    rows.into_iter().last().unwrap()
}

/// Method, path, body, status, and the action and outcome that are noted.
type Noted = (&'static str, &'static str, Option<Value>, u16, &'static str, &'static str);

fn requests() -> Vec<Noted> {
    let patient = with_id(&stranger(1), "p1");
    let subsetted = with(&patient, "meta", json!({"tag": [{"code": "SUBSETTED"}]}));
    vec![
        ("POST", "/Patient", Some(patient.clone()), 201, "create", "success"),
        ("POST", "/Patient", Some(json!({"resourceType": "Patient", "shoe": 1})), 400, "create", "refused"),
        ("POST", "/Observation", Some(json!({})), 404, "create", "refused"),
        ("PUT", "/Patient/p1", Some(patient.clone()), 201, "update", "success"),
        ("PUT", "/Patient/p1", Some(patient.clone()), 200, "update", "success"),
        ("PUT", "/Patient/p2", Some(patient.clone()), 400, "update", "refused"),
        ("PUT", "/Patient/p1", Some(subsetted), 422, "update", "refused"),
        ("PUT", "/Organization/o1", Some(organization("o1")), 201, "update", "success"),
        ("GET", "/Patient/p1", None, 200, "read", "success"),
        ("GET", "/Patient/p1/_history/1", None, 200, "read", "success"),
        ("GET", "/Patient/nobody", None, 404, "read", "refused"),
        ("GET", "/Patient/p_1", None, 400, "read", "refused"),
        ("GET", "/Patient?family=Dragomir", None, 200, "search", "success"),
        ("GET", "/Patient?birthdate=x", None, 400, "search", "refused"),
        ("GET", "/Observation", None, 404, "search", "refused"),
        ("POST", "/Patient/$idi-match", Some(parameters("IDIPatient", &patient, &[])), 200, "match", "success"),
        ("POST", "/Patient/$idi-match", Some(stranger(9)), 200, "match", "success"),
        ("POST", "/Patient/$idi-match", Some(guide("incomplete")), 422, "match", "refused"),
        ("POST", "/Patient/$idi-match", Some(json!([])), 400, "match", "refused"),
        ("POST", "/Patient/$match", Some(patient.clone()), 200, "match", "success"),
        ("POST", "/Patient/$match", Some(without(&patient, "meta")), 422, "match", "refused"),
        ("POST", "/Patient/$validate", Some(patient.clone()), 200, "validate", "success"),
        ("POST", "/Patient/$validate", Some(json!(1)), 400, "validate", "refused"),
        ("GET", "/metadata", None, 200, "read", "success"),
        ("GET", "/StructureDefinition/IDI-Patient", None, 200, "read", "success"),
        ("GET", "/ValueSet", None, 200, "search", "success"),
        ("GET", "/Patient?_format=xml", None, 406, "search", "refused"),
        ("GET", "/metadata?_format=xml", None, 406, "read", "refused"),
        ("GET", "/nothing/is/at/this", None, 404, "read", "refused"),
        ("BREW", "/Patient/p1", None, 405, "read", "refused"),
        ("PATCH", "/Patient/p1", None, 415, "patch", "refused"),
        ("PATCH", "/Patient/p1", Some(json!([])), 200, "patch", "success"),
        ("PATCH", "/Patient/p1", Some(json!({})), 400, "patch", "refused"),
        ("HEAD", "/Patient/p1", None, 200, "read", "success"),
        ("DELETE", "/Patient/p1", None, 204, "delete", "success"),
        ("DELETE", "/Patient/p1", None, 204, "delete", "success"),
        ("GET", "/Patient/p1", None, 410, "read", "refused"),
        ("DELETE", "/Observation/p1", None, 404, "delete", "refused"),
    ]
}

fn every_request_leaves_one_row_before_its_answer(app: &TestApp) {
    for (method, path, body, status, action, outcome) in requests() {
        let what = format!("{method} {path} {status}");
        let before = app.audit_rows();
        let request = app.request(method, path);
        let request = match &body {
            Some(body) if method == "PATCH" => request.header("Content-Type", "application/json-patch+json").body(body),
            Some(body) => request.body(body),
            None => request,
        };
        let answer = request.send().expect(status);
        let row = last_row(app, before);
        assert_eq!(
            (row.action.as_str(), row.outcome.as_str(), row.caller.as_str()),
            (action, outcome, "open"),
            "{what}"
        );
        assert_eq!(Some(row.request_id.as_str()), answer.header("x-request-id"), "{what}");
        let detail: Value = serde_json::from_str(&row.detail).unwrap();
        let noted = detail["status"].as_u64().unwrap();
        assert_eq!(noted >= 400, status >= 400, "{what}: {noted}");
        if status >= 400 {
            assert_eq!(noted, u64::from(status), "{what}");
            assert!(!detail["reasons"].as_array().unwrap().is_empty(), "{what}");
        }
        for secret in ["Dragomir", "Bruno", "SG200", "614-555", "Orchard", "1947-02"] {
            assert!(!format!("{row:?}").contains(secret), "{what}: {row:?}");
        }
    }
    let before = app.audit_rows();
    let precondition = app.put("/Patient/p3", with_id(&stranger(1), "p3")).header("If-Match", "W/\"4\"");
    precondition.send().expect(412);
    app.delete("/Patient/p3").header("If-Match", "4").send().expect(400);
    app.post("/Patient", stranger(1)).header("Content-Type", "text/plain").send().expect(415);
    app.post("/Patient", "x".repeat(1_200_000).as_str()).send().expect(413);
    assert_eq!(app.audit_rows(), before + 4, "what never reaches a use case is noted too");
    for path in ["/livez", "/readyz", "/metrics"] {
        app.get(&app.at_root(path)).send().expect(200);
    }
    assert_eq!(app.audit_rows(), before + 4, "probes are no requests for data");
}

fn many_requests_at_once_leave_a_row_each(app: &TestApp) {
    let before = app.audit_rows();
    thread::scope(|scope| {
        for number in 0..16 {
            scope.spawn(move || {
                for round in 0..5 {
                    let id = format!("p{number}-{round}");
                    app.put(&format!("/Patient/{id}"), with_id(&stranger(number), &id)).send().expect(201);
                    app.get(&format!("/Patient/{id}")).send().expect(200);
                    app.get("/Patient/nobody").send().expect(404);
                }
            });
        }
    });
    let rows = audit::list_after(&mut app.connection(), before, 10_000).unwrap();
    assert_eq!(rows.len(), 16 * 5 * 3);
    let mut ids: Vec<&str> = rows.iter().map(|row| row.request_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "each its own");
}
