//! When records belong together: the rules that clustering asks for the pooled evidence of two clusters.
//!
//! Merging two people is the worst error, and relatives, twins and namesakes are where it happens. Two clusters join when the
//! probability that they are one person is [`JOIN_PROBABILITY_MIN`] or more, families and twins being among the other
//! explanations. A probability is only as good as what it knows, so some things are asked for beside it:
//!
//! | never joined | because |
//! |---|---|
//! | names of twins, other suffixes, other social security numbers, imitated letters, relatives at one in twenty | that is how two people of one family, or a forger, differ |
//! | another birth sex, another issued identifier of one issuer | people keep them |
//! | nothing agrees beside names and birth date | strangers who share those exist in every large population |
//! | a generation apart in years, the same given name, and nothing but what households share | parent and child |
//! | an initial, another sex or none, and nothing but what households share | a twin's |
//! | neither surname nor birth date agrees, and one thing beside | a shared phone or address book |
//!
//! Whatever else is likely is for a person to decide. Not here: which clusters are asked about, and constraints of
//! stewards (see `partition`).

use crate::matching::comparison::{Evidence, Level};
use crate::matching::grade::Conflict;
use crate::matching::judgement::Judgement;
use crate::matching::model::Thresholds;
use crate::matching::pool::{Attribute, AttributeResult};

/// The population that decisions about identities reckon with, whatever is stored at the moment: the prior must not
/// depend on how far a load has come, or the partition would depend on the order of arrival. A register of fewer people
/// is taken as one of a million, which is the cautious side; one of ten million adds 3.3 bits of doubt, which the demand
/// for an agreement beside names and birth date outweighs.
pub const DECISION_POPULATION: usize = 1_000_000;

/// From this probability on records join: the same at which evaluations count a match.
pub const JOIN_PROBABILITY_MIN: f64 = 0.95;

/// What no probability outweighs.
const FORBIDDING: [Conflict; 5] =
    [Conflict::TwinNames, Conflict::Suffix, Conflict::SocialSecurity, Conflict::ImitatedLetters, Conflict::Relatives];

/// Whether the evidence makes one person of both sides.
#[must_use]
pub fn joins(evidence: &Judgement) -> bool {
    evidence.probability >= JOIN_PROBABILITY_MIN && !is_forbidden(evidence) && is_supported(evidence)
}

fn is_forbidden(evidence: &Judgement) -> bool {
    let has = |flag| evidence.pair.evidence.has(flag);
    evidence.graded.capped_by.iter().any(|conflict| FORBIDDING.contains(conflict))
        || has(Evidence::BIRTH_SEX_CONFLICT)
        || has(Evidence::IDENTIFIER_CONFLICT)
}

/// What agrees beside names and birth date is enough for how names and birth date agree.
fn is_supported(evidence: &Judgement) -> bool {
    let level = |attribute| evidence.pair.level(attribute);
    let own = OWN.into_iter().filter(|attribute| nearly_agrees(evidence, *attribute)).count();
    let others = SHARED.into_iter().chain([Attribute::Middle]).filter(|attribute| nearly_agrees(evidence, *attribute));
    let support = own + others.count();
    let given = level(Attribute::Given);
    let is_parent = given == Level::Exact && evidence.pair.evidence.has(Evidence::GENERATION_APART);
    let is_initial = given == Level::Initial && !evidence.pair.evidence.has(Evidence::SEX);
    let is_stranger = matches!(level(Attribute::Family), Level::Conflict | Level::Changed)
        && evidence.result(Attribute::BirthDate) != AttributeResult::Exact;
    let support_min = if is_stranger { 2 } else { 1 };
    support >= support_min && (own > 0 || !(is_parent || is_initial))
}

/// Exactly or but for an error; of an address the postal code is enough, of a number a part of it.
fn nearly_agrees(evidence: &Judgement, attribute: Attribute) -> bool {
    match (attribute, evidence.result(attribute)) {
        (_, AttributeResult::Exact | AttributeResult::Close) => true,
        (Attribute::Address, _) => {
            matches!(evidence.pair.level(attribute), Level::Unit | Level::Zip | Level::ZipOnly)
        }
        (Attribute::SocialSecurity | Attribute::Member | Attribute::Middle, result) => {
            result == AttributeResult::Partial
        }
        _ => false,
    }
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
