//! What an access token grants: its signature, whether it still stands, and what was asserted for it.
//!
//! The database decides whether it stands, so that revoking a token or disabling a client works at every instance at once.
//! Not here: what may be done with the grant.

use std::sync::Arc;

use crate::app::App;
use crate::auth::access_token::{self, Grant};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::extension::TokenContext;
use crate::store::access_token::{self as tokens, Standing};
use crate::store::client;

use super::keys::{Ring, Use};
use super::{internal, refusal_of};

/// A token that stands.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    pub grant: Grant,
    /// What was asserted when it was issued; none for a client that asserts nothing.
    pub context: Option<TokenContext>,
}

impl App {
    /// Reads a token that somebody shows.
    ///
    /// # Errors
    /// `invalid_token`, or `temporarily_unavailable` when the database does not answer.
    pub fn verify_access_token(&self, text: &str, now_us: i64) -> Result<VerifiedToken, Refusal> {
        let grant = self.read_access_token(text, now_us)?;
        let standing = self.standing_of(&grant.token_id)?;
        check_standing(&standing, &grant, now_us)?;
        // Whoever got hold of a key has no row for what that key would say.
        if standing.grant_sha256.as_ref().is_some_and(|committed| *committed != access_token::digest_of(text)) {
            return Err(invalid(Reason::GrantMismatch));
        }
        let context = standing.context.map(|sealed| self.open_context(&grant.token_id, &sealed)).transpose()?;
        // The digests say that something was asserted: without it nobody knows what the token is for.
        if context.is_none() && !grant.extensions.is_empty() {
            return Err(invalid(Reason::TokenRevoked));
        }
        Ok(VerifiedToken { grant, context })
    }

    /// Whether a token is still in force whose grant was read before.
    ///
    /// # Errors
    /// `invalid_token`, or `temporarily_unavailable` when the database does not answer.
    pub(super) fn check_access_token(&self, grant: &Grant, now_us: i64) -> Result<(), Refusal> {
        check_standing(&self.standing_of(&grant.token_id)?, grant, now_us)
    }

    fn read_access_token(&self, text: &str, now_us: i64) -> Result<Grant, Refusal> {
        let ring = self.signing_keys(now_us);
        match self.read_with(&ring, text, now_us) {
            // Another instance may have begun to sign with a new key.
            Err(refusal) if refusal.log == Reason::KeyUnknown => match self.signing_keys_after(&ring, now_us) {
                Some(newer) => self.read_with(&newer, text, now_us),
                None => Err(refusal),
            },
            read => read,
        }
    }

    fn read_with(&self, ring: &Arc<Ring>, text: &str, now_us: i64) -> Result<Grant, Refusal> {
        let endpoints = &self.authorization.endpoints;
        access_token::verify(text, &ring.own_at(Use::AccessTokens, now_us), &endpoints.issuer, &endpoints.base, now_us)
    }

    fn standing_of(&self, token_id: &str) -> Result<Standing, Refusal> {
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        let found = tokens::find(&mut connection, token_id).map_err(|error| refusal_of(&error.into()))?;
        found.ok_or_else(|| invalid(Reason::TokenRevoked))
    }

    fn open_context(&self, token_id: &str, sealed: &[u8]) -> Result<TokenContext, Refusal> {
        let plain = self.sealer.open_sealed(&place_of(token_id), sealed);
        let context = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        context.ok_or_else(|| {
            tracing::error!("what was asserted for a token cannot be opened");
            invalid(Reason::TokenRevoked)
        })
    }

    /// Seals what was asserted for a token.
    pub(super) fn seal_context(&self, token_id: &str, context: &TokenContext) -> Result<Vec<u8>, Refusal> {
        let plain = serde_json::to_vec(context).map_err(|_| internal())?;
        let sealed = self.sealer.seal(&place_of(token_id), &plain, (self.clock.secret)());
        sealed.ok_or_else(internal)
    }
}

fn place_of(token_id: &str) -> String {
    format!("access_token/{token_id}")
}

fn check_standing(standing: &Standing, grant: &Grant, now_us: i64) -> Result<(), Refusal> {
    if standing.client_id != grant.client_id || standing.is_revoked() {
        return Err(invalid(Reason::TokenRevoked));
    }
    if standing.expires_us <= now_us {
        return Err(invalid(Reason::Expired));
    }
    if grant.expires_us > standing.expires_us {
        return Err(invalid(Reason::GrantMismatch));
    }
    match standing.client_state.as_deref() {
        Some(client::ACTIVE) => Ok(()),
        _ => Err(invalid(Reason::ClientDisabled)),
    }
}

const fn invalid(reason: Reason) -> Refusal {
    Refusal::new(OAuthError::InvalidToken, "The access token is not accepted.", reason)
}
