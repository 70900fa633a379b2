//! Golden records, where they are shown: in matches and in `$identity`, under an address, and nowhere else.

use serde_json::{Value, json};

use crate::answer::{coded, text};
use crate::merge::{call, identity, identity_id, named, patient, reason};
use crate::people::{stranger, telecom, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    a_matched_identity_comes_with_its_golden_record_and_the_source_of_each_value,
    nothing_shows_golden_records_where_they_are_not_wanted,
    taking_a_merge_back_restores_the_golden_record,
}

const SHOWN: &[(&str, &str)] = &[("match.golden_record", "true")];

fn store(app: &TestApp) {
    app.store_patient(&with_id(&stranger(5), "x1"));
    let more = with(&stranger(5), "telecom", json!([telecom("email", "m.r@example.org")]));
    app.store_patient(&with_id(&more, "x2"));
}

/// The record that each element of a golden record comes from.
fn sources(golden: &Value) -> Vec<(String, String)> {
    let told = golden["extension"].as_array().unwrap().iter();
    let told = told.filter(|extension| text(extension, "url").ends_with("/golden-source"));
    let record = |part: &Value| text(&part["valueReference"], "reference").rsplit('/').next().unwrap().to_owned();
    told.map(|one| (text(&one["extension"][0], "valueString").to_owned(), record(&one["extension"][1]))).collect()
}

fn a_matched_identity_comes_with_its_golden_record_and_the_source_of_each_value(app: &TestApp) {
    store(app);
    let id = format!("golden-{}", identity_id(app, "x1"));
    let shown = app.beside(SHOWN);
    let found = shown.idi_match(&stranger(5));
    let ids = found.ids();
    assert_eq!((ids.len(), ids.last(), found.total()), (3, Some(&id.as_str()), 3));
    let entry = found.entry(&id);
    assert_eq!(entry["fullUrl"], format!("{}/Patient/{id}", shown.base));
    assert_eq!(coded(entry, "match-grade"), coded(found.entry("x1"), "match-grade"));
    let golden = &entry["resource"];
    let tags = golden["meta"]["tag"].as_array().unwrap();
    assert!(tags.iter().any(|tag| tag["code"] == "golden-record"), "{tags:?}");
    let mut systems: Vec<&str> = golden["telecom"].as_array().unwrap().iter().map(|one| text(one, "system")).collect();
    systems.sort_unstable();
    assert_eq!(systems, ["email", "phone"]);
    let sources = sources(golden);
    for (at, contact) in golden["telecom"].as_array().unwrap().iter().enumerate() {
        let from = if text(contact, "system") == "email" { "x2" } else { "x1" };
        assert!(sources.contains(&(format!("Patient.telecom[{at}]"), from.to_owned())), "{sources:?}");
    }
    assert!(sources.iter().any(|(element, _)| element == "Patient.birthDate"));
    let read = shown.get(&format!("/Patient/{id}")).send().expect(200);
    assert_eq!(&read.json(), golden);
    shown.get(&format!("/Patient/{id}")).header("If-None-Match", read.header("etag").unwrap()).send().expect(304);
    let valid = shown.post("/Patient/$validate", golden).send().expect(200);
    assert_eq!(valid.errors(), vec![], "{}", valid.text());
    assert_eq!(&named(&identity(&shown, "x1"), "golden-record")[0]["resource"]["birthDate"], &golden["birthDate"]);
    // It is not stored: no search finds it, nobody can write it back, and base $match has records alone.
    assert_eq!(shown.get(&format!("/Patient?_id={id}")).send().match_bundle().total(), 0);
    assert_eq!(shown.get("/Patient").send().match_bundle().total(), 2);
    shown.put(&format!("/Patient/{id}"), golden).send().expect(422);
    app.put(&format!("/Patient/{id}"), with_id(&stranger(1), &id)).send().expect(422);
    let base = crate::people::parameters("resource", &stranger(5), &[]);
    assert_eq!(shown.post("/Patient/$match", base).send().expect(200).match_bundle().total(), 2);
}

fn nothing_shows_golden_records_where_they_are_not_wanted(app: &TestApp) {
    store(app);
    assert_eq!(app.idi_match(&stranger(5)).total(), 2);
    assert_eq!(named(&identity(app, "x1"), "golden-record"), Vec::<&Value>::new());
    let id = format!("golden-{}", identity_id(app, "x1"));
    app.get(&format!("/Patient/{id}")).send().expect(404);
    let shown = app.beside(SHOWN);
    shown.get("/Patient/golden-nobody").send().expect(404);
    shown.get(&format!("/Patient/{id}/_history/1")).send().expect(404);
    shown.get(&format!("/Organization/{id}")).send().expect(404);
}

fn taking_a_merge_back_restores_the_golden_record(app: &TestApp) {
    store(app);
    app.store_patient(&stranger(1));
    let shown = app.beside(SHOWN);
    let golden = || {
        let view = identity(&shown, "x2");
        let mut golden = named(&view, "golden-record")[0]["resource"].clone();
        golden.as_object_mut().unwrap().remove("link");
        golden
    };
    let before = golden();
    // The older of the two takes part, and is not the younger for it.
    let merge = [patient("source-patient", "stranger-0001"), patient("target-patient", "x1"), reason()];
    call(&shown, "merge", &merge).expect(200);
    assert_ne!(golden(), before);
    call(&shown, "unmerge", &[patient("source-patient", "stranger-0001"), reason()]).expect(200);
    assert_eq!(golden(), before);
}
