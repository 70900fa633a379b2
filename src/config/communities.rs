//! `[[communities]]`: whom this server trusts, with whose certificates, and what members may ask for.
//!
//! Checked here: what can be told from the text alone, with the place of what is wrong. Not here: reading the files and
//! what their contents mean (see `app::auth::communities`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::assurance::entity::EntityType;
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};

use super::ConfigError;

/// A trust community (FAST Security 2.4): anchors, the server's own certificate in it, and limits for its members.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Community {
    /// In logs, metrics and audit rows.
    pub name: String,
    /// What callers name it by in `?community=`.
    #[serde(default)]
    pub uri: String,
    /// Whose certificate signs metadata where no community is named.
    #[serde(default)]
    pub default: bool,
    #[serde(default)]
    pub validator: Validator,
    pub anchors: Vec<String>,
    #[serde(default)]
    pub intermediates: Vec<String>,
    #[serde(default)]
    pub crls: Vec<String>,
    #[serde(default)]
    pub crl_urls: Vec<String>,
    pub server_cert: String,
    pub server_key: String,
    pub purposes: Vec<String>,
    pub scopes: Vec<String>,
    #[serde(default = "lowest_identity")]
    pub identity_assurance: String,
    #[serde(default = "lowest_authentication")]
    pub authentication_assurance: String,
    #[serde(default = "undeclared")]
    pub entity_type: String,
    #[serde(default)]
    pub unknown_revocation: Revocation,
    /// Who may certify clients, by the URI in the certificate; none named, every other member.
    #[serde(default)]
    pub certifiers: Vec<String>,
    /// Policies of consent of which a token request must state one; none named, none is asked for.
    #[serde(default)]
    pub consent_required: Vec<String>,
    /// Where a person can give that consent.
    #[serde(default)]
    pub consent_form: String,
    #[serde(default)]
    pub members: Vec<Member>,
}

/// One member of a community, for whom other limits hold; what is left out is the community's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The URI in the member's certificate.
    pub uri: String,
    pub entity_type: Option<String>,
    pub identity_assurance: Option<String>,
    pub authentication_assurance: Option<String>,
    /// The organisations that it may speak for; none listed, the home communities of its certifications, or any.
    #[serde(default)]
    pub organization_ids: Vec<String>,
}

/// Which further rules registrations and tokens of a community follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Validator {
    /// FAST Security alone.
    #[default]
    Core,
    /// TEFCA: certifications, exchange purposes, `tefca_ias`.
    Tefca,
}

/// What becomes of a certificate of which no list says whether it was revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Revocation {
    #[default]
    Refuse,
    Accept,
}

fn lowest_identity() -> String {
    IdentityLevel::Idial1.name().to_owned()
}

fn lowest_authentication() -> String {
    AuthenticationLevel::Aal1.name().to_owned()
}

fn undeclared() -> String {
    EntityType::Other.code().to_owned()
}

pub(super) fn identity_levels() -> Vec<&'static str> {
    IdentityLevel::ALL.map(IdentityLevel::name).to_vec()
}

pub(super) fn authentication_levels() -> Vec<&'static str> {
    AuthenticationLevel::ALL.map(AuthenticationLevel::name).to_vec()
}

pub(super) fn entity_types() -> Vec<&'static str> {
    EntityType::ALL.map(EntityType::code).to_vec()
}

const COMMUNITIES_MAX: usize = 100;
const MEMBERS_MAX: usize = 10_000;
const ORGANIZATIONS_MAX: usize = 1_000;
const NAME_CHARS_MAX: usize = 64;
const URI_CHARS_MAX: usize = 512;

