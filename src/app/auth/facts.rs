//! From a granted token to the facts that the policy decides on.
//!
//! Not here: the words of a request to match, which the use case adds.

use std::collections::BTreeSet;

use crate::assurance::entity::EntityType;
use crate::assurance::facts::{Account, Facts, Interaction, Registration, Statement};
use crate::assurance::policy::Policy;
use crate::assurance::verdict::Elements;
use crate::auth::access_token::Grant;
use crate::auth::community::purpose_code;
use crate::fhir::disclosure::Disclosure;

use super::granted::Granted;

/// What is known of a caller who asks for this on this account.
#[must_use]
pub fn of(granted: &Granted, account: Account, interaction: Interaction) -> Facts {
    Facts { account, consent: granted.asserted.consent, ..of_grant(&granted.grant, interaction) }
}

fn of_grant(grant: &Grant, interaction: Interaction) -> Facts {
    let has = |statement: &Statement| grant.extensions.contains_key(statement.code());
    Facts {
        registration: grant.community.clone().map_or(Registration::Operator, Registration::Community),
        entity: grant.entity_type.unwrap_or(EntityType::Other),
        purposes: purposes(&grant.purposes),
        statements: Statement::ALL.into_iter().filter(has).collect(),
        identity: grant.identity_level,
        authentication: grant.authentication_level,
        ..Facts::unknown(interaction)
    }
}

/// A purpose of another code system keeps its whole text, which is a purpose of no workflow.
fn purposes(texts: &[String]) -> BTreeSet<String> {
    texts.iter().map(|text| purpose_code(text).unwrap_or(text).to_owned()).collect()
}

/// What of a person's record may leave to the bearer of a grant: what every workflow lets out that it calls for.
#[must_use]
pub fn disclosure(policy: &Policy, grant: &Grant) -> Disclosure {
    let facts = of_grant(grant, Interaction::Read);
    let workflows = policy.called_for(&facts);
    let own = policy.own().filter(|_| grant.patient.is_some()).map(|own| &own.elements);
    if workflows.is_empty() && own.is_none() {
        return Disclosure::only(Vec::<String>::new());
    }
    let returns = workflows.iter().map(|workflow| &workflow.returns_to(&facts.registration).elements);
    match returns.chain(own).fold(Elements::All, Elements::and) {
        Elements::All => Disclosure::full(),
        Elements::Only(elements) => Disclosure::only(elements),
    }
}
