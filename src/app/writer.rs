//! The one thread of a process that writes: many jobs, one transaction, one commit, then all answers.
//!
//! Each job runs behind a savepoint, so that one that fails takes nothing else with it; its audit row is written all
//! the same. Jobs that touch identities hold the identity lock and see an index that has caught up. A full queue is an
//! answer (`Overloaded`), not a wait. Audit rows that the database has no room for wait in the backlog and join the next
//! commit. Not here: what jobs do (see `keep`), the statements (see `store`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::audit::{AuditRecord, Outcome};
use crate::store::budget::{self, Wanted};
use crate::store::error::{StoreError, Unavailable};
use crate::store::{Connection, Store, audit, resource, transaction};

use super::audit_backlog::AuditBacklog;
use super::candidates::Candidates;
use super::clock::Clock;
use super::error::{AppError, ErrorKind};
use super::incoming::ResourceKind;
use super::unit::Unit;

/// What a job may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing but its audit row.
    Audit,
    /// Resources that are no records of people.
    Resources,
    /// Records and identities, under the identity lock.
    Identities,
}

/// What a job gives back.
pub struct Done<T> {
    pub result: Result<T, AppError>,
    pub audit: AuditRecord,
}

type Run = Box<dyn FnOnce(&mut Unit<'_>) -> Executed + Send>;
type Finish = Box<dyn FnOnce(Result<(), AppError>) + Send>;

struct Executed {
    audit: Option<AuditRecord>,
    failed: Option<ErrorKind>,
    ending: Ending,
    finish: Finish,
}

/// What waits for the next commit: one or several pieces of work, each behind a savepoint of its own.
struct Job {
    scope: Scope,
    runs: Vec<Run>,
    /// The budgets that all of them need.
    wanted: Wanted,
    fail: Box<dyn FnOnce(AppError) + Send>,
}

/// A piece of work: what it gives, and its audit row if somebody has asked for it.
pub struct Work<T> {
    /// The audit row should it panic.
    panicked: Option<AuditRecord>,
    ending: Ending,
    wanted: Wanted,
    run: Piece<T>,
}

/// What becomes of what a piece of work has changed, if it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Keep,
    /// Only its answer and its audit row are wanted: a preview.
    Undo,
}

