//! Versions, current and older, newest first, one page at a time.
//!
//! The current version of a resource and its older ones lie in two tables; a page is read from both and merged. A page
//! continues after the last version of the one before (keyset): a version that becomes an older one meanwhile stays
//! where it is in the order, so nothing is left out or repeated. Not here: one version (see `resource`), links.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::connection::{Connection, MultiBackend};
use super::error::StoreError;
use super::resource::SearchConstraint;
use super::schema::{resource, resource_history};

/// Which versions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    pub resource_type: String,
    pub scope: HistoryScope,
    /// Versions made at this time or later.
    pub since_us: Option<i64>,
    /// Versions that were current at some time of the period, its ends included.
    pub at: Option<Period>,
    pub constraint: SearchConstraint,
    /// The page begins after this version; `None` for the first page.
    pub after: Option<HistoryPosition>,
    /// Rows of a page; 0 gives none.
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// Versions of one resource, in the order of their numbers.
    Instance(String),
    /// Versions of all resources of the type, in the order of time.
    Type,
}

/// Two times in microseconds since 1970, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub lo_us: i64,
    pub hi_us: i64,
}

/// The place of a version in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPosition {
    pub updated_us: i64,
    pub id: String,
    pub version: i64,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct HistoryVersion {
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
    /// A tombstone; its body is empty.
    pub deleted: bool,
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Newest first.
    pub versions: Vec<HistoryVersion>,
    /// Where the next page begins, if there is one.
    pub next: Option<HistoryPosition>,
}

/// One page.
///
/// # Errors
/// Those of the database.
pub fn list(connection: &mut Connection, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
    let SearchConstraint::None = query.constraint;
    let count = usize::try_from(query.count).unwrap_or(usize::MAX);
    if count == 0 {
        return Ok(HistoryPage { versions: Vec::new(), next: None });
    }
    let mut versions = list_current(connection, query)?;
    versions.append(&mut list_older(connection, query)?);
    match query.scope {
        HistoryScope::Instance(_) => versions.sort_unstable_by_key(|row| std::cmp::Reverse(row.version)),
        HistoryScope::Type => versions.sort_unstable_by(|a, b| key(b).cmp(&key(a))),
    }
    let has_more = versions.len() > count;
    versions.truncate(count);
    let next = versions.last().filter(|_| has_more).map(|last| HistoryPosition {
        updated_us: last.updated_us,
        id: last.id.clone(),
        version: last.version,
    });
    Ok(HistoryPage { versions, next })
}

fn key(row: &HistoryVersion) -> (i64, &str, i64) {
    (row.updated_us, &row.id, row.version)
}

impl HistoryQuery {
    /// One more than asked for tells whether there is a next page.
    fn limit(&self) -> i64 {
        i64::from(self.count) + 1
    }

    fn until_us(&self) -> i64 {
        let until = self.at.map_or(i64::MAX, |period| period.hi_us);
        match (&self.scope, &self.after) {
            (HistoryScope::Type, Some(after)) => until.min(after.updated_us),
            _ => until,
        }
    }
}

fn list_current(connection: &mut Connection, query: &HistoryQuery) -> Result<Vec<HistoryVersion>, StoreError> {
    use resource::{body, deleted, id, resource_type, table, updated_us, version};
    let mut rows = table
        .select((id, version, updated_us, deleted, body))
        .filter(resource_type.eq(&query.resource_type))
        .filter(updated_us.le(query.until_us()))
        .limit(query.limit())
        .into_boxed::<MultiBackend>();
    if let Some(since) = query.since_us {
        rows = rows.filter(updated_us.ge(since));
    }
    if let Some(period) = query.at {
        // What was deleted before the period was not current in it.
        rows = rows.filter(deleted.eq(false).or(updated_us.ge(period.lo_us)));
    }
    rows = match (&query.scope, &query.after) {
        (HistoryScope::Instance(of), None) => rows.filter(id.eq(of)),
        (HistoryScope::Instance(of), Some(after)) => rows.filter(id.eq(of)).filter(version.lt(after.version)),
        (HistoryScope::Type, None) => rows,
        (HistoryScope::Type, Some(after)) => rows.filter(
            updated_us.lt(after.updated_us).or(id.lt(&after.id)).or(id.eq(&after.id).and(version.lt(after.version))),
        ),
    };
    rows = match query.scope {
        HistoryScope::Instance(_) => rows.order(version.desc()),
        HistoryScope::Type => rows.order((updated_us.desc(), id.desc(), version.desc())),
    };
    Ok(rows.load(connection)?)
}

fn list_older(connection: &mut Connection, query: &HistoryQuery) -> Result<Vec<HistoryVersion>, StoreError> {
    use resource_history::{body, deleted, id, resource_type, table, updated_us, version};
    let mut rows = table
        .select((id, version, updated_us, deleted, body))
        .filter(resource_type.eq(&query.resource_type))
        .filter(updated_us.le(query.until_us()))
        .limit(query.limit())
        .into_boxed::<MultiBackend>();
    if let Some(since) = query.since_us {
        rows = rows.filter(updated_us.ge(since));
    }
    if let Some(period) = query.at {
        rows = rows.filter(deleted.eq(false).or(updated_us.ge(period.lo_us)));
        rows = rows.filter(sql::<Bool>(SUPERSEDED_US).sql(" > ").bind::<BigInt, _>(period.lo_us));
    }
    rows = match (&query.scope, &query.after) {
        (HistoryScope::Instance(of), None) => rows.filter(id.eq(of)),
        (HistoryScope::Instance(of), Some(after)) => rows.filter(id.eq(of)).filter(version.lt(after.version)),
        (HistoryScope::Type, None) => rows,
        (HistoryScope::Type, Some(after)) => rows.filter(
            updated_us.lt(after.updated_us).or(id.lt(&after.id)).or(id.eq(&after.id).and(version.lt(after.version))),
        ),
    };
    rows = match query.scope {
        HistoryScope::Instance(_) => rows.order(version.desc()),
        HistoryScope::Type => rows.order((updated_us.desc(), id.desc(), version.desc())),
    };
    Ok(rows.load(connection)?)
}

/// When an older version ceased to be the current one: when the next was made.
const SUPERSEDED_US: &str = "COALESCE((SELECT later.updated_us FROM resource_history AS later \
     WHERE later.resource_type = resource_history.resource_type AND later.id = resource_history.id \
     AND later.version = resource_history.version + 1), \
     (SELECT latest.updated_us FROM resource AS latest \
     WHERE latest.resource_type = resource_history.resource_type AND latest.id = resource_history.id))";
