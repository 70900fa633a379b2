//! Search of current resources by indexed values, one page at a time.
//!
//! Conditions are joined by AND, the alternatives within one by OR (FHIR R4 search, 3.1.1). A page continues after the
//! last id of the one before (keyset), so pages stay complete and without repetition while others write. One statement
//! gives the total and the page, so both are of one moment.
//! How: each condition is a set of ids read from its indexes; sets are intersected, and only the page's bodies are read.
//! Not here: parsing of search parameters, folding of names.

use std::borrow::Cow;
use std::fmt::Write as _;

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use super::connection::{Connection, MultiBackend};
use super::error::StoreError;
use super::resource::{DayRange, Resource};

pub(super) const FAMILY: &str = "family";
pub(super) const GIVEN: &str = "given";
pub(super) const IDENTIFIER: &str = "identifier";

/// Longer search texts are cut: an index entry has a limit on PostgreSQL.
const KEY_BYTES_MAX: usize = 400;

/// A search: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    pub resource_type: String,
    pub conditions: Vec<SearchCondition>,
    pub constraint: SearchConstraint,
    /// The page begins after this id; `None` for the first page.
    pub after_id: Option<String>,
    /// Rows of a page; 0 asks for the total alone.
    pub count: u32,
}

/// One search parameter; any of its alternatives must hold. Without alternatives nothing is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchCondition {
    Id(Vec<String>),
    Identifier(Vec<Token>),
    /// Beginnings of family names, folded.
    Family(Vec<String>),
    /// Beginnings of given names, folded.
    Given(Vec<String>),
    /// The birth date lies within the range: both ends of what it may mean.
    BirthDate(Vec<DayRange>),
}

/// A token to look for (FHIR R4 search, 3.1.1.4.10).
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

/// What policy adds to a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchConstraint {
    /// Nothing is withheld.
    None,
}

/// One page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// Ordered by id.
    pub rows: Vec<Resource>,
    /// How many resources the conditions hold for.
    pub total: i64,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// Finds one page.
///
/// # Errors
/// Those of the database.
pub fn search(connection: &mut Connection, query: &SearchQuery) -> Result<SearchPage, StoreError> {
    let SearchConstraint::None = query.constraint;
    let mut sql = Sql::default();
    sql.page(query);
    let found: Vec<Found> = sql.into_query().load(connection)?;
    let total = found.first().map_or(0, |row| row.total);
    let mut rows: Vec<Resource> = found.into_iter().filter_map(|row| row.into_resource(&query.resource_type)).collect();
    let count = usize::try_from(query.count).unwrap_or(usize::MAX);
    let more = rows.len() > count;
    rows.truncate(count);
    let next = rows.last().filter(|_| more).map(|last| last.id.clone());
    Ok(SearchPage { rows, total, next })
}

/// A row of the statement: the total, and a resource of the page if there is any.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    total: i64,
    #[diesel(sql_type = Nullable<Text>)]
    id: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    version: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    updated_us: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    body: Option<String>,
}

impl Found {
    fn into_resource(self, resource_type: &str) -> Option<Resource> {
        Some(Resource {
            resource_type: resource_type.to_owned(),
            id: self.id?,
            version: self.version?,
            updated_us: self.updated_us?,
            deleted: false,
            body: self.body?,
        })
    }
}

/// A value that takes the place of `$n`.
enum Bind {
    Text(String),
    Integer(i32),
    BigInt(i64),
}

/// A statement in the making. Both databases read `$1`, `$2`, … when each number is used once and in order.
#[derive(Default)]
struct Sql {
    text: String,
    binds: Vec<Bind>,
}

