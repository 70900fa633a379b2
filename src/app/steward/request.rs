//! The input of a steward's operation: Parameters in, a decision made (or previewed) and told.
//!
//! `$merge` has the shape of FHIR R5 Patient-merge: each record is given by reference or by identifiers that one record
//! alone has. Every operation needs a reason. Not here: what a decision does (see the parent), the answer's JSON (see
//! `http::render`).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::parse;
use crate::fhir::operation_parameters::{Definition, Identifier, Kind, Occurs, OperationParameters};

use super::{Asked, Decided, Verdict, check_steward};
use crate::app::App;
use crate::app::conditional::{Criteria, find_match};
use crate::app::context::Context;
use crate::app::error::{AppError, ErrorKind};
use crate::app::incoming::{ResourceKind, check_id};
use crate::app::search::link::link;
use crate::app::writer::Ending;

/// What a steward may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Merge,
    Unmerge,
    Link,
    Unlink,
    Split,
    Decide,
    Revoke,
}

const fn known(name: &'static str, kind: Kind, occurs: Occurs) -> Definition {
    Definition { name, kind, occurs }
}

const REASON: Definition = known("reason", Kind::Text, Occurs::Once);
const PREVIEW: Definition = known("preview", Kind::Boolean, Occurs::AtMostOnce);
const SOURCE: &str = "source-patient";
const TARGET: &str = "target-patient";
const RESULT_REFUSED: &str = "The surviving Patient is not taken with a merge; update it before or afterwards.";
const MERGE: &[Definition] = &[
    known(SOURCE, Kind::Patient, Occurs::AtMostOnce),
    known("source-patient-identifier", Kind::Identifier, Occurs::Often),
    known(TARGET, Kind::Patient, Occurs::AtMostOnce),
    known("target-patient-identifier", Kind::Identifier, Occurs::Often),
    known("result-patient", Kind::Refused(RESULT_REFUSED), Occurs::AtMostOnce),
    PREVIEW,
    REASON,
];
const UNMERGE: &[Definition] = &[known(SOURCE, Kind::Patient, Occurs::Once), PREVIEW, REASON];
const PAIR: &[Definition] = &[
    known("patient", Kind::Patient, Occurs::Once),
    known("other-patient", Kind::Patient, Occurs::Once),
    PREVIEW,
    REASON,
];
const SPLIT: &[Definition] = &[
    known("identity", Kind::Id, Occurs::Once),
    known("group", Kind::Patients("patient"), Occurs::Often),
    PREVIEW,
    REASON,
];
const DECIDE: &[Definition] = &[
    known("patient", Kind::Patient, Occurs::Once),
    known("identity", Kind::Id, Occurs::Once),
    known("verdict", Kind::Code(&Verdict::CODES), Occurs::Once),
    PREVIEW,
    REASON,
];
const REVOKE: &[Definition] = &[known("decision", Kind::Id, Occurs::Once), PREVIEW, REASON];

impl Operation {
    pub const ALL: [Self; 7] =
        [Self::Merge, Self::Unmerge, Self::Link, Self::Unlink, Self::Split, Self::Decide, Self::Revoke];

    /// The name in addresses, without its `$`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Unmerge => "unmerge",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::Split => "split",
            Self::Decide => "decide",
            Self::Revoke => "revoke",
        }
    }

    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Merge => Action::Merge,
            Self::Unmerge => Action::Unmerge,
            Self::Link => Action::Link,
            Self::Unlink => Action::Unlink,
            Self::Split => Action::Split,
            Self::Decide => Action::Decide,
            Self::Revoke => Action::Revoke,
        }
    }

    const fn parameters(self) -> &'static [Definition] {
        match self {
            Self::Merge => MERGE,
            Self::Unmerge => UNMERGE,
            Self::Link | Self::Unlink => PAIR,
            Self::Split => SPLIT,
            Self::Decide => DECIDE,
            Self::Revoke => REVOKE,
        }
    }
}

