//! How careful a policy must be at least: what the guide says SHALL, whatever the file says.
//!
//! A file may be stricter, and may relax for named communities what the guide leaves to agreements. Not here: reading it.

use std::collections::BTreeSet;

use super::{Own, Policy, Returns, Served, Subject, Workflow};
use crate::assurance::entity::EntityType;
use crate::assurance::facts::{Consent, Interaction, Profile, Statement};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::assurance::verdict::{Identities, Unverified};

/// Purposes that end with data to a person (HL7 v3 ActReason; TEFCA): Consumer Match always.
const CONSUMER_PURPOSES: [&str; 4] = ["PATRQT", "FAMRQT", "PWATRNY", "T-IAS"];
const CONSUMER_WEIGHT_MIN: u32 = 10;
const AGREED_WEIGHT_MIN: u32 = 9;
/// NIST SP 800-63A by way of the guide: repeated after three years.
const VERIFICATION_YEARS_MAX: u16 = 3;
/// What a profile may assert at most (Guidance on Identity Assurance).
const ASSERTED_MAX: [(Profile, IdentityLevel); 4] = [
    (Profile::Base, IdentityLevel::Idial1_2),
    (Profile::L0, IdentityLevel::Idial1_5),
    (Profile::L1, IdentityLevel::Idial1_8),
    (Profile::L2, IdentityLevel::Idial2),
];

/// Refuses a policy that is not careful enough.
///
/// # Errors
/// The row and the rule.
pub fn check(policy: &Policy) -> Result<(), String> {
    if !(1..=VERIFICATION_YEARS_MAX).contains(&policy.verification_years_max) {
        return Err(format!("verification_years_max: must be from 1 to {VERIFICATION_YEARS_MAX}"));
    }
    for (profile, level) in ASSERTED_MAX {
        if policy.asserted(profile) > level {
            return Err(format!("asserted.{}: must not be above {level}", profile.code()));
        }
    }
    let called: BTreeSet<Statement> =
        policy.workflows.iter().flat_map(|workflow| workflow.statements.iter().copied()).collect();
    if let Some(lost) = Statement::ALL.into_iter().find(|one| one.is_about_user() && !called.contains(one)) {
        return Err(format!("workflows: no workflow is called for by the extension {}", lost.code()));
    }
    policy.own().map_or(Ok(()), check_own)?;
    policy.workflows.iter().try_for_each(|workflow| {
        let refuse = |rule: &str| format!("workflows.{}: {rule}", workflow.name);
        check_workflow(workflow).map_err(refuse)
    })
}

/// A person's own records are for whom a Consumer Match would find.
fn check_own(own: &Own) -> Result<(), String> {
    let is_narrow =
        |interaction: &Interaction| matches!(interaction, Interaction::Read | Interaction::Search | Interaction::Write);
    let rules = [
        (own.identity >= IdentityLevel::Idial1_8, "needs IDIAL1.8 or higher"),
        (own.authentication >= AuthenticationLevel::Aal2, "needs AAL2 or higher"),
        (own.interactions.iter().all(is_narrow), "a person reads, searches and writes, and nothing else"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(format!("own: {rule}")))
}

fn check_workflow(workflow: &Workflow) -> Result<(), &'static str> {
    if workflow.interactions.is_empty() {
        return Err("allows no interaction");
    }
    let is_called = !workflow.purposes.is_empty() || !workflow.statements.is_empty();
    if !is_called && workflow.served != Served::Operator {
        return Err("nothing calls for it: only clients of the operator need no purpose");
    }
    for returns in workflow.relaxed.iter().map(|(_, returns)| returns).chain([&workflow.returns]) {
        check_returns(workflow, returns)?;
    }
    if is_for_consumers(workflow) {
        return check_consumer(workflow);
    }
    let is_agreed = workflow.served != Served::Everybody;
    if is_agreed { Ok(()) } else { check_business(workflow) }
}

fn check_returns(workflow: &Workflow, returns: &Returns) -> Result<(), &'static str> {
    let is_one = returns.identities_max == Some(1);
    let is_high = returns.identities == Identities::HighConfidence;
    if returns.identities_max == Some(0) {
        return Err("identities_max must be 1 or more, or absent");
    }
    if is_high && (!is_one || returns.stored.unverified != Unverified::Withhold) {
        return Err("high confidence means one identity, and none that is not verified");
    }
    if is_for_consumers(workflow) && (!is_high || returns.stored.level < IdentityLevel::Idial1_5) {
        return Err("a Consumer Match returns one identity of high confidence, verified at IDIAL1.5 or higher");
    }
    Ok(())
}

fn is_for_consumers(workflow: &Workflow) -> bool {
    let by_purpose = CONSUMER_PURPOSES.iter().any(|purpose| workflow.purposes.contains(*purpose));
    by_purpose || workflow.statements.iter().any(|statement| statement.is_about_user())
}

