//! The partition of records into identities: constrained agglomerative clustering, one deterministic function.
//!
//! What: records that stewards linked come first, then links that records declare, then strong edges in the order of
//! their strength, then the places that updated records had. Two clusters join when no constraint stands between them,
//! the evidence of all their records, pooled, is beyond doubt (`assign::joins`), and nobody whom stewards keep apart from one
//! of them is nearly as likely. Why not connected components: one wrong edge between two families would make one person of them.
//! Records without a chain of edges between them never come together, so what hangs together can be clustered alone and
//! in parallel. Not here: finding edges (see `component`, `engine`), names of identities.

use std::collections::{BTreeSet, HashMap};

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
    clustering.of
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
    /// Clusters that did not join, with their sizes: asked again only when one of them has grown.
    refused: BTreeSet<(u32, u32, usize)>,
}

impl<'p, C: Fn(u32, u32) -> Pair> Clustering<'p, C> {
    fn new(problem: &'p Problem, model: &'p Model, compare: C) -> Self {
        let of: Vec<u32> = (0..problem.records).collect();
        let members = of.iter().map(|record| (*record, vec![*record])).collect();
        Self { problem, model, compare, of, members, refused: BTreeSet::new() }
    }

    fn of(&self, record: u32) -> u32 {
        self.of[record as usize]
    }

    fn members(&self, cluster: u32) -> &[u32] {
        self.members.get(&cluster).map_or(&[], Vec::as_slice)
    }

    fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return;
        }
        let (kept, gone) = (a.min(b), a.max(b));
        let moved = self.members.remove(&gone).unwrap_or_default();
        for record in &moved {
            self.of[*record as usize] = kept;
        }
        self.members.entry(kept).or_default().extend(moved);
    }

    fn are_apart(&self, a: u32, b: u32) -> bool {
        self.problem.apart.iter().any(|(x, y)| {
            let (x, y) = (self.of(*x), self.of(*y));
            (x, y) == (a, b) || (y, x) == (a, b)
        })
    }

    /// The evidence of two clusters: of all pairs across, pooled.
    fn pooled(&self, a: u32, b: u32) -> Judgement {
        let mut pooled = Pair::EMPTY;
        for x in self.members(a) {
            for y in self.members(b) {
                pooled = pooled.join(&(self.compare)(*x, *y));
            }
        }
        Judgement::of(pooled, self.model, DECISION_POPULATION)
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

    fn may_join(&self, x: u32, y: u32) -> bool {
        if self.are_apart(x, y) {
            return false;
        }
        let evidence = self.pooled(x, y);
        if !joins(&evidence) {
            return false;
        }
        let rivals = self.rivals(x, y) + self.rivals(y, x);
        rivals == 0.0 || evidence.odds / (1.0 + evidence.odds + rivals) >= JOIN_PROBABILITY_MIN
    }

    /// The odds of the clusters that may be one with `x` and of which stewards say that they are not `y`: only one of them
    /// can be right.
    fn rivals(&self, x: u32, y: u32) -> f64 {
        if self.problem.apart.is_empty() {
            return 0.0;
        }
        let mut others = BTreeSet::new();
        for edge in &self.problem.edges {
            let (a, b) = (self.of(edge.a), self.of(edge.b));
            others.extend((a == x).then_some(b));
            others.extend((b == x).then_some(a));
        }
        others.retain(|other| *other != x && *other != y && self.are_apart(*other, y));
        others.into_iter().map(|other| self.pooled(other, x).odds).sum()
    }

    /// Leaves an updated record where it was, if nothing contradicts.
    fn keep(&mut self, a: u32, b: u32) {
        let (x, y) = (self.of(a), self.of(b));
        if x != y && !self.are_apart(x, y) && stays(&self.pooled(x, y), self.model.thresholds()) {
            self.unite(x, y);
        }
    }
}
