//! What is fetched from those that may be asked: answers that are not what was asked for, slow, endless, elsewhere.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::Outbound;
use crate::config::list::List;

use super::super::fetch::{Client, FetchError};
use super::super::guard::Refusal;
use super::super::lookup::Lookup;
use super::{LOOPBACK, Listener, answer, client, outbound};

/// What a certification authority in the house serves, and a client that may fetch it.
struct House {
    server: Listener,
    client: Client,
    lookups: Arc<AtomicUsize>,
}

impl House {
    fn serving(server: Listener, change: impl Fn(&mut Outbound)) -> Self {
        let lookups = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&lookups);
        // Whoever asks a second time is told another address.
        let lookup = Lookup::by(Arc::new(move |_| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            Ok(vec![if first { LOOPBACK } else { "10.0.0.1".parse().expect("an address") }])
        }));
        let mut outbound = outbound("", &server.port.to_string(), "127.0.0.1");
        change(&mut outbound);
        Self { client: client(&outbound, lookup), server, lookups }
    }

    fn answering(answer: Vec<u8>) -> Self {
        Self::serving(Listener::answering(answer), |_| {})
    }

    fn url(&self) -> String {
        format!("http://crl.good.org:{}/a/b.crl?c=d", self.server.port)
    }
}

fn certificate() -> Vec<u8> {
    rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).expect("made").cert.der().to_vec()
}

#[test]
fn what_is_allowed_is_fetched_and_its_name_is_looked_up_once() {
    let certificate = certificate();
    let house = House::answering(answer("200 OK", "Content-Type: application/pkix-cert\r\n", &certificate));
    assert_eq!(house.client.issuers(&house.url()), Ok(vec![certificate]));
    assert_eq!((house.server.connections(), house.lookups.load(Ordering::SeqCst)), (1, 1));
    // The name has been rebound meanwhile.
    assert_eq!(house.client.issuers(&house.url()), Err(FetchError::Refused(Refusal::Address)));
    assert_eq!(house.server.connections(), 1);
}

#[test]
fn an_address_of_an_allowed_network_may_stand_in_the_url() {
    let certificate = certificate();
    let house = House::answering(answer("200 OK", "", &certificate));
    let url = format!("http://127.0.0.1:{}/a", house.server.port);
    assert_eq!(house.client.issuers(&url), Ok(vec![certificate]));
    assert_eq!(house.lookups.load(Ordering::SeqCst), 0);
}

#[test]
fn no_redirect_is_followed() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let trap = Listener::answering(answer("200 OK", "", &certificate()));
        let location = format!("Location: http://127.0.0.1:{}/\r\n", trap.port);
        let house = House::serving(Listener::answering(answer(status, &location, b"")), |outbound| {
            outbound.ports = List::parse("1-65535").expect("ports");
        });
        let code = status[..3].parse().expect("a number");
        assert_eq!(house.client.issuers(&house.url()), Err(FetchError::Status(code)));
        assert_eq!((house.server.connections(), trap.connections()), (1, 0), "{status}");
    }
}

#[test]
fn answers_that_are_not_what_was_asked_for_are_refused() {
    let der = certificate();
    let table = [
        (answer("404 Not Found", "", &der), FetchError::Status(404)),
        (answer("204 No Content", "", b""), FetchError::Status(204)),
        (answer("206 Partial Content", "", &der), FetchError::Status(206)),
        (answer("200 OK", "", b"<html>"), FetchError::Content),
        (answer("200 OK", "", b""), FetchError::Content),
        (answer("200 OK", "", &der[..der.len() - 1]), FetchError::Content),
        (answer("200 OK", "Content-Encoding: gzip\r\n", &der), FetchError::MediaType),
        (answer("200 OK", "", &vec![b'x'; 256 * 1024 + 1]), FetchError::TooLarge),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".to_vec(), FetchError::Connection),
        (b"SSH-2.0-x\r\n\r\n".to_vec(), FetchError::Connection),
        (Vec::new(), FetchError::Connection),
    ];
    for (at, (bytes, expected)) in table.into_iter().enumerate() {
        let house = House::answering(bytes);
        assert_eq!(house.client.issuers(&house.url()), Err(expected), "case {at}");
    }
}

