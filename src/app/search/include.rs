//! What comes along with the matches of a page (FHIR R4 Search, `_include` and `_revinclude`).
//!
//! Each resource comes once, and none that is a match. What was found in one round is where `:iterate` goes on from.
//! Not here: reading the parameters (see `query`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::store::resource::{Resource, find_many};
use crate::store::{Connection, StoreError, reference};

use super::query::{Include, Reach, Way};

/// How often `:iterate` goes on.
const ROUNDS_MAX: usize = 10;

/// What comes along.
#[derive(Debug, Clone, Default)]
pub struct Along {
    pub rows: Vec<Resource>,
    /// There would be more.
    pub is_cut: bool,
}

/// Finds what comes along with `matches`, `rows_max` at most.
///
/// # Errors
/// Those of the database.
pub fn find(
    conn: &mut Connection,
    includes: &[Include],
    matches: &[Resource],
    rows_max: usize,
) -> Result<Along, StoreError> {
    let mut along = Along::default();
    let mut seen: HashSet<i64> = matches.iter().map(|row| row.number).collect();
    let mut from: Vec<Origin> = matches.iter().map(Origin::of).collect();
    for round in 0..ROUNDS_MAX {
        let reaching = includes.iter().filter(|include| round == 0 || include.reach == Reach::Iterate);
        let mut found = Vec::new();
        for include in reaching {
            found.extend(step(conn, include, &from, rows_max)?.into_iter().filter(|row| seen.insert(row.number)));
        }
        if found.is_empty() {
            break;
        }
        from = found.iter().map(Origin::of).collect();
        along.rows.append(&mut found);
        if along.rows.len() > rows_max {
            along.rows.truncate(rows_max);
            along.is_cut = true;
            break;
        }
    }
    Ok(along)
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
}

/// One more than is returned tells that there are more.
fn step(
    conn: &mut Connection,
    include: &Include,
    from: &[Origin],
    rows_max: usize,
) -> Result<Vec<Resource>, StoreError> {
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
            for (resource_type, ids) in targets.iter().filter(|(resource_type, _)| is_meant(resource_type)) {
                let ids: Vec<&str> = ids.iter().map(String::as_str).take(rows_max + 1).collect();
                found.append(&mut find_many(conn, resource_type, &ids)?);
            }
        }
        Way::Reverse => {
            let mut ends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for origin in from.iter().filter(|origin| is_meant(&origin.resource_type)) {
                ends.entry(&origin.resource_type).or_default().push(&origin.id);
            }
            for (resource_type, ids) in ends {
                found.append(&mut reference::list_sources(
                    conn,
                    &include.parameters,
                    resource_type,
                    &ids,
                    rows_max + 1,
                )?);
            }
        }
    }
    Ok(found)
}
