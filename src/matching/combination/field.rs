//! The fields that combinations are made of, and sets of them.
//!
//! Not here: their probabilities (see `book`), their values (see `values`).

use serde::Deserialize;

/// What of two people is compared. The names in the data file are those of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Field {
    FirstName,
    LastName,
    BirthDate,
    StreetLine,
    /// A street line that is no institution's.
    ResidenceLine,
    Zip,
    City,
    State,
    Phone,
    Email,
    #[serde(rename = "ssn_last_4")]
    SsnLast4,
    #[serde(rename = "itin_last_4")]
    ItinLast4,
    Mbi,
    /// Licence, state id or passport, with its issuer.
    LegalId,
    MemberId,
    SubscriberId,
    NamespaceId,
    /// The guardian of whom the person is a child by a clinical record, by a namespace id of the guardian's own.
    Guardian,
    /// Both sides have a clinical record of being somebody's child.
    ChildOf,
    Mother,
    NewbornOf,
    /// The number of the birth itself, under its system.
    BirthEncounter,
}

impl Field {
    pub const ALL: [Self; 22] = [
        Self::FirstName,
        Self::LastName,
        Self::BirthDate,
        Self::StreetLine,
        Self::ResidenceLine,
        Self::Zip,
        Self::City,
        Self::State,
        Self::Phone,
        Self::Email,
        Self::SsnLast4,
        Self::ItinLast4,
        Self::Mbi,
        Self::LegalId,
        Self::MemberId,
        Self::SubscriberId,
        Self::NamespaceId,
        Self::Guardian,
        Self::ChildOf,
        Self::Mother,
        Self::NewbornOf,
        Self::BirthEncounter,
    ];

    /// The code in answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FirstName => "first-name",
            Self::LastName => "last-name",
            Self::BirthDate => "birth-date",
            Self::StreetLine => "street-line",
            Self::ResidenceLine => "residence-line",
            Self::Zip => "zip",
            Self::City => "city",
            Self::State => "state",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::SsnLast4 => "ssn-last-4",
            Self::ItinLast4 => "itin-last-4",
            Self::Mbi => "mbi",
            Self::LegalId => "legal-id",
            Self::MemberId => "member-id",
            Self::SubscriberId => "subscriber-id",
            Self::NamespaceId => "namespace-id",
            Self::Guardian => "guardian",
            Self::ChildOf => "child-of",
            Self::Mother => "mother",
            Self::NewbornOf => "newborn-of",
            Self::BirthEncounter => "birth-encounter",
        }
    }

    /// Whether it can be near without being equal, and so be starred.
    #[must_use]
    pub const fn may_be_fuzzy(self) -> bool {
        matches!(self, Self::FirstName | Self::LastName | Self::BirthDate | Self::StreetLine)
    }
}

/// A set of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields(u32);

impl Fields {
    pub const EMPTY: Self = Self(0);

    #[must_use]
    pub const fn one(field: Field) -> Self {
        Self(1 << field as u8)
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub const fn has(self, field: Field) -> bool {
        self.0 & 1 << field as u8 != 0
    }

    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    pub fn add(&mut self, field: Field) {
        *self = self.with(Self::one(field));
    }

    /// In the order of [`Field::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.has(*field))
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        fields.into_iter().fold(Self::EMPTY, |all, field| all.with(Self::one(field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_place_of_its_own_and_a_code_of_its_own() {
        let all: Fields = Field::ALL.into_iter().collect();
        assert_eq!(all.count() as usize, Field::ALL.len());
        assert_eq!(all.iter().collect::<Vec<_>>(), Field::ALL);
        let mut codes: Vec<&str> = Field::ALL.iter().map(|field| field.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Field::ALL.len());
    }
}
