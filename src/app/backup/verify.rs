//! Reading a backup to its end: the digest, the counts, and everything that must hold in it.
//!
//! Not here: what must hold (see `check`); the database is not asked.

use std::io::BufRead;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::config::Config;

use super::check::{Checker, Judged, judge};
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
    let rules = Rules::load(&config.server.profiles_dir)?;
    start_pool(config.matching.threads);
    let mut reading = match Reading::begin(input, &rules) {
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
    rules: &'r Rules,
    checker: Checker,
    pub problems: Problems,
}

impl<'r, R: BufRead> Reading<'r, R> {
    /// # Errors
    /// When the header is none.
    pub fn begin(input: R, rules: &'r Rules) -> Result<Self, ReadError> {
        let file = FileReader::begin(input)?;
        Ok(Self { file, rules, checker: Checker::default(), problems: Problems::default() })
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
        let rules = self.rules;
        let mut batch: Vec<Judged> = lines.par_iter().map(|line| judge(line, rules)).collect();
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
