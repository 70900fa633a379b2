//! Which room may use which: the table of `src/ARCHITECTURE.md` against the paths that the code names.
//!
//! What: the table is parsed, never repeated here; every path of the shipped code is resolved (`crate::`, `super::`,
//! nested use trees, inline paths) and an edge outside the table is a finding. Core rooms also name nothing that does IO,
//! reads a clock, draws randomness or is async. Not here: the order inside a room.

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::source::{Source, Token, tokens};

/// The library as a caller outside it names it (see `src/main.rs`).
const LIBRARY: &str = "idi_match";

/// The map's `main -> cli`: the binary is thin.
const MAIN_MAY_USE: &str = "cli";

/// Crates and modules that only some rooms may name; an empty list means: every room but the core.
const OUTSIDE: [(&str, &[&str]); 22] = [
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("actix_web", &["http", "web", "cli"]),
    ("figment", &["config"]),
    ("jsonwebtoken", &["auth"]),
    ("webpki", &["auth"]),
    ("x509_parser", &["auth", "outbound"]),
    ("rustls", &["outbound", "http", "cli"]),
    ("ureq", &["outbound"]),
    ("rcgen", &["cli"]),
    ("clap", &["config", "cli"]),
    ("indicatif", &["cli"]),
    ("metrics", &["observe", "app", "http"]),
    ("tokio", &[]),
    ("uuid", &[]),
    ("std::env", &[]),
    ("std::fs", &[]),
    ("std::net", &[]),
    ("std::process", &[]),
    ("std::thread", &[]),
    ("std::time::SystemTime", &[]),
    ("std::time::Instant", &[]),
];

#[derive(Debug)]
pub struct Rooms {
    may_use: BTreeMap<String, BTreeSet<String>>,
    core: BTreeSet<String>,
}

impl Rooms {
    /// Reads the map and the table under `## Map`.
    pub fn parse(architecture: &str) -> Result<Self, String> {
        let map =
            architecture.split("\n## ").find_map(|section| section.strip_prefix("Map\n")).ok_or("no section Map")?;
        let rows: Vec<Vec<&str>> = map
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        let names: BTreeSet<String> = rows.iter().flat_map(|row| quoted(row[0])).collect();
        let core = core_of(map, &names).ok_or("the map has no line CORE that names rooms")?;
        let mut may_use = BTreeMap::new();
        for row in &rows {
            let [rooms, _, uses] = row.as_slice() else { return Err(format!("not three cells: {row:?}")) };
            for room in quoted(rooms) {
                may_use.insert(room, uses_of(uses, &names, &core)?);
            }
        }
        let rooms = Self { may_use, core };
        rooms.core_uses_core().map(|()| rooms)
    }

    fn core_uses_core(&self) -> Result<(), String> {
        match self.core.iter().find(|room| !self.may_use[*room].is_subset(&self.core)) {
            Some(room) => Err(format!("core room {room} may use a room outside the core")),
            None => Ok(()),
        }
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        match from {
            "main" => to == MAIN_MAY_USE,
            from => self.may_use.get(from).is_some_and(|uses| uses.contains(to)),
        }
    }

    fn may_name(&self, room: &str, rooms: &[&str]) -> bool {
        if rooms.is_empty() { !self.core.contains(room) } else { rooms.contains(&room) }
    }
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn core_of(map: &str, names: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let line = map.lines().find_map(|line| line.split_once("CORE"))?.1;
    let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let core: BTreeSet<String> = words.filter(|word| names.contains(*word)).map(str::to_owned).collect();
    (!core.is_empty()).then_some(core)
}

fn uses_of(cell: &str, names: &BTreeSet<String>, core: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let mut uses = BTreeSet::new();
    for word in cell.split(',').map(str::trim) {
        match word.trim_matches('`') {
            "–" => {}
            "all core" | "core types" => uses.extend(core.iter().cloned()),
            name if names.contains(name) => uses.extend([name.to_owned()]),
            _ => return Err(format!("no room: {word}")),
        }
    }
    Ok(uses)
}

/// Every edge, outside crate and re-export that the table does not allow.
pub fn check(rooms: &Rooms, sources: &[Source]) -> Vec<Finding> {
    let mut findings = rows_and_folders(rooms, sources);
    for source in sources {
        let from = room_of(&source.path);
        for path in paths(source) {
            if let Some(reason) = refusal(rooms, &from, &path) {
                findings.push(Finding::new(source.at(path.offset), reason));
            }
        }
    }
    findings
}

fn rows_and_folders(rooms: &Rooms, sources: &[Source]) -> Vec<Finding> {
    let folders: BTreeSet<String> = sources.iter().map(|source| room_of(&source.path)).collect();
    let missing = rooms.may_use.keys().filter(|room| !folders.contains(*room));
    let unlisted = folders.iter().filter(|room| !matches!(room.as_str(), "lib" | "main"));
    let unlisted = unlisted.filter(|room| !rooms.may_use.contains_key(*room));
    missing
        .map(|room| Finding::new("src/ARCHITECTURE.md", format!("room {room} has a row and no code")))
        .chain(unlisted.map(|room| Finding::new(format!("src/{room}"), "has no row in src/ARCHITECTURE.md")))
        .collect()
}

fn refusal(rooms: &Rooms, from: &str, path: &Path<'_>) -> Option<String> {
    if let Some(inside) = path.inside() {
        let to = inside.first().map_or("", String::as_str);
        return match to {
            to if to == from => None,
            to if !rooms.may_use.contains_key(to) => Some(format!("names {to:?} at the crate root, which is no room")),
            to if !rooms.allows(from, to) => Some(format!("{from} may not use {to}")),
            to if path.exported => Some(format!("re-exports {to}: an edge must be visible where it is used")),
            _ => None,
        };
    }
    let name = path.segments.join("::");
    let begins = |prefix: &str| name == prefix || name.starts_with(&format!("{prefix}::"));
    let (prefix, _) = OUTSIDE.iter().find(|(prefix, allowed)| begins(prefix) && !rooms.may_name(from, allowed))?;
    Some(format!("{from} may not use {prefix}"))
}

/// `src/http/fhir/read.rs` is in `http`; `src/lib.rs` in `lib`.
pub fn room_of(path: &str) -> String {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs").to_owned()
}

/// The module that a file is, from the crate root.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let steps = inner.split('/').filter(|step| !matches!(*step, "mod" | "lib" | "main"));
    steps.map(str::to_owned).collect()
}

