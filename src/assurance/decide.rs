//! `decide`: may this be done, and under which terms?
//!
//! Every workflow of the policy that the purposes, the statements or the registration of the client call for applies, and
//! each of them must be met: deny wins, and all that is missing is named. Identity Matching guide, Use Cases and Consumer
//! Match. Not here: the rows themselves (see `policy`).

use super::facts::Representation;
use super::facts::{Account, Age, Condition, Confidence, Consent, Facts, Interaction, Registration, Stored, User};
use super::policy::{Needs, Own, Policy, Returns, Served, Subject, Workflow};
use super::verdict::{
    Elements, Identities, Missing, Representative, StoredTerms, Terms, Unverified, Verdict, Withheld,
};

/// The decision.
#[must_use]
pub fn decide(facts: &Facts, policy: &Policy) -> Verdict {
    if facts.account == Account::Patient {
        return decide_own(facts, policy.own());
    }
    let workflows = policy.called_for(facts);
    let mut missing = missing_of_caller(facts, &workflows);
    for workflow in &workflows {
        missing.extend(missing_of(facts, policy, workflow));
    }
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        return Verdict::Refuse(missing);
    }
    let terms = terms(facts, &workflows);
    let withheld = facts.stored.map(|stored| withheld(stored, &terms)).unwrap_or_default();
    if withheld.is_empty() { Verdict::Permit(terms) } else { Verdict::Withhold(withheld) }
}

/// A person about their own records: no purpose and no agreement widens that, and whose records they are is the store's to
/// say.
fn decide_own(facts: &Facts, own: Option<&Own>) -> Verdict {
    let Some(own) = own else { return Verdict::Refuse(vec![Missing::Account]) };
    let mut missing = Vec::new();
    if facts.interaction == Interaction::Match {
        missing.push(Missing::Account);
    } else if !own.interactions.contains(&facts.interaction) {
        missing.push(Missing::Interaction);
    }
    if facts.identity < own.identity {
        missing.push(Missing::Identity(own.identity));
    }
    if facts.authentication < own.authentication {
        missing.push(Missing::Authentication(own.authentication));
    }
    if !missing.is_empty() {
        return Verdict::Refuse(missing);
    }
    Verdict::Permit(Terms {
        workflows: vec!["own".to_owned()],
        identities: Identities::HighConfidence,
        identities_max: Some(1),
        stored: StoredTerms { level: own.identity, unverified: Unverified::Withhold },
        representative: Representative::No,
        elements: own.elements.clone(),
    })
}

/// What no workflow can make up for.
fn missing_of_caller(facts: &Facts, workflows: &[&Workflow]) -> Vec<Missing> {
    let mut missing = Vec::new();
    if facts.account == Account::Person {
        missing.push(Missing::Account);
    }
    let is_served = |purpose: &String| workflows.iter().any(|workflow| workflow.purposes.contains(purpose));
    if workflows.is_empty() || !facts.purposes.iter().all(is_served) {
        missing.push(Missing::Purpose);
    }
    missing
}

/// What one workflow needs and the request lacks.
fn missing_of(facts: &Facts, policy: &Policy, workflow: &Workflow) -> Vec<Missing> {
    let needs = &workflow.needs;
    let mut missing = Vec::new();
    let mut need = |is_met: bool, what: Missing| {
        if !is_met {
            missing.push(what);
        }
    };
    need(is_served(&workflow.served, &facts.registration), Missing::Agreement);
    need(workflow.interactions.contains(&facts.interaction), Missing::Interaction);
    need(needs.entities.is_empty() || needs.entities.contains(&facts.entity), Missing::Entity);
    for any_of in &needs.statements {
        let names = || any_of.iter().map(|statement| statement.code()).collect();
        need(any_of.iter().any(|statement| facts.statements.contains(statement)), Missing::Statement(names()));
    }
    need(needs.consent == Consent::Missing || facts.consent == Consent::Recorded, Missing::Consent);
    if let Some(level) = needs.authentication {
        need(facts.authentication >= level, Missing::Authentication(level));
    }
    if let Some(level) = needs.identity {
        // The lowest applies: what the token carries, and on the words of a request what their profile asserts.
        let asserted = facts.asked.map_or(facts.identity, |asked| facts.identity.min(policy.asserted(asked.profile)));
        need(asserted >= level, Missing::Identity(level));
    }
    if facts.interaction == Interaction::Match {
        missing.extend(missing_of_words(facts, needs));
    }
    missing
}

