//! What a server says of itself by UDAP, believed only as far as its signature goes.
//!
//! FAST Security 2.2 and 2.3: `signed_metadata` is signed with RS256 by a certificate of the community, `iss` and `sub` are
//! the base URL that was asked and a URI of that certificate, and what is signed equals what is not. The community's
//! anchors are the operator's; nothing of the document is used before all of it holds. Not here: what is sent to the
//! endpoints.

use serde_json::{Map, Value};

use crate::auth::jws::{self, Algorithm, PublicKey, Verified, claims};
use crate::auth::trust::{self, TrustStore};
use crate::outbound::exchange::Exchange;

use super::super::CommandError;

/// FAST Security 2.3: a year.
const LIFETIME_S_MAX: i64 = 366 * 24 * 3600;
/// Difference of two clocks.
const SKEW_S: i64 = 60;
/// Members that are signed wherever they are there.
const ENDPOINTS: [&str; 3] = ["token_endpoint", "registration_endpoint", "authorization_endpoint"];

/// What is used of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub registration: String,
    pub token: String,
    /// Algorithms that the token endpoint names; none: it does not say.
    pub algorithms: Vec<String>,
}

/// Fetches and checks the metadata of the server at `base`.
///
/// # Errors
/// Where there is none for the community, or it cannot be believed.
pub fn discover(
    exchange: &Exchange,
    base: &str,
    community: Option<&str>,
    trust: &TrustStore,
    now_us: i64,
) -> Result<Endpoints, CommandError> {
    let query =
        community.map(|uri| form_urlencoded::Serializer::new(String::new()).append_pair("community", uri).finish());
    let url = format!("{base}/.well-known/udap{}", query.map(|query| format!("?{query}")).unwrap_or_default());
    let reply = exchange.get(&url, "application/json").map_err(|error| CommandError::Failed(error.to_string()))?;
    let refuse = |reason: &str| CommandError::Failed(format!("{url}: {reason}"));
    match reply.status {
        200 => {}
        204 => return Err(refuse("the server is not in this community (204)")),
        404 => return Err(refuse("the server does not speak UDAP (404)")),
        status => return Err(refuse(&format!("status {status}"))),
    }
    let document: Map<String, Value> =
        serde_json::from_str(&reply.body).map_err(|_| refuse("the answer is not a JSON object"))?;
    check(&document, base, trust, now_us).map_err(|reason| refuse(&reason))
}

/// The endpoints of a document that can be believed.
///
/// # Errors
/// The first thing that does not hold, in words.
pub fn check(document: &Map<String, Value>, base: &str, trust: &TrustStore, now_us: i64) -> Result<Endpoints, String> {
    let signed = document.get("signed_metadata").and_then(Value::as_str).ok_or("signed_metadata is missing")?;
    let verified = verify(signed, base, trust, now_us).map_err(|reason| format!("signed_metadata: {reason}"))?;
    for name in ENDPOINTS {
        if document.get(name) != verified.claims.get(name) {
            return Err(format!("{name} is not the one that is signed"));
        }
    }
    let endpoint = |name: &str| {
        let text = verified.claims.get(name).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
    };
    let algorithms = document.get("token_endpoint_auth_signing_alg_values_supported").and_then(Value::as_array);
    let algorithms = algorithms.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Endpoints { registration: endpoint("registration_endpoint")?, token: endpoint("token_endpoint")?, algorithms })
}

fn verify(signed: &str, base: &str, trust: &TrustStore, now_us: i64) -> Result<Verified, String> {
    let parsed = jws::parse(signed).map_err(|error| error.to_string())?;
    if parsed.header.alg != Algorithm::Rs256 {
        return Err(format!("signed with {}, not with RS256", parsed.header.alg.name()));
    }
    let chain = trust::validate(&parsed.header.x5c, &[], trust, now_us)
        .map_err(|error| format!("its certificates: {}", error.reason()))?;
    let key = PublicKey::from_certificate(&chain.leaf).map_err(|error| error.to_string())?;
    let verified = parsed.verify(&key).map_err(|error| error.to_string())?;
    let refuse = |error: claims::ClaimError| error.0.to_string();
    let issuer = claims::issuer_and_subject(&verified).map_err(refuse)?;
    // A base may be written with a slash at its end; the certificate must have it as it is signed.
    if issuer.strip_suffix('/').unwrap_or(issuer) != base {
        return Err(format!("it is about {issuer}, not about {base}"));
    }
    if !chain.leaf.has_uri(issuer) {
        return Err(format!("{issuer} is not a URI of the server's certificate"));
    }
    claims::times(&verified, now_us, SKEW_S, LIFETIME_S_MAX).map_err(refuse)?;
    claims::text(&verified, "jti").map_err(refuse)?;
    Ok(verified)
}
