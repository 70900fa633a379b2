//! Keeping resources: versions, search values, features, identity, change log, all in the open transaction.
//!
//! An arriving Patient is assigned to an identity at once: join, new or review. An updated one is scored again and may
//! move or go to review. The caller runs this under the identity lock. Not here: judging documents (see `incoming`),
//! committing (see `writer`).

use std::collections::{HashMap, HashSet};

use crate::fhir::splice::{Owned, splice};
use crate::identity::assign::{Assignment, assign};
use crate::matching::index::{Ask, Member};
use crate::matching::record::{NORMALISER_VERSION, Record};
use crate::store::body::{Head, list_heads, load};
use crate::store::identity::IdentityRow;
use crate::store::record::RecordRow;
use crate::store::resource::{NewResource, Resource};
use crate::store::review::ReviewRow;
use crate::store::{change, identity, record, resource, review};

use super::clock::{Clock, instant};
use super::error::AppError;
use super::incoming::{Incoming, ResourceKind};
use super::links::Links;
use super::live_index::features_of;
use super::rules::Rules;
use super::writer::Unit;

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
    pub body: String,
}

/// What assigning needs beside the transaction.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    pub rules: &'a Rules,
    pub clock: Clock,
    pub ask: &'a Ask,
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
    let replaced = find_replaced(unit, arrivals)?;
    let mut batch = Batch { keeper, rows: Rows::default(), before: find_before(unit, arrivals)?, replaced };
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

/// Ids of arriving Patients that stored or arriving records name as the one that has replaced them.
fn find_replaced(unit: &mut Unit<'_>, arrivals: &[Arrival]) -> Result<HashSet<String>, AppError> {
    let patients = arrivals.iter().filter(|arrival| arrival.incoming.kind == ResourceKind::Patient);
    let ids: Vec<&str> = patients.map(|arrival| arrival.id.as_str()).collect();
    let stored = record::list_replaced_by(unit.conn, &ids)?.into_iter().filter_map(|row| row.replaced_by);
    let arriving = arrivals.iter().filter_map(|arrival| arrival.incoming.links.replaced_by.clone());
    Ok(stored.chain(arriving).collect())
}

struct Batch<'a> {
    keeper: Keeper<'a>,
    rows: Rows,
    before: HashMap<Key, Resource>,
    replaced: HashSet<String>,
}

