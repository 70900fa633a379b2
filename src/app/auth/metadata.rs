//! Discovery: what the server says of itself, in the name of a community (FAST Security 2).
//!
//! The signed part is made anew every few minutes and not for every request: a signature costs more than all the rest.
//! Not here: the documents (see `auth::metadata`).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::app::App;
use crate::app::context::Context;
use crate::audit::Action;
use crate::auth::error::Refusal;
use crate::auth::jws::Algorithm;
use crate::auth::metadata::{signed_claims, smart, udap};

use super::communities::{LiveCommunity, Snapshot};
use super::grant::client_credentials::supported_scopes;
use super::{audit_of, internal};

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

#[derive(Debug)]
struct Signed {
    community: String,
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
    pub fn discover_udap(&self, ctx: &Context, community: Option<&str>) -> Result<Discovered, Refusal> {
        let result = self.udap_metadata(ctx, community);
        let mut audit = audit_of(ctx, Action::Discover);
        audit.detail.status = match &result {
            Ok(Discovered::Nothing) => 404,
            Ok(Discovered::UnknownCommunity) => 204,
            _ => 200,
        };
        self.end(ctx, audit, result)
    }

    fn udap_metadata(&self, ctx: &Context, community: Option<&str>) -> Result<Discovered, Refusal> {
        let snapshot = self.communities.current();
        let Some(default) = snapshot.default_community() else { return Ok(Discovered::Nothing) };
        let live = community.map_or(Some(default), |uri| snapshot.find_by_uri(uri));
        let Some(live) = live else { return Ok(Discovered::UnknownCommunity) };
        let signed = self.signed_metadata(ctx, &snapshot, live)?;
        let scopes: Vec<String> = supported_scopes(&live.community.scopes).iter().collect();
        let document = udap(&self.authorization.endpoints, live.community.validator, &scopes, &signed);
        Ok(Discovered::Metadata(document))
    }

    fn signed_metadata(
        &self,
        ctx: &Context,
        snapshot: &Arc<Snapshot>,
        live: &LiveCommunity,
    ) -> Result<String, Refusal> {
        let name = live.community.name.as_str();
        let mut kept = self.authorization.signed.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|signed| {
            Arc::ptr_eq(&signed.snapshot, snapshot) && ctx.now_us.saturating_sub(signed.made_us) < KEPT_US
        });
        if let Some(signed) = kept.iter().find(|signed| signed.community == name) {
            return Ok(signed.text.clone());
        }
        // FAST Security 2.3: always RS256.
        if live.signer.alg != Algorithm::Rs256 {
            tracing::error!(community = name, "signed metadata needs an RSA certificate of the server");
            return Err(internal());
        }
        let claims = signed_claims(&self.authorization.endpoints, &(ctx.clock.uuid)(), ctx.now_us);
        let text = live.signer.sign("JWT", Some(&live.server_chain), &claims).map_err(|error| {
            tracing::error!(%error, community = name, "the metadata cannot be signed");
            internal()
        })?;
        kept.push(Signed {
            community: name.to_owned(),
            snapshot: Arc::clone(snapshot),
            made_us: ctx.now_us,
            text: text.clone(),
        });
        Ok(text)
    }

    /// The SMART configuration.
    ///
    /// # Errors
    /// When its audit row cannot be committed.
    pub fn discover_smart(&self, ctx: &Context) -> Result<Value, Refusal> {
        let scopes = ["system/*.cruds".to_owned()];
        let document = smart(&self.authorization.endpoints, &scopes);
        self.end(ctx, audit_of(ctx, Action::Discover), Ok(document))
    }

    /// The public keys of access tokens.
    ///
    /// # Errors
    /// When its audit row cannot be committed.
    pub fn discover_keys(&self, ctx: &Context) -> Result<Value, Refusal> {
        let keys = self.jwk_set(ctx.now_us);
        self.end(ctx, audit_of(ctx, Action::Discover), Ok(keys))
    }
}
