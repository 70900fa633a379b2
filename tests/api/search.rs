//! FHIR search of the stored types, and its pages.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::answer::texts;
use crate::people::{organization, stranger};
use crate::support::TestApp;

on_both_databases! {
    each_parameter_finds_what_it_means,
    what_cannot_be_searched_for_is_refused_with_its_parameter,
    what_is_not_known_is_warned_of_or_refused,
    pages_link_to_each_other_and_hold_everything_once,
    pages_stay_without_repetition_while_another_thread_writes,
}

fn person(id: &str, names: &Value, birth_date: &str, identifiers: &Value) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": names, "birthDate": birth_date, "identifier": identifiers})
}

fn store_people(app: &TestApp) {
    let token = |system: &str, value: &str| json!({"system": system, "value": value});
    let people = [
        person(
            "p1",
            &json!([{"family": "Smith", "given": ["Ann", "Mary"]}]),
            "1980-02-03",
            &json!([token("urn:mrn", "1"), {"value": "7"}]),
        ),
        person(
            "p2",
            &json!([{"family": "Smithers"}, {"family": "Jones", "given": ["Mary"]}]),
            "1980",
            &json!([token("urn:mrn", "2")]),
        ),
        person("p3", &json!([{"family": "JONES", "given": ["Anna"]}]), "1981-05", &json!([token("urn:other", "1")])),
        person(
            "p4",
            &json!([{"family": "Müller", "given": ["José"]}]),
            "1980-12-31",
            &json!([token("urn:mrn", "7|8")]),
        ),
    ];
    people.iter().for_each(|person| app.store_patient(person));
    app.put("/Organization/o1", organization("o1")).send().expect(201);
}

fn each_parameter_finds_what_it_means(app: &TestApp) {
    store_people(app);
    let table: &[(&str, &[&str])] = &[
        ("", &["p1", "p2", "p3", "p4"]),
        ("?_id=p2", &["p2"]),
        ("?_id=p4,p2,nobody", &["p2", "p4"]),
        ("?identifier=urn:mrn|1", &["p1"]),
        ("?identifier=urn%3Amrn%7C1", &["p1"]),
        ("?identifier=1", &["p1", "p3"]),
        ("?identifier=|7", &["p1"]),
        ("?identifier=|1", &[]),
        ("?identifier=urn:mrn|", &["p1", "p2", "p4"]),
        ("?identifier=urn:mrn|1,urn:other|1", &["p1", "p3"]),
        ("?family=smith", &["p1", "p2"]),
        ("?family=Smithe", &["p2"]),
        ("?family=jones", &["p2", "p3"]),
        ("?family=MULLER", &["p4"]),
        ("?family=m%C3%BC", &["p4"]),
        ("?family=smithe,muller", &["p2", "p4"]),
        ("?given=ann", &["p1", "p3"]),
        ("?given=jose", &["p4"]),
        ("?given=ann&given=mary", &["p1"]),
        ("?family=jones&given=mary", &["p2"]),
        ("?birthdate=1980-02-03", &["p1"]),
        ("?birthdate=eq1980-02-03", &["p1"]),
        ("?birthdate=1980-02", &["p1"]),
        ("?birthdate=1980", &["p1", "p2", "p4"]),
        ("?birthdate=1981-05", &["p3"]),
        ("?birthdate=1981-05-01", &[]),
        ("?birthdate=1980-12-31,1981", &["p3", "p4"]),
        ("?family=smith&birthdate=1980-02-03&identifier=7", &["p1"]),
        ("?family=%27%20OR%201%3D1%20--", &[]),
        ("?family=%25", &[]),
    ];
    for (query, expected) in table {
        let found = app.get(&format!("/Patient{query}")).send().expect(200).match_bundle();
        assert_eq!(found.ids(), *expected, "{query}");
        assert_eq!(found.total(), expected.len() as u64, "{query}");
        assert_eq!((&found.0["type"], found.issues().len()), (&json!("searchset"), 0), "{query}");
        for entry in found.entries("match") {
            assert_eq!(entry["fullUrl"], format!("{}/Patient/{}", app.base, entry["resource"]["id"].as_str().unwrap()));
        }
    }
    let found = app.get("/Organization?identifier=urn:orgs|o1").send().expect(200).match_bundle();
    assert_eq!(found.ids(), ["o1"]);
}

