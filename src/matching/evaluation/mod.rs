//! Judging a matcher against the truth: precision, recall and candidate recall, by kind of query and by error.
//!
//! What: [`Evaluation`] takes the truth about queries, the person of every stored record, and one [`QueryResult`] a query,
//! in any order, and gives a [`Report`]. A query is accepted when the probability of its best identity reaches the
//! threshold; the acceptance is right when **every** record of that identity belongs to the queried person, so that merging
//! too much earns nothing. Precision is over accepted queries, recall over queries whose person is stored. A query without
//! a result counts as not accepted. Why own counting: a matcher that is measured by its own idea of a match always wins.
//! Of a result only what counts is kept, so that memory does not grow with the candidates.
//! Not here: reading the files (see `truth`), drawing the report (see `report`), running a matcher.

mod curve;
mod detail;
mod error;
mod report;
mod subgroup;
mod truth;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

pub use curve::{HistogramBin, bits_of};
pub use error::{ErrorKind, FalseKind, FalseLine, WorstError};
pub use report::{Accuracy, Counts, EventLine, GradeLine, KindLine, Report, Share};
pub use subgroup::{SubgroupLine, Subgroups};
pub use truth::{
    InputError, Persons, Problem, QueryKind, TruthRow, parse_labels, parse_records, parse_result, parse_truth,
};

/// The probability from which on a query is accepted when nobody tunes it.
pub const THRESHOLD: f64 = 0.95;

/// Records of a wrongly accepted identity that are named.
const RECORDS_NAMED_MAX: usize = 8;
/// Errors of each side that are named.
pub const WORST_MAX: usize = 10;

/// What a matcher answers to one query: a line of the file that `idi-match match` writes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QueryResult {
    /// `Patient.id` of the query.
    pub query: String,
    /// Best first.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// What the reader of the query had to say; not judged.
    #[serde(default)]
    pub issues: Vec<serde_json::Value>,
}

/// One identity that a query may mean.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Candidate {
    #[serde(default)]
    pub identity: String,
    /// Ids of every record of the identity.
    pub records: Vec<String>,
    #[serde(default)]
    pub score: f64,
    /// Code of the match grade, such as `certain`.
    #[serde(default)]
    pub grade: String,
    pub probability: f64,
}

/// Why a result cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    #[error("the result is for a query that the truth does not know")]
    UnknownQuery,
    #[error("a second result for the same query")]
    SecondResult,
}

/// Collects results, then counts.
#[derive(Debug)]
pub struct Evaluation<'a> {
    truth: &'a [TruthRow],
    persons: &'a Persons,
    row_of: HashMap<&'a str, usize>,
    outcomes: Vec<Option<Outcome>>,
    /// Empty until the first query is told.
    subgroups: Vec<Subgroups>,
    certain: Share,
    unknown_records: u64,
}

/// One answered query, as far as it counts.
#[derive(Debug, Clone, Default)]
struct Outcome {
    best: Option<Best>,
    /// The person is among the candidates, alone or not.
    is_candidate: bool,
    /// Grade of the first candidate that is the person and nobody else.
    grade: Option<String>,
    /// The first probability of a candidate with records of the person.
    own_probability: f64,
    /// Candidates graded certain that are wrong, and merged.
    certain_wrong: u64,
    certain_merged: u64,
    /// Some records of the best identity, when it is wrong.
    wrong_records: Vec<String>,
    /// Who the best identity is, when that is another stored person and somebody compared the two.
    relation: Option<FalseKind>,
}

#[derive(Debug, Clone, Copy)]
struct Best {
    probability: f64,
    verdict: Verdict,
}

/// What a candidate is, against the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Every record is the person's.
    Right,
    /// Some records are the person's, others are not.
    OverMerged,
    /// Nothing of it is the person's.
    Wrong,
}

impl<'a> Evaluation<'a> {
    /// # Errors
    /// When the truth names a person of whom no record is stored: the files do not belong together.
    pub fn new(truth: &'a [TruthRow], persons: &'a Persons) -> Result<Self, InputError> {
        let known = persons.people();
        for row in truth {
            if row.true_person_id.as_deref().is_some_and(|person| !known.contains(person)) {
                return Err(InputError { line: row.line, problem: Problem::PersonNotStored });
            }
        }
        let row_of = truth.iter().enumerate().map(|(index, row)| (row.query_id.as_str(), index)).collect();
        let outcomes = vec![None; truth.len()];
        Ok(Self {
            truth,
            persons,
            row_of,
            outcomes,
            subgroups: Vec::new(),
            certain: Share::default(),
            unknown_records: 0,
        })
    }

