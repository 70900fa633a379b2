//! Identity tokens that come with a token request, verified with the keys of the issuers that are configured.
//!
//! An issuer that is not configured is believed nothing. Keys are those of a file, read at the start, or of an address.
//! Not here: the claims (see `auth::id_token`).

use serde_json::Value;

use crate::app::App;
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::auth::error::{Reason, Refusal};
use crate::auth::id_token::{self, IdToken, Trust};
use crate::auth::jws::{self, Jws, PublicKey};
use crate::config::id_token_issuers::IdTokenIssuer;

use super::busy;
use super::key_sets::NoKeySet;

/// An issuer of identity tokens.
#[derive(Debug, Clone)]
pub(super) struct TrustedIssuer {
    issuer: String,
    /// For whom its tokens are meant, beside the organisation that asks.
    audiences: Vec<String>,
    trust: Trust,
    keys: Keys,
}

#[derive(Debug, Clone)]
enum Keys {
    /// A JWK set.
    Inline(String),
    Url(String),
}

impl TrustedIssuer {
    /// # Errors
    /// Why the file of its keys cannot be used.
    pub(super) fn read(configured: &IdTokenIssuer) -> Result<Self, String> {
        let keys = if configured.jwks.is_empty() {
            Keys::Url(configured.jwks_url.clone())
        } else {
            let file = &configured.jwks;
            let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            if keys_of(&text).is_empty() {
                return Err(format!("{file}: holds no key set"));
            }
            Keys::Inline(text)
        };
        Ok(Self {
            issuer: configured.issuer.clone(),
            audiences: configured.audiences.clone(),
            trust: Trust {
                identity: IdentityLevel::parse(&configured.identity_assurance).unwrap_or_default(),
                authentication: AuthenticationLevel::parse(&configured.authentication_assurance).unwrap_or_default(),
            },
            keys,
        })
    }
}

fn keys_of(set: &str) -> Vec<Value> {
    let set: Option<Value> = serde_json::from_str(set).ok();
    set.and_then(|set| set["keys"].as_array().cloned()).unwrap_or_default()
}

/// The key that a token names, or the only one there is.
fn key_for(token: &Jws<'_>, set: &str) -> Option<PublicKey> {
    let keys = keys_of(set);
    let kid = token.header.kid.as_deref();
    let named = match (kid, keys.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(kid), keys) => keys.iter().find(|key| key["kid"] == *kid),
    };
    PublicKey::from_jwk(named?).ok().filter(|key| key.fits(token.header.alg))
}

impl App {
    /// Verifies an identity token that is meant for one of `audience` or of what is configured for its issuer.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub(super) fn verify_id_token(&self, text: &str, audience: &[&str], now_us: i64) -> Result<IdToken, Refusal> {
        let token = jws::parse(text).map_err(|error| id_token::refusal(error.reason()))?;
        let named = id_token::issuer_of(&token);
        let issuer = self.authorization.issuers.iter().find(|issuer| Some(issuer.issuer.as_str()) == named);
        let issuer = issuer.ok_or_else(|| id_token::refusal(Reason::IssuerMismatch))?;
        let mut audience = audience.to_vec();
        audience.extend(issuer.audiences.iter().map(String::as_str));
        // Nothing is fetched for a token that would be refused whatever its signature is.
        IdToken::foresee(&token, &issuer.issuer, issuer.trust, &audience, now_us)?;
        let key = self.key_of_issuer(issuer, &token, now_us)?;
        let verified = token.verify(&key).map_err(|error| id_token::refusal(error.reason()))?;
        IdToken::read(&verified, &issuer.issuer, issuer.trust, &audience, now_us)
    }

    fn key_of_issuer(&self, issuer: &TrustedIssuer, token: &Jws<'_>, now_us: i64) -> Result<PublicKey, Refusal> {
        let (sets, fetch) = (&self.authorization.key_sets, |url: &str| self.communities.client().jwks(url));
        let unknown = || id_token::refusal(Reason::KeyUnknown);
        let refused = |error: NoKeySet| match error {
            NoKeySet::Failed => unknown(),
            NoKeySet::Busy => busy(),
        };
        let url = match &issuer.keys {
            Keys::Inline(set) => return key_for(token, set).ok_or_else(unknown),
            Keys::Url(url) => url,
        };
        if let Some(key) = key_for(token, &sets.get(&fetch, url, now_us).map_err(refused)?) {
            return Ok(key);
        }
        key_for(token, &sets.get_anew(&fetch, url, now_us).map_err(refused)?).ok_or_else(unknown)
    }
}
