//! Bulk Data `$export`: everything, or everything about Patients, as of one moment, in files of lines.
//!
//! Bulk Data Access IG 2.0. A kick-off fixes the moment under the identity lock; a background thread of any instance
//! then plans parts, which are stretches of resource numbers and no files: each download reads its part as of that
//! moment, a piece at a time. So nothing is copied, any instance can answer, and parts never disagree with each other.
//! Not here: HTTP, the manifest as JSON (see `http::render`), queries (see `store::as_of`).

pub mod part;
mod plan;
pub mod request;
mod selection;
pub(super) mod worker;

use crate::assurance::facts::Interaction;
use crate::audit::{Action, AuditRecord};
use crate::auth::scope;
use crate::fhir::issue::{Issue, IssueCode};
use crate::store::constraint::Labels;
use crate::store::export_job::{self, COMPLETE, ExportJobRow, ExportPartRow, FAILED, PLANNING};
use crate::store::resource;

use super::auth::access::Ask;
use super::auth::gate::permit;
use super::context::{Caller, Context};
use super::error::{AppError, ErrorKind};
use super::incoming::ResourceKind;
use super::search::link::link;
use super::unit::Unit;
use super::writer::{Done, Scope};
use super::{App, close, panicked};
use request::{ExportRequest, Level, remarks_from_text, remarks_to_text};

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Resources,
    /// Transaction Bundles that name what was deleted since `_since`.
    Deletions,
    /// OperationOutcomes on parameters that were not applied.
    Remarks,
}

impl Content {
    const fn code(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Deletions => "deletions",
            Self::Remarks => "remarks",
        }
    }

    fn of(code: &str) -> Self {
        if code == Self::Deletions.code() { Self::Deletions } else { Self::Resources }
    }
}

/// A job that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub job_id: String,
    /// Parameters that are not applied.
    pub remarks: Vec<Issue>,
}

/// How far a job has come.
#[derive(Debug, Clone)]
pub enum Status {
    Planning { percent: u32 },
    Complete(Box<Manifest>),
}

/// What a complete job offers.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub at_us: i64,
    pub request: String,
    pub requires_access_token: bool,
    pub expires_us: i64,
    pub files: Vec<File>,
}

/// One file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub content: Content,
    /// Of the resources that are told of; the lines of deletions are Bundles, those of remarks OperationOutcomes.
    pub resource_type: String,
    pub url: String,
    pub resources: u64,
}

impl App {
    /// Takes on an export. Its transaction time is the last moment before the commit that stores the job: everything of
    /// that time or earlier is committed, and nothing can be added to it any more.
    ///
    /// # Errors
    /// `Invalid` for parameters that cannot be read or are not supported, `Throttled` when there are too many jobs.
    pub fn begin_export(
        &self,
        ctx: &Context,
        level: Level,
        request: Result<ExportRequest, AppError>,
    ) -> Result<Accepted, AppError> {
        let mut audit = ctx.audit(Action::Export);
        audit.resource_type = level.resource_type().map(str::to_owned);
        let permitted = request.and_then(|request| {
            request.types.iter().try_for_each(|resource_type| permit_type(&ctx.caller, resource_type))?;
            if request.types.is_empty() {
                // An export of nothing takes a place all the same.
                permit_type(&ctx.caller, ResourceKind::Patient.name())?;
            }
            Ok(request)
        });
        let request = match permitted {
            Ok(request) => request,
            Err(error) => return Err(self.refuse_with(audit, error)),
        };
        let job_id = (ctx.clock.uuid)();
        audit.detail.job = Some(job_id.clone());
        let accepted = Accepted { job_id: job_id.clone(), remarks: request.remarks.clone() };
        let limits = &self.config.limits;
        let (jobs_max, expires_us) = (limits.export_jobs_max, seconds_us(limits.export_expires_s));
        let address = link(&format!("{}{}", self.config.server.base_url, level.path()), &request.understood);
        let (caller, clock) = (ctx.caller.label().to_owned(), self.clock);
        let labels = if ctx.caller.sees_restricted() { Labels::All } else { Labels::Unrestricted };
        self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
            let mut audit: AuditRecord = audit;
            let result = insert(unit, jobs_max, expires_us, |last_number, now_us| ExportJobRow {
                id: job_id,
                caller,
                level: level.code().to_owned(),
                request: address,
                resource_types: request.types.join(","),
                since_us: request.since_us,
                at_us: now_us - 1,
                last_number,
                remarks: remarks_to_text(&request.remarks),
                state: PLANNING.to_owned(),
                permille: 0,
                worker: None,
                heartbeat_us: now_us,
                attempts: 0,
                created_us: now_us,
                expires_us: now_us.saturating_add(expires_us),
                labels: labels.code().to_owned(),
            });
            close(&mut audit, result.as_ref().err(), (clock.now_us)());
            Done { result, audit }
        })?;
        self.planner.wake();
        Ok(accepted)
    }

    /// How far a job has come.
    ///
    /// # Errors
    /// `NotFound` for a job that is not there, was cancelled, has expired or is another caller's; `Internal` when it
    /// failed.
    pub fn export_status(&self, ctx: &Context, job_id: &str) -> Result<Status, AppError> {
        self.answer(ctx, Action::Export, |audit| {
            let job = self.find_export(ctx, job_id)?;
            audit.detail.job = Some(job.id.clone());
            match job.state.as_str() {
                COMPLETE => {
                    let parts = export_job::list_parts(&mut *self.connection()?, &job.id)?;
                    Ok(Status::Complete(Box::new(self.manifest(ctx, job, &parts))))
                }
                FAILED => {
                    let text = "The export could not be prepared. It will not go on; begin another one.";
                    Err(AppError::new(ErrorKind::Internal, vec![Issue::error(IssueCode::Exception, text)]))
                }
                _ => Ok(Status::Planning { percent: u32::try_from(job.permille / 10).unwrap_or(0) }),
            }
        })
    }

    /// Forgets a job, be it at work or complete.
    ///
    /// # Errors
    /// `NotFound` as for [`Self::export_status`].
    pub fn cancel_export(&self, ctx: &Context, job_id: &str) -> Result<(), AppError> {
        let mut audit = ctx.audit(Action::Export);
        audit.detail.reasons.push("cancelled".to_owned());
        let job = match self.find_export(ctx, job_id) {
            Ok(job) => job,
            Err(error) => return Err(self.refuse_with(audit, error)),
        };
        audit.detail.job = Some(job.id.clone());
        let clock = self.clock;
        self.writer.submit(Scope::Resources, panicked(&audit), move |unit| {
            let deleted = export_job::delete(unit.conn, &job.id).map_err(AppError::from);
            let result = deleted.and_then(|deleted| if deleted { Ok(()) } else { Err(no_job()) });
            close(&mut audit, result.as_ref().err(), (clock.now_us)());
            Done { result, audit }
        })
    }

    /// A job of this caller that has not expired.
    fn find_export(&self, ctx: &Context, job_id: &str) -> Result<ExportJobRow, AppError> {
        let found = export_job::find(&mut *self.connection()?, job_id, (self.clock.now_us)())?;
        let job = found.filter(|job| job.caller == ctx.caller.label()).ok_or_else(no_job)?;
        job.resource_types.split(',').try_for_each(|resource_type| permit_type(&ctx.caller, resource_type))?;
        Ok(job)
    }

    fn manifest(&self, ctx: &Context, job: ExportJobRow, parts: &[ExportPartRow]) -> Manifest {
        let base = &self.config.server.base_url;
        let file = |content: Content, resource_type: &str, part: i32, resources: i64| File {
            content,
            resource_type: resource_type.to_owned(),
            url: format!("{base}/$export/{}/{}", job.id, file_name(content, resource_type, part)),
            resources: u64::try_from(resources).unwrap_or(0),
        };
        let planned =
            parts.iter().map(|part| file(Content::of(&part.content), &part.resource_type, part.part, part.resources));
        let remarks = remarks_from_text(&job.remarks).len();
        let remarks = (remarks > 0).then(|| file(Content::Remarks, "OperationOutcome", REMARKS_PART, remarks as i64));
        Manifest {
            at_us: job.at_us,
            requires_access_token: ctx.caller.bears_token(),
            expires_us: job.expires_us,
            files: planned.chain(remarks).collect(),
            request: job.request,
        }
    }
}