impl Sql {
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn bind(&mut self, bind: Bind) -> &mut Self {
        self.binds.push(bind);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "${}", self.binds.len());
        self
    }

    fn text(&mut self, value: &str) -> &mut Self {
        self.bind(Bind::Text(value.to_owned()))
    }

    fn page(&mut self, query: &SearchQuery) {
        let resource_type = &query.resource_type;
        if query.conditions.is_empty() {
            self.push("SELECT t.total, page.id, r.version, r.updated_us, r.body FROM (");
            self.total_of_type(resource_type);
            self.push(") AS t LEFT JOIN (SELECT id FROM resource WHERE resource_type = ").text(resource_type);
            self.push(" AND deleted = FALSE AND id > ");
        } else {
            self.push("WITH hit AS (");
            self.intersection(resource_type, &query.conditions);
            self.push(") SELECT t.total, page.id, r.version, r.updated_us, r.body");
            self.push(" FROM (SELECT count(*) AS total FROM hit) AS t LEFT JOIN (SELECT id FROM hit WHERE id > ");
        }
        // One more than asked for tells whether there is a next page.
        self.text(query.after_id.as_deref().unwrap_or_default()).push(" ORDER BY id LIMIT ");
        self.bind(Bind::BigInt(if query.count == 0 { 0 } else { i64::from(query.count) + 1 }));
        self.push(") AS page ON TRUE LEFT JOIN resource AS r ON r.resource_type = ").text(resource_type);
        self.push(" AND r.id = page.id ORDER BY page.id");
    }

    /// Counted in indexes alone: all rows less the tombstones.
    fn total_of_type(&mut self, resource_type: &str) {
        self.push("SELECT (SELECT count(*) FROM resource WHERE resource_type = ").text(resource_type);
        self.push(") - (SELECT count(*) FROM resource WHERE resource_type = ").text(resource_type);
        self.push(" AND deleted = TRUE) AS total");
    }

    fn intersection(&mut self, resource_type: &str, conditions: &[SearchCondition]) {
        for (number, condition) in conditions.iter().enumerate() {
            self.push(if number == 0 { "SELECT id FROM (" } else { " INTERSECT SELECT id FROM (" });
            self.condition(resource_type, condition);
            // Writing to a String cannot fail.
            let _ = write!(self.text, ") AS c{number}");
        }
    }

    /// The ids for which the condition holds. Tombstones have no search values, so only `_id` must leave them out.
    fn condition(&mut self, resource_type: &str, condition: &SearchCondition) {
        let start = self.text.len();
        match condition {
            SearchCondition::Id(ids) => ids.iter().for_each(|id| self.id(resource_type, id)),
            SearchCondition::Identifier(tokens) => tokens.iter().for_each(|token| self.token(resource_type, token)),
            SearchCondition::Family(names) => names.iter().for_each(|name| self.name(resource_type, FAMILY, name)),
            SearchCondition::Given(names) => names.iter().for_each(|name| self.name(resource_type, GIVEN, name)),
            SearchCondition::BirthDate(ranges) => {
                for range in ranges {
                    self.birth_date(resource_type, *range);
                }
            }
        }
        if self.text.len() == start {
            self.push("SELECT id FROM resource WHERE FALSE");
        }
    }

    /// Begins the next set of a union: the rows of `table` of this type.
    fn set(&mut self, table: &str, resource_type: &str) -> &mut Self {
        if !self.text.ends_with('(') {
            self.push(" UNION ");
        }
        self.push("SELECT id FROM ").push(table).push(" WHERE resource_type = ").text(resource_type)
    }

    fn id(&mut self, resource_type: &str, id: &str) {
        self.set("resource", resource_type).push(" AND deleted = FALSE AND id = ").text(id);
    }

    /// Bytes order as code points do, so what begins with `name` lies between it and it with the last code point.
    fn name(&mut self, resource_type: &str, parameter: &str, name: &str) {
        let lo = name_key(name);
        let hi = format!("{lo}\u{10FFFF}");
        self.set("resource", resource_type).push(" AND ").push(parameter).push(" >= ").text(&lo);
        self.push(" AND ").push(parameter).push(" < ").text(&hi);
        self.set("search_value", resource_type).push(" AND parameter = ").text(parameter);
        self.push(" AND value >= ").text(&lo).push(" AND value < ").text(&hi);
    }

    fn birth_date(&mut self, resource_type: &str, range: DayRange) {
        self.set("resource", resource_type).push(" AND birth_lo >= ").bind(Bind::Integer(range.lo));
        // The start of a range lies within it too: that bounds the part of the index that is read.
        self.push(" AND birth_lo <= ").bind(Bind::Integer(range.hi));
        self.push(" AND birth_hi <= ").bind(Bind::Integer(range.hi));
    }

    fn token(&mut self, resource_type: &str, token: &Token) {
        let (value, system) = match token {
            Token::Value(value) => (Some(value.as_str()), None),
            Token::SystemValue { system, value } => (Some(value.as_str()), Some(system.as_str())),
            Token::ValueWithoutSystem(value) => (Some(value.as_str()), Some("")),
            Token::System(system) => (None, Some(system.as_str())),
        };
        self.set("resource", resource_type).push(" AND identifier_value IS NOT NULL");
        self.equal("identifier_value", value).equal("identifier_system", system);
        self.set("search_value", resource_type).push(" AND parameter = ").text(IDENTIFIER);
        self.equal("value", value).equal("system", system);
    }

    fn equal(&mut self, column: &str, value: Option<&str>) -> &mut Self {
        let Some(value) = value else { return self };
        self.push(" AND ").push(column).push(" = ").text(&token_key(value))
    }

    fn into_query(self) -> BoxedSqlQuery<'static, MultiBackend, SqlQuery> {
        self.binds.into_iter().fold(diesel::sql_query(self.text).into_boxed(), |query, bind| match bind {
            Bind::Text(value) => query.bind::<Text, _>(value),
            Bind::Integer(value) => query.bind::<Integer, _>(value),
            Bind::BigInt(value) => query.bind::<BigInt, _>(value),
        })
    }
}

