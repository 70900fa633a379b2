//! From an HTTP request to the arguments of a use case: context, body, headers.
//!
//! The body is read here, with a limit and a deadline; request decompression is off, so a body is as large as it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::StreamExt;

use crate::app::App;
use crate::app::context::Context;
use crate::app::error::{AppError, ErrorKind};
use crate::app::search::link::pairs_of;
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::admission::{Place, Places, be_worker};
use super::drain::Draining;
use super::render::responder::Responder;
use super::{error, negotiate};

/// The running instance and who answers for it, shared by all workers.
pub struct State {
    pub app: Arc<App>,
    pub responder: Responder,
    pub draining: Draining,
    pub places: Places,
}

impl State {
    #[must_use]
    pub fn new(app: Arc<App>, responder: Responder) -> Self {
        let places = Places::new(app.config.limits.requests_in_flight_max);
        Self { app, responder, draining: Draining::default(), places }
    }
}

impl std::ops::Deref for State {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// What every handler is given.
pub type AppData = web::Data<State>;

/// The context that the middleware made.
#[must_use]
pub fn context(request: &HttpRequest, app: &App) -> Context {
    let made = request.extensions().get::<Context>().cloned();
    made.unwrap_or_else(|| Context::new(app.gate().stranger(), app.clock))
}

/// A header as text; `None` when missing or not visible ASCII.
#[must_use]
pub fn header_text<'r>(request: &'r HttpRequest, name: &header::HeaderName) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The pairs of the query string, decoded.
#[must_use]
pub fn query_pairs(request: &HttpRequest) -> Vec<(String, String)> {
    pairs_of(request.query_string())
}

/// All `Accept` headers as one.
#[must_use]
pub fn accept(request: &HttpRequest) -> Option<String> {
    let lines: Vec<&str> = request.headers().get_all(header::ACCEPT).filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// The parameter `_format`.
#[must_use]
pub fn format(request: &HttpRequest) -> Option<String> {
    query_pairs(request).into_iter().find(|(name, _)| name == "_format").map(|(_, value)| value)
}

/// Refuses an answer format that this server does not write.
///
/// # Errors
/// `NotAcceptable`.
pub fn check_accept(request: &HttpRequest) -> Result<(), AppError> {
    if negotiate::accepts_json(accept(request).as_deref(), format(request).as_deref()) {
        return Ok(());
    }
    let text = "Answers are application/fhir+json only.";
    Err(AppError::new(ErrorKind::NotAcceptable, vec![Issue::error(IssueCode::NotSupported, text).at("http.accept")]))
}

/// Refuses a format of export files that this server does not write.
///
/// # Errors
/// `NotAcceptable`.
pub fn check_accept_ndjson(request: &HttpRequest) -> Result<(), AppError> {
    let lines: Vec<&str> = request.headers().get_all(header::ACCEPT).filter_map(|line| line.to_str().ok()).collect();
    let accept = (!lines.is_empty()).then(|| lines.join(","));
    if negotiate::accepts_ndjson(accept.as_deref()) {
        return Ok(());
    }
    let issue = Issue::error(IssueCode::NotSupported, "Files are application/fhir+ndjson only.").at("http.accept");
    Err(AppError::new(ErrorKind::NotAcceptable, vec![issue]))
}

/// As [`read_body`], of a request whose answer is FHIR JSON.
///
/// # Errors
/// `NotAcceptable`, and those of [`read_body`].
pub async fn body(request: &HttpRequest, payload: web::Payload, app: &App) -> Result<Bytes, AppError> {
    check_accept(request)?;
    read_body(request, payload, app).await
}

/// As [`body`], of a patch.
///
/// # Errors
/// Those of [`body`].
pub async fn patch_body(request: &HttpRequest, payload: web::Payload, app: &App) -> Result<Bytes, AppError> {
    check_accept(request)?;
    if is_encoded(request) || !negotiate::is_json_patch(header_text(request, &header::CONTENT_TYPE)) {
        return Err(media_type("A patch is application/json-patch+json in UTF-8, without content encoding."));
    }
    read_bytes(request, payload, app).await
}

/// Reads the body: JSON media type, at most `limits.body_bytes_max` bytes, within `limits.body_timeout_ms`.
///
/// # Errors
/// `MediaType`, `TooLarge` or `Invalid`.
pub async fn read_body(request: &HttpRequest, payload: web::Payload, app: &App) -> Result<Bytes, AppError> {
    if is_encoded(request) || !negotiate::is_json_body(header_text(request, &header::CONTENT_TYPE)) {
        return Err(media_type("Bodies are application/fhir+json in UTF-8, without content encoding."));
    }
    read_bytes(request, payload, app).await
}

/// Reads the pairs of a form, with the same limits.
///
/// # Errors
/// `MediaType`, `TooLarge` or `Invalid`.
pub async fn form_pairs(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
) -> Result<Vec<(String, String)>, AppError> {
    check_accept(request)?;
    read_form(request, payload, app).await
}

/// The same, whatever answer is accepted.
///
/// # Errors
/// `MediaType`, `TooLarge` or `Invalid`.
pub async fn read_form(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
) -> Result<Vec<(String, String)>, AppError> {
    if is_encoded(request) || !negotiate::is_form_body(header_text(request, &header::CONTENT_TYPE)) {
        return Err(media_type("A form is application/x-www-form-urlencoded, without content encoding."));
    }
    let bytes = read_bytes(request, payload, app).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        AppError::invalid(vec![Issue::error(IssueCode::Structure, "The body is not UTF-8.").at("http.body")])
    })?;
    Ok(pairs_of(text))
}

