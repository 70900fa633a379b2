//! What was current at an earlier moment, in the order in which the resources were created.
//!
//! A version is never changed once it is written, so a moment can be read back at any later time, a piece at a time:
//! the current row where it is old enough, else the newest older version of that moment. Every function runs in the
//! caller's snapshot. Not here: which moment, and what is made of the rows.

use std::collections::HashSet;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::body::{self, Named};
use super::connection::Connection;
use super::constraint::{Labels, Persons, SearchConstraint, list_restricted};
use super::error::StoreError;
use super::schema::{resource, resource_history};

/// A stretch of the resources of one type, as they were at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub resource_type: String,
    /// Begins behind this resource number.
    pub after_number: i64,
    /// Ends with this one.
    pub last_number: i64,
    /// The moment, in microseconds since 1970; what was written in it belongs to it.
    pub at_us: i64,
    pub constraint: SearchConstraint,
}

/// A version that was current at the moment, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub number: i64,
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
    pub deleted: bool,
    /// Length of the body.
    pub bytes: i64,
}

/// As far as one look goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// In the order of their numbers; tombstones too.
    pub standing: Vec<Standing>,
    /// The number up to which this is all there was; the stretch's last one at its end.
    pub reached: i64,
}

#[derive(Queryable)]
struct Row {
    number: i64,
    id: String,
    version: i64,
    updated_us: i64,
    deleted: bool,
    bytes: i64,
}

/// Looks at the beginning of a stretch: about `rows_max` resources, twice as many at most.
///
/// # Errors
/// Those of the database.
pub fn look(connection: &mut Connection, stretch: &Stretch, rows_max: u32) -> Result<Look, StoreError> {
    // A person's own records are read and searched, and never exported.
    if stretch.constraint.persons != Persons::Everybody {
        return Ok(Look { standing: Vec::new(), reached: stretch.last_number });
    }
    let live = list_rows(connection, stretch, LIVE, rows_max)?;
    let tombstones = list_rows(connection, stretch, TOMBSTONE, rows_max)?;
    let end = |rows: &[Row]| match rows.last() {
        Some(last) if rows.len() as u64 >= u64::from(rows_max) => last.number,
        _ => stretch.last_number,
    };
    let reached = end(&live).min(end(&tombstones));
    let mut rows: Vec<Row> = live.into_iter().chain(tombstones).filter(|row| row.number <= reached).collect();
    rows.sort_unstable_by_key(|row| row.number);
    let hidden = Hidden::among(connection, stretch, &rows)?;
    let mut standing = Vec::with_capacity(rows.len());
    for row in rows.into_iter().filter(|row| !hidden.holds(row)) {
        let row = if row.updated_us <= stretch.at_us { Some(row) } else { find_older(connection, stretch, row)? };
        standing.extend(row.filter(|row| !hidden.holds(row)).map(|row| Standing {
            number: row.number,
            id: row.id,
            version: row.version,
            updated_us: row.updated_us,
            deleted: row.deleted,
            bytes: row.bytes,
        }));
    }
    Ok(Look { standing, reached })
}

/// The versions of some resources that are restricted.
struct Hidden(HashSet<(String, i64)>);

impl Hidden {
    fn among(connection: &mut Connection, stretch: &Stretch, rows: &[Row]) -> Result<Self, StoreError> {
        if stretch.constraint.labels == Labels::All {
            return Ok(Self(HashSet::new()));
        }
        let mut hidden = HashSet::new();
        for rows in rows.chunks(IDS_MAX) {
            let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
            hidden.extend(list_restricted(connection, &stretch.resource_type, &ids)?);
        }
        Ok(Self(hidden))
    }

    fn holds(&self, row: &Row) -> bool {
        // What was deleted counts as what it was before.
        !self.0.is_empty() && self.0.contains(&(row.id.clone(), row.version - i64::from(row.deleted)))
    }
}

/// Ids that one statement asks for at most.
const IDS_MAX: usize = 1_000;

/// Both are written out, for the partial indexes to be seen to fit.
const LIVE: &str = "deleted = FALSE";
const TOMBSTONE: &str = "deleted = TRUE";
const BYTES: &str = "CAST(octet_length(body) AS BIGINT)";

fn list_rows(
    connection: &mut Connection,
    stretch: &Stretch,
    which: &str,
    rows_max: u32,
) -> Result<Vec<Row>, StoreError> {
    use resource::{deleted, id, number, resource_type, table, updated_us, version};
    Ok(table
        .select((number, id, version, updated_us, deleted, sql::<BigInt>(BYTES)))
        .filter(resource_type.eq(&stretch.resource_type))
        .filter(number.gt(stretch.after_number))
        .filter(number.le(stretch.last_number))
        .filter(sql::<Bool>(which))
        .order(number)
        .limit(i64::from(rows_max))
        .load(connection)?)
}

/// What stood before a version that is newer than the moment; nothing if the resource was made later.
fn find_older(connection: &mut Connection, stretch: &Stretch, newer: Row) -> Result<Option<Row>, StoreError> {
    use resource_history as older;
    if newer.version == 1 {
        return Ok(None);
    }
    let found: Option<(i64, i64, bool, i64)> = older::table
        .select((older::version, older::updated_us, older::deleted, sql::<BigInt>(BYTES)))
        .filter(older::resource_type.eq(&stretch.resource_type))
        .filter(older::id.eq(&newer.id))
        .filter(older::updated_us.le(stretch.at_us))
        .order(older::version.desc())
        .first(connection)
        .optional()?;
    Ok(found.map(|(version, updated_us, deleted, bytes)| Row { version, updated_us, deleted, bytes, ..newer }))
}

/// The bodies of versions that [`look`] found, in their order.
///
/// # Errors
/// `Corrupt` when a version is gone, which is never deleted.
pub fn list_bodies(
    connection: &mut Connection,
    resource_type: &str,
    standing: &[&Standing],
) -> Result<Vec<String>, StoreError> {
    let named = standing.iter().map(|Standing { id, version, .. }| Named { resource_type, id, version: *version });
    body::list(connection, &named.collect::<Vec<_>>())
}
