//! A guarded server and the tokens for it: a key of the test's own, given to the application when it is made.
//!
//! Not here: registering and asking for tokens.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use idi_match::app::auth::asserted::Asserted;
use idi_match::app::auth::gate::{Standing, Tokens};
use idi_match::assurance::entity::EntityType;
use idi_match::assurance::facts::Consent;
use idi_match::assurance::level::{AuthenticationLevel, IdentityLevel};
use idi_match::auth::access_token::{Grant, Holder, OwnKey, claims_of};
use idi_match::auth::scope::Scopes;
use idi_match::auth::signing::{Signer, generate};
use serde_json::Value;

use crate::answer::Answer;
use crate::support::{Content, Database, Request, TestApp};

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "https://issuer.example/fhir";
/// What the operator's own client may do.
pub const EVERYTHING: &str = "system/*.cruds system/AuditEvent.rs system/Stewardship.rus";

/// Who has issued what.
pub struct Issuer {
    pub signer: Signer,
    asserted: Arc<Mutex<HashMap<String, Asserted>>>,
    ended: Arc<Mutex<HashSet<String>>>,
    issued: AtomicUsize,
}

impl Issuer {
    pub fn new() -> Self {
        let signer = Signer::from_der(generate().unwrap().der()).unwrap().with_kid("test-key");
        Self { signer, asserted: Arc::default(), ended: Arc::default(), issued: AtomicUsize::new(0) }
    }

    fn tokens(&self) -> Tokens {
        let keys: Arc<[OwnKey]> =
            Arc::new([OwnKey { kid: self.signer.kid.clone(), key: self.signer.public_key().unwrap() }]);
        let (asserted, ended) = (Arc::clone(&self.asserted), Arc::clone(&self.ended));
        Tokens {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            keys: Box::new(move || Arc::clone(&keys)),
            standing: Box::new(
                move |id| {
                    if ended.lock().unwrap().contains(id) { Standing::Ended } else { Standing::InForce }
                },
            ),
            asserted: Box::new(move |id| asserted.lock().unwrap().get(id).cloned().unwrap_or_default()),
        }
    }

    /// A token for this grant, under an id of its own.
    pub fn issue(&self, granted: &Bearer) -> String {
        let token_id = format!("token-{}", self.issued.fetch_add(1, Ordering::Relaxed));
        self.asserted.lock().unwrap().insert(token_id.clone(), granted.asserted.clone());
        let grant = Grant { token_id, ..granted.grant.clone() };
        let claims = claims_of(&grant, ISSUER, AUDIENCE, now_us());
        self.signer.sign("at+jwt", None, &claims).unwrap()
    }

    pub fn revoke(&self, token_id: &str) {
        self.ended.lock().unwrap().insert(token_id.to_owned());
    }

    pub fn last_token_id(&self) -> String {
        format!("token-{}", self.issued.load(Ordering::Relaxed) - 1)
    }
}

pub fn now_us() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// What a token is issued for.
#[derive(Clone)]
pub struct Bearer {
    pub grant: Grant,
    pub asserted: Asserted,
}

impl Bearer {
    /// A client that the operator has added.
    pub fn operator(scopes: &str) -> Self {
        let grant = Grant {
            client_id: "client-of-the-operator".to_owned(),
            community: None,
            organization_id: None,
            entity_type: None,
            purposes: Vec::new(),
            scopes: Scopes::parse(scopes).unwrap(),
            identity_level: IdentityLevel::Idial1,
            authentication_level: AuthenticationLevel::Aal1,
            extensions: BTreeMap::new(),
            token_id: String::new(),
            expires_us: now_us() + 300_000_000,
            subject: None,
            patient: None,
            holder: Holder::Client,
        };
        Self { grant, asserted: Asserted::default() }
    }

    /// A covered entity that treats somebody.
    pub fn treatment() -> Self {
        let operator = Self::operator("system/*.rs");
        let grant = Grant {
            client_id: "client-of-a-hospital".to_owned(),
            community: Some("exchange".to_owned()),
            organization_id: Some("https://hospital.example".to_owned()),
            entity_type: Some(EntityType::CoveredEntity),
            purposes: vec!["urn:oid:2.16.840.1.113883.5.8#TREAT".to_owned()],
            identity_level: IdentityLevel::Idial1_8,
            extensions: digests(&["hl7-b2b"]),
            ..operator.grant
        };
        Self { grant, ..operator }
    }

    /// An app that asks for `user`, who is signed in.
    pub fn personal(user: &Value) -> Self {
        let treatment = Self::treatment();
        let grant = Grant {
            client_id: "client-of-an-app".to_owned(),
            entity_type: Some(EntityType::IndividualAccess),
            purposes: vec!["PATRQT".to_owned()],
            authentication_level: AuthenticationLevel::Aal2,
            extensions: digests(&["hl7-b2b", "hl7-b2b-user"]),
            ..treatment.grant
        };
        let asserted = Asserted { consent: Consent::Recorded, users: vec![user.clone()], ..Asserted::default() };
        Self { grant, asserted }
    }
}

fn digests(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg".to_owned())).collect()
}

/// A server that is guarded, and who issues its tokens.
pub struct Guarded {
    pub app: TestApp,
    pub issuer: Arc<Issuer>,
    operator: String,
}

impl Guarded {
    pub fn start(database: Database, options: &[(&str, &str)]) -> Self {
        let issuer = Arc::new(Issuer::new());
        let app = TestApp::start_guarded(database, issuer.tokens(), options);
        let operator = issuer.issue(&Bearer::operator(EVERYTHING));
        Self { app, issuer, operator }
    }

    /// Another instance on the same database, which takes the same tokens.
    pub fn beside(&self, options: &[(&str, &str)]) -> Self {
        let (issuer, operator) = (Arc::clone(&self.issuer), self.operator.clone());
        Self { app: self.app.beside_guarded(issuer.tokens(), options), issuer, operator }
    }

    /// A request of the operator's own client.
    pub fn as_operator(&self, method: &str, path: &str) -> Request<'_> {
        self.app.request(method, path).header("Authorization", &format!("Bearer {}", self.operator))
    }

    /// A request of somebody.
    pub fn by(&self, bearer: &Bearer, method: &str, path: &str) -> Request<'_> {
        let token = self.issuer.issue(bearer);
        self.app.request(method, path).header("Authorization", &format!("Bearer {token}"))
    }

    pub fn store(&self, resource: &Value) {
        let path = format!("/{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let answer = self.as_operator("PUT", &path).body(resource).send();
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    /// `$idi-match` by somebody.
    pub fn idi_match(&self, bearer: &Bearer, parameters: impl Into<Content>) -> Answer {
        self.by(bearer, "POST", "/Patient/$idi-match").body(parameters).send()
    }
}
