//! The partition of the whole store: what another model, or a change of the rules, would join, split and ask; and doing it.
//!
//! What: [`App::propose_partition`] clusters everything that the index holds on all cores and says where identities
//! differ from it; [`App::apply_partition`] settles those places, a few in each transaction, by the same rule as every
//! write (see `settle`). What was settled differs no longer, so a run that was cut off is simply run again, and writes
//! that come between are safe. Why reading the index is enough: it follows the change log. Not here: the clustering (see
//! `identity::engine`), files (see `cli::partition`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::audit::Action;
use crate::identity::constraint::Constraints;
use crate::identity::engine::{Partition, repartition};
use crate::matching::index::Space;
use crate::store::record;
use crate::store::review::{self, ReviewRow};

use super::context::Context;
use super::error::AppError;
use super::settle::{self, Occasion};
use super::unit::Unit;
use super::write::Desk;
use super::writer::{Done, Scope};
use super::{App, close, panicked};

/// Differences settled in one transaction.
const BATCH_DIFFERENCES: usize = 100;
/// Reviews written in one transaction.
const BATCH_REVIEWS: usize = 500;

/// Where identities differ from the partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub change: Change,
    /// Identities as they are.
    pub identities: Vec<String>,
    /// Records as they belong together.
    pub clusters: Vec<Vec<String>>,
}

/// What becomes of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Join,
    Split,
    Regroup,
}

/// A record that may belong to another identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doubtful {
    pub record: String,
    /// A record of the other identity.
    pub other: String,
    pub probability: f64,
}

/// What the partition asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Proposed {
    pub model: String,
    pub records: usize,
    pub identities_before: usize,
    pub identities_after: usize,
    #[serde(skip)]
    pub differences: Vec<Difference>,
    #[serde(skip)]
    pub doubts: Vec<Doubtful>,
}

impl Proposed {
    /// How many differences are of this kind.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.differences.iter().filter(|difference| difference.change == change).count()
    }
}

impl App {
    /// Clusters everything; changes nothing. `progress` hears how many records have been compared.
    ///
    /// # Errors
    /// When the audit row cannot be written.
    pub fn propose_partition(&self, ctx: &Context, progress: impl Fn(usize) + Sync) -> Result<Proposed, AppError> {
        self.answer(ctx, Action::Partition, |audit| {
            let model = &self.rules.model;
            let candidates_max = self.config.matching.candidates_max;
            let (mut proposed, records) = self.candidates.with_everyone(&self.store, |index, constraints| {
                let space = index.space();
                let found = repartition(&space, constraints, model, candidates_max, progress);
                (compare(&space, constraints, &found), found.places.len())
            })?;
            model.version().clone_into(&mut proposed.model);
            audit.detail.model_version = Some(proposed.model.clone());
            audit.detail.count = Some(records as u64);
            Ok(proposed)
        })
    }

    /// Settles every difference and writes the reviews. `progress` hears how many of both are done.
    ///
    /// # Errors
    /// What the store gives; what was settled stays.
    pub fn apply_partition(
        &self,
        ctx: &Context,
        proposed: &Proposed,
        mut progress: impl FnMut(usize),
    ) -> Result<(), AppError> {
        let mut done = 0;
        for batch in proposed.differences.chunks(BATCH_DIFFERENCES) {
            let groups: Vec<Vec<String>> =
                batch.iter().map(|difference| difference.clusters.iter().flatten().cloned().collect()).collect();
            self.in_batch(ctx, groups.len(), move |desk, unit| {
                groups.into_iter().try_for_each(|start| settle_group(desk, unit, start))
            })?;
            done += batch.len();
            progress(done);
        }
        for batch in proposed.doubts.chunks(BATCH_REVIEWS) {
            let doubts = batch.to_vec();
            self.in_batch(ctx, doubts.len(), move |desk, unit| ask(desk, unit, &doubts))?;
            done += batch.len();
            progress(done);
        }
        Ok(())
    }

