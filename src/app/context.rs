//! Who asks, when, and under which request id: the first argument of every use case.
//!
//! Not here: how a caller is recognised (today there is only the open door of a loopback address).

use crate::audit::{Action, AuditRecord, Detail, Outcome};
use crate::fhir::disclosure::Disclosure;
use crate::fhir::match_parameters::RuleBook;
use crate::store::resource::SearchConstraint;

use super::clock::Clock;

/// The caller of a use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anyone who reaches a loopback address of a server started with `--open`, or the command line itself.
    Open,
}

impl Caller {
    /// The label in audit rows.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
        }
    }

    /// Whether this caller shows a token, and has to show it again for the files of an export.
    #[must_use]
    pub const fn bears_token(self) -> bool {
        match self {
            Self::Open => false,
        }
    }

    /// What of a record may leave to this caller.
    #[must_use]
    pub const fn disclosure(self) -> Disclosure {
        match self {
            Self::Open => Disclosure::full(),
        }
    }

    /// The name under which this caller decides about identities and sees what there is to decide; `None` for who may not.
    #[must_use]
    pub const fn steward(self) -> Option<&'static str> {
        match self {
            Self::Open => Some(self.label()),
        }
    }

    /// Whether this caller may read what others have done.
    #[must_use]
    pub const fn reads_audit(self) -> bool {
        match self {
            Self::Open => true,
        }
    }

    /// The rules that this caller's matches are decided by, where he is registered for some.
    #[must_use]
    pub const fn rule_book(self) -> Option<RuleBook> {
        match self {
            Self::Open => None,
        }
    }

    /// What this caller's searches are narrowed to.
    #[must_use]
    pub const fn search_constraint(self) -> SearchConstraint {
        match self {
            Self::Open => SearchConstraint::None,
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Context {
    pub caller: Caller,
    pub request_id: String,
    pub now_us: i64,
    pub clock: Clock,
    /// Where the request came from, as an IP address; the command line is on this machine.
    pub address: Option<String>,
}

impl Context {
    /// A request of now with a fresh id.
    #[must_use]
    pub fn new(caller: Caller, clock: Clock) -> Self {
        Self { caller, request_id: (clock.uuid)(), now_us: (clock.now_us)(), clock, address: None }
    }

    pub(super) fn audit(&self, action: Action) -> AuditRecord {
        AuditRecord {
            at_us: self.now_us,
            request_id: self.request_id.clone(),
            action,
            outcome: Outcome::Success,
            caller: self.caller.label().to_owned(),
            resource_type: None,
            detail: Detail { client_address: self.address.clone(), ..Detail::default() },
        }
    }
}
