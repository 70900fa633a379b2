//! Somebody signs in, is asked, refuses, allows, looks, takes back and signs out, and their app does what apps do, at the real
//! server with its log at TRACE: nothing of the person and no secret of any of it may be in the log, on either stream, in
//! metrics, traces, the audit, a page, an error, or an address that the server made.
//!
//! What the protocol says stands where it says: code and state in the app's own address, the handle of a request in the
//! addresses of the pages between, the hidden fields of forms. Not here: what is sent to FHIR (see `canary`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use idi_match::app::clock::Clock;
use idi_match::auth::totp::OneTimeCodes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::canary::{Answer, Needles, ask, check_database, check_log, without_table};
use crate::collector::{Answers, Collector};
use crate::database::Database;
use crate::people::{Folder, patient};
use crate::program::{BINARY, Server, clean, run};
use crate::users::run_with;

on_both_databases! {
    nothing_of_a_person_and_no_secret_of_theirs_is_told_anywhere,
}

const LOGIN: &str = "zquvlogin.of.somebody";
const PASSWORD: &str = "Zquvpass-warm-rain-on-tin-roofs";
const STATE: &str = "zquvstate-of-the-app";
const VERIFIER: &str = "zquvverifier-zquvverifier-zquvverifier-zquvverifier";
const RECORD: &str = "zquvrecord";
const REDIRECT: &str = "https://app.example/cb";
const SCOPE: &str = "launch/patient openid fhirUser profile offline_access patient/Patient.rs";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// What must not be told, and where it may stand all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of the person, or a secret: in no page and no address.
    Kept,
    /// In a field of a form, or the handle in the address of a page.
    OfPage,
    /// In the address of the app.
    OfApp,
    /// The Patient in context: an id, which the audit has.
    Context,
}

/// Somebody whose every value is a mark.
fn somebody() -> Value {
    let mut person = patient(RECORD, 3);
    person["name"] = json!([{"use": "official", "family": "Zquvfamily", "given": ["Zquvgiven"]}]);
    person["birthDate"] = json!("1957-08-23");
    person["identifier"][0]["value"] = json!("ZQUVID771X");
    person["telecom"] = json!([
        {"system": "phone", "value": "9075557123"},
        {"system": "email", "value": "zquvmail@post.example"},
    ]);
    person["address"][0]["line"] = json!(["17 Zquvstreet"]);
    person["address"][0]["city"] = json!("Zquvcity");
    person
}

fn pairs(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The values of all attributes of this name that a page has.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let mark = format!(" {name}=\"");
    page.split(&mark).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let head = answer.body.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

fn json_of(answer: &Answer) -> Value {
    let (_, body) = answer.body.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {}", answer.body))
}

/// A browser and an app, what they were answered, and what nobody else may be told.
struct Visit<'s> {
    address: &'s str,
    client_id: &'s str,
    cookies: Vec<(String, String)>,
    secrets: Vec<(Kind, String)>,
    /// What was asked, and the answer.
    seen: Vec<(String, Answer)>,
}

