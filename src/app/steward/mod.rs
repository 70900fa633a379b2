//! What stewards decide about identities: merge, unmerge, link, unlink, split, decide a review, revoke.
//!
//! What: a decision is a few constraints between records under one id, with who, when and why. [`App::decide`] makes them,
//! clusters what they touch again, and writes everything in one transaction with its audit row; [`App::revoke`] takes them
//! away again, and with them every consequence: identities are what the partition says of records and constraints, so
//! taking a decision back restores what was there, with the identity ids of before, whatever happened elsewhere. Not here:
//! the clustering (see `settle`), what there is to decide and what was decided (see `queue`).

mod order;
pub mod page;
pub mod queue;
pub mod relink;
pub mod request;
mod revoke;
pub mod state;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::audit::{Action, AuditRecord};
use crate::fhir::issue::{Issue, IssueCode};
use crate::identity::constraint::{Constraint, Contradicting, Kind};
use crate::store::record::RecordRow;
use crate::store::review::ReviewRow;
use crate::store::steward::{self, ConstraintRow, DecisionRow, REPLACED_BY};
use crate::store::{change, record, resource, review};

use super::context::Context;
use super::error::{AppError, ErrorKind};
use super::keep::Keeper;
use super::settle::{self, Occasion, Placement, Plan};
use super::unit::Unit;
use super::write::Desk;
use super::writer::{Done, Ending, Scope, Work};
use super::{App, close, panicked};

/// Characters of a reason at most.
pub const REASON_CHARS_MAX: usize = 1000;
/// Records that one decision may bind at most.
pub const RECORDS_MAX: usize = 500;

/// What a steward asks for. Records are named by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// The records and their identities are one person's; `source` is replaced by `target`, whose identity survives
    /// (FHIR R5 Patient-merge).
    Merge { source: String, target: String },
    /// The records and their identities are one person's; both records stay.
    Link { a: String, b: String },
    /// The records are two people's.
    Unlink { a: String, b: String },
    /// The records of one identity are several people's: each group is one, and what no group names is another.
    Split { identity: String, groups: Vec<Vec<String>> },
    /// An answer to a review: does the record belong to the identity?
    Review { record: String, identity: String, verdict: Verdict },
}

/// What a person says of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Same,
    Different,
    /// Not now: the review stays, with the reason.
    Defer,
}

impl Asked {
    /// The code that decisions and audit rows carry.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Merge { .. } => "merge",
            Self::Link { .. } => "link",
            Self::Unlink { .. } => "unlink",
            Self::Split { .. } => "split",
            Self::Review { verdict: Verdict::Same, .. } => "same",
            Self::Review { verdict: Verdict::Different, .. } => "different",
            Self::Review { verdict: Verdict::Defer, .. } => "defer",
        }
    }

    const fn action(&self) -> Action {
        match self {
            Self::Merge { .. } => Action::Merge,
            Self::Link { .. } => Action::Link,
            Self::Unlink { .. } => Action::Unlink,
            Self::Split { .. } => Action::Split,
            Self::Review { .. } => Action::Decide,
        }
    }
}

/// What came of a decision, or of its revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub decision_id: String,
    /// Every record that the decision touches, with its identity before and now; those that moved differ.
    pub placements: Vec<Placement>,
    /// Identities that have become part of another: id and survivor.
    pub ended: Vec<(String, String)>,
    /// The surviving Patient of a merge as it is now.
    pub survivor: Option<String>,
}

impl Decided {
    /// The identity of a record now.
    #[must_use]
    pub fn identity_of(&self, record_id: &str) -> Option<&str> {
        self.placements.iter().find(|one| one.record_id == record_id).map(|one| one.to.as_str())
    }
}

/// What a decision keeps of the state before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Detail {
    asked: Asked,
    before: Vec<Before>,
    /// Reviews that the decision answered.
    #[serde(default)]
    reviews: Vec<ReviewRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    record: String,
    identity: String,
}

/// What a decision means, before it is made.
#[derive(Debug, Default)]
struct Meaning {
    constraints: Vec<Constraint>,
    /// The record that is replaced, and by which.
    replaced: Option<(String, String)>,
    /// Records whose identities the decision is about.
    records: Vec<RecordRow>,
    /// The record whose identity id stays.
    survivor: Option<String>,
    reviews: Vec<ReviewRow>,
    deferred: Option<ReviewRow>,
}

