//! Bulk Data `$export`: kick-off, status, manifest, files, cancelling.

use std::collections::BTreeMap;

use idi_match::audit::Action;
use idi_match::store::audit;
use idi_match::store::export_job::{self, ExportJobRow, PLANNING};
use serde_json::{Value, json};

use crate::answer::{Answer, text, texts};
use crate::people::{example, organization, stranger, with, with_id};
use crate::support::{Database, TestApp};

on_both_databases! {
    an_export_is_everything_as_of_its_kick_off_whatever_is_written_since,
    any_instance_tells_the_status_and_serves_the_files,
    files_have_a_limit_and_long_ones_come_in_pieces,
    an_export_of_patients_is_their_compartments,
    since_a_time_there_is_what_changed_and_what_was_deleted,
    what_is_not_supported_is_refused_or_said_to_be_passed_over,
    a_cancelled_export_is_gone,
    exports_are_limited_in_number_and_expire,
    an_export_that_its_planner_has_left_is_planned_by_another,
    an_export_that_fails_again_and_again_is_given_up,
    every_step_is_audited_and_files_by_their_count,
    an_export_is_told_of_to_nobody_else,
}

/// Another server on a new database of the same kind.
fn like(app: &TestApp, options: &[(&str, &str)]) -> TestApp {
    let database = match &*app.database {
        Database::Sqlite(_) => Database::sqlite(),
        Database::Postgres(_) => Database::postgres(),
    };
    TestApp::start(database, options)
}

pub fn kick_off(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).header("prefer", "respond-async").header("accept", "application/fhir+json").send();
    let answer = answer.expect(202);
    answer.issues();
    answer.header("content-location").unwrap().to_owned()
}

/// The manifest, when it is there.
pub fn manifest(app: &TestApp, location: &str) -> Value {
    app.wait_until("that the export is complete", |app| app.get(location).send().status == 200);
    let answer = app.get(location).header("accept", "application/json").send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("expires").unwrap().ends_with(" GMT"));
    answer.json()
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), Some("application/fhir+ndjson"));
    assert!(answer.body.is_empty() || answer.body.ends_with(b"\n"));
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn files<'m>(manifest: &'m Value, list: &str) -> Vec<(&'m str, &'m str)> {
    manifest[list].as_array().unwrap().iter().map(|file| (text(file, "type"), text(file, "url"))).collect()
}

/// Every resource of the output by its type and id; each must be of the file's type, counted and there once.
pub fn output(app: &TestApp, manifest: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for file in manifest["output"].as_array().unwrap() {
        let answer = app.get(text(file, "url")).header("accept", "application/fhir+ndjson").send().expect(200);
        let resources = lines(&answer);
        assert_eq!(file["count"], resources.len());
        for resource in resources {
            assert_eq!(resource["resourceType"], file["type"]);
            let name = format!("{}/{}", text(&resource, "resourceType"), text(&resource, "id"));
            assert_eq!(all.insert(name.clone(), resource), None, "{name} twice");
        }
    }
    all
}

fn store(app: &TestApp, resource: &Value) -> Value {
    let path = format!("/{}/{}", text(resource, "resourceType"), text(resource, "id"));
    let answer = app.put(&path, resource).send();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    answer.json()
}

/// The responding Organization is a resource like any other.
fn responder(app: &TestApp) -> (String, Value) {
    ("Organization/responder".to_owned(), app.get("/Organization/responder").send().expect(200).json())
}

