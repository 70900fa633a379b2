//! From a selection to an answer: Patients as they may leave, linked, with their grades, and what must be said.
//!
//! IG Patient Matching, response bundle. Not here: bytes (see `http::render`), what is selected (see `select`).

use std::collections::BTreeSet;

use crate::config::Response;
use crate::fhir::issue::Issue;
use crate::fhir::json::parse;
use crate::fhir::match_parameters::PatientParameter;
use crate::fhir::us_core::{LinkKind, PatientLink, Rendering, render_patient};
use crate::matching::grade::score_of_table;
use crate::matching::pool::{Attribute, IdentityMatch};

use super::STORED_LIMITS;
use super::answer::{AnswerShape, CombinationNote, MatchAnswer, PatientEntry};
use super::clock::instant;
use super::context::Context;
use super::error::AppError;
use super::links::read_links;
use super::match_patient::MatchOperation;
use super::select::Selection;
use super::steward::state::Stewardship;

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
            let body = linked(base_url, ctx, selection, id, &ids, body)?;
            patients.push(entry(ctx, selection, identity, id, body));
        }
        if let Some(golden) = selection.golden.iter().find(|golden| golden.identity_id == identity.identity_id) {
            let body = golden.render(base_url, &ctx.caller.disclosure(), &ids)?;
            patients.push(entry(ctx, selection, identity, &golden.id(), body));
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

/// The record as it may leave, with links to the others of its identity and to those that were merged into it.
fn linked(
    base_url: &str,
    ctx: &Context,
    selection: &Selection,
    id: &str,
    ids: &[&str],
    body: &str,
) -> Result<String, AppError> {
    let declared = declared(body, base_url);
    let merged = selection.replaced.iter().filter(|(_, survivor)| survivor == id).map(|(record, _)| record.as_str());
    let merged: BTreeSet<&str> = merged.chain(declared.iter().map(String::as_str)).collect();
    let others = ids.iter().filter(|other| **other != id && !merged.contains(*other));
    let seen = others.map(|record_id| PatientLink { kind: LinkKind::SeeAlso, record_id });
    let replaces = merged.iter().map(|record_id| PatientLink { kind: LinkKind::Replaces, record_id });
    let links: Vec<PatientLink<'_>> = seen.chain(replaces).collect();
    let disclosure = ctx.caller.disclosure();
    render_patient(body, &Rendering { base_url, disclosure: &disclosure, links: &links })
        .map_err(|_| AppError::internal())
}

fn entry(ctx: &Context, selection: &Selection, identity: &IdentityMatch, id: &str, body: String) -> PatientEntry {
    let is_fine = ctx.caller.sees_probabilities();
    // A number that never leaves is not confirmed digit by digit either.
    let results =
        identity.attributes.iter().filter(|(attribute, _)| is_fine || *attribute != Attribute::SocialSecurity);
    let stewardship = selection.stewardship.get(&identity.identity_id).copied();
    let combination = selection.note(&identity.identity_id).cloned();
    PatientEntry {
        record_id: id.to_owned(),
        body,
        score: if is_fine { identity.score } else { score_of_table(identity.score) },
        grade: identity.grade.code().into(),
        row: identity.row.map(|row| row.code().into()),
        probability: is_fine.then_some(identity.probability),
        attributes: results.map(|(attribute, result)| (attribute.name().into(), result.code().into())).collect(),
        stewardship: stewardship.unwrap_or(Stewardship::Automatic).code().into(),
        combination: combination.map(|note| CombinationNote { collision: note.collision.filter(|_| is_fine), ..note }),
    }
}

/// Records that the stored Patient `body` says itself to replace. Few have links: most are told by the text alone.
fn declared(body: &str, base_url: &str) -> Vec<String> {
    if !body.contains("\"link\"") {
        return Vec::new();
    }
    parse(body.as_bytes(), &STORED_LIMITS).map(|patient| read_links(&patient, base_url).replaces).unwrap_or_default()
}
