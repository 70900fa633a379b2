//! Signing out at the wish of an app (OpenID Connect RP-Initiated Logout 1.0).
//!
//! An identity token that was issued here to a client, of the very person who is signed in, is word enough; otherwise the
//! person is asked. Afterwards somebody is sent only to an address that this client has registered for it. Not here: ending the
//! session itself (see `app::people`), pages.

use crate::app::App;
use crate::app::context::Context;
use crate::audit::{Action, AuditRecord};
use crate::auth::authorization_request;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::jws;
use crate::auth::oauth_form::Form;
use crate::auth::redirect_uri::with_answer;
use crate::store::client::ClientRow;

use super::account::note_client;
use super::audit_of;
use super::keys::Use;

/// What becomes of the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndSession {
    /// The session ends; afterwards the person goes to the address, if there is one.
    Ended(Option<String>),
    /// The person is asked first.
    Ask,
}

/// What an identity token says of who wishes it.
struct Hint {
    subject: String,
    client: ClientRow,
}

const TEXT: &str = "The request to sign out is not as it must be.";

impl App {
    /// Judges the wish of an app that whoever is signed in, `account_id`, be signed out.
    ///
    /// # Errors
    /// What the person is told.
    pub fn end_session(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        account_id: Option<&str>,
    ) -> Result<EndSession, Refusal> {
        let mut audit = audit_of(ctx, Action::EndSession);
        let result = self.judge_end_session(ctx, pairs, account_id, &mut audit);
        self.end(ctx, audit, result)
    }

    fn judge_end_session(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        account_id: Option<&str>,
        audit: &mut AuditRecord,
    ) -> Result<EndSession, Refusal> {
        let form = Form::of(pairs)?;
        let Some(hint) = form.get("id_token_hint") else { return Ok(EndSession::Ask) };
        let hint = self.read_hint(ctx, hint)?;
        audit.caller.clone_from(&hint.client.client_id);
        note_client(&mut audit.detail, &hint.client);
        if form.get("client_id").is_some_and(|named| named != hint.client.client_id) {
            return Err(Refusal::new(OAuthError::InvalidRequest, TEXT, Reason::ParameterInvalid("client_id")));
        }
        let address = form.get("post_logout_redirect_uri");
        let registered = ClientRow::uris(&hint.client.logout_uris);
        if address.is_some_and(|address| !registered.iter().any(|uri| uri == address)) {
            let reason = Reason::ParameterInvalid("post_logout_redirect_uri");
            return Err(Refusal::new(OAuthError::InvalidRequest, TEXT, reason));
        }
        if account_id.is_some_and(|account_id| account_id != hint.subject) {
            return Ok(EndSession::Ask);
        }
        let state = authorization_request::state(pairs);
        let address = address.map(|address| match state {
            Some(state) => with_answer(address, &[("state", state)]),
            None => address.to_owned(),
        });
        Ok(EndSession::Ended(address))
    }

    /// Reads an identity token of this server, an expired one too: it is the person's who was signed in then.
    fn read_hint(&self, ctx: &Context, text: &str) -> Result<Hint, Refusal> {
        let refuse = || Refusal::new(OAuthError::InvalidRequest, TEXT, Reason::ParameterInvalid("id_token_hint"));
        let token = jws::parse(text).map_err(|_| refuse())?;
        let ring = self.identity_keys(ctx.now_us)?;
        let keys = ring.own_at(Use::IdentityTokens, ctx.now_us);
        let key = keys.iter().find(|key| token.header.kid.as_deref() == Some(key.kid.as_str()));
        let verified = token.verify(&key.ok_or_else(refuse)?.key).map_err(|_| refuse())?;
        let claim = |name: &str| verified.claims.get(name).and_then(serde_json::Value::as_str);
        if claim("iss") != Some(self.authorization.endpoints.issuer.as_str()) {
            return Err(refuse());
        }
        let client_id = claim("aud").ok_or_else(refuse)?;
        let client =
            self.find_active_client(client_id).map_err(|refusal| refusal.as_code(OAuthError::InvalidRequest))?;
        Ok(Hint { subject: claim("sub").ok_or_else(refuse)?.to_owned(), client })
    }
}
