//! SQLite: one prepared statement, once per row.
//!
//! Not here: transactions; a batch is atomic only inside the caller's.

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::upsert::excluded;

use crate::matching::stored_blocks::KeyRange;
use crate::store::audit::NewAuditRow;
use crate::store::audit_subject::SubjectRow;
use crate::store::block_key::{Numbered, RecordKeys, written_keys};
use crate::store::body::{Head, heads};
use crate::store::identity::IdentityRow;
use crate::store::load_progress::LoadProgress;
use crate::store::record::RecordRow;
use crate::store::resource::{ExpectedVersion, NewVersion, ResourceRow, SearchRows, history_columns, version_columns};
use crate::store::review::ReviewRow;
use crate::store::schema::{
    audit, audit_subject, block_key, block_record, change, identity, load_progress, record, record_constraint,
    resource, resource_history, review, search_date, search_string, search_token, secret,
};
use crate::store::search::Sql;
use crate::store::steward::ConstraintRow;

pub(super) fn insert_resources(connection: &mut SqliteConnection, rows: &[ResourceRow<'_>]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(resource::table).values(row).execute(connection)?;
    }
    Ok(())
}

pub(super) fn next_resource_numbers(connection: &mut SqliteConnection, count: usize) -> QueryResult<Vec<i64>> {
    let last: Option<i64> = resource::table.select(diesel::dsl::max(resource::number)).first(connection)?;
    Ok((last.unwrap_or(0) + 1..).take(count).collect())
}

pub(super) fn replace_resource(
    connection: &mut SqliteConnection,
    expected: &ExpectedVersion<'_>,
    version: &NewVersion<'_>,
) -> QueryResult<Option<i64>> {
    let number: Option<i64> = resource::table
        .filter(resource::resource_type.eq(expected.resource_type))
        .filter(resource::id.eq(expected.id))
        .filter(resource::version.eq(expected.version))
        .select(resource::number)
        .first(connection)
        .optional()?;
    let Some(number) = number else { return Ok(None) };
    let current = resource::table.filter(resource::number.eq(number));
    diesel::insert_into(resource_history::table)
        .values(current.select(version_columns()))
        .into_columns(history_columns())
        .execute(connection)?;
    diesel::update(current).set(version).execute(connection)?;
    Ok(Some(number))
}

/// Makes `rows` those of `number`: what stays the same is not written again.
pub(super) fn put_search_rows(connection: &mut SqliteConnection, number: i64, rows: &SearchRows) -> QueryResult<()> {
    let mut stored = SearchRows {
        strings: search_string::table.filter(search_string::number.eq(number)).load(connection)?,
        tokens: search_token::table.filter(search_token::number.eq(number)).load(connection)?,
        dates: search_date::table.filter(search_date::number.eq(number)).load(connection)?,
    };
    let mut rows = rows.clone();
    drop_common(&mut stored.strings, &mut rows.strings);
    drop_common(&mut stored.tokens, &mut rows.tokens);
    drop_common(&mut stored.dates, &mut rows.dates);
    for row in &stored.strings {
        let key = (row.parameter, &row.value, row.number, &row.exact);
        diesel::delete(search_string::table.find(key)).execute(connection)?;
    }
    for row in &stored.tokens {
        let key = (row.parameter, &row.value, &row.system, row.number);
        diesel::delete(search_token::table.find(key)).execute(connection)?;
    }
    for row in &stored.dates {
        diesel::delete(search_date::table.find((row.parameter, row.lo_us, row.hi_us, row.number)))
            .execute(connection)?;
    }
    insert_search_rows(connection, &rows)
}

/// Takes out of both what is in both.
fn drop_common<R: Ord>(one: &mut Vec<R>, other: &mut Vec<R>) {
    one.sort_unstable();
    other.sort_unstable();
    let mut is_new = other.iter().map(|row| one.binary_search(row).is_err()).collect::<Vec<bool>>().into_iter();
    one.retain(|row| other.binary_search(row).is_err());
    other.retain(|_| is_new.next().unwrap_or(true));
}

