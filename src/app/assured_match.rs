//! What the policy demands of a match beside the guide's grades: the terms of the request, Consumer Match, representation.
//!
//! Identity Matching guide, Consumer Match. What the request and its token lack is told; what stored data stand against is
//! answered like "nobody is known" and noted in the audit. Not here: the decision (see `assurance`), finding and grading
//! (see `match_patient`).

use serde_json::Value as Json;

use crate::assurance::decide::decide;
use crate::assurance::facts::{
    Age, Asked as Words, Condition, Confidence, Facts, Interaction, Profile, Representation, Stored, Verified,
};
use crate::assurance::level::IdentityLevel;
use crate::assurance::policy::Policy;
use crate::assurance::verdict::{Identities, Missing, Terms, Unverified, Verdict};
use crate::audit::AuditRecord;
use crate::config::Match;
use crate::fhir::date::Date;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::label::restricts;
use crate::fhir::match_parameters::{MatchParameters, RuleBook};
use crate::fhir::search_parameter;
use crate::matching::record::Record;
use crate::profile::idi::{IdiProfile, IdiValidation};
use crate::store::body::load;
use crate::store::constraint::SearchConstraint;
use crate::store::record::RecordRow;
use crate::store::reference::{self, Sought};

use super::App;
use super::auth::access::MATCH;
use super::auth::asserted::describe;
use super::auth::facts;
use super::auth::granted::Granted;
use super::auth::person::{Agreement, compare, relation};
use super::clock::instant;
use super::context::{Caller, Context};
use super::error::{AppError, ErrorKind};
use super::search::bytes;
use super::select::{Reason, Selection};

/// RelatedPersons of one patient that are looked at.
const REPRESENTATIVES_MAX: usize = 100;

/// A request that is held to the terms of the policy.
pub struct Held<'c> {
    pub granted: &'c Granted,
    pub facts: Facts,
    pub terms: Terms,
    /// The user, as described.
    pub user: Option<Record>,
}

/// What the store says of the one identity that would be returned.
#[derive(Debug, Clone, Copy)]
pub struct Assured {
    pub confidence: Confidence,
    pub verified: Verified,
    pub condition: Condition,
}

