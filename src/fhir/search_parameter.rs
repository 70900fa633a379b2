//! The search parameters of what is served, and the values under which a document is found (FHIR R4 Search).
//!
//! What: one table (`table`) that indexing, searching and the CapabilityStatement share, and the extraction of a
//! document's values by it (`extract`). Not here: reading a search request, the tables of the database.

mod extract;
mod table;

pub use self::extract::{contact_key, phonetic_codes, reference_target, search_values, too_many};
use self::table::TABLES;

/// Which version of the table made a resource's search values. Values of an older one are made again at the next start.
pub const SEARCH_VERSION: i32 = 2;

/// How a parameter is compared (FHIR R4 Search, parameter types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    String,
    Token,
    Date,
    Reference,
}

impl SearchKind {
    /// The code in a CapabilityStatement.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Token => "token",
            Self::Date => "date",
            Self::Reference => "reference",
        }
    }
}

/// One search parameter of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchParameter {
    /// Names the parameter in the database; a number is never given to another parameter.
    pub number: i16,
    pub resource_type: &'static str,
    pub name: &'static str,
    pub kind: SearchKind,
    /// Other parameters whose values are found by this one too: `name` finds what `family` finds.
    pub includes: &'static [i16],
    /// The types that a reference may be to.
    pub targets: &'static [&'static str],
    sources: &'static [Source],
}

impl SearchParameter {
    /// The numbers under which the values of this parameter are stored.
    #[must_use]
    pub fn numbers(&self) -> Vec<i16> {
        let own = (!self.sources.is_empty()).then_some(self.number);
        own.into_iter().chain(self.includes.iter().copied()).collect()
    }

    /// Whether values are compared by how they sound.
    #[must_use]
    pub fn is_phonetic(&self) -> bool {
        self.sources.iter().any(|source| source.form == Form::Phonetic)
    }

    /// Whether values are compared as contact points are: without case and punctuation.
    #[must_use]
    pub fn is_contact(&self) -> bool {
        self.sources.iter().any(|source| matches!(source.form, Form::Contact(_)))
    }
}

/// Where in a document values of a parameter stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    /// Members separated by dots; a repeating element is taken whole.
    path: &'static str,
    form: Form,
}

/// What stands there, and what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A string; also found from the beginning of each of its words.
    Text,
    /// A string, by the sound of each of its words.
    Phonetic,
    /// A code of this system.
    Code(&'static str),
    Boolean,
    /// `Patient.deceased[x]`: whether the person is dead, which a date says too.
    Deceased,
    Coding,
    CodeableConcept,
    Identifier,
    /// A ContactPoint of one of these systems; of any other when there is none.
    Contact(&'static [&'static str]),
    /// A Reference to one of the parameter's targets.
    Reference,
    /// A Reference in which only these types count.
    ReferenceTo(&'static str),
    /// `date`, `dateTime` or `instant`.
    Date,
    Period,
}

/// The search parameters of a type, beside those that every type has.
#[must_use]
pub fn of_type(resource_type: &str) -> &'static [SearchParameter] {
    TABLES.iter().find(|(known, _)| *known == resource_type).map_or(&[], |(_, parameters)| parameters)
}

/// The parameter of that name.
#[must_use]
pub fn find(resource_type: &str, name: &str) -> Option<&'static SearchParameter> {
    of_type(resource_type).iter().find(|known| known.name == name)
}

/// The parameter of that number.
#[must_use]
pub fn of_number(number: i16) -> Option<&'static SearchParameter> {
    TABLES.iter().flat_map(|(_, parameters)| *parameters).find(|known| known.number == number)
}

/// References of any type that may be to `target`, for `_revinclude`.
pub fn references_to(target: &str) -> impl Iterator<Item = &'static SearchParameter> {
    let all = TABLES.iter().flat_map(|(_, parameters)| *parameters);
    // What events are about is not stored with the references.
    let is_stored = |known: &&SearchParameter| known.resource_type != "AuditEvent";
    all.filter(is_stored).filter(move |known| known.kind == SearchKind::Reference && known.targets.contains(&target))
}

/// What a document is found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchValues {
    pub strings: Vec<StringValue>,
    pub tokens: Vec<TokenValue>,
    pub dates: Vec<DateValue>,
    /// Labelled so: by this it is not found by everybody.
    pub is_restricted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StringValue {
    pub parameter: i16,
    /// Folded: without case and accents.
    pub value: String,
    /// As received, for `:exact` and for order; empty for a part of a text, by which it is only found.
    pub exact: String,
}

/// A token, or a reference: then the system is the type and the value the id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenValue {
    pub parameter: i16,
    /// Empty when there is none.
    pub system: String,
    pub value: String,
}

/// The first and the last microsecond that a date or time may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateValue {
    pub parameter: i16,
    pub lo_us: i64,
    pub hi_us: i64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_and_every_name_of_a_type_is_given_once() {
        let mut numbers = BTreeSet::new();
        for (resource_type, parameters) in TABLES {
            let mut names = BTreeSet::new();
            for parameter in *parameters {
                assert_eq!(parameter.resource_type, *resource_type, "{}", parameter.name);
                assert!(numbers.insert(parameter.number), "{resource_type} {}", parameter.name);
                assert!(names.insert(parameter.name), "{resource_type} {}", parameter.name);
            }
        }
    }

    #[test]
    fn what_a_parameter_includes_is_of_its_type_and_kind_and_is_stored() {
        for (_, parameters) in TABLES {
            for parameter in *parameters {
                assert!(!parameter.numbers().is_empty(), "{}", parameter.name);
                assert_eq!(
                    parameter.kind == SearchKind::Reference,
                    !parameter.targets.is_empty(),
                    "{}",
                    parameter.name
                );
                for number in parameter.includes {
                    let included = of_number(*number).expect("a known number");
                    assert_eq!(included.resource_type, parameter.resource_type, "{}", parameter.name);
                    assert_eq!(included.kind, parameter.kind, "{}", parameter.name);
                    assert!(!included.sources.is_empty(), "{}", parameter.name);
                }
            }
        }
    }

    #[test]
    fn numbers_that_were_released_stay() {
        for (number, resource_type, name) in [
            (1, "Patient", "identifier"),
            (2, "Patient", "family"),
            (3, "Patient", "given"),
            (4, "Patient", "birthdate"),
            (40, "Organization", "identifier"),
            (70, "RelatedPerson", "identifier"),
            (100, "Person", "identifier"),
            (140, "Consent", "identifier"),
            (170, "Provenance", "target"),
            (200, "Task", "identifier"),
        ] {
            assert_eq!(find(resource_type, name).map(|known| known.number), Some(number), "{resource_type} {name}");
        }
    }
}
