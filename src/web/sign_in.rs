//! `/sign-in`: the form, and what follows from it.
//!
//! Whoever asks for somebody to sign in leads to `/sign-in?request=HANDLE`; afterwards the browser is led to
//! `/oauth/authorize/continue?request=HANDLE`, without a handle to the person's account. The handle is sealed by whoever made it; here it is letters and digits that are
//! handed on to that one address, so nobody is led anywhere else. Nothing that was typed is shown again. Not here: who is
//! let in (see `app::people::sign_in`).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::app::people::login::Login;
use crate::app::people::sign_in::{Credentials, REFUSED, SignInRefusal};
use crate::audit::Action;
use crate::auth::secret::Secret;
use crate::auth::session_token::{CsrfToken, SessionToken};

use super::form::Form;
use super::layout::{error_summary, escape, page, see_other};
use super::refusal::{failed, refuse, unreadable};
use super::session::{FORM, SESSION, cookie, current, removal, set, token};
use super::{Desk, DeskData, account, context, csrf};

/// Of a handle; an authorization request that is longer is none.
const HANDLE_BYTES_MAX: usize = 6 * 1024;
/// Where a browser is led that has come with a handle.
const CONTINUE: &str = "/oauth/authorize/continue?request=";
/// The mark of a browser that has just signed out.
const SIGNED_OUT: &str = "signed-out";

/// What the form says beside its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    None,
    SignedOut,
    Refused,
    Incomplete,
}

pub async fn get(desk: DeskData, request: HttpRequest) -> HttpResponse {
    let handle = handle_of_query(&request);
    if handle.is_none() {
        match current(&request, &desk).await {
            Ok(Some(_)) => return see_other(&desk, account::PATH),
            Ok(None) => {}
            Err(error) => return failed(&desk, &request, &error),
        }
    }
    let is_signed_out = form_urlencoded::parse(request.query_string().as_bytes()).any(|(name, _)| name == SIGNED_OUT);
    let notice = if is_signed_out { Notice::SignedOut } else { Notice::None };
    let known = token(&request, FORM);
    let form = known.clone().unwrap_or_else(|| SessionToken::new((desk.app.clock.secret)()));
    let mut response = form_page(&desk, notice, &form.csrf(), handle.as_deref()).status(200).respond(&desk);
    if known.is_none() {
        set(&mut response, &[cookie(FORM, &form)]);
    }
    response
}

pub async fn post(desk: DeskData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let form = match Form::read(&request, payload, &desk).await {
        Ok(form) => form,
        Err(error) => return unreadable(&desk, &request, Action::SignIn, error).await,
    };
    let handle = Some(form.get("request")).filter(|handle| is_handle(handle)).map(str::to_owned);
    let own = token(&request, FORM).map(|token| token.csrf()).filter(|own| csrf::check(&request, &desk, &form, own));
    let Some(own) = own else {
        return refuse(&desk, &request, Action::SignIn, &form_path(handle.as_deref())).await;
    };
    let typed = ["login", "password", "code"].map(|name| form.get(name));
    if typed.iter().any(|text| text.trim().is_empty()) {
        let refused = super::refusal::audit(&desk, &request, Action::SignIn, 422, "incomplete").await;
        return match refused {
            Ok(()) => form_page(&desk, Notice::Incomplete, &own, handle.as_deref()).status(422).respond(&desk),
            Err(error) => failed(&desk, &request, &error),
        };
    }
    let [login, password, code] = typed;
    let given = Credentials {
        login: Login::typed(login),
        password: Secret::new(password.to_owned()),
        code: Secret::new(code.to_owned()),
    };
    let (ctx, previous) = (context(&request, &desk.app), token(&request, SESSION));
    let done = desk.run(move |app| app.sign_in(&ctx, &given, previous.as_ref())).await;
    match done.map_err(SignInRefusal::Failed).flatten() {
        Ok((session, _)) => begun(&desk, &session, handle.as_deref()),
        Err(SignInRefusal::Refused) => {
            form_page(&desk, Notice::Refused, &own, handle.as_deref()).status(REFUSED).respond(&desk)
        }
        Err(SignInRefusal::Throttled { retry_after_s }) => throttled(&desk, retry_after_s, handle.as_deref()),
        Err(SignInRefusal::Failed(error)) => failed(&desk, &request, &error),
    }
}

