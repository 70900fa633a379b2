//! The question: which app, what it may do, whose data, for how long; allow or deny.
//!
//! In plain words, from scopes that were cut down to what can be granted. What an app says of itself (its name) is shown as
//! such, with what is known of it: where the answer goes, and who vouches for it. Not here: what is granted (see
//! `app::auth::authorize`).

use std::fmt::Write as _;

use crate::app::auth::authorize::{KnownBy, Question};
use crate::app::people::session::Session;
use crate::auth::scope::{Level, Plain, Scopes};

use super::account::PATH;
use super::layout::{Page, escape, minute, page};
use super::{Desk, csrf};

/// The field with the answer.
pub const FIELD: &str = "decision";
pub const ALLOW: &str = "allow";
pub const DENY: &str = "deny";

#[must_use]
pub fn page_of(desk: &Desk, question: &Question, handle: &str, session: &Session) -> Page {
    let root = escape(&desk.root);
    let (app, host) = (escape(&question.app), escape(&question.host));
    let organization = &desk.app.config.organization.name;
    let body = format!(
        "<h1>Allow {app}?</h1>\n\
         <p><strong>{app}</strong> asks {organization} for permission to:</p>\n{list}\n\
         <dl><dt>Whose data</dt><dd>{whose}</dd><dt>For how long</dt><dd>{long}</dd>\
         <dt>How to take it back</dt><dd>At any time, on the page of <a href=\"{root}{PATH}\">your account</a></dd>\
         <dt>The answer goes to</dt><dd>{host}</dd><dt>How the app is known here</dt><dd>{known}</dd></dl>\n\
         <form method=\"post\" action=\"{root}/oauth/authorize/continue\">{csrf}\
         <input type=\"hidden\" name=\"request\" value=\"{handle}\">\
         <div class=\"choice\"><button type=\"submit\" name=\"{FIELD}\" value=\"{ALLOW}\">Allow</button>\
         <button type=\"submit\" class=\"plain\" name=\"{FIELD}\" value=\"{DENY}\">Deny</button></div></form>\n\
         <form method=\"post\" action=\"{root}/sign-out\">{csrf}\
         <p class=\"note\">Signed in since {since} UTC. Not you? \
         <button type=\"submit\" class=\"plain\">Sign out</button></p></form>\n",
        organization = escape(organization),
        list = list(&question.scopes),
        whose = whose(&question.scopes),
        long = escape(&how_long(desk, question)),
        known = escape(&known_by(&question.known_by, organization)),
        csrf = csrf::field(&session.csrf),
        handle = escape(handle),
        since = minute(session.authentication.time_us),
    );
    let page = page("Allow an app", body);
    question.form_action.iter().fold(page, |page, place| page.form_may_lead_to(place))
}

fn whose(scopes: &Scopes) -> &'static str {
    if scopes.has_level(Level::User) {
        "Everybody whose data you may see"
    } else if scopes.has_level(Level::Patient) || scopes.holds(Plain::LaunchPatient) || scopes.holds(Plain::FhirUser) {
        "Your own record here, found by what was verified about you"
    } else {
        "What was verified about you"
    }
}

fn how_long(desk: &Desk, question: &Question) -> String {
    match question.offline_days {
        Some(days) => format!("{days} days, also while you are not using it, or until it is taken back"),
        None => format!("{} minutes", desk.app.config.auth.app_token_s.div_ceil(60)),
    }
}

/// Why an app is known here, in words.
pub fn known_by(known_by: &KnownBy, organization: &str) -> String {
    match known_by {
        KnownBy::Operator => format!("{organization} has added it"),
        KnownBy::Community(name) => {
            format!(
                "It has registered itself as a member of the trust community “{name}”; {organization} has not looked at it"
            )
        }
    }
}

/// What the scopes mean, as a list.
pub fn list(scopes: &Scopes) -> String {
    let mut list = "<ul>".to_owned();
    for text in words(scopes) {
        let _ = write!(list, "<li>{}</li>", escape(&text));
    }
    list + "</ul>"
}

/// What the scopes mean, each in a sentence.
fn words(scopes: &Scopes) -> Vec<String> {
    let mut words = Vec::new();
    if scopes.holds(Plain::OpenId) {
        words.push("know that it is you, and how surely that was verified".to_owned());
    }
    if scopes.holds(Plain::Profile) {
        words.push("learn your verified name, birth date, address, phone number and email".to_owned());
    }
    if scopes.holds(Plain::FhirUser) || scopes.holds(Plain::LaunchPatient) {
        words.push("learn which record here is yours".to_owned());
    }
    for (level, kind, letters) in scopes.permissions() {
        let of = if level == Level::User { "of everybody whose data you may see" } else { "of yours" };
        words.push(format!("{} {} {of}", verbs(&letters), noun(kind)));
    }
    words
}

fn verbs(letters: &str) -> String {
    let has = |any: &str| letters.chars().any(|letter| any.contains(letter));
    let verbs: Vec<&str> = [("rs", "see"), ("c", "add"), ("u", "change"), ("d", "delete")]
        .into_iter()
        .filter(|(any, _)| has(any))
        .map(|(_, verb)| verb)
        .collect();
    match verbs.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// What a type of resource is called by people; others keep their name.
fn noun(kind: Option<&str>) -> String {
    match kind {
        None => "all data".to_owned(),
        Some("Patient") => "the record (name, birth date, address, contacts)".to_owned(),
        Some("RelatedPerson") => "the people who may act for a patient, as recorded,".to_owned(),
        Some("Organization") => "the organisations".to_owned(),
        Some(other) => format!("the data of the kind {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_said_in_plain_words() {
        let of = |text: &str| words(&Scopes::parse(text).expect("scopes"));
        assert_eq!(
            of("openid profile fhirUser launch/patient offline_access patient/Patient.rs"),
            [
                "know that it is you, and how surely that was verified",
                "learn your verified name, birth date, address, phone number and email",
                "learn which record here is yours",
                "see the record (name, birth date, address, contacts) of yours",
            ]
        );
        assert_eq!(of("patient/*.cruds"), ["see, add, change and delete all data of yours"]);
        assert_eq!(
            of("user/Observation.d"),
            ["delete the data of the kind Observation of everybody whose data you may see"]
        );
    }
}
