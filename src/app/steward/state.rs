//! Whether a person has looked at an identity: what match answers and `$identity` say of it.
//!
//! Not here: what makes a link of stewards (see `identity::constraint`), the questions that wait (see `queue`).

use std::collections::HashMap;

use crate::identity::constraint::Constraints;
use crate::store::record::RecordRow;
use crate::store::{Connection, StoreError, review};

/// Whether a person has looked at an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stewardship {
    /// The matcher alone put its records together.
    Automatic,
    /// A review waits for one of its records, or for it.
    InReview,
    /// Stewards have linked all its records.
    Confirmed,
}

impl Stewardship {
    /// The code of this server's code system.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::InReview => "in-review",
            Self::Confirmed => "confirmed",
        }
    }

    /// Of an identity of several records: confirmed where stewards' links connect all of them.
    #[must_use]
    pub fn of(constraints: &Constraints, record_ids: &[&str]) -> Self {
        let Some(first) = record_ids.first().filter(|_| record_ids.len() > 1) else { return Self::Automatic };
        if constraints.of(first).is_empty() {
            return Self::Automatic;
        }
        let linked = constraints.must_group(first);
        if record_ids.iter().all(|id| linked.contains(*id)) { Self::Confirmed } else { Self::Automatic }
    }
}

/// The states of identities by their ids; `rows` holds all their records.
///
/// # Errors
/// Those of the database.
pub fn of_identities(
    conn: &mut Connection,
    constraints: &Constraints,
    identity_ids: &[&str],
    rows: &[RecordRow],
) -> Result<HashMap<String, Stewardship>, StoreError> {
    if identity_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let of = |id: &str| -> Vec<&str> {
        rows.iter().filter(|row| row.identity_id == id).map(|row| row.id.as_str()).collect()
    };
    let records: Vec<&str> = identity_ids.iter().flat_map(|id| of(id)).collect();
    let waiting = review::list_about(conn, &records, identity_ids)?;
    let state = |id: &str| {
        let records = of(id);
        let waits = waiting.iter().any(|(record, asked)| asked == id || records.contains(&record.as_str()));
        if waits { Stewardship::InReview } else { Stewardship::of(constraints, &records) }
    };
    Ok(identity_ids.iter().map(|id| ((*id).to_owned(), state(id))).collect())
}
