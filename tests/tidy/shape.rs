//! The shape of files: the opening doc, the length of files and functions, and that every file is a module.
//!
//! Lengths are whole lines from `fn` to the closing brace, comments included, outside tests.
//! Not here: what the code names (see `rooms`), single words (see `words`).

use std::collections::BTreeMap;

use crate::Finding;
use crate::source::{Source, body_or_semicolon, end_of_group, line_of, tokens};

pub const FILE_LINES_MAX: usize = 500;
pub const FUNCTION_LINES_MAX: usize = 70;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub offset: usize,
    pub lines: usize,
}

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = openings(sources);
    for source in sources {
        let lines = source.shipped_lines();
        if lines > FILE_LINES_MAX {
            let reason = format!("{lines} lines without tests, more than {FILE_LINES_MAX}");
            findings.push(Finding::new(&source.path, reason));
        }
        for function in functions(source).iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
            let reason = format!("fn {} has {} lines, more than {FUNCTION_LINES_MAX}", function.name, function.lines);
            findings.push(Finding::new(source.at(function.offset), reason));
        }
    }
    findings
}

/// The part of the check that holds for tests and benches too.
pub fn openings(sources: &[Source]) -> Vec<Finding> {
    let opens = |source: &Source| source.text.starts_with("//!") || source.text.starts_with("#![doc = include_str!(");
    let silent = sources.iter().filter(|source| !opens(source));
    silent.map(|source| Finding::new(source.at(0), "does not open with //!: what, why, what is not here")).collect()
}

/// The functions of the shipped code that have a body.
pub fn functions(source: &Source) -> Vec<Function> {
    let code = &source.shipped;
    let tokens = tokens(code);
    let mut found = Vec::new();
    for pair in tokens.windows(2).filter(|pair| pair[0].text == "fn" && pair[1].text != "(") {
        let Some(body) = body_or_semicolon(code, pair[1].offset).filter(|at| code.as_bytes()[*at] == b'{') else {
            continue;
        };
        let lines = line_of(code, end_of_group(code, body) - 1) - line_of(code, pair[0].offset) + 1;
        found.push(Function { name: pair[1].text.to_owned(), offset: pair[0].offset, lines });
    }
    found
}

/// The sources, those compiled for tests only marked as such, and the files that no declaration reaches.
pub fn modules(sources: Vec<Source>) -> (Vec<Source>, Vec<Finding>) {
    let reached = reached(&sources);
    let unreached = sources.iter().filter(|source| !reached.contains_key(&source.path));
    let findings = unreached.map(|source| Finding::new(&source.path, "no module declares this file")).collect();
    let for_tests = |source: &Source| reached.get(&source.path) == Some(&Compiled::ForTests);
    let sources = sources.into_iter().map(|source| if for_tests(&source) { source.into_test() } else { source });
    (sources.collect(), findings)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Compiled {
    ForTests,
    Always,
}

/// The files reached from `src/lib.rs` and `src/main.rs` by module declarations.
fn reached(sources: &[Source]) -> BTreeMap<String, Compiled> {
    let by_path: BTreeMap<&str, &Source> = sources.iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached = BTreeMap::new();
    let mut waiting = ["src/lib.rs", "src/main.rs"].map(|path| (path.to_owned(), Compiled::Always)).to_vec();
    while let Some((path, compiled)) = waiting.pop() {
        let Some(source) = by_path.get(path.as_str()) else { continue };
        if reached.get(&path).is_some_and(|known| *known >= compiled) {
            continue;
        }
        waiting.extend(declared(&path, &source.code).into_iter().map(|child| (child, Compiled::ForTests)));
        waiting.extend(declared(&path, &source.shipped).into_iter().map(|child| (child, compiled)));
        reached.insert(path, compiled);
    }
    reached
}

/// Where the modules that `code` declares with `mod name;` may lie.
fn declared(path: &str, code: &str) -> Vec<String> {
    let folder = match path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs")) {
        Some(folder) => folder,
        None => path.strip_suffix("/main.rs").unwrap_or(path.trim_end_matches(".rs")),
    };
    let tokens = tokens(code);
    let declarations = tokens.windows(3).filter(|three| three[0].text == "mod" && three[2].text == ";");
    declarations
        .map(|three| three[1].text)
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
        .collect()
}

