//! `/oauth/userinfo`: who has signed in (OpenID Connect Core 5.3).
//!
//! Not here: what is told (see `app::auth::user_info`).

use actix_web::{HttpRequest, HttpResponse};

use super::super::extract::AppData;
use super::answer;
use super::request::{authorization, without_body};

/// With GET and POST alike; the token stands in the header, and nowhere else (RFC 6750 §2.1).
pub async fn tell(app: AppData, request: HttpRequest) -> HttpResponse {
    let header = authorization(&request);
    match without_body(&app, &request, move |app, ctx| app.user_info(ctx, &header)).await {
        Ok(document) => answer::document(200, &document),
        Err(refused) => refused,
    }
}
