//! A load that is cut off goes on where its last commit ended: nothing acknowledged is lost, nothing comes twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::database::Database;
use crate::loading::load;
use crate::people::{Folder, ndjson, patient};
use crate::program::{Running, Stream, command, wait_for};

on_both_databases! {
    a_load_that_is_killed_goes_on_where_it_was,
}

const LINES: usize = 330;
/// Every so many lines one is refused.
const BAD_EVERY: usize = 11;
const CYCLES: u64 = 4;

fn a_load_that_is_killed_goes_on_where_it_was(database: &Database) {
    let folder = Folder::new();
    let file = folder.write("people.ndjson", lines());
    let mut acknowledged = 0;
    for cycle in 0..CYCLES {
        let mut running = start(database, &file);
        let lines = wait_for("progress", || done(database).filter(|lines| *lines > acknowledged));
        // Somewhere in the next batch, each time elsewhere.
        std::thread::sleep(Duration::from_millis(cycle * 7));
        running.kill();
        wait_for_end(database);
        acknowledged = done(database).expect("progress is not lost");
        assert!(acknowledged >= lines, "{acknowledged} lines are done, and {lines} were");
        assert_eq!(stored(database), good_until(acknowledged), "what is acknowledged is stored, and nothing else");
    }
    assert!(acknowledged < LINES as i64, "the kills came after the end");
    let ended = load(database, &file, &["--limits-load-batch-lines", "2"]);
    assert!(ended.err.contains(&format!("after line {acknowledged}")), "{}", ended.err);
    let summary = ended.json(1);
    assert_eq!((&summary["lines"], &summary["rejected"]), (&Value::from(LINES), &Value::from(LINES / BAD_EVERY)));
    assert_eq!(stored(database), good_until(LINES as i64));
    for (what, sql) in [
        ("a resource came twice", "SELECT COUNT(*) FROM resource WHERE version <> 1"),
        ("an older version exists", "SELECT COUNT(*) FROM resource_history"),
        ("a change was logged twice", "SELECT COUNT(*) - COUNT(DISTINCT record_id) FROM change"),
        ("a record has no change", "SELECT (SELECT COUNT(*) FROM record) - (SELECT COUNT(*) FROM change)"),
        ("an identity has not one record", "SELECT (SELECT COUNT(*) FROM record) - (SELECT COUNT(*) FROM identity)"),
    ] {
        assert_eq!(database.number(sql), 0, "{what}");
    }
    let refused: Vec<u64> =
        folder.lines("people.rejects.ndjson").iter().map(|line| line["line"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (1..=LINES).filter(|number| is_bad(*number)).map(|number| number as u64).collect();
    assert_eq!(refused, expected, "refused lines stand once and in order");
}

/// PostgreSQL may yet finish the commit of a program that is gone.
fn wait_for_end(database: &Database) {
    const OTHERS: &str =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    if matches!(database, Database::Postgres(_)) {
        wait_for("the end of its connections", || (database.number(OTHERS) == 0).then_some(()));
    }
}

fn is_bad(number: usize) -> bool {
    number.is_multiple_of(BAD_EVERY)
}

fn lines() -> String {
    let line =
        |number| if is_bad(number) { "bad".to_owned() } else { patient(&format!("p{number}"), number).to_string() };
    (1..=LINES).map(|number| line(number) + "\n").collect()
}

fn start(database: &Database, file: &str) -> Running {
    let mut command = command();
    command.args(["load", file, "--limits-load-batch-lines", "2", "--database-url", &database.url()]);
    Running::start(command, Stream::Out)
}

fn done(database: &Database) -> Option<i64> {
    database.find_number("SELECT MAX(lines) FROM load_progress")
}

fn stored(database: &Database) -> BTreeSet<String> {
    database.texts("SELECT id AS value FROM resource").into_iter().collect()
}

fn good_until(lines: i64) -> BTreeSet<String> {
    let lines = usize::try_from(lines).unwrap();
    (1..=lines).filter(|number| !is_bad(*number)).map(|number| format!("p{number}")).collect()
}

#[test]
fn the_refused_lines_of_another_load_do_not_stay() {
    let folder = Folder::new();
    let database = Database::sqlite();
    let file = folder.write("people.ndjson", "bad\nbad\nbad\n");
    load(&database, &file, &[]).with_code(1);
    assert_eq!(folder.lines("people.rejects.ndjson").len(), 3);
    folder.write("people.ndjson", ndjson("p", 0..2));
    load(&database, &file, &[]).with_code(0);
    assert!(!folder.file("people.rejects.ndjson").exists());
}