fn an_export_is_everything_as_of_its_kick_off_whatever_is_written_since(app: &TestApp) {
    let mut expected: BTreeMap<String, Value> = [responder(app)].into();
    let mut keep = |resource: &Value| {
        let stored = store(app, resource);
        expected.insert(format!("{}/{}", text(&stored, "resourceType"), text(&stored, "id")), stored);
    };
    for number in 0..4 {
        keep(&with_id(&stranger(number), &format!("p{number}")));
    }
    keep(&organization("o1"));
    for kind in ["RelatedPerson", "Person", "Consent", "Provenance", "Task"] {
        keep(&example(kind, "e1"));
    }
    keep(&with(&with_id(&stranger(1), "p1"), "active", json!(false)));
    app.delete("/Patient/p2").send().expect(204);
    expected.remove("Patient/p2");
    let location = kick_off(app, "/$export");
    // From here on nothing may be seen.
    store(app, &with(&with_id(&stranger(0), "p0"), "active", json!(false)));
    store(app, &with_id(&stranger(2), "p2"));
    store(app, &with_id(&stranger(9), "p9"));
    app.delete("/Patient/p3").send().expect(204);
    app.delete("/Task/e1").send().expect(204);
    let manifest = manifest(app, &location);
    store(app, &with(&with_id(&stranger(1), "p1"), "language", json!("en")));
    app.delete("/Organization/o1").send().expect(204);
    assert_eq!(manifest["request"], format!("{}/$export", app.base));
    assert_eq!(manifest["requiresAccessToken"], false);
    assert_eq!((&manifest["deleted"], &manifest["error"]), (&json!([]), &json!([])));
    for _ in 0..2 {
        assert_eq!(output(app, &manifest), expected, "each download is the same");
    }
    let time = manifest["transactionTime"].as_str().unwrap();
    let is_older = |resource: &Value| resource["meta"]["lastUpdated"].as_str().unwrap() <= time;
    assert!(expected.values().all(is_older), "what is in it is not newer than it says");
    assert_eq!(app.get("/Patient/p1").send().json()["language"], "en");
}

fn any_instance_tells_the_status_and_serves_the_files(app: &TestApp) {
    let other = app.beside(&[]);
    store(app, &with_id(&stranger(1), "p1"));
    let location = kick_off(app, "/$export?_type=Patient");
    let path = location.strip_prefix(&app.base).unwrap();
    let there = manifest(&other, path);
    let urls: Vec<String> =
        files(&there, "output").iter().map(|(_, url)| url.strip_prefix(&other.base).unwrap().to_owned()).collect();
    assert_eq!(urls.len(), 1);
    assert_eq!(lines(&other.get(&urls[0]).send().expect(200)), lines(&app.get(&urls[0]).send().expect(200)));
}

