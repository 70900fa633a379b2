//! Which URLs and addresses may be fetched from.
//!
//! A URL is read by one strict reader and written again from what was read, so the client that connects cannot understand
//! another host than the one that was checked. Names are judged first, then every address that they stand for. What is in
//! doubt is refused. Not here: looking names up (`lookup`), connecting (`fetch`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Outbound;
use crate::config::list::{HostPattern, List, Network, Ports};

/// What is fetched; it decides which schemes are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A revocation list. It is signed, and a TLS certificate could not be checked without it (RFC 5280 §8).
    Crl,
    /// The certificate of an issuer; signed as well.
    Issuer,
    /// A JSON Web Key Set.
    Jwks,
    /// Metadata of another server.
    Discovery,
}

impl Purpose {
    const fn allows_http(self) -> bool {
        matches!(self, Self::Crl | Self::Issuer)
    }
}

/// Why a URL or address is not fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the URL is too long")]
    TooLong,
    #[error("the URL has characters that none has")]
    Characters,
    #[error("the scheme is not allowed")]
    Scheme,
    #[error("the URL has user information")]
    UserInformation,
    #[error("the URL has a fragment")]
    Fragment,
    #[error("the host is not a plain name")]
    Host,
    #[error("the host is an address")]
    AddressLiteral,
    #[error("the host is a name for local use")]
    LocalName,
    #[error("the host is not among outbound.hosts")]
    HostNotListed,
    #[error("the port is not allowed")]
    Port,
    #[error("the address is not public")]
    Address,
    #[error("the name has no address, or too many")]
    Addresses,
}

/// The rules of an instance.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    hosts: List<HostPattern>,
    ports: List<Ports>,
    networks: List<Network>,
}

impl Policy {
    #[must_use]
    pub fn of(outbound: &Outbound) -> Self {
        let Outbound { hosts, ports, networks, .. } = outbound.clone();
        Self { hosts, ports, networks }
    }
}

/// Where a fetch goes, as far as the URL tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL, written again from its parts.
    pub url: String,
    pub host: Host,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// In lower case.
    Name(String),
    Address(IpAddr),
}

const URL_CHARS_MAX: usize = 2048;
/// Addresses of one name that are looked at.
pub const ADDRESSES_MAX: usize = 16;

/// Names that stand for this machine or this network, whoever answers for them (RFC 6761, 6762, 8375, 9476; the last
/// ones by habit).
const LOCAL_NAMES: [&str; 16] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "onion",
    "alt",
    "test",
    "invalid",
    "example",
    "host",
];

/// Reads and judges a URL.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_url(url: &str, purpose: Purpose, policy: &Policy) -> Result<Target, Refusal> {
    if url.len() > URL_CHARS_MAX {
        return Err(Refusal::TooLong);
    }
    if !url.bytes().all(|b| b.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&b)) {
        return Err(Refusal::Characters);
    }
    let (scheme, rest) = url.split_once("://").ok_or(Refusal::Scheme)?;
    let (scheme, default_port) = match scheme {
        "https" => ("https", 443),
        "http" if purpose.allows_http() => ("http", 80),
        _ => return Err(Refusal::Scheme),
    };
    if rest.contains('#') {
        return Err(Refusal::Fragment);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Refusal::UserInformation);
    }
    let (host, port) = split_port(authority)?;
    let port = port.unwrap_or(default_port);
    let host = host_of(host)?;
    policy.check_host(&host)?;
    policy.check_port(port, default_port)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let written = match &host {
        Host::Name(name) => name.clone(),
        Host::Address(IpAddr::V4(address)) => address.to_string(),
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
    };
    let port_written = if port == default_port { String::new() } else { format!(":{port}") };
    Ok(Target { url: format!("{scheme}://{written}{port_written}{slash}{path}"), host, port })
}

/// The host as written, and the port when there is one, without leading zeros.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), Refusal> {
    let end = match authority.strip_prefix('[') {
        Some(_) => authority.find(']').ok_or(Refusal::Host)? + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(end);
    let Some(port) = rest.strip_prefix(':') else {
        return if rest.is_empty() { Ok((host, None)) } else { Err(Refusal::Host) };
    };
    let is_plain = !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_plain).ok_or(Refusal::Port)?;
    Ok((host, Some(port)))
}

