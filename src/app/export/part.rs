//! Downloading a part: its resources as of the job's moment, a piece at a time, each piece from one snapshot.
//!
//! The audit row is committed before the first piece leaves; it counts the resources, and does not name them. A download
//! that has begun goes on when its job is cancelled or expires. Not here: lines (see `http::render`).

use crate::app::App;
use crate::app::context::{Caller, Context};
use crate::app::error::AppError;
use crate::audit::{Action, Stretch};
use crate::fhir::issue::Issue;
use crate::store::export_job::{self, COMPLETE};

use super::request::{Level, remarks_from_text};
use super::selection::Selection;
use super::{Content, REMARKS_PART, file_name, part_of};

/// What is behind the address of a file.
#[derive(Debug)]
pub enum Part {
    Remarks(Vec<Issue>),
    Stored(PartReader),
}

/// How far a download has come.
#[derive(Debug, Clone)]
pub struct PartReader {
    /// To whom the resources leave.
    caller: Caller,
    selection: Selection,
    reached: i64,
    last_number: i64,
}

/// Some resources of a part; there may be none in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Stored bodies.
    Resources(Vec<String>),
    /// Ids of resources that were deleted.
    Deletions { resource_type: String, ids: Vec<String> },
}

impl App {
    /// Opens the file of a complete job.
    ///
    /// # Errors
    /// `NotFound` for a file that is not one of a complete job of this caller.
    pub fn open_export_part(&self, ctx: &Context, job_id: &str, file: &str) -> Result<Part, AppError> {
        self.answer(ctx, Action::Export, |audit| {
            let no_file = || AppError::not_found("There is no such file of an export.");
            let number = part_of(file).ok_or_else(no_file)?;
            let job = self.find_export(ctx, job_id)?;
            audit.detail.job = Some(job.id.clone());
            if job.state != COMPLETE {
                return Err(no_file());
            }
            if number == REMARKS_PART {
                let remarks = remarks_from_text(&job.remarks);
                let is_there = !remarks.is_empty() && file == file_name(Content::Remarks, "OperationOutcome", number);
                return if is_there { Ok(Part::Remarks(remarks)) } else { Err(no_file()) };
            }
            let found = export_job::find_part(&mut *self.connection()?, &job.id, number)?;
            let part = found
                .filter(|part| file == file_name(Content::of(&part.content), &part.resource_type, part.part))
                .ok_or_else(no_file)?;
            audit.resource_type = Some(part.resource_type.clone());
            audit.detail.count = u64::try_from(part.resources).ok();
            let (after_number, last_number) = (part.after_number, part.last_number);
            audit.detail.stretch = Some(Stretch { after_number, last_number, as_of_us: job.at_us });
            let resource_type = part.resource_type.as_str();
            let selection = Selection {
                level: Level::of(&job.level),
                content: Content::of(&part.content),
                resource_type: resource_type.to_owned(),
                at_us: job.at_us,
                since_us: job.since_us,
                constraint: ctx.caller.search_constraint(resource_type),
            };
            let caller = ctx.caller.clone();
            Ok(Part::Stored(PartReader {
                caller,
                selection,
                reached: part.after_number,
                last_number: part.last_number,
            }))
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What the store gives; the same piece can be asked for again.
    pub fn next_export_piece(&self, reader: &mut PartReader) -> Result<Option<Piece>, AppError> {
        if reader.reached >= reader.last_number {
            return Ok(None);
        }
        let taken = reader.selection.read(&mut *self.connection()?, reader.reached, reader.last_number)?;
        reader.reached = taken.reached;
        Ok(Some(match reader.selection.content {
            Content::Deletions => Piece::Deletions {
                resource_type: reader.selection.resource_type.clone(),
                ids: taken.items.into_iter().map(|item| item.id).collect(),
            },
            Content::Resources | Content::Remarks => {
                let caller = &reader.caller;
                let outgoing =
                    taken.items.into_iter().filter_map(|item| caller.outgoing_if_seen(item.body).transpose());
                Piece::Resources(outgoing.collect::<Result<_, _>>()?)
            }
        }))
    }
}