impl Visit<'_> {
    fn keep(&mut self, kind: Kind, value: impl Into<String>) {
        let value = value.into();
        assert!(value.len() > 5, "{value} is in everything");
        self.secrets.push((kind, value));
    }

    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str, status: u16) -> &Answer {
        let answer = ask(self.address, method, target, headers, body.as_bytes());
        let path = target.split('?').next().unwrap_or_default();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        self.seen.push((format!("{method} {path} {status}"), answer));
        &self.seen.last().unwrap().1
    }

    /// A page, as a browser asks for it; what it hands out is kept.
    fn browse(&mut self, method: &str, target: &str, fields: &[(&str, &str)], status: u16) -> String {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = self.send(method, target, &[FORM, ("Cookie", &cookies.join("; "))], &pairs(fields), status);
        let page = answer.body.clone();
        let lines: Vec<String> = header(answer, "set-cookie").into_iter().map(str::to_owned).collect();
        for line in lines {
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
                self.keep(Kind::Kept, value);
            }
        }
        if page.contains("text/html") {
            for name in ["csrf", "request", "app"] {
                for value in attributes(&page.replace(&format!("name=\"{name}\" value="), " held="), "held") {
                    self.keep(Kind::OfPage, value);
                }
            }
        }
        page
    }

    /// The value of a hidden field.
    fn field(page: &str, name: &str) -> String {
        let fields = page.replace(&format!("name=\"{name}\" value="), " held=");
        (*attributes(&fields, "held").first().unwrap_or_else(|| panic!("no {name} in {page}"))).to_owned()
    }

    /// Where the last answer leads.
    fn location(&self) -> String {
        header(&self.seen.last().unwrap().1, "location").first().expect("a location").to_string()
    }

    /// An app's request, up to the page that follows.
    fn authorize(&mut self) -> String {
        let (base, challenge) = (format!("http://{}/fhir", self.address), challenge());
        let query = pairs(&[
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", REDIRECT),
            ("scope", SCOPE),
            ("state", STATE),
            ("aud", &base),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("nonce", "zquvnonce-of-the-app"),
            ("login_hint", "zquvhint@post.example"),
            ("launch", "zquvlaunch-of-somebody"),
        ]);
        self.browse("GET", &format!("/oauth/authorize?{query}"), &[], 303);
        let next = self.location();
        self.keep(Kind::OfPage, next.split_once("request=").unwrap().1);
        self.browse(
            "GET",
            &next,
            &[],
            if self.cookies.iter().any(|(name, _)| name.contains("session")) { 200 } else { 303 },
        )
    }

    fn decide(&mut self, question: &str, decision: &str) -> String {
        let (csrf, request) = (Self::field(question, "csrf"), Self::field(question, "request"));
        let fields = [("csrf", csrf.as_str()), ("request", &request), ("decision", decision)];
        self.browse("POST", "/oauth/authorize/continue", &fields, 303);
        self.location()
    }

    /// A code that somebody has allowed.
    fn code(&mut self) -> String {
        let question = self.authorize();
        let address = self.decide(&question, "allow");
        let mut parameters = form_urlencoded::parse(address.split_once('?').unwrap().1.as_bytes());
        let code = parameters.find(|(name, _)| name == "code").expect("a code").1.into_owned();
        self.keep(Kind::OfApp, code.as_str());
        code
    }

    fn token(&mut self, fields: &[(&str, &str)], status: u16) -> Value {
        let body = pairs(&[&[("client_id", self.client_id)], fields].concat());
        let answer = json_of(self.send("POST", "/oauth/token", &[FORM], &body, status));
        for name in ["access_token", "refresh_token", "id_token"] {
            if let Some(text) = answer[name].as_str() {
                self.keep(Kind::Kept, text);
                // A part of a token is as telling.
                text.split('.').skip(1).for_each(|part| self.keep(Kind::Kept, part));
            }
        }
        answer
    }

    fn redeem(&mut self, code: &str, verifier: &str, status: u16) -> Value {
        let fields = [("code", code), ("redirect_uri", REDIRECT), ("code_verifier", verifier)];
        self.token(&[&[("grant_type", "authorization_code")], &fields[..]].concat(), status)
    }

    fn refresh(&mut self, token: &str, status: u16) -> Value {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)], status)
    }

    fn bear(&mut self, method: &str, target: &str, token: &str, status: u16) {
        let bearer = format!("Bearer {token}");
        self.send(method, target, &[("Authorization", &bearer)], "", status);
    }

    fn needles(&self, kinds: &[Kind]) -> Needles {
        let those = self.secrets.iter().filter(|(kind, _)| kinds.contains(kind));
        Needles::new(those.map(|(_, value)| value.clone()))
    }

    /// Addresses that the server made, errors and pages.
    fn check_answers(&self) {
        let in_page = self.needles(&[Kind::Kept, Kind::OfApp, Kind::Context]);
        let to_app = self.needles(&[Kind::Kept, Kind::OfPage, Kind::Context]);
        let in_error = self.needles(&[Kind::Kept, Kind::OfApp]);
        for (what, answer) in &self.seen {
            let (head, body) = answer.body.split_once("\r\n\r\n").unwrap();
            let links = [attributes(body, "href"), attributes(body, "action"), header(answer, "location")].concat();
            for link in links {
                let told = if link.starts_with(REDIRECT) { to_app.within(link) } else { in_page.within(link) };
                assert_eq!(told, Vec::<&str>::new(), "{what} leads to {link}");
            }
            if head.to_ascii_lowercase().contains("text/html") {
                assert_eq!(in_page.within(body), Vec::<&str>::new(), "{what} shows {body}");
            }
            if answer.status >= 400 {
                assert_eq!(in_error.within(&answer.body), Vec::<&str>::new(), "{what} tells {}", answer.body);
            }
        }
    }
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

