//! The partition of records into identities: constrained agglomerative clustering, one deterministic function.
//!
//! What: records that stewards linked come first, then links that records declare, then strong edges in the order of
//! their strength, then the places that updated records had. Two clusters join when no constraint stands between them,
//! the evidence of all their records, pooled, is beyond doubt (`assign::joins`), and nobody whom stewards keep apart from one
//! of them is nearly as likely. Why not connected components: one wrong edge between two families would make one person of them.
//! Records without a chain of edges between them never come together, so what hangs together can be clustered alone and
//! in parallel. Every two records are compared once at most; beside that the work grows with the edges. Not here: finding
//! edges (see `component`, `engine`), names of identities.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::assign::{DECISION_POPULATION, JOIN_PROBABILITY_MIN, joins, stays};
use crate::matching::comparison::Pair;
use crate::matching::judgement::Judgement;
use crate::matching::model::Model;

/// What hangs together, numbered in the order of record ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Problem {
    pub records: u32,
    /// Pairs whose own evidence joins them.
    pub edges: Vec<Edge>,
    /// Must-link: always together.
    pub together: Vec<(u32, u32)>,
    /// Cannot-link: never together.
    pub apart: Vec<(u32, u32)>,
    /// Together, unless that would bring records together that must be apart.
    pub declared: Vec<(u32, u32)>,
    /// Together before one of them was updated, and still, unless something contradicts.
    pub continued: Vec<(u32, u32)>,
    /// Records of which not everything is known, with the number of the identity that they stay in: those of one are
    /// together, unless they must be apart, and nothing brings those of two together but must-links.
    pub anchored: Vec<(u32, u32)>,
}

/// A pair that belongs together by its own evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    pub a: u32,
    pub b: u32,
    /// The odds that both are one person's.
    pub odds: f64,
}

/// The cluster of each record, named by its first record. `compare` gives the evidence of any two records.
#[must_use]
pub fn partition(problem: &Problem, model: &Model, compare: impl Fn(u32, u32) -> Pair) -> Vec<u32> {
    let mut clustering = Clustering::new(problem, model, compare);
    for (a, b) in &problem.together {
        clustering.unite(*a, *b);
    }
    clustering.anchor();
    for (a, b) in sorted_pairs(&problem.declared) {
        if !clustering.are_apart(clustering.of(a), clustering.of(b)) {
            clustering.unite(a, b);
        }
    }
    let mut edges = problem.edges.clone();
    edges.sort_by(|x, y| y.odds.total_cmp(&x.odds).then((x.a, x.b).cmp(&(y.a, y.b))));
    for edge in &edges {
        clustering.join(edge.a, edge.b);
    }
    for (a, b) in sorted_pairs(&problem.continued) {
        clustering.keep(a, b);
    }
    clustering.named()
}

fn sorted_pairs(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    pairs
}

struct Clustering<'p, C> {
    problem: &'p Problem,
    model: &'p Model,
    compare: C,
    /// The cluster of each record.
    of: Vec<u32>,
    members: HashMap<u32, Vec<u32>>,
    /// Clusters that must not be one with a cluster.
    apart: Neighbours,
    /// Clusters that a strong edge leads to; only where some must be apart.
    linked: Neighbours,
    /// The identity that a cluster stays in.
    anchors: HashMap<u32, u32>,
    /// The evidence of clusters that were asked about, from both sides.
    pooled: HashMap<u32, HashMap<u32, Pair>>,
    /// Clusters that did not join, with their sizes: asked again only when one of them has grown.
    refused: BTreeSet<(u32, u32, usize)>,
}

/// Clusters by the cluster that they have to do with, from both sides.
#[derive(Default)]
struct Neighbours(HashMap<u32, HashSet<u32>>);

impl Neighbours {
    fn of(pairs: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut neighbours = Self::default();
        pairs.for_each(|(a, b)| neighbours.insert(a, b));
        neighbours
    }

    fn insert(&mut self, a: u32, b: u32) {
        self.0.entry(a).or_default().insert(b);
        self.0.entry(b).or_default().insert(a);
    }

    fn has(&self, a: u32, b: u32) -> bool {
        self.0.get(&a).is_some_and(|others| others.contains(&b))
    }

    fn all(&self, cluster: u32) -> impl Iterator<Item = u32> {
        self.0.get(&cluster).into_iter().flatten().copied()
    }

    fn unite(&mut self, kept: u32, gone: u32) {
        for other in self.0.remove(&gone).unwrap_or_default() {
            if let Some(others) = self.0.get_mut(&other) {
                others.remove(&gone);
            }
            if other != kept {
                self.insert(kept, other);
            }
        }
    }
}

impl<'p, C: Fn(u32, u32) -> Pair> Clustering<'p, C> {
    fn new(problem: &'p Problem, model: &'p Model, compare: C) -> Self {
        let of: Vec<u32> = (0..problem.records).collect();
        let members = of.iter().map(|record| (*record, vec![*record])).collect();
        let apart = Neighbours::of(problem.apart.iter().copied());
        let is_asked = !problem.apart.is_empty();
        let linked = Neighbours::of(problem.edges.iter().filter(|_| is_asked).map(|edge| (edge.a, edge.b)));
        let (anchors, pooled) = (HashMap::new(), HashMap::new());
        Self { problem, model, compare, of, members, apart, linked, anchors, pooled, refused: BTreeSet::new() }
    }

