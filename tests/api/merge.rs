//! `$merge` and `$unmerge`: what every answer says of the two records while a merge stands and after it was taken back.

use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::people::{stranger, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    a_merge_answers_as_fhir_r5_says_and_every_answer_tells_it,
    taking_a_merge_back_restores_identities_links_and_matches_and_versions_increase,
    writing_back_what_was_read_neither_loses_a_merge_nor_keeps_one_that_was_taken_back,
    records_are_named_by_identifiers_that_one_record_alone_has,
    a_preview_tells_what_would_come_of_it_and_changes_nothing,
    a_merge_of_another_server_is_what_its_records_say,
    what_cannot_be_merged_is_refused,
}

const SOURCE: &str = "stranger-0002";
const TARGET: &str = "stranger-0001";

pub fn input(parameters: &[Value]) -> Value {
    json!({"resourceType": "Parameters", "parameter": parameters})
}

pub fn patient(name: &str, id: &str) -> Value {
    json!({"name": name, "valueReference": {"reference": format!("Patient/{id}")}})
}

pub fn reason() -> Value {
    json!({"name": "reason", "valueString": "the papers say so"})
}

pub fn call(app: &TestApp, operation: &str, parameters: &[Value]) -> Answer {
    app.post(&format!("/Patient/${operation}"), input(parameters)).send()
}

/// A steward says what the matcher would not: that they are two people.
pub fn separate(app: &TestApp, ones: &[&str], others: &[&str]) {
    for (one, other) in ones.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
        call(app, "unlink", &[patient("patient", one), patient("other-patient", other), reason()]).expect(200);
    }
}

/// The parameters of an answer with this name.
pub fn named<'v>(answer: &'v Value, name: &'v str) -> Vec<&'v Value> {
    answer["parameter"].as_array().unwrap().iter().filter(|parameter| parameter["name"] == name).collect()
}

fn merge(app: &TestApp, more: &[Value]) -> Answer {
    let mut parameters = vec![patient("source-patient", SOURCE), patient("target-patient", TARGET), reason()];
    parameters.extend_from_slice(more);
    call(app, "merge", &parameters)
}

fn unmerge(app: &TestApp) -> Answer {
    call(app, "unmerge", &[patient("source-patient", SOURCE), reason()])
}

fn store(app: &TestApp) {
    for number in 0..4 {
        app.store_patient(&stranger(number));
    }
}

fn read(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/Patient/{id}")).send().expect(200).json()
}

/// `(type, record)` of the links.
fn links(patient: &Value) -> Vec<(String, String)> {
    let links = patient["link"].as_array().map(Vec::as_slice).unwrap_or_default();
    let target = |link: &Value| text(&link["other"], "reference").rsplit('/').next().unwrap().to_owned();
    links.iter().map(|link| (text(link, "type").to_owned(), target(link))).collect()
}

fn one(kind: &str, id: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), id.to_owned())]
}

pub fn identity(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/Patient/{id}/$identity")).send().expect(200).json()
}

pub fn identity_id(app: &TestApp, id: &str) -> String {
    text(named(&identity(app, id), "identity")[0], "valueString").to_owned()
}

fn a_merge_answers_as_fhir_r5_says_and_every_answer_tells_it(app: &TestApp) {
    store(app);
    let (source_before, target_before) = (identity_id(app, SOURCE), identity_id(app, TARGET));
    let answer = merge(app, &[json!({"name": "shoe", "valueInteger": 44})]).expect(200).json();
    assert_eq!(named(&answer, "input")[0]["resource"]["parameter"][3]["valueInteger"], 44);
    let outcome = &named(&answer, "outcome")[0]["resource"];
    assert_eq!(
        (text(outcome, "resourceType"), text(&outcome["issue"][1], "code")),
        ("OperationOutcome", "not-supported")
    );
    let result = &named(&answer, "result")[0]["resource"];
    assert_eq!((text(result, "id"), links(result)), (TARGET, one("replaces", SOURCE)));
    let ended = &named(&answer, "ended")[0]["part"];
    assert_eq!((text(&ended[0], "valueString"), text(&ended[1], "valueString")), (&*source_before, &*target_before));

    let (source, target) = (read(app, SOURCE), read(app, TARGET));
    assert_eq!((links(&source), links(&target)), (one("replaced-by", TARGET), one("replaces", SOURCE)));
    assert_eq!((text(&source["meta"], "versionId"), text(&target["meta"], "versionId")), ("2", "2"));
    let history = app.get(&format!("/Patient/{SOURCE}/_history")).send().expect(200).json();
    assert_eq!(links(&history["entry"][0]["resource"]), one("replaced-by", TARGET));
    assert_eq!(links(&history["entry"][1]["resource"]), vec![]);
    let found = app.get(&format!("/Patient?link=Patient/{TARGET}")).send().match_bundle();
    assert_eq!(found.ids(), [SOURCE]);
    assert_eq!(links(&found.entry(SOURCE)["resource"]), one("replaced-by", TARGET));
    for number in [1, 2] {
        let found = app.idi_match(&stranger(number));
        assert_eq!(found.ids(), [TARGET], "the survivor answers for both");
        assert_eq!(links(&found.entry(TARGET)["resource"]), one("replaces", SOURCE));
        assert_eq!(crate::answer::coded(found.entry(TARGET), "stewardship"), Some("confirmed"));
    }
    // The id that was merged away goes on standing for its survivor.
    let by_id = app.get(&format!("/Patient/$identity?identity={source_before}")).send().expect(200).json();
    assert_eq!(named(&by_id, "identity")[0]["valueString"], target_before);
    assert_eq!(named(&by_id, "merged-identity")[0]["valueString"], source_before);
    assert_eq!(named(&by_id, "member").len(), 2);
}

