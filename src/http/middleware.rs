//! Around every request: request id, a bound on requests in flight, one log line, metrics.
//!
//! Log lines and metric labels carry method, route pattern, status and duration; never a path, a query or a body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use crate::app::App;
use crate::app::context::{Caller, Context};
use crate::app::error::AppError;

use super::error;
use super::extract::AppData;

/// The header that carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Requests being answered, over all workers.
#[derive(Debug, Default)]
pub struct InFlight(AtomicUsize);

struct Place(Arc<InFlight>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn take_place(in_flight: &Arc<InFlight>, max: usize) -> Option<Place> {
    let before = in_flight.0.fetch_add(1, Ordering::AcqRel);
    let place = Place(Arc::clone(in_flight));
    (before < max).then_some(place)
}

/// Wraps every route.
///
/// # Errors
/// What the routes give; handlers themselves answer with a response.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(app) = request.app_data::<AppData>().map(|data| Arc::clone(&data.app)) else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let started_us = (app.clock.now_us)();
    let request_id = request_id(&request, &app);
    let ctx = Context { caller: Caller::Open, request_id, now_us: started_us, clock: app.clock };
    request.extensions_mut().insert(ctx.clone());
    let method = request.method().clone();
    let in_flight = request.app_data::<web::Data<InFlight>>().map(|data| Arc::clone(data));
    let is_probe = matches!(request.path(), "/livez" | "/readyz" | "/metrics");
    let counted = in_flight.filter(|_| !is_probe);
    let place = counted.and_then(|count| take_place(&count, app.config.limits.requests_in_flight_max));
    let mut response = if place.is_some() || is_probe {
        next.call(request).await?.map_into_left_body()
    } else {
        let refused = error::respond(&AppError::overloaded(), &ctx.request_id);
        request.into_response(refused).map_into_right_body()
    };
    drop(place);
    if let Ok(value) = HeaderValue::from_str(&ctx.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let route = response.request().match_pattern().unwrap_or_else(|| "unknown".to_owned());
    record(&ctx, method.as_str(), &route, response.status().as_u16());
    Ok(response)
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

/// The caller's id when it looks like a UUID or trace id (it is logged, so it must not be able to name anybody), else
/// a fresh one.
fn request_id(request: &ServiceRequest, app: &App) -> String {
    let sent = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable =
        sent.filter(|id| (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
    usable.map_or_else(|| (app.clock.uuid)(), str::to_owned)
}
