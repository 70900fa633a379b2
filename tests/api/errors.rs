//! What is refused: an OperationOutcome always, with the place of the problem and the id of the request, and without a
//! word of what was received.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use idi_match::store::audit;
use serde_json::{Value, json};

use crate::people::{parameters, stranger, with};
use crate::support::{Request, TestApp};

on_both_databases! {
    content_that_is_not_fhir_is_refused_with_its_place,
    every_part_of_a_document_is_refused,
    what_is_too_large_is_refused,
    what_does_not_arrive_in_time_is_answered,
    more_requests_than_may_be_answered_at_once_are_told_to_come_again,
    routes_and_methods_that_are_not_served_are_said_to_be_so,
    only_another_format_is_refused,
    a_request_id_is_echoed_when_it_can_name_nobody,
    no_error_repeats_what_was_received,
    connections_that_speak_no_http_are_answered_and_closed,
}

fn patient(members: &str) -> Vec<u8> {
    format!(r#"{{"resourceType":"Patient",{members}}}"#).into_bytes()
}

fn nested(depth: usize) -> Vec<u8> {
    let open = r#"{"url":"u","extension":["#.repeat(depth);
    patient(&format!(r#""extension":[{open}{}]"#, "]}".repeat(depth)))
}

/// What is sent, and the code and place that come back.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    vec![
        ("nothing", vec![], "structure", "http.body"),
        ("no JSON", b"<Patient/>".to_vec(), "structure", "http.body"),
        ("half a document", br#"{"resourceType":"Patient""#.to_vec(), "structure", "Patient"),
        ("more than a document", patient(r#""active":true}{"#), "structure", "http.body"),
        (
            "not UTF-8",
            patient(r#""language":"en""#).into_iter().map(|b| if b == b'n' { 0xff } else { b }).collect(),
            "structure",
            "http.body",
        ),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf".to_vec(), patient(r#""active":true"#)].concat(),
            "structure",
            "http.body",
        ),
        ("half a surrogate pair", patient(r#""name":[{"family":"\ud800"}]"#), "structure", "Patient.name[0].family"),
        ("a control character", patient("\"name\":[{\"family\":\"a\u{1}b\"}]"), "structure", "Patient.name[0].family"),
        ("a member twice", patient(r#""birthDate":"1980","birthDate":"1981""#), "structure", "Patient.birthDate"),
        (
            "a member twice by escape",
            patient(r#""gender":"male","\u0067ender":"female""#),
            "structure",
            "Patient.gender",
        ),
        ("deep nesting", nested(60), "structure", "Patient.extension[0]"),
        ("an unknown element", patient(r#""name":[{"shoeSize":44}]"#), "structure", "Patient.name[0].shoeSize"),
        ("an element of another type", patient(r#""active":"true""#), "structure", "Patient.active"),
        ("a list where there is one", patient(r#""birthDate":["1980"]"#), "structure", "Patient.birthDate"),
        ("one where there is a list", patient(r#""name":{"family":"x"}"#), "structure", "Patient.name"),
        ("an empty list", patient(r#""name":[]"#), "structure", "Patient.name"),
        ("an empty text", patient(r#""language":"""#), "value", "Patient.language"),
        ("an empty object", patient(r#""name":[{}]"#), "structure", "Patient.name[0]"),
        ("null", patient(r#""gender":null"#), "structure", "Patient.gender"),
        ("a date that is none", patient(r#""birthDate":"1980-02-30""#), "value", "Patient.birthDate"),
        ("a code that is none", patient(r#""gender":"unspecified""#), "code-invalid", "Patient.gender"),
        ("two choices", patient(r#""deceasedBoolean":false,"deceasedDateTime":"1980""#), "structure", "Patient"),
        (
            "a meaning that is not understood",
            patient(r#""modifierExtension":[{"url":"urn:not","valueBoolean":true}]"#),
            "extension",
            "Patient.modifierExtension[0]",
        ),
    ]
}

fn content_that_is_not_fhir_is_refused_with_its_place(app: &TestApp) {
    for (what, body, code, place) in broken() {
        let requests: [Request<'_>; 4] = [
            app.post("/Patient", body.clone()),
            app.put("/Patient/p1", body.clone()),
            app.post("/Patient/$idi-match", body.clone()),
            app.post("/Patient/$match", body.clone()),
        ];
        for request in requests {
            let answer = request.send().expect(400);
            let errors = answer.errors();
            assert_eq!(errors[0].0, code, "{what}: {}", answer.text());
            assert!(errors[0].1[0].starts_with(place), "{what}: {}", answer.text());
            assert!(place != "http.body" || errors.len() == 1, "{what}: {}", answer.text());
            assert_eq!(answer.json()["id"].as_str(), answer.header("x-request-id"), "{what}");
        }
    }
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    for body in [&b"{"[..], b"nothing", b"\xff"] {
        for request in [
            app.request("PATCH", "/Patient/p1")
                .header("content-type", "application/json-patch+json")
                .body(body.to_vec()),
            app.post("/Patient/$validate", body.to_vec()),
            app.post("", body.to_vec()),
        ] {
            assert_eq!(request.send().expect(400).errors(), [("structure".to_owned(), vec!["http.body".to_owned()])]);
        }
    }
    app.delete("/Patient/p1").send().expect(204);
    let many = patient(r#""name":[{"shoeSize":44}],"active":1,"birthDate":"x""#);
    assert_eq!(app.post("/Patient", many).send().expect(400).errors().len(), 3, "every problem is told at once");
    let inside = parameters("IDIPatient", &with(&stranger(1), "birthDate", json!("1980-02-30")), &[]);
    let answer = app.post("/Patient/$idi-match", inside).send().expect(400);
    assert_eq!(answer.errors()[0].1, ["Parameters.parameter[0].resource.birthDate"]);
    assert_eq!(app.get("/Patient").send().match_bundle().total(), 0);
}

fn every_part_of_a_document_is_refused(app: &TestApp) {
    let document = include_bytes!("../../fixtures/guide/request-l1.json");
    for length in (0..document.len() - 1).step_by(29) {
        let answer = app.post("/Patient/$idi-match", document[..length].to_vec()).send().expect(400);
        assert_eq!(answer.errors()[0].0, "structure", "{length}");
        let without_one = [&document[..length], &document[length + 1..]].concat();
        let status = app.post("/Patient/$idi-match", without_one).send().status;
        assert!(matches!(status, 200 | 400 | 422), "{length}: {status}");
    }
}

fn what_is_too_large_is_refused(app: &TestApp) {
    let small = app.beside(&[
        ("limits.body_bytes_max", "2000"),
        ("limits.values_max", "100"),
        ("limits.string_bytes_max", "600"),
    ]);
    let name = |length: usize| patient(&format!(r#""name":[{{"family":"{}"}}]"#, "x".repeat(length)));
    let names = |count: usize| patient(&format!(r#""name":[{}]"#, vec![r#"{"family":"x"}"#; count].join(",")));
    let table = [
        (app, "a small one", name(10), 201),
        (app, "more than the body may have", name(1_100_000), 413),
        (app, "much more", name(20_000_000), 413),
        (&small, "a small one", name(500), 201),
        (&small, "more than the body may have", name(3_000), 413),
        (&small, "more values than a document may have", names(60), 413),
        (&small, "more than a text may have", name(700), 413),
    ];
    for (app, what, body, status) in table {
        let answer = app.post("/Patient", body).send().expect(status);
        if status == 413 {
            assert_eq!(answer.errors()[0].0, "too-long", "{what}");
            assert_eq!(answer.json()["id"].as_str(), answer.header("x-request-id"), "{what}");
        }
    }
    let mut stream = small.connect();
    let head = "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 100000000000\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(status_line(&mut stream), "HTTP/1.1 413", "what says that it is too large is not waited for");
}

fn what_does_not_arrive_in_time_is_answered(app: &TestApp) {
    let (head, body) =
        (app.beside(&[("limits.header_timeout_ms", "200")]), app.beside(&[("limits.body_timeout_ms", "200")]));
    let table = [
        (&head, "half a head", "GET /fhir/metadata HTTP/1.1\r\nHost: x", "HTTP/1.1 408"),
        (&body, "half a body", "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{", "HTTP/1.1 503"),
    ];
    for (app, what, sent, status) in table {
        let mut stream = app.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        assert_eq!(status_line(&mut stream), status, "{what}");
    }
}

fn more_requests_than_may_be_answered_at_once_are_told_to_come_again(app: &TestApp) {
    let small = app.beside(&[("limits.requests_in_flight_max", "1")]);
    let done = AtomicBool::new(false);
    let crowd = || {
        while !done.load(Ordering::SeqCst) {
            small.get("/Patient").send();
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(crowd);
        }
        for path in ["/Patient", "/Patient/p1", "/metadata"] {
            let refused = loop {
                let answer = small.get(path).send();
                if answer.status == 503 {
                    break answer;
                }
            };
            assert_eq!(refused.errors()[0].0, "transient", "{path}");
            assert!(refused.header("retry-after").is_some(), "{path}");
            assert_eq!(refused.json()["id"].as_str(), refused.header("x-request-id"), "{path}");
        }
        for probe in ["/livez", "/readyz", "/metrics"] {
            small.get(&small.at_root(probe)).send().expect(200);
        }
        done.store(true, Ordering::SeqCst);
    });
    small.wait_until("that the place is free", |small| small.get("/metadata").send().status == 200);
}

fn status_line(stream: &mut TcpStream) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    String::from_utf8_lossy(&head).into_owned()
}

fn routes_and_methods_that_are_not_served_are_said_to_be_so(app: &TestApp) {
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    let missing = [
        app.at_root("/"),
        app.at_root("/fhirx/Patient"),
        app.at_root("/livez/x"),
        "/Patient/p1/_tags".to_owned(),
        "/Patient/p1/$everything/x/y".to_owned(),
        "/Patient/".to_owned(),
        "/Practitioner?name=x".to_owned(),
        "/Practitioner/1".to_owned(),
    ];
    for path in &missing {
        let answer = app.get(path).send().expect(404);
        assert_eq!(answer.errors()[0].0, "not-found", "{path}");
        assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    }
    for (method, path) in [
        ("POST", "/Patient/$unknown"),
        ("GET", "/Patient/$unknown?name=x"),
        ("DELETE", "/Patient/p1/$everything"),
        ("POST", "/$unknown"),
        ("POST", "/Organization/$match"),
        ("GET", "/Patient/p1/_history/$diff"),
    ] {
        let answer = app.request(method, path).send().expect(404);
        assert_eq!(answer.errors()[0].0, "not-found", "{method} {path}");
    }
    let wrong = [
        ("GET", "", "POST"),
        ("DELETE", "/", "POST"),
        ("BREW", "/Organization", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("TRACE", "/Patient/p1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("POST", "/Patient/p1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("PUT", "/Patient/_search", "POST"),
        ("GET", "/Patient/$idi-match", "POST"),
        ("DELETE", "/Patient/$match", "POST"),
        ("GET", "/Patient/$validate", "POST"),
        ("POST", "/metadata", "GET, HEAD"),
        ("PUT", "/Patient/p1/_history/1", "GET, HEAD"),
        ("OPTIONS", "/Patient", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("BREW", "/Patient/p1", "GET, HEAD, PUT, PATCH, DELETE"),
    ];
    for (method, path, allowed) in wrong {
        let answer = app.request(method, path).send().expect(405);
        assert_eq!(answer.errors(), [("not-supported".to_owned(), vec!["http.method".to_owned()])], "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    for (method, path) in [
        ("PUT", "/StructureDefinition/IDI-Patient"),
        ("DELETE", "/ValueSet/Identity-Identifier-vs"),
        ("POST", "/NamingSystem"),
    ] {
        let answer = app.request(method, path).body(json!({"resourceType": "x"})).send().expect(405);
        assert_eq!(answer.errors()[0].0, "not-supported", "{method} {path}: what is read here is not written");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
    }
    app.get("/Patient/p1").send().expect(200);
}

fn only_another_format_is_refused(app: &TestApp) {
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    let accepts = [
        ("*/*", 200),
        ("application/json", 200),
        ("text/json", 200),
        ("application/fhir+json;fhirVersion=4.0;q=0.9", 200),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("not a media type", 200),
        ("application/fhir+xml", 406),
        ("text/turtle", 406),
    ];
    for (accept, status) in accepts {
        for path in ["/Patient/p1", "/Patient", "/metadata", "/ValueSet"] {
            let answer = app.get(path).header("Accept", accept).send().expect(status);
            assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"), "{accept} {path}");
        }
        let answer = app.post("/Patient/$idi-match", stranger(1)).header("Accept", accept).send().expect(status);
        if status == 406 {
            assert_eq!(answer.errors()[0], ("not-supported".to_owned(), vec!["http.accept".to_owned()]), "{accept}");
        }
    }
    for (format, status) in [("json", 200), ("application/fhir%2Bjson", 200), ("xml", 406)] {
        app.get(&format!("/Patient/p1?_format={format}"))
            .header("Accept", "application/fhir+xml")
            .send()
            .expect(status);
    }
    let types = [
        ("application/fhir+json", 200),
        ("application/json; charset=UTF-8", 200),
        ("text/json", 200),
        ("application/fhir+xml", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("application/json; charset=iso-8859-1", 415),
        ("nonsense", 415),
    ];
    for (content_type, status) in types {
        let post = |path: &str| app.post(path, stranger(1)).header("Content-Type", content_type).send();
        for path in ["/Patient/$idi-match", "/Patient/$match", "/Patient/$validate"] {
            let answer = post(path).expect(status);
            if status == 415 {
                assert_eq!(answer.errors()[0], ("not-supported".to_owned(), vec!["http.content-type".to_owned()]));
            }
        }
    }
    let zipped = app.post("/Patient", stranger(1)).header("Content-Encoding", "gzip").send().expect(415);
    assert_eq!(zipped.errors()[0].0, "not-supported");
}

fn a_request_id_is_echoed_when_it_can_name_nobody(app: &TestApp) {
    let table = [
        ("6b8e2f7a-7a57-4c0e-9f5e-0d3c8a1b2c3d", true),
        ("6B8E2F7A-7A57-4C0E-9F5E-0D3C8A1B2C3D", true),
        ("4bf92f3577b34da6a3ce929d0e0e4736", true),
        ("short", false),
        ("1", false),
        ("jane-doe-1980-02-03", false),
        ("Jane Doe", false),
        ("a'; drop table audit", false),
    ];
    for (sent, echoed) in table {
        for path in ["/Patient", "/Patient/nobody", "/nothing/at/all/here"] {
            let answer = app.get(path).header("X-Request-Id", sent).send();
            let received = answer.header("x-request-id").unwrap();
            assert_eq!(received == sent, echoed, "{sent}");
            if !echoed {
                assert_eq!((received.len(), received.matches('-').count()), (36, 4), "{sent}");
            }
            if answer.status == 404 {
                assert_eq!(answer.json()["id"], received, "{sent}");
            }
        }
    }
    let rows = audit::list_after(&mut app.connection(), 0, 1_000).unwrap();
    assert!(rows.iter().all(|row| table.iter().all(|(sent, _)| row.request_id != *sent)), "the audit's id is its own");
    let chosen =
        rows.iter().filter(|row| row.detail.contains("\"correlation_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""));
    assert_eq!(chosen.count(), 3, "and the caller's is beside it");
    let ids = [0, 1].map(|_| app.get("/metadata").send().header("x-request-id").unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    assert!(app.get(&app.at_root("/livez")).send().header("x-request-id").is_some());
}

/// No part of it is hexadecimal: ids are.
const CANARY: &str = "CanaryXyzzyq";

/// Bodies that say Canary wherever a caller can put text.
fn telling_bodies() -> Vec<String> {
    let poor = json!({
        "resourceType": "Patient",
        "id": CANARY,
        "meta": {"profile": ["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L1"]},
        "name": [{"family": CANARY, "text": CANARY}, {"use": "old"}],
        "identifier": [{"value": CANARY, "type": {"coding": [{"system": CANARY, "code": CANARY}]}}, {"value": CANARY}],
        "telecom": [{"system": "phone", "value": CANARY}],
        "address": [{"line": [CANARY], "city": CANARY}],
    });
    let members =
        "birthDate gender language deceasedDateTime id implicitRules active multipleBirthInteger name photo link text";
    let mut bodies: Vec<String> =
        members.split(' ').map(|member| with(&poor, member, json!(CANARY)).to_string()).collect();
    bodies.extend([
        format!(r#"{{"resourceType":"{CANARY}"}}"#),
        format!(r#"{{"resourceType":"Patient","language":"{CANARY}","language":"{CANARY}"}}"#),
        format!(r#"{{"resourceType":"Patient","name":[{{"family":"{CANARY}\ud800"}}]}}"#),
        format!(r#"{{"resourceType":"Patient","multipleBirthInteger":{CANARY}}}"#),
        format!(r#"{{"resourceType":"Patient","{CANARY} of 12 Main Street":1}}"#),
        CANARY.to_owned(),
        format!("{{{CANARY}"),
        parameters(CANARY, &poor, &[]).to_string(),
        parameters("IDIPatient", &poor, &[json!({"name": CANARY, "valueString": CANARY})]).to_string(),
        parameters("IDIPatient", &poor, &[json!({"name": "count", "valueString": CANARY})]).to_string(),
        poor.to_string(),
    ]);
    bodies
}

fn telling_requests(app: &TestApp) -> Vec<Request<'_>> {
    let mut requests = vec![
        app.get("/Patient/1").header("Accept", &format!("application/{CANARY}")).header("X-Request-Id", CANARY),
        app.post("/Patient", CANARY).header("Content-Type", CANARY),
        app.request(CANARY, "/Patient"),
    ];
    for body in telling_bodies() {
        for operation in ["$idi-match", "$match", "$validate"] {
            requests.push(app.post(&format!("/Patient/{operation}"), &body));
        }
        requests.push(app.put("/Patient/other", &body));
        requests.push(app.post("/Organization", &body));
    }
    let paths = "/{} /{}/1 /Patient/{} /Patient/{}_ /Patient/{}%20x /Patient/1/_history/{} /Patient/{}/{}/{} \
                 /Patient?birthdate={} /Patient?_count={} /Patient?family:{}=x /{}?family={} /Patient?_format={}";
    for path in paths.split_whitespace() {
        requests.push(app.get(&path.replace("{}", CANARY)));
        requests.push(app.delete(&path.replace("{}", CANARY)).header("If-Match", CANARY));
    }
    requests
}

fn no_error_repeats_what_was_received(app: &TestApp) {
    for request in telling_requests(app) {
        let what = format!("{request:?}");
        let answer = request.send();
        let (headers, text) = (format!("{:?}", answer.headers), answer.text());
        assert!(answer.status < 500, "{what}: {text}");
        assert!(
            !text.to_lowercase().contains("xyzzyq") && !headers.to_lowercase().contains("xyzzyq"),
            "{what}: {headers} {text}"
        );
        answer.issues();
    }
}

fn connections_that_speak_no_http_are_answered_and_closed(app: &TestApp) {
    let long = format!("GET /fhir/{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(200_000));
    let table: [(&str, Vec<u8>); 5] = [
        ("no HTTP", b"hello\r\n\r\n".to_vec()),
        ("another version", b"GET / HTTP/9.9\r\n\r\n".to_vec()),
        ("a length that is none", b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n".to_vec()),
        (
            "two lengths",
            b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".to_vec(),
        ),
        ("a long address", long.into_bytes()),
    ];
    for (what, bytes) in table {
        let answer = app.raw(&bytes);
        assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{what}: {answer}");
        assert!(!answer.contains("hello"), "{what}: {answer}");
    }
    app.get("/metadata").send().expect(200);
    let value: Value = app.get(&app.at_root("/livez")).send().expect(200).json();
    assert_eq!(value["status"], "ok");
}
