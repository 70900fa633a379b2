//! The cookies: of a session, and of a form before there is a session.
//!
//! `__Host-` (RFC 6265bis section 4.1.3.2): set by this host alone, for all of it, sent by https alone, so that no neighbour can
//! plant one. No script reads them, and other sites' forms come without them. Browsers take http to 127.0.0.1 and localhost for
//! as good as https, so there is no weaker cookie anywhere. Not here: what a session is (see `app::people::session`).

use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};

use zeroize::Zeroizing;

use crate::app::error::AppError;
use crate::app::people::session::Session;
use crate::auth::session_token::SessionToken;

use super::{Desk, context};

pub const SESSION: &str = "__Host-session";
pub const FORM: &str = "__Host-form";
const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";
/// Room for other hosts' cookies that came along.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The session of a request's cookie, while it lasts.
///
/// # Errors
/// Those of the database, and `Overloaded`.
pub async fn current(request: &HttpRequest, desk: &Desk) -> Result<Option<(SessionToken, Session)>, AppError> {
    let Some(token) = token(request, SESSION) else { return Ok(None) };
    let ctx = context(request, &desk.app);
    let of = token.clone();
    let session = desk.run(move |app| app.session(&ctx, &of)).await??;
    Ok(session.map(|session| (token, session)))
}

/// The token of a cookie; one that is there twice is none, for only one of them is this server's.
#[must_use]
pub fn token(request: &HttpRequest, name: &str) -> Option<SessionToken> {
    let lines = request.headers().get_all(COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.filter(|line| line.len() <= HEADER_BYTES_MAX).flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => SessionToken::parse(value),
        _ => None,
    }
}

/// What a browser is told of a cookie.
#[derive(Clone)]
pub struct SetCookie(Zeroizing<String>);

/// Hands a token to the browser, until that is closed.
#[must_use]
pub fn cookie(name: &str, token: &SessionToken) -> SetCookie {
    SetCookie(Zeroizing::new(format!("{name}={}{ATTRIBUTES}", token.expose().as_str())))
}

/// Takes a cookie back.
#[must_use]
pub fn removal(name: &str) -> SetCookie {
    SetCookie(Zeroizing::new(format!("{name}={ATTRIBUTES}; Max-Age=0")))
}

/// Tells the browser.
pub fn set(response: &mut HttpResponse, cookies: &[SetCookie]) {
    for SetCookie(text) in cookies {
        if let Ok(mut value) = HeaderValue::from_str(text) {
            value.set_sensitive(true);
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_cookie_that_is_there_twice_or_misspelt_is_none() {
        let token_of = |lines: &[&str]| {
            let request =
                lines.iter().fold(TestRequest::default(), |request, line| request.append_header((COOKIE, *line)));
            token(&request.to_http_request(), SESSION)
        };
        let token = SessionToken::new([7; 32]);
        let own = format!("{SESSION}={}", token.expose().as_str());
        assert_eq!(token_of(&[&format!("a=b; {own}; c=d")]), Some(token));
        let twice = format!("{own}; {own}");
        let quoted = format!("{SESSION}=\"{}\"", &own[SESSION.len() + 1..]);
        for lines in
            [&[][..], &[twice.as_str()], &[own.as_str(), own.as_str()], &[quoted.as_str()], &["__host-session=x"]]
        {
            assert_eq!(token_of(lines), None, "{lines:?}");
        }
    }
}