/// A path with `::`, or the name behind `use`, as written.
#[derive(Debug)]
struct Path<'a> {
    offset: usize,
    segments: Vec<&'a str>,
    /// The module it stands in.
    module: Vec<String>,
    exported: bool,
}

impl Path<'_> {
    /// The path from the crate root; `None` when it names another crate or something in scope.
    fn inside(&self) -> Option<Vec<String>> {
        let mut base = match *self.segments.first()? {
            "crate" | LIBRARY => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        for segment in &self.segments {
            match *segment {
                "super" => drop(base.pop()),
                "crate" | LIBRARY | "self" => {}
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }
}

fn paths(source: &Source) -> Vec<Path<'_>> {
    let tokens = tokens(&source.shipped);
    let mut module = module_of(&source.path);
    let mut closings = Vec::new();
    let mut depth = 0_usize;
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if closings.pop_if(|closing| *closing == depth).is_some() {
                    module.pop();
                }
            }
            "mod" if text(&tokens, at + 2) == "{" => {
                closings.push(depth);
                module.push(tokens[at + 1].text.to_owned());
            }
            _ => {}
        }
        if !starts_path(&tokens, at) {
            at += 1;
            continue;
        }
        let mut expanded = Vec::new();
        let exported =
            text(&tokens, at.wrapping_sub(1)) == "use" && matches!(text(&tokens, at.wrapping_sub(2)), "pub" | ")");
        let end = expand(&tokens, at, &[], &mut expanded);
        let offset = tokens[at].offset;
        found.extend(expanded.into_iter().map(|segments| Path { offset, segments, module: module.clone(), exported }));
        at = end.max(at + 1);
    }
    found
}

fn text<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(crate::source::is_word)
}

fn starts_path(tokens: &[Token<'_>], at: usize) -> bool {
    let before = text(tokens, at.wrapping_sub(1));
    is_name(text(tokens, at))
        && !matches!(before, "::" | ".")
        && (text(tokens, at + 1) == "::"
            || (before == "use" && !matches!(text(tokens, at), "crate" | "self" | "super")))
}

/// Follows one path or use tree from `at`, collects every full path, and returns where it ends.
fn expand<'a>(tokens: &[Token<'a>], at: usize, prefix: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = at;
    loop {
        match text(tokens, at) {
            "{" => return expand_group(tokens, at + 1, &segments, found),
            name if is_name(name) || name == "*" => segments.push(name),
            _ => break,
        }
        at += 1;
        if text(tokens, at) != "::" {
            break;
        }
        at += 1;
    }
    found.push(segments);
    at
}

