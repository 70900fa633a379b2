//! `$idi-match`, `$match`, `$validate` and `$meta`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::match_patient::{MatchOperation, MatchRequest};
use crate::app::metering::Metered;
use crate::app::read::Version;
use crate::app::validate::ValidateRequest;
use crate::audit::Action;

use super::super::extract::{AppData, body, context, query_pairs, refuse, run};
use super::super::rate_limit;
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
        let Metered { answer: (answer, shape), rate } = app.match_patient(&asked, &request)?;
        Ok((super::render(match_bundle::render(&app.responder, &answer, shape))?, rate))
    })
    .await;
    match answered {
        Ok((bundle, rate)) => {
            let mut response = HttpResponse::Ok();
            rate.iter().for_each(|rate| rate_limit::tell(&mut response, rate));
            response.content_type(FHIR_JSON).body(bundle)
        }
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// FHIR R4 operation Resource-validate, of a type: problems are the answer, not an error.
pub async fn validate(
    app: AppData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    validate_with(app, request, path.into_inner(), None, payload).await
}

/// The same, of one resource.
pub async fn validate_instance(
    app: AppData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> HttpResponse {
    let (resource_type, id) = path.into_inner();
    validate_with(app, request, resource_type, Some(id), payload).await
}

async fn validate_with(
    app: AppData,
    request: HttpRequest,
    resource_type: String,
    id: Option<String>,
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let bytes = match body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Validate, error).await,
    };
    let (asked, pairs) = (ctx.clone(), query_pairs(&request));
    let validated = run(&app, move |app| {
        let named = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let request = ValidateRequest {
            resource_type: &resource_type,
            id: id.as_deref(),
            body: &bytes,
            mode: named("mode"),
            profile: named("profile"),
        };
        app.validate(&asked, &request)
    });
    match validated.await {
        Ok(issues) => HttpResponse::Ok().content_type(FHIR_JSON).body(outcome::render(&issues, &ctx.request_id)),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// FHIR R4 operation Resource-meta, of the current version.
pub async fn meta(
    app: AppData,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> HttpResponse {
    let (resource_type, id) = path.into_inner();
    meta_of(app, request, (resource_type, id, Version::Current), payload).await
}

/// The same, of another version.
pub async fn version_meta(
    app: AppData,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
) -> HttpResponse {
    let (resource_type, id, version) = path.into_inner();
    meta_of(app, request, (resource_type, id, Version::parse(&version)), payload).await
}

/// The operation has no parameters: a body is read, so that the connection stays usable, and not looked at.
async fn meta_of(
    app: AppData,
    request: HttpRequest,
    (resource_type, id, version): (String, String, Version),
    payload: web::Payload,
) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = body(&request, payload, &app).await {
        return refuse(&app, &ctx, Action::Read, error).await;
    }
    let asked = ctx.clone();
    match run(&app, move |app| app.meta(&asked, &resource_type, &id, version)).await {
        Ok(meta) => {
            let parameters =
                format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"return","valueMeta":{meta}}}]}}"#);
            HttpResponse::Ok().content_type(FHIR_JSON).body(parameters)
        }
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}
