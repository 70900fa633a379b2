//! A person's own record: the Patient in context of an app that somebody has signed in for.
//!
//! SMART App Launch 2.2 leaves open how it is found. Here it is a Consumer Match on the verified attributes of the account,
//! under the same policy as one that a trusted system sends: this server is the system, and the person has signed in and
//! agreed. One identity of high confidence, or nobody. Not here: the match (see `match_patient`), the terms (`assurance`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::app::assured_match::{self, Held};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::people::account::Account;
use crate::assurance::decide::decide;
use crate::assurance::facts::{Account as Speaks, Age, Asked, Consent, Facts, Interaction, Profile, Statement, User};
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};
use crate::assurance::verdict::Verdict;
use crate::audit::AuditRecord;
use crate::auth::access_token::{Grant, Holder};
use crate::auth::open_id::SignedIn;
use crate::auth::scope::Scopes;
use crate::matching::grade::MatchGrade;
use crate::matching::pool::IdentityMatch;

use super::asserted::{Asserted, describe};
use super::granted::Granted;

/// The purpose of a person who asks for their own data (HL7 v3 ActReason).
const PATIENT_REQUEST: &str = "PATRQT";

/// The Patient in context, and the identity that it was of when it was bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRecord {
    pub identity_id: String,
    pub record_id: String,
}

impl OwnRecord {
    /// The best record that is the person's by itself: what stands in one identity by the word of others alone may be
    /// somebody else's, once they are split.
    fn of(identity: &IdentityMatch) -> Option<Self> {
        let record = identity.records.iter().find(|record| record.grade == MatchGrade::Certain)?;
        Some(Self { identity_id: identity.identity_id.clone(), record_id: record.record_id.clone() })
    }
}

impl App {
    /// The person's own Patient; `None` where the policy does not let it be looked for, or nobody is found with
    /// confidence, which the audit says.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn find_own_record(
        &self,
        ctx: &Context,
        account: &Account,
        signed_in: &SignedIn,
        audit: &mut AuditRecord,
    ) -> Result<Option<OwnRecord>, AppError> {
        Ok(self.match_own_attributes(ctx, account, signed_in, audit)?.and_then(|identity| OwnRecord::of(&identity)))
    }

    /// The same again for an app that had `bound`: records are corrected, identities merged and split, and a verification
    /// expires. `None` as well where it is another identity. The record stays the same as long as it is of that identity.
    ///
    /// No budget is charged, as for the first time: what is compared is what was verified of the account, which no app
    /// chooses, so nothing can be guessed by it.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn find_own_record_again(
        &self,
        ctx: &Context,
        account: &Account,
        signed_in: &SignedIn,
        bound: &OwnRecord,
        audit: &mut AuditRecord,
    ) -> Result<Option<OwnRecord>, AppError> {
        let found = self.match_own_attributes(ctx, account, signed_in, audit)?;
        Ok(found.filter(|identity| identity.identity_id == bound.identity_id).and_then(|identity| {
            let is_there = identity.records.iter().any(|record| record.record_id == bound.record_id);
            if is_there { Some(bound.clone()) } else { OwnRecord::of(&identity) }
        }))
    }

    fn match_own_attributes(
        &self,
        ctx: &Context,
        account: &Account,
        signed_in: &SignedIn,
        audit: &mut AuditRecord,
    ) -> Result<Option<IdentityMatch>, AppError> {
        let Some(described) = describe(&account.attributes, &self.rules) else { return Ok(None) };
        let granted = granted(account, signed_in, Arc::clone(&self.rules.assurance));
        let facts = facts(account, signed_in, described.weight, self.age_of(ctx, account));
        let verdict = decide(&facts, &granted.policy);
        audit.detail.verdict = Some(verdict.code().to_owned());
        let terms = match verdict {
            Verdict::Permit(terms) => terms,
            refused => {
                audit.detail.missing = refused.reasons().into_iter().map(str::to_owned).collect();
                return Ok(None);
            }
        };
        audit.detail.workflows.clone_from(&terms.workflows);
        let held = Held { granted: &granted, facts, terms, user: None };
        let selection = self.find_consumer(ctx, &account.attributes, &held, audit)?;
        let identity = selection.identities.into_iter().next();
        audit.detail.identities.extend(identity.iter().map(|identity| identity.identity_id.clone()));
        Ok(identity)
    }

    /// Whether what was verified of the person still counts.
    fn age_of(&self, ctx: &Context, account: &Account) -> Age {
        let parts = |date: crate::fhir::date::Date| (date.year(), date.month().unwrap_or(1), date.day().unwrap_or(1));
        let today = assured_match::day(ctx.now_us);
        today.map_or(Age::Expired, |today| self.rules.assurance.age(parts(account.verified_on), parts(today)))
    }
}

/// A verification that has expired is none.
fn facts(account: &Account, signed_in: &SignedIn, weight: u32, age: Age) -> Facts {
    let of_session = IdentityLevel::parse(&signed_in.acr).unwrap_or_default();
    let identity = if age == Age::Current { account.level.min(of_session) } else { IdentityLevel::default() };
    Facts {
        account: Speaks::Client,
        purposes: BTreeSet::from([PATIENT_REQUEST.to_owned()]),
        // Signing in here says of the user what these say of somebody who has signed in elsewhere.
        statements: BTreeSet::from([Statement::B2b, Statement::B2bUser]),
        consent: Consent::Recorded,
        identity,
        authentication: authentication(signed_in),
        asked: Some(Asked { profile: profile_of(identity), weight }),
        user: User::Patient,
        ..Facts::unknown(Interaction::Match)
    }
}

/// The profile whose assertion the account's level is.
fn profile_of(level: IdentityLevel) -> Profile {
    if level >= IdentityLevel::Idial2 {
        Profile::L2
    } else if level >= IdentityLevel::Idial1_8 {
        Profile::L1
    } else if level >= IdentityLevel::Idial1_5 {
        Profile::L0
    } else {
        Profile::Base
    }
}

fn authentication(signed_in: &SignedIn) -> AuthenticationLevel {
    AuthenticationLevel::highest(signed_in.amr.iter().map(String::as_str)).unwrap_or_default()
}

/// This server as a caller of itself.
fn granted(account: &Account, signed_in: &SignedIn, policy: Arc<crate::assurance::policy::Policy>) -> Granted {
    let grant = Grant {
        client_id: String::new(),
        community: Some(String::new()),
        organization_id: None,
        entity_type: None,
        purposes: vec![PATIENT_REQUEST.to_owned()],
        scopes: Scopes::default(),
        identity_level: account.level,
        authentication_level: authentication(signed_in),
        extensions: BTreeMap::new(),
        token_id: String::new(),
        expires_us: 0,
        subject: None,
        patient: None,
        holder: Holder::Client,
    };
    Granted::new(grant, Asserted { consent: Consent::Recorded, ..Asserted::default() }, policy)
}
