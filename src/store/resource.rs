//! Resources: the current version of each, its older versions, and what it is found by.
//!
//! A body is stored as it was given. A deleted resource stays as a tombstone: its version goes on, its body is empty,
//! no search finds it. Every function runs in the caller's transaction; after an error the caller rolls back.
//! Not here: which ids and versions are right, which values a document is found by, splicing of `meta`.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::body::{Head, fitting, heads, load};
use super::connection::Connection;
use super::constraint::insert_restricted;
use super::dialect;
use super::error::StoreError;
use super::schema::{resource, resource_history, search_date, search_string, search_token};
pub use super::search::{
    DatePrefix, DateTest, Direction, Position, SORTS_MAX, SearchCondition, SearchPage, SearchQuery, Sort, SortKey,
    SortValue, StringMatch, Token, Total, explain_search, search,
};
use super::search::{name_key, token_key};
use crate::fhir::search_parameter::{SEARCH_VERSION, SearchValues};

/// One version of a resource, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The same for all versions; it grows in the order of creation.
    pub number: i64,
    pub resource_type: String,
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
    /// A tombstone; its body is empty.
    pub deleted: bool,
    pub body: String,
}

impl Resource {
    pub(super) fn named(&self) -> (&str, &str, i64) {
        (&self.resource_type, &self.id, self.version)
    }

    fn row(&self) -> ResourceRow<'_> {
        ResourceRow {
            number: self.number,
            resource_type: &self.resource_type,
            id: &self.id,
            version: self.version,
            updated_us: self.updated_us,
            deleted: self.deleted,
            search_version: SEARCH_VERSION,
            body: &self.body,
        }
    }
}

/// A version to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResource {
    pub resource_type: String,
    pub id: String,
    /// 1 for a new resource; of an update the version that it makes current.
    pub version: i64,
    pub updated_us: i64,
    pub body: String,
    pub search: SearchValues,
}

/// A row of `resource`.
#[derive(Debug, Insertable)]
#[diesel(table_name = resource)]
pub(super) struct ResourceRow<'a> {
    pub number: i64,
    pub resource_type: &'a str,
    pub id: &'a str,
    pub version: i64,
    pub updated_us: i64,
    pub deleted: bool,
    pub search_version: i32,
    pub body: &'a str,
}

/// What a version puts in the place of the one before.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = resource)]
pub(super) struct NewVersion<'a> {
    pub version: i64,
    pub updated_us: i64,
    pub deleted: bool,
    pub search_version: i32,
    pub body: &'a str,
}

/// The version that has to be the current one.
#[derive(Debug)]
pub(super) struct ExpectedVersion<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    pub version: i64,
}

/// The rows of the search tables, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct SearchRows {
    pub strings: Vec<StringRow>,
    pub tokens: Vec<TokenRow>,
    pub dates: Vec<DateRow>,
}

#[derive(Debug, Clone, Insertable, Queryable, PartialEq, Eq, PartialOrd, Ord)]
#[diesel(table_name = search_string)]
pub(super) struct StringRow {
    pub parameter: i16,
    pub value: String,
    pub number: i64,
    pub exact: String,
}

#[derive(Debug, Clone, Insertable, Queryable, PartialEq, Eq, PartialOrd, Ord)]
#[diesel(table_name = search_token)]
pub(super) struct TokenRow {
    pub parameter: i16,
    pub value: String,
    pub system: String,
    pub number: i64,
}

#[derive(Debug, Clone, Insertable, Queryable, PartialEq, Eq, PartialOrd, Ord)]
#[diesel(table_name = search_date)]
pub(super) struct DateRow {
    pub parameter: i16,
    pub lo_us: i64,
    pub hi_us: i64,
    pub number: i64,
}

impl NewResource {
    /// The version, where a label restricts it.
    fn restricted(&self) -> Option<(&str, &str, i64)> {
        self.search.is_restricted.then_some((&self.resource_type, &self.id, self.version))
    }

    fn row(&self, number: i64) -> ResourceRow<'_> {
        ResourceRow {
            number,
            resource_type: &self.resource_type,
            id: &self.id,
            version: self.version,
            updated_us: self.updated_us,
            deleted: false,
            search_version: SEARCH_VERSION,
            body: &self.body,
        }
    }
}

