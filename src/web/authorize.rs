//! `/oauth/authorize` and `/oauth/authorize/continue`: an app's request, the question, the answer, and the way back.
//!
//! The request is judged without looking at cookies, because a form of another site comes without them; then the browser is led
//! on by its handle. Every way on is 303: a browser goes there with GET and takes nothing of a form along (RFC 9700 §4.12).
//! Not here: what comes next (see `app::auth::authorize`), the question's page (see `consent`).

use actix_web::http::header::{CACHE_CONTROL, LOCATION, PRAGMA, REFERRER_POLICY};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::app::auth::authorize::{Answer, Begun, Next};
use crate::app::people::session::Session;
use crate::audit::Action;
use crate::auth::error::{OAuthError, Refusal};

use super::form::{Form, FormError};
use super::layout::{Page, escape, page, see_other};
use super::refusal::{failed, refuse, unreadable};
use super::session::current;
use super::{Desk, DeskData, consent, context, csrf};

const CONTINUE: &str = "/oauth/authorize/continue?request=";
/// The same limit as of the page to sign in, which hands a handle on.
const HANDLE_BYTES_MAX: usize = 6 * 1024;

pub async fn get(desk: DeskData, request: HttpRequest) -> HttpResponse {
    let pairs = form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    begin(&desk, &request, pairs).await
}

pub async fn post(desk: DeskData, request: HttpRequest, payload: Payload) -> HttpResponse {
    match Form::read(&request, payload, &desk).await {
        Ok(form) => begin(&desk, &request, form.pairs()).await,
        Err(error) => unreadable(&desk, &request, Action::Authorize, error).await,
    }
}

async fn begin(desk: &Desk, request: &HttpRequest, pairs: Vec<(String, String)>) -> HttpResponse {
    let ctx = context(request, &desk.app);
    match desk.run(move |app| app.begin_authorization(&ctx, &pairs)).await {
        Ok(Ok(Begun::Handle(handle))) => see_other(desk, &format!("{CONTINUE}{handle}")),
        Ok(Ok(Begun::Address(address))) => leave(&address),
        Ok(Err(refusal)) => refused(desk, &refusal),
        Err(error) => failed(desk, request, &error),
    }
}

/// What comes next for the request behind the handle.
pub async fn proceed(desk: DeskData, request: HttpRequest) -> HttpResponse {
    let session = match current(&request, &desk).await {
        Ok(session) => session.map(|(_, session)| session),
        Err(error) => return failed(&desk, &request, &error),
    };
    let handle = handle_of(form_urlencoded::parse(request.query_string().as_bytes()).into_owned());
    let (ctx, asked) = (context(&request, &desk.app), handle.clone());
    let by = session.as_ref().map(|session| session.authentication.clone());
    let next = desk.run(move |app| app.continue_authorization(&ctx, &asked, by.as_ref())).await;
    match next {
        Ok(Ok(next)) => go_on(&desk, next, &handle, session.as_ref()),
        Ok(Err(refusal)) => refused(&desk, &refusal),
        Err(error) => failed(&desk, &request, &error),
    }
}

/// The person's answer.
pub async fn answer(desk: DeskData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let form = match Form::read(&request, payload, &desk).await {
        Ok(form) => form,
        Err(error) => return unreadable(&desk, &request, Action::Authorize, error).await,
    };
    let handle = handle_of(form.pairs().into_iter());
    let session = match current(&request, &desk).await {
        Ok(session) => session.map(|(_, session)| session),
        Err(error) => return failed(&desk, &request, &error),
    };
    let session = session.filter(|session| csrf::check(&request, &desk, &form, &session.csrf));
    let Some(session) = session else {
        return refuse(&desk, &request, Action::Authorize, &format!("{CONTINUE}{handle}")).await;
    };
    let answer = match form.get(consent::FIELD) {
        consent::ALLOW => Answer::Allow,
        consent::DENY => Answer::Deny,
        _ => return unreadable(&desk, &request, Action::Authorize, FormError::Malformed).await,
    };
    let (ctx, asked, by) = (context(&request, &desk.app), handle.clone(), session.authentication.clone());
    match desk.run(move |app| app.answer_authorization(&ctx, &asked, &by, answer)).await {
        Ok(Ok(next)) => go_on(&desk, next, &handle, Some(&session)),
        Ok(Err(refusal)) => refused(&desk, &refusal),
        Err(error) => failed(&desk, &request, &error),
    }
}

fn go_on(desk: &Desk, next: Next, handle: &str, session: Option<&Session>) -> HttpResponse {
    match (next, session) {
        (Next::Address(address), _) => leave(&address),
        (Next::Tell(address), _) => nothing_to_grant(&address).respond(desk),
        (Next::Ask(question), Some(session)) => consent::page_of(desk, &question, handle, session).respond(desk),
        (Next::SignIn | Next::Ask(_), _) => see_other(desk, &format!("/sign-in?request={handle}")),
    }
}

/// The handle of a request: letters of base64url; whatever else is there is none.
fn handle_of(pairs: impl Iterator<Item = (String, String)>) -> String {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut handles = pairs.filter(|(name, _)| name == "request").map(|(_, handle)| handle);
    let handle = handles.next().filter(|handle| handle.len() <= HANDLE_BYTES_MAX && handle.bytes().all(is_letter));
    handle.unwrap_or_default()
}

/// Leads back to the app; the address was proven to be the app's.
pub fn leave(address: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, address))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// The account has nothing of what the app asks for.
fn nothing_to_grant(address: &str) -> Page {
    let title = "This app cannot be allowed";
    let body = format!(
        "<h1>{title}</h1>\n<p>Your account has nothing of what the app asks for. Nothing was shared.</p>\n\
         <p><a href=\"{}\">Back to the app</a></p>\n",
        escape(address)
    );
    page(title, body).status(403)
}

/// Nobody can be led back, so the person is told here.
pub fn refused(desk: &Desk, refusal: &Refusal) -> HttpResponse {
    let status = refusal.code.status();
    let (title, advice) = match refusal.code {
        OAuthError::ServerError | OAuthError::TemporarilyUnavailable => {
            ("This does not work at the moment", "Please try again in a little while.")
        }
        _ => (
            "This request cannot be accepted",
            "Nothing was shared. If the app keeps sending you here, tell its makers.",
        ),
    };
    let detail = refusal.log.subject().map_or_else(String::new, |subject| format!(" ({})", escape(subject)));
    let body = format!(
        "<h1>{title}</h1>\n<div class=\"problem\" role=\"alert\"><p>{}{detail}</p></div>\n<p>{advice}</p>\n",
        escape(refusal.description)
    );
    page(title, body).status(status).respond(desk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_letters_and_whatever_else_is_none() {
        let of = |value: &str| handle_of([("request".to_owned(), value.to_owned())].into_iter());
        assert_eq!(of("AbC-_09"), "AbC-_09");
        for value in ["a b", "a/b", "a\"b", &"a".repeat(HANDLE_BYTES_MAX + 1)] {
            assert_eq!(of(value), "", "{value}");
        }
    }
}