impl App {
    /// Makes a decision.
    ///
    /// # Errors
    /// `Invalid` without a reason, `NotFound` for records that are not stored, `Conflict` where another decision stands
    /// against it, `Unprocessable` for groups that are none of the identity.
    pub fn decide(&self, ctx: &Context, asked: Asked, reason: &str) -> Result<Decided, AppError> {
        self.decide_with(ctx, asked, reason, Ending::Keep)
    }

    /// The same; a preview says what would come of it and changes nothing.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn decide_with(&self, ctx: &Context, asked: Asked, reason: &str, ending: Ending) -> Result<Decided, AppError> {
        let (action, decision_id, desk) = (asked.action(), (ctx.clock.uuid)(), self.desk(ctx));
        let by = ctx.caller.steward().unwrap_or_default().to_owned();
        let order = Order { asked, decision_id, reason: reason.to_owned(), by };
        self.steward(ctx, action, reason, ending, move |unit| make(&desk, unit, &order))
    }

    /// Takes a decision back: its constraints go, and what they touch is clustered again, under the identity ids of before
    /// as far as they are free.
    ///
    /// # Errors
    /// `NotFound` for an unknown decision, `Conflict` for one that is revoked.
    pub fn revoke(&self, ctx: &Context, decision_id: &str, reason: &str) -> Result<Decided, AppError> {
        self.revoke_with(ctx, decision_id, reason, Ending::Keep)
    }

    /// The same; a preview says what would come of it and changes nothing.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub fn revoke_with(
        &self,
        ctx: &Context,
        decision_id: &str,
        reason: &str,
        ending: Ending,
    ) -> Result<Decided, AppError> {
        let by = ctx.caller.steward().unwrap_or_default().to_owned();
        let (desk, id, why) = (self.desk(ctx), decision_id.to_owned(), reason.to_owned());
        self.steward(ctx, Action::Revoke, reason, ending, move |unit| {
            revoke::revoke(&desk, unit, &id, &revoke::Revocation { by: &by, reason: &why })
        })
    }

    /// Takes the merge of `source` back.
    ///
    /// # Errors
    /// `NotFound` when no steward has merged the record.
    pub fn unmerge(&self, ctx: &Context, source: &str, reason: &str) -> Result<Decided, AppError> {
        self.unmerge_with(ctx, source, reason, Ending::Keep)
    }

    /// The same; a preview says what would come of it and changes nothing.
    ///
    /// # Errors
    /// As [`Self::unmerge`].
    pub fn unmerge_with(&self, ctx: &Context, source: &str, reason: &str, ending: Ending) -> Result<Decided, AppError> {
        let by = ctx.caller.steward().unwrap_or_default().to_owned();
        let (desk, source, why) = (self.desk(ctx), source.to_owned(), reason.to_owned());
        self.steward(ctx, Action::Unmerge, reason, ending, move |unit| {
            let merged = steward::list_constraints_of(unit.conn, &[&source])?;
            let merge = merged.into_iter().find(|row| row.kind == REPLACED_BY && row.record_a == source);
            let merge = merge.ok_or_else(|| AppError::not_found("No steward has merged this record into another."))?;
            revoke::revoke(&desk, unit, &merge.decision_id, &revoke::Revocation { by: &by, reason: &why })
        })
    }

    /// One steward's work under the identity lock, with its audit row.
    fn steward(
        &self,
        ctx: &Context,
        action: Action,
        reason: &str,
        ending: Ending,
        work: impl FnOnce(&mut Unit<'_>) -> Result<Decided, AppError> + Send + 'static,
    ) -> Result<Decided, AppError> {
        let mut audit: AuditRecord = ctx.audit(action);
        audit.resource_type = Some("Patient".to_owned());
        if let Err(error) = check_steward(ctx).and_then(|()| check_reason(reason)) {
            return Err(self.refuse_with(audit, error));
        }
        let now_us = self.clock.now_us;
        let work = Work::audited(panicked(&audit), move |unit| {
            let result = work(unit);
            if let Ok(decided) = &result {
                let touched = |of: fn(&Placement) -> &String| decided.placements.iter().map(of).cloned().collect();
                audit.detail.decision = Some(decided.decision_id.clone());
                audit.detail.records = touched(|one| &one.record_id);
                audit.detail.identities = touched(|one| &one.to);
                audit.detail.identities.sort_unstable();
                audit.detail.identities.dedup();
            }
            if ending == Ending::Undo {
                audit.detail.reasons.push(PREVIEW.to_owned());
            }
            close(&mut audit, result.as_ref().err(), now_us());
            Done { result, audit }
        });
        let decided = self.writer.submit_one(Scope::Identities, work.ending(ending))?;
        let survivor = decided.survivor.map(|body| ctx.caller.outgoing(body)).transpose()?;
        Ok(Decided { survivor, ..decided })
    }
}

