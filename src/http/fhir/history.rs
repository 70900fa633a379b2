//! `GET /{type}/{id}/_history` and `GET /{type}/_history`.
//!
//! FHIR R4 RESTful API, history. Not here: one version of a resource (see `resource::vread`).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::clock::instant;
use crate::app::context::Context;
use crate::app::history::HistoryAnswer;
use crate::audit::Action;

use super::super::extract::{AppData, check_accept, context, query_pairs, refuse, run};
use super::super::prefer::handling;
use super::super::render::history_bundle::{HistoryPage, Version, render};
use super::super::{FHIR_JSON, error};

/// Every version of one resource.
pub async fn of_instance(app: AppData, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (resource_type, id) = path.into_inner();
    history(app, request, resource_type, Some(id)).await
}

/// Every version of every resource of a type.
pub async fn of_type(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    history(app, request, path.into_inner(), None).await
}

async fn history(app: AppData, request: HttpRequest, resource_type: String, id: Option<String>) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = check_accept(&request) {
        return refuse(&app, &ctx, Action::History, error).await;
    }
    let (asked, pairs, handling) = (ctx.clone(), query_pairs(&request), handling(&request));
    let listed = run(&app, move |app| {
        let answer = app.history(&asked, &resource_type, id.as_deref(), &pairs, handling)?;
        super::render(render(&app.responder, &page(&asked, answer)))
    });
    match listed.await {
        Ok(bundle) => HttpResponse::Ok().content_type(FHIR_JSON).body(bundle),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

fn page(ctx: &Context, answer: HistoryAnswer) -> HistoryPage {
    let versions = answer.versions.into_iter().map(|version| Version {
        resource_type: answer.kind.name().to_owned(),
        id: version.id,
        version: version.version,
        last_updated: instant(version.updated_us),
        body: (!version.deleted).then_some(version.body),
    });
    HistoryPage {
        timestamp: instant(ctx.now_us),
        self_link: answer.self_link,
        next_link: answer.next_link,
        versions: versions.collect(),
    }
}
