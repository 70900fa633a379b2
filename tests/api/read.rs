//! FHIR read and vread; what was stored is what is read.

use idi_match::fhir::splice::members;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::people::{organization, stranger, with};
use crate::support::TestApp;

on_both_databases! {
    what_is_stored_is_read_as_it_was_written,
    every_version_stays_readable,
    what_is_not_there_is_said_to_be_so,
}

const LOSSLESS: [(&str, &str); 7] = [
    (
        "decimals and exponents",
        r#""extension":[{"url":"urn:d","valueDecimal":1.50},{"url":"urn:e","valueDecimal":1E+2},{"url":"urn:f","valueDecimal":0.1000000000000000000000000001}]"#,
    ),
    (
        "extensions",
        r#""name":[{"family":"Ray","extension":[{"url":"urn:x","extension":[{"url":"y","valueString":"z"}]}]}]"#,
    ),
    (
        "primitive extensions",
        r#""birthDate":"1980-02-03","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1980-02-03T04:05:06.70-05:00"}]},"name":[{"given":["Ann",null],"_given":[null,{"extension":[{"url":"urn:x","valueCode":"asked-unknown"}]}]}]"#,
    ),
    (
        "odd order",
        r#""telecom":[{"value":"1","system":"phone"}],"active":true,"identifier":[{"value":"1","system":"urn:s"}]"#,
    ),
    ("escapes", r#""name":[{"family":"Mu\u00f1oz \ud83d\ude00 \/ \"\\ \t","given":["Åsa","\u0041nn"]}]"#),
    ("space between", "\"name\" : [ { \"family\" :\t\"Ray\" } ] ,\n  \"birthDate\" : \"1980\""),
    (
        "a contained resource and a narrative",
        r##""contained":[{"resourceType":"Organization","id":"c","name":"C"}],"managingOrganization":{"reference":"#c"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}"##,
    ),
];

/// Of a Patient everything but what the server owns, byte for byte and in order.
fn own_members(body: &str) -> Vec<(String, String)> {
    let all = members(body).unwrap().into_iter();
    let own = all.filter(|(name, _)| !matches!(name.as_ref(), "resourceType" | "id" | "meta"));
    own.map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect()
}

fn what_is_stored_is_read_as_it_was_written(app: &TestApp) {
    for (number, (what, content)) in LOSSLESS.iter().enumerate() {
        let meta = r#""meta":{"source":"urn:source","versionId":"77","tag":[{"code":"a","system":"urn:t"}]}"#;
        let sent = format!(r#"{{{content},"id":"p{number}","resourceType":"Patient",{meta}}}"#);
        let stored = app.put(&format!("/Patient/p{number}"), &sent).send().expect(201);
        let read = app.get(&format!("/Patient/p{number}")).send().expect(200);
        let searched = app.get(&format!("/Patient?_id=p{number}")).send().expect(200).text();
        assert_eq!(read.text(), stored.text(), "{what}");
        assert!(searched.contains(&read.text()), "{what}: {searched}");
        assert_eq!(own_members(&read.text()), own_members(&sent), "{what}");
        let meta = &read.json()["meta"];
        assert_eq!((&meta["versionId"], &meta["source"]), (&json!("1"), &json!("urn:source")), "{what}");
        assert_eq!(meta["tag"], json!([{"code": "a", "system": "urn:t"}]), "{what}");
        let created = app.post("/Patient", &sent).send().expect(201).text();
        assert_eq!(own_members(&created), own_members(&sent), "{what}");
    }
}

fn every_version_stays_readable(app: &TestApp) {
    for (kind, body) in [("Patient", stranger(1)), ("Organization", organization("o1"))] {
        let path = format!("/{kind}/{}", body["id"].as_str().unwrap());
        let bodies = [body.clone(), with(&body, "active", json!(false)), with(&body, "language", json!("en"))];
        let written: Vec<Answer> = bodies.iter().map(|body| app.put(&path, body).send()).collect();
        assert_eq!(written.iter().map(|answer| answer.status).collect::<Vec<_>>(), [201, 200, 200]);
        for (version, answer) in (1..).zip(&written) {
            let read = app.get(&format!("{path}/_history/{version}")).send().expect(200);
            assert_eq!(read.text(), answer.text());
            assert_eq!(read.header("etag"), Some(format!("W/\"{version}\"").as_str()));
            assert_eq!(read.header("last-modified"), answer.header("last-modified"));
        }
        assert_eq!(app.get(&path).send().expect(200).text(), written[2].text());
        let updated: Vec<Value> = written.iter().map(|answer| answer.json()["meta"]["lastUpdated"].clone()).collect();
        assert!(updated.is_sorted_by(|a, b| a.as_str() < b.as_str()), "{updated:?}");
    }
}

fn what_is_not_there_is_said_to_be_so(app: &TestApp) {
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    let table = [
        ("/Patient/p2", 404, "not-found"),
        ("/Patient/P1", 404, "not-found"),
        ("/Patient/p1/_history/2", 404, "not-found"),
        ("/Patient/p1/_history/0", 404, "not-found"),
        ("/Patient/p1/_history/x", 404, "not-found"),
        ("/Patient/p1/_history/9999999999999999999999", 404, "not-found"),
        ("/Organization/p1", 404, "not-found"),
        ("/Observation/p1", 404, "not-found"),
        ("/Patient/p_1", 400, "value"),
        ("/Patient/p%201", 400, "value"),
        ("/Patient/%FF", 400, "value"),
    ];
    for (path, status, code) in table {
        let answer = app.get(path).send().expect(status);
        assert_eq!(answer.errors()[0].0, code, "{path}");
    }
}
