//! `GET {base}/.well-known/udap`, `GET {base}/.well-known/smart-configuration`, `GET /oauth/jwks`.

use actix_web::{HttpRequest, HttpResponse};

use crate::app::auth::metadata::{Discovered, Speaker};

use super::super::extract::{AppData, query_pairs};
use super::answer;
use super::request::without_body;

/// How long others may keep what changes seldom.
const KEPT_S: u32 = 60;

/// FAST Security 2; the `community` parameter by 2.4.
pub async fn udap(app: AppData, request: HttpRequest) -> HttpResponse {
    udap_of(Speaker::Base, &app, &request).await
}

/// The same of the issuer of identity tokens, which is another server to UDAP.
pub async fn issuer_udap(app: AppData, request: HttpRequest) -> HttpResponse {
    udap_of(Speaker::Issuer, &app, &request).await
}

async fn udap_of(speaker: Speaker, app: &AppData, request: &HttpRequest) -> HttpResponse {
    let community = query_pairs(request).into_iter().find(|(name, _)| name == "community").map(|(_, uri)| uri);
    match without_body(app, request, move |app, ctx| app.discover_udap(ctx, speaker, community.as_deref())).await {
        Ok(Discovered::Metadata(document)) => answer::public(&document, KEPT_S),
        Ok(Discovered::UnknownCommunity) => HttpResponse::NoContent().finish(),
        Ok(Discovered::Nothing) => HttpResponse::NotFound().finish(),
        Err(refused) => refused,
    }
}

/// SMART App Launch 2.2: JSON, whatever `Accept` says.
pub async fn smart(app: AppData, request: HttpRequest) -> HttpResponse {
    match without_body(&app, &request, |app, ctx| app.discover_smart(ctx)).await {
        Ok(document) => answer::public(&document, KEPT_S),
        Err(refused) => refused,
    }
}

/// OpenID Connect Discovery 4.
pub async fn open_id(app: AppData, request: HttpRequest) -> HttpResponse {
    match without_body(&app, &request, |app, ctx| app.discover_open_id(ctx)).await {
        Ok(document) => answer::public(&document, KEPT_S),
        Err(refused) => refused,
    }
}

pub async fn keys(app: AppData, request: HttpRequest) -> HttpResponse {
    match without_body(&app, &request, |app, ctx| app.discover_keys(ctx)).await {
        Ok(document) => answer::public(&document, KEPT_S),
        Err(refused) => refused,
    }
}
