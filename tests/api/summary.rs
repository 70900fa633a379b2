//! `_summary`, `_elements`, `_pretty` and `_format` on resources, pages and outcomes.

use serde_json::{Value, json};

use crate::people::{organization, parameters, stranger, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    a_resource_is_sent_as_far_as_is_asked,
    a_part_cannot_be_stored_in_place_of_the_whole,
    pages_are_cut_entry_by_entry_and_say_so_in_their_links,
    a_count_is_a_total_without_entries,
    what_is_written_is_answered_as_far_as_is_asked,
    artifacts_and_the_statement_are_cut_too,
    values_that_cannot_be_meant_are_refused_everywhere,
    answers_are_laid_out_for_people_when_they_ask,
    answers_of_operations_are_not_cut,
}

fn names(resource: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = resource.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn is_subsetted(resource: &Value) -> bool {
    let tags = resource["meta"]["tag"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"});
    tags.iter().filter(|tag| **tag == known).count() == 1
}

fn rich() -> Value {
    let text = json!({"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"});
    let patient = with(&with_id(&stranger(1), "p1"), "text", text);
    let patient = with(&patient, "active", json!(true));
    let patient = with(&patient, "maritalStatus", json!({"text": "m"}));
    with(&patient, "communication", json!([{"language": {"text": "l"}}]))
}

fn a_resource_is_sent_as_far_as_is_asked(app: &TestApp) {
    app.store_patient(&rich());
    let summary =
        ["active", "address", "birthDate", "gender", "id", "identifier", "meta", "name", "resourceType", "telecom"];
    let full = app.get("/Patient/p1").send().expect(200);
    let table: [(&str, Vec<&str>); 7] = [
        ("_summary=true", summary.to_vec()),
        ("_summary=text", vec!["id", "meta", "resourceType", "text"]),
        (
            "_summary=data",
            names(&full.json()).into_iter().filter(|name| *name != "text").map(|name| full_name(name)).collect(),
        ),
        ("_elements=maritalStatus", vec!["active", "id", "maritalStatus", "meta", "resourceType"]),
        ("_elements=name,birthDate", vec!["active", "birthDate", "id", "meta", "name", "resourceType"]),
        ("_elements=id", vec!["active", "id", "meta", "resourceType"]),
        ("_elements=photo&_summary=false", vec!["active", "id", "meta", "resourceType"]),
    ];
    for (query, expected) in table {
        for path in ["/Patient/p1", "/Patient/p1/_history/1"] {
            let answer = app.get(&format!("{path}?{query}")).send().expect(200);
            let part = answer.json();
            assert_eq!(names(&part), expected, "{query}");
            assert!(is_subsetted(&part), "{query}");
            assert_eq!(
                (answer.header("etag"), answer.header("last-modified")),
                (full.header("etag"), full.header("last-modified"))
            );
            for name in expected.iter().filter(|name| **name != "meta") {
                assert_eq!(part[name], full.json()[name], "{query} {name}");
            }
        }
    }
    for query in ["_summary=false", "_summary=count", "_pretty=false", "_format=json"] {
        assert_eq!(app.get(&format!("/Patient/p1?{query}")).send().expect(200).text(), full.text(), "{query}");
    }
}

/// The same name with the life of the program.
fn full_name(name: &str) -> &'static str {
    let all = [
        "active",
        "address",
        "birthDate",
        "communication",
        "gender",
        "id",
        "identifier",
        "maritalStatus",
        "meta",
        "name",
        "resourceType",
        "telecom",
    ];
    all.into_iter().find(|known| *known == name).unwrap()
}

fn a_part_cannot_be_stored_in_place_of_the_whole(app: &TestApp) {
    app.store_patient(&rich());
    let part = app.get("/Patient/p1?_summary=true").send().expect(200).json();
    let answer = app.put("/Patient/p1", part).send().expect(422);
    assert_eq!(answer.errors()[0], ("business-rule".to_owned(), vec!["Patient.meta.tag".to_owned()]));
}

fn pages_are_cut_entry_by_entry_and_say_so_in_their_links(app: &TestApp) {
    for number in 0..5 {
        app.store_patient(&with_id(&rich(), &format!("p{number}")));
    }
    for start in [
        "/Patient?_count=2&_elements=birthDate&_pretty=true",
        "/Patient/_history?_count=2&_elements=birthDate&_pretty=true",
    ] {
        let (mut seen, mut next) = (0, Some(start.to_owned()));
        while let Some(address) = next {
            let page = app.get(&address).send().expect(200);
            assert!(page.text().contains("\n  \"entry\": [\n"), "{address}");
            let page = page.json();
            assert_eq!(page["resourceType"], "Bundle");
            for entry in page["entry"].as_array().unwrap() {
                let resource = &entry["resource"];
                assert_eq!(names(resource), ["active", "birthDate", "id", "meta", "resourceType"], "{address}");
                assert!(is_subsetted(resource) && entry["fullUrl"].is_string(), "{address}");
                seen += 1;
            }
            let links = page["link"].as_array().unwrap();
            next = links
                .iter()
                .find(|link| link["relation"] == "next")
                .map(|link| link["url"].as_str().unwrap().to_owned());
        }
        assert_eq!(seen, 5, "{start}");
    }
    let warned = app.get("/Patient?_summary=text&shoe=44").send().expect(200).match_bundle();
    assert!(warned.remark("not-supported").is_some(), "outcomes stay whole");
    assert_eq!(names(&warned.entry("p1")["resource"]), ["id", "meta", "resourceType", "text"]);
}

fn a_count_is_a_total_without_entries(app: &TestApp) {
    for number in 0..3 {
        app.store_patient(&with_id(&stranger(number), &format!("p{number}")));
    }
    for (query, total) in [
        ("_summary=count", 3),
        ("_summary=count&_count=1", 3),
        ("_summary=count&_id=p1", 1),
        ("_id=x&_summary=count", 0),
    ] {
        let page = app.get(&format!("/Patient?{query}")).send().expect(200).json();
        assert_eq!((&page["total"], page.get("entry")), (&json!(total), None), "{query}");
        assert!(page["link"].as_array().unwrap().iter().all(|link| link["relation"] == "self"), "{query}");
    }
    let warned = app.get("/Patient?_summary=count&shoe=44").send().expect(200).match_bundle();
    assert_eq!((warned.total(), warned.ids().len(), warned.issues().len()), (3, 0, 1));
}

fn what_is_written_is_answered_as_far_as_is_asked(app: &TestApp) {
    let created = app.post("/Patient?_summary=true", rich()).send().expect(201).json();
    assert!(is_subsetted(&created) && created.get("maritalStatus").is_none());
    let path = format!("/Patient/{}", created["id"].as_str().unwrap());
    let stored = app.get(&path).send().expect(200).json();
    assert_eq!(stored["maritalStatus"], rich()["maritalStatus"], "all of it is stored");
    assert!(!is_subsetted(&stored));
}

fn artifacts_and_the_statement_are_cut_too(app: &TestApp) {
    for path in ["/StructureDefinition/IDI-Patient", "/metadata"] {
        let part = app.get(&format!("{path}?_elements=url")).send().expect(200).json();
        assert!(is_subsetted(&part) && part["status"].is_string(), "mandatory: {path}");
        assert!(part.get("description").is_none() && part.get("differential").is_none(), "{path}");
    }
    let found = app.get("/StructureDefinition?_summary=true").send().expect(200).match_bundle();
    assert!(found.entries("match").iter().all(|entry| is_subsetted(&entry["resource"])));
    assert!(found.remark("not-supported").is_none());
}

fn values_that_cannot_be_meant_are_refused_everywhere(app: &TestApp) {
    app.store_patient(&rich());
    let rows = app.audit_rows();
    let values = [
        ("_summary=yes", "http._summary"),
        ("_summary=", "http._summary"),
        ("_summary=true&_summary=true", "http._summary"),
        ("_elements=", "http._elements"),
        ("_elements=nmae", "http._elements"),
        ("_elements=name&_elements=id", "http._elements"),
        ("_summary=text&_elements=name", "http._elements"),
    ];
    let paths =
        ["/Patient/p1", "/Patient", "/Patient/_history", "/Patient/p1/_history", "/Patient/p1/_history/1", "/metadata"];
    for (query, place) in values {
        for path in paths {
            let errors = app.get(&format!("{path}?{query}")).send().expect(400).errors();
            assert_eq!(errors, [("value".to_owned(), vec![place.to_owned()])], "{path}?{query}");
        }
        app.put(&format!("/Organization/o1?{query}"), organization("o1")).send().expect(400);
    }
    app.get("/Organization/o1").send().expect(404);
    assert_eq!(app.audit_rows(), rows + i64::try_from(values.len() * (paths.len() + 1)).unwrap() + 1);
}

fn answers_are_laid_out_for_people_when_they_ask(app: &TestApp) {
    app.put("/Patient/p1", r#"{"resourceType":"Patient","id":"p1","extension":[{"url":"urn:d","valueDecimal":1.50}]}"#)
        .send()
        .expect(201);
    let plain = app.get("/Patient/p1").send().expect(200).text();
    for query in ["_pretty=true", "_pretty=true&_format=application/fhir%2Bjson"] {
        let answer = app.get(&format!("/Patient/p1?{query}")).send().expect(200);
        let pretty = answer.text();
        assert!(pretty.starts_with("{\n  \"resourceType\": \"Patient\",\n  \"id\": \"p1\",\n"), "{pretty}");
        assert!(pretty.contains("\"valueDecimal\": 1.50\n"), "{pretty}");
        assert_eq!(pretty.replace(['\n', ' '], ""), plain);
        assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    }
    let outcome = app.get("/Patient/nobody?_pretty=true").send().expect(404);
    assert!(outcome.text().starts_with("{\n  \"resourceType\": \"OperationOutcome\""), "{}", outcome.text());
    assert_eq!(outcome.errors()[0].0, "not-found");
    let bundle = app.post("/Patient/$match?_pretty=true", parameters("resource", &stranger(1), &[])).send().expect(200);
    assert!(bundle.text().starts_with("{\n  \"resourceType\""), "{}", bundle.text());
}

fn answers_of_operations_are_not_cut(app: &TestApp) {
    app.store_patient(&rich());
    let asked = parameters("resource", &stranger(1), &[]);
    let whole = app.post("/Patient/$match", &asked).send().expect(200).match_bundle();
    let same = app.post("/Patient/$match?_summary=true", &asked).send().expect(200).match_bundle();
    assert_eq!(same.entry("p1")["resource"], whole.entry("p1")["resource"]);
}
