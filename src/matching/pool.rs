//! The match of a query with an identity: evidence of its records pooled, graded and weighed; candidates weighed
//! against each other and against "none is stored".
//!
//! Not here: where the records come from (see `index`, `identity`), what to do with the result (see `identity::assign`).

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Evidence, Level, Pair, compare};
use super::dictionary::Dictionary;
use super::entry::{Entry, Query};
use super::grade::{Conflict, Contradiction, Graded, MatchGrade, MatchRow, grade};
use super::model::Model;
use super::record::Record;
use super::score::{Classes, Waterfall, waterfall};

/// A stored identity as an answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityMatch {
    pub identity_id: String,
    /// Best first.
    pub records: Vec<RecordMatch>,
    /// The score of the guide's table, or 0.59 × probability below it.
    pub score: f64,
    pub grade: MatchGrade,
    pub row: Option<MatchRow>,
    pub capped_by: Vec<Conflict>,
    pub contradiction: Contradiction,
    /// That this identity is the person asked for, judged alone.
    pub probability: f64,
    /// The same, judged against the other candidates and "none is stored"; see [`resolve`].
    pub posterior: f64,
    pub decision: Decision,
    pub attributes: Vec<(Attribute, AttributeResult)>,
    pub name_distance: NameDistance,
    /// What its records and the query had in common, pooled.
    pub(super) pair: Pair,
    /// That this identity is the person asked for, against that it is not.
    pub(super) odds: f64,
}

impl IdentityMatch {
    /// The sum behind the probability, of the model and the population that it was weighed with.
    #[must_use]
    pub fn waterfall(&self, model: &Model, population: usize) -> Waterfall {
        waterfall(&self.pair, model, population)
    }
}

/// One record of a matched identity, judged alone.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordMatch {
    pub record_id: String,
    pub version: i64,
    pub score: f64,
    pub grade: MatchGrade,
    pub probability: f64,
}

/// Whether an identity may be told as the one match (IG Patient Matching, High-confidence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Graded certain, and no second identity is close.
    HighConfidence,
    /// Graded certain, but a second identity is close.
    Ambiguous,
    NotCertain,
}

/// First and last name against those of the request (`onlyCertainMatches`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameDistance {
    WithinTwoEdits,
    Beyond,
}

/// What of a person was compared, for the per-attribute report.
pub type Attribute = Comparison;

/// How an attribute compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttributeResult {
    Exact,
    Close,
    Partial,
    Conflict,
    Absent,
}

impl AttributeResult {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Close => "close",
            Self::Partial => "partial",
            Self::Conflict => "conflict",
            Self::Absent => "absent",
        }
    }

    pub(super) const fn of(level: Level) -> Self {
        match level {
            Level::Exact | Level::FirstOfJanuary | Level::SameGiven => Self::Exact,
            Level::Swapped | Level::Nickname | Level::Close | Level::Phonetic | Level::LastFourClose | Level::Line => {
                Self::Close
            }
            Level::LastFour
            | Level::Unit
            | Level::Part
            | Level::YearMonth
            | Level::Placeholder
            | Level::ZipOnly
            | Level::Initial
            | Level::Middle
            | Level::Distorted
            | Level::Similar
            | Level::ShortForms
            | Level::Zip
            | Level::PlaceOnly
            | Level::Place
            | Level::Partial => Self::Partial,
            Level::Confusable
            | Level::MonthDay
            | Level::TwoDigits
            | Level::SameYear
            | Level::OtherGiven
            | Level::Changed
            | Level::Unrecognised
            | Level::Conflict
            | Level::Generation => Self::Conflict,
            Level::Absent => Self::Absent,
        }
    }
}

/// A record of an identity with its pair, before weighing.
#[derive(Debug, Clone)]
pub(super) struct RecordPair<'i> {
    pub record_id: &'i RecordId,
    pub version: i64,
    pub pair: Pair,
}

/// Record ids reach the pool in the form that the index keeps.
pub(super) type RecordId = super::compact_id::CompactId;

/// A query and an identity: their pooled pair, weighed.
pub(super) struct Weighed {
    pub pair: Pair,
    pub classes: Classes,
    pub graded: Graded,
}

impl Weighed {
    pub fn of(pair: Pair, model: &Model, population: usize) -> Self {
        let classes = Classes::of(&pair, model, population);
        Self { pair, classes, graded: grade(&pair, &classes, model) }
    }

