//! What hangs together with one record, and its clusters: the local form of the partition.
//!
//! What: [`around`] follows strong edges, constraints and shared identities from a record until nothing new is found;
//! [`solve`] clusters what was found. As clusters only ever grow along these, the result is that of the partition of
//! everything. Nobody may stall the one writer with records that hang together, so of those only so many are followed
//! ([`Reach`]): the others stay in the identities that they are in, and what was
//! followed joins them there or not. Not here: the clustering itself (see `partition`).

use std::collections::{BTreeSet, HashMap};

use super::assign::{DECISION_POPULATION, is_doubtful, joins};
use super::constraint::{Constraints, Kind};
use super::partition::{Edge, Problem, partition};
use crate::matching::comparison::Pair;
use crate::matching::index::{Place, Space};
use crate::matching::judgement::Judgement;
use crate::matching::model::Model;

/// How far what hangs together is followed: nobody may stall the one writer with it.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// Candidates that one record is compared with at most.
    pub candidates_max: usize,
    /// Records that are followed at most.
    pub records_max: usize,
    /// Pairs that are compared at most before no more records are followed, but for those that were started from.
    pub pairs_max: usize,
    /// Records that are looked at at most, beside those that constraints name.
    pub nodes_max: usize,
}

impl Reach {
    /// That of a write.
    #[must_use]
    pub const fn with(candidates_max: usize) -> Self {
        Self { candidates_max, records_max: 1000, pairs_max: 500_000, nodes_max: 2000 }
    }
}

/// A record, or one that constraints name and that is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub place: Option<Place>,
}

/// Records that hang together.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub nodes: Vec<Node>,
    /// Strong edges, by the numbers of their nodes, the smaller first, with the odds.
    pub edges: Vec<(usize, usize, f64)>,
    /// How many nodes, from the first, everything is known of that hangs together with them. The others stay in their
    /// identities.
    pub followed: usize,
    /// Identities of followed records that have more records than were looked at.
    pub overfull: BTreeSet<String>,
}

impl Found {
    /// Whether everything that hangs together was followed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.followed == self.nodes.len() && self.overfull.is_empty()
    }
}

/// A record that may be the same person's and is joined by no strong edge of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    pub place: Place,
    pub probability: f64,
}

/// The cluster of each node, named by a node of it.
#[must_use]
pub fn solve(space: &Space<'_>, constraints: &Constraints, model: &Model, found: &Found) -> Vec<usize> {
    let mut order: Vec<usize> = (0..found.nodes.len()).collect();
    order.sort_by(|a, b| found.nodes[*a].id.cmp(&found.nodes[*b].id));
    let mut rank = vec![0; order.len()];
    for (number, node) in (0_u32..).zip(&order) {
        rank[*node] = number;
    }
    let mut problem = problem(constraints, found, &order, &rank);
    problem.anchored = anchored(space, found, &rank);
    let place = |number: u32| found.nodes[order[number as usize]].place;
    let compare = |a: u32, b: u32| match (place(a), place(b)) {
        (Some(a), Some(b)) => space.compare(a, b),
        _ => Pair::EMPTY,
    };
    let clusters = partition(&problem, model, compare);
    rank.iter().map(|number| order[clusters[*number as usize] as usize]).collect()
}

/// Nodes that were not followed, with numbers of their identities.
fn anchored(space: &Space<'_>, found: &Found, rank: &[u32]) -> Vec<(u32, u32)> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut anchored = Vec::new();
    for (node, rank) in found.nodes.iter().zip(rank).skip(found.followed) {
        let Some(place) = node.place else { continue };
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        anchored.push((*rank, *numbers.entry(space.identity_id(place).to_string()).or_insert(next)));
    }
    anchored
}

fn problem(constraints: &Constraints, found: &Found, order: &[usize], rank: &[u32]) -> Problem {
    let ordered = |a: u32, b: u32| (a.min(b), a.max(b));
    let edge = |(a, b, odds): &(usize, usize, f64)| {
        let (a, b) = ordered(rank[*a], rank[*b]);
        Edge { a, b, odds: *odds }
    };
    let edges = found.edges.iter().map(edge).collect();
    let mut problem = Problem { records: u32::try_from(order.len()).unwrap_or(u32::MAX), edges, ..Problem::default() };
    if constraints.is_empty() {
        return problem;
    }
    let number_of: HashMap<&str, u32> =
        (0_u32..).zip(order).map(|(number, node)| (found.nodes[*node].id.as_str(), number)).collect();
    for (id, number) in &number_of {
        for (other, kind) in constraints.of(id) {
            let Some(other) = number_of.get(other.as_str()).filter(|other| *other > number) else { continue };
            let list = match kind {
                Kind::MustLink => &mut problem.together,
                Kind::CannotLink => &mut problem.apart,
                Kind::Continued => &mut problem.continued,
            };
            list.push((*number, *other));
        }
        // What is not stored declares nothing, and nothing is declared of it.
        let is_stored = |number: &u32| found.nodes[order[*number as usize]].place.is_some();
        let declared = constraints.declared(id).filter_map(|other| number_of.get(other));
        let declared = declared.filter(|other| is_stored(other) && is_stored(number));
        problem.declared.extend(declared.map(|other| ordered(*number, *other)));
    }
    problem
}

