//! Trust that changes while the server runs: files read again, lists fetched, issuers found, and what fails closed.
//!
//! Here without a server: what a request is judged by is asked for directly. Names stand for 127.0.0.1 by a resolver of
//! the test; an authority in the house is what `outbound.networks` is for.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use idi_match::app::auth::communities::Communities;
use idi_match::app::clock::Clock;
use idi_match::auth::trust::ChainError;
use idi_match::config::{Config, Sources};
use idi_match::outbound::fetch::Client;
use idi_match::outbound::lookup::Lookup;
use rcgen::{CertificateParams, CrlDistributionPoint, CustomExtension};

use crate::pki::{Authority, Kind, Leaf, element};
use crate::support::PATIENCE;

const MEMBER: &str = "https://member.example/x";
const BASE: &str = "http://127.0.0.1:8080/fhir";

/// What a web server of an authority gives; it counts who asks.
struct Web {
    port: u16,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    asked: Arc<AtomicUsize>,
}

impl Web {
    /// `None`: it takes connections and never answers.
    fn serving(body: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, asked) = (Arc::new(Mutex::new(body)), Arc::new(AtomicUsize::new(0)));
        let (given, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                match given.lock().unwrap().as_deref() {
                    Some(body) => respond(stream.unwrap(), body),
                    None => silent.push(stream),
                }
            }
        });
        Self { port, answer, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://web.good.org:{}/{path}", self.port)
    }

    fn gives(&self, body: Option<Vec<u8>>) {
        *self.answer.lock().unwrap() = body;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn respond(mut stream: TcpStream, body: &[u8]) {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head);
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(body);
}

/// A community in the making: its files, and what stands in the configuration.
struct Place {
    folder: tempfile::TempDir,
    text: String,
    ports: Vec<u16>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), text: String::new(), ports: Vec::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), bytes).unwrap();
    }

    /// A community of this name under `root`, with a server certificate; further lines are its own.
    fn community(mut self, name: &str, root: &Authority, lines: &str) -> Self {
        let server = server_leaf(root);
        self.write(&format!("{name}.ca"), &root.der);
        self.write(&format!("{name}.cert"), &server.der);
        self.write(&format!("{name}.key"), server.key_pem());
        let file = |kind: &str| self.file(&format!("{name}.{kind}")).display().to_string();
        let [anchor, cert, key] = ["ca", "cert", "key"].map(file);
        writeln!(
            self.text,
            "[[communities]]\nname = '{name}'\nuri = 'urn:test:{name}'\ndefault = {}\nanchors = ['{anchor}']\n\
             server_cert = '{cert}'\nserver_key = '{key}'\npurposes = ['TREAT']\nscopes = ['system/Patient.rs']\n{lines}",
            !self.text.contains("[[communities]]"),
        )
        .unwrap();
        self
    }

    fn with(mut self, web: &Web) -> Self {
        self.ports.push(web.port);
        self
    }

    fn config(&self, options: &str) -> Config {
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        let outbound =
            format!("[outbound]\nports = '{}'\nnetworks = '127.0.0.1'\ntimeout_ms = 60000\n", ports.join(","));
        let file = self.file("idi-match.toml");
        std::fs::write(&file, format!("[auth]\nreload_s = 1\n{options}\n{outbound}{}", self.text)).unwrap();
        Config::load(&Sources { file: Some(file), ..Sources::default() }).unwrap()
    }

    fn try_open(&self, options: &str, clock: Clock) -> Result<Communities, String> {
        let config = Arc::new(self.config(options));
        let lookup = Lookup::by(Arc::new(|_| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])));
        let client = Client::open(&config.outbound, lookup).unwrap();
        Communities::open(config, clock, client).map_err(|error| error.to_string())
    }

    fn open(&self) -> Communities {
        self.try_open("", Clock::system()).unwrap()
    }
}

/// A certificate of the server; one key does for all of them.
fn server_leaf(root: &Authority) -> Leaf {
    static KEY: OnceLock<Arc<rcgen::KeyPair>> = OnceLock::new();
    root.leaf_with(&[BASE], KEY.get_or_init(|| Kind::Rsa.generate()), |_| {})
}

