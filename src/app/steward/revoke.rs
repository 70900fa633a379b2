//! Taking a decision back.
//!
//! Its constraints go, the records it touched are clustered again and get the identity ids that they had, as far as those
//! are free. Reviews that it answered wait again. Not here: decisions themselves (see `order`).

use std::collections::{BTreeSet, HashMap};

use super::{Asked, Decided, Detail, declare, relinked, settle, touch};
use crate::app::STORED_LIMITS;
use crate::app::constraint_copy::constraint;
use crate::app::error::AppError;
use crate::app::links::read_links;
use crate::app::settle::Occasion;
use crate::app::unit::Unit;
use crate::app::write::Desk;
use crate::fhir::json::parse;
use crate::identity::constraint::{Constraint, Kind};
use crate::store::review::{OPEN, ReviewRow};
use crate::store::steward::{self, ConstraintRow, DecisionRow};
use crate::store::{identity, record, resource, review};

/// Who takes it back, and why.
pub struct Revocation<'r> {
    pub by: &'r str,
    pub reason: &'r str,
}

/// Takes the decision back.
///
/// # Errors
/// `NotFound` for an unknown decision, `Conflict` for one that is revoked.
pub fn revoke(desk: &Desk, unit: &mut Unit<'_>, id: &str, by: &Revocation<'_>) -> Result<Decided, AppError> {
    let decision = steward::find_decision(unit.conn, id)?;
    let decision = decision.ok_or_else(|| AppError::not_found("There is no such decision."))?;
    if decision.revoked_us.is_some() {
        return Err(AppError::conflict("The decision is revoked already."));
    }
    let detail: Detail = serde_json::from_str(&decision.detail).map_err(|_| AppError::internal())?;
    let rows = steward::list_constraints_by(unit.conn, id)?;
    steward::revoke(unit.conn, id, by.by, unit.now_us, by.reason)?;
    let ids: BTreeSet<&str> = rows.iter().flat_map(|row| [row.record_a.as_str(), row.record_b.as_str()]).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let left: Vec<Constraint> = steward::list_constraints_of(unit.conn, &ids)?.iter().filter_map(constraint).collect();
    ids.iter().for_each(|id| unit.constraints_mut().replace(id, &left));
    if let Asked::Merge { source, .. } = &detail.asked {
        let declared = declared_survivor(unit, source, &desk.config.server.base_url)?;
        declare(unit, source, declared.as_deref())?;
    }
    touch(unit, &rows)?;
    let occasion = occasion(unit, &decision, &detail)?;
    let decided = settle(desk.keeper(), unit, &occasion, id)?;
    reopen(unit, &detail)?;
    relinked(desk, unit, &detail.asked, decided)
}

/// What the stored Patient itself declares.
fn declared_survivor(unit: &mut Unit<'_>, record_id: &str, base_url: &str) -> Result<Option<String>, AppError> {
    let stored = resource::find(unit.conn, "Patient", record_id)?.filter(|stored| !stored.deleted);
    let Some(stored) = stored else { return Ok(None) };
    let links = parse(stored.body.as_bytes(), &STORED_LIMITS).map(|patient| read_links(&patient, base_url));
    Ok(links.unwrap_or_default().replaced_by)
}

/// The records of before and where they were, unless a later decision that stands has put them elsewhere; with them the
/// records of identities that use those ids now.
fn occasion(unit: &mut Unit<'_>, decision: &DecisionRow, detail: &Detail) -> Result<Occasion<'static>, AppError> {
    let ids: Vec<&str> = detail.before.iter().map(|before| before.record.as_str()).collect();
    let identities: BTreeSet<&str> = detail.before.iter().map(|before| before.identity.as_str()).collect();
    let identities: Vec<&str> = identities.into_iter().collect();
    let mut start: BTreeSet<String> = record::find_many(unit.conn, &ids)?.into_iter().map(|row| row.id).collect();
    start.extend(record::list_of_identities(unit.conn, &identities)?.into_iter().map(|row| row.id));
    let later = decided_later(unit, decision, &ids)?;
    let before = detail.before.iter().filter(|before| !later.contains(&before.record));
    let preferred: HashMap<String, String> =
        before.map(|before| (before.record.clone(), before.identity.clone())).collect();
    Ok(Occasion { start: start.into_iter().collect(), preferred, ..Occasion::default() })
}

/// Those of the records that later decisions have linked with others or separated from each other. Constraints of
/// decisions that were revoked are gone.
fn decided_later(unit: &mut Unit<'_>, decision: &DecisionRow, ids: &[&str]) -> Result<BTreeSet<String>, AppError> {
    let rows = steward::list_constraints_of(unit.conn, ids)?;
    let is_later = |row: &ConstraintRow| {
        let is_among = [&row.record_a, &row.record_b].iter().all(|id| ids.contains(&id.as_str()));
        let by_other = !row.decision_id.is_empty() && row.decision_id != decision.id;
        by_other && row.created_us >= decision.decided_us && (is_among || row.kind == Kind::MustLink.code())
    };
    Ok(rows.into_iter().filter(is_later).flat_map(|row| [row.record_a, row.record_b]).collect())
}

/// Reviews that the decision answered wait again, if what they ask about is still there and still apart.
fn reopen(unit: &mut Unit<'_>, detail: &Detail) -> Result<(), AppError> {
    let mut reviews = detail.reviews.clone();
    if let Asked::Review { record, identity, verdict: super::Verdict::Defer } = &detail.asked {
        let waiting = review::list_of_records(unit.conn, &[record])?;
        reviews.extend(waiting.into_iter().filter(|row| row.identity_id == *identity));
    }
    for row in reviews {
        let record = record::find_many(unit.conn, &[&row.record_id])?.pop();
        let is_there = identity::find(unit.conn, &row.identity_id)?.is_some();
        if is_there && record.is_some_and(|record| record.identity_id != row.identity_id) {
            review::insert_many(unit.conn, &[ReviewRow { state: OPEN.to_owned(), reason: None, ..row }])?;
        }
    }
    Ok(())
}