/// Somebody types the wrong things, then the right ones; the page that they wanted.
fn sign_in(visit: &mut Visit<'_>, code: &str) -> String {
    visit.authorize();
    let form = visit.location();
    let page = visit.browse("GET", &form, &[], 200);
    let (csrf, request) = (Visit::field(&page, "csrf"), Visit::field(&page, "request"));
    let mut attempt = |csrf: &str, login: &str, password: &str, code: &str, status: u16| {
        let typed = [("csrf", csrf), ("request", &request), ("login", login), ("password", password), ("code", code)];
        visit.browse("POST", "/sign-in", &typed, status)
    };
    attempt(&csrf, "zquvtyped@post.example", PASSWORD, "zquvcode", 403);
    attempt(&csrf, LOGIN, "Zquvwrong-cold-wind-on-slates", code, 403);
    attempt(&csrf, LOGIN, PASSWORD, "zquvcode", 403);
    attempt(&csrf, LOGIN, "", "zquvcode", 422);
    attempt("zquvcsrf-of-others", LOGIN, PASSWORD, code, 403);
    attempt(&csrf, LOGIN, PASSWORD, code, 303);
    let next = visit.location();
    visit.browse("GET", &next, &[], 200)
}

/// The app gets its tokens and uses them.
fn use_tokens(visit: &mut Visit<'_>) -> Value {
    let code = visit.code();
    visit.redeem(&code, "zquvguess-zquvguess-zquvguess-zquvguess-zquvguess", 400);
    let code = visit.code();
    let first = visit.redeem(&code, VERIFIER, 200);
    assert_eq!(first["patient"], RECORD);
    let token = visit.refresh(first["refresh_token"].as_str().unwrap(), 200);
    visit.refresh("zquvrefresh-of-nobody", 400);
    let access = token["access_token"].as_str().unwrap();
    visit.bear("GET", "/oauth/userinfo", access, 200);
    visit.bear("GET", &format!("/fhir/Patient/{RECORD}"), access, 200);
    visit.bear("GET", "/fhir/Patient?family=Zquvfamily&birthdate=1957-08-23", access, 200);
    visit.bear("GET", "/fhir/Patient", "zquvbearer.of.nobody", 401);
    visit.bear("GET", "/oauth/userinfo", "zquvbearer.of.nobody", 401);
    let asked = pairs(&[("token", access)]);
    let bearer = format!("Bearer {access}");
    visit.send("POST", "/oauth/introspect", &[FORM, ("Authorization", &bearer)], &asked, 200);
    token
}

/// The account, while its tables are there and while not; then all is taken back.
fn take_back(visit: &mut Visit<'_>, token: &Value, database: &Database) {
    fn fields<'f>(csrf: &'f str, handle: &'f str) -> [(&'f str, &'f str); 2] {
        [("csrf", csrf), ("app", handle)]
    }
    let text = |name: &str| token[name].as_str().unwrap().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let page = visit.browse("GET", "/account", &[], 200);
    let (csrf, handle) = (Visit::field(&page, "csrf"), Visit::field(&page, "app"));
    without_table(database, "token_family", || {
        visit.browse("GET", "/account", &[], 500);
        visit.browse("POST", "/account", &fields(&csrf, &handle), 500);
        visit.refresh(&refresh, 500);
    });
    without_table(database, "person_account", || {
        visit.browse("GET", "/account", &[], 500);
        let form =
            "csrf=zquvcsrf-of-others&login=zquvlogin.of.somebody&password=Zquvpass-warm-rain-on-tin-roofs&code=1";
        visit.send("POST", "/sign-in", &[FORM], form, 403);
    });
    visit.browse("POST", "/account", &fields("zquvcsrf-of-others", &handle), 403);
    visit.browse("POST", "/account", &fields(&csrf, "zquvhandle-of-others"), 303);
    visit.browse("POST", "/account", &fields(&csrf, &handle), 303);
    let next = visit.location();
    visit.browse("GET", &next, &[], 200);
    visit.bear("GET", &format!("/fhir/Patient/{RECORD}"), &access, 401);
    visit.bear("GET", "/oauth/userinfo", &access, 401);
    visit.refresh(&refresh, 400);
    let revoked = pairs(&[("client_id", visit.client_id), ("token", &refresh)]);
    visit.send("POST", "/oauth/revoke", &[FORM], &revoked, 200);
    visit.browse("POST", "/sign-out", &[("csrf", "zquvcsrf-of-others")], 403);
    let hint = pairs(&[("id_token_hint", "zquvhint.of.nobody"), ("state", STATE)]);
    visit.browse("GET", &format!("/oauth/logout?{hint}"), &[], 400);
    visit.browse("POST", "/sign-out", &[("csrf", &csrf)], 303);
    let hint = pairs(&[("id_token_hint", &text("id_token")), ("state", STATE)]);
    visit.browse("GET", &format!("/oauth/logout?{hint}"), &[], 200);
    visit.browse("GET", "/account", &[], 303);
}

