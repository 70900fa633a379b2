//! Conditional update, patch and delete: the resource is addressed by a query (FHIR R4 RESTful API).
//!
//! Not here: conditional create, which is a header of a create (see `resource`); what the interactions do (see `app`).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::update::{Address, Condition};
use crate::audit::Action;

use super::super::error;
use super::super::extract::{AppData, body, context, patch_body, refuse, run};
use super::resource::{joined, written};

/// `PUT /{type}?…`
pub async fn update(
    app: AppData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Update, error).await,
    };
    let (if_match, if_none_match) = (joined(&request, &header::IF_MATCH), joined(&request, &header::IF_NONE_MATCH));
    let (asked, resource_type, query) = (ctx.clone(), path.into_inner(), request.query_string().to_owned());
    let updated = run(&app, move |app| {
        let condition = Condition { if_match: if_match.as_deref(), if_none_match: if_none_match.as_deref() };
        app.update(&asked, &resource_type, Address::Query(&query), condition, &bytes)
    });
    match updated.await {
        Ok(kept) => written(&app, &request, kept),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// `PATCH /{type}?…`
pub async fn patch(app: AppData, request: HttpRequest, path: web::Path<String>, payload: web::Payload) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match patch_body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Patch, error).await,
    };
    let if_match = joined(&request, &header::IF_MATCH);
    let (asked, resource_type, query) = (ctx.clone(), path.into_inner(), request.query_string().to_owned());
    let patched = run(&app, move |app| {
        let condition = Condition { if_match: if_match.as_deref(), if_none_match: None };
        app.patch(&asked, &resource_type, Address::Query(&query), condition, &bytes)
    });
    match patched.await {
        Ok(kept) => written(&app, &request, kept),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// `DELETE /{type}?…`
pub async fn delete(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    let ctx = context(&request, &app);
    let if_match = joined(&request, &header::IF_MATCH);
    let (asked, resource_type, query) = (ctx.clone(), path.into_inner(), request.query_string().to_owned());
    let deleted = run(&app, move |app| {
        let condition = Condition { if_match: if_match.as_deref(), if_none_match: None };
        app.delete(&asked, &resource_type, Address::Query(&query), condition)
    });
    match deleted.await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
