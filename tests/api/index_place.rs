//! `match.index`: candidates from a copy in memory or from block keys in the database, with the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use idi_match::app::rules::built_in_text;
use idi_match::store::block_key::{self, BlockState};
use idi_match::store::{audit, record};
use idi_match::synth::{Difficulty, Item, Plan, Tables, generate};
use serde_json::{Value, json};

use crate::answer::text;
use crate::people::{parameters, stranger, with, with_id, without};
use crate::support::{Database, TestApp};
use crate::transaction::{bundle, entry};

on_both_databases! {
    both_places_give_the_same_answers,
    records_are_given_the_same_identities,
    a_write_is_found_through_an_instance_of_the_other_place,
    keys_of_another_derivation_are_not_used_and_made_anew_at_a_start,
    a_filling_that_was_cut_off_is_gone_on_with,
}

const IN_DATABASE: (&str, &str) = ("match.index", "database");

/// Stored Patients, and Patients to ask for that weigh enough.
fn people(count: usize) -> (Vec<Value>, Vec<Value>) {
    let tables = Tables::parse(built_in_text("name-frequencies.json").unwrap()).unwrap();
    let difficulty = Difficulty::Normal;
    let plan = Plan { people: count, queries: count, seed: 11, difficulty, absent_share: 0.25, duplicate_rate: 0.5 };
    let (mut stored, mut asked) = (Vec::new(), Vec::new());
    let mut keep = |item| -> Result<(), Infallible> {
        match item {
            Item::Stored { record_id, fields, .. } => stored.push(fields.to_patient_json(&record_id)),
            Item::Query { query_id, fields, .. } if fields.request_weight() >= 9 => {
                asked.push(fields.to_request_patient_json(&query_id));
            }
            Item::Query { .. } => {}
        }
        Ok(())
    };
    let Ok(()) = generate(&plan, &tables, &mut keep);
    let parse = |texts: Vec<String>| texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    (parse(stored), parse(asked))
}

/// People of one clinic, whose number they give: more than one block takes, most of them of one year.
fn patients_of_a_clinic(count: usize) -> Vec<Value> {
    let one = |number: usize| {
        let year = if number.is_multiple_of(5) { 1950 } else { 1981 };
        let birth_date = format!("{year}-{:02}-{:02}", number % 12 + 1, number % 28 + 1);
        let patient = with_id(&stranger(number), &format!("clinic-{number}"));
        let patient = with(&patient, "birthDate", birth_date.into());
        with(&patient, "telecom", json!([{"system": "phone", "value": "614-555-0199"}]))
    };
    (0..count).map(one).collect()
}

fn store_all(app: &TestApp, patients: &[Value]) {
    for patients in patients.chunks(200) {
        let entries: Vec<Value> = patients
            .iter()
            .map(|patient| entry("PUT", &format!("Patient/{}", text(patient, "id")), Some(patient)))
            .collect();
        let answer = app.post("", bundle("batch", &entries)).send().expect(200).json();
        for response in answer["entry"].as_array().unwrap() {
            assert_eq!(&text(&response["response"], "status")[..2], "20", "{response}");
        }
    }
}

/// What an instance answers, and what its audit says of the candidates.
fn answer(app: &TestApp, patient: &Value) -> Value {
    let found = app.post("/Patient/$idi-match", parameters("IDIPatient", patient, &[])).send().expect(200);
    let found = found.match_bundle();
    let entries: Vec<Value> = found
        .entries("match")
        .into_iter()
        .map(|entry| json!([entry["resource"]["id"], entry["search"]["score"], entry["search"]["extension"]]))
        .collect();
    let remarks: Vec<String> = found.issues().iter().map(|issue| issue["details"].to_string()).collect();
    let last = audit::count(&mut app.connection()).unwrap();
    let row = audit::list_after(&mut app.connection(), last - 1, 10).unwrap().pop().unwrap();
    let noted: Value = serde_json::from_str(&row.detail).unwrap();
    let noted = without(&without(&noted, "duration_us"), "identities");
    json!({"entries": entries, "remarks": remarks, "noted": noted})
}

fn assert_same_answers(app: &TestApp, other: &TestApp, asked: &[Value]) -> Vec<Value> {
    let mut answers = Vec::new();
    for patient in asked {
        let [answer, other_answer] = [app, other].map(|app| answer(app, patient));
        assert_eq!(other_answer, answer, "{patient}");
        answers.push(answer);
    }
    answers
}

fn both_places_give_the_same_answers(app: &TestApp) {
    let (stored, asked) = people(120);
    let clinic = patients_of_a_clinic(450);
    store_all(app, &stored);
    store_all(app, &clinic);
    let other = app.beside(&[IN_DATABASE]);
    let answers = assert_same_answers(app, &other, &asked[..60]);
    let matched = answers.iter().filter(|answer| !answer["entries"].as_array().unwrap().is_empty()).count();
    assert!(matched > 20, "{matched} of them are known");
    let asked_of_clinic: Vec<Value> = clinic.iter().step_by(30).cloned().collect();
    let answers = assert_same_answers(app, &other, &asked_of_clinic);
    for answer in &answers {
        let candidates = answer["noted"]["candidates"].as_u64().unwrap();
        assert!(candidates < 400, "a large block is read in part: {candidates}");
    }
    for patient in &asked_of_clinic {
        let answer = assert_same_answers(app, &other, &[without(patient, "birthDate")]).remove(0);
        assert_eq!(answer["noted"]["reasons"], json!(["candidates-cut"]));
        assert!(answer["remarks"].to_string().contains("a match may be missing"), "a cut search is announced");
    }
}

