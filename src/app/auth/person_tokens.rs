//! Tokens of an app for a person who has signed in and agreed: access token, identity token, refresh token, of one family.
//!
//! Everything that costs processor time is done before the writer is asked. What was agreed to stays with the family, sealed;
//! what is told of the person is read from the account each time, so that it is as it was verified last. Not here: which
//! code or refresh token it is exchanged for (see `grant`), what was agreed to (see `authorize`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::app::context::Context;
use crate::app::people::account::{Account, AccountKind, AccountState};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::auth::access_token::{Grant, Holder, LIFETIME_S_MAX, claims_of, digest_of};
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::open_id::{self, Identifier, Identity, SignedIn, person_claims};
use crate::auth::scope::{Plain, Scopes};
use crate::store::access_token::{self, NewAccessToken};
use crate::store::client::{ClientRow, UDAP};
use crate::store::token_family::{self, RefreshRow};
use crate::store::{Connection, StoreError};

use super::own_record::OwnRecord;
use super::token::{IssuedToken, OfPerson};
use super::{internal, refusal_of};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 3600 * SECOND_US;
/// FAST Security 6 (UDAP Tiered OAuth 4.3): of a provider of identities for other data holders.
const TIERED_LIFETIME_S: i64 = 300;

/// What a person has agreed to, as it is kept with a family of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    pub scope: String,
    pub own: Option<OwnRecord>,
    pub signed_in: SignedIn,
    /// Until when the page said that it holds; nothing that comes of it lasts longer.
    pub until_us: i64,
}

/// The family that tokens are made for.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub family_id: String,
    pub expires_us: i64,
}

/// Tokens that will be issued when they are committed.
pub(super) struct PersonDraft {
    pub grant: Grant,
    issued: IssuedToken,
    family_id: String,
    refresh: Option<RefreshRow>,
}

/// A secret that is given out, and what is kept of it.
pub(super) struct Drawn {
    pub text: String,
    pub digest: String,
}

impl Drawn {
    /// 256 random bits.
    pub(super) fn of(random: [u8; 32]) -> Self {
        let text = URL_SAFE_NO_PAD.encode(random);
        let digest = digest(&text);
        Self { text, digest }
    }
}

/// What is kept of a code or a refresh token: SHA-256, hexadecimal. They are random, so nothing is guessed from that.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

/// A grant that does not hold.
pub(super) const fn refused(reason: Reason) -> Refusal {
    Refusal::new(OAuthError::InvalidGrant, "The code or refresh token is not accepted.", reason)
}

impl App {
    /// The account of a person who may still be signed in.
    ///
    /// # Errors
    /// `invalid_grant` for an account that is gone or disabled.
    pub(super) fn active_account(&self, account_id: &str) -> Result<Account, Refusal> {
        let account = self.account(account_id).map_err(|error| refusal_of(&error))?;
        account.filter(|account| account.state == AccountState::Active).ok_or(refused(Reason::AccountNotUsable))
    }

    /// The same for somebody who signed in and has not had to sign in anew since: a code may have been made while the account
    /// was reset.
    ///
    /// # Errors
    /// `invalid_grant` for an account that is gone or disabled, or was reset since.
    pub(super) fn account_signed_in(&self, signed_in: &SignedIn) -> Result<Account, Refusal> {
        let account = self.active_account(&signed_in.account_id)?;
        if signed_in.time_us < account.updated_us { Err(refused(Reason::AccountNotUsable)) } else { Ok(account) }
    }

    /// Until when something holds that a person agrees to at this time, as the page says.
    pub(super) fn agreed_until_us(&self, scopes: &Scopes, agreed_us: i64) -> i64 {
        let lasts_us = if is_offline(scopes) {
            i64::try_from(self.config.auth.refresh_days).unwrap_or(1) * DAY_US
        } else {
            i64::try_from(self.config.auth.app_token_s).unwrap_or(LIFETIME_S_MAX) * SECOND_US
        };
        agreed_us.saturating_add(lasts_us)
    }

    /// When a family ends that begins now.
    pub(super) fn family_end_us(&self, scopes: &Scopes, until_us: i64, now_us: i64) -> i64 {
        if is_offline(scopes) { until_us } else { until_us.min(now_us + self.person_lifetime_s(scopes) * SECOND_US) }
    }

    fn person_lifetime_s(&self, scopes: &Scopes) -> i64 {
        let most = if scopes.holds(Plain::Udap) { TIERED_LIFETIME_S } else { LIFETIME_S_MAX };
        i64::try_from(self.config.auth.app_token_s).unwrap_or(most).min(most)
    }

