//! From what was found to what is returned: `onlySingleMatch`, `onlyCertainMatches`, `count`, and what must be said.
//!
//! IG Patient Matching, operation parameters. Pure: no IO. Not here: grades (see `matching::grade`).

use std::collections::HashMap;

use crate::config::Match;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::match_parameters::MatchParameters;
use crate::matching::combination::Outcome;
use crate::matching::pool::{Decision, IdentityMatch, NameDistance};

use super::answer::CombinationNote;
use super::assured_match::{Assured, unverified_remark};
use super::golden::Golden;
use super::match_patient::{Found, MatchOperation, is_certain};
use super::rule_book::{CombinationNotes, Decider};
use super::steward::state::Stewardship;

/// Why nothing, or not everything, is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `onlySingleMatch`: several identities are close.
    Ambiguous,
    /// `onlySingleMatch`: the only likely identity is not certain enough.
    NotCertain,
    /// Combinations hold for several identities.
    SeveralCombined,
    /// The request lacks the fields of every combination.
    FieldsMissing,
    /// More candidate records than are compared.
    CandidatesCut,
    /// More identities than are returned.
    IdentitiesCut,
    /// More records of one identity than are returned.
    RecordsCut,
    /// An identity has too much for a golden record.
    GoldenCut,
}

impl Reason {
    fn remark(self) -> Issue {
        match self {
            Self::Ambiguous => Issue::information(
                IssueCode::MultipleMatches,
                "Several identities are close; none is returned (onlySingleMatch).",
            ),
            Self::NotCertain => Issue::information(
                IssueCode::Informational,
                "No identity matches with high confidence; none is returned (onlySingleMatch).",
            ),
            Self::SeveralCombined => Issue::information(
                IssueCode::MultipleMatches,
                "Combinations of the rule-book hold for several identities; none of them is certain.",
            ),
            Self::FieldsMissing => Issue::information(
                IssueCode::Informational,
                "The request lacks the fields of every combination of the rule-book.",
            ),
            Self::CandidatesCut => Issue::warning(
                IssueCode::Incomplete,
                "More stored records share features with the request than are compared; a match may be missing.",
            ),
            Self::IdentitiesCut => {
                Issue::warning(IssueCode::Incomplete, "More identities match than are returned; the best ones are.")
            }
            Self::RecordsCut => Issue::warning(
                IssueCode::Incomplete,
                "An identity has more records than are returned; the best ones are.",
            ),
            Self::GoldenCut => Issue::warning(
                IssueCode::Incomplete,
                "The records of an identity have more bytes than a golden record is made of; it is left out.",
            ),
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "multiple-matches",
            Self::NotCertain => "not-certain",
            Self::SeveralCombined => "several-combined",
            Self::FieldsMissing => "fields-missing",
            Self::CandidatesCut => "candidates-cut",
            Self::IdentitiesCut => "identities-cut",
            Self::RecordsCut => "records-cut",
            Self::GoldenCut => "golden-cut",
        }
    }
}

/// What is returned.
pub struct Selection {
    /// Best first; records beyond the limits are cut.
    pub identities: Vec<IdentityMatch>,
    /// What stewards have said of identities, by their ids; filled once it is known which are returned.
    pub stewardship: HashMap<String, Stewardship>,
    /// Records of the identities that another one has replaced, with that one.
    pub replaced: Vec<(String, String)>,
    /// Golden records of what is returned, where they are wanted.
    pub golden: Vec<Golden>,
    /// Id and stored body of each record; filled once it is known which are returned.
    pub bodies: Vec<(String, String)>,
    pub candidates: usize,
    pub reasons: Vec<Reason>,
    /// What the CMS combinations say, where they were asked.
    pub notes: Option<CombinationNotes>,
    /// Records that were not verified as the policy wants it.
    pub unverified: usize,
    /// What the store says of the one identity, where the policy asks.
    pub assured: Option<Assured>,
}

impl Selection {
    /// What the answer must say about the search; "No Match Found" first.
    #[must_use]
    pub fn remarks(&self) -> Vec<Issue> {
        let none = self.identities.is_empty().then(|| Issue::information(IssueCode::NotFound, "No Match Found"));
        let reasons = self.reasons.iter().map(|reason| reason.remark());
        none.into_iter().chain(reasons).chain(unverified_remark(self.unverified)).collect()
    }

