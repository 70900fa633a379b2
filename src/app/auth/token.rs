//! The token endpoint: an authenticated client, a grant, a signed token (RFC 6749 §3.2, FAST Security 5.2).
//!
//! What is for a person has files of its own (`grant::authorization_code`, `grant::refresh_token`). Everything that costs processor time is done before the writer is asked: signatures, chains, the token itself. What is
//! committed is the used id of the assertion, the token's row and the audit row. Not here: the grants' rules (see `grant`).

use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::app::App;
use crate::app::context::Context;
use crate::audit::{Action, Detail};
use crate::auth::access_token::{Grant, LIFETIME_S_MAX, claims_of, digest_of};
use crate::auth::client_assertion::Method;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::extension::{Extensions, TokenContext};
use crate::auth::id_token::IdToken;
use crate::auth::oauth_form::{Form, Header};
use crate::store::access_token::{self, NewAccessToken};
use crate::store::{Connection, StoreError, replay, token_family};

use super::account::{note_client, note_grant, note_stated};
use super::authenticate::{Authenticated, ClientProof};
use super::grant::GrantType;
use super::grant::client_credentials::{Asked, decide, decide_smart};
use super::organization;
use super::{Judged, audit_of, internal};

/// How often expired rows are removed, and how many of each kind at a time: more than can have come in between.
const PURGE_EVERY_US: i64 = 10_000_000;
const PURGED_ROWS_MAX: u32 = 50_000;
/// How long what has expired stays: at an instance whose clock is behind, it has not yet.
const PURGE_MARGIN_US: i64 = 600_000_000;

/// A token that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    pub access_token: String,
    pub expires_in_s: i64,
    pub scope: String,
    /// What comes with a token for a person.
    pub of_person: Option<OfPerson>,
}

/// What comes beside an access token for a person who has signed in (SMART App Launch 2.2, OpenID Connect Core 3.1.3.3).
#[derive(Clone, PartialEq, Eq)]
pub struct OfPerson {
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    pub patient: Option<String>,
}

/// Shows no token.
impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// A token that will be issued when it is committed.
struct Draft {
    grant: Grant,
    text: String,
    /// Sealed.
    context: Option<Vec<u8>>,
}

impl App {
    /// Answers a token request.
    ///
    /// # Errors
    /// Those of RFC 6749 §5.2.
    pub fn issue_token(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        header: &Header,
    ) -> Result<IssuedToken, Refusal> {
        let audit = audit_of(ctx, Action::IssueToken);
        let read = Form::of(pairs).and_then(|form| GrantType::parse(form.required("grant_type")?));
        match read {
            Ok(GrantType::ClientCredentials) => self.issue_to_client(ctx, pairs, header),
            Ok(GrantType::AuthorizationCode) => self.redeem_code(ctx, pairs, header),
            Ok(GrantType::RefreshToken) => self.refresh(ctx, pairs, header),
            Err(refusal) => self.end(ctx, audit, Err(refusal)),
        }
    }

    fn issue_to_client(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        header: &Header,
    ) -> Result<IssuedToken, Refusal> {
        let mut audit = audit_of(ctx, Action::IssueToken);
        let (client, scope) = match self.read_token_request(ctx, pairs, header) {
            Ok(read) => read,
            Err(refusal) => return self.end(ctx, audit, Err(refusal)),
        };
        audit.caller.clone_from(&client.client.client_id);
        note_client(&mut audit.detail, &client.client);
        let draft = self.draft(ctx, &client, scope, &mut audit.detail);
        let is_due = self.purge_is_due(ctx.now_us);
        self.commit(ctx, audit, move |unit, _| {
            if is_due {
                purge(unit.conn, unit.now_us)?;
            }
            issue(unit.conn, &client, draft, unit.now_us)
        })
    }

