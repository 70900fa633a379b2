//! What stops a use case: one kind, and the issues that tell the caller why.
//!
//! | kind | HTTP status | issue code |
//! |---|---|---|
//! | Invalid | 400 | structure, invalid, required, value |
//! | Forbidden | 403 | forbidden |
//! | NotFound, Gone | 404, 410 | not-found, deleted |
//! | NotSupported, NotAcceptable, MediaType | 405, 406, 415 | not-supported |
//! | Conflict, PreconditionFailed | 409, 412 | conflict |
//! | TooLarge | 413 | too-long |
//! | Unprocessable | 422 | invariant, business-rule |
//! | Throttled | 429 + Retry-After | throttled |
//! | Internal | 500 | exception |
//! | Overloaded, Unavailable, Timeout | 503 + Retry-After | transient, timeout |
//! | Full | 507 | transient |
//!
//! Internals are logged where they arise and never sent.

use crate::fhir::issue::{Issue, IssueCode};
use crate::store::StoreError;
use crate::store::error::Unavailable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    Invalid,
    Forbidden,
    NotFound,
    Gone,
    NotSupported,
    NotAcceptable,
    MediaType,
    Conflict,
    PreconditionFailed,
    TooLarge,
    Unprocessable,
    Throttled,
    Internal,
    Overloaded,
    Unavailable,
    /// One statement took too long; the connection goes on.
    Timeout,
    Full,
}

impl ErrorKind {
    /// The HTTP status; also what the audit records.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::NotSupported => 405,
            Self::NotAcceptable => 406,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::Unprocessable => 422,
            Self::Throttled => 429,
            Self::Internal => 500,
            Self::Overloaded | Self::Unavailable | Self::Timeout => 503,
            Self::Full => 507,
        }
    }
}

/// Why a use case stopped.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind:?}")]
pub struct AppError {
    pub kind: ErrorKind,
    pub issues: Vec<Issue>,
}

impl AppError {
    #[must_use]
    pub const fn new(kind: ErrorKind, issues: Vec<Issue>) -> Self {
        Self { kind, issues }
    }

    fn one(kind: ErrorKind, code: IssueCode, text: &str) -> Self {
        Self::new(kind, vec![Issue::error(code, text)])
    }

    /// Content that has not the shape of FHIR; a limit reached is `TooLarge`, and content that has the shape and breaks
    /// nothing but invariants is `Unprocessable`.
    #[must_use]
    pub fn invalid(issues: Vec<Issue>) -> Self {
        let too_long = issues.iter().any(|issue| issue.code == IssueCode::TooLong);
        let mut errors = issues.iter().filter(|issue| issue.is_error()).peekable();
        let has_shape = errors.peek().is_some() && errors.all(|issue| issue.code == IssueCode::Invariant);
        let kind = match (too_long, has_shape) {
            (true, _) => ErrorKind::TooLarge,
            (false, true) => ErrorKind::Unprocessable,
            (false, false) => ErrorKind::Invalid,
        };
        Self::new(kind, issues)
    }

    /// Content that is FHIR but breaks a profile or a rule.
    #[must_use]
    pub const fn unprocessable(issues: Vec<Issue>) -> Self {
        Self::new(ErrorKind::Unprocessable, issues)
    }

    #[must_use]
    pub fn forbidden() -> Self {
        Self::one(ErrorKind::Forbidden, IssueCode::Forbidden, "The caller may not do this.")
    }

    #[must_use]
    pub fn not_found(text: &str) -> Self {
        Self::one(ErrorKind::NotFound, IssueCode::NotFound, text)
    }

    #[must_use]
    pub fn gone() -> Self {
        Self::one(ErrorKind::Gone, IssueCode::Deleted, "The resource was deleted.")
    }

    #[must_use]
    pub fn precondition_failed(text: &str, place: &str) -> Self {
        Self::new(ErrorKind::PreconditionFailed, vec![Issue::error(IssueCode::Conflict, text).at(place)])
    }

    #[must_use]
    pub fn conflict(text: &str) -> Self {
        Self::one(ErrorKind::Conflict, IssueCode::Conflict, text)
    }

    #[must_use]
    pub fn overloaded() -> Self {
        Self::one(ErrorKind::Overloaded, IssueCode::Transient, "The server is busy; try again shortly.")
    }

    #[must_use]
    pub fn unavailable() -> Self {
        Self::one(ErrorKind::Unavailable, IssueCode::Transient, "The database does not answer; try again shortly.")
    }

    #[must_use]
    pub fn full() -> Self {
        Self::one(ErrorKind::Full, IssueCode::Transient, "The database has no room for writing; reading goes on.")
    }

    #[must_use]
    pub fn internal() -> Self {
        Self::one(
            ErrorKind::Internal,
            IssueCode::Exception,
            "The server failed; the request id finds the cause in its log.",
        )
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(Unavailable::Timeout) => {
                tracing::warn!(error = %error, "a statement took too long");
                Self::one(ErrorKind::Timeout, IssueCode::Timeout, "The database took too long over this request.")
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(error = %error, "database unavailable");
                Self::unavailable()
            }
            StoreError::Conflict(_) => Self::conflict("Another write came first; read again and retry."),
            StoreError::Full => {
                tracing::error!(error = %error, "database full");
                Self::full()
            }
            _ => {
                tracing::error!(error = %error, "database error");
                Self::internal()
            }
        }
    }
}
