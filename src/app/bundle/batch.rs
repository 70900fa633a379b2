//! A batch: each entry on its own, as if it had been sent alone (FHIR R4 RESTful API, batch).
//!
//! Every entry has an audit row of its own. What the entries write, and those rows, share few commits, each entry behind a
//! savepoint; one that fails takes none of the others with it. Not here: transactions.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::patch::Patched;
use crate::app::unit::Unit;
use crate::app::write::{Desk, Verb, Write, write_audit};
use crate::app::writer::{Done, Scope, Work};
use crate::app::{App, STORED_LIMITS, close, panicked};
use crate::audit::AuditRecord;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::parse;

use super::answer::{Echo, EntryAnswer, Room};
use super::entry::{Entry, Url};
use super::links::{Conditional, Names, find_conditional, find_patched};
use super::patch_body::patch_of;
use super::place::locate;
use super::reading::Reading;
use super::task::{Task, action};

impl App {
    /// Does what each entry asks for.
    pub(super) fn batch(&self, ctx: &Context, entries: &[Entry], echo: Echo) -> Vec<EntryAnswer> {
        let (desk, room_bytes) = (self.desk(ctx), self.config.limits.bundle_answer_bytes_max);
        let judged: Vec<Result<Ready, AppError>> =
            entries.par_iter().map(|entry| self.ready(ctx, &desk, entry)).collect();
        let shared = Shared { ctx: ctx.clone(), desk, echo, room: Room::new(room_bytes) };
        let mut answers = Vec::with_capacity(entries.len());
        let mut judged = judged.into_iter();
        for entries in entries.chunks(COMMIT_ENTRIES_MAX) {
            let ready: Vec<_> = judged.by_ref().take(entries.len()).collect();
            answers.extend(self.commit_entries(ctx, &shared, entries, ready));
        }
        answers
    }

    /// Others who write wait for these entries and not for the whole batch.
    fn commit_entries(
        &self,
        ctx: &Context,
        shared: &Shared,
        entries: &[Entry],
        ready: Vec<Result<Ready, AppError>>,
    ) -> Vec<EntryAnswer> {
        let writes = ready.iter().any(|ready| matches!(ready, Ok(Ready::Write(_))));
        let scope = if writes { Scope::Identities } else { Scope::Audit };
        let works = entries.iter().zip(ready).map(|(entry, ready)| self.work(ctx, shared, entry, ready)).collect();
        match self.writer.submit_each(scope, works) {
            Ok(results) => {
                let answer = |(result, entry): (Result<_, _>, _)| result.unwrap_or_else(|error| refused(error, entry));
                results.into_iter().zip(entries).map(answer).collect()
            }
            Err(error) => entries.iter().map(|entry| refused(error.clone(), entry)).collect(),
        }
    }

    fn ready(&self, ctx: &Context, desk: &Desk, entry: &Entry) -> Result<Ready, AppError> {
        match self.task(ctx, entry)? {
            Task::Read(reading) => Ok(Ready::Read(reading)),
            Task::Write(order) => {
                let body = entry.resource.as_deref().unwrap_or_default();
                match order.verb {
                    Verb::Delete => desk.judge(order, b""),
                    Verb::Patch => desk.judge(order, &patch_of(body, &desk.door().limits)?),
                    Verb::Store => {
                        check_alone(ctx, desk, body)?;
                        desk.judge(order, body.as_bytes())
                    }
                }
                .map(|write| Ready::Write(Box::new(write)))
            }
        }
    }