type Piece<T> = Box<dyn FnOnce(&mut Unit<'_>) -> Worked<T> + Send>;
type Worked<T> = (Result<T, AppError>, Option<AuditRecord>);

impl<T> Work<T> {
    /// Work of a request. `panicked` is the audit row should it panic.
    pub fn audited(panicked: AuditRecord, work: impl FnOnce(&mut Unit<'_>) -> Done<T> + Send + 'static) -> Self {
        let run = move |unit: &mut Unit<'_>| {
            let Done { result, audit } = work(unit);
            (result, Some(audit))
        };
        Self { panicked: Some(panicked), ending: Ending::Keep, wanted: Wanted::default(), run: Box::new(run) }
    }

    /// The server's own work, which nobody has asked for.
    pub fn unasked(work: impl FnOnce(&mut Unit<'_>) -> Result<T, AppError> + Send + 'static) -> Self {
        let run: Piece<T> = Box::new(move |unit| (work(unit), None));
        Self { panicked: None, ending: Ending::Keep, wanted: Wanted::default(), run }
    }

    /// The same with another ending.
    #[must_use]
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    /// The same with budgets, which the transaction opens for it.
    #[must_use]
    pub fn with_budgets(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }
}

/// How much waits and how much is written together.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Jobs that wait at most.
    pub queue_max: usize,
    /// Jobs of one commit at most.
    pub batch_max: usize,
    /// Bytes of audit rows that wait for room in the database at most.
    pub backlog_bytes_max: usize,
}

/// How often audit rows that wait are tried again when no job comes.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The queue to the writing thread.
pub struct Writer {
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    backlog: Arc<AuditBacklog>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(store: Store, candidates: Arc<Candidates>, clock: Clock, limits: Limits) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(limits.queue_max);
        let backlog = Arc::new(AuditBacklog::new(limits.backlog_bytes_max));
        let worker = Worker {
            store,
            candidates,
            clock,
            last_us: i64::MIN,
            conn: None,
            batch_max: limits.batch_max,
            backlog: Arc::clone(&backlog),
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || worker.run(&jobs))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), backlog })
    }

    /// Runs `work` in the next transaction and waits until it is committed. `panicked` is the audit row should it panic.
    ///
    /// # Errors
    /// What `work` gives, `Overloaded` when the queue is full, `Unavailable` or `Full` when the commit fails.
    pub fn submit<T: Send + 'static>(
        &self,
        scope: Scope,
        panicked: AuditRecord,
        work: impl FnOnce(&mut Unit<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T, AppError> {
        self.submit_one(scope, Work::audited(panicked, work))
    }

    /// The same for the server's own work, which nobody has asked for and no audit row tells of.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn upkeep<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Unit<'_>) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        self.submit_one(scope, Work::unasked(work))
    }

    /// As [`Self::submit`], of one piece of work that was made before.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_one<T: Send + 'static>(&self, scope: Scope, work: Work<T>) -> Result<T, AppError> {
        let mut results = self.submit_each(scope, vec![work])?;
        results.pop().unwrap_or_else(|| Err(AppError::internal()))
    }

    /// Runs each of `works` in the next transaction: one that fails takes none of the others with it. Gives what each
    /// gives, in order.
    ///
    /// # Errors
    /// `Overloaded` when the queue is full, `Unavailable` or `Full` when the commit fails.
    pub fn submit_each<T: Send + 'static>(
        &self,
        scope: Scope,
        works: Vec<Work<T>>,
    ) -> Result<Vec<Result<T, AppError>>, AppError> {
        let refused: Vec<AuditRecord> = works.iter().filter_map(|work| work.panicked.clone()).collect();
        let results = self.run(scope, works);
        if is_full(&results) {
            // Nothing of it was stored, its audit rows neither.
            refused.into_iter().for_each(|audit| self.hold_refused(audit));
        }
        results
    }

    fn hold_refused(&self, mut audit: AuditRecord) {
        audit.detail.status = ErrorKind::Full.status();
        audit.outcome = Outcome::Error;
        if self.backlog.hold(audit).is_err() {
            tracing::error!("a refused write has no audit row: the backlog is full");
        }
    }

    fn run<T: Send + 'static>(
        &self,
        scope: Scope,
        mut works: Vec<Work<T>>,
    ) -> Result<Vec<Result<T, AppError>>, AppError> {
        // Of the request that waits: the queue, and the commit that it shares.
        let _span = tracing::info_span!("commit").entered();
        let count = works.len();
        let (reply, answers) = sync_channel::<Result<Result<T, AppError>, AppError>>(count.max(1));
        let refused = reply.clone();
        let mut wanted = Wanted::default();
        works.iter_mut().for_each(|work| wanted.add(std::mem::take(&mut work.wanted)));
        let runs = works.into_iter().map(|work| runnable(work, reply.clone())).collect();
        self.enqueue(Job { scope, runs, wanted, fail: Box::new(move |error| drop(refused.send(Err(error)))) })?;
        drop(reply);
        (0..count).map(|_| answers.recv().unwrap_or_else(|_| Err(AppError::internal()))).collect()
    }

    /// Commits one audit row; one that the database has no room for waits in the backlog.
    ///
    /// # Errors
    /// As [`Self::submit`], `Full` when the backlog is full too.
    pub fn audit(&self, record: AuditRecord) -> Result<(), AppError> {
        let waiting = record.clone();
        let panicked = record.clone();
        let work = Work::audited(panicked, move |_| Done { result: Ok(()), audit: record });
        let result = self.run(Scope::Audit, vec![work]).map(|_| ());
        if is_full(&result) { self.backlog.hold(waiting).map_err(|_| AppError::full()) } else { result }
    }

    fn enqueue(&self, job: Job) -> Result<(), AppError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(queue) = queue else { return Err(AppError::unavailable()) };
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => AppError::overloaded(),
            TrySendError::Disconnected(_) => AppError::unavailable(),
        })
    }

    /// Finishes what is queued and stops.
    pub fn stop(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer ended with a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `work` as the thread runs it; its result is sent when the commit is done.
fn runnable<T: Send + 'static>(work: Work<T>, reply: SyncSender<Result<Result<T, AppError>, AppError>>) -> Run {
    let Work { panicked, ending, run, .. } = work;
    Box::new(move |unit| {
        let (result, audit) = catch_unwind(AssertUnwindSafe(|| run(unit))).unwrap_or_else(|_| {
            tracing::error!("a write panicked; it was rolled back");
            (Err(AppError::internal()), panicked)
        });
        let failed = result.as_ref().err().map(|error| error.kind);
        let finish: Finish = Box::new(move |committed| drop(reply.send(committed.map(|()| result))));
        Executed { audit, failed, ending, finish }
    })
}

