//! The audit's proof against change: sealing behind the writer, checking the chain, and handing it to somebody outside.
//!
//! Checking and handing out open a `Store`, never an `App`: they need no index and migrate nothing. Not here: what a seal
//! is and how a chain is judged (see `audit::chain` and `audit::walk`), files and the terminal (see `cli`).

pub mod export;
mod sealed_rows;
pub mod sealer;
pub mod verify;

use crate::audit::chain::SealKey;
use crate::config::Config;
use crate::store::{DatabaseUrl, Store, StoreError};

use super::{StartError, store_options};

/// Why the audit cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("an event cannot be written: {0}")]
    Event(#[from] serde_json::Error),
}

/// The keys of seals that a file of keys stands for: one a line, the newest first. Empty lines and those that begin with `#`
/// do not count.
#[must_use]
pub fn keys_of(text: &[u8]) -> Vec<SealKey> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(SealKey::derive).collect()
}

/// The configured database, in this program's schema.
fn open(config: &Config) -> Result<Store, StartError> {
    let url = DatabaseUrl::parse(config.server.database_url.expose()).map_err(StartError::Url)?;
    let place = url.to_string();
    Store::open_as_it_is(&url, &store_options(config)).map_err(|error| StartError::Store { place, error })
}
