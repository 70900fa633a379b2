//! FHIR delete: the versions stay, the record leaves the index at once (FHIR R4 RESTful API, delete).

use crate::audit::Action;
use crate::store::{change, identity_history, record, resource};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::incoming::ResourceKind;
use super::keep::{Expected, Keeper, check_expected};
use super::settle::{self, Occasion};
use super::unit::Unit;
use super::update::{Address, Condition};
use super::write::Verb;

impl App {
    /// Deletes the current version of what is addressed. What is not there, or is deleted already, is no error.
    ///
    /// # Errors
    /// `PreconditionFailed` when `If-Match` does not hold or several resources fit.
    pub fn delete(
        &self,
        ctx: &Context,
        resource_type: &str,
        address: Address<'_>,
        condition: Condition<'_>,
    ) -> Result<(), AppError> {
        let order = self.order(ctx, Verb::Delete, resource_type, address, condition);
        self.write(ctx, Action::Delete, resource_type, order, b"").map(|_| ())
    }
}

/// Deletes the current version, if there is one: then true.
///
/// # Errors
/// `PreconditionFailed` when something else is expected.
pub fn delete(
    keeper: Keeper<'_>,
    unit: &mut Unit<'_>,
    kind: ResourceKind,
    id: &str,
    expected: Expected,
) -> Result<bool, AppError> {
    let current = resource::find(unit.conn, kind.name(), id)?;
    check_expected(current.as_ref(), expected)?;
    let Some(current) = current.filter(|current| !current.deleted) else { return Ok(false) };
    resource::delete(unit.conn, kind.name(), id, current.version, unit.now_us)?;
    if kind == ResourceKind::Patient {
        let others = settle::connected(keeper, unit, id)?;
        let rows = record::find_many(unit.conn, &[id])?;
        identity_history::end(unit.conn, &rows, unit.now_us)?;
        let identity_id = record::delete(unit.conn, id)?;
        change::append(unit.conn, &[id])?;
        unit.index_remove(id);
        if unit.constraints().survivor(id).is_some() {
            unit.constraints_mut().declare(id, None);
        }
        // What it held together, or stood between, is clustered again without it.
        let start: Vec<String> = others.into_iter().filter(|other| other != id).collect();
        if !start.is_empty() {
            let plan = settle::plan(keeper, unit, &Occasion { start, ..Occasion::default() })?;
            settle::apply(keeper, unit, &plan, None, None)?;
        }
        if let Some(identity_id) = identity_id {
            settle::forget_lonely(unit, &identity_id)?;
            settle::end_identity(unit, &identity_id, None)?;
        }
    }
    Ok(true)
}
