//! `evaluate --html` and `--json`: what is in the report, and what must not be.

use serde_json::Value;

use crate::database::Database;
use crate::loading::load;
use crate::people::Folder;
use crate::program::run;

/// Words that begin each part of the page.
const PARTS: [&str; 10] = [
    r#"<h2 id="curve">"#,
    r#"<h2 id="scores">"#,
    r#"<h2 id="kinds">"#,
    r#"<h2 id="grades">"#,
    r#"<h2 id="errors">"#,
    r#"<h2 id="subgroups">"#,
    r#"<h2 id="worst">"#,
    r#"<h2 id="weights">"#,
    "Who was taken for the person",
    "at the best F1",
];

/// A population with hard queries, stored: the folder, and the arguments that evaluate it.
fn evaluated(database: &Database, queries: &str) -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let out = folder.text("synth");
    let made = ["synth", "--people", "250", "--queries", "150", "--difficulty", "hard", "--seed", "5", "--out", &out];
    run(made).with_code(0);
    load(database, &folder.text("synth/patients.ndjson"), &[]).with_code(0);
    let [patients, truth, records] =
        ["queries.ndjson", "truth.csv", "records.csv"].map(|name| folder.text(&format!("synth/{name}")));
    let url = database.url();
    let queries = if queries.is_empty() {
        patients
    } else {
        let results = folder.text(queries);
        run(["match", &patients, "--out", &results, "--database-url", &url]).with_code(0);
        results
    };
    let arguments =
        ["evaluate", "--queries", &queries, "--truth", &truth, "--records", &records, "--database-url", &url];
    let arguments = arguments.map(str::to_owned).to_vec();
    (folder, arguments)
}

/// The page that `evaluate` writes.
fn page(folder: &Folder, arguments: &[String], more: &[&str]) -> String {
    let out = folder.text("report.html");
    let more = ["--html", &out].iter().chain(more).map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
    run(arguments.iter().chain(&more)).with_code(0);
    folder.read("report.html")
}

/// Everything a browser would fetch or run.
fn assert_self_contained(page: &str) {
    let bare = page.replace("http://www.w3.org/2000/svg", "");
    for word in
        ["http:", "https:", "//", "<script", "<link", "<img", "<iframe", "@import", " src=", " href=", "onload="]
    {
        assert!(!bare.contains(word), "{word} in the page");
    }
    assert_eq!(bare.matches("url(").count(), bare.matches("url(#").count(), "only what the page itself holds");
}

#[test]
fn the_page_has_every_part_and_needs_nothing_else() {
    let database = Database::sqlite();
    let (folder, arguments) = evaluated(&database, "");
    let page = page(&folder, &arguments, &[]);
    for part in PARTS {
        assert!(page.contains(part), "{part} is missing");
    }
    assert_self_contained(&page);
    assert!(page.contains("prefers-color-scheme:dark"), "readable on dark ground");
    assert!(page.matches("<div class=\"waterfall\">").count() > 3, "the worst errors are explained");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");
}

#[test]
fn persons_are_shown_only_when_that_is_asked_for() {
    let database = Database::sqlite();
    let (folder, arguments) = evaluated(&database, "");
    let shown = page(&folder, &arguments, &["--show-people"]);
    assert!(shown.contains("holds data of persons") && shown.contains("birthDate"));
    let stored = folder.read("synth/patients.ndjson") + &folder.read("synth/queries.ndjson");
    let people = stored.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let of_person = |value: &Value| value.as_str().filter(|text| text.len() > 5).map(str::to_owned);
    let values: Vec<String> = people
        .flat_map(|person| [of_person(&person["address"][0]["line"][0]), of_person(&person["telecom"][0]["value"])])
        .flatten()
        .collect();
    let count = |page: &str| values.iter().filter(|value| page.contains(value.as_str())).count();
    assert!(count(&shown) > 0, "what is looked for can be found");
    let hidden = page(&folder, &arguments, &[]);
    assert_eq!(count(&hidden), 0, "no address, phone or email without being asked");
    assert!(hidden.contains("but no person&#39;s data"));
    let refused = run(arguments.iter().map(String::as_str).chain(["--show-people"]));
    assert_eq!(refused.code, 2, "{}", refused.err);
}

#[test]
fn results_alone_have_neither_subgroups_nor_waterfalls_and_the_page_says_so() {
    let database = Database::sqlite();
    let (folder, arguments) = evaluated(&database, "results.ndjson");
    let page = page(&folder, &arguments, &[]);
    assert_self_contained(&page);
    assert!(page.contains("No waterfalls") && page.contains("Left out"), "{page}");
    assert!(!page.contains("<div class=\"waterfall\">"));
}

#[test]
fn the_json_has_the_figures_of_the_page() {
    let database = Database::sqlite();
    let (_folder, mut arguments) = evaluated(&database, "");
    arguments.push("--json".to_owned());
    let report = run(&arguments).json(0);
    let sum = |list: &Value, name: &str| -> u64 {
        list.as_array().unwrap().iter().filter_map(|one| one[name].as_u64()).sum()
    };
    let (histogram, at_threshold) = (&report["histogram"], &report["at_threshold"]);
    let answered = sum(histogram, "matches") + sum(histogram, "non_matches");
    assert!((100..=150).contains(&answered), "{histogram}");
    let accepted = at_threshold["precision"]["of"].as_u64().unwrap();
    let right = at_threshold["precision"]["count"].as_u64().unwrap();
    assert_eq!(sum(&report["false_accepts"], "accepted"), accepted - right);
    let curve = report["curve"].as_array().unwrap();
    let recalls: Vec<u64> = curve.iter().map(|point| point["recall"]["count"].as_u64().unwrap()).collect();
    assert!(
        recalls.len() > 5 && recalls.is_sorted_by(|a, b| a >= b),
        "recall falls as the threshold rises: {recalls:?}"
    );
    let groups = report["by_subgroup"].as_array().unwrap();
    let of_sex: u64 =
        groups.iter().filter(|one| one["characteristic"] == "sex").filter_map(|one| one["queries"].as_u64()).sum();
    assert_eq!(of_sex, 150, "every query is in one group");
    let explained =
        report["worst"].as_array().unwrap().iter().filter(|one| one["explanation"]["waterfall"].is_object());
    assert!(explained.count() > 3, "{}", report["worst"]);
    assert!(!report.to_string().contains("birthDate\":"), "levels and weights, no values");
}
