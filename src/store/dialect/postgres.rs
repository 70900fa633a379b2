//! PostgreSQL: one statement per batch, its columns as arrays (`UNNEST`).
//!
//! The text of a statement is the same for every size of a batch, and no batch meets the limit of parameters.
//! Not here: transactions.

use std::collections::HashSet;
use std::hash::Hash;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, SmallInt, Text};

use crate::store::audit::NewAuditRow;
use crate::store::identity::IdentityRow;
use crate::store::load_progress::LoadProgress;
use crate::store::record::RecordRow;
use crate::store::resource::{ExpectedVersion, NewVersion, Resource, ResourceRow, SearchRows, current};
use crate::store::review::ReviewRow;
use crate::store::schema::{load_progress, record, resource, secret};
use crate::store::search::Sql;

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
    sql_query(
        "INSERT INTO resource (number, resource_type, id, version, updated_us, deleted, search_version, body) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind::<Array<BigInt>, _>(column(rows, |row| row.number))
    .bind::<Array<Text>, _>(column(rows, |row| row.resource_type))
    .bind::<Array<Text>, _>(column(rows, |row| row.id))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.version))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.updated_us))
    .bind::<Array<Bool>, _>(column(rows, |row| row.deleted))
    .bind::<Array<Integer>, _>(column(rows, |row| row.search_version))
    .bind::<Array<Text>, _>(column(rows, |row| row.body))
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
    let rows: Vec<Number> = sql_query("SELECT nextval('resource_number') AS number FROM generate_series(1, $1)")
        .bind::<BigInt, _>(count)
        .load(connection)?;
    Ok(rows.into_iter().map(|row| row.number).collect())
}

/// One statement: a round trip costs more than its rows. What is inserted is read before the update is seen.
pub(super) fn replace_resource(
    connection: &mut PgConnection,
    expected: &ExpectedVersion<'_>,
    version: &NewVersion<'_>,
) -> QueryResult<Option<i64>> {
    let replaced: Option<Number> = sql_query(
        "WITH current AS (SELECT * FROM resource WHERE resource_type = $1 AND id = $2 AND version = $3), \
         older AS (INSERT INTO resource_history (resource_type, id, version, updated_us, deleted, body) \
         SELECT resource_type, id, version, updated_us, deleted, body FROM current) \
         UPDATE resource SET version = $4, updated_us = $5, deleted = $6, search_version = $7, body = $8 \
         FROM current WHERE resource.number = current.number RETURNING resource.number AS number",
    )
    .bind::<Text, _>(expected.resource_type)
    .bind::<Text, _>(expected.id)
    .bind::<BigInt, _>(expected.version)
    .bind::<BigInt, _>(version.version)
    .bind::<BigInt, _>(version.updated_us)
    .bind::<Bool, _>(version.deleted)
    .bind::<Integer, _>(version.search_version)
    .bind::<Text, _>(version.body)
    .get_result(connection)
    .optional()?;
    Ok(replaced.map(|row| row.number))
}