    /// The cluster of each record, named by its first record.
    fn named(&self) -> Vec<u32> {
        let mut names: HashMap<u32, u32> = HashMap::new();
        let name = |(record, cluster): (u32, &u32)| *names.entry(*cluster).or_insert(record);
        (0..).zip(&self.of).map(name).collect()
    }

    fn of(&self, record: u32) -> u32 {
        self.of[record as usize]
    }

    fn members(&self, cluster: u32) -> &[u32] {
        self.members.get(&cluster).map_or(&[], Vec::as_slice)
    }

    /// Leaves records together in the identities that they stay in.
    fn anchor(&mut self) {
        let mut first: HashMap<u32, u32> = HashMap::new();
        for (record, identity) in sorted_pairs(&self.problem.anchored) {
            self.anchors.entry(self.of(record)).or_insert(identity);
            let with = *first.entry(identity).or_insert(record);
            if !self.are_apart(self.of(record), self.of(with)) {
                self.unite(record, with);
            }
        }
    }

    /// The larger cluster takes the other one in.
    fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return;
        }
        let (kept, gone) = if self.members(a).len() >= self.members(b).len() { (a, b) } else { (b, a) };
        self.unite_pooled(kept, gone);
        let moved = self.members.remove(&gone).unwrap_or_default();
        for record in &moved {
            self.of[*record as usize] = kept;
        }
        self.members.entry(kept).or_default().extend(moved);
        self.apart.unite(kept, gone);
        self.linked.unite(kept, gone);
        if let Some(anchor) = self.anchors.remove(&gone) {
            self.anchors.entry(kept).or_insert(anchor);
        }
    }

    /// Evidence that was pooled holds on; what is missing of it is compared, nothing twice.
    fn unite_pooled(&mut self, kept: u32, gone: u32) {
        let mut others: Vec<u32> = Vec::new();
        for cluster in [kept, gone] {
            others.extend(self.pooled.get(&cluster).into_iter().flat_map(HashMap::keys));
        }
        others.sort_unstable();
        others.dedup();
        for other in others.into_iter().filter(|other| *other != kept && *other != gone) {
            let pair = self.evidence(kept, other).join(&self.evidence(gone, other));
            self.note(kept, other, pair);
            self.forget(gone, other);
        }
        self.forget(gone, kept);
        self.pooled.remove(&gone);
    }

    fn note(&mut self, a: u32, b: u32, pair: Pair) {
        self.pooled.entry(a).or_default().insert(b, pair);
        self.pooled.entry(b).or_default().insert(a, pair);
    }

    fn forget(&mut self, gone: u32, other: u32) {
        if let Some(known) = self.pooled.get_mut(&other) {
            known.remove(&gone);
        }
    }

    fn are_apart(&self, a: u32, b: u32) -> bool {
        let anchor = |cluster| self.anchors.get(&cluster);
        a != b && (self.apart.has(a, b) || anchor(a).zip(anchor(b)).is_some_and(|(a, b)| a != b))
    }

    /// The evidence of two clusters: of all pairs across, pooled.
    fn evidence(&self, a: u32, b: u32) -> Pair {
        if let Some(known) = self.pooled.get(&a).and_then(|known| known.get(&b)) {
            return *known;
        }
        let mut pooled = Pair::EMPTY;
        for x in self.members(a) {
            for y in self.members(b) {
                pooled = pooled.join(&(self.compare)(*x, *y));
            }
        }
        pooled
    }

    fn judge(&mut self, a: u32, b: u32) -> Judgement {
        let pair = self.evidence(a, b);
        self.note(a, b, pair);
        Judgement::of(pair, self.model, DECISION_POPULATION)
    }

    /// Joins the clusters of a strong edge, if all their records allow it.
    fn join(&mut self, a: u32, b: u32) {
        let (x, y) = (self.of(a), self.of(b));
        let sizes = self.members(x).len() + self.members(y).len();
        if x == y || self.refused.contains(&(x.min(y), x.max(y), sizes)) {
            return;
        }
        if self.may_join(x, y) {
            self.unite(x, y);
        } else {
            self.refused.insert((x.min(y), x.max(y), sizes));
        }
    }

    fn may_join(&mut self, x: u32, y: u32) -> bool {
        if self.are_apart(x, y) {
            return false;
        }
        let evidence = self.judge(x, y);
        if !joins(&evidence) {
            return false;
        }
        let rivals = self.rivals(x, y) + self.rivals(y, x);
        rivals == 0.0 || evidence.odds / (1.0 + evidence.odds + rivals) >= JOIN_PROBABILITY_MIN
    }

    /// The odds of the clusters that may be one with `x` and of which stewards say that they are not `y`: only one of them
    /// can be right.
    fn rivals(&mut self, x: u32, y: u32) -> f64 {
        let others: Vec<u32> = self.linked.all(x).filter(|other| *other != x && self.apart.has(*other, y)).collect();
        let mut odds: Vec<f64> = others.into_iter().map(|other| self.judge(other, x).odds).collect();
        // In one order, so that the sum does not depend on that of the clusters.
        odds.sort_by(f64::total_cmp);
        odds.into_iter().sum()
    }

    /// Leaves an updated record where it was, if nothing contradicts.
    fn keep(&mut self, a: u32, b: u32) {
        let (x, y) = (self.of(a), self.of(b));
        if x != y && !self.are_apart(x, y) && stays(&self.judge(x, y), self.model.thresholds()) {
            self.unite(x, y);
        }
    }
}
