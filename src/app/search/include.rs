//! What comes along with the matches of a page (FHIR R4 Search, `_include` and `_revinclude`).
//!
//! Each resource comes once, and none that is a match. What was found in one round is where `:iterate` goes on from.
//! Not here: reading the parameters (see `query`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::store::body::{Head, fitting, list_heads, load};
use crate::store::constraint::retain_seen;
use crate::store::reference::{self, Sought};
use crate::store::resource::Resource;
use crate::store::{Connection, StoreError};

use super::query::{Asked, Include, Reach, Way};
use crate::app::auth::gate::permit_route;
use crate::app::context::Caller;
use crate::app::incoming::ResourceKind;
use crate::fhir::issue::{Issue, IssueCode};

/// How often `:iterate` goes on.
const ROUNDS_MAX: usize = 10;

/// What comes along.
#[derive(Debug, Clone, Default)]
pub struct Along {
    pub rows: Vec<Resource>,
    /// There would be more.
    pub is_cut: bool,
}

/// Leaves what may come along to this caller: a resource of another type is read by the right to look among that type.
pub fn keep_permitted(caller: &Caller, asked: &mut Asked) {
    let is_permitted = |resource_type: &str| permit_route(caller, "/{type}", "GET", resource_type).is_ok();
    let kinds: Vec<&str> = ResourceKind::ALL.iter().map(|kind| kind.name()).filter(|kind| is_permitted(kind)).collect();
    if asked.includes.is_empty() || kinds.len() == ResourceKind::ALL.len() {
        return;
    }
    let mut left = Vec::new();
    for include in std::mem::take(&mut asked.includes) {
        match (include.way, &include.target) {
            (Way::Reverse, _) if kinds.contains(&include.source) => left.push(include),
            (Way::Forward, Some(target)) if kinds.contains(&target.as_str()) => left.push(include),
            // Without a target every type may come along: each that is permitted does.
            (Way::Forward, None) => {
                left.extend(kinds.iter().map(|kind| Include { target: Some((*kind).to_owned()), ..include.clone() }));
            }
            _ => {}
        }
    }
    asked.includes = left;
    let text = "Of other types only those come along that the caller may search (_include, _revinclude).";
    asked.issues.push(Issue::warning(IssueCode::Incomplete, text));
}

/// How much may come along.
#[derive(Debug, Clone, Copy)]
pub struct AlongMax {
    pub rows: usize,
    /// Of all bodies together.
    pub bytes: i64,
}

/// Finds what comes along with `matches`.
///
/// # Errors
/// Those of the database.
pub fn find(
    conn: &mut Connection,
    caller: &Caller,
    includes: &[Include],
    matches: &[Resource],
    max: AlongMax,
) -> Result<Along, StoreError> {
    let mut heads = Vec::new();
    let mut seen: HashSet<i64> = matches.iter().map(|row| row.number).collect();
    let mut from: Vec<Origin> = matches.iter().map(Origin::of).collect();
    for round in 0..ROUNDS_MAX {
        let before = heads.len();
        for include in includes.iter().filter(|include| round == 0 || include.reach == Reach::Iterate) {
            heads.extend(step(conn, caller, include, &from, max)?.into_iter().filter(|head| seen.insert(head.number)));
            let shown = fitting(heads.iter().map(|head| head.bytes), max.bytes).min(max.rows);
            if shown < heads.len() {
                heads.truncate(shown);
                return Ok(Along { rows: load(conn, heads)?, is_cut: true });
            }
        }
        if heads.len() == before {
            break;
        }
        from = heads[before..].iter().map(Origin::of_head).collect();
    }
    Ok(Along { rows: load(conn, heads)?, is_cut: false })
}

/// A resource that references start or end at.
struct Origin {
    number: i64,
    resource_type: String,
    id: String,
}

impl Origin {
    fn of(row: &Resource) -> Self {
        Self { number: row.number, resource_type: row.resource_type.clone(), id: row.id.clone() }
    }

    fn of_head(head: &Head) -> Self {
        Self { number: head.number, resource_type: head.resource_type.clone(), id: head.id.clone() }
    }
}

/// One more than is returned tells that there are more.
fn step(
    conn: &mut Connection,
    caller: &Caller,
    include: &Include,
    from: &[Origin],
    max: AlongMax,
) -> Result<Vec<Head>, StoreError> {
    let is_meant = |resource_type: &str| include.target.as_deref().is_none_or(|target| target == resource_type);
    let mut found = Vec::new();
    match include.way {
        Way::Forward => {
            let sources = from.iter().filter(|origin| origin.resource_type == include.source);
            let numbers: Vec<i64> = sources.map(|origin| origin.number).collect();
            let mut targets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (resource_type, id) in reference::list_targets(conn, &include.parameters, &numbers)? {
                targets.entry(resource_type).or_default().insert(id);
            }
            for (resource_type, ids) in targets.into_iter().filter(|(resource_type, _)| is_meant(resource_type)) {
                let (resource_type, constraint) = (resource_type.as_str(), caller.search_constraint(&resource_type));
                let ids = retain_seen(conn, &constraint, resource_type, ids.into_iter().collect())?;
                let ids: Vec<&str> = ids.iter().map(String::as_str).take(max.rows + 1).collect();
                let mut heads = list_heads(conn, resource_type, &ids, max.bytes)?;
                heads.retain(|head| !head.deleted);
                heads.sort_unstable_by(|a, b| a.id.cmp(&b.id));
                found.append(&mut heads);
            }
        }
        Way::Reverse => {
            let mut ends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for origin in from.iter().filter(|origin| is_meant(&origin.resource_type)) {
                ends.entry(&origin.resource_type).or_default().push(&origin.id);
            }
            let constraint = caller.search_constraint(include.source);
            for (resource_type, ids) in ends {
                found.append(&mut reference::list_sources(
                    conn,
                    &include.parameters,
                    Sought { source: include.source, constraint: &constraint, resource_type },
                    &ids,
                    max.rows + 1,
                    max.bytes,
                )?);
            }
        }
    }
    Ok(found)
}
