//! Servers with trust communities, and clients of UDAP that speak to them with certificates of the tests' own.
//!
//! What: [`Trust`] is a public key infrastructure on disk with two communities, `clinics` and `network` (TEFCA's rules), and
//! the configuration of a server in both. [`Client`] makes statements and assertions, right by default, with whatever a
//! test wants changed. Not here: what is right.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::pki::{Authority, Kind, Leaf};
use crate::support::{Database, TestApp};

pub const CLINICS: &str = "urn:oid:2.999.1";
pub const NETWORK: &str = "urn:oid:2.999.2";
/// TEFCA's code of treatment, as TEFCA writes it.
pub const T_TREAT: &str = "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-TREAT";
pub const T_IAS: &str = "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1#T-IAS";
pub const TREAT: &str = "urn:oid:2.16.840.1.113883.5.8#TREAT";
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The authorities, and the files of a server.
pub struct Trust {
    folder: tempfile::TempDir,
    pub root: Authority,
    pub issuing: Authority,
    pub network_root: Authority,
    /// Issues identity tokens.
    pub provider: Leaf,
    /// Certifies clients of the network.
    pub certifier: Leaf,
    server: std::sync::Arc<rcgen::KeyPair>,
    /// Of the clinics.
    scopes: &'static str,
}

const CLINICS_SCOPES: &str = "['system/Patient.rs', 'system/Organization.rs']";

impl Trust {
    pub fn new() -> Self {
        let root = Authority::root("Clinics Root", Kind::P256);
        let issuing = root.intermediate("Clinics Issuing", Kind::P256);
        let network_root = Authority::root("Network Root", Kind::P256);
        let provider = network_root.leaf(&["https://csp.example"], Kind::Rsa);
        let certifier = network_root.leaf(&["https://certifier.example"], Kind::P256);
        let trust = Self {
            folder: tempfile::tempdir().unwrap(),
            root,
            issuing,
            network_root,
            provider,
            certifier,
            server: Kind::Rsa.generate(),
            scopes: CLINICS_SCOPES,
        };
        trust.revoke(&[]);
        trust
    }

