//! The partition of everything that an index holds, on all cores.
//!
//! What: every record is compared with its neighbours on rayon's current pool, which leaves the strong edges; what they
//! and the constraints connect is clustered, component by component, on the same pool. The result is the same at any
//! number of threads and for any order in which the index was filled. Of more than [`COMPONENT_RECORDS_MAX`] that hang
//! together every record stays in its identity, and what is likely beside is doubtful. Memory: 48 bytes for each strong
//! edge and each doubtful pair, 16 for each record. Not here: reading and applying (see `app`), single records (see `component`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::assign::{DECISION_POPULATION, is_doubtful, joins};
use super::component::{Found, Node, solve};
use super::constraint::Constraints;
use crate::matching::index::{Place, Space};
use crate::matching::judgement::Judgement;
use crate::matching::model::Model;

/// Records compared by one task.
const CHUNK: usize = 512;

/// Records that hang together and are clustered at most: every two of them may have to be compared.
pub const COMPONENT_RECORDS_MAX: usize = 5000;

/// A partition of every record of an index.
#[derive(Debug, Clone)]
pub struct Partition {
    pub places: Vec<Place>,
    /// The cluster of each place, named by a place of it.
    pub clusters: Vec<u32>,
    /// Pairs that may be one person's and are in different clusters.
    pub doubts: Vec<Doubt>,
    /// Pairs that belong together by their own evidence.
    pub edges: usize,
}

/// Two records that may be one person's, by their numbers in [`Partition::places`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    pub a: u32,
    pub b: u32,
    pub probability: f64,
}

/// A pair that is at least doubtful.
#[derive(Clone, Copy)]
struct Likely {
    a: u32,
    b: u32,
    odds: f64,
    joins: bool,
}

/// Clusters every record of `space`. `progress` hears how many records have been compared.
#[must_use]
pub fn repartition(
    space: &Space<'_>,
    constraints: &Constraints,
    model: &Model,
    candidates_max: usize,
    progress: impl Fn(usize) + Sync,
) -> Partition {
    let places = space.places();
    let number_of = numbers(&places);
    let done = AtomicUsize::new(0);
    let compare_chunk = |chunk: &[Place]| {
        let mut likely = Vec::new();
        for place in chunk {
            likely_pairs(space, model, *place, candidates_max, &number_of, &mut likely);
        }
        progress(done.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len());
        likely
    };
    let mut likely: Vec<Likely> = places.par_chunks(CHUNK).flat_map_iter(compare_chunk).collect();
    likely.par_sort_unstable_by(|x, y| (x.a, x.b).cmp(&(y.a, y.b)).then(y.odds.total_cmp(&x.odds)));
    likely.dedup_by_key(|pair| (pair.a, pair.b));
    let edges = likely.iter().filter(|pair| pair.joins).count();
    let clusters = cluster(space, constraints, model, &places, &likely);
    let is_apart = |pair: &&Likely| clusters[pair.a as usize] != clusters[pair.b as usize];
    let doubt =
        |pair: &Likely| Doubt { a: pair.a, b: pair.b, probability: crate::matching::score::probability(pair.odds) };
    let doubts = likely.iter().filter(is_apart).map(doubt).collect();
    Partition { places, clusters, doubts, edges }
}

/// The number of each place by its slot.
fn numbers(places: &[Place]) -> Vec<u32> {
    let slots = places.iter().map(|place| place.number() + 1).max().unwrap_or(0);
    let mut numbers = vec![u32::MAX; slots];
    for (number, place) in (0..).zip(places) {
        numbers[place.number()] = number;
    }
    numbers
}

/// A pair is met at one of its ends or at both: a search of candidates may be cut, so each record asks for itself.
fn likely_pairs(
    space: &Space<'_>,
    model: &Model,
    place: Place,
    candidates_max: usize,
    number_of: &[u32],
    likely: &mut Vec<Likely>,
) {
    let any = |_| true;
    space.each_neighbour(place, candidates_max, any, |other, pair| {
        let thresholds = model.thresholds();
        let judged = Judgement::if_likely(pair, model, DECISION_POPULATION, thresholds.review);
        let Some(judged) = judged.filter(|judged| is_doubtful(judged, thresholds)) else { return };
        let (a, b) = (number_of[place.number()], number_of[other.number()]);
        likely.push(Likely { a: a.min(b), b: a.max(b), odds: judged.odds, joins: joins(&judged) });
    });
}

