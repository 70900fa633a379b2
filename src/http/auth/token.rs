//! `POST /oauth/token` (RFC 6749 §3.2), `POST /oauth/revoke` (RFC 7009), `POST /oauth/introspect` (RFC 7662).

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::app::auth::token::OfPerson;
use crate::audit::Action;

use super::super::extract::AppData;
use super::answer;
use super::request::with_form;

pub async fn issue(app: AppData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let issued = with_form(&app, &request, payload, Action::IssueToken, |app, ctx, pairs, header| {
        app.issue_token(ctx, pairs, header)
    });
    match issued.await {
        Ok(token) => {
            let mut document = json!({
                "access_token": token.access_token,
                "token_type": "Bearer",
                "expires_in": token.expires_in_s,
                "scope": token.scope,
            });
            if let Some(person) = &token.of_person {
                add_person(&mut document, person);
            }
            answer::document(200, &document)
        }
        Err(refused) => refused,
    }
}

/// What comes with a token for a person (SMART App Launch 2.2). An app may show data of other patients beside, so it shows
/// whose these are.
fn add_person(document: &mut Value, person: &OfPerson) {
    let texts =
        [("refresh_token", &person.refresh_token), ("id_token", &person.id_token), ("patient", &person.patient)];
    for (name, text) in texts {
        if let Some(text) = text {
            document[name] = json!(text);
        }
    }
    if person.patient.is_some() {
        document["need_patient_banner"] = json!(true);
    }
}

pub async fn revoke(app: AppData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let revoked = with_form(&app, &request, payload, Action::RevokeToken, |app, ctx, pairs, header| {
        app.revoke_token(ctx, pairs, header)
    });
    match revoked.await {
        Ok(()) => answer::document(200, &json!({})),
        Err(refused) => refused,
    }
}

pub async fn introspect(app: AppData, request: HttpRequest, payload: Payload) -> HttpResponse {
    let introspected = with_form(&app, &request, payload, Action::IntrospectToken, |app, ctx, pairs, header| {
        app.introspect_token(ctx, pairs, header)
    });
    match introspected.await {
        Ok(document) => answer::document(200, &document),
        Err(refused) => refused,
    }
}
