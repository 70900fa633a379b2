//! `/oauth/logout`: an app sends somebody here to be signed out (OpenID Connect RP-Initiated Logout 1.0).
//!
//! Not here: whether the app's word is enough (see `app::auth::end_session`).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::app::auth::end_session::EndSession;
use crate::audit::Action;

use super::authorize::{leave, refused};
use super::form::Form;
use super::layout::{page, see_other};
use super::refusal::{failed, unreadable};
use super::session::{SESSION, current, removal, set};
use super::{Desk, DeskData, context};

pub async fn get(desk: DeskData, request: HttpRequest) -> HttpResponse {
    let pairs = form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    end(&desk, &request, pairs).await
}

pub async fn post(desk: DeskData, request: HttpRequest, payload: Payload) -> HttpResponse {
    match Form::read(&request, payload, &desk).await {
        Ok(form) => end(&desk, &request, form.pairs()).await,
        Err(error) => unreadable(&desk, &request, Action::EndSession, error).await,
    }
}

async fn end(desk: &Desk, request: &HttpRequest, pairs: Vec<(String, String)>) -> HttpResponse {
    let session = match current(request, desk).await {
        Ok(session) => session,
        Err(error) => return failed(desk, request, &error),
    };
    let (ctx, account) = (context(request, &desk.app), session.as_ref().map(|(_, one)| one.account_id.clone()));
    let address = match desk.run(move |app| app.end_session(&ctx, &pairs, account.as_deref())).await {
        Ok(Ok(EndSession::Ended(address))) => address,
        Ok(Ok(EndSession::Ask)) => return see_other(desk, "/sign-in"),
        Ok(Err(refusal)) => return refused(desk, &refusal),
        Err(error) => return failed(desk, request, &error),
    };
    if let Some((token, _)) = session {
        let ctx = context(request, &desk.app);
        if let Err(error) = desk.run(move |app| app.sign_out(&ctx, &token)).await.flatten() {
            return failed(desk, request, &error);
        }
    }
    let mut response = match address {
        Some(address) => leave(&address),
        None => page("Signed out", "<h1>You have signed out</h1>\n".to_owned()).respond(desk),
    };
    set(&mut response, &[removal(SESSION)]);
    response
}
