//! A client with a token that is in force: what was granted, and what was asserted when it was.
//!
//! Not here: verifying tokens (see `gate`), what a grant allows in a match (see `assurance`).

use std::fmt;
use std::sync::Arc;

use crate::assurance::facts::Account;
use crate::assurance::policy::Policy;
use crate::auth::access_token::{Grant, Holder};
use crate::auth::scope::{Interaction, Level, Scopes};
use crate::fhir::disclosure::Disclosure;

use super::access::Ask;
use super::asserted::Asserted;
use super::facts;

/// What a caller with a token has.
pub struct Granted {
    pub grant: Grant,
    /// What the extensions of the token request say. It holds demographics.
    pub asserted: Asserted,
    /// What decides on what the caller asks for.
    pub policy: Arc<Policy>,
    /// What of a person's record may leave to this caller.
    pub disclosure: Disclosure,
    /// The scopes that name a type.
    named: Scopes,
}

/// Nothing of a person is shown.
impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("client_id", &self.grant.client_id).finish_non_exhaustive()
    }
}

impl Granted {
    #[must_use]
    pub fn new(grant: Grant, asserted: Asserted, policy: Arc<Policy>) -> Self {
        let disclosure = facts::disclosure(&policy, &grant);
        let named: Vec<String> = grant.scopes.iter().filter(|scope| !scope.contains("/*.")).collect();
        let named = Scopes::parse(&named.join(" ")).unwrap_or_default();
        Self { grant, asserted, policy, disclosure, named }
    }

    /// Whose account the scopes speak for that give what is asked; `None` where none do. One level has to give all of it.
    #[must_use]
    pub fn account_for(&self, ask: &Ask<'_>) -> Option<Account> {
        let scopes = if ask.is_by_wildcard() { &self.grant.scopes } else { &self.named };
        let gives =
            |level: &Level| ask.scopes.iter().all(|interaction| scopes.allows(*level, ask.resource_type, *interaction));
        let level = [Level::System, Level::User, Level::Patient].into_iter().find(gives)?;
        Some(match (level, self.grant.holder) {
            (Level::System, Holder::Client) => Account::Client,
            (Level::User, Holder::Workforce) => Account::Workforce,
            (Level::Patient, _) if self.grant.patient.is_some() => Account::Patient,
            (Level::System | Level::User | Level::Patient, _) => Account::Person,
        })
    }

    /// Whether the operator of this server has added the client.
    #[must_use]
    pub const fn is_of_operator(&self) -> bool {
        self.grant.community.is_none()
    }

    /// Whether it is a system of the operator in its own name. Whoever has signed in and uses one of the operator's apps is
    /// not: of the workforce, too, somebody is no system.
    #[must_use]
    pub fn is_own_system(&self) -> bool {
        self.is_of_operator() && self.grant.holder == Holder::Client && self.grant.patient.is_none()
    }

    /// Whose records `patient/` scopes give: those of the identity of this Patient.
    #[must_use]
    pub fn patient(&self) -> Option<&str> {
        self.grant.patient.as_deref()
    }

    /// Whether some scope names this type.
    #[must_use]
    pub fn holds_any(&self, resource_type: &str) -> bool {
        Interaction::ALL.iter().any(|interaction| self.named.allows(Level::System, resource_type, *interaction))
    }
}