/// Every type of an export needs its own scope, at the kick-off and whenever something of it is fetched.
fn permit_type(caller: &Caller, resource_type: &str) -> Result<(), AppError> {
    const READ_SEARCH: &[scope::Interaction] = &[scope::Interaction::Read, scope::Interaction::Search];
    permit(caller, &Ask { resource_type, scopes: READ_SEARCH, interaction: Interaction::Export })
}

/// The number of the part of remarks; parts of resources count from 1.
const REMARKS_PART: i32 = 0;

/// `Patient-1.ndjson`: what a download is called when it is kept under the end of its address.
fn file_name(content: Content, resource_type: &str, part: i32) -> String {
    match content {
        Content::Deletions => format!("{resource_type}-deleted-{part}.ndjson"),
        Content::Resources | Content::Remarks => format!("{resource_type}-{part}.ndjson"),
    }
}

/// The part that a file name ends with.
fn part_of(file_name: &str) -> Option<i32> {
    let (_, part) = file_name.strip_suffix(".ndjson")?.rsplit_once('-')?;
    part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()))
}

fn insert(
    unit: &mut Unit<'_>,
    jobs_max: u32,
    expires_us: i64,
    job: impl FnOnce(i64, i64) -> ExportJobRow,
) -> Result<(), AppError> {
    export_job::delete_expired(unit.conn, unit.now_us)?;
    if export_job::count(unit.conn)? >= i64::from(jobs_max) {
        let seconds = expires_us / 1_000_000;
        let text = format!(
            "There are {jobs_max} exports already; DELETE one that is no longer needed, or wait up to {seconds} s."
        );
        return Err(AppError::new(ErrorKind::Throttled, vec![Issue::error(IssueCode::Throttled, text)]));
    }
    let last_number = resource::last_number(unit.conn)?;
    Ok(export_job::insert(unit.conn, &job(last_number, unit.now_us))?)
}

fn no_job() -> AppError {
    AppError::not_found("There is no such export, or it is over.")
}

pub(super) fn seconds_us(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_again_by_the_name_of_its_file() {
        for (content, resource_type, part, name) in [
            (Content::Resources, "Patient", 1, "Patient-1.ndjson"),
            (Content::Deletions, "Patient", 12, "Patient-deleted-12.ndjson"),
            (Content::Remarks, "OperationOutcome", REMARKS_PART, "OperationOutcome-0.ndjson"),
        ] {
            assert_eq!(file_name(content, resource_type, part), name);
            assert_eq!(part_of(name), Some(part));
        }
        for name in
            ["", "1", "Patient-1", "Patient.ndjson", "Patient-.ndjson", "Patient-+1.ndjson", "a-99999999999.ndjson"]
        {
            assert_eq!(part_of(name), None, "{name}");
        }
    }
}
