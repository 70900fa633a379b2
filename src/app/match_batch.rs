//! Matching many Patients at once, as an evaluation or a batch link does: no profile, no weight, no Bundle.
//!
//! All threads of the matching pool take part; the same input gives the same lines at any number of threads.
//! Not here: files (see `cli::match_file`).

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Value, parse};
use crate::fhir::name_text;
use crate::matching::index::Ask;
use crate::matching::pool::IdentityMatch;
use crate::matching::record::Record;

use super::App;
use super::context::{Caller, Context};
use super::error::AppError;

/// The result for one Patient: one line of output.
#[derive(Debug, Clone, Serialize)]
pub struct MatchLine {
    /// The id of the Patient that was sent.
    pub query: Option<String>,
    /// Likeliest first.
    pub candidates: Vec<Candidate>,
    pub issues: Vec<LineIssue>,
}

/// An identity that the Patient may be.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    pub identity: String,
    pub records: Vec<String>,
    /// The grade's score of the guide's table.
    pub score: f64,
    pub grade: &'static str,
    /// Posterior: that this identity is the person, against the other candidates and "none is stored".
    pub probability: f64,
}

/// An issue as the lines carry it.
#[derive(Debug, Clone, Serialize)]
pub struct LineIssue {
    pub severity: &'static str,
    pub code: &'static str,
    pub diagnostics: String,
    pub expression: Vec<String>,
}

impl From<&Issue> for LineIssue {
    fn from(issue: &Issue) -> Self {
        Self {
            severity: issue.severity.code(),
            code: issue.code.code(),
            diagnostics: issue.diagnostics.clone(),
            expression: issue.expression.clone(),
        }
    }
}

impl App {
    /// Matches lines, each a Patient; the order stays. One audit row stands for the batch.
    ///
    /// # Errors
    /// `Forbidden` for whoever is not at the machine itself; when the audit row cannot be written, or the candidates are in a database that does not answer.
    pub fn match_lines(
        &self,
        ctx: &Context,
        lines: &[Vec<u8>],
        probability_min: f64,
    ) -> Result<Vec<MatchLine>, AppError> {
        self.answer(ctx, Action::Match, |audit| {
            // Lines claim no profile and carry no weight: there is nothing that a policy could permit.
            if !matches!(ctx.caller, Caller::Open) {
                return Err(AppError::forbidden());
            }
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.reasons.push("batch".to_owned());
            audit.detail.model_version = Some(self.rules.model.version().to_owned());
            lines.par_iter().map(|line| self.match_line(line, probability_min)).collect()
        })
    }

    fn match_line(&self, line: &[u8], probability_min: f64) -> Result<MatchLine, AppError> {
        let document = match parse(line, &self.document_limits()) {
            Ok(document) => document,
            Err(issue) => return Ok(refused(None, &[issue])),
        };
        let query = document.text("id").map(str::to_owned);
        let issues = self.rules.profiles.validate_base(&document);
        if any_error(&issues) {
            return Ok(refused(query, &issues));
        }
        if document.text("resourceType") != Some("Patient") {
            let issue = Issue::error(IssueCode::Invalid, "The line must be a Patient.").at("resourceType");
            return Ok(refused(query, &[issue]));
        }
        let (patient, remarks) = name_text::complete(document);
        let candidates = self.list_candidates(&patient, probability_min)?;
        Ok(MatchLine { query, candidates, issues: remarks.iter().map(LineIssue::from).collect() })
    }

    fn list_candidates(&self, patient: &Value<'_>, probability_min: f64) -> Result<Vec<Candidate>, AppError> {
        let record = Record::from_patient(patient, &self.rules.normaliser);
        // The lines run in parallel; each is scored on its own thread.
        let ask = Ask { parallel_from: usize::MAX, ..self.ask() };
        let mut identities = self.candidates.propose(&self.store, &record, &ask)?.proposal.identities;
        identities.sort_by(|a, b| b.posterior.total_cmp(&a.posterior));
        Ok(identities.iter().filter(|found| found.posterior >= probability_min).map(candidate).collect())
    }
}

fn candidate(found: &IdentityMatch) -> Candidate {
    Candidate {
        identity: found.identity_id.clone(),
        records: found.records.iter().map(|record| record.record_id.clone()).collect(),
        score: found.score,
        grade: found.grade.code(),
        probability: found.posterior,
    }
}

fn refused(query: Option<String>, issues: &[Issue]) -> MatchLine {
    MatchLine { query, candidates: Vec::new(), issues: issues.iter().map(LineIssue::from).collect() }
}
