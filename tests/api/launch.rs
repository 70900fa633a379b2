//! An app, a person and a browser: what tests of the authorization code share.
//!
//! Not here: what is expected of each step.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use idi_match::app::auth::clients::{self, Addresses, ClientKeys, NewClient};
use idi_match::app::clock::Clock;
use idi_match::auth::jws::{self, PublicKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::answer::Answer;
use crate::people::{guide, without};
use crate::signed_in::{Browser, Person, hidden};
use crate::support::TestApp;
use crate::trust::post_form;

pub const REDIRECT: &str = "https://app.example/cb";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const SCOPE: &str = "launch/patient openid fhirUser profile offline_access patient/Patient.rs";
pub const STATE: &str = "state-of-the-app";

pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// A public app of people with these addresses.
pub fn add_app(app: &TestApp, redirect_uris: &[&str], scope: &str) -> String {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let new = NewClient {
        name: "Example <App>".to_owned(),
        scope: scope.to_owned(),
        keys: ClientKeys::None,
        addresses: Addresses {
            redirect_uris: owned(redirect_uris),
            logout_uris: owned(&["https://app.example/bye"]),
            origins: owned(&["https://app.example"]),
        },
    };
    clients::add(app.config(), Clock::system(), &new).unwrap().client_id
}

/// The Patient that the account of [`Person::add`] is of, as verified.
pub fn own_patient(id: &str) -> Value {
    let mut patient = without(&guide("l1"), "meta");
    patient["id"] = json!(id);
    patient["extension"] = json!([{
        "url": "https://idi-match.example/StructureDefinition/identity-verification",
        "extension": [
            {"url": "level", "valueUri": "http://udap.org/code/id/idial1.8"},
            {"url": "date", "valueDate": "2026-02-03"},
        ],
    }]);
    patient
}

/// One app at one server.
pub struct Launch<'a> {
    pub app: &'a TestApp,
    pub client_id: String,
    pub scope: String,
}

impl<'a> Launch<'a> {
    /// A public app, and the person's record.
    pub fn new(app: &'a TestApp) -> Self {
        app.store_patient(&own_patient("own"));
        Self::of(app, add_app(app, &[REDIRECT], SCOPE))
    }

    pub fn of(app: &'a TestApp, client_id: String) -> Self {
        Self { app, client_id, scope: SCOPE.to_owned() }
    }

    /// Somebody who has signed in.
    pub fn browser(&self, login: &str) -> Browser<'a> {
        let person = Person::add(self.app, login);
        let mut browser = Browser::new(self.app);
        browser.sign_in_as(&person, 0).expect(303);
        browser
    }

    /// The parameters of a request, with some replaced; an empty value leaves one out.
    pub fn parameters(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let challenge = challenge(VERIFIER);
        let good = [
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", REDIRECT),
            ("scope", self.scope.as_str()),
            ("state", STATE),
            ("aud", self.app.base.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("nonce", "nonce-of-the-app"),
        ];
        let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let all = kept.chain(changes).filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    pub fn query(&self, changes: &[(&str, &str)]) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.parameters(changes)).finish()
    }

    /// Where a request leads.
    pub fn begin(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)]) -> Answer {
        browser.get(&format!("/oauth/authorize?{}", self.query(changes)))
    }

    /// The page with the question.
    pub fn ask(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)]) -> Answer {
        let begun = self.begin(browser, changes).expect(303);
        browser.get(location(&begun)).expect(200)
    }

    /// Where the answer to the question leads.
    pub fn answer(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)], decision: &str) -> Answer {
        let page = self.ask(browser, changes);
        let (csrf, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
        let fields = [("csrf", csrf.as_str()), ("request", &request), ("decision", decision)];
        browser.post("/oauth/authorize/continue", &fields)
    }

    /// A code that somebody has allowed.
    pub fn code(&self, browser: &mut Browser<'_>, changes: &[(&str, &str)]) -> String {
        let answer = self.answer(browser, changes, "allow").expect(303);
        parameter(location(&answer), "code").unwrap_or_else(|| panic!("no code in {}", location(&answer)))
    }

    /// Redeems a code, with some parameters replaced.
    pub fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", self.client_id.as_str()),
            ("code_verifier", VERIFIER),
        ];
        post_changed(self.app, &good, changes)
    }

    pub fn refresh(&self, token: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", self.client_id.as_str())];
        post_changed(self.app, &good, changes)
    }

    /// Whether an access token is in force at this server.
    pub fn stands(&self, token: &str) -> bool {
        self.app.app.verify_access_token(token, (Clock::system().now_us)()).is_ok()
    }
}

fn post_changed(app: &TestApp, good: &[(&str, &str)], changes: &[(&str, &str)]) -> Answer {
    let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let pairs: Vec<(&str, &str)> = kept.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect();
    post_form(app, "/oauth/token", &pairs)
}

pub fn location(answer: &Answer) -> &str {
    answer.header("location").expect("a location")
}

/// A parameter of the query of an address.
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let query = address.split_once('?')?.1;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The claims of an identity token, verified as a client does: by the key of that name in the server's key set.
pub fn id_token_claims(app: &TestApp, text: &str) -> Map<String, Value> {
    let token = jws::parse(text).unwrap();
    let set = app.get(&app.at_root("/oauth/jwks")).send().expect(200).json();
    let kid = token.header.kid.clone().expect("a kid");
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *kid).expect("the key");
    assert_eq!((token.header.alg.name(), &key["alg"]), ("RS256", &json!("RS256")));
    token.verify(&PublicKey::from_jwk(key).unwrap()).unwrap().claims
}
