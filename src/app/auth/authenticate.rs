//! Which client sends a request: its signed assertion, verified.
//!
//! UDAP: the key of the certificate in the header, whose chain is validated anew every time, in the community and with the
//! URI of the registration; the certificate itself may have been renewed (UDAP JWT-Based Client Authentication 6, FAST
//! Security 5.2.3). SMART, and OpenID Connect Core 9: a registered key. Nothing is written here; whether the assertion was used before is asked where
//! the request is committed. Not here: what the client may do.

use serde_json::Value;

use crate::app::App;
use crate::auth::client_assertion::{ClientAssertion, Method, check_smart_header};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::jws::{self, Jws, PublicKey};
use crate::auth::oauth_form::{Credentials, Sender};
use crate::store::client::{self, ClientRow};
use crate::store::replay::{self, Taken};
use crate::store::{Connection, StoreError};

use super::key_sets::NoKeySet;
use super::leaf::verify_with_leaf;
use super::{busy, refusal_of};

/// A client that has shown who it is, as far as it can.
#[derive(Debug, Clone)]
pub(super) struct Authenticated {
    pub client: ClientRow,
    pub proof: ClientProof,
}

/// What shows who a client is.
#[derive(Debug, Clone)]
pub(super) enum ClientProof {
    /// An assertion that holds.
    Assertion(Method, Box<ClientAssertion>),
    /// Nothing: a public client. What it may redeem is bound to its redirect URI and its code challenge.
    Nothing,
}

impl Authenticated {
    /// Takes the id of the assertion, once; in the transaction of what the request brings about.
    pub(super) fn take(&self, connection: &mut Connection, now_us: i64) -> Result<Result<(), Refusal>, StoreError> {
        let ClientProof::Assertion(_, assertion) = &self.proof else { return Ok(Ok(())) };
        let ClientAssertion { token_id, usable_until_us, .. } = assertion.as_ref();
        let taken = replay::take(connection, &self.client.client_id, token_id, *usable_until_us, now_us)?;
        Ok(if taken == Taken::Now { Ok(()) } else { Err(refuse(Reason::Replayed)) })
    }
}

const TEXT: &str = "The client cannot be authenticated.";

fn refuse(reason: Reason) -> Refusal {
    Refusal::new(OAuthError::InvalidClient, TEXT, reason)
}

impl App {
    /// The client that sends a request: as [`Self::authenticate`], or a public one, which is believed.
    ///
    /// # Errors
    /// As [`Self::authenticate`].
    pub(super) fn identify(
        &self,
        sender: Sender<'_>,
        audience: &[&str],
        now_us: i64,
    ) -> Result<Authenticated, Refusal> {
        match sender {
            Sender::Signed(credentials) => self.authenticate(credentials, audience, now_us),
            Sender::Named(client_id) => {
                let client = self.find_active_client(client_id)?;
                // Whoever has a key must use it.
                if !client.is_public() {
                    return Err(refuse(Reason::ParameterMissing("client_assertion")));
                }
                Ok(Authenticated { client, proof: ClientProof::Nothing })
            }
        }
    }

    /// The client behind `credentials`, whose assertion must be meant for one of `audience`.
    ///
    /// # Errors
    /// `invalid_request` for an assertion of UDAP that is none (UDAP JWT-Based Client Authentication 7.2), else
    /// `invalid_client`.
    pub(super) fn authenticate(
        &self,
        credentials: Credentials<'_>,
        audience: &[&str],
        now_us: i64,
    ) -> Result<Authenticated, Refusal> {
        let authenticated = match credentials.method {
            Method::Udap => self.authenticate_udap(credentials.assertion, audience, now_us),
            Method::Smart => self.authenticate_smart(credentials.assertion, audience, now_us),
        }?;
        // UDAP JWT-Based Client Authentication 6.3: a client_id beside the assertion is the same.
        match credentials.client_id {
            Some(client_id) if client_id != authenticated.client.client_id => Err(refuse(Reason::IssuerMismatch)),
            _ => Ok(authenticated),
        }
    }

    fn authenticate_udap(&self, assertion: &str, audience: &[&str], now_us: i64) -> Result<Authenticated, Refusal> {
        let code = OAuthError::InvalidRequest;
        let token = jws::parse(assertion).map_err(|error| error.refusal(code))?;
        let signed = verify_with_leaf(token, code)?;
        let client = self.find_client(signed.verified.claims.get("iss"), client::UDAP)?;
        let judged = self.communities.judge_in(&client.community, &signed.verified.header.x5c);
        judged.map_err(|error| error.refusal(OAuthError::InvalidClient))?;
        // FAST Security 7.1.5: byte for byte.
        if !signed.leaf.has_uri(&client.issuer) {
            return Err(refuse(Reason::SanMismatch));
        }
        let assertion = ClientAssertion::read(&signed.verified, Method::Udap, &client.client_id, audience, now_us)?;
        Ok(Authenticated { client, proof: ClientProof::Assertion(Method::Udap, Box::new(assertion)) })
    }

