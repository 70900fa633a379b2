//! FHIR read and vread.

use crate::audit::{Action, AuditRecord};
use crate::fhir::compartment::reference_of;
use crate::fhir::json::parse;
use crate::fhir::search_parameter::search_values;
use crate::profile::artifact::ARTIFACT_TYPES;
use crate::store::constraint::{self, Labels, Persons, SearchConstraint};
use crate::store::record::RecordRow;
use crate::store::resource::{self, Resource};
use crate::store::{Connection, record, transaction};

use super::assured_match::is_restricted;
use super::context::Context;
use super::create::stored_kind;
use super::error::{AppError, ErrorKind};
use super::golden;
use super::incoming::{ResourceKind, check_id};
use super::search::{AUDIT_EVENT, bytes};
use super::steward::queue::resolve;
use super::{App, STORED_LIMITS};

/// Which version is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Current,
    Numbered(i64),
    /// Text that is no version of this server; there is none of that name.
    Unknown,
}

impl Version {
    /// A version id of an address.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let plain = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| plain).map_or(Self::Unknown, Self::Numbered)
    }
}

/// What makes a read conditional (FHIR R4 RESTful API, conditional read).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadCondition {
    /// The value of `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The time of `If-Modified-Since`.
    pub modified_since_us: Option<i64>,
}

impl ReadCondition {
    /// Whether the caller has this version already. `If-None-Match` alone decides where it is given, and times are
    /// compared by the second, which is what `Last-Modified` says (RFC 9110 §13.1.2, §13.1.3).
    #[must_use]
    pub fn is_unchanged(&self, version: i64, updated_us: i64) -> bool {
        match (&self.if_none_match, self.modified_since_us) {
            (Some(etags), _) => etags.split(',').map(str::trim).any(|etag| {
                let quoted = etag.strip_prefix("W/").unwrap_or(etag);
                etag == "*" || quoted == format!("\"{version}\"")
            }),
            (None, Some(since_us)) => updated_us.div_euclid(1_000_000) <= since_us.div_euclid(1_000_000),
            (None, None) => false,
        }
    }
}

/// A stored version, as received but for id, version and time.
#[derive(Debug, Clone)]
pub struct StoredVersion {
    pub version: i64,
    pub updated_us: i64,
    pub body: String,
}

