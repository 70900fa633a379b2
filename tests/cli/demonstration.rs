//! `demo`: the line that it prints finds somebody, and nothing stays behind.

use std::process::Command;

use serde_json::Value;

use crate::people::Folder;
use crate::program::{Running, Stream, clean, command, finish, patient_ids};

fn start(temporary: &Folder, more: &[&str]) -> (Running, Vec<String>) {
    let mut command = command();
    command.args(["demo", "--port", "0", "--people", "200"]).args(more).env("TMPDIR", temporary.path());
    let running = Running::start(command, Stream::Out);
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("Ctrl-C")) {
        lines.push(running.line());
    }
    (running, lines)
}

/// The command that stands alone between blank lines.
fn printed_command(lines: &[String]) -> &str {
    let alone = |three: &[String]| three[0].is_empty() && three[1].starts_with("curl ") && three[2].is_empty();
    let commands: Vec<&str> = lines.windows(3).filter(|three| alone(three)).map(|three| three[1].as_str()).collect();
    assert_eq!(commands.len(), 1, "{lines:?}");
    commands[0]
}

#[test]
fn the_printed_command_finds_somebody_and_the_end_leaves_nothing() {
    let temporary = Folder::new();
    let (mut demo, lines) = start(&temporary, &[]);
    assert!(lines[0].contains("200 people"), "{lines:?}");
    let mut shell = clean(Command::new("sh"));
    let answer: Value = finish(shell.args(["-c", printed_command(&lines)])).json(0);
    assert_eq!(answer["resourceType"], "Parameters", "{answer}");
    assert!(!patient_ids(&answer).is_empty(), "{answer}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1, "the throw-away directory");
    assert!(demo.stop().success());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "it is removed");
}

#[test]
fn a_kept_demo_is_not_loaded_twice() {
    let (temporary, kept) = (Folder::new(), Folder::new());
    let data = kept.text("data");
    let (mut demo, first) = start(&temporary, &["--data", &data]);
    assert!(demo.stop().success());
    let (mut demo, second) = start(&temporary, &["--data", &data]);
    assert_eq!(first[0], second[0], "as many people as before");
    let mut shell = clean(Command::new("sh"));
    let answer: Value = finish(shell.args(["-c", printed_command(&second)])).json(0);
    assert!(!patient_ids(&answer).is_empty(), "{answer}");
    assert!(demo.stop().success());
    assert!(kept.file("data/idi-match.sqlite").exists());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
