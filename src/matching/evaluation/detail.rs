//! What an evaluation says beside the sums: false accepts by kind, subgroups, and the worst errors.
//!
//! Not here: what the kinds and groups are (see `error` and `subgroup`), curve and histogram (see `curve`).

use super::subgroup::every_group;
use super::{
    Accuracy, ErrorKind, Evaluation, FalseKind, FalseLine, Outcome, Share, SubgroupLine, TruthRow, Verdict, WORST_MAX,
    WorstError, count,
};

impl Evaluation<'_> {
    /// Queries at which another stored person was accepted and nobody has compared the two: query, person, records.
    #[must_use]
    pub fn uncompared(&self, threshold: f64) -> Vec<(String, String, Vec<String>)> {
        let wrong = self.rows().filter_map(|(row, outcome)| {
            let outcome = outcome?;
            let best = outcome.best.filter(|best| best.probability >= threshold && best.verdict == Verdict::Wrong);
            let person = row.true_person_id.clone().filter(|_| best.is_some() && outcome.relation.is_none())?;
            Some((row.query_id.clone(), person, outcome.wrong_records.clone()))
        });
        wrong.collect()
    }

    /// Says who was accepted at a query in place of the person.
    pub fn relate(&mut self, query: &str, relation: FalseKind) {
        if let Some(outcome) = self.row_of.get(query).and_then(|index| self.outcomes[*index].as_mut()) {
            outcome.relation = Some(relation);
        }
    }

    pub(super) fn false_lines(&self, threshold: f64) -> Vec<FalseLine> {
        let mut lines = FalseKind::ALL.map(|kind| FalseLine { kind, accepted: 0, certain: 0 });
        for (row, outcome) in self.rows().filter_map(|(row, outcome)| Some((row, outcome?))) {
            let accepted = false_kind(row, outcome).filter(|_| is_accepted(outcome, threshold));
            for line in &mut lines {
                line.accepted += u64::from(accepted == Some(line.kind));
                line.certain += if line.kind == wrong_kind(row, outcome) { outcome.certain_wrong } else { 0 };
                line.certain += if line.kind == FalseKind::Merged { outcome.certain_merged } else { 0 };
            }
        }
        lines.to_vec()
    }

    pub(super) fn subgroup_lines(&self, threshold: f64) -> Vec<SubgroupLine> {
        if self.subgroups.is_empty() {
            return Vec::new();
        }
        let lines = every_group().enumerate().map(|(at, (characteristic, group))| {
            let rows =
                || self.rows().zip(&self.subgroups).filter(move |(_, groups)| groups.has(at)).map(|(row, _)| row);
            let is_right = |outcome: Option<&Outcome>| {
                outcome
                    .and_then(|outcome| outcome.best)
                    .is_some_and(|best| best.probability >= threshold && best.verdict == Verdict::Right)
            };
            let stored = count(rows().filter(|(row, _)| row.true_person_id.is_some()));
            let right = count(rows().filter(|(_, outcome)| is_right(*outcome)));
            let accepted = count(rows().filter(|(_, outcome)| outcome.is_some_and(|one| is_accepted(one, threshold))));
            let found = count(rows().filter(|(_, outcome)| outcome.is_some_and(|outcome| outcome.is_candidate)));
            let Accuracy { precision, recall, f1, .. } = Accuracy::new(threshold, right, accepted, stored);
            let candidate_recall = Share { count: found, of: stored };
            SubgroupLine { characteristic, group, queries: count(rows()), precision, recall, candidate_recall, f1 }
        });
        lines.filter(|line| line.queries > 0).collect()
    }

    /// The false accepts of highest probability, then the misses of lowest, at most [`WORST_MAX`] of each.
    #[must_use]
    pub fn worst(&self, threshold: f64) -> Vec<WorstError> {
        let mut errors: Vec<WorstError> =
            self.rows().filter_map(|(row, outcome)| error_of(row, outcome, threshold)).collect();
        let is_miss = |error: &WorstError| error.error == ErrorKind::Miss;
        errors.sort_by(|a, b| {
            let worse = |error: &WorstError| if is_miss(error) { error.probability } else { -error.probability };
            (is_miss(a), worse(a)).partial_cmp(&(is_miss(b), worse(b))).unwrap_or(std::cmp::Ordering::Equal)
        });
        let misses = errors.split_off(errors.partition_point(|error| !is_miss(error)));
        errors.truncate(WORST_MAX);
        errors.extend(misses.into_iter().take(WORST_MAX));
        errors
    }
}

