//! What was decided: permitted under terms, refused, or withheld, and each reason by name.
//!
//! A refusal rests on the request and its token alone and may be told; what is withheld depends on stored data, is
//! answered like "nobody is known", and its reasons are for the audit. Not here: deciding (see `decide`).

use super::facts::{Age, Verified};
use super::level::{AuthenticationLevel, IdentityLevel};

/// The decision on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Permit(Terms),
    /// From the request and the token alone: 403, or 422 where only the words of the request fall short.
    Refuse(Vec<Missing>),
    /// Depends on what is stored: 200 with nobody in it.
    Withhold(Vec<Withheld>),
}

impl Verdict {
    /// The code of a refusal.
    pub const REFUSE: &str = "refuse";

    /// The code in the audit.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Permit(_) => "permit",
            Self::Refuse(_) => Self::REFUSE,
            Self::Withhold(_) => "withhold",
        }
    }

    /// The codes of what was missing, each once.
    #[must_use]
    pub fn reasons(&self) -> Vec<&'static str> {
        let mut codes: Vec<&'static str> = match self {
            Self::Permit(_) => Vec::new(),
            Self::Refuse(missing) => missing.iter().map(Missing::code).collect(),
            Self::Withhold(withheld) => withheld.iter().map(|one| one.code()).collect(),
        };
        codes.dedup();
        codes
    }
}

/// What a permitted request is held to: of several workflows the strictest of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The workflows that apply, by name.
    pub workflows: Vec<String>,
    pub identities: Identities,
    /// At most so many identities, whatever the request says.
    pub identities_max: Option<usize>,
    pub stored: StoredTerms,
    /// Whether the user is somebody else than the patient, who is to be matched too.
    pub representative: Representative,
    pub elements: Elements,
}

/// How sure an identity must be to be returned, the loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identities {
    /// Several, graded.
    Graded,
    /// As under `onlyCertainMatches`.
    Certain,
    /// One of high confidence, or none.
    HighConfidence,
}

/// Whether two matches are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Representative {
    No,
    Yes,
}

/// How stored persons must have been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredTerms {
    pub level: IdentityLevel,
    pub unverified: Unverified,
}

/// What becomes of a stored person who was not verified so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unverified {
    /// Returned with a warning.
    Warn,
    /// Never returned.
    Withhold,
}

impl StoredTerms {
    /// Whether a stored person was verified well enough, and recently enough.
    #[must_use]
    pub fn is_met_by(&self, verified: Verified) -> bool {
        verified.age == Age::Current && verified.level >= self.level
    }
}

/// The elements of a stored person that may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements {
    All,
    Only(std::collections::BTreeSet<String>),
}

impl Elements {
    /// What both let out.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, other) => other.clone(),
            (own, Self::All) => own,
            (Self::Only(own), Self::Only(other)) => Self::Only(own.intersection(other).cloned().collect()),
        }
    }
}

/// What a request lacks, by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// A scope of the client's own, or of a workforce account.
    Account,
    /// A purpose of use that a workflow of the policy serves.
    Purpose,
    /// An agreement: the workflow is for clients or communities that the policy names.
    Agreement,
    /// The workflow does not include the interaction.
    Interaction,
    /// Another type of organisation.
    Entity,
    /// One of these extensions.
    Statement(Vec<&'static str>),
    Consent,
    /// A level of identity assurance that the transaction as a whole carries.
    Identity(IdentityLevel),
    Authentication(AuthenticationLevel),
    /// Who the user is, comparably and without contradiction.
    User,
    /// That the patient asked for is the one that the token speaks of.
    Patient,
    /// That every attribute of the Patient was verified: stands in what the token says.
    Attribute,
    /// A higher profile.
    Profile(&'static str),
    /// So much strict weight.
    Weight(u32),
    /// The same of the representative.
    UserWeight(u32),
}

impl Missing {
    /// The code in the audit and in answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Purpose => "purpose",
            Self::Agreement => "agreement",
            Self::Interaction => "interaction",
            Self::Entity => "entity-type",
            Self::Statement(_) => "statement",
            Self::Consent => "consent",
            Self::Identity(_) => "identity-level",
            Self::Authentication(_) => "authentication-level",
            Self::User => "user",
            Self::Patient => "patient",
            Self::Attribute => "attribute",
            Self::Profile(_) => "profile",
            Self::Weight(_) => "weight",
            Self::UserWeight(_) => "user-weight",
        }
    }

    /// Whether the words of the request fall short, and not the right to ask.
    #[must_use]
    pub const fn is_of_content(&self) -> bool {
        matches!(self, Self::Profile(_) | Self::Weight(_))
    }

    /// For the caller; repeats nothing that was received.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Account => {
                "Scopes of patients match nobody, and those of users only where the user is of the workforce.".into()
            }
            Self::Purpose => {
                "The token must carry purposes of use that this server's policy serves, and no other.".into()
            }
            Self::Agreement => {
                "This purpose is served to clients and communities that have an agreement about it.".into()
            }
            Self::Interaction => "The policy does not include this interaction for the purposes of the token.".into(),
            Self::Entity => "The purposes of the token are not served to this type of organisation.".into(),
            Self::Statement(names) => format!("The token request must carry the extension {}.", names.join(" or ")),
            Self::Consent => "The person's authorization must be recorded with the request (consent_policy).".into(),
            Self::Identity(level) => {
                format!("The attributes of the request must be asserted as verified at {level} or higher.")
            }
            Self::Authentication(level) => format!("The user must be authenticated at {level} or higher."),
            Self::User => "The token must name the user, with name, birth date and a contact or address, once.".into(),
            Self::Patient => "The Patient of the request is not the one that the token speaks of.".into(),
            Self::Attribute => {
                "Every name, birth date, address, telecom and identifier of the Patient must stand in what the token says of the user, and of the patient where it names one; of identifiers only a Digital Identifier may be new.".into()
            }
            Self::Profile(name) => format!("The Patient must meet the profile {name} or a higher one."),
            Self::Weight(weight) => {
                format!("Match request not sufficiently specific: the input weight must be at least {weight}.")
            }
            Self::UserWeight(weight) => {
                format!("The user is not the patient and must be described with a weight of at least {weight}.")
            }
        }
    }
}

/// Why stored data do not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withheld {
    /// Nobody of high confidence.
    NotFound,
    NotCertain,
    Ambiguous,
    StoredLevel,
    StoredExpired,
    Deceased,
    Restricted,
    /// The representative is nobody who is known here with high confidence.
    UserNotFound,
    UserLevel,
    /// No representation is on record.
    Representation,
}

impl Withheld {
    /// The code in the audit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::NotCertain => "not-certain",
            Self::Ambiguous => "ambiguous",
            Self::StoredLevel => "stored-level",
            Self::StoredExpired => "stored-expired",
            Self::Deceased => "deceased",
            Self::Restricted => "restricted",
            Self::UserNotFound => "user-not-found",
            Self::UserLevel => "user-level",
            Self::Representation => "representation",
        }
    }
}