    /// The authenticated client and the scope of a request.
    fn read_token_request<'p>(
        &self,
        ctx: &Context,
        pairs: &'p [(String, String)],
        header: &Header,
    ) -> Result<(Authenticated, Option<&'p str>), Refusal> {
        let form = Form::of(pairs)?;
        let endpoint = self.authorization.endpoints.token.as_str();
        let client = self.authenticate(form.credentials(header)?, &[endpoint], ctx.now_us)?;
        Ok((client, form.get("scope")))
    }

    fn draft(
        &self,
        ctx: &Context,
        client: &Authenticated,
        scope: Option<&str>,
        detail: &mut Detail,
    ) -> Result<Draft, Refusal> {
        GrantType::ClientCredentials.check_registered(&client.client)?;
        let ClientProof::Assertion(method, assertion) = &client.proof else { return Err(internal()) };
        let asked = Asked {
            client: &client.client,
            scope,
            scope_limit: assertion.scope.as_deref(),
            token_id: (ctx.clock.uuid)(),
            now_us: ctx.now_us,
        };
        let (grant, context) = match method {
            Method::Udap => self.grant_to_udap(client, assertion.extensions.as_ref(), &asked, detail)?,
            Method::Smart => (decide_smart(&asked)?, None),
        };
        note_grant(detail, &grant);
        let endpoints = &self.authorization.endpoints;
        let claims = claims_of(&grant, &endpoints.issuer, &endpoints.base, ctx.now_us);
        let signed = self.signing_keys(ctx.now_us).signer.sign("at+jwt", None, &claims);
        let text = signed.map_err(|error| {
            tracing::error!(%error, "an access token cannot be signed");
            internal()
        })?;
        let context = context.map(|context| self.seal_context(&grant.token_id, &context)).transpose()?;
        Ok(Draft { grant, text, context })
    }

    fn grant_to_udap(
        &self,
        client: &Authenticated,
        extensions: Option<&Value>,
        asked: &Asked<'_>,
        detail: &mut Detail,
    ) -> Result<(Grant, Option<TokenContext>), Refusal> {
        let snapshot = self.communities.current();
        let live = snapshot.find(&client.client.community).ok_or_else(|| {
            let text = "The client cannot be authenticated.";
            Refusal::new(OAuthError::InvalidClient, text, Reason::CommunityUnknown)
        })?;
        let extensions = Extensions::read(extensions)?;
        note_stated(detail, &extensions);
        if let Some(b2b) = &extensions.b2b {
            let basis = organization::bind(&client.client, &live.community, &b2b.organization_id)?;
            detail.organization_basis = Some(basis.code().to_owned());
        }
        let id_token = self.id_token_of(client, &extensions, asked.now_us)?;
        let grant = decide(asked, &live.community, &extensions, id_token.as_ref())?;
        Ok((grant, Some(extensions.into_context(id_token))))
    }

    /// The identity token of a request, meant for its organisation (to which the client is bound, where anything binds it), for the client or for this server.
    fn id_token_of(
        &self,
        client: &Authenticated,
        extensions: &Extensions,
        now_us: i64,
    ) -> Result<Option<IdToken>, Refusal> {
        let Some(text) = extensions.id_token()? else { return Ok(None) };
        let organization = extensions.b2b.as_ref().map(|b2b| b2b.organization_id.as_str());
        let own = [client.client.issuer.as_str(), self.authorization.endpoints.base.as_str()];
        let audience: Vec<&str> = own.into_iter().chain(organization).collect();
        self.verify_id_token(text, &audience, now_us).map(Some)
    }

    /// Whether it is this request's turn to remove what has expired.
    pub(super) fn purge_is_due(&self, now_us: i64) -> bool {
        let last = &self.authorization.purged_us;
        let before = last.load(Ordering::Relaxed);
        now_us.saturating_sub(before) >= PURGE_EVERY_US
            && last.compare_exchange(before, now_us, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Takes the assertion's id, whatever becomes of the request, and notes the token.
fn issue(
    connection: &mut Connection,
    client: &Authenticated,
    draft: Result<Draft, Refusal>,
    now_us: i64,
) -> Judged<IssuedToken> {
    if let Err(refusal) = client.take(connection, now_us)? {
        return Ok(Err(refusal));
    }
    let Draft { grant, text, context } = match draft {
        Ok(draft) => draft,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let digest = digest_of(&text);
    let row = NewAccessToken {
        grant_sha256: &digest,
        token_id: &grant.token_id,
        client_id: &grant.client_id,
        issued_us: now_us,
        expires_us: grant.expires_us,
        context: context.as_deref(),
        family_id: None,
    };
    access_token::insert(connection, &row)?;
    let expires_in_s = grant.expires_us.saturating_sub(now_us).max(0).div_euclid(1_000_000);
    Ok(Ok(IssuedToken { access_token: text, expires_in_s, scope: grant.scopes.to_string(), of_person: None }))
}

/// Removes what has expired. A code stays for an hour, so that somebody who shows it again is noticed while a token of its
/// family could stand.
pub(super) fn purge(connection: &mut Connection, now_us: i64) -> Result<(), StoreError> {
    let before_us = now_us.saturating_sub(PURGE_MARGIN_US);
    replay::delete_expired(connection, before_us, PURGED_ROWS_MAX)?;
    access_token::delete_expired(connection, before_us, PURGED_ROWS_MAX)?;
    token_family::delete_expired(connection, before_us - LIFETIME_S_MAX * 1_000_000, PURGED_ROWS_MAX)?;
    Ok(())
}