/// A name of letters, digits and hyphens, or an address in its one usual form. A name that ends in a number is taken for
/// an address by some readers (WHATWG URL, "ends in a number"), so it is none here.
fn host_of(text: &str) -> Result<Host, Refusal> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| Refusal::Host)?;
        return Ok(Host::Address(IpAddr::V6(address).to_canonical()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if name.len() > 253 || is_number || !name.split('.').all(is_label) {
        return Err(Refusal::Host);
    }
    Ok(Host::Name(name))
}

impl Policy {
    fn check_host(&self, host: &Host) -> Result<(), Refusal> {
        let name = match host {
            // Certificates and metadata name hosts; an address is a way around names.
            Host::Address(address) => {
                let is_listed = self.networks.0.iter().any(|network| network.contains(*address));
                return if is_listed { Ok(()) } else { Err(Refusal::AddressLiteral) };
            }
            Host::Name(name) => name,
        };
        if self.hosts.0.iter().any(|pattern| pattern.matches(name)) {
            return Ok(());
        }
        if !self.hosts.0.is_empty() {
            return Err(Refusal::HostNotListed);
        }
        let is_local = name.rsplit_once('.').is_none_or(|(_, last)| LOCAL_NAMES.contains(&last));
        if is_local { Err(Refusal::LocalName) } else { Ok(()) }
    }

    fn check_port(&self, port: u16, default: u16) -> Result<(), Refusal> {
        let is_listed = self.ports.0.iter().any(|ports| ports.0.contains(&port));
        if port == default || is_listed { Ok(()) } else { Err(Refusal::Port) }
    }

    /// Judges all addresses that a name stands for; one that is not allowed refuses the name, for whoever answers with a
    /// public and a private address hopes that the wrong one is taken.
    ///
    /// # Errors
    /// `Addresses` or `Address`.
    pub fn check_addresses(&self, found: &[IpAddr]) -> Result<Vec<IpAddr>, Refusal> {
        if found.is_empty() || found.len() > ADDRESSES_MAX {
            return Err(Refusal::Addresses);
        }
        let found: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).collect();
        let is_allowed =
            |address: &IpAddr| is_public(*address) || self.networks.0.iter().any(|network| network.contains(*address));
        if found.iter().all(is_allowed) { Ok(found) } else { Err(Refusal::Address) }
    }
}

/// Whether an address is one of the public internet (IANA special-purpose registries, RFC 6890), and not one where a
/// provider of machines answers for them.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !is_in(u128::from(address.to_bits()) << 96, &NOT_PUBLIC_V4),
        // Of IPv6 only global unicast is in use: this leaves out ::1, mapped and translated IPv4 (64:ff9b::/96 and
        // 64:ff9b:1::/48), discard, unique-local, link-local, site-local and multicast.
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            bits >> 125 == 0b001 && !is_in(bits, &NOT_PUBLIC_V6)
        }
    }
}

fn is_in(bits: u128, networks: &[(u128, u32)]) -> bool {
    networks.iter().any(|(network, prefix_bits)| (bits ^ network) >> (128 - prefix_bits) == 0)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_bits: u32) -> (u128, u32) {
    ((u32::from_be_bytes([a, b, c, d]) as u128) << 96, prefix_bits)
}

const NOT_PUBLIC_V4: [(u128, u32); 17] = [
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // shared by carriers (RFC 6598); metadata of one provider
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // metadata of one provider, in public space
    v4(169, 254, 0, 0, 16),   // link-local; metadata of most providers
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments; metadata of one provider
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 31, 196, 0, 24),  // AS112
    v4(192, 52, 193, 0, 24),  // AMT
    v4(192, 88, 99, 0, 24),   // relays of 6to4
    v4(192, 168, 0, 0, 16),   // private
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 3),      // multicast, reserved, broadcast
];