impl App {
    /// Decides on what the request and its token say; `None` where nobody has to be asked.
    ///
    /// # Errors
    /// `Forbidden`, or `Unprocessable` where only the words of the request fall short, with what is missing.
    pub(super) fn hold<'c>(
        &self,
        ctx: &'c Context,
        judged: &IdiValidation,
        patient: &Record,
        audit: &mut AuditRecord,
    ) -> Result<Option<Held<'c>>, AppError> {
        let granted = match &ctx.caller {
            Caller::Open => return Ok(None),
            Caller::Anonymous => return Err(AppError::no_token()),
            Caller::Client(granted) => granted,
        };
        granted.asserted.stated_consent.note(&mut audit.detail);
        let account = MATCH.ask("").and_then(|ask| granted.account_for(&ask));
        let account = account.ok_or_else(|| AppError::not_authorized(&[Missing::Account]))?;
        let persons = granted.asserted.persons(&self.rules);
        let facts = Facts {
            asked: Some(Words { profile: profile(judged.claimed), weight: judged.weight.total }),
            user: relation(&persons, patient),
            ..facts::of(granted, account, Interaction::Match)
        };
        let verdict = decide(&facts, &granted.policy);
        audit.detail.verdict = Some(verdict.code().to_owned());
        match verdict {
            Verdict::Permit(terms) => {
                audit.detail.workflows.clone_from(&terms.workflows);
                let user = persons.user();
                Ok(Some(Held { granted, facts, terms, user }))
            }
            Verdict::Refuse(missing) => Err(refused(&missing, judged)),
            // Nothing stored was asked yet.
            Verdict::Withhold(_) => Err(AppError::internal()),
        }
    }

    /// Decides again, now on what is stored, and takes back what may not be returned.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn settle_consumer(
        &self,
        held: &Held<'_>,
        today: Date,
        user: Option<Assured>,
        selection: &mut Selection,
        audit: &mut AuditRecord,
    ) -> Result<(), AppError> {
        let assured = selection.assured.unwrap_or(NOBODY);
        let user = user.unwrap_or(NOBODY);
        let is_known = assured.confidence == Confidence::High && user.confidence == Confidence::High;
        let representation = match &held.user {
            Some(user) if is_known => self.representation(held, user, selection, today)?,
            _ => Representation::Missing,
        };
        let stored = Stored {
            confidence: assured.confidence,
            verified: assured.verified,
            condition: assured.condition,
            user_confidence: user.confidence,
            user_verified: user.verified,
            representation,
        };
        let facts = Facts { stored: Some(stored), ..held.facts.clone() };
        let verdict = decide(&facts, &held.granted.policy);
        if !matches!(verdict, Verdict::Permit(_)) {
            audit.detail.missing = verdict.reasons().into_iter().map(str::to_owned).collect();
            selection.clear();
        }
        audit.detail.verdict = Some(verdict.code().to_owned());
        // Whatever could tell one reason for nobody from another.
        selection.reasons.clear();
        Ok(())
    }

    /// Whether a stored RelatedPerson of the patient is the user and may act for the patient today.
    fn representation(
        &self,
        held: &Held<'_>,
        user: &Record,
        selection: &Selection,
        today: Date,
    ) -> Result<Representation, AppError> {
        let records = selection.identities.iter().flat_map(|identity| &identity.records);
        let ids: Vec<&str> = records.map(|record| record.record_id.as_str()).collect();
        let Some(of_patient) = search_parameter::find("RelatedPerson", "patient") else {
            return Err(AppError::internal());
        };
        let bytes_max = bytes(self.config.limits.page_bytes_max);
        let conn = &mut *self.connection()?;
        // Whatever is on record counts here; it is not shown.
        let constraint = &SearchConstraint::NONE;
        let sought = Sought { source: "RelatedPerson", constraint, resource_type: "Patient" };
        let heads = reference::list_sources(conn, &[of_patient.number], sought, &ids, REPRESENTATIVES_MAX, bytes_max)?;
        let heads = heads.into_iter().filter(|head| head.resource_type == "RelatedPerson").collect();
        let is_representative = |body: &str| {
            let Ok(related) = serde_json::from_str::<Json>(body) else { return false };
            let is_user =
                || describe(&related, &self.rules).is_some_and(|one| compare(&one.record, user) == Agreement::Same);
            may_represent(&related, &held.granted.policy, today) && is_user()
        };
        let found = load(conn, heads)?.iter().any(|related| !related.deleted && is_representative(&related.body));
        Ok(if found { Representation::Recorded } else { Representation::Missing })
    }
}

const NOBODY: Assured = Assured {
    confidence: Confidence::None,
    verified: Verified { level: IdentityLevel::Idial1, age: Age::Expired },
    condition: Condition::Living,
};

const fn profile(claimed: Option<IdiProfile>) -> Profile {
    match claimed {
        None | Some(IdiProfile::Base) => Profile::Base,
        Some(IdiProfile::L0) => Profile::L0,
        Some(IdiProfile::L1) => Profile::L1,
        Some(IdiProfile::L2) => Profile::L2,
    }
}

/// The refusal with the breakdown of the weight, where the weight is part of it (IG Patient Matching, errors).
fn refused(missing: &[Missing], judged: &IdiValidation) -> AppError {
    let mut error = AppError::not_authorized(missing);
    if error.kind == ErrorKind::Forbidden {
        for issue in &mut error.issues {
            issue.diagnostics.insert_str(0, "Match request not authorized. ");
        }
    }
    if missing.iter().any(Missing::is_of_content) {
        error.issues.extend(judged.weight.issues());
    }
    error
}

/// The options of a request as the terms have them.
pub fn hold_to(terms: &Terms, parameters: &mut MatchParameters<'_>) {
    parameters.only_certain_matches |= terms.identities >= Identities::Certain;
    if terms.identities == Identities::HighConfidence {
        parameters.only_single_match = true;
        // The guide's grades decide on a Consumer Match.
        parameters.rule_book = Some(RuleBook::Idi);
    }
}

/// The limits of an answer under terms.
#[must_use]
pub fn limits(terms: &Terms, configured: &Match) -> Match {
    let identities_max = terms.identities_max.unwrap_or(configured.identities_max).min(configured.identities_max);
    let golden_record = configured.golden_record && terms.identities != Identities::HighConfidence;
    Match { golden_record, identities_max, ..configured.clone() }
}