    /// As an answer, of an identity whose records compared as `pairs`.
    pub fn answer(
        self,
        identity_id: String,
        pairs: &[RecordPair<'_>],
        model: &Model,
        population: usize,
    ) -> IdentityMatch {
        let records = self.records(pairs, model, population);
        let Self { pair, classes, graded } = self;
        let near = pair.evidence.has(Evidence::FIRST_NEAR.with(Evidence::LAST_NEAR));
        IdentityMatch {
            identity_id,
            records,
            score: graded.score,
            grade: graded.grade,
            row: graded.row,
            capped_by: graded.capped_by,
            contradiction: graded.contradiction,
            probability: classes.probability(),
            posterior: classes.probability(),
            decision: Decision::NotCertain,
            attributes: Comparison::ALL.into_iter().map(|c| (c, AttributeResult::of(pair.level(c)))).collect(),
            name_distance: if near { NameDistance::WithinTwoEdits } else { NameDistance::Beyond },
            pair,
            odds: classes.odds(),
        }
    }

    fn records(&self, pairs: &[RecordPair<'_>], model: &Model, population: usize) -> Vec<RecordMatch> {
        let judged = |record: &RecordPair<'_>, weighed: &Self| RecordMatch {
            record_id: record.record_id.to_string(),
            version: record.version,
            score: weighed.graded.score,
            grade: weighed.graded.grade,
            probability: weighed.classes.probability(),
        };
        // The only record of an identity is all there is of it.
        if let [only] = pairs {
            return vec![judged(only, self)];
        }
        let mut records: Vec<RecordMatch> =
            pairs.iter().map(|record| judged(record, &Self::of(record.pair, model, population))).collect();
        records.sort_by(|a, b| {
            let by_score = b.score.total_cmp(&a.score).then(b.probability.total_cmp(&a.probability));
            by_score.then_with(|| a.record_id.cmp(&b.record_id))
        });
        records
    }
}

/// The pooled pair of an identity.
fn pooled(pairs: &[RecordPair<'_>]) -> Pair {
    pairs.iter().fold(Pair::EMPTY, |all, record| all.join(&record.pair))
}

/// Best first: by score, then by posterior, then by id, so that the order never depends on chance.
pub fn sort(identities: &mut [IdentityMatch]) {
    identities.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score).then(b.posterior.total_cmp(&a.posterior));
        by_score.then_with(|| a.identity_id.cmp(&b.identity_id))
    });
}

/// Weighs the candidates of one query against each other and against "none is stored": fills posterior and decision.
pub fn resolve(identities: &mut [IdentityMatch], model: &Model) {
    let sum = identities.iter().map(|identity| identity.odds).sum();
    resolve_within(identities, sum, model);
}

/// The same where `odds_sum` is the sum of the odds of all candidates, those not listed included.
pub(super) fn resolve_within(identities: &mut [IdentityMatch], odds_sum: f64, model: &Model) {
    for identity in identities.iter_mut() {
        let odds = identity.odds;
        // Odds beyond any double stand alone: nothing else can be as likely.
        identity.posterior = if odds.is_finite() { odds / (1.0 + odds_sum) } else { 1.0 };
    }
    let close = |at: usize| {
        identities.iter().enumerate().any(|(other, i)| other != at && i.posterior >= model.thresholds().close)
    };
    let decisions: Vec<Decision> = (0..identities.len())
        .map(|at| match identities[at].grade {
            MatchGrade::Certain if close(at) => Decision::Ambiguous,
            MatchGrade::Certain => Decision::HighConfidence,
            _ => Decision::NotCertain,
        })
        .collect();
    for (identity, decision) in identities.iter_mut().zip(decisions) {
        identity.decision = decision;
    }
}

