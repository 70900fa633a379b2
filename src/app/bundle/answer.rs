//! What an entry is answered: plain data, written by `http::render`.

use std::sync::Arc;

use crate::app::error::AppError;
use crate::app::keep::Kept;
use crate::app::search::{Found, Page, PreparedSearch};
use crate::app::write::Written;
use crate::fhir::issue::Issue;

/// FHIR R4 Bundle.entry.response, and the resource beside it.
#[derive(Clone)]
pub struct EntryAnswer {
    /// The HTTP status that the entry would have had alone.
    pub status: u16,
    pub version: Option<AnsweredVersion>,
    pub content: AnsweredContent,
}

/// The version that an entry has written, found or read.
#[derive(Debug, Clone)]
pub struct AnsweredVersion {
    pub resource_type: &'static str,
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
}

/// What comes with an answer.
#[derive(Clone)]
pub enum AnsweredContent {
    Nothing,
    /// What was written; `Prefer` says whether it is sent.
    Written(String),
    /// What was asked for.
    Read(String),
    /// What a search has found, before it is a page.
    Found(Arc<PreparedSearch>, Found),
    Page(Page),
    /// Why the entry failed.
    Refused(Vec<Issue>),
}

impl EntryAnswer {
    /// What came of a write.
    #[must_use]
    pub fn of_write(written: Written) -> Self {
        match written {
            Written::Kept(kept) => Self::of_kept(kept),
            Written::Deleted(_) => Self { status: 204, version: None, content: AnsweredContent::Nothing },
        }
    }

    /// What came of a create, update or patch.
    #[must_use]
    pub fn of_kept(kept: Kept) -> Self {
        let Kept { kind, id, version, updated_us, is_created, body } = kept;
        Self {
            status: if is_created { 201 } else { 200 },
            version: Some(AnsweredVersion { resource_type: kind.name(), id, version, updated_us }),
            content: AnsweredContent::Written(body),
        }
    }

    /// An entry of a batch that failed.
    #[must_use]
    pub fn of_error(error: AppError) -> Self {
        Self { status: error.kind.status(), version: None, content: AnsweredContent::Refused(error.issues) }
    }
}
