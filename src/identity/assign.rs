//! When records belong together: the rules that clustering asks for the pooled evidence of two clusters.
//!
//! Merging two people is the worst error, and relatives, twins and namesakes are where it happens: two records join only
//! where the probability is beyond doubt, nothing is contradicted (see `matching::grade`), and a row of the guide's table
//! holds that says more than name and birth date, or two attributes beside a misspelt name agree and the probability is
//! higher still. Whatever else is likely is for a person to decide. Not here: which clusters are asked about, and
//! constraints of stewards (see `partition`).

use crate::matching::grade::{Conflict, Contradiction};
use crate::matching::judgement::Judgement;
use crate::matching::model::Thresholds;
use crate::matching::pool::{Attribute, AttributeResult};

/// The population that decisions about identities reckon with, whatever is stored at the moment: the prior must not
/// depend on how far a load has come, or the partition would depend on the order of arrival. A register of fewer people
/// is taken as one of a million, because that is the cautious side; beyond it the rows of the guide's table, which every
/// join needs, do not depend on the prior.
pub const DECISION_POPULATION: usize = 1_000_000;

/// The score of a row from which records join: more than name and birth date agrees, or an identifier.
const ENTRY_SCORE_MIN: f64 = 0.70;

/// Where no row vouches, the probability has to do it alone, and has to be higher.
const PROBABILITY_WITHOUT_ROW_MIN: f64 = 0.999;

/// Whether the evidence makes one person of both sides.
#[must_use]
pub fn joins(evidence: &Judgement, thresholds: &Thresholds) -> bool {
    let graded = &evidence.graded;
    let by_row = graded.row.is_some() && graded.score >= ENTRY_SCORE_MIN;
    evidence.probability >= thresholds.join
        && graded.contradiction == Contradiction::Absent
        && (by_row || is_corroborated(evidence))
}

/// Whether a person should look at it.
#[must_use]
pub fn is_doubtful(evidence: &Judgement, thresholds: &Thresholds) -> bool {
    evidence.probability >= thresholds.review
}

/// What a household shares.
const SHARED: [Attribute; 3] = [Attribute::Address, Attribute::Phone, Attribute::Member];
/// What one person has; the last four digits are enough.
const OWN: [Attribute; 4] =
    [Attribute::Email, Attribute::SocialSecurity, Attribute::MedicalRecord, Attribute::Identifier];

/// No row holds, because a name or the birth date was written differently: beyond every doubt, and carried by two
/// others that agree. The given name must at least nearly agree: an initial, or another name, may be a twin's. A birth
/// date that only nearly agrees may be that of a namesake in the household, whom only something of his own tells apart.
fn is_corroborated(evidence: &Judgement) -> bool {
    let count = |attributes: &[Attribute]| attributes.iter().filter(|a| agrees(evidence, **a)).count();
    let (shared, own) = (count(&SHARED), count(&OWN));
    let is_born_alike = match evidence.result(Attribute::BirthDate) {
        AttributeResult::Exact => true,
        AttributeResult::Close | AttributeResult::Partial => own > 0,
        AttributeResult::Conflict | AttributeResult::Absent => false,
    };
    evidence.probability >= PROBABILITY_WITHOUT_ROW_MIN
        && matches!(evidence.result(Attribute::Given), AttributeResult::Exact | AttributeResult::Close)
        && is_born_alike
        && shared + own >= 2
}

fn agrees(evidence: &Judgement, attribute: Attribute) -> bool {
    let is_last_four = attribute == Attribute::SocialSecurity;
    match evidence.result(attribute) {
        AttributeResult::Exact => true,
        AttributeResult::Partial => is_last_four,
        _ => false,
    }
}

/// Whether a record that was in an identity before it was updated stays there: a new address and phone are no reason to
/// leave, nor is a short form of its name.
#[must_use]
pub fn stays(evidence: &Judgement, thresholds: &Thresholds) -> bool {
    evidence.probability >= thresholds.join
        && evidence.graded.capped_by.iter().all(|conflict| *conflict == Conflict::ShortForm)
        && is_named(evidence)
        && is_anchored(evidence)
}

/// The given name agrees or nearly does, or an identifier that names one person does: an initial may be a twin's.
fn is_named(evidence: &Judgement) -> bool {
    let personal = [Attribute::MedicalRecord, Attribute::Identifier, Attribute::SocialSecurity];
    matches!(evidence.result(Attribute::Given), AttributeResult::Exact | AttributeResult::Close)
        || personal.into_iter().any(|attribute| evidence.result(attribute) == AttributeResult::Exact)
}

/// Something beside names and nearly a birth date agrees: strangers who share those exist in every large population.
/// The whole birth date is enough only where the surname does not differ.
fn is_anchored(evidence: &Judgement) -> bool {
    let birth_date = evidence.result(Attribute::BirthDate) == AttributeResult::Exact
        && evidence.result(Attribute::Family) != AttributeResult::Conflict;
    birth_date || SHARED.into_iter().chain(OWN).any(|attribute| agrees(evidence, attribute))
}
