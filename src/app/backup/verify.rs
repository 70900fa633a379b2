//! Reading a backup to its end: the digest, the counts, and everything that must hold in it.
//!
//! Not here: what must hold (see `check`); the database is not asked.

use std::io::BufRead;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::config::Config;

use super::check::{Checker, Judge, Judged, judge};
use super::file::{Damage, FileReader, ReadError};
use super::{BackupError, Problem, ProblemKind, Progress, Report, Summary};
use crate::app::rules::Rules;
use crate::app::start_pool;

/// Lines, and bytes of lines, that are judged at a time.
const BATCH_LINES: usize = 2000;
const BATCH_BYTES: usize = 8 << 20;
/// Problems that are reported; the others are counted.
const PROBLEMS_MAX: usize = 100;

/// Reads a backup and reports what is wrong with it.
///
/// # Errors
/// When it cannot be read, or is of another format.
pub fn verify(config: &Config, input: impl BufRead, mut progress: impl FnMut(Progress)) -> Result<Report, BackupError> {
    let rules = Rules::of(config)?;
    start_pool(config.matching.threads);
    let mut reading = match Reading::begin(input, Judge { rules: &rules, base_url: &config.server.base_url }) {
        Ok(reading) => reading,
        Err(error) => return broken(error, Problems::default()),
    };
    loop {
        match reading.next_batch() {
            Ok(batch) if batch.is_empty() => break,
            Ok(_) => progress(Progress::Read { bytes: reading.bytes() }),
            Err(error) => return broken(error, reading.problems),
        }
    }
    let (summary, problems) = reading.finish();
    match summary {
        Ok(summary) => Ok(problems.report(Some(summary))),
        Err(error) => broken(error, problems),
    }
}

/// Damage of the file is a finding; anything else is a failure.
fn broken(error: ReadError, mut problems: Problems) -> Result<Report, BackupError> {
    match error {
        ReadError::Damage(Damage { line, text }) => {
            problems.push(Problem { line, kind: ProblemKind::Damage, text });
            Ok(problems.report(None))
        }
        ReadError::Refused(text) => Err(BackupError::Refused(text)),
        ReadError::Io(error) => Err(error.into()),
    }
}

/// What is wrong, as far as it is told.
#[derive(Default)]
pub struct Problems {
    first: Vec<Problem>,
    total: u64,
    damage: u64,
}

impl Problems {
    fn push(&mut self, problem: Problem) {
        self.total += 1;
        self.damage += u64::from(problem.kind == ProblemKind::Damage);
        if self.first.len() < PROBLEMS_MAX {
            self.first.push(problem);
        }
    }

    /// The first damage.
    #[must_use]
    pub fn damage(&self) -> Option<&Problem> {
        self.first.iter().find(|problem| problem.kind == ProblemKind::Damage)
    }

    /// Whether anything contradicts, told or not.
    #[must_use]
    pub const fn has_damage(&self) -> bool {
        self.damage > 0
    }

    #[must_use]
    pub fn report(self, summary: Option<Summary>) -> Report {
        Report { summary, problems: self.first, problems_total: self.total }
    }
}

/// A backup that is being read and checked.
pub struct Reading<'r, R> {
    file: FileReader<R>,
    judge: Judge<'r>,
    checker: Checker,
    pub problems: Problems,
}

impl<'r, R: BufRead> Reading<'r, R> {
    /// # Errors
    /// When the header is none.
    pub fn begin(input: R, judge: Judge<'r>) -> Result<Self, ReadError> {
        let file = FileReader::begin(input)?;
        Ok(Self { file, judge, checker: Checker::default(), problems: Problems::default() })
    }

