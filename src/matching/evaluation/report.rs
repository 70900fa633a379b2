//! What an evaluation found, as data and as a table to read.
//!
//! Not here: the counting (see the parent module).

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{FalseLine, HistogramBin, QueryKind, SubgroupLine};

/// So many of so many. Nothing of nothing has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub count: u64,
    pub of: u64,
}

impl Share {
    pub(super) const fn add(&mut self, holds: bool) {
        self.of += 1;
        if holds {
            self.count += 1;
        }
    }

    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of queries stay far below 2^52")]
    pub fn value(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

/// `{"count", "of", "share"}`; the share of nothing is null.
impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Share", 3)?;
        object.serialize_field("count", &self.count)?;
        object.serialize_field("of", &self.of)?;
        object.serialize_field("share", &self.value())?;
        object.end()
    }
}

/// Precision, recall and F1 at one threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    pub threshold: f64,
    /// Right among the accepted queries.
    pub precision: Share,
    /// Right among the queries whose person is stored.
    pub recall: Share,
    /// Harmonic mean of the two; none when nothing was accepted and nothing was to be found.
    pub f1: Option<f64>,
}

impl Accuracy {
    pub(super) fn new(threshold: f64, right: u64, accepted: u64, stored: u64) -> Self {
        let f1 = Share { count: 2 * right, of: accepted + stored }.value();
        Self {
            threshold,
            precision: Share { count: right, of: accepted },
            recall: Share { count: right, of: stored },
            f1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub queries: u64,
    /// Queries whose person is stored.
    pub stored: u64,
    pub absent: u64,
    /// Queries nobody answered; they count as not accepted.
    pub without_result: u64,
    /// Accepted although the person is another.
    pub accepted_wrong_person: u64,
    /// Accepted with records of others beside the person's.
    pub accepted_over_merged: u64,
    /// Accepted although the person is not stored.
    pub accepted_absent: u64,
    /// Records of candidates that the records file does not know.
    pub unknown_records: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindLine {
    pub kind: QueryKind,
    pub queries: u64,
    pub accepted: u64,
    pub right: u64,
    pub false_accepts: u64,
}

/// How queries with one error fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventLine {
    pub event: String,
    pub recall: Share,
    pub candidate_recall: Share,
}

impl EventLine {
    pub(super) fn new(event: &str) -> Self {
        Self { event: event.to_owned(), recall: Share::default(), candidate_recall: Share::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GradeLine {
    pub grade: String,
    /// Queries whose person is stored, by the grade the person got.
    pub persons: Share,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub counts: Counts,
    /// At the threshold asked for.
    pub at_threshold: Accuracy,
    /// At the threshold where F1 is highest.
    pub best: Accuracy,
    /// The person is among the candidates.
    pub candidate_recall: Share,
    pub by_kind: Vec<KindLine>,
    /// Over queries whose person is stored, at the threshold asked for; `no_error` has none.
    pub by_event: Vec<EventLine>,
    pub grades: Vec<GradeLine>,
    /// Right among all candidates graded certain.
    pub certain_precision: Share,
    /// By who was taken for the person.
    pub false_accepts: Vec<FalseLine>,
    /// At the threshold asked for; none when nobody told what the queries say.
    pub by_subgroup: Vec<SubgroupLine>,
    /// At rising thresholds.
    pub curve: Vec<Accuracy>,
    /// Over the best identities of all queries.
    pub histogram: Vec<HistogramBin>,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_counts(out)?;
        self.write_accuracy(out)?;
        self.write_kinds(out)?;
        self.write_grades(out)?;
        self.write_false_accepts(out)?;
        self.write_events(out)?;
        self.write_subgroups(out)
    }
}

impl Report {
    fn write_counts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { queries, stored, absent, without_result, unknown_records, .. } = &self.counts;
        writeln!(out, "{queries} queries: {stored} of stored people, {absent} of people not stored")?;
        if *without_result > 0 {
            writeln!(out, "{without_result} queries have no result and count as not accepted")?;
        }
        if *unknown_records > 0 {
            writeln!(out, "{unknown_records} records of candidates are not in the records file")?;
        }
        Ok(())
    }

    fn write_accuracy(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "\n{:<14} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "threshold", "precision", "recall", "F1", "accepted"
        )?;
        for (name, accuracy) in [("at threshold", &self.at_threshold), ("best F1", &self.best)] {
            let Accuracy { threshold, precision, recall, f1 } = accuracy;
            let (f1, accepted) = (shown(*f1), precision.of);
            writeln!(out, "{name:<14} {threshold:>9.4} {precision:>9} {recall:>9} {f1:>9} {accepted:>9}")?;
        }
        let Counts { accepted_wrong_person, accepted_over_merged, accepted_absent, .. } = &self.counts;
        writeln!(
            out,
            "accepted wrongly: {accepted_wrong_person} another person, {accepted_over_merged} merged with others, {accepted_absent} not stored"
        )?;
        writeln!(out, "candidate recall: {}", self.candidate_recall)
    }

    fn write_kinds(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{:<20} {:>9} {:>9} {:>9} {:>9}", "kind", "queries", "accepted", "right", "false")?;
        for KindLine { kind, queries, accepted, right, false_accepts } in &self.by_kind {
            writeln!(out, "{:<20} {queries:>9} {accepted:>9} {right:>9} {false_accepts:>9}", kind.label())?;
        }
        Ok(())
    }

    fn write_grades(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{:<20} {:>9} {:>9}", "grade of the person", "queries", "share")?;
        for GradeLine { grade, persons } in &self.grades {
            writeln!(out, "{grade:<20} {:>9} {persons:>9}", persons.count)?;
        }
        let Share { count, of } = self.certain_precision;
        writeln!(out, "certain candidates: {of}, right {count}, precision {}", self.certain_precision)
    }

    fn write_false_accepts(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{:<30} {:>9} {:>9}", "taken for the person", "accepted", "certain")?;
        for FalseLine { kind, accepted, certain } in &self.false_accepts {
            writeln!(out, "{:<30} {accepted:>9} {certain:>9}", kind.label())?;
        }
        Ok(())
    }

    fn write_subgroups(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.by_subgroup.is_empty() {
            writeln!(
                out,
                "\n{:<50} {:>9} {:>9} {:>9} {:>9}",
                "subgroup", "queries", "precision", "recall", "candidate"
            )?;
        }
        for SubgroupLine { characteristic, group, queries, precision, recall, candidate_recall, .. } in
            &self.by_subgroup
        {
            let name = format!("{characteristic}: {group}");
            writeln!(out, "{name:<50} {queries:>9} {precision:>9} {recall:>9} {candidate_recall:>9}")?;
        }
        Ok(())
    }

    fn write_events(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{:<20} {:>9} {:>9} {:>9}", "error", "queries", "recall", "candidate")?;
        for EventLine { event, recall, candidate_recall } in &self.by_event {
            writeln!(out, "{event:<20} {:>9} {recall:>9} {candidate_recall:>9}", recall.of)?;
        }
        Ok(())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&shown(self.value()))
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}
