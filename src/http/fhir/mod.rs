//! The FHIR routes: one table; one file for each interaction or operation.
//!
//! What is listed here is what the CapabilityStatement says (see `app::capability`); a test compares them.

mod artifact;
mod explain;
mod history;
mod metadata;
mod operation;
mod pages;
mod resource;
mod search;
pub mod unknown;

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
        at("/metadata").get(metadata::get),
        at("/Patient/$idi-match").post(operation::idi_match),
        at("/Patient/$match").post(operation::base_match),
        at("/Patient/$explain-match").post(explain::explain_match),
        at("/{type}/$validate").post(operation::validate),
        at("/{type}/{id}/$validate").post(operation::validate_instance),
        at("/{type}/{id}/$meta").get(operation::meta).post(operation::meta),
        at("/{type}/{id}/_history/{version}/$meta").get(operation::version_meta).post(operation::version_meta),
        at("/{type}").get(search::get).post(resource::create),
        at("/{type}/_search").post(search::post),
        at("/{type}/_history").get(history::of_type),
        at("/{type}/{id}/_history").get(history::of_instance),
        at("/{type}/{id}").get(resource::read).put(resource::update).delete(resource::delete),
        at("/{type}/{id}/_history/{version}").get(resource::vread),
    ]
}
