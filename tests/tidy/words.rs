//! Words that the code may not hold, or only in their one place, and SQL outside `store`.
//!
//! clippy knows types and refuses most of this too (see `clippy.toml`); this list also holds where clippy is told to look
//! away. Not here: which room may use which (see `rooms`).

use crate::Finding;
use crate::source::{Literal, Source, is_word};

/// A word and the paths that may hold it.
struct Rule {
    word: &'static str,
    places: &'static [&'static str],
    reason: &'static str,
}

const fn rule(word: &'static str, places: &'static [&'static str], reason: &'static str) -> Rule {
    Rule { word, places, reason }
}

const TERMINAL: &[&str] = &["src/cli", "src/main.rs"];
const MAIN: &[&str] = &["src/main.rs"];
const CLOCK: &[&str] = &["src/app/clock.rs"];

/// Refused in tests too.
const EVERYWHERE: [Rule; 5] = [
    rule("todo!", &[], "unfinished"),
    rule("unimplemented!", &[], "unfinished"),
    rule("dbg!", &[], "left from debugging"),
    rule("#[path", &[], "a module lies where its name says"),
    rule("include!", &[], "a module lies where its name says"),
];

const SHIPPED: [Rule; 17] = [
    rule(".unwrap()", &[], "may stop the server"),
    rule(".expect(", &[], "may stop the server"),
    rule("panic!", &[], "may stop the server"),
    rule("println!", TERMINAL, "only commands write to the terminal"),
    rule("print!", TERMINAL, "only commands write to the terminal"),
    rule("eprintln!", TERMINAL, "only commands write to the terminal"),
    rule("SystemTime::now", CLOCK, "time is an argument"),
    rule("now_utc", CLOCK, "time is an argument"),
    rule("now_local", CLOCK, "time is an argument"),
    rule("Utc::now", CLOCK, "time is an argument"),
    rule("new_v4", CLOCK, "ids are arguments"),
    rule("thread_rng", &[], "randomness is an argument"),
    rule("env::var", MAIN, "configuration is an argument"),
    rule("env::var_os", MAIN, "configuration is an argument"),
    rule("env::vars", MAIN, "configuration is an argument"),
    rule("env::vars_os", MAIN, "configuration is an argument"),
    rule("process::exit", MAIN, "destructors must run"),
];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(|source| words(source).into_iter().chain(sql(source))).collect()
}

fn words(source: &Source) -> Vec<Finding> {
    let everywhere = EVERYWHERE.iter().map(|rule| (rule, &source.code));
    let shipped = SHIPPED.iter().map(|rule| (rule, &source.shipped));
    let rules =
        everywhere.chain(shipped).filter(|(rule, _)| !rule.places.iter().any(|place| lies_in(&source.path, place)));
    let hits = rules.flat_map(|(rule, code)| occurrences(code, rule.word).map(move |offset| (rule, offset)));
    hits.map(|(rule, offset)| Finding::new(source.at(offset), format!("{}: {}", rule.word, rule.reason))).collect()
}

fn lies_in(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where `word` stands by itself: not as part of a longer name, and not as a parser's own `self.expect`.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word_at = |at: Option<usize>| at.and_then(|at| code.as_bytes().get(at)).copied().is_some_and(is_word);
    let (starts, ends) = (word.bytes().next().is_some_and(is_word), word.bytes().last().is_some_and(is_word));
    code.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        let within = (starts && is_word_at(offset.checked_sub(1))) || (ends && is_word_at(Some(offset + word.len())));
        let own = word.starts_with('.') && code[..*offset].ends_with("self");
        !within && !own
    })
}

fn sql(source: &Source) -> Vec<Finding> {
    let outside = !lies_in(&source.path, "src/store");
    let literals = source.literals.iter().filter(|literal| outside && is_sql(literal));
    literals.map(|literal| Finding::new(format!("{}:{}", source.path, literal.line), "SQL outside store")).collect()
}

/// In capitals anywhere, or in any case at the start.
fn is_sql(literal: &Literal) -> bool {
    const STATEMENTS: [(&str, &str); 9] = [
        ("SELECT ", " FROM "),
        ("INSERT INTO ", ""),
        ("UPDATE ", " SET "),
        ("DELETE FROM ", ""),
        ("CREATE TABLE ", ""),
        ("CREATE INDEX ", ""),
        ("ALTER TABLE ", ""),
        ("DROP TABLE ", ""),
        ("PRAGMA ", ""),
    ];
    let text = literal.text.split_whitespace().collect::<Vec<_>>().join(" ") + " ";
    let capitals = text.to_ascii_uppercase();
    STATEMENTS.iter().any(|(verb, clause)| {
        (text.contains(verb) && text.contains(clause)) || (capitals.starts_with(verb) && capitals.contains(clause))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, code: &str) -> Vec<String> {
        check(&[Source::new(path, code)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_rule_finds_its_word_and_keeps_to_its_places() {
        for rule in EVERYWHERE.iter().chain(&SHIPPED) {
            let code = format!("fn f() {{\n    (x){} )\n}}\n", rule.word);
            let expected = format!("src/app/x.rs:2: {}: {}", rule.word, rule.reason);
            assert!(found("src/app/x.rs", &code).contains(&expected), "{code}");
            for place in rule.places {
                assert!(!found(place, &code).iter().any(|finding| finding.contains(rule.word)), "{place}: {code}");
            }
        }
    }

    #[test]
    fn unfinished_work_is_found_in_tests_and_panics_are_not() {
        assert_eq!(found("src/x.rs", "#[test]\nfn t() { todo!() }"), ["src/x.rs:2: todo!: unfinished"]);
        assert_eq!(found("src/x.rs", "#[test]\nfn t() { x.unwrap(); panic!() }"), Vec::<String>::new());
    }

    #[test]
    fn longer_names_comments_and_strings_are_no_hits() {
        let table =
            ["x.unwrap_or(1)", "eprint_all()", "// todo!()", "f(\"dbg!\")", "self.expect(Token::End)", "my_todo!()"];
        for code in table {
            assert_eq!(found("src/x.rs", code), Vec::<String>::new(), "{code}");
        }
    }

    #[test]
    fn sql_is_found_outside_store_only() {
        let table = [
            ("SELECT id\n  FROM record", true),
            ("select id from record", true),
            ("-- x\nINSERT INTO record VALUES (1)", true),
            ("UPDATE record SET a = 1", true),
            ("PRAGMA journal_mode = WAL", true),
            ("create table record (id TEXT)", true),
            ("Please select one of these", false),
            ("nothing to update in the settings", false),
            ("Select a source from the list", true),
        ];
        for (text, expected) in table {
            let code = format!("const A: &str = \"{text}\";");
            assert_eq!(found("src/app/x.rs", &code).len(), usize::from(expected), "{text}");
            assert_eq!(found("src/store/x.rs", &code), Vec::<String>::new(), "{text}");
        }
    }
}
