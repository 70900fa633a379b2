//! FHIR history of a resource and of a type.

use idi_match::fhir::search_parameter::SearchValues;
use idi_match::store::resource;
use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::people::{organization, stranger, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    a_write_is_later_than_all_that_is_stored_whatever_the_clock_says,
    every_version_and_the_deletion_are_listed_newest_first,
    the_history_of_a_type_is_read_page_by_page,
    versions_are_chosen_by_time,
    what_cannot_be_asked_is_refused_with_its_place,
    a_history_is_audited,
}

fn bundle(answer: Answer) -> Value {
    let bundle = answer.expect(200).json();
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("history")));
    bundle
}

fn entries(bundle: &Value) -> &[Value] {
    bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn link<'b>(bundle: &'b Value, relation: &str) -> Option<&'b str> {
    let links = bundle["link"].as_array().unwrap();
    links.iter().find(|link| link["relation"] == relation).map(|link| text(link, "url"))
}

/// `Type/id version` of each entry.
fn names(bundle: &Value) -> Vec<String> {
    let name = |entry: &Value| {
        let version = text(&entry["response"], "etag").trim_start_matches("W/\"").trim_end_matches('"').to_owned();
        format!("{} {version}", text(&entry["request"], "url"))
    };
    entries(bundle).iter().map(name).collect()
}

/// An instant without the zeros that end its fraction.
fn moment(value: &Value) -> &str {
    value.as_str().unwrap().trim_end_matches('Z').trim_end_matches('0')
}

fn every_version_and_the_deletion_are_listed_newest_first(app: &TestApp) {
    for (kind, body) in [("Patient", with_id(&stranger(1), "p1")), ("Organization", organization("o1"))] {
        let id = text(&body, "id").to_owned();
        let path = format!("/{kind}/{id}");
        let first = app.put(&path, &body).send().expect(201);
        let second = app.put(&path, with(&body, "active", json!(false))).send().expect(200);
        app.delete(&path).send().expect(204);
        let revived = app.put(&path, &body).send().expect(201);
        let history = bundle(app.get(&format!("{path}/_history")).send());
        let name = |version| format!("{kind}/{id} {version}");
        assert_eq!(names(&history), [name(4), name(3), name(2), name(1)]);
        assert_eq!(history.get("total"), None);
        let written = [Some(&revived), None, Some(&second), Some(&first)];
        let results = [("PUT", "200"), ("DELETE", "204"), ("PUT", "200"), ("PUT", "201")];
        for ((entry, written), (method, status)) in entries(&history).iter().zip(written).zip(results) {
            assert_eq!(entry.get("resource"), written.map(Answer::json).as_ref());
            assert_eq!(entry["fullUrl"], format!("{}{path}", app.base));
            assert_eq!((text(&entry["request"], "method"), text(&entry["response"], "status")), (method, status));
            if let Some(written) = written {
                let (modified, updated) = (&entry["response"]["lastModified"], &written.json()["meta"]["lastUpdated"]);
                assert_eq!(moment(modified), moment(updated));
            }
        }
    }
}

fn the_history_of_a_type_is_read_page_by_page(app: &TestApp) {
    for number in 0..5 {
        app.store_patient(&with_id(&stranger(number), &format!("p{number}")));
    }
    app.store_patient(&with(&with_id(&stranger(2), "p2"), "active", json!(false)));
    app.delete("/Patient/p0").send().expect(204);
    let expected = [
        "Patient/p0 2",
        "Patient/p2 2",
        "Patient/p4 1",
        "Patient/p3 1",
        "Patient/p2 1",
        "Patient/p1 1",
        "Patient/p0 1",
    ];
    assert_eq!(names(&bundle(app.get("/Patient/_history").send())), expected);
    let mut page = bundle(app.get("/Patient/_history?_count=3").send());
    assert_eq!(link(&page, "self"), Some(format!("{}/Patient/_history?_count=3", app.base).as_str()));
    let mut seen = names(&page);
    while let Some(next) = link(&page, "next") {
        // A write between two pages neither repeats nor hides a version.
        let changed = with(&with_id(&stranger(3), "p3"), "language", json!(format!("x-{}", seen.len())));
        app.store_patient(&changed);
        page = bundle(app.get(next).send());
        assert!(entries(&page).len() <= 3);
        seen.append(&mut names(&page));
    }
    assert_eq!(seen, expected);
    assert_eq!(names(&bundle(app.get("/Patient/_history?_count=0").send())), Vec::<String>::new());
}

