//! `POST /sign-out`: the end of a session.
//!
//! Not here: ending sessions of others, which is the operator's (`idi-match user disable`, `reset`).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::audit::Action;

use super::form::Form;
use super::layout::see_other;
use super::refusal::{failed, refuse, unreadable};
use super::session::{SESSION, removal, set, token};
use super::{DeskData, context, csrf};

pub async fn post(desk: DeskData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let form = match Form::read(&request, payload, &desk).await {
        Ok(form) => form,
        Err(error) => return unreadable(&desk, &request, Action::SignOut, error).await,
    };
    // Of a session that has ended the cookie is left, and the token of its forms is as good as before.
    let own = token(&request, SESSION).filter(|token| csrf::check(&request, &desk, &form, &token.csrf()));
    let Some(own) = own else { return refuse(&desk, &request, Action::SignOut, "/sign-in").await };
    let ctx = context(&request, &desk.app);
    let done = desk.run(move |app| app.sign_out(&ctx, &own)).await.flatten();
    if let Err(error) = done {
        return failed(&desk, &request, &error);
    }
    let mut response = see_other(&desk, "/sign-in?signed-out");
    set(&mut response, &[removal(SESSION)]);
    response
}