/// The cluster of each place.
fn cluster(
    space: &Space<'_>,
    constraints: &Constraints,
    model: &Model,
    places: &[Place],
    likely: &[Likely],
) -> Vec<u32> {
    let mut bound = Bound::of(space, constraints, places);
    let mut roots = Roots::new(places.len() + bound.absent.len());
    let strong = || likely.iter().filter(|pair| pair.joins);
    strong().for_each(|pair| roots.unite(pair.a, pair.b));
    bound.links.iter().for_each(|(a, b)| roots.unite(*a, *b));
    let components = components(&mut roots, strong());
    for (a, _) in std::mem::take(&mut bound.links) {
        bound.roots.push(roots.find(a));
    }
    bound.roots.sort_unstable();
    let solved: Vec<Vec<(u32, u32)>> = components
        .into_par_iter()
        .map(|component| {
            if component.members.len() == 2 && bound.roots.binary_search(&component.root).is_err() {
                // One edge, which joins by itself, and nothing else to ask.
                return vec![
                    (component.members[0], component.members[0]),
                    (component.members[1], component.members[0]),
                ];
            }
            solve_component(space, constraints, model, places, &bound, &component)
        })
        .collect();
    let mut clusters: Vec<u32> = (0..u32::try_from(places.len()).unwrap_or(u32::MAX)).collect();
    for (record, cluster) in solved.into_iter().flatten() {
        if let Some(own) = clusters.get_mut(record as usize) {
            *own = cluster;
        }
    }
    clusters
}

/// Records that constraints bind, as numbers; those that are not stored have numbers after the places.
#[derive(Default)]
struct Bound {
    absent: Vec<String>,
    links: Vec<(u32, u32)>,
    /// Roots of the components in which a constraint is, sorted.
    roots: Vec<u32>,
}

impl Bound {
    fn of(space: &Space<'_>, constraints: &Constraints, places: &[Place]) -> Self {
        let mut bound = Self::default();
        if constraints.is_empty() {
            return bound;
        }
        let number_of = numbers(places);
        let mut ids: Vec<&str> = constraints.records().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        for id in &ids {
            let stored = space.find(id).map(|place| number_of[place.number()]);
            let number = stored.unwrap_or_else(|| {
                bound.absent.push((*id).to_owned());
                u32::try_from(places.len() + bound.absent.len() - 1).unwrap_or(u32::MAX)
            });
            numbers.insert(id, number);
        }
        for id in &ids {
            let linked = constraints.of(id).iter().map(|(other, _)| other.as_str()).chain(constraints.declared(id));
            bound.links.extend(linked.filter_map(|other| Some((*numbers.get(id)?, *numbers.get(other)?))));
        }
        bound
    }
}

/// Union-find over numbers.
struct Roots {
    parents: Vec<u32>,
}

impl Roots {
    fn new(count: usize) -> Self {
        Self { parents: (0..u32::try_from(count).unwrap_or(u32::MAX)).collect() }
    }

    fn find(&mut self, mut number: u32) -> u32 {
        while self.parents[number as usize] != number {
            let parent = self.parents[number as usize];
            self.parents[number as usize] = self.parents[parent as usize];
            number = parent;
        }
        number
    }

    fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }
}

/// What hangs together: more than one record.
struct Component {
    root: u32,
    members: Vec<u32>,
    edges: Vec<Likely>,
}

fn components<'l>(roots: &mut Roots, strong: impl Iterator<Item = &'l Likely>) -> Vec<Component> {
    let count = u32::try_from(roots.parents.len()).unwrap_or(u32::MAX);
    let mut by_root: HashMap<u32, usize> = HashMap::new();
    let mut components: Vec<Component> = Vec::new();
    for number in 0..count {
        let root = roots.find(number);
        if root == number {
            continue;
        }
        let at = *by_root.entry(root).or_insert_with(|| {
            components.push(Component { root, members: vec![root], edges: Vec::new() });
            components.len() - 1
        });
        components[at].members.push(number);
    }
    for pair in strong {
        if let Some(at) = by_root.get(&roots.find(pair.a)) {
            components[*at].edges.push(*pair);
        }
    }
    components
}

fn solve_component(
    space: &Space<'_>,
    constraints: &Constraints,
    model: &Model,
    places: &[Place],
    bound: &Bound,
    component: &Component,
) -> Vec<(u32, u32)> {
    let node = |number: &u32| match places.get(*number as usize) {
        Some(place) => Node { id: space.record_id(*place).to_string(), place: Some(*place) },
        None => Node { id: bound.absent[*number as usize - places.len()].clone(), place: None },
    };
    let nodes: Vec<Node> = component.members.iter().map(node).collect();
    if nodes.len() > COMPONENT_RECORDS_MAX {
        return unchanged(space, component, &nodes);
    }
    let at: HashMap<u32, usize> = component.members.iter().zip(0..).map(|(number, at)| (*number, at)).collect();
    let edges = component.edges.iter().map(|pair| (at[&pair.a], at[&pair.b], pair.odds)).collect();
    let found = Found { followed: nodes.len(), nodes, edges, ..Found::default() };
    let clusters = solve(space, constraints, model, &found);
    component.members.iter().zip(clusters).map(|(number, cluster)| (*number, component.members[cluster])).collect()
}

/// Every record where it is.
fn unchanged(space: &Space<'_>, component: &Component, nodes: &[Node]) -> Vec<(u32, u32)> {
    let mut first: HashMap<String, u32> = HashMap::new();
    let mut clusters = Vec::with_capacity(nodes.len());
    for (number, node) in component.members.iter().zip(nodes) {
        let Some(place) = node.place else { continue };
        let identity = space.identity_id(place).to_string();
        clusters.push((*number, *first.entry(identity).or_insert(*number)));
    }
    clusters
}
