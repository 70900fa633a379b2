//! `$idi-match` and `$match`: is this person known here, and which records are theirs?
//!
//! The order of work: base shape, parameters, claimed profile and weight, features, proposal by the index, decision on
//! records read from one snapshot of the store, selection, answer, audit. Nothing before the decision depends on what is
//! stored. Source: IG Patient Matching; FHIR R4 Patient-match. Not here: wire formats (see `http::render`).

use std::collections::HashMap;

use serde_json::Value as Json;
use tracing::field::Empty;
use tracing::info_span;

use crate::assurance::verdict::{Identities, Representative};
use crate::audit::{Action, AuditRecord};
use crate::config::Match;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Value, parse};
use crate::fhir::match_parameters::{MatchParameters, RuleBook};
use crate::fhir::name_text;
use crate::identity::{MemberRecord, discreet};
use crate::matching::grade::MatchGrade;
use crate::matching::index::Proposal;
use crate::matching::pool::{self, IdentityMatch};
use crate::matching::record::{Record, beyond_limits};
use crate::profile::idi::{IdiValidation, ProfileRequirement, validate_idi_patient};
use crate::store::body::{Head, fitting, list_heads, load};
use crate::store::record::{self, RecordRow};
use crate::store::{Connection, resource, transaction};

use super::answer::{AnswerShape, MatchAnswer};
use super::asked::Asked;
use super::assured_match::{self, Held};
use super::candidates::Proposed;
use super::compose::{compose, shape};
use super::context::Context;
use super::error::AppError;
use super::golden;
use super::links::ELSEWHERE;
use super::live_index::features_of;
use super::metering::{Attempt, Ended, Metered};
use super::rule_book::{CombinationNotes, Decider, Search, decide, notes};
use super::search::bytes;
use super::select::{Reason, Selection, select};
use super::steward::state;
use super::{App, close};

/// Which operation was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOperation {
    IdiMatch,
    Match,
}

impl MatchOperation {
    /// The name in addresses.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::IdiMatch => "$idi-match",
            Self::Match => "$match",
        }
    }
}

/// A body and the operation it was sent to.
pub struct MatchRequest<'b> {
    pub operation: MatchOperation,
    pub body: &'b [u8],
    /// The URL that was called, for `link.self`.
    pub self_link: String,
}

impl App {
    /// Answers a request to match.
    ///
    /// # Errors
    /// `Invalid` for what is no request, `Unprocessable` for a Patient that does not meet its profile or weight, `Throttled`
    /// beyond a budget.
    pub fn match_patient(
        &self,
        ctx: &Context,
        request: &MatchRequest<'_>,
    ) -> Result<Metered<(MatchAnswer, AnswerShape)>, AppError> {
        let (mut audit, mut attempt) = (ctx.audit(Action::Match), None);
        let result = self.find_match(ctx, request, &mut audit, &mut attempt);
        close(&mut audit, result.as_ref().err(), (self.clock.now_us)());
        let ended = match &result {
            Err(_) => Ended::Broken,
            Ok((answer, _)) if answer.patients.is_empty() => Ended::Failed,
            Ok(_) => Ended::Found,
        };
        let rate = self.settle_attempt(ctx, attempt, audit, ended)?;
        result.map(|answer| Metered { answer, rate })
    }

