//! `demo`: the lines that it prints find somebody, and nothing stays behind.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::people::Folder;
use crate::program::{Ended, Running, Stream, clean, command, finish, patient_ids};

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

/// The curl command that stands alone between blank lines.
fn curl(lines: &[String]) -> &str {
    let alone = |three: &[String]| three[0].is_empty() && three[1].starts_with("curl ") && three[2].is_empty();
    let commands: Vec<&str> = lines.windows(3).filter(|three| alone(three)).map(|three| three[1].as_str()).collect();
    assert_eq!(commands.len(), 1, "{lines:?}");
    commands[0]
}

/// The line that changes to the keys, and the blocks of three commands.
fn exchanges(lines: &[String]) -> (&str, Vec<String>) {
    let cd = lines.iter().find(|line| line.starts_with("cd ")).expect("where the keys are");
    let commands: Vec<&str> = lines.iter().filter(|line| line.contains(" client ")).map(String::as_str).collect();
    (cd, commands.chunks(3).map(|block| block.join("\n")).collect())
}

fn shell(script: &str) -> Ended {
    finish(clean(Command::new("sh")).args(["-e", "-c", script]))
}

#[test]
fn the_printed_commands_find_somebody_and_the_end_leaves_nothing() {
    let temporary = Folder::new();
    let (mut demo, lines) = start(&temporary, &[]);
    assert!(lines[0].contains("200 people"), "{lines:?}");
    let (cd, blocks) = exchanges(&lines);
    assert_eq!(blocks.len(), 2, "treatment, and a person's own request: {lines:?}");
    for block in &blocks {
        let answer = shell(&format!("{cd}\n{block}")).json(0);
        assert_eq!(patient_ids(&answer).len(), 1, "{answer}");
    }
    let answer: Value = shell(curl(&lines)).json(0);
    assert_eq!(answer["resourceType"], "Parameters", "{answer}");
    assert!(!patient_ids(&answer).is_empty(), "{answer}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1, "the throw-away directory");
    assert!(demo.stop().success());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "it is removed");
}

#[test]
fn a_demo_lets_in_whom_its_test_community_vouches_for() {
    let (temporary, kept) = (Folder::new(), Folder::new());
    let (_demo, lines) = start(&temporary, &["--data", &kept.text("data")]);
    let (cd, blocks) = exchanges(&lines);
    for entry in std::fs::read_dir(kept.file("data/test-pki")).unwrap().map(Result::unwrap) {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    let open = curl(&lines).replacen(" -H 'Authorization: Bearer ", " -H 'X: ", 1);
    let answer = shell(&open).json(0);
    assert_eq!(answer["issue"][0]["code"], "login", "without a token: {answer}");
    // The same words by those for whom the community says less, or nothing any more.
    let by = |name: &str| shell(&format!("{cd}\n{}", blocks[1].replace("app.", &format!("{name}."))));
    let newcomer = by("newcomer");
    assert_eq!(newcomer.code, 3, "{}", newcomer.out);
    assert!(newcomer.err.contains("answers 403") && newcomer.err.contains("authentication"), "{}", newcomer.err);
    let revoked = by("revoked");
    assert!(revoked.err.contains("registration endpoint answers 400"), "{}", revoked.err);
    let swapped = shell(&format!("{cd}\n{}", blocks[0].replace("clinic.", "app.")));
    assert!(swapped.err.contains("answers 403"), "an app does not treat: {}", swapped.err);
}

#[test]
fn an_open_demo_prints_one_command_without_a_token() {
    let temporary = Folder::new();
    let (mut demo, lines) = start(&temporary, &["--open"]);
    assert!(!lines.iter().any(|line| line.contains("Bearer") || line.contains(" client ")), "{lines:?}");
    let answer = shell(curl(&lines)).json(0);
    assert!(!patient_ids(&answer).is_empty(), "{answer}");
    assert!(demo.stop().success());
}

#[test]
fn a_kept_demo_is_not_loaded_twice() {
    let (temporary, kept) = (Folder::new(), Folder::new());
    let data = kept.text("data");
    let (mut demo, first) = start(&temporary, &["--data", &data]);
    assert!(demo.stop().success());
    let (mut demo, second) = start(&temporary, &["--data", &data]);
    assert_eq!(first[0], second[0], "as many people as before");
    let answer: Value = shell(curl(&second)).json(0);
    assert!(!patient_ids(&answer).is_empty(), "{answer}");
    assert!(demo.stop().success());
    let (mut demo, third) = start(&temporary, &["--data", &data, "--open"]);
    assert!(!patient_ids(&shell(curl(&third)).json(0)).is_empty(), "what is sealed does not stop an open demo");
    assert!(demo.stop().success());
    assert!(kept.file("data/idi-match.sqlite").exists());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