    /// Schema of the database that was backed up.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.file.header.schema
    }

    /// Version of the program that made the backup.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.file.header.program
    }

    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// The next rows, checked; none at the end.
    ///
    /// # Errors
    /// When the file is damaged and cannot be read on.
    pub fn next_batch(&mut self) -> Result<Vec<Judged>, ReadError> {
        let lines = self.file.next_batch(BATCH_LINES, BATCH_BYTES)?;
        let by = self.judge;
        let mut batch: Vec<Judged> = lines.par_iter().map(|line| judge(line, by)).collect();
        for judged in &mut batch {
            judged.problems.drain(..).for_each(|problem| self.problems.push(problem));
            let Some(row) = &judged.row else { continue };
            self.file.count(row.table());
            if let Err(text) = self.checker.check(judged.line, row) {
                self.problems.push(Problem { line: judged.line, kind: ProblemKind::Damage, text });
            }
        }
        Ok(batch)
    }

    /// What the file holds, and what is wrong with it.
    pub fn finish(mut self) -> (Result<Summary, ReadError>, Problems) {
        if let Err((line, text)) = self.checker.finish() {
            self.problems.push(Problem { line, kind: ProblemKind::Damage, text });
        }
        (self.file.finish(), self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::backup::file::{FileWriter, Header, no_rows};
    use crate::app::clock::instant;
    use crate::store::audit::AuditRow;
    use crate::store::backup::{ChangeEntry, Row};
    use crate::store::identity::IdentityRow;
    use crate::store::record::RecordRow;
    use crate::store::resource::Resource;
    use crate::store::review::ReviewRow;

    fn version(number: i64, id: &str, version: i64) -> Resource {
        let updated_us = 1_767_323_045_000_000 + version;
        let (id, resource_type) = (id.to_owned(), "Patient".to_owned());
        let time = instant(updated_us);
        let body = format!(
            r#"{{"resourceType":"Patient","id":"{id}","meta":{{"versionId":"{version}","lastUpdated":"{time}"}}}}"#
        );
        Resource { number, resource_type, id, version, updated_us, deleted: false, body }
    }

    fn tombstone(number: i64, id: &str, version_number: i64) -> Resource {
        Resource { deleted: true, body: String::new(), ..version(number, id, version_number) }
    }

    fn record(id: &str, version: i64, identity: &str) -> Row {
        Row::Record(RecordRow {
            id: id.to_owned(),
            version,
            normaliser: 0,
            features: vec![0, 255],
            identity_id: identity.to_owned(),
            model_version: "1".to_owned(),
            probability: Some(0.999_420_167_840_946_7),
            assigned_us: 1,
            verification_level: None,
            verified_on: None,
            replaced_by: None,
            decision_id: None,
        })
    }

    fn review(record: &str, identity: &str) -> Row {
        let (record_id, identity_id) = (record.to_owned(), identity.to_owned());
        Row::Review(ReviewRow {
            record_id,
            identity_id,
            probability: 0.9,
            created_us: 1,
            model_version: "1".into(),
            state: "open".into(),
            reason: None,
        })
    }

    fn identity(id: &str) -> Row {
        Row::Identity(IdentityRow { id: id.to_owned(), created_us: 1 })
    }

    fn change(seq: i64, record: &str) -> Row {
        Row::Change(ChangeEntry { seq, record_id: record.to_owned(), binds: false })
    }

    fn audit(seq: i64, detail: &str) -> Row {
        let text = |text: &str| text.to_owned();
        let (request_id, action, outcome, caller) = (text("r"), text("read"), text("success"), text("open"));
        Row::Audit(AuditRow {
            seq,
            at_us: 1,
            request_id,
            action,
            outcome,
            caller,
            resource_type: None,
            detail: text(detail),
        })
    }

    /// `a` with an older version and a review, `b` deleted.
    fn good() -> Vec<Row> {
        vec![
            identity("i1"),
            identity("i2"),
            Row::ResourceHistory(version(1, "a", 1)),
            Row::Resource(version(1, "a", 2)),
            record("a", 2, "i1"),
            review("a", "i2"),
            Row::ResourceHistory(version(3, "b", 1)),
            Row::Resource(tombstone(3, "b", 2)),
            change(1, "a"),
            change(2, "b"),
            audit(1, "{}"),
            audit(4, "{}"),
        ]
    }

    fn file_of(rows: &[Row]) -> Vec<u8> {
        let mut counts = no_rows();
        for row in rows {
            *counts.entry(row.table()).or_default() += 1;
        }
        let mut bytes = Vec::new();
        let mut file = FileWriter::begin(&mut bytes, Header::new("0001".into(), instant(0), counts)).unwrap();
        for row in rows {
            file.row(row).unwrap();
        }
        file.end().unwrap();
        bytes
    }

    fn verified(bytes: &[u8]) -> Report {
        let rules = Rules::built_in().unwrap();
        let mut reading =
            Reading::begin(bytes, Judge { rules: &rules, base_url: "https://example.org/fhir" }).ok().unwrap();
        loop {
            match reading.next_batch() {
                Ok(batch) if batch.is_empty() => break,
                Ok(_) => {}
                Err(error) => return broken(error, reading.problems).unwrap(),
            }
        }
        let (summary, problems) = reading.finish();
        problems.report(summary.ok())
    }

    #[test]
    fn what_was_written_is_read_and_good() {
        let bytes = file_of(&good());
        let report = verified(&bytes);
        assert_eq!((report.problems_total, report.problems), (0, Vec::new()));
        assert_eq!(report.summary.unwrap().bytes, bytes.len() as u64);
        let row = bytes.split(|byte| *byte == b'\n').nth(5).unwrap();
        assert_eq!(serde_json::from_slice::<Row>(row).unwrap(), good()[4], "to the last bit of a probability");
    }

    #[test]
    fn rows_that_contradict_each_other_are_found() {
        let invalid =
            Resource { body: version(1, "a", 2).body.replace(r#""id""#, r#""gender":7,"id""#), ..version(1, "a", 2) };
        let another = Resource { body: version(1, "x", 2).body, ..version(1, "a", 2) };
        let no_json = Resource { body: "{".to_owned(), ..version(1, "a", 2) };
        let undead = Resource { body: "{}".to_owned(), ..tombstone(3, "b", 2) };
        let old_features = |row: Row| match row {
            Row::Record(row) => {
                Row::Record(RecordRow { normaliser: crate::matching::record::NORMALISER_VERSION, ..row })
            }
            row => row,
        };
        type Case<'a> = (&'a str, Box<dyn Fn(&mut Vec<Row>) + 'a>);
        let table: Vec<Case<'_>> = vec![
            ("version 1 should stand here", Box::new(|rows| drop(rows.remove(2)))),
            ("version 2 should stand here", Box::new(|rows| rows[3] = Row::Resource(version(1, "a", 3)))),
            ("the current version is missing", Box::new(|rows| drop(rows.remove(7)))),
            ("its record is missing", Box::new(|rows| drop(rows.drain(4..6)))),
            (
                "the resource is there twice",
                Box::new(|rows| drop(rows.splice(6..8, [Row::Resource(tombstone(4, "a", 1))]))),
            ),
            (
                "its number is not larger",
                Box::new(|rows| {
                    rows[6] = Row::ResourceHistory(version(1, "b", 1));
                    rows[7] = Row::Resource(tombstone(1, "b", 2));
                }),
            ),
            ("it has no current Patient of its version", Box::new(|rows| rows[4] = record("a", 1, "i1"))),
            ("it has no current Patient of its version", Box::new(|rows| rows.insert(8, record("b", 2, "i1")))),
            ("record a: its identity does not exist", Box::new(|rows| rows[4] = record("a", 2, "i3"))),
            ("review of a: its identity does not exist", Box::new(|rows| rows[5] = review("a", "i3"))),
            ("review of b: it has no record", Box::new(|rows| rows[5] = review("b", "i2"))),
            ("reviews are not in order", Box::new(|rows| rows.insert(6, review("a", "i1")))),
            ("identities are not in order", Box::new(|rows| rows.swap(0, 1))),
            ("change 3: the log has a gap", Box::new(|rows| rows[9] = change(3, "b"))),
            ("change 2: its record never existed", Box::new(|rows| rows[9] = change(2, "c"))),
            ("audit rows are not in order", Box::new(|rows| rows.swap(10, 11))),
            ("the detail of an audit row is no JSON", Box::new(|rows| rows[10] = audit(1, "{"))),
            ("a row of identity is not in its place", Box::new(|rows| rows.push(identity("i9")))),
            ("a deleted version has a document", Box::new(|rows| rows[7] = Row::Resource(undead.clone()))),
            ("the document is no JSON", Box::new(|rows| rows[3] = Row::Resource(no_json.clone()))),
            ("type, id, version or time is another", Box::new(|rows| rows[3] = Row::Resource(another.clone()))),
            ("its features cannot be read", Box::new(|rows| rows[4] = old_features(rows[4].clone()))),
            ("Patient.gender", Box::new(|rows| rows[3] = Row::Resource(invalid.clone()))),
        ];
        for (expected, change) in table {
            let mut rows = good();
            change(&mut rows);
            let report = verified(&file_of(&rows));
            let texts: Vec<&str> = report.problems.iter().map(|problem| problem.text.as_str()).collect();
            assert!(texts.iter().any(|text| text.contains(expected)), "{expected}: {texts:?}");
            let is_shape = expected.starts_with("Patient.");
            let kinds = report.problems.iter().map(|problem| problem.kind == ProblemKind::Shape);
            assert!(kinds.into_iter().all(|is| is == is_shape), "{expected}: {texts:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_as_written_is_damaged_whatever_its_rows_say() {
        let good = file_of(&good());
        let text = String::from_utf8(good.clone()).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without =
            |at: usize| lines.iter().enumerate().filter(|(line, _)| *line != at).map(|(_, line)| *line).collect();
        let cases: Vec<(&str, String)> = vec![
            ("a row less", without(12)),
            ("no trailer", without(lines.len() - 1)),
            ("another digit", text.replacen(r#""created_us":1"#, r#""created_us":2"#, 1)),
            ("another count in the header", text.replacen(r#""change":2"#, r#""change":3"#, 1)),
            ("spaces in the trailer", text.replace(r#"{"end":{"#, r#"{"end": {"#)),
            ("something after the trailer", format!("{text}\n")),
            ("cut in a line", text[..text.len() / 2].to_owned()),
            ("cut before the last line end", text[..text.len() - 1].to_owned()),
            ("an unknown column", text.replacen(r#""created_us":1"#, r#""created_us":1,"other":1"#, 1)),
        ];
        for (what, text) in cases {
            let report = verified(text.as_bytes());
            assert!(report.problems_total > 0, "{what}");
            assert_eq!(report.summary, None, "{what}");
        }
        assert_eq!(verified(&good).problems_total, 0);
    }
}
