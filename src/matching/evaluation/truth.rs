//! Reading the truth about queries, the person of every record, and the results of a matcher.
//!
//! What: `truth.csv`, `records.csv` and result lines as the commands `synth` and `match` write them. Why strict: a file
//! that does not fit would give figures that look real. Errors name the line and never repeat a value.
//! Not here: opening files.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::QueryResult;

/// One query, and whom it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthRow {
    pub query_id: String,
    /// Nobody when the person is not stored.
    pub true_person_id: Option<String>,
    pub kind: QueryKind,
    /// Labels of the errors in the query.
    pub events: Vec<String>,
    /// Facts the query holds.
    pub n_fields: usize,
    /// Where the row stands, from 1.
    pub line: usize,
}

/// Whether the person is stored, and if not, who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryKind {
    Match,
    AbsentRandom,
    AbsentRelative,
    AbsentTwin,
}

impl QueryKind {
    pub const ALL: [Self; 4] = [Self::Match, Self::AbsentRandom, Self::AbsentRelative, Self::AbsentTwin];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::AbsentRandom => "absent_random",
            Self::AbsentRelative => "absent_relative",
            Self::AbsentTwin => "absent_twin",
        }
    }
}

/// Which person each stored record is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Persons {
    by_record: HashMap<String, String>,
}

impl Persons {
    #[must_use]
    pub fn person_of(&self, record: &str) -> Option<&str> {
        self.by_record.get(record).map(String::as_str)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_record.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_record.is_empty()
    }

    pub(super) fn people(&self) -> HashSet<&str> {
        self.by_record.values().map(String::as_str).collect()
    }

    /// Records of a person, in the order of their ids.
    #[must_use]
    pub fn records_of(&self, person: &str) -> Vec<&str> {
        let own = self.by_record.iter().filter(|(_, owner)| owner.as_str() == person);
        let mut records: Vec<&str> = own.map(|(record, _)| record.as_str()).collect();
        records.sort_unstable();
        records
    }

    pub(super) fn count_unknown(&self, records: &[String]) -> u64 {
        records.iter().filter(|record| !self.by_record.contains_key(*record)).count() as u64
    }
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct InputError {
    /// From 1.
    pub line: usize,
    pub problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    Header { expected: &'static str },
    Columns { expected: usize, found: usize },
    OpenQuote,
    EmptyId,
    RepeatedId,
    Kind,
    PersonOfAbsent,
    PersonMissing,
    PersonNotStored,
    Count,
    NotAResult,
    Label,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { expected } => write!(out, "the header must be {expected}"),
            Self::Columns { expected, found } => write!(out, "{expected} columns expected, {found} found"),
            Self::OpenQuote => out.write_str("a quoted value does not end on its line"),
            Self::EmptyId => out.write_str("an id is empty"),
            Self::RepeatedId => out.write_str("the id in the first column has come before"),
            Self::Kind => out.write_str("kind must be match, absent_random, absent_relative or absent_twin"),
            Self::PersonOfAbsent => out.write_str("an absent kind must not name a person"),
            Self::PersonMissing => out.write_str("kind match must name a person"),
            Self::PersonNotStored => out.write_str("the person has no record in the records file"),
            Self::Count => out.write_str("n_fields must be a whole number"),
            Self::Label => out.write_str("match must be true or false"),
            Self::NotAResult => out.write_str("not a result: an object with query and candidates is expected"),
        }
    }
}

const TRUTH_HEADER: &str = "query_id,true_person_id,kind,events,n_fields";
const RECORDS_HEADER: &str = "record_id,person_id";
const LABELS_HEADER: &str = "record_id,record_id,match";

/// Reads `truth.csv`.
///
/// # Errors
/// At the first line that does not fit.
pub fn parse_truth(text: &str) -> Result<Vec<TruthRow>, InputError> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (line, row) in data_rows(text, TRUTH_HEADER)? {
        let row = row.and_then(|columns| truth_row(line, columns)).map_err(|problem| InputError { line, problem })?;
        if !seen.insert(row.query_id.clone()) {
            return Err(InputError { line, problem: Problem::RepeatedId });
        }
        rows.push(row);
    }
    Ok(rows)
}