/// The name of the community that vouches, or why none does.
fn judged(communities: &Communities, chain: &[Vec<u8>]) -> String {
    let judged = communities.judge(chain);
    judged.map_or_else(|error| format!("{error:?}"), |trusted| trusted.community().community.name.clone())
}

/// Waits for what happens in the background.
fn becomes(communities: &Communities, chain: &[Vec<u8>], expected: &str) {
    let start = Instant::now();
    while judged(communities, chain) != expected {
        let now = judged(communities, chain);
        assert!(start.elapsed() < PATIENCE, "still {now:?}, not {expected:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} does not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_chain_belongs_to_the_community_whose_anchor_it_reaches() {
    let (house, street, stranger) =
        (Authority::root("House", Kind::P256), Authority::root("Street", Kind::Rsa), Authority::root("No", Kind::P256));
    let middle = house.intermediate("Middle", Kind::P384);
    let place = Place::new();
    for (name, bytes) in
        [("house.crl", house.crl(&[])), ("middle.crl", middle.crl(&[])), ("street.crl", street.crl(&[]))]
    {
        place.write(name, bytes);
    }
    place.write("middle.ca", &middle.der);
    let lines = |files: &[&str]| {
        let files: Vec<String> = files.iter().map(|file| format!("'{}'", place.file(file).display())).collect();
        format!("crls = [{}]\n", files.join(","))
    };
    let known =
        format!("{}intermediates = ['{}']\n", lines(&["house.crl", "middle.crl"]), place.file("middle.ca").display());
    let street_lines = lines(&["street.crl"]);
    let place = place.community("house", &house, &known).community("street", &street, &street_lines);
    let communities = place.open();
    assert_eq!(judged(&communities, &house.leaf(&[MEMBER], Kind::Rsa).chain(&[])), "house");
    assert_eq!(judged(&communities, &street.leaf(&[MEMBER], Kind::P256).chain(&[])), "street");
    let below = middle.leaf(&[MEMBER], Kind::P256);
    assert_eq!(judged(&communities, &below.chain(&[])), "house", "by the configured intermediate");
    assert_eq!(judged(&communities, &below.chain(&[&middle])), "house");
    assert_eq!(judged(&communities, &stranger.leaf(&[MEMBER], Kind::P256).chain(&[])), "Untrusted");
    let in_street = communities.judge_in("street", &below.chain(&[&middle]));
    assert_eq!(in_street.map(|trusted| trusted.chain.leaf.der().to_vec()), Err(ChainError::Untrusted));
    let in_house = communities.judge_in("house", &below.chain(&[&middle]));
    assert_eq!(in_house.map(|trusted| trusted.chain.leaf.der().to_vec()), Ok(below.der));
    let snapshot = communities.current();
    assert_eq!(snapshot.default_community().unwrap().community.name, "house");
    assert_eq!(snapshot.find_by_uri("urn:test:street").unwrap().community.name, "street");
    assert!(snapshot.find_by_uri("urn:test:Street").is_none());
}

#[test]
fn files_are_read_again_and_those_that_cannot_be_used_change_nothing() {
    let root = Authority::root("House", Kind::P256);
    let place = Place::new();
    place.write("list.pem", root.crl(&[]));
    let lines = format!("crls = ['{}']\n", place.file("list.pem").display());
    let place = place.community("house", &root, &lines);
    let communities = place.open();
    communities.start().unwrap();
    let member = root.leaf(&[MEMBER], Kind::P256);
    let before = communities.current();
    assert_eq!(judged(&communities, &member.chain(&[])), "house");
    place.write("list.pem", "no list");
    communities.reload();
    // A file that is there and wrong, then one that is right again: only then something changes.
    thread::sleep(Duration::from_millis(20));
    assert_eq!(judged(&communities, &member.chain(&[])), "house");
    place.write("list.pem", root.crl(&[&member.serial]));
    becomes(&communities, &member.chain(&[]), "Revoked");
    let chain = root.leaf(&[BASE], Kind::Rsa);
    let (cert, key) = (chain.der.clone(), chain.key_pem());
    place.write("house.cert", &cert);
    place.write("house.key", key);
    communities.reload();
    wait_until("the new certificate", || communities.current().communities[0].server_chain == [cert.clone()]);
    assert_ne!(before.communities[0].server_chain, communities.current().communities[0].server_chain);
    assert_ne!(before.communities[0].signer.kid, communities.current().communities[0].signer.kid);
}

#[test]
fn a_list_is_fetched_in_the_background_and_once_more_when_it_is_old() {
    let root = Authority::root("House", Kind::P256);
    let web = Web::serving(Some(root.crl(&[])));
    let lines = format!("crl_urls = ['{}']\n", web.url("a.crl"));
    let place = Place::new().with(&web).community("house", &root, &lines);
    let communities = place.try_open("crl_refresh_s = 10", TIMED).unwrap();
    let member = root.leaf(&[MEMBER], Kind::P256);
    assert_eq!(judged(&communities, &member.chain(&[])), "RevocationUnknown", "nothing is known yet");
    communities.start().unwrap();
    becomes(&communities, &member.chain(&[]), "house");
    assert_eq!(web.asked(), 1);
    web.gives(Some(root.crl_with(&[&member.serial], |list| list.this_update = rcgen::date_time_ymd(2020, 1, 2))));
    AHEAD_US.fetch_add(11_000_000, Ordering::SeqCst);
    becomes(&communities, &member.chain(&[]), "Revoked");
    assert_eq!(web.asked(), 2);
    // An older list, sent again by somebody who wants the revocation forgotten.
    web.gives(Some(root.crl(&[])));
    AHEAD_US.fetch_add(11_000_000, Ordering::SeqCst);
    wait_until("the fetch", || web.asked() == 3);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(judged(&communities, &member.chain(&[])), "Revoked");
}

/// A clock that only `a_list_is_fetched_in_the_background_and_once_more_when_it_is_old` moves.
const TIMED: Clock =
    Clock { now_us: || (Clock::system().now_us)() + AHEAD_US.load(Ordering::SeqCst), ..Clock::system() };
static AHEAD_US: AtomicI64 = AtomicI64::new(0);

const FAILING: Clock =
    Clock { now_us: || (Clock::system().now_us)() + LATE_US.load(Ordering::SeqCst), ..Clock::system() };
static LATE_US: AtomicI64 = AtomicI64::new(0);

/// A clock that stands: what is to be tried later never is.
const FROZEN: Clock = Clock { now_us: || 1_800_000_000_000_000, ..Clock::system() };

#[test]
fn after_its_next_update_a_list_counts_for_nothing_and_a_silent_host_holds_nobody() {
    let (root, other) = (Authority::root("House", Kind::P256), Authority::root("Street", Kind::P256));
    let hour = time::Duration::hours(1);
    let now = time::OffsetDateTime::now_utc();
    let web =
        Web::serving(Some(root.crl_with(&[], |list| (list.this_update, list.next_update) = (now - hour, now + hour))));
    let place = Place::new();
    place.write("street.crl", other.crl(&[]));
    let street = format!("crls = ['{}']\n", place.file("street.crl").display());
    let lines = format!("crl_urls = ['{}']\n", web.url("a.crl"));
    let place = place.with(&web).community("house", &root, &lines).community("street", &other, &street);
    let communities = place.try_open("crl_refresh_s = 10", FAILING).unwrap();
    communities.start().unwrap();
    let (member, neighbour) = (root.leaf(&[MEMBER], Kind::P256), other.leaf(&[MEMBER], Kind::P256));
    becomes(&communities, &member.chain(&[]), "house");
    web.gives(None);
    LATE_US.fetch_add(30_000_000, Ordering::SeqCst);
    wait_until("the fetch that never ends", || web.asked() == 2);
    // It is on its way for as long as this test takes: judging goes on without it.
    assert_eq!(judged(&communities, &member.chain(&[])), "house");
    LATE_US.fetch_add(3_700_000_000, Ordering::SeqCst);
    assert_eq!(judged(&communities, &member.chain(&[])), "RevocationUnknown", "closed");
    assert_eq!(judged(&communities, &neighbour.chain(&[])), "street", "nobody else is concerned");
    assert_eq!(web.asked(), 2);
}

#[test]
fn lists_that_nobody_known_has_signed_are_not_used() {
    let root = Authority::root("House", Kind::P256);
    // The same name, another key.
    let forger = Authority::root("House", Kind::P256);
    for body in [forger.crl(&[]), b"<html>".to_vec(), root.der.clone(), Vec::new()] {
        let web = Web::serving(Some(body));
        let lines = format!("crl_urls = ['{}']\n", web.url("a.crl"));
        let communities = Place::new().with(&web).community("house", &root, &lines).open();
        communities.start().unwrap();
        wait_until("the fetch", || web.asked() == 1);
        thread::sleep(Duration::from_millis(50));
        assert_eq!(communities.current().communities[0].trust.crls().len(), 0);
        let member = root.leaf(&[MEMBER], Kind::P256);
        assert_eq!(judged(&communities, &member.chain(&[])), "RevocationUnknown");
    }
}

fn with_point(root: &Authority, url: &str) -> Leaf {
    let point = |params: &mut CertificateParams| {
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![url.to_owned()] }];
    };
    root.leaf_with(&[MEMBER], &Kind::P256.generate(), point)
}

