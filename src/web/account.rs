//! `/account`: who is signed in, the apps that they have allowed something, and taking that back.
//!
//! An app is shown in the words of the question that was asked about it (see `consent`). Not here: what ends when something
//! is taken back (see `app::auth::allowed_apps`).

use std::fmt::Write as _;

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::app::auth::allowed_apps::{AllowedApp, AllowedApps, Lasting, Rest, Standing, TakenBack, Which};
use crate::app::people::session::Session;
use crate::audit::Action;
use crate::auth::scope::Scopes;

use super::authorize::refused;
use super::form::{Form, FormError};
use super::layout::{Page, escape, minute, page, see_other};
use super::refusal::{failed, refuse, unreadable};
use super::session::current;
use super::{Desk, DeskData, consent, context, csrf};

pub const PATH: &str = "/account";
/// The field with the handle of an app.
const APP: &str = "app";
/// The field of whoever takes back everything.
const ALL: &str = "all";

/// The mark of a browser that comes from a form, and what it is told.
const NOTICES: [(&str, TakenBack, &str); 3] = [
    ("taken-back", TakenBack::App, "It was taken back. The apps that still have access are listed below."),
    ("all-taken-back", TakenBack::All, "You have taken everything back. No app has access any more."),
    ("nothing-taken-back", TakenBack::Nothing, "Nothing was taken back. What has access is listed below."),
];

pub async fn get(desk: DeskData, request: HttpRequest) -> HttpResponse {
    let session = match current(&request, &desk).await {
        Ok(Some((_, session))) => session,
        Ok(None) => return see_other(&desk, "/sign-in"),
        Err(error) => return failed(&desk, &request, &error),
    };
    let (ctx, account_id) = (context(&request, &desk.app), session.account_id.clone());
    match desk.run(move |app| app.allowed_apps(&ctx, &account_id)).await {
        Ok(Ok(allowed)) => {
            page_of(&desk, &session, &allowed, notice_of(request.query_string(), &allowed)).respond(&desk)
        }
        Ok(Err(refusal)) => refused(&desk, &refusal),
        Err(error) => failed(&desk, &request, &error),
    }
}

pub async fn post(desk: DeskData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let form = match Form::read(&request, payload, &desk).await {
        Ok(form) => form,
        Err(error) => return unreadable(&desk, &request, Action::RevokeToken, error).await,
    };
    let session = match current(&request, &desk).await {
        Ok(session) => session.map(|(_, session)| session),
        Err(error) => return failed(&desk, &request, &error),
    };
    let session = session.filter(|session| csrf::check(&request, &desk, &form, &session.csrf));
    let Some(session) = session else { return refuse(&desk, &request, Action::RevokeToken, PATH).await };
    let which = match (form.get(APP), form.get(ALL)) {
        ("", "") => return unreadable(&desk, &request, Action::RevokeToken, FormError::Malformed).await,
        ("", _) => Which::All,
        (handle, _) => Which::App(handle.to_owned()),
    };
    let ctx = context(&request, &desk.app);
    match desk.run(move |app| app.take_back(&ctx, &session.account_id, &which)).await {
        Ok(Ok(taken)) => see_other(&desk, &path_after(taken)),
        Ok(Err(refusal)) => refused(&desk, &refusal),
        Err(error) => failed(&desk, &request, &error),
    }
}

fn path_after(taken: TakenBack) -> String {
    let mark = NOTICES.iter().find(|(_, of, _)| *of == taken).map_or("", |(mark, ..)| mark);
    format!("{PATH}?{mark}")
}

/// Anybody can make up an address: that no app has access is said only when none has.
fn notice_of(query: &str, allowed: &AllowedApps) -> &'static str {
    let notice = NOTICES.iter().find(|(mark, ..)| *mark == query);
    notice.filter(|(_, of, _)| *of != TakenBack::All || allowed.apps.is_empty()).map_or("", |(.., text)| text)
}

