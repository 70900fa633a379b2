//! Keeping resources: versions, search values, features, identity, change log, all in the open transaction.
//!
//! An arriving Patient is assigned to an identity at once: join, new or review. An updated one is scored again and may
//! move or go to review. The caller runs this under the identity lock. Not here: judging documents (see `incoming`),
//! committing (see `writer`).

use std::collections::HashMap;

use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::splice::{Owned, splice};
use crate::identity::constraint::{Constraint, Kind};
use crate::matching::index::{Ask, Member};
use crate::matching::record::{NORMALISER_VERSION, Record};
use crate::store::body::{Head, list_heads, load};
use crate::store::identity::IdentityRow;
use crate::store::record::RecordRow;
use crate::store::resource::{NewResource, Resource};
use crate::store::review::ReviewRow;
use crate::store::steward::{self, ConstraintRow};
use crate::store::{change, identity, identity_history, record, resource, review};

use super::clock::{Clock, instant};
use super::error::AppError;
use super::golden;
use super::incoming::{Incoming, ResourceKind};
use super::links::ELSEWHERE;
use super::rules::Rules;
use super::settle::{self, Occasion, Placement, Plan, connected};
use super::steward::relink::relinked;
use super::unit::Unit;

/// What the caller knows of the version that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Anything,
    /// `If-Match`: this version and no other.
    Version(i64),
    /// `If-None-Match: *`: nothing is there.
    Nothing,
}

/// A resource after it was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    pub kind: ResourceKind,
    pub id: String,
    pub version: i64,
    pub updated_us: i64,
    /// False when it was there before.
    pub is_created: bool,
    /// The stored document.
    /// `None` where the caller may not read it.
    pub body: Option<String>,
}

/// What assigning needs beside the transaction.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    pub rules: &'a Rules,
    pub clock: Clock,
    pub ask: &'a Ask,
    /// Of this server, to tell its own absolute references.
    pub base_url: &'a str,
}

/// A resource that arrives, the id it is kept under, and what must be there before.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub id: String,
    pub incoming: Incoming,
    pub expected: Expected,
}

/// Why nothing was kept.
#[derive(Debug)]
pub struct NotKept {
    /// The arrival that stands in the way, by its place in the list; `None` when it is none of them.
    pub arrival: Option<usize>,
    pub error: AppError,
}

impl<E: Into<AppError>> From<E> for NotKept {
    fn from(error: E) -> Self {
        Self { arrival: None, error: error.into() }
    }
}

/// Keeps what arrives, in order. Equal content is left as it is.
///
/// # Errors
/// `PreconditionFailed` when an expectation does not hold; what the store gives.
pub fn keep(keeper: Keeper<'_>, unit: &mut Unit<'_>, arrivals: &[Arrival]) -> Result<Vec<Kept>, NotKept> {
    let mut batch = Batch { keeper, rows: Rows::default(), before: find_before(unit, arrivals)? };
    let mut kept = Vec::with_capacity(arrivals.len());
    for (number, arrival) in arrivals.iter().enumerate() {
        let one = batch.keep_one(unit, arrival);
        kept.push(one.map_err(|error| NotKept { arrival: Some(number), error })?);
    }
    batch.rows.write(unit)?;
    Ok(kept)
}

/// Keeps a single one.
///
/// # Errors
/// As [`keep`].
pub fn keep_single(keeper: Keeper<'_>, unit: &mut Unit<'_>, arrival: Arrival) -> Result<Kept, AppError> {
    let mut kept = keep(keeper, unit, &[arrival]).map_err(|not_kept| not_kept.error)?;
    kept.pop().ok_or_else(AppError::internal)
}

type Key = (ResourceKind, String);

/// What is stored of the resources that arrive, deleted ones too. A body is there only where it may be what arrives: a
/// small request must not read many large ones.
fn find_before(unit: &mut Unit<'_>, arrivals: &[Arrival]) -> Result<HashMap<Key, Resource>, AppError> {
    let mut before = HashMap::new();
    for kind in ResourceKind::ALL {
        let of_kind = arrivals.iter().filter(|arrival| arrival.incoming.kind == kind);
        let lengths: HashMap<&str, i64> =
            of_kind.map(|arrival| (arrival.id.as_str(), stored_bytes_max(arrival))).collect();
        if lengths.is_empty() {
            continue;
        }
        let ids: Vec<&str> = lengths.keys().copied().collect();
        let heads = list_heads(unit.conn, kind.name(), &ids, lengths.values().sum())?;
        let may_be_same = |head: &Head| lengths.get(head.id.as_str()).is_some_and(|bytes_max| head.bytes <= *bytes_max);
        let (alike, others): (Vec<Head>, Vec<Head>) = heads.into_iter().partition(may_be_same);
        let found = load(unit.conn, alike)?.into_iter().chain(others.into_iter().map(Head::into_bare));
        before.extend(found.map(|resource| ((kind, resource.id.clone()), resource)));
    }
    Ok(before)
}

