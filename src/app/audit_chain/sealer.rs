//! The thread that seals audit rows behind the writer, within a second; one instance at a time on each database.
//!
//! Rows are read and hashed on this thread; what is written (a seal, and which rows are about what) joins a commit of the
//! writer, in pieces small enough that no request waits for it. Several instances on one PostgreSQL: whoever gets the seal
//! lock and finds the chain as it was read has sealed; the others' work counts for nothing. A crash loses nothing, for what
//! is not sealed is found again. Not here: what a seal is (see `audit::chain`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::app::clock::Clock;
use crate::app::error::AppError;
use crate::app::writer::{Scope, Writer};
use crate::audit::Row;
use crate::audit::chain::{LATE_US_MAX, Numbers, Seal, SealKey, Tail};
use crate::store::audit::{self, AuditRow};
use crate::store::audit_subject::{self, SubjectRow};
use crate::store::{Connection, Store, StoreError, audit_seal, transaction};

/// How long the thread sleeps when everything is sealed.
const PAUSE: Duration = Duration::from_millis(250);
/// A seal of another instance that is so young leaves nothing to do.
const FRESH_US: i64 = 200_000;
/// Rows of a seal at most: what is written with them holds the writer for a few milliseconds.
const ROWS_MAX: u32 = 500;
/// The same of things that they are about: a row of a load names hundreds.
const SUBJECTS_MAX: usize = 2_000;
/// Late rows of a seal at most.
const LATE_MAX: usize = 500;
/// Seals that are looked through for missing numbers at most: those of the last minutes.
const SEALS_LOOKED_AT: i64 = 10_000;
/// How often the newest seal is said in the log, which is then a witness outside of the database.
const WITNESS_US: i64 = 600_000_000;

/// The thread, if this instance seals.
#[derive(Default)]
pub struct Sealer(Mutex<Option<Running>>);

struct Running {
    thread: JoinHandle<()>,
    is_stopping: Arc<AtomicBool>,
}

/// What the thread works with.
pub struct Workplace {
    pub store: Store,
    pub writer: Arc<Writer>,
    pub clock: Clock,
    /// Makes an HMAC of every seal.
    pub key: Option<SealKey>,
}

impl Sealer {
    /// Starts the thread, in the place of one that was started before: with another key, for instance.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, place: Workplace) -> std::io::Result<()> {
        self.stop();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let worker = Worker { place, is_stopping: Arc::clone(&is_stopping), witnessed_us: i64::MIN };
        let thread = std::thread::Builder::new().name("seal".into()).spawn(move || worker.run())?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { thread, is_stopping });
        Ok(())
    }

    /// Seals what is there, while the writer still works, and ends the thread.
    pub fn stop(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { thread, is_stopping }) = running else { return };
        is_stopping.store(true, Ordering::Relaxed);
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("sealing the audit ended with a panic");
        }
    }
}

struct Worker {
    place: Workplace,
    is_stopping: Arc<AtomicBool>,
    witnessed_us: i64,
}

/// What one step has done.
enum Step {
    Sealed(Box<Seal>),
    /// Everything is sealed, or another instance is at it.
    Nothing,
}

/// What is read of the database for the next seal.
struct Unsealed {
    tail: Tail,
    tail_sealed_us: i64,
    late: Vec<AuditRow>,
    rows: Vec<AuditRow>,
}

