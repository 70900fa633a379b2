//! Where an arriving record goes: into an identity, into one of its own, or into its own with a person asked.
//!
//! Merging two people is the worst error, and relatives, twins and namesakes are where it happens: a record joins only
//! where the posterior is beyond doubt, no other identity is close, nothing is contradicted (see `matching::grade`), and
//! a row of the guide's table holds that says more than name and birth date, or two attributes beside a misspelt name
//! agree and the posterior is higher still. Whatever else is likely is for a person to decide. Not here: constraints of
//! stewards.

use crate::matching::grade::{Conflict, Contradiction};
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
    let is_current = Some(best.identity_id.as_str()) == current_identity;
    let joins = if is_current { stays(best, model) } else { enters(best, model) };
    let (identity_id, probability) = (best.identity_id.clone(), best.posterior);
    if joins {
        return Assignment::Join { identity_id, probability };
    }
    if best.probability >= model.thresholds().review {
        return Assignment::Review { identity_id, probability };
    }
    Assignment::New
}

/// The score of a row from which a record enters an identity: more than name and birth date agrees, or an identifier.
const ENTRY_SCORE_MIN: f64 = 0.70;

/// Where no row vouches, the posterior has to do it alone, and has to be higher.
const POSTERIOR_WITHOUT_ROW_MIN: f64 = 0.999;

fn enters(identity: &IdentityMatch, model: &Model) -> bool {
    let by_row = identity.row.is_some() && identity.score >= ENTRY_SCORE_MIN;
    identity.posterior >= model.thresholds().join
        && identity.contradiction == Contradiction::Absent
        && (by_row || is_corroborated(identity))
}

/// What a household shares.
const SHARED: [Attribute; 3] = [Attribute::Address, Attribute::Phone, Attribute::Member];
/// What one person has; the last four digits are enough.
const OWN: [Attribute; 4] =
    [Attribute::Email, Attribute::SocialSecurity, Attribute::MedicalRecord, Attribute::Identifier];

/// No row holds, because a name or the birth date was written differently: beyond every doubt, and carried by two
/// others that agree. The given name must at least nearly agree: an initial, or another name, may be a twin's. A birth
/// date that only nearly agrees may be that of a namesake in the household, whom only something of his own tells apart.
fn is_corroborated(identity: &IdentityMatch) -> bool {
    let count = |attributes: &[Attribute]| attributes.iter().filter(|a| agrees(identity, **a)).count();
    let (shared, own) = (count(&SHARED), count(&OWN));
    let is_born_alike = match result(identity, Attribute::BirthDate) {
        AttributeResult::Exact => true,
        AttributeResult::Close | AttributeResult::Partial => own > 0,
        AttributeResult::Conflict | AttributeResult::Absent => false,
    };
    identity.posterior >= POSTERIOR_WITHOUT_ROW_MIN
        && matches!(result(identity, Attribute::Given), AttributeResult::Exact | AttributeResult::Close)
        && is_born_alike
        && shared + own >= 2
}

fn agrees(identity: &IdentityMatch, attribute: Attribute) -> bool {
    let is_last_four = attribute == Attribute::SocialSecurity;
    match result(identity, attribute) {
        AttributeResult::Exact => true,
        AttributeResult::Partial => is_last_four,
        _ => false,
    }
}

fn result(identity: &IdentityMatch, wanted: Attribute) -> AttributeResult {
    let found = identity.attributes.iter().find(|(attribute, _)| *attribute == wanted);
    found.map_or(AttributeResult::Absent, |(_, result)| *result)
}

/// Where a record is now, it stays on its own evidence: that another identity is as likely is a matter of those two, and
/// a new address and phone are no reason to leave, nor is a short form of its name.
fn stays(identity: &IdentityMatch, model: &Model) -> bool {
    identity.probability >= model.thresholds().join
        && identity.capped_by.iter().all(|conflict| *conflict == Conflict::ShortForm)
        && is_named(identity)
        && is_anchored(identity)
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
    matches!(result(identity, Attribute::Given), AttributeResult::Exact | AttributeResult::Close)
        || personal.into_iter().any(|attribute| result(identity, attribute) == AttributeResult::Exact)
}