    #[must_use]
    pub const fn persons(&self) -> &Persons {
        self.persons
    }

    /// Puts a query into its subgroups; of a query that the truth does not know nothing is kept.
    pub fn put_into(&mut self, query: &str, subgroups: Subgroups) {
        self.subgroups.resize(self.truth.len(), Subgroups::default());
        if let Some(index) = self.row_of.get(query) {
            self.subgroups[*index] = subgroups;
        }
    }

    /// Counts the result of one query.
    ///
    /// # Errors
    /// When the query is unknown, or has a result already.
    pub fn add(&mut self, result: &QueryResult) -> Result<(), ResultError> {
        let index = *self.row_of.get(result.query.as_str()).ok_or(ResultError::UnknownQuery)?;
        if self.outcomes[index].is_some() {
            return Err(ResultError::SecondResult);
        }
        let person = self.truth[index].true_person_id.as_deref();
        let mut outcome = Outcome::default();
        for candidate in &result.candidates {
            self.unknown_records += self.persons.count_unknown(&candidate.records);
            let verdict = self.verdict(person, candidate);
            if candidate.grade == CERTAIN {
                self.certain.add(verdict == Verdict::Right);
                outcome.certain_wrong += u64::from(verdict == Verdict::Wrong);
                outcome.certain_merged += u64::from(verdict == Verdict::OverMerged);
            }
            if outcome.best.is_none() && verdict != Verdict::Right {
                outcome.wrong_records = candidate.records.iter().take(RECORDS_NAMED_MAX).cloned().collect();
            }
            outcome.best = outcome.best.or(Some(Best { probability: candidate.probability, verdict }));
            if verdict != Verdict::Wrong && !outcome.is_candidate {
                outcome.own_probability = candidate.probability;
                outcome.is_candidate = true;
            }
            if verdict == Verdict::Right && outcome.grade.is_none() {
                outcome.grade = Some(candidate.grade.clone());
            }
        }
        self.outcomes[index] = Some(outcome);
        Ok(())
    }

    fn verdict(&self, person: Option<&str>, candidate: &Candidate) -> Verdict {
        let Some(person) = person else { return Verdict::Wrong };
        let own = candidate.records.iter().filter(|record| self.persons.person_of(record) == Some(person)).count();
        match own {
            0 => Verdict::Wrong,
            _ if own == candidate.records.len() => Verdict::Right,
            _ => Verdict::OverMerged,
        }
    }

    /// The report over every query of the truth, at [`THRESHOLD`] or another.
    #[must_use]
    pub fn report(&self, threshold: f64) -> Report {
        let at_threshold = self.accuracy(threshold);
        Report {
            counts: self.counts(threshold),
            best: self.best_accuracy().unwrap_or_else(|| at_threshold.clone()),
            at_threshold,
            candidate_recall: self.share_of_stored(|outcome| outcome.is_candidate),
            by_kind: QueryKind::ALL.into_iter().map(|kind| self.kind_line(kind, threshold)).collect(),
            by_event: self.event_lines(threshold),
            grades: self.grade_lines(),
            certain_precision: self.certain,
            false_accepts: self.false_lines(threshold),
            by_subgroup: self.subgroup_lines(threshold),
            curve: curve::curve(|threshold| self.accuracy(threshold)),
            histogram: curve::histogram(self.rows().filter_map(|(_, outcome)| {
                let best = outcome?.best?;
                Some((best.probability, best.verdict == Verdict::Right))
            })),
        }
    }

    /// Every row of the truth with what was answered.
    fn rows(&self) -> impl Iterator<Item = (&TruthRow, Option<&Outcome>)> {
        self.truth.iter().zip(self.outcomes.iter().map(Option::as_ref))
    }

    fn stored(&self) -> u64 {
        count(self.truth.iter().filter(|row| row.true_person_id.is_some()))
    }

    fn share_of_stored(&self, holds: impl Fn(&Outcome) -> bool) -> Share {
        let stored = self.rows().filter(|(row, _)| row.true_person_id.is_some());
        Share { count: count(stored.filter(|(_, outcome)| outcome.is_some_and(&holds))), of: self.stored() }
    }

