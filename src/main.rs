//! The binary: hands arguments and environment to the command line.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            name.starts_with("IDI_MATCH_") || name.starts_with("OTEL_EXPORTER_OTLP_") || name == "NOTIFY_SOCKET"
        })
        .collect();
    idi_match::cli::run(std::env::args_os(), variables)
}
