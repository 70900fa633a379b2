//! Batches: each entry as if it had been sent alone.

use idi_match::store::audit;
use serde_json::{Value, json};

use crate::answer::text;
use crate::people::{organization, stranger, with, with_id};
use crate::support::TestApp;
use crate::transaction::{asking, bundle, entry, patch, responses};

on_both_databases! {
    each_entry_is_answered_on_its_own,
    an_entry_that_fails_says_why_and_takes_no_other_with_it,
    every_entry_has_an_audit_row_of_its_own,
    what_is_wrong_with_the_bundle_stops_all_of_it,
    a_full_batch_is_done,
}

fn batch(app: &TestApp, entries: &[Value]) -> Value {
    let answer = app.post("", bundle("batch", entries)).send().expect(200).json();
    assert_eq!((text(&answer, "resourceType"), text(&answer, "type")), ("Bundle", "batch-response"));
    answer
}

fn each_entry_is_answered_on_its_own(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    app.put("/Organization/o1", organization("o1")).send().expect(201);
    let language = patch(&json!([{"op": "add", "path": "/language", "value": "fr"}]));
    let answer = batch(
        app,
        &[
            entry("GET", "Patient/p1", None),
            entry("GET", &format!("{}/Patient/p1/_history/1", app.base), None),
            entry("GET", "/Patient?family=Dragomir", None),
            asking(&entry("GET", "Patient/p1", None), "ifNoneMatch", "W/\"1\""),
            entry("POST", "Patient", Some(&stranger(2))),
            asking(&entry("POST", "Organization", Some(&organization("x"))), "ifNoneExist", "identifier=urn:orgs|o1"),
            entry("PUT", "Patient/p3", Some(&with_id(&stranger(3), "p3"))),
            entry("PATCH", "Organization/o1", Some(&language)),
            entry("DELETE", "Patient/never", None),
        ],
    );
    let statuses: Vec<&str> = responses(&answer).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["200", "200", "200", "304", "201", "200", "201", "200", "204"]);
    assert_eq!(answer["entry"][0]["resource"], app.get("/Patient/p1").send().json());
    assert_eq!(answer["entry"][2]["resource"]["entry"][0]["resource"]["id"], "p1");
    assert!(answer["entry"][3]["resource"].is_null());
    assert!(responses(&answer)[4].1.starts_with(&format!("{}/Patient/", app.base)));
    assert_eq!(text(&answer["entry"][5], "fullUrl"), format!("{}/Organization/o1", app.base));
    assert_eq!(app.idi_match(&stranger(2)).total(), 1);
    assert!(batch(app, &[])["entry"].is_null());
}

fn an_entry_that_fails_says_why_and_takes_no_other_with_it(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let refers =
        |reference: &str| json!({"resourceType": "Organization", "name": "x", "partOf": {"reference": reference}});
    let failing = [
        (
            "400",
            "value",
            "resource.birthDate",
            entry("POST", "Patient", Some(&with(&stranger(2), "birthDate", json!("1980-02-30")))),
        ),
        ("400", "structure", "resource.shoe", entry("POST", "Patient", Some(&with(&stranger(2), "shoe", json!(1))))),
        ("400", "code-invalid", "request.method", entry("BREW", "Patient", None)),
        ("400", "required", "request", json!({"resource": stranger(2)})),
        ("404", "not-found", "", entry("GET", "Patient/nobody", None)),
        ("404", "not-found", "", entry("GET", "Observation/1", None)),
        (
            "405",
            "not-supported",
            "request.method",
            entry("POST", "ValueSet", Some(&json!({"resourceType": "ValueSet"}))),
        ),
        ("412", "conflict", "request.ifMatch", asking(&entry("DELETE", "Patient/p1", None), "ifMatch", "W/\"7\"")),
        ("400", "not-supported", "request.url", entry("POST", "Patient/$idi-match", Some(&stranger(1)))),
        ("400", "not-supported", "request.url", entry("GET", "Patient/p1/_history", None)),
        ("400", "value", "request.url", entry("GET", "Patient?birthdate=x", None)),
        ("409", "business-rule", "resource.id", entry("DELETE", "Organization/responder", None)),
        (
            "400",
            "not-found",
            "resource.partOf.reference",
            entry("POST", "Organization", Some(&refers("urn:uuid:5d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001"))),
        ),
        (
            "400",
            "not-supported",
            "resource.partOf.reference",
            entry("POST", "Organization", Some(&refers("Organization?identifier=x"))),
        ),
    ];
    let mut entries: Vec<Value> = Vec::new();
    for (number, (.., failing)) in failing.iter().enumerate() {
        entries.push(failing.clone());
        entries.push(entry(
            "PUT",
            &format!("Patient/good-{number}"),
            Some(&with_id(&stranger(number + 3), &format!("good-{number}"))),
        ));
    }
    let answer = batch(app, &entries);
    for (number, (status, code, place, what)) in failing.iter().enumerate() {
        let response = &answer["entry"][2 * number]["response"];
        assert!(text(response, "status").starts_with(status), "{what}: {response}");
        let issue = &response["outcome"]["issue"][0];
        let dot = if place.is_empty() { "" } else { "." };
        let expected = format!("Bundle.entry[{}]{dot}{place}", 2 * number);
        assert_eq!((text(issue, "code"), issue["expression"][0].as_str()), (*code, Some(expected.as_str())), "{what}");
        assert!(text(&answer["entry"][2 * number + 1]["response"], "status").starts_with("201"), "{answer}");
        app.get(&format!("/Patient/good-{number}")).send().expect(200);
    }
    assert_eq!(app.get("/Patient/p1").send().expect(200).header("etag"), Some("W/\"1\""));
    assert_eq!(app.get("/Organization?name=x").send().match_bundle().total(), 0);
}

