//! Who has signed in, told to the app that holds the person's token (OpenID Connect Core 5.3).
//!
//! The same as in the identity token. Not here: reading tokens (see `verify`).

use serde_json::{Value, json};

use crate::app::App;
use crate::app::context::Context;
use crate::audit::Action;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::oauth_form::Header;
use crate::auth::scope::Plain;

use super::account::note_grant;
use super::audit_of;
use super::person_tokens::told_of;

impl App {
    /// Answers a request for what is told of the person.
    ///
    /// # Errors
    /// `invalid_token`; `insufficient_scope` for a token without `openid`.
    pub fn user_info(&self, ctx: &Context, header: &Header) -> Result<Value, Refusal> {
        let mut audit = audit_of(ctx, Action::UserInfo);
        let result = self.granted_for_user_info(ctx, header).and_then(|grant| {
            audit.caller.clone_from(&grant.client_id);
            note_grant(&mut audit.detail, &grant);
            let account_id = grant.subject.as_deref().unwrap_or_default();
            let account = self.active_account(account_id).map_err(|refusal| match refusal.code {
                OAuthError::InvalidGrant => Refusal::new(OAuthError::InvalidToken, TEXT, refusal.log),
                _ => refusal,
            })?;
            let mut claims = told_of(&grant, &account);
            claims.insert("sub".to_owned(), json!(account_id));
            claims.extend(self.fhir_user(&grant).map(|url| ("fhirUser".to_owned(), json!(url))));
            Ok(Value::Object(claims))
        });
        self.end(ctx, audit, result)
    }

    fn granted_for_user_info(
        &self,
        ctx: &Context,
        header: &Header,
    ) -> Result<crate::auth::access_token::Grant, Refusal> {
        let Header::Bearer(token) = header else {
            return Err(Refusal::new(OAuthError::InvalidToken, TEXT, Reason::ParameterMissing("Authorization")));
        };
        let grant = self.verify_access_token(token, ctx.now_us)?.grant;
        if grant.subject.is_none() || !grant.scopes.holds(Plain::OpenId) {
            let text = "The token was not granted for the scope openid.";
            return Err(Refusal::new(OAuthError::InsufficientScope, text, Reason::ScopeTooSmall));
        }
        Ok(grant)
    }
}

const TEXT: &str = "The access token is not accepted.";
