//! What hangs together with one record, and its clusters: the local form of the partition.
//!
//! What: [`around`] follows strong edges, constraints and shared identities from a record until nothing new is found;
//! [`solve`] clusters what was found. As clusters only ever grow along these, the result is that of the partition of
//! everything. More than [`RECORDS_MAX`] records that hang together are not followed further: then the record is assigned
//! among those that were found first, and the batch partition settles the rest. Not here: the clustering itself (see
//! `partition`).

use std::collections::HashMap;

use super::assign::{DECISION_POPULATION, is_doubtful, joins};
use super::constraint::{Constraints, Kind};
use super::partition::{Edge, Problem, partition};
use crate::matching::comparison::Pair;
use crate::matching::index::{Place, Space};
use crate::matching::judgement::Judgement;
use crate::matching::model::Model;

/// Records of one component that are followed at most.
pub const RECORDS_MAX: usize = 1000;

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
    /// Strong edges, by the numbers of their nodes, with the odds.
    pub edges: Vec<(usize, usize, f64)>,
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
    let problem = problem(constraints, found, &order, &rank);
    let place = |number: u32| found.nodes[order[number as usize]].place;
    let compare = |a: u32, b: u32| match (place(a), place(b)) {
        (Some(a), Some(b)) => space.compare(a, b),
        _ => Pair::EMPTY,
    };
    let clusters = partition(&problem, model, compare);
    rank.iter().map(|number| order[clusters[*number as usize] as usize]).collect()
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
    candidates_max: usize,
    start: &[String],
) -> (Found, Vec<(usize, Doubt)>) {
    let mut search = Search { space, constraints, found: Found::default(), numbers: HashMap::new() };
    for id in start {
        search.number(id);
    }
    let mut doubts = Vec::new();
    let mut at = 0;
    while at < search.found.nodes.len() && at < RECORDS_MAX {
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
            for member in space.members(place) {
                search.number_at(member);
            }
            search.follow(at, place, model, candidates_max, (at < start.len()).then_some(&mut doubts));
        }
        at += 1;
    }
    (search.found, doubts)
}

struct Search<'s, 'i> {
    space: &'s Space<'i>,
    constraints: &'s Constraints,
    found: Found,
    numbers: HashMap<String, usize>,
}

impl Search<'_, '_> {
    fn number(&mut self, id: &str) -> usize {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        self.found.nodes.push(Node { id: id.to_owned(), place: self.space.find(id) });
        let number = self.found.nodes.len() - 1;
        self.numbers.insert(id.to_owned(), number);
        // What must be with it is always seen, however much hangs together.
        if !self.constraints.of(id).is_empty() {
            self.constraints.must_group(id).iter().for_each(|linked| self.see(linked));
        }
        number
    }

    fn see(&mut self, id: &str) {
        self.number(id);
    }

    fn number_at(&mut self, place: Place) -> usize {
        self.number(&self.space.record_id(place).to_string())
    }

    /// Adds the strong edges of a record, and notes the other likely pairs of it.
    fn follow(
        &mut self,
        at: usize,
        place: Place,
        model: &Model,
        candidates_max: usize,
        mut doubts: Option<&mut Vec<(usize, Doubt)>>,
    ) {
        let thresholds = model.thresholds();
        let space = self.space;
        space.each_neighbour(
            place,
            candidates_max,
            |_| true,
            |other, pair| {
                let Some(judged) = Judgement::if_likely(pair, model, DECISION_POPULATION, thresholds.review) else {
                    return;
                };
                if joins(&judged) {
                    let number = self.number_at(other);
                    // An edge is met at both of its ends.
                    if number > at {
                        self.found.edges.push((at, number, judged.odds));
                    }
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