/// The records of each identity, and how likely each belongs to it.
fn partition(app: &TestApp) -> BTreeSet<Vec<(String, String)>> {
    let mut identities: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in record::list_page(&mut app.connection(), None, 10_000).unwrap() {
        let probability = row.probability.map_or_else(String::new, |probability| format!("{probability:.9}"));
        identities.entry(row.identity_id).or_default().push((row.id, probability));
    }
    identities.into_values().collect()
}

fn records_are_given_the_same_identities(app: &TestApp) {
    let database = match &*app.database {
        Database::Sqlite(_) => Database::sqlite(),
        Database::Postgres(_) => Database::postgres(),
    };
    let other = TestApp::start(database, &[IN_DATABASE]);
    let (stored, asked) = people(120);
    for app in [app, &other] {
        store_all(app, &stored);
        // An update that moves a record, and a deletion.
        let moved = with_id(&stored[5], text(&stored[3], "id"));
        app.store_patient(&moved);
        app.delete(&format!("/Patient/{}", text(&stored[7], "id"))).send().expect(204);
    }
    let expected = partition(app);
    assert!(expected.len() > 100 && expected.iter().any(|records| records.len() > 1));
    assert_eq!(partition(&other), expected);
    assert_same_answers(app, &other, &asked[..20]);
    let answer = other.get(&other.at_root("/readyz")).send().expect(200).json();
    assert_eq!(answer["records"], stored.len() - 1);
}

fn a_write_is_found_through_an_instance_of_the_other_place(app: &TestApp) {
    let other = app.beside(&[IN_DATABASE]);
    for (writer, reader, number) in [(app, &other, 1), (&other, app, 2), (app, &other, 3)] {
        let patient = stranger(number);
        let path = format!("/Patient/{}", text(&patient, "id"));
        writer.store_patient(&patient);
        reader.wait_until("that the record is found", |reader| reader.idi_match(&patient).total() == 1);
        let moved = with(&stranger(number + 50), "id", patient["id"].clone());
        writer.store_patient(&moved);
        reader.wait_until("that its new values are found", |reader| reader.idi_match(&moved).total() == 1);
        reader.wait_until("that its old values are not", |reader| reader.idi_match(&patient).total() == 0);
        writer.delete(&path).send().expect(204);
        assert_eq!(reader.idi_match(&moved).total(), 0);
    }
}

fn keys_of_another_derivation_are_not_used_and_made_anew_at_a_start(app: &TestApp) {
    let running = app.beside(&[IN_DATABASE]);
    running.store_patient(&with_id(&stranger(1), "p1"));
    let current = block_key::find_state(&mut app.connection()).unwrap().unwrap();
    let foreign = BlockState { derivation: -1, ..current.clone() };
    app.write(|connection| block_key::put_state(connection, &foreign));
    let ask =
        |app: &TestApp| app.post("/Patient/$idi-match", parameters("IDIPatient", &stranger(1), &[])).send().status;
    running.wait_until("that the keys are refused", |running| ask(running) == 503);
    let refused = running.put("/Patient/p2", with_id(&stranger(2), "p2")).send().expect(503);
    assert_eq!(refused.errors()[0].0, "transient");
    let newer = app.beside(&[IN_DATABASE]);
    assert_eq!(newer.idi_match(&stranger(1)).ids(), ["p1"]);
    assert_eq!(block_key::find_state(&mut app.connection()).unwrap(), Some(current));
    running.wait_until("that its own keys are used again", |running| ask(running) == 200);
}

fn a_filling_that_was_cut_off_is_gone_on_with(app: &TestApp) {
    for number in 0..4 {
        app.store_patient(&with_id(&stranger(number), &format!("p{number}")));
    }
    drop(app.beside(&[IN_DATABASE]));
    let complete = block_key::find_state(&mut app.connection()).unwrap().unwrap();
    let cut_off = BlockState { filled_to: Some("p1".to_owned()), ..complete.clone() };
    app.write(|connection| {
        let numbers = block_key::list_numbers(connection, &["p2", "p3"])?;
        let none = |(record_id, number)| block_key::RecordKeys { number, record_id, keys: Vec::new() };
        block_key::replace_many(connection, &numbers.into_iter().map(none).collect::<Vec<_>>())?;
        block_key::put_state(connection, &cut_off)
    });
    let resumed = app.beside(&[IN_DATABASE]);
    for number in 0..4 {
        assert_eq!(resumed.idi_match(&stranger(number)).ids(), [format!("p{number}")]);
    }
    assert_eq!(block_key::find_state(&mut app.connection()).unwrap(), Some(complete));
}
