//! Which budgets there are, and how large they are for whom.
//!
//! Not here: what is left of them.

use crate::budget::bucket::Limit;
use crate::budget::key::Keyed;
use crate::budget::ledger::Charge;
use crate::config::Budgets;

use super::super::auth::granted::Granted;

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

/// How many times more may be tried about all whose names begin to sound alike than about one person. About one failure of
/// a thousand is about the names that are heard most.
const NAMESAKES_FACTOR: u32 = 100;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Budget {
    ClientRequests,
    ClientFailures,
    OrganizationRequests,
    OrganizationFailures,
    /// Failures about one person. Whether of one client or of all, no answer says.
    Subject,
}

impl Budget {
    /// The name in headers, metrics and audit rows.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClientRequests => "client-requests",
            Self::ClientFailures => "client-failures",
            Self::OrganizationRequests => "organization-requests",
            Self::OrganizationFailures => "organization-failures",
            Self::Subject => "subject-failures",
        }
    }

    #[must_use]
    pub const fn is_of_failures(self) -> bool {
        matches!(self, Self::ClientFailures | Self::OrganizationFailures | Self::Subject)
    }

    /// Whether every answer tells what is left of it: a client's own.
    #[must_use]
    pub const fn is_of_client(self) -> bool {
        matches!(self, Self::ClientRequests | Self::ClientFailures)
    }
}

/// The limits of one caller.
pub struct Limits {
    client: [(Budget, Limit); 2],
    organization: [(Budget, Limit); 2],
    pub subject: Limit,
    pub subject_all: Limit,
    pub namesakes: Limit,
}

impl Limits {
    pub fn of(budgets: &Budgets, granted: &Granted) -> Self {
        let factor = if granted.is_own_system() { budgets.operator_factor } else { 1 };
        let limit = |tokens: u32, period_us: i64| Limit::new(tokens.saturating_mul(factor), period_us);
        let subject_us = i64::from(budgets.subject_period_h).saturating_mul(HOUR_US);
        Self {
            client: [
                (Budget::ClientRequests, limit(budgets.client_requests_per_minute, MINUTE_US)),
                (Budget::ClientFailures, limit(budgets.client_failures_per_hour, HOUR_US)),
            ],
            organization: [
                (Budget::OrganizationRequests, limit(budgets.organization_requests_per_minute, MINUTE_US)),
                (Budget::OrganizationFailures, limit(budgets.organization_failures_per_hour, HOUR_US)),
            ],
            subject: limit(budgets.subject_failures_max, subject_us),
            subject_all: limit(budgets.subject_failures_all_max, subject_us),
            namesakes: limit(budgets.subject_failures_max.saturating_mul(NAMESAKES_FACTOR), subject_us),
        }
    }

    /// The budgets of the client and of its organisation, the client's first.
    pub fn holders(&self, keyed: &Keyed, granted: &Granted) -> Vec<(Budget, Charge)> {
        let grant = &granted.grant;
        let charge = |(budget, limit): &(Budget, Limit), parts: &[&str]| {
            let parts: Vec<&[u8]> =
                std::iter::once(budget.code()).chain(parts.iter().copied()).map(str::as_bytes).collect();
            (*budget, Charge { key: keyed.key(&parts), limit: *limit })
        };
        let mut holders: Vec<(Budget, Charge)> =
            self.client.iter().map(|one| charge(one, &[&grant.client_id])).collect();
        if let Some(organization) = &grant.organization_id {
            let community = grant.community.as_deref().unwrap_or_default();
            holders.extend(self.organization.iter().map(|one| charge(one, &[community, organization])));
        }
        holders
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::auth::asserted::Asserted;
    use crate::assurance::policy::tests::shipped;
    use crate::auth::access_token::{Grant, Holder};
    use crate::auth::scope::Scopes;

    #[test]
    fn only_the_operators_own_systems_have_larger_budgets() {
        let budgets = Budgets {
            enabled: true,
            client_requests_per_minute: 2,
            client_failures_per_hour: 3,
            organization_requests_per_minute: 4,
            organization_failures_per_hour: 5,
            subject_failures_max: 6,
            subject_failures_all_max: 7,
            subject_period_h: 8,
            operator_factor: 9,
            sweep_subjects_per_minute: 10,
        };
        let limits = |holder: Holder, patient: Option<&str>, community: Option<&str>| {
            let (patient, community) = (patient.map(str::to_owned), community.map(str::to_owned));
            let grant = Grant {
                client_id: "c1".to_owned(),
                community,
                organization_id: None,
                entity_type: None,
                purposes: Vec::new(),
                scopes: Scopes::default(),
                identity_level: Default::default(),
                authentication_level: Default::default(),
                extensions: Default::default(),
                token_id: "t1".to_owned(),
                expires_us: 1,
                subject: None,
                patient,
                holder,
            };
            Limits::of(&budgets, &Granted::new(grant, Asserted::default(), Arc::new(shipped())))
        };
        let own = limits(Holder::Client, None, None);
        let others = [
            limits(Holder::Workforce, None, None),
            limits(Holder::Person, None, None),
            limits(Holder::Client, Some("p1"), None),
            limits(Holder::Client, None, Some("exchange")),
        ];
        for other in others {
            assert_eq!(other.client, limits(Holder::Client, None, Some("exchange")).client);
            assert_ne!(other.client, own.client);
            assert_ne!(other.subject, own.subject);
        }
    }
}
