//! Forged URLs against every function that fetches, with listeners that tell whether anybody connected.
//!
//! Not here: what those answer that may be asked (see `answers`).

mod answers;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::list::List;
use crate::config::{Config, Outbound};

use super::fetch::{Client, FetchError};
use super::guard::Refusal;
use super::lookup::Lookup;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What the functions that fetch have in common here: an error, or nothing.
type Fetch = fn(&Client, &str) -> Result<(), FetchError>;

const FETCHES: [(&str, Fetch); 4] = [
    ("revocation_lists", |client, url| client.revocation_lists(url).map(drop)),
    ("issuers", |client, url| client.issuers(url).map(drop)),
    ("jwks", |client, url| client.jwks(url).map(drop)),
    ("discovery", |client, url| client.discovery(url).map(drop)),
];

/// A listener that counts connections and answers each with the same bytes.
struct Listener {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    fn answering(answer: Vec<u8>) -> Self {
        Self::serving(move |stream| drop(stream.write_all(&answer)))
    }

    fn serving(serve: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, serve) = (Arc::clone(&connections), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (Ok(mut stream), serve) = (stream, Arc::clone(&serve)) else { continue };
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    read_head(&mut stream);
                    serve(&mut stream);
                });
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn outbound(hosts: &str, ports: &str, networks: &str) -> Outbound {
    Outbound {
        hosts: List::parse(hosts).expect("hosts"),
        ports: List::parse(ports).expect("ports"),
        networks: List::parse(networks).expect("networks"),
        ..Config::defaults().expect("defaults").outbound
    }
}

/// Every name stands for `addresses`.
fn resolving(addresses: &[IpAddr]) -> Lookup {
    let addresses = addresses.to_vec();
    Lookup::by(Arc::new(move |_| Ok(addresses.clone())))
}

fn client(outbound: &Outbound, lookup: Lookup) -> Client {
    Client::open(outbound, lookup).expect("a client")
}

/// Hosts that lead, or try to lead, to this machine or its network, however they are written.
const HOSTS: [&str; 78] = [
    // IPv4 as readers of URLs and resolvers understand it
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0X7F.0X0.0X0.0X1",
    "0177.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "127.0.0.0x1",
    "127.000.000.001",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "127.127.127.127",
    "4294967295",
    "255.255.255.255",
    "a.127",
    "a.0x7f",
    "a.0x",
    "1.2.3.4.5",
    "256.0.0.1",
    // private, link-local, metadata
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    // IPv6
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::1",
    "::1",
    "[[::1]]",
    "[::1]x",
    // names for local use
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "metadata",
    "metadata.google.internal",
    "a.local",
    "a.lan",
    // names that are none, or another one than they seem
    "ⓛocalhost",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "127.0.0.1%00.example.org",
    "localhost%2eexample.org",
    "exa mple.org",
    "-a.org",
    "a..org",
    ".a.org",
    "a_b.org",
    "crl.example.org.",
];

/// Whole URLs; `P` stands for the port of the trap.
const URLS: [&str; 34] = [
    "http://user@127.0.0.1:P/",
    "http://crl.good.org@127.0.0.1:P/",
    "http://crl.good.org:80@127.0.0.1:P/",
    "http://127.0.0.1:P@crl.good.org/",
    "http://crl.good.org\\@127.0.0.1:P/",
    "http://127.0.0.1:P\\@crl.good.org/",
    "http://crl.good.org#@127.0.0.1:P/",
    "http://127.0.0.1:P#crl.good.org",
    "http://127.0.0.1:P?crl.good.org",
    "http://crl.good.org:P:80/",
    "http://:P/",
    "http:///127.0.0.1:P/",
    "http:/127.0.0.1:P/",
    "http:127.0.0.1:P/",
    "//127.0.0.1:P/",
    "127.0.0.1:P",
    "http://127.0.0.1:P/\r\nHost: crl.good.org",
    "http://crl.good.org\t.127.0.0.1:P/",
    "http://127.0.0.1:P /",
    " http://127.0.0.1:P/",
    "http://crl.good.org:0P/",
    "http://crl.good.org:+P/",
    "http://crl.good.org:/",
    "ftp://127.0.0.1:P/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:P/_x",
    "ldap://127.0.0.1:P/cn=x",
    "dict://127.0.0.1:P/x",
    "unix:///run/x.sock",
    "data:application/json,{}",
    "jar:http://127.0.0.1:P/!/",
    "javascript:x",
    "HTTP://127.0.0.1:P/",
    "",
];

