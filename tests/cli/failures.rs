//! What goes wrong before the work begins: exit codes, and texts that name what to change and hide what is secret.

use std::net::TcpListener;

use crate::database::Database;
use crate::people::{Folder, ndjson, patient};
use crate::program::run;

/// Arguments, exit code, and words that standard error must hold.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

fn check(table: &[Case<'_>]) {
    for (arguments, code, words) in table {
        let ended = run(*arguments);
        assert_eq!(ended.code, *code, "{arguments:?}: {}{}", ended.out, ended.err);
        for word in *words {
            assert!(ended.err.contains(word), "{arguments:?}: {word} is missing in: {}", ended.err);
        }
        assert!(!ended.err.contains("hunter2"), "{arguments:?} shows a secret: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn wrong_usage_and_configuration_end_with_2() {
    let folder = Folder::new();
    let file = folder.write("people.ndjson", ndjson("p", 0..1));
    let unknown = folder.write("unknown.toml", "[server]\nlisten_on = 'x'\n");
    let value = folder.write("value.toml", "[limits]\npage_size = 'hunter2'\n");
    let broken = folder.write("broken.toml", "[server\n");
    let url = format!("sqlite:{}", folder.text("people.sqlite"));
    check(&[
        (&[], 2, &["Usage"]),
        (&["conquer"], 2, &["conquer"]),
        (&["load"], 2, &["FILE"]),
        (&["load", &file, "--no-such-flag"], 2, &["--no-such-flag"]),
        (&["match", &file, "--out", "-", "--min-probability", "2"], 2, &["--min-probability"]),
        (&["config", "--config", &unknown], 2, &["server.listen_on"]),
        (&["config", "--config", &value], 2, &["limits.page_size"]),
        (&["config", "--config", &broken], 2, &["TOML"]),
        (&["config", "--config", &folder.text("missing.toml")], 2, &["missing.toml"]),
        (&["config", "--limits-depth-max", "9999"], 2, &["--limits-depth-max"]),
        (&["config", "--match-response", "song"], 2, &["--match-response"]),
        (&["config", "--log-filter", "====="], 2, &["log.filter"]),
        (&["load", &file, "--database-url", "mysql://u:hunter2@h/d"], 2, &["sqlite:", "postgres://"]),
        (&["serve", "--database-url", &url], 2, &["--open"]),
        (&["serve", "--open", "--listen", "0.0.0.0:0", "--database-url", &url], 2, &["loopback"]),
        (&["serve", "--open", "--listen", "[::]:0", "--database-url", &url], 2, &["loopback"]),
        (&["serve", "--open=false", "--listen", "127.0.0.1:0", "--database-url", &url], 2, &["--open"]),
    ]);
    assert!(!folder.file("people.sqlite").exists(), "what is refused touches nothing");
}

#[test]
fn what_cannot_be_done_ends_with_3_and_names_the_place() {
    let folder = Folder::new();
    let file = folder.write("people.ndjson", ndjson("p", 0..1));
    let query = folder.write("query.json", patient("q", 0).to_string());
    let bad_truth = folder.write("truth.csv", "query,person\n");
    let no_database = format!("sqlite:{}", folder.text("missing/people.sqlite"));
    let no_sqlite = format!("sqlite:{file}");
    let url = format!("sqlite:{}", folder.text("people.sqlite"));
    let missing = folder.text("missing.ndjson");
    let no_out = folder.text("missing/out.ndjson");
    check(&[
        (&["load", &file, "--database-url", &no_database], 3, &["missing/people.sqlite"]),
        (&["load", &file, "--database-url", &no_sqlite], 3, &["database"]),
        (
            &["load", &file, "--database-url", "postgres://user:hunter2@127.0.0.1:1/people"],
            3,
            &["127.0.0.1", "connect"],
        ),
        (&["load", &missing, "--database-url", &url], 3, &["missing.ndjson"]),
        (&["load", &file, "--rejects", &no_out, "--database-url", &url], 0, &[]),
        (&["match", &missing, "--out", "-", "--database-url", &url], 3, &["missing.ndjson"]),
        (&["match", &file, "--out", &no_out, "--database-url", &url], 3, &["missing/out.ndjson"]),
        (&["explain", &missing, "--record", "p", "--database-url", &url], 3, &["missing.ndjson"]),
        (&["explain", &query, "--record", "nobody", "--database-url", &url], 3, &["record"]),
        (&["weigh", &missing], 3, &["missing.ndjson"]),
        (&["validate", &missing], 3, &["missing.ndjson"]),
        (&["evaluate", "--queries", &file, "--truth", &bad_truth, "--records", &file], 3, &["truth.csv", "line 1"]),
    ]);
}

#[test]
fn a_port_in_use_is_named() {
    let (database, listener) = (Database::sqlite(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    check(&[(&["serve", "--open", "--listen", &address, "--database-url", &database.url()], 3, &[&address])]);
}

#[test]
fn help_and_version_end_with_0() {
    assert!(run(["--version"]).with_code(0).starts_with("idi-match "));
    let help = run(["--help"]).with_code(0);
    for command in [
        "backup",
        "restore",
        "verify-backup",
        "audit",
        "serve",
        "demo",
        "load",
        "match",
        "explain",
        "validate",
        "weigh",
        "synth",
        "evaluate",
        "config",
    ] {
        assert!(help.contains(command), "{command}");
        assert!(run([command, "--help"]).with_code(0).contains("Usage"), "{command}");
    }
    assert!(help.contains("Exit codes"), "{help}");
}
