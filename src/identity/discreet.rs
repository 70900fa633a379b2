//! The match for whoever must not learn a social security number by guessing it.
//!
//! What: of a request one number counts, or none ([`one_number`]); and of an identity it is known only whether that number
//! is the stored one, digit by digit ([`evaluate`]). How near a wrong number is, and which part of it is right, changes
//! nothing: the identity is judged as if it had not been sent, and is never certain. Why: the number never leaves, so it
//! must not leave by its comparison either. Not here: what a number costs that is not the stored one (see `app::metering`).

use crate::matching::grade::{Contradiction, MatchGrade};
use crate::matching::model::Model;
use crate::matching::normalise::identifier::{Identifier, Kind};
use crate::matching::pool::{Attribute, AttributeResult, IdentityMatch};
use crate::matching::record::Record;

use super::MemberRecord;

/// What became of the social security numbers of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    Kept,
    /// They are not one person's: none of them counts.
    Dropped,
}

/// `record` with one social security number at most: of a number and its own last four digits the number, of several none.
#[must_use]
pub fn one_number(mut record: Record) -> (Record, Numbers) {
    let whole: Vec<String> = numbers(&record).filter(|number| is_whole(number)).map(str::to_owned).collect();
    let is_end = |one: &Identifier| {
        one.kind == Kind::SocialSecurityLast4 && whole.iter().any(|whole| whole.ends_with(&one.value))
    };
    record.identifiers.retain(|one| !is_end(one));
    if numbers(&record).count() < 2 {
        return (record, Numbers::Kept);
    }
    (without_number(&record), Numbers::Dropped)
}

/// As [`super::evaluate`], where `query` has one social security number at most.
#[must_use]
pub fn evaluate(
    query: &Record,
    identity_id: &str,
    members: &[MemberRecord],
    model: &Model,
    population: usize,
) -> IdentityMatch {
    let stored: Vec<&str> = members.iter().flat_map(|member| numbers(&member.record)).collect();
    let differs = numbers(query).any(|number| !stored.is_empty() && !is_stored(number, &stored));
    if !differs {
        return super::evaluate(query, identity_id, members, model, population);
    }
    let mut found = super::evaluate(&without_number(query), identity_id, members, model, population);
    found.contradiction = Contradiction::Present;
    if found.grade == MatchGrade::Certain {
        found.grade = MatchGrade::Probable;
    }
    let of_number = found.attributes.iter_mut().filter(|(attribute, _)| *attribute == Attribute::SocialSecurity);
    of_number.for_each(|(_, result)| *result = AttributeResult::Conflict);
    found
}

/// Whether a social security number was sent, and is that of none of those who are told of although one is known.
#[must_use]
pub fn is_in_vain(found: &[IdentityMatch]) -> bool {
    let results = || {
        let attributes = found.iter().flat_map(|identity| &identity.attributes);
        attributes.filter(|(attribute, _)| *attribute == Attribute::SocialSecurity).map(|(_, result)| *result)
    };
    let agrees = |result| matches!(result, AttributeResult::Exact | AttributeResult::Partial);
    results().any(|result| result == AttributeResult::Conflict) && !results().any(agrees)
}

/// Where nine digits are stored nine have to agree, though four of them may be stored as well.
fn is_stored(number: &str, stored: &[&str]) -> bool {
    if is_whole(number) && stored.iter().any(|one| is_whole(one)) {
        return stored.contains(&number);
    }
    stored.iter().any(|one| one.ends_with(number) || number.ends_with(one))
}

fn is_whole(number: &str) -> bool {
    number.len() == 9
}

fn numbers(record: &Record) -> impl Iterator<Item = &str> {
    record.identifiers.iter().filter(|one| is_number(one)).map(|one| one.value.as_str())
}

const fn is_number(one: &Identifier) -> bool {
    matches!(one.kind, Kind::SocialSecurity | Kind::SocialSecurityLast4)
}

fn without_number(record: &Record) -> Record {
    let mut without = record.clone();
    without.identifiers.retain(|one| !is_number(one));
    without
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    fn person(numbers: &[&str]) -> Record {
        let identifier = |number: &&str| {
            let code = if number.len() == 4 { "SSN4" } else { "SS" };
            format!(
                r#"{{"type":{{"coding":[{{"code":"{code}"}}]}},"system":"http://hl7.org/fhir/sid/us-ssn","value":"{number}"}}"#
            )
        };
        let list: Vec<String> = numbers.iter().map(identifier).collect();
        record(&format!(
            r#"{{"resourceType":"Patient","name":[{{"given":["Robert"],"family":"Fairweather"}}],"birthDate":"1971-04-22",
            "gender":"male","address":[{{"line":["12 Orchard Street"],"city":"Columbus","state":"OH","postalCode":"43004"}}],
            "identifier":[{}]}}"#,
            list.join(",")
        ))
    }

    fn told(asked: &[&str], stored: &[&str]) -> IdentityMatch {
        let member = MemberRecord { record_id: "r".to_owned(), version: 1, record: person(stored) };
        evaluate(&one_number(person(asked)).0, "i", &[member], model(), 10_000)
    }

    #[test]
    fn numbers_that_are_wrong_in_whatever_way_are_told_alike() {
        let wrong = |asked: &[&str], stored: &[&str]| {
            let found = told(asked, stored);
            assert!(is_in_vain(std::slice::from_ref(&found)), "{asked:?} {stored:?}");
            assert_eq!(found.grade, MatchGrade::Probable);
            format!("{found:?}")
        };
        let far = wrong(&["300-12-9876"], &["219541234"]);
        // One edit away; the right last four; all but the last four; with its own end; beside a stored end.
        for (asked, stored) in [
            (&["219-54-1235"][..], &["219541234"][..]),
            (&["300-12-1234"], &["219541234"]),
            (&["300-12-1234", "1234"], &["219541234"]),
            (&["219-54-9876"], &["219541234"]),
            (&["300-12-1234"], &["219541234", "1234"]),
            (&["1243"], &["219541234"]),
            (&["9876"], &["1234"]),
        ] {
            assert_eq!(wrong(asked, stored), far, "{asked:?} {stored:?}");
        }
    }

    #[test]
    fn the_stored_number_counts_as_it_does_for_all() {
        for (asked, stored) in [
            (&["219-54-1234"][..], &["219541234"][..]),
            (&["219-54-1234", "1234"], &["219541234"]),
            (&["219-54-1234"], &["1234"]),
            (&["1234"], &["219541234"]),
            (&["1234"], &["1234"]),
            (&["219-54-1234"], &[]),
            (&[], &["219541234"]),
        ] {
            let member = MemberRecord { record_id: "r".to_owned(), version: 1, record: person(stored) };
            let found = told(asked, stored);
            assert_eq!(found, crate::identity::evaluate(&person(asked), "i", &[member], model(), 10_000), "{asked:?}");
            assert!(!is_in_vain(&[found]), "{asked:?} {stored:?}");
        }
    }

    #[test]
    fn of_several_numbers_none_counts() {
        for several in [&["1234", "9876"][..], &["219-54-1234", "9876"], &["219-54-1234", "300-12-9876"]] {
            let (record, numbers) = one_number(person(several));
            assert_eq!((record, numbers), (person(&[]), Numbers::Dropped), "{several:?}");
        }
        assert_eq!(one_number(person(&["219-54-1234", "1234"])), (person(&["219-54-1234"]), Numbers::Kept));
    }
}