/// Refuses what contradicts itself or cannot be meant.
pub(super) fn check(communities: &[Community]) -> Result<(), ConfigError> {
    if communities.len() > COMMUNITIES_MAX {
        return refuse("communities", format!("must be {COMMUNITIES_MAX} at most"));
    }
    let (mut names, mut uris) = (BTreeSet::new(), BTreeSet::new());
    for (at, community) in communities.iter().enumerate() {
        let place = format!("communities.{at}");
        check_community(community, &place)?;
        if !names.insert(&community.name) {
            return refuse(&format!("{place}.name"), "is the name of another community too");
        }
        if !community.uri.is_empty() && !uris.insert(&community.uri) {
            return refuse(&format!("{place}.uri"), "is the URI of another community too");
        }
    }
    let defaults = communities.iter().filter(|community| community.default).count();
    if communities.len() > 1 && defaults != 1 {
        return refuse("communities", "of several, one must have default = true, and no other");
    }
    Ok(())
}

fn check_community(community: &Community, place: &str) -> Result<(), ConfigError> {
    let at = |name: &str| format!("{place}.{name}");
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=NAME_CHARS_MAX).contains(&community.name.len()) || !community.name.bytes().all(is_name) {
        return refuse(&at("name"), format!("must have 1 to {NAME_CHARS_MAX} small letters, digits and hyphens"));
    }
    if !community.uri.is_empty() {
        check_uri(&community.uri, &at("uri"))?;
    }
    for (name, files) in [("anchors", &community.anchors), ("intermediates", &community.intermediates)] {
        check_each(files, &at(name), "must be the name of a file", |file| !file.trim().is_empty())?;
    }
    check_each(&community.crls, &at("crls"), "must be the name of a file", |file| !file.trim().is_empty())?;
    if community.anchors.is_empty() {
        return refuse(&at("anchors"), "must name one file at least");
    }
    let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    check_each(&community.crl_urls, &at("crl_urls"), "must be an http or https URL", is_http)?;
    for (name, file) in [("server_cert", &community.server_cert), ("server_key", &community.server_key)] {
        if file.trim().is_empty() {
            return refuse(&at(name), "must be the name of a file");
        }
    }
    for (name, uris) in [("certifiers", &community.certifiers), ("consent_required", &community.consent_required)] {
        for (number, uri) in uris.iter().enumerate() {
            check_uri(uri, &format!("{}.{number}", at(name)))?;
        }
    }
    let form = community.consent_form.as_str();
    if !form.is_empty() && (community.consent_required.is_empty() || !form.starts_with("https://")) {
        return refuse(&at("consent_form"), "must be an https URL, beside consent_required");
    }
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    for (name, words) in [("purposes", &community.purposes), ("scopes", &community.scopes)] {
        check_each(words, &at(name), "must be a code or scope without spaces or commas", is_word)?;
    }
    // FAST Security 2.2: scopes_supported lists one at least; here they are those of clients without a user.
    if !community.scopes.iter().any(|scope| scope.starts_with("system/")) {
        return refuse(&at("scopes"), "must have one system/ scope at least");
    }
    check_terms(
        place,
        &Terms {
            identity_assurance: Some(&community.identity_assurance),
            authentication_assurance: Some(&community.authentication_assurance),
            entity_type: Some(&community.entity_type),
        },
    )?;
    check_members(&community.members, place)
}

fn check_members(members: &[Member], place: &str) -> Result<(), ConfigError> {
    if members.len() > MEMBERS_MAX {
        return refuse(&format!("{place}.members"), format!("must be {MEMBERS_MAX} at most"));
    }
    let mut uris = BTreeSet::new();
    for (at, member) in members.iter().enumerate() {
        let place = format!("{place}.members.{at}");
        check_uri(&member.uri, &format!("{place}.uri"))?;
        if !uris.insert(&member.uri) {
            return refuse(&format!("{place}.uri"), "is the URI of another member too");
        }
        if member.organization_ids.len() > ORGANIZATIONS_MAX {
            return refuse(&format!("{place}.organization_ids"), format!("must be {ORGANIZATIONS_MAX} at most"));
        }
        for (at, id) in member.organization_ids.iter().enumerate() {
            check_uri(id, &format!("{place}.organization_ids.{at}"))?;
        }
        check_terms(
            &place,
            &Terms {
                identity_assurance: member.identity_assurance.as_deref(),
                authentication_assurance: member.authentication_assurance.as_deref(),
                entity_type: member.entity_type.as_deref(),
            },
        )?;
    }
    Ok(())
}

