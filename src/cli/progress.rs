//! Progress on a terminal, and how an issue is printed as a line.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::fhir::issue::Issue;

/// A counter without an end; hidden when standard error is no terminal.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {human_pos} ({per_sec})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar of bytes with rate and time left.
pub fn bytes_bar(what: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// A bar of rows whose number becomes known.
pub fn rows_bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} rows, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// `error invariant at Patient.name[0]: …`
pub fn issue_line(issue: &Issue) -> String {
    let place =
        if issue.expression.is_empty() { String::new() } else { format!(" at {}", issue.expression.join(", ")) };
    format!("{} {}{place}: {}", issue.severity.code(), issue.code.code(), issue.diagnostics)
}