/// Something beside names and nearly a birth date agrees: strangers who share those exist in every large population.
/// The whole birth date is enough only where the surname does not differ.
fn is_anchored(identity: &IdentityMatch) -> bool {
    let birth_date = result(identity, Attribute::BirthDate) == AttributeResult::Exact
        && result(identity, Attribute::Family) != AttributeResult::Conflict;
    birth_date || SHARED.into_iter().chain(OWN).any(|attribute| agrees(identity, attribute))
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
        let (given, family) = name.split_once('/').or_else(|| name.split_once(' ')).expect("two names");
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
            ("the same again", patient("Robert Oduya", "1980-02-13", HOME), ("join", "a")),
            ("a short form nobody is named", patient("Rob Oduya", "1980-02-13", HOME), ("join", "a")),
            ("a short form in use", patient("Bob Oduya", "1980-02-13", HOME), ("review", "a")),
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
    fn strangers_who_share_a_name_or_a_birth_date_or_an_address_are_never_joined() {
        let contacts = |city: &str, zip: &str, phone: &str, email: &str| {
            format!(
                r#""gender":"female","address":[{{"line":["{zip} Elm Rd"],"city":"{city}","state":"NY","postalCode":"{zip}"}}],
                "telecom":[{{"system":"phone","value":"{phone}"}},{{"system":"email","value":"{email}"}}]"#
            )
        };
        let here = contacts("Troy", "12180", "2125550142", "one@a.org");
        let there = contacts("Utica", "13501", "3155550177", "two@b.org");
        let same_email = contacts("Utica", "13501", "3155550177", "one@a.org");
        let table = [
            ("name and birth date alone", ("Marzanna Oduya", "1980-02-13"), ("Marzanna Oduya", "1980-02-13"), &there),
            ("another surname", ("Marzanna Oduya", "1980-02-13"), ("Marzanna Novak", "1980-02-13"), &there),
            ("month and day exchanged", ("Marzanna Oduya", "1980-02-11"), ("Marzanna Oduya", "1980-11-02"), &there),
            ("one email address", ("Marzanna Oduya", "1974-12-12"), ("Marzanna Novak", "1974-11-10"), &same_email),
            (
                "one email address, a digit",
                ("Marzanna Oduya", "1974-12-12"),
                ("Marzanna Novak", "1974-12-10"),
                &same_email,
            ),
        ];
        for (what, (name, date), (other, other_date), contacts) in table {
            let assignment = assigned(&[("a", patient(name, date, &here))], &patient(other, other_date, contacts));
            assert_ne!(outcome(&assignment).0, "join", "{what} {assignment:?}");
        }
        let likely = patient("Marzanna Oduya", "1980-02-13", &there);
        let likely = assigned(&[("a", patient("Marzanna Oduya", "1980-02-13", &here))], &likely);
        assert_eq!(outcome(&likely), ("review", "a"), "a person decides on the likely one: {likely:?}");
    }

    #[test]
    fn what_people_keep_and_what_differs_stands_against_a_join() {
        let robert = |rest: &str| patient("Robert Oduya", "1980-02-13", &format!(r#"{rest}{HOME}"#));
        let (eva, zoe) = (r#""name":[{"family":"Oduya","given":["Robert","Earl"]}]"#, "Zeno");
        let middle = |given: &str| format!(r#"{{{},"birthDate":"1980-02-13",{HOME}}}"#, eva.replace("Earl", given));
        assert_eq!(outcome(&assigned(&[("a", middle("Earl"))], &middle("E"))).0, "join");
        assert_eq!(outcome(&assigned(&[("a", middle("Earl"))], &middle(zoe))).0, "review");
        let sex = |code: &str| {
            let url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";
            robert(&format!(r#""extension":[{{"url":"{url}","valueCode":"{code}"}}],"#))
        };
        assert_eq!(outcome(&assigned(&[("a", sex("M"))], &sex("M"))).0, "join");
        assert_eq!(outcome(&assigned(&[("a", sex("M"))], &sex("F"))).0, "review");
        let gender = |code: &str| robert(&format!(r#""gender":"{code}","#));
        assert_eq!(outcome(&assigned(&[("a", gender("male"))], &gender("female"))).0, "join");
    }

    #[test]
    fn a_namesake_of_the_household_is_not_joined_by_what_households_share() {
        let shared = r#""gender":"male","address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],
            "telecom":[{"system":"phone","value":"2125550142"}]"#;
        let father = patient("Robert Oduya", "1960-02-13", shared);
        let son = assigned(&[("a", father)], &patient("Robert Oduya", "1990-02-13", shared));
        assert_ne!(outcome(&son).0, "join", "{son:?}");
    }

    #[test]
    fn where_a_record_is_now_it_stays_after_a_move() {
        let mut index = Index::new(Arc::new(model().clone()));
        let before = patient("Marzanna Oduya", "1980-02-13", HOME);
        index.upsert(Member { record_id: "a", version: 1, identity_id: "a" }, &record(&before));
        let moved = r#""address":[{"line":["9 Elm Rd"],"city":"Utica","state":"NY","postalCode":"13501"}]"#;
        let proposal = index.propose(&record(&patient("Marzanna Oduya", "1980-02-13", moved)), &Ask::default());
        assert_eq!(outcome(&assign(&proposal, Some("a"), model())), ("join", "a"));
        assert_eq!(outcome(&assign(&proposal, None, model())), ("review", "a"));
    }

    #[test]
    fn twins_stay_apart_and_the_doubtful_one_is_reviewed() {
        let jaden = patient("Jaden Oduya", "2015-02-13", HOME);
        for twin in ["Jayden Oduya", "Zoltan Oduya", "J Oduya"] {
            let assignment = assigned(&[("a", jaden.clone())], &patient(twin, "2015-02-13", HOME));
            assert_ne!(outcome(&assignment).0, "join", "{twin} {assignment:?}");
        }
        for (one, other) in [
            ("Nora", "Ella"),
            ("Sandra", "Alexa"),
            ("Maggie", "Daisy"),
            ("Julia", "Julie"),
            ("Sanjana", "Ranjana"),
            ("Jose Luis", "Jose Carlos"),
            ("Алина", "Арина"),
        ] {
            let twin = |given: &str| patient(&format!("{given}/Oduya"), "2015-02-13", HOME);
            for (stored, arriving) in [(one, other), (other, one)] {
                let assignment = assigned(&[("a", twin(stored))], &twin(arriving));
                assert_ne!(outcome(&assignment).0, "join", "{stored} {arriving} {assignment:?}");
            }
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