impl App {
    /// Reads a version.
    ///
    /// # Errors
    /// `NotFound`, or `Gone` for what was deleted.
    pub fn read(
        &self,
        ctx: &Context,
        resource_type: &str,
        id: &str,
        version: Version,
    ) -> Result<StoredVersion, AppError> {
        self.answer(ctx, Action::Read, |audit| {
            check_id(id)?;
            if ARTIFACT_TYPES.contains(&resource_type) {
                return self.read_artifact(resource_type, id, version);
            }
            if resource_type == AUDIT_EVENT {
                return self.read_audit_event(ctx, audit, id, version);
            }
            let kind = stored_kind(resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            let mut conn = self.connection()?;
            let constraint = ctx.caller.read_constraint(kind.name());
            let seen = check_seen(&mut conn, &constraint, kind, id);
            let found = match seen.and_then(|()| find_version(&mut conn, kind, id, version)) {
                Err(error) if error.kind == ErrorKind::NotFound && version == Version::Current => {
                    let golden = self.read_golden(ctx, audit, kind, id)?;
                    return golden.ok_or(error).inspect_err(|_| audit.detail.records.push(id.to_owned()));
                }
                found => found.inspect_err(|_| audit.detail.records.push(id.to_owned()))?,
            };
            check_own_version(&mut conn, &constraint, &found, &self.config.server.base_url)?;
            audit.detail.records.push(id.to_owned());
            let body = ctx.caller.outgoing(found.body)?;
            Ok(StoredVersion { version: found.version, updated_us: found.updated_us, body })
        })
    }

    /// The golden record under `id`, where golden records are shown: made anew, and as of its latest source.
    fn read_golden(
        &self,
        ctx: &Context,
        audit: &mut AuditRecord,
        kind: ResourceKind,
        id: &str,
    ) -> Result<Option<StoredVersion>, AppError> {
        let is_shown = self.config.matching.golden_record && kind == ResourceKind::Patient;
        let Some(identity_id) = id.strip_prefix(golden::PREFIX).filter(|_| is_shown) else { return Ok(None) };
        let bytes_max = bytes(self.config.limits.page_bytes_max);
        let found = transaction::read_snapshot(&mut *self.connection()?, |conn| {
            let Some(identity_id) = resolve(conn, identity_id)? else { return Ok(None) };
            let rows = record::list_of_identities(conn, &[&identity_id])?;
            match ctx.caller.read_constraint(kind.name()).persons {
                Persons::Everybody => {}
                Persons::OfIdentityOf(patient) if rows.iter().any(|row| row.id == patient) => {}
                Persons::OfIdentityOf(_) | Persons::Nobody => return Ok(None),
            }
            let may_show = |_: &RecordRow, body: &str| ctx.caller.may_see(body);
            let made = golden::make(conn, &rows.iter().collect::<Vec<_>>(), bytes_max, may_show)?;
            Ok::<_, AppError>(made.filter(|made| !made.records.is_empty()).map(|made| (made, rows)))
        })?;
        let Some((golden, rows)) = found else { return Ok(None) };
        let current = rows.iter().filter(|row| row.replaced_by.is_none() && golden.records.contains(&row.id));
        let ids: Vec<&str> = current.map(|row| row.id.as_str()).collect();
        let body = golden.render(&self.config.server.base_url, &ctx.caller.disclosure(), &ids)?;
        audit.detail.identities.push(golden.identity_id);
        audit.detail.records.extend(ids.into_iter().map(str::to_owned));
        Ok(Some(StoredVersion { version: golden.as_of_us, updated_us: golden.as_of_us, body }))
    }

    /// A file of `profiles/`, which has no versions but the one in force.
    fn read_artifact(&self, resource_type: &str, id: &str, version: Version) -> Result<StoredVersion, AppError> {
        let found = self.rules.profiles.find_artifact(resource_type, id).filter(|_| version == Version::Current);
        let artifact = found.ok_or_else(|| AppError::not_found("There is no such resource."))?;
        Ok(StoredVersion { version: 1, updated_us: self.started_us, body: artifact.json.clone() })
    }
}

/// Whether a resource, of any version, is there for a caller of this constraint: the current one decides, and of what was
/// deleted the label of the last one before.
///
/// # Errors
/// Those of the database.
pub fn is_seen(
    conn: &mut Connection,
    constraint: &SearchConstraint,
    kind: ResourceKind,
    id: &str,
) -> Result<bool, AppError> {
    if constraint.is_none() {
        return Ok(true);
    }
    if constraint.persons != Persons::Everybody
        && constraint::retain_seen(conn, constraint, kind.name(), vec![id.to_owned()])?.is_empty()
    {
        return Ok(false);
    }
    if constraint.labels == Labels::All {
        return Ok(true);
    }
    let Some(current) = resource::find(conn, kind.name(), id)? else { return Ok(true) };
    let last = if current.deleted {
        resource::find_version(conn, kind.name(), id, current.version - 1)?
    } else {
        Some(current)
    };
    // In doubt it is hidden.
    Ok(last.is_some_and(|last| !last.deleted && !is_restricted(&last.body)))
}

/// Asked before anything of a resource is answered.
///
/// # Errors
/// `NotFound` where the caller may not be told of it.
pub fn check_seen(
    conn: &mut Connection,
    constraint: &SearchConstraint,
    kind: ResourceKind,
    id: &str,
) -> Result<(), AppError> {
    if is_seen(conn, constraint, kind, id)? { Ok(()) } else { Err(no_such()) }
}

/// The answer for what is not there, and for what is not there for this caller.
#[must_use]
pub fn no_such() -> AppError {
    AppError::not_found("There is no such resource.")
}

/// What is about a person now may have been about another one: an older version is there for whom it was about.
///
/// # Errors
/// `NotFound`.
pub fn check_own_version(
    conn: &mut Connection,
    constraint: &SearchConstraint,
    found: &Resource,
    base_url: &str,
) -> Result<(), AppError> {
    let Persons::OfIdentityOf(patient) = &constraint.persons else { return Ok(()) };
    let members = constraint::list_members(conn, patient)?;
    if is_own_version(&members, &found.resource_type, &found.body, base_url) { Ok(()) } else { Err(no_such()) }
}

/// Whether a document is about one of `members`. A Patient is by its id, which is asked elsewhere.
#[must_use]
pub fn is_own_version(members: &[String], resource_type: &str, body: &str, base_url: &str) -> bool {
    let Some(parameter) = reference_of(resource_type) else { return true };
    let Ok(resource) = parse(body.as_bytes(), &STORED_LIMITS) else { return false };
    let values = search_values(&resource, base_url);
    let mut about = values.tokens.iter().filter(|token| token.parameter == parameter && token.system == "Patient");
    about.any(|token| members.contains(&token.value))
}

/// A stored version that can be read.
///
/// # Errors
/// `NotFound`, or `Gone` for what was deleted.
pub fn find_version(
    conn: &mut Connection,
    kind: ResourceKind,
    id: &str,
    version: Version,
) -> Result<Resource, AppError> {
    let found = match version {
        Version::Current => resource::find(conn, kind.name(), id)?,
        Version::Numbered(number) => resource::find_version(conn, kind.name(), id, number)?,
        Version::Unknown => None,
    };
    let found = found.ok_or_else(no_such)?;
    if found.deleted { Err(AppError::gone()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_the_caller_has_is_unchanged() {
        let table = [
            (None, None, false),
            (Some("W/\"3\""), None, true),
            (Some("\"3\""), None, true),
            (Some("W/\"2\" , W/\"3\""), None, true),
            (Some("*"), None, true),
            (Some("W/\"2\""), None, false),
            (Some("3"), None, false),
            (Some(""), None, false),
            (Some("W/\"2\""), Some(9_000_000), false),
            (None, Some(8_000_000), true),
            (None, Some(9_000_000), true),
            (None, Some(7_999_999), false),
            (None, Some(-1), false),
        ];
        for (etags, modified_since_us, expected) in table {
            let condition = ReadCondition { if_none_match: etags.map(str::to_owned), modified_since_us };
            assert_eq!(condition.is_unchanged(3, 8_999_999), expected, "{condition:?}");
        }
    }
}