/// How the person on a record was verified.
#[must_use]
pub fn verified(policy: &Policy, row: &RecordRow, today: Date) -> Verified {
    let level = row.verification_level.as_deref().and_then(IdentityLevel::parse).unwrap_or_default();
    let verified_on = row.verified_on.as_deref().and_then(Date::parse).filter(Date::is_full);
    let age = verified_on.map_or(Age::Expired, |date| policy.age(parts(date), parts(today)));
    Verified { level, age }
}

/// Takes out of a selection what is restricted, and what is not verified where the terms withhold that; the number of
/// records that stay and are not verified is noted.
pub fn keep_to(terms: &Terms, policy: &Policy, today: Date, selection: &mut Selection, rows: &[RecordRow]) {
    let row_of = |id: &str| rows.iter().find(|row| row.id == id);
    let is_verified = |id: &str| row_of(id).is_some_and(|row| terms.stored.is_met_by(verified(policy, row, today)));
    let restricted = selection.bodies.iter().filter(|(_, body)| condition(body) == Condition::Restricted);
    let restricted: Vec<String> = restricted.map(|(id, _)| id.clone()).collect();
    let is_kept = |id: &str| {
        let is_restricted = restricted.iter().any(|one| one == id);
        !is_restricted && (terms.stored.unverified == Unverified::Warn || is_verified(id))
    };
    selection.retain_records(is_kept);
    selection.unverified = selection.record_ids().filter(|id| !is_verified(id)).count();
}

/// Whether a record may be part of a golden record under terms: one that could be returned itself.
#[must_use]
pub fn may_show(held: &Held<'_>, today: Date, row: &RecordRow, body: &str) -> bool {
    let (terms, policy) = (&held.terms, &held.granted.policy);
    let is_verified = || terms.stored.is_met_by(verified(policy, row, today));
    !is_restricted(body) && (terms.stored.unverified == Unverified::Warn || is_verified())
}

/// What the store says of the one identity that was selected; only its verified records stay. `is_certain_by` says whether
/// these alone would be graded certain: what nobody has verified must not make a match.
pub fn assure(
    terms: &Terms,
    policy: &Policy,
    today: Date,
    selection: &mut Selection,
    rows: &[RecordRow],
    is_certain_by: impl FnOnce(&[&str]) -> bool,
) -> Assured {
    if selection.identities.is_empty() {
        return Assured { confidence: why_nobody(selection), ..NOBODY };
    }
    let is_cut = selection.reasons.contains(&Reason::RecordsCut);
    let worst = selection.bodies.iter().map(|(_, body)| condition(body)).max();
    // A record that was not read may be restricted.
    let condition = if is_cut { Condition::Restricted } else { worst.unwrap_or(Condition::Restricted) };
    let shown: Vec<String> = selection.record_ids().map(str::to_owned).collect();
    let of_shown = rows.iter().filter(|row| shown.contains(&row.id));
    let judged: Vec<(&RecordRow, Verified)> = of_shown.map(|row| (row, verified(policy, row, today))).collect();
    let met: Vec<&str> =
        judged.iter().filter(|(_, found)| terms.stored.is_met_by(*found)).map(|(row, _)| row.id.as_str()).collect();
    let best = judged.iter().map(|(_, found)| *found).max_by_key(|found| (terms.stored.is_met_by(*found), found.level));
    let is_certain = met.is_empty() || is_certain_by(&met);
    selection.retain_records(|id| met.contains(&id));
    Assured {
        confidence: if is_certain { Confidence::High } else { Confidence::Low },
        verified: best.unwrap_or(NOBODY.verified),
        condition,
    }
}

fn why_nobody(selection: &Selection) -> Confidence {
    if selection.reasons.contains(&Reason::Ambiguous) {
        Confidence::Ambiguous
    } else if selection.reasons.contains(&Reason::NotCertain) {
        Confidence::Low
    } else {
        Confidence::None
    }
}

/// Whether a stored resource is labelled as restricted.
#[must_use]
pub fn is_restricted(body: &str) -> bool {
    condition(body) == Condition::Restricted
}