    fn counts(&self, threshold: f64) -> Counts {
        let accepted_as = |verdict| {
            count(self.accepted(threshold).filter(|(row, found)| row.true_person_id.is_some() && *found == verdict))
        };
        Counts {
            queries: self.truth.len() as u64,
            stored: self.stored(),
            absent: self.truth.len() as u64 - self.stored(),
            without_result: count(self.outcomes.iter().filter(|outcome| outcome.is_none())),
            accepted_wrong_person: accepted_as(Verdict::Wrong),
            accepted_over_merged: accepted_as(Verdict::OverMerged),
            accepted_absent: count(self.accepted(threshold).filter(|(row, _)| row.true_person_id.is_none())),
            unknown_records: self.unknown_records,
        }
    }

    /// Rows accepted at the threshold, with the verdict on their best identity.
    fn accepted(&self, threshold: f64) -> impl Iterator<Item = (&TruthRow, Verdict)> {
        self.rows().filter_map(move |(row, outcome)| {
            let best = outcome?.best.filter(|best| best.probability >= threshold)?;
            Some((row, best.verdict))
        })
    }

    fn accuracy(&self, threshold: f64) -> Accuracy {
        let right = count(self.accepted(threshold).filter(|(_, verdict)| *verdict == Verdict::Right));
        Accuracy::new(threshold, right, count(self.accepted(threshold)), self.stored())
    }

    /// The accuracy at the threshold where F1 is highest; of equal ones the highest threshold.
    fn best_accuracy(&self) -> Option<Accuracy> {
        let mut answers: Vec<Best> =
            self.rows().filter_map(|(_, outcome)| outcome?.best).filter(|best| !best.probability.is_nan()).collect();
        answers.sort_unstable_by(|a, b| b.probability.total_cmp(&a.probability));
        let stored = self.stored();
        let (mut right, mut accepted) = (0, 0);
        let mut best: Option<Accuracy> = None;
        for equal in answers.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
            right += count(equal.iter().filter(|answer| answer.verdict == Verdict::Right));
            accepted += equal.len() as u64;
            let accuracy = Accuracy::new(equal[0].probability, right, accepted, stored);
            if best.as_ref().is_none_or(|best| accuracy.f1 > best.f1) {
                best = Some(accuracy);
            }
        }
        best
    }

    fn kind_line(&self, kind: QueryKind, threshold: f64) -> KindLine {
        let accepted: Vec<Verdict> =
            self.accepted(threshold).filter(|(row, _)| row.kind == kind).map(|(_, verdict)| verdict).collect();
        let right = count(accepted.iter().filter(|verdict| **verdict == Verdict::Right));
        let accepted = accepted.len() as u64;
        KindLine {
            kind,
            queries: count(self.truth.iter().filter(|row| row.kind == kind)),
            accepted,
            right,
            false_accepts: accepted - right,
        }
    }

    /// One line for each error among the queries whose person is stored; queries without an error have one too.
    fn event_lines(&self, threshold: f64) -> Vec<EventLine> {
        let mut lines: BTreeMap<&str, EventLine> = BTreeMap::new();
        for (row, outcome) in self.rows().filter(|(row, _)| row.true_person_id.is_some()) {
            let best = outcome.and_then(|outcome| outcome.best);
            let is_found = best.is_some_and(|best| best.probability >= threshold && best.verdict == Verdict::Right);
            let is_candidate = outcome.is_some_and(|outcome| outcome.is_candidate);
            let without = row.events.is_empty().then_some(NO_EVENT);
            for event in row.events.iter().map(String::as_str).chain(without) {
                let line = lines.entry(event).or_insert_with(|| EventLine::new(event));
                line.recall.add(is_found);
                line.candidate_recall.add(is_candidate);
            }
        }
        lines.into_values().collect()
    }

    /// How the stored persons were graded, from `certain` down.
    fn grade_lines(&self) -> Vec<GradeLine> {
        let graded = |grade: &str| self.share_of_stored(|outcome| outcome.grade.as_deref() == Some(grade));
        let mut lines: Vec<GradeLine> =
            GRADES.iter().map(|grade| GradeLine { grade: (*grade).to_owned(), persons: graded(grade) }).collect();
        let of = self.stored();
        let rest = of - lines.iter().map(|line| line.persons.count).sum::<u64>();
        lines.push(GradeLine { grade: NOT_GRADED.to_owned(), persons: Share { count: rest, of } });
        lines
    }
}