fn truth_row(line: usize, columns: [String; 5]) -> Result<TruthRow, Problem> {
    let [query_id, person, kind, events, n_fields] = columns;
    let kind = QueryKind::ALL.into_iter().find(|known| known.label() == kind).ok_or(Problem::Kind)?;
    let true_person_id = (!person.is_empty()).then_some(person);
    match (kind, &true_person_id) {
        _ if query_id.is_empty() => Err(Problem::EmptyId),
        (QueryKind::Match, None) => Err(Problem::PersonMissing),
        (QueryKind::Match, Some(_)) | (_, None) => Ok(()),
        (_, Some(_)) => Err(Problem::PersonOfAbsent),
    }?;
    let events = events.split(';').filter(|event| !event.is_empty()).map(str::to_owned).collect();
    let n_fields = n_fields.parse().map_err(|_| Problem::Count)?;
    Ok(TruthRow { query_id, true_person_id, kind, events, n_fields, line })
}

/// Reads `records.csv`.
///
/// # Errors
/// At the first line that does not fit.
pub fn parse_records(text: &str) -> Result<Persons, InputError> {
    let mut persons = Persons::default();
    for (line, row) in data_rows(text, RECORDS_HEADER)? {
        let at = |problem| InputError { line, problem };
        let [record, person] = row.map_err(at)?;
        if record.is_empty() || person.is_empty() {
            return Err(at(Problem::EmptyId));
        }
        if persons.by_record.insert(record, person).is_some() {
            return Err(at(Problem::RepeatedId));
        }
    }
    Ok(persons)
}

/// Reads labelled pairs: two record ids, and whether they are one person's.
///
/// # Errors
/// At the first line that does not fit.
pub fn parse_labels(text: &str) -> Result<Vec<([String; 2], bool)>, InputError> {
    let row = |(line, row): (usize, Result<[String; 3], Problem>)| {
        let at = |problem| InputError { line, problem };
        let [one, other, label] = row.map_err(at)?;
        let is_match = match label.trim() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(at(Problem::Label)),
        };
        Ok(([one, other], is_match))
    };
    data_rows(text, LABELS_HEADER)?.map(row).collect()
}

/// Reads a line that `idi-match match` writes.
///
/// # Errors
/// When it is none.
pub fn parse_result(line: usize, text: &[u8]) -> Result<QueryResult, InputError> {
    serde_json::from_slice(text).map_err(|_| InputError { line, problem: Problem::NotAResult })
}

/// The rows behind the header with their line numbers; empty lines are skipped.
fn data_rows<const N: usize>(
    text: &str,
    header: &'static str,
) -> Result<impl Iterator<Item = (usize, Result<[String; N], Problem>)>, InputError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, first)| first.trim_end() != header) {
        return Err(InputError { line: 1, problem: Problem::Header { expected: header } });
    }
    Ok(lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| (number, columns(line))))
}

fn columns<const N: usize>(line: &str) -> Result<[String; N], Problem> {
    let columns = split_row(line)?;
    let found = columns.len();
    columns.try_into().map_err(|_| Problem::Columns { expected: N, found })
}

/// The values of one line of CSV (RFC 4180, without line ends inside quotes).
fn split_row(line: &str) -> Result<Vec<String>, Problem> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let (value, tail) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_value(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        values.push(value);
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None if tail.is_empty() => return Ok(values),
            None => return Err(Problem::OpenQuote),
        }
    }
}

