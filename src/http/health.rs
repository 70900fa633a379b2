//! `/livez`, `/readyz`, `/metrics`: for orchestrators and Prometheus. No audit row, no personal data; figures for the
//! addresses of operators alone.

use std::net::IpAddr;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use metrics_exporter_prometheus::PrometheusHandle;

use super::extract::{AppData, context, run_probe};
use super::route::{Row, at};
use crate::app::Readiness;
use crate::config::list::Network;

pub fn routes(config: &mut ServiceConfig) {
    for row in rows() {
        config.service(row.resource);
    }
}

/// The addresses outside the FHIR base.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![at("/livez").get(livez), at("/readyz").get(readyz), at("/metrics").get(metrics)]
}

/// Whether an address is one of these.
#[must_use]
pub fn is_probe(path: &str) -> bool {
    rows().iter().any(|row| row.path == path)
}

/// The process answers.
async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

/// What proxies write.
const FORWARDING: [&str; 3] = ["forwarded", "x-forwarded-for", "x-forwarded-proto"];

/// Whether whoever asks may be told of figures: how many people are known here is nothing for everybody.
fn is_operator(request: &HttpRequest, app: &AppData) -> bool {
    let ctx = context(request, app);
    let Some(address) = ctx.address.as_deref().and_then(|address| address.parse::<IpAddr>().ok()) else { return false };
    let is_of = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
    // A proxy that does not say for whom it asks may ask for anybody.
    let is_forwarded = FORWARDING.iter().any(|name| request.headers().contains_key(*name));
    let is_for_nobody = is_forwarded && is_of(&app.config.server.trusted_proxies.0);
    !is_for_nobody && is_of(&app.config.server.metrics_networks.0)
}

/// The database answers too, the server is not about to stop, and the index is near enough to what it holds. Figures are for operators.
async fn readyz(request: HttpRequest, app: AppData) -> HttpResponse {
    let answer = readiness(&app).await;
    if is_operator(&request, &app) {
        return answer;
    }
    let status = if answer.status().is_success() { "ready" } else { "not ready" };
    HttpResponse::build(answer.status()).json(serde_json::json!({ "status": status }))
}

async fn readiness(app: &AppData) -> HttpResponse {
    if app.draining.is_on() {
        return HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "stopping" }));
    }
    match run_probe(app, |app| app.check_ready()).await {
        Ok(Readiness::Ready { records, lag }) => {
            let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            HttpResponse::Ok().json(serde_json::json!({ "status": "ok", "records": records, "index_lag_ms": lag_ms }))
        }
        Ok(Readiness::Behind(lag)) => {
            let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            let body = serde_json::json!({ "status": "index behind", "index_lag_ms": lag_ms });
            HttpResponse::ServiceUnavailable().json(body)
        }
        Err(_) => HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "database unavailable" })),
    }
}

async fn metrics(request: HttpRequest, app: AppData, handle: web::Data<PrometheusHandle>) -> HttpResponse {
    if !is_operator(&request, &app) {
        return HttpResponse::Forbidden().json(serde_json::json!({ "status": "forbidden" }));
    }
    app.publish_index();
    app.communities().publish_figures();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}
