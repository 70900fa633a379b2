//! Conditional create, update and delete: criteria instead of an id (FHIR R4 RESTful API).

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use idi_match::store::identity;
use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::people::{organization, stranger, with, with_id, without};
use crate::support::{Request, TestApp};

on_both_databases! {
    criteria_that_ask_for_too_much_are_refused,
    a_conditional_create_makes_one_and_finds_it_again,
    criteria_in_the_address_of_a_create_are_not_passed_over,
    a_conditional_update_writes_the_one_that_fits,
    a_conditional_delete_takes_the_one_that_fits,
    a_conditional_patch_changes_the_one_that_fits,
    criteria_that_cannot_be_searched_for_are_refused,
    equal_conditional_creates_at_once_make_one_resource,
    equal_conditional_updates_at_once_make_one_resource,
    what_is_deleted_fits_no_more,
    the_responder_is_not_written_by_criteria,
}

const LICENCE: &str = "identifier=urn:oid:2.16.840.1.113883.4.3.39|SG200006";

fn create<'a>(app: &'a TestApp, body: &Value, criteria: &str) -> Request<'a> {
    app.post("/Patient", body).header("If-None-Exist", criteria)
}

fn total(app: &TestApp) -> u64 {
    app.get("/Patient?_total=accurate").send().expect(200).match_bundle().total()
}

fn etag(answer: &Answer) -> &str {
    answer.header("etag").unwrap()
}

fn a_conditional_create_makes_one_and_finds_it_again(app: &TestApp) {
    let first = create(app, &stranger(1), LICENCE).send().expect(201);
    let id = text(&first.json(), "id").to_owned();
    assert!(first.header("location").is_some());
    let other = with(&stranger(1), "language", json!("en"));
    let spellings = [
        LICENCE.to_owned(),
        format!("?{LICENCE}"),
        format!("Patient?{LICENCE}"),
        LICENCE.replace('|', "%7C"),
        format!("{LICENCE}&_format=json&family=Dragomir"),
    ];
    for criteria in &spellings {
        let again = create(app, &other, criteria).send().expect(200);
        assert_eq!((text(&again.json(), "id"), etag(&again)), (id.as_str(), "W/\"1\""), "{criteria}");
        assert!(again.json()["language"].is_null(), "what is there stays as it is");
    }
    assert_eq!(total(app), 1);
    create(app, &other, &format!("{LICENCE}&family=Nobody")).send().expect(201);
    let several = create(app, &other, LICENCE).send().expect(412);
    assert_eq!(several.errors(), [("multiple-matches".to_owned(), vec!["http.if-none-exist".to_owned()])]);
    assert_eq!(total(app), 2);
    let bad = with(&stranger(1), "birthDate", json!("1980-02-30"));
    create(app, &bad, LICENCE).send().expect(400);
}

fn criteria_in_the_address_of_a_create_are_not_passed_over(app: &TestApp) {
    for (query, place) in [(LICENCE, "http.identifier"), ("_format=json&family:exact=Nobody", "http.family")] {
        let refused = app.post(&format!("/Patient?{query}"), stranger(1)).send().expect(400);
        assert_eq!(refused.errors(), [("not-supported".to_owned(), vec![place.to_owned()])]);
    }
    assert_eq!(total(app), 0);
    app.post("/Patient?_format=json&_pretty=true", stranger(1)).send().expect(201);
}

