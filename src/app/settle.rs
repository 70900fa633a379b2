//! Identities of what hangs together, brought in line with the partition: who is with whom, under which identity id.
//!
//! What: [`plan`] clusters the neighbourhood of some records as the open transaction sees it and names the clusters;
//! [`apply`] writes what differs: assignments, their history, identities that begin and end, the change log. An identity
//! stays where most of its records are; one whose records have all gone to others leaves its id pointing at its
//! survivor. The caller holds the identity lock. Not here: the clustering (see `identity::partition`), why it is asked
//! for (see `keep`, `delete`, `steward`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::identity::assign::{DECISION_POPULATION, stays};
use crate::identity::component::{Doubt, Found, Reach, around, solve};
use crate::identity::constraint::Constraints;
use crate::matching::comparison::Pair;
use crate::matching::grade::Contradiction;
use crate::matching::index::{Member, Space};
use crate::matching::judgement::Judgement;
use crate::matching::model::Model;
use crate::store::identity::{Emptied, IdentityRow};
use crate::store::identity_history::MergedRow;
use crate::store::review::ReviewRow;
use crate::store::{change, identity, identity_history, record, review};

use super::error::AppError;
use super::keep::Keeper;
use super::live_index::features_of;
use super::unit::Unit;

/// Whom to cluster, and what is wished for.
#[derive(Debug, Default)]
pub struct Occasion<'o> {
    /// Records whose neighbourhood is clustered. Doubts are told of the first.
    pub start: Vec<String>,
    /// An identity id that is not stored: that of a record which is about to be.
    pub fresh: Option<&'o str>,
    /// Identity ids that records should have, where their clusters allow it.
    pub preferred: HashMap<String, String>,
}

/// A record, where it is and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub record_id: String,
    pub from: String,
    pub to: String,
}

/// What a clustering asks for.
#[derive(Debug, Default)]
pub struct Plan {
    pub placements: Vec<Placement>,
    /// Identities that are not stored yet.
    pub created: BTreeSet<String>,
    /// Identities that lose all their records, with the one that got most of them.
    pub ended: Vec<(String, String)>,
    /// Probability of the best edge that each record has within its identity.
    pub probabilities: HashMap<String, f64>,
    /// The first record contradicts the others of its identity: something else than evidence holds them together.
    pub mixed: Option<f64>,
    /// Other identities that the first record may belong to, the likeliest first.
    pub doubts: Vec<(String, f64)>,
}

impl Plan {
    /// Where a record belongs.
    #[must_use]
    pub fn identity_of(&self, record_id: &str) -> Option<&str> {
        self.placements.iter().find(|one| one.record_id == record_id).map(|one| one.to.as_str())
    }

    /// What changes.
    pub fn moves(&self) -> impl Iterator<Item = &Placement> {
        self.placements.iter().filter(|one| one.from != one.to)
    }
}

/// Doubts of a record that are kept.
const DOUBTS_MAX: usize = 3;

/// Clusters the neighbourhood of the occasion's records.
///
/// # Errors
/// What the store gives, when the candidates are there.
pub fn plan(keeper: Keeper<'_>, unit: &mut Unit<'_>, occasion: &Occasion<'_>) -> Result<Plan, AppError> {
    let Keeper { rules, ask, clock, .. } = keeper;
    let plan = unit.with_space(ask.candidates_max, |space, constraints| {
        let (found, doubts) =
            around(space, constraints, &rules.model, Reach::with(ask.candidates_max), &occasion.start);
        let clusters = match found.nodes.len() {
            1 => vec![0],
            _ => solve(space, constraints, &rules.model, &found),
        };
        let identity_of = |at: usize| found.nodes[at].place.map(|place| space.identity_id(place).to_string());
        let current: Vec<Option<String>> = (0..found.nodes.len()).map(identity_of).collect();
        let mut placements = place(&found, &clusters, &current, occasion, clock.uuid);
        if !found.is_whole() {
            bar(&mut placements, space, constraints);
        }
        let mut plan = close(&found, placements, &current, occasion);
        plan.probabilities = probabilities(&found, &clusters);
        plan.mixed = mixed(space, &rules.model, &found, &clusters);
        plan.doubts = tell(&plan, &found, &doubts, |doubt| {
            let other = space.record_id(doubt.place).to_string();
            let is_decided = constraints.are_apart(&found.nodes[0].id, &other);
            let now =
                plan.identity_of(&other).map_or_else(|| space.identity_id(doubt.place).to_string(), str::to_owned);
            (!is_decided).then_some(now)
        });
        plan
    })?;
    Ok(plan)
}

