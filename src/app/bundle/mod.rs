//! Bundles that ask for several things at once: transactions and batches (FHIR R4 RESTful API, batch/transaction).
//!
//! Entries do what the same request does alone, through the same functions. Not here: the answer as JSON (see
//! `http::render`).

pub mod answer;
mod batch;
mod deadline;
mod entry;
mod links;
mod patch_body;
mod place;
mod reading;
mod run;
mod task;
mod transaction;

use crate::audit::Action;

use super::App;
use super::context::Context;
use super::error::AppError;

use answer::{AnsweredContent, Echo, EntryAnswer};
pub use entry::BundleKind;

/// What a Bundle is answered.
#[derive(Clone)]
pub struct BundleAnswer {
    pub kind: BundleKind,
    /// In the order of the entries.
    pub entries: Vec<EntryAnswer>,
}

impl App {
    /// Does what the entries of a Bundle ask for: all or nothing of a transaction, each on its own of a batch.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge` for what is no transaction and no batch; what stops a transaction.
    pub fn bundle(&self, ctx: &Context, body: &[u8], echo: Echo) -> Result<BundleAnswer, AppError> {
        let entries_max = self.config.limits.bundle_entries_max;
        let received = match entry::read(body, &self.document_limits(), entries_max, &self.rules.profiles) {
            Ok(received) => received,
            Err(error) => return Err(self.refuse(ctx, Action::Bundle, error)),
        };
        let entries = match received.kind {
            BundleKind::Transaction => self.transaction(ctx, received.entries, echo)?,
            BundleKind::Batch if received.entries.is_empty() => self.answer(ctx, Action::Bundle, |_| Ok(Vec::new()))?,
            BundleKind::Batch => self.batch(ctx, &received.entries, echo),
        };
        let entries: Result<Vec<EntryAnswer>, AppError> =
            entries.into_iter().map(|entry| self.finish_entry(ctx, entry)).collect();
        Ok(BundleAnswer { kind: received.kind, entries: entries? })
    }

    /// What a search has found becomes a page here: the links to further pages need no lock.
    fn finish_entry(&self, ctx: &Context, entry: EntryAnswer) -> Result<EntryAnswer, AppError> {
        let content = match entry.content {
            AnsweredContent::Found(search, found) => AnsweredContent::Page(self.page_of(ctx, &search, found)?),
            AnsweredContent::Read(body) => match ctx.caller.outgoing(body) {
                Ok(body) => AnsweredContent::Read(body),
                Err(error) => return Ok(EntryAnswer::of_error(error)),
            },
            AnsweredContent::Written(body) => {
                let resource_type = entry.version.as_ref().map_or("", |version| version.resource_type);
                let body = body.map(|body| ctx.caller.outgoing_written(resource_type, body)).transpose()?;
                AnsweredContent::Written(body.flatten())
            }
            content => content,
        };
        Ok(EntryAnswer { content, ..entry })
    }
}