#[test]
fn the_list_of_a_distribution_point_is_fetched_for_whom_an_anchor_vouches() {
    let root = Authority::root("House", Kind::P256);
    let web = Web::serving(Some(root.crl(&[])));
    let communities = Place::new().with(&web).community("house", &root, "").open();
    communities.start().unwrap();
    let member = with_point(&root, &web.url("leaf.crl"));
    becomes(&communities, &member.chain(&[]), "house");
    assert_eq!(judged(&communities, &member.chain(&[])), "house");
    assert_eq!(web.asked(), 1, "known by now");
    let stranger = with_point(&Authority::root("Stranger", Kind::P256), &web.url("stranger.crl"));
    assert_eq!(judged(&communities, &stranger.chain(&[])), "Untrusted");
    assert_eq!(web.asked(), 1, "nobody fetches for whom no anchor vouches");
}

#[test]
fn a_distribution_point_that_does_not_answer_is_waited_for_once() {
    let root = Authority::root("House", Kind::P256);
    let web = Web::serving(Some(b"no list".to_vec()));
    let place = Place::new().with(&web).community("house", &root, "");
    let communities = place.try_open("", FROZEN).unwrap();
    communities.start().unwrap();
    let member = with_point(&root, &web.url("leaf.crl"));
    for _ in 0..20 {
        assert_eq!(judged(&communities, &member.chain(&[])), "RevocationUnknown");
    }
    assert_eq!(web.asked(), 1, "a failure is remembered for a while");
}

