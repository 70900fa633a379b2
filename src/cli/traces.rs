//! Traces of a command that serves: puts together the layer, the thread that sends, and the way to the collector.
//!
//! Not here: what a span is (see `observe::traces`).

use crate::app::clock::Clock;
use crate::config::Config;
use crate::observe::traces::sender::Sender;
use crate::observe::traces::{Sources, Span, Tracer, channel};
use crate::outbound::exchange::{Exchange, PlainHttp};

use std::sync::mpsc::Receiver;

use super::{CommandError, Environment};

/// Standard variables of OpenTelemetry: of all signals, and of traces with their path.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// A layer that is to be started with the log, and the rest that is started after it.
pub struct Traces {
    url: String,
    ended: Receiver<Span>,
    anchors: String,
}

/// Nothing where no collector is named.
pub fn of(config: &Config, environment: &Environment) -> Option<(Tracer, Traces)> {
    let url = url_of(&config.otlp.endpoint, environment)?;
    let clock = Clock::system();
    let sources = Sources { now_us: clock.now_us, random: clock.secret };
    let (tracer, ended) = channel(config.otlp.sample_ratio, config.otlp.queue_spans_max, sources);
    Some((tracer, Traces { url, ended, anchors: config.outbound.anchors.clone() }))
}

/// The configuration wins over the environment, and there the more special over the general.
fn url_of(configured: &str, environment: &Environment) -> Option<String> {
    let variable = |name: &str| {
        let found = environment.variables.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let with_path = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
    if !configured.is_empty() {
        return Some(with_path(configured));
    }
    variable(TRACES_ENDPOINT).map(str::to_owned).or_else(|| variable(ENDPOINT).map(with_path))
}

impl Traces {
    /// Starts to send. The operator names the collector, so plain http may go to any host: spans hold nothing personal.
    pub fn start(self) -> Result<Sender, CommandError> {
        let exchange = Exchange::open(&self.anchors, PlainHttp::Anywhere).map_err(CommandError::Usage)?;
        let url = self.url;
        let post = move |body: String| {
            let sent = exchange.post(&url, &[("content-type", "application/json")], body);
            sent.map(|reply| reply.status).map_err(|error| error.to_string())
        };
        Ok(Sender::start(self.ended, Box::new(post))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_wins_over_the_environment() {
        let both = [(ENDPOINT, "http://all:4318/"), (TRACES_ENDPOINT, "http://traces/own/path")];
        let table = [
            ("http://own:1/", both.to_vec(), Some("http://own:1/v1/traces")),
            ("", both.to_vec(), Some("http://traces/own/path")),
            ("", both[..1].to_vec(), Some("http://all:4318/v1/traces")),
            ("", vec![(ENDPOINT, "")], None),
            ("", vec![], None),
        ];
        for (configured, variables, expected) in table {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(url_of(configured, &Environment { variables }).as_deref(), expected);
        }
    }
}
