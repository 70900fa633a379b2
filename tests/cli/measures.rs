//! The measures of durability in a short form: the scripts themselves, with small numbers, on the program under test.
//!
//! What takes long, and every judgement of time, is `make measure`. Not here: full disks (see `full_disk`).

use std::process::Command;

use crate::program::{BINARY, clean, finish, repository_file};

/// Runs a script, which must end well.
fn measure(name: &str, arguments: &[&str]) -> String {
    let mut command = clean(Command::new(repository_file(&format!("scripts/measure/{name}"))));
    finish(command.args(arguments).env("IDI_MATCH_BINARY", BINARY).env("BACK_WITHIN_S", "60")).with_code(0)
}

#[test]
fn thirty_two_writers_are_killed_and_nothing_is_lost_doubled_or_half_applied() {
    let said = measure("kill", &["2", "300"]);
    assert!(said.contains("no finding"), "{said}");
}

#[test]
fn the_log_is_synced_before_every_answer() {
    let tried = clean(Command::new("strace")).args(["-qq", "-o", "/dev/null", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("not tried: strace cannot be used here");
        return;
    }
    let said = measure("fsync", &["150"]);
    assert_eq!(said.matches("150 acknowledged writes").count(), 2, "{said}");
}

#[test]
fn postgres_that_stops_under_load_is_seen_as_503_and_loses_nothing() {
    let said = measure("postgres-stop", &["1"]);
    assert!(said.contains("acknowledged writes are there"), "{said}");
}