#[test]
fn a_body_without_an_end_stops_at_its_limit() {
    let endless = Listener::serving(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let house = House::serving(endless, |outbound| outbound.body_bytes_max = 10_000);
    assert_eq!(house.client.revocation_lists(&house.url()), Err(FetchError::TooLarge));
}

#[test]
fn whoever_answers_slowly_is_given_up() {
    let head: fn(&mut TcpStream) = |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let body: fn(&mut TcpStream) = |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let silence: fn(&mut TcpStream) = |stream| drop(stream.read(&mut [0; 1]));
    for (name, serve) in [("head", head), ("body", body), ("silence", silence)] {
        let house = House::serving(Listener::serving(serve), |outbound| outbound.timeout_ms = 300);
        assert_eq!(house.client.revocation_lists(&house.url()), Err(FetchError::TimedOut), "{name}");
    }
}

#[test]
fn a_key_set_is_fetched_by_https_from_a_server_that_the_anchors_know() {
    let known = TlsServer::start(
        "Content-Type: application/json; charset=utf-8\r\nCache-Control: max-age=60\r\n",
        b"{\"keys\":[]}",
    );
    let house = known.house(&known.anchor);
    let document = house.client.jwks(&house.https("crl.good.org")).expect("fetched");
    assert_eq!((document.text.as_str(), document.fresh_s), ("{\"keys\":[]}", Some(60)));
    let house = known.house(&known.anchor);
    assert_eq!(house.client.jwks(&house.https("another.org")), Err(FetchError::Connection), "of another name");
    let other = TlsServer::start("", b"");
    let house = known.house(&other.anchor);
    assert_eq!(house.client.jwks(&house.https("crl.good.org")), Err(FetchError::Connection), "of another authority");
}

#[test]
fn json_that_is_none_or_calls_itself_otherwise_is_refused() {
    let table: [(&str, &[u8], Option<FetchError>); 8] = [
        ("Content-Type: application/jwk-set+json\r\n", b"{}", None),
        ("Content-Type: Application/JSON\r\n", b"{}", None),
        ("Content-Type: text/html\r\n", b"{}", Some(FetchError::MediaType)),
        ("Content-Type: text/json\r\n", b"{}", Some(FetchError::MediaType)),
        ("", b"{}", Some(FetchError::MediaType)),
        ("Content-Type: application/json\r\n", b"[]", Some(FetchError::Content)),
        ("Content-Type: application/json\r\n", b"{", Some(FetchError::Content)),
        ("Content-Type: application/json\r\n", b"{\"a\":\"\xff\"}", Some(FetchError::Content)),
    ];
    for (headers, body, expected) in table {
        let server = TlsServer::start(headers, body);
        for fetch in [Client::jwks, Client::discovery] {
            let house = server.house(&server.anchor);
            assert_eq!(fetch(&house.client, &house.https("crl.good.org")).err(), expected, "{headers}");
        }
    }
}

#[test]
fn what_the_caching_headers_say_is_kept_to() {
    let table = [
        ("Cache-Control: max-age=300\r\n", Some(300)),
        ("Cache-Control: public, Max-Age=\"7\"\r\n", Some(7)),
        ("Cache-Control: no-store\r\n", Some(0)),
        ("Cache-Control: max-age=9, no-cache\r\n", Some(0)),
        ("Cache-Control: max-age=x\r\n", None),
        ("", None),
    ];
    for (header, expected) in table {
        let server = TlsServer::start(&format!("Content-Type: application/json\r\n{header}"), b"{}");
        let house = server.house(&server.anchor);
        let fetched = house.client.discovery(&house.https("crl.good.org")).expect("fetched");
        assert_eq!(fetched.fresh_s, expected, "{header}");
    }
}

/// An https server for `crl.good.org`.
struct TlsServer {
    port: u16,
    anchor: tempfile::NamedTempFile,
}

impl TlsServer {
    fn start(headers: &str, body: &[u8]) -> Self {
        let made = rcgen::generate_simple_self_signed(["crl.good.org".to_owned()]).expect("made");
        let mut anchor = tempfile::NamedTempFile::new().expect("a file");
        anchor.write_all(made.cert.pem().as_bytes()).expect("written");
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .expect("a certificate");
        let (config, bytes) = (Arc::new(config), answer("200 OK", headers, body));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), Ok(connection)) = (stream, rustls::ServerConnection::new(Arc::clone(&config))) else {
                    continue;
                };
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok() {
                    let _ = stream.write_all(&bytes);
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        Self { port, anchor }
    }

    fn house(&self, anchor: &tempfile::NamedTempFile) -> House {
        let server = Listener { port: self.port, connections: Arc::default() };
        let file = anchor.path().to_str().expect("a name").to_owned();
        House::serving(server, |outbound| outbound.anchors.clone_from(&file))
    }
}

impl House {
    fn https(&self, host: &str) -> String {
        format!("https://{host}:{}/x", self.server.port)
    }
}
