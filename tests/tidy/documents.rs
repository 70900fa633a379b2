//! The files beside the code: links that lead somewhere, nothing that leads out of the repository, equal migrations.
//!
//! Why: the repository must build, read and be understood alone. Not here: Rust (see the other checks).

use std::collections::{BTreeMap, BTreeSet};

use crate::Finding;
use crate::source::line_of;

/// Every file of the repository: path from the root, contents (none when it is no text).
pub type Files = BTreeMap<String, String>;

/// Hosts of registries: a reader gets dependencies through the ordinary clients. Split, for this file is read as well.
const REGISTRIES: [(&str, &str); 8] = [
    ("crates", "io"),
    ("docs", "rs"),
    ("pypi", "org"),
    ("npmjs", "com"),
    ("deb.debian", "org"),
    ("docker", "io"),
    ("ghcr", "io"),
    ("quay", "io"),
];

/// Directories of somebody's machine.
const MACHINE: [&str; 5] = ["/ho_me/", "/ro_ot/", "/wo_rk/", "/Us_ers/", "../sh_ared"];

pub fn check(files: &Files) -> Vec<Finding> {
    let mut findings = migrations(files);
    findings.extend(documents_linked(files));
    for (path, text) in files {
        findings.extend(outside(path, text));
        if path.ends_with(".md") {
            findings.extend(links(files, path, text));
            findings.extend(registries(path, text));
        }
    }
    findings
}

fn migrations(files: &Files) -> Vec<Finding> {
    let names = |database: &str| -> BTreeSet<&str> {
        let folder = format!("migrations/{database}/");
        files.keys().filter_map(|path| path.strip_prefix(&folder)?.strip_suffix("/up.sql")).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    let mut findings: Vec<_> = sqlite
        .symmetric_difference(&postgres)
        .map(|name| Finding::new("migrations", format!("{name} exists for one database only")))
        .collect();
    if sqlite.is_empty() {
        findings.push(Finding::new("migrations/sqlite", "holds no migration"));
    }
    findings
}

fn documents_linked(files: &Files) -> Vec<Finding> {
    let readme = files.get("README.md").map_or("", String::as_str);
    let documents = files.keys().filter(|path| path.starts_with("docs/") && path.ends_with(".md"));
    let unlinked = documents.filter(|path| !targets(readme).any(|(_, target)| target == path.as_str()));
    unlinked.map(|path| Finding::new(path, "README.md has no link to it")).collect()
}

/// Targets of inline links, without their fragment, with their offset.
fn targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("](").filter_map(|(offset, mark)| {
        let target = &text[offset + mark.len()..];
        let target = &target[..target.find(')')?];
        Some((offset, target.split('#').next().unwrap_or(target)))
    })
}

fn links(files: &Files, path: &str, text: &str) -> Vec<Finding> {
    let relative = targets(text).filter(|(_, target)| !target.is_empty() && !target.contains(':'));
    let broken = relative.filter(|(_, target)| !leads_somewhere(files, path, target));
    broken
        .map(|(offset, target)| Finding::new(at(path, text, offset), format!("link to {target} leads nowhere")))
        .collect()
}

fn leads_somewhere(files: &Files, path: &str, target: &str) -> bool {
    let Some(resolved) = resolve(path, target.trim_end_matches('/')) else { return false };
    let folder = format!("{resolved}/");
    files.keys().any(|known| *known == resolved || known.starts_with(&folder))
}

/// `target` as seen from the folder of `path`; `None` when it leaves the repository.
fn resolve(path: &str, target: &str) -> Option<String> {
    let mut steps: Vec<&str> = path.split('/').collect();
    steps.pop();
    for step in target.split('/') {
        match step {
            "." => {}
            ".." => drop(steps.pop()?),
            step => steps.push(step),
        }
    }
    Some(steps.join("/"))
}

fn registries(path: &str, text: &str) -> Vec<Finding> {
    let hosts = REGISTRIES.iter().map(|(name, domain)| format!("{name}.{domain}"));
    let hits = hosts.filter_map(|host| Some((text.find(&host)?, host)));
    hits.map(|(offset, host)| Finding::new(at(path, text, offset), format!("names the registry host {host}"))).collect()
}

/// Directories of a machine, and `../` chains longer than the file lies deep.
fn outside(path: &str, text: &str) -> Vec<Finding> {
    let depth = path.matches('/').count();
    let too_far = "../".repeat(depth + 1);
    let machine = MACHINE.iter().map(|directory| directory.replace('_', ""));
    let words = machine.chain([too_far]).filter_map(|word| Some((text.find(&word)?, word)));
    words
        .map(|(offset, word)| Finding::new(at(path, text, offset), format!("{word} lies outside the repository")))
        .collect()
}

fn at(path: &str, text: &str, offset: usize) -> String {
    format!("{path}:{}", line_of(text, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository without findings, then `changes` to it.
    fn found(changes: &[(&str, &str)]) -> Vec<String> {
        let mut files: Files = [
            ("README.md", "[c](docs/a.md#part) [d](docs/) [site](https://example.org/x)"),
            ("docs/a.md", "[back](../README.md) [here](#part)"),
            ("migrations/sqlite/2026-01-01-000000_start/up.sql", ""),
            ("migrations/postgres/2026-01-01-000000_start/up.sql", ""),
            ("src/a/b.rs", "include_str!(\"../../docs/a.md\")"),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into();
        files.extend(changes.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_repository_has_no_findings() {
        assert_eq!(found(&[]), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found() {
        let host = ["crates", "io"].join(".");
        let machine = ["/wo", "rk/"].concat();
        let table = [
            ("docs/b.md", "", "docs/b.md: README.md has no link to it"),
            ("CHANGELOG.md", "\n[x](docs/c.md)", "CHANGELOG.md:2: link to docs/c.md leads nowhere"),
            ("docs/a.md", "[x](README.md)", "docs/a.md:1: link to README.md leads nowhere"),
            ("migrations/sqlite/2_more/up.sql", "", "migrations: 2_more exists for one database only"),
            ("migrations/postgres/2_more/up.sql", "", "migrations: 2_more exists for one database only"),
            ("SECURITY.md", &host, &format!("SECURITY.md:1: names the registry host {host}")),
            ("src/a/b.rs", &machine, &format!("src/a/b.rs:1: {machine} lies outside the repository")),
        ]
        .map(|(path, text, expected)| (path, text.to_owned(), expected.to_owned()));
        for (path, text, expected) in table {
            assert_eq!(found(&[(path, &text)]), [expected]);
        }
    }

    #[test]
    fn a_chain_that_leaves_the_repository_is_found() {
        let up = |steps: usize| "../".repeat(steps) + "x";
        let table = [("Makefile", 0, 1), ("src/x.rs", 1, 2), ("src/a/b.rs", 2, 3)];
        for (path, inside, outside) in table {
            assert_eq!(found(&[(path, &up(inside))]), Vec::<String>::new(), "{path}");
            assert_eq!(found(&[(path, &up(outside))]).len(), 1, "{path}");
        }
    }

    #[test]
    fn a_repository_without_migrations_is_found() {
        let files: Files = [("README.md".to_owned(), String::new())].into();
        assert_eq!(
            check(&files).iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["migrations/sqlite: holds no migration"]
        );
    }
}