pub(super) fn insert_search_rows(connection: &mut SqliteConnection, rows: &SearchRows) -> QueryResult<()> {
    for row in &rows.strings {
        diesel::insert_into(search_string::table).values(row).execute(connection)?;
    }
    for row in &rows.tokens {
        diesel::insert_into(search_token::table).values(row).execute(connection)?;
    }
    for row in &rows.dates {
        diesel::insert_into(search_date::table).values(row).execute(connection)?;
    }
    Ok(())
}

pub(super) fn insert_identities(connection: &mut SqliteConnection, rows: &[IdentityRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(identity::table).values(row).execute(connection)?;
    }
    Ok(())
}

pub(super) fn upsert_records(connection: &mut SqliteConnection, rows: &[RecordRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(record::table)
            .values(row)
            .on_conflict(record::id)
            .do_update()
            .set((
                record::version.eq(excluded(record::version)),
                record::normaliser.eq(excluded(record::normaliser)),
                record::features.eq(excluded(record::features)),
                record::identity_id.eq(excluded(record::identity_id)),
                record::model_version.eq(excluded(record::model_version)),
                record::probability.eq(excluded(record::probability)),
                record::assigned_us.eq(excluded(record::assigned_us)),
                record::verification_level.eq(excluded(record::verification_level)),
                record::verified_on.eq(excluded(record::verified_on)),
                record::replaced_by.eq(excluded(record::replaced_by)),
                record::decision_id.eq(excluded(record::decision_id)),
            ))
            .execute(connection)?;
    }
    Ok(())
}

pub(super) fn upsert_reviews(connection: &mut SqliteConnection, rows: &[ReviewRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(review::table)
            .values(row)
            .on_conflict((review::record_id, review::identity_id))
            .do_update()
            .set((
                review::probability.eq(excluded(review::probability)),
                review::created_us.eq(excluded(review::created_us)),
                review::model_version.eq(excluded(review::model_version)),
                review::state.eq(excluded(review::state)),
                review::reason.eq(excluded(review::reason)),
            ))
            .execute(connection)?;
    }
    Ok(())
}

pub(super) fn insert_constraints(connection: &mut SqliteConnection, rows: &[ConstraintRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(record_constraint::table).values(row).execute(connection)?;
    }
    Ok(())
}

/// Gives the last `seq`.
pub(super) fn append_changes(connection: &mut SqliteConnection, ids: &[&str]) -> QueryResult<i64> {
    let last: Option<i64> = change::table.select(max(change::seq)).first(connection)?;
    let mut seq = last.unwrap_or(0);
    for id in ids {
        seq += 1;
        let row = (change::seq.eq(seq), change::record_id.eq(*id));
        diesel::insert_into(change::table).values(row).execute(connection)?;
    }
    Ok(seq)
}

/// When what was written last of these types was written; 0 when nothing was.
pub(super) fn last_updated_us(connection: &mut SqliteConnection, resource_types: &[&str]) -> QueryResult<i64> {
    let mut latest = 0;
    for resource_type in resource_types {
        let of_type = resource::table.filter(resource::resource_type.eq(*resource_type));
        let at_us: Option<i64> = of_type.select(max(resource::updated_us)).first(connection)?;
        latest = latest.max(at_us.unwrap_or(0));
    }
    Ok(latest)
}

pub(super) fn insert_audit_rows(connection: &mut SqliteConnection, rows: &[NewAuditRow<'_>]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(audit::table).values(row).execute(connection)?;
    }
    Ok(())
}

pub(super) fn insert_audit_subjects(connection: &mut SqliteConnection, rows: &[SubjectRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_or_ignore_into(audit_subject::table).values(row).execute(connection)?;
    }
    Ok(())
}