/// What a document may have as a stored body: the server's own values come to it.
fn stored_bytes_max(arrival: &Arrival) -> i64 {
    const OWNED_BYTES_MAX: usize = 512;
    i64::try_from(arrival.incoming.document.len() + OWNED_BYTES_MAX).unwrap_or(i64::MAX)
}

struct Batch<'a> {
    keeper: Keeper<'a>,
    rows: Rows,
    before: HashMap<Key, Resource>,
}

impl Batch<'_> {
    fn keep_one(&mut self, unit: &mut Unit<'_>, arrival: &Arrival) -> Result<Kept, AppError> {
        let Arrival { id, incoming, expected } = arrival;
        if incoming.kind == ResourceKind::Patient && golden::is_reserved(id) {
            let issue = Issue::error(IssueCode::BusinessRule, "Golden records are derived; none is stored.");
            return Err(AppError::unprocessable(vec![issue.at("Patient.id")]));
        }
        let relinked = relinked(unit, id, incoming, self.keeper.base_url)?;
        let incoming = relinked.as_ref().unwrap_or(incoming);
        let key = (incoming.kind, id.clone());
        let before = self.before.get(&key).cloned();
        check_expected(before.as_ref(), *expected)?;
        if let Some(before) = before.as_ref().filter(|before| is_same(before, &incoming.document)) {
            return Ok(kept(incoming.kind, before, false));
        }
        let now_us = unit.now_us;
        let version = before.as_ref().map_or(1, |before| before.version + 1);
        let owned = Owned { id, version, last_updated: &instant(now_us) };
        let body = splice(&incoming.document, owned).map_err(|_| AppError::internal())?;
        let row = NewResource {
            resource_type: incoming.kind.name().to_owned(),
            id: id.clone(),
            version,
            updated_us: now_us,
            body,
            search: incoming.search.clone(),
        };
        let is_created = before.as_ref().is_none_or(|before| before.deleted);
        let now_stored = Resource {
            number: before.as_ref().map_or(0, |before| before.number),
            resource_type: row.resource_type.clone(),
            id: id.clone(),
            version,
            updated_us: now_us,
            deleted: false,
            body: row.body.clone(),
        };
        match before {
            None => self.rows.resources.push(row),
            Some(before) => {
                // What came earlier in this batch must be there before it can be updated.
                self.rows.write(unit)?;
                resource::update(unit.conn, &row, before.version)?;
            }
        }
        if let Some(features) = &incoming.features {
            self.assign(unit, &Arriving { id, version, features, incoming })?;
        }
        let written = kept(incoming.kind, &now_stored, is_created);
        self.before.insert(key, now_stored);
        Ok(written)
    }

    /// Gives the record its identity and its feature row.
    fn assign(&mut self, unit: &mut Unit<'_>, arriving: &Arriving<'_>) -> Result<(), AppError> {
        let (keeper, now_us) = (self.keeper, unit.now_us);
        let Arriving { id, version, features, .. } = *arriving;
        let current = match version {
            1 => None,
            _ => record::find_many(unit.conn, &[id])?.pop(),
        };
        let replaced_by = survivor_of(unit, arriving)?;
        let others = if current.is_some() { connected(keeper, unit, id)? } else { Vec::new() };
        let provisional = current.as_ref().map_or_else(keeper.clock.uuid, |row| row.identity_id.clone());
        let declared = replaced_by.as_deref().filter(|id| *id != ELSEWHERE);
        if declared != unit.constraints().survivor(id) {
            unit.constraints_mut().declare(id, declared);
        }
        unit.index_upsert(Member { record_id: id, version, identity_id: &provisional }, features);
        let start = std::iter::once(id.to_owned()).chain(others.into_iter().filter(|other| other != id)).collect();
        let fresh = current.is_none().then_some(provisional.as_str());
        let occasion = Occasion { start, fresh, ..Occasion::default() };
        let mut plan = settle::plan(keeper, unit, &occasion)?;
        if let Some(current) = &current
            && self.continues(unit, &plan, current)?
        {
            plan = settle::plan(keeper, unit, &occasion)?;
        }
        let identity_id = plan.identity_of(id).unwrap_or(&provisional).to_owned();
        self.write_plan(unit, id, &mut plan)?;
        if identity_id != provisional {
            unit.index_move(id, &identity_id);
        }
        let suspected = plan.mixed.filter(|_| version > 1).map(|probability| (identity_id.clone(), probability));
        let is_suspected = suspected.is_some();
        plan.doubts.extend(suspected);
        if version > 1 {
            review::delete_open(unit.conn, id)?;
            if !is_suspected {
                review::delete(unit.conn, id, &identity_id)?;
            }
        }
        self.review(unit, id, &plan)?;
        let decision_id =
            current.as_ref().filter(|row| row.identity_id == identity_id).and_then(|row| row.decision_id.clone());
        let placed =
            Placed { identity_id: &identity_id, probability: plan.probabilities.get(id).copied(), decision_id };
        let row = arriving.row(placed, replaced_by, keeper.rules.model.version(), now_us);
        self.rows.records.push(row);
        self.rows.changes.push(id.to_owned());
        if let Some(current) = current.filter(|current| current.identity_id != identity_id) {
            self.rows.write(unit)?;
            settle::forget_lonely(unit, &current.identity_id)?;
            identity_history::end(unit.conn, &[current], now_us)?;
        }
        if !plan.ended.is_empty() {
            self.rows.write(unit)?;
            for (ended, survivor) in &plan.ended {
                settle::end_identity(unit, ended, Some(survivor))?;
            }
        }
        Ok(())
    }

    /// Writes what the plan changes of other records. What this batch has kept must be stored before it can be moved.
    fn write_plan(&mut self, unit: &mut Unit<'_>, id: &str, plan: &mut Plan) -> Result<(), AppError> {
        if plan.moves().all(|one| one.record_id == id) {
            let created = std::mem::take(&mut plan.created);
            created.into_iter().for_each(|new| drop(self.rows.new_identity(new, unit.now_us)));
            return Ok(());
        }
        self.rows.write(unit)?;
        let ended = std::mem::take(&mut plan.ended);
        settle::apply(self.keeper, unit, plan, Some(id), None)?;
        plan.ended = ended;
        Ok(())
    }

    /// An updated record stays in its identity where its new content joins it no more, and does not contradict either.
    fn continues(&mut self, unit: &mut Unit<'_>, plan: &Plan, current: &RecordRow) -> Result<bool, AppError> {
        let id = current.id.as_str();
        let own = plan.identity_of(id);
        let was_with = |one: &&Placement| one.from == current.identity_id && one.record_id != id;
        let before: Vec<&Placement> = plan.placements.iter().filter(was_with).collect();
        if before.is_empty() || before.iter().any(|one| Some(one.to.as_str()) == own) {
            return Ok(false);
        }
        let others: Vec<String> = before.into_iter().map(|one| one.record_id.clone()).collect();
        let Some(anchor) = settle::anchor(self.keeper, unit, id, &others)? else { return Ok(false) };
        let constraint = Constraint::new(id, &anchor, Kind::Continued);
        if unit.constraints().of(id).iter().any(|(other, kind)| *other == anchor && *kind == Kind::Continued) {
            return Ok(false);
        }
        let (record_a, record_b) = (constraint.a.clone(), constraint.b.clone());
        let (kind, decision_id) = (constraint.kind.code().to_owned(), String::new());
        let row = ConstraintRow { record_a, record_b, kind, decision_id, created_us: unit.now_us };
        steward::insert_constraints(unit.conn, &[row])?;
        unit.constraints_mut().insert(&constraint);
        change::append_binding(unit.conn, &[&constraint.a, &constraint.b])?;
        unit.note_change();
        Ok(true)
    }

    /// Asks a person about the identities that the record may belong to as well.
    fn review(&mut self, unit: &mut Unit<'_>, id: &str, plan: &Plan) -> Result<(), AppError> {
        let asked = |(identity_id, probability): &(String, f64)| ReviewRow {
            record_id: id.to_owned(),
            identity_id: identity_id.clone(),
            probability: *probability,
            created_us: unit.now_us,
            model_version: self.keeper.rules.model.version().to_owned(),
            state: review::OPEN.to_owned(),
            reason: None,
        };
        let asked = plan.doubts.iter().map(asked).collect();
        self.rows.reviews.extend(settle::still_deferred(unit, asked)?);
        Ok(())
    }
}