impl SearchRows {
    /// Sorted: rows that lie together are written together.
    fn of<'a>(resources: impl IntoIterator<Item = (i64, &'a SearchValues)>) -> Self {
        let mut rows = Self::default();
        for (number, values) in resources {
            rows.add(number, values);
        }
        rows.strings.sort_unstable();
        rows.strings.dedup();
        rows.tokens.sort_unstable();
        rows.tokens.dedup();
        rows.dates.sort_unstable();
        rows.dates.dedup();
        rows
    }

    fn add(&mut self, number: i64, values: &SearchValues) {
        self.strings.extend(values.strings.iter().map(|string| StringRow {
            parameter: string.parameter,
            value: name_key(&string.value).into_owned(),
            number,
            exact: name_key(&string.exact).into_owned(),
        }));
        self.tokens.extend(values.tokens.iter().map(|token| TokenRow {
            parameter: token.parameter,
            value: token_key(&token.value).into_owned(),
            system: token_key(&token.system).into_owned(),
            number,
        }));
        self.dates.extend(values.dates.iter().map(|date| DateRow {
            parameter: date.parameter,
            lo_us: date.lo_us,
            hi_us: date.hi_us,
            number,
        }));
    }
}

/// The current version, or the tombstone.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, resource_type: &str, id: &str) -> Result<Option<Resource>, StoreError> {
    Ok(current()
        .filter(resource::resource_type.eq(resource_type))
        .filter(resource::id.eq(id))
        .first(connection)
        .optional()?)
}

/// One version, current or older.
///
/// # Errors
/// Those of the database.
pub fn find_version(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
    version: i64,
) -> Result<Option<Resource>, StoreError> {
    match find(connection, resource_type, id)? {
        Some(current) if current.version == version => Ok(Some(current)),
        Some(current) => Ok(older()
            .filter(resource_history::resource_type.eq(resource_type))
            .filter(resource_history::id.eq(id))
            .filter(resource_history::version.eq(version))
            .first::<Older>(connection)
            .optional()?
            .map(|older| older.into_resource(current.number))),
        None => Ok(None),
    }
}

/// The number of the resource that was created last; 0 when there is none.
///
/// # Errors
/// Those of the database.
pub fn last_number(connection: &mut Connection) -> Result<i64, StoreError> {
    let last: Option<i64> = resource::table.select(diesel::dsl::max(resource::number)).first(connection)?;
    Ok(last.unwrap_or(0))
}

/// When the resource that was written last was written; 0 when there is none.
///
/// # Errors
/// Those of the database.
pub fn last_updated_us(connection: &mut Connection, resource_types: &[&str]) -> Result<i64, StoreError> {
    dialect::last_updated_us(connection, resource_types)
}

/// Stores new resources in one round trip.
///
/// # Errors
/// `Conflict` when one of the ids exists, also as a tombstone.
pub fn insert_many(connection: &mut Connection, resources: &[NewResource]) -> Result<(), StoreError> {
    if resources.is_empty() {
        return Ok(());
    }
    let numbers = dialect::next_resource_numbers(connection, resources.len())?;
    let rows: Vec<_> = numbers.iter().zip(resources).map(|(number, resource)| resource.row(*number)).collect();
    dialect::insert_resources(connection, &rows)?;
    insert_restricted(connection, resources.iter().filter_map(NewResource::restricted))?;
    let values = numbers.iter().copied().zip(resources.iter().map(|resource| &resource.search));
    dialect::insert_search_rows(connection, &SearchRows::of(values))
}

/// Stores resources as they were elsewhere: with their number and version, tombstones too.
///
/// # Errors
/// `Conflict` when one of the numbers or ids exists.
pub(super) fn insert_numbered(
    connection: &mut Connection,
    resources: &[(Resource, SearchValues)],
) -> Result<(), StoreError> {
    let rows: Vec<ResourceRow<'_>> = resources.iter().map(|(resource, _)| resource.row()).collect();
    dialect::insert_resources(connection, &rows)?;
    let restricted = resources.iter().filter(|(_, search)| search.is_restricted);
    insert_restricted(connection, restricted.map(|(resource, _)| resource.named()))?;
    let values = resources.iter().map(|(resource, search)| (resource.number, search));
    dialect::insert_search_rows(connection, &SearchRows::of(values))
}