/// A name as it is indexed and looked for: its beginning, without the character that PostgreSQL cannot hold.
pub(super) fn name_key(text: &str) -> Cow<'_, str> {
    let text = without_nul(text);
    if text.len() <= KEY_BYTES_MAX {
        return text;
    }
    Cow::Owned(text[..text.floor_char_boundary(KEY_BYTES_MAX)].to_owned())
}

/// A token part as it is indexed and looked for. A long one keeps its beginning and a hash of the whole, so that two
/// of them are equal only when the whole is.
pub(super) fn token_key(text: &str) -> Cow<'_, str> {
    let text = without_nul(text);
    if text.len() <= KEY_BYTES_MAX {
        return text;
    }
    let start = &text[..text.floor_char_boundary(KEY_BYTES_MAX - 33)];
    Cow::Owned(format!("{start}#{:032x}", fnv1a(text.as_bytes())))
}

fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

/// The 128-bit FNV-1a hash: stable over versions and machines, which the standard library's is not.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_stay_as_they_are() {
        for text in ["", "smith", "http://hl7.org/fhir/sid/us-mbi", "müller"] {
            assert_eq!(name_key(text), text);
            assert_eq!(token_key(text), text);
        }
        assert_eq!(name_key("a\0b"), "ab");
        assert_eq!(token_key("a\0b"), "ab");
    }

    #[test]
    fn long_keys_are_bounded_and_long_tokens_stay_different() {
        let (one, other) = (format!("{}1", "é".repeat(900)), format!("{}2", "é".repeat(900)));
        assert!(token_key(&one).len() <= KEY_BYTES_MAX && name_key(&one).len() <= KEY_BYTES_MAX);
        assert_ne!(token_key(&one), token_key(&other));
        assert_eq!(name_key(&one), name_key(&other));
        assert!(one.starts_with(&*name_key(&one)));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn placeholders_are_numbered_in_order_and_each_has_its_value() {
        let query = SearchQuery {
            resource_type: "Patient".to_owned(),
            conditions: vec![
                SearchCondition::Identifier(vec![Token::System("urn:a".to_owned()), Token::Value("1".to_owned())]),
                SearchCondition::BirthDate(vec![DayRange { lo: 1, hi: 2 }]),
                SearchCondition::Id(Vec::new()),
            ],
            constraint: SearchConstraint::None,
            after_id: None,
            count: 10,
        };
        let mut sql = Sql::default();
        sql.page(&query);
        let numbers: Vec<usize> = sql
            .text
            .split('$')
            .skip(1)
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .collect();
        assert_eq!(numbers, (1..=sql.binds.len()).collect::<Vec<_>>());
    }
}