/// Median and 90th percentile of function length, and the largest file.
pub fn figures(sources: &[Source]) -> String {
    let mut lengths: Vec<usize> = sources.iter().flat_map(functions).map(|function| function.lines).collect();
    lengths.sort_unstable();
    let percentile =
        |share: usize| lengths.get((lengths.len() * share / 100).min(lengths.len().saturating_sub(1))).copied();
    let lines: usize = sources.iter().map(Source::shipped_lines).sum();
    let largest = sources.iter().max_by_key(|source| source.shipped_lines());
    let longest =
        sources.iter().flat_map(|source| functions(source).into_iter().map(move |function| (source, function)));
    let longest = longest.max_by_key(|(_, function)| function.lines);
    format!(
        "files {} · lines without tests {lines} · functions {} · function length median {} · p90 {} · longest {} · \
         largest file {}",
        sources.len(),
        lengths.len(),
        percentile(50).unwrap_or_default(),
        percentile(90).unwrap_or_default(),
        longest.map_or_else(String::new, |(source, function)| {
            format!("{} ({} in {})", function.lines, function.name, source.path)
        }),
        largest.map_or_else(String::new, |source| format!("{} ({} lines)", source.path, source.shipped_lines())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(path: &str, text: &str) -> Vec<String> {
        check(&[Source::new(path, text)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_opens_with_its_doc() {
        assert_eq!(reasons("a.rs", "use x;\n"), ["a.rs:1: does not open with //!: what, why, what is not here"]);
        assert_eq!(reasons("a.rs", "//! What.\nuse x;\n"), Vec::<String>::new());
        assert_eq!(reasons("a.rs", "#![doc = include_str!(\"A.md\")]\n"), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let text = |lines: usize| format!("//! What.\n{}", "const A: u8 = 1;\n".repeat(lines - 1));
        assert_eq!(reasons("a.rs", &text(500)), Vec::<String>::new());
        assert_eq!(reasons("a.rs", &text(501)), ["a.rs: 501 lines without tests, more than 500"]);
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", text(500), "\n".repeat(300));
        assert_eq!(reasons("a.rs", &tested), Vec::<String>::new());
    }

    #[test]
    fn a_long_function_is_found_and_tests_do_not_count() {
        let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
        assert_eq!(reasons("a.rs", &format!("//! What.\n{}", function(70))), Vec::<String>::new());
        let long = format!("//! What.\n{}", function(71));
        assert_eq!(reasons("a.rs", &long), ["a.rs:2: fn f has 71 lines, more than 70"]);
        assert_eq!(reasons("a.rs", &format!("//! What.\n#[test]\n{}", function(71))), Vec::<String>::new());
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "fn a() {}\nfn b(\n    x: [u8; 2],\n) -> fn(u8) {\n    \"}\"\n}\ntrait T { fn c(&self); fn d(&self) { 1 } }\n";
        let found = functions(&Source::new("a.rs", text));
        let found: Vec<_> = found.iter().map(|function| (function.name.as_str(), function.lines)).collect();
        assert_eq!(found, [("a", 1), ("b", 5), ("d", 1)]);
    }

    #[test]
    fn a_file_that_no_module_declares_is_found() {
        let files = [
            ("src/lib.rs", "pub mod a;\n#[cfg(test)]\nmod checks;\n// mod comment;\n"),
            ("src/main.rs", "fn main() {}\n"),
            ("src/a/mod.rs", "mod b;\n"),
            ("src/a/b.rs", "mod c;\n"),
            ("src/a/b/c.rs", ""),
            ("src/a/forgotten.rs", ""),
            ("src/comment.rs", ""),
            ("src/checks.rs", "mod deeper;\n"),
            ("src/checks/deeper.rs", "fn f() {}\n"),
        ];
        let (sources, findings) = modules(files.iter().map(|(path, text)| Source::new(path, text)).collect());
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        let expected =
            ["src/a/forgotten.rs", "src/comment.rs"].map(|path| format!("{path}: no module declares this file"));
        assert_eq!(findings, expected);
        let tests: Vec<_> =
            sources.iter().filter(|source| source.shipped.trim().is_empty()).map(|source| &source.path).collect();
        assert!(tests.iter().any(|path| *path == "src/checks/deeper.rs"), "{tests:?}");
    }

    #[test]
    fn the_figures_are_those_of_the_functions() {
        let text = "//! x\nfn a() {}\nfn b() {\n}\nfn c() {\n\n\n}\n";
        let figures = figures(&[Source::new("src/a.rs", text)]);
        assert!(
            figures.contains("functions 3 · function length median 2 · p90 4 · longest 4 (c in src/a.rs)"),
            "{figures}"
        );
        assert!(figures.ends_with("largest file src/a.rs (8 lines)"), "{figures}");
    }
}