fn a_conditional_update_writes_the_one_that_fits(app: &TestApp) {
    let path = format!("/Patient?{LICENCE}");
    let bare = without(&stranger(1), "id");
    let first = app.put(&path, &bare).send().expect(201);
    let id = text(&first.json(), "id").to_owned();
    let location = format!("{}/Patient/{id}/_history/1", app.base);
    assert_eq!(first.header("location"), Some(location.as_str()));
    // What is sent, its status, and the version that is there then.
    let english = with(&bare, "language", json!("en"));
    let table = [
        ("the same again", bare.clone(), 200, 1),
        ("another one", english.clone(), 200, 2),
        ("with the id of the one that fits", with_id(&bare, &id), 200, 3),
        ("with another id", with_id(&english, "other"), 400, 3),
    ];
    for (what, body, status, version) in table {
        let answer = app.put(&path, &body).send().expect(status);
        if status == 400 {
            assert_eq!(answer.errors(), [("invalid".to_owned(), vec!["Patient.id".to_owned()])]);
        }
        assert_eq!(etag(&app.get(&format!("/Patient/{id}")).send()), format!("W/\"{version}\""), "{what}");
    }
    app.put(&path, &english).header("If-Match", "W/\"9\"").send().expect(412);
    app.put(&path, &english).header("If-Match", "W/\"3\"").send().expect(200);
    app.put(&path, &bare).header("If-None-Match", "*").send().expect(412);
    let nobody = "/Patient?identifier=nobody";
    app.put(nobody, &bare).header("If-Match", "W/\"1\"").send().expect(412);
    let taken = app.put(nobody, with_id(&bare, &id)).send().expect(409);
    assert_eq!(taken.errors(), [("conflict".to_owned(), vec!["Patient.id".to_owned()])]);
    assert_eq!(etag(&app.get(&format!("/Patient/{id}")).send()), "W/\"4\"", "what does not fit is not written over");
    let own = app.put(nobody, with_id(&bare, "own")).send().expect(201);
    assert_eq!(own.json()["id"], "own", "an update as create");
    let several = app.put(&path, &bare).send().expect(412);
    assert_eq!(several.errors(), [("multiple-matches".to_owned(), vec!["http.query".to_owned()])]);
    assert_eq!(total(app), 2);
}

fn a_conditional_delete_takes_the_one_that_fits(app: &TestApp) {
    for id in ["p1", "p2"] {
        app.store_patient(&with_id(&stranger(1), id));
    }
    app.store_patient(&stranger(2));
    let path = format!("/Patient?{LICENCE}");
    app.delete("/Patient?identifier=nobody").send().expect(204);
    let several = app.delete(&path).send().expect(412);
    assert_eq!(several.errors()[0].0, "multiple-matches");
    assert_eq!(total(app), 3, "several are not deleted");
    app.delete("/Patient?_id=p1").header("If-Match", "W/\"9\"").send().expect(412);
    app.delete("/Patient?_id=p1").header("If-Match", "W/\"1\"").send().expect(204);
    app.get("/Patient/p1").send().expect(410);
    app.delete(&path).send().expect(204);
    app.get("/Patient/p2").send().expect(410);
    app.delete(&path).send().expect(204);
    app.delete(&path).header("If-Match", "W/\"1\"").send().expect(412);
    assert_eq!(total(app), 1);
}

fn a_conditional_patch_changes_the_one_that_fits(app: &TestApp) {
    for id in ["p1", "p2"] {
        app.store_patient(&with_id(&stranger(1), id));
    }
    let patch = |path: &str| {
        let operations = json!([{"op": "add", "path": "/language", "value": "en"}]);
        app.request("PATCH", path).header("Content-Type", "application/json-patch+json").body(operations)
    };
    patch("/Patient?identifier=nobody").send().expect(404);
    patch(&format!("/Patient?{LICENCE}")).send().expect(412);
    patch("/Patient?_id=p1").header("If-Match", "W/\"9\"").send().expect(412);
    let changed = patch("/Patient?_id=p1").header("If-Match", "W/\"1\"").send().expect(200);
    assert_eq!((text(&changed.json(), "language"), etag(&changed)), ("en", "W/\"2\""));
    assert_eq!(etag(&app.get("/Patient/p2").send()), "W/\"1\"");
}

