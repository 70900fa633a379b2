//! What there is to decide, and what was decided: reviews, decisions, and the history of identities.
//!
//! Every assignment is explained: by the model version and probability of the matcher, or by the decision of a steward.
//! Not here: FHIR resources made of it.

use std::collections::BTreeSet;

use crate::audit::Action;
use crate::identity::constraint::Constraints;
use crate::store::identity_history::{self, AssignmentRow};
use crate::store::record::{self, RecordRow};
use crate::store::review::{DEFERRED, ReviewRow};
use crate::store::steward::{self, ConstraintRow, DecisionRow};
use crate::store::{Connection, StoreError, identity, transaction};

use super::state::{self, Stewardship};
use super::{Asked, Detail, check_steward};
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::golden;
use crate::app::links::ELSEWHERE;
use crate::app::search::bytes;

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
    pub record_id: String,
    /// The identity that the record may belong to, or contradicts.
    pub identity_id: String,
    /// The identity that the record is in.
    pub own_identity_id: String,
    pub probability: f64,
    pub model_version: String,
    pub created_us: i64,
    /// Somebody looked at it and could not decide yet: why.
    pub deferred: Option<String>,
}

/// A decision and what it was about.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub id: String,
    /// See [`Asked::kind`].
    pub kind: String,
    pub reason: String,
    pub decided_by: String,
    pub decided_us: i64,
    pub revoked: Option<Revoked>,
    pub asked: Asked,
    /// Each record that it touched, with its identity before.
    pub before: Vec<(String, String)>,
}

/// Who took a decision back, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    pub by: String,
    pub at_us: i64,
    pub reason: String,
}

/// An identity with everything that explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityView {
    /// The identity that the id asked for stands for now: itself, or its survivor.
    pub id: String,
    pub members: Vec<Member>,
    /// Ids of identities that have become part of it.
    pub merged: Vec<String>,
    pub stewardship: Stewardship,
    pub bindings: Vec<Binding>,
    /// Those that stand behind members and bindings.
    pub decisions: Vec<Decision>,
    /// The golden record as it may leave, where golden records are shown.
    pub golden: Option<String>,
}

/// A record of an identity, and what put it there.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub record_id: String,
    pub assignment: Assignment,
    /// The record that has replaced it, on this server.
    pub replaced_by: Option<String>,
}

/// What binds two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// `must-link`, `cannot-link`, `replaced-by` or `continued`.
    pub kind: String,
    pub record_a: String,
    pub record_b: String,
    pub decision_id: Option<String>,
}

/// A record's stay in an identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    pub identity_id: String,
    pub from_us: i64,
    /// `None` for the current one.
    pub until_us: Option<i64>,
    pub model_version: String,
    /// Of the best edge within the identity.
    pub probability: Option<f64>,
    /// The steward's decision behind it.
    pub decision_id: Option<String>,
}

impl App {
    /// One decision.
    ///
    /// # Errors
    /// `NotFound` when there is none of this id.
    pub fn decision(&self, ctx: &Context, id: &str) -> Result<Decision, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            check_steward(ctx)?;
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
            check_steward(ctx)?;
            let constraints = self.candidates.constraints();
            let view = transaction::read_snapshot(&mut *self.connection()?, |conn| {
                let view = view(conn, &constraints, id)?;
                self.with_golden(ctx, conn, view)
            })?;
            let view = view.ok_or_else(|| AppError::not_found("There is no such identity."))?;
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.identities.push(view.id.clone());
            audit.detail.records = view.members.iter().map(|member| member.record_id.clone()).collect();
            Ok(view)
        })
    }

    /// The identity of a record.
    ///
    /// # Errors
    /// `NotFound` when there is no such record.
    pub fn identity_of_record(&self, ctx: &Context, record_id: &str) -> Result<IdentityView, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            check_steward(ctx)?;
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.records.push(record_id.to_owned());
            let constraints = self.candidates.constraints();
            let view = transaction::read_snapshot(&mut *self.connection()?, |conn| {
                let row = record::find_many(conn, &[record_id])?.pop();
                let view = row.map(|row| view(conn, &constraints, &row.identity_id)).transpose()?.flatten();
                self.with_golden(ctx, conn, view)
            })?;
            let view = view.ok_or_else(|| AppError::not_found("There is no such record."))?;
            audit.detail.identities.push(view.id.clone());
            audit.detail.records = view.members.iter().map(|member| member.record_id.clone()).collect();
            Ok(view)
        })
    }

    /// The view with the golden record, where golden records are shown.
    fn with_golden(
        &self,
        ctx: &Context,
        conn: &mut Connection,
        view: Option<IdentityView>,
    ) -> Result<Option<IdentityView>, AppError> {
        let Some(view) = view else { return Ok(None) };
        if !self.config.matching.golden_record {
            return Ok(Some(view));
        }
        let rows = record::list_of_identities(conn, &[&view.id])?;
        let bytes_max = bytes(self.config.limits.page_bytes_max);
        let made = golden::make(conn, &rows.iter().collect::<Vec<_>>(), bytes_max, |_, body| ctx.caller.may_see(body))?;
        let is_shown = |row: &&RecordRow| made.as_ref().is_some_and(|made| made.records.contains(&row.id));
        let ids: Vec<&str> = rows.iter().filter(is_shown).map(|row| row.id.as_str()).collect();
        let base_url = &self.config.server.base_url;
        let golden = made.map(|made| made.render(base_url, &ctx.caller.disclosure(), &ids)).transpose()?;
        Ok(Some(IdentityView { golden, ..view }))
    }

    /// Where a record was, oldest first; where it is now is the last.
    ///
    /// # Errors
    /// `NotFound` when the record never existed.
    pub fn record_history(&self, ctx: &Context, record_id: &str) -> Result<Vec<Assignment>, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            check_steward(ctx)?;
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.records.push(record_id.to_owned());
            let conn = &mut *self.connection()?;
            let ended = identity_history::list_of_record(conn, record_id, ROWS_MAX)?;
            let current = record::find_many(conn, &[record_id])?.pop();
            let stays: Vec<Assignment> =
                ended.into_iter().map(ended_assignment).chain(current.as_ref().map(assignment)).collect();
            if stays.is_empty() { Err(AppError::not_found("There is no such record.")) } else { Ok(stays) }
        })
    }
}

