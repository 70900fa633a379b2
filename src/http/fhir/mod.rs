//! The FHIR routes: one table; one file for each interaction or operation.
//!
//! What is listed here is what the CapabilityStatement says (see `app::capability`); a test compares them.

mod artifact;
mod history;
mod explain;
mod metadata;
mod operation;
mod pages;
mod resource;
pub mod unknown;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, Resource};

use crate::app::error::AppError;

use super::extract::AppData;
use super::render::RenderError;

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
    // A more special address stands before a more general one.
    let table = [
        (web::resource("/metadata").route(web::get().to(metadata::get)), "GET"),
        (web::resource("/Patient/$idi-match").route(web::post().to(operation::idi_match)), "POST"),
        (web::resource("/Patient/$match").route(web::post().to(operation::base_match)), "POST"),
        (web::resource("/Patient/$explain-match").route(web::post().to(explain::explain_match)), "POST"),
        (web::resource("/{type}/$validate").route(web::post().to(operation::validate)), "POST"),
        (
            web::resource("/{type}").route(web::get().to(resource::search)).route(web::post().to(resource::create)),
            "GET, POST",
        ),
        (web::resource("/{type}/_history").route(web::get().to(history::of_type)), "GET"),
        (web::resource("/{type}/{id}/_history").route(web::get().to(history::of_instance)), "GET"),
        (
            web::resource("/{type}/{id}")
                .route(web::get().to(resource::read))
                .route(web::put().to(resource::update))
                .route(web::delete().to(resource::delete)),
            "GET, PUT, DELETE",
        ),
        (web::resource("/{type}/{id}/_history/{version}").route(web::get().to(resource::vread)), "GET"),
    ];
    let closed = |resource: Resource, methods: &'static str| {
        resource
            .default_service(web::to(move |app: AppData, request: HttpRequest| unknown::method(app, request, methods)))
    };
    let scope =
        table.into_iter().fold(web::scope(BASE), |scope, (resource, methods)| scope.service(closed(resource, methods)));
    config.service(scope);
}