    fn find_match(
        &self,
        ctx: &Context,
        request: &MatchRequest<'_>,
        audit: &mut AuditRecord,
        attempt: &mut Option<Attempt>,
    ) -> Result<(MatchAnswer, AnswerShape), AppError> {
        let document = parse(request.body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
        let issues = info_span!("validate").in_scope(|| self.rules.profiles.validate_base(&document));
        if any_error(&issues) {
            return Err(AppError::invalid(issues));
        }
        let mut parameters = MatchParameters::read(document).map_err(AppError::invalid)?;
        let patient = std::mem::replace(&mut parameters.patient, Value::Null);
        let (patient, mut remarks) = name_text::complete(patient);
        remarks.append(&mut parameters.warnings);
        audit.detail.query = Some(format!("Patient/{}", request.operation.code()));
        let judged = self.judge(&patient, audit)?;
        remarks.extend(judged.issues.iter().cloned());
        remarks.extend(judged.weight.issues());
        remarks.extend(beyond_limits(&patient).into_iter().map(|(element, max)| {
            let text = format!("Only the first {max} take part in matching.");
            Issue::warning(IssueCode::Incomplete, text).at(element)
        }));
        let record = info_span!("normalise").in_scope(|| Record::from_patient(&patient, &self.rules.normaliser));
        let query = Asked::of(record, ctx)?;
        remarks.extend(query.remark());
        let held = self.hold(ctx, &judged, &query.record, audit)?;
        // What is refused until here is known from the request and its token alone, and costs nothing.
        *attempt = self.admit(ctx, &probed(&query, held.as_ref()))?;
        let selection = self.find_held(ctx, held.as_ref(), &query, &mut parameters, request.operation, audit)?;
        if query.is_discreet() && discreet::is_in_vain(&selection.identities) {
            attempt.iter_mut().for_each(Attempt::try_in_vain);
        }
        note(audit, &selection, self.rules.model.version());
        let shape = shape(request.operation, parameters.given_as, self.config.matching.response);
        let base_url = &self.config.server.base_url;
        let answer = compose(base_url, ctx, request.self_link.clone(), &selection, vec![selection.remarks(), remarks])?;
        Ok((answer, shape))
    }

    /// The claimed profile and the weight; both are known from the request alone.
    fn judge(&self, patient: &Value<'_>, audit: &mut AuditRecord) -> Result<IdiValidation, AppError> {
        let requirement = if self.config.matching.require_profile {
            ProfileRequirement::Required
        } else {
            ProfileRequirement::AssumeIdiPatient
        };
        let judged = validate_idi_patient(&self.rules.profiles, patient, requirement);
        audit.detail.profile = judged.claimed.map(|profile| profile.name().to_owned());
        audit.detail.weight = Some(judged.weight.total);
        if any_error(&judged.issues) {
            return Err(AppError::unprocessable(judged.issues));
        }
        Ok(judged)
    }

    /// What is returned for a query under the policy.
    fn find_held(
        &self,
        ctx: &Context,
        held: Option<&Held<'_>>,
        query: &Asked,
        parameters: &mut MatchParameters<'_>,
        operation: MatchOperation,
        audit: &mut AuditRecord,
    ) -> Result<Selection, AppError> {
        let Some(held) = held else {
            let query = query.by(self.rule_book(ctx, parameters));
            return self.find_selection(&query, parameters, operation, &self.config.matching, None);
        };
        assured_match::hold_to(&held.terms, parameters);
        let (limits, today) = (assured_match::limits(&held.terms, &self.config.matching), query.date);
        let find = |record: Record| {
            let query = query.about(record).by(self.rule_book(ctx, parameters));
            self.find_selection(&query, parameters, operation, &limits, Some(held))
        };
        let mut selection = find(query.record.clone())?;
        if held.terms.identities == Identities::HighConfidence {
            let user = match &held.user {
                Some(user) if held.terms.representative == Representative::Yes => find(user.clone())?.assured,
                _ => None,
            };
            self.settle_consumer(held, today, user, &mut selection, audit)?;
        }
        Ok(selection)
    }

    /// The one identity that a person's verified attributes are of, under these terms, or nobody (Consumer Match).
    ///
    /// # Errors
    /// Those of the database; `Invalid` for attributes that are no Patient.
    pub(in crate::app) fn find_consumer(
        &self,
        ctx: &Context,
        attributes: &Json,
        held: &Held<'_>,
        audit: &mut AuditRecord,
    ) -> Result<Selection, AppError> {
        let text = attributes.to_string();
        let document =
            parse(text.as_bytes(), &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
        let mut parameters = MatchParameters::read(document).map_err(AppError::invalid)?;
        let patient = std::mem::replace(&mut parameters.patient, Value::Null);
        let (patient, _) = name_text::complete(patient);
        let query = Asked::of(Record::from_patient(&patient, &self.rules.normaliser), ctx)?;
        assured_match::hold_to(&held.terms, &mut parameters);
        let limits = assured_match::limits(&held.terms, &self.config.matching);
        let mut selection = self.find_selection(&query, &parameters, MatchOperation::IdiMatch, &limits, Some(held))?;
        self.settle_consumer(held, query.date, None, &mut selection, audit)?;
        Ok(selection)
    }

    /// What is returned for a query, decided on what one snapshot of the store holds.
    fn find_selection(
        &self,
        query: &Asked,
        asked: &MatchParameters<'_>,
        operation: MatchOperation,
        limits: &Match,
        held: Option<&Held<'_>>,
    ) -> Result<Selection, AppError> {
        let ask = self.ask_for(query.rule_book);
        // Blocking and score are one pass over the candidates.
        let span = info_span!("candidates", candidates = Empty, identities = Empty).entered();
        let Proposed { proposal, population } = self.candidates.propose(&self.store, &query.record, &ask)?;
        span.record("candidates", proposal.candidates as u64).record("identities", proposal.identities.len() as u64);
        drop(span);
        let proposed = proposal.identities.iter().filter(|identity| query.is_worth_reading(identity));
        let ids: Vec<&str> = proposed.map(|identity| identity.identity_id.as_str()).collect();
        if ids.is_empty() {
            let judged = self.judge_identities(query, &[], population);
            return Ok(select(found(judged, &proposal, query.rule_book), asked, operation, limits));
        }
        transaction::read_snapshot(&mut *self.connection()?, |conn| {
            let span = info_span!("records", records = Empty).entered();
            let rows = record::list_of_identities(conn, &ids)?;
            let members = self.members(conn, &ids, &rows)?;
            span.record("records", rows.len() as u64);
            drop(span);
            let mut judged = self.judge_identities(query, &members, population);
            leave_out_replaced(&mut judged.identities, &rows);
            let mut selection = select(found(judged, &proposal, query.rule_book), asked, operation, limits);
            self.note_stewardship(conn, &mut selection, &rows)?;
            read_bodies(conn, &mut selection, bytes(self.config.limits.page_bytes_max))?;
            if let Some(held) = held {
                self.keep_assured(query, held, &mut selection, &rows, &members, population);
                leave_out_restricted_links(conn, &mut selection)?;
            }
            if limits.golden_record && operation == MatchOperation::IdiMatch {
                let may_show = |row: &RecordRow, body: &str| {
                    held.is_none_or(|held| assured_match::may_show(held, query.date, row, body))
                };
                make_golden(conn, &mut selection, &rows, bytes(self.config.limits.page_bytes_max), may_show)?;
            }
            Ok(selection)
        })
    }

    /// Leaves of a selection what the terms let out, and notes how the one identity was verified where one is wanted.
    fn keep_assured(
        &self,
        query: &Asked,
        held: &Held<'_>,
        selection: &mut Selection,
        rows: &[RecordRow],
        members: &[(&str, Vec<MemberRecord>)],
        population: usize,
    ) {
        let (terms, policy, today) = (&held.terms, &held.granted.policy, query.date);
        if terms.identities != Identities::HighConfidence {
            assured_match::keep_to(terms, policy, today, selection, rows);
            return;
        }
        let identity = selection.identities.first().map(|identity| identity.identity_id.clone()).unwrap_or_default();
        let own = members.iter().find(|(id, _)| **id == *identity).map(|(_, members)| members.as_slice());
        let is_certain_by = |ids: &[&str]| {
            let verified = own.unwrap_or_default().iter().filter(|member| ids.contains(&member.record_id.as_str()));
            let verified: Vec<MemberRecord> = verified.cloned().collect();
            is_certain(&query.evaluate(&identity, &verified, &self.rules.model, population))
        };
        selection.assured = Some(assured_match::assure(terms, policy, today, selection, rows, is_certain_by));
    }

    /// What stewards have said of what is returned: whether they looked at it, and which records were merged away.
    fn note_stewardship(
        &self,
        conn: &mut Connection,
        selection: &mut Selection,
        rows: &[RecordRow],
    ) -> Result<(), AppError> {
        let ids: Vec<&str> = selection.identities.iter().map(|identity| identity.identity_id.as_str()).collect();
        selection.stewardship = state::of_identities(conn, &self.candidates.constraints(), &ids, rows)?;
        let replaced = rows.iter().filter_map(|row| Some((row.id.clone(), row.replaced_by.clone()?)));
        selection.replaced = replaced.collect();
        Ok(())
    }

    /// The records of the proposed identities as they are stored now; identities without any are gone.
    pub(super) fn members<'i>(
        &self,
        conn: &mut Connection,
        ids: &[&'i str],
        rows: &[RecordRow],
    ) -> Result<Vec<(&'i str, Vec<MemberRecord>)>, AppError> {
        let mut identities = Vec::with_capacity(ids.len());
        for id in ids {
            let mut members = Vec::new();
            for row in rows.iter().filter(|row| row.identity_id == *id) {
                let record = features_of(conn, row, &self.rules)?;
                members.push(MemberRecord { record_id: row.id.clone(), version: row.version, record });
            }
            if !members.is_empty() {
                identities.push((*id, members));
            }
        }
        Ok(identities)
    }

    /// Grades identities by their records, and tries the combinations on them where those are asked.
    fn judge_identities(&self, query: &Asked, read: &[(&str, Vec<MemberRecord>)], population: usize) -> Judged {
        // Evidence is pooled and graded identity by identity, then identities against each other.
        let _span = info_span!("grade", identities = read.len() as u64).entered();
        let model = &self.rules.model;
        let evaluate = |(id, members): &(&str, Vec<MemberRecord>)| query.evaluate(id, members, model, population);
        let mut identities: Vec<IdentityMatch> = read.iter().map(evaluate).collect();
        pool::resolve(&mut identities, model);
        pool::sort(&mut identities);
        let combined = self.combine(query.rule_book, &query.record, read, query.today);
        let ids: Vec<&str> = read.iter().map(|(id, _)| *id).collect();
        let notes = combined.map(|combined| notes(&combined, &ids, &identities));
        Judged { identities, notes }
    }
}

/// The persons whom a request probes: the one asked for, and the user where both are looked for.
fn probed<'q>(query: &'q Asked, held: Option<&'q Held<'_>>) -> Vec<&'q Record> {
    let user = held.filter(|held| held.terms.representative == Representative::Yes).and_then(|held| held.user.as_ref());
    std::iter::once(&query.record).chain(user).collect()
}

