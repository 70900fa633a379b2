//! What audit rows say of a client and of what it was granted or asked for: of tokens, and of requests with them.
//!
//! Ids, codes and digests; of the authorization the policies and the references as they were stated. Not here: the row
//! itself (see `audit`).

use crate::assurance::facts::Statement;
use crate::audit::Detail;
use crate::auth::access_token::Grant;
use crate::auth::community::purpose_code;
use crate::auth::extension::{Extensions, TokenContext};
use crate::store::client::ClientRow;

use std::collections::BTreeMap;

/// The policies that a person has agreed to and what documents it, as a token request states them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatedConsent {
    pub policies: Vec<String>,
    pub references: Vec<String>,
}

impl StatedConsent {
    #[must_use]
    pub fn of(context: &TokenContext) -> Self {
        let b2b = context.b2b.as_ref().map(|one| (&one.consent_policy, &one.consent_reference));
        let user = context.b2b_user.as_ref().map(|one| (&one.consent_policy, &one.consent_reference));
        let tefca = context.tefca_ias.as_ref().map(|one| (&one.consent_policy, &one.consent_reference));
        Self::merged([b2b, user, tefca])
    }

    fn of_extensions(extensions: &Extensions) -> Self {
        let b2b = extensions.b2b.as_ref().map(|one| (&one.consent_policy, &one.consent_reference));
        let user = extensions.b2b_user.as_ref().map(|one| (&one.consent_policy, &one.consent_reference));
        let tefca = extensions.tefca_ias.as_ref().map(|one| (&one.consent_policy, &one.consent_reference));
        Self::merged([b2b, user, tefca])
    }

    /// Each once, in the order of the objects.
    fn merged(stated: [Option<(&Vec<String>, &Vec<String>)>; 3]) -> Self {
        let mut consent = Self::default();
        for (policies, references) in stated.into_iter().flatten() {
            add(&mut consent.policies, policies);
            add(&mut consent.references, references);
        }
        consent
    }

    pub fn note(&self, detail: &mut Detail) {
        detail.consent_policy.clone_from(&self.policies);
        detail.consent_reference.clone_from(&self.references);
    }
}

fn add(list: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !list.contains(text) {
            list.push(text.clone());
        }
    }
}

/// The client that was authenticated.
pub fn note_client(detail: &mut Detail, client: &ClientRow) {
    detail.client_id = Some(client.client_id.clone());
    detail.community = (!client.community.is_empty()).then(|| client.community.clone());
}

/// What a token request states, be it granted or not.
pub fn note_stated(detail: &mut Detail, extensions: &Extensions) {
    if let Some(b2b) = &extensions.b2b {
        detail.organization_id = Some(b2b.organization_id.clone());
        let purposes = b2b.purpose_of_use.iter().filter_map(|purpose| purpose_code(purpose));
        detail.purposes = purposes.map(str::to_owned).collect();
    }
    detail.user = user_digest(&extensions.digests).map(str::to_owned);
    StatedConsent::of_extensions(extensions).note(detail);
}

/// What a token grants, and to whom.
pub fn note_grant(detail: &mut Detail, grant: &Grant) {
    detail.client_id = Some(grant.client_id.clone());
    detail.community.clone_from(&grant.community);
    detail.organization_id.clone_from(&grant.organization_id);
    detail.entity_type = grant.entity_type.map(|entity| entity.code().to_owned());
    detail.purposes.clone_from(&grant.purposes);
    // Of a person who has signed in here, the account, which names nobody.
    detail.user = user_digest(&grant.extensions).map(str::to_owned).or_else(|| grant.subject.clone());
    detail.identity_level = Some(grant.identity_level.uri().to_owned());
    detail.authentication_level = Some(grant.authentication_level.uri().to_owned());
    detail.token = Some(grant.token_id.clone());
}

/// The digest of what says who the user is.
fn user_digest(extensions: &BTreeMap<String, String>) -> Option<&str> {
    let of_user = Statement::ALL.into_iter().filter(|statement| statement.is_about_user());
    of_user.into_iter().find_map(|statement| extensions.get(statement.code())).map(String::as_str)
}
