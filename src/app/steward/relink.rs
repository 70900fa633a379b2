//! The links of a merge in the stored Patients: `replaced-by` and `replaces`, as far as stewards' decisions stand.
//!
//! FHIR R5 Patient-merge. A merge writes a new version of both records, and so does taking it back; every read, search,
//! history and export then says what is decided, without knowing of decisions. Not here: the links themselves (see
//! `app::links`), those of an identity's records to each other, which only a match answer has (see `compose`).

use crate::app::STORED_LIMITS;
use crate::app::clock::instant;
use crate::app::error::AppError;
use crate::app::incoming::{Incoming, ResourceKind};
use crate::app::links::{DecidedLink, adopt_foreign, put_decided, read_links};
use crate::app::live_index::features_of;
use crate::app::rules::Rules;
use crate::app::unit::Unit;
use crate::fhir::json::parse;
use crate::fhir::search_parameter::{SearchValues, search_values};
use crate::fhir::splice::{Owned, splice};
use crate::fhir::us_core::LinkKind;
use crate::identity::constraint::Kind;
use crate::matching::index::Member;
use crate::store::resource::NewResource;
use crate::store::steward::{self, REPLACED_BY};
use crate::store::{change, record, resource};

/// What is kept of an arriving Patient instead of `incoming`, where its links of decisions are not those that stand.
///
/// # Errors
/// Those of the database.
pub fn relinked(
    unit: &mut Unit<'_>,
    id: &str,
    incoming: &Incoming,
    base_url: &str,
) -> Result<Option<Incoming>, AppError> {
    let is_bound = unit.constraints().of(id).iter().any(|(_, kind)| *kind == Kind::MustLink);
    if incoming.kind != ResourceKind::Patient || (incoming.links.decided.is_empty() && !is_bound) {
        return Ok(None);
    }
    let links = decided_links(unit, id)?;
    let carried: Vec<&str> = incoming.links.decided.iter().map(String::as_str).collect();
    let known = steward::find_decisions(unit.conn, &carried)?;
    let known: Vec<&str> = known.iter().map(|decision| decision.id.as_str()).collect();
    let adopted = adopt_foreign(&incoming.document, &known).map_err(|_| AppError::internal())?;
    let own = adopted.as_deref().unwrap_or(&incoming.document);
    let Some(document) = put_decided(own, &links).map_err(|_| AppError::internal())?.or(adopted) else {
        return Ok(None);
    };
    let resource = parse(document.as_bytes(), &STORED_LIMITS).map_err(|_| AppError::internal())?;
    let (search, links) = (search_values(&resource, base_url), read_links(&resource, base_url));
    Ok(Some(Incoming { document, search, links, ..incoming.clone() }))
}

/// Writes a new version of a stored Patient, if its links of decisions are not those that stand.
///
/// # Errors
/// Those of the database.
pub fn relink(unit: &mut Unit<'_>, rules: &Rules, base_url: &str, id: &str) -> Result<(), AppError> {
    let stored = resource::find(unit.conn, "Patient", id)?.filter(|stored| !stored.deleted);
    let row = record::find_many(unit.conn, &[id])?.pop();
    let (Some(stored), Some(mut row)) = (stored, row) else { return Ok(()) };
    let links = decided_links(unit, id)?;
    let document = put_decided(&stored.body, &links).map_err(|_| AppError::internal())?;
    let Some(document) = document else { return Ok(()) };
    let (version, updated_us) = (stored.version + 1, unit.now_us);
    let owned = Owned { id, version, last_updated: &instant(updated_us) };
    let body = splice(&document, owned).map_err(|_| AppError::internal())?;
    let search = search_of(&body, base_url)?;
    let resource_type = "Patient".to_owned();
    let new = NewResource { resource_type, id: id.to_owned(), version, updated_us, body, search };
    resource::update(unit.conn, &new, stored.version)?;
    let features = features_of(unit.conn, &row, rules)?;
    row.version = version;
    unit.index_upsert(Member { record_id: id, version, identity_id: &row.identity_id }, &features);
    record::upsert_many(unit.conn, &[row])?;
    change::append(unit.conn, &[id])?;
    Ok(())
}

/// The links that stewards' merges of and into a record make.
fn decided_links(unit: &mut Unit<'_>, id: &str) -> Result<Vec<DecidedLink>, AppError> {
    let bound = steward::list_constraints_of(unit.conn, &[id])?;
    let merges = bound.into_iter().filter(|row| row.kind == REPLACED_BY);
    let link = |row: steward::ConstraintRow| {
        let is_source = row.record_a == id;
        let (kind, record_id) =
            if is_source { (LinkKind::ReplacedBy, row.record_b) } else { (LinkKind::Replaces, row.record_a) };
        DecidedLink { kind, record_id, decision_id: row.decision_id }
    };
    Ok(merges.map(link).collect())
}

fn search_of(document: &str, base_url: &str) -> Result<SearchValues, AppError> {
    let resource = parse(document.as_bytes(), &STORED_LIMITS).map_err(|_| AppError::internal())?;
    Ok(search_values(&resource, base_url))
}
