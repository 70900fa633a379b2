//! How a stored record is scored for a query: the waterfall, comparison by comparison.
//!
//! Not here: drawing it (see `cli::explain`).

use serde::Serialize;

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::parse;
use crate::fhir::match_parameters::MatchParameters;
use crate::fhir::name_text;
use crate::identity::{self, MemberRecord};
use crate::matching::grade::{Conflict, MatchRow};
use crate::matching::record::Record;
use crate::matching::score::Waterfall;
use crate::store::record;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::live_index::features_of;

/// Why a record got its score.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub record: String,
    pub identity: String,
    pub model: String,
    pub grade: &'static str,
    pub score: f64,
    pub row: Option<&'static str>,
    pub capped_by: Vec<Conflict>,
    pub probability: f64,
    pub attributes: Vec<(&'static str, &'static str)>,
    pub waterfall: Waterfall,
}

impl App {
    /// Scores one stored record for the Patient in `body`.
    ///
    /// # Errors
    /// `Invalid` for a body without a Patient, `NotFound` when there is no such record.
    pub fn explain(&self, ctx: &Context, body: &[u8], record_id: &str) -> Result<Explanation, AppError> {
        self.answer(ctx, Action::Explain, |audit| {
            let document = parse(body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
            let issues = self.rules.profiles.validate_base(&document);
            if any_error(&issues) {
                return Err(AppError::invalid(issues));
            }
            let parameters = MatchParameters::read(document).map_err(AppError::invalid)?;
            let (patient, _) = name_text::complete(parameters.patient);
            let query = Record::from_patient(&patient, &self.rules.normaliser);
            let (identity_id, member) = self.find_member(record_id)?;
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.records.push(record_id.to_owned());
            let population = self.live.read().population();
            let found = identity::evaluate(&query, &identity_id, &[member], &self.rules.model, population);
            Ok(Explanation {
                record: record_id.to_owned(),
                identity: identity_id,
                model: self.rules.model.version().to_owned(),
                grade: found.grade.code(),
                score: found.score,
                row: found.row.map(MatchRow::code),
                capped_by: found.capped_by,
                probability: found.probability,
                attributes: found
                    .attributes
                    .iter()
                    .map(|(attribute, result)| (attribute.name(), result.code()))
                    .collect(),
                waterfall: found.waterfall,
            })
        })
    }

    fn find_member(&self, record_id: &str) -> Result<(String, MemberRecord), AppError> {
        let mut conn = self.connection()?;
        let row = record::find_many(&mut conn, &[record_id])?.pop();
        let row = row.ok_or_else(|| {
            let issue = Issue::error(IssueCode::NotFound, "There is no such record.").at("record");
            AppError::new(super::error::ErrorKind::NotFound, vec![issue])
        })?;
        let record = features_of(&mut conn, &row, &self.rules)?;
        Ok((row.identity_id, MemberRecord { record_id: row.id, version: row.version, record }))
    }
}
