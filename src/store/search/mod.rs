//! Search of current resources by indexed values, one page at a time.
//!
//! Conditions are joined by AND, the alternatives within one by OR (FHIR R4 Search, 3.1.1). A page continues after the
//! last row of the one before (keyset), so pages stay complete and without repetition while others write.
//! How: the condition that holds for fewest gives the numbers, the others are looked up for each of them; where all hold
//! for many, resources are walked in order until a page is full. Only the page's bodies are read, as many as have room.
//! Not here: parsing of search parameters, folding of names.

mod key;
mod plan;
mod predicate;
mod sql;
mod statement;
mod value_walk;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::body::{self, Named};
use super::connection::Connection;
use super::constraint::SearchConstraint;
use super::dialect;
use super::error::StoreError;
use super::resource::Resource;
use plan::Plan;
use value_walk::Part;

pub(super) use key::{name_key, token_key};
pub(super) use sql::Sql;

/// Keys of a sort at most; more would not fit the row that a page is read into.
pub const SORTS_MAX: usize = 3;

/// A search: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    pub resource_type: String,
    pub conditions: Vec<SearchCondition>,
    pub constraint: SearchConstraint,
    /// Up to three keys; what is equal in all of them, or without any, is ordered by number: as it was created.
    pub sort: Vec<Sort>,
    /// The page begins after this position; `None` for the first page.
    pub after: Option<Position>,
    /// Rows of a page; 0 asks for the total alone.
    pub count: u32,
    /// Bytes of the bodies of a page; it ends before the row that has no room, but never before its first one.
    pub bytes_max: i64,
    pub total: Total,
}

/// One search parameter; any of its alternatives must hold. Without alternatives nothing is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchCondition {
    Id(Vec<String>),
    LastUpdated(Vec<DateTest>),
    /// Folded, but for `Exact`.
    Strings {
        parameters: Vec<i16>,
        how: StringMatch,
        values: Vec<String>,
    },
    Tokens {
        parameters: Vec<i16>,
        values: Vec<Token>,
    },
    Dates {
        parameters: Vec<i16>,
        tests: Vec<DateTest>,
    },
    Missing {
        parameters: Vec<i16>,
        is_missing: bool,
    },
    /// No label restricts it.
    Unrestricted,
}

/// How a string is compared (FHIR R4 Search, string).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringMatch {
    StartsWith,
    Contains,
    /// With case and accents.
    Exact,
}

/// A token to look for (FHIR R4 Search, token), or a reference: the system is the type, the value the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// `value`: in any system, or without one.
    Value(String),
    /// `system|value`
    SystemValue { system: String, value: String },
    /// `|value`: without a system.
    ValueWithoutSystem(String),
    /// `system|`: any value of the system.
    System(String),
}

/// How a date is compared (FHIR R4 Search, Prefixes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatePrefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

/// A date to compare with: the first and the last microsecond that it may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTest {
    pub prefix: DatePrefix,
    pub lo_us: i64,
    pub hi_us: i64,
}

/// Whether the total is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    None,
    Accurate,
    /// Counted when it is not above this.
    UpTo(i64),
}

/// One key of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub by: SortKey,
    pub direction: Direction,
}

/// What is ordered by; of a repeating parameter its least value, or its greatest when descending. What has no value
/// comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Id,
    LastUpdated,
    String(i16),
    Token(i16),
    Date(i16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// The place of a row in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub keys: Vec<SortValue>,
    pub number: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortValue {
    Text(String),
    Number(i64),
}

/// One page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    pub rows: Vec<Resource>,
    /// How many resources the conditions hold for, if that was asked for.
    pub total: Option<i64>,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
}

/// Finds one page. Run it within a snapshot, so that total and page are of one moment.
///
/// # Errors
/// Those of the database.
pub fn search(connection: &mut Connection, query: &SearchQuery) -> Result<SearchPage, StoreError> {
    let narrowed = narrowed(connection, query)?;
    let query = &narrowed;
    let plan = Plan::choose(connection, query)?;
    let found = if query.count == 0 { Vec::new() } else { load(connection, query, &plan)? };
    let count = usize::try_from(query.count).unwrap_or(usize::MAX);
    let is_whole = query.after.is_none() && query.count > 0 && found.len() <= count;
    let total = total(connection, query, &plan, is_whole.then_some(found.len()))?;
    let shown = body::fitting(found.iter().map(Found::bytes), query.bytes_max).max(1).min(count);
    let has_more = query.count > 0 && found.len() > shown;
    let next = found.iter().take(shown).next_back().filter(|_| has_more).and_then(|last| last.position(&query.sort));
    let rows = load_bodies(connection, &query.resource_type, found.into_iter().take(shown).collect())?;
    Ok(SearchPage { rows, total, next })
}

