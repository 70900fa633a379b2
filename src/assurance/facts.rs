//! What a decision rests on: who asks, what for, on which words, and (once the store was asked) what is stored.
//!
//! Values in, nothing else: the application fills them from the verified token, the request and one snapshot of the store.
//! What is not known stays at its weakest value, so that a fact that was forgotten refuses and never permits. Not here:
//! the decision (see `decide`), what each workflow needs (see `policy`).

use std::collections::BTreeSet;

use super::entity::EntityType;
use super::level::{AuthenticationLevel, IdentityLevel};

/// What is asked for, as far as the policy tells interactions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interaction {
    /// `$idi-match`, `$match`.
    Match,
    /// Why a stored record has its score.
    Explain,
    /// Whatever names one resource: read, vread, its history, its meta.
    Read,
    /// Whatever looks among resources: search, history of a type, criteria of conditional interactions.
    Search,
    /// Create, update, patch, delete.
    Write,
    /// Bulk export.
    Export,
    /// What stewards decide, and what there is to decide.
    Steward,
    /// The audit.
    Audit,
}

impl Interaction {
    pub const ALL: [Self; 8] =
        [Self::Match, Self::Explain, Self::Read, Self::Search, Self::Write, Self::Export, Self::Steward, Self::Audit];

    /// The name in the policy.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Explain => "explain",
            Self::Read => "read",
            Self::Search => "search",
            Self::Write => "write",
            Self::Export => "export",
            Self::Steward => "steward",
            Self::Audit => "audit",
        }
    }
}

/// Who vouches for the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Registration {
    /// The operator of this server has added it, with the scopes it has: an explicit grant.
    Operator,
    /// It has registered itself under a trust community.
    Community(String),
    #[default]
    Unknown,
}

/// Whose account the scope speaks for (SMART App Launch, scopes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Account {
    /// `system/`
    Client,
    /// `user/` of a workforce member.
    Workforce,
    /// `patient/` with a Patient in context: that person, about themselves alone.
    Patient,
    /// `user/` of anybody else, and `patient/` without a Patient in context.
    #[default]
    Person,
}

/// An extension of the token request that says who asks (FAST Security 5.2.1.1; Identity Matching guide; TEFCA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Statement {
    B2b,
    B2bUser,
    TefcaIas,
    CmsSmart,
}

impl Statement {
    pub const ALL: [Self; 4] = [Self::B2b, Self::B2bUser, Self::TefcaIas, Self::CmsSmart];

    /// The name of the extension.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::B2b => "hl7-b2b",
            Self::B2bUser => "hl7-b2b-user",
            Self::TefcaIas => "tefca_ias",
            Self::CmsSmart => "cms_smart",
        }
    }

    /// Whether it speaks of a person who is the user.
    #[must_use]
    pub const fn is_about_user(self) -> bool {
        !matches!(self, Self::B2b)
    }
}

/// The profile that a request to match claims, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    Base,
    L0,
    L1,
    L2,
}

impl Profile {
    pub const ALL: [Self; 4] = [Self::Base, Self::L0, Self::L1, Self::L2];

    /// The name that ends the canonical URL.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Base => "IDI-Patient",
            Self::L0 => "IDI-Patient-L0",
            Self::L1 => "IDI-Patient-L1",
            Self::L2 => "IDI-Patient-L2",
        }
    }
}

/// The words of a request to match, as judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub profile: Profile,
    /// Strict input weight.
    pub weight: u32,
}

/// The user of the transaction against the Patient asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum User {
    /// Nobody is named, or not well enough to compare.
    #[default]
    Unknown,
    /// Statements about the user contradict each other.
    Contradictory,
    /// The statement names another patient than the request does.
    OtherPatient,
    /// The request says more of the patient than was verified of the user, or of the patient whom the statement names.
    Unattested,
    /// The same person.
    Patient,
    /// Another person, described with this strict weight: a representative, if it is on record.
    Representative { weight: u32 },
}

/// How sure the match is of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confidence {
    /// Nobody.
    #[default]
    None,
    /// Somebody, not certain.
    Low,
    /// Several are close.
    Ambiguous,
    /// Graded certain, and no second identity is close.
    High,
}

/// How the stored person was verified, at the time of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// IDIAL1 where nothing is recorded.
    pub level: IdentityLevel,
    pub age: Age,
}

/// Whether a verification still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Age {
    Current,
    /// Older than the policy lets it count, of a date to come, or without one.
    #[default]
    Expired,
}

/// What forbids to show a stored person whatever else is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Condition {
    Living,
    Deceased,
    /// Labelled as restricted.
    #[default]
    Restricted,
}

/// Whether the stored data say that the user may act for the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Representation {
    #[default]
    Missing,
    Recorded,
}

/// What the store says of the identity that would be returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    pub confidence: Confidence,
    /// Of the best verified record that is certain by itself.
    pub verified: Verified,
    pub condition: Condition,
    /// The user as a stored person, where the user is a representative.
    pub user_confidence: Confidence,
    pub user_verified: Verified,
    pub representation: Representation,
}

/// Everything a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub interaction: Interaction,
    pub registration: Registration,
    pub entity: EntityType,
    pub account: Account,
    /// Bare codes; one of a system that is not known stays whole, and is a purpose of no workflow.
    pub purposes: BTreeSet<String>,
    pub statements: BTreeSet<Statement>,
    /// Authorization of the person, recorded with the request.
    pub consent: Consent,
    /// The token's: the lowest of the id_token, the community and its member.
    pub identity: IdentityLevel,
    pub authentication: AuthenticationLevel,
    /// Of a request to match.
    pub asked: Option<Asked>,
    pub user: User,
    /// `None` until the store was asked.
    pub stored: Option<Stored>,
}

/// Whether the person has authorised the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    #[default]
    Missing,
    Recorded,
}

impl Facts {
    /// Nothing is known but what is asked for.
    #[must_use]
    pub const fn unknown(interaction: Interaction) -> Self {
        Self {
            interaction,
            registration: Registration::Unknown,
            entity: EntityType::Other,
            account: Account::Person,
            purposes: BTreeSet::new(),
            statements: BTreeSet::new(),
            consent: Consent::Missing,
            identity: IdentityLevel::Idial1,
            authentication: AuthenticationLevel::Aal1,
            asked: None,
            user: User::Unknown,
            stored: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forgotten_is_at_its_weakest() {
        let facts = Facts::unknown(Interaction::Match);
        assert_eq!((facts.account, facts.entity), (Account::Person, EntityType::Other));
        assert_eq!((facts.identity, facts.authentication), (IdentityLevel::Idial1, AuthenticationLevel::Aal1));
        let stored = Stored::default();
        assert_eq!((stored.confidence, stored.condition), (Confidence::None, Condition::Restricted));
        assert_eq!(stored.verified, Verified { level: IdentityLevel::Idial1, age: Age::Expired });
    }
}
