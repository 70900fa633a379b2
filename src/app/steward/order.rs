//! What a decision means: which constraints, about which records.
//!
//! A decision about two records is one about their identities: merging or linking two records of larger identities says
//! that all of them are one person's, so all are chained; what a group of a split holds is confirmed the same way.
//! Not here: whether the constraints can hold (see `identity::constraint`), writing them.

use std::collections::BTreeSet;

use super::{Asked, Meaning, Verdict, unprocessable};
use crate::app::error::AppError;
use crate::app::unit::Unit;
use crate::fhir::issue::IssueCode;
use crate::identity::constraint::{Constraint, Kind};
use crate::store::record::RecordRow;
use crate::store::review::ReviewRow;
use crate::store::{record, review};

/// Groups of a split at most: every two of them must be kept apart.
const GROUPS_MAX: usize = 100;

/// Reads a decision against what is stored.
///
/// # Errors
/// `NotFound` for records, identities and reviews that are not stored, `Unprocessable` for what cannot be meant.
pub fn read(unit: &mut Unit<'_>, asked: &Asked) -> Result<Meaning, AppError> {
    match asked {
        Asked::Merge { source, target } => merge(unit, source, target),
        Asked::Link { a, b } => {
            let (a, b) = (find(unit, a)?, find(unit, b)?);
            together(unit, &a, &b)
        }
        Asked::Unlink { a, b } => {
            let (a, b) = (find(unit, a)?, find(unit, b)?);
            apart(unit, &a, &[b])
        }
        Asked::Split { identity, groups } => split(unit, identity, groups),
        Asked::Review { record, identity, verdict } => answer(unit, record, identity, *verdict),
    }
}

fn find(unit: &mut Unit<'_>, record_id: &str) -> Result<RecordRow, AppError> {
    let found = record::find_many(unit.conn, &[record_id])?.pop();
    found.ok_or_else(|| AppError::not_found("There is no such record."))
}

fn merge(unit: &mut Unit<'_>, source: &str, target: &str) -> Result<Meaning, AppError> {
    let (source, target) = (find(unit, source)?, find(unit, target)?);
    if source.replaced_by.is_some() || target.replaced_by.is_some() {
        return Err(AppError::conflict("One of the records is replaced by another one already."));
    }
    let meaning = together(unit, &target, &source)?;
    Ok(Meaning { replaced: Some((source.id, target.id.clone())), survivor: Some(target.id), ..meaning })
}

/// The identities of both records are one person's; that of `a` survives.
fn together(unit: &mut Unit<'_>, a: &RecordRow, b: &RecordRow) -> Result<Meaning, AppError> {
    if a.id == b.id {
        return Err(unprocessable(IssueCode::Invalid, "A record cannot be decided on against itself."));
    }
    let records = record::list_of_identities(unit.conn, &[&a.identity_id, &b.identity_id])?;
    let others = records.iter().filter(|row| row.id != a.id);
    let constraints = others.map(|row| Constraint::new(&a.id, &row.id, Kind::MustLink)).collect();
    let reviews = reviews_between(unit, &records)?;
    Ok(Meaning { constraints, records, survivor: Some(a.id.clone()), reviews, ..Meaning::default() })
}

/// `record` and each of `others` are two people's.
fn apart(unit: &mut Unit<'_>, one: &RecordRow, others: &[RecordRow]) -> Result<Meaning, AppError> {
    if others.iter().any(|other| other.id == one.id) {
        return Err(unprocessable(IssueCode::Invalid, "A record cannot be decided on against itself."));
    }
    let constraints = others.iter().map(|other| Constraint::new(&one.id, &other.id, Kind::CannotLink)).collect();
    let mut identities: Vec<&str> = others.iter().map(|row| row.identity_id.as_str()).collect();
    identities.push(&one.identity_id);
    identities.sort_unstable();
    identities.dedup();
    let records = record::list_of_identities(unit.conn, &identities)?;
    let reviews = reviews_between(unit, &records)?;
    Ok(Meaning { constraints, records, reviews, ..Meaning::default() })
}

