//! Options that are lists: one text, its items separated by commas; and the items that need reading.
//!
//! What: networks, ports and host names, each with a form that cannot be wrong once it was read. Not here: what is
//! allowed or trusted by them (see `outbound::guard` and `http::transport`).

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something that is written between commas.
pub trait Item: fmt::Display + Sized {
    /// The words after "expected".
    const EXPECTED: &'static str;

    fn parse(text: &str) -> Option<Self>;
}

/// Items of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Item> List<T> {
    /// Reads a list; empty text has no items.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self(Vec::new()));
        }
        text.split(',').map(|item| T::parse(item.trim())).collect::<Option<_>>().map(Self)
    }
}

impl<'de, T: Item> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| Error::invalid_value(Unexpected::Other("text"), &T::EXPECTED))
    }
}

impl<T: Item> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        serializer.serialize_str(&items.join(", "))
    }
}

/// An address and how many of its leading bits count (CIDR, RFC 4632 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether `address` lies in it; an IPv4 address is the same when it is written as IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (bits(self.address), bits(address.to_canonical()));
        own.1 == other.1 && masked(own.0, self.prefix_bits) == masked(other.0, self.prefix_bits)
    }
}

/// An address as the leading bits of a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

fn masked(bits: u128, prefix_bits: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0)
}

impl Item for Network {
    const EXPECTED: &'static str = "addresses or networks such as 192.0.2.0/24, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let (bits, bits_max) = bits(address);
        let is_number = |prefix: &&str| !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix_bits = match prefix {
            None => bits_max,
            Some(prefix) => Some(prefix).filter(is_number)?.parse().ok().filter(|bits| *bits <= bits_max)?,
        };
        // A network with bits beyond its prefix was meant to be another one.
        (masked(bits, prefix_bits) == bits && address.to_canonical() == address)
            .then_some(Self { address, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// A port, or all from one to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub RangeInclusive<u16>);

impl Item for Ports {
    const EXPECTED: &'static str = "ports such as 8443 or 9000-9100, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let (from, to) = (port(from)?, port(to)?);
        (from <= to).then_some(Self(from..=to))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.0.start(), self.0.end());
        if from == to { write!(f, "{from}") } else { write!(f, "{from}-{to}") }
    }
}

/// A host name, or everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    Name(String),
    /// With the leading dot.
    Below(String),
}

impl HostPattern {
    /// Whether it stands for `host`, which is in lower case.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name == host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

impl Item for HostPattern {
    const EXPECTED: &'static str = "host names such as crl.example.org or *.example.org, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (name, is_below) = text.strip_prefix("*.").map_or((text.as_str(), false), |name| (name, true));
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if name.len() > 253 || !name.split('.').all(is_label) {
            return None;
        }
        Some(if is_below { Self::Below(format!(".{name}")) } else { Self::Name(name.to_owned()) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "a00::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
            ("::1", "::1", true),
        ];
        for (network, address, expected) in table {
            let network = Network::parse(network).expect(network);
            assert_eq!(network.contains(address.parse().expect("address")), expected, "{network} {address}");
        }
    }

    #[test]
    fn items_that_cannot_be_meant_are_refused() {
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10/8", "x", "::ffff:10.0.0.0/104"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        for text in ["", "0", "65536", "9-8", "x", "-1", "1-"] {
            assert_eq!(Ports::parse(text), None, "{text}");
        }
        for text in ["", "*", "*.", "a..b", "a b", "https://a", "a/b", "a:80", "*.*.a", "ä.example"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_stands_for_what_is_below_it_only() {
        let pattern = HostPattern::parse("*.Example.org").expect("a pattern");
        assert!(pattern.matches("a.example.org") && pattern.matches("a.b.example.org"));
        assert!(
            !pattern.matches("example.org") && !pattern.matches("notexample.org") && !pattern.matches(".example.org")
        );
        assert!(HostPattern::parse("ca").expect("a name").matches("ca"));
    }

    #[test]
    fn a_list_is_written_as_it_was_read() {
        let read = |text| List::<Network>::parse(text).expect("a list");
        assert_eq!(read(" ").0, []);
        assert_eq!(serde_json::to_string(&read("10.0.0.0/8,::1")).expect("text"), "\"10.0.0.0/8, ::1/128\"");
        assert_eq!(List::<Network>::parse("10.0.0.0/8,,::1"), None);
    }
}
