//! What a match found, ready to be written: plain data.
//!
//! Not here: how it was found, and how it looks on the wire (see `match_bundle`).

use std::borrow::Cow;

use crate::fhir::issue::{Issue, IssueCode};

/// A code known to the program or read from a model.
pub type Code = Cow<'static, str>;

/// The answer to one request to match.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchAnswer {
    /// Fresh for each answer.
    pub bundle_uuid: String,
    /// FHIR instant.
    pub timestamp: String,
    /// The URL that was asked.
    pub self_link: String,
    /// Best identity first, the records of one identity together.
    pub patients: Vec<PatientEntry>,
    /// One `OperationOutcome` each: weight breakdown, ambiguity, truncation, warnings. "No Match Found" is added by the
    /// rendering when there is no Patient and nothing here says why.
    pub outcomes: Vec<Vec<Issue>>,
}

/// One record of a matched identity.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientEntry {
    pub record_id: String,
    /// The Patient as it may leave (see `fhir::us_core`).
    pub body: String,
    /// Between 0 and 1; the grade's score (IG Patient Matching, scoring table).
    pub score: f64,
    /// `certain`, `probable`, `possible` or `certainly-not`.
    pub grade: Code,
    /// The row of the table that the grade rests on.
    pub row: Option<Code>,
    /// By the matching model, between 0 and 1; for callers with the right to probabilities.
    pub probability: Option<f64>,
    /// `(attribute, result)`: `exact`, `close`, `partial`, `conflict` or `absent`.
    pub attributes: Vec<(Code, Code)>,
    /// Whether a person has confirmed the identity.
    pub stewardship: Code,
    /// What the CMS combinations say of the identity, where they were asked.
    pub combination: Option<CombinationNote>,
}

/// What the CMS combinations say of one identity.
#[derive(Debug, Clone, PartialEq)]
pub struct CombinationNote {
    /// Of the request: `match`, `no-match`, `ambiguous` or `insufficient-fields`.
    pub outcome: &'static str,
    /// Of this identity: `matched`, `suffix-veto`, `other-twin`, `household` or `unmatched`.
    pub verdict: &'static str,
    /// The combination that holds (or would, but for a suffix or a twin), or the household row.
    pub rule: Option<String>,
    /// The probability that two strangers agree so.
    pub collision: Option<f64>,
    /// Fields of the combination that are equal.
    pub exact: Vec<&'static str>,
    /// Fields of the combination that are nearly equal.
    pub fuzzy: Vec<&'static str>,
    /// The guide's grade, whichever rule-book decides.
    pub idi_grade: &'static str,
    /// What caps that grade.
    pub idi_conflicts: Vec<&'static str>,
}

impl CombinationNote {
    /// Whether a combination holds for the identity.
    #[must_use]
    pub fn is_match(&self) -> bool {
        self.verdict == "matched"
    }
}

/// Nobody, or nobody who may be shown: the two must not be told apart.
#[must_use]
pub fn no_match_found() -> Issue {
    Issue::information(IssueCode::NotFound, "No Match Found")
}

/// More than one identity fits under `onlySingleMatch`.
#[must_use]
pub fn ambiguous() -> Issue {
    Issue::information(IssueCode::MultipleMatches, "More than one identity fits too closely to return a single one")
}

/// How the answer is wrapped on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerShape {
    /// `$idi-match`: Parameters with `IDIMatchBundle`.
    Parameters,
    /// `$idi-match`: the Bundle itself.
    Bundle,
    /// `$match`: a bare searchset of Patients.
    BaseBundle,
}
