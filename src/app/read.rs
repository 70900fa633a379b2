//! FHIR read and vread.

use crate::audit::Action;
use crate::profile::artifact::ARTIFACT_TYPES;
use crate::store::resource;

use super::App;
use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::check_id;
use super::search::AUDIT_EVENT;

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
                return self.read_audit_event(audit, id, version);
            }
            let kind = stored_kind(resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            let mut conn = self.connection()?;
            let found = match version {
                Version::Current => resource::find(&mut conn, kind.name(), id)?,
                Version::Numbered(number) => resource::find_version(&mut conn, kind.name(), id, number)?,
                Version::Unknown => None,
            };
            let found = found.ok_or_else(|| AppError::not_found("There is no such resource."))?;
            if found.deleted {
                return Err(AppError::gone());
            }
            audit.detail.records.push(id.to_owned());
            Ok(StoredVersion { version: found.version, updated_us: found.updated_us, body: found.body })
        })
    }

    /// A file of `profiles/`, which has no versions but the one in force.
    fn read_artifact(&self, resource_type: &str, id: &str, version: Version) -> Result<StoredVersion, AppError> {
        let found = self.rules.profiles.find_artifact(resource_type, id).filter(|_| version == Version::Current);
        let artifact = found.ok_or_else(|| AppError::not_found("There is no such resource."))?;
        Ok(StoredVersion { version: 1, updated_us: self.started_us, body: artifact.json.clone() })
    }
}
