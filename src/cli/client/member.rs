//! A client of UDAP: its certificate and key, whom it trusts, and what it sends to a server's endpoints.
//!
//! FAST Security 3 (registration) and 5.2 (token). Every statement and assertion is signed anew, lives five minutes and
//! names the endpoint that the server's signed metadata named. Not here: the metadata (see `discovery`), printing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::app::clock::Clock;
use crate::auth::certificate::Certificate;
use crate::auth::signing::Signer;
use crate::auth::trust::{Crl, TrustStore, UnknownRevocation};
use crate::outbound::certificates::{certificates, revocation_lists};
use crate::outbound::exchange::{Exchange, PlainHttp, Reply};

use super::super::{CommandError, at, read_file};
use super::arguments::{MemberArgs, ServerArgs};
use super::discovery::{Endpoints, discover};

/// FAST Security 3.1 and 5.2: five minutes at most.
const LIFETIME_S: i64 = 300;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a client registers as.
#[derive(Debug, Clone, Default)]
pub struct Registration<'a> {
    pub name: &'a str,
    pub contacts: &'a [String],
    pub scope: &'a str,
    /// Signed certifications.
    pub certifications: Vec<String>,
}

/// A client and the server that it found.
#[derive(Debug)]
pub struct Member {
    exchange: Exchange,
    endpoints: Endpoints,
    signer: Signer,
    chain: Vec<Vec<u8>>,
    uri: String,
    clock: Clock,
}

impl Member {
    /// Reads the files and the server's metadata.
    ///
    /// # Errors
    /// Where a file cannot be used, or the server not be believed.
    pub fn open(args: &MemberArgs, clock: Clock) -> Result<Self, CommandError> {
        let chain = each(&args.certificates, certificates, "no certificate")?;
        let leaf = chain.first().and_then(|der| Certificate::parse(der).ok());
        let leaf = leaf.ok_or_else(|| usage("--cert", "the first certificate cannot be used"))?;
        let key = read_file(&args.key)?;
        let signer = std::str::from_utf8(&key)
            .ok()
            .map_or(Err(at(&args.key, "no PEM")), |pem| Signer::from_pem(pem).map_err(|error| at(&args.key, error)))?;
        if !signer.fits(&leaf) {
            return Err(usage("--key", "is not the key of the first certificate of --cert"));
        }
        let uri = uri_of(&leaf, args.uri.as_deref())?;
        let exchange = open_exchange(&args.server)?;
        let base = base_of(&args.server);
        let endpoints = discover(&exchange, base, args.community.as_deref(), &trust(args)?, (clock.now_us)())?;
        let algorithm = signer.alg.name();
        if !endpoints.algorithms.is_empty() && !endpoints.algorithms.iter().any(|known| known == algorithm) {
            let known = endpoints.algorithms.join(", ");
            return Err(usage("--key", &format!("signs {algorithm}, and the server wants one of: {known}")));
        }
        Ok(Self { exchange, endpoints, signer, chain, uri, clock })
    }