/// The reason in the audit row of a decision that was asked for and not made.
const PREVIEW: &str = "preview";

/// Refuses a caller who may neither decide about identities nor see what there is to decide.
///
/// # Errors
/// `Forbidden`.
pub fn check_steward(ctx: &Context) -> Result<(), AppError> {
    ctx.caller.steward().map(|_| ()).ok_or_else(AppError::forbidden)
}

fn check_reason(reason: &str) -> Result<(), AppError> {
    let place = "Parameters.parameter.where(name='reason')";
    let refuse = |code, text: &str| Err(AppError::invalid(vec![Issue::error(code, text).at(place)]));
    match reason.trim().chars().count() {
        0 => refuse(IssueCode::Required, "A decision needs a reason."),
        1..=REASON_CHARS_MAX => Ok(()),
        _ => refuse(IssueCode::Value, "The reason is too long."),
    }
}

/// A decision that is to be made.
struct Order {
    asked: Asked,
    decision_id: String,
    reason: String,
    by: String,
}

fn make(desk: &Desk, unit: &mut Unit<'_>, order: &Order) -> Result<Decided, AppError> {
    let meaning = order::read(unit, &order.asked)?;
    if meaning.records.len() > RECORDS_MAX {
        return Err(unprocessable(IssueCode::TooCostly, "The decision is about too many records."));
    }
    unit.constraints().check(&meaning.constraints).map_err(|found| contradicting(&found))?;
    bind(unit, &meaning, &order.decision_id)?;
    for review in &meaning.reviews {
        review::delete(unit.conn, &review.record_id, &review.identity_id)?;
    }
    if let Some(deferred) = &meaning.deferred {
        let (state, reason) = (review::DEFERRED.to_owned(), Some(order.reason.clone()));
        review::insert_many(unit.conn, &[ReviewRow { state, reason, ..deferred.clone() }])?;
    }
    let mut preferred = HashMap::new();
    if let Some(survivor) = meaning.records.iter().find(|row| Some(&row.id) == meaning.survivor.as_ref()) {
        preferred.insert(survivor.id.clone(), survivor.identity_id.clone());
    }
    let start: Vec<String> = meaning.records.iter().map(|row| row.id.clone()).collect();
    let occasion = Occasion { start, preferred, ..Occasion::default() };
    let decided = settle(desk.keeper(), unit, &occasion, &order.decision_id)?;
    steward::insert_decision(unit.conn, &decision(unit.now_us, order, meaning, &decided)?)?;
    relinked(desk, unit, &order.asked, decided)
}

/// The decision with what it needs to be taken back: where the records were that it is about, and those that it has moved
/// with them.
fn decision(now_us: i64, order: &Order, meaning: Meaning, decided: &Decided) -> Result<DecisionRow, AppError> {
    let about = meaning.records.into_iter().map(|row| (row.id, row.identity_id));
    let moved = decided.placements.iter().filter(|one| one.from != one.to);
    let moved = moved.map(|one| (one.record_id.clone(), one.from.clone()));
    let before: BTreeMap<String, String> = moved.chain(about).collect();
    let before = before.into_iter().map(|(record, identity)| Before { record, identity }).collect();
    let detail = Detail { asked: order.asked.clone(), before, reviews: meaning.reviews };
    Ok(DecisionRow {
        id: order.decision_id.clone(),
        kind: order.asked.kind().to_owned(),
        reason: order.reason.clone(),
        decided_by: order.by.clone(),
        decided_us: now_us,
        detail: serde_json::to_string(&detail).map_err(|_| AppError::internal())?,
        revoked_by: None,
        revoked_us: None,
        revoked_reason: None,
    })
}