const NOT_PUBLIC_V6: [(u128, u32); 5] = [
    (0x2001_0000 << 96, 23),      // protocol assignments: Teredo, benchmarks, ORCHID
    (0x2001_0db8 << 96, 32),      // documentation
    (0x2002_0000 << 96, 16),      // 6to4, which holds an IPv4 address
    (0x2620_004f_8000 << 80, 48), // AS112
    (0x3fff_0000 << 96, 20),      // documentation
];

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_url_is_written_again_from_what_was_read() {
        let networks = List::parse("10.0.0.0/8, fd00::/8").expect("networks");
        let policy = Policy { networks, ports: List::parse("8080").expect("ports"), ..Policy::default() };
        let table = [
            ("http://CRL.Good.Org", "http://crl.good.org/", 80),
            ("http://crl.good.org:80/a", "http://crl.good.org/a", 80),
            ("http://crl.good.org:8080?a=b/c", "http://crl.good.org:8080/?a=b/c", 8080),
            (
                "https://xn--bcher-kva.example.org/%2e%2e/a//b;c?d=@e:f",
                "https://xn--bcher-kva.example.org/%2e%2e/a//b;c?d=@e:f",
                443,
            ),
            ("https://10.1.2.3/", "https://10.1.2.3/", 443),
            ("https://[FD00::0:1]:443/", "https://[fd00::1]/", 443),
            ("http://[::ffff:10.1.2.3]/", "http://10.1.2.3/", 80),
        ];
        for (url, expected, port) in table {
            let target = check_url(url, Purpose::Crl, &policy).expect(url);
            assert_eq!((target.url.as_str(), target.port), (expected, port));
        }
    }

    #[test]
    fn hosts_are_refused_for_what_they_are() {
        let numbers = [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.0x1",
            "127.000.000.001",
            "0",
            "00",
            "0x",
            "a.127",
            "a.0x7f",
            "a.0x",
            "1.2.3.4.5",
            "256.0.0.1",
            "crl.good.org.",
            "127.0.0.1.",
        ];
        let addresses = ["127.0.0.1", "8.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "[2606:4700::1]"];
        let local =
            ["localhost", "a.localhost", "metadata", "metadata.google.internal", "a.local", "1.0.0.127.in-addr.arpa"];
        let rows = numbers.map(|host| (host, Refusal::Host)).into_iter();
        let rows = rows.chain(addresses.map(|host| (host, Refusal::AddressLiteral)));
        for (host, expected) in rows.chain(local.map(|host| (host, Refusal::LocalName))) {
            let checked = check_url(&format!("https://{host}/"), Purpose::Crl, &Policy::default());
            assert_eq!(checked, Err(expected), "{host}");
        }
    }

    proptest! {
        /// The client's own reader of URLs is given what was written here, and sees the same host and port in it.
        #[test]
        fn the_client_reads_the_host_that_was_checked(url in "(http|https)://[a-z0-9.:@%\\[\\]/?#_-]{0,24}(/[ -~]{0,12})?") {
            let policy = Policy {
                ports: List::parse("1-65535").expect("ports"),
                networks: List::parse("0.0.0.0/0, ::/0").expect("networks"),
                ..Policy::default()
            };
            if let Ok(target) = check_url(&url, Purpose::Crl, &policy) {
                let read: ureq::http::Uri = target.url.parse().expect("the client reads it");
                let default = if read.scheme_str() == Some("https") { 443 } else { 80 };
                let host = match &target.host {
                    Host::Name(name) => name.clone(),
                    Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
                    Host::Address(address) => address.to_string(),
                };
                prop_assert_eq!(read.host(), Some(host.as_str()));
                prop_assert_eq!(read.port_u16().unwrap_or(default), target.port);
                prop_assert!(!read.authority().is_some_and(|authority| authority.as_str().contains('@')));
            }
        }
    }

    #[test]
    fn urls_of_any_length_have_an_end() {
        let url = |length: usize| format!("https://a.org/{}", "x".repeat(length - 14));
        let check = |url: &str| check_url(url, Purpose::Jwks, &Policy::default()).map(|target| target.port);
        assert_eq!(check(&url(URL_CHARS_MAX)), Ok(443));
        assert_eq!(check(&url(URL_CHARS_MAX + 1)), Err(Refusal::TooLong));
        let label = "a".repeat(63);
        assert_eq!(check(&format!("https://{label}.org/")), Ok(443));
        assert_eq!(check(&format!("https://{label}a.org/")), Err(Refusal::Host));
        assert_eq!(check(&format!("https://{label}.{label}.{label}.{label}.org/")), Err(Refusal::Host));
    }
}