struct Worker {
    store: Store,
    candidates: Arc<Candidates>,
    clock: Clock,
    /// The time of the last transaction.
    last_us: i64,
    conn: Option<Connection>,
    batch_max: usize,
    backlog: Arc<AuditBacklog>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let mut batch = match jobs.recv_timeout(RETRY_PAUSE) {
                Ok(first) => vec![first],
                Err(RecvTimeoutError::Timeout) if self.backlog.is_empty() => continue,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            while batch.len() < self.batch_max {
                let Ok(next) = jobs.try_recv() else { break };
                batch.push(next);
            }
            self.commit_batch(batch);
        }
        self.commit_backlog();
    }

    /// The last chance of what waits: afterwards only the log has it.
    fn commit_backlog(&mut self) {
        while !self.backlog.is_empty() {
            let before = self.backlog.oldest();
            self.commit_batch(Vec::new());
            if self.backlog.oldest() == before {
                tracing::error!("audit rows stay in the log alone: the database has no room for them");
                break;
            }
        }
    }

    fn commit_batch(&mut self, batch: Vec<Job>) {
        metrics::histogram!("idi_match_commit_batch_jobs").record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let mut fails = Vec::with_capacity(batch.len());
        let mut runs = Vec::with_capacity(batch.len());
        let mut wanted = Wanted::default();
        for job in batch {
            wanted.add(job.wanted);
            runs.extend(job.runs.into_iter().map(|run| (job.scope, run)));
            fails.push(job.fail);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transact(runs, &wanted)));
        match outcome.unwrap_or_else(|_| Err(StoreError::Other("a panic in the writer".to_owned()))) {
            Ok(Committed { finishes, has_changes }) => {
                if has_changes {
                    self.follow();
                }
                finishes.into_iter().for_each(|finish| finish(Ok(())));
            }
            Err(error) => {
                self.conn = None;
                let error = AppError::from(error);
                fails.into_iter().for_each(|fail| fail(error.clone()));
            }
        }
    }

    /// What was committed is durable, whatever becomes of the index: it will catch up later.
    fn follow(&mut self) {
        let Some(conn) = self.conn.as_mut() else { return };
        match catch_unwind(AssertUnwindSafe(|| self.candidates.after_commit(conn))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the index will catch up later"),
            Err(_) => tracing::error!("the index could not follow"),
        }
    }

    fn transact(&mut self, runs: Vec<(Scope, Run)>, wanted: &Wanted) -> Result<Committed, StoreError> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(self.store.writer_connection()?),
        };
        transaction::begin_write(conn)?;
        let identities = runs.iter().any(|(scope, _)| *scope == Scope::Identities);
        if identities {
            transaction::lock_identities(conn)?;
            self.candidates.catch_up(conn)?;
            // What other instances wrote, or this one before its clock was set back, is earlier all the same.
            let kinds = ResourceKind::ALL.map(ResourceKind::name);
            self.last_us = self.last_us.max(resource::last_updated_us(conn, &kinds)?);
        }
        self.last_us = self.last_us.saturating_add(1).max((self.clock.now_us)());
        let ledger = budget::open(conn, wanted)?;
        let mut unit = Unit::new(conn, self.last_us, &self.candidates);
        unit.ledger = ledger;
        let mut audits = self.backlog.oldest();
        let waited = audits.len();
        let mut finishes = Vec::with_capacity(runs.len());
        let mut savepoints = transaction::Savepoints::of(runs.len());
        for (scope, run) in runs {
            let executed = run_job(&mut unit, scope, &mut savepoints, run)?;
            audits.extend(executed.audit);
            finishes.push(executed.finish);
        }
        audit::append(unit.conn, &audits)?;
        budget::close(unit.conn, &unit.ledger, unit.now_us)?;
        let has_changes = unit.has_changes();
        if has_changes {
            self.candidates.before_commit(unit.conn)?;
        }
        drop(unit);
        let conn = self.conn.as_mut().ok_or(StoreError::Unavailable(Unavailable::Lost))?;
        transaction::commit(conn)?;
        self.backlog.forget(waited);
        Ok(Committed { finishes, has_changes })
    }
}

fn is_full<T>(result: &Result<T, AppError>) -> bool {
    result.as_ref().is_err_and(|error| error.kind == ErrorKind::Full)
}

/// A durable batch whose answers wait to be sent.
struct Committed {
    finishes: Vec<Finish>,
    has_changes: bool,
}

/// Runs one job behind its savepoint. A job that panics is rolled back like one that fails.
fn run_job(
    unit: &mut Unit<'_>,
    scope: Scope,
    savepoints: &mut transaction::Savepoints,
    run: Run,
) -> Result<Executed, StoreError> {
    if scope == Scope::Audit {
        return Ok(run(unit));
    }
    savepoints.begin(unit.conn)?;
    let executed = run(unit);
    match executed.failed {
        None if executed.ending == Ending::Keep => unit.keep_job(),
        // Nothing can go on without a connection, and a full disk may have undone everything by itself.
        Some(ErrorKind::Unavailable) => return Err(StoreError::Unavailable(Unavailable::Lost)),
        Some(ErrorKind::Full) => return Err(StoreError::Full),
        _ => {
            savepoints.undo(unit.conn)?;
            unit.undo_job();
        }
    }
    Ok(executed)
}
