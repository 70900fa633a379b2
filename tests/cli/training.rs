//! `train` and `model`: from what is stored to a model that matches.

use crate::database::Database;
use crate::people::Folder;
use crate::program::{repository_file, run};

on_both_databases! {
    a_model_is_fitted_shown_compared_and_used,
}

/// A made-up population in a folder, loaded.
fn population(folder: &Folder, database: &Database, people: &str) {
    run(["synth", "--people", people, "--queries", people, "--seed", "5", "--out", &folder.text("made")]).with_code(0);
    run(["load", &folder.text("made/patients.ndjson"), "--database-url", &database.url()]).with_code(0);
}

fn a_model_is_fitted_shown_compared_and_used(database: &Database) {
    let folder = Folder::new();
    population(&folder, database, "1500");
    let (model, report) = (folder.text("model.json"), folder.text("report.json"));
    let store = ["--random-pairs", "200000", "--database-url", &database.url()].map(str::to_owned);
    let train = |rest: &[&str]| {
        let own = ["train", "--out", &model, "--report", &report].map(str::to_owned);
        run(own.into_iter().chain(store.clone()).chain(rest.iter().map(|&word| word.to_owned())))
    };
    let refused = train(&[]).with_code(1);
    assert!(refused.contains("REFUSED enough-matches") && refused.contains("not adopted"), "{refused}");
    assert!(!std::path::Path::new(&model).exists(), "a model that is refused is not written");

    let queries = folder.text("made/queries.ndjson");
    let adopted = train(&["--patients", &queries]).with_code(0);
    assert!(adopted.contains("ok      known-pair-twin"), "{adopted}");
    let shown = run(["model", "show", &model]).with_code(0);
    assert!(shown.contains("birth_date      generation"), "{shown}");
    let shipped = repository_file("profiles/match-model.json");
    assert!(run(["model", "diff", &shipped, &model]).with_code(1).contains("phone           exact"));
    assert!(run(["model", "diff", &model, &model]).with_code(0).contains("0 levels differ"));

    let version = run(["model", "show", &model, "--json"]).json(0)["version"].as_str().expect("a version").to_owned();
    let in_force = run(["model", "show", "--match-model", &model]).with_code(0);
    assert!(in_force.starts_with(&format!("model {version}\n")), "{in_force}");
    let out = folder.text("out.ndjson");
    run(["match", &queries, "--out", &out, "--match-model", &model, "--database-url", &database.url()]).with_code(0);
    let (truth, records) = (folder.text("made/truth.csv"), folder.text("made/records.csv"));
    let judged = run(["evaluate", "--queries", &out, "--truth", &truth, "--records", &records, "--json"]).json(0);
    assert!(judged["best"]["f1"].as_f64().is_some_and(|f1| f1 > 0.97), "{judged}");
}
