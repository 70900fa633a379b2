//! `POST /oauth/register`: dynamic registration (RFC 7591, UDAP Dynamic Client Registration).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::audit::Action;

use super::super::extract::AppData;
use super::answer;
use super::request::with_json;

pub async fn post(app: AppData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let registered =
        with_json(&app, &request, payload, Action::RegisterClient, |app, ctx, body| app.register_client(ctx, body));
    match registered.await {
        Ok(registered) => answer::document(registered.change.status(), &registered.document),
        Err(refused) => refused,
    }
}