fn is_accepted(outcome: &Outcome, threshold: f64) -> bool {
    outcome.best.is_some_and(|best| best.probability >= threshold)
}

/// Who a candidate of the query is, that has nothing of the person.
fn wrong_kind(row: &TruthRow, outcome: &Outcome) -> FalseKind {
    outcome.relation.unwrap_or_else(|| FalseKind::of_absent(row.kind))
}

/// Who the best identity is, unless it is right.
fn false_kind(row: &TruthRow, outcome: &Outcome) -> Option<FalseKind> {
    match outcome.best?.verdict {
        Verdict::Right => None,
        Verdict::OverMerged => Some(FalseKind::Merged),
        Verdict::Wrong => Some(wrong_kind(row, outcome)),
    }
}

fn error_of(row: &TruthRow, outcome: Option<&Outcome>, threshold: f64) -> Option<WorstError> {
    let accepted = outcome.filter(|outcome| is_accepted(outcome, threshold));
    let (error, probability, records) = match accepted {
        Some(outcome) => {
            let probability = outcome.best.map_or(0.0, |best| best.probability);
            (ErrorKind::FalseAccept(false_kind(row, outcome)?), probability, outcome.wrong_records.clone())
        }
        None if row.true_person_id.is_none() => return None,
        None => (ErrorKind::Miss, outcome.map_or(0.0, |outcome| outcome.own_probability), Vec::new()),
    };
    Some(WorstError {
        query: row.query_id.clone(),
        kind: row.kind,
        events: row.events.clone(),
        error,
        probability,
        records,
        true_person: row.true_person_id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Candidate, Persons, QueryResult, THRESHOLD, parse_records, parse_truth};
    use super::*;
    use crate::fhir::json::{Limits, parse};
    use crate::matching::evaluation::Subgroups;

    const TRUTH: &str = "query_id,true_person_id,kind,events,n_fields
q1,p1,match,,9
q2,p2,match,moved,9
q3,p3,match,,9
q4,p4,match,nickname,9
q5,,absent_twin,,9
q6,,absent_relative,,9
";

    fn files() -> (Vec<TruthRow>, Persons) {
        let records = "record_id,person_id\np1,p1\np2,p2\np3,p3\np4,p4\np9,p9\n";
        (parse_truth(TRUTH).unwrap(), parse_records(records).unwrap())
    }

    fn answer(evaluation: &mut Evaluation<'_>, query: &str, candidates: &[(&[&str], &str, f64)]) {
        let candidates = candidates.iter().map(|(records, grade, probability)| Candidate {
            records: records.iter().map(|record| (*record).to_owned()).collect(),
            grade: (*grade).to_owned(),
            probability: *probability,
            ..Candidate::default()
        });
        let result = QueryResult { query: query.to_owned(), candidates: candidates.collect(), issues: vec![] };
        evaluation.add(&result).unwrap();
    }

    /// One right, another person, merged, a miss with a candidate, a twin, a relative below the threshold.
    fn answered<'a>(truth: &'a [TruthRow], persons: &'a Persons) -> Evaluation<'a> {
        let mut evaluation = Evaluation::new(truth, persons).unwrap();
        answer(&mut evaluation, "q1", &[(&["p1"], "certain", 0.999)]);
        answer(&mut evaluation, "q2", &[(&["p9"], "certain", 0.98), (&["p2"], "possible", 0.01)]);
        answer(&mut evaluation, "q3", &[(&["p3", "p9"], "certain", 0.97)]);
        answer(&mut evaluation, "q4", &[(&["p9"], "possible", 0.5), (&["p4"], "possible", 0.3)]);
        answer(&mut evaluation, "q5", &[(&["p9"], "probable", 0.99)]);
        answer(&mut evaluation, "q6", &[(&["p9"], "certain", 0.6)]);
        evaluation
    }

    fn lines(evaluation: &Evaluation<'_>) -> Vec<(FalseKind, u64, u64)> {
        evaluation.false_lines(THRESHOLD).iter().map(|line| (line.kind, line.accepted, line.certain)).collect()
    }

    #[test]
    fn false_accepts_are_counted_by_who_was_taken_for_the_person() {
        let (truth, persons) = files();
        let mut evaluation = answered(&truth, &persons);
        let mut expected = vec![
            (FalseKind::Twin, 1, 0),
            (FalseKind::Relative, 0, 1),
            (FalseKind::Stranger, 0, 0),
            (FalseKind::Merged, 1, 1),
            (FalseKind::AnotherPerson, 1, 1),
        ];
        assert_eq!(lines(&evaluation), expected);
        let uncompared = [("q2".to_owned(), "p2".to_owned(), vec!["p9".to_owned()])];
        assert_eq!(evaluation.uncompared(THRESHOLD), uncompared);
        evaluation.relate("q2", FalseKind::Relative);
        expected[1] = (FalseKind::Relative, 1, 2);
        expected[4] = (FalseKind::AnotherPerson, 0, 0);
        assert_eq!(lines(&evaluation), expected);
        assert_eq!(evaluation.uncompared(THRESHOLD), []);
    }

    #[test]
    fn the_worst_are_false_accepts_from_the_surest_down_and_then_misses_from_the_least_likely_up() {
        let (truth, persons) = files();
        let evaluation = answered(&truth, &persons);
        let worst = |threshold| -> Vec<(String, ErrorKind, f64)> {
            evaluation.worst(threshold).into_iter().map(|error| (error.query, error.error, error.probability)).collect()
        };
        let accepted = |query: &str, kind, probability| (query.to_owned(), ErrorKind::FalseAccept(kind), probability);
        let miss = |query: &str, probability| (query.to_owned(), ErrorKind::Miss, probability);
        let expected = [
            accepted("q5", FalseKind::Twin, 0.99),
            accepted("q2", FalseKind::AnotherPerson, 0.98),
            accepted("q3", FalseKind::Merged, 0.97),
            miss("q4", 0.3),
        ];
        assert_eq!(worst(THRESHOLD), expected);
        assert_eq!(worst(1.0), [miss("q2", 0.01), miss("q4", 0.3), miss("q3", 0.97), miss("q1", 0.999)]);
    }

    #[test]
    fn subgroups_are_counted_like_the_whole_and_only_where_the_queries_are_known() {
        let (truth, persons) = files();
        let mut evaluation = answered(&truth, &persons);
        assert_eq!(evaluation.subgroup_lines(THRESHOLD), []);
        for query in ["q1", "q2", "q5", "unknown"] {
            let patient = parse(br#"{"gender":"female"}"#, &Limits::DEFAULT).unwrap();
            evaluation.put_into(query, Subgroups::of(&patient, |_| None));
        }
        let lines = evaluation.subgroup_lines(THRESHOLD);
        let women = lines.iter().find(|line| line.group == "female").unwrap();
        assert_eq!((women.characteristic, women.queries), ("sex", 3));
        let share = |count, of| Share { count, of };
        assert_eq!((women.precision, women.recall, women.candidate_recall), (share(1, 3), share(1, 2), share(2, 2)));
        assert!(lines.iter().all(|line| line.queries == 3), "the others are in no group: {lines:?}");
    }
}