fn page_of(desk: &Desk, session: &Session, allowed: &AllowedApps, notice: &str) -> Page {
    let said = if notice.is_empty() { String::new() } else { format!("<p role=\"status\">{notice}</p>\n") };
    let body = format!(
        "<h1>Your account</h1>\n{said}\
         <dl><dt>Signed in since</dt><dd>{since} UTC</dd><dt>You will be signed out at the latest</dt><dd>{until} UTC</dd>\
         <dt>Identity verified at level</dt><dd>{level}</dd></dl>\n\
         <form method=\"post\" action=\"{root}/sign-out\">{csrf}\
         <button type=\"submit\" class=\"plain\">Sign out</button></form>\n\
         <h2>Apps with access</h2>\n{apps}",
        since = minute(session.authentication.time_us),
        until = minute(session.expires_us),
        level = session.authentication.idial.name(),
        root = escape(&desk.root),
        csrf = csrf::field(&session.csrf),
        apps = list(desk, session, allowed),
    );
    page("Your account", body)
}

fn list(desk: &Desk, session: &Session, allowed: &AllowedApps) -> String {
    if allowed.apps.is_empty() {
        return "<p>No app has access to anything of yours here.</p>\n".to_owned();
    }
    let mut html = String::new();
    for (number, app) in (1..).zip(&allowed.apps) {
        html.push_str(&section(desk, session, app, number));
    }
    if allowed.rest == Rest::LeftOut {
        html.push_str(
            "<p class=\"note\">There are more than fit on this page. Taking access back from all apps includes those.</p>\n",
        );
    }
    let _ = writeln!(
        html,
        "<form method=\"post\" action=\"{root}{PATH}\">{csrf}<input type=\"hidden\" name=\"{ALL}\" value=\"{ALL}\">\
         <button type=\"submit\" class=\"plain\">Take access back from all apps</button></form>",
        root = escape(&desk.root),
        csrf = csrf::field(&session.csrf),
    );
    html
}

fn section(desk: &Desk, session: &Session, app: &AllowedApp, number: usize) -> String {
    let organization = &desk.app.config.organization.name;
    let blocked = match app.standing {
        Standing::Active => String::new(),
        Standing::Blocked => "<p>At the moment this app is not let in here.</p>\n".to_owned(),
    };
    format!(
        "<section aria-labelledby=\"app-{number}\"><h3 id=\"app-{number}\">{name}</h3>\n{blocked}{scopes}\
         <dl><dt>Allowed since</dt><dd>{since} UTC</dd><dt>Until</dt><dd>{until} UTC{lasting}</dd>\
         <dt>Its answers go to</dt><dd>{hosts}</dd><dt>How the app is known here</dt><dd>{known}</dd></dl>\n\
         <form method=\"post\" action=\"{root}{PATH}\">{csrf}<input type=\"hidden\" name=\"{APP}\" value=\"{handle}\">\
         <button type=\"submit\" class=\"plain\">Take access back from {name}</button></form></section>\n",
        name = escape(&app.name),
        scopes = scopes(app.scopes.as_ref()),
        since = minute(app.since_us),
        until = minute(app.until_us),
        lasting = match app.lasting {
            Lasting::Offline => ", also while you are not using it",
            Lasting::Online => "",
        },
        hosts = escape(&app.hosts.join(", ")),
        known = escape(&consent::known_by(&app.known_by, organization)),
        root = escape(&desk.root),
        csrf = csrf::field(&session.csrf),
        handle = escape(&app.handle),
    )
}

fn scopes(scopes: Option<&Scopes>) -> String {
    match scopes.filter(|scopes| !scopes.is_empty()) {
        Some(scopes) => format!("<p>It may:</p>\n{}\n", consent::list(scopes)),
        None => "<p>What it may do cannot be shown at the moment.</p>\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_form_is_told_and_nothing_else_of_an_address() {
        let nothing = AllowedApps { apps: Vec::new(), rest: Rest::None };
        for (mark, taken, text) in NOTICES {
            assert_eq!(path_after(taken), format!("{PATH}?{mark}"));
            assert_eq!(notice_of(mark, &nothing), text);
        }
        for query in ["", "taken-back&x=1", "<b>", "all"] {
            assert_eq!(notice_of(query, &nothing), "", "{query}");
        }
    }
}
