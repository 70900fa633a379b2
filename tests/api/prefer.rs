//! `Prefer: return=…`: what a write answers with.

use serde_json::json;

use crate::people::{organization, stranger, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    a_write_answers_with_what_is_preferred,
    an_error_is_told_whatever_is_preferred,
}

fn a_write_answers_with_what_is_preferred(app: &TestApp) {
    let table = [
        (None, Some("Patient"), None),
        (Some("return=representation"), Some("Patient"), Some("return=representation")),
        (Some("return=minimal"), None, Some("return=minimal")),
        (Some("respond-async, return=\"minimal\"; x"), None, Some("return=minimal")),
        (Some("return=OperationOutcome"), Some("OperationOutcome"), Some("return=OperationOutcome")),
        (Some("return=operationoutcome"), Some("Patient"), None),
        (Some("return=nothing"), Some("Patient"), None),
        (Some("return=minimal, return=representation"), None, Some("return=minimal")),
    ];
    for (number, (prefer, resource_type, applied)) in table.iter().enumerate() {
        let body = with_id(&stranger(number), &format!("p{number}"));
        let path = format!("/Patient/p{number}");
        let patch = json!([{"op": "add", "path": "/active", "value": true}]);
        let requests = [
            (app.post("/Patient", &body), 201),
            (app.put(&path, &body), 201),
            (app.put(&path, with(&body, "language", json!("en"))), 200),
            (app.request("PATCH", &path).header("Content-Type", "application/json-patch+json").body(patch), 200),
        ];
        for (request, status) in requests {
            let request = prefer.iter().fold(request, |request, prefer| request.header("Prefer", prefer));
            let answer = request.send().expect(status);
            assert_eq!(answer.header("preference-applied"), *applied, "{prefer:?}");
            assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some(), "{prefer:?}");
            assert_eq!(answer.header("location").is_some(), status == 201, "{prefer:?}");
            match resource_type {
                None => assert_eq!(answer.text(), "", "{prefer:?}"),
                Some(name) => assert_eq!(answer.json()["resourceType"], *name, "{prefer:?}"),
            }
            if *resource_type == Some("OperationOutcome") {
                assert_eq!(answer.issues()[0]["severity"], "information");
            }
        }
        assert_eq!(app.get(&path).send().expect(200).header("etag"), Some("W/\"3\""), "it was done all the same");
    }
}

fn an_error_is_told_whatever_is_preferred(app: &TestApp) {
    for prefer in ["return=minimal", "return=representation"] {
        let answer = app.put("/Organization/o1", organization("o2")).header("Prefer", prefer).send().expect(400);
        assert_eq!(answer.errors()[0].0, "invalid");
    }
}