fn is_served(served: &Served, registration: &Registration) -> bool {
    match (served, registration) {
        (Served::Everybody, _) | (Served::Operator, Registration::Operator) => true,
        (Served::Communities(names), Registration::Community(name)) => names.contains(name),
        (Served::Operator | Served::Communities(_), _) => false,
    }
}

/// What the words of a request to match lack, and what is said of its user.
fn missing_of_words(facts: &Facts, needs: &Needs) -> Vec<Missing> {
    let mut missing = Vec::new();
    let asked = facts.asked;
    if asked.is_none_or(|asked| asked.profile < needs.profile) {
        missing.push(Missing::Profile(needs.profile.code()));
    }
    if asked.map_or(0, |asked| asked.weight) < needs.weight {
        missing.push(Missing::Weight(needs.weight));
    }
    if needs.subject == Subject::User {
        missing.extend(match facts.user {
            User::Unknown | User::Contradictory => Some(Missing::User),
            User::OtherPatient => Some(Missing::Patient),
            User::Unattested => Some(Missing::Attribute),
            User::Representative { weight } if weight < needs.weight => Some(Missing::UserWeight(needs.weight)),
            User::Representative { .. } | User::Patient => None,
        });
    }
    missing
}

/// The strictest of every term.
fn terms(facts: &Facts, workflows: &[&Workflow]) -> Terms {
    let returns: Vec<&Returns> = workflows.iter().map(|workflow| workflow.returns_to(&facts.registration)).collect();
    let is_for_user = workflows.iter().any(|workflow| workflow.needs.subject == Subject::User);
    let is_other = matches!(facts.user, User::Representative { .. });
    let elements = returns.iter().map(|one| &one.elements);
    Terms {
        workflows: workflows.iter().map(|workflow| workflow.name.clone()).collect(),
        identities: returns.iter().map(|one| one.identities).max().unwrap_or(Identities::HighConfidence),
        identities_max: returns.iter().filter_map(|one| one.identities_max).min(),
        stored: StoredTerms {
            level: returns.iter().map(|one| one.stored.level).max().unwrap_or_default(),
            unverified: returns.iter().map(|one| one.stored.unverified).max().unwrap_or(Unverified::Withhold),
        },
        representative: if is_for_user && is_other { Representative::Yes } else { Representative::No },
        elements: elements.fold(Elements::All, Elements::and),
    }
}

/// What of the stored data stands against an answer. Where several identities may be returned, their grades speak for
/// themselves and what is not verified is told; but what is restricted leaves for nobody.
fn withheld(stored: Stored, terms: &Terms) -> Vec<Withheld> {
    let mut withheld = Vec::new();
    if stored.condition == Condition::Restricted {
        withheld.push(Withheld::Restricted);
    }
    if terms.identities == Identities::HighConfidence {
        withheld.extend(not_confident(stored.confidence));
        withheld.extend(unverified(stored, terms));
        if stored.condition == Condition::Deceased {
            withheld.push(Withheld::Deceased);
        }
        if terms.representative == Representative::Yes {
            withheld.extend(without_representation(stored, terms));
        }
    }
    withheld.sort_unstable();
    withheld
}

const fn not_confident(confidence: Confidence) -> Option<Withheld> {
    match confidence {
        Confidence::None => Some(Withheld::NotFound),
        Confidence::Low => Some(Withheld::NotCertain),
        Confidence::Ambiguous => Some(Withheld::Ambiguous),
        Confidence::High => None,
    }
}

fn unverified(stored: Stored, terms: &Terms) -> Option<Withheld> {
    match stored.verified {
        verified if terms.stored.is_met_by(verified) => None,
        verified if verified.level >= terms.stored.level && verified.age == Age::Expired => {
            Some(Withheld::StoredExpired)
        }
        _ => Some(Withheld::StoredLevel),
    }
}