impl Verdict {
    const CODES: [&'static str; 3] = ["same", "different", "defer"];

    fn of(code: &str) -> Option<Self> {
        let at = Self::CODES.iter().position(|known| *known == code)?;
        [Self::Same, Self::Different, Self::Defer].get(at).copied()
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled {
    pub operation: Operation,
    pub ending: Ending,
    pub decided: Decided,
    /// Parameters that were not known.
    pub warnings: Vec<Issue>,
    /// The input as received.
    pub input: String,
}

/// What is asked for, read and with its records found.
enum Wanted {
    Decision(Asked),
    Unmerge(String),
    Revocation(String),
}

impl App {
    /// Does what a steward has asked for.
    ///
    /// # Errors
    /// `Invalid` for what is no input of the operation, and those of [`App::decide`] and [`App::revoke`].
    pub fn rule(&self, ctx: &Context, operation: Operation, body: &[u8]) -> Result<Ruled, AppError> {
        let read = check_steward(ctx).and_then(|()| self.read_operation(operation, body));
        let wanted = read.and_then(|parameters| Ok((self.wanted(ctx, operation, &parameters)?, parameters)));
        let (wanted, parameters) = wanted.map_err(|error| self.refuse(ctx, operation.action(), error))?;
        let reason = parameters.text(REASON.name).unwrap_or_default();
        let ending = if parameters.is_true(PREVIEW.name) { Ending::Undo } else { Ending::Keep };
        let decided = match wanted {
            Wanted::Decision(asked) => self.decide_with(ctx, asked, reason, ending),
            Wanted::Unmerge(source) => self.unmerge_with(ctx, &source, reason, ending),
            Wanted::Revocation(decision_id) => self.revoke_with(ctx, &decision_id, reason, ending),
        }?;
        let input = String::from_utf8_lossy(body).into_owned();
        Ok(Ruled { operation, ending, decided, warnings: parameters.warnings, input })
    }

    fn read_operation(&self, operation: Operation, body: &[u8]) -> Result<OperationParameters, AppError> {
        let document = parse(body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
        let issues = self.rules.profiles.validate_base(&document);
        if any_error(&issues) {
            return Err(AppError::invalid(issues));
        }
        let base_url = &self.config.server.base_url;
        OperationParameters::read(&document, operation.parameters(), base_url).map_err(AppError::invalid)
    }

    fn wanted(
        &self,
        ctx: &Context,
        operation: Operation,
        parameters: &OperationParameters,
    ) -> Result<Wanted, AppError> {
        let id = |name: &str| -> Result<String, AppError> {
            let id = parameters.text(name).unwrap_or_default();
            check_id(id).map(|()| id.to_owned()).map_err(|mut error| {
                error.issues.iter_mut().for_each(|issue| issue.expression = vec![place(name)]);
                error
            })
        };
        let pair = || Ok::<_, AppError>((id("patient")?, id("other-patient")?));
        Ok(match operation {
            Operation::Merge => Wanted::Decision(Asked::Merge {
                source: self.named_record(ctx, parameters, SOURCE)?,
                target: self.named_record(ctx, parameters, TARGET)?,
            }),
            Operation::Unmerge => Wanted::Unmerge(id(SOURCE)?),
            Operation::Link => pair().map(|(a, b)| Wanted::Decision(Asked::Link { a, b }))?,
            Operation::Unlink => pair().map(|(a, b)| Wanted::Decision(Asked::Unlink { a, b }))?,
            Operation::Split => {
                let groups = parameters.lists("group");
                if groups.is_empty() {
                    let text = "The parameter group is missing.";
                    return Err(AppError::invalid(vec![
                        Issue::error(IssueCode::Required, text).at("Parameters.parameter"),
                    ]));
                }
                Wanted::Decision(Asked::Split { identity: id("identity")?, groups })
            }
            Operation::Decide => {
                let verdict = parameters.text("verdict").and_then(Verdict::of).unwrap_or(Verdict::Defer);
                Wanted::Decision(Asked::Review { record: id("patient")?, identity: id("identity")?, verdict })
            }
            Operation::Revoke => Wanted::Revocation(id("decision")?),
        })
    }

    /// The record that a reference or identifiers name (FHIR R5 Patient-merge: a single one, and the same if both do).
    fn named_record(&self, ctx: &Context, parameters: &OperationParameters, name: &str) -> Result<String, AppError> {
        let referred = parameters.text(name);
        let by = format!("{name}-identifier");
        let identifiers = parameters.identifiers(&by);
        let found = match identifiers.as_slice() {
            [] => None,
            identifiers => Some(self.find_by_identifiers(ctx, identifiers, &place(&by))?),
        };
        match (referred, found) {
            (Some(id), None) => Ok(id.to_owned()),
            (Some(id), Some(found)) if id != found => {
                let issue = Issue::error(IssueCode::Invalid, "The identifiers are those of another record.");
                Err(AppError::unprocessable(vec![issue.at(place(&by))]))
            }
            (_, Some(found)) => Ok(found),
            (None, None) => {
                let text = format!("Either {name} or {by} is needed.");
                let issue = Issue::error(IssueCode::Required, text).at("Parameters.parameter");
                Err(AppError::invalid(vec![issue]))
            }
        }
    }

    /// The one record that has all of the identifiers.
    fn find_by_identifiers(&self, ctx: &Context, identifiers: &[Identifier], place: &str) -> Result<String, AppError> {
        let token =
            |one: &Identifier| ("identifier".to_owned(), format!("{}|{}", escaped(&one.system), escaped(&one.value)));
        let query = link("", &identifiers.iter().map(token).collect::<Vec<_>>());
        let query = query.trim_start_matches('?');
        let criteria = Criteria::parse(ctx, &self.config, ResourceKind::Patient, query, place)?;
        let found = find_match(&mut *self.connection()?, ResourceKind::Patient, &criteria);
        let found = found.map_err(|error| match error.kind {
            ErrorKind::PreconditionFailed => AppError::unprocessable(error.issues),
            _ => error,
        })?;
        let none = || {
            let issue = Issue::error(IssueCode::NotFound, "No record has these identifiers.").at(place);
            AppError::new(ErrorKind::NotFound, vec![issue])
        };
        found.map(|found| found.id).ok_or_else(none)
    }
}

fn place(name: &str) -> String {
    format!("Parameters.parameter.where(name='{name}')")
}

/// A value as a search parameter has it (FHIR R4 Search, Escaping Search Parameters).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | ',' | '|' | '$') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
