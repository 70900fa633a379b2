//! An identity, and where a record has been, as Parameters (`profiles/OperationDefinition-identity.json` and
//! `OperationDefinition-identity-history.json`).
//!
//! Not here: what explains an identity (see `app::steward::queue`).

use fhir_types::resources::{Parameters, ParametersParameter, Resource};
use fhir_types::write;

use super::parameters::{code, decimal, instant, parts, reference, text};
use super::responder::Responder;
use super::{RenderError, list};
use crate::app::steward::queue::IdentityView;
use crate::store::identity_history::AssignmentRow;
use crate::store::record::RecordRow;

/// What an identity is made of, and why. `at` gives FHIR instants.
///
/// # Errors
/// When a part of it cannot be written.
pub fn render(responder: &Responder, view: &IdentityView, at: fn(i64) -> String) -> Result<Vec<u8>, RenderError> {
    let mut parameters = vec![text("identity", &view.id)?, code("stewardship", view.stewardship.code())?];
    for merged in &view.merged {
        parameters.push(text("merged-identity", merged)?);
    }
    for row in &view.records {
        parameters.push(member(responder, row, at)?);
    }
    for row in &view.constraints {
        let mut inside = vec![
            code("kind", &row.kind)?,
            reference("patient", responder, &row.record_a)?,
            reference("other-patient", responder, &row.record_b)?,
        ];
        if !row.decision_id.is_empty() {
            inside.push(text("decision", &row.decision_id)?);
        }
        parameters.push(parts("constraint", inside)?);
    }
    for row in &view.decisions {
        let inside = vec![
            text("decision", &row.id)?,
            code("kind", &row.kind)?,
            instant("decided", &at(row.decided_us))?,
            text("by", &row.decided_by)?,
            text("reason", &row.reason)?,
        ];
        parameters.push(parts("decided", inside)?);
    }
    written(parameters)
}

fn member(responder: &Responder, row: &RecordRow, at: fn(i64) -> String) -> Result<ParametersParameter, RenderError> {
    let mut inside = vec![
        reference("patient", responder, &row.id)?,
        instant("assigned", &at(row.assigned_us))?,
        text("model-version", &row.model_version)?,
    ];
    if let Some(probability) = row.probability {
        inside.push(decimal("probability", rounded(probability))?);
    }
    if let Some(decision) = &row.decision_id {
        inside.push(text("decision", decision)?);
    }
    // What declares a survivor on another server names none of this one.
    if let Some(survivor) = row.replaced_by.as_deref().filter(|id| !id.contains('/')) {
        inside.push(reference("replaced-by", responder, survivor)?);
    }
    parts("member", inside)
}

/// Where a record has been, oldest first; an assignment without an end is the current one.
///
/// # Errors
/// When a part of it cannot be written.
pub fn render_history(rows: &[AssignmentRow], at: fn(i64) -> String) -> Result<Vec<u8>, RenderError> {
    let mut parameters = Vec::with_capacity(rows.len());
    for row in rows {
        let mut inside = vec![text("identity", &row.identity_id)?, instant("from", &at(row.assigned_us))?];
        if row.until_us != i64::MAX {
            inside.push(instant("until", &at(row.until_us))?);
        }
        inside.push(text("model-version", &row.model_version)?);
        if let Some(probability) = row.probability {
            inside.push(decimal("probability", rounded(probability))?);
        }
        if let Some(decision) = &row.decision_id {
            inside.push(text("decision", decision)?);
        }
        parameters.push(parts("assignment", inside)?);
    }
    written(parameters)
}

fn written(parameters: Vec<ParametersParameter>) -> Result<Vec<u8>, RenderError> {
    let parameters = Parameters::builder().parameter(list(parameters)).build()?;
    Ok(write(&Resource::Parameters(parameters))?.into_bytes())
}

fn rounded(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}
