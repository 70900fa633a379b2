//! Answers of large resources: every page ends where its room does, and all of them together hold everything once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::answer::text;
use crate::people::{stranger, with, with_id};
use crate::support::TestApp;
use crate::transaction::{bundle, entry};

on_both_databases! {
    pages_of_a_search_hold_what_has_room_and_everything_once,
    pages_of_a_history_hold_what_has_room_and_everything_once,
    what_has_no_room_to_come_along_is_announced,
    records_of_a_match_that_have_no_room_are_announced,
    pages_of_the_audit_hold_what_has_room_and_everything_once,
}

const ROOM: usize = 65_536;
/// What a Bundle has beside its resources, for few entries.
const FRAME: usize = 8_192;

/// An instance with little room on a page.
fn narrow(app: &TestApp) -> TestApp {
    app.beside(&[("limits.page_bytes_max", &ROOM.to_string())])
}

fn padded(resource: &Value, bytes: usize) -> Value {
    with(resource, "extension", json!([{"url": "urn:padding", "valueString": "x".repeat(bytes)}]))
}

fn organization(id: &str, bytes: usize) -> Value {
    padded(&json!({"resourceType": "Organization", "id": id, "name": format!("Clinic {id}")}), bytes)
}

fn next_of(page: &Value) -> Option<String> {
    let mut links = page["link"].as_array().unwrap().iter();
    links.find(|link| link["relation"] == "next").map(|link| text(link, "url").to_owned())
}

/// How often each entry of all pages was there, by what `name` says of it.
fn follow(app: &TestApp, first: &str, name: impl Fn(&Value) -> String) -> (usize, BTreeMap<String, usize>) {
    let (mut pages, mut seen, mut next) = (0, BTreeMap::new(), Some(first.to_owned()));
    while let Some(address) = next {
        let answer = app.get(&address).send().expect(200);
        let page = answer.json();
        let entries = page["entry"].as_array().unwrap();
        assert!(entries.len() == 1 || answer.text().len() < ROOM + FRAME, "{} entries", entries.len());
        for entry in entries {
            *seen.entry(name(entry)).or_default() += 1;
        }
        next = next_of(&page);
        pages += 1;
    }
    (pages, seen)
}

fn once(names: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    names.into_iter().map(|name| (name, 1)).collect()
}

fn pages_of_a_search_hold_what_has_room_and_everything_once(app: &TestApp) {
    let sizes = [1_000, 20_000, 20_000, 20_000, 60_000, 200_000, 1_000, 200_000, 64_000, 1_000, 1_000];
    for (number, bytes) in sizes.into_iter().enumerate() {
        let id = format!("l{number:02}");
        app.put(&format!("/Organization/{id}"), organization(&id, bytes)).send().expect(201);
    }
    let narrow = narrow(app);
    let ids = || (0..sizes.len()).map(|number| format!("l{number:02}"));
    for query in ["", "&_sort=name", "&_sort=-_lastUpdated", "&_sort=_id"] {
        let address = format!("/Organization?name=clinic&_count=100{query}");
        let (pages, seen) = follow(&narrow, &address, |entry| text(&entry["resource"], "id").to_owned());
        assert!(seen == once(ids()) && pages > 4, "{query}: {pages} {seen:?}");
    }
    let whole = app.get("/Organization?name=clinic&_count=100").send().match_bundle();
    assert_eq!((whole.ids().len(), whole.link("next")), (11, None), "there is room for all");
}

fn pages_of_a_history_hold_what_has_room_and_everything_once(app: &TestApp) {
    for bytes in [200_000, 30_000, 31_000, 1_000, 50_000] {
        for id in ["h1", "h2"] {
            let path = format!("/Organization/{id}");
            assert!(matches!(app.put(&path, organization(id, bytes)).send().status, 200 | 201));
        }
    }
    app.delete("/Organization/h2").send().expect(204);
    let narrow = narrow(app);
    let name = |entry: &Value| {
        let bytes = entry["resource"].to_string().len();
        format!("{} {} {}", text(&entry["request"], "url"), text(&entry["response"], "etag"), bytes / 1_000)
    };
    let sizes = [200, 30, 31, 1, 50].into_iter().zip(1..);
    let of = |id: &str| {
        let (id, sizes) = (id.to_owned(), sizes.clone());
        sizes.map(move |(bytes, version)| format!("Organization/{id} W/\"{version}\" {bytes}"))
    };
    let deletion = "Organization/h2 W/\"6\" 0".to_owned();
    let (pages, seen) = follow(&narrow, "/Organization/h1/_history?_count=100", name);
    assert!(seen == once(of("h1")) && pages == 3, "{pages} {seen:?}");
    let (pages, seen) = follow(&narrow, "/Organization/_history?_count=100", |entry| {
        if text(&entry["request"], "url") == "Organization/responder" { "responder".to_owned() } else { name(entry) }
    });
    let all = of("h1").chain(of("h2")).chain([deletion, "responder".to_owned()]);
    assert!(seen == once(all) && pages > 5, "{pages} {seen:?}");
}