/// Where every record that was followed belongs. The others stay in their identities.
fn place(
    found: &Found,
    clusters: &[usize],
    current: &[Option<String>],
    occasion: &Occasion<'_>,
    uuid: fn() -> String,
) -> Vec<Placement> {
    let mut names = names(found, clusters, current, occasion);
    let mut placements = Vec::new();
    for (at, node) in found.nodes.iter().enumerate().take(found.followed) {
        let Some(from) = current[at].clone() else { continue };
        let to = names.entry(clusters[at]).or_insert_with(uuid).clone();
        placements.push(Placement { record_id: node.id.clone(), from, to });
    }
    placements
}

/// Where not everything was followed, an identity may hold records that were not seen: one that a steward keeps apart from
/// one of those stays where it is.
fn bar(placements: &mut [Placement], space: &Space<'_>, constraints: &Constraints) {
    let mut planned: HashMap<String, String> =
        placements.iter().map(|one| (one.record_id.clone(), one.to.clone())).collect();
    loop {
        let identity_of = |id: &String| {
            planned.get(id).cloned().or_else(|| space.find(id).map(|place| space.identity_id(place).to_string()))
        };
        let is_barred = |one: &&mut Placement| {
            let apart = constraints.kept_apart(&one.record_id);
            one.from != one.to && apart.iter().any(|other| identity_of(other).as_ref() == Some(&one.to))
        };
        let Some(barred) = placements.iter_mut().find(is_barred) else { return };
        barred.to.clone_from(&barred.from);
        planned.insert(barred.record_id.clone(), barred.from.clone());
    }
}

/// What the placements ask for: identities that begin and end.
fn close(found: &Found, placements: Vec<Placement>, current: &[Option<String>], occasion: &Occasion<'_>) -> Plan {
    let is_fresh = |id: &str| occasion.fresh == Some(id);
    let stored: BTreeSet<&str> = current.iter().flatten().map(String::as_str).filter(|id| !is_fresh(id)).collect();
    let staying = current.iter().skip(found.followed).flatten().map(String::as_str);
    let staying: BTreeSet<&str> = staying.chain(found.overfull.iter().map(String::as_str)).collect();
    let used: BTreeSet<&str> = placements.iter().map(|one| one.to.as_str()).collect();
    let created = used.iter().filter(|id| !stored.contains(*id)).map(|id| (*id).to_owned()).collect();
    let lost = stored.iter().filter(|id| !used.contains(*id) && !staying.contains(*id));
    let ended = lost.filter_map(|id| Some(((*id).to_owned(), survivor(&placements, id)?))).collect();
    Plan { placements, created, ended, ..Plan::default() }
}

/// The identity id of every cluster that gets one that is there: an identity goes with most of its records, and the larger
/// share wins.
fn names(
    found: &Found,
    clusters: &[usize],
    current: &[Option<String>],
    occasion: &Occasion<'_>,
) -> BTreeMap<usize, String> {
    const PREFERRED: usize = 1_000_000;
    const STAYING: usize = 1_000_000_000_000;
    let is_fresh = |id: &str| occasion.fresh == Some(id);
    let mut shares: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for (at, node) in found.nodes.iter().enumerate() {
        let Some(own) = current[at].as_deref() else { continue };
        let (identity, share) = match occasion.preferred.get(&node.id) {
            _ if at >= found.followed => (own, STAYING),
            Some(preferred) => (preferred.as_str(), PREFERRED),
            None => (own, 1),
        };
        *shares.entry((identity, clusters[at])).or_default() += share;
    }
    let mut claims: Vec<((&str, usize), usize)> = shares.into_iter().collect();
    claims.sort_by(|a, b| is_fresh(a.0.0).cmp(&is_fresh(b.0.0)).then(b.1.cmp(&a.1)).then(a.0.cmp(&b.0)));
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    let mut claimed: BTreeSet<String> = BTreeSet::new();
    for ((identity, cluster), _) in &claims {
        if !names.contains_key(cluster) && claimed.insert((*identity).to_owned()) {
            names.insert(*cluster, (*identity).to_owned());
        }
    }
    names
}

