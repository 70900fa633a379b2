//! Somebody with an account, and a browser that keeps what it is told: what tests of pages share.

use idi_match::app::clock::Clock;
use idi_match::app::people::account::AccountKind;
use idi_match::app::people::login::Login;
use idi_match::app::people::manage::{self, Codes, NewAccount, Reset};
use idi_match::assurance::level::IdentityLevel;
use idi_match::auth::secret::Secret;
use idi_match::auth::totp::OneTimeCodes;
use idi_match::fhir::date::Date;
use idi_match::store::audit::{self, AuditRow};
use serde_json::Value;
use totp_rs::Secret as Key;

use crate::answer::Answer;
use crate::people::guide;
use crate::support::TestApp;

pub const SESSION: &str = "__Host-session";
pub const FORM: &str = "__Host-form";
pub const PASSWORD: &str = "warm rain on tin roofs";

/// Somebody with an account.
pub struct Person {
    pub account_id: String,
    pub login: String,
    codes: OneTimeCodes,
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

impl Person {
    pub fn add(app: &TestApp, login: &str) -> Self {
        Self::add_as(app, login, AccountKind::Person)
    }

    pub fn add_as(app: &TestApp, login: &str, kind: AccountKind) -> Self {
        let new = NewAccount {
            login: Login::new(login).unwrap(),
            kind,
            level: IdentityLevel::Idial1_8,
            verified_on: Date::parse("2026-02-03").unwrap(),
            verified_on_text: "2026-02-03".to_owned(),
            attributes: guide("l1").to_string(),
            identity_id: None,
            password: secret(PASSWORD),
        };
        let made = manage::add(app.config(), Clock::system(), &new).unwrap();
        let codes = codes_of(&made.totp_secret);
        Self { account_id: made.account_id, login: login.to_owned(), codes }
    }

    /// The code of so many steps from now on.
    pub fn code(&self, steps: i64) -> String {
        self.codes.code((Clock::system().now_us)() + steps * 30_000_000)
    }

    pub fn disable(&self, app: &TestApp) {
        manage::disable(app.config(), Clock::system(), &Login::typed(&self.login)).unwrap();
    }

    pub fn reset(&mut self, app: &TestApp, password: Option<&str>, codes: Codes) {
        let wanted = Reset { password: password.map(secret), codes };
        let made = manage::reset(app.config(), Clock::system(), &Login::typed(&self.login), &wanted).unwrap();
        if let Some(made) = made {
            self.codes = codes_of(&made.totp_secret);
        }
    }
}

fn codes_of(base32: &str) -> OneTimeCodes {
    OneTimeCodes::of(Key::try_from_base32(base32).unwrap().as_bytes()).unwrap()
}

/// A browser, as far as cookies go.
pub struct Browser<'a> {
    pub app: &'a TestApp,
    pub cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, cookies: Vec::new() }
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn get(&mut self, path: &str) -> Answer {
        let request = self.app.get(&self.app.at_root(path)).header("cookie", &self.header());
        let answer = request.send();
        self.keep(&answer);
        answer
    }

    /// Sends a form with the browser's own words about where it comes from.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[("origin", "null"), ("sec-fetch-site", "same-origin")])
    }

    pub fn post_with(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.app.request("POST", &self.app.at_root(path)).header("cookie", &self.header());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(&body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send();
        self.keep(&answer);
        answer
    }

    /// Opens the form and sends it.
    pub fn sign_in(&mut self, login: &str, password: &str, code: &str) -> Answer {
        let page = self.get("/sign-in?request=form").expect(200);
        let csrf = hidden(&page, "csrf");
        self.post("/sign-in", &[("csrf", &csrf), ("login", login), ("password", password), ("code", code)])
    }

    /// The same of somebody who knows all of it.
    pub fn sign_in_as(&mut self, person: &Person, steps: i64) -> Answer {
        self.sign_in(&person.login, PASSWORD, &person.code(steps))
    }

    /// Whether the browser has a session: others are led away from the page of their account.
    pub fn is_signed_in(&mut self) -> bool {
        let answer = self.get("/account");
        assert!(answer.status == 200 || answer.header("location") == Some("/sign-in"), "{}", answer.status);
        answer.status == 200
    }

    fn header(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// The value of a hidden field of a page.
pub fn hidden(page: &Answer, name: &str) -> String {
    let text = page.text();
    let mark = format!("name=\"{name}\" value=\"");
    let (_, rest) = text.split_once(&mark).unwrap_or_else(|| panic!("no field {name} in {text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// Audit rows of an action, the oldest first.
pub fn rows_of(app: &TestApp, action: &str) -> Vec<AuditRow> {
    let rows = audit::list_after(&mut app.connection(), 0, 10_000).unwrap();
    rows.into_iter().filter(|row| row.action == action).collect()
}

pub fn detail(row: &AuditRow) -> Value {
    serde_json::from_str(&row.detail).unwrap()
}
