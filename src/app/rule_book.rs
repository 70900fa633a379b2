//! Which rule-book decides on a match, and what becomes of the CMS combinations' outcome: a decision, or a note beside the
//! guide's grade.
//!
//! Pure but for the choice, which looks at the request, then the caller, then the configuration. As the deciding rule-book
//! it returns the one identity that a combination holds for, certain; of several none is certain; the guide's grade and
//! its conflicts stand in the note all the same. Not here: the combinations (see `matching::combination`), options of the
//! caller (see `select`).

use crate::fhir::match_parameters::{MatchParameters, RuleBook};
use crate::identity::MemberRecord;
use crate::matching::combination::{Combined, Day, Field, Outcome, Verdict, combine};
use crate::matching::grade::MatchGrade;
use crate::matching::index::{Ask, Reach};
use crate::matching::pool::{Attribute, AttributeResult, Decision, IdentityMatch};
use crate::matching::record::Record;

use super::App;
use super::answer::CombinationNote;
use super::context::Context;

/// Identities that the combinations are tried on at least; a combination can hold for one that the model finds unlikely.
const IDENTITIES_TRIED_MIN: usize = 64;

/// The score of the guide's highest rows, for the one identity that a combination holds for.
const MATCH_SCORE: f64 = 0.99;
/// A score below certain, where a combination holds for several.
const AMBIGUOUS_SCORE: f64 = 0.70;

const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// What decides on which identities are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    Guide,
    Combinations(Outcome),
}

/// What the combinations say of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct CombinationNotes {
    pub outcome: Outcome,
    /// By identity, those that the combinations were tried on.
    notes: Vec<(String, CombinationNote)>,
}

impl CombinationNotes {
    #[must_use]
    pub fn of(&self, identity_id: &str) -> Option<&CombinationNote> {
        self.notes.iter().find(|(id, _)| id == identity_id).map(|(_, note)| note)
    }
}

impl App {
    /// The request's own choice, else the one that the caller is registered with, else the configured one.
    pub(super) fn rule_book(&self, ctx: &Context, asked: &MatchParameters<'_>) -> RuleBook {
        asked.rule_book.or_else(|| ctx.caller.rule_book()).unwrap_or(self.config.matching.rule_book)
    }

    /// How candidates are looked for.
    pub(super) fn ask_for(&self, rule_book: RuleBook) -> Ask {
        let ask = self.ask();
        match rule_book {
            RuleBook::Idi => ask,
            RuleBook::Cms | RuleBook::Both => Ask {
                identities_max: ask.identities_max.max(IDENTITIES_TRIED_MIN),
                reach: Reach::BornWithinADay,
                ..ask
            },
        }
    }

    /// Tries the combinations on identities as they were read; `None` where the guide alone is asked.
    pub(super) fn combine(
        &self,
        rule_book: RuleBook,
        query: &Record,
        read: &[(&str, Vec<MemberRecord>)],
        today: Day,
    ) -> Option<Combined> {
        match rule_book {
            RuleBook::Idi => None,
            RuleBook::Cms | RuleBook::Both => {
                let identities: Vec<Vec<&Record>> =
                    read.iter().map(|(_, members)| members.iter().map(|member| &member.record).collect()).collect();
                Some(combine(&self.rules.combinations, query, &identities, today))
            }
        }
    }
}

/// The day of a request.
pub(super) const fn day_of(now_us: i64) -> Day {
    now_us.div_euclid(MICROSECONDS_A_DAY)
}

/// Whether a combination may hold for an identity: it needs a number of the person, or two things that agree, one of them
/// beside names and birth date.
pub(super) fn may_combine(identity: &IdentityMatch, query: &Record) -> bool {
    let agrees = |wanted: &[Attribute]| {
        let good = [AttributeResult::Exact, AttributeResult::Close, AttributeResult::Partial];
        let found = identity.attributes.iter();
        found.filter(|(attribute, result)| wanted.contains(attribute) && good.contains(result)).count()
    };
    let numbers = agrees(&[Attribute::Member, Attribute::MedicalRecord, Attribute::Identifier]);
    let contacts = agrees(&[Attribute::Phone, Attribute::Email, Attribute::Address, Attribute::SocialSecurity]);
    let person = agrees(&[Attribute::Given, Attribute::Family, Attribute::BirthDate]);
    let is_child = !query.relationships.is_empty() && person > 0;
    numbers > 0 || (contacts > 0 && contacts + person > 1) || is_child
}

/// The notes on `identities`, which were read in the order of `ids`, before any decision changes their grades.
pub(super) fn notes(combined: &Combined, ids: &[&str], identities: &[IdentityMatch]) -> CombinationNotes {
    let note = |(id, verdict): (&&str, &Verdict)| {
        let identity = identities.iter().find(|identity| identity.identity_id == **id)?;
        Some(((*id).to_owned(), note(combined.outcome, verdict, identity)))
    };
    CombinationNotes { outcome: combined.outcome, notes: ids.iter().zip(&combined.verdicts).filter_map(note).collect() }
}

