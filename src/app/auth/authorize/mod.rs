//! The authorization endpoint: an app sends a person here, who signs in, is asked, and goes back with a code (RFC 6749 §4.1,
//! SMART App Launch 2.2, FAST Security 4.1, OpenID Connect Core 3.1).
//!
//! A request is judged once, when it arrives, and goes on as a sealed handle: no address holds a parameter of it, and nobody
//! can change it between the pages. What follows is decided from handle and session alone, by whichever instance. Not here:
//! what may be granted (see `offer`), answers of the person (see `decide`), pages (see `web`).

mod decide;
pub mod offer;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::app::context::Context;
use crate::audit::Action;
use crate::auth::authorization_request::{self, Address, Audience, AuthorizationRequest, Proof, Terms};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::redirect_uri::with_answer;
use crate::auth::software_statement::AUTHORIZATION_CODE;
use crate::store::client::{ClientRow, UDAP};

use super::account::note_client;
use super::{audit_of, internal};

pub use decide::{Answer, KnownBy, Next, Question};

/// How long a person may take to sign in and answer.
const HANDLE_LIFETIME_US: i64 = 600_000_000;
const PLACE: &str = "authorization_request";
/// Pages take no longer one.
const HANDLE_BYTES_MAX: usize = 6 * 1024;

/// What the operator lets a client of a test suite leave out.
pub const NO_PKCE: &str = "no-pkce";
pub const HTTP_REDIRECT: &str = "http-redirect";

/// What becomes of a request that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It goes on under this handle.
    Handle(String),
    /// The app is told at this address that the request is refused.
    Address(String),
}

/// Whether a client may leave this out.
#[must_use]
pub fn may_leave_out(client: &ClientRow, word: &str) -> bool {
    client.compatibility.split(' ').any(|known| known == word)
}

fn terms<'a>(client: &ClientRow, redirect_uris: &'a [String], base: &'a str) -> Terms<'a> {
    let is_udap = client.kind == UDAP;
    Terms {
        redirect_uris,
        address: if is_udap { Address::NamedAmongSeveral } else { Address::Named },
        proof: if may_leave_out(client, NO_PKCE) { Proof::Optional } else { Proof::Needed },
        audience: if is_udap { Audience::Optional } else { Audience::Needed },
        base,
    }
}

impl App {
    /// Judges a request that has arrived.
    ///
    /// # Errors
    /// What the person is told because nobody knows which app it was: then nobody is sent anywhere.
    pub fn begin_authorization(&self, ctx: &Context, pairs: &[(String, String)]) -> Result<Begun, Refusal> {
        let mut audit = audit_of(ctx, Action::Authorize);
        let (client, uri) = match self.proven(pairs) {
            Ok(proven) => proven,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        audit.caller.clone_from(&client.client_id);
        note_client(&mut audit.detail, &client);
        let address = uri.0.clone();
        match self.judged(ctx, &client, pairs, uri).and_then(|request| self.seal_request(&request)) {
            Ok(handle) => self.end(ctx, audit, Ok(Begun::Handle(handle))),
            Err(refusal) => {
                let state = authorization_request::state(pairs);
                let location = self.error_address(&address, state, &refusal);
                // The app is told at its own address; in the audit it is refused.
                match self.end::<()>(ctx, audit, Err(refusal)) {
                    Err(refusal) if refusal.code.status() >= 500 => Err(refusal),
                    _ => Ok(Begun::Address(location)),
                }
            }
        }
    }

    /// The client and where its answers go; whatever is wrong here is told to the person.
    fn proven(&self, pairs: &[(String, String)]) -> Result<(ClientRow, (String, bool)), Refusal> {
        let client_id = authorization_request::client_id(pairs)?;
        let client = self.find_active_client(client_id).map_err(|refusal| match refusal.code {
            OAuthError::InvalidClient => refusal.as_code(OAuthError::InvalidRequest),
            _ => refusal,
        })?;
        let uris = ClientRow::uris(&client.redirect_uris);
        let uri =
            authorization_request::redirect_uri(pairs, &terms(&client, &uris, &self.authorization.endpoints.base))?;
        Ok((client, uri))
    }

    fn judged(
        &self,
        ctx: &Context,
        client: &ClientRow,
        pairs: &[(String, String)],
        uri: (String, bool),
    ) -> Result<AuthorizationRequest, Refusal> {
        if !client.grant_types.split(' ').any(|registered| registered == AUTHORIZATION_CODE) {
            let text = "The client is not registered for this grant type.";
            return Err(Refusal::new(OAuthError::UnauthorizedClient, text, Reason::GrantTypeNotRegistered));
        }
        let uris = ClientRow::uris(&client.redirect_uris);
        let terms = terms(client, &uris, &self.authorization.endpoints.base);
        let request = AuthorizationRequest::read(pairs, &terms, uri, ctx.now_us)?;
        if request.code_challenge.is_none() {
            tracing::warn!(client.id = %client.client_id, "a request has no code challenge, as the operator allows");
        }
        offer::of_anybody(&request.scope, client, &self.supported_for(client))?;
        Ok(request)
    }

    /// Where the app is told of an error (RFC 6749 §4.1.2.1); RFC 9207 says who tells it.
    fn error_address(&self, uri: &str, state: Option<&str>, refusal: &Refusal) -> String {
        let issuer = self.authorization.endpoints.issuer.as_str();
        let mut answer = vec![("error", refusal.code.code()), ("error_description", refusal.description)];
        answer.extend(state.map(|state| ("state", state)));
        answer.push(("iss", issuer));
        with_answer(uri, &answer)
    }

    fn seal_request(&self, request: &AuthorizationRequest) -> Result<String, Refusal> {
        let plain = serde_json::to_vec(request).map_err(|_| internal())?;
        let sealed = self.sealer.seal(PLACE, &plain, (self.clock.secret)()).ok_or_else(internal)?;
        let handle = URL_SAFE_NO_PAD.encode(sealed);
        let text = "The authorization request is too long.";
        let long = || Refusal::new(OAuthError::InvalidRequest, text, Reason::TooLong);
        if handle.len() <= HANDLE_BYTES_MAX { Ok(handle) } else { Err(long()) }
    }

    /// The request behind a handle, while it lasts.
    fn open_request(&self, handle: &str, now_us: i64) -> Result<AuthorizationRequest, Refusal> {
        let text =
            "This page has been open for too long, or its address is not whole. Go back to the app and begin again.";
        let refuse = |reason| Refusal::new(OAuthError::InvalidRequest, text, reason);
        let sealed = URL_SAFE_NO_PAD.decode(handle).ok().filter(|_| handle.len() <= HANDLE_BYTES_MAX);
        let plain = sealed.and_then(|sealed| self.sealer.open_sealed(PLACE, &sealed));
        let request = plain.and_then(|plain| serde_json::from_slice::<AuthorizationRequest>(&plain).ok());
        let request = request.ok_or_else(|| refuse(Reason::ParameterInvalid("request")))?;
        let is_over = now_us.saturating_sub(request.started_us) >= HANDLE_LIFETIME_US;
        if is_over { Err(refuse(Reason::Expired)) } else { Ok(request) }
    }
}