#[test]
fn no_forged_url_reaches_the_trap_by_any_function() {
    let trap = Listener::answering(answer("200 OK", "Content-Type: application/json\r\n", b"{}"));
    // Any port, and a resolver under an attacker's hand: what is left is the rules about hosts and addresses.
    let client = client(&outbound("", "1-65535", ""), resolving(&[LOOPBACK]));
    let hosts = HOSTS.iter().flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:P/x")));
    let urls: Vec<String> = hosts.chain(URLS.iter().map(|url| (*url).to_owned())).collect();
    assert!(HOSTS.len() + URLS.len() >= 80);
    for url in urls.iter().map(|url| url.replace('P', &trap.port.to_string())) {
        for (name, fetch) in FETCHES {
            let refused = fetch(&client, &url);
            assert!(matches!(refused, Err(FetchError::Refused(_))), "{name} {url}: {refused:?}");
        }
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn a_name_that_stands_for_an_address_that_is_not_public_is_refused() {
    const ADDRESSES: [&str; 52] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:a00:1::",
        "2002:808:808::",
        "2620:4f:8000::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ];
    for text in ADDRESSES {
        let address: IpAddr = text.parse().expect(text);
        for with in [vec![address], vec![public(), address], vec![address, public()]] {
            let client = client(&outbound("", "", ""), resolving(&with));
            for (name, fetch) in FETCHES {
                let refused = fetch(&client, "https://crl.good.org/x");
                assert_eq!(refused, Err(FetchError::Refused(Refusal::Address)), "{name} {with:?}");
            }
        }
    }
}

/// No address of the corpus.
fn public() -> IpAddr {
    "8.8.8.8".parse().expect("an address")
}

#[test]
fn addresses_just_outside_the_refused_networks_are_public() {
    const PUBLIC: [&str; 24] = [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700::1",
        "2a00:1450::1",
    ];
    let policy = super::guard::Policy::of(&outbound("", "", ""));
    for text in PUBLIC {
        let address: IpAddr = text.parse().expect(text);
        assert_eq!(policy.check_addresses(&[address]), Ok(vec![address]), "{text}");
    }
    let mapped: IpAddr = "::ffff:8.8.8.8".parse().expect("an address");
    assert_eq!(policy.check_addresses(&[mapped]), Ok(vec![public()]), "judged as what it is");
    assert_eq!(policy.check_addresses(&[]), Err(Refusal::Addresses));
    assert_eq!(policy.check_addresses(&[public(); 17]), Err(Refusal::Addresses));
}

#[test]
fn a_listed_host_opens_neither_other_hosts_nor_ports_nor_schemes() {
    let trap = Listener::answering(answer("200 OK", "", b"x"));
    let outbound = outbound("ca.house.example, *.crl.example", "9999", "127.0.0.0/8");
    let client = client(&outbound, resolving(&[LOOPBACK]));
    let table = [
        ("http://ca.house.example:P/", Refusal::Port),
        ("http://ca.house.example:443/", Refusal::Port),
        ("https://ca.house.example:80/", Refusal::Port),
        ("http://xca.house.example:9999/", Refusal::HostNotListed),
        ("http://ca.house.example.org:9999/", Refusal::HostNotListed),
        ("http://crl.example:9999/", Refusal::HostNotListed),
        ("http://xcrl.example:9999/", Refusal::HostNotListed),
        ("http://localhost:9999/", Refusal::HostNotListed),
        ("http://10.0.0.1:9999/", Refusal::AddressLiteral),
        ("http://ca.house.example:99999/", Refusal::Port),
        ("http://ca.house.example:0/", Refusal::Port),
    ];
    for (url, expected) in table {
        let url = url.replace('P', &trap.port.to_string());
        assert_eq!(client.revocation_lists(&url), Err(FetchError::Refused(expected)), "{url}");
    }
    for (name, fetch) in &FETCHES[2..] {
        let refused = fetch(&client, "http://ca.house.example:9999/");
        assert_eq!(refused, Err(FetchError::Refused(Refusal::Scheme)), "{name} by plain http");
    }
    assert_eq!(trap.connections(), 0);
}
