//! What there is to decide and what was decided: `$review-queue`, `$decisions`, `$identity`, `$identity-history`.
//!
//! Not here: deciding (see `steward`), what an identity is made of (see `app::steward::queue`).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::clock::instant;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::search::Handling;
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::super::extract::{AppData, State, body, check_accept, context, query_pairs, refuse, run};
use super::super::prefer::handling;
use super::super::render::{identity, review, search_bundle};
use super::super::{FHIR_JSON, error};
use super::pages;

type Pairs = Vec<(String, String)>;

/// `GET /Patient/$review-queue`
pub async fn queue(app: AppData, request: HttpRequest) -> HttpResponse {
    let pairs = query_pairs(&request);
    list(app, request, move |app, ctx, handling| reviews(app, ctx, &pairs, Vec::new(), handling)).await
}

/// `POST /Patient/$review-queue`
pub async fn queue_by_body(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::ReviewQueue, error).await,
    };
    let mut pairs = query_pairs(&request);
    list(app, request, move |app, ctx, handling| {
        let read = app.read_list_parameters(&bytes);
        let mut read = read.map_err(|error| app.refuse(ctx, Action::ReviewQueue, error))?;
        pairs.append(&mut read.pairs);
        reviews(app, ctx, &pairs, read.warnings, handling)
    })
    .await
}

fn reviews(
    app: &State,
    ctx: &Context,
    pairs: &Pairs,
    warnings: Vec<Issue>,
    handling: Handling,
) -> Result<Vec<u8>, AppError> {
    let listed = app.list_reviews(ctx, pairs, handling)?;
    let page =
        pages::of_list(ctx, listed, warnings, |one| review::task(&app.responder, one, &instant(one.item.created_us)));
    super::render(search_bundle::render(&app.responder, &page))
}

/// `GET /Patient/$decisions`
pub async fn decisions(app: AppData, request: HttpRequest) -> HttpResponse {
    let pairs = query_pairs(&request);
    list(app, request, move |app, ctx, handling| {
        let listed = app.list_decisions(ctx, &pairs, handling)?;
        let page = pages::of_list(ctx, listed, Vec::new(), |one| review::provenance(&app.responder, one, instant));
        super::render(search_bundle::render(&app.responder, &page))
    })
    .await
}

/// `GET /Patient/$identity?identity=…`
pub async fn identity(app: AppData, request: HttpRequest) -> HttpResponse {
    let pairs = query_pairs(&request);
    list(app, request, move |app, ctx, _| {
        let Some((_, id)) = pairs.iter().find(|(name, _)| name == "identity") else {
            let issue = Issue::error(IssueCode::Required, "The parameter identity is missing.").at("http.identity");
            return Err(app.refuse(ctx, Action::ReviewQueue, AppError::invalid(vec![issue])));
        };
        super::render(identity::render(&app.responder, &app.identity(ctx, id)?, instant))
    })
    .await
}

/// `GET /Patient/{id}/$identity`
pub async fn identity_of_record(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    list(app, request, move |app, ctx, _| {
        super::render(identity::render(&app.responder, &app.identity_of_record(ctx, &path)?, instant))
    })
    .await
}

/// `GET /Patient/{id}/$identity-history`
pub async fn record_history(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    list(app, request, move |app, ctx, _| {
        super::render(identity::render_history(&app.record_history(ctx, &path)?, instant))
    })
    .await
}

/// Answers with what `work` writes.
async fn list(
    app: AppData,
    request: HttpRequest,
    work: impl FnOnce(&State, &Context, Handling) -> Result<Vec<u8>, AppError> + Send + 'static,
) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = check_accept(&request) {
        return refuse(&app, &ctx, Action::ReviewQueue, error).await;
    }
    let (asked, handling) = (ctx.clone(), handling(&request));
    match run(&app, move |app| work(app, &asked, handling)).await {
        Ok(answer) => HttpResponse::Ok().content_type(FHIR_JSON).body(answer),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
