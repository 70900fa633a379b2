//! What is derived from stored documents is made again, once, when this program derives it differently: the feature rows
//! of another version of the normaliser, the search values of an older version of the search parameters.
//!
//! The index reads such a row correctly all the same, by making its features on the fly; written again, the next start
//! needs no JSON. Identities stay as they are: re-scoring under new rules is a steward's decision. Not here: the
//! normaliser (see `matching::normalise`).

use std::sync::Arc;

use crate::audit::Action;
use crate::fhir::json::parse;
use crate::fhir::search_parameter::{SearchValues, search_values};
use crate::matching::record::NORMALISER_VERSION;
use crate::store::{StoreError, record, resource};

use super::context::{Caller, Context};
use super::error::AppError;
use super::live_index::features_of_stored;
use super::rules::Rules;
use super::unit::Unit;
use super::writer::{Done, Scope};
use super::{App, STORED_LIMITS, close, panicked};

/// Rows rewritten in one transaction at most.
const BATCH_ROWS: usize = 500;
/// Bytes of documents that are read for one transaction, or one document.
const BATCH_BYTES: i64 = 16 << 20;

impl App {
    /// Rewrites the rows of these records; gives the number of those that were of another version still.
    ///
    /// # Errors
    /// What the store gives; the rows rewritten so far stay.
    pub fn refresh_features(&self, ids: &[String]) -> Result<usize, AppError> {
        let mut refreshed = 0;
        for batch in ids.chunks(BATCH_ROWS) {
            refreshed += self.refresh_batch(batch.to_vec())?;
        }
        Ok(refreshed)
    }

    /// Writes the search values of older versions anew, in batches: a start that is cut off goes on at the next one.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) fn refresh_search_values(&self) -> Result<(), AppError> {
        let mut refreshed = 0;
        loop {
            let ctx = Context::new(Caller::Open, self.clock);
            if resource::list_outdated_search(&mut *self.connection()?, 1, 0)?.is_empty() {
                break;
            }
            let mut audit = ctx.audit(Action::Update);
            audit.detail.reasons.push("search-values".to_owned());
            let (clock, base_url) = (self.clock, self.config.server.base_url.clone());
            refreshed += self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
                let result = refresh_search(unit, &base_url).map_err(AppError::from);
                close(&mut audit, result.as_ref().err(), (clock.now_us)());
                Done { result, audit }
            })?;
        }
        if refreshed > 0 {
            tracing::info!(rows = refreshed, "search values made again for this version of the search parameters");
        }
        Ok(())
    }

    fn refresh_batch(&self, ids: Vec<String>) -> Result<usize, AppError> {
        let ctx = Context::new(Caller::Open, self.clock);
        let mut audit = ctx.audit(Action::Update);
        audit.detail.reasons.push("normaliser".to_owned());
        let (rules, clock) = (Arc::clone(&self.rules), self.clock);
        self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
            let result = refresh(unit, &rules, &ids).map_err(AppError::from);
            close(&mut audit, result.as_ref().err(), (clock.now_us)());
            Done { result, audit }
        })
    }
}

/// Under the identity lock: what was written meanwhile is read anew and left alone when it is current.
fn refresh(unit: &mut Unit<'_>, rules: &Rules, ids: &[String]) -> Result<usize, StoreError> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut rows = record::find_many(unit.conn, &ids)?;
    rows.retain(|row| row.normaliser != NORMALISER_VERSION);
    for row in &mut rows {
        row.features = features_of_stored(unit.conn, &row.id, rules)?.encode();
        row.normaliser = NORMALISER_VERSION;
    }
    record::upsert_many(unit.conn, &rows)?;
    Ok(rows.len())
}

fn refresh_search(unit: &mut Unit<'_>, base_url: &str) -> Result<usize, StoreError> {
    let rows = resource::list_outdated_search(unit.conn, BATCH_ROWS as u32, BATCH_BYTES)?;
    let values: Vec<(i64, SearchValues)> = rows
        .iter()
        .map(|row| {
            // A tombstone has no document, and nothing to be found by.
            let document = parse(row.body.as_bytes(), &STORED_LIMITS);
            (row.number, document.map(|document| search_values(&document, base_url)).unwrap_or_default())
        })
        .collect();
    resource::replace_search_values(unit.conn, &values)?;
    Ok(values.len())
}
