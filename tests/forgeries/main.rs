//! Forged tokens and bad chains, generated: none is accepted, each is refused for its own reason, and the sound one that it
//! was made from is accepted, so that neither a hole nor a check that refuses everything goes unseen.
//!
//! Not here: forged requests to endpoints (see `tests/api`), random bytes (see `tests/laws.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this binary is a test"
)]

mod chains;
mod keys;
mod tokens;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/pki.rs"]
mod pki;