pub(super) fn delete_search_rows(connection: &mut PgConnection, number: i64) -> QueryResult<()> {
    sql_query(
        "WITH strings AS (DELETE FROM search_string WHERE number = $1), \
         tokens AS (DELETE FROM search_token WHERE number = $1) DELETE FROM search_date WHERE number = $1",
    )
    .bind::<BigInt, _>(number)
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_search_rows(connection: &mut PgConnection, rows: &SearchRows) -> QueryResult<()> {
    let SearchRows { strings, tokens, dates } = rows;
    sql_query(
        "WITH strings AS (INSERT INTO search_string (parameter, value, number, exact) \
         SELECT * FROM UNNEST($1, $2, $3, $4)), \
         tokens AS (INSERT INTO search_token (parameter, value, system, number) SELECT * FROM UNNEST($5, $6, $7, $8)) \
         INSERT INTO search_date (parameter, lo_us, hi_us, number) SELECT * FROM UNNEST($9, $10, $11, $12)",
    )
    .bind::<Array<SmallInt>, _>(column(strings, |row| row.parameter))
    .bind::<Array<Text>, _>(column(strings, |row| row.value.as_str()))
    .bind::<Array<BigInt>, _>(column(strings, |row| row.number))
    .bind::<Array<Text>, _>(column(strings, |row| row.exact.as_str()))
    .bind::<Array<SmallInt>, _>(column(tokens, |row| row.parameter))
    .bind::<Array<Text>, _>(column(tokens, |row| row.value.as_str()))
    .bind::<Array<Text>, _>(column(tokens, |row| row.system.as_str()))
    .bind::<Array<BigInt>, _>(column(tokens, |row| row.number))
    .bind::<Array<SmallInt>, _>(column(dates, |row| row.parameter))
    .bind::<Array<BigInt>, _>(column(dates, |row| row.lo_us))
    .bind::<Array<BigInt>, _>(column(dates, |row| row.hi_us))
    .bind::<Array<BigInt>, _>(column(dates, |row| row.number))
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_identities(connection: &mut PgConnection, rows: &[IdentityRow]) -> QueryResult<()> {
    sql_query("INSERT INTO identity (id, created_us) SELECT * FROM UNNEST($1, $2)")
        .bind::<Array<Text>, _>(column(rows, |row| row.id.as_str()))
        .bind::<Array<BigInt>, _>(column(rows, |row| row.created_us))
        .execute(connection)?;
    Ok(())
}

pub(super) fn upsert_records(connection: &mut PgConnection, rows: &[RecordRow]) -> QueryResult<()> {
    let rows = last_of_each(rows, |row| row.id.as_str());
    let rows = || rows.iter().copied();
    sql_query(
        "INSERT INTO record (id, version, normaliser, features, identity_id, model_version, probability, assigned_us, \
         verification_level, verified_on, replaced_by, decision_id) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, normaliser = excluded.normaliser, \
         features = excluded.features, identity_id = excluded.identity_id, model_version = excluded.model_version, \
         probability = excluded.probability, assigned_us = excluded.assigned_us, \
         verification_level = excluded.verification_level, verified_on = excluded.verified_on, \
         replaced_by = excluded.replaced_by, decision_id = excluded.decision_id",
    )
    .bind::<Array<Text>, _>(column(rows(), |row| row.id.as_str()))
    .bind::<Array<BigInt>, _>(column(rows(), |row| row.version))
    .bind::<Array<Integer>, _>(column(rows(), |row| row.normaliser))
    .bind::<Array<Binary>, _>(column(rows(), |row| row.features.as_slice()))
    .bind::<Array<Text>, _>(column(rows(), |row| row.identity_id.as_str()))
    .bind::<Array<Text>, _>(column(rows(), |row| row.model_version.as_str()))
    .bind::<Array<Nullable<Double>>, _>(column(rows(), |row| row.probability))
    .bind::<Array<BigInt>, _>(column(rows(), |row| row.assigned_us))
    .bind::<Array<Nullable<Text>>, _>(column(rows(), |row| row.verification_level.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(rows(), |row| row.verified_on.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(rows(), |row| row.replaced_by.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(rows(), |row| row.decision_id.as_deref()))
    .execute(connection)?;
    Ok(())
}

pub(super) fn upsert_reviews(connection: &mut PgConnection, rows: &[ReviewRow]) -> QueryResult<()> {
    let rows = last_of_each(rows, |row| (row.record_id.as_str(), row.identity_id.as_str()));
    let rows = || rows.iter().copied();
    sql_query(
        "INSERT INTO review (record_id, identity_id, probability, created_us, model_version, state, reason) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (record_id, identity_id) DO UPDATE SET probability = excluded.probability, \
         created_us = excluded.created_us, model_version = excluded.model_version, state = excluded.state, \
         reason = excluded.reason",
    )
    .bind::<Array<Text>, _>(column(rows(), |row| row.record_id.as_str()))
    .bind::<Array<Text>, _>(column(rows(), |row| row.identity_id.as_str()))
    .bind::<Array<Double>, _>(column(rows(), |row| row.probability))
    .bind::<Array<BigInt>, _>(column(rows(), |row| row.created_us))
    .bind::<Array<Text>, _>(column(rows(), |row| row.model_version.as_str()))
    .bind::<Array<Text>, _>(column(rows(), |row| row.state.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(rows(), |row| row.reason.as_deref()))
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_changes(connection: &mut PgConnection, first_seq: i64, ids: &[&str]) -> QueryResult<()> {
    sql_query(
        "INSERT INTO change (seq, record_id) \
         SELECT $1 - 1 + entry.ordinality, entry.id FROM UNNEST($2) WITH ORDINALITY AS entry (id, ordinality)",
    )
    .bind::<BigInt, _>(first_seq)
    .bind::<Array<Text>, _>(ids)
    .execute(connection)?;
    Ok(())
}

pub(super) fn insert_audit_rows(connection: &mut PgConnection, rows: &[NewAuditRow<'_>]) -> QueryResult<()> {
    sql_query(
        "INSERT INTO audit (at_us, request_id, action, outcome, caller, resource_type, detail) \
         SELECT * FROM UNNEST($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind::<Array<BigInt>, _>(column(rows, |row| row.at_us))
    .bind::<Array<Text>, _>(column(rows, |row| row.request_id))
    .bind::<Array<Text>, _>(column(rows, |row| row.action))
    .bind::<Array<Text>, _>(column(rows, |row| row.outcome))
    .bind::<Array<Text>, _>(column(rows, |row| row.caller))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.resource_type))
    .bind::<Array<Text>, _>(column(rows, |row| row.detail.as_str()))
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

pub(super) fn current_resources(connection: &mut PgConnection, kind: &str, ids: &[&str]) -> QueryResult<Vec<Resource>> {
    current().filter(resource::resource_type.eq(kind)).filter(resource::id.eq_any(ids)).load(connection)
}

pub(super) fn insert_secret(connection: &mut PgConnection, name: &str, value: &[u8], now_us: i64) -> QueryResult<()> {
    diesel::insert_into(secret::table)
        .values((secret::name.eq(name), secret::value.eq(value), secret::created_us.eq(now_us)))
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(())
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
