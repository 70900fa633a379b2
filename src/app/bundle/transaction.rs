//! A transaction: all entries or none, in one piece of work of the writer (FHIR R4 RESTful API, transaction).
//!
//! Outside of the lock every entry is read, ids are allotted, references between entries rewritten and documents judged.
//! Not here: what happens under it (see `run`), batches.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::incoming::ResourceKind;
use crate::app::write::{Desk, Order, Target, Verb, Write};
use crate::app::writer::{Done, Scope};
use crate::app::{App, close, panicked};
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::parse;

use super::answer::{Echo, EntryAnswer};
use super::entry::Entry;
use super::links::{Conditional, Names, find_conditional};
use super::patch_body::patch_of;
use super::place::stop;
use super::reading::Reading;
use super::run::Run;
use super::task::Task;

/// Problems listed at most, of all entries together.
const ISSUES_MAX: usize = 100;

/// Searches of one transaction at most.
const SEARCHES_MAX: usize = 50;

/// Everything that can be known of a transaction outside of the lock.
pub(super) struct Plan {
    /// For the criteria that patches bring.
    pub ctx: Context,
    pub names: Names,
    pub steps: Vec<Step>,
}

/// An entry that is ready to be done.
pub(super) struct Step {
    /// Of the entry.
    pub number: usize,
    pub work: StepWork,
}

pub(super) enum StepWork {
    Read(Reading),
    Write(Box<Draft>),
}

/// A write whose document may have to be rewritten once more.
pub(super) struct Draft {
    pub write: Write,
    /// The document that was judged, when it refers to other entries or by criteria.
    pub linked: Option<Linked>,
}

pub(super) struct Linked {
    pub document: String,
    pub conditional: Vec<Conditional>,
}

impl App {
    /// Does all that the entries ask for, or nothing.
    ///
    /// # Errors
    /// That of the first entry that stops it, with the problems of all entries where they are problems of documents.
    pub(super) fn transaction(
        &self,
        ctx: &Context,
        entries: Vec<Entry>,
        echo: Echo,
    ) -> Result<Vec<EntryAnswer>, AppError> {
        let audit = ctx.audit(Action::Bundle);
        let plan = match self.plan(ctx, entries) {
            Ok(plan) => plan,
            Err(error) => return Err(self.refuse_with(audit, error)),
        };
        let desk = self.desk(ctx);
        self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
            let mut audit = audit;
            let result = Run::new(&desk, &plan, echo).run(unit, &mut audit);
            if result.is_err() {
                audit.detail.records.clear();
            }
            close(&mut audit, result.as_ref().err(), (desk.clock.now_us)());
            Done { result, audit }
        })
    }

    fn plan(&self, ctx: &Context, entries: Vec<Entry>) -> Result<Plan, AppError> {
        let tasks = entries.iter().map(|entry| self.task(ctx, entry).map_err(|error| stop(error, entry.number)));
        let tasks = gather(tasks.collect())?;
        check_searches(&tasks)?;
        let mut names = Names::default();
        for (entry, task) in entries.iter().zip(&tasks) {
            if let (Some(full_url), Task::Write(order)) = (&entry.full_url, task)
                && order.verb != Verb::Delete
            {
                names.insert(full_url, &address(order.kind, allotted(&order.target)));
            }
        }
        let desk = self.desk(ctx);
        let steps: Vec<(Entry, Task)> = entries.into_iter().zip(tasks).collect();
        let steps = steps.into_par_iter().map(|(entry, task)| {
            let number = entry.number;
            step(&desk, ctx, &names, entry, task).map_err(|error| stop(error, number))
        });
        let steps = gather(steps.collect())?;
        Ok(Plan { ctx: ctx.clone(), names, steps })
    }
}

/// The identity lock is held while they run.
fn check_searches(tasks: &[Task]) -> Result<(), AppError> {
    let searches = tasks.iter().filter(|task| matches!(task, Task::Read(reading) if reading.is_search())).count();
    if searches <= SEARCHES_MAX {
        return Ok(());
    }
    let text = format!("A transaction has more than {SEARCHES_MAX} searches; a batch may have them.");
    Err(AppError::invalid(vec![Issue::error(IssueCode::TooCostly, text).at("Bundle.entry")]))
}

/// The id that a write has got, as far as is known outside of the lock.
pub(super) fn allotted(target: &Target) -> &str {
    match target {
        Target::New(id) | Target::NewUnless(id, _) | Target::Id(id) | Target::Fitting(_, id) => id,
    }
}

pub(super) fn address(kind: ResourceKind, id: &str) -> String {
    format!("{}/{id}", kind.name())
}

fn step(desk: &Desk, ctx: &Context, names: &Names, entry: Entry, task: Task) -> Result<Step, AppError> {
    let Entry { number, full_url, resource, .. } = entry;
    let work = match task {
        Task::Read(reading) => StepWork::Read(reading),
        Task::Write(order) => {
            let body = resource.unwrap_or_default();
            StepWork::Write(Box::new(draft(desk, ctx, names, full_url.as_deref(), order, &body)?))
        }
    };
    Ok(Step { number, work })
}

fn draft(
    desk: &Desk,
    ctx: &Context,
    names: &Names,
    full_url: Option<&str>,
    order: Order,
    body: &str,
) -> Result<Draft, AppError> {
    match order.verb {
        Verb::Delete => Ok(Draft { write: desk.judge(order, b"")?, linked: None }),
        Verb::Patch => Ok(Draft { write: desk.judge(order, &patch_of(body, &desk.door().limits)?)?, linked: None }),
        Verb::Store => {
            let document =
                parse(body.as_bytes(), &desk.door().limits).map_err(|issue| AppError::invalid(vec![issue]))?;
            let conditional = find_conditional(ctx, &desk.config, names, &document)?;
            let is_named = names.concern(full_url, &document);
            let settled = if is_named { Some(names.settle(full_url, body)?) } else { None };
            let write = desk.judge(order, settled.as_deref().unwrap_or(body).as_bytes())?;
            let is_linked = is_named || !conditional.is_empty();
            let document = settled.unwrap_or_else(|| body.to_owned());
            Ok(Draft { write, linked: is_linked.then_some(Linked { document, conditional }) })
        }
    }
}

/// All results, or the problems of all that failed under the kind of the first.
fn gather<T>(results: Vec<Result<T, AppError>>) -> Result<Vec<T>, AppError> {
    let mut all = Vec::with_capacity(results.len());
    let mut failed: Option<AppError> = None;
    for result in results {
        match (result, &mut failed) {
            (Ok(value), None) => all.push(value),
            (Ok(_), Some(_)) => {}
            (Err(error), None) => failed = Some(error),
            (Err(error), Some(first)) => first.issues.extend(error.issues),
        }
    }
    match failed {
        None => Ok(all),
        Some(mut error) => {
            error.issues.truncate(ISSUES_MAX);
            Err(error)
        }
    }
}