fn what_has_no_room_to_come_along_is_announced(app: &TestApp) {
    for (id, bytes) in [("small", 1_000), ("large", 100_000)] {
        app.put(&format!("/Organization/{id}"), organization(id, bytes)).send().expect(201);
        let reference = json!({"reference": format!("Organization/{id}")});
        let patient = with(&with_id(&stranger(1), id), "managingOrganization", reference);
        app.put(&format!("/Patient/{id}"), padded(&patient, 30_000)).send().expect(201);
    }
    let narrow = narrow(app);
    let along = |query: &str| {
        let found = narrow.get(query).send().expect(200).match_bundle();
        (found.ids().len(), found.entries("include").len(), found.remark("incomplete").is_some())
    };
    assert_eq!(along("/Patient?_id=small&_include=Patient:organization"), (1, 1, false));
    assert_eq!(along("/Patient?_id=large&_include=Patient:organization"), (1, 0, true));
    assert_eq!(along("/Organization?_id=small&_revinclude=Patient:organization"), (1, 1, false));
    assert_eq!(along("/Organization?_id=large&_revinclude=Patient:organization"), (1, 0, true));
    // The matches leave room for what comes along: of two that fit on a page alone, each has its own.
    let both = "/Patient?_id=small,large&_sort=_id";
    assert_eq!(along(both), (2, 0, false));
    assert_eq!(along(&format!("{both}&_include=Patient:organization")), (1, 0, true));
}

fn records_of_a_match_that_have_no_room_are_announced(app: &TestApp) {
    for (number, bytes) in [30_000, 30_000, 30_000].into_iter().enumerate() {
        app.store_patient(&padded(&with_id(&stranger(1), &format!("r{number}")), bytes));
    }
    let whole = app.idi_match(&stranger(1));
    assert!(whole.remark("incomplete").is_none());
    let returned = |found: &crate::answer::MatchBundle| {
        let is_patient = |entry: &&&Value| entry["resource"]["resourceType"] == "Patient";
        found.entries("match").iter().filter(is_patient).count()
    };
    assert_eq!(returned(&whole), 3);
    let cut = narrow(app).idi_match(&stranger(1));
    assert_eq!((returned(&cut), cut.remark("incomplete").is_some()), (2, true));
}

fn pages_of_the_audit_hold_what_has_room_and_everything_once(app: &TestApp) {
    for number in 0..15 {
        let id = format!("{}{number:02}", "a".repeat(50));
        app.put(&format!("/Organization/{id}"), organization(&id, 10)).send().expect(201);
    }
    let searches = vec![entry("HEAD", "Organization?_count=100", None); 50];
    for _ in 0..5 {
        app.post("", bundle("transaction", &searches)).send().expect(200);
    }
    let narrow = narrow(app);
    let (pages, seen) = follow_audit(&narrow);
    assert!(pages > 2 && seen.values().all(|count| *count == 1), "{pages}");
    assert!(seen.len() >= 20);
}

/// An event has more bytes than its row: pages are as long as their rows.
fn follow_audit(app: &TestApp) -> (usize, BTreeMap<String, usize>) {
    let (mut pages, mut seen) = (0, BTreeMap::new());
    let mut next = Some("/AuditEvent?_count=100".to_owned());
    while let Some(address) = next {
        let page = app.get(&address).send().expect(200).json();
        for entry in page["entry"].as_array().unwrap() {
            *seen.entry(text(&entry["resource"], "id").to_owned()).or_default() += 1;
        }
        next = next_of(&page);
        pages += 1;
    }
    (pages, seen)
}