/// Whether the first record contradicts those that it is with, and how likely they are one person all the same.
fn mixed(space: &Space<'_>, model: &Model, found: &Found, clusters: &[usize]) -> Option<f64> {
    let own = found.nodes.first()?.place?;
    let with = (1..found.nodes.len()).filter(|at| clusters[*at] == clusters[0]);
    let pairs = with.filter_map(|at| Some(space.compare(own, found.nodes[at].place?)));
    let pooled = pairs.reduce(|all, pair| all.join(&pair))?;
    let judged = Judgement::of(pooled, model, DECISION_POPULATION);
    (judged.graded.contradiction == Contradiction::Present).then_some(judged.probability)
}

/// Where most records of an identity went.
fn survivor(placements: &[Placement], identity: &str) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in placements.iter().filter(|one| one.from == identity) {
        *counts.entry(&one.to).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(id, _)| id.to_owned())
}

fn probabilities(found: &Found, clusters: &[usize]) -> HashMap<String, f64> {
    let mut best: HashMap<String, f64> = HashMap::new();
    for (a, b, odds) in found.edges.iter().filter(|(a, b, _)| clusters[*a] == clusters[*b]) {
        let probability = crate::matching::score::probability(*odds);
        for at in [a, b] {
            let known = best.entry(found.nodes[*at].id.clone()).or_default();
            *known = known.max(probability);
        }
    }
    best
}

fn tell(
    plan: &Plan,
    found: &Found,
    doubts: &[(usize, Doubt)],
    identity_of: impl Fn(&Doubt) -> Option<String>,
) -> Vec<(String, f64)> {
    let Some(first) = found.nodes.first() else { return Vec::new() };
    let own = plan.identity_of(&first.id);
    let mut told: BTreeMap<String, f64> = BTreeMap::new();
    for (_, doubt) in doubts.iter().filter(|(at, _)| *at == 0) {
        let Some(identity) = identity_of(doubt).filter(|identity| Some(identity.as_str()) != own) else { continue };
        let known = told.entry(identity).or_default();
        *known = known.max(doubt.probability);
    }
    let mut told: Vec<(String, f64)> = told.into_iter().collect();
    told.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    told.truncate(DOUBTS_MAX);
    told
}

/// The record of `others` that keeps an updated record in its identity, though nothing joins them any more: its new
/// content does not contradict what they say.
///
/// # Errors
/// What the store gives, when the candidates are there.
pub fn anchor(
    keeper: Keeper<'_>,
    unit: &mut Unit<'_>,
    record_id: &str,
    others: &[String],
) -> Result<Option<String>, AppError> {
    let model = &keeper.rules.model;
    let anchor = unit.with_space(keeper.ask.candidates_max, |space, _| {
        let own = space.find(record_id)?;
        let judge = |pair| Judgement::of(pair, model, DECISION_POPULATION);
        let places = others.iter().filter_map(|other| Some((other, space.find(other)?)));
        let pairs: Vec<(&String, Pair)> = places.map(|(other, place)| (other, space.compare(own, place))).collect();
        let pooled = pairs.iter().fold(Pair::EMPTY, |all, (_, pair)| all.join(pair));
        if pairs.is_empty() || !stays(&judge(pooled), model.thresholds()) {
            return None;
        }
        let best = pairs.iter().max_by(|a, b| judge(a.1).odds.total_cmp(&judge(b.1).odds).then(b.0.cmp(a.0)));
        best.map(|(other, _)| (*other).clone())
    })?;
    Ok(anchor)
}

