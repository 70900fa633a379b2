//! Resources: the current version of each, its older versions, and what it is found by.
//!
//! A body is stored as it was given. A deleted resource stays as a tombstone: its version goes on, its body is empty,
//! no search finds it. Every function runs in the caller's transaction; after an error the caller rolls back.
//! Not here: which ids and versions are right, folding of search texts, splicing of `meta`.

use std::borrow::Cow;

use diesel::prelude::*;

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::{resource, resource_history, search_value};
use super::search::{FAMILY, GIVEN, IDENTIFIER, name_key, token_key};
pub use super::search::{SearchCondition, SearchConstraint, SearchPage, SearchQuery, Token, search};
use crate::fhir::date::{Date, days_in};

/// One version of a resource, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Resource {
    pub resource_type: String,
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
    /// A tombstone; its body is empty.
    pub deleted: bool,
    pub body: String,
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

/// What a resource is found by. Names are folded (case and accents) by the caller, in the same way as a query's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchValues {
    pub families: Vec<String>,
    pub givens: Vec<String>,
    pub birth_date: Option<DayRange>,
    pub identifiers: Vec<Identifier>,
}

/// An identifier as it is searched: FHIR R4 search, token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    pub system: Option<String>,
    pub value: String,
}

/// First and last day, both included, as the numbers `YYYYMMDD`: they order as the days do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    pub lo: i32,
    pub hi: i32,
}

impl DayRange {
    /// The days that a date of any precision may mean (FHIR R4 search, date).
    #[must_use]
    pub fn of(date: Date) -> Self {
        let number = |month: u8, day: u8| i32::from(date.year()) * 10_000 + i32::from(month) * 100 + i32::from(day);
        let last_month = date.month().unwrap_or(12);
        let last_day = date.day().unwrap_or_else(|| days_in(date.year(), last_month));
        Self { lo: number(date.month().unwrap_or(1), date.day().unwrap_or(1)), hi: number(last_month, last_day) }
    }
}

/// A row of `resource`: the first value of each search parameter is a column.
#[derive(Debug, Insertable, AsChangeset)]
#[diesel(table_name = resource, primary_key(resource_type, id))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub(super) struct ResourceRow<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    pub version: i64,
    pub updated_us: i64,
    pub deleted: bool,
    pub body: &'a str,
    pub family: Option<Cow<'a, str>>,
    pub given: Option<Cow<'a, str>>,
    pub birth_lo: Option<i32>,
    pub birth_hi: Option<i32>,
    pub identifier_system: Option<Cow<'a, str>>,
    pub identifier_value: Option<Cow<'a, str>>,
}

/// A row of `search_value`: a second or further value.
#[derive(Debug, Insertable, PartialEq, Eq, PartialOrd, Ord)]
#[diesel(table_name = search_value)]
pub(super) struct SearchValueRow<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    pub parameter: &'a str,
    pub value: Cow<'a, str>,
    pub system: Cow<'a, str>,
}

impl NewResource {
    fn row(&self) -> ResourceRow<'_> {
        let first = self.search.identifiers.first();
        ResourceRow {
            resource_type: &self.resource_type,
            id: &self.id,
            version: self.version,
            updated_us: self.updated_us,
            deleted: false,
            body: &self.body,
            family: self.search.families.first().map(|family| name_key(family)),
            given: self.search.givens.first().map(|given| name_key(given)),
            birth_lo: self.search.birth_date.map(|range| range.lo),
            birth_hi: self.search.birth_date.map(|range| range.hi),
            identifier_system: first.map(|identifier| token_key(identifier.system.as_deref().unwrap_or_default())),
            identifier_value: first.map(|identifier| token_key(&identifier.value)),
        }
    }

    /// The further values, each once.
    fn further_values(&self) -> Vec<SearchValueRow<'_>> {
        let row = |parameter, value, system| SearchValueRow {
            resource_type: &self.resource_type,
            id: &self.id,
            parameter,
            value,
            system,
        };
        let mut rows: Vec<SearchValueRow<'_>> = Vec::new();
        let name = |parameter, text| row(parameter, name_key(text), Cow::Borrowed(""));
        rows.extend(self.search.families.iter().skip(1).map(|text| name(FAMILY, text)));
        rows.extend(self.search.givens.iter().skip(1).map(|text| name(GIVEN, text)));
        rows.extend(self.search.identifiers.iter().skip(1).map(|identifier| {
            let system = token_key(identifier.system.as_deref().unwrap_or_default());
            row(IDENTIFIER, token_key(&identifier.value), system)
        }));
        rows.sort_unstable();
        rows.dedup();
        rows
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

/// The current versions of those that exist and are not deleted, ordered by id.
///
/// # Errors
/// Those of the database.
pub fn find_many(connection: &mut Connection, resource_type: &str, ids: &[&str]) -> Result<Vec<Resource>, StoreError> {
    Ok(current()
        .filter(resource::resource_type.eq(resource_type))
        .filter(resource::id.eq_any(ids))
        .filter(resource::deleted.eq(false))
        .order(resource::id)
        .load(connection)?)
}

/// The current versions of those that exist, tombstones too, in any order: what a write has to know.
///
/// # Errors
/// Those of the database.
pub fn find_current(
    connection: &mut Connection,
    resource_type: &str,
    ids: &[&str],
) -> Result<Vec<Resource>, StoreError> {
    dialect::current_resources(connection, resource_type, ids)
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
        Some(_) => Ok(older()
            .filter(resource_history::resource_type.eq(resource_type))
            .filter(resource_history::id.eq(id))
            .filter(resource_history::version.eq(version))
            .first(connection)
            .optional()?),
        None => Ok(None),
    }
}

