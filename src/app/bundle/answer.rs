//! What an entry is answered: plain data, written by `http::render`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::app::error::{AppError, ErrorKind};
use crate::app::keep::Kept;
use crate::app::search::{Found, Page, PreparedSearch};
use crate::app::write::Written;
use crate::fhir::issue::{Issue, IssueCode};

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
    /// What was written, where it is to be sent.
    Written(Option<String>),
    /// What was asked for.
    Read(String),
    /// What a search has found, before it is a page.
    Found(Arc<PreparedSearch>, Found),
    Page(Page),
    /// Why the entry failed.
    Refused(Vec<Issue>),
}

/// Whether what was written comes back (FHIR R4 RESTful API, `Prefer: return`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    Withheld,
    Sent,
}

impl EntryAnswer {
    /// What came of a write.
    #[must_use]
    pub fn of_write(written: Written, echo: Echo) -> Self {
        match written {
            Written::Kept(kept) => Self::of_kept(kept, echo),
            Written::Deleted(_) => Self { status: 204, version: None, content: AnsweredContent::Nothing },
        }
    }

    /// What came of a create, update or patch.
    #[must_use]
    pub fn of_kept(kept: Kept, echo: Echo) -> Self {
        let Kept { kind, id, version, updated_us, is_created, body } = kept;
        Self {
            status: if is_created { 201 } else { 200 },
            version: Some(AnsweredVersion { resource_type: kind.name(), id, version, updated_us }),
            content: AnsweredContent::Written(body.filter(|_| echo == Echo::Sent)),
        }
    }

    /// An entry of a batch that failed.
    #[must_use]
    pub fn of_error(error: AppError) -> Self {
        Self { status: error.kind.status(), version: None, content: AnsweredContent::Refused(error.issues) }
    }

    fn bytes(&self) -> usize {
        match &self.content {
            AnsweredContent::Nothing | AnsweredContent::Refused(_) => 0,
            AnsweredContent::Written(body) => body.as_ref().map_or(0, String::len),
            AnsweredContent::Read(body) => body.len(),
            AnsweredContent::Found(_, found) => found.bytes(),
            AnsweredContent::Page(page) => page.entries.iter().map(|entry| entry.body.len()).sum(),
        }
    }
}

/// How much of resources one answer may still hold: a small Bundle can ask for much.
#[derive(Debug, Clone)]
pub struct Room {
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
}

impl Room {
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: Arc::default() }
    }

    /// Takes room for an answer.
    ///
    /// # Errors
    /// `TooLarge` when there is too little left.
    pub fn take(&self, answer: EntryAnswer) -> Result<EntryAnswer, AppError> {
        let bytes = answer.bytes();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.bytes_max {
            let text =
                format!("The resources of the answer have more than {} bytes; ask for less at once.", self.bytes_max);
            return Err(AppError::new(ErrorKind::TooLarge, vec![Issue::error(IssueCode::TooCostly, text).at("http")]));
        }
        Ok(answer)
    }
}
