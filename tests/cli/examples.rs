//! The examples of the documents run as they stand there.
//!
//! A block fenced as `sh example` is an example; the blocks of one page run in order, in one shell and one directory.
//! `idi-match` is the binary under test; `serve` stays in the background until the page ends.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::people::Folder;
use crate::program::{BINARY, REPOSITORY, clean, finish};

/// Begins every page. `serve` runs beside the rest, and the page goes on when it answers.
const PROLOGUE: &str = r#"
set -euo pipefail
servers=()
curl() { command curl --fail-with-body "$@"; }
trap 'for server in "${servers[@]}"; do kill "$server"; wait "$server" || true; done' EXIT
idi-match() {
    if [ "$1" != serve ]; then "$BINARY" "$@"; return; fi
    "$BINARY" "$@" >server.log 2>&1 &
    servers+=($!)
    for _ in $(seq 600); do
        if command curl -sf "http://127.0.0.1:$PORT/readyz" >/dev/null; then return; fi
        kill -0 "${servers[-1]}" || { cat server.log >&2; return 1; }
        sleep 0.1
    done
    cat server.log >&2
    return 1
}
"#;

/// The blocks of a page that are marked as examples.
fn examples(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.trim_end()) {
            (None, "```sh example") => open = Some(String::new()),
            (Some(block), "```") => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            (Some(block), line) => *block += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block without an end");
    blocks
}

fn pages() -> Vec<String> {
    let docs = fs::read_dir(Path::new(REPOSITORY).join("docs")).into_iter().flatten().flatten();
    let names = docs.map(|entry| format!("docs/{}", entry.file_name().display()));
    let mut pages: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    pages.push("README.md".to_owned());
    pages
}

#[test]
fn the_examples_of_every_page_run() {
    let mut count = 0;
    for page in pages() {
        let blocks = examples(&fs::read_to_string(Path::new(REPOSITORY).join(&page)).unwrap());
        if blocks.is_empty() {
            continue;
        }
        count += blocks.len();
        let folder = Folder::new();
        for name in ["fixtures", "profiles"] {
            std::os::unix::fs::symlink(Path::new(REPOSITORY).join(name), folder.file(name)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let script = blocks.concat().replace("cargo run --release --", "idi-match").replace("8080", &port);
        let mut command = clean(Command::new("bash"));
        command.env("BINARY", BINARY).env("PORT", &port).env("IDI_MATCH_SERVER_LISTEN", format!("127.0.0.1:{port}"));
        command.current_dir(folder.path()).args(["-c", &format!("{PROLOGUE}{script}")]);
        let ended = finish(&mut command);
        assert_eq!(ended.code, 0, "{page}:\n{script}\n{}\n{}", ended.out, ended.err);
        if page == "README.md" {
            let finds = |line: &str| line.contains("IDIMatchBundle") && line.contains("ExamplePatientL1");
            assert!(ended.out.lines().any(finds), "nobody is found:\n{}", ended.out);
        }
    }
    assert!(count >= 2, "the examples are not found any more");
}

#[test]
fn only_marked_blocks_are_examples() {
    let page = "a\n```sh\none\n```\n```sh example\ntwo\nthree\n```\n```text\nfour\n```\n```sh example\nfive\n```\n";
    assert_eq!(examples(page), ["two\nthree\n", "five\n"]);
}
