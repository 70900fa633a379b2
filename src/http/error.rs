//! The one mapping from an application error to an HTTP answer; the table stands in `app::error`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};

use crate::app::error::{AppError, ErrorKind};

use super::FHIR_JSON;
use super::render::outcome;

/// Seconds after which a busy server may be asked again, and one that keeps too many exports.
const BUSY_RETRY_AFTER_S: u64 = 1;
const THROTTLED_RETRY_AFTER_S: u64 = 60;

/// An OperationOutcome answer.
#[must_use]
pub fn respond(error: &AppError, request_id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    let retry_after_s = match error.kind {
        ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Timeout => Some(BUSY_RETRY_AFTER_S),
        ErrorKind::Throttled => Some(THROTTLED_RETRY_AFTER_S),
        _ => None,
    };
    if let Some(seconds) = retry_after_s {
        response.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    if error.kind == ErrorKind::NotSupported {
        // What is read only; routes say themselves which methods they have (see `fhir::unknown`).
        response.insert_header((ALLOW, "GET, HEAD"));
    }
    response.content_type(FHIR_JSON).body(outcome::render(&error.issues, request_id))
}
