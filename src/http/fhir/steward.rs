//! What stewards decide about identities: `$merge`, `$unmerge`, `$link`, `$unlink`, `$split`, `$decide`, `$revoke`.
//!
//! `$merge` is FHIR R5 Patient-merge; the others are this project's (`profiles/OperationDefinition-*.json`). Not here: what
//! there is to decide (see `review`), what a decision does (see `app::steward`).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::steward::request::Operation;

use super::super::extract::{AppData, body, context, refuse, run};
use super::super::render::ruling;
use super::super::{FHIR_JSON, error};

/// `POST /Patient/$merge`
pub async fn merge(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Merge, app, request, payload).await
}

/// `POST /Patient/$unmerge`
pub async fn unmerge(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Unmerge, app, request, payload).await
}

/// `POST /Patient/$link`
pub async fn link(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Link, app, request, payload).await
}

/// `POST /Patient/$unlink`
pub async fn unlink(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Unlink, app, request, payload).await
}

/// `POST /Patient/$split`
pub async fn split(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Split, app, request, payload).await
}

/// `POST /Patient/$decide`
pub async fn decide(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Decide, app, request, payload).await
}

/// `POST /Patient/$revoke`
pub async fn revoke(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    rule(Operation::Revoke, app, request, payload).await
}

async fn rule(operation: Operation, app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, operation.action(), error).await,
    };
    let asked = ctx.clone();
    let ruled = run(&app, move |app| {
        let ruled = app.rule(&asked, operation, &bytes)?;
        super::render(ruling::render(&app.responder, &ruled, &asked.request_id))
    });
    match ruled.await {
        Ok(parameters) => HttpResponse::Ok().content_type(FHIR_JSON).body(parameters),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
