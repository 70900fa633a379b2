//! The responding Organization: what the configuration says of it, stored so that it can be read and searched.
//!
//! IG Patient Matching: every match answer refers to it by its absolute URL. It follows the configuration at each start;
//! nobody else may write it. Not here: writing it as JSON (see `http::render`).

use crate::audit::Action;
use crate::config::Config;
use crate::fhir::issue::{Issue, IssueCode};

use super::App;
use super::context::{Caller, Context};
use super::error::{AppError, ErrorKind};
use super::incoming::ResourceKind;
use super::keep::Expected;
use super::write::{Order, Target, Verb};

impl App {
    /// Stores the responder, unless it is stored so already.
    ///
    /// # Errors
    /// What the store gives.
    pub fn keep_responder(&self, body: &str) -> Result<(), AppError> {
        let ctx = Context::new(Caller::Open, self.clock);
        let kind = ResourceKind::Organization;
        let id = self.config.organization.id.clone();
        let order = Order { kind, target: Target::New(id), verb: Verb::Store, expected: Expected::Anything };
        self.write(&ctx, Action::Update, kind.name(), Ok(order), body.as_bytes()).map(|_| ())
    }
}

/// Refuses to write what the configuration decides.
///
/// # Errors
/// `Conflict` for the responder.
pub fn check_not_responder(config: &Config, kind: ResourceKind, id: &str) -> Result<(), AppError> {
    if kind != ResourceKind::Organization || id != config.organization.id {
        return Ok(());
    }
    let text = "This Organization is the responder; it is written by the configuration alone.";
    let issue = Issue::error(IssueCode::BusinessRule, text).at("Organization.id");
    Err(AppError::new(ErrorKind::Conflict, vec![issue]))
}
