//! The guard of every FHIR route: who calls, and may that caller do what the route's row in the table of access says.
//!
//! RFC 6750: a token stands in one `Authorization` header with the scheme `Bearer`, and nowhere else. A refusal is audited
//! like every other answer. Not here: the table and the judgement (see `app::auth`).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use tracing::Instrument as _;

use crate::app::auth::access::{self, Access};
use crate::app::auth::gate::{Gate, permit_route};
use crate::app::context::Context;
use crate::app::error::AppError;

use super::extract::{AppData, context, refuse, run};

const SCHEME: &str = "bearer ";

/// Wraps the handlers of one row of the route table.
///
/// # Errors
/// What the handlers give.
pub async fn guard<B: MessageBody + 'static>(
    path: &'static str,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let found = (request.app_data::<AppData>().cloned(), access::find(path, request.method().as_str()));
    // A method that is not served is answered by the route itself.
    let (Some(app), Some(access)) = found else { return pass(request, next).await };
    if matches!(app.gate(), Gate::Open) {
        return pass(request, next).await;
    }
    let resource_type = request.match_info().get("type").unwrap_or_default().to_owned();
    let is_name = resource_type.bytes().all(|letter| letter.is_ascii_alphanumeric());
    // What is no name of a type is not decoded here, so that nobody takes it for one later.
    if is_name && access.need.is_public(&resource_type) {
        return pass(request, next).await;
    }
    let ctx = context(request.request(), &app);
    if !is_name {
        let error = AppError::not_found("This resource type is not served.");
        return Ok(request.into_response(refuse(&app, &ctx, access.action, error).await));
    }
    let admitted = admitted(&app, &ctx, bearer(&request), access, resource_type);
    match admitted.instrument(tracing::info_span!("gate")).await {
        Ok(ctx) => {
            request.extensions_mut().insert(ctx);
            pass(request, next).await
        }
        Err(refused) => {
            let (ctx, error) = *refused;
            let response = refuse(&app, &ctx, access.action, error).await;
            Ok(request.into_response(response))
        }
    }
}

async fn pass<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

/// The context with its caller, who may do what the row says; of a refusal, the caller is known too where the token was good.
async fn admitted(
    app: &AppData,
    ctx: &Context,
    token: Result<Option<String>, AppError>,
    access: &'static Access,
    resource_type: String,
) -> Result<Context, Box<(Context, AppError)>> {
    let asked = ctx.clone();
    let judged = run(app, move |app| {
        let caller = match token {
            Err(error) => return Ok(Err((asked, error))),
            Ok(None) => asked.caller.clone(),
            Ok(Some(token)) => match app.caller_of_token(&asked, &token) {
                Ok(caller) => caller,
                Err(error) => return Ok(Err((asked, error))),
            },
        };
        let asked = Context { caller, ..asked };
        match permit_route(&asked.caller, access.path, access.method, &resource_type) {
            Ok(()) => Ok(Ok(asked)),
            Err(error) => Ok(Err((asked, error))),
        }
    });
    match judged.await {
        Ok(judged) => judged.map_err(Box::new),
        Err(error) => Err(Box::new((ctx.clone(), error))),
    }
}

/// The token; several, or one that is no text, are none that is in force.
fn bearer(request: &ServiceRequest) -> Result<Option<String>, AppError> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AppError::invalid_token());
    }
    let text = value.to_str().map_err(|_| AppError::invalid_token())?;
    let is_bearer = text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    Ok(is_bearer.then(|| text[SCHEME.len()..].trim().to_owned()))
}
