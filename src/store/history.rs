//! Versions, current and older, newest first, one page at a time.
//!
//! The current version of a resource and its older ones lie in two tables; a page is read from both and merged. A page
//! continues after the last version of the one before (keyset): a version that becomes an older one meanwhile stays
//! where it is in the order, so nothing is left out or repeated. Not here: one version (see `resource`), links.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::body::{self, Named, columns};
use super::connection::Connection;
use super::constraint::{Labels, SearchConstraint};
use super::error::StoreError;
use super::search::Sql;

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
    /// Bytes of the bodies of a page; it ends before the version that has no room, but never before its first one.
    pub bytes_max: i64,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let count = usize::try_from(query.count).unwrap_or(usize::MAX);
    if count == 0 {
        return Ok(HistoryPage { versions: Vec::new(), next: None });
    }
    let mut rows: Vec<Row> = statement(query).into_query().load(connection)?;
    let shown = body::fitting(rows.iter().map(|row| row.bytes), query.bytes_max).max(1).min(count);
    let has_more = rows.len() > shown;
    rows.truncate(shown);
    let next = rows.last().filter(|_| has_more).map(|last| HistoryPosition {
        updated_us: last.updated_us,
        id: last.id.clone(),
        version: last.version,
    });
    let there = rows.iter_mut().map(|row| row.body.take()).collect();
    let resource_type = query.resource_type.as_str();
    let named: Vec<Named<'_>> =
        rows.iter().map(|row| Named { resource_type, id: &row.id, version: row.version }).collect();
    let bodies = body::complete(connection, &named, there)?;
    Ok(HistoryPage { versions: rows.into_iter().zip(bodies).map(|(row, body)| row.with(body)).collect(), next })
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    updated_us: i64,
    #[diesel(sql_type = Bool)]
    deleted: bool,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = Nullable<Text>)]
    body: Option<String>,
}

impl Row {
    fn with(self, body: String) -> HistoryVersion {
        let Self { id, version, updated_us, deleted, .. } = self;
        HistoryVersion { id, version, updated_us, deleted, body }
    }
}

/// The page from both tables, each read as far as it may take; one row more tells that there is a next page.
fn statement(query: &HistoryQuery) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT id, version, updated_us, deleted, bytes, body FROM (SELECT * FROM (");
    sql.versions(query, "resource").push(") AS newest UNION ALL SELECT * FROM (");
    sql.versions(query, "resource_history").push(") AS older) AS v").newest_first(query);
    sql
}

impl Sql {
    fn versions(&mut self, query: &HistoryQuery, table: &str) -> &mut Self {
        let rows = usize::try_from(query.count).unwrap_or(usize::MAX);
        self.push("SELECT v.id, v.version, v.updated_us, v.deleted, ").push(&columns("v", query.bytes_max, rows));
        self.push(" FROM ").push(table).push(" AS v WHERE v.resource_type = ").text(&query.resource_type);
        self.push(" AND v.updated_us <= ").number(query.until_us());
        if let Some(since) = query.since_us {
            self.push(" AND v.updated_us >= ").number(since);
        }
        if let Some(period) = query.at {
            // What was deleted before the period was not current in it; nor was what had been superseded.
            self.push(" AND (v.deleted = FALSE OR v.updated_us >= ").number(period.lo_us).push(")");
            if table == "resource_history" {
                self.push(" AND ").push(SUPERSEDED_US).push(" > ").number(period.lo_us);
            }
        }
        if let HistoryScope::Instance(id) = &query.scope {
            self.push(" AND v.id = ").text(id);
        }
        self.seen_versions(query);
        if let Some(after) = &query.after {
            self.behind(&query.scope, after);
        }
        self.newest_first(query)
    }

    /// Versions of what is there for the caller now, and of those none that was restricted itself.
    fn seen_versions(&mut self, query: &HistoryQuery) {
        if query.constraint.is_none() {
            return;
        }
        self.push(" AND EXISTS (SELECT 1 FROM resource AS n WHERE n.resource_type = v.resource_type AND n.id = v.id");
        self.seen(&query.constraint, &query.resource_type, "n.number").push(")");
        if query.constraint.labels == Labels::Unrestricted {
            self.push(
                " AND NOT EXISTS (SELECT 1 FROM restricted_version AS l WHERE l.resource_type = v.resource_type \
                 AND l.id = v.id AND l.version = v.version)",
            );
        }
    }

    fn behind(&mut self, scope: &HistoryScope, after: &HistoryPosition) {
        if *scope == HistoryScope::Type {
            self.push(" AND (v.updated_us < ").number(after.updated_us).push(" OR v.id < ").text(&after.id);
            self.push(" OR (v.id = ").text(&after.id).push(" AND v.version < ").number(after.version).push("))");
        } else {
            self.push(" AND v.version < ").number(after.version);
        }
    }

    fn newest_first(&mut self, query: &HistoryQuery) -> &mut Self {
        self.push(match query.scope {
            HistoryScope::Instance(_) => " ORDER BY v.version DESC",
            HistoryScope::Type => " ORDER BY v.updated_us DESC, v.id DESC, v.version DESC",
        });
        self.push(" LIMIT ").number(i64::from(query.count) + 1)
    }
}

impl HistoryQuery {
    fn until_us(&self) -> i64 {
        let until = self.at.map_or(i64::MAX, |period| period.hi_us);
        match (&self.scope, &self.after) {
            (HistoryScope::Type, Some(after)) => until.min(after.updated_us),
            _ => until,
        }
    }
}

/// When an older version ceased to be the current one: when the next was made.
const SUPERSEDED_US: &str = "COALESCE((SELECT later.updated_us FROM resource_history AS later \
     WHERE later.resource_type = v.resource_type AND later.id = v.id AND later.version = v.version + 1), \
     (SELECT latest.updated_us FROM resource AS latest \
     WHERE latest.resource_type = v.resource_type AND latest.id = v.id))";
