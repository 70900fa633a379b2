//! From a selection to an answer: Patients as they may leave, linked, with their grades, and what must be said.
//!
//! IG Patient Matching, response bundle. Not here: bytes (see `http::render`), what is selected (see `select`).

use crate::config::Response;
use crate::fhir::issue::Issue;
use crate::fhir::json::parse;
use crate::fhir::match_parameters::PatientParameter;
use crate::fhir::us_core::{LinkKind, PatientLink, Rendering, render_patient};
use crate::matching::pool::IdentityMatch;

use super::STORED_LIMITS;
use super::answer::{AnswerShape, MatchAnswer, PatientEntry};
use super::clock::instant;
use super::context::Context;
use super::error::AppError;
use super::links::read_links;
use super::match_patient::MatchOperation;
use super::select::Selection;
use super::steward::queue::Stewardship;

/// The shape of the answer: the guide's Parameters to those that speak the guide's names, a Bundle to the others.
#[must_use]
pub const fn shape(operation: MatchOperation, given_as: PatientParameter, configured: Response) -> AnswerShape {
    match (operation, configured, given_as) {
        (MatchOperation::Match, _, _) => AnswerShape::BaseBundle,
        (_, Response::Parameters, _) | (_, Response::Auto, PatientParameter::IdiPatient) => AnswerShape::Parameters,
        (_, Response::Bundle | Response::Auto, _) => AnswerShape::Bundle,
    }
}

/// The answer, ready to be written.
///
/// # Errors
/// `Internal` when a stored document cannot be read.
pub fn compose(
    base_url: &str,
    ctx: &Context,
    self_link: String,
    selection: &Selection,
    outcomes: Vec<Vec<Issue>>,
) -> Result<MatchAnswer, AppError> {
    let mut patients = Vec::new();
    for identity in &selection.identities {
        let ids: Vec<&str> = identity.records.iter().map(|record| record.record_id.as_str()).collect();
        for id in &ids {
            let body = selection.bodies.iter().find(|(record, _)| record == id).map(|(_, body)| body.as_str());
            let Some(body) = body else { continue };
            let replaced = replaced(selection, id, body, base_url);
            let entry = entry(base_url, ctx, identity, &Linked { id, ids: &ids, replaced: &replaced }, body)?;
            let stewardship = stewardship(selection, identity).into();
            patients.push(PatientEntry {
                stewardship,
                combination: selection.note(&identity.identity_id).cloned(),
                ..entry
            });
        }
    }
    Ok(MatchAnswer {
        bundle_uuid: (ctx.clock.uuid)(),
        timestamp: instant(ctx.now_us),
        self_link,
        patients,
        outcomes: outcomes.into_iter().filter(|issues| !issues.is_empty()).collect(),
    })
}

fn entry(
    base_url: &str,
    ctx: &Context,
    identity: &IdentityMatch,
    linked: &Linked<'_>,
    body: &str,
) -> Result<PatientEntry, AppError> {
    let Linked { id, ids, replaced } = *linked;
    let others = ids.iter().filter(|other| **other != id);
    let others = others.filter(|other| !replaced.iter().any(|id| id == *other));
    let seen = others.map(|record_id| PatientLink { kind: LinkKind::SeeAlso, record_id });
    let merged = replaced.iter().map(|record_id| PatientLink { kind: LinkKind::Replaces, record_id });
    let links: Vec<PatientLink<'_>> = seen.chain(merged).collect();
    let disclosure = ctx.caller.disclosure();
    let body = render_patient(body, &Rendering { base_url, disclosure: &disclosure, links: &links })
        .map_err(|_| AppError::internal())?;
    let results = identity.attributes.iter();
    Ok(PatientEntry {
        record_id: id.to_owned(),
        body,
        score: identity.score,
        grade: identity.grade.code().into(),
        row: identity.row.map(|row| row.code().into()),
        probability: identity.probability,
        attributes: results.map(|(attribute, result)| (attribute.name().into(), result.code().into())).collect(),
        stewardship: Stewardship::Automatic.code().into(),
        combination: None,
    })
}

/// A record, those that are returned with it, and those that it replaces.
struct Linked<'l> {
    id: &'l str,
    ids: &'l [&'l str],
    replaced: &'l [String],
}

/// Records that the record replaces: those that stewards merged into it or that say so, and those that the stored Patient
/// `body` names. Few have links: most are told by the text alone.
fn replaced(selection: &Selection, id: &str, body: &str, base_url: &str) -> Vec<String> {
    let known = selection.replaced.iter().filter(|(survivor, _)| survivor == id).map(|(_, replaced)| replaced.clone());
    let mut replaced: Vec<String> = known.collect();
    if body.contains("\"link\"") {
        let links = parse(body.as_bytes(), &STORED_LIMITS).map(|patient| read_links(&patient, base_url));
        replaced.extend(links.unwrap_or_default().replaces);
        replaced.sort_unstable();
        replaced.dedup();
    }
    replaced
}

fn stewardship(selection: &Selection, identity: &IdentityMatch) -> &'static str {
    let state = match selection.confirmed.contains(&identity.identity_id) {
        true => Stewardship::Confirmed,
        false => Stewardship::Automatic,
    };
    state.code()
}
