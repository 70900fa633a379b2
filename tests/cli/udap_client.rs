//! `client register|token|match`: what is sent to a server of UDAP, and which servers are not believed.
//!
//! The server is a few lines of this file, so that it can say anything. The commands against the real one are in
//! `demonstration`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use idi_match::auth::jws;
use serde_json::{Value, json};

use crate::https::{Https, for_this_machine, pem};
use crate::people::Folder;
use crate::pki::{Authority, Kind, Leaf};
use crate::program::{Ended, run};

const URI: &str = "https://client.example/a";

/// Part of a path, and the status and body of the answer to a request for it.
type Planned = (&'static str, u16, String);

/// Answers every request as it was told, by the first path that the request's contains.
struct Fake {
    base: String,
    answers: Arc<Mutex<Vec<Planned>>>,
    /// First lines and bodies of requests.
    received: Arc<Mutex<Vec<(String, String)>>>,
}

impl Fake {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/fhir", listener.local_addr().unwrap());
        let fake = Self { base, answers: Arc::default(), received: Arc::default() };
        let (answers, received) = (Arc::clone(&fake.answers), Arc::clone(&fake.received));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &answers, &received);
            }
        });
        fake
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base.strip_suffix("/fhir").unwrap())
    }

    fn will_answer(&self, answers: Vec<Planned>) {
        *self.answers.lock().unwrap() = answers;
        self.received.lock().unwrap().clear();
    }

    fn received(&self) -> Vec<(String, String)> {
        self.received.lock().unwrap().clone()
    }

    /// Metadata that holds, but for the changes to what is signed and to what is not.
    fn metadata(&self, leaf: &Leaf, signed: &Value, plain: &Value) -> String {
        let endpoints = json!({"token_endpoint": self.at("/token"), "registration_endpoint": self.at("/register")});
        let claims = json!({"iss": self.base, "sub": self.base, "iat": now_s(), "exp": now_s() + 600, "jti": "m1"});
        let signed = leaf.token(&leaf.chain(&[]), &changed(&changed(&claims, &endpoints), signed));
        let document = json!({"udap_versions_supported": ["1"], "signed_metadata": signed});
        changed(&changed(&document, &endpoints), plain).to_string()
    }
}

fn answer(stream: TcpStream, answers: &Mutex<Vec<Planned>>, received: &Mutex<Vec<(String, String)>>) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    received.lock().unwrap().push((first.trim().to_owned(), String::from_utf8(body).unwrap()));
    let known = answers.lock().unwrap().iter().find(|(path, ..)| first.contains(path)).cloned();
    let (_, status, text) = known.unwrap_or(("", 404, String::new()));
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n", text.len());
    let more = if status == 302 { "Location: /elsewhere\r\n" } else { "" };
    write!(reader.get_mut(), "{head}{more}\r\n{text}").unwrap();
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Members of `changes` in place of those of `object`; null takes one away.
fn changed(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    for (name, value) in changes.as_object().unwrap() {
        let members = object.as_object_mut().unwrap();
        if value.is_null() { drop(members.remove(name)) } else { drop(members.insert(name.clone(), value.clone())) }
    }
    object
}

/// A community on disk, and a client of it.
struct Community {
    folder: Folder,
    root: Authority,
    client: Leaf,
}

impl Community {
    fn new() -> Self {
        let root = Authority::root("Community", Kind::P256);
        let client = root.leaf(&[URI], Kind::P256);
        let community = Self { folder: Folder::new(), root, client };
        community.folder.write("ca.pem", pem(&community.root.der));
        community.folder.write("ca.crl", community.root.crl(&[]));
        community.folder.write("client.pem", pem(&community.client.der));
        community.folder.write("client.key", community.client.key_pem());
        community
    }

    fn member(&self) -> Vec<String> {
        let file = |name: &str| self.folder.text(name);
        let (cert, key, anchors, crls) = (file("client.pem"), file("client.key"), file("ca.pem"), file("ca.crl"));
        ["--cert", &cert, "--key", &key, "--anchors", &anchors, "--crls", &crls].map(str::to_owned).to_vec()
    }

    fn run(&self, command: &str, base: &str, more: &[&str]) -> Ended {
        let start = ["client", command, base].map(str::to_owned);
        run(start.into_iter().chain(self.member()).chain(more.iter().map(|text| (*text).to_owned())))
    }

