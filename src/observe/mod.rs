//! Logs and metrics. Neither carries personal data, at any level: see the invariants.

pub mod logs;
pub mod metrics;
