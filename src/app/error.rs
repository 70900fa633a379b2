//! What stops a use case: one kind, and the issues that tell the caller why.
//!
//! | kind | HTTP status | issue code |
//! |---|---|---|
//! | Invalid | 400 | structure, invalid, required, value |
//! | Unauthorized | 401 + WWW-Authenticate | login |
//! | Forbidden | 403 (+ WWW-Authenticate) | forbidden |
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

use crate::assurance::verdict::Missing;
use crate::fhir::canonical::ASSURANCE_OUTCOME;
use crate::fhir::issue::{Issue, IssueCode};
use crate::store::StoreError;
use crate::store::error::Unavailable;

use super::metering::rate_limit::RateLimit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    Invalid,
    Unauthorized,
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
            Self::Unauthorized => 401,
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
    /// `WWW-Authenticate` of the answer (RFC 6750 section 3).
    pub challenge: Option<Box<str>>,
    /// The budget that is spent.
    pub rate: Option<Box<RateLimit>>,
}

/// The protection space of all challenges.
const REALM: &str = "Bearer realm=\"fhir\"";

impl AppError {
    #[must_use]
    pub const fn new(kind: ErrorKind, issues: Vec<Issue>) -> Self {
        Self { kind, issues, challenge: None, rate: None }
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

    fn challenged(self, attributes: &str) -> Self {
        Self { challenge: Some(format!("{REALM}{attributes}").into()), ..self }
    }

    /// A request without a token, which is told no error code (RFC 6750 section 3.1).
    #[must_use]
    pub fn no_token() -> Self {
        let text = "Not authorized: a Bearer token is needed.";
        let issue = Issue::error(IssueCode::Login, text).at("http.authorization").coded(ASSURANCE_OUTCOME, "no-token");
        Self::new(ErrorKind::Unauthorized, vec![issue]).challenged("")
    }

    /// A token that is not in force. Why not would help those who try; the log has it.
    #[must_use]
    pub fn invalid_token() -> Self {
        let text = "The token is not in force.";
        let issue =
            Issue::error(IssueCode::Login, text).at("http.authorization").coded(ASSURANCE_OUTCOME, "invalid-token");
        Self::new(ErrorKind::Unauthorized, vec![issue]).challenged(", error=\"invalid_token\"")
    }

    /// A token whose scopes do not give what is asked; `scope` would.
    #[must_use]
    pub fn insufficient_scope(scope: &str) -> Self {
        let text = format!("The token's scopes do not give this; {scope} would.");
        let issue = Issue::error(IssueCode::Forbidden, text).coded(ASSURANCE_OUTCOME, "scope");
        let attributes = format!(", error=\"insufficient_scope\", scope=\"{scope}\"");
        Self::new(ErrorKind::Forbidden, vec![issue]).challenged(&attributes)
    }

    /// A request that the policy refuses: each thing that is missing is one issue. Where only the words of a request to match
    /// fall short, they can be mended without another token.
    #[must_use]
    pub fn not_authorized(missing: &[Missing]) -> Self {
        let is_of_content = missing.iter().all(Missing::is_of_content);
        let issue = |one: &Missing| {
            let code = if one.is_of_content() { IssueCode::BusinessRule } else { IssueCode::Forbidden };
            let issue = Issue::error(code, one.text()).coded(ASSURANCE_OUTCOME, one.code());
            if one.is_of_content() { issue.at("Patient") } else { issue }
        };
        let issues = missing.iter().map(issue).collect();
        if is_of_content {
            return Self::unprocessable(issues);
        }
        let level =
            missing.iter().find_map(|one| if let Missing::Authentication(level) = one { Some(level) } else { None });
        let error = match level {
            // RFC 9470: somebody who signs in again may do it.
            Some(level) if missing.len() == 1 => {
                format!(", error=\"insufficient_user_authentication\", acr_values=\"{}\"", level.uri())
            }
            _ => ", error=\"insufficient_scope\"".to_owned(),
        };
        Self::new(ErrorKind::Forbidden, issues).challenged(&error)
    }

    /// Codes of what the gate found missing.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let details = self.issues.iter().filter_map(|issue| issue.details.as_ref());
        details.filter(|coding| coding.system == ASSURANCE_OUTCOME).map(|coding| coding.code.clone()).collect()
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

    /// A budget is spent; which one, the headers say.
    #[must_use]
    pub fn throttled(rate: RateLimit) -> Self {
        let text = "Too many matches were asked for; ask again later.";
        Self { rate: Some(Box::new(rate)), ..Self::one(ErrorKind::Throttled, IssueCode::Throttled, text) }
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