impl Batch<'_> {
    fn keep_one(&mut self, unit: &mut Unit<'_>, arrival: &Arrival) -> Result<Kept, AppError> {
        let Arrival { id, incoming, expected } = arrival;
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
        let (rules, now_us) = (self.keeper.rules, unit.now_us);
        let Arriving { id, version, features, incoming } = *arriving;
        let current = match version {
            1 => None,
            _ => record::find_many(unit.conn, &[id])?.pop().map(|row| row.identity_id),
        };
        let assignment = match self.find_linked(unit, id, &incoming.links)? {
            Some(identity_id) => Assignment::Join { identity_id, probability: 1.0 },
            None => self.propose(unit, arriving, current.as_deref())?,
        };
        let (joined, doubtful) = match assignment {
            Assignment::Join { identity_id, probability } => (Some((identity_id, probability)), None),
            Assignment::New => (None, None),
            Assignment::Review { identity_id, probability } => (None, Some((identity_id, probability))),
        };
        let probability = joined.as_ref().map(|(_, probability)| *probability);
        let identity_id = self.settle(unit, id, current.as_deref(), joined.map(|(identity_id, _)| identity_id))?;
        if version > 1 {
            review::delete_for_record(unit.conn, id)?;
        }
        if let Some((other, probability)) = doubtful.filter(|(other, _)| *other != identity_id) {
            let (record_id, model_version) = (id.to_owned(), rules.model.version().to_owned());
            let review = ReviewRow { record_id, identity_id: other, probability, created_us: now_us, model_version };
            self.rows.reviews.push(review);
        }
        unit.index_upsert(Member { record_id: id, version, identity_id: &identity_id }, features);
        self.rows.records.push(arriving.row(&identity_id, probability, rules.model.version(), now_us));
        self.rows.changes.push(id.to_owned());
        if let Some(left) = current.filter(|current| *current != identity_id) {
            self.rows.write(unit)?;
            identity::delete_if_empty(unit.conn, &left)?;
        }
        if self.replaced.contains(id) { self.draw_replaced(unit, id, &identity_id) } else { Ok(()) }
    }

    /// Brings the records that `id` has replaced, and those that they have replaced, into its identity: they may have
    /// come before it.
    fn draw_replaced(&mut self, unit: &mut Unit<'_>, id: &str, identity_id: &str) -> Result<(), AppError> {
        self.rows.write(unit)?;
        let mut waiting = record::list_replaced_by(unit.conn, &[id])?;
        while let Some(mut row) = waiting.pop() {
            if row.identity_id == identity_id {
                continue;
            }
            waiting.append(&mut record::list_replaced_by(unit.conn, &[&row.id])?);
            let features = features_of(unit.conn, &row, self.keeper.rules)?;
            let left = std::mem::replace(&mut row.identity_id, identity_id.to_owned());
            row.assigned_us = unit.now_us;
            unit.index_upsert(Member { record_id: &row.id, version: row.version, identity_id }, &features);
            change::append(unit.conn, &[&row.id])?;
            record::upsert_many(unit.conn, &[row])?;
            identity::delete_if_empty(unit.conn, &left)?;
        }
        Ok(())
    }

    /// What the matcher says of the record among all others.
    fn propose(
        &self,
        unit: &mut Unit<'_>,
        arriving: &Arriving<'_>,
        current: Option<&str>,
    ) -> Result<Assignment, AppError> {
        let Keeper { rules, ask, .. } = self.keeper;
        let exclude_record = (arriving.version > 1).then(|| arriving.id.to_owned());
        let proposal = unit.propose(arriving.features, &Ask { exclude_record, ..ask.clone() })?;
        Ok(assign(&proposal, current, &rules.model))
    }

    /// The identity that the record declares itself to be of: its survivor's, or that of a record that names it as its
    /// survivor.
    fn find_linked(&mut self, unit: &mut Unit<'_>, id: &str, links: &Links) -> Result<Option<String>, AppError> {
        let named: Vec<&str> = links.replaced_by.iter().chain(&links.replaces).map(String::as_str).collect();
        if named.is_empty() {
            return Ok(None);
        }
        self.rows.write(unit)?;
        let rows = record::find_many(unit.conn, &named)?;
        let survivor = rows.iter().find(|row| links.replaced_by.as_deref() == Some(row.id.as_str()));
        let replaced = || rows.iter().find(|row| row.replaced_by.as_deref() == Some(id));
        Ok(survivor.or_else(replaced).map(|row| row.identity_id.clone()))
    }

    /// The identity joined, or the present one if the record is alone in it, or a new one.
    fn settle(
        &mut self,
        unit: &mut Unit<'_>,
        id: &str,
        current: Option<&str>,
        joined: Option<String>,
    ) -> Result<String, AppError> {
        if let Some(joined) = joined {
            return Ok(joined);
        }
        if let Some(current) = current
            && is_alone(unit, current, id)?
        {
            return Ok(current.to_owned());
        }
        Ok(self.rows.new_identity((self.keeper.clock.uuid)(), unit.now_us))
    }
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
    fn row(&self, identity_id: &str, probability: Option<f64>, model_version: &str, now_us: i64) -> RecordRow {
        let verification = self.incoming.verification.as_ref();
        RecordRow {
            id: self.id.to_owned(),
            version: self.version,
            normaliser: NORMALISER_VERSION,
            features: self.features.encode(),
            identity_id: identity_id.to_owned(),
            model_version: model_version.to_owned(),
            probability,
            assigned_us: now_us,
            verification_level: verification.map(|known| known.level.clone()),
            verified_on: verification.and_then(|known| known.date.clone()),
            replaced_by: self.incoming.links.replaced_by.clone(),
        }
    }
}

/// Whether `record_id` is the only record of its identity; then that identity stays its own.
fn is_alone(unit: &mut Unit<'_>, identity_id: &str, record_id: &str) -> Result<bool, AppError> {
    let rows = record::list_of_identities(unit.conn, &[identity_id])?;
    Ok(rows.iter().all(|row| row.id == record_id))
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
    Kept { kind, id, version: stored.version, updated_us: stored.updated_us, is_created, body }
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
