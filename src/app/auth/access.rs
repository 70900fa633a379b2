//! What each route needs of a caller: one table, by address and method, from which the guard works.
//!
//! SMART App Launch 2.2, scopes for requesting FHIR resources. A route without a row stops the start, and so does a row
//! without a route; entries of a Bundle are judged by the row of the same request alone. Two kinds of data have a scope of
//! their own, which no wildcard gives:
//!
//! * `system/AuditEvent.rs`: the audit;
//! * `system/Stewardship.rs` to see what there is to decide about identities, `system/Stewardship.u` to decide it.
//!
//! Not here: judging (see `gate`), purposes and levels (see `assurance`).

use crate::assurance::facts::Interaction;
use crate::audit::Action;
use crate::auth::scope::Interaction as Scope;
use crate::profile::artifact::ARTIFACT_TYPES;

use super::super::incoming::ResourceKind;
use super::super::search::AUDIT_EVENT;

/// The type in scopes for what stewards see and decide; no resource has it.
pub const STEWARDSHIP: &str = "Stewardship";

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What this server says of itself, and the endpoints of the authorization server, which judge by themselves.
    Nothing,
    /// A token that is in force; what it allows is asked for each entry, or nothing that is stored is told.
    Token,
    /// Scopes for the type in the address.
    OfAddress(&'static [Scope], Interaction),
    /// Scopes for this type.
    Of(&'static str, &'static [Scope], Interaction),
    /// Scopes for each of the types that are asked for, which the use case asks about.
    OfEach(Interaction),
}

/// One row: an address of the route table, its method, what it needs, and what the audit calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub path: &'static str,
    pub method: &'static str,
    pub need: Need,
    pub action: Action,
}

const fn row(method: &'static str, path: &'static str, need: Need, action: Action) -> Access {
    Access { path, method, need, action }
}

const READ: &[Scope] = &[Scope::Read];
const SEARCH: &[Scope] = &[Scope::Search];
const READ_SEARCH: &[Scope] = &[Scope::Read, Scope::Search];
const UPDATE: &[Scope] = &[Scope::Update];
const DELETE: &[Scope] = &[Scope::Delete];
const CREATE: &[Scope] = &[Scope::Create];
/// A PUT makes the resource where there is none.
const CREATE_UPDATE: &[Scope] = &[Scope::Create, Scope::Update];
const CREATE_UPDATE_SEARCH: &[Scope] = &[Scope::Create, Scope::Update, Scope::Search];
const UPDATE_SEARCH: &[Scope] = &[Scope::Update, Scope::Search];
const DELETE_SEARCH: &[Scope] = &[Scope::Delete, Scope::Search];

/// What a match needs.
pub const MATCH: Need = Need::Of("Patient", READ_SEARCH, Interaction::Match);
const EXPLAIN: Need = Need::Of("Patient", READ_SEARCH, Interaction::Explain);
const DECIDE: Need = Need::Of(STEWARDSHIP, UPDATE, Interaction::Steward);
const LIST: Need = Need::Of(STEWARDSHIP, READ_SEARCH, Interaction::Steward);
const WHO_LOOKED: Need = Need::Of(AUDIT_EVENT, READ_SEARCH, Interaction::Audit);
const EXPORT: Need = Need::OfEach(Interaction::Export);
const READING: Need = Need::OfAddress(READ, Interaction::Read);
const SEARCHING: Need = Need::OfAddress(SEARCH, Interaction::Search);

