//! Create, read, vread, update, patch and delete of the stored types, and reads of the artifacts.
//!
//! FHIR R4 RESTful API. Not here: what the interactions do (see `app`), searches (see `search`).

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::header::{self, HeaderValue, HttpDate};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::clock::http_date;
use crate::app::create::check_no_criteria;
use crate::app::keep::Kept;
use crate::app::read::{ReadCondition, Version};
use crate::app::update::{Address, Condition};
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::super::extract::{AppData, body, check_accept, context, header_text, patch_body, refuse, run};
use super::super::prefer::{PREFERENCE_APPLIED, Return};
use super::super::render::outcome;
use super::super::{FHIR_JSON, error};

const IF_NONE_EXIST: header::HeaderName = header::HeaderName::from_static("if-none-exist");

/// `POST /{type}`
pub async fn create(
    app: AppData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Create, error).await,
    };
    if let Err(error) = check_no_criteria(&path, request.query_string()) {
        return refuse(&app, &ctx, Action::Create, error).await;
    }
    let if_none_exist = joined(&request, &IF_NONE_EXIST);
    let (asked, resource_type) = (ctx.clone(), path.into_inner());
    match run(&app, move |app| app.create(&asked, &resource_type, if_none_exist.as_deref(), &bytes)).await {
        Ok(kept) => written(&app, &request, kept),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// All values of a header as one text: two different conditions are not one of them.
pub(super) fn joined(request: &HttpRequest, name: &header::HeaderName) -> Option<String> {
    let values: Vec<&str> = request.headers().get_all(name).map(|value| value.to_str().unwrap_or("")).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// `PUT /{type}/{id}`
pub async fn update(
    app: AppData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Update, error).await,
    };
    let (if_match, if_none_match) = (joined(&request, &header::IF_MATCH), joined(&request, &header::IF_NONE_MATCH));
    let (asked, (resource_type, id)) = (ctx.clone(), path.into_inner());
    let updated = run(&app, move |app| {
        let condition = Condition { if_match: if_match.as_deref(), if_none_match: if_none_match.as_deref() };
        app.update(&asked, &resource_type, Address::Id(&id), condition, &bytes)
    });
    match updated.await {
        Ok(kept) => written(&app, &request, kept),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// `PATCH /{type}/{id}`
pub async fn patch(
    app: AppData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match patch_body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Patch, error).await,
    };
    let if_match = joined(&request, &header::IF_MATCH);
    let (asked, (resource_type, id)) = (ctx.clone(), path.into_inner());
    let patched = run(&app, move |app| {
        let condition = Condition { if_match: if_match.as_deref(), if_none_match: None };
        app.patch(&asked, &resource_type, Address::Id(&id), condition, &bytes)
    });
    match patched.await {
        Ok(kept) => written(&app, &request, kept),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// `DELETE /{type}/{id}`
pub async fn delete(app: AppData, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let ctx = context(&request, &app);
    let if_match = joined(&request, &header::IF_MATCH);
    let (asked, (resource_type, id)) = (ctx.clone(), path.into_inner());
    let deleted = run(&app, move |app| {
        let condition = Condition { if_match: if_match.as_deref(), if_none_match: None };
        app.delete(&asked, &resource_type, Address::Id(&id), condition)
    });
    match deleted.await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// `GET /{type}/{id}`
pub async fn read(app: AppData, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (resource_type, id) = path.into_inner();
    read_version(app, request, resource_type, id, Version::Current).await
}

/// `GET /{type}/{id}/_history/{version}`
pub async fn vread(app: AppData, request: HttpRequest, path: web::Path<(String, String, String)>) -> HttpResponse {
    let (resource_type, id, version) = path.into_inner();
    read_version(app, request, resource_type, id, Version::parse(&version)).await
}

async fn read_version(
    app: AppData,
    request: HttpRequest,
    resource_type: String,
    id: String,
    version: Version,
) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = check_accept(&request) {
        return refuse(&app, &ctx, Action::Read, error).await;
    }
    let asked = ctx.clone();
    match run(&app, move |app| app.read(&asked, &resource_type, &id, version)).await {
        Ok(stored) => {
            let is_unchanged = read_condition(&request).is_unchanged(stored.version, stored.updated_us);
            let mut response = if is_unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
            versioned(&mut response, stored.version, stored.updated_us);
            if is_unchanged { response.finish() } else { response.content_type(FHIR_JSON).body(stored.body) }
        }
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// A date that cannot be read is no condition (RFC 9110 §13.1.3).
fn read_condition(request: &HttpRequest) -> ReadCondition {
    let date = header_text(request, &header::IF_MODIFIED_SINCE).and_then(|text| text.parse::<HttpDate>().ok());
    let since = date.and_then(|date| SystemTime::from(date).duration_since(UNIX_EPOCH).ok());
    ReadCondition {
        if_none_match: joined(request, &header::IF_NONE_MATCH),
        modified_since_us: since.and_then(|since| i64::try_from(since.as_micros()).ok()),
    }
}

/// 201 with Location for what is new, 200 for what was there; as much of it as `Prefer` asks for.
pub(super) fn written(app: &AppData, request: &HttpRequest, kept: Kept) -> HttpResponse {
    let mut response = if kept.is_created { HttpResponse::Created() } else { HttpResponse::Ok() };
    versioned(&mut response, kept.version, kept.updated_us);
    if kept.is_created {
        let base = &app.config.server.base_url;
        let location = format!("{base}/{}/{}/_history/{}", kept.kind.name(), kept.id, kept.version);
        if let Ok(value) = HeaderValue::from_str(&location) {
            response.insert_header((header::LOCATION, value));
        }
    }
    // Whoever may not read what he writes gets none of it.
    let is_kept_back = |preferred: &Return| kept.body.is_none() && *preferred == Return::Representation;
    let preferred = Return::of(request).map(|asked| if is_kept_back(&asked) { Return::Minimal } else { asked });
    if let Some(preferred) = preferred {
        response.insert_header((PREFERENCE_APPLIED, preferred.applied()));
    }
    match preferred.unwrap_or_default() {
        Return::Representation => match kept.body {
            Some(body) => response.content_type(FHIR_JSON).body(body),
            None => response.finish(),
        },
        Return::Minimal => response.finish(),
        Return::OperationOutcome => {
            let text = if kept.is_created { "The resource was created." } else { "The resource is stored." };
            let issue = Issue::information(IssueCode::Informational, text);
            let request_id = context(request, app).request_id;
            response.content_type(FHIR_JSON).body(outcome::render(&[issue], &request_id))
        }
    }
}

fn versioned(response: &mut actix_web::HttpResponseBuilder, version: i64, updated_us: i64) {
    response.insert_header((header::ETAG, format!("W/\"{version}\"")));
    response.insert_header((header::LAST_MODIFIED, http_date(updated_us)));
}
