//! `load`: many resources from lines of NDJSON, in transactional batches that also carry how far the load has come.
//!
//! What is reported as loaded is committed together with its progress row, so a load that was cut off goes on where its
//! last commit ended: nothing acknowledged is lost, nothing is loaded twice. Not here: files (see `cli::load`).

use std::time::Duration;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::audit::{Action, AuditRecord};
use crate::fhir::issue::{Issue, IssueCode};
use crate::store::load_progress::{self, LoadProgress};

use super::context::{Caller, Context};
use super::error::{AppError, ErrorKind};
use super::incoming::{admit, check_id};
use super::keep::{Arrival, Expected, keep};
use super::writer::{Done, Scope};
use super::{App, close, panicked};

/// A line of the file.
#[derive(Debug, Clone)]
pub struct Line {
    /// From 1.
    pub number: u64,
    pub text: Vec<u8>,
}

/// How far a load has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Names the load.
    pub key: String,
    pub lines: u64,
    pub bytes: u64,
    pub loaded: u64,
    pub rejected: u64,
}

impl Position {
    /// The beginning of the load called `key`.
    #[must_use]
    pub fn start(key: String) -> Self {
        Self { key, lines: 0, bytes: 0, loaded: 0, rejected: 0 }
    }

    fn stored(self, updated_us: i64) -> LoadProgress {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        LoadProgress {
            key: self.key,
            lines: number(self.lines),
            bytes: number(self.bytes),
            loaded: number(self.loaded),
            rejected: number(self.rejected),
            updated_us,
        }
    }

    fn of(stored: LoadProgress) -> Self {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        Self {
            key: stored.key,
            lines: number(stored.lines),
            bytes: number(stored.bytes),
            loaded: number(stored.loaded),
            rejected: number(stored.rejected),
        }
    }
}

/// A line that was refused, and why.
#[derive(Debug, Clone)]
pub struct Reject {
    pub line: u64,
    pub issues: Vec<Issue>,
}

/// Lines that are judged and wait to be written.
#[derive(Debug, Clone)]
pub struct Batch {
    admitted: Vec<Arrival>,
    pub rejects: Vec<Reject>,
}

impl Batch {
    /// Lines that will be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.admitted.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.admitted.is_empty()
    }
}

impl App {
    /// How far an earlier load under `key` has come.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub fn find_load_position(&self, key: &str) -> Result<Option<Position>, AppError> {
        Ok(load_progress::find(&mut *self.connection()?, key)?.map(Position::of))
    }

    /// Judges lines on all threads; the order stays. `source` is assumed for records that name none.
    #[must_use]
    pub fn admit_lines(&self, lines: &[Line], source: Option<&str>) -> Batch {
        let judged: Vec<Result<Arrival, Reject>> = lines.par_iter().map(|line| self.admit_line(line, source)).collect();
        let mut batch = Batch { admitted: Vec::with_capacity(lines.len()), rejects: Vec::new() };
        for result in judged {
            match result {
                Ok(admitted) => batch.admitted.push(admitted),
                Err(reject) => batch.rejects.push(reject),
            }
        }
        batch
    }

    fn admit_line(&self, line: &Line, source: Option<&str>) -> Result<Arrival, Reject> {
        let reject = |issues| Reject { line: line.number, issues };
        let incoming = admit(&self.door(source), None, &line.text).map_err(|error| reject(error.issues))?;
        let Some(id) = incoming.id.clone() else {
            let text = "A resource to load needs an id.";
            return Err(reject(vec![
                Issue::error(IssueCode::Required, text).at(format!("{}.id", incoming.kind.name())),
            ]));
        };
        check_id(&id).map_err(|error| reject(error.issues))?;
        Ok(Arrival { id, incoming, expected: Expected::Anything })
    }

    /// Writes a batch and its progress in one transaction.
    ///
    /// # Errors
    /// What the store gives; then nothing of the batch is written.
    pub fn load_batch(&self, ctx: &Context, batch: Batch, position: Position) -> Result<(), AppError> {
        let (desk, clock) = (self.desk(ctx), self.clock);
        let audit = ctx.audit(Action::Load);
        self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
            let mut audit: AuditRecord = audit;
            let address = |arrival: &Arrival| format!("{}/{}", arrival.incoming.kind.name(), arrival.id);
            audit.detail.records = batch.admitted.iter().map(address).collect();
            let progress = position.stored(unit.now_us);
            let result = keep(desk.keeper(), unit, &batch.admitted)
                .map_err(|not_kept| not_kept.error)
                .and_then(|_| Ok(load_progress::upsert(unit.conn, &progress)?));
            close(&mut audit, result.as_ref().err(), (clock.now_us)());
            Done { result, audit }
        })
    }

    /// As [`Self::load_batch`], and waits and tries again while the database is busy or away, up to `tries_max` times.
    ///
    /// # Errors
    /// The last error.
    pub fn load_batch_patiently(&self, batch: &Batch, position: &Position, tries_max: u32) -> Result<(), AppError> {
        let mut tries = 0;
        loop {
            let ctx = Context::new(Caller::Open, self.clock);
            match self.load_batch(&ctx, batch.clone(), position.clone()) {
                Err(error)
                    if tries < tries_max
                        && matches!(
                            error.kind,
                            ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Timeout
                        ) =>
                {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(200 << tries.min(5)));
                }
                result => return result,
            }
        }
    }
}
