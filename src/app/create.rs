//! FHIR create: a new resource under an id of the server's own (FHIR R4 RESTful API, create).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};
use crate::profile::artifact::ARTIFACT_TYPES;

use super::App;
use super::context::Context;
use super::error::{AppError, ErrorKind};
use super::incoming::{ResourceKind, admit};
use super::keep::{Expected, Kept};
use super::search::AUDIT_EVENT;

impl App {
    /// Stores a new resource; an id in the body is not used.
    ///
    /// # Errors
    /// `NotFound` for a type that is not stored, `Invalid` for content that is not FHIR.
    pub fn create(&self, ctx: &Context, resource_type: &str, body: &[u8]) -> Result<Kept, AppError> {
        let id = (ctx.clock.uuid)();
        let admitted = stored_kind(resource_type)
            .and_then(|kind| admit(&self.door(None), Some(kind), body))
            .map(|incoming| (id, incoming));
        self.keep_audited(ctx, Action::Create, resource_type, admitted, Expected::Anything)
    }
}

/// The stored type of that name.
///
/// # Errors
/// `NotFound`, or `NotSupported` for a type that is only read.
pub fn stored_kind(resource_type: &str) -> Result<ResourceKind, AppError> {
    ResourceKind::of(resource_type).ok_or_else(|| {
        if !ARTIFACT_TYPES.contains(&resource_type) && resource_type != AUDIT_EVENT {
            return AppError::not_found("This resource type is not served.");
        }
        let issue =
            Issue::error(IssueCode::NotSupported, "Resources of this type are only read here.").at("http.method");
        AppError::new(ErrorKind::NotSupported, vec![issue])
    })
}