    fn register(&self, base: &str, more: &[&str]) -> Ended {
        let usual = ["--name", "Example", "--contact", "mailto:ops@client.example"];
        self.run("register", base, &[&usual, more].concat())
    }

    /// The claims of a token of the client.
    fn claims(&self, token: &str) -> serde_json::Map<String, Value> {
        let parsed = jws::parse(token).unwrap();
        assert_eq!(parsed.header.x5c, self.client.chain(&[]));
        parsed.verify(&self.client.signer().public_key().unwrap()).unwrap().claims
    }
}

#[test]
fn a_client_registers_changes_and_cancels_with_signed_statements() {
    let (community, fake) = (Community::new(), Fake::start());
    let leaf = community.root.leaf(&[&fake.base], Kind::Rsa);
    let metadata = fake.metadata(&leaf, &json!({}), &json!({}));
    let registered = json!({"client_id": "c-1", "scope": "system/Patient.rs"}).to_string();
    fake.will_answer(vec![("/.well-known/udap", 200, metadata), ("/register", 201, registered.clone())]);
    let certification = community.folder.write("certification.jwt", "a.b.c\n");
    let base = format!("{}/", fake.base);
    let said = community.register(&base, &["--certification", &certification]).with_code(0);
    assert_eq!(said, "c-1\n");
    let whole = community.register(&fake.base, &["--json", "--community", "urn:oid:2.999.1"]).with_code(0);
    assert_eq!(whole.trim(), registered);
    community.run("register", &fake.base, &["--cancel"]).with_code(0);
    let received = fake.received();
    let discovered: Vec<&str> = received.iter().step_by(2).map(|(line, _)| line.as_str()).collect();
    assert_eq!(discovered[0], "GET /fhir/.well-known/udap HTTP/1.1");
    assert_eq!(discovered[1], "GET /fhir/.well-known/udap?community=urn%3Aoid%3A2.999.1 HTTP/1.1");
    let bodies: Vec<Value> =
        received.iter().skip(1).step_by(2).map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!((&bodies[0]["udap"], &bodies[0]["certifications"]), (&json!("1"), &json!(["a.b.c"])));
    let statements: Vec<_> =
        bodies.iter().map(|body| community.claims(body["software_statement"].as_str().unwrap())).collect();
    for claims in &statements {
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(URI), &json!(URI)));
        assert_eq!(claims["aud"], fake.at("/register"));
        assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|at| at + 300));
    }
    assert_eq!(statements[0]["grant_types"], json!(["client_credentials"]));
    assert_eq!(
        (&statements[0]["client_name"], &statements[0]["scope"]),
        (&json!("Example"), &json!("system/Patient.rs"))
    );
    assert_eq!(statements[2]["grant_types"], json!([]));
    assert_ne!(statements[0]["jti"], statements[1]["jti"]);
}

#[test]
fn a_token_is_asked_for_with_the_extensions_of_options_and_file() {
    let (community, fake) = (Community::new(), Fake::start());
    let leaf = community.root.leaf(&[&fake.base], Kind::Rsa);
    let metadata = fake.metadata(&leaf, &json!({}), &json!({}));
    let issued = json!({"access_token": "t-1", "token_type": "Bearer"}).to_string();
    fake.will_answer(vec![("/.well-known/udap", 200, metadata), ("/token", 200, issued)]);
    let more = community.folder.write("more.json", r#"{"hl7-b2b-user":{"version":"1"}}"#);
    let options = [
        "--client-id",
        "c-1",
        "--scope",
        "system/Patient.r",
        "--organization-id",
        "urn:oid:2.999.5",
        "--purpose",
        "TREAT",
        "--organization-name",
        "Clinic",
        "--consent-policy",
        "urn:x:policy",
        "--extensions",
        &more,
    ];
    assert_eq!(community.run("token", &fake.base, &options).with_code(0), "t-1\n");
    let (line, body) = fake.received().remove(1);
    assert_eq!(line, "POST /token HTTP/1.1");
    let form: std::collections::BTreeMap<String, String> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!((form["grant_type"].as_str(), form["udap"].as_str()), ("client_credentials", "1"));
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(form["scope"], "system/Patient.r");
    let claims = community.claims(&form["client_assertion"]);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("c-1"), &json!(fake.at("/token"))));
    let b2b = json!({"version": "1", "organization_id": "urn:oid:2.999.5", "organization_name": "Clinic",
        "purpose_of_use": ["TREAT"], "consent_policy": ["urn:x:policy"]});
    assert_eq!(claims["extensions"], json!({"hl7-b2b": b2b, "hl7-b2b-user": {"version": "1"}}));
}

