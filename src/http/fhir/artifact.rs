//! Searches over the artifacts of `profiles/`: StructureDefinition, OperationDefinition, ValueSet, CodeSystem, NamingSystem.
//!
//! Not here: reading one (see `resource::read`).

use actix_web::HttpResponse;

use crate::app::artifact::ArtifactPage;
use crate::app::context::Context;
use crate::app::search::Handling;
use crate::profile::artifact::ARTIFACT_TYPES;

use super::super::extract::{AppData, run};
use super::super::render::search_bundle;
use super::super::{FHIR_JSON, error};

/// Whether a type is served from `profiles/`.
#[must_use]
pub fn is_artifact(resource_type: &str) -> bool {
    ARTIFACT_TYPES.contains(&resource_type)
}

/// `GET /{type}?url=…`
pub async fn search(
    app: AppData,
    ctx: Context,
    resource_type: String,
    pairs: Vec<(String, String)>,
    handling: Handling,
) -> HttpResponse {
    let asked = ctx.clone();
    let found = run(&app, move |app| {
        let page: ArtifactPage = app.search_artifacts(&asked, &resource_type, &pairs, handling)?;
        super::render(search_bundle::render(&app.responder, &super::pages::of_artifacts(&asked, page)))
    });
    match found.await {
        Ok(bundle) => HttpResponse::Ok().content_type(FHIR_JSON).body(bundle),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