fn without_representation(stored: Stored, terms: &Terms) -> Vec<Withheld> {
    let mut withheld = Vec::new();
    if stored.user_confidence != Confidence::High {
        withheld.push(Withheld::UserNotFound);
    } else if !terms.stored.is_met_by(stored.user_verified) {
        withheld.push(Withheld::UserLevel);
    }
    if stored.representation != Representation::Recorded {
        withheld.push(Withheld::Representation);
    }
    withheld
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::assurance::entity::EntityType;
    use crate::assurance::facts::Profile;
    use crate::assurance::facts::{Asked, Statement, Verified};
    use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
    use crate::assurance::policy::tests::shipped;

    /// Written by `scripts/assurance-decisions`, whose rules are the guide's and not the program's.
    const DECISIONS: &str = include_str!("../../tests/fixtures/assurance-decisions.json");
    const ROWS_MIN: usize = 200;

    fn text<'v>(value: &'v Value, member: &str) -> &'v str {
        value[member].as_str().unwrap_or_else(|| panic!("{member} of {value}"))
    }

    fn level(value: &Value, member: &str) -> IdentityLevel {
        IdentityLevel::parse(text(value, member)).expect("a level")
    }

    fn number(value: &Value) -> u32 {
        u32::try_from(value.as_u64().expect("a number")).expect("small")
    }

    fn list(value: &Value) -> Vec<&str> {
        value.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
    }

    fn age(text: &str) -> Age {
        if text == "current" { Age::Current } else { Age::Expired }
    }

    fn confidence(text: &str) -> Confidence {
        match text {
            "high" => Confidence::High,
            "ambiguous" => Confidence::Ambiguous,
            "low" => Confidence::Low,
            _ => Confidence::None,
        }
    }

    fn stored(value: &Value) -> Option<Stored> {
        let value = value.as_object().map(|_| value)?;
        Some(Stored {
            confidence: confidence(text(value, "confidence")),
            verified: Verified { level: level(value, "level"), age: age(text(value, "age")) },
            condition: match text(value, "condition") {
                "living" => Condition::Living,
                "deceased" => Condition::Deceased,
                _ => Condition::Restricted,
            },
            user_confidence: confidence(text(value, "user_confidence")),
            user_verified: Verified { level: level(value, "user_level"), age: age(text(value, "user_age")) },
            representation: match value["representation"].as_bool() {
                Some(true) => Representation::Recorded,
                _ => Representation::Missing,
            },
        })
    }

    fn facts(value: &Value) -> Facts {
        let find = |all: &[Statement], code: &str| all.iter().copied().find(|one| one.code() == code).expect("known");
        let interaction = Interaction::ALL.into_iter().find(|one| one.code() == text(value, "interaction"));
        let profile = Profile::ALL.into_iter().find(|one| one.code() == text(value, "profile")).expect("a profile");
        let interaction = interaction.expect("an interaction");
        Facts {
            interaction,
            registration: match text(value, "registration") {
                "operator" => Registration::Operator,
                "community" => Registration::Community("exchange".to_owned()),
                _ => Registration::Unknown,
            },
            entity: EntityType::parse(text(value, "entity")).expect("an entity type"),
            account: match text(value, "account") {
                "client" => Account::Client,
                "workforce" => Account::Workforce,
                _ => Account::Person,
            },
            purposes: list(&value["purposes"]).into_iter().map(str::to_owned).collect(),
            statements: list(&value["statements"]).into_iter().map(|code| find(&Statement::ALL, code)).collect(),
            consent: if value["consent"] == true { Consent::Recorded } else { Consent::Missing },
            identity: level(value, "identity"),
            authentication: AuthenticationLevel::parse(text(value, "authentication")).expect("a level"),
            asked: (interaction == Interaction::Match).then(|| Asked { profile, weight: number(&value["weight"]) }),
            user: match text(value, "user") {
                "patient" => User::Patient,
                "representative" => User::Representative { weight: number(&value["user_weight"]) },
                "contradictory" => User::Contradictory,
                "other-patient" => User::OtherPatient,
                "unattested" => User::Unattested,
                _ => User::Unknown,
            },
            stored: stored(&value["stored"]),
        }
    }

    #[test]
    fn the_decisions_are_those_of_the_table() {
        let policy = shipped();
        let rows: Vec<Value> = serde_json::from_str(DECISIONS).expect("the table");
        assert!(rows.len() >= ROWS_MIN, "{}", rows.len());
        let mut seen: BTreeSet<String> = BTreeSet::new();
        for row in &rows {
            let (verdict, expected) = (decide(&facts(&row["facts"]), &policy), &row["expected"]);
            let mut reasons = verdict.reasons();
            reasons.sort_unstable();
            assert_eq!((verdict.code(), reasons), (text(expected, "verdict"), list(&expected["reasons"])), "{row}");
            seen.extend(list(&expected["reasons"]).into_iter().map(str::to_owned));
            let Verdict::Permit(terms) = verdict else { continue };
            let identities = match terms.identities {
                Identities::Graded => "graded",
                Identities::Certain => "certain",
                Identities::HighConfidence => "high-confidence",
            };
            let identities_max = expected["identities_max"].as_u64().and_then(|max| usize::try_from(max).ok());
            assert_eq!((identities, terms.identities_max), (text(expected, "identities"), identities_max), "{row}");
            assert_eq!(terms.representative == Representative::Yes, expected["two_matches"] == true, "{row}");
        }
        assert_eq!(seen.len(), 25, "every reason is in the table: {seen:?}");
    }

    #[test]
    fn a_person_with_a_patient_in_context_matches_nobody_whatever_else_the_token_says() {
        let policy = shipped();
        let own = |interaction| Facts {
            account: Account::Patient,
            identity: IdentityLevel::Idial1_8,
            authentication: AuthenticationLevel::Aal2,
            registration: Registration::Operator,
            purposes: BTreeSet::from(["TREAT".to_owned()]),
            ..Facts::unknown(interaction)
        };
        for interaction in Interaction::ALL {
            use Interaction::{Match, Read, Search, Write};
            let expected: &[&str] = match interaction {
                Read | Search | Write => &[],
                Match => &["account"],
                _ => &["interaction"],
            };
            assert_eq!(decide(&own(interaction), &policy).reasons(), expected, "{interaction:?}");
        }
        let weak = Facts { identity: IdentityLevel::Idial1_6, ..own(Interaction::Read) };
        assert_eq!(decide(&weak, &policy).reasons(), ["identity-level"]);
        let weak = Facts { authentication: AuthenticationLevel::Aal1, ..own(Interaction::Read) };
        assert_eq!(decide(&weak, &policy).reasons(), ["authentication-level"]);
    }

    #[test]
    fn terms_of_several_workflows_are_the_strictest_of_each() {
        let policy = shipped();
        let rows: Vec<Value> = serde_json::from_str(DECISIONS).expect("the table");
        let is_personal = |row: &&Value| row["expected"]["identities"] == "high-confidence";
        let mut both = facts(&rows.iter().find(is_personal).expect("a personal request")["facts"]);
        both.entity = EntityType::CoveredEntity;
        both.purposes.insert("TREAT".to_owned());
        let Verdict::Permit(terms) = decide(&both, &policy) else { panic!("permitted") };
        assert_eq!(terms.workflows, ["business", "consumer"]);
        assert_eq!((terms.identities, terms.identities_max), (Identities::HighConfidence, Some(1)));
        assert_eq!(terms.stored.unverified, Unverified::Withhold);
        let Elements::Only(elements) = terms.elements else { panic!("not all elements") };
        assert!(elements.contains("name") && !elements.contains("photo"));
    }

    #[test]
    fn a_refusal_says_what_is_missing_and_repeats_nothing() {
        let mut facts = Facts::unknown(Interaction::Match);
        facts.purposes.insert("PATRQT-Quillfeather".to_owned());
        let Verdict::Refuse(missing) = decide(&facts, &shipped()) else { panic!("refused") };
        let texts: Vec<String> = missing.iter().map(Missing::text).collect();
        assert!(texts.iter().all(|text| text.ends_with('.') && !text.contains("Quillfeather")), "{texts:?}");
        let named: Vec<&str> = missing.iter().map(Missing::code).collect();
        assert_eq!(named, ["account", "purpose"]);
    }
}
