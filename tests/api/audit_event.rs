//! AuditEvents: the rows of the audit, read and searched as FHIR has them.

use serde_json::{Value, json};

use crate::answer::{text, texts};
use crate::people::{organization, stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    an_event_says_who_did_what_to_which_records,
    events_are_found_by_time_action_and_outcome,
    events_page_by_time_while_more_of_them_come,
    events_are_not_written,
    events_are_found_by_what_they_are_about,
    every_interaction_has_its_pattern_and_denials_have_none,
}

/// The newest events, the newest first.
fn events(app: &TestApp, query: &str) -> Vec<Value> {
    let found = app.get(&format!("/AuditEvent{query}")).send().expect(200).match_bundle();
    assert_eq!(found.issues().len(), 0, "{query}");
    found.entries("match").into_iter().map(|entry| entry["resource"].clone()).collect()
}

fn references(event: &Value) -> Vec<String> {
    let entities = event["entity"].as_array().unwrap().iter();
    // A pattern may name a record as the person and as what was read.
    let mut found: Vec<String> =
        entities.filter_map(|entity| entity["what"]["reference"].as_str()).map(str::to_owned).collect();
    found.dedup();
    found
}

fn an_event_says_who_did_what_to_which_records(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let created = &events(app, "?_count=1")[0];
    let code = |event: &Value| (text(&event["subtype"][0], "code").to_owned(), text(event, "action").to_owned());
    assert_eq!(code(created), ("update".to_owned(), "U".to_owned()));
    assert_eq!((text(created, "outcome"), references(created)), ("0", vec!["Patient/p1".to_owned()]));
    let answer = app.get("/Patient/nobody").send().expect(404);
    let request_id = answer.header("x-request-id").unwrap().to_owned();
    let refused = &events(app, "?_count=1")[0];
    assert_eq!((code(refused), text(refused, "outcome")), (("read".to_owned(), "R".to_owned()), "4"));
    assert_eq!(text(&refused["entity"][0]["what"]["identifier"], "value"), request_id);
    assert_eq!(text(&refused["source"]["observer"], "reference"), "Organization/responder");
    let id = text(refused, "id");
    let read = app.get(&format!("/AuditEvent/{id}")).send().expect(200);
    assert_eq!((&read.json(), read.header("etag")), (refused, Some("W/\"1\"")));
    app.put("/Organization/o1", organization("o1")).send().expect(201);
    let patient =
        json!({"resourceType": "Patient", "id": "p2", "managingOrganization": {"reference": "Organization/o1"}});
    app.store_patient(&patient);
    app.get("/Patient?organization=o1&_include=Patient:organization").send().expect(200);
    assert_eq!(references(&events(app, "?_count=1")[0]), ["Patient/p2", "Organization/o1"]);
    for event in events(app, "") {
        app.post("/AuditEvent/$validate", &event);
        assert!(!event.to_string().contains("Bruno"), "no event names a person");
    }
    for unknown in ["0", "01", "-1", "999999", "x"] {
        app.get(&format!("/AuditEvent/{unknown}")).send().expect(404).issues();
    }
}