/// Up to `versions_max` versions, newest first, tombstones included.
///
/// # Errors
/// Those of the database.
pub fn list_history(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
    versions_max: u32,
) -> Result<Vec<Resource>, StoreError> {
    let Some(current) = find(connection, resource_type, id)? else { return Ok(Vec::new()) };
    let mut versions = vec![current];
    versions.extend(
        older()
            .filter(resource_history::resource_type.eq(resource_type))
            .filter(resource_history::id.eq(id))
            .order(resource_history::version.desc())
            .limit(i64::from(versions_max) - 1)
            .load::<Resource>(connection)?,
    );
    Ok(versions)
}

/// Stores new resources in one round trip.
///
/// # Errors
/// `Conflict` when one of the ids exists, also as a tombstone.
pub fn insert_many(connection: &mut Connection, resources: &[NewResource]) -> Result<(), StoreError> {
    let rows: Vec<_> = resources.iter().map(NewResource::row).collect();
    dialect::insert_resources(connection, &rows)?;
    let further: Vec<_> = resources.iter().flat_map(NewResource::further_values).collect();
    dialect::insert_search_values(connection, &further)
}

/// Makes `resource` the current version and keeps the former one as history. A tombstone comes back to life.
///
/// # Errors
/// `Conflict` when the current version is not `expected_version`, or there is none.
pub fn update(connection: &mut Connection, resource: &NewResource, expected_version: i64) -> Result<(), StoreError> {
    replace(connection, &resource.row(), expected_version)?;
    dialect::insert_search_values(connection, &resource.further_values())
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
    let tombstone = ResourceRow {
        resource_type,
        id,
        version,
        updated_us,
        deleted: true,
        body: "",
        family: None,
        given: None,
        birth_lo: None,
        birth_hi: None,
        identifier_system: None,
        identifier_value: None,
    };
    replace(connection, &tombstone, expected_version)?;
    Ok(version)
}

/// Current row to history, then the new row in its place, without further search values.
fn replace(connection: &mut Connection, row: &ResourceRow<'_>, expected_version: i64) -> Result<(), StoreError> {
    let current = resource::table
        .filter(resource::resource_type.eq(row.resource_type))
        .filter(resource::id.eq(row.id))
        .filter(resource::version.eq(expected_version));
    let copied = diesel::insert_into(resource_history::table)
        .values(current.select(columns()))
        .into_columns(history_columns())
        .execute(connection)?;
    let updated = diesel::update(current).set(row).execute(connection)?;
    if copied != 1 || updated != 1 {
        return Err(StoreError::version_changed());
    }
    let values = search_value::table
        .filter(search_value::resource_type.eq(row.resource_type))
        .filter(search_value::id.eq(row.id));
    diesel::delete(values).execute(connection)?;
    Ok(())
}

pub(super) type Columns =
    (resource::resource_type, resource::id, resource::version, resource::updated_us, resource::deleted, resource::body);
type HistoryColumns = (
    resource_history::resource_type,
    resource_history::id,
    resource_history::version,
    resource_history::updated_us,
    resource_history::deleted,
    resource_history::body,
);

const fn columns() -> Columns {
    (resource::resource_type, resource::id, resource::version, resource::updated_us, resource::deleted, resource::body)
}

const fn history_columns() -> HistoryColumns {
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
    resource::table.select(columns())
}

fn older() -> diesel::dsl::Select<resource_history::table, HistoryColumns> {
    resource_history::table.select(history_columns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_any_precision_is_a_range_of_days() {
        for (text, lo, hi) in [
            ("1980", 19800101, 19801231),
            ("1980-02", 19800201, 19800229),
            ("1981-02", 19810201, 19810228),
            ("1980-12-31", 19801231, 19801231),
        ] {
            let date = Date::parse(text).unwrap();
            assert_eq!(DayRange::of(date), DayRange { lo, hi }, "{text}");
        }
    }

    #[test]
    fn the_first_value_is_a_column_and_the_further_ones_are_rows_each_once() {
        let identifier = |system: Option<&str>, value: &str| Identifier {
            system: system.map(str::to_owned),
            value: value.to_owned(),
        };
        let resource = NewResource {
            resource_type: "Patient".to_owned(),
            id: "a".to_owned(),
            version: 1,
            updated_us: 0,
            body: "{}".to_owned(),
            search: SearchValues {
                families: vec!["miller".to_owned()],
                givens: vec!["ann".to_owned(), "mary".to_owned(), "mary".to_owned()],
                birth_date: None,
                identifiers: vec![identifier(Some("urn:a"), "1"), identifier(None, "2")],
            },
        };
        let row = resource.row();
        assert_eq!((row.family.as_deref(), row.given.as_deref()), (Some("miller"), Some("ann")));
        assert_eq!((row.identifier_system.as_deref(), row.identifier_value.as_deref()), (Some("urn:a"), Some("1")));
        let further = resource.further_values();
        let further: Vec<_> = further.iter().map(|row| (row.parameter, &*row.value, &*row.system)).collect();
        assert_eq!(further, [("given", "mary", ""), ("identifier", "2", "")]);
    }
}