/// The rows: those of FHIR below its base, the others as they are. HEAD is GET without the body (RFC 9110 §9.3.2) and needs the same.
pub const TABLE: &[Access] = &[
    row("POST", "", Need::Token, Action::Bundle),
    row("POST", "/", Need::Token, Action::Bundle),
    row("GET", "/metadata", Need::Nothing, Action::Read),
    row("POST", "/Patient/$idi-match", MATCH, Action::Match),
    row("POST", "/Patient/$match", MATCH, Action::Match),
    row("POST", "/Patient/$explain-match", EXPLAIN, Action::Explain),
    row("POST", "/Patient/$merge", DECIDE, Action::Merge),
    row("POST", "/Patient/$unmerge", DECIDE, Action::Unmerge),
    row("POST", "/Patient/$link", DECIDE, Action::Link),
    row("POST", "/Patient/$unlink", DECIDE, Action::Unlink),
    row("POST", "/Patient/$split", DECIDE, Action::Split),
    row("POST", "/Patient/$decide", DECIDE, Action::Decide),
    row("POST", "/Patient/$revoke", DECIDE, Action::Revoke),
    row("GET", "/Patient/$review-queue", LIST, Action::ReviewQueue),
    row("POST", "/Patient/$review-queue", LIST, Action::ReviewQueue),
    row("GET", "/Patient/$decisions", LIST, Action::ReviewQueue),
    row("GET", "/Patient/$identity", LIST, Action::ReviewQueue),
    row("GET", "/Patient/{id}/$identity", LIST, Action::ReviewQueue),
    row("GET", "/Patient/{id}/$identity-history", LIST, Action::ReviewQueue),
    row("GET", "/Patient/$who-looked", WHO_LOOKED, Action::WhoLooked),
    row("POST", "/Patient/$who-looked", WHO_LOOKED, Action::WhoLooked),
    row("GET", "/Patient/{id}/$who-looked", WHO_LOOKED, Action::WhoLooked),
    row("POST", "/Patient/{id}/$who-looked", WHO_LOOKED, Action::WhoLooked),
    row("GET", "/$export", EXPORT, Action::Export),
    row("POST", "/$export", EXPORT, Action::Export),
    row("GET", "/Patient/$export", EXPORT, Action::Export),
    row("POST", "/Patient/$export", EXPORT, Action::Export),
    row("GET", "/$export/{job}", EXPORT, Action::Export),
    row("DELETE", "/$export/{job}", EXPORT, Action::Export),
    row("GET", "/$export/{job}/{file}", EXPORT, Action::Export),
    // Judges what was sent, and nothing that is stored.
    row("POST", "/{type}/$validate", Need::Token, Action::Validate),
    row("POST", "/{type}/{id}/$validate", READING, Action::Validate),
    row("GET", "/{type}/{id}/$meta", READING, Action::Read),
    row("POST", "/{type}/{id}/$meta", READING, Action::Read),
    row("GET", "/{type}/{id}/_history/{version}/$meta", READING, Action::Read),
    row("POST", "/{type}/{id}/_history/{version}/$meta", READING, Action::Read),
    row("GET", "/{type}", SEARCHING, Action::Search),
    row("POST", "/{type}", Need::OfAddress(CREATE, Interaction::Write), Action::Create),
    // Aimed by criteria, which look among resources; the policy is asked about that where they are read.
    row("PUT", "/{type}", Need::OfAddress(CREATE_UPDATE_SEARCH, Interaction::Write), Action::Update),
    row("PATCH", "/{type}", Need::OfAddress(UPDATE_SEARCH, Interaction::Write), Action::Patch),
    row("DELETE", "/{type}", Need::OfAddress(DELETE_SEARCH, Interaction::Write), Action::Delete),
    row("POST", "/{type}/_search", SEARCHING, Action::Search),
    row("GET", "/{type}/_history", SEARCHING, Action::History),
    row("GET", "/{type}/{id}/_history", READING, Action::History),
    row("GET", "/{type}/{id}", READING, Action::Read),
    row("PUT", "/{type}/{id}", Need::OfAddress(CREATE_UPDATE, Interaction::Write), Action::Update),
    row("PATCH", "/{type}/{id}", Need::OfAddress(UPDATE, Interaction::Write), Action::Patch),
    row("DELETE", "/{type}/{id}", Need::OfAddress(DELETE, Interaction::Write), Action::Delete),
    row("GET", "/{type}/{id}/_history/{version}", READING, Action::Read),
    // Where tokens come from: whoever asks is judged there.
    row("GET", "/fhir/.well-known/udap", Need::Nothing, Action::Read),
    row("GET", "/fhir/.well-known/smart-configuration", Need::Nothing, Action::Read),
    row("GET", "/.well-known/udap", Need::Nothing, Action::Discover),
    row("GET", "/.well-known/openid-configuration", Need::Nothing, Action::Discover),
    row("GET", "/oauth/jwks", Need::Nothing, Action::Read),
    row("POST", "/oauth/register", Need::Nothing, Action::RegisterClient),
    row("POST", "/oauth/token", Need::Nothing, Action::IssueToken),
    row("GET", "/oauth/userinfo", Need::Nothing, Action::UserInfo),
    row("POST", "/oauth/userinfo", Need::Nothing, Action::UserInfo),
    row("POST", "/oauth/revoke", Need::Nothing, Action::RevokeToken),
    row("POST", "/oauth/introspect", Need::Nothing, Action::IntrospectToken),
    // Pages for people: who is signed in is known by a cookie, and asked there.
    row("GET", "/oauth/authorize", Need::Nothing, Action::Authorize),
    row("POST", "/oauth/authorize", Need::Nothing, Action::Authorize),
    row("GET", "/oauth/authorize/continue", Need::Nothing, Action::Authorize),
    row("POST", "/oauth/authorize/continue", Need::Nothing, Action::Authorize),
    row("GET", "/oauth/logout", Need::Nothing, Action::EndSession),
    row("POST", "/oauth/logout", Need::Nothing, Action::EndSession),
    row("GET", "/sign-in", Need::Nothing, Action::SignIn),
    row("POST", "/sign-in", Need::Nothing, Action::SignIn),
    row("POST", "/sign-out", Need::Nothing, Action::SignOut),
    row("GET", "/account", Need::Nothing, Action::Authorize),
    row("POST", "/account", Need::Nothing, Action::RevokeToken),
    row("GET", "/web/style.css", Need::Nothing, Action::Read),
    row("GET", "/livez", Need::Nothing, Action::Read),
    row("GET", "/readyz", Need::Nothing, Action::Read),
    row("GET", "/metrics", Need::Nothing, Action::Read),
    row("GET", "/openapi.json", Need::Nothing, Action::Read),
];