/// The value up to the closing quote, and what follows it.
fn quoted_value(quoted: &str) -> Result<(String, &str), Problem> {
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"').ok_or(Problem::OpenQuote)?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                value.push('"');
                rest = next;
            }
            None => return Ok((value, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_read_with_its_lines() {
        let text =
            "query_id,true_person_id,kind,events,n_fields\nq1,p1,match,moved;nickname,12\n\nq2,,absent_twin,,9\r\n";
        let rows = parse_truth(text).unwrap();
        let row = |query: &str, person: Option<&str>, kind, events: &[&str], n_fields, line| TruthRow {
            query_id: query.to_owned(),
            true_person_id: person.map(str::to_owned),
            kind,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            n_fields,
            line,
        };
        let expected = [
            row("q1", Some("p1"), QueryKind::Match, &["moved", "nickname"], 12, 2),
            row("q2", None, QueryKind::AbsentTwin, &[], 9, 4),
        ];
        assert_eq!(rows, expected);
        assert_eq!(parse_truth("\u{feff}query_id,true_person_id,kind,events,n_fields\n"), Ok(vec![]));
    }

    #[test]
    fn a_line_that_does_not_fit_is_named_and_its_value_is_not() {
        let cases = [
            ("", 1, "the header must be query_id,true_person_id,kind,events,n_fields"),
            ("q1,p1,match,,1", 1, "the header must be query_id,true_person_id,kind,events,n_fields"),
            ("#\nq1,p1,match,,1\nq2,p1,match,1", 3, "5 columns expected, 4 found"),
            ("#\nq1,p1,matched,,1", 2, "kind must be match, absent_random, absent_relative or absent_twin"),
            ("#\nq1,,match,,1", 2, "kind match must name a person"),
            ("#\nq1,p1,absent_twin,,1", 2, "an absent kind must not name a person"),
            ("#\n,p1,match,,1", 2, "an id is empty"),
            ("#\nq1,p1,match,,many", 2, "n_fields must be a whole number"),
            ("#\nq1,p1,match,,1\nq1,p2,match,,1", 3, "the id in the first column has come before"),
            ("#\n\"q1,p1,match,,1", 2, "a quoted value does not end on its line"),
            ("#\n\"q1\"x,p1,match,,1", 2, "a quoted value does not end on its line"),
        ];
        for (text, line, problem) in cases {
            let error = parse_truth(&text.replace('#', TRUTH_HEADER)).unwrap_err();
            assert_eq!(error.to_string(), format!("line {line}: {problem}"), "{text}");
        }
    }

    #[test]
    fn records_name_their_person_once() {
        let persons = parse_records("record_id,person_id\np1,p1\np1d1,p1\n\"a,\"\"b\",p2\n").unwrap();
        for (record, person) in [("p1", Some("p1")), ("p1d1", Some("p1")), ("a,\"b", Some("p2")), ("p2", None)] {
            assert_eq!(persons.person_of(record), person, "{record}");
        }
        assert_eq!(persons.records_of("p1"), ["p1", "p1d1"]);
        for (text, line, problem) in [
            ("record_id,person_id\np1,p1\np1,p2", 3, Problem::RepeatedId),
            ("record_id,person_id\np1,", 2, Problem::EmptyId),
            ("record_id,person_id\np1", 2, Problem::Columns { expected: 2, found: 1 }),
            ("record,person\n", 1, Problem::Header { expected: RECORDS_HEADER }),
        ] {
            assert_eq!(parse_records(text), Err(InputError { line, problem }));
        }
    }

    #[test]
    fn labelled_pairs_are_two_records_and_a_judgement() {
        let rows = parse_labels("record_id,record_id,match\na,b,true\nc,d,0\n").unwrap();
        let pair = |one: &str, other: &str, is_match| ([one.to_owned(), other.to_owned()], is_match);
        assert_eq!(rows, [pair("a", "b", true), pair("c", "d", false)]);
        let error = parse_labels("record_id,record_id,match\na,b,perhaps\n").unwrap_err();
        assert_eq!(error, InputError { line: 2, problem: Problem::Label });
    }

    #[test]
    fn a_result_is_a_line_that_the_match_command_writes() {
        let lines = [
            r#"{"query":"q1","candidates":[{"identity":"i1","records":["p1","p1d1"],"score":0.99,"grade":"certain","probability":0.999}],"issues":[]}"#,
            r#"{"query":"q2","candidates":[],"issues":[{"severity":"warning"}]}"#,
            r#"{"query":"q3"}"#,
            "[1]",
        ];
        let results: Vec<_> = (1..).zip(lines).map(|(number, line)| parse_result(number, line.as_bytes())).collect();
        let candidates: Vec<_> =
            results.iter().map(|result| result.as_ref().map(|result| result.candidates.len())).collect();
        assert_eq!(candidates, [Ok(1), Ok(0), Ok(0), Err(&InputError { line: 4, problem: Problem::NotAResult })]);
        let first = results[0].as_ref().unwrap();
        assert_eq!((first.candidates[0].records.len(), first.candidates[0].grade.as_str()), (2, "certain"));
        assert_eq!(serde_json::to_string(first).unwrap(), lines[0]);
    }
}