/// Identities as the guide grades them, best first, and what the combinations say.
struct Judged {
    identities: Vec<IdentityMatch>,
    notes: Option<CombinationNotes>,
}

/// What was found by the rule-book that decides.
fn found(judged: Judged, proposal: &Proposal, rule_book: RuleBook) -> Found {
    let search = if proposal.truncated { Search::Cut } else { Search::Whole };
    let (identities, decider) = match (&judged.notes, rule_book) {
        (Some(notes), RuleBook::Cms) => {
            (decide(judged.identities, notes, search), Decider::Combinations(notes.outcome))
        }
        _ => (judged.identities, Decider::Guide),
    };
    let (candidates, is_truncated) = (proposal.candidates, proposal.truncated);
    Found { identities, candidates, is_truncated, decider, notes: judged.notes }
}

/// Reads the stored body of every record that is returned, the best first, as far as there is room.
fn read_bodies(conn: &mut Connection, selection: &mut Selection, bytes_max: i64) -> Result<(), AppError> {
    let records = selection.identities.iter().flat_map(|identity| &identity.records);
    let ids: Vec<&str> = records.map(|record| record.record_id.as_str()).collect();
    let heads = list_heads(conn, "Patient", &ids, bytes_max)?.into_iter();
    let mut heads: HashMap<String, Head> = heads.map(|head| (head.id.clone(), head)).collect();
    let bytes = |id: &&str| heads.get(*id).map_or(0, |head| head.bytes);
    let records_max = fitting(ids.iter().map(bytes), bytes_max).max(1);
    let shown = ids.iter().take(records_max).filter_map(|id| heads.remove(*id)).collect();
    selection.cut(records_max);
    let patients = load(conn, shown)?.into_iter().filter(|patient| !patient.deleted);
    selection.bodies = patients.map(|patient| (patient.id, patient.body)).collect();
    Ok(())
}

