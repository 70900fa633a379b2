//! The policy: one row per workflow, what it needs and what it returns, from `profiles/assurance-policy.json`.
//!
//! A policy that cannot be enforced, or that lets out less carefully than the guide demands, is refused when it is read:
//! then the server does not start. Source: Identity Matching guide, Use Cases, Consumer Match, Guidance on Identity
//! Assurance. Not here: deciding (see `decide`), the form of the file (see `file`), its limits (see `floor`).

mod file;
mod floor;

use std::collections::{BTreeMap, BTreeSet};

use super::entity::EntityType;
use super::facts::{Age, Consent, Facts, Interaction, Profile, Registration, Statement};
use super::level::{AuthenticationLevel, IdentityLevel};
use super::verdict::{Elements, Identities, StoredTerms};

/// The whole policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    version: String,
    asserted: BTreeMap<Profile, IdentityLevel>,
    verification_years_max: u16,
    /// Codes of relationships (HL7 v3 RoleCode) that let somebody act for a patient.
    representatives: BTreeSet<String>,
    own: Option<Own>,
    workflows: Vec<Workflow>,
}

/// What a person may do about their own records, in an app that they have let in (SMART App Launch, `patient/` scopes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    pub interactions: BTreeSet<Interaction>,
    pub identity: IdentityLevel,
    pub authentication: AuthenticationLevel,
    pub elements: Elements,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    pub name: String,
    /// Any of these calls for the workflow.
    pub purposes: BTreeSet<String>,
    /// So does any of these.
    pub statements: BTreeSet<Statement>,
    pub served: Served,
    pub interactions: BTreeSet<Interaction>,
    pub needs: Needs,
    pub returns: Returns,
    /// What communities have agreed on instead.
    pub relaxed: Vec<(String, Returns)>,
}

/// To whom a workflow is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    Everybody,
    /// Clients that the operator has added. Such a client needs no purpose of use: its scopes are the agreement.
    Operator,
    /// Members of these communities, by agreement.
    Communities(BTreeSet<String>),
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// One of these; empty where it does not matter.
    pub entities: BTreeSet<EntityType>,
    /// Of each group one.
    pub statements: Vec<Vec<Statement>>,
    pub consent: Consent,
    pub profile: Profile,
    pub weight: u32,
    pub identity: Option<IdentityLevel>,
    pub authentication: Option<AuthenticationLevel>,
    pub subject: Subject,
}

/// Whether the patient must be compared with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Anybody,
    /// The user, or somebody whom the user represents.
    User,
}

/// What may be returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returns {
    pub identities: Identities,
    pub identities_max: Option<usize>,
    pub stored: StoredTerms,
    pub elements: Elements,
}

impl Policy {
    /// Reads and checks the text of a policy.
    ///
    /// # Errors
    /// What cannot be enforced, or is less careful than the guide demands, with its place in the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let policy = file::read(text)?;
        floor::check(&policy)?;
        Ok(policy)
    }

    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The level that a claimed profile asserts (Guidance on Identity Assurance).
    #[must_use]
    pub fn asserted(&self, profile: Profile) -> IdentityLevel {
        self.asserted.get(&profile).copied().unwrap_or_default()
    }

    /// Whether a relationship lets somebody act for a patient.
    #[must_use]
    pub fn represents(&self, relationship: &str) -> bool {
        self.representatives.contains(relationship)
    }

    /// `None`: nothing.
    #[must_use]
    pub const fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    #[must_use]
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    /// The workflows that a request calls for.
    #[must_use]
    pub fn called_for(&self, facts: &Facts) -> Vec<&Workflow> {
        self.workflows.iter().filter(|workflow| workflow.is_called_for(facts)).collect()
    }

    /// Whether a verification of `verified_on` still counts on `today`; both are year, month and day. A date to come counts
    /// for nothing.
    #[must_use]
    pub fn age(&self, verified_on: (u16, u8, u8), today: (u16, u8, u8)) -> Age {
        let (year, month, day) = verified_on;
        let last = (year.saturating_add(self.verification_years_max), month, day);
        if verified_on <= today && today <= last { Age::Current } else { Age::Expired }
    }
}

impl Workflow {
    fn is_called_for(&self, facts: &Facts) -> bool {
        let by_purpose = facts.purposes.iter().any(|purpose| self.purposes.contains(purpose));
        let by_statement = facts.statements.iter().any(|statement| self.statements.contains(statement));
        let says_nothing = facts.purposes.is_empty() && !facts.statements.iter().any(|one| one.is_about_user());
        let by_registration =
            self.served == Served::Operator && facts.registration == Registration::Operator && says_nothing;
        by_purpose || by_statement || by_registration
    }

    /// What it returns to members of a community.
    #[must_use]
    pub fn returns_to(&self, registration: &Registration) -> &Returns {
        let Registration::Community(community) = registration else { return &self.returns };
        self.relaxed.iter().find(|(name, _)| name == community).map_or(&self.returns, |(_, returns)| returns)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn shipped() -> Policy {
        Policy::parse(include_str!("../../../profiles/assurance-policy.json")).expect("the shipped policy")
    }

    #[test]
    fn a_verification_counts_for_three_years_and_not_before_its_day() {
        let policy = shipped();
        let today = (2026, 11, 22);
        for (verified_on, age) in [
            ((2026, 11, 22), Age::Current),
            ((2023, 11, 22), Age::Current),
            ((2023, 11, 21), Age::Expired),
            ((2026, 11, 23), Age::Expired),
            ((2020, 1, 1), Age::Expired),
        ] {
            assert_eq!(policy.age(verified_on, today), age, "{verified_on:?}");
        }
        assert_eq!(policy.age((2024, 2, 29), (2027, 2, 28)), Age::Current);
        assert_eq!(policy.age((2024, 2, 29), (2027, 3, 1)), Age::Expired);
    }

    #[test]
    fn profiles_assert_the_levels_of_the_guide() {
        let policy = shipped();
        let asserted: Vec<&str> = Profile::ALL.into_iter().map(|profile| policy.asserted(profile).name()).collect();
        assert_eq!(asserted, ["IDIAL1", "IDIAL1.5", "IDIAL1.8", "IDIAL2"]);
    }
}
