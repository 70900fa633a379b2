//! Whose scripts may read answers: the origins that clients are registered with (SMART App Launch 2.2, CORS).
//!
//! Asked for each request of a browser app, so an instance keeps a copy for a few seconds. Not here: headers (see
//! `http::cors`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::App;
use crate::app::error::AppError;
use crate::store::client::{self, ClientRow};

/// How old the copy of an instance may be.
const KEPT_US: i64 = 5_000_000;

/// The copy of an instance, and when it was made.
#[derive(Debug, Default)]
pub struct Origins(Mutex<Option<(Arc<BTreeSet<String>>, i64)>>);

impl App {
    /// Whether a client that is not disabled is registered with this origin.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_registered_origin(&self, origin: &str, now_us: i64) -> Result<bool, AppError> {
        let kept = &self.authorization.origins.0;
        let known = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((origins, read_us)) = known
            && now_us.saturating_sub(read_us) < KEPT_US
        {
            return Ok(origins.contains(origin));
        }
        let lists = client::list_origins(&mut *self.connection()?)?;
        let origins: Arc<BTreeSet<String>> = Arc::new(lists.iter().flat_map(|list| ClientRow::uris(list)).collect());
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&origins), now_us));
        Ok(origins.contains(origin))
    }
}