/// Records that were merged into one that is returned are named only where they could be returned themselves.
fn leave_out_restricted_links(conn: &mut Connection, selection: &mut Selection) -> Result<(), AppError> {
    let shown: Vec<String> = selection.record_ids().map(str::to_owned).collect();
    let mut named = Vec::new();
    for (record, survivor) in std::mem::take(&mut selection.replaced) {
        if shown.contains(&survivor)
            && let Some(stored) = resource::find(conn, "Patient", &record)?
            && !assured_match::is_restricted(&stored.body)
        {
            named.push((record, survivor));
        }
    }
    selection.replaced = named;
    Ok(())
}

/// Makes the golden records of what is returned, as far as there is room.
fn make_golden(
    conn: &mut Connection,
    selection: &mut Selection,
    rows: &[RecordRow],
    bytes_max: i64,
    may_show: impl Fn(&RecordRow, &str) -> bool,
) -> Result<(), AppError> {
    let mut left = bytes_max;
    for identity in &selection.identities {
        let own: Vec<&RecordRow> = rows.iter().filter(|row| row.identity_id == identity.identity_id).collect();
        match golden::make(conn, &own, left, &may_show)? {
            Some(made) => {
                left -= made.bytes;
                selection.golden.push(made);
            }
            None if selection.reasons.contains(&Reason::GoldenCut) => {}
            None => selection.reasons.push(Reason::GoldenCut),
        }
    }
    Ok(())
}