#[test]
fn a_list_of_an_issuer_in_the_chain_is_used_and_one_of_its_namesake_is_not() {
    let root = Authority::root("House", Kind::P256);
    let middle = root.intermediate("Middle", Kind::P256);
    let namesake = Authority::root("Stranger", Kind::P256).intermediate("Middle", Kind::P256);
    for (signer, shown, expected, lists) in [
        (&middle, &middle, "house", 2),
        (&namesake, &namesake, "RevocationUnknown", 1),
        (&namesake, &middle, "RevocationUnknown", 1),
    ] {
        let web = Web::serving(Some(signer.crl(&[])));
        let place = Place::new();
        place.write("root.crl", root.crl(&[]));
        place.write("middle.ca", &middle.der);
        let file = |name: &str| place.file(name).display().to_string();
        // The way to the anchor is there in any case; what differs is whom the caller shows, and who signs the list.
        let known = if shown.der == middle.der {
            String::new()
        } else {
            format!("intermediates = ['{}']\n", file("middle.ca"))
        };
        let lines = format!("crls = ['{}']\n{known}", file("root.crl"));
        let communities = place.with(&web).community("house", &root, &lines).open();
        communities.start().unwrap();
        let member = with_point(&middle, &web.url("leaf.crl"));
        assert_ne!(judged(&communities, &member.chain(&[shown])), "Untrusted");
        wait_until("the fetch", || web.asked() == 1);
        becomes(&communities, &member.chain(&[shown]), expected);
        assert_eq!(communities.current().communities[0].trust.crls().len(), lists);
    }
}

