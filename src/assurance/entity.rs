//! What kind of organisation a client belongs to, as its community's configuration says.
//!
//! Why: treatment, payment and operations are for covered entities and those who act for them (45 CFR 160.103); an app that
//! acts for a person is neither, and gets one identity or none. Not here: which type may do what.

use std::fmt;

/// A type of entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityType {
    /// A provider, a health plan or a clearinghouse under HIPAA.
    CoveredEntity,
    /// Acts for a covered entity by contract.
    BusinessAssociate,
    /// Acts for the person whose data are asked for: individual access services, apps of consumers.
    IndividualAccess,
    PublicHealth,
    /// None of these.
    Other,
}

impl EntityType {
    pub const ALL: [Self; 5] =
        [Self::CoveredEntity, Self::BusinessAssociate, Self::IndividualAccess, Self::PublicHealth, Self::Other];

    /// The code in configuration, tokens and the audit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CoveredEntity => "covered-entity",
            Self::BusinessAssociate => "business-associate",
            Self::IndividualAccess => "individual-access",
            Self::PublicHealth => "public-health",
            Self::Other => "other",
        }
    }

    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written_and_in_no_other_way() {
        for kind in EntityType::ALL {
            assert_eq!(EntityType::parse(kind.code()), Some(kind));
            assert_eq!(EntityType::parse(&kind.code().to_uppercase()), None);
        }
        assert_eq!(EntityType::parse(""), None);
    }
}
