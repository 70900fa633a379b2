//! FHIR patch with JSON Patch.

use serde_json::json;

use crate::answer::Answer;
use crate::people::{example, organization, stranger, with, with_id};
use crate::support::{Content, TestApp};

on_both_databases! {
    a_patch_makes_a_version_of_every_stored_type,
    what_a_patch_does_not_touch_stays_as_it_was_written,
    if_match_names_the_version_that_is_patched,
    a_patch_that_may_not_be_applied_changes_nothing,
    only_json_patch_is_taken,
    a_narrative_does_not_outlive_the_data_it_was_made_from,
    a_patched_record_is_matched_by_what_it_says_now,
}

const JSON_PATCH: &str = "application/json-patch+json";

fn patch(app: &TestApp, path: &str, operations: impl Into<Content>) -> Answer {
    app.request("PATCH", path).header("Content-Type", JSON_PATCH).body(operations).send()
}

fn a_patch_makes_a_version_of_every_stored_type(app: &TestApp) {
    let others = ["RelatedPerson", "Person", "Consent", "Provenance", "Task"].map(|kind| example(kind, "x1"));
    let all = [with_id(&stranger(1), "x1"), organization("x1")].into_iter().chain(others);
    for body in all {
        let kind = body["resourceType"].as_str().unwrap();
        let path = format!("/{kind}/x1");
        app.put(&path, &body).send().expect(201);
        let answer = patch(app, &path, json!([{"op": "add", "path": "/language", "value": "en"}])).expect(200);
        assert_eq!(answer.header("etag"), Some("W/\"2\""), "{kind}");
        assert_eq!(answer.header("location"), None, "{kind}");
        let read = app.get(&path).send().expect(200);
        assert_eq!((read.text(), read.header("last-modified")), (answer.text(), answer.header("last-modified")));
        let mut expected = with(&body, "language", json!("en"));
        expected["meta"] = read.json()["meta"].clone();
        assert_eq!(read.json(), expected, "{kind}");
        assert_eq!(read.json()["meta"]["versionId"], "2", "{kind}");
        let first = app.get(&format!("{path}/_history/1")).send().expect(200).json();
        assert!(first.get("language").is_none(), "{kind}");
        // A test that holds, and nothing else, is no new version.
        let tested = patch(app, &path, json!([{"op": "test", "path": "/language", "value": "en"}])).expect(200);
        assert_eq!(tested.header("etag"), Some("W/\"2\""), "{kind}");
    }
}