/// Everything that answers show of the two records, but for versions and times.
fn shown(app: &TestApp) -> Vec<Value> {
    let bare = |mut patient: Value| {
        patient.as_object_mut().unwrap().remove("meta");
        patient
    };
    let mut shown = Vec::new();
    for (id, number) in [(SOURCE, 2), (TARGET, 1)] {
        shown.push(bare(read(app, id)));
        shown.push(json!(identity_id(app, id)));
        let found = app.idi_match(&stranger(number));
        shown.push(json!(found.ids()));
        shown.extend(found.entries("match").into_iter().map(|entry| {
            let mut entry = entry.clone();
            entry["resource"] = bare(entry["resource"].clone());
            entry
        }));
    }
    shown
}

fn taking_a_merge_back_restores_identities_links_and_matches_and_versions_increase(app: &TestApp) {
    store(app);
    let before = shown(app);
    merge(app, &[]).expect(200);
    assert_ne!(shown(app), before);
    let answer = unmerge(app).expect(200).json();
    assert_eq!(named(&answer, "decision").len(), 1);
    assert_eq!(shown(app), before);
    for id in [SOURCE, TARGET] {
        assert_eq!(text(&read(app, id)["meta"], "versionId"), "3", "{id}");
    }
    assert_eq!(unmerge(app).expect(404).errors()[0].0, "not-found");
    // And once more the same way.
    merge(app, &[]).expect(200);
    unmerge(app).expect(200);
    assert_eq!(shown(app), before);
}

fn writing_back_what_was_read_neither_loses_a_merge_nor_keeps_one_that_was_taken_back(app: &TestApp) {
    store(app);
    merge(app, &[]).expect(200);
    let merged = app.get(&format!("/Patient/{SOURCE}")).send().expect(200).text();
    app.put(&format!("/Patient/{SOURCE}"), &merged).send().expect(200);
    assert_eq!(text(&read(app, SOURCE)["meta"], "versionId"), "2", "nothing has changed");
    // The source of the record does not know of the merge.
    app.put(&format!("/Patient/{SOURCE}"), with(&stranger(2), "active", json!(true))).send().expect(200);
    let updated = read(app, SOURCE);
    assert_eq!((links(&updated), &updated["active"]), (one("replaced-by", TARGET), &json!(true)));
    assert_eq!(app.idi_match(&stranger(2)).ids(), [TARGET]);
    app.put(&format!("/Patient/{TARGET}"), with(&stranger(1), "active", json!(true))).send().expect(200);
    assert_eq!(links(&read(app, TARGET)), one("replaces", SOURCE));
    unmerge(app).expect(200);
    app.put(&format!("/Patient/{SOURCE}"), &merged).send().expect(200);
    assert_eq!(links(&read(app, SOURCE)), vec![]);
    assert_eq!(app.idi_match(&stranger(2)).ids(), [SOURCE]);
    // What the record itself declares is its own, and stays.
    let own = json!([{"other": {"reference": "Patient/elsewhere"}, "type": "seealso"}]);
    app.put(&format!("/Patient/{SOURCE}"), with(&stranger(2), "link", own)).send().expect(200);
    merge(app, &[]).expect(200);
    unmerge(app).expect(200);
    assert_eq!(links(&read(app, SOURCE)), one("seealso", "elsewhere"));
}

