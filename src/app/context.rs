//! Who asks, when, and under which request id: the first argument of every use case.
//!
//! Not here: how a caller is recognised, and what that caller may do (see `auth::gate`).

use std::sync::Arc;

use crate::assurance::facts::{Account, Interaction};
use crate::audit::{Action, AuditRecord, Detail, Outcome};
use crate::auth::scope::Interaction as Scope;
use crate::fhir::disclosure::Disclosure;
use crate::fhir::match_parameters::RuleBook;
use crate::fhir::redact::redact;
use crate::store::constraint::{Labels, Persons, SearchConstraint};

use super::assured_match::is_restricted;
use super::auth::access::{Ask, STEWARDSHIP};
use super::auth::account::note_grant;
use super::auth::gate::permit_route;
use super::auth::granted::Granted;
use super::clock::Clock;
use super::error::AppError;
use super::search::AUDIT_EVENT;
use super::search::page_token::Holder;

/// The caller of a use case.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Anyone who reaches a loopback address of a server started with `--open`, or the command line itself.
    Open,
    /// Somebody without a token.
    Anonymous,
    /// A client with a token that is in force.
    Client(Arc<Granted>),
}

impl Caller {
    /// The label in audit rows.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Anonymous => "anonymous",
            Self::Client(granted) => &granted.grant.client_id,
        }
    }

    /// Whether this caller shows a token, and has to show it again for the files of an export.
    #[must_use]
    pub const fn bears_token(&self) -> bool {
        matches!(self, Self::Client(_))
    }

    /// What of a record may leave to this caller.
    #[must_use]
    pub fn disclosure(&self) -> Disclosure {
        match self {
            Self::Open => Disclosure::full(),
            Self::Anonymous => Disclosure::only(Vec::<String>::new()),
            Self::Client(granted) => granted.disclosure.clone(),
        }
    }

    /// Whether this caller may be told of what is labelled as restricted: the operator's own systems may.
    #[must_use]
    pub fn sees_restricted(&self) -> bool {
        match self {
            Self::Open => true,
            Self::Anonymous => false,
            Self::Client(granted) => granted.is_own_system(),
        }
    }

    /// Whether this caller is told how likely a match is, and not only its grade: what an attacker would climb by. The
    /// operator's own systems are.
    #[must_use]
    pub fn sees_probabilities(&self) -> bool {
        self.sees_restricted()
    }

    /// Whether this caller may be told of a stored resource that is `body` now.
    #[must_use]
    pub fn may_see(&self, body: &str) -> bool {
        self.sees_restricted() || !is_restricted(body)
    }

    /// Whether this caller may read resources of this type.
    #[must_use]
    pub fn may_read(&self, resource_type: &str) -> bool {
        permit_route(self, "/{type}/{id}", "GET", resource_type).is_ok()
    }

    /// A stored resource as it may leave: to whom shows a token without what never leaves, and a Patient without the elements
    /// that the policy keeps.
    ///
    /// # Errors
    /// `NotFound` for what is labelled as restricted, unless the client is the operator's own; `Internal` when the stored
    /// document cannot be read.
    pub fn outgoing(&self, body: String) -> Result<String, AppError> {
        // The same answer as in a match.
        self.outgoing_if_seen(body)?.ok_or_else(|| AppError::not_found("There is no such resource."))
    }

    /// The same, and `None` for what is labelled as restricted.
    ///
    /// # Errors
    /// `Internal` when the stored document cannot be read.
    pub fn outgoing_if_seen(&self, body: String) -> Result<Option<String>, AppError> {
        if matches!(self, Self::Open) {
            return Ok(Some(body));
        }
        if !self.may_see(&body) {
            return Ok(None);
        }
        redact(&body, &self.disclosure()).map(Some).map_err(|_| AppError::internal())
    }

    /// What a write is answered with; `None` for whoever may not read it, as SMART's scope to update gives no reading.
    ///
    /// # Errors
    /// `Internal` when the stored document cannot be read.
    pub fn outgoing_written(&self, resource_type: &str, body: String) -> Result<Option<String>, AppError> {
        if self.may_read(resource_type) { self.outgoing_if_seen(body) } else { Ok(None) }
    }

    /// The name under which this caller decides about identities and sees what there is to decide; `None` for who may not.
    #[must_use]
    pub fn steward(&self) -> Option<&str> {
        match self {
            Self::Open => Some(self.label()),
            Self::Anonymous => None,
            Self::Client(granted) => granted.holds_any(STEWARDSHIP).then(|| self.label()),
        }
    }

    /// Whether this caller may read what others have done.
    #[must_use]
    pub fn reads_audit(&self) -> bool {
        match self {
            Self::Open => true,
            Self::Anonymous => false,
            Self::Client(granted) => granted.holds_any(AUDIT_EVENT),
        }
    }

    /// The rules that this caller's matches are decided by, where he is registered for some.
    #[must_use]
    pub const fn rule_book(&self) -> Option<RuleBook> {
        match self {
            Self::Open | Self::Anonymous | Self::Client(_) => None,
        }
    }

    /// Whom links to further pages of a list are for. They hold the query in clear once they are opened, so those of another
    /// person in the same app, and of a token that saw more, are refused.
    #[must_use]
    pub fn page_holder<'a>(&'a self, list: &'a str) -> Holder<'a> {
        let grant = match self {
            Self::Open | Self::Anonymous => None,
            Self::Client(granted) => Some(&granted.grant),
        };
        let constraint = self.search_constraint(list);
        Holder {
            resource_type: list,
            caller: self.label(),
            subject: grant.and_then(|grant| grant.subject.as_deref()),
            patient: grant.and_then(|grant| grant.patient.as_deref()),
            constraint: [constraint.labels.code(), constraint.persons.code()],
        }
    }

    /// What is there for this caller who looks among resources of a type.
    #[must_use]
    pub fn search_constraint(&self, resource_type: &str) -> SearchConstraint {
        self.constraint(resource_type, &[Scope::Search], Interaction::Search)
    }

    /// What is there for this caller who reads resources of a type.
    #[must_use]
    pub fn read_constraint(&self, resource_type: &str) -> SearchConstraint {
        self.constraint(resource_type, &[Scope::Read], Interaction::Read)
    }

    /// What is there for this caller who writes by these scopes.
    #[must_use]
    pub fn write_constraint(&self, resource_type: &str, scopes: &[Scope]) -> SearchConstraint {
        self.constraint(resource_type, scopes, Interaction::Write)
    }

    /// What scopes of one level give is bounded by that level (SMART App Launch 2.2): `patient/` by the Patient in context.
    fn constraint(&self, resource_type: &str, scopes: &[Scope], interaction: Interaction) -> SearchConstraint {
        let labels = if self.sees_restricted() { Labels::All } else { Labels::Unrestricted };
        let ask = Ask { resource_type, scopes, interaction };
        let persons = match self {
            Self::Open => Persons::Everybody,
            Self::Anonymous => Persons::Nobody,
            Self::Client(granted) => match (granted.account_for(&ask), granted.patient()) {
                (Some(Account::Client | Account::Workforce), _) => Persons::Everybody,
                // Who an organisation is may be read by whoever has the scope.
                (Some(_), _) if !ask.is_about_people() => Persons::Everybody,
                (Some(Account::Patient), Some(patient)) => Persons::OfIdentityOf(patient.to_owned()),
                _ => Persons::Nobody,
            },
        };
        SearchConstraint { labels, persons }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Context {
    pub caller: Caller,
    /// In the answer and the log; the caller may have chosen it.
    pub request_id: String,
    /// In the audit: this server's own, so that nobody writes rows under the id of another request.
    pub audit_id: String,
    pub now_us: i64,
    pub clock: Clock,
    /// Where the request came from, as an IP address; the command line is on this machine.
    pub address: Option<String>,
}

impl Context {
    /// A request of now with a fresh id.
    #[must_use]
    pub fn new(caller: Caller, clock: Clock) -> Self {
        let id = (clock.uuid)();
        Self { caller, request_id: id.clone(), audit_id: id, now_us: (clock.now_us)(), clock, address: None }
    }

    pub(super) fn audit(&self, action: Action) -> AuditRecord {
        AuditRecord {
            at_us: self.now_us,
            request_id: self.audit_id.clone(),
            action,
            outcome: Outcome::Success,
            caller: self.caller.label().to_owned(),
            resource_type: None,
            detail: self.caller_detail(),
        }
    }

    /// Who asked, for whom and on which ground.
    fn caller_detail(&self) -> Detail {
        let client_address = self.address.clone();
        let correlation_id = (self.request_id != self.audit_id).then(|| self.request_id.clone());
        let mut detail = Detail { correlation_id, client_address, ..Detail::default() };
        if let Caller::Client(granted) = &self.caller {
            note_grant(&mut detail, &granted.grant);
        }
        detail
    }
}