#[test]
fn a_server_that_is_not_whom_it_says_is_told_nothing() {
    let (community, fake) = (Community::new(), Fake::start());
    let root = &community.root;
    let right = root.leaf(&[&fake.base], Kind::Rsa);
    let revoked = root.leaf(&[&fake.base], Kind::Rsa);
    community.folder.write("ca.crl", root.crl(&[&revoked.serial]));
    let stranger = Authority::root("Stranger", Kind::P256).leaf(&[&fake.base], Kind::Rsa);
    let elsewhere = root.leaf(&["https://elsewhere.example/fhir"], Kind::Rsa);
    let with_p256 = root.leaf(&[&fake.base], Kind::P256);
    let none = json!({});
    let other = fake.at("/other");
    let table = [
        (200, fake.metadata(&with_p256, &none, &none), "ES256"),
        (200, fake.metadata(&stranger, &none, &none), "signed_metadata: its certificates"),
        (200, fake.metadata(&revoked, &none, &none), "revoked"),
        (200, fake.metadata(&elsewhere, &none, &none), "is not a URI of the server's certificate"),
        (
            200,
            fake.metadata(&right, &json!({"iss": "https://x.example", "sub": "https://x.example"}), &none),
            "it is about",
        ),
        (200, fake.metadata(&right, &json!({"sub": "https://x.example"}), &none), "signed_metadata"),
        (200, fake.metadata(&right, &json!({"exp": now_s() - 200, "iat": now_s() - 300}), &none), "signed_metadata"),
        (200, fake.metadata(&right, &json!({"exp": now_s() + 800 * 24 * 3600}), &none), "signed_metadata"),
        (200, fake.metadata(&right, &json!({"jti": null}), &none), "signed_metadata"),
        (200, fake.metadata(&right, &none, &json!({"token_endpoint": other})), "token_endpoint is not the one"),
        (200, fake.metadata(&right, &none, &json!({"registration_endpoint": other})), "registration_endpoint is not"),
        (200, fake.metadata(&right, &none, &json!({"authorization_endpoint": other})), "authorization_endpoint is not"),
        (200, fake.metadata(&right, &none, &json!({"signed_metadata": null})), "signed_metadata is missing"),
        (200, fake.metadata(&right, &none, &json!({"signed_metadata": "a.b.c"})), "signed_metadata"),
        (200, "[]".to_owned(), "not a JSON object"),
        (204, String::new(), "not in this community"),
        (404, String::new(), "does not speak UDAP"),
        (302, String::new(), "status 302"),
    ];
    for (status, document, words) in table {
        fake.will_answer(vec![("/.well-known/udap", status, document)]);
        let ended = community.register(&fake.base, &[]);
        assert_eq!(ended.code, 3, "{words}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(words), "{words}: {}", ended.err);
        assert_eq!(fake.received().len(), 1, "{words}: nothing follows");
    }
    let unsupported = json!({"token_endpoint_auth_signing_alg_values_supported": ["RS256"]});
    fake.will_answer(vec![("/.well-known/udap", 200, fake.metadata(&right, &none, &unsupported))]);
    let ended = community.register(&fake.base, &[]);
    assert!(ended.err.contains("--key") && ended.err.contains("ES256"), "{}", ended.err);
}

#[test]
fn a_base_with_a_slash_and_an_intermediate_that_is_left_out_are_believed() {
    let (community, fake) = (Community::new(), Fake::start());
    let issuing = community.root.intermediate("Issuing", Kind::P256);
    let base = format!("{}/", fake.base);
    let leaf = issuing.leaf(&[&base], Kind::Rsa);
    let metadata = fake.metadata(&leaf, &json!({"iss": base, "sub": base}), &json!({}));
    let registered = json!({"client_id": "c-1"}).to_string();
    fake.will_answer(vec![("/.well-known/udap", 200, metadata), ("/register", 201, registered)]);
    let intermediates = community.folder.write("issuing.pem", pem(&issuing.der));
    let crl = community.folder.write("issuing.crl", issuing.crl(&[]));
    let known = ["--intermediates", &intermediates, "--crls", &crl];
    assert_eq!(community.register(&fake.base, &known).with_code(0), "c-1\n");
    assert_eq!(community.register(&base, &known).with_code(0), "c-1\n");
    assert_eq!(community.register(&fake.base, &known[..2]).code, 3, "without a list of the issuer");
    assert_eq!(community.register(&fake.base, &[]).code, 3, "without the issuer");
}

#[test]
fn what_the_server_refuses_is_said_in_its_words() {
    let (community, fake) = (Community::new(), Fake::start());
    let leaf = community.root.leaf(&[&fake.base], Kind::Rsa);
    let metadata = fake.metadata(&leaf, &json!({}), &json!({}));
    let refusal = json!({"error": "unapproved_software_statement", "error_description": "Not here."}).to_string();
    fake.will_answer(vec![("/.well-known/udap", 200, metadata), ("/register", 400, refusal)]);
    let ended = community.register(&fake.base, &[]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("answers 400: unapproved_software_statement: Not here."), "{}", ended.err);
}

#[test]
fn files_that_do_not_belong_together_and_plain_http_elsewhere_are_refused() {
    let (community, fake) = (Community::new(), Fake::start());
    let other = community.root.leaf(&["https://b.example", "https://c.example"], Kind::P256);
    let nameless = community.root.leaf(&[], Kind::P256);
    let write = |name: &str, contents: String| community.folder.write(name, contents);
    let (cert, key) = (write("other.pem", pem(&other.der)), write("other.key", other.key_pem()));
    let (nameless, nameless_key) =
        (write("nameless.pem", pem(&nameless.der)), write("nameless.key", nameless.key_pem()));
    let own =
        [community.folder.text("client.pem"), community.folder.text("client.key"), community.folder.text("ca.pem")];
    let [own_cert, own_key, anchors] = &own;
    let missing = community.folder.text("missing.pem");
    let base = fake.base.as_str();
    let table: [(&str, [&str; 3], i32, &str); 8] = [
        (base, [own_cert, &key, anchors], 2, "--key"),
        (base, [&cert, &key, anchors], 2, "--uri"),
        (base, [&nameless, &nameless_key, anchors], 2, "has no URI"),
        (base, [own_cert, own_key, own_cert], 2, "--anchors"),
        (base, [&missing, own_key, anchors], 3, &missing),
        (base, [own_cert, own_cert, anchors], 3, own_cert),
        ("http://192.0.2.1/fhir", [own_cert, own_key, anchors], 3, "--insecure-http"),
        ("ftp://fhir.example/fhir", [own_cert, own_key, anchors], 3, "not an http or https URL"),
    ];
    for (base, [cert, key, anchors], code, words) in table {
        let ended = run([
            "client",
            "register",
            base,
            "--cert",
            cert,
            "--key",
            key,
            "--anchors",
            anchors,
            "--name",
            "A",
            "--contact",
            "mailto:a@b.example",
        ]);
        assert_eq!(ended.code, code, "{words}: {}", ended.err);
        assert!(ended.err.contains(words), "{words}: {}", ended.err);
    }
    assert_eq!(fake.received(), [], "nobody was asked");
}

#[test]
fn a_match_is_asked_for_by_https_under_the_given_authorities() {
    let web = Authority::root("Web", Kind::P256);
    let https = Https::start(&for_this_machine(&web), &[]);
    let folder = Folder::new();
    let (anchors, token) = (folder.write("web.pem", pem(&web.der)), folder.write("token", "any\n"));
    let other = folder.write("other.pem", pem(&Authority::root("Other", Kind::P256).der));
    let patient = json!({"resourceType": "Patient", "id": "q1", "name": [{"family": "Roe", "given": ["Robin"]}],
        "meta": {"profile": ["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L0"]},
        "birthDate": "1980-02-29", "telecom": [{"system": "phone", "value": "212-555-0100"}]});
    let file = folder.write("patient.json", patient.to_string());
    let base = format!("https://{}/fhir", https.server.address);
    let ask = |anchors: &str, file: &str| {
        run(["client", "match", &base, file, "--token-file", &token, "--tls-anchors", anchors])
    };
    assert_eq!(ask(&anchors, &file).json(0)["resourceType"], "Parameters");
    assert_eq!(ask(&other, &file).code, 3);
    let nobody = folder.write("nobody.json", r#"{"resourceType":"Patient"}"#);
    let refused = ask(&anchors, &nobody);
    assert!(refused.code == 3 && refused.err.contains("OperationOutcome"), "{}", refused.err);
    assert_eq!(ask(&anchors, &folder.write("other.json", r#"{"resourceType":"Group"}"#)).code, 3);
}