    /// Makes the tokens of a family: with these scopes, which are some of those agreed to.
    ///
    /// # Errors
    /// `server_error` when they cannot be signed; `invalid_grant` when the account is not usable any more.
    pub(super) fn draft_for_person(
        &self,
        ctx: &Context,
        client: &ClientRow,
        agreement: &Agreement,
        (scopes, nonce): (Scopes, Option<&str>),
        family: Family,
    ) -> Result<PersonDraft, Refusal> {
        let account = self.account_signed_in(&agreement.signed_in)?;
        let lifetime_us = self.person_lifetime_s(&scopes) * SECOND_US;
        let grant = Grant {
            client_id: client.client_id.clone(),
            community: (client.kind == UDAP).then(|| client.community.clone()),
            organization_id: None,
            entity_type: None,
            purposes: Vec::new(),
            scopes,
            identity_level: IdentityLevel::parse(&agreement.signed_in.acr).unwrap_or_default(),
            authentication_level: authentication_level(&agreement.signed_in),
            extensions: Default::default(),
            token_id: (ctx.clock.uuid)(),
            expires_us: family.expires_us.min(ctx.now_us + lifetime_us),
            subject: Some(agreement.signed_in.account_id.clone()),
            patient: agreement.own.as_ref().map(|own| own.record_id.clone()),
            holder: match account.kind {
                AccountKind::Person => Holder::Person,
                AccountKind::Workforce => Holder::Workforce,
            },
        };
        let endpoints = &self.authorization.endpoints;
        let claims = claims_of(&grant, &endpoints.issuer, &endpoints.base, ctx.now_us);
        let access_token = self.signing_keys(ctx.now_us).signer.sign("at+jwt", None, &claims).map_err(|error| {
            tracing::error!(%error, "an access token cannot be signed");
            internal()
        })?;
        let id_token = if grant.scopes.holds(Plain::OpenId) {
            Some(self.id_token_for(ctx, client, &account, &agreement.signed_in, (&grant, nonce, &access_token))?)
        } else {
            None
        };
        let all = Scopes::parse(&agreement.scope).unwrap_or_default();
        let drawn = is_offline(&all).then(|| Drawn::of((ctx.clock.secret)()));
        let refresh = drawn.as_ref().map(|drawn| RefreshRow {
            token: drawn.digest.clone(),
            family_id: family.family_id.clone(),
            issued_us: ctx.now_us,
            expires_us: family.expires_us,
            used_us: None,
        });
        let issued = IssuedToken {
            access_token,
            expires_in_s: grant.expires_us.saturating_sub(ctx.now_us).max(0).div_euclid(SECOND_US),
            scope: grant.scopes.to_string(),
            of_person: Some(OfPerson {
                refresh_token: drawn.map(|drawn| drawn.text),
                id_token,
                patient: grant.patient.clone(),
            }),
        };
        Ok(PersonDraft { grant, issued, family_id: family.family_id, refresh })
    }

    fn id_token_for(
        &self,
        ctx: &Context,
        client: &ClientRow,
        account: &Account,
        signed_in: &SignedIn,
        (grant, nonce, access_token): (&Grant, Option<&str>, &str),
    ) -> Result<String, Refusal> {
        let token_id = (ctx.clock.uuid)();
        let claims = open_id::claims_of(&Identity {
            issuer: &self.authorization.endpoints.issuer,
            client_id: &client.client_id,
            signed_in,
            nonce,
            access_token,
            fhir_user: self.fhir_user(grant),
            person: told_of(grant, account),
            token_id: &token_id,
            now_us: ctx.now_us,
            expires_us: grant.expires_us,
        });
        // FAST Security 6.2: identity tokens of a provider for other data holders conform to 7.1, so they bring a chain.
        let snapshot = self.communities.current();
        let live = snapshot.find(&client.community).filter(|_| client.kind == UDAP && grant.scopes.holds(Plain::Udap));
        let signed = match live {
            Some(live) => live.signer.sign("JWT", Some(&live.server_chain), &claims),
            None => {
                let ring = self.identity_keys(ctx.now_us)?;
                ring.identity.as_ref().ok_or_else(internal)?.sign("JWT", None, &claims)
            }
        };
        signed.map_err(|error| {
            tracing::error!(%error, "an identity token cannot be signed");
            internal()
        })
    }

    /// The address of the person's own record, where that was granted (SMART App Launch 2.2).
    pub(super) fn fhir_user(&self, grant: &Grant) -> Option<String> {
        let is_granted = grant.scopes.holds(Plain::OpenId) && grant.scopes.holds(Plain::FhirUser);
        let patient = grant.patient.as_ref().filter(|_| is_granted)?;
        Some(format!("{}/Patient/{patient}", self.authorization.endpoints.base))
    }
}

/// What may be told of the person: only if that was granted, and only what was verified as surely as the token says.
pub(super) fn told_of(grant: &Grant, account: &Account) -> Map<String, Value> {
    if !grant.scopes.holds(Plain::Profile) || account.level < grant.identity_level {
        return Map::new();
    }
    let identifier = if grant.community.is_some() { Identifier::Told } else { Identifier::Kept };
    person_claims(&account.attributes, identifier)
}

fn authentication_level(signed_in: &SignedIn) -> AuthenticationLevel {
    AuthenticationLevel::highest(signed_in.amr.iter().map(String::as_str)).unwrap_or_default()
}

/// Whether a refresh token comes with these scopes; a provider of identities for others gives none (UDAP Tiered OAuth 4.3).
pub(super) fn is_offline(scopes: &Scopes) -> bool {
    scopes.holds(Plain::OfflineAccess) && !scopes.holds(Plain::Udap)
}

/// Writes what was drafted.
pub(super) fn keep(connection: &mut Connection, draft: PersonDraft, now_us: i64) -> Result<IssuedToken, StoreError> {
    let PersonDraft { grant, issued, family_id, refresh } = draft;
    let row = NewAccessToken {
        token_id: &grant.token_id,
        client_id: &grant.client_id,
        issued_us: now_us,
        expires_us: grant.expires_us,
        context: None,
        grant_sha256: &digest_of(&issued.access_token),
        family_id: Some(&family_id),
    };
    access_token::insert(connection, &row)?;
    if let Some(row) = &refresh {
        token_family::insert_refresh(connection, row)?;
    }
    Ok(issued)
}
