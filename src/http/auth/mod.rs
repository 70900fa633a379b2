//! The authorization server over HTTP: discovery, registration, tokens.
//!
//! A handler reads the request, calls one function of `app::auth` and renders. Answers and errors are the JSON of RFC
//! 6749, 7591 and 7662, and nobody keeps them. Not here: rules, FHIR.

mod answer;
mod discovery;
mod register;
mod request;
mod token;
mod user_info;

use actix_web::web::ServiceConfig;

use super::route::{Row, at};

pub fn routes(config: &mut ServiceConfig) {
    for row in rows() {
        config.service(row.closed());
    }
}

/// The addresses; those of discovery stand below the FHIR base (FAST Security 2.1).
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        at("/fhir/.well-known/udap").get(discovery::udap),
        at("/fhir/.well-known/smart-configuration").get(discovery::smart),
        at("/.well-known/udap").get(discovery::issuer_udap),
        at("/.well-known/openid-configuration").get(discovery::open_id),
        at("/oauth/jwks").get(discovery::keys),
        at("/oauth/register").post(register::post),
        at("/oauth/token").post(token::issue),
        at("/oauth/userinfo").get(user_info::tell).post(user_info::tell),
        at("/oauth/revoke").post(token::revoke),
        at("/oauth/introspect").post(token::introspect),
    ]
}
