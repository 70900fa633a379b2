//! `/livez`, `/readyz`, `/metrics`: for orchestrators and Prometheus. No audit row, no personal data.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use metrics_exporter_prometheus::PrometheusHandle;

use super::extract::{AppData, run_probe};
use super::route::{Row, at};
use crate::app::Readiness;

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

/// The database answers too, the server is not about to stop, and the index is near enough to what it holds.
async fn readyz(app: AppData) -> HttpResponse {
    if app.draining.is_on() {
        return HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "stopping" }));
    }
    match run_probe(&app, |app| app.check_ready()).await {
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

async fn metrics(app: AppData, handle: web::Data<PrometheusHandle>) -> HttpResponse {
    app.publish_index();
    app.communities().publish_figures();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}
