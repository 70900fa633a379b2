//! `GET /{type}?…` and `POST /{type}/_search`.
//!
//! FHIR R4 RESTful API, search; the parameters of the address and of the form count together. Not here: searching (see
//! `app::search`).

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use crate::audit::Action;

use super::super::extract::{AppData, check_accept, context, form_pairs, query_pairs, refuse, run};
use super::super::prefer::handling;
use super::super::present::Presentation;
use super::super::render::search_bundle;
use super::super::{FHIR_JSON, error};
use super::{artifact, pages};

/// `GET /{type}?…`
pub async fn get(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    if let Err(error) = check_accept(&request) {
        return refuse(&app, &context(&request, &app), Action::Search, error).await;
    }
    let pairs = query_pairs(&request);
    search(app, request, path.into_inner(), pairs).await
}

/// `POST /{type}/_search`
pub async fn post(app: AppData, request: HttpRequest, path: web::Path<String>, payload: web::Payload) -> HttpResponse {
    let form = match form_pairs(&request, payload, &app).await {
        Ok(form) => form,
        Err(error) => return refuse(&app, &context(&request, &app), Action::Search, error).await,
    };
    let pairs: Vec<_> = query_pairs(&request).into_iter().chain(form).collect();
    match Presentation::read(&app, &pairs) {
        Ok(wanted) => drop(request.extensions_mut().insert(wanted)),
        Err(error) => return refuse(&app, &context(&request, &app), Action::Search, error).await,
    }
    search(app, request, path.into_inner(), pairs).await
}

async fn search(
    app: AppData,
    request: HttpRequest,
    resource_type: String,
    pairs: Vec<(String, String)>,
) -> HttpResponse {
    let (ctx, handling) = (context(&request, &app), handling(&request));
    if artifact::is_artifact(&resource_type) {
        return artifact::search(app, ctx, resource_type, pairs, handling).await;
    }
    let asked = ctx.clone();
    let found = run(&app, move |app| {
        let page = app.search(&asked, &resource_type, &pairs, handling)?;
        super::render(search_bundle::render(&app.responder, &pages::of_stored(&asked, page)))
    });
    match found.await {
        Ok(bundle) => HttpResponse::Ok().content_type(FHIR_JSON).body(bundle),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