    fn in_batch(
        &self,
        ctx: &Context,
        count: usize,
        work: impl FnOnce(&Desk, &mut Unit<'_>) -> Result<(), AppError> + Send + 'static,
    ) -> Result<(), AppError> {
        let mut audit = ctx.audit(Action::Partition);
        audit.detail.model_version = Some(self.rules.model.version().to_owned());
        audit.detail.count = Some(count as u64);
        let desk = self.desk(ctx);
        self.writer.submit(Scope::Identities, panicked(&audit), move |unit| {
            let result = work(&desk, unit);
            close(&mut audit, result.as_ref().err(), (desk.clock.now_us)());
            Done { result, audit }
        })
    }
}

fn settle_group(desk: &Desk, unit: &mut Unit<'_>, start: Vec<String>) -> Result<(), AppError> {
    let plan = settle::plan(desk.keeper(), unit, &Occasion { start, ..Occasion::default() })?;
    settle::apply(desk.keeper(), unit, &plan, None, None)
}

/// Writes reviews, as far as both records are still there and apart.
fn ask(desk: &Desk, unit: &mut Unit<'_>, doubts: &[Doubtful]) -> Result<(), AppError> {
    let ids: BTreeSet<&str> = doubts.iter().flat_map(|doubt| [doubt.record.as_str(), doubt.other.as_str()]).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows = record::find_many(unit.conn, &ids)?;
    let identity_of: HashMap<&str, &str> = rows.iter().map(|row| (row.id.as_str(), row.identity_id.as_str())).collect();
    let known = review::list_of_records(unit.conn, &ids)?;
    let mut reviews: BTreeMap<(String, String), ReviewRow> = BTreeMap::new();
    for doubt in doubts {
        let both = identity_of.get(doubt.record.as_str()).zip(identity_of.get(doubt.other.as_str()));
        let Some((own, other)) = both.filter(|(own, other)| own != other) else { continue };
        let asks =
            |row: &ReviewRow, record: &str, identity: &str| row.record_id == record && row.identity_id == identity;
        if known.iter().any(|row| asks(row, &doubt.record, other) || asks(row, &doubt.other, own)) {
            continue;
        }
        let row = ReviewRow {
            record_id: doubt.record.clone(),
            identity_id: (*other).to_owned(),
            probability: doubt.probability,
            created_us: unit.now_us,
            model_version: desk.rules.model.version().to_owned(),
            state: review::OPEN.to_owned(),
            reason: None,
        };
        reviews.insert((row.record_id.clone(), row.identity_id.clone()), row);
    }
    Ok(review::insert_many(unit.conn, &reviews.into_values().collect::<Vec<_>>())?)
}

/// Where identities differ from the clusters, and what is doubtful beside.
fn compare(space: &Space<'_>, constraints: &Constraints, found: &Partition) -> Proposed {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut sizes: Vec<u32> = Vec::new();
    let mut identity_of: Vec<u32> = Vec::with_capacity(found.places.len());
    for place in &found.places {
        let next = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
        let number = *numbers.entry(space.identity_id(*place).to_string()).or_insert(next);
        if number == next {
            sizes.push(0);
        }
        sizes[number as usize] += 1;
        identity_of.push(number);
    }
    let mut clusters: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (number, cluster) in (0..).zip(&found.clusters) {
        clusters.entry(*cluster).or_default().push(number);
    }
    let is_whole = |members: &Vec<u32>| {
        let first = identity_of[members[0] as usize];
        members.iter().all(|member| identity_of[*member as usize] == first)
            && sizes[first as usize] as usize == members.len()
    };
    let identities_after = clusters.len();
    clusters.retain(|_, members| !is_whole(members));
    let groups = group(clusters.into_values().collect(), &identity_of);
    let id = |number: &u32| space.record_id(found.places[*number as usize]).to_string();
    let mut differences: Vec<Difference> = groups.iter().map(|group| difference(space, found, group, id)).collect();
    differences.sort_by(|a, b| a.clusters.cmp(&b.clusters));
    let doubts = doubts(constraints, found, id);
    let (records, identities_before) = (found.places.len(), sizes.len());
    Proposed { model: String::new(), records, identities_before, identities_after, differences, doubts }
}

/// Clusters that take records from the same identities, together.
fn group(clusters: Vec<Vec<u32>>, identity_of: &[u32]) -> Vec<Vec<Vec<u32>>> {
    let mut group_of: HashMap<u32, usize> = HashMap::new();
    let mut groups: Vec<Vec<Vec<u32>>> = Vec::new();
    for cluster in clusters {
        let identities: BTreeSet<u32> = cluster.iter().map(|member| identity_of[*member as usize]).collect();
        let known: BTreeSet<usize> = identities.iter().filter_map(|identity| group_of.get(identity).copied()).collect();
        let into = known.first().copied().unwrap_or(groups.len());
        if into == groups.len() {
            groups.push(Vec::new());
        }
        groups[into].push(cluster);
        for other in known.into_iter().filter(|other| *other != into) {
            let moved = std::mem::take(&mut groups[other]);
            let members = moved.iter().flatten();
            group_of.extend(members.map(|member| (identity_of[*member as usize], into)));
            groups[into].extend(moved);
        }
        group_of.extend(identities.into_iter().map(|identity| (identity, into)));
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn difference(space: &Space<'_>, found: &Partition, group: &[Vec<u32>], id: impl Fn(&u32) -> String) -> Difference {
    let identity = |number: &u32| space.identity_id(found.places[*number as usize]).to_string();
    let identities: BTreeSet<String> = group.iter().flatten().map(identity).collect();
    let mut clusters: Vec<Vec<String>> = group.iter().map(|cluster| cluster.iter().map(&id).collect()).collect();
    clusters.iter_mut().for_each(|cluster| cluster.sort_unstable());
    clusters.sort_unstable();
    let change = match (identities.len(), clusters.len()) {
        (_, 1) => Change::Join,
        (1, _) => Change::Split,
        _ => Change::Regroup,
    };
    Difference { change, identities: identities.into_iter().collect(), clusters }
}

/// The likeliest pair of every two clusters that may be one, unless a steward has said that they are not.
fn doubts(constraints: &Constraints, found: &Partition, id: impl Fn(&u32) -> String) -> Vec<Doubtful> {
    let mut best: BTreeMap<(u32, u32), Doubtful> = BTreeMap::new();
    for doubt in &found.doubts {
        let (a, b) = (id(&doubt.a), id(&doubt.b));
        if constraints.are_apart(&a, &b) {
            continue;
        }
        let (x, y) = (found.clusters[doubt.a as usize], found.clusters[doubt.b as usize]);
        let (record, other) = if a > b { (a, b) } else { (b, a) };
        let found = Doubtful { record, other, probability: doubt.probability };
        let key = (x.min(y), x.max(y));
        let is_better = |known: &Doubtful| {
            known.probability < found.probability
                || (known.probability == found.probability && known.record > found.record)
        };
        if best.get(&key).is_none_or(is_better) {
            best.insert(key, found);
        }
    }
    let mut doubts: Vec<Doubtful> = best.into_values().collect();
    doubts.sort_by(|a, b| (&a.record, &a.other).cmp(&(&b.record, &b.other)));
    doubts
}
