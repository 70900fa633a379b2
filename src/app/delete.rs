//! FHIR delete: the versions stay, the record leaves the index at once (FHIR R4 RESTful API, delete).

use crate::audit::Action;
use crate::store::{change, identity, record, resource};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::incoming::ResourceKind;
use super::keep::{Expected, check_expected};
use super::update::{Address, Condition};
use super::write::Verb;
use super::writer::Unit;

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
pub fn delete(unit: &mut Unit<'_>, kind: ResourceKind, id: &str, expected: Expected) -> Result<bool, AppError> {
    let current = resource::find(unit.conn, kind.name(), id)?;
    check_expected(current.as_ref(), expected)?;
    let Some(current) = current.filter(|current| !current.deleted) else { return Ok(false) };
    resource::delete(unit.conn, kind.name(), id, current.version, unit.now_us)?;
    if kind == ResourceKind::Patient {
        if let Some(identity_id) = record::delete(unit.conn, id)? {
            identity::delete_if_empty(unit.conn, &identity_id)?;
        }
        change::append(unit.conn, &[id])?;
        unit.index_remove(id);
    }
    Ok(true)
}
