//! Pages that say why something was not done.
//!
//! Each has its audit row first. A page says what a person can do now, and nothing of what the server knows. Not here: what a
//! refused sign-in looks like, which is its form again (see `sign_in`).

use actix_web::{HttpRequest, HttpResponse};

use crate::app::error::AppError;
use crate::audit::Action;

use super::form::FormError;
use super::layout::{escape, page};
use super::{Desk, context};

/// Seconds after which a busy server may be asked again.
const RETRY_AFTER_S: u64 = 2;

/// Notes that a request was refused before anything was looked at.
///
/// # Errors
/// Those of the database.
pub async fn audit(
    desk: &Desk,
    request: &HttpRequest,
    action: Action,
    status: u16,
    reason: &'static str,
) -> Result<(), AppError> {
    let ctx = context(request, &desk.app);
    desk.run(move |app| app.refuse_page(&ctx, action, status, reason)).await?
}

/// A form that is not this server's own, or not of this browser.
pub async fn refuse(desk: &Desk, request: &HttpRequest, action: Action, again: &str) -> HttpResponse {
    if let Err(error) = audit(desk, request, action, 403, "foreign-form").await {
        return failed(desk, request, &error);
    }
    let body = format!(
        "<h1>Please try again</h1>\n\
         <p>This form could not be accepted: it was opened too long ago or in another window, or your browser does not keep \
         this site’s cookies.</p>\n<p><a href=\"{}{}\">Open it again</a></p>\n",
        escape(&desk.root),
        escape(again)
    );
    page("Please try again", body).status(403).respond(desk)
}

/// A form that cannot be read.
pub async fn unreadable(desk: &Desk, request: &HttpRequest, action: Action, error: FormError) -> HttpResponse {
    if let Err(error) = audit(desk, request, action, error.status(), "unreadable-form").await {
        return failed(desk, request, &error);
    }
    let body = format!(
        "<h1>This form cannot be read</h1>\n<p><a href=\"{}/sign-in\">Open the sign-in page</a></p>\n",
        escape(&desk.root)
    );
    page("This form cannot be read", body).status(error.status()).respond(desk)
}

/// The server could not do it now.
pub fn failed(desk: &Desk, request: &HttpRequest, error: &AppError) -> HttpResponse {
    let status = error.kind.status();
    let id = context(request, &desk.app).request_id;
    let body = format!(
        "<h1>This does not work at the moment</h1>\n\
         <div class=\"problem\" role=\"alert\"><p>The server is busy or its database is away. Nothing was changed by you; \
         please try again in a little while.</p></div>\n<p class=\"note\">If you report this, say when it was, and this \
         number: {}</p>\n",
        escape(&id)
    );
    let page = page("This does not work at the moment", body).status(status);
    if status == 503 { page.retry_after(RETRY_AFTER_S).respond(desk) } else { page.respond(desk) }
}