    /// Reads are done at once, outside of the lock; what is left for the writer is their audit row.
    fn work(&self, ctx: &Context, shared: &Shared, entry: &Entry, ready: Result<Ready, AppError>) -> Work<EntryAnswer> {
        let mut audit = entry_audit(ctx, &shared.desk, entry);
        match ready {
            Ok(Ready::Write(write)) => {
                let shared = shared.clone();
                Work::audited(panicked(&audit), move |unit| shared.write(unit, *write, audit))
            }
            Ok(Ready::Read(reading)) => {
                let read = self.connection().and_then(|mut conn| reading.read(&ctx.caller, &mut conn, &mut audit));
                let read = read.and_then(|answer| shared.room.take(answer));
                answered(&shared.desk, entry, read, audit)
            }
            Err(error) => answered(&shared.desk, entry, Err(error), audit),
        }
    }
}

/// What the entries of one batch have together.
#[derive(Clone)]
struct Shared {
    ctx: Context,
    desk: Desk,
    echo: Echo,
    room: Room,
}

impl Shared {
    fn write(&self, unit: &mut Unit<'_>, write: Write, audit: AuditRecord) -> Done<EntryAnswer> {
        let settle = |_: &mut Unit<'_>, patched| check_patched(&self.ctx, &self.desk, patched);
        let Done { result, mut audit } = self.desk.perform_audited(unit, write, audit, settle);
        let result = result.and_then(|written| self.room.take(EntryAnswer::of_write(written, self.echo)));
        close(&mut audit, result.as_ref().err(), (self.desk.clock.now_us)());
        Done { result, audit }
    }
}

/// Nothing is left to do but to note what was answered: an entry that failed before the transaction has nothing in it
/// that would be undone.
fn answered(
    desk: &Desk,
    entry: &Entry,
    result: Result<EntryAnswer, AppError>,
    mut audit: AuditRecord,
) -> Work<EntryAnswer> {
    close(&mut audit, result.as_ref().err(), (desk.clock.now_us)());
    let answer = result.unwrap_or_else(|error| refused(error, entry));
    Work::audited(audit.clone(), move |_| Done { result: Ok(answer), audit })
}

fn refused(error: AppError, entry: &Entry) -> EntryAnswer {
    EntryAnswer::of_error(locate(error, entry.number))
}

/// What refers to other entries, or by criteria, is settled in a transaction only: stored as it is, it would lead nowhere
/// (FHIR R4 RESTful API, batch: such references are non-conformant).
fn check_alone(ctx: &Context, desk: &Desk, body: &str) -> Result<(), AppError> {
    let document = parse(body.as_bytes(), &desk.door().limits).map_err(|issue| AppError::invalid(vec![issue]))?;
    check_settled(&find_conditional(ctx, &desk.config, &Names::default(), &document)?)
}

/// The same of what a patch brings into a document.
fn check_patched(ctx: &Context, desk: &Desk, patched: Patched) -> Result<String, AppError> {
    let parse = |document| parse(document, &STORED_LIMITS).map_err(|_| AppError::internal());
    let (before, document) = (parse(patched.before.as_bytes())?, parse(patched.document.as_bytes())?);
    check_settled(&find_patched(ctx, &desk.config, &Names::default(), &before, &document)?)?;
    Ok(patched.document)
}

fn check_settled(conditional: &[Conditional]) -> Result<(), AppError> {
    if conditional.is_empty() {
        return Ok(());
    }
    let text = "References by criteria are settled in a transaction only.";
    let issue = |place| Issue::error(IssueCode::NotSupported, text).at(place);
    Err(AppError::invalid(conditional.iter().map(|asked| issue(asked.criteria.place())).collect()))
}

/// Entries that share a commit at most.
const COMMIT_ENTRIES_MAX: usize = 100;

/// An entry whose part outside of the lock is done.
enum Ready {
    Read(Reading),
    Write(Box<Write>),
}

fn entry_audit(ctx: &Context, desk: &Desk, entry: &Entry) -> AuditRecord {
    let resource_type = match Url::split(&entry.request.url, &desk.config.server.base_url) {
        Url::Type(name) | Url::Query(name, _) | Url::Id(name, ..) | Url::Version(name, ..) => name,
        Url::Other => "",
    };
    write_audit(ctx, action(entry), resource_type)
}