/// A session has begun: its cookie, and where it leads to.
fn begun(desk: &Desk, session: &SessionToken, handle: Option<&str>) -> HttpResponse {
    let path = handle.map_or_else(|| account::PATH.to_owned(), |handle| format!("{CONTINUE}{handle}"));
    let mut response = see_other(desk, &path);
    set(&mut response, &[cookie(SESSION, session), removal(FORM)]);
    response
}

/// The handle of the address, if it could be one.
fn handle_of_query(request: &HttpRequest) -> Option<String> {
    let mut handles = form_urlencoded::parse(request.query_string().as_bytes()).filter(|(name, _)| name == "request");
    let (_, handle) = handles.next()?;
    (handles.next().is_none() && is_handle(&handle)).then(|| handle.into_owned())
}

/// Where the form is, with the handle that it was opened with.
fn form_path(handle: Option<&str>) -> String {
    handle.map_or_else(|| "/sign-in".to_owned(), |handle| format!("/sign-in?request={handle}"))
}

/// Letters of base64url: such a text is one value in an address and in HTML.
fn is_handle(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=HANDLE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_letter)
}

fn form_page(desk: &Desk, notice: Notice, own: &CsrfToken, handle: Option<&str>) -> super::layout::Page {
    let (said, marks) = match notice {
        Notice::None => (String::new(), ""),
        Notice::SignedOut => ("<p role=\"status\">You have signed out.</p>\n".to_owned(), ""),
        Notice::Refused => (refused_summary(), " aria-invalid=\"true\""),
        Notice::Incomplete => (incomplete_summary(), ""),
    };
    let described = if said.contains("id=\"problem\"") { "problem" } else { "" };
    let request = handle.map_or_else(String::new, |handle| {
        format!("<input type=\"hidden\" name=\"request\" value=\"{}\">", escape(handle))
    });
    let title = if described.is_empty() { "Sign in" } else { "Problem: Sign in" };
    let by = |hint: &str| match [described, hint].join(" ").trim() {
        "" => String::new(),
        ids => format!(" aria-describedby=\"{ids}\""),
    };
    let body = format!(
        "<h1>Sign in</h1>\n{said}\
         <form method=\"post\" action=\"{root}/sign-in\">{csrf}{request}\n\
         <label for=\"login\">Login</label>\n\
         <input id=\"login\" name=\"login\" type=\"text\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" required{marks}{plain}>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{marks}{plain}>\n\
         <label for=\"code\">One-time code</label>\n\
         <p class=\"hint\" id=\"code-hint\">Six digits from your authenticator app.</p>\n\
         <input id=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" autocomplete=\"one-time-code\" \
         maxlength=\"10\" required{marks}{hinted}>\n\
         <button type=\"submit\">Sign in</button></form>\n",
        root = escape(&desk.root),
        csrf = csrf::field(own),
        plain = by(""),
        hinted = by("code-hint"),
    );
    page(title, body)
}

fn refused_summary() -> String {
    error_summary(
        "That did not work",
        &[
            ("login", "Check your login."),
            ("password", "Check your password."),
            ("code", "Use a new code: each one works once."),
        ],
    )
}

fn incomplete_summary() -> String {
    error_summary("Something is missing", &[("login", "Fill in login, password and code.")])
}

fn throttled(desk: &Desk, retry_after_s: u64, handle: Option<&str>) -> HttpResponse {
    let wait = match retry_after_s {
        0..=1 => "a second".to_owned(),
        2..=90 => format!("{retry_after_s} seconds"),
        _ => format!("{} minutes", retry_after_s.div_ceil(60)),
    };
    let body = format!(
        "<h1>Please wait</h1>\n\
         <div class=\"problem\" role=\"alert\"><h2>Too many attempts have failed</h2>\
         <p>Nothing was checked. Try again in {wait}.</p></div>\n\
         <p class=\"note\">If you have forgotten your password or lost your authenticator, ask whoever gave you your login.</p>\n\
         <p><a href=\"{root}{again}\">Back to the form</a></p>\n",
        root = escape(&desk.root),
        again = form_path(handle),
    );
    page("Please wait", body).status(429).retry_after(retry_after_s).respond(desk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_one_value_wherever_it_stands() {
        assert!(is_handle("AbC-_019"));
        let long = "A".repeat(HANDLE_BYTES_MAX + 1);
        for text in ["", "a b", "a%20b", "a/b", "//evil.example", "a&b=c", "a\r\nSet-Cookie", "ä", "a=", long.as_str()]
        {
            assert!(!is_handle(text), "{text}");
        }
    }
}
