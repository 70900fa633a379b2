//! Problems as data: one [`Issue`] is one entry of an OperationOutcome.
//!
//! Parsers and validators return `(T, Vec<Issue>)`; `Result` is for what stops us. Texts never repeat a value that was
//! received (it may be personal data): they name the element and the rule. Not here: HTTP status codes.

use std::fmt;

/// FHIR `issue-severity`, worst first, so that `min` of several is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Fatal,
    Error,
    Warning,
    Information,
}

impl Severity {
    /// The code of `http://hl7.org/fhir/issue-severity`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// The part of FHIR `issue-type` that this server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IssueCode {
    BusinessRule,
    CodeInvalid,
    Conflict,
    Deleted,
    Duplicate,
    Exception,
    Extension,
    Forbidden,
    Incomplete,
    Informational,
    Invalid,
    Invariant,
    Login,
    MultipleMatches,
    NotFound,
    NotSupported,
    Processing,
    Required,
    Structure,
    Throttled,
    Timeout,
    TooCostly,
    TooLong,
    Transient,
    Value,
}

impl IssueCode {
    /// The code of `http://hl7.org/fhir/issue-type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BusinessRule => "business-rule",
            Self::CodeInvalid => "code-invalid",
            Self::Conflict => "conflict",
            Self::Deleted => "deleted",
            Self::Duplicate => "duplicate",
            Self::Exception => "exception",
            Self::Extension => "extension",
            Self::Forbidden => "forbidden",
            Self::Incomplete => "incomplete",
            Self::Informational => "informational",
            Self::Invalid => "invalid",
            Self::Invariant => "invariant",
            Self::Login => "login",
            Self::MultipleMatches => "multiple-matches",
            Self::NotFound => "not-found",
            Self::NotSupported => "not-supported",
            Self::Processing => "processing",
            Self::Required => "required",
            Self::Structure => "structure",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::TooCostly => "too-costly",
            Self::TooLong => "too-long",
            Self::Transient => "transient",
            Self::Value => "value",
        }
    }
}

/// A code with its system, for `issue.details.coding`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coding {
    pub system: String,
    pub code: String,
    pub display: Option<String>,
}

/// One problem or remark: an entry of `OperationOutcome.issue`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issue {
    pub severity: Severity,
    pub code: IssueCode,
    /// `details.coding`: this project's own codes, for programs.
    pub details: Option<Coding>,
    /// For people. Never a received value.
    pub diagnostics: String,
    /// FHIRPath locations (`Patient.name[0].given[1]`).
    pub expression: Vec<String>,
}

impl Issue {
    #[must_use]
    pub fn new(severity: Severity, code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity, code, details: None, diagnostics: diagnostics.into(), expression: Vec::new() }
    }

    #[must_use]
    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, diagnostics)
    }

    #[must_use]
    pub fn warning(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, diagnostics)
    }

    #[must_use]
    pub fn information(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::new(Severity::Information, code, diagnostics)
    }

    /// Adds a FHIRPath location.
    #[must_use]
    pub fn at(mut self, location: impl fmt::Display) -> Self {
        self.expression.push(location.to_string());
        self
    }

    /// Sets `details.coding`.
    #[must_use]
    pub fn coded(mut self, system: &str, code: &str) -> Self {
        self.details = Some(Coding { system: system.to_owned(), code: code.to_owned(), display: None });
        self
    }

    /// Whether it stops the request that it was found in.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Fatal | Severity::Error)
    }
}

/// Whether any of `issues` stops the request.
#[must_use]
pub fn any_error(issues: &[Issue]) -> bool {
    issues.iter().any(Issue::is_error)
}
