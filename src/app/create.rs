//! FHIR create: a new resource under an id of the server's own (FHIR R4 RESTful API, create).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};
use crate::profile::artifact::ARTIFACT_TYPES;

use super::App;
use super::capability::search_params;
use super::conditional::Criteria;
use super::context::Context;
use super::error::{AppError, ErrorKind};
use super::incoming::ResourceKind;
use super::keep::{Expected, Kept};
use super::search::AUDIT_EVENT;
use super::search::link::pairs_of;
use super::write::{Order, Target, Verb};

impl App {
    /// Stores a new resource; an id in the body is not used. `if_none_exist` is a query: when one resource fits it, that
    /// one is the answer and nothing is stored (FHIR R4 RESTful API, conditional create).
    ///
    /// # Errors
    /// `NotFound` for a type that is not stored, `Invalid` for content that is not FHIR, `PreconditionFailed` when
    /// several resources fit.
    pub fn create(
        &self,
        ctx: &Context,
        resource_type: &str,
        if_none_exist: Option<&str>,
        body: &[u8],
    ) -> Result<Kept, AppError> {
        let order = stored_kind(resource_type).and_then(|kind| self.create_order(ctx, kind, if_none_exist));
        self.write(ctx, Action::Create, resource_type, order, body)?.into_kept()
    }

    /// A create without its body.
    ///
    /// # Errors
    /// `Invalid` for criteria that cannot be searched for.
    pub(super) fn create_order(
        &self,
        ctx: &Context,
        kind: ResourceKind,
        if_none_exist: Option<&str>,
    ) -> Result<Order, AppError> {
        let id = (ctx.clock.uuid)();
        let order = |target| Order { kind, target, verb: Verb::Store, expected: Expected::Anything };
        let Some(query) = if_none_exist else { return Ok(order(Target::New(id))) };
        // "Just the search parameters (what would be in the URL following the ?)"; some send what stands before it too.
        let query = query.strip_prefix(kind.name()).unwrap_or(query);
        let query = query.strip_prefix('?').unwrap_or(query);
        let criteria = Criteria::parse(ctx, &self.config, kind, query, "http.if-none-exist")?;
        Ok(order(Target::NewUnless(id, criteria)))
    }
}

/// Criteria in the address of a create: whoever puts them there wants no second resource, so they are not passed over. FHIR
/// R4 has a header for them.
///
/// # Errors
/// `Invalid` where a search parameter of the type is.
pub fn check_no_criteria(resource_type: &str, query: &str) -> Result<(), AppError> {
    let pairs = pairs_of(query);
    let is_asked = |known: &str| pairs.iter().any(|(name, _)| name.split(':').next() == Some(known));
    let mut parameters = search_params(resource_type).into_iter();
    let Some((name, _)) = parameters.find(|(known, _)| is_asked(known)) else { return Ok(()) };
    let text = "A create takes no search parameters; the header If-None-Exist makes it conditional.";
    Err(AppError::invalid(vec![Issue::error(IssueCode::NotSupported, text).at(format!("http.{name}"))]))
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