#[test]
fn a_chain_that_no_anchor_vouches_for_teaches_neither_lists_nor_their_signers() {
    let root = Authority::root("House", Kind::P256);
    let middle = root.intermediate("Middle", Kind::P256);
    // Of the name that is trusted, by a key of the caller's own.
    let forger = Authority::root("Middle", Kind::P256);
    let web = Web::serving(Some(forger.crl(&[])));
    // There is a list, and it is of somebody else: nobody says whether the intermediate of the chains was revoked.
    let second = root.intermediate("Second", Kind::P256);
    let place = Place::new();
    place.write("second.ca", &second.der);
    place.write("second.crl", second.crl(&[]));
    let file = |name: &str| place.file(name).display().to_string();
    let lines = format!("intermediates = ['{}']\ncrls = ['{}']\n", file("second.ca"), file("second.crl"));
    let communities = place.with(&web).community("house", &root, &lines).open();
    communities.start().unwrap();
    let forged = with_point(&forger, &web.url("leaf.crl"));
    // The engine says so before it looks at the signature of the leaf.
    for chain in [forged.chain(&[&middle]), forged.chain(&[&forger, &middle])] {
        assert_eq!(judged(&communities, &chain), "RevocationUnknown");
    }
    // Whoever is vouched for and shows a stranger beside the way teaches nothing of the stranger.
    let member = with_point(&middle, &web.url("member.crl"));
    assert_eq!(judged(&communities, &member.chain(&[&middle])), "RevocationUnknown");
    wait_until("the fetch for the member", || web.asked() > 0);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(web.asked(), 1, "nothing was fetched for the forged ones");
    assert_eq!(communities.current().communities[0].trust.crls().len(), 1, "the forger signs no list");
}

/// A leaf that says where its issuer's certificate is.
fn with_issuer_at(issuer: &Authority, url: &str) -> Leaf {
    let at = [element(0x06, &[0x2b, 6, 1, 5, 5, 7, 0x30, 2]), element(0x86, url.as_bytes())].concat();
    let contents = element(0x30, &element(0x30, &at));
    issuer.leaf_with(&[MEMBER], &Kind::P256.generate(), |params| {
        let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], contents);
        params.custom_extensions = vec![extension];
    })
}

#[test]
fn a_missing_intermediate_is_fetched_where_that_is_allowed_and_only_once() {
    let root = Authority::root("House", Kind::P256);
    let middle = root.intermediate("Middle", Kind::P256);
    let web = Web::serving(Some(middle.der.clone()));
    let place = Place::new().with(&web);
    place.write("root.crl", root.crl(&[]));
    place.write("middle.crl", middle.crl(&[]));
    // Both lists are there from the beginning; the intermediate is not, so its list is one that URLs would bring.
    let lists = Web::serving(Some(middle.crl(&[])));
    let lines = format!("crls = ['{}']\nunknown_revocation = 'accept'\n", place.file("root.crl").display());
    let place = place.with(&lists).community("house", &root, &lines);
    let member = with_issuer_at(&middle, &web.url("middle.cer"));
    let closed = place.open();
    assert_eq!(judged(&closed, &member.chain(&[])), "Untrusted");
    assert_eq!(web.asked(), 0);
    let allowed = place.try_open("aia = true", Clock::system()).unwrap();
    assert_eq!(judged(&allowed, &member.chain(&[])), "house");
    assert_eq!(judged(&allowed, &member.chain(&[])), "house");
    assert_eq!(web.asked(), 1, "kept");
}

#[test]
fn an_address_of_this_network_in_a_certificate_is_never_connected_to() {
    let root = Authority::root("House", Kind::P256);
    let middle = root.intermediate("Middle", Kind::P256);
    let trap = Web::serving(Some(middle.der.clone()));
    let place = Place::new().community("house", &root, "");
    let config = place.config("aia = true");
    let config = Arc::new(Config {
        outbound: idi_match::config::Outbound {
            networks: Default::default(),
            ports: idi_match::config::list::List::parse("1-65535").unwrap(),
            ..config.outbound
        },
        ..config
    });
    let lookup = Lookup::by(Arc::new(|_| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])));
    let client = Client::open(&config.outbound, lookup).unwrap();
    let communities = Communities::open(config, Clock::system(), client).unwrap();
    communities.start().unwrap();
    let urls = [
        format!("http://127.0.0.1:{}/x", trap.port),
        format!("http://localhost:{}/x", trap.port),
        format!("http://2130706433:{}/x", trap.port),
        format!("http://[::ffff:127.0.0.1]:{}/x", trap.port),
        trap.url("x"),
    ];
    for url in &urls {
        let by_issuer = with_issuer_at(&middle, url);
        assert_eq!(judged(&communities, &by_issuer.chain(&[])), "Untrusted", "{url}");
        let by_point = with_point(&root, url);
        assert_eq!(judged(&communities, &by_point.chain(&[])), "RevocationUnknown", "{url}");
    }
    assert_eq!(trap.asked(), 0);
}

