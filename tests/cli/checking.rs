//! `validate` and `weigh`: what needs no database.

use serde_json::Value;

use crate::people::Folder;
use crate::program::{repository_file, run};

/// The guide's own examples: the strict input weight, and whether the profiles that they claim hold.
const GUIDE: [(&str, u64, bool); 6] = [
    ("patient-base.json", 15, true),
    ("patient-l0.json", 14, true),
    ("patient-l1.json", 15, true),
    ("patient-l2.json", 20, true),
    ("patient-incomplete.json", 6, false),
    ("request-l1.json", 15, true),
];

fn guide(name: &str) -> String {
    repository_file(&format!("fixtures/guide/{name}"))
}

#[test]
fn the_guides_examples_weigh_what_the_guide_says() {
    for (name, weight, _) in GUIDE {
        let weighed = run(["weigh", &guide(name), "--json"]).json(0);
        assert_eq!(weighed["total"], weight, "{name}: {weighed}");
        let parts = weighed["parts"].as_array().unwrap();
        assert_eq!(parts.iter().map(|part| part["points"].as_u64().unwrap()).sum::<u64>(), weight, "{name}");
        let table = run(["weigh", &guide(name)]).with_code(0);
        let total = table.lines().find(|line| line.ends_with("total")).expect("a total");
        assert_eq!(total.split_whitespace().next(), Some(weight.to_string().as_str()), "{table}");
    }
    let incomplete = run(["weigh", &guide("patient-incomplete.json"), "--json"]).json(0);
    assert!(!incomplete["advice"].as_array().unwrap().is_empty(), "what would raise it is said: {incomplete}");
}

#[test]
fn the_guides_examples_are_valid_or_not_as_the_guide_says() {
    for (name, _, is_valid) in GUIDE {
        let ended = run(["validate", &guide(name)]);
        assert_eq!(ended.code, i32::from(!is_valid), "{name}: {}{}", ended.out, ended.err);
        let verdict = if is_valid { "valid" } else { "not valid" };
        assert_eq!(ended.out.lines().last(), Some(verdict), "{name}");
        let outcome = run(["validate", &guide(name), "--json"]).json(i32::from(!is_valid));
        assert_eq!(outcome["resourceType"], "OperationOutcome");
    }
}

#[test]
fn every_problem_of_a_resource_is_reported_with_its_place() {
    let folder = Folder::new();
    let table = [
        (r#"{"resourceType":"Patient","birthdate":"1980-01-01"}"#, "Patient.birthdate"),
        (r#"{"resourceType":"Patient","birthDate":"01/02/1980"}"#, "Patient.birthDate"),
        (r#"{"resourceType":"Patient","name":[{"family":7}]}"#, "Patient.name[0].family"),
        (r#"{"resourceType":"Patient","gender":"none"}"#, "Patient.gender"),
    ];
    for (text, place) in table {
        let file = folder.write("patient.json", text);
        let ended = run(["validate", &file]);
        assert_eq!(ended.code, 1, "{text}");
        assert!(ended.out.contains(&format!(" at {place}:")), "{place}: {}", ended.out);
        let outcome: Value = run(["validate", &file, "--json"]).json(1);
        let issues = outcome["issue"].as_array().unwrap();
        assert!(issues.iter().any(|issue| issue["expression"][0] == place), "{place}: {outcome}");
    }
}

#[test]
fn another_profile_than_the_claimed_one_can_be_asked_for() {
    let profile = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L1";
    let ended = run(["validate", &guide("patient-l0.json"), "--profile", profile]);
    assert_eq!(ended.code, 1, "{}", ended.out);
    assert!(ended.out.contains("idi-L1"), "{}", ended.out);
}