/// Records that hang together with one, as it is now.
///
/// # Errors
/// What the store gives, when the candidates are there.
pub fn connected(keeper: Keeper<'_>, unit: &mut Unit<'_>, record_id: &str) -> Result<Vec<String>, AppError> {
    let Keeper { rules, ask, .. } = keeper;
    let connected = unit.with_space(ask.candidates_max, |space, constraints| {
        let start = [record_id.to_owned()];
        let (found, _) = around(space, constraints, &rules.model, Reach::with(ask.candidates_max), &start);
        let followed = found.nodes.into_iter().take(found.followed);
        followed.filter(|node| node.place.is_some()).map(|node| node.id).collect()
    })?;
    Ok(connected)
}

/// Writes what a plan changes of stored records; `except` is written by the caller.
///
/// # Errors
/// What the store gives.
pub fn apply(
    keeper: Keeper<'_>,
    unit: &mut Unit<'_>,
    plan: &Plan,
    except: Option<&str>,
    decision_id: Option<&str>,
) -> Result<(), AppError> {
    let now_us = unit.now_us;
    let created: Vec<IdentityRow> =
        plan.created.iter().map(|id| IdentityRow { id: id.clone(), created_us: now_us }).collect();
    identity::insert_many(unit.conn, &created)?;
    for row in &created {
        identity_history::delete_merged(unit.conn, &row.id)?;
    }
    let moves: Vec<&Placement> = plan.moves().filter(|one| Some(one.record_id.as_str()) != except).collect();
    if !moves.is_empty() {
        move_records(keeper, unit, plan, &moves, decision_id)?;
        let left: BTreeSet<&str> = moves.iter().map(|one| one.from.as_str()).collect();
        left.into_iter().try_for_each(|identity_id| forget_lonely(unit, identity_id))?;
    }
    for (id, survivor_id) in &plan.ended {
        end_identity(unit, id, Some(survivor_id))?;
    }
    Ok(())
}

/// A record that is left alone in its identity contradicts nobody there any more: what was asked about it, deferred or
/// not, is no question.
///
/// # Errors
/// What the store gives.
pub fn forget_lonely(unit: &mut Unit<'_>, identity_id: &str) -> Result<(), AppError> {
    if let [alone] = record::list_of_identities(unit.conn, &[identity_id])?.as_slice() {
        review::delete(unit.conn, &alone.id, identity_id)?;
    }
    Ok(())
}

fn move_records(
    keeper: Keeper<'_>,
    unit: &mut Unit<'_>,
    plan: &Plan,
    moves: &[&Placement],
    decision_id: Option<&str>,
) -> Result<(), AppError> {
    let ids: Vec<&str> = moves.iter().map(|one| one.record_id.as_str()).collect();
    let mut rows = record::find_many(unit.conn, &ids)?;
    identity_history::end(unit.conn, &rows, unit.now_us)?;
    for row in &mut rows {
        let Some(identity_id) = plan.identity_of(&row.id) else { continue };
        identity_id.clone_into(&mut row.identity_id);
        row.probability = plan.probabilities.get(&row.id).copied();
        keeper.rules.model.version().clone_into(&mut row.model_version);
        row.assigned_us = unit.now_us;
        row.decision_id = decision_id.map(str::to_owned);
        let features = features_of(unit.conn, row, keeper.rules)?;
        unit.index_upsert(Member { record_id: &row.id, version: row.version, identity_id }, &features);
    }
    record::upsert_many(unit.conn, &rows)?;
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    change::append(unit.conn, &ids)?;
    for row in &rows {
        review::delete(unit.conn, &row.id, &row.identity_id)?;
    }
    Ok(())
}

/// Reviews that are asked, those that somebody has deferred as they were left.
///
/// # Errors
/// What the store gives.
pub fn still_deferred(unit: &mut Unit<'_>, asked: Vec<ReviewRow>) -> Result<Vec<ReviewRow>, AppError> {
    if asked.is_empty() {
        return Ok(asked);
    }
    let record_ids: Vec<&str> = asked.iter().map(|row| row.record_id.as_str()).collect();
    let known = review::list_of_records(unit.conn, &record_ids)?;
    let deferred = |row: &ReviewRow| {
        let is_same = |known: &&ReviewRow| (&known.record_id, &known.identity_id) == (&row.record_id, &row.identity_id);
        known.iter().find(is_same).filter(|known| known.state == review::DEFERRED)
    };
    let left = |row: ReviewRow| match deferred(&row) {
        Some(known) => ReviewRow { state: known.state.clone(), reason: known.reason.clone(), ..row },
        None => row,
    };
    Ok(asked.into_iter().map(left).collect())
}