fn files_have_a_limit_and_long_ones_come_in_pieces(app: &TestApp) {
    let small = like(app, &[("limits.export_part_resources_max", "3")]);
    for number in 0..7 {
        store(&small, &with_id(&stranger(number), &format!("p{number}")));
        store(&small, &organization(&format!("o{number}")));
    }
    let cut = manifest(&small, &kick_off(&small, "/$export?_type=Patient,Organization"));
    let counts: Vec<(&str, u64)> = cut["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (text(file, "type"), file["count"].as_u64().unwrap()))
        .collect();
    let expected =
        [("Patient", 3), ("Patient", 3), ("Patient", 1), ("Organization", 3), ("Organization", 3), ("Organization", 2)];
    assert_eq!(counts, expected);
    assert_eq!(output(&small, &cut).len(), 15);
    // More rows, and more bytes, than a piece has.
    let long = "x".repeat(400_000);
    for number in 0..300 {
        let organization = organization(&format!("o{number}"));
        store(app, &if number % 60 == 0 { with(&organization, "alias", json!([long])) } else { organization });
    }
    let whole = manifest(app, &kick_off(app, "/$export?_type=Organization"));
    assert_eq!(files(&whole, "output").len(), 1);
    let all = output(app, &whole);
    assert_eq!(all.len(), 301);
    assert_eq!(all["Organization/o60"]["alias"][0].as_str().map(str::len), Some(400_000));
}

fn an_export_of_patients_is_their_compartments(app: &TestApp) {
    store(app, &with_id(&stranger(1), "p1"));
    store(app, &organization("o1"));
    let refer = |target: &str| json!({"reference": target});
    for (id, target) in [("of-patient", "Patient/p1"), ("of-practitioner", "Practitioner/x")] {
        store(app, &json!({"resourceType": "Person", "id": id, "link": [{"target": refer(target)}]}));
        store(app, &with(&example("Provenance", id), "target", json!([refer(target)])));
    }
    store(app, &with(&example("RelatedPerson", "r1"), "patient", refer("Patient/p1")));
    store(app, &example("Task", "t1"));
    let all = manifest(app, &kick_off(app, "/Patient/$export"));
    assert_eq!(all["request"], format!("{}/Patient/$export", app.base));
    let names: Vec<String> = output(app, &all).into_keys().collect();
    assert_eq!(names, ["Patient/p1", "Person/of-patient", "Provenance/of-patient", "RelatedPerson/r1"]);
    let some = manifest(app, &kick_off(app, "/Patient/$export?_type=Person"));
    assert_eq!(output(app, &some).into_keys().collect::<Vec<_>>(), ["Person/of-patient"]);
    let time = some["transactionTime"].as_str().unwrap().to_owned();
    app.delete("/Person/of-patient").send().expect(204);
    app.delete("/Person/of-practitioner").send().expect(204);
    let since = manifest(app, &kick_off(app, &format!("/Patient/$export?_since={time}")));
    let deleted = lines(&app.get(files(&since, "deleted")[0].1).send().expect(200));
    assert_eq!(deletions(&deleted), ["Person/of-patient"]);
}

/// What the Bundles delete.
fn deletions(bundles: &[Value]) -> Vec<String> {
    let mut urls = Vec::new();
    for bundle in bundles {
        assert_eq!((text(bundle, "resourceType"), text(bundle, "type")), ("Bundle", "transaction"));
        for entry in bundle["entry"].as_array().unwrap() {
            assert_eq!(entry["request"]["method"], "DELETE");
            urls.push(text(&entry["request"], "url").to_owned());
        }
    }
    urls
}

fn since_a_time_there_is_what_changed_and_what_was_deleted(app: &TestApp) {
    for number in 0..4 {
        store(app, &with_id(&stranger(number), &format!("p{number}")));
    }
    app.delete("/Patient/p3").send().expect(204);
    let before = manifest(app, &kick_off(app, "/$export?_type=Patient"));
    let time = before["transactionTime"].as_str().unwrap().to_owned();
    assert_eq!(output(app, &before).into_keys().collect::<Vec<_>>(), ["Patient/p0", "Patient/p1", "Patient/p2"]);
    store(app, &with(&with_id(&stranger(0), "p0"), "active", json!(false)));
    app.delete("/Patient/p1").send().expect(204);
    store(app, &with_id(&stranger(5), "p5"));
    let location = kick_off(app, &format!("/$export?_type=Patient&_since={time}"));
    app.delete("/Patient/p2").send().expect(204);
    store(app, &with_id(&stranger(1), "p1"));
    let since = manifest(app, &location);
    assert_eq!(output(app, &since).into_keys().collect::<Vec<_>>(), ["Patient/p0", "Patient/p5"]);
    let deleted = files(&since, "deleted");
    assert_eq!(deleted.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["Bundle"]);
    assert_eq!(deletions(&lines(&app.get(deleted[0].1).send().expect(200))), ["Patient/p1"]);
    // A time zone's plus sign is understood as it is often sent.
    let time = time.replace('Z', "+00:00");
    let again = manifest(app, &kick_off(app, &format!("/$export?_type=Patient&_since={time}")));
    assert_eq!(output(app, &again).into_keys().collect::<Vec<_>>(), ["Patient/p0", "Patient/p1", "Patient/p5"]);
    let nothing = manifest(app, &kick_off(app, "/$export?_since=9999-01-01T00:00:00Z"));
    assert_eq!((&nothing["output"], &nothing["deleted"]), (&json!([]), &json!([])));
}

fn what_is_not_supported_is_refused_or_said_to_be_passed_over(app: &TestApp) {
    store(app, &with_id(&stranger(1), "p1"));
    for (path, code, place) in [
        ("/$export?_type=Observation", "not-supported", "http._type"),
        ("/$export?_type=AuditEvent", "not-supported", "http._type"),
        ("/Patient/$export?_type=Organization", "not-supported", "http._type"),
        ("/$export?_elements=id", "not-supported", "http._elements"),
        ("/$export?_typeFilter=Patient%3Factive%3Dtrue", "not-supported", "http._typeFilter"),
        ("/$export?shoe=44", "not-supported", "http.shoe"),
        ("/$export?_outputFormat=text/csv", "not-supported", "http._outputFormat"),
        ("/$export?_since=2026-01-02", "value", "http._since"),
    ] {
        let answer = app.get(path).header("prefer", "respond-async").send().expect(400);
        assert_eq!(answer.errors(), [(code.to_owned(), vec![place.to_owned()])], "{path}");
    }
    for body in [
        json!({"resourceType": "Patient"}),
        json!({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueBoolean": true}]}),
        json!({"resourceType": "Parameters", "parameter": [{"name": "_since", "valueString": "then"}]}),
        json!({"resourceType": "Parameters", "parameter": [{"name": "patient", "valueReference": {"reference": "Patient/p1"}}]}),
        json!({"resourceType": "Parameters", "parameter": [{"value": "x"}]}),
    ] {
        assert!(!app.post("/Patient/$export", &body).send().expect(400).errors().is_empty(), "{body}");
    }
    app.get("/$export").header("accept", "application/fhir+xml").send().expect(406);
    app.request("PUT", "/$export").send().expect(405);
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueString": "Patient"},
        {"name": "_outputFormat", "valueString": "ndjson"},
        {"name": "_elements", "valueString": "Patient.name"},
        {"name": "patient", "valueReference": {"reference": "Patient/p1"}},
    ]});
    let answer = app.post("/Patient/$export", &parameters).header("prefer", "respond-async, handling=lenient").send();
    let answer = answer.expect(202);
    let warned: Vec<String> = answer
        .issues()
        .iter()
        .filter(|issue| issue["severity"] == "warning")
        .flat_map(|i| texts(&i["expression"]))
        .collect();
    assert_eq!(warned, ["http._elements", "http.patient"]);
    let manifest = manifest(app, answer.header("content-location").unwrap());
    assert_eq!(manifest["request"], format!("{}/Patient/$export", app.base), "without what the body said");
    assert_eq!(output(app, &manifest).into_keys().collect::<Vec<_>>(), ["Patient/p1"]);
    let errors = files(&manifest, "error");
    assert_eq!(errors.len(), 1);
    let outcomes = lines(&app.get(errors[0].1).send().expect(200));
    let places: Vec<&Value> = outcomes.iter().map(|outcome| &outcome["issue"][0]["expression"][0]).collect();
    assert_eq!(places, ["http._elements", "http.patient"]);
}

