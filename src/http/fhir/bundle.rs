//! `POST [base]`: a transaction or batch (FHIR R4 RESTful API, batch/transaction).
//!
//! Not here: what the entries do (see `app::bundle`).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::bundle::answer::{AnsweredContent, Echo, EntryAnswer};
use crate::app::bundle::{BundleAnswer, BundleKind};
use crate::app::clock::instant;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::audit::Action;

use super::super::extract::{AppData, State, body, context, refuse, run};
use super::super::prefer::Return;
use super::super::render::bundle_response::{BundleResponse, EntryResponse, EntryVersion, ResponseType};
use super::super::render::search_bundle;
use super::super::{FHIR_JSON, error};
use super::pages;

/// `POST [base]`
pub async fn post(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Bundle, error).await,
    };
    // The least is the default here: a Bundle may have written many resources.
    let prefer = Return::of(&request).unwrap_or(Return::Minimal);
    let asked = ctx.clone();
    let answered = run(&app, move |app| {
        let echo = if prefer == Return::Representation { Echo::Sent } else { Echo::Withheld };
        let answer = app.bundle(&asked, &bytes, echo)?;
        write(app, &asked, &answer, prefer)
    });
    match answered.await {
        Ok(bundle) => HttpResponse::Ok().content_type(FHIR_JSON).body(bundle),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

fn write(state: &State, ctx: &Context, answer: &BundleAnswer, prefer: Return) -> Result<Vec<u8>, AppError> {
    let entries: Result<Vec<EntryResponse<'_>>, AppError> =
        answer.entries.iter().map(|one| entry(state, ctx, one, prefer)).collect();
    let bundle_type = match answer.kind {
        BundleKind::Transaction => ResponseType::Transaction,
        BundleKind::Batch => ResponseType::Batch,
    };
    let response = BundleResponse { bundle_type, request_id: &ctx.request_id, entries: entries? };
    super::render(super::super::render::bundle_response::render(&state.responder, &response))
}

fn entry<'a>(
    state: &State,
    ctx: &Context,
    one: &'a EntryAnswer,
    prefer: Return,
) -> Result<EntryResponse<'a>, AppError> {
    let version = one.version.as_ref().map(|version| EntryVersion {
        resource_type: version.resource_type,
        id: &version.id,
        version: version.version,
        last_updated: instant(version.updated_us),
    });
    let mut response = EntryResponse { status: one.status, version, outcome: None, resource: None };
    match &one.content {
        AnsweredContent::Nothing | AnsweredContent::Found(..) => {}
        AnsweredContent::Refused(issues) => response.outcome = Some(issues),
        AnsweredContent::Read(body) => response.resource = Some(body.as_str().into()),
        AnsweredContent::Page(page) => {
            let page = pages::of_stored(ctx, page.clone());
            let bundle = super::render(search_bundle::render(&state.responder, &page))?;
            response.resource = Some(String::from_utf8_lossy(&bundle).into_owned().into());
        }
        AnsweredContent::Written(_) if prefer == Return::OperationOutcome => response.outcome = Some(&[]),
        AnsweredContent::Written(body) => response.resource = body.as_deref().map(Into::into),
    }
    Ok(response)
}
