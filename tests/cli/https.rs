//! `serve` by https: versions, certificates that change, client certificates; and what is refused at the start.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::database::Database;
use crate::people::Folder;
use crate::pki::{Authority, Kind, Leaf};
use crate::program::{PATIENCE, Server, run, wait_for};

/// A certificate for `127.0.0.1`.
pub fn for_this_machine(issuer: &Authority) -> Leaf {
    issuer.leaf_with(&[], &Kind::P256.generate(), |params| {
        params.subject_alt_names = vec![rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
    })
}

pub fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// The files of a server, and the server.
pub struct Https {
    folder: Folder,
    pub server: Server,
    _database: Database,
}

impl Https {
    pub fn start(leaf: &Leaf, options: &[&str]) -> Self {
        let (folder, database) = (Folder::new(), Database::sqlite());
        let (cert, key) = (folder.write("tls.pem", pem(&leaf.der)), folder.write("tls.key", leaf.key_pem()));
        let arguments = [&["--tls-cert", &cert, "--tls-key", &key], options].concat();
        let server = Server::start(&database.url(), &arguments);
        Self { folder, server, _database: database }
    }

    /// What the server answers to one request, and by which certificate and version.
    fn ask(&self, client: &Client<'_>) -> std::io::Result<(String, Vec<u8>, Option<ProtocolVersion>)> {
        use std::io::{Read as _, Write as _};
        let connection = client.connection().map_err(std::io::Error::other)?;
        let socket = TcpStream::connect(&self.server.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, socket);
        let head = format!("GET /fhir/metadata HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.server.address);
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            read?;
        }
        let certificate = stream.conn.peer_certificates().and_then(|list| list.first()).map(|der| der.to_vec());
        Ok((
            String::from_utf8_lossy(&answer).into_owned(),
            certificate.unwrap_or_default(),
            stream.conn.protocol_version(),
        ))
    }

    fn certificate(&self, client: &Client<'_>) -> Vec<u8> {
        self.ask(client).expect("an answer").1
    }
}

/// Whom a client trusts, what it shows and how it speaks.
struct Client<'a> {
    trusts: &'a Authority,
    shows: Option<&'a Leaf>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl<'a> Client<'a> {
    fn of(trusts: &'a Authority) -> Self {
        Self { trusts, shows: None, versions: vec![&TLS13, &TLS12] }
    }

    fn connection(&self) -> Result<ClientConnection, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.trusts.der.clone()))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&self.versions)?
            .with_root_certificates(roots);
        let config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let key = PrivateKeyDer::try_from(leaf.key.serialized_der().to_vec()).expect("a key");
                builder.with_client_auth_cert(vec![CertificateDer::from(leaf.der.clone())], key)?
            }
        };
        ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").expect("a name"))
    }
}

#[test]
fn https_is_served_by_both_versions_and_plain_http_is_not() {
    let root = Authority::root("Web", Kind::P256);
    let leaf = for_this_machine(&root);
    let https = Https::start(&leaf, &[]);
    for (version, expected) in [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)] {
        let (answer, certificate, version) =
            https.ask(&Client { versions: vec![version], ..Client::of(&root) }).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.to_ascii_lowercase().contains("\r\nstrict-transport-security: max-age=31536000\r\n"),
            "{answer}"
        );
        assert!(answer.contains(&format!("https://{}/fhir", https.server.address)), "the base URL: {answer}");
        assert_eq!((certificate, version), (leaf.der.clone(), Some(expected)));
    }
    assert!(https.ask(&Client::of(&Authority::root("Other", Kind::P256))).is_err(), "whom the client does not know");
    let plain = ureq::get(format!("http://{}/fhir/metadata", https.server.address)).call();
    assert!(plain.is_err(), "{plain:?}");
}