/// Reviews that ask about the records and their identities.
fn reviews_between(unit: &mut Unit<'_>, records: &[RecordRow]) -> Result<Vec<ReviewRow>, AppError> {
    let ids: Vec<&str> = records.iter().map(|row| row.id.as_str()).collect();
    let mut reviews = review::list_of_records(unit.conn, &ids)?;
    reviews.retain(|review| records.iter().any(|row| row.identity_id == review.identity_id));
    Ok(reviews)
}

fn split(unit: &mut Unit<'_>, identity: &str, groups: &[Vec<String>]) -> Result<Meaning, AppError> {
    let records = record::list_of_identities(unit.conn, &[identity])?;
    if records.is_empty() {
        return Err(AppError::not_found("There is no such identity."));
    }
    let mut left: BTreeSet<&str> = records.iter().map(|row| row.id.as_str()).collect();
    if !groups.iter().flatten().all(|id| left.remove(id.as_str())) {
        let text = "A group names a record twice, or one that is not of the identity.";
        return Err(unprocessable(IssueCode::BusinessRule, text));
    }
    let mut groups: Vec<Vec<&str>> = groups.iter().map(|group| group.iter().map(String::as_str).collect()).collect();
    groups.push(left.into_iter().collect());
    groups.retain(|group: &Vec<&str>| !group.is_empty());
    if groups.len() < 2 {
        return Err(unprocessable(IssueCode::BusinessRule, "A split needs two groups of records."));
    }
    let constraints = separating(&groups)?;
    let reviews = reviews_between(unit, &records)?;
    Ok(Meaning { constraints, records, reviews, ..Meaning::default() })
}

/// The records of each group are together, and every two groups apart.
fn separating(groups: &[Vec<&str>]) -> Result<Vec<Constraint>, AppError> {
    if groups.len() > GROUPS_MAX {
        return Err(unprocessable(IssueCode::TooCostly, "The split names too many groups of records."));
    }
    let mut constraints = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        constraints.extend(group[1..].iter().map(|id| Constraint::new(group[0], id, Kind::MustLink)));
        constraints.extend(groups[..at].iter().map(|other| Constraint::new(other[0], group[0], Kind::CannotLink)));
    }
    Ok(constraints)
}

fn answer(unit: &mut Unit<'_>, record_id: &str, identity: &str, verdict: Verdict) -> Result<Meaning, AppError> {
    let one = find(unit, record_id)?;
    let mut members = record::list_of_identities(unit.conn, &[identity])?;
    members.retain(|row| row.id != one.id);
    let asked = review::list_of_records(unit.conn, &[record_id])?;
    let asked = asked.into_iter().find(|review| review.identity_id == identity);
    let Some(asked) = asked.filter(|_| !members.is_empty()) else {
        return Err(AppError::not_found("There is no such review."));
    };
    let meaning = match verdict {
        Verdict::Same => together(unit, &members[0], &one)?,
        Verdict::Different => apart(unit, &one, &members)?,
        Verdict::Defer => Meaning { deferred: Some(asked.clone()), ..Meaning::default() },
    };
    let answered = (verdict != Verdict::Defer && !meaning.reviews.contains(&asked)).then_some(asked);
    let reviews = meaning.reviews.iter().cloned().chain(answered).collect();
    Ok(Meaning { reviews, ..meaning })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_into_too_many_groups_is_refused_before_anything_is_written() {
        let ids: Vec<String> = (0..=GROUPS_MAX).map(|number| format!("r{number}")).collect();
        let groups: Vec<Vec<&str>> = ids.iter().map(|id| vec![id.as_str()]).collect();
        let written = separating(&groups[..GROUPS_MAX]).map(|constraints| constraints.len());
        assert_eq!(written.ok(), Some(GROUPS_MAX * (GROUPS_MAX - 1) / 2));
        let refused = separating(&groups).expect_err("too many");
        assert_eq!((refused.kind.status(), refused.issues[0].code), (422, IssueCode::TooCostly));
    }
}
