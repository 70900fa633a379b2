//! `config`, `completions`, and the rules read from a directory: what changes there changes what is enforced.

use std::fs;

use crate::database::Database;
use crate::people::Folder;
use crate::program::{BINARY, clean, finish, repository_file, run};

const L1: &str = "StructureDefinition-IDI-Patient-L1.json";

#[test]
fn the_page_of_all_options_is_the_one_in_docs() {
    let page = fs::read_to_string(repository_file("docs/configuration.md")).expect("docs/configuration.md");
    let is_current = run(["config", "--markdown"]).with_code(0) == page;
    assert!(is_current, "write it again: idi-match config --markdown > docs/configuration.md");
}

#[test]
fn the_configuration_in_force_is_shown_without_secrets() {
    let folder = Folder::new();
    let file = folder.write(
        "idi-match.toml",
        "[limits]\npage_size = 17\n[[sources]]\nuri = 'urn:a'\nlevel = 'IDIAL1.5'\ndate = '2026-01-02'\n",
    );
    let mut command = crate::program::command();
    command.env("IDI_MATCH_LIMITS_DEPTH_MAX", "23").env("IDI_MATCH_LIMITS_PAGE_SIZE", "18");
    command.args(["config", "--config", &file, "--limits-depth-max", "24"]);
    command.args(["--database-url", "postgres://user:hunter2@127.0.0.1/people"]);
    let shown = finish(&mut command).with_code(0);
    for words in ["page_size = 18", "depth_max = 24", "IDIAL1.5", "listen = \"127.0.0.1:8080\""] {
        assert!(shown.contains(words), "{words} is missing in:\n{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    let again = folder.write("again.toml", &shown);
    assert_eq!(run(["config", "--config", &again]).with_code(0), shown, "what is shown can be used");
}

#[test]
fn a_reader_who_wants_no_more_is_no_failure() {
    let mut command = clean(std::process::Command::new("bash"));
    let script = "set -o pipefail; for command in 'config' 'config --markdown' 'completions bash'; do \"$0\" $command | head -c 1; done";
    let ended = finish(command.args(["-c", script, BINARY]));
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn the_completion_script_is_a_script() {
    let folder = Folder::new();
    let script = run(["completions", "bash"]).with_code(0);
    assert!(script.contains("complete -F _idi") && script.contains("--min-probability"), "{script}");
    let file = folder.write("completion.bash", script);
    let mut command = clean(std::process::Command::new("bash"));
    finish(command.args(["-n", &file])).with_code(0);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(run(["completions", shell]).with_code(0).contains("idi-match"), "{shell}");
    }
}

/// The files of `profiles/` in a directory of their own, one of them changed.
fn profiles(change: impl Fn(&str) -> String) -> Folder {
    let folder = Folder::new();
    for entry in fs::read_dir(repository_file("profiles")).unwrap() {
        let entry = entry.unwrap();
        let (name, text) = (entry.file_name(), fs::read_to_string(entry.path()).unwrap());
        let written = if name == L1 { change(&text) } else { text.clone() };
        assert!(name != L1 || written != text, "the change changes nothing");
        fs::write(folder.path().join(name), written).unwrap();
    }
    folder
}

#[test]
fn a_changed_threshold_changes_what_is_enforced() {
    // The guide's incomplete example reaches 11 by the expression.
    let patient = repository_file("fixtures/guide/patient-incomplete.json");
    let says =
        |words: &str, directory: &str| run(["validate", &patient, "--profiles-dir", directory]).out.contains(words);
    let raised = profiles(|text| text.replace(">= 10\"", ">= 12\""));
    assert!(!says("idi-L1", ""), "11 is enough for 10");
    assert!(says("idi-L1", raised.path().to_str().unwrap()), "and too little for 12");
}

#[test]
fn rules_that_cannot_be_enforced_stop_the_start_with_file_element_and_reason() {
    let (folder, database) = (Folder::new(), Database::sqlite());
    let queries = folder.write("queries.ndjson", "");
    let (out, url) = (folder.text("out.ndjson"), database.url());
    let misspelt = profiles(|text| text.replace("photo.exists()", "photo.exits()"));
    let directory = misspelt.path().to_str().unwrap();
    let commands: [&[&str]; 3] = [
        &["serve", "--open", "--listen", "127.0.0.1:0", "--database-url", &url],
        &["match", &queries, "--out", &out, "--database-url", &url],
        &["validate", &queries],
    ];
    for arguments in commands {
        let ended = run(arguments.iter().chain(&["--profiles-dir", directory]));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        for words in [L1, "Patient", "exits"] {
            assert!(ended.err.contains(words), "{arguments:?}: {words} is missing in: {}", ended.err);
        }
    }
    fs::remove_file(misspelt.file("match-model.json")).unwrap();
    fs::copy(repository_file(&format!("profiles/{L1}")), misspelt.file(L1)).unwrap();
    let ended = run(["validate", &queries, "--profiles-dir", directory]);
    assert!(ended.code == 2 && ended.err.contains("match-model.json"), "{}", ended.err);
}