fn events_are_found_by_time_action_and_outcome(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    app.get("/Patient/p1").send().expect(200);
    app.get("/Patient/nobody").send().expect(404);
    app.post("/Organization", organization("o9")).send().expect(201);
    app.delete("/Patient/p1").send().expect(204);
    let codes = |query: &str| -> Vec<String> {
        let all = events(app, query);
        all.iter().map(|event| format!("{}{}", text(event, "action"), text(event, "outcome"))).collect()
    };
    for (query, expected) in [
        ("?action=C", vec!["C0"]),
        ("?action=D,C", vec!["D0", "C0"]),
        ("?action=R", vec!["R4", "R0"]),
        ("?action=R&_sort=date", vec!["R0", "R4"]),
        ("?action=R&outcome=4", vec!["R4"]),
        ("?action=R&outcome=8", vec![]),
        ("?action=http://hl7.org/fhir/audit-event-action|D", vec!["D0"]),
        ("?action=X", vec![]),
        ("?action=D&date=lt2020", vec![]),
        ("?action=D&date=gt2020", vec!["D0"]),
        ("?action=D&_lastUpdated=ge2020,lt1999", vec!["D0"]),
        ("?date:missing=true", vec![]),
    ] {
        assert_eq!(codes(query), expected, "{query}");
    }
    let deleted = &events(app, "?action=D")[0];
    let (id, date) = (text(deleted, "id"), text(deleted, "recorded"));
    assert_eq!(codes(&format!("?_id={id}")), ["D0"]);
    assert_eq!(codes(&format!("?date={date}&action=D")), ["D0"]);
    assert_eq!(codes(&format!("?_id={id},nobody&outcome=0")), ["D0"]);
    for query in ["?agent=Patient/p1", "?_sort=action", "?_include=AuditEvent:patient"] {
        let warned = app.get(&format!("/AuditEvent{query}")).send().expect(200).match_bundle();
        assert_eq!(warned.issues().len(), 1, "{query}");
        app.get(&format!("/AuditEvent{query}")).header("Prefer", "handling=strict").send().expect(400).issues();
    }
    app.get("/AuditEvent?date=yesterday").send().expect(400).issues();
}

