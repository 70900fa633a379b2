//! Fitting the matching model to the records that are stored.
//!
//! The index is what is learned from: it has every record in the form that is compared. Patients that are not stored can
//! be paired with it too, as requests of a day. Nothing is changed; adopting a model is a matter of configuration. Not
//! here: how it is fitted (see `matching::train`), files (see `cli::train`).

use rayon::prelude::*;

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::parse;
use crate::fhir::name_text;
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
            let fitted = self.candidates.with_everyone(&self.store, |index, _| {
                let mut patterns = index.sample(&ask.sample, &progress);
                patterns = patterns.merged(index.sample_of(&records, &ask.sample, &progress));
                for (number, labelled) in (1_u64..).zip(&ask.labelled) {
                    let [one, other] = &labelled.records;
                    let pair = index.pair(one, other).ok_or_else(|| not_stored(number))?;
                    patterns.add(Session::Labelled(labelled.label), number, &pair);
                }
                Ok::<_, AppError>((patterns, Options::of_population(index.population())))
            })?;
            let (patterns, options) = fitted?;
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

fn not_stored(number: u64) -> AppError {
    let text = format!("A record of labelled pair {number} is not stored.");
    AppError::invalid(vec![Issue::error(IssueCode::NotFound, text)])
}