/// What a community and a member both say; `None` for what a member leaves to the community.
struct Terms<'a> {
    identity_assurance: Option<&'a str>,
    authentication_assurance: Option<&'a str>,
    entity_type: Option<&'a str>,
}

fn check_terms(place: &str, terms: &Terms<'_>) -> Result<(), ConfigError> {
    let at = |name: &str| format!("{place}.{name}");
    check_choice(terms.identity_assurance, &at("identity_assurance"), &identity_levels())?;
    check_choice(terms.authentication_assurance, &at("authentication_assurance"), &authentication_levels())?;
    check_choice(terms.entity_type, &at("entity_type"), &entity_types())
}

fn check_each(items: &[String], name: &str, reason: &str, holds: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
    match items.iter().position(|item| !holds(item)) {
        Some(at) => refuse(&format!("{name}.{at}"), reason),
        None => Ok(()),
    }
}

fn check_choice(value: Option<&str>, name: &str, choices: &[&str]) -> Result<(), ConfigError> {
    match value {
        Some(value) if !choices.contains(&value) => refuse(name, format!("must be one of: {}", choices.join(", "))),
        _ => Ok(()),
    }
}

/// URIs are compared byte for byte (FAST Security 7.1.5), so they are taken as they stand.
fn check_uri(uri: &str, name: &str) -> Result<(), ConfigError> {
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !scheme.is_empty()
    });
    if !has_scheme || uri.len() > URI_CHARS_MAX || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse(name, format!("must be an absolute URI of {URI_CHARS_MAX} characters at most"));
    }
    Ok(())
}

