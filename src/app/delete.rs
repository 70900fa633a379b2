//! FHIR delete: the versions stay, the record leaves the index at once (FHIR R4 RESTful API, delete).

use crate::audit::{Action, AuditRecord};
use crate::store::{change, identity, record, resource};

use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::{ResourceKind, check_id};
use super::update::parse_etag;
use super::writer::{Done, Scope, Unit};
use super::{App, close, panicked};

impl App {
    /// Deletes the current version. What is not there, or is deleted already, is no error.
    ///
    /// # Errors
    /// `PreconditionFailed` when `If-Match` does not hold.
    pub fn delete(&self, ctx: &Context, resource_type: &str, id: &str, if_match: Option<&str>) -> Result<(), AppError> {
        let mut audit = ctx.audit(Action::Delete);
        audit.resource_type = ResourceKind::of(resource_type).map(|kind| kind.name().to_owned());
        let checked = check_id(id)
            .and_then(|()| stored_kind(resource_type))
            .and_then(|kind| self.check_not_responder(kind, id).map(|()| kind))
            .and_then(|kind| Ok((kind, if_match.map(parse_etag).transpose()?)));
        let (kind, expected) = match checked {
            Ok(checked) => checked,
            Err(error) => return Err(self.refuse_with(audit, error)),
        };
        let (id, clock) = (id.to_owned(), self.clock);
        self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
            let result = delete(unit, kind, &id, expected, &mut audit);
            close(&mut audit, result.as_ref().err(), (clock.now_us)());
            Done { result, audit }
        })
    }
}

fn delete(
    unit: &mut Unit<'_>,
    kind: ResourceKind,
    id: &str,
    expected: Option<i64>,
    audit: &mut AuditRecord,
) -> Result<(), AppError> {
    let current = resource::find(unit.conn, kind.name(), id)?.filter(|current| !current.deleted);
    let version = current.map(|current| current.version);
    if expected.is_some() && expected != version {
        return Err(AppError::precondition_failed("The stored version is not the one named in If-Match."));
    }
    let Some(version) = version else { return Ok(()) };
    resource::delete(unit.conn, kind.name(), id, version, unit.now_us)?;
    audit.detail.records.push(id.to_owned());
    if kind == ResourceKind::Patient {
        if let Some(identity_id) = record::delete(unit.conn, id)? {
            identity::delete_if_empty(unit.conn, &identity_id)?;
        }
        change::append(unit.conn, &[id])?;
        unit.index_remove(id);
    }
    Ok(())
}
