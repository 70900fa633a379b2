//! Revocation: a client takes back a token of its own (RFC 7009).
//!
//! What is no token, or none any more, is revoked already and answered so. Not here: reading tokens (see `verify`).

use crate::app::App;
use crate::app::context::Context;
use crate::audit::Action;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::oauth_form::{Form, Header};
use crate::store::transaction;
use crate::store::{access_token, token_family};

use super::account::{note_client, note_grant};
use super::audit_of;
use super::authenticate::Authenticated;

impl App {
    /// Answers a revocation request.
    ///
    /// # Errors
    /// Those of RFC 6749 §5.2; `invalid_grant` for a token of another client.
    pub fn revoke_token(&self, ctx: &Context, pairs: &[(String, String)], header: &Header) -> Result<(), Refusal> {
        let mut audit = audit_of(ctx, Action::RevokeToken);
        let (client, token) = match self.read_revocation(ctx, pairs, header) {
            Ok(read) => read,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        audit.caller.clone_from(&client.client.client_id);
        note_client(&mut audit.detail, &client.client);
        let now_us = ctx.now_us;
        let granted = self.verify_access_token(token, now_us).ok().map(|granted| granted.grant);
        let family = match self.find_refresh(token) {
            Ok(found) => found.map(|(_, family)| family),
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        match &granted {
            Some(grant) if grant.client_id == client.client.client_id => note_grant(&mut audit.detail, grant),
            // Of another client: which token it is, and who asks.
            Some(grant) => audit.detail.token = Some(grant.token_id.clone()),
            None => {}
        }
        self.commit(ctx, audit, move |unit, _| {
            if let Err(refusal) = client.take(unit.conn, unit.now_us)? {
                return Ok(Err(refusal));
            }
            let of = family.as_ref().map(|family| &family.client_id).or(granted.as_ref().map(|grant| &grant.client_id));
            if of.is_some_and(|client_id| *client_id != client.client.client_id) {
                let text = "The token was issued to another client.";
                return Ok(Err(Refusal::new(OAuthError::InvalidGrant, text, Reason::SubjectMismatch)));
            }
            // RFC 7009 §2.1: with a refresh token all goes that came of the same permission.
            if let Some(family) = family {
                transaction::lock_people(unit.conn)?;
                return token_family::revoke(unit.conn, &family.family_id, unit.now_us).map(Ok);
            }
            let Some(grant) = granted else { return Ok(Ok(())) };
            access_token::revoke(unit.conn, &grant.token_id, &grant.client_id, unit.now_us).map(Ok)
        })
    }

    fn read_revocation<'p>(
        &self,
        ctx: &Context,
        pairs: &'p [(String, String)],
        header: &Header,
    ) -> Result<(Authenticated, &'p str), Refusal> {
        let form = Form::of(pairs)?;
        let endpoints = &self.authorization.endpoints;
        let audience = [endpoints.token.as_str(), endpoints.revocation.as_str()];
        let client = self.identify(form.sender(header)?, &audience, ctx.now_us)?;
        Ok((client, form.required("token")?))
    }
}
