//! Discovery: what the server says of itself, in the name of a community (FAST Security 2).
//!
//! The signed part is made anew every few minutes and not for every request: a signature costs more than all the rest.
//! Not here: the documents (see `auth::metadata`).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::app::App;
use crate::app::context::Context;
use crate::audit::Action;
use crate::auth::error::Refusal;
use crate::auth::jws::Algorithm;
use crate::auth::metadata::{self, Offer, signed_claims, udap};
use crate::auth::scope::Scopes;
use crate::store::client;

use super::communities::{LiveCommunity, Snapshot};
use super::{audit_of, internal, refusal_of};

/// How long a signed part is given out.
const KEPT_US: i64 = 300_000_000;

/// The answer to who asks for UDAP metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovered {
    Metadata(Value),
    /// No UDAP here (FAST Security 2.2).
    Nothing,
    /// No such community (FAST Security 2.4).
    UnknownCommunity,
}

/// Signed parts that were made a short while ago.
#[derive(Debug, Default)]
pub struct SignedMetadata(Mutex<Vec<Signed>>);

/// In whose name UDAP metadata speak (FAST Security 2.3 and 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The FHIR base.
    Base,
    /// The issuer of identity tokens.
    Issuer,
}

#[derive(Debug)]
struct Signed {
    community: String,
    speaker: Speaker,
    /// The configuration that it was made from.
    snapshot: Arc<Snapshot>,
    made_us: i64,
    text: String,
}

impl App {
    /// The UDAP metadata of a community, or of the one that speaks for the server.
    ///
    /// # Errors
    /// `server_error` when it cannot be signed.
    pub fn discover_udap(
        &self,
        ctx: &Context,
        speaker: Speaker,
        community: Option<&str>,
    ) -> Result<Discovered, Refusal> {
        let result = self.udap_metadata(ctx, speaker, community);
        let mut audit = audit_of(ctx, Action::Discover);
        audit.detail.status = match &result {
            Ok(Discovered::Nothing) => 404,
            Ok(Discovered::UnknownCommunity) => 204,
            _ => 200,
        };
        self.end(ctx, audit, result)
    }

    fn udap_metadata(&self, ctx: &Context, speaker: Speaker, community: Option<&str>) -> Result<Discovered, Refusal> {
        let snapshot = self.communities.current();
        let Some(default) = snapshot.default_community() else { return Ok(Discovered::Nothing) };
        let live = community.map_or(Some(default), |uri| snapshot.find_by_uri(uri));
        let Some(live) = live else { return Ok(Discovered::UnknownCommunity) };
        // Callers refuse what a certificate without the speaker's URI has signed (FAST Security 2.3).
        if !live.server_certificate.has_uri(self.uri_of(speaker)) {
            return Ok(Discovered::Nothing);
        }
        let scopes = scopes_of(live);
        let signed = self.signed_metadata(ctx, &snapshot, live, speaker)?;
        let document = udap(&self.authorization.endpoints, live.community.validator, &scopes, &signed);
        Ok(Discovered::Metadata(document))
    }

    fn signed_metadata(
        &self,
        ctx: &Context,
        snapshot: &Arc<Snapshot>,
        live: &LiveCommunity,
        speaker: Speaker,
    ) -> Result<String, Refusal> {
        let name = live.community.name.as_str();
        let mut kept = self.authorization.signed.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|signed| {
            Arc::ptr_eq(&signed.snapshot, snapshot) && ctx.now_us.saturating_sub(signed.made_us) < KEPT_US
        });
        if let Some(signed) = kept.iter().find(|signed| signed.community == name && signed.speaker == speaker) {
            return Ok(signed.text.clone());
        }
        // FAST Security 2.3: always RS256.
        if live.signer.alg != Algorithm::Rs256 {
            tracing::error!(community = name, "signed metadata needs an RSA certificate of the server");
            return Err(internal());
        }
        let (endpoints, offer) = (&self.authorization.endpoints, Offer::of(&scopes_of(live)));
        let claims = signed_claims(endpoints, self.uri_of(speaker), offer, &(ctx.clock.uuid)(), ctx.now_us);
        let text = live.signer.sign("JWT", Some(&live.server_chain), &claims).map_err(|error| {
            tracing::error!(%error, community = name, "the metadata cannot be signed");
            internal()
        })?;
        kept.push(Signed {
            community: name.to_owned(),
            speaker,
            snapshot: Arc::clone(snapshot),
            made_us: ctx.now_us,
            text: text.clone(),
        });
        Ok(text)
    }

    fn uri_of(&self, speaker: Speaker) -> &str {
        match speaker {
            Speaker::Base => &self.authorization.endpoints.base,
            Speaker::Issuer => &self.authorization.endpoints.issuer,
        }
    }

    /// The SMART configuration.
    ///
    /// # Errors
    /// When its audit row cannot be committed.
    pub fn discover_smart(&self, ctx: &Context) -> Result<Value, Refusal> {
        let document = self.with_leniency(metadata::smart(&self.authorization.endpoints));
        self.end(ctx, audit_of(ctx, Action::Discover), document)
    }

    /// The metadata of the `OpenID` provider.
    ///
    /// # Errors
    /// When its audit row cannot be committed.
    pub fn discover_open_id(&self, ctx: &Context) -> Result<Value, Refusal> {
        let document = self.with_leniency(metadata::open_id(&self.authorization.endpoints));
        self.end(ctx, audit_of(ctx, Action::Discover), document)
    }

    /// Whoever looks is told that rules are relaxed for some client: this is a server for tests then.
    fn with_leniency(&self, mut document: Value) -> Result<Value, Refusal> {
        let mut connection = self.connection().map_err(|error| refusal_of(&error))?;
        let lenient = client::list_lenient(&mut connection).map_err(|error| refusal_of(&error.into()))?;
        let mut relaxed: Vec<&str> = lenient.iter().flat_map(|(_, words)| words.split(' ')).collect();
        relaxed.sort_unstable();
        relaxed.dedup();
        if !relaxed.is_empty() {
            document["relaxed_for_some_clients"] = json!(relaxed);
        }
        Ok(document)
    }

    /// The public keys of access tokens and identity tokens.
    ///
    /// # Errors
    /// When its audit row cannot be committed.
    pub fn discover_keys(&self, ctx: &Context) -> Result<Value, Refusal> {
        let keys = self.jwk_set(ctx.now_us);
        self.end(ctx, audit_of(ctx, Action::Discover), keys)
    }
}

/// Every scope of a community that has a meaning here.
pub(super) fn scopes_of(live: &LiveCommunity) -> Scopes {
    Scopes::from_list(live.community.scopes.iter().map(String::as_str)).unwrap_or_default()
}