/// The record that has replaced the arriving one: by a steward's merge, or as it says itself.
fn survivor_of(unit: &mut Unit<'_>, arriving: &Arriving<'_>) -> Result<Option<String>, AppError> {
    let is_linked = unit.constraints().of(arriving.id).iter().any(|(_, kind)| *kind == Kind::MustLink);
    let merged = if is_linked { steward::find_survivor(unit.conn, arriving.id)? } else { None };
    Ok(merged.or_else(|| arriving.incoming.links.replaced_by.clone()))
}

/// Where a record was put, and by whom.
struct Placed<'p> {
    identity_id: &'p str,
    probability: Option<f64>,
    decision_id: Option<String>,
}

/// A record that is being kept.
#[derive(Clone, Copy)]
struct Arriving<'a> {
    id: &'a str,
    version: i64,
    features: &'a Record,
    incoming: &'a Incoming,
}

impl Arriving<'_> {
    fn row(&self, placed: Placed<'_>, replaced_by: Option<String>, model_version: &str, now_us: i64) -> RecordRow {
        let verification = self.incoming.verification.as_ref();
        RecordRow {
            id: self.id.to_owned(),
            version: self.version,
            normaliser: NORMALISER_VERSION,
            features: self.features.encode(),
            identity_id: placed.identity_id.to_owned(),
            model_version: model_version.to_owned(),
            probability: placed.probability,
            assigned_us: now_us,
            verification_level: verification.map(|known| known.level.clone()),
            verified_on: verification.and_then(|known| known.date.clone()),
            replaced_by,
            decision_id: placed.decision_id,
        }
    }
}

