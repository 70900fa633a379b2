//! An `OperationOutcome` from issues.
//!
//! Not here: HTTP status codes, and which issues there are.

use fhir_types::codes::{IssueSeverity, IssueType};
use fhir_types::resources::{OperationOutcome, OperationOutcomeIssue};
use fhir_types::types::{CodeableConcept, Coding};
use fhir_types::write_outcome;

use super::{RenderError, list};
use crate::fhir::issue::{Issue, IssueCode, Severity};

/// Sent should an outcome ever not be writable, which needs a date in it, and there is none.
const UNWRITABLE: &str = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception"}]}"#;

/// The outcome of a request: `issues`, or "All OK" when there are none. Its id is the id of the request.
#[must_use]
pub fn render(issues: &[Issue], request_id: &str) -> Vec<u8> {
    write(issues, request_id).unwrap_or_else(|_| UNWRITABLE.to_owned()).into_bytes()
}

/// As [`render`], for an entry of a bundle.
pub(super) fn write(issues: &[Issue], id: &str) -> Result<String, RenderError> {
    Ok(write_outcome(&build(issues, id)?)?)
}

/// As [`render`], for a place where a typed resource stands.
pub(super) fn build(issues: &[Issue], id: &str) -> Result<OperationOutcome, RenderError> {
    let all_ok = [Issue::information(IssueCode::Informational, "All OK")];
    let issues = if issues.is_empty() { &all_ok } else { issues };
    let entries: Result<Vec<OperationOutcomeIssue>, RenderError> = issues.iter().map(entry).collect();
    let mut outcome = OperationOutcome::builder().issue(list(entries?)).build()?;
    outcome.id = Some(id.to_owned()).filter(|id| is_id(id));
    Ok(outcome)
}

/// The text stands in `details.text` and in `diagnostics`: clients show one or the other.
fn entry(issue: &Issue) -> Result<OperationOutcomeIssue, RenderError> {
    let mut details = CodeableConcept::builder().text(issue.diagnostics.clone()).build()?;
    if let Some(coding) = &issue.details {
        let mut typed = Coding::builder().system(coding.system.clone()).code(coding.code.clone()).build()?;
        typed.display.clone_from(&coding.display);
        details.coding = list([typed]);
    }
    let mut entry = OperationOutcomeIssue::builder()
        .severity(severity(issue.severity))
        .code(issue_type(issue.code))
        .details(details)
        .diagnostics(issue.diagnostics.clone())
        .build()?;
    entry.expression = list(issue.expression.iter().cloned());
    Ok(entry)
}

/// FHIR R4 datatypes, `id`.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

const fn severity(severity: Severity) -> IssueSeverity {
    match severity {
        Severity::Fatal => IssueSeverity::Fatal,
        Severity::Error => IssueSeverity::Error,
        Severity::Warning => IssueSeverity::Warning,
        Severity::Information => IssueSeverity::Information,
    }
}

const fn issue_type(code: IssueCode) -> IssueType {
    match code {
        IssueCode::BusinessRule => IssueType::BusinessRule,
        IssueCode::CodeInvalid => IssueType::CodeInvalid,
        IssueCode::Conflict => IssueType::Conflict,
        IssueCode::Deleted => IssueType::Deleted,
        IssueCode::Duplicate => IssueType::Duplicate,
        IssueCode::Exception => IssueType::Exception,
        IssueCode::Extension => IssueType::Extension,
        IssueCode::Forbidden => IssueType::Forbidden,
        IssueCode::Incomplete => IssueType::Incomplete,
        IssueCode::Informational => IssueType::Informational,
        IssueCode::Invalid => IssueType::Invalid,
        IssueCode::Invariant => IssueType::Invariant,
        IssueCode::Login => IssueType::Login,
        IssueCode::MultipleMatches => IssueType::MultipleMatches,
        IssueCode::NotFound => IssueType::NotFound,
        IssueCode::NotSupported => IssueType::NotSupported,
        IssueCode::Processing => IssueType::Processing,
        IssueCode::Required => IssueType::Required,
        IssueCode::Structure => IssueType::Structure,
        IssueCode::Throttled => IssueType::Throttled,
        IssueCode::Timeout => IssueType::Timeout,
        IssueCode::TooCostly => IssueType::TooCostly,
        IssueCode::TooLong => IssueType::TooLong,
        IssueCode::Transient => IssueType::Transient,
        IssueCode::Value => IssueType::Value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "5e8b2c1a-0000-4000-8000-000000000001";

    fn text(issues: &[Issue]) -> String {
        String::from_utf8(render(issues, REQUEST)).expect("UTF-8")
    }

    #[test]
    fn an_issue_is_written_with_all_its_parts() {
        let issue = Issue::error(IssueCode::Invariant, "The profile is not met.")
            .coded("https://idi-match.example/CodeSystem/match-outcome", "profile-not-met")
            .at("Patient.name[0]")
            .at("Patient.birthDate");
        assert_eq!(
            text(&[issue, Issue::warning(IssueCode::Value, "w")]),
            r#"{"resourceType":"OperationOutcome","id":"5e8b2c1a-0000-4000-8000-000000000001","issue":[{"severity":"error","code":"invariant","details":{"coding":[{"system":"https://idi-match.example/CodeSystem/match-outcome","code":"profile-not-met"}],"text":"The profile is not met."},"diagnostics":"The profile is not met.","expression":["Patient.name[0]","Patient.birthDate"]},{"severity":"warning","code":"value","details":{"text":"w"},"diagnostics":"w"}]}"#
        );
    }

    #[test]
    fn no_issue_is_all_ok() {
        assert!(text(&[]).ends_with(
            r#""issue":[{"severity":"information","code":"informational","details":{"text":"All OK"},"diagnostics":"All OK"}]}"#
        ));
    }

    #[test]
    fn a_request_id_that_is_no_fhir_id_is_left_out() {
        for (id, kept) in [(REQUEST, true), ("", false), ("a b", false), ("a\"b", false), (&"x".repeat(65), false)] {
            let value: serde_json::Value = serde_json::from_slice(&render(&[], id)).expect("JSON");
            assert_eq!(value["id"].as_str(), kept.then_some(id), "{id}");
        }
    }

    #[test]
    fn every_code_keeps_its_name() {
        let codes = [
            IssueCode::BusinessRule,
            IssueCode::CodeInvalid,
            IssueCode::Conflict,
            IssueCode::Deleted,
            IssueCode::Duplicate,
            IssueCode::Exception,
            IssueCode::Extension,
            IssueCode::Forbidden,
            IssueCode::Incomplete,
            IssueCode::Informational,
            IssueCode::Invalid,
            IssueCode::Invariant,
            IssueCode::Login,
            IssueCode::MultipleMatches,
            IssueCode::NotFound,
            IssueCode::NotSupported,
            IssueCode::Processing,
            IssueCode::Required,
            IssueCode::Structure,
            IssueCode::Throttled,
            IssueCode::Timeout,
            IssueCode::TooCostly,
            IssueCode::TooLong,
            IssueCode::Transient,
            IssueCode::Value,
        ];
        for code in codes {
            assert_eq!(issue_type(code).as_ref(), code.code());
        }
        for severity in [Severity::Fatal, Severity::Error, Severity::Warning, Severity::Information] {
            assert_eq!(super::severity(severity).as_ref(), severity.code());
        }
    }
}
