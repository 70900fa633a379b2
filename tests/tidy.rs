//! Is the repository in order? Reads every file and fails with a list of what is not.
//!
//! What: the rooms and their arrows (`src/ARCHITECTURE.md` has the table), the shape of files, refused words, and the
//! documents. Each check is a function of the files and has its own tests with small bad inputs, for a check that cannot
//! fail checks nothing. `make figures` prints what is measured on the way. Not here: what clippy and rustfmt know.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this binary is a test"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use documents::Files;
use source::Source;

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

/// Where, and what is wrong there.
#[derive(Debug)]
pub struct Finding {
    place: String,
    reason: String,
}

impl Finding {
    pub fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

#[test]
fn the_repository_is_in_order() {
    let files = read_repository();
    let rooms = rooms::Rooms::parse(&files["src/ARCHITECTURE.md"]).expect("src/ARCHITECTURE.md");
    let (sources, mut findings) = shape::modules(rust_of(&files, "src/"));
    findings.extend(rooms::check(&rooms, &sources));
    for sources in [sources, rust_of(&files, "crates/")] {
        findings.extend(shape::check(&sources));
        findings.extend(words::check(&sources));
    }
    for folder in ["tests/", "benches/"] {
        findings.extend(shape::openings(&rust_of(&files, folder)));
    }
    findings.extend(documents::check(&files));
    let list: BTreeSet<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} findings:\n  {}", list.len(), list.into_iter().collect::<Vec<_>>().join("\n  "));
}

#[test]
fn figures() {
    let (sources, _) = shape::modules(rust_of(&read_repository(), "src/"));
    assert!(sources.iter().any(|source| !shape::functions(source).is_empty()), "nothing to measure");
    println!("{}", shape::figures(&sources));
}

fn rust_of(files: &Files, folder: &str) -> Vec<Source> {
    let rust = files.iter().filter(|(path, _)| path.starts_with(folder) && path.ends_with(".rs"));
    rust.map(|(path, text)| Source::new(path, text)).collect()
}

/// The files of the repository, without what is built.
fn read_repository() -> Files {
    let mut files = Files::new();
    read_folder(Path::new(option_env!("IDI_MATCH_ROOT").unwrap_or(env!("CARGO_MANIFEST_DIR"))), "", &mut files);
    files
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = format!("{prefix}{name}");
        if entry.file_type().expect("a type").is_dir() {
            if !matches!(name.as_str(), "target" | ".git") {
                read_folder(&entry.path(), &format!("{path}/"), files);
            }
        } else {
            let text = if is_text(&path) { fs::read_to_string(entry.path()).expect(&path) } else { String::new() };
            files.insert(path, text);
        }
    }
}

/// What the checks read; of other files they know the name.
fn is_text(path: &str) -> bool {
    const ENDINGS: [&str; 10] = [".rs", ".md", ".toml", ".sql", ".sh", ".yml", ".html", ".css", ".js", "Makefile"];
    ENDINGS.iter().any(|ending| path.ends_with(ending)) || path.starts_with("scripts/") || path.starts_with(".ci/")
}