pub(super) fn upsert_load_progress(connection: &mut SqliteConnection, row: &LoadProgress) -> QueryResult<()> {
    diesel::insert_into(load_progress::table)
        .values(row)
        .on_conflict(load_progress::key)
        .do_update()
        .set(row)
        .execute(connection)?;
    Ok(())
}

pub(super) fn records_of_identities(connection: &mut SqliteConnection, ids: &[&str]) -> QueryResult<Vec<RecordRow>> {
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        let of_identity = record::table.filter(record::identity_id.eq(*id)).select(RecordRow::as_select());
        rows.append(&mut of_identity.load(connection)?);
    }
    Ok(rows)
}

pub(super) fn current_heads(
    connection: &mut SqliteConnection,
    kind: &str,
    ids: &[&str],
    bytes_max: i32,
) -> QueryResult<Vec<Head>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let one = heads(bytes_max).filter(resource::resource_type.eq(kind)).filter(resource::id.eq(*id));
        found.append(&mut one.load(connection)?);
    }
    Ok(found)
}

pub(super) fn insert_secret(
    connection: &mut SqliteConnection,
    name: &str,
    value: &[u8],
    now_us: i64,
) -> QueryResult<()> {
    diesel::insert_into(secret::table)
        .values((secret::name.eq(name), secret::value.eq(value), secret::created_us.eq(now_us)))
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(())
}

pub(super) fn clear_block_keys(connection: &mut SqliteConnection) -> QueryResult<()> {
    diesel::delete(block_key::table).execute(connection)?;
    diesel::delete(block_record::table).execute(connection)?;
    Ok(())
}

pub(super) fn insert_block_keys(connection: &mut SqliteConnection, rows: &[(i64, i64)]) -> QueryResult<()> {
    for (key, number) in rows {
        let row = (block_key::key.eq(key), block_key::number.eq(number));
        diesel::insert_into(block_key::table).values(row).execute(connection)?;
    }
    Ok(())
}

pub(super) fn delete_block_keys(connection: &mut SqliteConnection, rows: &[(i64, i64)]) -> QueryResult<()> {
    for (key, number) in rows {
        diesel::delete(block_key::table.find((key, number))).execute(connection)?;
    }
    Ok(())
}

pub(super) fn insert_block_records(connection: &mut SqliteConnection, rows: &[&RecordKeys]) -> QueryResult<()> {
    for row in rows {
        let values = (
            block_record::number.eq(row.number),
            block_record::record_id.eq(&row.record_id),
            block_record::keys.eq(written_keys(&row.keys)),
        );
        diesel::insert_into(block_record::table).values(values).execute(connection)?;
    }
    Ok(())
}

pub(super) fn block_ranges(connection: &mut SqliteConnection, ranges: &[KeyRange]) -> QueryResult<Vec<(usize, i64)>> {
    let mut found = Vec::new();
    for (at, range) in ranges.iter().enumerate() {
        let numbers: Vec<i64> = block_key::table
            .filter(block_key::key.between(range.from, range.to))
            .order((block_key::key, block_key::number))
            .limit(i64::try_from(range.rows_max).unwrap_or(i64::MAX))
            .select(block_key::number)
            .load(connection)?;
        found.extend(numbers.into_iter().map(|number| (at, number)));
    }
    Ok(found)
}

pub(super) fn records_of_numbers(connection: &mut SqliteConnection, numbers: &[i64]) -> QueryResult<Vec<Numbered>> {
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        let one = block_record::table
            .inner_join(record::table.on(record::id.eq(block_record::record_id)))
            .filter(block_record::number.eq(number))
            .select((block_record::number, RecordRow::as_select()));
        found.append(&mut one.load(connection)?);
    }
    Ok(found)
}

pub(super) fn explain(connection: &mut SqliteConnection, sql: Sql) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text, column_name = "detail")]
        step: String,
    }
    let steps: Vec<Step> = sql.explained("EXPLAIN QUERY PLAN ").into_query_of().load(connection)?;
    Ok(steps.into_iter().map(|step| step.step).collect())
}
