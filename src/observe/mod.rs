//! Logs, metrics and traces. None carries personal data, at any level: see the invariants.

pub mod logs;
pub mod metrics;
pub mod traces;
