//! Around every request: request id, one log line, metrics, the first span of its trace.
//!
//! Log lines and metric labels carry method, route pattern, status and duration; never a path, a query or a body.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::app::context::Context;
use crate::app::error::AppError;

use super::error;
use super::extract::AppData;
use super::transport::client_address;

/// The header that carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Wraps every route.
///
/// # Errors
/// What the routes give; handlers themselves answer with a response.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(data) = request.app_data::<AppData>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let app = &data.app;
    if data.places.is_full() && is_fhir(request.path()) {
        return Ok(refuse(&data, request).await);
    }
    let started_us = (app.clock.now_us)();
    let audit_id = (app.clock.uuid)();
    let request_id = request_id(&request).unwrap_or_else(|| audit_id.clone());
    let address = client_address(&request, &app.config.server).map(|address| address.to_string());
    let caller = app.gate().stranger();
    let ctx = Context { caller, request_id, audit_id, now_us: started_us, clock: app.clock, address };
    request.extensions_mut().insert(ctx.clone());
    let method = request.method().clone();
    let span = span(&request, &ctx);
    let mut response = next.call(request).instrument(span.clone()).await?;
    if data.draining.is_on() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Ok(value) = HeaderValue::from_str(&ctx.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let route = response.request().match_pattern().unwrap_or_else(|| "unknown".to_owned());
    span.record("http.route", &*route).record("http.response.status_code", response.status().as_u16());
    record(&ctx, method.as_str(), &route, response.status().as_u16());
    Ok(response.map_into_boxed_body())
}

/// What stands below the FHIR base. The authorization server has errors of its own.
fn is_fhir(path: &str) -> bool {
    path.starts_with("/fhir/")
}

/// Refuses before anything is looked at, as cheaply as can be.
async fn refuse(data: &AppData, mut request: ServiceRequest) -> ServiceResponse<BoxBody> {
    data.places.count_refused();
    pass_over_body(&mut request).await;
    let request_id = request_id(&request).unwrap_or_else(|| (data.app.clock.uuid)());
    let mut response = error::respond(&AppError::overloaded(), &request_id);
    if data.draining.is_on() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    request.into_response(response)
}

/// A connection whose request is not read to its end is closed, and the next one costs more than the refusal. A short body
/// mostly lies there already; whoever lets it wait, or has a long one, has to connect anew.
async fn pass_over_body(request: &mut ServiceRequest) {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length <= REFUSED_BODY_BYTES_MAX) {
        let mut body = request.take_payload();
        let read = async { while let Some(Ok(_)) = body.next().await {} };
        let _ = timeout(REFUSED_BODY_WAIT, read).await;
    }
}

const REFUSED_BODY_BYTES_MAX: usize = 64 << 10;
const REFUSED_BODY_WAIT: Duration = Duration::from_millis(20);

/// The request as the first span of its trace, or a further one of its caller's (W3C Trace Context).
fn span(request: &ServiceRequest, ctx: &Context) -> Span {
    let traceparent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    tracing::info_span!(
        parent: None,
        "request",
        http.request.method = known_method(request.method().as_str()),
        http.route = Empty,
        http.response.status_code = Empty,
        request.id = %ctx.request_id,
        traceparent,
    )
}

fn record(ctx: &Context, method: &str, route: &str, status: u16) {
    let duration_us = (ctx.clock.now_us)().saturating_sub(ctx.now_us).max(0);
    #[allow(clippy::cast_precision_loss, reason = "a duration below 2^52 µs")]
    let seconds = duration_us as f64 / 1e6;
    let method = known_method(method);
    metrics::histogram!("idi_match_http_request_seconds", "method" => method, "route" => route.to_owned())
        .record(seconds);
    metrics::counter!("idi_match_http_requests_total", "method" => method, "route" => route.to_owned(), "status" => status.to_string())
        .increment(1);
    tracing::debug!(request.id = %ctx.request_id, http.method = method, http.route = %route, http.status = status, duration_us, "answered");
}

/// Labels are a closed set: a method of the caller's own making is not one of them.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("OTHER")
}

/// The caller's id when it is a UUID or a trace id (32 hexadecimal digits): it is logged and audited, so it must not be able
/// to name anybody.
fn request_id(request: &ServiceRequest) -> Option<String> {
    let sent = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = sent.filter(|id| {
        let digits = id.bytes().filter(u8::is_ascii_hexdigit).count();
        let hyphens = id.bytes().filter(|b| *b == b'-').count();
        digits == 32 && digits + hyphens == id.len() && matches!(hyphens, 0 | 4)
    });
    usable.map(str::to_owned)
}