/// Ends an identity that has lost its records: its id points at its survivor, and so do the reviews that named it.
///
/// # Errors
/// What the store gives.
pub fn end_identity(unit: &mut Unit<'_>, id: &str, survivor_id: Option<&str>) -> Result<(), AppError> {
    if let Some(survivor_id) = survivor_id {
        let reviews = review::list_of_identity(unit.conn, id)?;
        let record_ids: Vec<&str> = reviews.iter().map(|row| row.record_id.as_str()).collect();
        let records = record::find_many(unit.conn, &record_ids)?;
        let is_elsewhere =
            |row: &ReviewRow| records.iter().any(|r| r.id == row.record_id && r.identity_id != survivor_id);
        let kept: Vec<ReviewRow> = reviews.into_iter().filter(is_elsewhere).collect();
        let moved: Vec<ReviewRow> =
            kept.into_iter().map(|row| ReviewRow { identity_id: survivor_id.to_owned(), ..row }).collect();
        let moved = still_deferred(unit, moved)?;
        review::insert_many(unit.conn, &moved)?;
    }
    if identity::delete_if_empty(unit.conn, id)? == Emptied::Kept {
        return Ok(());
    }
    match survivor_id {
        Some(survivor_id) => {
            let (id, survivor_id) = (id.to_owned(), survivor_id.to_owned());
            identity_history::insert_merged(unit.conn, &MergedRow { id, survivor_id, merged_us: unit.now_us })?;
        }
        None => identity_history::forget_survivor(unit.conn, id)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::component::Node;

    /// Records `r0`, `r1`, ... of which the first so many were followed.
    fn found(count: usize, followed: usize) -> Found {
        let nodes = (0..count).map(|at| Node { id: format!("r{at}"), place: None }).collect();
        Found { nodes, followed, ..Found::default() }
    }

    fn planned(found: &Found, clusters: &[usize], current: &[&str]) -> Plan {
        let current: Vec<Option<String>> = current.iter().map(|id| Some((*id).to_owned())).collect();
        let occasion = Occasion::default();
        let placements = place(found, clusters, &current, &occasion, || "new".to_owned());
        close(found, placements, &current, &occasion)
    }

    #[test]
    fn records_that_were_not_followed_neither_move_nor_lose_their_identity() {
        let moves = |plan: &Plan| plan.moves().map(|one| (one.record_id.clone(), one.to.clone())).collect::<Vec<_>>();
        let to = |record: &str, identity: &str| (record.to_owned(), identity.to_owned());
        // All of them followed: the larger share wins, and what has lost its records ends.
        let all = planned(&found(4, 4), &[0, 0, 0, 0], &["a", "b", "b", "b"]);
        assert_eq!((moves(&all), all.ended), (vec![to("r0", "b")], vec![to("a", "b")]));
        // One that was not followed keeps the name for its cluster, and its identity stays.
        let cut = planned(&found(4, 3), &[0, 0, 0, 0], &["b", "b", "b", "a"]);
        assert_eq!(cut.placements.len(), 3);
        assert_eq!((moves(&cut), cut.ended), (vec![to("r0", "a"), to("r1", "a"), to("r2", "a")], vec![to("b", "a")]));
        let alone = planned(&found(3, 2), &[0, 0, 2], &["a", "b", "a"]);
        assert_eq!((moves(&alone), alone.ended), (vec![to("r0", "b")], Vec::new()));
        let overfull = Found { overfull: BTreeSet::from(["a".to_owned()]), ..found(3, 3) };
        assert_eq!(planned(&overfull, &[0, 0, 0], &["a", "b", "b"]).ended, Vec::new());
    }
}
