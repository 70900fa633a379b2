//! Requests of an operator's own command to a server that the operator names.
//!
//! Why no guard on addresses: whoever types the command chooses where it goes, private networks among them, and nothing a
//! stranger sends brings it about. Tokens and people travel protected all the same: plain http goes to this machine alone,
//! unless the operator says otherwise. No redirect is followed, no proxy is asked, and every answer has a limit.
//! Not here: what a server fetches while it serves (see `fetch`).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Request, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::fetch::roots;

/// Of a whole exchange.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer's head at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an answer at most.
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where plain http may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// To this machine.
    Loopback,
    Anywhere,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("{0} is not an http or https URL")]
    Url(String),
    #[error(
        "{0} is plain http and not on this machine: everybody on the way could read it (--insecure-http allows it)"
    )]
    Plain(String),
    #[error("{url}: {reason}")]
    Failed { url: String, reason: String },
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// Sends one request at a time.
pub struct Exchange {
    agent: Agent,
    plain: PlainHttp,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("plain", &self.plain).finish_non_exhaustive()
    }
}

impl Exchange {
    /// `anchors` is a file with the authorities of https servers; empty: those of the operating system.
    ///
    /// # Errors
    /// Words about the file when it cannot be used.
    pub fn open(anchors: &str, plain: PlainHttp) -> Result<Self, String> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots(anchors)?))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_response_header_size(HEAD_BYTES_MAX)
            .user_agent(concat!("idi-match/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: Agent::new_with_config(config), plain })
    }

    /// # Errors
    /// Where nothing answers, or the URL may not be used.
    pub fn get(&self, url: &str, accept: &str) -> Result<Reply, ExchangeError> {
        self.send(url, Request::get(url).header("accept", accept).body(String::new()))
    }

    /// # Errors
    /// Where nothing answers, or the URL may not be used.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: String) -> Result<Reply, ExchangeError> {
        let request = headers.iter().fold(Request::post(url), |request, (name, value)| request.header(*name, *value));
        self.send(url, request.body(body))
    }

    fn send(&self, url: &str, request: ureq::http::Result<Request<String>>) -> Result<Reply, ExchangeError> {
        self.check(url)?;
        let failed =
            |reason: &dyn fmt::Display| ExchangeError::Failed { url: url.to_owned(), reason: reason.to_string() };
        let request = request.map_err(|error| failed(&error))?;
        let mut response = self.agent.run(request).map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = read(response.body_mut()).map_err(|error| failed(&error))?;
        Ok(Reply { status, body })
    }

    fn check(&self, url: &str) -> Result<(), ExchangeError> {
        let parsed: Uri = url.parse().map_err(|_| ExchangeError::Url(url.to_owned()))?;
        match (parsed.scheme_str(), parsed.host()) {
            (Some("https"), Some(_)) => Ok(()),
            (Some("http"), Some(host)) if self.plain == PlainHttp::Anywhere || is_loopback(host) => Ok(()),
            (Some("http"), Some(_)) => Err(ExchangeError::Plain(url.to_owned())),
            _ => Err(ExchangeError::Url(url.to_owned())),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn read(body: &mut Body) -> Result<String, ureq::Error> {
    body.with_config().limit(BODY_BYTES_MAX).read_to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_unless_the_operator_says_otherwise() {
        let table = [
            ("https://fhir.example/fhir", true, true),
            ("https://10.0.0.1/fhir", true, true),
            ("http://127.0.0.1:8080/fhir", true, true),
            ("http://[::1]:8080/fhir", true, true),
            ("http://localhost/fhir", true, true),
            ("http://10.0.0.1/fhir", false, true),
            ("http://localhost.example/fhir", false, true),
            ("http://127.0.0.1@fhir.example/fhir", false, true),
            ("ftp://127.0.0.1/fhir", false, false),
            ("/fhir", false, false),
            ("", false, false),
        ];
        for (url, to_loopback, anywhere) in table {
            for (plain, expected) in [(PlainHttp::Loopback, to_loopback), (PlainHttp::Anywhere, anywhere)] {
                let exchange = Exchange::open("", plain).expect("a client");
                assert_eq!(exchange.check(url).is_ok(), expected, "{url} {plain:?}");
            }
        }
    }
}
