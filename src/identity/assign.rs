//! Where an arriving record goes: into an identity, into one of its own, or into its own with a person asked.
//!
//! Merging two people is the worst error, and relatives and twins are where it happens: a record joins only where the
//! posterior is beyond doubt, nothing conflicts, and no other identity is close. Not here: constraints of stewards.

use crate::matching::grade::MatchGrade;
use crate::matching::index::Proposal;
use crate::matching::model::Model;
use crate::matching::pool::IdentityMatch;

/// What becomes of an arriving record.
#[derive(Debug, Clone, PartialEq)]
pub enum Assignment {
    Join {
        identity_id: String,
        probability: f64,
    },
    /// The record gets, or keeps, an identity of its own.
    New,
    /// The same, and a person is asked whether it belongs to the identity named.
    Review {
        identity_id: String,
        probability: f64,
    },
}

/// Decides for a record that was proposed as `proposal`; `current_identity` is where it is now, if it is stored.
#[must_use]
pub fn assign(proposal: &Proposal, current_identity: Option<&str>, model: &Model) -> Assignment {
    let Some(best) = likeliest(proposal, current_identity) else { return Assignment::New };
    let (identity_id, probability) = (best.identity_id.clone(), best.posterior);
    if probability >= model.thresholds().join && !is_doubtful(best, proposal) {
        return Assignment::Join { identity_id, probability };
    }
    if probability >= model.thresholds().review {
        return Assignment::Review { identity_id, probability };
    }
    Assignment::New
}

/// The most likely identity; where it is now wins among equals.
fn likeliest<'p>(proposal: &'p Proposal, current_identity: Option<&str>) -> Option<&'p IdentityMatch> {
    let is_current = |identity: &IdentityMatch| Some(identity.identity_id.as_str()) == current_identity;
    proposal.identities.iter().reduce(|best, identity| {
        let order = identity.posterior.total_cmp(&best.posterior).then(is_current(identity).cmp(&is_current(best)));
        if order.is_gt() { identity } else { best }
    })
}

/// Something conflicts, candidates were cut, or a second identity is close.
fn is_doubtful(best: &IdentityMatch, proposal: &Proposal) -> bool {
    let second = proposal.identities.iter().any(|other| {
        other.identity_id != best.identity_id && other.posterior > 1.0 - best.posterior && other.grade == MatchGrade::Certain
    });
    !best.capped_by.is_empty() || second
}