fn versions_are_chosen_by_time(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    app.store_patient(&with_id(&stranger(2), "p2"));
    app.store_patient(&with(&with_id(&stranger(1), "p1"), "active", json!(false)));
    let times: Vec<String> = ["/Patient/p1/_history/1", "/Patient/p2", "/Patient/p1"]
        .map(|path| app.get(path).send().expect(200).json()["meta"]["lastUpdated"].as_str().unwrap().to_owned())
        .to_vec();
    for (query, expected) in [
        (format!("_since={}", times[0]), vec!["Patient/p1 2", "Patient/p2 1", "Patient/p1 1"]),
        (format!("_since={}", times[1]), vec!["Patient/p1 2", "Patient/p2 1"]),
        (format!("_since={}", times[2].replace('Z', "+00:00")), vec!["Patient/p1 2"]),
        (format!("_at={}", times[0]), vec!["Patient/p1 1"]),
        (format!("_at={}", times[1]), vec!["Patient/p2 1", "Patient/p1 1"]),
        (format!("_at={}", times[2]), vec!["Patient/p1 2", "Patient/p2 1"]),
        ("_at=1999".to_owned(), vec![]),
        ("_at=9999".to_owned(), vec!["Patient/p1 2", "Patient/p2 1"]),
        ("_since=9999-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        assert_eq!(names(&bundle(app.get(&format!("/Patient/_history?{query}")).send())), expected, "{query}");
        let of_one = bundle(app.get(&format!("/Patient/p1/_history?{query}")).send());
        let expected: Vec<&str> = expected.into_iter().filter(|name| name.starts_with("Patient/p1")).collect();
        assert_eq!(names(&of_one), expected, "{query}");
    }
}

fn what_cannot_be_asked_is_refused_with_its_place(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    for (path, status, code, place) in [
        ("/Patient/p2/_history", 404, "not-found", None),
        ("/Observation/_history", 404, "not-found", None),
        ("/Observation/p1/_history", 404, "not-found", None),
        ("/Patient/p_1/_history", 400, "value", Some("Resource.id")),
        ("/Patient/_history?_since=2026-01-02", 400, "value", Some("http._since")),
        ("/Patient/_history?_at=then", 400, "value", Some("http._at")),
        ("/Patient/_history?_count=ten", 400, "value", Some("http._count")),
        ("/Patient/_history?_count=-1", 400, "value", Some("http._count")),
        ("/Patient/_history?_count=1&_count=2", 400, "value", Some("http._count")),
        ("/Patient/_history?_page=zanzibar", 400, "value", Some("http._page")),
        ("/StructureDefinition/_history", 405, "not-supported", Some("http.method")),
    ] {
        let answer = app.get(path).send().expect(status);
        assert!(!answer.text().contains("zanzibar"));
        assert_eq!(answer.errors()[0].0, code, "{path}");
        assert_eq!(answer.errors()[0].1.first().map(String::as_str), place, "{path}");
    }
    let strict = |path: &str| app.get(path).header("prefer", "handling=strict").send().status;
    assert_eq!((strict("/Patient/_history?shoe=44"), strict("/Patient/_history?_count=1")), (400, 200));
    app.get("/Patient/_history?shoe=44").send().expect(200);
    app.request("POST", "/Patient/_history").send().expect(405);
}

fn a_history_is_audited(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    for path in ["/Patient/p1/_history", "/Patient/_history", "/Patient/p2/_history"] {
        let before = app.audit_rows();
        app.get(path).send();
        assert_eq!(app.audit_rows(), before + 1, "{path}");
    }
}

fn a_write_is_later_than_all_that_is_stored_whatever_the_clock_says(app: &TestApp) {
    let ahead = resource::NewResource {
        resource_type: "Organization".to_owned(),
        id: "ahead".to_owned(),
        version: 1,
        updated_us: 4_000_000_000_000_000,
        body: json!({"resourceType": "Organization", "id": "ahead", "name": "Of a clock that is ahead"}).to_string(),
        search: SearchValues::default(),
    };
    app.write(|connection| resource::insert_many(connection, std::slice::from_ref(&ahead)));
    let later = app.put("/Organization/o1", organization("o1")).send().expect(201);
    assert!(text(&later.json()["meta"], "lastUpdated") > "2096-10-02T07:06:40", "{}", later.text());
}
