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
    a_version_that_the_caller_has_is_not_sent_again,
    head_is_the_answer_without_its_body,
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

type Headers<'h> = &'h [(&'h str, &'h str)];

fn a_version_that_the_caller_has_is_not_sent_again(app: &TestApp) {
    let patient = with(&stranger(1), "id", json!("p1"));
    app.store_patient(&patient);
    app.store_patient(&with(&patient, "language", json!("en")));
    let current = app.get("/Patient/p1").send().expect(200);
    let modified = current.header("last-modified").unwrap().to_owned();
    let table: [(Headers<'_>, u16, u16); 12] = [
        // What is asked, the status of the current version, and of the first one.
        (&[("If-None-Match", "W/\"2\"")], 304, 200),
        (&[("If-None-Match", "\"1\"")], 200, 304),
        (&[("If-None-Match", "W/\"1\", W/\"2\"")], 304, 304),
        (&[("If-None-Match", "W/\"1\""), ("If-None-Match", "W/\"2\"")], 304, 304),
        (&[("If-None-Match", "*")], 304, 304),
        (&[("If-None-Match", "W/\"9\"")], 200, 200),
        (&[("If-None-Match", "2")], 200, 200),
        (&[("If-Modified-Since", &modified)], 304, 304),
        (&[("If-Modified-Since", "Sat, 02 Jan 2100 03:04:05 GMT")], 304, 304),
        (&[("If-Modified-Since", "Fri, 02 Jan 1970 03:04:05 GMT")], 200, 200),
        (&[("If-Modified-Since", "then")], 200, 200),
        (&[("If-None-Match", "W/\"9\""), ("If-Modified-Since", &modified)], 200, 200),
    ];
    for (headers, current_status, first_status) in table {
        for (path, status) in [("/Patient/p1", current_status), ("/Patient/p1/_history/1", first_status)] {
            for method in ["GET", "HEAD"] {
                let request = app.request(method, path);
                let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
                let answer = request.send().expect(status);
                assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some(), "{headers:?}");
                assert_eq!(answer.text().is_empty(), status == 304 || method == "HEAD", "{method} {headers:?}");
            }
        }
    }
    app.get("/Patient/nobody").header("If-None-Match", "*").send().expect(404);
}

fn head_is_the_answer_without_its_body(app: &TestApp) {
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    for path in [
        "/Patient/p1",
        "/Patient/p1/_history/1",
        "/Patient/p1/_history",
        "/Patient/_history",
        "/Patient?_id=p1",
        "/Patient/p1?_pretty=true&_summary=true",
        "/metadata",
        "/StructureDefinition/IDI-Patient",
        "/Patient/nobody",
        "/nowhere/at/all",
    ] {
        let get = app.get(path).send();
        let rows = app.audit_rows();
        let head = app.request("HEAD", path).send().expect(get.status);
        assert_eq!(app.audit_rows(), rows + 1, "{path}");
        for name in ["content-type", "etag", "last-modified"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        // A Bundle or an outcome says when or as what it was asked for, in more or fewer digits.
        if get.header("etag").is_some() {
            assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        }
        assert_eq!(head.text(), "", "{path}");
    }
    let raw = app.raw(b"HEAD /fhir/Patient/p1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(raw.starts_with("HTTP/1.1 200") && raw.ends_with("\r\n\r\n"), "{raw}");
}
