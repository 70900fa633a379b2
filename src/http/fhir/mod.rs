//! The FHIR routes: one table; one file for each interaction or operation.
//!
//! What is listed here is what the CapabilityStatement says (see `app::capability`); a test compares them.

mod artifact;
mod bundle;
mod conditional;
mod explain;
mod export;
mod history;
mod metadata;
mod operation;
mod pages;
mod resource;

mod review;
mod search;
mod steward;
pub mod unknown;
mod who_looked;

use actix_web::web::ServiceConfig;

use crate::app::error::AppError;

use super::render::RenderError;
use super::route::{self, Row, at};

/// What a rendering gives; what cannot be written is a fault of this server.
fn render(rendered: Result<Vec<u8>, RenderError>) -> Result<Vec<u8>, AppError> {
    rendered.map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        AppError::internal()
    })
}

/// The path under which FHIR is served.
pub const BASE: &str = "/fhir";

pub fn routes(config: &mut ServiceConfig) {
    route::serve(config, BASE, rows());
}

/// The route table: a more special address stands before a more general one.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        at("").post(bundle::post),
        at("/").post(bundle::post),
        at("/metadata").get(metadata::get),
        at("/Patient/$idi-match").post(operation::idi_match),
        at("/Patient/$match").post(operation::base_match),
        at("/Patient/$explain-match").post(explain::explain_match),
        at("/Patient/$merge").post(steward::merge),
        at("/Patient/$unmerge").post(steward::unmerge),
        at("/Patient/$link").post(steward::link),
        at("/Patient/$unlink").post(steward::unlink),
        at("/Patient/$split").post(steward::split),
        at("/Patient/$decide").post(steward::decide),
        at("/Patient/$revoke").post(steward::revoke),
        at("/Patient/$review-queue").get(review::queue).post(review::queue_by_body),
        at("/Patient/$decisions").get(review::decisions),
        at("/Patient/$identity").get(review::identity),
        at("/Patient/{id}/$identity").get(review::identity_of_record),
        at("/Patient/{id}/$identity-history").get(review::record_history),
        at("/Patient/$who-looked").get(who_looked::by_identity).post(who_looked::by_body),
        at("/Patient/{id}/$who-looked").get(who_looked::of_record).post(who_looked::of_record_by_body),
        at("/$export").get(export::of_system).post(export::of_system_by_body),
        at("/Patient/$export").get(export::of_patients).post(export::of_patients_by_body),
        at("/$export/{job}").get(export::status).delete(export::cancel),
        at("/$export/{job}/{file}").get(export::file),
        at("/{type}/$validate").post(operation::validate),
        at("/{type}/{id}/$validate").post(operation::validate_instance),
        at("/{type}/{id}/$meta").get(operation::meta).post(operation::meta),
        at("/{type}/{id}/_history/{version}/$meta").get(operation::version_meta).post(operation::version_meta),
        at("/{type}")
            .get(search::get)
            .post(resource::create)
            .put(conditional::update)
            .patch(conditional::patch)
            .delete(conditional::delete),
        at("/{type}/_search").post(search::post),
        at("/{type}/_history").get(history::of_type),
        at("/{type}/{id}/_history").get(history::of_instance),
        at("/{type}/{id}").get(resource::read).put(resource::update).patch(resource::patch).delete(resource::delete),
        at("/{type}/{id}/_history/{version}").get(resource::vread),
    ]
}
