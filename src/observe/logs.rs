//! Log lines on standard error, as text or JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging for the process; a second call changes nothing.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(config: &Log) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(&config.filter).map_err(|_| "log.filter: not a level or list of directives".to_owned())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    std::panic::set_hook(Box::new(say_where));
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}

/// A panic is told by its place alone: its text may quote what was being worked on.
fn say_where(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(%place, "panic");
}
