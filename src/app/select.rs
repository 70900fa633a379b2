//! From what was found to what is returned: `onlySingleMatch`, `onlyCertainMatches`, `count`, and what must be said.
//!
//! IG Patient Matching, operation parameters. Pure: no IO. Not here: grades (see `matching::grade`).

use crate::config::Match;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::match_parameters::MatchParameters;
use crate::matching::pool::{Decision, IdentityMatch, NameDistance};

use super::match_patient::{Found, MatchOperation, is_certain, remark};

/// Why nothing, or not everything, is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `onlySingleMatch`: no identity stands out with high confidence.
    Ambiguous,
    /// More identities, records or candidates than the limits allow.
    Truncated,
}

/// What is returned.
pub struct Selection {
    /// Best first; records beyond the limits are cut.
    pub identities: Vec<IdentityMatch>,
    pub bodies: Vec<(String, String)>,
    pub candidates: usize,
    pub reasons: Vec<Reason>,
}

impl Selection {
    /// What the answer must say beside the entries.
    #[must_use]
    pub fn remarks(&self) -> Vec<Issue> {
        let mut remarks: Vec<Issue> = self
            .reasons
            .iter()
            .map(|reason| match reason {
                Reason::Ambiguous => remark(
                    IssueCode::MultipleMatches,
                    "No single identity matches with high confidence; none is returned (onlySingleMatch).",
                ),
                Reason::Truncated => Issue::warning(
                    IssueCode::Incomplete,
                    "The search was cut short by a limit; more records may match.",
                ),
            })
            .collect();
        if self.identities.is_empty() {
            remarks.push(remark(IssueCode::NotFound, "No Match Found"));
        }
        remarks
    }

    /// The reason for the audit.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.reasons.first().map(|reason| match reason {
            Reason::Ambiguous => "multiple-matches",
            Reason::Truncated => "incomplete",
        })
    }
}

/// Applies the caller's options and the configured limits.
#[must_use]
pub fn select(found: Found, asked: &MatchParameters<'_>, operation: MatchOperation, limits: &Match) -> Selection {
    let mut reasons = Vec::new();
    if found.is_truncated {
        reasons.push(Reason::Truncated);
    }
    let mut identities = found.identities;
    if asked.only_single_match {
        let is_single = identities.first().is_some_and(|first| first.decision == Decision::HighConfidence);
        let any = identities.iter().any(|identity| is_returned(identity, limits));
        identities.truncate(usize::from(is_single));
        if !is_single && any {
            reasons.push(Reason::Ambiguous);
        }
    }
    identities.retain(|identity| is_returned(identity, limits));
    if asked.only_certain_matches {
        identities.retain(|identity| is_certain(identity) && identity.name_distance == NameDistance::WithinTwoEdits);
    }
    if operation == MatchOperation::IdiMatch
        && let Some(count) = asked.count
    {
        identities.truncate(count);
    }
    if identities.len() > limits.identities_max {
        identities.truncate(limits.identities_max);
        reasons.push(Reason::Truncated);
    }
    for identity in &mut identities {
        if identity.records.len() > limits.records_per_identity_max {
            identity.records.truncate(limits.records_per_identity_max);
            reasons.push(Reason::Truncated);
        }
    }
    if operation == MatchOperation::Match
        && let Some(count) = asked.count
    {
        cap_entries(&mut identities, count);
    }
    reasons.dedup();
    Selection { identities, bodies: found.bodies, candidates: found.candidates, reasons }
}

/// A row of the table holds, or the probability reaches the configured one (IG: below .60 "possible or not returned").
fn is_returned(identity: &IdentityMatch, limits: &Match) -> bool {
    identity.row.is_some() || identity.probability >= limits.probability_min
}

/// Base `$match`: `count` caps Patient entries, not identities (FHIR R4 Patient-match).
fn cap_entries(identities: &mut Vec<IdentityMatch>, count: usize) {
    let mut left = count;
    for identity in identities.iter_mut() {
        identity.records.truncate(left);
        left -= identity.records.len();
    }
    identities.retain(|identity| !identity.records.is_empty());
}