/// The same search of what is there for the caller alone.
fn narrowed(connection: &mut Connection, query: &SearchQuery) -> Result<SearchQuery, StoreError> {
    let mut narrowed = query.clone();
    narrowed.conditions.extend(query.constraint.conditions(connection, &query.resource_type)?);
    Ok(narrowed)
}

/// The rows with their bodies, of which most came along.
fn load_bodies(
    connection: &mut Connection,
    resource_type: &str,
    mut found: Vec<Found>,
) -> Result<Vec<Resource>, StoreError> {
    let there = found.iter_mut().map(|row| row.body.take()).collect();
    let named =
        found.iter().filter_map(|row| Some(Named { resource_type, id: row.id.as_deref()?, version: row.version? }));
    let named: Vec<Named<'_>> = named.collect();
    let bodies = body::complete(connection, &named, there)?;
    Ok(found.into_iter().zip(bodies).filter_map(|(row, body)| row.into_resource(resource_type, body)).collect())
}

/// The rows of the page. Where an order by values walks through an index, what has no value comes in a second part.
fn load(connection: &mut Connection, query: &SearchQuery, plan: &Plan<'_>) -> Result<Vec<Found>, StoreError> {
    let mut run = |query: &SearchQuery, part| -> Result<Vec<Found>, StoreError> {
        Ok(statement::page(query, plan, part).into_query().load(connection)?)
    };
    if statement::value_key(query, plan).is_none() {
        return run(query, Part::WithValue);
    }
    let is_behind = |after: &Position| after.keys.first() == query.sort.first().map(|sort| sort.none()).as_ref();
    if query.after.as_ref().is_some_and(is_behind) {
        return run(query, Part::WithoutValue);
    }
    let mut found = run(query, Part::WithValue)?;
    // One more than asked for tells whether there is a next page.
    let lacking = (query.count + 1).saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
    if lacking > 0 {
        let rest = SearchQuery { after: None, count: lacking - 1, ..query.clone() };
        found.append(&mut run(&rest, Part::WithoutValue)?);
    }
    Ok(found)
}

/// The total as it was asked for; `known` when the first page holds everything.
fn total(
    connection: &mut Connection,
    query: &SearchQuery,
    plan: &Plan<'_>,
    known: Option<usize>,
) -> Result<Option<i64>, StoreError> {
    let rows_max = match query.total {
        Total::None => return Ok(None),
        Total::Accurate => None,
        Total::UpTo(rows_max) => Some(rows_max),
    };
    let total = match known {
        Some(known) => i64::try_from(known).unwrap_or(i64::MAX),
        None => count(connection, query, plan, rows_max.map(|rows_max| rows_max.saturating_add(1)))?,
    };
    Ok(Some(total).filter(|total| rows_max.is_none_or(|rows_max| *total <= rows_max)))
}

fn count(
    connection: &mut Connection,
    query: &SearchQuery,
    plan: &Plan<'_>,
    rows_max: Option<i64>,
) -> Result<i64, StoreError> {
    let counted: Counted = statement::count(query, plan, rows_max).into_query().get_result(connection)?;
    Ok(counted.total)
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    total: i64,
}

/// How the database goes about the page of a search, a line for each step: for tests of the indexes, and whoever tunes.
///
/// # Errors
/// Those of the database.
pub fn explain_search(connection: &mut Connection, query: &SearchQuery) -> Result<Vec<String>, StoreError> {
    let query = narrowed(connection, query)?;
    let plan = Plan::choose(connection, &query)?;
    dialect::explain(connection, statement::page(&query, &plan, Part::WithValue))
}

/// A row of the page.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    id: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    version: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    updated_us: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    bytes: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    body: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    text0: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    text1: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    text2: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    number0: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    number1: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    number2: Option<i64>,
}

impl Found {
    fn position(&self, sort: &[Sort]) -> Option<Position> {
        let texts = [&self.text0, &self.text1, &self.text2];
        let numbers = [self.number0, self.number1, self.number2];
        let key = |(place, sort): (usize, &Sort)| match sort.by.is_text() {
            true => texts[place].clone().map(SortValue::Text),
            false => numbers[place].map(SortValue::Number),
        };
        let keys: Option<Vec<SortValue>> = sort.iter().take(SORTS_MAX).enumerate().map(key).collect();
        Some(Position { keys: keys?, number: self.number? })
    }

    fn bytes(&self) -> i64 {
        self.bytes.unwrap_or(0)
    }

    fn into_resource(self, resource_type: &str, body: String) -> Option<Resource> {
        Some(Resource {
            number: self.number?,
            resource_type: resource_type.to_owned(),
            id: self.id?,
            version: self.version?,
            updated_us: self.updated_us?,
            deleted: false,
            body,
        })
    }
}

impl SortKey {
    const fn is_text(self) -> bool {
        matches!(self, Self::Id | Self::String(_) | Self::Token(_))
    }
}