/// What hangs together with the records of `start`, and what each of them may be without a strong edge.
#[must_use]
pub fn around(
    space: &Space<'_>,
    constraints: &Constraints,
    model: &Model,
    reach: Reach,
    start: &[String],
) -> (Found, Vec<(usize, Doubt)>) {
    let found = Found::default();
    let (numbers, identities) = (HashMap::new(), BTreeSet::new());
    let mut search = Search { space, constraints, model, reach, found, numbers, identities, pairs: 0 };
    for id in start {
        search.number(id);
    }
    let mut doubts = Vec::new();
    let mut at = 0;
    while search.is_followed(at, start.len()) {
        let Node { id, place } = search.found.nodes[at].clone();
        if !constraints.is_empty() {
            for (other, _) in constraints.of(&id) {
                search.number(other);
            }
            for other in constraints.declared(&id) {
                search.number(other);
            }
        }
        if let Some(place) = place {
            search.number_members(place);
            search.follow(at, place, (at < start.len()).then_some(&mut doubts));
        }
        at += 1;
    }
    search.found.followed = at;
    (search.into_found(), doubts)
}

struct Search<'s, 'i> {
    space: &'s Space<'i>,
    constraints: &'s Constraints,
    model: &'s Model,
    reach: Reach,
    found: Found,
    numbers: HashMap<String, usize>,
    /// Identities whose records have numbers.
    identities: BTreeSet<String>,
    /// Pairs that were compared.
    pairs: usize,
}

impl Search<'_, '_> {
    fn is_followed(&self, at: usize, started: usize) -> bool {
        at < self.found.nodes.len().min(self.reach.records_max) && (at < started || self.pairs < self.reach.pairs_max)
    }

    /// An edge is met at one of its ends or at both: a search of candidates may be cut.
    fn into_found(mut self) -> Found {
        self.found.edges.sort_by(|x, y| (x.0, x.1).cmp(&(y.0, y.1)).then(y.2.total_cmp(&x.2)));
        self.found.edges.dedup_by_key(|edge| (edge.0, edge.1));
        self.found
    }

    fn number(&mut self, id: &str) -> usize {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.add(id);
        // What must be with it is always seen, however much hangs together.
        if !self.constraints.of(id).is_empty() {
            for linked in self.constraints.must_group(id) {
                if !self.numbers.contains_key(&linked) {
                    self.add(&linked);
                }
            }
        }
        number
    }

    fn add(&mut self, id: &str) -> usize {
        self.found.nodes.push(Node { id: id.to_owned(), place: self.space.find(id) });
        let number = self.found.nodes.len() - 1;
        self.numbers.insert(id.to_owned(), number);
        number
    }

    /// The number of a record, as long as there is room.
    fn number_at(&mut self, place: Place) -> Option<usize> {
        let id = self.space.record_id(place).to_string();
        let has_room = self.found.nodes.len() < self.reach.nodes_max || self.numbers.contains_key(&id);
        has_room.then(|| self.number(&id))
    }

    fn number_members(&mut self, place: Place) {
        let identity = self.space.identity_id(place).to_string();
        if self.identities.contains(&identity) {
            return;
        }
        let members = self.space.members(place);
        if !members.into_iter().all(|member| self.number_at(member).is_some()) {
            self.found.overfull.insert(identity.clone());
        }
        self.identities.insert(identity);
    }

    /// Adds the strong edges of a record, and notes the other likely pairs of it.
    fn follow(&mut self, at: usize, place: Place, mut doubts: Option<&mut Vec<(usize, Doubt)>>) {
        let (space, model) = (self.space, self.model);
        let thresholds = model.thresholds();
        space.each_neighbour(
            place,
            self.reach.candidates_max,
            |_| true,
            |other, pair| {
                self.pairs += 1;
                let Some(judged) = Judgement::if_likely(pair, model, DECISION_POPULATION, thresholds.review) else {
                    return;
                };
                if joins(&judged)
                    && let Some(number) = self.number_at(other)
                {
                    self.found.edges.push((at.min(number), at.max(number), judged.odds));
                }
                if is_doubtful(&judged, thresholds)
                    && let Some(doubts) = doubts.as_deref_mut()
                {
                    doubts.push((at, Doubt { place: other, probability: judged.probability }));
                }
            },
        );
    }
}