fn events_page_by_time_while_more_of_them_come(app: &TestApp) {
    for number in 0..7 {
        app.get(&format!("/Patient/nobody{number}")).send().expect(404);
    }
    for sort in ["-date", "date"] {
        let mut link = Some(format!("/AuditEvent?action=R&outcome=4&_sort={sort}&_count=2"));
        let mut ids = Vec::new();
        while let Some(page) = link {
            // Each page is itself an event, of another action.
            let found = app.get(&page).send().expect(200).match_bundle();
            assert_eq!(found.total(), 7, "{sort}");
            ids.extend(found.ids().into_iter().map(|id| id.parse::<i64>().unwrap()));
            link = found.link("next").map(str::to_owned);
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sort == "-date" {
            sorted.reverse();
        }
        assert_eq!((ids.len(), &ids), (7, &sorted), "{sort}");
    }
}

fn events_are_not_written(app: &TestApp) {
    let event = json!({"resourceType": "AuditEvent", "id": "1"});
    let answers = [
        app.post("/AuditEvent", &event).send(),
        app.put("/AuditEvent/1", &event).send(),
        app.delete("/AuditEvent/1").send(),
    ];
    for answer in answers {
        let answer = answer.expect(405);
        assert_eq!(answer.errors()[0].1, ["http.method"]);
    }
    let statement = app.get("/metadata").send().json();
    let served = statement["rest"][0]["resource"].as_array().unwrap().iter().find(|one| one["type"] == "AuditEvent");
    let codes: Vec<&str> =
        served.unwrap()["interaction"].as_array().unwrap().iter().map(|one| text(one, "code")).collect();
    assert_eq!((codes, texts(&statement["format"]).is_empty()), (vec!["read", "search-type"], false));
}

fn events_are_found_by_what_they_are_about(app: &TestApp) {
    for number in 1..=2 {
        app.store_patient(&with_id(&stranger(number), &format!("p{number}")));
    }
    app.put("/Organization/o1", organization("o1")).send().expect(201);
    app.get("/Patient/p1").send().expect(200);
    app.get("/Patient?family=Dragomir").send().expect(200);
    let about = |query: &str| -> Vec<String> {
        events(app, query).iter().map(|event| text(&event["subtype"][0], "code").to_owned()).collect()
    };
    // Before these rows are sealed and after.
    for is_sealed in [false, true] {
        if is_sealed {
            app.wait_until("that everything is sealed", |app| app.verify_audit().unsealed.rows == 0);
        }
        assert_eq!(about("?patient=p1"), ["search-type", "read", "update"], "sealed: {is_sealed}");
        assert_eq!(about("?patient=Patient/p1&action=R"), ["read"]);
        assert_eq!(about("?entity=Organization/o1"), ["update"]);
        assert_eq!(about("?entity=p2&date=gt2020"), ["update"]);
        assert_eq!(about(&format!("?patient={}/Patient/p1", app.base)), ["search-type", "read", "update"]);
        assert_eq!(about("?patient=p1,p2&_sort=date"), ["update", "update", "read", "search-type"]);
        assert_eq!(about("?patient=nobody"), Vec::<String>::new());
        assert_eq!(about("?patient=p1&subtype=read"), ["read"]);
    }
    assert_eq!(about("?subtype=http://hl7.org/fhir/restful-interaction|read&outcome=0"), ["read"]);
    app.idi_match(&stranger(1));
    assert_eq!(about("?subtype=match"), ["operation"]);
    app.get("/AuditEvent?patient:missing=true").send().expect(400).issues();
    let first = app.get("/AuditEvent?patient=p1&_count=1").send().expect(200).match_bundle();
    assert_eq!((first.total(), first.ids().len()), (4, 1), "the match has found the person too");
    let next = app.get(first.link("next").unwrap()).send().expect(200).match_bundle();
    assert_ne!(first.ids(), next.ids());
}

/// BALP 1.1: the profile, and the roles of client and server.
fn every_interaction_has_its_pattern_and_denials_have_none(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let pattern = |event: &Value| {
        let profile = event["meta"]["profile"][0].as_str().unwrap_or_default().rsplit('.').next().unwrap().to_owned();
        let role = |at: usize| text(&event["agent"][at]["type"]["coding"][0], "code").to_owned();
        (profile, role(0), role(1))
    };
    let of_last = || pattern(&events(app, "?_count=1")[0]);
    let expected =
        |profile: &str, client: &str, server: &str| (profile.to_owned(), client.to_owned(), server.to_owned());
    assert_eq!(of_last(), expected("PatientUpdate", "110153", "110152"));
    let created = app.post("/Patient", stranger(2)).send().expect(201).json();
    assert_eq!(of_last(), expected("PatientCreate", "110153", "110152"));
    app.get("/Patient/p1").send().expect(200);
    assert_eq!(of_last(), expected("PatientRead", "110152", "110153"));
    app.put("/Organization/o1", organization("o1")).send().expect(201);
    assert_eq!(of_last(), expected("Update", "110153", "110152"));
    app.get("/Patient?_id=p1").send().expect(200);
    assert_eq!(of_last(), expected("PatientQuery", "110153", "110152"));
    app.get("/Patient?active=true").send().expect(200);
    assert_eq!(of_last(), expected("Query", "110153", "110152"));
    app.idi_match(&stranger(1));
    assert_eq!(of_last(), expected("PatientQuery", "110153", "110152"));
    app.delete(&format!("/Patient/{}", text(&created, "id"))).send().expect(204);
    assert_eq!(of_last(), expected("PatientDelete", "110150", "custodian"));
    app.get("/Patient/nobody").send().expect(404);
    assert_eq!(of_last(), expected("", "110152", "110153"));
    let denied = &events(app, "?outcome=4&_count=1")[0];
    assert_eq!(text(denied, "outcomeDesc"), "not-found");
    // What was searched for is not told, by which parameters is.
    app.get("/Patient?family=Dragomir&birthdate=1947-02-11&shoe=44").send().expect(200);
    let search = &events(app, "?action=E&subtype=search-type&_count=1")[0];
    let query = search["entity"].as_array().unwrap().iter().find_map(|entity| entity["query"].as_str()).unwrap();
    assert_eq!(query, "UGF0aWVudD9mYW1pbHkmYmlydGhkYXRl", "Patient?family&birthdate");
    assert_eq!(text(&search["agent"][0]["network"], "address"), "127.0.0.1");
}
