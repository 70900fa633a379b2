//! What the extensions of a token request say of persons and of their authorization, as far as the policy asks.
//!
//! Not here: whether they are well-formed and genuine (see `auth`), comparing persons (see `person`).

use std::fmt;

use serde_json::Value as Json;

use crate::assurance::facts::Consent;
use crate::fhir::json::{Limits, parse};
use crate::fhir::name_text;
use crate::matching::record::Record;
use crate::profile::input_weight::weigh;

use super::super::rules::Rules;
use super::person::{Described, Oneself, Persons};

/// The persons of a transaction as FHIR Patient, Person or RelatedPerson, and whether it is authorised.
#[derive(Clone, Default)]
pub struct Asserted {
    /// Whether the person has agreed to policies that are named with the request.
    pub consent: Consent,
    /// Each statement about the user: `user_person`, `user_information`, the claims of the identity token.
    pub users: Vec<Json>,
    /// Each statement about the patient: `patient_information`.
    pub patients: Vec<Json>,
    pub oneself: Oneself,
}

/// Nothing of a person is shown.
impl fmt::Debug for Asserted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asserted").field("consent", &self.consent).finish_non_exhaustive()
    }
}

impl Asserted {
    /// The persons as they are compared.
    #[must_use]
    pub fn persons(&self, rules: &Rules) -> Persons {
        let described = |people: &[Json]| people.iter().filter_map(|person| describe(person, rules)).collect();
        Persons { users: described(&self.users), patients: described(&self.patients), oneself: self.oneself }
    }
}

/// The record of a FHIR Patient, Person or RelatedPerson, in which names, telecoms, addresses, identifiers and birth date
/// have the same form, and the strict weight of the description.
#[must_use]
pub fn describe(person: &Json, rules: &Rules) -> Option<Described> {
    let text = person.to_string();
    let person = parse(text.as_bytes(), &Limits::DEFAULT).ok()?;
    let (person, _) = name_text::complete(person);
    let weight = weigh(&person, rules.profiles.weights()).total;
    Some(Described { record: Record::from_patient(&person, &rules.normaliser), weight })
}
