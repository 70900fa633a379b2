//! Whether a request came protected: by TLS of this server, by a proxy that is named, or from this machine itself.
//!
//! Whoever is not named as a proxy says nothing about the protection: anybody can write `X-Forwarded-Proto`. Of several
//! words the last counts, which the nearest proxy wrote. Not here: TLS itself (see `tls`).

use std::net::IpAddr;

use actix_web::Error;
use actix_web::HttpMessage as _;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{FORWARDED, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use actix_web::middleware::Next;

use crate::app::context::{Caller, Context};
use crate::app::error::{AppError, ErrorKind};
use crate::audit::Action;
use crate::config::Server;
use crate::fhir::issue::{Issue, IssueCode};

use super::extract::{AppData, refuse};
use super::health;

/// Browsers and other clients keep to https for a year (RFC 6797).
const HTTPS_FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    Https,
    /// Plain, within this machine.
    Local,
    /// Plain, over a network.
    None,
}

/// Wraps every route: a request that came unprotected is refused, except that of a probe, which says nothing of anybody.
///
/// # Errors
/// What the routes give.
pub async fn only_protected<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(app) = request.app_data::<AppData>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let protection = protection(&request, &app.config.server);
    if protection == Protection::None && !health::is_probe(request.path()) {
        let made = request.extensions().get::<Context>().cloned();
        let ctx = made.unwrap_or_else(|| Context::new(Caller::Anonymous, app.clock));
        let text =
            "This server is spoken to by https; a proxy before it must be named in its configuration, and say so.";
        let issue = Issue::error(IssueCode::Forbidden, text);
        let error = AppError::new(ErrorKind::Forbidden, vec![issue]);
        let response = refuse(&app, &ctx, Action::Read, error).await;
        return Ok(request.into_response(response).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    if protection == Protection::Https {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HTTPS_FOR_A_YEAR);
    }
    Ok(response.map_into_left_body())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a request came from: the nearest address that is none of a named proxy. What anybody else writes into a header
/// counts for nothing.
pub fn client_address(request: &ServiceRequest, server: &Server) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let lines = |name: &HeaderName| {
        let lines = request.headers().get_all(name).filter_map(|line| line.to_str().ok());
        lines.collect::<Vec<_>>().join(",")
    };
    let (forwarded, others) = (lines(&FORWARDED), lines(&X_FORWARDED_FOR));
    let is_proxy = |address: IpAddr| server.trusted_proxies.0.iter().any(|network| network.contains(address));
    Some(nearest(peer, &forwarded, &others, is_proxy))
}

/// What both headers say, if both are there and say the same: a proxy that writes one of them may pass on what its caller
/// wrote into the other. Else the proxy itself is the answer.
fn nearest(peer: IpAddr, forwarded: &str, forwarded_for: &str, is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let by_forwarded = forwarded.split([',', ';']).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    let by_forwarded: Vec<&str> = by_forwarded.collect();
    let by_forwarded_for: Vec<&str> = forwarded_for.split(',').filter(|text| !text.is_empty()).collect();
    match (by_forwarded.is_empty(), by_forwarded_for.is_empty()) {
        (_, true) => before_proxies(peer, &by_forwarded, is_proxy),
        (true, false) => before_proxies(peer, &by_forwarded_for, is_proxy),
        (false, false) => {
            let one = before_proxies(peer, &by_forwarded, &is_proxy);
            if one == before_proxies(peer, &by_forwarded_for, &is_proxy) { one } else { peer }
        }
    }
}

/// From the right, as proxies append: past proxies that are named, to the first other address. Where the header says no
/// more, or nothing that can be the address of a caller, the last one known is the answer. Nobody comes through a proxy from
/// a loopback address: that is this machine's own.
fn before_proxies(peer: IpAddr, said: &[&str], is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut address = peer;
    for text in said.iter().rev() {
        if !is_proxy(address) {
            break;
        }
        let Some(before) = address_of(text).filter(|before| !before.is_loopback() && !before.is_unspecified()) else {
            break;
        };
        address = before;
    }
    address
}

/// An address with or without a port, brackets and quotation marks (RFC 7239 section 6).
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let whole = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    whole.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

fn protection(request: &ServiceRequest, server: &Server) -> Protection {
    if request.app_config().secure() {
        return Protection::Https;
    }
    let Some(peer) = request.peer_addr().map(|peer| peer.ip().to_canonical()) else { return Protection::None };
    let is_proxy = server.trusted_proxies.0.iter().any(|network| network.contains(peer));
    let said = || {
        let lines = |name: &HeaderName| {
            let lines = request.headers().get_all(name).filter_map(|line| line.to_str().ok());
            lines.collect::<Vec<_>>().join(",")
        };
        Said { forwarded: lines(&FORWARDED), proto: lines(&X_FORWARDED_PROTO) }
    };
    judge(peer, is_proxy.then(said).as_ref())
}