/// A record that another has replaced is evidence of its identity and no entry; its survivor is (FHIR R4 Patient.link). One
/// whose survivor is not there, or that says so of each other with its survivor, is an entry all the same: nobody may
/// become impossible to find.
fn leave_out_replaced(identities: &mut Vec<IdentityMatch>, rows: &[RecordRow]) {
    if rows.iter().all(|row| row.replaced_by.is_none()) {
        return;
    }
    let row_of = |record_id: &str| rows.iter().find(|row| row.id == record_id);
    for identity in identities.iter_mut() {
        let is_member = |id: &str| row_of(id).is_some_and(|row| row.identity_id == identity.identity_id);
        let survivor_of = |id: &str| row_of(id).and_then(|row| row.replaced_by.as_deref());
        let is_elsewhere = |id: &str| survivor_of(id) == Some(ELSEWHERE);
        let is_shown = |id: &str| survivor_of(id).is_none_or(|survivor| survivor != ELSEWHERE && !is_member(survivor));
        let is_any_shown = identity.records.iter().any(|record| is_shown(&record.record_id));
        let is_kept = |id: &str| if is_any_shown { is_shown(id) } else { !is_elsewhere(id) };
        let kept: Vec<bool> = identity.records.iter().map(|record| is_kept(&record.record_id)).collect();
        let mut kept = kept.into_iter();
        identity.records.retain(|_| kept.next().unwrap_or(true));
    }
    identities.retain(|identity| !identity.records.is_empty());
}

/// What was found, before the caller's options are applied.
pub struct Found {
    /// Best first.
    pub identities: Vec<IdentityMatch>,
    pub candidates: usize,
    pub is_truncated: bool,
    pub decider: Decider,
    pub notes: Option<CombinationNotes>,
}

fn note(audit: &mut AuditRecord, selection: &Selection, model_version: &str) {
    let identities = &selection.identities;
    let detail = &mut audit.detail;
    audit.resource_type = Some("Patient".to_owned());
    detail.model_version = Some(model_version.to_owned());
    detail.candidates = u32::try_from(selection.candidates).ok();
    detail.grade = identities.first().map(|identity| identity.grade.code().to_owned());
    detail.identities = identities.iter().map(|identity| identity.identity_id.clone()).collect();
    let records = identities.iter().flat_map(|identity| &identity.records);
    detail.records = records.map(|record| record.record_id.clone()).collect();
    detail.reasons.extend(selection.reason().map(str::to_owned));
    detail.combination_outcome = selection.notes.as_ref().map(|notes| notes.outcome.code().to_owned());
    let note = identities.first().and_then(|identity| selection.note(&identity.identity_id));
    detail.combination = note.and_then(|note| note.rule.clone());
}

/// The grade from which a match counts as certain.
pub(super) fn is_certain(identity: &IdentityMatch) -> bool {
    identity.grade == MatchGrade::Certain
}