    fn authenticate_smart(&self, assertion: &str, audience: &[&str], now_us: i64) -> Result<Authenticated, Refusal> {
        let code = OAuthError::InvalidClient;
        let token = jws::parse(assertion).map_err(|error| error.refusal(code))?;
        let client = self.find_client(token.claims.get("iss"), client::SMART)?;
        check_smart_header(&token.header, client.jwks_url.as_deref())?;
        // The issuer names this server as surely as an endpoint does, and is what clients of OpenID Connect write (RFC 7523 §3).
        let issuer = self.authorization.endpoints.issuer.as_str();
        let audience = &[audience, &[issuer]].concat();
        // Nothing is fetched for an assertion that would be refused whatever its signature is.
        ClientAssertion::foresee(&token, Method::Smart, &client.client_id, audience, now_us)?;
        let key = self.key_of(&client, &token, now_us)?;
        let verified = token.verify(&key).map_err(|error| error.refusal(code))?;
        let assertion = ClientAssertion::read(&verified, Method::Smart, &client.client_id, audience, now_us)?;
        Ok(Authenticated { client, proof: ClientProof::Assertion(Method::Smart, Box::new(assertion)) })
    }

    /// The active client that an assertion names.
    fn find_client(&self, issuer: Option<&Value>, kind: &str) -> Result<ClientRow, Refusal> {
        let client_id = issuer.and_then(Value::as_str).ok_or_else(|| refuse(Reason::ClientUnknown))?;
        let client = self.find_active_client(client_id)?;
        if client.kind == kind { Ok(client) } else { Err(refuse(Reason::ClientUnknown)) }
    }

    /// The active client of this id.
    ///
    /// # Errors
    /// `invalid_client`.
    pub(super) fn find_active_client(&self, client_id: &str) -> Result<ClientRow, Refusal> {
        if client_id.len() > CLIENT_ID_BYTES_MAX {
            return Err(refuse(Reason::ClientUnknown));
        }
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        let found = client::find(&mut connection, client_id).map_err(|error| refusal_of(&error.into()))?;
        let client = found.filter(|client| client.state != client::CANCELLED);
        let client = client.ok_or_else(|| refuse(Reason::ClientUnknown))?;
        if client.state == client::ACTIVE { Ok(client) } else { Err(refuse(Reason::ClientDisabled)) }
    }

    /// The key of a client that a token names. An address of keys is asked again when it had no such key.
    fn key_of(&self, client: &ClientRow, token: &Jws<'_>, now_us: i64) -> Result<PublicKey, Refusal> {
        if let Some(set) = &client.jwks {
            return key_for(token, set);
        }
        let url = client.jwks_url.as_deref().ok_or_else(|| refuse(Reason::KeyUnknown))?;
        let (sets, fetch) = (&self.authorization.key_sets, |url: &str| self.communities.client().jwks(url));
        let refused = |error: NoKeySet| match error {
            NoKeySet::Failed => refuse(Reason::KeyUnknown),
            NoKeySet::Busy => busy(),
        };
        let set = sets.get(&fetch, url, now_us).map_err(refused)?;
        key_for(token, &set).or_else(|_| key_for(token, &sets.get_anew(&fetch, url, now_us).map_err(refused)?))
    }
}

/// Ids of clients are ours: UUIDs.
const CLIENT_ID_BYTES_MAX: usize = 64;

/// The one key with the name and of the kind that the header says (SMART App Launch 2.2, signature verification).
fn key_for(token: &Jws<'_>, set: &str) -> Result<PublicKey, Refusal> {
    let set: Value = serde_json::from_str(set).map_err(|_| refuse(Reason::KeyUnknown))?;
    let kid = token.header.kid.as_deref().ok_or_else(|| refuse(Reason::KeyUnknown))?;
    let named = set["keys"].as_array().map_or(&[][..], Vec::as_slice).iter().filter(|key| key["kid"] == *kid);
    let fitting: Vec<PublicKey> =
        named.filter_map(|key| PublicKey::from_jwk(key).ok()).filter(|key| key.fits(token.header.alg)).collect();
    match <[PublicKey; 1]>::try_from(fitting) {
        Ok([key]) => Ok(key),
        Err(_) => Err(refuse(Reason::KeyUnknown)),
    }
}