/// A review of one of `records`.
pub(super) fn item(review: ReviewRow, records: &[RecordRow]) -> Option<ReviewItem> {
    let own = records.iter().find(|row| row.id == review.record_id)?.identity_id.clone();
    let kind = if own == review.identity_id { ReviewKind::MixedIdentity } else { ReviewKind::DoubtfulPair };
    let is_deferred = review.state == DEFERRED;
    Some(ReviewItem {
        kind,
        record_id: review.record_id,
        identity_id: review.identity_id,
        own_identity_id: own,
        probability: review.probability,
        model_version: review.model_version,
        created_us: review.created_us,
        deferred: is_deferred.then(|| review.reason.unwrap_or_default()),
    })
}

/// A decision as it is kept.
///
/// # Errors
/// `Internal` when its detail cannot be read.
pub(super) fn decision(row: DecisionRow) -> Result<Decision, AppError> {
    let detail: Detail = serde_json::from_str(&row.detail).map_err(|_| AppError::internal())?;
    let before = detail.before.into_iter().map(|before| (before.record, before.identity)).collect();
    let (by, reason) = (row.revoked_by.unwrap_or_default(), row.revoked_reason.unwrap_or_default());
    Ok(Decision {
        id: row.id,
        kind: row.kind,
        reason: row.reason,
        decided_by: row.decided_by,
        decided_us: row.decided_us,
        revoked: row.revoked_us.map(|at_us| Revoked { by, at_us, reason }),
        asked: detail.asked,
        before,
    })
}

fn assignment(row: &RecordRow) -> Assignment {
    Assignment {
        identity_id: row.identity_id.clone(),
        from_us: row.assigned_us,
        until_us: None,
        model_version: row.model_version.clone(),
        probability: row.probability,
        decision_id: row.decision_id.clone(),
    }
}

fn ended_assignment(row: AssignmentRow) -> Assignment {
    Assignment {
        identity_id: row.identity_id,
        from_us: row.assigned_us,
        until_us: Some(row.until_us),
        model_version: row.model_version,
        probability: row.probability,
        decision_id: row.decision_id,
    }
}

fn member(row: &RecordRow) -> Member {
    let replaced_by = row.replaced_by.clone().filter(|id| id != ELSEWHERE);
    Member { record_id: row.id.clone(), assignment: assignment(row), replaced_by }
}

fn binding(row: ConstraintRow) -> Binding {
    let ConstraintRow { record_a, record_b, kind, decision_id, .. } = row;
    Binding { kind, record_a, record_b, decision_id: Some(decision_id).filter(|id| !id.is_empty()) }
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

fn view(conn: &mut Connection, constraints: &Constraints, id: &str) -> Result<Option<IdentityView>, AppError> {
    let Some(id) = resolve(conn, id)? else { return Ok(None) };
    let records = record::list_of_identities(conn, &[&id])?;
    let ids: Vec<&str> = records.iter().map(|row| row.id.as_str()).collect();
    let bound = steward::list_constraints_of(conn, &ids)?;
    let decided = bound.iter().map(|row| row.decision_id.as_str());
    let decided = decided.chain(records.iter().filter_map(|row| row.decision_id.as_deref()));
    let decided: Vec<&str> = decided.filter(|id| !id.is_empty()).collect::<BTreeSet<_>>().into_iter().collect();
    let states = state::of_identities(conn, constraints, &[&id], &records)?;
    let decisions = steward::find_decisions(conn, &decided)?.into_iter().map(decision).collect::<Result<_, _>>()?;
    Ok(Some(IdentityView {
        members: records.iter().map(member).collect(),
        merged: identity_history::list_merged_into(conn, &id, ROWS_MAX as usize)?,
        stewardship: states.get(&id).copied().unwrap_or(Stewardship::Automatic),
        bindings: bound.into_iter().map(binding).collect(),
        decisions,
        golden: None,
        id,
    }))
}
