//! `match` and `evaluate`: the lines of a result, their order, and what is counted on them.

use serde_json::{Value, json};

use crate::database::Database;
use crate::loading::load;
use crate::people::{Folder, ndjson, patient};
use crate::program::run;

on_both_databases! {
    a_result_has_the_agreed_form_and_the_best_candidate_first,
    lines_that_cannot_be_matched_say_why_and_keep_their_place,
    results_are_the_same_at_any_number_of_threads,
    an_evaluation_of_results_and_of_patients_agree,
}

/// Two records of one person, a relative of the same household, and people who have nothing to do with them.
fn store_household(database: &Database, folder: &Folder) {
    let mut relative = patient("relative", 5);
    relative["name"][0]["given"] = json!(["Zebulon"]);
    relative["birthDate"] = json!("2003-11-30");
    relative["identifier"][0]["value"] = json!("MR5550001");
    let people = format!("{}\n{}\n{relative}\n{}", patient("first", 5), patient("second", 5), ndjson("other", 30..60));
    load(database, &folder.write("people.ndjson", people), &[]).with_code(0);
}

fn match_lines(database: &Database, folder: &Folder, queries: &str, more: &[&str], code: i32) -> Vec<String> {
    let (queries, out) = (folder.write("queries.ndjson", queries), folder.text("out.ndjson"));
    run(["match", &queries, "--out", &out, "--database-url", &database.url()].iter().chain(more)).with_code(code);
    folder.read("out.ndjson").lines().map(str::to_owned).collect()
}

