//! Where an arriving record goes: into an identity, into one of its own, or into its own with a person asked.
//!
//! Merging two people is the worst error, and relatives and twins are where it happens: a record joins only where the
//! posterior is beyond doubt, nothing conflicts, and no other identity is close. Not here: constraints of stewards.

use crate::matching::index::Proposal;
use crate::matching::model::Model;
use crate::matching::pool::{Attribute, AttributeResult, IdentityMatch};

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
    // Where a record is now, it stays on its own evidence: that another identity is as likely is a matter of those two.
    let is_current = Some(best.identity_id.as_str()) == current_identity;
    let joining = if is_current { best.probability } else { best.posterior };
    let (identity_id, probability) = (best.identity_id.clone(), best.posterior);
    if joining >= model.thresholds().join && best.capped_by.is_empty() && is_named(best) && is_anchored(best) {
        return Assignment::Join { identity_id, probability };
    }
    if best.probability >= model.thresholds().review {
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

/// The given name agrees or nearly does, or an identifier that names one person does: an initial may be a twin's.
fn is_named(identity: &IdentityMatch) -> bool {
    let personal = [Attribute::MedicalRecord, Attribute::Identifier, Attribute::SocialSecurity];
    let given = [AttributeResult::Exact, AttributeResult::Close];
    identity.attributes.iter().any(|(attribute, result)| {
        (*attribute == Attribute::Given && given.contains(result))
            || (personal.contains(attribute) && *result == AttributeResult::Exact)
    })
}

/// Something beside names and nearly a birth date agrees: strangers who share those exist in every large population.
/// The whole birth date is enough only where the surname does not differ.
fn is_anchored(identity: &IdentityMatch) -> bool {
    let result = |wanted: Attribute| identity.attributes.iter().find(|(a, _)| *a == wanted).map(|(_, result)| *result);
    let is_exact = |attribute: &Attribute| result(*attribute) == Some(AttributeResult::Exact);
    let anchors = [
        Attribute::Address,
        Attribute::Phone,
        Attribute::Email,
        Attribute::SocialSecurity,
        Attribute::Member,
        Attribute::MedicalRecord,
        Attribute::Identifier,
    ];
    let last_four = result(Attribute::SocialSecurity) == Some(AttributeResult::Partial);
    let birth_date = is_exact(&Attribute::BirthDate) && result(Attribute::Family) != Some(AttributeResult::Conflict);
    birth_date || last_four || anchors.iter().any(is_exact)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matching::index::{Ask, Index, Member};
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    const HOME: &str = r#""address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],
        "telecom":[{"system":"phone","value":"2125550142"}],
        "identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"W12345678"}]"#;

    const MOVED: &str = r#""address":[{"line":["9 Elm Rd"],"city":"Utica","state":"NY","postalCode":"13501"}],
        "telecom":[{"system":"phone","value":"2125550142"}]"#;

    fn patient(name: &str, birth_date: &str, rest: &str) -> String {
        let (given, family) = name.split_once(' ').expect("two names");
        format!(r#"{{"name":[{{"family":"{family}","given":["{given}"]}}],"birthDate":"{birth_date}",{rest}}}"#)
    }

    fn assigned(stored: &[(&str, String)], arriving: &str) -> Assignment {
        let mut index = Index::new(Arc::new(model().clone()));
        for (n, (identity_id, json)) in stored.iter().enumerate() {
            index.upsert(Member { record_id: &format!("r{n}"), version: 1, identity_id }, &record(json));
        }
        assign(&index.propose(&record(arriving), &Ask::default()), None, model())
    }

    fn outcome(assignment: &Assignment) -> (&'static str, &str) {
        match assignment {
            Assignment::Join { identity_id, .. } => ("join", identity_id),
            Assignment::New => ("new", ""),
            Assignment::Review { identity_id, .. } => ("review", identity_id),
        }
    }

    #[test]
    fn a_record_joins_its_person_and_never_a_relative() {
        let robert = patient("Robert Oduya", "1980-02-13", HOME);
        let table = [
            ("the same again", patient("Bob Oduya", "1980-02-13", HOME), ("join", "a")),
            ("a stranger", patient("Zoltan Novak", "1975-06-30", r#""gender":"male""#), ("new", "")),
            ("his son of the same name", patient("Robert Oduya", "2006-09-21", HOME), ("new", "")),
            ("his wife", patient("Marzanna Oduya", "1981-11-05", HOME), ("new", "")),
            ("a typing error and a move", patient("Robrt Oduya", "1980-02-13", MOVED), ("join", "a")),
            (
                "a typing error and nothing else",
                patient("Robrt Oduya", "1980-02-13", r#""gender":"male""#),
                ("review", "a"),
            ),
        ];
        for (what, arriving, expected) in table {
            assert_eq!(outcome(&assigned(&[("a", robert.clone())], &arriving)), expected, "{what}");
        }
    }

    #[test]
    fn twins_stay_apart_and_the_doubtful_one_is_reviewed() {
        let jaden = patient("Jaden Oduya", "2015-02-13", HOME);
        for twin in ["Jayden Oduya", "Zoltan Oduya", "J Oduya"] {
            let assignment = assigned(&[("a", jaden.clone())], &patient(twin, "2015-02-13", HOME));
            assert_ne!(outcome(&assignment).0, "join", "{twin} {assignment:?}");
        }
    }

    #[test]
    fn two_identities_alike_are_for_a_person_to_decide_and_names_alone_join_nothing() {
        let robert = patient("Robert Oduya", "1980-02-13", HOME);
        let alike = assigned(&[("a", robert.clone()), ("b", robert.clone())], &robert);
        assert_eq!(outcome(&alike).0, "review", "{alike:?}");
        let nearly = assigned(&[("a", robert)], &patient("Robert Oduya", "1980-02-14", r#""gender":"male""#));
        assert_ne!(outcome(&nearly).0, "join", "{nearly:?}");
    }

    #[test]
    fn where_a_record_is_now_wins_among_equals() {
        let robert = patient("Robert Oduya", "1980-02-13", HOME);
        let mut index = Index::new(Arc::new(model().clone()));
        for id in ["a", "b"] {
            index.upsert(Member { record_id: id, version: 1, identity_id: id }, &record(&robert));
        }
        let proposal = index.propose(&record(&robert), &Ask::default());
        for id in ["a", "b"] {
            assert_eq!(outcome(&assign(&proposal, Some(id), model())), ("join", id));
        }
    }
}