    /// The same, where the clinics let in apps of people too.
    pub fn of_people() -> Self {
        let scopes = "['system/Patient.rs', 'openid', 'fhirUser', 'profile', 'udap', 'launch/patient', 'offline_access', 'patient/Patient.rs']";
        Self { scopes, ..Self::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Puts these leaves of the issuing authority on its list of revoked certificates, which a server reads within a second.
    pub fn revoke(&self, leaves: &[&Leaf]) {
        let serials: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.serial.as_slice()).collect();
        self.write("root.crl", self.root.crl(&[]));
        self.write("issuing.crl", self.issuing.crl(&serials));
        self.write("network.crl", self.network_root.crl(&[]));
    }

    /// The configuration of a server at `base`, whose certificates name that URL.
    pub fn config(&self, base: &str) -> PathBuf {
        self.write("root.der", &self.root.der);
        self.write("issuing.der", &self.issuing.der);
        self.write("network.der", &self.network_root.der);
        self.write("server.key", self.server.serialize_pem());
        // The FHIR base and the issuer of identity tokens are two servers to UDAP (FAST Security 2.3).
        let issuer = base.strip_suffix("/fhir").unwrap();
        self.write("clinics.der", self.issuing.leaf_with(&[base, issuer], &self.server, |_| {}).der);
        self.write("network-server.der", self.network_root.leaf_with(&[base], &self.server, |_| {}).der);
        let jwk = self.provider.signer().with_kid("csp-1").public_jwk();
        self.write("csp.json", json!({ "keys": [jwk] }).to_string());
        let text = configuration(self.folder.path()).replace(CLINICS_SCOPES, self.scopes);
        self.write("idi-match.toml", text);
        self.path("idi-match.toml")
    }

    /// A client of the clinics.
    pub fn client(&self, uri: &str) -> Client {
        Client::new(uri, self.issuing.leaf(&[uri], Kind::P256), &[&self.issuing])
    }

    /// A client of the network.
    pub fn network_client(&self, uri: &str) -> Client {
        Client::new(uri, self.network_root.leaf(&[uri], Kind::P256), &[])
    }

    /// A certification of TEFCA for a client, by the network's certifier.
    pub fn certification(&self, client: &Client, changes: &Value) -> String {
        Self::certification_by(&self.certifier, "https://certifier.example", client, changes)
    }

    /// The same by whoever has this certificate of the network.
    pub fn certification_by(certifier: &Leaf, uri: &str, client: &Client, changes: &Value) -> String {
        let claims = json!({
            "iss": uri, "sub": client.uri, "iat": now_s(), "exp": now_s() + 1_000_000, "jti": fresh("cert"),
            "certification_name": "TEFCA Basic App Certification",
            "certification_uris": ["https://rce.sequoiaproject.org/udap/profiles/basic-app-certification"],
            "exchange_purposes": [T_TREAT],
            "home_community_id": "urn:oid:2.999.5",
        });
        certifier.token(&certifier.chain(&[]), &changed(&claims, changes))
    }

    /// An identity token of the provider.
    pub fn id_token(&self, changes: &Value) -> String {
        let claims = json!({
            "iss": "https://csp.example", "sub": "s1", "aud": "urn:oid:2.999.5", "iat": now_s(), "exp": now_s() + 600,
            "jti": fresh("id"), "given_name": "Robin", "family_name": "Roe", "birthdate": "1980-02-29",
        });
        let header = json!({"alg": "RS256", "kid": "csp-1", "typ": "JWT"});
        self.provider.raw_token(&header.to_string(), &changed(&claims, changes).to_string())
    }
}

fn configuration(folder: &Path) -> String {
    let file = |name: &str| format!("'{}'", folder.join(name).display());
    format!(
        "[auth]\nreload_s = 1\n\
         [[communities]]\nname = 'clinics'\nuri = '{CLINICS}'\ndefault = true\nanchors = [{root}]\n\
         intermediates = [{issuing}]\ncrls = [{root_crl}, {issuing_crl}]\nserver_cert = {clinics}\nserver_key = {key}\n\
         purposes = ['TREAT', 'PATRQT']\nscopes = ['system/Patient.rs', 'system/Organization.rs']\n\
         identity_assurance = 'IDIAL1.8'\nauthentication_assurance = 'AAL2'\nentity_type = 'covered-entity'\n\
         [[communities]]\nname = 'network'\nuri = '{NETWORK}'\nvalidator = 'tefca'\nanchors = [{network}]\n\
         crls = [{network_crl}]\nserver_cert = {network_server}\nserver_key = {key}\n\
         purposes = ['T-TREAT', 'T-IAS']\nscopes = ['system/*.rs']\ncertifiers = ['https://certifier.example']\n\
         identity_assurance = 'IDIAL2'\nauthentication_assurance = 'AAL2'\nentity_type = 'individual-access'\n\
         [[id_token_issuers]]\nissuer = 'https://csp.example'\njwks = {csp}\n\
         identity_assurance = 'IDIAL2'\nauthentication_assurance = 'AAL2'\n",
        root = file("root.der"),
        issuing = file("issuing.der"),
        root_crl = file("root.crl"),
        issuing_crl = file("issuing.crl"),
        clinics = file("clinics.der"),
        key = file("server.key"),
        network = file("network.der"),
        network_crl = file("network.crl"),
        network_server = file("network-server.der"),
        csp = file("csp.json"),
    )
}

/// A server in the communities of a trust.
pub struct Trusting {
    pub app: TestApp,
    pub trust: Trust,
}

impl Trusting {
    pub fn start(database: Database) -> Self {
        Self::start_in(Trust::new(), database)
    }

    pub fn start_in(trust: Trust, database: Database) -> Self {
        let app = TestApp::start_configured(database, |base| trust.config(base), &[]);
        Self { app, trust }
    }

    /// The same with further options, where `change` has changed the file of the configuration.
    pub fn start_with(database: Database, options: &[(&str, &str)], change: impl FnOnce(PathBuf)) -> Self {
        let trust = Trust::new();
        let configured = |base: &str| {
            let file = trust.config(base);
            change(file.clone());
            file
        };
        let app = TestApp::start_configured(database, configured, options);
        Self { app, trust }
    }

    /// Another instance, at the same address as far as tokens are concerned, on the same database.
    pub fn beside(&self) -> TestApp {
        self.app.beside_configured(self.trust.path("idi-match.toml"), &[("server.base_url", &self.app.base)])
    }

