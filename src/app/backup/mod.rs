//! Backups: the whole content of a store in one file that proves itself, and back into an empty store.
//!
//! A file is a header, one line a row, and a trailer with the number of rows and the SHA-256 of everything before it.
//! It is the same for both databases. Writing sees the store at one moment while others write; restoring is one
//! transaction that ends by reading everything again. None of this opens an [`super::App`]: it needs no index, and a
//! backup must not migrate what it reads. Not here: files and the terminal (see `cli`), the tables (`store::backup`).

mod check;
mod file;
mod restore;
mod verify;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::Config;
use crate::store::backup::Table;
use crate::store::{DatabaseUrl, StoreError};

use super::StartError;
use super::rules::RulesError;

pub use restore::restore;
pub use verify::verify;
pub use write::write;

/// Rows by table.
pub type Counts = BTreeMap<Table, u64>;

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Rows written into the file.
    Written { rows: u64, of: u64 },
    /// Bytes read from the file.
    Read { bytes: u64 },
    /// Restored rows compared with the file.
    Compared { rows: u64, of: u64 },
}

/// What a file holds, or what was written or restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub program: String,
    pub schema: String,
    pub created: String,
    pub rows: Counts,
    pub bytes: u64,
    /// Of everything before the trailer; the trailer holds it too.
    pub sha256: String,
}

/// What is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: u64,
    pub kind: ProblemKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemKind {
    /// The file is not what was written, or what it holds contradicts itself.
    Damage,
    /// A document does not have the shape that this version asks for; it was stored when it was accepted.
    Shape,
}

/// A file that was read to its end, or as far as it could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// None when the file is damaged.
    pub summary: Option<Summary>,
    /// The first of them.
    pub problems: Vec<Problem>,
    pub problems_total: u64,
}

/// Why a backup cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Refused(String),
}

impl From<RulesError> for BackupError {
    fn from(error: RulesError) -> Self {
        Self::Start(error.into())
    }
}

/// The database that the configuration names, and how to say that it cannot be used.
fn database(config: &Config) -> Result<(DatabaseUrl, impl Fn(StoreError) -> StartError + use<>), StartError> {
    let url = DatabaseUrl::parse(config.server.database_url.expose()).map_err(StartError::Url)?;
    let place = url.to_string();
    Ok((url, move |error| StartError::Store { place: place.clone(), error }))
}