fn note(outcome: Outcome, verdict: &Verdict, identity: &IdentityMatch) -> CombinationNote {
    let fired = verdict.fired();
    CombinationNote {
        outcome: outcome.code(),
        verdict: verdict.code(),
        rule: match verdict {
            Verdict::Household(row) => Some(row.clone()),
            _ => fired.map(|fired| fired.rule.clone()),
        },
        collision: fired.map(|fired| fired.collision),
        exact: fired.map(|fired| fired.exact.iter().map(Field::code).collect()).unwrap_or_default(),
        fuzzy: fired.map(|fired| fired.fuzzy.iter().map(Field::code).collect()).unwrap_or_default(),
        idi_grade: identity.grade.code(),
        idi_conflicts: identity.capped_by.iter().map(|conflict| conflict.code()).collect(),
    }
}

/// Whether a search for candidates was cut short, so that a second identity may be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    Whole,
    Cut,
}

/// The identities that combinations hold for, graded by the outcome: one alone is certain.
pub(super) fn decide(
    mut identities: Vec<IdentityMatch>,
    notes: &CombinationNotes,
    search: Search,
) -> Vec<IdentityMatch> {
    identities.retain(|identity| notes.of(&identity.identity_id).is_some_and(CombinationNote::is_match));
    let is_certain = notes.outcome == Outcome::Match && search == Search::Whole;
    for identity in &mut identities {
        identity.row = None;
        (identity.grade, identity.score, identity.decision) = match notes.outcome {
            Outcome::Match if is_certain => (MatchGrade::Certain, MATCH_SCORE, Decision::HighConfidence),
            Outcome::Match => (MatchGrade::Probable, AMBIGUOUS_SCORE, Decision::NotCertain),
            _ => (MatchGrade::Probable, AMBIGUOUS_SCORE, Decision::Ambiguous),
        };
    }
    identities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity;
    use crate::matching::combination::Book;
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    const TODAY: Day = 20_758;

    fn person(given: &str, phone: &str, rest: &str) -> Record {
        record(&format!(
            r#"{{"name":[{{"given":["{given}"],"family":"Oduya"}}],"birthDate":"1980-02-13","telecom":[{{"system":"phone","value":"{phone}"}}]{rest}}}"#
        ))
    }

    /// The identities as the guide grades them, and the notes on them.
    fn judged(query: &Record, stored: &[(&str, Record)]) -> (Vec<IdentityMatch>, CombinationNotes) {
        let book = Book::parse(include_str!("../../profiles/cms-combinations.json")).expect("valid");
        let records: Vec<Vec<&Record>> = stored.iter().map(|(_, record)| vec![record]).collect();
        let combined = combine(&book, query, &records, TODAY);
        let evaluate = |(id, record): &(&str, Record)| {
            let member = MemberRecord { record_id: format!("{id}-1"), version: 1, record: record.clone() };
            identity::evaluate(query, id, &[member], model(), 1000)
        };
        let identities: Vec<IdentityMatch> = stored.iter().map(evaluate).collect();
        let ids: Vec<&str> = stored.iter().map(|(id, _)| *id).collect();
        let notes = notes(&combined, &ids, &identities);
        (identities, notes)
    }

    #[test]
    fn one_identity_is_certain_unless_the_search_was_cut_and_several_never_are() {
        let query = person("Marzanna", "212-664-7665", "");
        let same = || person("Marzanna", "212-664-7665", "");
        let stranger = person("Zoltan", "646-229-8031", "");
        let one = vec![("a", same()), ("b", stranger)];
        let two = vec![("a", same()), ("b", same())];
        let table = [
            (&one, Search::Whole, vec![("a", MatchGrade::Certain, Decision::HighConfidence)]),
            (&one, Search::Cut, vec![("a", MatchGrade::Probable, Decision::NotCertain)]),
            (
                &two,
                Search::Whole,
                vec![
                    ("a", MatchGrade::Probable, Decision::Ambiguous),
                    ("b", MatchGrade::Probable, Decision::Ambiguous),
                ],
            ),
        ];
        for (stored, search, expected) in table {
            let (identities, notes) = judged(&query, stored);
            let decided = decide(identities, &notes, search);
            let found: Vec<_> = decided.iter().map(|i| (i.identity_id.as_str(), i.grade, i.decision)).collect();
            assert_eq!(found, expected);
            assert!(decided.iter().all(|identity| identity.row.is_none()), "no row of the guide's decided");
        }
    }

    #[test]
    fn identities_that_no_combination_can_hold_for_are_not_read() {
        let member = r#","identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"M77123"}]"#;
        let query = person("Marzanna", "212-664-7665", member);
        for (what, stored, expected) in [
            ("phone and names", person("Marzanna", "212-664-7665", ""), true),
            ("a number alone", record(&format!(r#"{{"gender":"male"{member}}}"#)), true),
            ("names and birth date alone", person("Marzanna", "646-229-8031", ""), false),
            ("a phone alone", record(r#"{"telecom":[{"system":"phone","value":"212-664-7665"}]}"#), false),
        ] {
            let (identities, _) = judged(&query, &[("a", stored)]);
            assert_eq!(may_combine(&identities[0], &query), expected, "{what}");
        }
    }

    #[test]
    fn a_day_is_that_of_the_request() {
        assert_eq!([0, 86_399_999_999, 86_400_000_000, -1].map(day_of), [0, 0, 1, -1]);
    }
}
