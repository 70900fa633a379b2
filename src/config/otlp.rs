//! Where traces go, in typed form.
//!
//! Not here: the options themselves (see `settings`), what a trace is (see `observe::traces`).

use serde::{Deserialize, Serialize};

use super::ConfigError;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    pub endpoint: String,
    pub sample_ratio: f64,
    pub queue_spans_max: usize,
}

impl Otlp {
    /// # Errors
    /// Names the option that cannot be used.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |name: &str, reason: &str| Err(ConfigError::Value { name: name.into(), reason: reason.into() });
        let endpoint = &self.endpoint;
        if !endpoint.is_empty() && !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return refuse("otlp.endpoint", "must be an absolute http or https URL");
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return refuse("otlp.sample_ratio", "must be a share from 0 to 1");
        }
        Ok(())
    }
}