/// Compares `query` with the records of one identity, as the index would.
pub fn evaluate<'r>(
    query: &Record,
    identity_id: &str,
    members: impl Iterator<Item = (&'r str, i64, &'r Record)>,
    model: &Model,
    population: usize,
) -> IdentityMatch {
    let mut dictionary = Dictionary::default();
    let entries: Vec<(RecordId, i64, Entry)> = members
        .map(|(id, version, record)| (RecordId::new(id), version, Entry::new(record, &mut dictionary, model)))
        .collect();
    let query = Query::new(query, &dictionary, model);
    let pair = |(record_id, version, entry): &'_ (RecordId, i64, Entry)| {
        (record_id.clone(), *version, compare(&query, &entry.view(), &dictionary))
    };
    let pairs: Vec<(RecordId, i64, Pair)> = entries.iter().map(pair).collect();
    let pairs: Vec<RecordPair<'_>> = pairs
        .iter()
        .map(|(record_id, version, pair)| RecordPair { record_id, version: *version, pair: *pair })
        .collect();
    Weighed::of(pooled(&pairs), model, population).answer(identity_id.to_owned(), &pairs, model, population)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::model::tests::model;
    use crate::matching::record::tests::record;

    fn person(given: &str, rest: &str) -> String {
        format!(r#"{{"name":[{{"family":"Oduya","given":["{given}"]}}],"birthDate":"1980-02-13"{rest}}}"#)
    }

    const NUMBER: &str = r#","identifier":[{"type":{"coding":[{"code":"MR"}]},"system":"urn:m","value":"M77"}]"#;
    const HOME: &str = r#","address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}]"#;
    const PHONE: &str = r#","telecom":[{"system":"phone","value":"2125550142"}]"#;

    fn matched(query: &str, identity_id: &str, members: &[String]) -> IdentityMatch {
        let records: Vec<(String, Record)> =
            members.iter().enumerate().map(|(n, json)| (format!("r{n}"), record(json))).collect();
        let members = records.iter().map(|(id, record)| (id.as_str(), 1, record));
        evaluate(&record(query), identity_id, members, model(), 100_000)
    }

    #[test]
    fn the_evidence_of_an_identity_is_the_union_of_its_records() {
        let query = person("Marzanna", &format!(r#"{HOME},"gender":"female""#));
        let named = person("Marzanna", "");
        let housed = format!(r#"{{"name":[{{"family":"Oduya"}}]{HOME}}}"#);
        let pooled = matched(&query, "i", &[named.clone(), housed.clone()]);
        assert_eq!(pooled.row, Some(MatchRow::BirthDateLineZip));
        for alone in [named, housed] {
            assert_ne!(matched(&query, "i", &[alone]).row, pooled.row);
        }
        assert!(pooled.records[0].score >= pooled.records[1].score, "best first");
        let address = pooled.attributes.iter().find(|(attribute, _)| *attribute == Attribute::Address);
        assert_eq!(address, Some(&(Attribute::Address, AttributeResult::Exact)));
    }

    #[test]
    fn a_sibling_s_record_in_an_identity_makes_an_initial_no_agreement() {
        let home = format!("{HOME}{PHONE}");
        let (ethan, initial, evan) = (person("Ethan", &home), person("E", &home), person("Evan", &home));
        let mixed = matched(&evan, "i", &[ethan, initial.clone()]);
        assert!(mixed.capped_by.contains(&Conflict::TwinNames), "{mixed:?}");
        assert!(matched(&evan, "i", &[initial]).capped_by.is_empty());
    }

    #[test]
    fn a_certain_match_is_high_confidence_only_when_no_second_identity_is_close() {
        let query = person("Marzanna", &format!("{HOME}{NUMBER}"));
        let same = [query.clone()];
        let far = [person("Zoltan", "")];
        let mut alone = [matched(&query, "a", &same), matched(&query, "b", &far)];
        resolve(&mut alone, model());
        assert_eq!(alone.each_ref().map(|i| i.decision), [Decision::HighConfidence, Decision::NotCertain]);
        assert!(alone[0].posterior > 0.99 && alone[1].posterior < 0.01);
        let mut twice = [matched(&query, "a", &same), matched(&query, "b", &same)];
        resolve(&mut twice, model());
        assert_eq!(twice.each_ref().map(|i| i.decision), [Decision::Ambiguous, Decision::Ambiguous]);
        assert!((twice[0].posterior + twice[1].posterior - 1.0).abs() < 0.01, "two alike share the probability");
    }

    #[test]
    fn names_within_two_edits_are_told() {
        for (given, expected) in [
            ("Marzanna", NameDistance::WithinTwoEdits),
            ("Marzana", NameDistance::WithinTwoEdits),
            ("Marzi", NameDistance::Beyond),
            ("Zoltan", NameDistance::Beyond),
        ] {
            let matched = matched(&person("Marzanna", ""), "i", &[person(given, "")]);
            assert_eq!(matched.name_distance, expected, "{given}");
        }
    }
}