    /// Leaves the best records, of which there is room for so many.
    pub fn cut(&mut self, records_max: usize) {
        let before = (self.identities.len(), self.records());
        cap_entries(&mut self.identities, records_max);
        let reason = match (self.identities.len(), self.records()) {
            after if after == before => return,
            (identities, _) if identities < before.0 => Reason::IdentitiesCut,
            _ => Reason::RecordsCut,
        };
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Leaves nobody.
    pub fn clear(&mut self) {
        self.identities.clear();
        self.golden.clear();
        self.bodies.clear();
    }

    /// The ids of the records.
    pub fn record_ids(&self) -> impl Iterator<Item = &str> {
        self.identities.iter().flat_map(|identity| &identity.records).map(|record| record.record_id.as_str())
    }

    /// Leaves the records of these ids, and the identities that have some.
    pub fn retain_records(&mut self, is_kept: impl Fn(&str) -> bool) {
        for identity in &mut self.identities {
            identity.records.retain(|record| is_kept(&record.record_id));
        }
        self.identities.retain(|identity| !identity.records.is_empty());
        self.bodies.retain(|(id, _)| is_kept(id));
        let identities = &self.identities;
        self.golden.retain(|golden| identities.iter().any(|identity| identity.identity_id == golden.identity_id));
    }

    fn records(&self) -> usize {
        self.identities.iter().map(|identity| identity.records.len()).sum()
    }

    /// What the CMS combinations say of an identity.
    #[must_use]
    pub fn note(&self, identity_id: &str) -> Option<&CombinationNote> {
        self.notes.as_ref().and_then(|notes| notes.of(identity_id))
    }

    /// The reason for the audit.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.reasons.first().map(|reason| reason.code())
    }
}

/// Applies the caller's options and the configured limits.
#[must_use]
pub fn select(found: Found, asked: &MatchParameters<'_>, operation: MatchOperation, limits: &Match) -> Selection {
    let mut reasons = Vec::new();
    if found.is_truncated {
        reasons.push(Reason::CandidatesCut);
    }
    let decider = found.decider;
    reasons.extend(why_not_combined(decider));
    let mut identities = found.identities;
    // What the combinations hold for is returned; what the guide finds, from a row or a probability on.
    identities.retain(|identity| decider != Decider::Guide || is_returned(identity, limits));
    if asked.only_single_match {
        reasons.extend(why_not_single(&identities, found.is_truncated));
        let is_single =
            identities.first().is_some_and(is_high_confidence) && !hides_a_second(&identities, found.is_truncated);
        identities.truncate(usize::from(is_single));
    }
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
        reasons.push(Reason::IdentitiesCut);
    }
    for identity in &mut identities {
        if identity.records.len() > limits.records_per_identity_max {
            identity.records.truncate(limits.records_per_identity_max);
            reasons.push(Reason::RecordsCut);
        }
    }
    if operation == MatchOperation::Match
        && let Some(count) = asked.count
    {
        cap_entries(&mut identities, count);
    }
    reasons.dedup();
    Selection {
        identities,
        stewardship: HashMap::new(),
        replaced: Vec::new(),
        golden: Vec::new(),
        bodies: Vec::new(),
        candidates: found.candidates,
        reasons,
        notes: found.notes,
        unverified: 0,
        assured: None,
    }
}

const fn why_not_combined(decider: Decider) -> Option<Reason> {
    match decider {
        Decider::Combinations(Outcome::Ambiguous) => Some(Reason::SeveralCombined),
        Decider::Combinations(Outcome::InsufficientFields) => Some(Reason::FieldsMissing),
        Decider::Combinations(Outcome::Match | Outcome::NoMatch) | Decider::Guide => None,
    }
}

fn is_high_confidence(identity: &IdentityMatch) -> bool {
    identity.decision == Decision::HighConfidence
}

/// A search that was cut may hide a second identity as close, unless an identifier settles it.
fn hides_a_second(identities: &[IdentityMatch], is_truncated: bool) -> bool {
    is_truncated && identities.first().is_none_or(|first| first.score < SETTLED_SCORE)
}

/// The score of the rows that rest on an identifier (IG Patient Matching, scoring table).
const SETTLED_SCORE: f64 = 0.99;

/// Why `onlySingleMatch` returns nothing although something is likely.
fn why_not_single(identities: &[IdentityMatch], is_truncated: bool) -> Option<Reason> {
    match identities.len() {
        0 => None,
        _ if hides_a_second(identities, is_truncated) => Some(Reason::Ambiguous),
        _ if identities.first().is_some_and(is_high_confidence) => None,
        1 => Some(Reason::NotCertain),
        _ => Some(Reason::Ambiguous),
    }
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