    /// Registers, or changes the registration, or cancels it (FAST Security 3.4) where there is none to make.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn register(&self, wanted: Option<&Registration<'_>>) -> Result<Reply, CommandError> {
        let statement = match wanted {
            None => json!({"grant_types": []}),
            Some(wanted) => json!({
                "client_name": wanted.name,
                "contacts": wanted.contacts,
                "grant_types": ["client_credentials"],
                "token_endpoint_auth_method": "private_key_jwt",
                "scope": wanted.scope,
            }),
        };
        let statement = self.sign(&self.uri, &self.endpoints.registration, statement)?;
        let mut body = json!({"software_statement": statement, "udap": "1"});
        if let Some(wanted) = wanted.filter(|wanted| !wanted.certifications.is_empty()) {
            body["certifications"] = json!(wanted.certifications);
        }
        let headers = [("content-type", "application/json"), ("accept", "application/json")];
        self.post(&self.endpoints.registration, &headers, body.to_string())
    }

    /// Asks for a token with these extensions.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn token(&self, client_id: &str, extensions: &Value, scope: Option<&str>) -> Result<Reply, CommandError> {
        let assertion = self.sign(client_id, &self.endpoints.token, json!({ "extensions": extensions }))?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_assertion_type", ASSERTION_TYPE);
        form.append_pair("client_assertion", &assertion);
        form.append_pair("udap", "1");
        if let Some(scope) = scope {
            form.append_pair("scope", scope);
        }
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        self.post(&self.endpoints.token, &headers, form.finish())
    }

    fn post(&self, url: &str, headers: &[(&str, &str)], body: String) -> Result<Reply, CommandError> {
        self.exchange.post(url, headers, body).map_err(|error| CommandError::Failed(error.to_string()))
    }

    /// `claims` as said by `issuer` of itself to `audience`.
    fn sign(&self, issuer: &str, audience: &str, claims: Value) -> Result<String, CommandError> {
        let issued_s = (self.clock.now_us)().div_euclid(1_000_000);
        let common = json!({
            "iss": issuer, "sub": issuer, "aud": audience,
            "iat": issued_s, "exp": issued_s + LIFETIME_S, "jti": (self.clock.uuid)(),
        });
        let both: Map<String, Value> = [common, claims]
            .into_iter()
            .filter_map(|value| if let Value::Object(map) = value { Some(map) } else { None })
            .flatten()
            .collect();
        let signed = self.signer.sign("JWT", Some(&self.chain), &both);
        signed.map_err(|error| CommandError::Failed(error.to_string()))
    }
}

/// The base URL without a slash at its end.
pub fn base_of(server: &ServerArgs) -> &str {
    server.base_url.trim_end_matches('/')
}

pub fn open_exchange(server: &ServerArgs) -> Result<Exchange, CommandError> {
    let anchors = server.tls_anchors.as_deref().unwrap_or(Path::new("")).display().to_string();
    let plain = if server.insecure_http { PlainHttp::Anywhere } else { PlainHttp::Loopback };
    Exchange::open(&anchors, plain).map_err(|reason| usage("--tls-anchors", &reason))
}

fn usage(option: &str, reason: &str) -> CommandError {
    CommandError::Usage(format!("{option}: {reason}"))
}

fn each(
    files: &[PathBuf],
    parse: fn(&[u8]) -> Option<Vec<Vec<u8>>>,
    nothing: &str,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let read = |file: &PathBuf| parse(&read_file(file)?).ok_or_else(|| at(file, format_args!("{nothing} in it")));
    Ok(files.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Whom the server's metadata must be signed under.
fn trust(args: &MemberArgs) -> Result<TrustStore, CommandError> {
    let anchors = each(&args.anchors, certificates, "no certificate")?;
    let intermediates = each(&args.intermediates, certificates, "no certificate")?;
    let store = TrustStore::new(&anchors, &intermediates).map_err(|error| usage("--anchors", &error.to_string()))?;
    let lists = each(&args.crls, revocation_lists, "no revocation list")?;
    if lists.is_empty() {
        return Ok(store.with_unknown_revocation(UnknownRevocation::Accept));
    }
    let lists: Result<Vec<_>, _> = lists.iter().map(|der| Crl::parse(der).map(Arc::new)).collect();
    Ok(store.with_crls(lists.map_err(|error| usage("--crls", &error.to_string()))?))
}

fn uri_of(leaf: &Certificate, wanted: Option<&str>) -> Result<String, CommandError> {
    match (wanted, leaf.uris()) {
        (Some(wanted), _) if leaf.has_uri(wanted) => Ok(wanted.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (_, []) => Err(usage("--cert", "the first certificate has no URI")),
        (_, uris) => Err(usage("--uri", &format!("must be one of the certificate's: {}", uris.join(", ")))),
    }
}