fn is_encoded(request: &HttpRequest) -> bool {
    request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity")
}

fn media_type(text: &str) -> AppError {
    AppError::new(ErrorKind::MediaType, vec![Issue::error(IssueCode::NotSupported, text).at("http.content-type")])
}

async fn read_bytes(request: &HttpRequest, payload: web::Payload, app: &App) -> Result<Bytes, AppError> {
    let bytes_max = app.config.limits.body_bytes_max;
    let announced = header_text(request, &header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let deadline = Duration::from_millis(app.config.limits.body_timeout_ms);
    let read = tokio::time::timeout(deadline, read_all(payload, bytes_max)).await;
    read.unwrap_or_else(|_| {
        let issue = Issue::error(IssueCode::Timeout, "The body did not arrive in time.").at("http.body");
        Err(AppError::new(ErrorKind::Unavailable, vec![issue]))
    })
}

async fn read_all(mut payload: web::Payload, bytes_max: usize) -> Result<Bytes, AppError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            AppError::invalid(vec![Issue::error(IssueCode::Structure, "The body ended too early.").at("http.body")])
        })?;
        if body.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(bytes_max: usize) -> AppError {
    let text = format!("The body has more than {bytes_max} bytes.");
    AppError::invalid(vec![Issue::error(IssueCode::TooLong, text).at("http.body")])
}

/// Runs a use case on a thread that may block, if there is a place for it.
///
/// # Errors
/// What the use case gives; `Overloaded` when all places are taken or it waited too long; `Internal` when it panicked.
pub async fn run<T: Send + 'static>(
    app: &AppData,
    work: impl FnOnce(&State) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let state = AppData::clone(app);
    let Some(place) = state.places.take() else {
        state.places.count_refused();
        return Err(AppError::overloaded());
    };
    run_in(Some(place), state, work).await
}

/// The same for a probe, which must be answered when all places are taken too.
///
/// # Errors
/// What the probe gives.
pub async fn run_probe<T: Send + 'static>(
    app: &AppData,
    work: impl FnOnce(&State) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    run_in(None, AppData::clone(app), work).await
}

async fn run_in<T: Send + 'static>(
    place: Option<Place>,
    state: AppData,
    work: impl FnOnce(&State) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let wait_max = Duration::from_millis(state.config.limits.queue_timeout_ms);
    let asked = Instant::now();
    let span = tracing::Span::current();
    let done = web::block(move || {
        let _place = place;
        be_worker();
        if asked.elapsed() > wait_max { Err(AppError::overloaded()) } else { span.in_scope(|| work(&state)) }
    });
    done.await.unwrap_or_else(|_| {
        tracing::error!("a request panicked");
        Err(AppError::internal())
    })
}

/// The answer to a request that never reached its use case; audited like any other.
pub async fn refuse(app: &AppData, ctx: &Context, action: Action, error: AppError) -> HttpResponse {
    let asked = ctx.clone();
    let refused = run(app, move |app| Ok::<_, AppError>(app.refuse(&asked, action, error))).await;
    let error = refused.unwrap_or_else(|error| error);
    error::respond(&error, &ctx.request_id)
}