fn records_are_named_by_identifiers_that_one_record_alone_has(app: &TestApp) {
    store(app);
    app.store_patient(&with_id(&stranger(3), "twice"));
    let identifier = |name: &str, number: usize| {
        let known = &stranger(number)["identifier"][0];
        json!({"name": name, "valueIdentifier": {"system": known["system"], "value": known["value"]}})
    };
    let by = |name: &str, number: usize| identifier(&format!("{name}-identifier"), number);
    let target = patient("target-patient", TARGET);
    let ambiguous = call(app, "merge", &[by("source-patient", 3), target.clone(), reason()]).expect(422);
    assert_eq!(ambiguous.errors()[0].0, "multiple-matches");
    let both = call(app, "merge", &[by("source-patient", 2), by("source-patient", 0), target.clone(), reason()]);
    assert_eq!(both.expect(404).errors()[0].0, "not-found");
    let other = [patient("source-patient", SOURCE), by("source-patient", 0), target, reason()];
    assert_eq!(call(app, "merge", &other).expect(422).errors()[0].0, "invalid");
    let answer = call(app, "merge", &[by("source-patient", 2), by("target-patient", 1), reason()]).expect(200).json();
    assert_eq!(text(&named(&answer, "result")[0]["resource"], "id"), TARGET);
    assert_eq!(links(&read(app, SOURCE)), one("replaced-by", TARGET));
}

fn a_preview_tells_what_would_come_of_it_and_changes_nothing(app: &TestApp) {
    store(app);
    let before = shown(app);
    let preview = json!({"name": "preview", "valueBoolean": true});
    let rows = app.audit_rows();
    let answer = merge(app, std::slice::from_ref(&preview)).expect(200).json();
    assert_eq!(app.audit_rows(), rows + 1);
    assert_eq!(named(&answer, "decision"), Vec::<&Value>::new());
    assert_eq!(links(&named(&answer, "result")[0]["resource"]), one("replaces", SOURCE));
    assert_eq!(named(&answer, "placement").len(), 2);
    assert_eq!(shown(app), before);
    assert_eq!(text(&read(app, SOURCE)["meta"], "versionId"), "1");
    let decisions = app.get("/Patient/$decisions").send().expect(200).match_bundle();
    assert_eq!(decisions.ids(), Vec::<&str>::new());
    merge(app, &[]).expect(200);
    let merged = shown(app);
    call(app, "unmerge", &[patient("source-patient", SOURCE), reason(), preview]).expect(200);
    assert_eq!(shown(app), merged);
}

fn a_merge_of_another_server_is_what_its_records_say(app: &TestApp) {
    store(app);
    merge(app, &[]).expect(200);
    let exported = [read(app, TARGET), read(app, SOURCE)];
    let elsewhere = TestApp::start(crate::support::Database::sqlite(), &[]);
    for record in &exported {
        elsewhere.put(&format!("/Patient/{}", text(record, "id")), record).send().expect(201);
    }
    assert_eq!(links(&read(&elsewhere, SOURCE)), one("replaced-by", TARGET));
    assert_eq!(elsewhere.idi_match(&stranger(2)).ids(), [TARGET]);
    assert_eq!(unmerge(&elsewhere).expect(404).errors()[0].0, "not-found", "it was not decided there");
}

fn what_cannot_be_merged_is_refused(app: &TestApp) {
    store(app);
    let (source, target) = (patient("source-patient", SOURCE), patient("target-patient", TARGET));
    let long = json!({"name": "reason", "valueString": "x".repeat(1001)});
    let empty = json!({"name": "reason", "valueString": " "});
    let result = json!({"name": "result-patient", "resource": stranger(1)});
    let table = [
        (vec![json!({"name": "shoe", "valueInteger": 44})], 400, "required"),
        (vec![source.clone(), target.clone()], 400, "required"),
        (vec![source.clone(), reason()], 400, "required"),
        (vec![source.clone(), target.clone(), empty], 400, "value"),
        (vec![source.clone(), target.clone(), long], 400, "value"),
        (vec![source.clone(), source.clone(), target.clone(), reason()], 400, "invalid"),
        (vec![patient("source-patient", "nobody"), target.clone(), reason()], 404, "not-found"),
        (vec![patient("source-patient", TARGET), target.clone(), reason()], 422, "invalid"),
        (vec![source.clone(), target.clone(), reason(), result], 400, "not-supported"),
        (vec![json!({"name": "source-patient", "valueString": SOURCE}), target.clone(), reason()], 400, "invalid"),
        (vec![source.clone(), target.clone(), json!({"name": "reason", "valueCode": "x"})], 400, "invalid"),
    ];
    let before = app.audit_rows();
    for (number, (parameters, status, code)) in table.iter().enumerate() {
        let answer = call(app, "merge", parameters).expect(*status);
        let (found, places) = answer.errors().remove(0);
        assert_eq!(found, *code, "{number}");
        assert!(*status != 400 || places.iter().all(|place| place.starts_with("Parameters.parameter")), "{places:?}");
    }
    assert_eq!(app.audit_rows(), before + i64::try_from(table.len()).unwrap());
    app.post("/Patient/$merge", stranger(1)).send().expect(400);
    app.post("/Patient/$merge", "{").send().expect(400);
    app.get("/Patient/$merge").send().expect(405);
    merge(app, &[]).expect(200);
    assert_eq!(merge(app, &[]).expect(409).errors()[0].0, "conflict");
    assert_eq!(links(&read(app, SOURCE)), one("replaced-by", TARGET));
}
