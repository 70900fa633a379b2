//! Whether a form is this server's own, sent by whoever was given it.
//!
//! A hidden field holds a token that follows from a cookie: of the session, or before there is one, of the form. Beside it the
//! browser's own word counts: `Sec-Fetch-Site`, or `Origin` of browsers that do not say it. `Origin: null` says nothing here,
//! because these pages tell their address to nobody (`Referrer-Policy: no-referrer`). Not here: the tokens themselves.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, ORIGIN};

use crate::auth::session_token::CsrfToken;

use super::Desk;
use super::form::Form;

/// The name of the hidden field.
pub const FIELD: &str = "csrf";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The hidden field of a form.
#[must_use]
pub fn field(token: &CsrfToken) -> String {
    format!("<input type=\"hidden\" name=\"{FIELD}\" value=\"{}\">", token.expose())
}

/// Whether a form was sent from a page of this server, with this token.
#[must_use]
pub fn check(request: &HttpRequest, desk: &Desk, form: &Form, token: &CsrfToken) -> bool {
    let text = |name: &HeaderName| {
        let mut values = request.headers().get_all(name);
        let first = values.next().map(|value| value.to_str().unwrap_or("?"));
        // Several words are none that can be believed.
        if values.next().is_some() { Some("?") } else { first }
    };
    is_own(text(&SEC_FETCH_SITE), text(&ORIGIN), &desk.origin) && token.is(form.get(FIELD))
}

fn is_own(site: Option<&str>, origin: Option<&str>, own: &str) -> bool {
    match (site, origin) {
        (Some(site), _) => site == "same-origin",
        (None, Some("null") | None) => true,
        (None, Some(origin)) => origin.eq_ignore_ascii_case(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_the_browser_counts() {
        const OWN: &str = "https://idp.example.org";
        for (site, origin, expected) in [
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), None, true),
            (Some("same-site"), Some("null"), false),
            (Some("cross-site"), Some(OWN), false),
            (Some("none"), None, false),
            (Some("?"), Some(OWN), false),
            (None, Some(OWN), true),
            (None, Some("https://IDP.example.org"), true),
            (None, Some("https://idp.example.org.evil.example"), false),
            (None, Some("http://idp.example.org"), false),
            (None, Some("?"), false),
            // The token alone decides.
            (None, Some("null"), true),
            (None, None, true),
        ] {
            assert_eq!(is_own(site, origin, OWN), expected, "{site:?} {origin:?}");
        }
    }
}
