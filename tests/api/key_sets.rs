//! Keys that others publish at an address: fetched by https, kept as long as their server says, and followed when they change.
//!
//! Not here: what the guard of fetches refuses (`outbound`).

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use idi_match::app::auth::clients::{self, ClientKeys, NewClient};
use idi_match::app::clock::Clock;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::pki::{Authority, Kind, Leaf};
use crate::support::{Database, TestApp};
use crate::trust::{ASSERTION_TYPE, Client, T_IAS, Trusting, b2b, error, fresh, now_s, post_form, submit};

/// An https server of this machine with a key set that can be changed.
struct Publisher {
    port: u16,
    folder: tempfile::TempDir,
    set: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    fn start(max_age_s: u32) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("anchor.pem"), made.cert.pem()).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (set, asked): (Arc<Mutex<String>>, Arc<AtomicUsize>) = Default::default();
        let (served, counted, config) = (Arc::clone(&set), Arc::clone(&asked), Arc::new(config));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream =
                    rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
                if stream.read(&mut [0; 4096]).is_err() {
                    continue;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let body = served.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: max-age={max_age_s}\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Self { port, folder, set, asked }
    }

    fn publish(&self, keys: &[Value]) {
        *self.set.lock().unwrap() = json!({ "keys": keys }).to_string();
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/jwks", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// What lets a server fetch from here.
    fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("outbound.networks", "127.0.0.0/8".to_owned()),
            ("outbound.ports", self.port.to_string()),
            ("outbound.anchors", self.folder.path().join("anchor.pem").to_str().unwrap().to_owned()),
        ]
    }
}

fn of<'o>(options: &'o [(&'static str, String)]) -> Vec<(&'static str, &'o str)> {
    options.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn key() -> Leaf {
    Authority::root("Nobody", Kind::P384).leaf(&[], Kind::P384)
}

fn public(leaf: &Leaf, kid: &str) -> Value {
    leaf.signer().with_kid(kid).public_jwk()
}

/// Asks for a token with an assertion of this key.
fn ask(app: &TestApp, id: &str, leaf: &Leaf, kid: &str) -> Answer {
    let claims = json!({"iss": id, "sub": id, "aud": app.at_root("/oauth/token"), "iat": now_s(),
        "exp": now_s() + 290, "jti": fresh("published")});
    let assertion = leaf.signer().with_kid(kid).sign("JWT", None, claims.as_object().unwrap()).unwrap();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("scope", "system/Patient.rs"),
    ];
    post_form(app, "/oauth/token", &pairs)
}

fn add(app: &TestApp, url: String) -> String {
    let (name, scope) = ("Published".to_owned(), "system/Patient.rs".to_owned());
    let new = NewClient { name, scope, keys: ClientKeys::Url(url), addresses: Default::default() };
    clients::add(&app.app.config, Clock::system(), &new).unwrap().client_id
}

fn keys_of_a_client_are_fetched_kept_and_followed(database: Database) {
    let publisher = Publisher::start(1);
    let (old, new) = (key(), key());
    publisher.publish(&[public(&old, "k1")]);
    let app = TestApp::start(database, &of(&publisher.options()));
    let id = add(&app, publisher.url());
    ask(&app, &id, &old, "k1").expect(200);
    assert_eq!(publisher.asked(), 1);
    // Changed under the same name: what was fetched counts for as long as the server has said, and no longer.
    publisher.publish(&[public(&new, "k1")]);
    thread::sleep(Duration::from_millis(1_200));
    ask(&app, &id, &new, "k1").expect(200);
    assert_eq!(error(&ask(&app, &id, &old, "k1").expect(400)), "invalid_client");
}

fn keys_that_may_be_kept_are_asked_for_once(database: Database) {
    let publisher = Publisher::start(3600);
    let leaf = key();
    publisher.publish(&[public(&leaf, "k1")]);
    let app = TestApp::start(database, &of(&publisher.options()));
    let id = add(&app, publisher.url());
    for _ in 0..3 {
        ask(&app, &id, &leaf, "k1").expect(200);
    }
    assert_eq!(error(&ask(&app, &id, &leaf, "k2").expect(400)), "invalid_client", "a name that nobody publishes");
    assert_eq!(publisher.asked(), 1, "and nobody makes the server ask at every request");
    // Without the entry in the configuration nothing is fetched from this machine.
    let strict = app.beside(&[("server.base_url", &app.base)]);
    assert_eq!(error(&ask_at(&strict, &app, &id, &leaf).expect(400)), "invalid_client");
    assert_eq!(publisher.asked(), 1);
}

/// An assertion for the endpoint of one instance, sent to another.
fn ask_at(app: &TestApp, meant: &TestApp, id: &str, leaf: &Leaf) -> Answer {
    let claims = json!({"iss": id, "sub": id, "aud": meant.at_root("/oauth/token"), "iat": now_s(),
        "exp": now_s() + 290, "jti": fresh("published")});
    let assertion = leaf.signer().with_kid("k1").sign("JWT", None, claims.as_object().unwrap()).unwrap();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    post_form(app, "/oauth/token", &pairs)
}

fn keys_of_a_provider_are_fetched_and_followed(database: Database) {
    let publisher = Publisher::start(1);
    let server = Trusting::start_with(database, &of(&publisher.options()), |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, after) = text.split_once("jwks = ").unwrap();
        let rest = after.split_once('\n').unwrap().1;
        std::fs::write(&file, format!("{before}jwks_url = '{}'\n{rest}", publisher.url())).unwrap();
    });
    let (client, id) = member(&server);
    let ask = |token: String| {
        let tefca_ias = json!({
            "version": "1", "user_information": {"resourceType": "RelatedPerson"},
            "patient_information": {"resourceType": "Patient"}, "consent_policy": ["urn:oid:2.999.7"],
            "id_token": token,
        });
        let extensions = json!({"hl7-b2b": b2b(&[T_IAS]), "tefca_ias": tefca_ias});
        client.ask(&server.app, &id, &json!({ "extensions": extensions }))
    };
    let own = || server.trust.id_token(&json!({}));
    let other = Authority::root("Another", Kind::Rsa).leaf(&["https://csp.example"], Kind::Rsa);
    publisher.publish(&[public(&other, "csp-1")]);
    assert_eq!(error(&ask(own()).expect(400)), "invalid_grant", "signed with a key that is not published");
    publisher.publish(&[public(&server.trust.provider, "csp-1")]);
    thread::sleep(Duration::from_millis(1_200));
    ask(own()).expect(200);
    assert!(publisher.asked() >= 2);
}

/// A client of the network for individual access.
fn member(server: &Trusting) -> (Client, String) {
    let client = server.trust.network_client("https://client.example/ias#T-IAS");
    let certification = server.trust.certification(&client, &json!({"exchange_purposes": [T_IAS]}));
    let statement = client.statement(&server.app, &json!({}));
    let answer = submit(&server.app, &statement, &[certification]).expect(201).json();
    (client, answer["client_id"].as_str().unwrap().to_owned())
}

macro_rules! on_both {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(crate::support::Database::sqlite());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                super::$test(crate::support::Database::postgres());
            })+
        }
    };
}

on_both! {
    keys_of_a_client_are_fetched_kept_and_followed,
    keys_that_may_be_kept_are_asked_for_once,
    keys_of_a_provider_are_fetched_and_followed,
}
