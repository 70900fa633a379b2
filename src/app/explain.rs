//! How a stored record is scored for a query: the waterfall, comparison by comparison.
//!
//! It names comparisons and their levels and never a value: those of the record may be unknown to the caller. Not here:
//! writing and drawing it (see `http::render` and `cli::explain`).

use serde::Serialize;

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Value, parse};
use crate::fhir::match_parameters::MatchParameters;
use crate::fhir::name_text;
use crate::fhir::operation_parameters::local_patient;
use crate::identity::{self, MemberRecord};
use crate::matching::grade::{Conflict, MatchRow};
use crate::matching::record::Record;
use crate::matching::score::Waterfall;
use crate::store::record;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::live_index::features_of;
use super::metering::Metered;

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
    /// Scores one stored record for the Patient in `body`: the record with this id, or else the one that the parameter
    /// `record` of `body` refers to.
    ///
    /// # Errors
    /// `Forbidden` for whoever has no right to probabilities; `Invalid` for a body without a Patient or that names no record, `NotFound` when there is no such record.
    pub fn explain(
        &self,
        ctx: &Context,
        body: &[u8],
        record_id: Option<&str>,
    ) -> Result<Metered<Explanation>, AppError> {
        self.answer_metered(ctx, ctx.audit(Action::Explain), |audit| {
            if !ctx.caller.sees_probabilities() {
                return Err(AppError::forbidden());
            }
            let document = parse(body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
            let issues = self.rules.profiles.validate_base(&document);
            if any_error(&issues) {
                return Err(AppError::invalid(issues));
            }
            let record_id = match record_id {
                Some(id) => id.to_owned(),
                None => record_asked(&document, &self.config.server.base_url)?,
            };
            let parameters = MatchParameters::read(document).map_err(AppError::invalid)?;
            let (patient, _) = name_text::complete(parameters.patient);
            let query = Record::from_patient(&patient, &self.rules.normaliser);
            let (identity_id, member) = self.find_member(&record_id)?;
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.records.push(record_id.clone());
            audit.detail.identities.push(identity_id.clone());
            audit.detail.model_version = Some(self.rules.model.version().to_owned());
            let population = self.candidates.population();
            let found = identity::evaluate(&query, &identity_id, &[member], &self.rules.model, population);
            let waterfall = found.waterfall(&self.rules.model, population);
            audit.detail.grade = Some(found.grade.code().to_owned());
            Ok(Explanation {
                record: record_id,
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
                waterfall,
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

/// The id that the parameter `record` gives: a Reference to a Patient of this server, or the id itself.
fn record_asked(document: &Value<'_>, base_url: &str) -> Result<String, AppError> {
    let refuse = |code, text: &str, at: String| Err(AppError::invalid(vec![Issue::error(code, text).at(at)]));
    let parameters = document.list("parameter").iter().enumerate();
    let mut named = parameters.filter(|(_, parameter)| parameter.text("name") == Some("record"));
    let Some((index, parameter)) = named.next() else {
        let text = "The parameter record with the record to explain is missing.";
        return refuse(IssueCode::Required, text, "Parameters.parameter".to_owned());
    };
    if let Some((again, _)) = named.next() {
        let text = "This parameter is given more than once.";
        return refuse(IssueCode::Invalid, text, format!("Parameters.parameter[{again}]"));
    }
    let referred = parameter.get("valueReference").and_then(|reference| reference.text("reference"));
    let referred = referred.and_then(|reference| local_patient(reference, base_url));
    match referred.or_else(|| parameter.text("valueId")) {
        Some(id) => Ok(id.to_owned()),
        None => {
            let text = "The parameter must have a valueReference to a Patient of this server, or its valueId.";
            refuse(IssueCode::Invalid, text, format!("Parameters.parameter[{index}]"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;

    fn asked(parameters: &str) -> Result<String, AppError> {
        let body = format!(r#"{{"resourceType":"Parameters","parameter":[{parameters}]}}"#);
        record_asked(&parse(body.as_bytes(), &Limits::DEFAULT).expect("JSON"), "http://h/fhir")
    }

    #[test]
    fn the_record_is_a_reference_to_this_server_or_an_id() {
        for value in [
            r#""valueReference":{"reference":"Patient/p-1"}"#,
            r#""valueReference":{"reference":"http://h/fhir/Patient/p-1"}"#,
            r#""valueReference":{"reference":"Patient/p-1/_history/2"}"#,
            r#""valueId":"p-1""#,
        ] {
            let found = asked(&format!(r#"{{"name":"count","valueInteger":1}},{{"name":"record",{value}}}"#));
            assert_eq!(found.expect("an id"), "p-1", "{value}");
        }
    }

    #[test]
    fn a_record_that_is_not_named_once_and_here_is_refused_with_its_place() {
        let table = [
            ("", IssueCode::Required, "Parameters.parameter"),
            (r#"{"name":"record"}"#, IssueCode::Invalid, "Parameters.parameter[0]"),
            (r#"{"name":"record","valueString":"p-1"}"#, IssueCode::Invalid, "Parameters.parameter[0]"),
            (
                r#"{"name":"record","valueReference":{"reference":"Person/p-1"}}"#,
                IssueCode::Invalid,
                "Parameters.parameter[0]",
            ),
            (
                r#"{"name":"record","valueReference":{"reference":"http://elsewhere/fhir/Patient/p-1"}}"#,
                IssueCode::Invalid,
                "Parameters.parameter[0]",
            ),
            (
                r#"{"name":"record","valueId":"p-1"},{"name":"record","valueId":"p-1"}"#,
                IssueCode::Invalid,
                "Parameters.parameter[1]",
            ),
        ];
        for (parameters, code, place) in table {
            let issue = &asked(parameters).expect_err("refused").issues[0];
            assert_eq!((issue.code, issue.expression[0].as_str()), (code, place), "{parameters}");
        }
    }
}
