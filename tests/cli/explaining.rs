//! `explain`: the sum behind a probability, for people and for programs.

use serde_json::Value;

use crate::database::Database;
use crate::loading::load;
use crate::people::{Folder, ndjson, patient};
use crate::program::run;

on_both_databases! {
    the_bars_sum_to_the_total_and_the_table_says_the_same,
}

fn the_bars_sum_to_the_total_and_the_table_says_the_same(database: &Database) {
    let folder = Folder::new();
    load(database, &folder.write("people.ndjson", ndjson("p", 0..30)), &[]).with_code(0);
    let query = folder.write("query.json", patient("q", 7).to_string());
    let explain = |record: &str, more: &[&str]| {
        let url = database.url();
        run(["explain", &query, "--record", record, "--database-url", &url].iter().chain(more))
    };
    for (record, grade) in [("p7", "certain"), ("p8", "certainly-not")] {
        let explanation = explain(record, &["--json"]).json(0);
        assert_eq!((&explanation["record"], &explanation["grade"]), (&Value::from(record), &Value::from(grade)));
        let waterfall = &explanation["waterfall"];
        let number = |name: &str| waterfall[name].as_f64().expect(name);
        let bars = waterfall["bars"].as_array().unwrap();
        let sum: f64 = bars.iter().map(|bar| bar["weight"].as_f64().unwrap()).sum();
        assert!(bars.len() > 5 && (number("prior") + sum - number("total")).abs() < 1e-9, "{waterfall}");
        let probability = 1.0 / (1.0 + (-number("total")).exp2());
        assert!((probability - number("probability")).abs() < 1e-9, "{waterfall}");
        let table = explain(record, &[]).with_code(0);
        let total = table.lines().find(|line| line.starts_with("total")).expect("a total");
        assert!(total.ends_with(&format!("{:.2}", number("total"))), "{total} {waterfall}");
        for bar in bars {
            let name = bar["comparison"].as_str().unwrap();
            assert!(table.lines().any(|line| line.starts_with(name)), "{name} is missing in:\n{table}");
        }
    }
    let unknown = explain("nobody", &[]);
    assert_eq!(unknown.code, 3);
    assert!(unknown.err.contains("no such record"), "{}", unknown.err);
}
