//! What the extensions of a token request say of persons and their authorization, in the words of the policy.
//!
//! Not here: whether they are well-formed and genuine (see `auth::extension`, `auth::id_token`).

use serde_json::Value as Json;

use crate::assurance::facts::Consent;
use crate::auth::extension::TokenContext;
use crate::profile::idi::strict_weight;

use super::super::rules::Rules;
use super::claims::patient_of;
use super::person::{Described, Oneself, Persons, record_of};

/// Whether the person's authorization is recorded with the request: the policies that the person has agreed to.
#[must_use]
pub fn consent(context: &TokenContext) -> Consent {
    let policies = [
        context.b2b.as_ref().map(|b2b| &b2b.consent_policy),
        context.b2b_user.as_ref().map(|user| &user.consent_policy),
        context.tefca_ias.as_ref().map(|tefca| &tefca.consent_policy),
    ];
    if policies.into_iter().flatten().any(|policies| !policies.is_empty()) { Consent::Recorded } else { Consent::Missing }
}

/// The persons that the extensions describe.
#[must_use]
pub fn persons(context: &TokenContext, rules: &Rules) -> Persons {
    let described = |person: &Json| {
        let text = person.to_string();
        let record = record_of(&text, &rules.normaliser)?;
        Some(Described { record, weight: strict_weight(&rules.profiles, &text) })
    };
    let user_person = context.b2b_user.as_ref().map(|user| &user.user_person);
    let user_information = context.tefca_ias.as_ref().map(|tefca| &tefca.user_information);
    let of_id_token = context.id_token.as_ref().map(|token| patient_of(&token.claims));
    let users = [user_person, user_information, of_id_token.as_ref()];
    let patient = context.tefca_ias.as_ref().map(|tefca| &tefca.patient_information);
    Persons {
        users: users.into_iter().flatten().filter_map(described).collect(),
        patients: patient.into_iter().filter_map(described).collect(),
        oneself: context.tefca_ias.as_ref().map_or(Oneself::Unsaid, |tefca| {
            if tefca.is_oneself() { Oneself::Yes } else { Oneself::No }
        }),
    }
}