#[test]
fn a_new_certificate_is_taken_without_a_restart_and_a_wrong_one_is_not() {
    let root = Authority::root("Web", Kind::P256);
    let (first, second, third) = (for_this_machine(&root), for_this_machine(&root), for_this_machine(&root));
    let https = Https::start(&first, &["--auth-reload-s", "1"]);
    let client = Client::of(&root);
    assert_eq!(https.certificate(&client), first.der);
    https.folder.write("tls.pem", "no certificate");
    hang_up(&https.server);
    assert_eq!(https.certificate(&client), first.der);
    https.folder.write("tls.pem", pem(&second.der));
    https.folder.write("tls.key", second.key_pem());
    wait_for("the second certificate", || (https.certificate(&client) == second.der).then_some(()));
    https.folder.write("tls.pem", pem(&third.der));
    https.folder.write("tls.key", third.key_pem());
    hang_up(&https.server);
    wait_for("the third certificate", || (https.certificate(&client) == third.der).then_some(()));
}

fn hang_up(server: &Server) {
    let sent = std::process::Command::new("kill").args(["-HUP", &server.running.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn client_certificates_are_checked_where_authorities_are_given() {
    let (web, clients, others) = (
        Authority::root("Web", Kind::P256),
        Authority::root("Clients", Kind::P256),
        Authority::root("Others", Kind::P256),
    );
    let leaf = for_this_machine(&web);
    let (right, wrong) = (clients.leaf(&["urn:x:right"], Kind::P256), others.leaf(&["urn:x:wrong"], Kind::P256));
    let folder = Folder::new();
    let anchors = folder.write("clients.pem", pem(&clients.der));
    for (mode, without) in [("optional", true), ("required", false)] {
        let https = Https::start(&leaf, &["--tls-client-anchors", &anchors, "--tls-client-certificates", mode]);
        let asked =
            |shows| https.ask(&Client { shows, ..Client::of(&web) }).is_ok_and(|(answer, ..)| !answer.is_empty());
        assert!(asked(Some(&right)), "{mode}");
        assert!(!asked(Some(&wrong)), "{mode}");
        assert_eq!(asked(None), without, "{mode}");
    }
}

#[test]
fn what_would_be_served_unprotected_or_by_no_certificate_stops_the_start() {
    let root = Authority::root("Web", Kind::P256);
    let (leaf, other) = (for_this_machine(&root), for_this_machine(&root));
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.text("people.sqlite"));
    let cert = folder.write("tls.pem", pem(&leaf.der));
    let key = folder.write("tls.key", leaf.key_pem());
    let other_key = folder.write("other.key", other.key_pem());
    let empty = folder.write("empty.pem", "");
    let missing = folder.text("missing.pem");
    let https = "https://fhir.example.org/fhir";
    let table: [(&[&str], &[&str]); 8] = [
        (&["--listen", "0.0.0.0:0", "--base-url", https], &["plain http", "loopback", "tls_cert", "trusted_proxies"]),
        (&["--listen", "[::]:0"], &["server.base_url", "https"]),
        (&["--tls-cert", &cert], &["server.tls_key"]),
        (&["--tls-client-anchors", &cert], &["server.tls_client_anchors"]),
        (&["--tls-cert", &cert, "--tls-key", &key, "--base-url", "http://fhir.example.org/fhir"], &["server.base_url"]),
        (&["--tls-cert", &missing, "--tls-key", &key], &["server.tls_cert", &missing]),
        (&["--tls-cert", &empty, "--tls-key", &key], &["server.tls_cert", &empty]),
        (&["--tls-cert", &cert, "--tls-key", &other_key], &["server.tls_key", &other_key]),
    ];
    for (options, words) in table {
        let open: &[&str] = if options[0] == "--listen" { &[] } else { &["--open", "--listen", "127.0.0.1:0"] };
        let arguments = [&["serve", "--database-url", &url], open, options].concat();
        let ended = run(&arguments);
        assert_eq!(ended.code, 2, "{options:?}: {}", ended.err);
        for word in words {
            assert!(ended.err.contains(word), "{options:?}: {word} is missing in: {}", ended.err);
        }
    }
    assert!(!folder.file("people.sqlite").exists(), "what is refused touches nothing");
}