/// The row of an address and a method; `None` for what is not served.
#[must_use]
pub fn find(path: &str, method: &str) -> Option<&'static Access> {
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|row| row.path == path && row.method == method)
}

/// The table against the routes that are served, by address and method.
///
/// # Errors
/// The routes that nothing guards, and the rows of no route.
pub fn check(routes: &[(&str, &str)]) -> Result<(), String> {
    let unguarded = routes.iter().filter(|(path, method)| find(path, method).is_none());
    let unguarded: Vec<String> = unguarded.map(|(path, method)| format!("{method} {path}")).collect();
    let unserved = TABLE.iter().filter(|row| !routes.contains(&(row.path, row.method)));
    let unserved: Vec<String> = unserved.map(|row| format!("{} {}", row.method, row.path)).collect();
    if unguarded.is_empty() && unserved.is_empty() {
        return Ok(());
    }
    let (unguarded, unserved) = (unguarded.join(", "), unserved.join(", "));
    Err(format!("nothing says what these routes need [{unguarded}], or these are no routes [{unserved}]"))
}

/// What is asked of a caller for one type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    pub resource_type: &'a str,
    pub scopes: &'a [Scope],
    pub interaction: Interaction,
}

impl Need {
    /// What is asked of a caller; `None` where no scope is.
    #[must_use]
    pub fn ask<'a>(&'a self, resource_type: &'a str) -> Option<Ask<'a>> {
        let (resource_type, scopes, interaction) = match self {
            Self::Nothing | Self::Token | Self::OfEach(_) => return None,
            // What is not served is not there, whatever the scopes; and no answer names it.
            Self::OfAddress(..) if !is_served(resource_type) => return None,
            Self::OfAddress(scopes, interaction) => (resource_type, *scopes, *interaction),
            Self::Of(of, scopes, interaction) => (*of, *scopes, *interaction),
        };
        let interaction = if resource_type == AUDIT_EVENT { Interaction::Audit } else { interaction };
        Some(Ask { resource_type, scopes, interaction })
    }

    /// Whether a request for this type needs a token. What is read from `profiles/` needs none.
    #[must_use]
    pub fn is_public(&self, resource_type: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::OfAddress(..) => ARTIFACT_TYPES.contains(&resource_type),
            Self::Token | Self::Of(..) | Self::OfEach(_) => false,
        }
    }
}

fn is_served(resource_type: &str) -> bool {
    ResourceKind::of(resource_type).is_some() || resource_type == AUDIT_EVENT
}

impl Ask<'_> {
    /// Whether a wildcard scope gives it.
    #[must_use]
    pub fn is_by_wildcard(&self) -> bool {
        !matches!(self.resource_type, STEWARDSHIP | AUDIT_EVENT)
    }

    /// Whether the policy is asked too. Who an organisation is may be read by whoever has the scope.
    #[must_use]
    pub fn is_about_people(&self) -> bool {
        let is_looked_up = matches!(self.interaction, Interaction::Read | Interaction::Search);
        !(self.resource_type == "Organization" && is_looked_up)
    }

    /// The scope that would do, for the answer (RFC 6750 section 3).
    #[must_use]
    pub fn scope(&self) -> String {
        let letters: String =
            Scope::ALL.iter().filter(|one| self.scopes.contains(one)).map(|one| one.letter()).collect();
        format!("system/{}.{letters}", self.resource_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_there_once_and_compared_with_the_routes_both_ways() {
        let routes: Vec<(&str, &str)> = TABLE.iter().map(|row| (row.path, row.method)).collect();
        for (at, route) in routes.iter().enumerate() {
            assert!(!routes[..at].contains(route), "{route:?} is there twice");
        }
        assert_eq!(check(&routes), Ok(()));
        let unguarded: Vec<_> = routes.iter().copied().chain([("/Patient/$new", "POST")]).collect();
        assert!(check(&unguarded).expect_err("refused").contains("[POST /Patient/$new]"));
        assert!(check(&routes[1..]).expect_err("refused").contains("no routes [POST ]"));
    }

    #[test]
    fn head_needs_what_get_needs() {
        assert_eq!(find("/{type}/{id}", "HEAD"), find("/{type}/{id}", "GET"));
        assert_eq!(find("/{type}/{id}", "BREW"), None);
    }

    #[test]
    fn the_scope_that_would_do_is_written_in_the_order_of_smart() {
        let ask = Ask { resource_type: "Patient", scopes: CREATE_UPDATE, interaction: Interaction::Write };
        assert_eq!(ask.scope(), "system/Patient.cu");
        assert_eq!(Ask { scopes: READ_SEARCH, ..ask }.scope(), "system/Patient.rs");
    }
}
