//! What the extensions of a token request say of persons and of their authorization, as far as the policy asks.
//!
//! Not here: whether they are well-formed and genuine (see `auth`), comparing persons (see `person`).

use std::fmt;

use serde_json::Value as Json;

use crate::assurance::facts::Consent;
use crate::auth::extension::TokenContext;
use crate::auth::extension::tefca_ias::TefcaIas;
use crate::fhir::json::{Limits, parse};
use crate::fhir::name_text;
use crate::matching::record::Record;
use crate::profile::input_weight::weigh;

use super::super::rules::Rules;
use super::account::StatedConsent;
use super::claims::patient_of;
use super::person::{Described, Oneself, Persons};

/// The persons of a transaction as FHIR Patient, Person or RelatedPerson, and whether it is authorised.
#[derive(Clone, Default)]
pub struct Asserted {
    /// Whether the person has agreed to policies that are named with the request.
    pub consent: Consent,
    /// These policies, and what documents the agreement, for the audit.
    pub stated_consent: StatedConsent,
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
    /// What was asserted when a token was issued. `cms_smart` names no policies: they stand in the objects beside it.
    #[must_use]
    pub fn of(context: &TokenContext) -> Self {
        let stated_consent = StatedConsent::of(context);
        let is_authorised = !stated_consent.policies.is_empty();
        let tefca = context.tefca_ias.as_ref();
        let user_person = context.b2b_user.as_ref().map(|user| user.user_person.clone());
        let user_information = tefca.map(|tefca| tefca.user_information.clone());
        let of_id_token = context.id_token.as_ref().map(|token| patient_of(&token.claims));
        Self {
            consent: if is_authorised { Consent::Recorded } else { Consent::Missing },
            stated_consent,
            users: [user_person, user_information, of_id_token].into_iter().flatten().collect(),
            patients: tefca.map(|tefca| tefca.patient_information.clone()).into_iter().collect(),
            oneself: match tefca.map(TefcaIas::is_oneself) {
                None => Oneself::Unsaid,
                Some(true) => Oneself::Yes,
                Some(false) => Oneself::No,
            },
        }
    }

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