/// Whether what is stored is what the caller expects.
///
/// # Errors
/// `PreconditionFailed` when it is not.
pub fn check_expected(before: Option<&Resource>, expected: Expected) -> Result<(), AppError> {
    let version = before.filter(|before| !before.deleted).map(|before| before.version);
    match expected {
        Expected::Version(wanted) if version != Some(wanted) => {
            Err(AppError::precondition_failed("The stored version is not the one named in If-Match.", "http.if-match"))
        }
        Expected::Nothing if version.is_some() => {
            Err(AppError::precondition_failed("The resource is there already.", "http.if-none-match"))
        }
        _ => Ok(()),
    }
}

/// Whether `document` says what is stored already: the same bytes once the server's own values are in.
fn is_same(before: &Resource, document: &str) -> bool {
    let owned = Owned { id: &before.id, version: before.version, last_updated: &instant(before.updated_us) };
    !before.deleted && splice(document, owned).is_ok_and(|body| body == before.body)
}

/// What is stored, as the answer to a write.
pub fn kept(kind: ResourceKind, stored: &Resource, is_created: bool) -> Kept {
    let (id, body) = (stored.id.clone(), stored.body.clone());
    Kept { kind, id, version: stored.version, updated_us: stored.updated_us, is_created, body: Some(body) }
}

/// Rows that wait to be written together.
#[derive(Default)]
struct Rows {
    resources: Vec<NewResource>,
    identities: Vec<IdentityRow>,
    records: Vec<RecordRow>,
    reviews: Vec<ReviewRow>,
    changes: Vec<String>,
}

impl Rows {
    fn new_identity(&mut self, id: String, now_us: i64) -> String {
        self.identities.push(IdentityRow { id: id.clone(), created_us: now_us });
        id
    }

    fn write(&mut self, unit: &mut Unit<'_>) -> Result<(), AppError> {
        resource::insert_many(unit.conn, &std::mem::take(&mut self.resources))?;
        identity::insert_many(unit.conn, &std::mem::take(&mut self.identities))?;
        record::upsert_many(unit.conn, &std::mem::take(&mut self.records))?;
        review::insert_many(unit.conn, &std::mem::take(&mut self.reviews))?;
        let changes = std::mem::take(&mut self.changes);
        let ids: Vec<&str> = changes.iter().map(String::as_str).collect();
        if !ids.is_empty() {
            change::append(unit.conn, &ids)?;
        }
        Ok(())
    }
}
