//! The one mapping from an application error to an HTTP answer; the table stands in `app::error`.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::app::error::{AppError, ErrorKind};
use crate::fhir::issue::Issue;

use super::FHIR_JSON;
use super::rate_limit;
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
    if let Some(rate) = &error.rate {
        rate_limit::refuse(&mut response, rate);
    }
    if error.kind == ErrorKind::NotSupported {
        // What is read only; routes say themselves which methods they have (see `fhir::unknown`).
        response.insert_header((ALLOW, "GET, HEAD"));
    }
    if let Some(challenge) = &error.challenge {
        response.insert_header((WWW_AUTHENTICATE, challenge.as_ref()));
    }
    response.content_type(FHIR_JSON).body(outcome::render(&placed(error), request_id))
}

/// What is wrong with the input has a place: of a body that is no document, the body itself.
fn placed(error: &AppError) -> Cow<'_, [Issue]> {
    let is_of_input = matches!(error.kind, ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Unprocessable);
    if !is_of_input || error.issues.iter().all(|issue| !issue.expression.is_empty()) {
        return Cow::Borrowed(&error.issues);
    }
    let place = |issue: &Issue| if issue.expression.is_empty() { issue.clone().at("http.body") } else { issue.clone() };
    error.issues.iter().map(place).collect()
}
