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
}

/// The newest events, the newest first.
fn events(app: &TestApp, query: &str) -> Vec<Value> {
    let found = app.get(&format!("/AuditEvent{query}")).send().expect(200).match_bundle();
    assert_eq!(found.issues().len(), 0, "{query}");
    found.entries("match").into_iter().map(|entry| entry["resource"].clone()).collect()
}

fn references(event: &Value) -> Vec<String> {
    let entities = event["entity"].as_array().unwrap().iter();
    entities.filter_map(|entity| entity["what"]["reference"].as_str()).map(str::to_owned).collect()
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
    for query in ["?entity=Patient/p1", "?_sort=action"] {
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
