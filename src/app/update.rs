//! FHIR update, and update-as-create under the client's id (FHIR R4 RESTful API, update).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::App;
use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::{Incoming, admit, check_id};
use super::keep::{Expected, Kept};

impl App {
    /// Stores a version under `id`, which the body must repeat.
    ///
    /// # Errors
    /// `Invalid` for content that is not FHIR or another id, `PreconditionFailed` when `If-Match` does not hold.
    pub fn update(
        &self,
        ctx: &Context,
        resource_type: &str,
        id: &str,
        condition: Condition<'_>,
        body: &[u8],
    ) -> Result<Kept, AppError> {
        let expected = match condition.expected() {
            Ok(expected) => expected,
            Err(error) => return self.keep_audited(ctx, Action::Update, resource_type, Err(error), Expected::Anything),
        };
        let admitted = check_id(id).and_then(|()| stored_kind(resource_type)).and_then(|kind| {
            self.check_not_responder(kind, id)?;
            let incoming = admit(&self.door(None), Some(kind), body)?;
            check_same_id(&incoming, id)?;
            Ok((id.to_owned(), incoming))
        });
        self.keep_audited(ctx, Action::Update, resource_type, admitted, expected)
    }
}

/// The headers that make an update conditional.
#[derive(Debug, Clone, Copy, Default)]
pub struct Condition<'h> {
    pub if_match: Option<&'h str>,
    pub if_none_match: Option<&'h str>,
}

impl Condition<'_> {
    fn expected(self) -> Result<Expected, AppError> {
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

fn check_same_id(incoming: &Incoming, id: &str) -> Result<(), AppError> {
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
