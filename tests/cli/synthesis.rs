//! `synth`: the same files from the same arguments, and what the files promise to those who read them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::people::Folder;
use crate::program::run;

const FILES: [&str; 7] =
    ["patients.ndjson", "patients.csv", "queries.ndjson", "queries.csv", "truth.csv", "records.csv", "manifest.json"];

fn synth(folder: &Folder, name: &str, seed: &str) {
    let out = folder.text(name);
    run(["synth", "--people", "300", "--queries", "120", "--seed", seed, "--dup-rate", "0.2", "--out", &out])
        .with_code(0);
}

#[test]
fn the_same_arguments_give_the_same_bytes_and_another_seed_does_not() {
    let folder = Folder::new();
    for (name, seed) in [("one", "7"), ("again", "7"), ("other", "8")] {
        synth(&folder, name, seed);
    }
    for file in FILES {
        assert_eq!(folder.read(&format!("one/{file}")), folder.read(&format!("again/{file}")), "{file}");
        assert_ne!(folder.read(&format!("one/{file}")), folder.read(&format!("other/{file}")), "{file}");
    }
}

fn rows(folder: &Folder, name: &str, header: &str) -> Vec<Vec<String>> {
    let text = folder.read(name);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(header), "{name}");
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn the_files_keep_their_contract() {
    let folder = Folder::new();
    synth(&folder, "out", "7");
    let patients = folder.lines("out/patients.ndjson");
    let id = |patient: &Value| patient["id"].as_str().unwrap().to_owned();
    let records = rows(&folder, "out/records.csv", "record_id,person_id");
    let persons: BTreeMap<&str, &str> = records.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(persons.len(), patients.len(), "each record has one person");
    assert_eq!(persons.values().collect::<BTreeSet<_>>().len(), 300);
    for patient in &patients {
        let id = id(patient);
        assert_eq!(patient["resourceType"], "Patient");
        assert!(id.len() >= 10 && id.starts_with('p') && persons.contains_key(id.as_str()), "{id}");
    }
    let queries: Vec<String> = folder.lines("out/queries.ndjson").iter().map(id).collect();
    let truth = rows(&folder, "out/truth.csv", "query_id,true_person_id,kind,events,n_fields");
    assert_eq!(truth.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), queries);
    assert_eq!(queries.len(), 120);
    let stored: BTreeSet<&str> = persons.values().copied().collect();
    for row in &truth {
        match row[2].as_str() {
            "match" => assert!(stored.contains(row[1].as_str()), "{row:?}"),
            "absent_random" | "absent_relative" | "absent_twin" => assert_eq!(row[1], "", "{row:?}"),
            kind => panic!("unknown kind {kind}"),
        }
        assert!(row[4].parse::<u32>().unwrap() > 0, "{row:?}");
    }
    let counted = |kind: &str| truth.iter().filter(|row| row[2] == kind).count() as u64;
    let manifest: Value = serde_json::from_str(&folder.read("out/manifest.json")).unwrap();
    let counts = &manifest["counts"];
    assert_eq!(counts["records"], patients.len());
    assert_eq!((&counts["people"], &counts["queries"]), (&Value::from(300), &Value::from(120)));
    for kind in ["match", "absent_random", "absent_relative", "absent_twin"] {
        assert_eq!(counts["queries_by_kind"][kind], counted(kind), "{kind}");
    }
}

#[test]
fn every_flat_row_says_what_its_patient_says() {
    let folder = Folder::new();
    synth(&folder, "out", "3");
    let header =
        "record_id,family,given,middle,suffix,sex,dob,line,city,state,zip,phone,email,ssn4,mrn,mrn_sys,member_id";
    for file in ["patients", "queries"] {
        let rows = rows(&folder, &format!("out/{file}.csv"), header);
        let patients = folder.lines(&format!("out/{file}.ndjson"));
        assert_eq!(rows.len(), patients.len());
        for (row, patient) in rows.iter().zip(&patients) {
            // A row with a quoted comma is split too far; its first columns stand.
            assert_eq!(row[0], patient["id"].as_str().unwrap());
            assert_eq!(row[1], patient["name"][0]["family"].as_str().unwrap_or_default(), "{}", row[0]);
            if row.len() == 17 {
                assert_eq!(row[6], patient["birthDate"].as_str().unwrap_or_default(), "{}", row[0]);
                assert_eq!(row[10], patient["address"][0]["postalCode"].as_str().unwrap_or_default(), "{}", row[0]);
            }
        }
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let folder = Folder::new();
    let file = folder.write("occupied", "");
    let out = folder.text("out");
    let table: [(&[&str], i32, &str); 5] = [
        (&["--difficulty", "impossible", "--out", &out], 2, "easy, normal, hard"),
        (&["--absent", "2", "--out", &out], 2, "from 0 to 1"),
        (&["--people", "many", "--out", &out], 2, "--people"),
        (&["--people", "5"], 2, "--out"),
        (&["--people", "5", "--queries", "1", "--out", &file], 3, "occupied"),
    ];
    for (arguments, code, text) in table {
        let ended = run(["synth"].iter().chain(arguments));
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(text), "{arguments:?}: {}", ended.err);
    }
}
