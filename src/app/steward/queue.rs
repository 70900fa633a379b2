//! What there is to decide, and what was decided: reviews, decisions, and the history of identities.
//!
//! Every assignment is explained: by the model version and probability of the matcher, or by the decision of a steward.
//! Not here: FHIR resources made of it.

use std::collections::BTreeSet;

use crate::audit::Action;
use crate::identity::constraint::Constraints;
use crate::store::identity_history::{self, AssignmentRow};
use crate::store::record::{self, RecordRow};
use crate::store::review::{self, ReviewRow};
use crate::store::steward::{self, ConstraintRow, DecisionRow};
use crate::store::{Connection, StoreError, identity, transaction};

use super::{Asked, Detail};
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;

/// Rows of one answer at most.
pub const ROWS_MAX: u32 = 1000;

/// Why somebody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewKind {
    /// Does the record belong to the other identity?
    DoubtfulPair,
    /// The record is in the identity and contradicts its other records.
    MixedIdentity,
}

/// A review that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewItem {
    pub kind: ReviewKind,
    pub review: ReviewRow,
    /// The identity that the record is in.
    pub own_identity_id: String,
}

/// A decision and what it was about.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub row: DecisionRow,
    pub asked: Asked,
    /// Each record that it touched, with its identity before.
    pub before: Vec<(String, String)>,
}

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

/// An identity with everything that explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityView {
    /// The identity that the id asked for stands for now: itself, or its survivor.
    pub id: String,
    pub records: Vec<RecordRow>,
    pub stewardship: Stewardship,
    pub constraints: Vec<ConstraintRow>,
    pub decisions: Vec<DecisionRow>,
    /// Assignments to it that have ended, oldest first.
    pub history: Vec<AssignmentRow>,
}

impl App {
    /// Reviews that wait, after a pair of record and identity, in the order of both.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub fn review_queue(
        &self,
        ctx: &Context,
        after: Option<(&str, &str)>,
        reviews_max: u32,
    ) -> Result<Vec<ReviewItem>, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            let items = transaction::read_snapshot(&mut *self.connection()?, |conn| {
                let rows = review::list(conn, after, reviews_max.min(ROWS_MAX))?;
                let ids: Vec<&str> = rows.iter().map(|row| row.record_id.as_str()).collect();
                let records = record::find_many(conn, &ids)?;
                Ok::<_, StoreError>(rows.into_iter().filter_map(|row| item(row, &records)).collect::<Vec<_>>())
            })?;
            audit.detail.records = items.iter().map(|item| item.review.record_id.clone()).collect();
            Ok(items)
        })
    }

    /// Decisions before a pair of time and id, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub fn decisions(
        &self,
        ctx: &Context,
        before: Option<(i64, &str)>,
        decisions_max: u32,
    ) -> Result<Vec<Decision>, AppError> {
        self.answer(ctx, Action::ReviewQueue, |_| {
            let rows = steward::list_decisions(&mut *self.connection()?, before, decisions_max.min(ROWS_MAX))?;
            rows.into_iter().map(decision).collect()
        })
    }

    /// One decision.
    ///
    /// # Errors
    /// `NotFound` when there is none of this id.
    pub fn decision(&self, ctx: &Context, id: &str) -> Result<Decision, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            audit.detail.decision = Some(id.to_owned());
            let row = steward::find_decision(&mut *self.connection()?, id)?;
            decision(row.ok_or_else(|| AppError::not_found("There is no such decision."))?)
        })
    }

    /// An identity, found by its own id or that of one that has become part of it.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn identity(&self, ctx: &Context, id: &str) -> Result<IdentityView, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            let constraints = self.candidates.constraints();
            let view = transaction::read_snapshot(&mut *self.connection()?, |conn| view(conn, &constraints, id))?;
            let view = view.ok_or_else(|| AppError::not_found("There is no such identity."))?;
            audit.detail.identities.push(view.id.clone());
            audit.detail.records = view.records.iter().map(|row| row.id.clone()).collect();
            Ok(view)
        })
    }

    /// Where a record was, oldest first; where it is now is the last.
    ///
    /// # Errors
    /// `NotFound` when the record never existed.
    pub fn record_history(&self, ctx: &Context, record_id: &str) -> Result<Vec<AssignmentRow>, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            audit.detail.records.push(record_id.to_owned());
            let conn = &mut *self.connection()?;
            let mut rows = identity_history::list_of_record(conn, record_id, ROWS_MAX)?;
            let current = record::find_many(conn, &[record_id])?.pop();
            rows.extend(current.map(|row| AssignmentRow {
                seq: i64::MAX,
                record_id: row.id,
                identity_id: row.identity_id,
                model_version: row.model_version,
                probability: row.probability,
                assigned_us: row.assigned_us,
                decision_id: row.decision_id,
                until_us: i64::MAX,
            }));
            if rows.is_empty() { Err(AppError::not_found("There is no such record.")) } else { Ok(rows) }
        })
    }
}

fn item(review: ReviewRow, records: &[RecordRow]) -> Option<ReviewItem> {
    let own = records.iter().find(|row| row.id == review.record_id)?.identity_id.clone();
    let kind = if own == review.identity_id { ReviewKind::MixedIdentity } else { ReviewKind::DoubtfulPair };
    Some(ReviewItem { kind, review, own_identity_id: own })
}

fn decision(row: DecisionRow) -> Result<Decision, AppError> {
    let detail: Detail = serde_json::from_str(&row.detail).map_err(|_| AppError::internal())?;
    let before = detail.before.into_iter().map(|before| (before.record, before.identity)).collect();
    Ok(Decision { row, asked: detail.asked, before })
}

/// The identity that an id stands for: itself, or what it has become part of.
///
/// # Errors
/// Those of the database.
pub fn resolve(conn: &mut Connection, id: &str) -> Result<Option<String>, StoreError> {
    let (mut id, mut seen) = (id.to_owned(), BTreeSet::new());
    while seen.insert(id.clone()) {
        if identity::find(conn, &id)?.is_some() {
            return Ok(Some(id));
        }
        match identity_history::find_merged(conn, &id)? {
            Some(merged) => id = merged.survivor_id,
            None => break,
        }
    }
    Ok(None)
}

fn view(conn: &mut Connection, constraints: &Constraints, id: &str) -> Result<Option<IdentityView>, StoreError> {
    let Some(id) = resolve(conn, id)? else { return Ok(None) };
    let records = record::list_of_identities(conn, &[&id])?;
    let ids: Vec<&str> = records.iter().map(|row| row.id.as_str()).collect();
    let bound = steward::list_constraints_of(conn, &ids)?;
    let decided = bound.iter().map(|row| row.decision_id.as_str());
    let decided = decided.chain(records.iter().filter_map(|row| row.decision_id.as_deref()));
    let decided: Vec<&str> = decided.filter(|id| !id.is_empty()).collect::<BTreeSet<_>>().into_iter().collect();
    let waits = !review::list_of_identity(conn, &id)?.is_empty() || !review::list_of_records(conn, &ids)?.is_empty();
    let stewardship = if waits { Stewardship::InReview } else { Stewardship::of(constraints, &ids) };
    let decisions = steward::find_decisions(conn, &decided)?;
    let history = identity_history::list_of_identity(conn, &id, ROWS_MAX)?;
    Ok(Some(IdentityView { id, records, stewardship, constraints: bound, decisions, history }))
}