fn a_result_has_the_agreed_form_and_the_best_candidate_first(database: &Database) {
    let folder = Folder::new();
    store_household(database, &folder);
    let queries = format!("{}\n\n{}\n", patient("q1", 5), patient("q2", 399));
    let lines = match_lines(database, &folder, &queries, &[], 0);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(r#"{"query":"q1","candidates":[{"identity":""#), "{}", lines[0]);
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let candidates = line["candidates"].as_array().unwrap();
    for candidate in candidates {
        let names: Vec<&str> = candidate.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        let number = |name: &str| candidate[name].as_f64().filter(|value| (0.0..=1.0).contains(value)).expect(name);
        let (score, _) = (number("score"), number("probability"));
        let grade = candidate["grade"].as_str().unwrap();
        assert!(["certain", "probable", "possible", "certainly-not"].contains(&grade), "{grade} ({score})");
    }
    let best = &candidates[0];
    let mut records: Vec<&str> = best["records"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    records.sort_unstable();
    assert_eq!(records, ["first", "second"], "all records of the identity");
    assert_eq!((&best["grade"], &best["score"]), (&json!("certain"), &json!(0.99)));
    assert!(best["probability"].as_f64().unwrap() > 0.99, "{best}");
    let relative = candidates.iter().find(|candidate| candidate["records"] == json!(["relative"]));
    assert!(relative.is_some_and(|found| found["probability"].as_f64().unwrap() < 0.5), "{line}");
    let probabilities: Vec<f64> = candidates.iter().map(|found| found["probability"].as_f64().unwrap()).collect();
    assert!(probabilities.iter().all(|probability| *probability <= probabilities[0]), "{probabilities:?}");
    assert_eq!(line["issues"], json!([]));
    let narrowed = match_lines(database, &folder, &queries, &["--min-probability", "0.5"], 0);
    let narrowed: Value = serde_json::from_str(&narrowed[0]).unwrap();
    assert_eq!(narrowed["candidates"], json!([best]), "only the likely one is left");
}

fn lines_that_cannot_be_matched_say_why_and_keep_their_place(database: &Database) {
    let folder = Folder::new();
    store_household(database, &folder);
    let queries = [
        patient("q1", 5).to_string(),
        "Zanzibar".to_owned(),
        r#"{"resourceType":"Organization","id":"q3","name":"Zanzibar"}"#.to_owned(),
        r#"{"resourceType":"Patient","id":"q4","birthDate":"Zanzibar"}"#.to_owned(),
        r#"{"resourceType":"Patient","id":"q5","name":[{"text":"Fergus Abernathy"}]}"#.to_owned(),
    ];
    let lines = match_lines(database, &folder, &queries.join("\n"), &[], 1);
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&Value> = lines.iter().map(|line| &line["query"]).collect();
    assert_eq!(names, [&json!("q1"), &Value::Null, &json!("q3"), &json!("q4"), &json!("q5")]);
    for line in &lines[1..4] {
        assert_eq!(line["candidates"], json!([]));
        assert!(matches!(line["issues"][0]["severity"].as_str(), Some("error" | "fatal")), "{line}");
        assert!(!line.to_string().contains("Zanzibar"), "{line}");
    }
    assert_eq!(lines[3]["issues"][0]["expression"], json!(["Patient.birthDate"]));
    assert_eq!(lines[4]["issues"][0]["severity"], "warning", "a name given as text is read, and that is said");
    assert!(!lines[4]["candidates"].as_array().unwrap().is_empty(), "{}", lines[4]);
}

fn results_are_the_same_at_any_number_of_threads(database: &Database) {
    let folder = Folder::new();
    store_household(database, &folder);
    let queries = ndjson("q", 0..60);
    let one = match_lines(database, &folder, &queries, &["--match-threads", "1"], 0);
    let three = match_lines(database, &folder, &queries, &["--match-threads", "3"], 0);
    assert_eq!(one.len(), 60);
    assert_eq!(one, three);
}

fn an_evaluation_of_results_and_of_patients_agree(database: &Database) {
    let folder = Folder::new();
    let out = folder.text("synth");
    run(["synth", "--people", "250", "--queries", "100", "--difficulty", "easy", "--out", &out]).with_code(0);
    let [patients, queries, truth, records] = ["patients.ndjson", "queries.ndjson", "truth.csv", "records.csv"]
        .map(|name| folder.text(&format!("synth/{name}")));
    load(database, &patients, &[]).with_code(0);
    let (results, url) = (folder.text("out.ndjson"), database.url());
    run(["match", &queries, "--out", &results, "--database-url", &url]).with_code(0);
    let evaluate = |queries: &str, more: &[&str]| {
        let told = ["evaluate", "--queries", queries, "--truth", &truth, "--records", &records, "--json"];
        let mut report = run(told.iter().chain(&["--database-url", &url]).chain(more)).json(0);
        // Who was taken for whom, and why, is known where the stored records can be read.
        let members = report.as_object_mut().unwrap();
        let worst = members.remove("worst").unwrap();
        (members.remove("false_accepts"), worst, report)
    };
    let (_, worst, report) = evaluate(&results, &["--patients", &queries]);
    let (_, explained, same) = evaluate(&queries, &[]);
    assert_eq!(report, same);
    let errors = worst.as_array().unwrap();
    assert_eq!(errors.len(), explained.as_array().unwrap().len());
    assert!(errors.iter().all(|error| error["explanation"].is_null()), "{worst}");
    assert!(evaluate(&results, &[]).2["by_subgroup"].as_array().unwrap().is_empty(), "no Patients, no subgroups");
    assert_eq!(report["counts"]["queries"], 100);
    assert_eq!(report["counts"]["without_result"], 0);
    assert!(report["at_threshold"]["f1"].as_f64().unwrap() > 0.9, "{report}");
    assert!(report["candidate_recall"]["share"].as_f64().unwrap() > 0.95, "{report}");
    let table = run(["evaluate", "--queries", &results, "--truth", &truth, "--records", &records]).with_code(0);
    for words in ["100 queries", "precision", "candidate recall", "absent_twin", "no_error"] {
        assert!(table.contains(words), "{words} is missing in:\n{table}");
    }
}

#[test]
fn results_go_to_standard_output_when_asked() {
    let (folder, database) = (Folder::new(), Database::sqlite());
    let queries = folder.write("queries.ndjson", ndjson("q", 0..3));
    let out = run(["match", &queries, "--out", "-", "--database-url", &database.url()]).with_code(0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["query"].clone()).collect::<Vec<_>>(), ["q0", "q1", "q2"]);
    assert!(lines.iter().all(|line| line["candidates"] == json!([])), "nobody is stored");
}