    /// A client of the clinics that is registered, and its id.
    pub fn registered(&self, uri: &str) -> (Client, String) {
        let client = self.trust.client(uri);
        let answer = client.register(&self.app, &json!({})).expect(201);
        let id = answer.json()["client_id"].as_str().unwrap().to_owned();
        (client, id)
    }
}

pub fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An id that no other token of this process has.
pub fn fresh(kind: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("{kind}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Members of `changes` in place of those of `object`; null takes one away.
pub fn changed(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    for (name, value) in changes.as_object().unwrap() {
        let members = object.as_object_mut().unwrap();
        if value.is_null() { drop(members.remove(name)) } else { drop(members.insert(name.clone(), value.clone())) }
    }
    object
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Sends a form to an endpoint.
pub fn post_form(app: &TestApp, path: &str, pairs: &[(&str, &str)]) -> Answer {
    let request = app.post(&app.at_root(path), form(pairs).as_str());
    request.header("content-type", "application/x-www-form-urlencoded").send()
}

/// The refusal that an answer is.
pub fn error(answer: &Answer) -> String {
    let body = answer.json();
    assert!(body["error_description"].is_string(), "{body}");
    body["error"].as_str().unwrap().to_owned()
}

/// A client of UDAP.
#[derive(Clone)]
pub struct Client {
    pub uri: String,
    pub leaf: Leaf,
    pub chain: Vec<Vec<u8>>,
}

impl Client {
    pub fn new(uri: &str, leaf: Leaf, issuers: &[&Authority]) -> Self {
        let chain = leaf.chain(issuers);
        Self { uri: uri.to_owned(), leaf, chain }
    }

    /// The claims of a software statement.
    pub fn statement_claims(&self, app: &TestApp, changes: &Value) -> Value {
        let claims = json!({
            "iss": self.uri, "sub": self.uri, "aud": app.at_root("/oauth/register"),
            "iat": now_s(), "exp": now_s() + 300, "jti": fresh("statement"),
            "client_name": "Example Client", "contacts": ["mailto:ops@client.example"],
            "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt",
            "scope": "system/Patient.rs",
        });
        changed(&claims, changes)
    }

    pub fn statement(&self, app: &TestApp, changes: &Value) -> String {
        self.leaf.token(&self.chain, &self.statement_claims(app, changes))
    }

    pub fn register(&self, app: &TestApp, changes: &Value) -> Answer {
        submit(app, &self.statement(app, changes), &[])
    }

    /// The claims of a client assertion with `hl7-b2b` for treatment.
    pub fn assertion_claims(app: &TestApp, client_id: &str, changes: &Value) -> Value {
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": app.at_root("/oauth/token"),
            "iat": now_s(), "exp": now_s() + 300, "jti": fresh("assertion"),
            "extensions": {"hl7-b2b": b2b(&[TREAT])},
        });
        changed(&claims, changes)
    }

    pub fn assertion(&self, app: &TestApp, client_id: &str, changes: &Value) -> String {
        self.leaf.token(&self.chain, &Self::assertion_claims(app, client_id, changes))
    }

    /// Asks for a token with an assertion that is right but for `changes`.
    pub fn ask(&self, app: &TestApp, client_id: &str, changes: &Value) -> Answer {
        ask_with(app, &self.assertion(app, client_id, changes), &[])
    }

    /// A token that is given.
    pub fn token(&self, app: &TestApp, client_id: &str) -> String {
        let answer = self.ask(app, client_id, &json!({})).expect(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// Sends a statement with certifications.
pub fn submit(app: &TestApp, statement: &str, certifications: &[String]) -> Answer {
    let mut body = json!({"software_statement": statement, "udap": "1"});
    if !certifications.is_empty() {
        body["certifications"] = json!(certifications);
    }
    app.post(&app.at_root("/oauth/register"), body).header("content-type", "application/json").send()
}

/// Asks for a token with an assertion and further parameters.
pub fn ask_with(app: &TestApp, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let own = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
        ("udap", "1"),
    ];
    let pairs: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
    post_form(app, "/oauth/token", &pairs)
}

pub fn b2b(purposes: &[&str]) -> Value {
    json!({"version": "1", "organization_id": "urn:oid:2.999.5", "purpose_of_use": purposes})
}

/// A person as FASTIDUDAPPerson wants one.
pub fn person() -> Value {
    json!({
        "resourceType": "Person",
        "name": [{"family": "Roe", "given": ["Robin"]}],
        "telecom": [{"system": "phone", "value": "+1-555-0100"}, {"system": "email", "value": "robin@example.org"}],
        "birthDate": "1980-02-29",
        "address": [{"line": ["1 Main St"], "city": "Springfield", "state": "IL", "postalCode": "62701"}],
    })
}
