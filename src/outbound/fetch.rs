//! The one client that fetches: one look-up, addresses checked, connection pinned to them, no redirect, no proxy.
//!
//! Every answer has a limit in time and size, must be 200, and must look like what was asked for. Plain http is for what
//! is signed anyway (`guard::Purpose`). TLS is rustls with aws-lc-rs; servers are verified by the authorities of
//! `outbound.anchors`, or else by the bundle of the operating system. Not here: the rules (`guard`), caches and the
//! meaning of what is fetched (`app::auth`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use crate::config::Outbound;

use super::certificates::{certificates, revocation_lists};
use super::guard::{Host, Policy, Purpose, Refusal, Target, check_url};
use super::lookup::{Failure, Lookup};

/// Bytes of a response's head at most.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a certificate, key set or metadata document at most.
const SMALL_BYTES_MAX: usize = 256 * 1024;
/// Where operating systems keep the authorities of https servers.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why nothing was fetched. No text of the other side is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    #[error("the name is not known")]
    NameNotFound,
    #[error("too many look-ups are waiting")]
    Busy,
    #[error("not in time")]
    TimedOut,
    #[error("no connection, or one that failed")]
    Connection,
    #[error("status {0}")]
    Status(u16),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer is of another media type")]
    MediaType,
    #[error("the answer is not what was asked for")]
    Content,
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound => Self::NameNotFound,
            Failure::TimedOut => Self::TimedOut,
            Failure::Busy => Self::Busy,
        }
    }
}

/// A JSON document and how long it may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub text: String,
    /// Seconds that `Cache-Control` allows; `None` where it says nothing.
    pub fresh_s: Option<u64>,
}

/// The client.
#[derive(Clone)]
pub struct Client {
    policy: Policy,
    lookup: Lookup,
    roots: RootCerts,
    provider: Arc<CryptoProvider>,
    timeout: Duration,
    list_bytes_max: usize,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("policy", &self.policy).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// An answer, as far as it was checked.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// The client of an instance; reads the authorities.
    ///
    /// # Errors
    /// Words about `outbound.anchors` when that file cannot be used.
    pub fn open(outbound: &Outbound, lookup: Lookup) -> Result<Self, String> {
        Ok(Self {
            policy: Policy::of(outbound),
            lookup,
            roots: RootCerts::from(roots(&outbound.anchors).map_err(|reason| format!("outbound.anchors: {reason}"))?),
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            timeout: Duration::from_millis(outbound.timeout_ms),
            list_bytes_max: outbound.body_bytes_max,
        })
    }

