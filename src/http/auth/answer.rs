//! Answers of the authorization server: JSON that nobody keeps, and its errors (RFC 6749 §5, RFC 7591 §3.2.2).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::auth::error::{OAuthError, Refusal};

/// Seconds after which a busy server may be asked again.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");
/// RFC 6750 §3.
const INVALID_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// A document that nobody keeps (RFC 6749 §5.1).
#[must_use]
pub fn document(status: u16, document: &Value) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .content_type("application/json")
        .body(document.to_string())
}

/// A public document.
#[must_use]
pub fn public(document: &Value, seconds_max: u32) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, format!("public, max-age={seconds_max}")))
        .content_type("application/json")
        .body(document.to_string())
}

/// A refusal: what the caller is told. Which claim or parameter it is about is a name of this program's own.
#[must_use]
pub fn refusal(refusal: &Refusal) -> HttpResponse {
    let description = match refusal.log.subject() {
        Some(subject) => format!("{} ({subject})", refusal.description),
        None => refusal.description.to_owned(),
    };
    let mut body = json!({ "error": refusal.code.code(), "error_description": description });
    if let Some(extensions) = &refusal.extensions {
        body["extensions"] = extensions.clone();
    }
    let mut response = document(refusal.code.status(), &body);
    let headers = response.headers_mut();
    match refusal.code {
        OAuthError::InvalidToken => drop(headers.insert(WWW_AUTHENTICATE, INVALID_TOKEN)),
        OAuthError::TemporarilyUnavailable => drop(headers.insert(RETRY_AFTER, RETRY_AFTER_S)),
        _ => {}
    }
    response
}
