//! PostgreSQL: one statement per batch, its columns as arrays (`UNNEST`).
//!
//! The text of a statement is the same for every size of a batch, and no batch meets the limit of parameters.
//! Not here: transactions.

use std::collections::HashSet;
use std::hash::Hash;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::matching::stored_blocks::KeyRange;
use crate::store::audit::NewAuditRow;
use crate::store::audit_subject::SubjectRow;
use crate::store::block_key::{Numbered, RecordKeys, written_keys};
use crate::store::body::{Head, heads};
use crate::store::identity::IdentityRow;
use crate::store::load_progress::LoadProgress;
use crate::store::record::RecordRow;
use crate::store::resource::{ExpectedVersion, NewVersion, ResourceRow, SearchRows};
use crate::store::review::ReviewRow;
use crate::store::schema::{block_record, load_progress, record, resource, secret};
use crate::store::search::Sql;
use crate::store::steward::ConstraintRow;

use super::prepared::{Bind, Prepared};

/// One column of the rows.
pub(super) fn column<'a, R, T>(rows: impl IntoIterator<Item = &'a R>, value: impl FnMut(&'a R) -> T) -> Vec<T>
where
    R: 'a,
{
    rows.into_iter().map(value).collect()
}

/// The last row of each key: one statement cannot write a row twice.
fn last_of_each<'a, R, K: Hash + Eq>(rows: &'a [R], key: impl Fn(&'a R) -> K) -> Vec<&'a R> {
    let mut seen = HashSet::with_capacity(rows.len());
    rows.iter().rev().filter(|row| seen.insert(key(row))).collect()
}

pub(super) fn insert_resources(connection: &mut PgConnection, rows: &[ResourceRow<'_>]) -> QueryResult<()> {
    Prepared::new(
        "INSERT INTO resource (number, resource_type, id, version, updated_us, deleted, search_version, body) \
         SELECT * FROM UNNEST(?, ?, ?, ?, ?, ?, ?, ?)",
        vec![
            Bind::BigInts(column(rows, |row| row.number)),
            Bind::Texts(column(rows, |row| row.resource_type)),
            Bind::Texts(column(rows, |row| row.id)),
            Bind::BigInts(column(rows, |row| row.version)),
            Bind::BigInts(column(rows, |row| row.updated_us)),
            Bind::Bools(column(rows, |row| row.deleted)),
            Bind::Integers(column(rows, |row| row.search_version)),
            Bind::Texts(column(rows, |row| row.body)),
        ],
    )
    .execute(connection)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

pub(super) fn next_resource_numbers(connection: &mut PgConnection, count: usize) -> QueryResult<Vec<i64>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let rows: Vec<Number> = Prepared::new(
        "SELECT nextval('resource_number') AS number FROM generate_series(1, ?)",
        vec![Bind::BigInt(count)],
    )
    .load(connection)?;
    Ok(rows.into_iter().map(|row| row.number).collect())
}

/// One statement: a round trip costs more than its rows. What is inserted is read before the update is seen.
pub(super) fn replace_resource(
    connection: &mut PgConnection,
    expected: &ExpectedVersion<'_>,
    version: &NewVersion<'_>,
) -> QueryResult<Option<i64>> {
    let replaced: Option<Number> = Prepared::new(
        "WITH current AS (SELECT * FROM resource WHERE resource_type = ? AND id = ? AND version = ?), \
         older AS (INSERT INTO resource_history (resource_type, id, version, updated_us, deleted, body) \
         SELECT resource_type, id, version, updated_us, deleted, body FROM current) \
         UPDATE resource SET version = ?, updated_us = ?, deleted = ?, search_version = ?, body = ? \
         FROM current WHERE resource.number = current.number RETURNING resource.number AS number",
        vec![
            Bind::Text(expected.resource_type),
            Bind::Text(expected.id),
            Bind::BigInt(expected.version),
            Bind::BigInt(version.version),
            Bind::BigInt(version.updated_us),
            Bind::Bool(version.deleted),
            Bind::Integer(version.search_version),
            Bind::Text(version.body),
        ],
    )
    .get_result(connection)
    .optional()?;
    Ok(replaced.map(|row| row.number))
}

/// Makes `rows` those of `number`: what stays the same is not written again.
pub(super) fn put_search_rows(connection: &mut PgConnection, number: i64, rows: &SearchRows) -> QueryResult<()> {
    let SearchRows { strings, tokens, dates } = rows;
    Prepared::new(
        "WITH strings (parameter, value, exact) AS MATERIALIZED (SELECT * FROM UNNEST(?, ?, ?)), \
         gone_strings AS (DELETE FROM search_string AS old WHERE number = ? AND NOT EXISTS (SELECT FROM strings \
         WHERE strings.parameter = old.parameter AND strings.value = old.value AND strings.exact = old.exact)), \
         tokens (parameter, value, system) AS MATERIALIZED (SELECT * FROM UNNEST(?, ?, ?)), \
         gone_tokens AS (DELETE FROM search_token AS old WHERE number = ? AND NOT EXISTS (SELECT FROM tokens \
         WHERE tokens.parameter = old.parameter AND tokens.value = old.value AND tokens.system = old.system)), \
         dates (parameter, lo_us, hi_us) AS MATERIALIZED (SELECT * FROM UNNEST(?, ?, ?)), \
         gone_dates AS (DELETE FROM search_date AS old WHERE number = ? AND NOT EXISTS (SELECT FROM dates \
         WHERE dates.parameter = old.parameter AND dates.lo_us = old.lo_us AND dates.hi_us = old.hi_us)), \
         new_strings AS (INSERT INTO search_string (parameter, value, exact, number) SELECT parameter, value, exact, ? FROM strings ON CONFLICT DO NOTHING), \
         new_tokens AS (INSERT INTO search_token (parameter, value, system, number) SELECT parameter, value, system, ? FROM tokens ON CONFLICT DO NOTHING) \
         INSERT INTO search_date (parameter, lo_us, hi_us, number) SELECT parameter, lo_us, hi_us, ? FROM dates ON CONFLICT DO NOTHING",
        vec![
            Bind::SmallInts(column(strings, |row| row.parameter)),
            Bind::Texts(column(strings, |row| row.value.as_str())),
            Bind::Texts(column(strings, |row| row.exact.as_str())),
            Bind::BigInt(number),
            Bind::SmallInts(column(tokens, |row| row.parameter)),
            Bind::Texts(column(tokens, |row| row.value.as_str())),
            Bind::Texts(column(tokens, |row| row.system.as_str())),
            Bind::BigInt(number),
            Bind::SmallInts(column(dates, |row| row.parameter)),
            Bind::BigInts(column(dates, |row| row.lo_us)),
            Bind::BigInts(column(dates, |row| row.hi_us)),
            Bind::BigInt(number),
            Bind::BigInt(number),
            Bind::BigInt(number),
            Bind::BigInt(number),
        ],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_search_rows(connection: &mut PgConnection, rows: &SearchRows) -> QueryResult<()> {
    let SearchRows { strings, tokens, dates } = rows;
    Prepared::new(
        "WITH strings AS (INSERT INTO search_string (parameter, value, number, exact) \
         SELECT * FROM UNNEST(?, ?, ?, ?)), \
         tokens AS (INSERT INTO search_token (parameter, value, system, number) SELECT * FROM UNNEST(?, ?, ?, ?)) \
         INSERT INTO search_date (parameter, lo_us, hi_us, number) SELECT * FROM UNNEST(?, ?, ?, ?)",
        vec![
            Bind::SmallInts(column(strings, |row| row.parameter)),
            Bind::Texts(column(strings, |row| row.value.as_str())),
            Bind::BigInts(column(strings, |row| row.number)),
            Bind::Texts(column(strings, |row| row.exact.as_str())),
            Bind::SmallInts(column(tokens, |row| row.parameter)),
            Bind::Texts(column(tokens, |row| row.value.as_str())),
            Bind::Texts(column(tokens, |row| row.system.as_str())),
            Bind::BigInts(column(tokens, |row| row.number)),
            Bind::SmallInts(column(dates, |row| row.parameter)),
            Bind::BigInts(column(dates, |row| row.lo_us)),
            Bind::BigInts(column(dates, |row| row.hi_us)),
            Bind::BigInts(column(dates, |row| row.number)),
        ],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_identities(connection: &mut PgConnection, rows: &[IdentityRow]) -> QueryResult<()> {
    Prepared::new(
        "INSERT INTO identity (id, created_us) SELECT * FROM UNNEST(?, ?)",
        vec![Bind::Texts(column(rows, |row| row.id.as_str())), Bind::BigInts(column(rows, |row| row.created_us))],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn upsert_records(connection: &mut PgConnection, rows: &[RecordRow]) -> QueryResult<()> {
    let rows = last_of_each(rows, |row| row.id.as_str());
    let rows = || rows.iter().copied();
    Prepared::new(
        "INSERT INTO record (id, version, normaliser, features, identity_id, model_version, probability, assigned_us, \
         verification_level, verified_on, replaced_by, decision_id) \
         SELECT * FROM UNNEST(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, normaliser = excluded.normaliser, \
         features = excluded.features, identity_id = excluded.identity_id, model_version = excluded.model_version, \
         probability = excluded.probability, assigned_us = excluded.assigned_us, \
         verification_level = excluded.verification_level, verified_on = excluded.verified_on, \
         replaced_by = excluded.replaced_by, decision_id = excluded.decision_id",
        vec![
            Bind::Texts(column(rows(), |row| row.id.as_str())),
            Bind::BigInts(column(rows(), |row| row.version)),
            Bind::Integers(column(rows(), |row| row.normaliser)),
            Bind::Binaries(column(rows(), |row| row.features.as_slice())),
            Bind::Texts(column(rows(), |row| row.identity_id.as_str())),
            Bind::Texts(column(rows(), |row| row.model_version.as_str())),
            Bind::MaybeDoubles(column(rows(), |row| row.probability)),
            Bind::BigInts(column(rows(), |row| row.assigned_us)),
            Bind::MaybeTexts(column(rows(), |row| row.verification_level.as_deref())),
            Bind::MaybeTexts(column(rows(), |row| row.verified_on.as_deref())),
            Bind::MaybeTexts(column(rows(), |row| row.replaced_by.as_deref())),
            Bind::MaybeTexts(column(rows(), |row| row.decision_id.as_deref())),
        ],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn upsert_reviews(connection: &mut PgConnection, rows: &[ReviewRow]) -> QueryResult<()> {
    let rows = last_of_each(rows, |row| (row.record_id.as_str(), row.identity_id.as_str()));
    let rows = || rows.iter().copied();
    Prepared::new(
        "INSERT INTO review (record_id, identity_id, probability, created_us, model_version, state, reason) \
         SELECT * FROM UNNEST(?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (record_id, identity_id) DO UPDATE SET probability = excluded.probability, \
         created_us = excluded.created_us, model_version = excluded.model_version, state = excluded.state, \
         reason = excluded.reason",
        vec![
            Bind::Texts(column(rows(), |row| row.record_id.as_str())),
            Bind::Texts(column(rows(), |row| row.identity_id.as_str())),
            Bind::Doubles(column(rows(), |row| row.probability)),
            Bind::BigInts(column(rows(), |row| row.created_us)),
            Bind::Texts(column(rows(), |row| row.model_version.as_str())),
            Bind::Texts(column(rows(), |row| row.state.as_str())),
            Bind::MaybeTexts(column(rows(), |row| row.reason.as_deref())),
        ],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_constraints(connection: &mut PgConnection, rows: &[ConstraintRow]) -> QueryResult<()> {
    Prepared::new(
        "INSERT INTO record_constraint (record_a, record_b, kind, decision_id, created_us) \
         SELECT * FROM UNNEST(?, ?, ?, ?, ?)",
        vec![
            Bind::Texts(column(rows, |row| row.record_a.as_str())),
            Bind::Texts(column(rows, |row| row.record_b.as_str())),
            Bind::Texts(column(rows, |row| row.kind.as_str())),
            Bind::Texts(column(rows, |row| row.decision_id.as_str())),
            Bind::BigInts(column(rows, |row| row.created_us)),
        ],
    )
    .execute(connection)?;
    Ok(())
}

/// Gives the last `seq`; read and written in one round trip.
pub(super) fn append_changes(connection: &mut PgConnection, ids: &[&str]) -> QueryResult<i64> {
    let before: Number = Prepared::new(
        "WITH last AS (SELECT COALESCE(MAX(seq), 0) AS seq FROM change), \
         added AS (INSERT INTO change (seq, record_id) SELECT last.seq + entry.ordinality, entry.id \
         FROM last, UNNEST(?) WITH ORDINALITY AS entry (id, ordinality)) SELECT seq AS number FROM last",
        vec![Bind::Texts(ids.to_vec())],
    )
    .get_result(connection)?;
    Ok(before.number + i64::try_from(ids.len()).unwrap_or(i64::MAX))
}

/// When what was written last of these types was written; 0 when nothing was.
pub(super) fn last_updated_us(connection: &mut PgConnection, resource_types: &[&str]) -> QueryResult<i64> {
    let latest: Number = Prepared::new(
        "SELECT COALESCE(MAX(latest.at_us), 0) AS number FROM UNNEST(?) AS kind (name), \
         LATERAL (SELECT MAX(updated_us) AS at_us FROM resource WHERE resource_type = kind.name) AS latest",
        vec![Bind::Texts(resource_types.to_vec())],
    )
    .get_result(connection)?;
    Ok(latest.number)
}

/// An advisory lock, held until the transaction ends.
pub(super) fn lock(connection: &mut PgConnection, space: i32, number: i32) -> QueryResult<()> {
    let binds = vec![Bind::Integer(space), Bind::Integer(number)];
    Prepared::new("SELECT pg_advisory_xact_lock(?, ?)", binds).execute(connection)?;
    Ok(())
}

/// The same, without waiting: whether it was free.
pub(super) fn try_lock(connection: &mut PgConnection, space: i32, number: i32) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Got {
        #[diesel(sql_type = Bool)]
        got: bool,
    }
    let binds = vec![Bind::Integer(space), Bind::Integer(number)];
    let found: Got = Prepared::new("SELECT pg_try_advisory_xact_lock(?, ?) AS got", binds).get_result(connection)?;
    Ok(found.got)
}

pub(super) fn insert_audit_subjects(connection: &mut PgConnection, rows: &[SubjectRow]) -> QueryResult<()> {
    Prepared::new(
        "INSERT INTO audit_subject (subject, seq) SELECT * FROM UNNEST(?, ?) ON CONFLICT DO NOTHING",
        vec![Bind::Texts(column(rows, |row| row.subject.as_str())), Bind::BigInts(column(rows, |row| row.seq))],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_audit_rows(connection: &mut PgConnection, rows: &[NewAuditRow<'_>]) -> QueryResult<()> {
    Prepared::new(
        "INSERT INTO audit (at_us, request_id, action, outcome, caller, resource_type, detail) \
         SELECT * FROM UNNEST(?, ?, ?, ?, ?, ?, ?)",
        vec![
            Bind::BigInts(column(rows, |row| row.at_us)),
            Bind::Texts(column(rows, |row| row.request_id)),
            Bind::Texts(column(rows, |row| row.action)),
            Bind::Texts(column(rows, |row| row.outcome)),
            Bind::Texts(column(rows, |row| row.caller)),
            Bind::MaybeTexts(column(rows, |row| row.resource_type)),
            Bind::Texts(column(rows, |row| row.detail.as_str())),
        ],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn upsert_load_progress(connection: &mut PgConnection, row: &LoadProgress) -> QueryResult<()> {
    diesel::insert_into(load_progress::table)
        .values(row)
        .on_conflict(load_progress::key)
        .do_update()
        .set(row)
        .execute(connection)?;
    Ok(())
}

pub(super) fn records_of_identities(connection: &mut PgConnection, ids: &[&str]) -> QueryResult<Vec<RecordRow>> {
    record::table.filter(record::identity_id.eq_any(ids)).select(RecordRow::as_select()).load(connection)
}

pub(super) fn current_heads(
    connection: &mut PgConnection,
    kind: &str,
    ids: &[&str],
    bytes_max: i32,
) -> QueryResult<Vec<Head>> {
    heads(bytes_max).filter(resource::resource_type.eq(kind)).filter(resource::id.eq_any(ids)).load(connection)
}

pub(super) fn insert_secret(connection: &mut PgConnection, name: &str, value: &[u8], now_us: i64) -> QueryResult<()> {
    diesel::insert_into(secret::table)
        .values((secret::name.eq(name), secret::value.eq(value), secret::created_us.eq(now_us)))
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(())
}

/// At once, however many there are: deleting them row by row outlasts the limit of a statement.
pub(super) fn clear_block_keys(connection: &mut PgConnection) -> QueryResult<()> {
    Prepared::new("TRUNCATE block_key, block_record", Vec::new()).execute(connection)?;
    Ok(())
}

pub(super) fn insert_block_keys(connection: &mut PgConnection, rows: &[(i64, i64)]) -> QueryResult<()> {
    let binds = vec![Bind::BigInts(column(rows, |row| row.0)), Bind::BigInts(column(rows, |row| row.1))];
    Prepared::new("INSERT INTO block_key (key, number) SELECT * FROM UNNEST(?, ?)", binds).execute(connection)?;
    Ok(())
}

pub(super) fn delete_block_keys(connection: &mut PgConnection, rows: &[(i64, i64)]) -> QueryResult<()> {
    Prepared::new(
        "DELETE FROM block_key USING UNNEST(?, ?) AS old (key, number) \
         WHERE block_key.key = old.key AND block_key.number = old.number",
        vec![Bind::BigInts(column(rows, |row| row.0)), Bind::BigInts(column(rows, |row| row.1))],
    )
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_block_records(connection: &mut PgConnection, rows: &[&RecordKeys]) -> QueryResult<()> {
    let keys: Vec<Vec<u8>> = column(rows, |row| written_keys(&row.keys));
    Prepared::new(
        "INSERT INTO block_record (number, record_id, keys) SELECT * FROM UNNEST(?, ?, ?)",
        vec![
            Bind::BigInts(column(rows, |row| row.number)),
            Bind::Texts(column(rows, |row| row.record_id.as_str())),
            Bind::Binaries(column(&keys, Vec::as_slice)),
        ],
    )
    .execute(connection)?;
    Ok(())
}

/// In the order of the index, so that no plan without it is cheaper.
pub(super) fn block_ranges(connection: &mut PgConnection, ranges: &[KeyRange]) -> QueryResult<Vec<(usize, i64)>> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        place: i64,
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let found: Vec<Found> = Prepared::new(
        "SELECT wanted.place, found.number FROM UNNEST(?, ?, ?) WITH ORDINALITY AS wanted (low, high, rows_max, place) \
         CROSS JOIN LATERAL (SELECT number FROM block_key WHERE key >= wanted.low AND key <= wanted.high \
         ORDER BY key, number LIMIT wanted.rows_max) AS found",
        vec![
            Bind::BigInts(column(ranges, |range| range.from)),
            Bind::BigInts(column(ranges, |range| range.to)),
            Bind::BigInts(column(ranges, |range| i64::try_from(range.rows_max).unwrap_or(i64::MAX))),
        ],
    )
    .load(connection)?;
    let place = |row: &Found| usize::try_from(row.place - 1).unwrap_or_default();
    Ok(found.iter().map(|row| (place(row), row.number)).collect())
}

pub(super) fn records_of_numbers(connection: &mut PgConnection, numbers: &[i64]) -> QueryResult<Vec<Numbered>> {
    block_record::table
        .inner_join(record::table.on(record::id.eq(block_record::record_id)))
        .filter(block_record::number.eq_any(numbers))
        .select((block_record::number, RecordRow::as_select()))
        .load(connection)
}

pub(super) fn explain(connection: &mut PgConnection, sql: Sql) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        step: String,
    }
    let steps: Vec<Step> = sql.explained("EXPLAIN ").into_query_of().load(connection)?;
    Ok(steps.into_iter().map(|step| step.step).collect())
}