/// Lets the Patients of a merge say what is decided of it now.
fn relinked(desk: &Desk, unit: &mut Unit<'_>, asked: &Asked, decided: Decided) -> Result<Decided, AppError> {
    let Asked::Merge { source, target } = asked else { return Ok(decided) };
    for id in [source, target] {
        relink::relink(unit, &desk.rules, &desk.config.server.base_url, id)?;
    }
    let survivor = resource::find(unit.conn, "Patient", target)?.filter(|stored| !stored.deleted);
    Ok(Decided { survivor: survivor.map(|stored| stored.body), ..decided })
}

/// Stores the constraints of a decision, and who is replaced by whom.
fn bind(unit: &mut Unit<'_>, meaning: &Meaning, decision_id: &str) -> Result<(), AppError> {
    let now_us = unit.now_us;
    let row = |a: &str, b: &str, kind: &str| ConstraintRow {
        record_a: a.to_owned(),
        record_b: b.to_owned(),
        kind: kind.to_owned(),
        decision_id: decision_id.to_owned(),
        created_us: now_us,
    };
    let mut rows: Vec<ConstraintRow> =
        meaning.constraints.iter().map(|one| row(&one.a, &one.b, one.kind.code())).collect();
    rows.extend(meaning.replaced.as_ref().map(|(source, target)| row(source, target, REPLACED_BY)));
    rows.sort_unstable();
    rows.dedup();
    steward::insert_constraints(unit.conn, &rows)?;
    meaning.constraints.iter().for_each(|one| unit.constraints_mut().insert(one));
    if let Some((source, target)) = &meaning.replaced {
        declare(unit, source, Some(target))?;
    }
    touch(unit, &rows)
}

/// Lets every instance read again what binds these records.
fn touch(unit: &mut Unit<'_>, rows: &[ConstraintRow]) -> Result<(), AppError> {
    let mut ids: Vec<&str> = rows.iter().flat_map(|row| [row.record_a.as_str(), row.record_b.as_str()]).collect();
    ids.sort_unstable();
    ids.dedup();
    if !ids.is_empty() {
        change::append_binding(unit.conn, &ids)?;
        unit.note_change();
    }
    Ok(())
}

/// Keeps which record has replaced another one, where both the store and the open transaction look.
fn declare(unit: &mut Unit<'_>, record_id: &str, survivor: Option<&str>) -> Result<(), AppError> {
    let mut rows = record::find_many(unit.conn, &[record_id])?;
    for row in &mut rows {
        row.replaced_by = survivor.map(str::to_owned);
    }
    record::upsert_many(unit.conn, &rows)?;
    let here = survivor.filter(|id| *id != super::links::ELSEWHERE);
    unit.constraints_mut().declare(record_id, here);
    Ok(())
}

/// Clusters what a decision touches, and writes what changes.
fn settle(
    keeper: Keeper<'_>,
    unit: &mut Unit<'_>,
    occasion: &Occasion<'_>,
    decision_id: &str,
) -> Result<Decided, AppError> {
    let plan: Plan = settle::plan(keeper, unit, occasion)?;
    settle::apply(keeper, unit, &plan, None, Some(decision_id))?;
    Ok(Decided { decision_id: decision_id.to_owned(), placements: plan.placements, ended: plan.ended, survivor: None })
}

/// A decision that stands against another one.
fn contradicting(found: &Contradicting) -> AppError {
    let text = match (found.asked.kind, found.against.kind) {
        (Kind::MustLink, _) => "A cannot-link of a steward stands between these records; revoke it first.",
        _ => "A steward has linked these records; revoke that first.",
    };
    AppError::new(ErrorKind::Conflict, vec![Issue::error(IssueCode::Conflict, text)])
}

fn unprocessable(code: IssueCode, text: &str) -> AppError {
    AppError::unprocessable(vec![Issue::error(code, text)])
}
