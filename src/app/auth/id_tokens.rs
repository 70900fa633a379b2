//! Identity tokens that come with a token request, verified with the keys of the issuers that are configured.
//!
//! An issuer that is not configured is believed nothing (assurance: no level). Not here: the claims (see
//! `auth::id_token`).

use crate::app::App;
use crate::auth::error::{Reason, Refusal};
use crate::auth::id_token::{self, IdToken, Trust};
use crate::auth::jws::{self, PublicKey};

/// An issuer of identity tokens.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    pub issuer: String,
    /// For whom its tokens are meant, beside the organisation that asks.
    pub audiences: Vec<String>,
    pub trust: Trust,
    /// By `kid`.
    pub keys: Vec<(String, PublicKey)>,
}

impl App {
    /// Verifies an identity token that is meant for one of `audience` or of what is configured for its issuer.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub(super) fn verify_id_token(&self, text: &str, audience: &[&str], now_us: i64) -> Result<IdToken, Refusal> {
        let token = jws::parse(text).map_err(|error| id_token::refusal(error.reason()))?;
        let issuers = &self.authorization.issuers;
        let named = id_token::issuer_of(&token);
        let issuer = issuers.iter().find(|issuer| Some(issuer.issuer.as_str()) == named);
        let issuer = issuer.ok_or_else(|| id_token::refusal(Reason::IssuerMismatch))?;
        let kid = token.header.kid.as_deref();
        let key = issuer.keys.iter().find(|(name, _)| Some(name.as_str()) == kid).map(|(_, key)| key);
        let key = key.ok_or_else(|| id_token::refusal(Reason::KeyUnknown))?;
        let verified = token.verify(key).map_err(|error| id_token::refusal(error.reason()))?;
        let mut audience = audience.to_vec();
        audience.extend(issuer.audiences.iter().map(String::as_str));
        IdToken::read(&verified, &issuer.issuer, issuer.trust, &audience, now_us)
    }
}