/// Makes `resource` the current version and keeps the former one as history. A tombstone comes back to life.
///
/// # Errors
/// `Conflict` when the current version is not `expected_version`, or there is none.
pub fn update(connection: &mut Connection, resource: &NewResource, expected_version: i64) -> Result<(), StoreError> {
    let version = NewVersion {
        version: resource.version,
        updated_us: resource.updated_us,
        deleted: false,
        search_version: SEARCH_VERSION,
        body: &resource.body,
    };
    let number = replace(connection, &resource.resource_type, &resource.id, &version, expected_version)?;
    insert_restricted(connection, resource.restricted())?;
    dialect::put_search_rows(connection, number, &SearchRows::of([(number, &resource.search)]))
}

/// Puts a tombstone in place of the current version, which stays as history. Returns the tombstone's version.
///
/// # Errors
/// `Conflict` when the current version is not `expected_version`, or there is none.
pub fn delete(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
    expected_version: i64,
    updated_us: i64,
) -> Result<i64, StoreError> {
    let version = expected_version + 1;
    let tombstone = NewVersion { version, updated_us, deleted: true, search_version: SEARCH_VERSION, body: "" };
    let number = replace(connection, resource_type, id, &tombstone, expected_version)?;
    dialect::put_search_rows(connection, number, &SearchRows::default())?;
    Ok(version)
}

/// Current row to history, then the new version in its place; gives its number. The search rows are still the former
/// ones.
fn replace(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
    version: &NewVersion<'_>,
    expected_version: i64,
) -> Result<i64, StoreError> {
    let expected = ExpectedVersion { resource_type, id, version: expected_version };
    dialect::replace_resource(connection, &expected, version)?.ok_or_else(StoreError::version_changed)
}

/// Up to `rows_max` resources whose search values were made by another version of the search parameters, and one or as
/// many as have `bytes_max`.
///
/// # Errors
/// Those of the database.
pub fn list_outdated_search(
    connection: &mut Connection,
    rows_max: u32,
    bytes_max: i64,
) -> Result<Vec<Resource>, StoreError> {
    let mut heads: Vec<Head> = heads(0)
        .filter(resource::search_version.lt(SEARCH_VERSION))
        .order((resource::search_version, resource::number))
        .limit(i64::from(rows_max))
        .load(connection)?;
    heads.truncate(fitting(heads.iter().map(|head| head.bytes), bytes_max).max(1));
    load(connection, heads)
}

/// Writes search values anew, of documents that stay as they are; of tombstones there are none.
///
/// # Errors
/// Those of the database.
pub fn replace_search_values(connection: &mut Connection, values: &[(i64, SearchValues)]) -> Result<(), StoreError> {
    for (number, values) in values {
        dialect::put_search_rows(connection, *number, &SearchRows::of([(*number, values)]))?;
        diesel::update(resource::table.filter(resource::number.eq(number)))
            .set(resource::search_version.eq(SEARCH_VERSION))
            .execute(connection)?;
    }
    Ok(())
}

/// As [`Resource`] has them.
type Columns = (
    resource::number,
    resource::resource_type,
    resource::id,
    resource::version,
    resource::updated_us,
    resource::deleted,
    resource::body,
);
pub(super) type VersionColumns =
    (resource::resource_type, resource::id, resource::version, resource::updated_us, resource::deleted, resource::body);
pub(super) type HistoryColumns = (
    resource_history::resource_type,
    resource_history::id,
    resource_history::version,
    resource_history::updated_us,
    resource_history::deleted,
    resource_history::body,
);

pub(super) const fn version_columns() -> VersionColumns {
    (resource::resource_type, resource::id, resource::version, resource::updated_us, resource::deleted, resource::body)
}

pub(super) const fn history_columns() -> HistoryColumns {
    (
        resource_history::resource_type,
        resource_history::id,
        resource_history::version,
        resource_history::updated_us,
        resource_history::deleted,
        resource_history::body,
    )
}

pub(super) fn current() -> diesel::dsl::Select<resource::table, Columns> {
    resource::table.select((
        resource::number,
        resource::resource_type,
        resource::id,
        resource::version,
        resource::updated_us,
        resource::deleted,
        resource::body,
    ))
}

/// A row of `resource_history`.
#[derive(Queryable)]
pub(super) struct Older {
    resource_type: String,
    pub id: String,
    version: i64,
    updated_us: i64,
    deleted: bool,
    body: String,
}

impl Older {
    pub(super) fn into_resource(self, number: i64) -> Resource {
        let Self { resource_type, id, version, updated_us, deleted, body } = self;
        Resource { number, resource_type, id, version, updated_us, deleted, body }
    }
}

pub(super) fn older() -> diesel::dsl::Select<resource_history::table, HistoryColumns> {
    resource_history::table.select(history_columns())
}
