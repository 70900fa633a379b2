//! `load`: what is counted, kept and refused, and what a second load of the same file does.

use serde_json::{Value, json};

use crate::database::Database;
use crate::people::{Folder, ndjson, patient};
use crate::program::{Ended, run};

on_both_databases! {
    resources_are_counted_and_keep_their_ids,
    refused_lines_go_to_a_file_with_number_and_reason,
    the_same_file_again_changes_nothing,
    a_file_that_changed_is_another_load,
}

pub fn load(database: &Database, file: &str, more: &[&str]) -> Ended {
    let url = database.url();
    run(["load", file, "--json", "--log-filter", "warn", "--database-url", &url].iter().chain(more))
}

fn counts(summary: &Value) -> [u64; 3] {
    ["lines", "loaded", "rejected"].map(|name| summary[name].as_u64().expect(name))
}

/// Every resource with its version and its time.
fn versions(database: &Database) -> Vec<String> {
    let sql =
        "SELECT resource_type || '/' || id || ' ' || version || ' ' || updated_us AS value FROM resource ORDER BY 1";
    database.texts(sql)
}

fn resources_are_counted_and_keep_their_ids(database: &Database) {
    let folder = Folder::new();
    let organization = json!({"resourceType": "Organization", "id": "clinic.1", "name": "Clinic"});
    let text = format!("{}\n\n{organization}\n{}", ndjson("p", 0..30), patient("last-without-line-end", 30));
    let file = folder.write("people.ndjson", text);
    let summary = load(database, &file, &[]).json(0);
    assert_eq!(counts(&summary), [34, 32, 0]);
    assert_eq!(summary["rejects_file"], Value::Null);
    assert!(!folder.file("people.rejects.ndjson").exists());
    let mut expected: Vec<String> = (0..30).map(|number| format!("Patient/p{number}")).collect();
    expected.extend(["Organization/clinic.1".to_owned(), "Patient/last-without-line-end".to_owned()]);
    expected.sort();
    let mut ids = database.texts("SELECT resource_type || '/' || id AS value FROM resource");
    ids.sort();
    assert_eq!(ids, expected);
    assert_eq!(database.number("SELECT COUNT(*) FROM record"), 31, "an Organization is no record of a person");
    assert_eq!(database.number("SELECT COUNT(*) FROM identity"), 31);
    let audited = database.texts("SELECT action || ' ' || outcome AS value FROM audit");
    assert_eq!(audited, ["load success"], "one batch, one audit row");
}

