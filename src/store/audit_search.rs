//! Search of audit rows, in the order of time, one page at a time.
//!
//! Rows only come, so a page that goes on behind the last row of the one before repeats and hides nothing. Not here:
//! what a row looks like as an AuditEvent (see `app::audit_event`).

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::audit::AuditRow;
use super::body::fitting;
use super::connection::{Connection, MultiBackend};
use super::error::StoreError;
use super::resource::{DatePrefix, DateTest, Direction, Total};
use super::schema::{audit, octet_length};

/// A search: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    pub conditions: Vec<AuditCondition>,
    pub direction: Direction,
    /// Time and sequence number of the last row of the page before.
    pub after: Option<(i64, i64)>,
    pub count: u32,
    /// Bytes of the details of a page; it ends before the row that has no room, but never before its first one.
    pub bytes_max: i64,
    pub total: Total,
}

/// One condition; any of its alternatives must hold. Without alternatives nothing is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditCondition {
    Seq(Vec<i64>),
    At(Vec<DateTest>),
    /// Stored codes.
    Action(Vec<String>),
    NotAction(Vec<String>),
    /// Stored codes.
    Outcome(Vec<String>),
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    pub rows: Vec<AuditRow>,
    pub total: Option<i64>,
    /// Whether there are further pages.
    pub has_more: bool,
}

type Condition = Box<dyn BoxableExpression<audit::table, MultiBackend, SqlType = Bool>>;

/// Finds one page; run it within a snapshot, so that total and page are of one moment.
///
/// # Errors
/// Those of the database.
pub fn search(connection: &mut Connection, query: &AuditQuery) -> Result<AuditPage, StoreError> {
    let total = count(connection, query)?;
    if query.count == 0 {
        return Ok(AuditPage { rows: Vec::new(), total, has_more: false });
    }
    let mut page = audit::table.select((audit::seq, octet_length(audit::detail))).into_boxed::<MultiBackend>();
    for condition in &query.conditions {
        page = page.filter(expression(condition));
    }
    if let Some((at_us, seq)) = query.after {
        page = page.filter(behind(query.direction, at_us, seq));
    }
    let page = match query.direction {
        Direction::Ascending => page.order((audit::at_us.asc(), audit::seq.asc())),
        Direction::Descending => page.order((audit::at_us.desc(), audit::seq.desc())),
    };
    // One more than asked for tells whether there is a next page.
    let lengths: Vec<(i64, i32)> = page.limit(i64::from(query.count) + 1).load(connection)?;
    let shown = fitting(lengths.iter().map(|(_, bytes)| i64::from(*bytes)), query.bytes_max).max(1);
    let shown: Vec<i64> = lengths.iter().take(shown.min(query.count as usize)).map(|(seq, _)| *seq).collect();
    let has_more = lengths.len() > shown.len();
    let mut rows: Vec<AuditRow> =
        audit::table.select(AuditRow::as_select()).filter(audit::seq.eq_any(&shown)).load(connection)?;
    rows.sort_unstable_by_key(|row| shown.iter().position(|seq| *seq == row.seq));
    Ok(AuditPage { rows, total, has_more })
}

fn count(connection: &mut Connection, query: &AuditQuery) -> Result<Option<i64>, StoreError> {
    let rows_max = match query.total {
        Total::None => return Ok(None),
        Total::Accurate => None,
        Total::UpTo(rows_max) => Some(rows_max),
    };
    let Some(rows_max) = rows_max else {
        let mut all = audit::table.count().into_boxed::<MultiBackend>();
        for condition in &query.conditions {
            all = all.filter(expression(condition));
        }
        return Ok(Some(all.get_result(connection)?));
    };
    let mut some = audit::table.select(audit::seq).into_boxed::<MultiBackend>();
    for condition in &query.conditions {
        some = some.filter(expression(condition));
    }
    let found = some.limit(rows_max + 1).load::<i64>(connection)?.len() as i64;
    Ok((found <= rows_max).then_some(found))
}

fn expression(condition: &AuditCondition) -> Condition {
    match condition {
        AuditCondition::Seq(numbers) => Box::new(audit::seq.eq_any(numbers.clone())),
        AuditCondition::Action(codes) => Box::new(audit::action.eq_any(codes.clone())),
        AuditCondition::NotAction(codes) => Box::new(audit::action.ne_all(codes.clone())),
        AuditCondition::Outcome(codes) => Box::new(audit::outcome.eq_any(codes.clone())),
        AuditCondition::At(tests) => {
            let none: Condition = Box::new(audit::seq.is_null());
            tests.iter().fold(none, |any, test| Box::new(any.or(at(*test))))
        }
    }
}

/// FHIR R4 Search, Prefixes: the time of a row is a point.
fn at(DateTest { prefix, lo_us, hi_us }: DateTest) -> Condition {
    match prefix {
        DatePrefix::Eq | DatePrefix::Ap => Box::new(audit::at_us.between(lo_us, hi_us)),
        DatePrefix::Ne => Box::new(audit::at_us.lt(lo_us).or(audit::at_us.gt(hi_us))),
        DatePrefix::Gt | DatePrefix::Sa => Box::new(audit::at_us.gt(hi_us)),
        DatePrefix::Lt | DatePrefix::Eb => Box::new(audit::at_us.lt(lo_us)),
        DatePrefix::Ge => Box::new(audit::at_us.ge(lo_us)),
        DatePrefix::Le => Box::new(audit::at_us.le(hi_us)),
    }
}

/// The first comparison lets the index begin at the place.
fn behind(direction: Direction, at_us: i64, seq: i64) -> Condition {
    match direction {
        Direction::Ascending => Box::new(audit::at_us.ge(at_us).and(audit::at_us.gt(at_us).or(audit::seq.gt(seq)))),
        Direction::Descending => Box::new(audit::at_us.le(at_us).and(audit::at_us.lt(at_us).or(audit::seq.lt(seq)))),
    }
}
