//! The `Prefer` header (RFC 7240): what a caller would like to have where several answers are right.
//!
//! FHIR R4 RESTful API uses `return` (3.1.0.1.9) and `handling` (Search, 3.1.1.1). A preference that is not known is
//! passed over, as the RFC demands. Not here: the answers.

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::app::search::Handling;

/// The header.
pub const PREFER: header::HeaderName = header::HeaderName::from_static("prefer");
/// Its counterpart in answers: the preferences that were heeded.
pub const PREFERENCE_APPLIED: header::HeaderName = header::HeaderName::from_static("preference-applied");

/// What a write answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Return {
    /// The resource as stored.
    #[default]
    Representation,
    /// Headers alone.
    Minimal,
    /// A statement that it was done.
    OperationOutcome,
}

impl Return {
    /// What `request` prefers; `None` when it says nothing that is known.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        match preference(request, "return")?.as_str() {
            "representation" => Some(Self::Representation),
            "minimal" => Some(Self::Minimal),
            "OperationOutcome" => Some(Self::OperationOutcome),
            _ => None,
        }
    }

    /// As `Preference-Applied` says it.
    #[must_use]
    pub const fn applied(self) -> &'static str {
        match self {
            Self::Representation => "return=representation",
            Self::Minimal => "return=minimal",
            Self::OperationOutcome => "return=OperationOutcome",
        }
    }
}

/// `handling=…`; lenient unless it says otherwise.
#[must_use]
pub fn handling(request: &HttpRequest) -> Handling {
    if preference(request, "handling").as_deref() == Some("strict") { Handling::Strict } else { Handling::Lenient }
}

/// The value of a preference in all `Prefer` headers.
#[must_use]
pub fn preference(request: &HttpRequest, name: &str) -> Option<String> {
    let lines = request.headers().get_all(PREFER).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|preference| value(preference, name))
}

/// The first of several of the same name counts (RFC 7240 §2); parameters after a semicolon mean nothing here.
fn value(preference: &str, name: &str) -> Option<String> {
    let (token, value) = preference.split(';').next()?.split_once('=')?;
    let is_named = token.trim().eq_ignore_ascii_case(name);
    is_named.then(|| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn preferences_are_read_among_others() {
        let strict = Handling::Strict;
        let table: &[(&[&str], Option<Return>, Handling)] = &[
            (&[], None, Handling::Lenient),
            (&["return=minimal"], Some(Return::Minimal), Handling::Lenient),
            (&["return=representation"], Some(Return::Representation), Handling::Lenient),
            (
                &["respond-async, Return = \"OperationOutcome\"; x=y , handling=strict"],
                Some(Return::OperationOutcome),
                strict,
            ),
            (&["handling=strict", "return=minimal"], Some(Return::Minimal), strict),
            (&["return=minimal, return=representation"], Some(Return::Minimal), Handling::Lenient),
            (&["return=everything, xhandling=strict"], None, Handling::Lenient),
            (&["handling=lenient, handling=strict"], None, Handling::Lenient),
            (&["return", ";=,,=", "x; handling=strict"], None, Handling::Lenient),
        ];
        for (lines, returned, expected) in table {
            let request =
                lines.iter().fold(TestRequest::default(), |request, line| request.append_header((PREFER, *line)));
            let request = request.to_http_request();
            assert_eq!((Return::of(&request), handling(&request)), (*returned, *expected), "{lines:?}");
        }
    }
}