fn refused_lines_go_to_a_file_with_number_and_reason(database: &Database) {
    let folder = Folder::new();
    let long = patient(&"x".repeat(3000), 1).to_string();
    let lines: [(&[u8], Option<&str>); 12] = [
        (patient("good-1", 1).to_string().leak().as_bytes(), None),
        (b"Zanzibar", Some("")),
        (br#"{"resourceType":"Patient","id":"cut","name":[{"family":"Zanzibar""#, Some("")),
        (br#"{"resourceType":"Patient","name":[{"family":"Zanzibar"}]}"#, Some("Patient.id")),
        (br#"{"resourceType":"Zanzibar","id":"a"}"#, Some("resourceType")),
        (br#"{"resourceType":"Observation","id":"a"}"#, Some("resourceType")),
        (br#"{"resourceType":"Patient","id":"a","birthDate":"Zanzibar"}"#, Some("Patient.birthDate")),
        (br#"{"resourceType":"Patient","id":"Zanzibar/1"}"#, Some("Patient.id")),
        (long.as_bytes(), Some("")),
        (b"{\"resourceType\":\"Patient\",\"id\":\"a\",\"name\":[{\"family\":\"Zanzibar\xff\"}]}", Some("")),
        (br#"["Zanzibar"]"#, Some("")),
        (patient("good-2", 2).to_string().leak().as_bytes(), None),
    ];
    let text: Vec<u8> = lines.iter().flat_map(|(line, _)| [line, &b"\n"[..]].concat()).collect();
    let file = folder.write("people.ndjson", text);
    let ended = load(database, &file, &["--limits-body-bytes-max", "2048"]);
    assert!(!ended.err.contains("Zanzibar"), "{}", ended.err);
    let summary = ended.json(1);
    assert_eq!(counts(&summary), [12, 2, 10]);
    assert_eq!(summary["rejects_file"], folder.text("people.rejects.ndjson"));
    let rejects = folder.lines("people.rejects.ndjson");
    let refused = (1..).zip(lines).filter_map(|(number, (line, place))| Some((number, line, place?)));
    assert_eq!(rejects.len(), 10);
    for (reject, (number, line, place)) in rejects.iter().zip(refused) {
        assert_eq!(reject["line"], number);
        let issue = &reject["issues"][0];
        assert!(matches!(issue["severity"].as_str(), Some("error" | "fatal")), "{reject}");
        assert!(!issue["diagnostics"].as_str().unwrap().is_empty() && !issue["code"].as_str().unwrap().is_empty());
        assert!(!reject["issues"].to_string().contains("Zanzibar"), "a reason repeats what was received: {reject}");
        if !place.is_empty() {
            assert!(issue["expression"][0].as_str().is_some_and(|at| at.ends_with(place)), "{place}: {reject}");
        }
        let text = reject["text"].as_str().unwrap();
        assert!(String::from_utf8_lossy(line).starts_with(text) && !text.is_empty(), "the line is lost: {reject}");
    }
    let mut stored = database.texts("SELECT id AS value FROM resource");
    stored.sort();
    assert_eq!(stored, ["good-1", "good-2"]);
}

fn the_same_file_again_changes_nothing(database: &Database) {
    let folder = Folder::new();
    let file = folder.write("people.ndjson", ndjson("p", 0..25) + "not JSON\n");
    assert_eq!(counts(&load(database, &file, &[]).json(1)), [26, 25, 1]);
    let before = versions(database);
    let again = load(database, &file, &[]);
    assert!(again.err.contains("after line 26"), "{}", again.err);
    assert_eq!(counts(&again.json(1)), [26, 25, 1], "the counts are those of the whole file");
    assert_eq!(folder.lines("people.rejects.ndjson").len(), 1);
    assert_eq!(counts(&load(database, &file, &["--restart"]).json(1)), [26, 25, 1]);
    assert_eq!(folder.lines("people.rejects.ndjson").len(), 1, "a restart writes the file anew");
    assert_eq!(versions(database), before, "equal content makes no version");
    assert_eq!(database.number("SELECT COUNT(*) FROM change"), 25);
    assert_eq!(database.number("SELECT COUNT(*) FROM identity"), 25);
}

fn a_file_that_changed_is_another_load(database: &Database) {
    let folder = Folder::new();
    let file = folder.write("people.ndjson", ndjson("p", 0..200));
    load(database, &file, &[]).with_code(0);
    // The same name, the same size, and the change far behind the beginning.
    let number = 199;
    let mut changed = patient(&format!("p{number}"), number);
    changed["birthDate"] = json!("2001-02-03");
    folder.write("people.ndjson", ndjson("p", 0..number) + &changed.to_string() + "\n");
    assert_eq!(counts(&load(database, &file, &[]).json(0)), [200, 200, 0]);
    assert_eq!(database.texts("SELECT id || ' ' || version AS value FROM resource WHERE version > 1"), ["p199 2"]);
}

#[test]
fn the_summary_is_written_for_people_too() {
    let folder = Folder::new();
    let (file, rejects) = (folder.write("people.ndjson", ndjson("p", 0..3) + "{}\n"), folder.text("refused"));
    let url = format!("sqlite:{}", folder.text("people.sqlite"));
    let out = run(["load", &file, "--rejects", &rejects, "--database-url", &url]).with_code(1);
    assert!(out.starts_with("4 lines: 3 resources loaded, 1 refused, in "), "{out}");
    assert!(out.contains(&rejects), "{out}");
    assert_eq!(folder.lines("refused").len(), 1);
}
