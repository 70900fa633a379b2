//! FHIR update, with and without `If-Match`.

use serde_json::{Value, json};

use crate::people::{organization, stranger, with, without};
use crate::support::TestApp;

on_both_databases! {
    an_update_creates_under_the_clients_id_and_then_makes_versions,
    if_match_names_the_version_that_is_replaced,
    a_body_that_may_not_be_stored_changes_nothing,
}

fn an_update_creates_under_the_clients_id_and_then_makes_versions(app: &TestApp) {
    for (kind, body) in [("Patient", stranger(1)), ("Organization", organization("o1"))] {
        let path = format!("/{kind}/{}", body["id"].as_str().unwrap());
        let changed = with(&body, "language", json!("en"));
        // Status, version, and whether there is a Location, of one update after the other.
        let table = [
            ("the first creates", &body, 201, 1, true),
            ("equal content stays as it is", &body, 200, 1, false),
            ("other content is a new version", &changed, 200, 2, false),
            ("the old content again is a third one", &body, 200, 3, false),
        ];
        for (what, body, status, version, is_located) in table {
            let answer = app.put(&path, body).send().expect(status);
            assert_eq!(answer.header("etag"), Some(format!("W/\"{version}\"").as_str()), "{what}");
            assert_eq!(answer.json()["meta"]["versionId"], version.to_string(), "{what}");
            let location = format!("{}{path}/_history/{version}", app.base);
            assert_eq!(answer.header("location"), is_located.then_some(location.as_str()), "{what}");
        }
    }
}

fn if_match_names_the_version_that_is_replaced(app: &TestApp) {
    for (kind, body) in [("Patient", stranger(1)), ("Organization", organization("o1"))] {
        let path = format!("/{kind}/{}", body["id"].as_str().unwrap());
        let versions = [body.clone(), with(&body, "active", json!(false))];
        app.put(&path, &body).header("If-Match", "W/\"1\"").send().expect(412).issues();
        app.get(&path).send().expect(404);
        for body in &versions {
            assert!(app.put(&path, body).send().status < 300);
        }
        let table = [
            ("W/\"1\"", 412, "conflict"),
            ("W/\"3\"", 412, "conflict"),
            ("\"9\"", 412, "conflict"),
            ("2", 400, "value"),
            ("W/\"x\"", 400, "value"),
            ("\"2\", \"3\"", 400, "value"),
            ("\u{ff}", 400, "value"),
        ];
        for (etag, status, code) in table {
            let answer =
                app.put(&path, with(&body, "language", json!("en"))).header("If-Match", etag).send().expect(status);
            assert_eq!(answer.errors()[0].0, code, "{etag}");
        }
        assert_eq!(app.get(&path).send().header("etag"), Some("W/\"2\""), "nothing was written");
        let answer =
            app.put(&path, with(&body, "language", json!("en"))).header("If-Match", "W/\"2\"").send().expect(200);
        assert_eq!(answer.header("etag"), Some("W/\"3\""));
        app.put(&path, with(&body, "language", json!("fr"))).header("If-Match", "\"3\"").send().expect(200);
    }
}

fn a_body_that_may_not_be_stored_changes_nothing(app: &TestApp) {
    let patient = with(&stranger(1), "id", json!("p1"));
    app.store_patient(&patient);
    let tagged = |system: Value| with(&patient, "meta", json!({"tag": [{"system": system, "code": "SUBSETTED"}]}));
    let table = [
        ("another id", with(&patient, "id", json!("p2")), 400, "invalid", "Patient.id"),
        ("no id", without(&patient, "id"), 400, "invalid", "Patient.id"),
        ("another type", organization("p1"), 400, "invalid", "resourceType"),
        (
            "a part of the record",
            tagged(json!("http://terminology.hl7.org/CodeSystem/v3-ObservationValue")),
            422,
            "business-rule",
            "Patient.meta.tag",
        ),
        ("an unknown element", with(&patient, "shoeSize", json!(44)), 400, "structure", "Patient.shoeSize"),
    ];
    let before = app.get("/Patient/p1").send().text();
    for (what, body, status, code, expression) in table {
        let answer = app.put("/Patient/p1", &body).send().expect(status);
        let expected = (code.to_owned(), vec![expression.to_owned()]);
        assert_eq!(answer.errors(), [expected], "{what}");
        assert_eq!(app.get("/Patient/p1").send().text(), before, "{what}");
    }
    let body = with(&patient, "id", json!("p_1"));
    app.put("/Patient/p_1", &body).send().expect(400).issues();
    let other_tag = with(&patient, "meta", json!({"tag": [{"system": "urn:own", "code": "SUBSETTED"}]}));
    app.put("/Patient/p1", &other_tag).send().expect(200);
}