fn a_cancelled_export_is_gone(app: &TestApp) {
    store(app, &with_id(&stranger(1), "p1"));
    let location = kick_off(app, "/$export?_type=Patient");
    let manifest = manifest(app, &location);
    let file = files(&manifest, "output")[0].1.to_owned();
    for path in [
        location.replace(app.base.as_str(), "") + "/Patient-2.ndjson",
        location.replace(app.base.as_str(), "") + "/Organization-1.ndjson",
        location.replace(app.base.as_str(), "") + "/OperationOutcome-0.ndjson",
        location.replace(app.base.as_str(), "") + "/zanzibar",
        "/$export/zanzibar".to_owned(),
        "/$export/zanzibar/Patient-1.ndjson".to_owned(),
    ] {
        assert_eq!(app.get(&path).send().expect(404).errors()[0].0, "not-found", "{path}");
    }
    app.get(&file).header("accept", "text/csv").send().expect(406);
    app.delete(&location).send().expect(202).issues();
    for answer in [app.get(&location).send(), app.get(&file).send(), app.delete(&location).send()] {
        assert_eq!(answer.expect(404).errors()[0].0, "not-found");
    }
}

fn exports_are_limited_in_number_and_expire(app: &TestApp) {
    let limited = like(app, &[("limits.export_jobs_max", "1"), ("limits.export_expires_s", "2")]);
    let location = kick_off(&limited, "/$export");
    let refused = limited.get("/$export").send().expect(429);
    assert_eq!(refused.errors()[0].0, "throttled");
    assert!(refused.header("retry-after").unwrap().parse::<u32>().is_ok());
    limited.wait_until("that the export expires", |app| app.get(&location).send().status == 404);
    kick_off(&limited, "/$export");
}

/// A job as another instance would have left it.
fn left(app: &TestApp, worker: Option<&str>, heartbeat_us: i64, attempts: i32) -> ExportJobRow {
    let now_us = app_now_us(app);
    ExportJobRow {
        id: "left-behind".to_owned(),
        caller: "open".to_owned(),
        level: "system".to_owned(),
        request: format!("{}/$export", app.base),
        resource_types: "Patient".to_owned(),
        since_us: None,
        at_us: now_us,
        last_number: 1_000,
        remarks: "[]".to_owned(),
        state: PLANNING.to_owned(),
        permille: 370,
        worker: worker.map(str::to_owned),
        heartbeat_us,
        attempts,
        created_us: now_us,
        expires_us: now_us + 3_600_000_000,
        labels: "all".to_owned(),
    }
}