fn what_a_patch_does_not_touch_stays_as_it_was_written(app: &TestApp) {
    let content = r#""extension":[{"url":"urn:d","valueDecimal":1.50},{"url":"urn:e","valueDecimal":1E+2}],"birthDate":"1980","name":[{"family":"Mu\u00f1oz \/","given":["Ann",null],"_given":[null,{"id":"g"}]}]"#;
    app.put("/Patient/p1", &format!(r#"{{"resourceType":"Patient","id":"p1",{content}}}"#)).send().expect(201);
    let operations = r#"[{"op":"test","path":"/extension/0/valueDecimal","value":15e-1},{"op":"replace","path":"/birthDate","value":"1981"},{"op":"copy","from":"/extension/0","path":"/extension/-"}]"#;
    let patched = patch(app, "/Patient/p1", operations).expect(200).text();
    let expected = content.replace("1980", "1981").replace("1E+2}", r#"1E+2},{"url":"urn:d","valueDecimal":1.50}"#);
    assert!(patched.ends_with(&format!("{expected}}}")), "{patched}");
}

fn if_match_names_the_version_that_is_patched(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let operations = json!([{"op": "add", "path": "/language", "value": "en"}]);
    for (etag, status, code) in [("W/\"2\"", 412, "conflict"), ("2", 400, "value"), ("*", 400, "value")] {
        let request = app.request("PATCH", "/Patient/p1").header("Content-Type", JSON_PATCH).header("If-Match", etag);
        assert_eq!(request.body(&operations).send().expect(status).errors()[0].0, code, "{etag}");
    }
    let request = app.request("PATCH", "/Patient/p1").header("Content-Type", JSON_PATCH).header("If-Match", "W/\"1\"");
    assert_eq!(request.body(&operations).send().expect(200).header("etag"), Some("W/\"2\""));
}

fn a_patch_that_may_not_be_applied_changes_nothing(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    app.store_patient(&with_id(&stranger(2), "gone"));
    app.delete("/Patient/gone").send().expect(204);
    let before = app.get("/Patient/p1").send().text();
    let deep = format!(r#"[{{"op":"add","path":"/x","value":{}1{}}}]"#, "[".repeat(40), "]".repeat(40));
    let many = format!("[{}]", [r#"{"op":"test","path":"/id","value":"p1"}"#; 201].join(","));
    let doubling = format!(
        r#"[{{"op":"add","path":"/x","value":["{}"]}},{}]"#,
        "x".repeat(400),
        [r#"{"op":"copy","from":"/x","path":"/x/-"}"#; 30].join(",")
    );
    let add = r#"[{"op":"add","path":"/language","value":"en"}]"#;
    let table: &[(&str, &str, u16, &str, &str)] = &[
        ("/Patient/p1", "", 400, "structure", ""),
        ("/Patient/p1", "{}", 400, "structure", ""),
        ("/Patient/p1", r#"[{"op":"add","path":"/a"}]"#, 400, "required", "[0].value"),
        ("/Patient/p1", r#"[{"op":"add","op":"remove","path":"/a"}]"#, 400, "structure", "[0].op"),
        ("/Patient/p1", &deep, 400, "structure", ""),
        ("/Patient/p1", &many, 413, "too-long", ""),
        ("/Patient/p1", &doubling, 422, "too-long", ""),
        ("/Patient/p1", r#"[{"op":"test","path":"/gender","value":"other"}]"#, 422, "processing", "[0]"),
        ("/Patient/p1", r#"[{"op":"remove","path":"/photo"}]"#, 422, "processing", "[0]"),
        ("/Patient/p1", r#"[{"op":"replace","path":"/id","value":"p2"}]"#, 422, "business-rule", "Patient.id"),
        (
            "/Patient/p1",
            r#"[{"op":"replace","path":"/resourceType","value":"Person"}]"#,
            422,
            "business-rule",
            "resourceType",
        ),
        ("/Patient/p1", r#"[{"op":"add","path":"/shoe","value":44}]"#, 422, "structure", "Patient.shoe"),
        ("/Patient/p1", r#"[{"op":"replace","path":"/birthDate","value":"then"}]"#, 422, "value", "Patient.birthDate"),
        ("/Patient/p1", r#"[{"op":"remove","path":"/name/0"}]"#, 422, "structure", "Patient.name"),
        (
            "/Patient/p1",
            r#"[{"op":"add","path":"/meta/tag","value":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}]"#,
            422,
            "business-rule",
            "Patient.meta.tag",
        ),
        ("/Patient/nobody", add, 404, "not-found", ""),
        ("/Patient/gone", add, 410, "deleted", ""),
        ("/Patient/p_1", add, 400, "value", "Resource.id"),
        ("/Observation/p1", add, 404, "not-found", ""),
        ("/StructureDefinition/IDI-Patient", add, 405, "not-supported", "http.method"),
        ("/Organization/responder", add, 409, "business-rule", "Organization.id"),
    ];
    for (path, operations, status, code, place) in table {
        let rows = app.audit_rows();
        let errors = patch(app, path, *operations).expect(*status).errors();
        assert_eq!(errors[0].0, *code, "{operations}");
        assert!(place.is_empty() || errors[0].1.iter().any(|found| found == place), "{operations}: {errors:?}");
        assert_eq!(app.audit_rows(), rows + 1, "{operations}");
    }
    assert_eq!(app.get("/Patient/p1").send().text(), before);
}

fn only_json_patch_is_taken(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let operations = r#"[{"op":"add","path":"/language","value":"en"}]"#;
    for media_type in [
        "application/merge-patch+json",
        "application/xml-patch+xml",
        "application/fhir+json",
        "application/json",
        "application/json-patch+json; charset=utf-16",
        "",
    ] {
        let answer = app.request("PATCH", "/Patient/p1").header("Content-Type", media_type).body(operations).send();
        assert_eq!(answer.expect(415).errors()[0].1, ["http.content-type"], "{media_type}");
    }
    let answer =
        app.request("PATCH", "/Patient/p1").header("Content-Type", "application/json-patch+json; charset=UTF-8");
    answer.body(operations).send().expect(200);
}

fn a_narrative_does_not_outlive_the_data_it_was_made_from(app: &TestApp) {
    let text = |status: &str| json!({"status": status, "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Ann</div>"});
    let change = json!([{"op": "replace", "path": "/gender", "value": "unknown"}]);
    for (status, is_kept) in [("generated", false), ("extensions", false), ("empty", true)] {
        app.store_patient(&with(&with_id(&stranger(1), "p1"), "text", text(status)));
        let patched = patch(app, "/Patient/p1", &change).expect(200).json();
        assert_eq!((patched["gender"].as_str(), patched.get("text").is_some()), (Some("unknown"), is_kept), "{status}");
    }
    app.store_patient(&with(&with_id(&stranger(1), "p1"), "text", text("additional")));
    assert_eq!(patch(app, "/Patient/p1", &change).expect(422).errors()[0].1, ["Patient.text"]);
    let both = json!([change[0], {"op": "replace", "path": "/text", "value": text("additional")}]);
    assert_eq!(patch(app, "/Patient/p1", both).expect(200).json()["text"], text("additional"));
}

fn a_patched_record_is_matched_by_what_it_says_now(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let now = stranger(4);
    let operations: Vec<_> = ["name", "birthDate", "identifier", "telecom", "address", "gender"]
        .iter()
        .map(|member| json!({"op": "replace", "path": format!("/{member}"), "value": now[member]}))
        .collect();
    patch(app, "/Patient/p1", json!(operations)).expect(200);
    assert_eq!(app.idi_match(&now).ids(), ["p1"]);
    assert!(app.idi_match(&stranger(1)).ids().is_empty());
    let family = now["name"][0]["family"].as_str().unwrap();
    assert_eq!(app.get(&format!("/Patient?family={family}")).send().match_bundle().ids(), ["p1"]);
}
