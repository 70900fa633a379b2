//! Bulk exports: what was asked for, who plans it, and the parts that were planned.
//!
//! An instance claims a job before it plans it and is heard of while it does; another one takes over when it falls
//! silent. What a former planner still writes then is refused, because the claim is checked with every write.
//! Not here: planning, the resources themselves (see `as_of`).

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::schema::{export_job, export_part};

pub const PLANNING: &str = "planning";
pub const COMPLETE: &str = "complete";
pub const FAILED: &str = "failed";

/// A job, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = export_job, treat_none_as_default_value = false)]
pub struct ExportJobRow {
    pub id: String,
    pub caller: String,
    pub level: String,
    pub request: String,
    /// Separated by commas.
    pub resource_types: String,
    pub since_us: Option<i64>,
    /// The transaction time.
    pub at_us: i64,
    /// The last resource of that time.
    pub last_number: i64,
    pub remarks: String,
    /// [`PLANNING`], [`COMPLETE`] or [`FAILED`].
    pub state: String,
    pub permille: i32,
    pub worker: Option<String>,
    pub heartbeat_us: i64,
    pub attempts: i32,
    pub created_us: i64,
    pub expires_us: i64,
    /// Whose labels it was taken on for (see [`super::constraint::Labels`]).
    pub labels: String,
}

/// A part of a complete job, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = export_part)]
pub struct ExportPartRow {
    pub job_id: String,
    /// From 1.
    pub part: i32,
    pub content: String,
    pub resource_type: String,
    pub after_number: i64,
    pub last_number: i64,
    pub resources: i64,
}

/// How many jobs there are.
///
/// # Errors
/// Those of the database.
pub fn count(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(export_job::table.count().get_result(connection)?)
}

/// # Errors
/// `Conflict` when the id exists.
pub fn insert(connection: &mut Connection, job: &ExportJobRow) -> Result<(), StoreError> {
    diesel::insert_into(export_job::table).values(job).execute(connection)?;
    Ok(())
}

/// The job, unless it has expired.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, id: &str, now_us: i64) -> Result<Option<ExportJobRow>, StoreError> {
    Ok(export_job::table
        .find(id)
        .filter(export_job::expires_us.gt(now_us))
        .select(ExportJobRow::as_select())
        .first(connection)
        .optional()?)
}

/// The oldest job that waits to be planned: nobody plans it, or whoever did was not heard of since `silent_us`.
///
/// # Errors
/// Those of the database.
pub fn find_waiting(connection: &mut Connection, silent_us: i64) -> Result<Option<ExportJobRow>, StoreError> {
    Ok(export_job::table
        .filter(export_job::state.eq(PLANNING))
        .filter(export_job::worker.is_null().or(export_job::heartbeat_us.lt(silent_us)))
        .order((export_job::created_us, export_job::id))
        .select(ExportJobRow::as_select())
        .first(connection)
        .optional()?)
}

/// Claims what [`find_waiting`] found, if nobody else has done so meanwhile.
///
/// # Errors
/// Those of the database.
pub fn claim(connection: &mut Connection, job: &ExportJobRow, worker: &str, now_us: i64) -> Result<bool, StoreError> {
    let unclaimed = export_job::table
        .filter(export_job::id.eq(&job.id))
        .filter(export_job::state.eq(PLANNING))
        .filter(export_job::attempts.eq(job.attempts));
    let claimed = diesel::update(unclaimed)
        .set((
            export_job::worker.eq(worker),
            export_job::heartbeat_us.eq(now_us),
            export_job::attempts.eq(job.attempts + 1),
        ))
        .execute(connection)?;
    Ok(claimed == 1)
}

/// Says that `worker` is at work; false when the job is no longer its own.
///
/// # Errors
/// Those of the database.
pub fn renew(
    connection: &mut Connection,
    id: &str,
    worker: &str,
    now_us: i64,
    permille: i32,
) -> Result<bool, StoreError> {
    let own = export_job::table
        .filter(export_job::id.eq(id))
        .filter(export_job::state.eq(PLANNING))
        .filter(export_job::worker.eq(worker));
    let set = (export_job::heartbeat_us.eq(now_us), export_job::permille.eq(permille));
    Ok(diesel::update(own).set(set).execute(connection)? == 1)
}

/// Gives a claim up, for the next planner not to wait.
///
/// # Errors
/// Those of the database.
pub fn release(connection: &mut Connection, id: &str, worker: &str) -> Result<(), StoreError> {
    let own = export_job::table.filter(export_job::id.eq(id)).filter(export_job::worker.eq(worker));
    diesel::update(own).set(export_job::worker.eq(None::<String>)).execute(connection)?;
    Ok(())
}

/// Ends the planning with its parts; false when the job is no longer the worker's own.
///
/// # Errors
/// Those of the database.
pub fn complete(
    connection: &mut Connection,
    id: &str,
    worker: &str,
    parts: &[ExportPartRow],
    expires_us: i64,
) -> Result<bool, StoreError> {
    if !end(connection, id, worker, COMPLETE, expires_us)? {
        return Ok(false);
    }
    for part in parts {
        diesel::insert_into(export_part::table).values(part).execute(connection)?;
    }
    Ok(true)
}

/// Ends the planning without parts; false when the job is no longer the worker's own.
///
/// # Errors
/// Those of the database.
pub fn fail(connection: &mut Connection, id: &str, worker: &str, expires_us: i64) -> Result<bool, StoreError> {
    end(connection, id, worker, FAILED, expires_us)
}

fn end(connection: &mut Connection, id: &str, worker: &str, state: &str, expires_us: i64) -> Result<bool, StoreError> {
    let own = export_job::table
        .filter(export_job::id.eq(id))
        .filter(export_job::state.eq(PLANNING))
        .filter(export_job::worker.eq(worker));
    let set = (export_job::state.eq(state), export_job::permille.eq(1000), export_job::expires_us.eq(expires_us));
    Ok(diesel::update(own).set(set).execute(connection)? == 1)
}

/// The parts of a job, in order.
///
/// # Errors
/// Those of the database.
pub fn list_parts(connection: &mut Connection, job_id: &str) -> Result<Vec<ExportPartRow>, StoreError> {
    Ok(export_part::table
        .filter(export_part::job_id.eq(job_id))
        .order(export_part::part)
        .select(ExportPartRow::as_select())
        .load(connection)?)
}

/// One part of a job.
///
/// # Errors
/// Those of the database.
pub fn find_part(connection: &mut Connection, job_id: &str, part: i32) -> Result<Option<ExportPartRow>, StoreError> {
    Ok(export_part::table.find((job_id, part)).select(ExportPartRow::as_select()).first(connection).optional()?)
}

/// Removes a job with its parts; false when there is none.
///
/// # Errors
/// Those of the database.
pub fn delete(connection: &mut Connection, id: &str) -> Result<bool, StoreError> {
    Ok(diesel::delete(export_job::table.find(id)).execute(connection)? == 1)
}

/// Removes the jobs that have expired. Returns how many there were.
///
/// # Errors
/// Those of the database.
pub fn delete_expired(connection: &mut Connection, now_us: i64) -> Result<usize, StoreError> {
    Ok(diesel::delete(export_job::table.filter(export_job::expires_us.le(now_us))).execute(connection)?)
}
