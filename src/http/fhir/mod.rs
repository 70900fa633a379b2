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
pub mod unknown;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route, guard};

use crate::app::error::AppError;

use super::extract::AppData;
use super::present::present;
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

/// HEAD is GET without the body (RFC 9110 §9.3.2): the same handler, whose body is not sent.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

pub fn routes(config: &mut ServiceConfig) {
    // A more special address stands before a more general one.
    let table = [
        (web::resource("/metadata").route(get().to(metadata::get)), "GET, HEAD"),
        (web::resource("/Patient/$idi-match").route(web::post().to(operation::idi_match)), "POST"),
        (web::resource("/Patient/$match").route(web::post().to(operation::base_match)), "POST"),
        (web::resource("/Patient/$explain-match").route(web::post().to(explain::explain_match)), "POST"),
        (web::resource("/{type}/$validate").route(web::post().to(operation::validate)), "POST"),
        (
            web::resource("/{type}").route(get().to(resource::search)).route(web::post().to(resource::create)),
            "GET, HEAD, POST",
        ),
        (web::resource("/{type}/_history").route(get().to(history::of_type)), "GET, HEAD"),
        (web::resource("/{type}/{id}/_history").route(get().to(history::of_instance)), "GET, HEAD"),
        (
            web::resource("/{type}/{id}")
                .route(get().to(resource::read))
                .route(web::put().to(resource::update))
                .route(web::patch().to(resource::patch))
                .route(web::delete().to(resource::delete)),
            "GET, HEAD, PUT, PATCH, DELETE",
        ),
        (web::resource("/{type}/{id}/_history/{version}").route(get().to(resource::vread)), "GET, HEAD"),
    ];
    let closed = |resource: Resource, methods: &'static str| {
        resource
            .default_service(web::to(move |app: AppData, request: HttpRequest| unknown::method(app, request, methods)))
    };
    let scope =
        table.into_iter().fold(web::scope(BASE), |scope, (resource, methods)| scope.service(closed(resource, methods)));
    config.service(scope.wrap(from_fn(present)));
}
