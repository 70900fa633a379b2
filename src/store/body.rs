//! Bodies of many versions within a limit in bytes: lengths are read first, and no more bodies than have room.
//!
//! A body that all rows of a page have room for comes along with its row, so that a page of ordinary resources takes one
//! statement; larger ones are read when it is known which of them are shown. So no page holds more than twice its
//! limit and one body, whatever is stored. Every function runs in the caller's snapshot. Not here: which versions a
//! page has.

use diesel::dsl::{auto_type, case_when};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::resource::Resource;
use super::schema::{octet_length, resource};
use super::search::Sql;

/// A current version or tombstone, perhaps without its body.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Head {
    pub number: i64,
    pub resource_type: String,
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
    pub deleted: bool,
    /// Length of the body.
    #[diesel(deserialize_as = i32)]
    pub bytes: i64,
    /// Where it came along.
    body: Option<String>,
}

impl Head {
    /// The version, with the body that belongs to it or none.
    fn with(self, body: String) -> Resource {
        let Self { number, resource_type, id, version, updated_us, deleted, .. } = self;
        Resource { number, resource_type, id, version, updated_us, deleted, body }
    }

    /// The version without its body.
    #[must_use]
    pub fn into_bare(self) -> Resource {
        self.with(String::new())
    }
}

/// One version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    pub version: i64,
}

/// How many of the first have room together.
#[must_use]
pub fn fitting(bytes: impl IntoIterator<Item = i64>, bytes_max: i64) -> usize {
    let mut taken: i64 = 0;
    let has_room = |bytes: &i64| {
        taken = taken.saturating_add(*bytes);
        taken <= bytes_max
    };
    bytes.into_iter().take_while(has_room).count()
}

/// The length of a body, and the body itself where all of `rows` have room for one like it.
pub(super) fn columns(alias: &str, bytes_max: i64, rows: usize) -> String {
    let (length, at_once) = (format!("octet_length({alias}.body)"), at_once(bytes_max, rows));
    format!("CAST({length} AS BIGINT) AS bytes, CASE WHEN {length} <= {at_once} THEN {alias}.body END AS body")
}

/// What all of `rows` have room for.
fn at_once(bytes_max: i64, rows: usize) -> i32 {
    let share = bytes_max / i64::try_from(rows.max(1)).unwrap_or(i64::MAX);
    i32::try_from(share).unwrap_or(i32::MAX)
}

/// The current versions of those that exist, tombstones too, in any order.
///
/// # Errors
/// Those of the database.
pub fn list_heads(
    connection: &mut Connection,
    resource_type: &str,
    ids: &[&str],
    bytes_max: i64,
) -> Result<Vec<Head>, StoreError> {
    dialect::current_heads(connection, resource_type, ids, at_once(bytes_max, ids.len()))
}

/// The current versions under these numbers, in their order.
///
/// # Errors
/// Those of the database.
pub fn list_numbered_heads(
    connection: &mut Connection,
    numbers: &[i64],
    bytes_max: i64,
) -> Result<Vec<Head>, StoreError> {
    let heads = heads(at_once(bytes_max, numbers.len()));
    Ok(heads.filter(resource::number.eq_any(numbers)).order(resource::number).load(connection)?)
}

/// Bodies of at most so many bytes come along.
#[auto_type(no_type_alias)]
pub(super) fn heads(bytes_max: i32) -> _ {
    let body_at_once = case_when(octet_length(resource::body).le(bytes_max), resource::body);
    resource::table.select((
        resource::number,
        resource::resource_type,
        resource::id,
        resource::version,
        resource::updated_us,
        resource::deleted,
        octet_length(resource::body),
        body_at_once,
    ))
}

/// The whole versions, in their order.
///
/// # Errors
/// As `complete`.
pub fn load(connection: &mut Connection, mut heads: Vec<Head>) -> Result<Vec<Resource>, StoreError> {
    let there = heads.iter_mut().map(|head| head.body.take()).collect();
    let named: Vec<Named<'_>> = heads
        .iter()
        .map(|Head { resource_type, id, version, .. }| Named { resource_type, id, version: *version })
        .collect();
    let bodies = complete(connection, &named, there)?;
    Ok(heads.into_iter().zip(bodies).map(|(head, body)| head.with(body)).collect())
}

/// The bodies of versions, current or older, in their order.
///
/// # Errors
/// As `complete`.
pub fn list(connection: &mut Connection, versions: &[Named<'_>]) -> Result<Vec<String>, StoreError> {
    complete(connection, versions, vec![None; versions.len()])
}

/// The bodies of versions, current or older, in their order; those that are `there` are not read again.
///
/// # Errors
/// `Corrupt` when a version is gone, which is never deleted.
pub(super) fn complete(
    connection: &mut Connection,
    versions: &[Named<'_>],
    mut there: Vec<Option<String>>,
) -> Result<Vec<String>, StoreError> {
    let lacking: Vec<usize> = (0..versions.len()).filter(|place| there[*place].is_none()).collect();
    for some in lacking.chunks(ROWS_MAX) {
        for Found { place, body } in statement(versions, some).into_query().load::<Found>(connection)? {
            if let Some(slot) = usize::try_from(place).ok().and_then(|place| there.get_mut(place)) {
                *slot = body;
            }
        }
    }
    let bodies: Option<Vec<String>> = there.into_iter().collect();
    bodies.ok_or_else(|| StoreError::Corrupt("a version is missing".to_owned()))
}

/// Rows that one statement asks for at most.
const ROWS_MAX: usize = 1_000;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Nullable<Text>)]
    body: Option<String>,
}

/// A left join begins with what is asked for.
fn statement(versions: &[Named<'_>], places: &[usize]) -> Sql {
    let mut sql = Sql::default();
    sql.push("WITH wanted(place, resource_type, id, version) AS (VALUES ");
    sql.each(places, ", ", |sql, place| {
        let Named { resource_type, id, version } = versions[*place];
        sql.push("(CAST(").number(i64::try_from(*place).unwrap_or(i64::MAX)).push(" AS BIGINT), ");
        sql.text(resource_type).push(", ").text(id).push(", ").number(version).push(")");
    });
    sql.push(
        ") SELECT w.place, coalesce(c.body, h.body) AS body FROM wanted AS w \
         LEFT JOIN resource AS c ON c.resource_type = w.resource_type AND c.id = w.id AND c.version = w.version \
         LEFT JOIN resource_history AS h \
         ON h.resource_type = w.resource_type AND h.id = w.id AND h.version = w.version",
    );
    sql
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn as_many_fit_as_have_room_together() {
        for (bytes, bytes_max, expected) in
            [(&[][..], 9, 0), (&[3, 3, 3], 9, 3), (&[3, 3, 4], 9, 2), (&[10, 1], 9, 0), (&[0, 0], 0, 2)]
        {
            assert_eq!(fitting(bytes.iter().copied(), bytes_max), expected, "{bytes:?}");
        }
        assert_eq!(fitting([i64::MAX, i64::MAX], i64::MAX - 1), 0);
    }
}
