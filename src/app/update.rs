//! FHIR update, and update-as-create under the client's id (FHIR R4 RESTful API, update).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::App;
use super::conditional::{Criteria, HTTP_QUERY};
use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::{Incoming, check_id};
use super::keep::{Expected, Kept};
use super::responder::check_not_responder;
use super::write::{Order, Target, Verb};

impl App {
    /// Stores a version of the resource that is addressed, whose id the body must repeat; when it is addressed by a query
    /// and none fits, a new one (FHIR R4 RESTful API, conditional update).
    ///
    /// # Errors
    /// `Invalid` for content that is not FHIR or another id, `PreconditionFailed` when `If-Match` does not hold or
    /// several resources fit.
    pub fn update(
        &self,
        ctx: &Context,
        resource_type: &str,
        address: Address<'_>,
        condition: Condition<'_>,
        body: &[u8],
    ) -> Result<Kept, AppError> {
        let order = self.order(ctx, Verb::Store, resource_type, address, condition);
        self.write(ctx, Action::Update, resource_type, order, body)?.into_kept()
    }

    /// An update, patch or delete without its body.
    ///
    /// # Errors
    /// `NotFound` for a type that is not stored, `Invalid` for what is no id, no criteria or no condition, `Conflict` for
    /// the responder.
    pub(super) fn order(
        &self,
        ctx: &Context,
        verb: Verb,
        resource_type: &str,
        address: Address<'_>,
        condition: Condition<'_>,
    ) -> Result<Order, AppError> {
        let expected = condition.expected()?;
        if let Address::Id(id) = address {
            check_id(id)?;
        }
        let kind = stored_kind(resource_type)?;
        let target = match address {
            Address::Id(id) => {
                check_not_responder(&self.config, kind, id)?;
                Target::Id(id.to_owned())
            }
            Address::Query(query) => {
                Target::Fitting(Criteria::parse(ctx, &self.config, kind, query, HTTP_QUERY)?, (ctx.clock.uuid)())
            }
        };
        Ok(Order { kind, target, verb, expected })
    }
}

/// How an existing resource is addressed.
#[derive(Debug, Clone, Copy)]
pub enum Address<'a> {
    /// `Patient/ID`
    Id(&'a str),
    /// `Patient?QUERY`
    Query(&'a str),
}

/// The headers that make an update conditional.
#[derive(Debug, Clone, Copy, Default)]
pub struct Condition<'h> {
    pub if_match: Option<&'h str>,
    pub if_none_match: Option<&'h str>,
}

impl Condition<'_> {
    /// What must be there for the write to go on.
    ///
    /// # Errors
    /// `Invalid` for what is no condition of a write.
    pub fn expected(self) -> Result<Expected, AppError> {
        match (self.if_match, self.if_none_match) {
            (None, None) => Ok(Expected::Anything),
            (Some(etag), None) => parse_etag(etag).map(Expected::Version),
            (None, Some("*")) => Ok(Expected::Nothing),
            _ => {
                let text = "An update takes If-Match with one version, or If-None-Match: *.";
                Err(AppError::invalid(vec![Issue::error(IssueCode::NotSupported, text).at("http.if-none-match")]))
            }
        }
    }
}

/// Refuses a body with another id than that of its address.
///
/// # Errors
/// `Invalid`.
pub fn check_same_id(incoming: &Incoming, id: &str) -> Result<(), AppError> {
    if incoming.id.as_deref() == Some(id) {
        return Ok(());
    }
    let text = "The body must carry the id of the address.";
    let issue = Issue::error(IssueCode::Invalid, text).at(format!("{}.id", incoming.kind.name()));
    Err(AppError::invalid(vec![issue]))
}

/// The version of `W/"3"` or `"3"` (FHIR R4 RESTful API, managing resource contention).
///
/// # Errors
/// `Invalid` for anything else.
pub fn parse_etag(etag: &str) -> Result<i64, AppError> {
    let text = etag.trim();
    let quoted = text.strip_prefix("W/").unwrap_or(text);
    let version = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|text| text.parse().ok());
    version.ok_or_else(|| {
        let text = "If-Match must name one version: W/\"1\".";
        AppError::invalid(vec![Issue::error(IssueCode::Value, text).at("http.if-match")])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_names_one_version() {
        for (etag, version) in
            [("W/\"3\"", Some(3)), ("\"12\"", Some(12)), ("3", None), ("*", None), ("W/\"a\"", None), ("", None)]
        {
            assert_eq!(parse_etag(etag).ok(), version, "{etag}");
        }
    }
}
