//! Fitting the matching model to the records that are stored.
//!
//! The index is what is learned from: it has every record in the form that is compared. Patients that are not stored can
//! be paired with it too, as requests of a day. Nothing is changed; adopting a model is a matter of configuration. Not
//! here: how it is fitted (see `matching::train`), files (see `cli::train`).

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::parse;
use crate::fhir::name_text;
use crate::identity::constraint::{Constraints, Kind};
use crate::matching::index::SampleAsk;
use crate::matching::model::Model;
use crate::matching::record::Record;
use crate::matching::train::{Label, Options, Session, Trained, train};

use super::App;
use super::context::Context;
use super::error::{AppError, ErrorKind};

/// What to learn from.
#[derive(Debug, Clone)]
pub struct TrainAsk {
    /// The model to begin with; none: the one in force.
    pub start: Option<Model>,
    pub sample: SampleAsk,
    /// Patients that are not stored, one in each.
    pub patients: Vec<Vec<u8>>,
    pub labelled: Vec<LabelledPair>,
    pub decisions: Decisions,
}

/// What stewards have decided of stored records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decisions {
    Ignored,
    /// Counted as labelled pairs.
    Counted,
}

/// What a person said of two stored records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledPair {
    pub records: [String; 2],
    pub label: Label,
}

impl App {
    /// Fits a model; whether it is to be adopted stands in its report.
    ///
    /// # Errors
    /// `Invalid` for a Patient that cannot be read or a labelled record that is not stored, with its number.
    pub fn train(&self, ctx: &Context, ask: &TrainAsk, progress: impl Fn(usize) + Sync) -> Result<Trained, AppError> {
        self.answer(ctx, Action::Train, |audit| {
            let start = ask.start.as_ref().unwrap_or(&self.rules.model);
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.model_version = Some(start.version().to_owned());
            let records = self.records_of(&ask.patients)?;
            let sampled = self.candidates.with_everyone(&self.store, |index, constraints| {
                let own = index.sample(&ask.sample, &progress);
                let mut patterns = own.merged(index.sample_of(&records, &ask.sample, &progress));
                for (number, labelled) in (1_u64..).zip(&ask.labelled) {
                    let [one, other] = &labelled.records;
                    let pair = index.pair(one, other).ok_or_else(|| not_stored(number))?;
                    patterns.add(Session::Labelled(labelled.label), number, &pair);
                }
                if ask.decisions == Decisions::Counted {
                    for (one, other, label) in decided(constraints) {
                        if let Some(pair) = index.pair(one, other) {
                            patterns.add(Session::Labelled(label), 0, &pair);
                        }
                    }
                }
                Ok::<_, AppError>((patterns, Options::of_population(index.population())))
            })?;
            let (patterns, options) = sampled?;
            audit.detail.count = Some(patterns.pairs());
            let cannot = |error: crate::matching::model::ModelError| {
                AppError::new(ErrorKind::Internal, vec![Issue::error(IssueCode::Exception, error.to_string())])
            };
            train(start, &patterns, &options).map_err(cannot)
        })
    }

    fn records_of(&self, patients: &[Vec<u8>]) -> Result<Vec<Record>, AppError> {
        let read = |(number, line): (usize, &Vec<u8>)| {
            let document = parse(line, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
            let issues = self.rules.profiles.validate_base(&document);
            if any_error(&issues) || document.text("resourceType") != Some("Patient") {
                let text = format!("Line {} is no valid Patient.", number + 1);
                return Err(AppError::invalid(vec![Issue::error(IssueCode::Invalid, text)]));
            }
            let (patient, _) = name_text::complete(document);
            Ok(Record::from_patient(&patient, &self.rules.normaliser))
        };
        patients.par_iter().enumerate().map(read).collect()
    }
}

/// Each pair once.
fn decided(constraints: &Constraints) -> impl Iterator<Item = (&str, &str, Label)> {
    let records: BTreeSet<&str> = constraints.records().collect();
    records.into_iter().flat_map(|one| {
        let others = constraints.of(one).iter().filter(move |(other, _)| one < other.as_str());
        others.filter_map(move |(other, kind)| {
            let label = match kind {
                Kind::MustLink => Label::Match,
                Kind::CannotLink => Label::NonMatch,
                // Nobody decided: the record was there before it changed.
                Kind::Continued => return None,
            };
            Some((one, other.as_str(), label))
        })
    })
}

fn not_stored(number: u64) -> AppError {
    let text = format!("A record of labelled pair {number} is not stored.");
    AppError::invalid(vec![Issue::error(IssueCode::NotFound, text)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::constraint::Constraint;

    #[test]
    fn each_decision_of_a_steward_is_one_labelled_pair() {
        let mut constraints = Constraints::default();
        for (a, b, kind) in
            [("p1", "p2", Kind::MustLink), ("p3", "p1", Kind::CannotLink), ("p1", "p4", Kind::Continued)]
        {
            constraints.insert(&Constraint::new(a, b, kind));
        }
        let decided: Vec<_> = decided(&constraints).collect();
        assert_eq!(decided, [("p1", "p2", Label::Match), ("p1", "p3", Label::NonMatch)]);
    }
}