impl Worker {
    fn run(mut self) {
        let mut was_sealing = true;
        loop {
            let is_last = self.is_stopping.load(Ordering::Relaxed);
            let sealed = catch_unwind(AssertUnwindSafe(|| self.seal_all(is_last)));
            let is_sealing = matches!(sealed, Ok(Ok(())));
            if is_sealing != was_sealing {
                if is_sealing {
                    tracing::info!("the audit is sealed again");
                } else {
                    tracing::warn!("the audit cannot be sealed for now");
                }
            }
            was_sealing = is_sealing;
            if is_last {
                return;
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Seal after seal, until nothing is left.
    fn seal_all(&mut self, is_last: bool) -> Result<(), AppError> {
        while let Step::Sealed(seal) = self.step(is_last)? {
            metrics::counter!("idi_match_audit_seals_total").increment(1);
            metrics::gauge!("idi_match_audit_sealed_seq").set(seal.last_seq as f64);
            if seal.sealed_us.saturating_sub(self.witnessed_us) > WITNESS_US {
                self.witnessed_us = seal.sealed_us;
                tracing::info!(seal = seal.number, digest = %seal.digest, last_seq = seal.last_seq, "the audit is sealed");
            }
        }
        Ok(())
    }

    fn step(&self, is_last: bool) -> Result<Step, AppError> {
        let now_us = (self.place.clock.now_us)();
        let conn = &mut *self.place.store.connection()?;
        let Unsealed { tail, tail_sealed_us, late, rows } =
            transaction::read_snapshot(conn, |conn| read_unsealed(conn, now_us))?;
        let is_fresh = (0..FRESH_US).contains(&now_us.saturating_sub(tail_sealed_us));
        if is_fresh && !is_last && rows.len() < ROWS_MAX as usize {
            return Ok(Step::Nothing);
        }
        let (rows, mut subjects) = within_limit(rows);
        subjects.extend(audit_subject::of_rows(&late));
        let sealed = Seal::next(&tail, &as_rows(&late), &as_rows(&rows), now_us, self.place.key.as_ref());
        let Some(seal) = sealed else { return Ok(Step::Nothing) };
        let kept = seal.clone();
        let is_kept =
            self.place.writer.upkeep(Scope::Resources, move |unit| Ok(keep(unit.conn, &tail, &kept, &subjects)?))?;
        Ok(if is_kept { Step::Sealed(Box::new(seal)) } else { Step::Nothing })
    }
}

/// As many rows as are about few enough things, and what they are about; at least one.
fn within_limit(mut rows: Vec<AuditRow>) -> (Vec<AuditRow>, Vec<SubjectRow>) {
    let mut subjects = Vec::new();
    for at in 0..rows.len() {
        let of_row = audit_subject::of_rows(&rows[at..=at]);
        if at > 0 && subjects.len() + of_row.len() > SUBJECTS_MAX {
            rows.truncate(at);
            break;
        }
        subjects.extend(of_row);
    }
    (rows, subjects)
}

fn as_rows(rows: &[AuditRow]) -> Vec<Row<'_>> {
    rows.iter().map(AuditRow::as_row).collect()
}

fn read_unsealed(conn: &mut Connection, now_us: i64) -> Result<Unsealed, StoreError> {
    let last = audit_seal::find_last(conn)?;
    let tail = last.as_ref().map_or_else(Tail::none, Tail::of);
    let rows = audit::list_after(conn, tail.last_seq, ROWS_MAX)?;
    let late = read_late(conn, &tail, now_us)?;
    Ok(Unsealed { tail, tail_sealed_us: last.map_or(i64::MIN, |seal| seal.sealed_us), late, rows })
}

/// Rows at numbers that the last seals have missed.
fn read_late(conn: &mut Connection, tail: &Tail, now_us: i64) -> Result<Vec<AuditRow>, StoreError> {
    let since_us = now_us.saturating_sub(LATE_US_MAX);
    let seals = audit_seal::list_incomplete(conn, tail.number.saturating_sub(SEALS_LOOKED_AT), since_us)?;
    let is_sealed = |seq: i64| seals.iter().any(|seal| seal.late.contains(seq));
    let mut late = Vec::new();
    for (first, last) in seals.iter().map(|seal| &seal.missing).flat_map(Numbers::ranges) {
        let found = audit::list_between(conn, *first, *last, ROWS_MAX)?;
        late.extend(found.into_iter().filter(|row| !is_sealed(row.seq)));
        if late.len() >= LATE_MAX {
            break;
        }
    }
    late.sort_unstable_by_key(|row| row.seq);
    late.truncate(LATE_MAX);
    Ok(late)
}

/// Keeps a seal, if nobody else is sealing and nobody has meanwhile.
fn keep(conn: &mut Connection, tail: &Tail, seal: &Seal, subjects: &[SubjectRow]) -> Result<bool, StoreError> {
    if !transaction::try_lock_seals(conn)? {
        return Ok(false);
    }
    let is_next = audit_seal::find_last(conn)?.as_ref().map_or_else(Tail::none, Tail::of) == *tail;
    if is_next {
        audit_seal::insert(conn, seal)?;
        audit_subject::insert_many(conn, subjects)?;
    }
    Ok(is_next)
}
