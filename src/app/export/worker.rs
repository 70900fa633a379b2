//! The thread that plans exports: of this instance's kick-offs at once, of an instance that fell silent a little later.
//!
//! A job is claimed before it is planned and its claim is renewed while it is; a planner that lost its claim stops.
//! Planning again from the beginning gives the same plan, so nothing but the claim has to survive. Not here: what a plan
//! is (see `plan`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::app::clock::Clock;
use crate::app::error::{AppError, ErrorKind};
use crate::app::writer::{Scope, Writer};
use crate::store::Store;
use crate::store::export_job::{self, ExportJobRow, ExportPartRow};

use super::plan::Plan;

/// How long the thread sleeps when nobody wakes it.
const POLL: Duration = Duration::from_secs(2);
/// A planner that was not heard of for so long is taken for gone.
const SILENT_US: i64 = 30_000_000;
/// How often a planner says that it is at work.
const RENEW_US: i64 = 3_000_000;
/// How often a job is begun before it is given up.
const ATTEMPTS_MAX: i32 = 5;

/// The thread, if this instance plans.
#[derive(Default)]
pub struct Planner {
    thread: Mutex<Option<JoinHandle<()>>>,
    is_stopping: Arc<AtomicBool>,
}

/// What the thread works with.
pub struct Workplace {
    pub store: Store,
    pub writer: Arc<Writer>,
    pub clock: Clock,
    /// Resources of a part at most.
    pub part_resources_max: u32,
    /// How long a complete job stays.
    pub expires_us: i64,
}

impl Planner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, place: Workplace) -> std::io::Result<()> {
        let is_stopping = Arc::clone(&self.is_stopping);
        let worker = Worker { name: (place.clock.uuid)(), place, is_stopping };
        let thread = std::thread::Builder::new().name("export".into()).spawn(move || worker.run())?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// There is work.
    pub fn wake(&self) {
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            thread.thread().unpark();
        }
    }

    /// Ends the thread; what it was planning is planned again by another one, or at the next start.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("planning exports ended with a panic");
        }
    }
}

struct Worker {
    /// Of this process alone: its claims are told by it.
    name: String,
    place: Workplace,
    is_stopping: Arc<AtomicBool>,
}

/// How planning a job ended.
enum Ended {
    Planned(Vec<ExportPartRow>),
    /// Cancelled, taken over, or the process stops.
    Left,
}

impl Worker {
    fn run(&self) {
        while !self.is_stopping() {
            if let Err(error) = self.work() {
                tracing::warn!(kind = ?error.kind, "exports wait to be planned");
            }
            std::thread::park_timeout(POLL);
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn now_us(&self) -> i64 {
        (self.place.clock.now_us)()
    }

    /// Plans what waits, one after the other.
    fn work(&self) -> Result<(), AppError> {
        while let Some(job) = self.find_waiting()? {
            if self.is_stopping() {
                return Ok(());
            }
            let (id, attempts) = (job.id.clone(), job.attempts);
            if self.claim(&job)? {
                tracing::info!(export.id = %id, attempts, "planning an export");
                self.plan_and_end(job)?;
            }
        }
        Ok(())
    }

    fn find_waiting(&self) -> Result<Option<ExportJobRow>, AppError> {
        let silent_us = self.now_us().saturating_sub(SILENT_US);
        Ok(export_job::find_waiting(&mut *self.place.store.connection()?, silent_us)?)
    }

    fn claim(&self, job: &ExportJobRow) -> Result<bool, AppError> {
        let (job, name) = (job.clone(), self.name.clone());
        self.place
            .writer
            .upkeep(Scope::Resources, move |unit| Ok(export_job::claim(unit.conn, &job, &name, unit.now_us)?))
    }

    /// A database that is away leaves the job to be begun again; anything else, and too many tries, ends it.
    fn plan_and_end(&self, job: ExportJobRow) -> Result<(), AppError> {
        let (id, name, expires_us) = (job.id.clone(), self.name.clone(), self.place.expires_us);
        let planned = if job.attempts >= ATTEMPTS_MAX {
            Err(AppError::internal())
        } else {
            catch_unwind(AssertUnwindSafe(|| self.plan(job))).unwrap_or_else(|_| Err(AppError::internal()))
        };
        match planned {
            Ok(Ended::Left) => {
                self.place.writer.upkeep(Scope::Resources, move |unit| Ok(export_job::release(unit.conn, &id, &name)?))
            }
            Ok(Ended::Planned(parts)) => self.place.writer.upkeep(Scope::Resources, move |unit| {
                let expires_us = unit.now_us.saturating_add(expires_us);
                export_job::complete(unit.conn, &id, &name, &parts, expires_us)?;
                Ok(())
            }),
            Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Timeout) => {
                Err(error)
            }
            Err(error) => {
                tracing::error!(export.id = %id, kind = ?error.kind, "an export cannot be planned");
                self.place.writer.upkeep(Scope::Resources, move |unit| {
                    let expires_us = unit.now_us.saturating_add(expires_us);
                    export_job::fail(unit.conn, &id, &name, expires_us)?;
                    Ok(())
                })
            }
        }
    }

    fn plan(&self, job: ExportJobRow) -> Result<Ended, AppError> {
        let id = job.id.clone();
        let mut plan = Plan::new(job, self.place.part_resources_max);
        let mut renewed_us = self.now_us();
        while let Some((selection, after, last)) = plan.next() {
            if self.is_stopping() {
                return Ok(Ended::Left);
            }
            let taken = selection.count(&mut *self.place.store.connection()?, after, last)?;
            plan.take(&taken);
            if self.now_us().saturating_sub(renewed_us) > RENEW_US {
                renewed_us = self.now_us();
                if !self.renew(&id, plan.permille())? {
                    return Ok(Ended::Left);
                }
            }
        }
        Ok(Ended::Planned(plan.into_parts()))
    }

    fn renew(&self, id: &str, permille: i32) -> Result<bool, AppError> {
        let (id, name) = (id.to_owned(), self.name.clone());
        self.place
            .writer
            .upkeep(Scope::Resources, move |unit| Ok(export_job::renew(unit.conn, &id, &name, unit.now_us, permille)?))
    }
}
