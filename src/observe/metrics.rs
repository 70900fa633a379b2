//! The metrics of `GET /metrics`, in Prometheus' text form.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the duration histograms, seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// A process has one recorder; servers started later in it (tests) share it.
static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();

/// Starts recording for the process.
///
/// # Errors
/// When another recorder is in place.
pub fn start() -> Result<PrometheusHandle, String> {
    HANDLE.get_or_init(install).clone()
}

fn install() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|error| error.to_string())?
        .install_recorder()
        .map_err(|error| error.to_string())?;
    begin_at_zero();
    keep_up(handle.clone()).map_err(|error| error.to_string())?;
    Ok(handle)
}

/// How often recorded values are counted into their buckets.
const UPKEEP_PAUSE: Duration = Duration::from_secs(5);

/// Values wait one by one until somebody looks at them: without this, a server that nobody scrapes grows with every request.
fn keep_up(handle: PrometheusHandle) -> std::io::Result<()> {
    let keep = move || {
        loop {
            std::thread::sleep(UPKEEP_PAUSE);
            handle.run_upkeep();
        }
    };
    std::thread::Builder::new().name("metrics".into()).spawn(keep).map(drop)
}

/// What alarms look at is there from the start: a series that appears with its first event has no rate, and one that never
/// appears looks like one that nobody asks for.
fn begin_at_zero() {
    metrics::counter!("idi_match_audit_seals_total").increment(0);
    metrics::gauge!("idi_match_audit_backlog_rows").set(0.0);
    for (name, label, values) in LABELLED {
        for value in *values {
            metrics::counter!(*name, *label => *value).increment(0);
        }
    }
    for budget in ["client-failures", "organization-failures"] {
        metrics::counter!("idi_match_alarms_total", "alarm" => "sweep", "budget" => budget).increment(0);
    }
}

/// Counters by one label, with its values.
const LABELLED: &[(&str, &str, &[&str])] = &[
    ("idi_match_trace_spans_total", "outcome", &["sent", "failed", "dropped"]),
    ("idi_match_crl_fetches_total", "outcome", &["fetched", "failed", "unusable"]),
    ("idi_match_sign_ins_total", "outcome", &["signed-in", "refused", "throttled", "failed"]),
    (
        "idi_match_budget_refusals_total",
        "budget",
        &["client-requests", "client-failures", "organization-requests", "organization-failures", "subject-failures"],
    ),
];