/// The time of the last audit row: the server's own clock.
fn app_now_us(app: &TestApp) -> i64 {
    let rows = audit::list_after(&mut app.connection(), 0, 10_000).unwrap();
    rows.iter().map(|row| row.at_us).max().unwrap() + 1_000
}

fn an_export_that_its_planner_has_left_is_planned_by_another(app: &TestApp) {
    store(app, &with_id(&stranger(1), "p1"));
    // Whoever plans it was heard of just now: it is waited for.
    let busy = left(app, Some("another"), app_now_us(app) + 3_600_000_000, 1);
    app.write(|connection| export_job::insert(connection, &busy));
    let waiting = app.get("/$export/left-behind").send().expect(202);
    assert!(waiting.header("x-progress").unwrap().starts_with("37 %"));
    assert!(waiting.header("retry-after").unwrap().parse::<u32>().is_ok());
    app.get("/$export/left-behind/Patient-1.ndjson").send().expect(404);
    app.write(|connection| export_job::delete(connection, "left-behind").map(|_| ()));
    // Not heard of for long: this instance takes it over.
    let silent = left(app, Some("another"), 0, 1);
    app.write(|connection| export_job::insert(connection, &silent));
    let manifest = manifest(app, "/$export/left-behind");
    assert_eq!(output(app, &manifest).into_keys().collect::<Vec<_>>(), ["Patient/p1"]);
    let late =
        |connection: &mut _| export_job::complete(connection, "left-behind", "another", &[], i64::MAX).map(|_| ());
    app.write(late);
    assert_eq!(
        files(&app.get("/$export/left-behind").send().json(), "output").len(),
        1,
        "the former planner is too late"
    );
}

fn an_export_that_fails_again_and_again_is_given_up(app: &TestApp) {
    let job = left(app, Some("another"), 0, 5);
    app.write(|connection| export_job::insert(connection, &job));
    app.wait_until("that it is given up", |app| app.get("/$export/left-behind").send().status == 500);
    assert_eq!(app.get("/$export/left-behind").send().errors()[0].0, "exception");
    app.delete("/$export/left-behind").send().expect(202);
}

fn every_step_is_audited_and_files_by_their_count(app: &TestApp) {
    for number in 0..3 {
        store(app, &with_id(&stranger(number), &format!("p{number}")));
    }
    let first = app.audit_rows();
    let location = kick_off(app, "/$export?_type=Patient");
    let ready = manifest(app, &location);
    let before = app.audit_rows();
    app.get(files(&ready, "output")[0].1).send().expect(200);
    app.get(&location).send().expect(200);
    app.delete(&location).send().expect(202);
    app.get(&location).send().expect(404);
    app.get("/$export?shoe=44").send().expect(400);
    assert_eq!(app.audit_rows(), before + 5, "one row for each request, none for planning");
    let rows = audit::list_after(&mut app.connection(), first, 10_000).unwrap();
    assert!(rows.iter().all(|row| row.action == Action::Export.code()));
    let details: Vec<Value> = rows.iter().map(|row| serde_json::from_str(&row.detail).unwrap()).collect();
    let job = location.rsplit('/').next().unwrap();
    let about_job = details.iter().filter(|detail| detail["job"] == job).count();
    assert_eq!(about_job, details.len() - 2, "all but the one after its end and the one refused");
    let counted: Vec<&Value> = details.iter().filter(|detail| detail.get("count").is_some()).collect();
    assert_eq!(counted.len(), 1);
    assert_eq!((&counted[0]["count"], counted[0].get("records")), (&json!(3), None));
}

fn an_export_is_told_of_to_nobody_else(app: &TestApp) {
    store(app, &with_id(&stranger(1), "p1"));
    let job = ExportJobRow { caller: "somebody-else".to_owned(), ..left(app, None, 0, 0) };
    app.write(|connection| export_job::insert(connection, &job));
    for path in ["/$export/left-behind", "/$export/left-behind/Patient-1.ndjson"] {
        assert_eq!(app.get(path).send().expect(404).errors()[0].0, "not-found", "{path}");
    }
    app.delete("/$export/left-behind").send().expect(404);
}
