//! Log lines on standard error, as text or JSON; and the layer of traces beside them, where there is one.
//!
//! Spans are for traces alone: log lines look the same with and without a collector.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

use super::traces::Tracer;

/// Starts logging for the process; a second call changes nothing.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(config: &Log, tracer: Option<Tracer>) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(&config.filter).map_err(|_| "log.filter: not a level or list of directives".to_owned())?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let lines = lines.with_filter(filter.and(filter_fn(is_event)));
    let traces = tracer.map(|tracer| tracer.with_filter(filter_fn(Tracer::wants)));
    let started = tracing_subscriber::registry().with(traces).with(lines).try_init();
    std::panic::set_hook(Box::new(say_where));
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}

fn is_event(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.is_event()
}

/// A panic is told by its place alone: its text may quote what was being worked on.
fn say_where(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(%place, "panic");
}