/// A code of six digits, which other numbers may hold: among the texts of a line, by itself.
fn tells_code(line: &str, code: &str) -> bool {
    fn texts(value: &Value) -> Vec<&str> {
        match value {
            Value::String(text) => vec![text],
            Value::Array(list) => list.iter().flat_map(texts).collect(),
            Value::Object(members) => {
                members.iter().filter(|(name, _)| *name != "timestamp").flat_map(|(_, one)| texts(one)).collect()
            }
            _ => Vec::new(),
        }
    }
    let value: Value = serde_json::from_str(line).unwrap_or_else(|_| json!(line));
    texts(&value).iter().any(|text| text.split(|letter: char| !letter.is_ascii_digit()).any(|number| number == code))
}

fn nothing_of_a_person_and_no_secret_of_theirs_is_told_anywhere(database: &Database) {
    let (folder, url) = (Folder::new(), database.url());
    let app = ["client", "add", "--public", "--name", "Example App", "--redirect-uri", REDIRECT, "--scope", SCOPE];
    let client_id = run([&app[..], &["--database-url", &url]].concat()).with_code(0).trim().to_owned();
    let mut known = somebody();
    known["extension"] = json!([{
        "url": "https://idi-match.example/StructureDefinition/identity-verification",
        "extension": [
            {"url": "level", "valueUri": "http://udap.org/code/id/idial1.8"},
            {"url": "date", "valueDate": "2026-02-03"},
        ],
    }]);
    run(["load", &folder.write("people.ndjson", known.to_string()), "--database-url", &url]).with_code(0);
    let attributes = folder.write("attributes.json", somebody().to_string());
    let verified =
        ["--kind", "person", "--level", "idial1.8", "--verified-on", "2026-02-03", "--attributes", &attributes];
    let account = [&["user", "add", LOGIN, "--json", "--database-url", &url], &verified[..]].concat();
    let made = run_with(&account, PASSWORD).json(0);
    let secret = made["totp_secret"].as_str().unwrap();
    let key = totp_rs::Secret::try_from_base32(secret).unwrap();
    let code = OneTimeCodes::of(key.as_bytes()).unwrap().code((Clock::system().now_us)());

    let collector = Collector::start(Answers::Well);
    let options = ["--log-filter", "trace", "--otlp-endpoint", &collector.endpoint];
    // Both streams are one.
    let mut both = clean(std::process::Command::new("sh"));
    both.args(["-c", "exec \"$0\" \"$@\" >&2", BINARY]);
    let mut server = Server::start_gated(both, &url, &options);
    let address = server.address.clone();
    let mut visit =
        Visit { address: &address, client_id: &client_id, cookies: Vec::new(), secrets: Vec::new(), seen: Vec::new() };
    for text in [LOGIN, PASSWORD, VERIFIER, "1957-08-23", "9075557123", secret, &challenge()] {
        visit.keep(Kind::Kept, text);
    }
    // Whatever else was made up for this.
    visit.keep(Kind::OfApp, STATE);
    visit.keep(Kind::Context, RECORD);
    let others =
        ["family", "given", "id771x", "mail", "street", "city", "typed", "wrong", "code", "csrf", "nonce", "hint"];
    for word in [&others[..], &["launch-of", "guess", "refresh", "bearer", "handle"]].concat() {
        visit.keep(Kind::Kept, format!("zquv{word}"));
    }

    let question = sign_in(&mut visit, &code);
    let refused = visit.decide(&question, "deny");
    assert!(refused.contains("error=access_denied"), "{refused}");
    let token = use_tokens(&mut visit);
    take_back(&mut visit, &token, database);
    let metrics = ask(&address, "GET", "/metrics", &[], b"");
    assert!(server.running.stop().success());

    visit.check_answers();
    let all = visit.needles(&[Kind::Kept, Kind::OfPage, Kind::OfApp, Kind::Context]);
    assert!(visit.secrets.len() > 50, "{} values", visit.secrets.len());
    assert_eq!((metrics.status, all.within(&metrics.body)), (200, Vec::new()));
    let lines = server.running.rest();
    check_log(&all, "stopped", &lines);
    let told: Vec<&String> = lines.iter().filter(|line| tells_code(line, &code)).collect();
    assert!(told.is_empty(), "the log tells the code: {told:#?}");
    assert!(collector.spans().len() > 20, "{} spans", collector.spans().len());
    assert_eq!(all.within(&collector.text()), Vec::<&str>::new(), "traces tell what was received");
    check_database(&visit.needles(&[Kind::Kept, Kind::OfPage, Kind::OfApp]), database);
    for select in ["SELECT token AS value FROM refresh_token", "SELECT code AS value FROM authorization_code"] {
        assert_eq!(all.within(&database.texts(select).join(" ")), Vec::<&str>::new(), "{select}");
    }
}