    /// The revocation lists at `url` (RFC 5280 §4.2.1.13), as DER.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn revocation_lists(&self, url: &str) -> Result<Vec<Vec<u8>>, FetchError> {
        let answer = self.get(url, Purpose::Crl, "application/pkix-crl, */*;q=0.5", self.list_bytes_max)?;
        revocation_lists(&answer.body).ok_or(FetchError::Content)
    }

    /// The certificates of an issuer at `url` (RFC 5280 §4.2.2.1), as DER.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn issuers(&self, url: &str) -> Result<Vec<Vec<u8>>, FetchError> {
        let accept = "application/pkix-cert, application/pkcs7-mime, */*;q=0.5";
        let answer = self.get(url, Purpose::Issuer, accept, SMALL_BYTES_MAX)?;
        certificates(&answer.body).ok_or(FetchError::Content)
    }

    /// The key set at `url` (RFC 7517), a JSON object.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn jwks(&self, url: &str) -> Result<Document, FetchError> {
        document(self.get(url, Purpose::Jwks, "application/jwk-set+json, application/json", SMALL_BYTES_MAX)?)
    }

    /// The metadata at `url`, a JSON object.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn discovery(&self, url: &str) -> Result<Document, FetchError> {
        document(self.get(url, Purpose::Discovery, "application/json", SMALL_BYTES_MAX)?)
    }

    fn get(&self, url: &str, purpose: Purpose, accept: &str, bytes_max: usize) -> Result<Answer, FetchError> {
        let until = Instant::now() + self.timeout;
        let target = check_url(url, purpose, &self.policy)?;
        let addresses = self.addresses(&target)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(FetchError::TimedOut);
        }
        let agent = self.agent(Pinned(addresses), left);
        let mut response = agent.get(&target.url).header(ACCEPT, accept).call().map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(FetchError::MediaType);
        }
        let body = read(response.body_mut(), bytes_max)?;
        Ok(Answer { headers: std::mem::take(response.headers_mut()), body })
    }

    /// The addresses to connect to, looked up once and all of them checked.
    fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let found: Vec<IpAddr> = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.lookup.addresses(name, self.timeout)?,
        };
        let checked = self.policy.check_addresses(&found)?;
        Ok(checked.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }

    /// An agent for one exchange: it keeps no connection, and knows no other addresses.
    fn agent(&self, pinned: Pinned, timeout: Duration) -> Agent {
        let tls = TlsConfig::builder()
            .root_certs(self.roots.clone())
            .unversioned_rustls_crypto_provider(Arc::clone(&self.provider))
            .build();
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .max_response_header_size(HEAD_BYTES_MAX)
            .max_idle_connections(0)
            .user_agent(concat!("idi-match/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Agent::with_parts(config, DefaultConnector::default(), pinned)
    }
}

/// Gives the addresses that were checked, whatever is asked for.
#[derive(Debug)]
struct Pinned(Vec<SocketAddr>);

impl Resolver for Pinned {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        for address in &self.0 {
            addresses.push(*address);
        }
        Ok(addresses)
    }
}

fn read(body: &mut Body, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    if body.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(FetchError::TooLarge);
    }
    body.with_config().limit(bytes_max as u64).read_to_vec().map_err(|error| failure(&error))
}

fn failure(error: &ureq::Error) -> FetchError {
    match error {
        ureq::Error::Timeout(_) => FetchError::TimedOut,
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => FetchError::TimedOut,
        _ => FetchError::Connection,
    }
}

/// A JSON object in UTF-8 that calls itself JSON.
fn document(answer: Answer) -> Result<Document, FetchError> {
    let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    if media_type != "application/json" && !(media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Err(FetchError::MediaType);
    }
    let fresh_s = header(CACHE_CONTROL).and_then(fresh_s);
    let text = String::from_utf8(answer.body).map_err(|_| FetchError::Content)?;
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
    if is_object { Ok(Document { text, fresh_s }) } else { Err(FetchError::Content) }
}

/// What `Cache-Control` says about keeping (RFC 9111 §5.2.2).
fn fresh_s(cache_control: &str) -> Option<u64> {
    let directives = || cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives().any(|directive| directive == "no-store" || directive == "no-cache" || directive == "max-age=0") {
        return Some(0);
    }
    directives().find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

/// The authorities of https servers: a file, or the first bundle of the operating system that is there.
pub(super) fn roots(file: &str) -> Result<Vec<Certificate<'static>>, String> {
    if !file.is_empty() {
        let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let found = certificates(&bytes).ok_or_else(|| format!("{file}: no certificates in it"))?;
        return Ok(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect());
    }
    let bundle = SYSTEM_BUNDLES.iter().find_map(|path| Some((path, std::fs::read(path).ok()?)));
    let Some((path, bytes)) = bundle else {
        tracing::warn!("no authorities of https servers were found: nothing is fetched by https (outbound.anchors)");
        return Ok(Vec::new());
    };
    let found: Vec<Certificate<'static>> = CertificateDer::pem_slice_iter(&bytes)
        .filter_map(Result::ok)
        .map(|der| Certificate::from_der(&der).to_owned())
        .collect();
    tracing::debug!(bundle = path, authorities = found.len(), "https servers are verified by the system's authorities");
    Ok(found)
}
