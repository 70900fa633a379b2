//! `partition`: what another model would change is told first and done when asked for.

use serde_json::Value;

use crate::database::Database;
use crate::people::{Folder, ndjson};
use crate::program::run;

on_both_databases! {
    what_another_model_would_split_is_told_then_done_and_done_once,
}

const PEOPLE: usize = 20;

fn summary(args: &[&str]) -> Value {
    serde_json::from_str(&run(args.iter().copied()).with_code(0)).unwrap()
}

fn what_another_model_would_split_is_told_then_done_and_done_once(database: &Database) {
    let folder = Folder::new();
    let url = database.url();
    for source in ["a", "b"] {
        let file = folder.write(&format!("{source}.ndjson"), ndjson(source, 0..PEOPLE));
        run(["load", &file, "--database-url", &url]).with_code(0);
    }
    let same = summary(&["partition", "--json", "--database-url", &url]);
    assert_eq!((&same["joins"], &same["splits"], &same["regroups"]), (&0.into(), &0.into(), &0.into()), "{same}");
    assert_eq!((same["records"].as_u64(), same["identities_before"].as_u64()), (Some(40), Some(20)));
    let shipped = include_str!("../../profiles/match-model.json");
    let mut stricter: Value = serde_json::from_str(shipped).unwrap();
    stricter["version"] = "stricter".into();
    // To it, people who have one phone are never one person.
    stricter["comparisons"]["phone"]["levels"]["exact"]["match"] = 1e-30.into();
    let model = folder.write("model.json", stricter.to_string());
    let out = folder.text("out.ndjson");
    let with = ["partition", "--json", "--model", &model, "--out", &out, "--database-url", &url];
    let told = summary(&with);
    let count = |told: &Value, what: &str| told[what].as_u64().unwrap();
    assert_eq!((told["model"].as_str(), told["applied"].as_bool()), (Some("stricter"), Some(false)));
    let lines = folder.lines("out.ndjson");
    let splits = lines.iter().filter(|line| line["change"] == "split").count() as u64;
    assert_eq!(splits, count(&told, "splits"));
    assert_eq!(lines.len() as u64, splits + count(&told, "joins") + count(&told, "reviews"));
    assert_eq!(database.number("SELECT COUNT(*) FROM identity"), PEOPLE as i64, "nothing was changed");
    let done = summary(&[&with[..], &["--apply"]].concat());
    assert_eq!((count(&done, "splits"), done["applied"].as_bool()), (splits, Some(true)));
    assert_eq!(database.number("SELECT COUNT(*) FROM identity") as u64, count(&done, "identities_after"));
    let again = summary(&with);
    assert_eq!((count(&again, "joins"), count(&again, "splits")), (0, 0), "{again}");
    let back = summary(&["partition", "--json", "--apply", "--database-url", &url]);
    assert_eq!(count(&back, "joins"), splits);
    assert_eq!(database.number("SELECT COUNT(*) FROM identity"), PEOPLE as i64);
}
