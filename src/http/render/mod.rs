//! Answers as bytes of `application/fhir+json`: pure functions from plain structs.
//!
//! What: outcomes, match bundles, search bundles, explanations and the capability statement, built from the types of
//! `fhir-types`; stored resources go in as text and leave byte for byte. The pictures of `waterfall` are the exception. Not here: HTTP types, deciding what is answered, rendering a
//! stored Patient (see `fhir::us_core`).

pub mod bundle_response;
pub mod capability;
pub mod explanation;
pub mod export_manifest;
pub mod history_bundle;
pub mod identity;
pub mod match_bundle;
pub mod ndjson;
pub mod outcome;
mod parameters;
pub mod responder;
pub mod review;
pub mod ruling;
pub mod search_bundle;
pub mod waterfall;

use std::str::FromStr;

use fhir_types::{BuilderError, Instant, WriteError};

/// Why an answer cannot be written: a fault of this server or of its configuration, never of a request.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the base URL must begin with http:// or https://")]
    BaseUrl,
    #[error("the responding organization needs a phone, an email address or a web address")]
    NoContact,
    #[error("{0} is no FHIR instant")]
    Instant(&'static str),
    #[error("{0} has a code that FHIR does not know")]
    Code(&'static str),
    #[error(transparent)]
    Incomplete(#[from] BuilderError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

fn instant(element: &'static str, text: &str) -> Result<Instant, RenderError> {
    Instant::from_str(text).map_err(|_| RenderError::Instant(element))
}

fn code<T: FromStr>(element: &'static str, text: &str) -> Result<T, RenderError> {
    text.parse().map_err(|_| RenderError::Code(element))
}

/// A list as fhir-types holds it: FHIR JSON allows `null` elements there, this server writes none.
fn list<T>(items: impl IntoIterator<Item = T>) -> Vec<Option<T>> {
    items.into_iter().map(Some).collect()
}
