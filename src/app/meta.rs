//! `$meta`: profiles, tags, security labels, version and time of one resource (FHIR R4 Resource, operation meta).
//!
//! Of one resource or one of its versions. Not here: what is in use by all resources of a type, which would be a scan.

use crate::fhir::splice;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::incoming::ResourceKind;
use super::read::Version;

impl App {
    /// The `meta` of a version, as JSON.
    ///
    /// # Errors
    /// `NotFound`, also for what is only read and has no versions; `Gone` for what was deleted.
    pub fn meta(&self, ctx: &Context, resource_type: &str, id: &str, version: Version) -> Result<String, AppError> {
        // A type that is served from `profiles/` has nothing there that this server knows.
        let version = if ResourceKind::of(resource_type).is_some() { version } else { Version::Unknown };
        let stored = self.read(ctx, resource_type, id, version)?;
        let members = splice::members(&stored.body).map_err(|_| AppError::internal())?;
        let meta = members.into_iter().find(|(name, _)| name == "meta").map(|(_, value)| value.get().to_owned());
        meta.ok_or_else(AppError::internal)
    }
}
