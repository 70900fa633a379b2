//! Routes and methods that are not served: an OperationOutcome like everywhere else, and an audit row.

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::error::{AppError, ErrorKind};
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::super::extract::{AppData, context, refuse};

/// Any route that is not in the table.
pub async fn route(app: AppData, request: HttpRequest) -> HttpResponse {
    let ctx = context(&request, &app);
    let error = AppError::not_found("There is nothing at this address.");
    refuse(&app, &ctx, Action::Read, error).await
}

/// A route of the table with another method than `methods` (RFC 9110 §15.5.6).
pub async fn method(app: AppData, request: HttpRequest, methods: String) -> HttpResponse {
    let ctx = context(&request, &app);
    let text = "This method is not served at this address.";
    let issue = Issue::error(IssueCode::NotSupported, text).at("http.method");
    let mut response = refuse(&app, &ctx, Action::Read, AppError::new(ErrorKind::NotSupported, vec![issue])).await;
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}