/// What forbids to show a stored Patient: death to persons, a label to everybody.
fn condition(body: &str) -> Condition {
    let Ok(patient) = serde_json::from_str::<Json>(body) else { return Condition::Restricted };
    let labels = patient["meta"]["security"].as_array().map_or(&[][..], Vec::as_slice);
    let is_restricted = labels.iter().filter_map(|label| label["code"].as_str()).any(restricts);
    let is_dead = patient["deceasedBoolean"] == true || !patient["deceasedDateTime"].is_null();
    match (is_restricted, is_dead) {
        (true, _) => Condition::Restricted,
        (false, true) => Condition::Deceased,
        (false, false) => Condition::Living,
    }
}

/// Whether a RelatedPerson is one who may act for the patient today: of a relationship that the policy names, in force.
fn may_represent(related: &Json, policy: &Policy, today: Date) -> bool {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let codings = list(&related["relationship"]).into_iter().flat_map(|concept| list(&concept["coding"]));
    let is_named =
        codings.into_iter().any(|coding| coding["code"].as_str().is_some_and(|code| policy.represents(code)));
    let today = today.to_string();
    // A shorter date is a longer time: its beginning or end counts as written.
    let begun =
        related["period"]["start"].as_str().is_none_or(|start| start.get(..10).unwrap_or(start) <= today.as_str());
    let lasts = related["period"]["end"].as_str().is_none_or(|end| {
        let end = end.get(..10).unwrap_or(end);
        today.get(..end.len()).is_some_and(|today| today <= end)
    });
    related["active"] != false && is_named && begun && lasts
}

/// The day of a time.
#[must_use]
pub fn day(us: i64) -> Option<Date> {
    Date::parse(instant(us).get(..10)?)
}

fn parts(date: Date) -> (u16, u8, u8) {
    (date.year(), date.month().unwrap_or(1), date.day().unwrap_or(1))
}

/// What is said of records that nobody has verified well enough.
#[must_use]
pub fn unverified_remark(records: usize) -> Option<Issue> {
    let text = "Some of the returned records were not verified at the level that matching rests on, or too long ago.";
    (records > 0).then(|| Issue::warning(IssueCode::Incomplete, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::assurance::policy::tests::shipped;

    #[test]
    fn death_and_labels_are_seen_in_the_stored_patient() {
        for (body, expected) in [
            ("{}", Condition::Living),
            (r#"{"deceasedBoolean":false}"#, Condition::Living),
            (r#"{"deceasedBoolean":true}"#, Condition::Deceased),
            (r#"{"deceasedDateTime":"2025"}"#, Condition::Deceased),
            (r#"{"meta":{"security":[{"code":"N"}]}}"#, Condition::Living),
            (r#"{"deceasedBoolean":true,"meta":{"security":[{"code":"N"},{"code":"R"}]}}"#, Condition::Restricted),
            (r#"{"meta":{"security":[{"code":"V"}]}}"#, Condition::Restricted),
            ("", Condition::Restricted),
        ] {
            assert_eq!(condition(body), expected, "{body}");
        }
    }

    #[test]
    fn a_representative_has_a_relationship_that_the_policy_names_and_that_is_in_force() {
        let policy = shipped();
        let today = Date::parse("2026-11-22").expect("a date");
        let related = |code: &str, rest: Json| {
            let mut related = json!({"relationship": [{"coding": [{"code": "FRND"}, {"code": code}]}]});
            for (member, value) in rest.as_object().expect("members") {
                related[member] = value.clone();
            }
            related
        };
        let table = [
            (related("GUARD", json!({})), true),
            (related("HPOWATT", json!({"active": true})), true),
            (related("GUARD", json!({"active": false})), false),
            (related("ECON", json!({})), false),
            (related("GUARD", json!({"period": {"start": "2026-11-22"}})), true),
            (related("GUARD", json!({"period": {"start": "2026-11-23"}})), false),
            (related("GUARD", json!({"period": {"start": "2020", "end": "2026"}})), true),
            (related("GUARD", json!({"period": {"end": "2026-11-22T01:00:00Z"}})), true),
            (related("GUARD", json!({"period": {"end": "2026-11-21"}})), false),
            (related("GUARD", json!({"period": {"end": "2026-10"}})), false),
            (json!({}), false),
        ];
        for (related, expected) in table {
            assert_eq!(may_represent(&related, &policy, today), expected, "{related}");
        }
    }
}
