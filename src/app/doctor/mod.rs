//! `idi-match doctor`: what an operator should know before a server starts, or because one does not behave.
//!
//! Looks at configuration, files and database as they are and changes nothing. A finding says what is so and, unless it is
//! well, what to do. Nothing secret and nobody's data is in it. Not here: what only the transport knows (see
//! `cli::doctor`), whether the audit is whole (see `audit_chain::verify`).

mod database;
mod keys;
mod trust;

use serde::Serialize;

use crate::auth::certificate::Certificate;
use crate::config::Config;

use super::clock::{Clock, instant};
use super::rules::Rules;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3600 * SECOND_US;
pub const DAY_US: i64 = 24 * HOUR_US;
/// A certificate is to be replaced this long before it expires.
const EXPIRY_WARNING_US: i64 = 30 * DAY_US;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Ok,
    Warning,
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub area: &'static str,
    pub severity: Severity,
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    #[must_use]
    pub fn ok(area: &'static str, text: impl Into<String>) -> Self {
        Self { area, severity: Severity::Ok, text: text.into(), advice: None }
    }

    #[must_use]
    pub fn warning(area: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { area, severity: Severity::Warning, text: text.into(), advice: Some(advice.into()) }
    }

    #[must_use]
    pub fn error(area: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { area, severity: Severity::Error, text: text.into(), advice: Some(advice.into()) }
    }
}

/// Looks at everything behind a configuration that is valid.
#[must_use]
pub fn examine(config: &Config, clock: Clock) -> Vec<Finding> {
    let rules = Rules::of(config);
    let mut findings = vec![match &rules {
        Ok(rules) => {
            Finding::ok("rules", format!("profiles and tables can be enforced; model {}", rules.model.version()))
        }
        Err(error) => Finding::error("rules", error.to_string(), "correct the file, or take the one that was shipped"),
    }];
    findings.extend(trust::examine(config, (clock.now_us)()));
    findings.extend(keys::examine_file(config));
    findings.extend(database::examine(config, rules.ok().as_ref(), clock));
    findings
}

/// Whether a certificate is valid, and for how long still. `what` names it.
#[must_use]
pub fn validity(area: &'static str, what: &str, certificate: &Certificate, now_us: i64) -> Finding {
    let (first_us, last_us) = (certificate.not_before_us(), certificate.not_after_us());
    let renew = "have a new one issued and put it in place of this one; files are read again without a restart";
    if now_us > last_us {
        return Finding::error(area, format!("{what} expired on {}", day(last_us)), renew);
    }
    if now_us < first_us {
        let advice = "check this machine's clock; otherwise wait, or use the certificate before it";
        return Finding::error(area, format!("{what} is not valid before {}", instant(first_us)), advice);
    }
    let left_us = last_us - now_us;
    let text = format!("{what} expires in {} days, on {}", left_us / DAY_US, day(last_us));
    if left_us < EXPIRY_WARNING_US { Finding::warning(area, text, renew) } else { Finding::ok(area, text) }
}

/// The date of a moment.
fn day(us: i64) -> String {
    instant(us).chars().take(10).collect()
}

/// How long, in the largest unit that fits.
fn span(us: i64) -> String {
    match us / SECOND_US {
        seconds if seconds < 120 => format!("{seconds} seconds"),
        seconds if seconds < 2 * 3600 => format!("{} minutes", seconds / 60),
        seconds if seconds < 2 * 86_400 => format!("{} hours", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_the_unit_that_fits() {
        let table =
            [(0, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (172_800, "2 days")];
        for (seconds, expected) in table {
            assert_eq!(span(seconds * SECOND_US), expected);
        }
    }

    #[test]
    fn the_worse_severity_is_the_greater() {
        assert!(Severity::Ok < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
