//! What an instance makes for itself when it starts: its index, and the pool that computes.
//!
//! Not here: the order in which an instance is put together (see `App::open`).

use std::sync::{Arc, Once};
use std::time::Instant;

use crate::config::{Config, IndexPlace};
use crate::store::{Store, StoreError};

use super::candidates::{self, Candidates};
use super::rules::Rules;

/// The index as configured, complete, and the ids of feature rows that are to be made again.
pub(super) fn open_index(
    config: &Config,
    store: &Store,
    rules: &Arc<Rules>,
    progress: impl FnMut(usize),
) -> Result<(Candidates, Vec<String>), StoreError> {
    let began = Instant::now();
    let opened = match config.matching.index {
        IndexPlace::Memory => Candidates::in_memory(&mut *store.connection()?, rules, progress)?,
        IndexPlace::Database => (Candidates::in_database(store, rules, progress)?, Vec::new()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let figures = opened.0.figures();
    let candidates::Figures { records, identities, bytes, .. } = figures;
    tracing::info!(index = opened.0.name(), records, identities, bytes, seconds, "the index is complete");
    metrics::gauge!("idi_match_index_start_seconds").set(seconds);
    Ok(opened)
}

/// The one bounded pool that loads, batches and large queries are computed on. The first instance of a process sets its
/// size; later ones (tests) share it.
pub(super) fn start_pool(threads: usize) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|number| format!("match-{number}"));
        if pool.build_global().is_err() {
            tracing::debug!("the matching pool was started before");
        }
    });
}