/// What a proxy said, all lines of each header as one.
struct Said {
    forwarded: String,
    proto: String,
}

/// `said` is of a proxy that is named.
fn judge(peer: IpAddr, said: Option<&Said>) -> Protection {
    match said {
        Some(said) if said.is_https() => Protection::Https,
        Some(_) => Protection::None,
        None if peer.is_loopback() => Protection::Local,
        None => Protection::None,
    }
}

impl Said {
    /// Where both headers are there, both must say it.
    fn is_https(&self) -> bool {
        let last = |list: &str| list.rsplit(',').next().map(|item| item.trim().to_ascii_lowercase());
        let by_forwarded =
            (!self.forwarded.is_empty()).then(|| last_proto(&self.forwarded) == Some("https".to_owned()));
        let by_proto = (!self.proto.is_empty()).then(|| last(&self.proto).as_deref() == Some("https"));
        let said: Vec<bool> = [by_forwarded, by_proto].into_iter().flatten().collect();
        !said.is_empty() && said.iter().all(|is_https| *is_https)
    }
}

/// `proto` of the last element of `Forwarded` (RFC 7239 §4). A value in quotation marks may hold commas: such an element
/// has its pairs after the last comma outside of them.
fn last_proto(forwarded: &str) -> Option<String> {
    let mut is_quoted = false;
    let mut start = 0;
    for (at, letter) in forwarded.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => start = at + 1,
            _ => {}
        }
    }
    let mut pairs = forwarded[start..].split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, proto) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("proto"))?;
    Some(proto.trim_matches('"').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_caller_is_what_the_nearest_named_proxy_says() {
        let is_proxy = |address: IpAddr| address.to_string().starts_with("10.");
        for (peer, forwarded, forwarded_for, expected) in [
            ("192.0.2.1", "", "", "192.0.2.1"),
            // Nobody asked it.
            ("192.0.2.1", "for=198.51.100.7", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1", "", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", "", "<script>", "10.0.0.1"),
            ("10.0.0.1", "", "", "10.0.0.1"),
            ("10.0.0.1", "for=203.0.113.9, proto=https;For=\"[2001:db8::7]:80\"", "", "2001:db8::7"),
            ("10.0.0.1", "for=unknown", "", "10.0.0.1"),
            // What the caller wrote into the header that the proxy leaves alone.
            ("10.0.0.1", "for=198.51.100.7", "203.0.113.66", "10.0.0.1"),
            ("10.0.0.1", "for=198.51.100.7", "203.0.113.66, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "proto=https", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "", "127.0.0.2", "10.0.0.1"),
            ("10.0.0.1", "for=\"[::1]\"", "", "10.0.0.1"),
            ("10.0.0.1", "", "0.0.0.0", "10.0.0.1"),
        ] {
            let found = nearest(peer.parse().expect(peer), forwarded, forwarded_for, is_proxy);
            assert_eq!(found.to_string(), expected, "{peer} {forwarded} {forwarded_for}");
        }
    }

    #[test]
    fn only_a_proxy_that_says_https_last_makes_a_request_protected() {
        let far: IpAddr = "192.0.2.1".parse().expect("address");
        let near: IpAddr = "127.0.0.1".parse().expect("address");
        let said = |forwarded: &str, proto: &str| Some(Said { forwarded: forwarded.into(), proto: proto.into() });
        let table = [
            (far, None, Protection::None),
            (near, None, Protection::Local),
            (far, said("", "https"), Protection::Https),
            (far, said("", "HTTPS"), Protection::Https),
            (far, said("", "http, https"), Protection::Https),
            (far, said("", "https, http"), Protection::None),
            (far, said("", "https,"), Protection::None),
            (far, said("", ""), Protection::None),
            (near, said("", ""), Protection::None),
            (near, said("", "http"), Protection::None),
            (far, said("proto=https", ""), Protection::Https),
            (far, said("for=192.0.2.60;Proto=\"https\";by=203.0.113.43", ""), Protection::Https),
            (far, said("proto=http, for=\"[2001:db8::1]\";proto=https", ""), Protection::Https),
            (far, said("proto=https, for=x", ""), Protection::None),
            (far, said("for=\"a,proto=https\"", ""), Protection::None),
            (far, said("for=x;proto=https,proto=http", ""), Protection::None),
            (far, said("proto=https", "http"), Protection::None),
            (far, said("proto=http", "https"), Protection::None),
            (far, said("proto=https", "https"), Protection::Https),
        ];
        for (at, (peer, said, expected)) in table.into_iter().enumerate() {
            assert_eq!(judge(peer, said.as_ref()), expected, "case {at}");
        }
    }
}