fn refuse(name: &str, reason: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Value { name: name.to_owned(), reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Sources};
    use super::*;

    const ONE: &str = "[[communities]]\nname = 'house'\nuri = 'urn:oid:2.999.1'\nanchors = ['ca.pem']\n\
        server_cert = 'us.pem'\nserver_key = 'us.key'\npurposes = ['TREAT']\nscopes = ['system/Patient.rs']\n";
    const OTHER: &str = "[[communities]]\nname = 'street'\nanchors = ['ca.pem']\nserver_cert = 'us.pem'\n\
        server_key = 'us.key'\npurposes = []\nscopes = ['system/Patient.r']\n";

    fn load(text: &str) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("idi-match.toml");
        std::fs::write(&file, text).expect("written");
        Config::load(&Sources { file: Some(file), ..Sources::default() })
    }

    #[test]
    fn a_community_that_says_no_more_than_it_must_is_granted_the_least() {
        let config = load(ONE).expect("valid");
        let [community] = config.communities.as_slice() else { panic!("one community") };
        assert_eq!(
            (community.identity_assurance.as_str(), community.authentication_assurance.as_str()),
            ("IDIAL1", "AAL1")
        );
        assert_eq!((community.entity_type.as_str(), community.validator), ("other", Validator::Core));
        assert!(community.crl_urls.is_empty() && community.members.is_empty());
    }

    #[test]
    fn members_override_what_they_name() {
        let text = format!(
            "{ONE}validator = 'tefca'\n[[communities.members]]\nuri = 'https://a.example/x'\n\
            entity_type = 'covered-entity'\nidentity_assurance = 'IDIAL1.8'\n"
        );
        let config = load(&text).expect("valid");
        let member = &config.communities[0].members[0];
        assert_eq!(
            (member.entity_type.as_deref(), member.identity_assurance.as_deref()),
            (Some("covered-entity"), Some("IDIAL1.8"))
        );
        assert_eq!((&member.authentication_assurance, config.communities[0].validator), (&None, Validator::Tefca));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_without_its_value() {
        let member = |lines: &str| format!("{ONE}[[communities.members]]\n{lines}\n");
        let table = [
            (ONE.replace("anchors = ['ca.pem']\n", ""), "anchors"),
            (ONE.replace("['ca.pem']", "[]"), "communities.0.anchors"),
            (ONE.replace("['ca.pem']", "['ca.pem', '']"), "communities.0.anchors.1"),
            (ONE.replace("'house'", "'Secret House'"), "communities.0.name"),
            (ONE.replace("'house'", "''"), "communities.0.name"),
            (ONE.replace("urn:oid:2.999.1", "secret"), "communities.0.uri"),
            (ONE.replace("urn:oid:2.999.1", "urn:a secret"), "communities.0.uri"),
            (ONE.replace("server_key = 'us.key'", "server_key = ' '"), "communities.0.server_key"),
            (ONE.replace("server_key = 'us.key'\n", ""), "server_key"),
            (ONE.replace("'TREAT'", "'TREAT, secret'"), "communities.0.purposes.0"),
            (ONE.replace("'system/Patient.rs'", "'a secret'"), "communities.0.scopes.0"),
            (format!("{ONE}crl_urls = ['ldap://secret/x']\n"), "communities.0.crl_urls.0"),
            (format!("{ONE}validator = 'secret'\n"), "communities.0.validator"),
            (format!("{ONE}identity_assurance = 'secret'\n"), "communities.0.identity_assurance"),
            (format!("{ONE}authentication_assurance = 'secret'\n"), "communities.0.authentication_assurance"),
            (format!("{ONE}entity_type = 'secret'\n"), "communities.0.entity_type"),
            (format!("{ONE}ancors = ['secret']\n"), "communities.0.ancors"),
            (ONE.replace("['system/Patient.rs']", "[]"), "communities.0.scopes"),
            (ONE.replace("['system/Patient.rs']", "['user/Patient.rs']"), "communities.0.scopes"),
            (format!("{ONE}certifiers = ['secret']\n"), "communities.0.certifiers.0"),
            (format!("{ONE}consent_required = ['secret']\n"), "communities.0.consent_required.0"),
            (format!("{ONE}consent_form = 'https://secret.example'\n"), "communities.0.consent_form"),
            (
                format!("{ONE}consent_required = ['urn:x:y']\nconsent_form = 'http://secret.example'\n"),
                "communities.0.consent_form",
            ),
            (format!("{ONE}default = 'secret'\n"), "communities.0.default"),
            (format!("{ONE}{OTHER}"), "default = true"),
            (format!("{ONE}default = true\n{OTHER}default = true\n"), "default = true"),
            (format!("{ONE}default = true\n{}", OTHER.replace("street", "house")), "communities.1.name"),
            (format!("{ONE}default = true\n{OTHER}uri = 'urn:oid:2.999.1'\n"), "communities.1.uri"),
            (member("uri = 'secret'"), "communities.0.members.0.uri"),
            (member("entity_type = 'other'"), "uri"),
            (member("uri = 'urn:x:y'\nentity_type = 'secret'"), "communities.0.members.0.entity_type"),
            (member("uri = 'urn:x:y'\norganization_ids = ['secret']"), "communities.0.members.0.organization_ids.0"),
            (member("uri = 'urn:x:y'\nidentity_assurance = 'secret'"), "communities.0.members.0.identity_assurance"),
            (member("uri = 'urn:x:y'\n[[communities.members]]\nuri = 'urn:x:y'"), "communities.0.members.1.uri"),
            (member("uri = 'urn:x:y'\nlevel = 'secret'"), "communities.0.members.0.level"),
        ];
        for (text, expected) in table {
            let error = load(&text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{expected} is missing in: {error}\n{text}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn two_communities_with_one_default_are_valid() {
        assert_eq!(load(&format!("{ONE}default = true\n{OTHER}")).expect("valid").communities.len(), 2);
    }
}
