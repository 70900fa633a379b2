//! `$idi-match`, `$match` and `$validate`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::match_patient::{MatchOperation, MatchRequest};
use crate::audit::Action;

use super::super::extract::{AppData, body, context, query_pairs, refuse, run};
use super::super::render::{match_bundle, outcome};
use super::super::{FHIR_JSON, error};

/// IG operation IDI-match.
pub async fn idi_match(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match_with(MatchOperation::IdiMatch, app, request, payload).await
}

/// FHIR R4 operation Patient-match.
pub async fn base_match(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match_with(MatchOperation::Match, app, request, payload).await
}

async fn match_with(
    operation: MatchOperation,
    app: AppData,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Match, error).await,
    };
    let asked = ctx.clone();
    let answered = run(&app, move |app| {
        let self_link = format!("{}/Patient/{}", app.config.server.base_url, operation.code());
        let request = MatchRequest { operation, body: &bytes, self_link };
        let (answer, shape) = app.match_patient(&asked, &request)?;
        super::render(match_bundle::render(&app.responder, &answer, shape))
    })
    .await;
    match answered {
        Ok(bundle) => HttpResponse::Ok().content_type(FHIR_JSON).body(bundle),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// FHIR R4 operation Resource-validate: problems are the answer, not an error.
pub async fn validate(
    app: AppData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Validate, error).await,
    };
    let profile = query_pairs(&request).into_iter().find(|(name, _)| name == "profile").map(|(_, value)| value);
    let (asked, resource_type) = (ctx.clone(), path.into_inner());
    let validated = run(&app, move |app| app.validate(&asked, &resource_type, &bytes, profile.as_deref())).await;
    match validated {
        Ok(issues) => HttpResponse::Ok().content_type(FHIR_JSON).body(outcome::render(&issues, &ctx.request_id)),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
