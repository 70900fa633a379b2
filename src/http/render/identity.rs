//! An identity, and where a record has been, as Parameters (`profiles/OperationDefinition-identity.json` and
//! `OperationDefinition-identity-history.json`).
//!
//! Not here: what explains an identity (see `app::steward::queue`).

use fhir_types::resources::{Parameters, ParametersParameter, Resource};
use fhir_types::{write, write_parameters};

use super::parameters::{code, decimal, instant, parts, reference, resource, text};
use super::responder::Responder;
use super::{RenderError, list};
use crate::app::steward::queue::{Assignment, IdentityView, Member};

/// What an identity is made of, and why. `at` gives FHIR instants.
///
/// # Errors
/// When a part of it cannot be written.
pub fn render(responder: &Responder, view: &IdentityView, at: fn(i64) -> String) -> Result<Vec<u8>, RenderError> {
    let mut parameters = vec![text("identity", &view.id)?, code("stewardship", view.stewardship.code())?];
    for merged in &view.merged {
        parameters.push(text("merged-identity", merged)?);
    }
    for one in &view.members {
        parameters.push(member(responder, one, at)?);
    }
    for binding in &view.bindings {
        let mut inside = vec![
            code("kind", &binding.kind)?,
            reference("patient", responder, &binding.record_a)?,
            reference("other-patient", responder, &binding.record_b)?,
        ];
        inside.extend(binding.decision_id.as_deref().map(|id| text("decision", id)).transpose()?);
        parameters.push(parts("constraint", inside)?);
    }
    for decision in &view.decisions {
        let inside = vec![
            text("decision", &decision.id)?,
            code("kind", &decision.kind)?,
            instant("decided", &at(decision.decided_us))?,
            text("by", &decision.decided_by)?,
            text("reason", &decision.reason)?,
        ];
        parameters.push(parts("decided", inside)?);
    }
    let mut bodies = vec![None; parameters.len()];
    if let Some(golden) = &view.golden {
        parameters.push(resource("golden-record")?);
        bodies.push(Some(golden.as_str()));
    }
    let parameters = Parameters::builder().parameter(list(parameters)).build()?;
    Ok(write_parameters(parameters, &bodies)?.into_bytes())
}

fn member(responder: &Responder, one: &Member, at: fn(i64) -> String) -> Result<ParametersParameter, RenderError> {
    let assignment = &one.assignment;
    let mut inside =
        vec![reference("patient", responder, &one.record_id)?, instant("assigned", &at(assignment.from_us))?];
    inside.extend(grounds(assignment)?);
    inside.extend(one.replaced_by.as_deref().map(|id| reference("replaced-by", responder, id)).transpose()?);
    parts("member", inside)
}

/// Where a record has been, oldest first; an assignment without an end is the current one.
///
/// # Errors
/// When a part of it cannot be written.
pub fn render_history(stays: &[Assignment], at: fn(i64) -> String) -> Result<Vec<u8>, RenderError> {
    let mut parameters = Vec::with_capacity(stays.len());
    for stay in stays {
        let mut inside = vec![text("identity", &stay.identity_id)?, instant("from", &at(stay.from_us))?];
        inside.extend(stay.until_us.map(|until_us| instant("until", &at(until_us))).transpose()?);
        inside.extend(grounds(stay)?);
        parameters.push(parts("assignment", inside)?);
    }
    written(parameters)
}

/// What put a record into an identity.
fn grounds(assignment: &Assignment) -> Result<Vec<ParametersParameter>, RenderError> {
    let mut grounds = vec![text("model-version", &assignment.model_version)?];
    grounds.extend(assignment.probability.map(|p| decimal("probability", rounded(p))).transpose()?);
    grounds.extend(assignment.decision_id.as_deref().map(|id| text("decision", id)).transpose()?);
    Ok(grounds)
}

fn written(parameters: Vec<ParametersParameter>) -> Result<Vec<u8>, RenderError> {
    let parameters = Parameters::builder().parameter(list(parameters)).build()?;
    Ok(write(&Resource::Parameters(parameters))?.into_bytes())
}

fn rounded(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}