fn every_entry_has_an_audit_row_of_its_own(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let before = app.audit_rows();
    let entries = [
        entry("GET", "Patient/p1", None),
        entry("GET", "Patient?family=Dragomir", None),
        entry("POST", "Patient", Some(&stranger(2))),
        entry("PUT", "Patient/p2", Some(&stranger(2))),
        entry("DELETE", "Patient/p1", None),
        entry("BREW", "Dragomir/Bruno", None),
    ];
    let answer = app.post("", bundle("batch", &entries)).send().expect(200);
    let rows = audit::list_after(&mut app.connection(), 0, 10_000).unwrap().split_off(usize::try_from(before).unwrap());
    let noted: Vec<(&str, &str)> = rows.iter().map(|row| (row.action.as_str(), row.outcome.as_str())).collect();
    let expected = [
        ("read", "success"),
        ("search", "success"),
        ("create", "success"),
        ("update", "refused"),
        ("delete", "success"),
        ("read", "refused"),
    ];
    assert_eq!(noted, expected);
    assert!(rows.iter().all(|row| Some(row.request_id.as_str()) == answer.header("x-request-id")));
    assert!(!format!("{rows:?}").contains("Dragomir"));
    let before = app.audit_rows();
    batch(app, &[]);
    app.post("", json!({"resourceType": "Bundle", "type": "batch", "entry": []})).send().expect(400);
    assert_eq!(app.audit_rows(), before + 2, "a batch that asks for nothing, and one that is refused, are noted too");
}

fn what_is_wrong_with_the_bundle_stops_all_of_it(app: &TestApp) {
    let good = entry("POST", "Patient", Some(&stranger(1)));
    let batch = bundle("batch", std::slice::from_ref(&good));
    let table = [
        (with(&batch, "shoe", json!(1)), "Bundle.shoe"),
        (with(&batch, "type", json!("searchset")), "Bundle.type"),
        (with(&batch, "total", json!("x")), "Bundle.total"),
        (bundle("batch", &vec![with(&good, "shoe", json!(1)); 150]), "Bundle.entry[0].shoe"),
    ];
    for (body, place) in table {
        assert_eq!(app.post("", &body).send().expect(400).errors()[0].1[0], place);
        assert_eq!(app.get("/Patient").send().match_bundle().total(), 0);
    }
}

fn a_full_batch_is_done(app: &TestApp) {
    let all = |kind: &str| {
        let organization = |number: usize| {
            let id = format!("{kind}-{number}");
            entry("PUT", &format!("Organization/{id}"), Some(&organization(&id)))
        };
        bundle(kind, &(0..1000).map(organization).collect::<Vec<_>>())
    };
    let patient = app.beside(&[("limits.transaction_ms_max", "600000")]);
    for kind in ["batch", "transaction"] {
        let answer = patient.post("", all(kind)).send().expect(200).json();
        assert_eq!(answer["entry"].as_array().unwrap().len(), 1000, "{kind}");
        assert!(responses(&answer).iter().all(|(status, _)| *status == "201"), "{kind}");
        app.get(&format!("/Organization/{kind}-999")).send().expect(200);
    }
}
