//! From a request to the arguments of the authorization server: form, JSON, credentials in a header.

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::auth::refusal_of_input;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::audit::Action;
use crate::auth::error::{OAuthError, Refusal};
use crate::auth::oauth_form::Header;

use super::super::extract::{AppData, State, context, read_body, read_form, run};
use super::answer;

/// The `Authorization` header.
#[must_use]
pub fn authorization(request: &HttpRequest) -> Header {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    match (headers.next(), headers.next()) {
        (None, _) => Header::Absent,
        (Some(one), None) => {
            let bearer = one.to_str().ok().and_then(|text| text.split_once(' '));
            let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            bearer.map_or(Header::Other, |(_, token)| Header::Bearer(token.trim().to_owned()))
        }
        (Some(_), Some(_)) => Header::Other,
    }
}

/// Reads a form and runs a use case with it.
pub async fn with_form<T: Send + 'static>(
    app: &AppData,
    request: &HttpRequest,
    payload: Payload,
    action: Action,
    work: impl FnOnce(&State, &Context, &[(String, String)], &Header) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, HttpResponse> {
    let (ctx, header) = (context(request, app), authorization(request));
    match read_form(request, payload, app).await {
        Ok(pairs) => finish(run(app, move |app| Ok(work(app, &ctx, &pairs, &header))).await),
        Err(error) => Err(refuse_input(app, ctx, action, &error, OAuthError::InvalidRequest).await),
    }
}

/// Reads JSON and runs a use case with it.
pub async fn with_json<T: Send + 'static>(
    app: &AppData,
    request: &HttpRequest,
    payload: Payload,
    action: Action,
    work: impl FnOnce(&State, &Context, &Bytes) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, HttpResponse> {
    let ctx = context(request, app);
    match read_body(request, payload, app).await {
        Ok(body) => finish(run(app, move |app| Ok(work(app, &ctx, &body))).await),
        Err(error) => Err(refuse_input(app, ctx, action, &error, OAuthError::InvalidClientMetadata).await),
    }
}

/// Runs a use case that needs no body.
pub async fn without_body<T: Send + 'static>(
    app: &AppData,
    request: &HttpRequest,
    work: impl FnOnce(&State, &Context) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, HttpResponse> {
    let ctx = context(request, app);
    finish(run(app, move |app| Ok(work(app, &ctx))).await)
}

async fn refuse_input(app: &AppData, ctx: Context, action: Action, error: &AppError, code: OAuthError) -> HttpResponse {
    let refusal = refusal_of_input(error, code);
    let audited = run(app, move |app| Ok(app.refuse_authorization(&ctx, action, refusal))).await;
    let refusal = audited.unwrap_or_else(|error| refusal_of_input(&error, code));
    answer::refusal(&refusal)
}

fn finish<T>(done: Result<Result<T, Refusal>, AppError>) -> Result<T, HttpResponse> {
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(refusal)) => Err(answer::refusal(&refusal)),
        Err(error) => Err(answer::refusal(&refusal_of_input(&error, OAuthError::ServerError))),
    }
}