const CERTAIN: &str = "certain";
/// Codes of FHIR R4 match-grade that name a candidate.
const GRADES: [&str; 3] = [CERTAIN, "probable", "possible"];
/// Stands for the queries without an error.
const NO_EVENT: &str = "no_error";
/// Persons who are no candidate, or only together with others.
const NOT_GRADED: &str = "none";

fn count(items: impl Iterator) -> u64 {
    items.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = "record_id,person_id\np1,p1\np1d1,p1\np2,p2\np3,p3\np4,p4\np9,p9\n";
    const TRUTH: &str = "query_id,true_person_id,kind,events,n_fields
q1,p1,match,,9
q2,p2,match,moved,9
q3,p3,match,moved;nickname,9
q4,p4,match,,9
q5,,absent_twin,,9
q6,,absent_random,,9
q7,p1,match,,9
";

    fn candidate(records: &[&str], grade: &str, probability: f64) -> Candidate {
        let records = records.iter().map(|record| (*record).to_owned()).collect();
        Candidate { records, grade: grade.to_owned(), probability, ..Candidate::default() }
    }

    fn result(query: &str, candidates: Vec<Candidate>) -> QueryResult {
        QueryResult { query: query.to_owned(), candidates, issues: vec![] }
    }

    fn report(results: &[QueryResult], threshold: f64) -> Report {
        let (truth, persons) = (parse_truth(TRUTH).unwrap(), parse_records(RECORDS).unwrap());
        let mut evaluation = Evaluation::new(&truth, &persons).unwrap();
        for result in results {
            evaluation.add(result).unwrap();
        }
        evaluation.report(threshold)
    }

    fn answers() -> Vec<QueryResult> {
        vec![
            result("q6", vec![]),
            result("q1", vec![candidate(&["p1", "p1d1"], "certain", 0.99)]),
            result("q2", vec![candidate(&["p9"], "probable", 0.97), candidate(&["p2"], "possible", 0.02)]),
            result("q3", vec![candidate(&["p3", "p9"], "certain", 0.96)]),
            result("q4", vec![candidate(&["p4"], "possible", 0.60)]),
            result("q5", vec![candidate(&["p9"], "possible", 0.98)]),
        ]
    }

    const fn share(count: u64, of: u64) -> Share {
        Share { count, of }
    }

    #[test]
    fn figures_agree_with_those_counted_by_hand() {
        let report = report(&answers(), THRESHOLD);
        assert_eq!(
            report.at_threshold,
            Accuracy { threshold: 0.95, precision: share(1, 4), recall: share(1, 5), f1: Some(2.0 / 9.0) }
        );
        assert_eq!(
            report.best,
            Accuracy { threshold: 0.60, precision: share(2, 5), recall: share(2, 5), f1: Some(0.4) }
        );
        assert_eq!(report.candidate_recall, share(4, 5));
        assert_eq!(report.certain_precision, share(1, 2));
        let counts = Counts {
            queries: 7,
            stored: 5,
            absent: 2,
            without_result: 1,
            accepted_wrong_person: 1,
            accepted_over_merged: 1,
            accepted_absent: 1,
            unknown_records: 0,
        };
        assert_eq!(report.counts, counts);
        let kinds: Vec<_> = report
            .by_kind
            .iter()
            .map(|line| (line.kind.label(), line.queries, line.accepted, line.right, line.false_accepts))
            .collect();
        let expected = [
            ("match", 5, 3, 1, 2),
            ("absent_random", 1, 0, 0, 0),
            ("absent_relative", 0, 0, 0, 0),
            ("absent_twin", 1, 1, 0, 1),
        ];
        assert_eq!(kinds, expected);
        let events: Vec<_> =
            report.by_event.iter().map(|line| (line.event.as_str(), line.recall, line.candidate_recall)).collect();
        let expected = [
            ("moved", share(0, 2), share(2, 2)),
            ("nickname", share(0, 1), share(1, 1)),
            ("no_error", share(1, 3), share(2, 3)),
        ];
        assert_eq!(events, expected);
        let grades: Vec<_> = report.grades.iter().map(|line| (line.grade.as_str(), line.persons)).collect();
        let expected =
            [("certain", share(1, 5)), ("probable", share(0, 5)), ("possible", share(2, 5)), ("none", share(2, 5))];
        assert_eq!(grades, expected);
    }

    #[test]
    fn a_threshold_accepts_what_reaches_it() {
        for (threshold, right, accepted) in [(0.60, 2, 5), (0.96, 1, 4), (0.961, 1, 3), (0.99, 1, 1), (1.0, 0, 0)] {
            let accuracy = report(&answers(), threshold).at_threshold;
            assert_eq!((accuracy.precision, accuracy.recall), (share(right, accepted), share(right, 5)), "{threshold}");
        }
    }

    #[test]
    fn an_identity_is_right_only_when_every_record_is_the_persons() {
        for (records, right, is_candidate) in [
            (&["p1", "p1d1"][..], 1, 1),
            (&["p1d1"], 1, 1),
            (&["p1", "p9"], 0, 1),
            (&["p1", "unknown"], 0, 1),
            (&["p9"], 0, 0),
            (&[], 0, 0),
        ] {
            let report = report(&[result("q1", vec![candidate(records, "certain", 1.0)])], THRESHOLD);
            assert_eq!(
                (report.at_threshold.recall.count, report.candidate_recall.count),
                (right, is_candidate),
                "{records:?}"
            );
        }
    }

    #[test]
    fn only_the_first_candidate_decides_and_equal_probabilities_stand_together() {
        let second_is_right =
            [result("q1", vec![candidate(&["p9"], "possible", 0.5), candidate(&["p1"], "certain", 1.0)])];
        assert_eq!(report(&second_is_right, THRESHOLD).at_threshold.precision, share(0, 0));
        let equal = [
            result("q1", vec![candidate(&["p1"], "certain", 0.7)]),
            result("q2", vec![candidate(&["p9"], "certain", 0.7)]),
        ];
        assert_eq!(report(&equal, THRESHOLD).best.precision, share(1, 2));
    }

    #[test]
    fn without_results_nothing_is_accepted_and_the_report_says_so() {
        let report = report(&[], THRESHOLD);
        assert_eq!((report.counts.without_result, report.at_threshold.recall), (7, share(0, 5)));
        assert_eq!(report.best, report.at_threshold);
        assert!(report.to_string().contains("7 queries have no result"));
        assert!(serde_json::to_string(&report).unwrap().contains(r#""precision":{"count":0,"of":0,"share":null}"#));
    }

    #[test]
    fn results_and_files_that_do_not_belong_together_are_refused() {
        let (truth, persons) = (parse_truth(TRUTH).unwrap(), parse_records(RECORDS).unwrap());
        let mut evaluation = Evaluation::new(&truth, &persons).unwrap();
        assert_eq!(evaluation.add(&result("q1", vec![])), Ok(()));
        assert_eq!(evaluation.add(&result("q1", vec![])), Err(ResultError::SecondResult));
        assert_eq!(evaluation.add(&result("q99", vec![])), Err(ResultError::UnknownQuery));
        let others = parse_records("record_id,person_id\np1,p1\n").unwrap();
        let error = Evaluation::new(&truth, &others).unwrap_err();
        assert_eq!(error, InputError { line: 3, problem: Problem::PersonNotStored });
    }

    #[test]
    fn the_report_is_an_aligned_table() {
        let text = report(&answers(), THRESHOLD).to_string();
        let expected = "\
7 queries: 5 of stored people, 2 of people not stored
1 queries have no result and count as not accepted

               threshold precision    recall        F1  accepted
at threshold      0.9500    0.2500    0.2000    0.2222         4
best F1           0.6000    0.4000    0.4000    0.4000         5
accepted wrongly: 1 another person, 1 merged with others, 1 not stored
candidate recall: 0.8000

kind                   queries  accepted     right     false
match                        5         3         1         2
absent_random                1         0         0         0
absent_relative              0         0         0         0
absent_twin                  1         1         0         1

grade of the person    queries     share
certain                      1    0.2000
probable                     0    0.0000
possible                     2    0.4000
none                         2    0.4000
certain candidates: 2, right 1, precision 0.5000

taken for the person            accepted   certain
twin                                   1         0
relative                               0         0
stranger                               0         0
merged with others                     1         1
another person, not compared           1         0

error                  queries    recall candidate
moved                        2    0.0000    1.0000
nickname                     1    0.0000    1.0000
no_error                     3    0.3333    0.6667
";
        assert_eq!(text, expected);
    }
}