fn expand_group<'a>(tokens: &[Token<'a>], at: usize, prefix: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> usize {
    let mut at = at;
    let mut item_expected = true;
    while !matches!(text(tokens, at), "}" | "") {
        if item_expected && (is_name(text(tokens, at)) || text(tokens, at) == "*") {
            at = expand(tokens, at, prefix, found);
            item_expected = false;
        } else {
            item_expected |= text(tokens, at) == ",";
            at += 1;
        }
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "# x\n\n## Map\n\n```text\nmain -> cli\n CORE  fhir <- matching (no IO)\n```\n\n| room | what | may use |\n\
        |---|---|---|\n| `fhir` | a | – |\n| `matching` | b | `fhir` |\n| `store` | c | all core |\n\
        | `app` | d | all core, `store` |\n| `http` | e | `app`, core types |\n| `cli` | f | `app`, `http` |\n\n## Invariants\n";

    fn findings(path: &str, code: &str) -> Vec<String> {
        let rooms = Rooms::parse(MAP).expect("a map");
        let rows = ["fhir", "matching", "store", "app", "http", "cli"]
            .map(|room| Source::new(&format!("src/{room}/mod.rs"), ""));
        let mut sources = rows.to_vec();
        sources.push(Source::new(path, code));
        check(&rooms, &sources).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn an_edge_outside_the_table_is_found_however_it_is_written() {
        let table = [
            ("src/http/read.rs", "use crate::store::Pool;"),
            ("src/http/read.rs", "use crate::{app, store::{self, Pool}};"),
            ("src/http/read.rs", "use crate::{\n    app::{x, y as z},\n    store,\n};"),
            ("src/http/read.rs", "fn f() { crate::store::open() }"),
            ("src/http/read.rs", "fn f(x: Vec<crate::store::Pool>) {}"),
            ("src/http/read.rs", "use super::super::store::Pool;"),
            ("src/http/fhir/read.rs", "use super::{super::super::store::Pool, x};"),
            ("src/http/mod.rs", "mod inner { use super::super::store::Pool; }"),
            ("src/http/read.rs", "use idi_match::store::Pool;"),
            ("src/http/read.rs", "macro_rules! m { () => { $crate::store::open() } }"),
            ("src/matching/index.rs", "use crate::app::Live;"),
            ("src/fhir/json.rs", "use crate::matching::Record;"),
            ("src/main.rs", "fn main() { idi_match::app::run() }"),
            ("src/app/x.rs", "use crate::*;"),
            ("src/app/x.rs", "use crate::anything;"),
            ("src/app/x.rs", "pub use crate::store::Pool;"),
            ("src/web/x.rs", "use crate::app::x;"),
            ("src/unlisted/mod.rs", ""),
        ];
        for (path, code) in table {
            assert_ne!(findings(path, code), Vec::<String>::new(), "{path}: {code}");
        }
    }

    #[test]
    fn outside_crates_stay_in_their_rooms() {
        let table = [
            ("src/app/x.rs", "use diesel::prelude::*;", "app may not use diesel"),
            ("src/app/x.rs", "use diesel;", "app may not use diesel"),
            ("src/app/x.rs", "#[derive(diesel::Queryable)] struct X;", "app may not use diesel"),
            ("src/matching/x.rs", "use std::{collections::HashMap, fs};", "matching may not use std::fs"),
            ("src/fhir/x.rs", "fn f() { std::time::Instant::now(); }", "fhir may not use std::time::Instant"),
            ("src/fhir/x.rs", "use std::time::{Duration, Instant as I};", "fhir may not use std::time::Instant"),
            ("src/store/x.rs", "use actix_web::web;", "store may not use actix_web"),
        ];
        for (path, code, expected) in table {
            assert_eq!(findings(path, code), [format!("{path}:1: {expected}")], "{code}");
        }
    }

    #[test]
    fn allowed_edges_pass() {
        let table = [
            ("src/http/read.rs", "use crate::app::{self, x}; use crate::fhir::json; use super::server;"),
            ("src/http/read.rs", "pub(crate) struct X; // use crate::store\nconst S: &str = \"crate::store::x\";"),
            ("src/http/read.rs", "#[cfg(test)]\nmod tests { use crate::store::Pool; }"),
            ("src/http/fhir/read.rs", "use super::super::server; use self::inner::X; use super::{a, b::{self}};"),
            ("src/http/mod.rs", "pub mod read;\nmod inner { use super::read::x; }\npub use self::read::x;"),
            ("src/store/x.rs", "use diesel::prelude::*; use crate::fhir::date::Date;"),
            (
                "src/matching/x.rs",
                "use std::{collections::HashMap, fmt}; use std::time::Duration; use rayon::prelude::*;",
            ),
            ("src/main.rs", "fn main() { idi_match::cli::run() }"),
            ("src/lib.rs", "pub mod fhir;"),
        ];
        for (path, code) in table {
            assert_eq!(findings(path, code), Vec::<String>::new(), "{path}: {code}");
        }
    }

    #[test]
    fn a_table_that_says_nothing_definite_is_refused() {
        let table = [
            ("", "no section Map"),
            ("## Map", "no section Map"),
            ("\n## Map\n| `a` | x | – |\n", "the map has no line CORE that names rooms"),
            ("\n## Map\nCORE a\n| `a` | – |\n", "not three cells: [\"`a`\", \"–\"]"),
            ("\n## Map\nCORE a\n| `a` | x | `b` |\n", "no room: `b`"),
            ("\n## Map\nCORE a\n| `a` | x | `b` |\n| `b` | x | – |\n", "core room a may use a room outside the core"),
        ];
        for (given, expected) in table {
            assert_eq!(Rooms::parse(given).map(|_| ()), Err(expected.to_owned()), "{given}");
        }
    }

    #[test]
    fn a_row_without_code_is_found() {
        let rooms = Rooms::parse(MAP).expect("a map");
        let findings = check(&rooms, &[Source::new("src/fhir/mod.rs", "")]);
        assert_eq!(findings.len(), 5, "{findings:?}");
    }
}