#[test]
fn files_that_cannot_be_used_stop_the_start_and_are_named() {
    let root = Authority::root("House", Kind::P256);
    let leaf = root.leaf(&[BASE], Kind::P256);
    let table: [(&str, Vec<u8>, &str); 6] = [
        ("house.ca", b"secret".to_vec(), "communities.0.anchors"),
        ("house.ca", leaf.der.clone(), "communities.0.anchors"),
        ("house.cert", b"secret".to_vec(), "communities.0.server_cert"),
        ("house.key", b"secret".to_vec(), "communities.0.server_key"),
        ("house.key", leaf.key_pem().into_bytes(), "communities.0.server_key"),
        ("house.crl", Authority::root("Other", Kind::P256).crl(&[]), "communities.0.crls"),
    ];
    for (name, bytes, expected) in table {
        let place = Place::new();
        place.write("house.crl", root.crl(&[]));
        let lines = format!("crls = ['{}']\n", place.file("house.crl").display());
        let place = place.community("house", &root, &lines);
        assert!(place.try_open("", Clock::system()).is_ok());
        place.write(name, bytes);
        let error = place.try_open("", Clock::system()).unwrap_err();
        assert!(error.contains(expected) && !error.contains("secret"), "{name}: {error}");
        std::fs::remove_file(place.file(name)).unwrap();
        let error = place.try_open("", Clock::system()).unwrap_err();
        assert!(error.contains(expected) && error.contains(name), "{name}: {error}");
    }
}

#[test]
fn two_communities_with_a_common_anchor_stop_the_start() {
    let key = Kind::P256.generate();
    let (old, renewed) = (Authority::root_with("House", &key, |_| {}), Authority::root_with("House", &key, |_| {}));
    let other = Authority::root("House", Kind::P256);
    for (second, expected) in [(&old, false), (&renewed, false), (&other, true)] {
        let opened = Place::new().community("house", &old, "").community("street", second, "");
        match opened.try_open("", Clock::system()) {
            Ok(_) => assert!(expected),
            Err(error) => {
                assert!(!expected, "{error}");
                assert!(error.starts_with("communities.1.anchors: ") && error.contains("\"house\""), "{error}");
            }
        }
    }
}

#[test]
fn a_server_certificate_that_cannot_sign_metadata_stops_the_start() {
    let root = Authority::root("House", Kind::P256);
    for (leaf, expected) in [
        (root.leaf(&[BASE], Kind::P256), "RSA"),
        (root.leaf(&[MEMBER], Kind::Rsa), "server.base_url"),
        (root.leaf(&[&format!("{BASE}/")], Kind::Rsa), "server.base_url"),
        (root.leaf(&[], Kind::Rsa), "server.base_url"),
    ] {
        let place = Place::new().community("house", &root, "");
        assert!(place.try_open("", Clock::system()).is_ok());
        place.write("house.cert", &leaf.der);
        place.write("house.key", leaf.key_pem());
        let error = place.try_open("", Clock::system()).unwrap_err();
        assert!(error.starts_with("communities.0.server_cert: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn metrics_tell_how_old_the_lists_are() {
    let root = Authority::root("Metrics", Kind::P256);
    let place = Place::new();
    place.write("list.crl", root.crl(&[]));
    let lines = format!("crls = ['{}']\n", place.file("list.crl").display());
    let communities = place.community("house-of-metrics", &root, &lines).open();
    let handle = idi_match::observe::metrics::start().unwrap();
    communities.publish_figures();
    let shown = handle.render();
    for name in ["idi_match_crl_age_seconds", "idi_match_crl_left_seconds", "idi_match_server_certificate_left_seconds"]
    {
        let line = format!("{name}{{community=\"house-of-metrics\"}} ");
        let value = shown.lines().find_map(|shown| shown.strip_prefix(&line)).expect(name);
        assert!(value.parse::<f64>().unwrap() > 1e7, "{name} {value}");
    }
}
