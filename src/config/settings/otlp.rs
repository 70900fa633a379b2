//! The options of traces: where they go, and how many.
//!
//! Not here: what a span holds (see `observe::traces`).

use super::super::setting::{Kind, Setting, integer, setting};

pub(super) const OTLP: &[Setting] = &[
    setting(
        "otlp.endpoint",
        "otlp-endpoint",
        Kind::Text,
        "",
        "Base URL of an OpenTelemetry collector that takes OTLP/HTTP with JSON, such as http://127.0.0.1:4318; traces go to its path v1/traces. Empty: what OTEL_EXPORTER_OTLP_ENDPOINT names, or none.",
    ),
    setting(
        "otlp.sample_ratio",
        "otlp-sample-ratio",
        Kind::Probability,
        "1",
        "Share of the requests without a traceparent of their own that are traced. A traceparent says itself whether its trace is.",
    ),
    setting(
        "otlp.queue_spans_max",
        "otlp-queue-spans-max",
        integer(1, 1_000_000),
        "8192",
        "Spans waiting for the collector at most; further ones are dropped and counted.",
    ),
];