fn criteria_that_cannot_be_searched_for_are_refused(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let table = [
        ("", "required", "http"),
        ("_format=json", "required", "http"),
        ("_pretty=true&_summary=true", "required", "http"),
        ("shoe=44", "not-supported", "http.shoe"),
        ("identifier=x&shoe=44", "not-supported", "http.shoe"),
        ("_count=1", "not-supported", "http._count"),
        ("_sort=family", "not-supported", "http._sort"),
        ("_include=Patient:link", "not-supported", "http._include"),
        ("birthdate=x", "value", "http.birthdate"),
        ("identifier=", "value", "http.identifier"),
        ("family:nonsense=x", "not-supported", "http.family"),
        ("organization.name=x", "not-supported", "http.organization.name"),
        ("family=a%00b", "value", "http.family"),
    ];
    for (criteria, code, place) in table {
        let path = format!("/Patient?{criteria}");
        let body = without(&stranger(1), "id");
        for request in [app.put(&path, &body), app.delete(&path)] {
            let errors = request.send().expect(400).errors();
            assert_eq!(errors[0].0, code, "{criteria}");
            assert!(errors[0].1[0].starts_with("http"), "{criteria} {place}: {errors:?}");
        }
        let errors = create(app, &body, criteria).send().expect(400).errors();
        assert_eq!(errors[0], (code.to_owned(), vec!["http.if-none-exist".to_owned()]), "{criteria}");
    }
    app.put("/Observation?code=x", json!({"resourceType": "Observation"})).send().expect(404);
    app.delete("/ValueSet?url=x").send().expect(405);
    assert_eq!(total(app), 1);
}

/// Runs `work` on 32 threads that begin together, by turns through two instances.
fn together(app: &TestApp, work: impl Fn(&TestApp) -> String + Sync) -> Vec<String> {
    let other = app.beside(&[]);
    let barrier = Barrier::new(32);
    thread::scope(|scope| {
        let (barrier, work, other) = (&barrier, &work, &other);
        let spawn = |number: usize| {
            let app = if number.is_multiple_of(2) { app } else { other };
            scope.spawn(move || {
                barrier.wait();
                work(app)
            })
        };
        let running: Vec<_> = (0..32).map(spawn).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn equal_conditional_creates_at_once_make_one_resource(app: &TestApp) {
    for round in 1..4 {
        let person = stranger(round);
        let value = text(&person["identifier"][0], "value").to_owned();
        let ids = together(app, |app| {
            let answer = create(app, &person, &format!("identifier={value}")).send();
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
            format!("{} {}", answer.status, text(&answer.json(), "id"))
        });
        assert_eq!(ids.iter().filter(|id| id.starts_with("201")).count(), 1, "one has created it");
        let ids: BTreeSet<&str> = ids.iter().map(|id| &id[4..]).collect();
        assert_eq!(ids.len(), 1, "and the others have found that one");
        assert_eq!(total(app), round as u64);
    }
    assert_eq!(identity::count(&mut app.connection()), Ok(3));
}

fn equal_conditional_updates_at_once_make_one_resource(app: &TestApp) {
    let bare = without(&organization("one"), "id");
    let ids = together(app, |app| {
        let answer = app.put("/Organization?identifier=urn:orgs%7Cone", &bare).send();
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        text(&answer.json(), "id").to_owned()
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(app.get("/Organization?identifier=one").send().match_bundle().total(), 1);
    let read = app.get(&format!("/Organization/{}", ids[0])).send().expect(200);
    assert_eq!(etag(&read), "W/\"1\"", "equal content is no further version");
}

fn what_is_deleted_fits_no_more(app: &TestApp) {
    let first = create(app, &stranger(1), LICENCE).send().expect(201);
    app.delete(&format!("/Patient/{}", text(&first.json(), "id"))).send().expect(204);
    let second = create(app, &stranger(1), LICENCE).send().expect(201);
    assert_ne!(first.json()["id"], second.json()["id"]);
}

fn the_responder_is_not_written_by_criteria(app: &TestApp) {
    let before = app.get("/Organization/responder").send().expect(200).text();
    let path = "/Organization?_id=responder";
    let body = json!({"resourceType": "Organization", "name": "Another"});
    for request in [app.put(path, &body), app.delete(path)] {
        assert_eq!(request.send().expect(409).errors()[0].0, "business-rule");
    }
    app.put("/Organization?identifier=nobody", with_id(&body, "responder")).send().expect(409);
    assert_eq!(app.get("/Organization/responder").send().expect(200).text(), before);
}

fn criteria_that_ask_for_too_much_are_refused(app: &TestApp) {
    let many = vec!["identifier=a|1"; 501].join("&");
    let values = format!("identifier={}", vec!["a|1"; 501].join(","));
    for criteria in [many.as_str(), &values, "family:contains=a"] {
        let refused = app.delete(&format!("/Patient?{criteria}")).send().expect(400);
        assert_eq!(refused.errors()[0].0, "too-costly");
    }
}