/// Consumer Match.
fn check_consumer(workflow: &Workflow) -> Result<(), &'static str> {
    let needs = &workflow.needs;
    let says_user =
        |group: &Vec<Statement>| !group.is_empty() && group.iter().all(|statement| statement.is_about_user());
    let rules = [
        (needs.weight >= CONSUMER_WEIGHT_MIN, "a Consumer Match needs a weight of 10 or more"),
        (needs.profile >= Profile::L1, "a Consumer Match needs the profile IDI-Patient-L1 or higher"),
        (needs.identity >= Some(IdentityLevel::Idial1_8), "a Consumer Match needs IDIAL1.8 or higher"),
        (needs.authentication >= Some(AuthenticationLevel::Aal2), "a Consumer Match needs AAL2 or higher"),
        (needs.consent == Consent::Recorded, "a Consumer Match needs the person's recorded authorization"),
        (needs.subject == Subject::User, "a Consumer Match compares the patient with the user"),
        (needs.statements.iter().any(says_user), "a Consumer Match needs an extension that says who the user is"),
        (
            workflow.interactions.iter().all(|interaction| *interaction == Interaction::Match),
            "a Consumer Match is no right to read, search, write or export",
        ),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(rule))
}

/// Between organisations, without an agreement.
fn check_business(workflow: &Workflow) -> Result<(), &'static str> {
    let needs = &workflow.needs;
    let acts_for_itself =
        |entity: &EntityType| matches!(entity, EntityType::CoveredEntity | EntityType::BusinessAssociate);
    let says_who = |group: &Vec<Statement>| group == &[Statement::B2b];
    let is_narrow = |interaction: &Interaction| matches!(interaction, Interaction::Match | Interaction::Read);
    let rules = [
        (
            !needs.entities.is_empty() && needs.entities.iter().all(acts_for_itself),
            "without an agreement only covered entities and their business associates are served",
        ),
        (needs.statements.iter().any(says_who), "organisations say who they are by the extension hl7-b2b"),
        (needs.weight >= AGREED_WEIGHT_MIN, "needs a weight of 9 or more"),
        (needs.profile >= Profile::L0, "needs the profile IDI-Patient-L0 or higher"),
        (needs.identity >= Some(IdentityLevel::Idial1_5), "needs IDIAL1.5 or higher"),
        (
            workflow.returns.stored.level >= IdentityLevel::Idial1_5,
            "stored persons are told apart at IDIAL1.5 or higher",
        ),
        (workflow.returns.identities >= Identities::Certain, "several graded identities are for agreements (relaxed)"),
        (workflow.returns.identities_max == Some(1), "more than one identity is for agreements (relaxed)"),
        (
            workflow.interactions.iter().all(is_narrow),
            "whatever finds people without a match is for agreements, and so are writing, stewardship and the audit",
        ),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(rule))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shipped() -> Value {
        serde_json::from_str(include_str!("../../../profiles/assurance-policy.json")).expect("JSON")
    }

    fn workflow<'p>(policy: &'p mut Value, name: &str) -> &'p mut Value {
        let rows = policy["workflows"].as_array_mut().expect("rows");
        rows.iter_mut().find(|row| row["name"] == name).expect("a row")
    }

    #[test]
    fn the_shipped_policy_is_careful_enough() {
        Policy::parse(&shipped().to_string()).expect("accepted");
    }

    #[test]
    fn a_policy_that_is_less_careful_than_the_guide_is_refused_by_the_row_and_the_rule() {
        let table = [
            ("consumer", "/needs/weight", json!(9), "weight of 10"),
            ("consumer", "/needs/profile", json!("IDI-Patient-L0"), "IDI-Patient-L1"),
            ("consumer", "/needs/identity", json!("IDIAL1.6"), "IDIAL1.8"),
            ("consumer", "/needs/identity", json!(null), "IDIAL1.8"),
            ("consumer", "/needs/authentication", json!("AAL1"), "AAL2"),
            ("consumer", "/needs/consent", json!("not-needed"), "authorization"),
            ("consumer", "/needs/subject", json!("anybody"), "compares"),
            ("consumer", "/needs/statements", json!([["hl7-b2b"]]), "says who the user is"),
            ("consumer", "/needs/statements", json!([["hl7-b2b", "hl7-b2b-user"]]), "says who the user is"),
            ("consumer", "/interactions", json!(["match", "search"]), "no right to read"),
            ("consumer", "/interactions", json!([]), "no interaction"),
            ("consumer", "/returns/identities", json!("certain"), "high confidence"),
            ("consumer", "/returns/identities_max", json!(2), "one identity"),
            ("consumer", "/returns/unverified", json!("warn"), "not verified"),
            ("consumer", "/returns/stored_level", json!("IDIAL1.4"), "IDIAL1.5"),
            ("consumer", "/statements", json!(["hl7-b2b-user", "tefca_ias"]), "cms_smart"),
            ("business", "/needs/entities", json!(["covered-entity", "other"]), "covered entities"),
            ("business", "/needs/entities", json!([]), "covered entities"),
            ("business", "/needs/statements", json!([]), "hl7-b2b"),
            ("business", "/needs/weight", json!(8), "weight of 9"),
            ("business", "/needs/profile", json!("IDI-Patient"), "IDI-Patient-L0"),
            ("business", "/needs/identity", json!("IDIAL1.4"), "IDIAL1.5"),
            ("business", "/returns/identities", json!("graded"), "agreements"),
            ("business", "/returns/identities_max", json!(null), "agreements"),
            ("business", "/interactions", json!(["match", "search"]), "agreements"),
            ("business", "/interactions", json!(["match", "audit"]), "agreements"),
            ("business", "/purposes", json!(["TREAT", "T-IAS"]), "Consumer Match"),
            ("operator", "/purposes", json!(["PATRQT"]), "Consumer Match"),
            ("operator", "/served", json!("everybody"), "nothing calls for it"),
            ("immunisation", "/purposes", json!([]), "nothing calls for it"),
        ];
        for (row, place, value, rule) in table {
            let mut policy = shipped();
            *workflow(&mut policy, row).pointer_mut(place).expect(place) = value.clone();
            let refused = Policy::parse(&policy.to_string()).expect_err(&format!("{row}{place} = {value}"));
            assert!(refused.contains(rule), "{row}{place} = {value}: {refused}");
        }
    }

    #[test]
    fn a_person_reaches_their_own_records_as_a_consumer_match_would_or_not_at_all() {
        for (place, value, rule) in [
            ("/own/identity", json!("IDIAL1.6"), "own: needs IDIAL1.8"),
            ("/own/authentication", json!("AAL1"), "own: needs AAL2"),
            ("/own/authentication", json!("AAL9"), "own.authentication"),
            ("/own/interactions", json!(["read", "match"]), "own: a person reads"),
            ("/own/interactions", json!(["read", "export"]), "own: a person reads"),
            ("/own/interactions", json!(["look"]), "own.interactions"),
        ] {
            let mut policy = shipped();
            *policy.pointer_mut(place).expect(place) = value;
            let refused = Policy::parse(&policy.to_string()).expect_err(place);
            assert!(refused.contains(rule), "{place}: {refused}");
        }
        let mut policy = shipped();
        policy["own"] = json!(null);
        assert!(Policy::parse(&policy.to_string()).expect("accepted").own().is_none());
    }

    #[test]
    fn what_the_program_does_not_know_is_refused_with_its_place() {
        let table = [
            ("/verification_years_max", json!(4), "verification_years_max"),
            ("/verification_years_max", json!(0), "verification_years_max"),
            ("/asserted/IDI-Patient-L0", json!("IDIAL1.8"), "asserted.IDI-Patient-L0"),
            ("/asserted/IDI-Patient-L1", json!("high"), "asserted"),
            ("/workflows/0/needs/entities", json!(["hospital"]), "entities"),
            ("/workflows/0/needs/authentication", json!("AAL9"), "authentication"),
            ("/workflows/0/interactions", json!(["look"]), "interactions"),
            ("/workflows/0/statements", json!(["hl7_b2b"]), "statements"),
            ("/workflows/0/served", json!("nobody"), "nobody"),
            ("/workflows/0/needs", json!({"entities": []}), "missing field"),
            ("/workflows/1/name", json!("business"), "twice"),
            ("/workflows/0", json!({"shoe": 1}), "shoe"),
        ];
        for (place, value, says) in table {
            let mut policy = shipped();
            *policy.pointer_mut(place).expect(place) = value;
            let refused = Policy::parse(&policy.to_string()).expect_err(place);
            assert!(refused.contains(says), "{place}: {refused}");
        }
        assert!(Policy::parse("").is_err());
    }

    #[test]
    fn a_community_may_agree_on_several_identities_but_no_consumer_may() {
        let graded = json!({"identities": "graded", "identities_max": null, "stored_level": "IDIAL1.5",
            "unverified": "warn", "elements": null});
        let mut policy = shipped();
        workflow(&mut policy, "business")["relaxed"] = json!({"exchange": graded});
        Policy::parse(&policy.to_string()).expect("accepted");
        let mut policy = shipped();
        workflow(&mut policy, "consumer")["relaxed"] = json!({"exchange": graded});
        assert!(Policy::parse(&policy.to_string()).is_err());
    }
}