fn what_cannot_be_searched_for_is_refused_with_its_parameter(app: &TestApp) {
    store_people(app);
    let table = [
        ("?_count=x", "http._count"),
        ("?_count=-1", "http._count"),
        ("?birthdate=1980-13", "http.birthdate"),
        ("?birthdate=yesterday", "http.birthdate"),
        ("?birthdate=ne1980", "http.birthdate"),
        ("?family=a%00", "http.family"),
        ("?_id=%00", "http._id"),
        ("?_after=%00", "http._after"),
        ("?identifier=,", "http.identifier"),
        // FHIR R4 Search, Modifiers: one that is not supported is refused, not ignored.
        ("?family:exact=Smith", "http.family"),
        ("?identifier:of-type=a|b|c", "http.identifier"),
        ("?birthdate:missing=true", "http.birthdate"),
    ];
    for (query, place) in table {
        let answer = app.get(&format!("/Patient{query}")).send().expect(400);
        let errors = answer.errors();
        assert_eq!((errors.len(), &errors[0].1), (1, &vec![place.to_owned()]), "{query}");
    }
    let many: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
    app.get(&format!("/Patient?_id={}", many.join(","))).send().expect(400).issues();
    app.get(&format!("/Patient?{}", "family=a&".repeat(60))).send().expect(400).issues();
}

fn what_is_not_known_is_warned_of_or_refused(app: &TestApp) {
    store_people(app);
    for kind in ["Patient", "Organization", "StructureDefinition"] {
        let path = format!("/{kind}?_id=nobody&shoe-size=44");
        let found = app.get(&path).send().expect(200).match_bundle();
        let warning = found.remark("not-supported").unwrap();
        assert_eq!((&warning["severity"], found.total()), (&json!("warning"), 0), "{kind}");
        assert_eq!(texts(&warning["expression"]).len(), 1, "{kind}");
        assert!(!found.link("self").unwrap().contains("shoe"), "the link repeats what was understood");
        app.get(&path).header("Prefer", "handling=lenient").send().expect(200);
        let refused = app.get(&path).header("Prefer", "respond-async, handling=strict").send().expect(400);
        assert_eq!(refused.errors()[0].0, "not-supported", "{kind}");
    }
    let harmless = app.get("/Patient?_format=json&_pretty=true&_total=accurate").send().expect(200).match_bundle();
    assert_eq!((harmless.total(), harmless.issues().len()), (4, 0));
}

/// Follows `next` from `first` to the end; gives ids and totals.
fn follow(app: &TestApp, first: &str) -> (Vec<String>, Vec<u64>) {
    let (mut ids, mut totals) = (Vec::new(), Vec::new());
    let mut link = Some(first.to_owned());
    while let Some(page) = link {
        let page = app.get(&page).send().expect(200).match_bundle();
        ids.extend(page.ids().into_iter().map(str::to_owned));
        totals.push(page.total());
        assert!(totals.len() < 200, "the pages have no end");
        link = page.link("next").map(str::to_owned);
    }
    (ids, totals)
}

fn pages_link_to_each_other_and_hold_everything_once(app: &TestApp) {
    for number in 0..23 {
        app.store_patient(&stranger(number));
    }
    let expected: Vec<String> = (0..23).map(|number| format!("stranger-{number:04}")).collect();
    let table = [
        ("/Patient", 2, expected.clone()),
        ("/Patient?_count=1", 23, expected.clone()),
        ("/Patient?_count=5", 5, expected.clone()),
        ("/Patient?_count=23", 1, expected.clone()),
        ("/Patient?_count=9999", 1, expected.clone()),
        ("/Patient?identifier=urn:oid:2.16.840.1.113883.4.3.39%7C&_count=7", 4, expected.clone()),
        ("/Patient?_count=0", 1, vec![]),
    ];
    for (first, pages, expected) in table {
        let (ids, totals) = follow(app, first);
        assert_eq!(ids, expected, "{first}");
        assert_eq!(totals, vec![23; pages], "{first}");
    }
    let page = app.get("/Patient?family=b&_count=1&shoe=1").send().match_bundle();
    assert_eq!(page.link("self"), Some(format!("{}/Patient?family=b&_count=1", app.base).as_str()));
    assert!(page.link("next").unwrap().starts_with(&format!("{}/Patient?family=b&_count=1&_after=", app.base)));
}

fn pages_stay_without_repetition_while_another_thread_writes(app: &TestApp) {
    let body = |id: &str| json!({"resourceType": "Organization", "id": id, "name": "Clinic"});
    for number in 0..40 {
        let id = format!("m{number:02}");
        app.put(&format!("/Organization/{id}"), body(&id)).send().expect(201);
    }
    let is_done = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..300 {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                // Before, among and behind those that were there.
                let id = format!("{}{:05}", ["a", "m1", "z"][number % 3], number);
                app.put(&format!("/Organization/{id}"), body(&id)).send().expect(201);
            }
        });
        let found: Vec<Vec<String>> = (0..3).map(|_| follow(app, "/Organization?_count=10").0).collect();
        is_done.store(true, Ordering::Relaxed);
        found
    });
    for ids in found {
        let unique: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "none twice");
        for number in 0..40 {
            assert!(unique.contains(&format!("m{number:02}")), "m{number:02} was there all the time");
        }
    }
}
