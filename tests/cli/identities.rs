//! Two processes that store the same people at once: one identity a person results.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::database::Database;
use crate::people::{Folder, ndjson};
use crate::program::{Running, Stream, command, run};

on_both_databases! {
    two_loads_of_the_same_people_at_once_make_one_identity_a_person,
}

const PEOPLE: usize = 200;

fn two_loads_of_the_same_people_at_once_make_one_identity_a_person(database: &Database) {
    let folder = Folder::new();
    let files = ["a", "b"].map(|source| folder.write(&format!("{source}.ndjson"), ndjson(source, 0..PEOPLE)));
    let mut loads = files.map(|file| {
        let mut command = command();
        command.args(["load", &file, "--limits-load-batch-lines", "7", "--database-url", &database.url()]);
        Running::start(command, Stream::Err)
    });
    for load in &mut loads {
        assert!(load.wait().success());
    }
    assert_eq!(database.number("SELECT COUNT(*) FROM record"), 2 * PEOPLE as i64);
    assert_eq!(database.number("SELECT COUNT(*) FROM review"), 0);
    let (queries, out) = (folder.write("queries.ndjson", ndjson("q", 0..PEOPLE)), folder.text("out.ndjson"));
    run(["match", &queries, "--out", &out, "--database-url", &database.url()]).with_code(0);
    let mut identities = BTreeSet::new();
    for (number, line) in folder.lines("out.ndjson").iter().enumerate() {
        let best = &line["candidates"][0];
        let mut records: Vec<&str> = best["records"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        records.sort_unstable();
        assert_eq!(records, [format!("a{number}"), format!("b{number}")], "{line}");
        identities.insert(best["identity"].to_string());
    }
    assert_eq!(identities.len(), PEOPLE);
    assert_eq!(database.number("SELECT COUNT(*) FROM identity"), PEOPLE as i64, "no identity is left without records");
}
