//! Expectation maximisation over patterns of pairs.
//!
//! A round divides every pattern among the four classes by the model so far (E) and counts the levels of each class anew
//! (M). Few counts are drawn towards the start. Comparisons that a session decides are left out of both. How large the
//! classes of a session are is not free, or twins would soon stand for the matches of another kind: relatives and
//! twins of a person are as many as the model says, duplicates are one number for all sessions, and of each class the
//! part is in a session that agrees on what decides it. Free is how many unrelated pairs are in it. Twins are too few
//! to be told from matches of several errors round by round: they are counted once, by rules of thumb. Not here: u, which random pairs give once, before the first round.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::patterns::{Label, Part, Patterns, Session};
use super::{Iteration, SessionLine};
use crate::matching::comparison::{Comparison, Level, Pair};
use crate::matching::model::{Class, Likelihood, Likelihoods, Model, ModelError};
use crate::matching::score::{Classes, likelihood};

/// Pairs by which the start counts against what is found, in each comparison of each class: twins are few.
const START_PAIRS: [f64; 3] = [20.0, 20.0, 30.0];
/// Duplicates of a stored person before any are counted.
const DUPLICATES_START: f64 = 0.1;
/// Classes that the structured start gives, and those that every round fits.
const START_CLASSES: [Class; 3] = [Class::Match, Class::Household, Class::Twin];
const ROUND_CLASSES: [Class; 2] = [Class::Match, Class::Household];
/// A level of u that random pairs show this often is half theirs, half the start's.
const START_EVENTS: f64 = 1.0;
/// Pairs of a class without which its likelihoods stay those of the start.
pub const CLASS_PAIRS_MIN: [f64; 3] = [300.0, 300.0, 50.0];

const CLASSES: usize = Class::ALL.len();
type Shares = [f64; CLASSES];
/// Pairs of each class, by comparison and level.
type Counts = [[Shares; Level::COUNT]; Comparison::COUNT];

/// Rounds in which classes find their sizes before the first likelihood is fitted.
const SIZE_ROUNDS: usize = 20;

/// Where matches and relatives begin. A round climbs to the nearest summit only, and which of the two is under the higher one
/// depends on the people: among many strangers of one birth date rules of thumb go astray, and a model of other people may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginning {
    /// Rules of thumb about a pair.
    Structured,
    /// The model that is there.
    Model,
}

/// A model being fitted.
pub struct Fit {
    start: Model,
    model: Model,
    pairs: Vec<Counted>,
    sessions: Sessions,
    sizes: Shares,
    /// Twins by the structured start.
    twins: f64,
    women: Women,
}

/// Pairs of one pattern: where from, what, how many.
type Counted = (Session, Pair, f64);

/// How large the classes are.
#[derive(Debug, Clone, Default)]
struct Sessions {
    /// Other records of a person, for each stored one, in proportion to the relatives of the model.
    duplicates: f64,
    /// Pairs of each class by session, as last divided.
    sizes: BTreeMap<Session, Shares>,
}

impl Sessions {
    fn all_shares(&self, model: &Model) -> BTreeMap<Session, Shares> {
        self.sizes.keys().map(|session| (*session, self.shares(model, *session))).collect()
    }

    /// The share of each class in a session.
    fn shares(&self, model: &Model, session: Session) -> Shares {
        let sizes = self.sizes.get(&session).copied().unwrap_or([1.0; CLASSES]);
        if !matches!(session, Session::Rule(_)) {
            return normalised(sizes);
        }
        let unrelated = normalised(sizes)[Class::Unrelated as usize];
        let mut shares = self.related(model, session);
        let related: f64 = shares.iter().sum();
        for share in &mut shares {
            *share *= (1.0 - unrelated) / related;
        }
        shares[Class::Unrelated as usize] = unrelated;
        shares
    }

    /// Pairs of the three related classes that a session has of each person, in proportion.
    fn related(&self, model: &Model, session: Session) -> Shares {
        let relatives = model.relatives_per_person();
        let mut sizes = [self.duplicates, relatives.household, relatives.twin, 0.0];
        for agreement in session.agreements() {
            for (class, size) in sizes.iter_mut().enumerate() {
                let of = |level: &Level| model.likelihood(agreement.comparison, *level).all()[class];
                let share: f64 = agreement.levels.iter().map(of).sum();
                *size *= if agreement.levels.is_empty() { 1.0 } else { share.min(1.0) };
            }
        }
        sizes
    }

    /// The duplicates that explain the sizes of all sessions best, given those of relatives.
    fn count_duplicates(&mut self, model: &Model) {
        const ROUNDS: usize = 20;
        self.duplicates = self.duplicates.max(f64::MIN_POSITIVE);
        for _ in 0..ROUNDS {
            let (mut found, mut expected) = (0.0, 0.0);
            for (session, sizes) in self.sizes.iter().filter(|(session, _)| matches!(session, Session::Rule(_))) {
                let related = self.related(model, *session);
                let of_one = related[Class::Match as usize] / self.duplicates;
                found += sizes[Class::Match as usize];
                expected +=
                    sizes[..3].iter().sum::<f64>() * of_one / related.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            }
            self.duplicates = if expected > 0.0 { (found / expected).clamp(1e-9, 1e3) } else { self.duplicates };
        }
    }
}

/// What one pass over the pairs counted.
struct Pass {
    counts: Counts,
    sessions: BTreeMap<Session, Shares>,
    log_likelihood: f64,
    pairs: f64,
}

impl Pass {
    const fn empty() -> Self {
        let counts = [[[0.0; CLASSES]; Level::COUNT]; Comparison::COUNT];
        Self { counts, sessions: BTreeMap::new(), log_likelihood: 0.0, pairs: 0.0 }
    }

    /// Divides all pairs; `divide` gives the shares of the classes and the likelihood of a pair. Chunks are added in
    /// their order, so that the number of threads changes nothing.
    fn over(pairs: &[Counted], divide: impl Fn(Session, &Pair) -> (Shares, f64) + Sync) -> Self {
        const CHUNK: usize = 4096;
        let of_chunk = |chunk: &[Counted]| {
            let mut pass = Self::empty();
            for (session, pair, count) in chunk {
                let (shares, likelihood) = divide(*session, pair);
                let sizes = pass.sessions.entry(*session).or_default();
                for (size, share) in sizes.iter_mut().zip(shares) {
                    *size += share * count;
                }
                add(&mut pass.counts, *session, pair, &shares, *count);
                pass.log_likelihood += likelihood.ln() * count;
                pass.pairs += count;
            }
            pass
        };
        let passes: Vec<Self> = pairs.par_chunks(CHUNK).map(of_chunk).collect();
        passes.into_iter().fold(Self::empty(), Self::plus)
    }

    fn plus(mut self, other: Self) -> Self {
        let both = self.counts.as_flattened_mut().iter_mut().zip(other.counts.as_flattened());
        for (sum, shares) in both {
            for (sum, share) in sum.iter_mut().zip(shares) {
                *sum += share;
            }
        }
        for (session, sizes) in other.sessions {
            let sum = self.sessions.entry(session).or_default();
            for (sum, size) in sum.iter_mut().zip(sizes) {
                *sum += size;
            }
        }
        self.log_likelihood += other.log_likelihood;
        self.pairs += other.pairs;
        self
    }

    fn mean(&self) -> f64 {
        self.log_likelihood / self.pairs.max(1.0)
    }
}

impl Fit {
    /// u from random pairs, twins from the structured start, matches and relatives from the `beginning`.
    pub fn begin(start: &Model, patterns: &Patterns, population: usize, beginning: Beginning) -> Self {
        let mut model = start.clone();
        let (random, women) = unrelated(start, patterns, population);
        model.replace_likelihoods(&random);
        let mut pairs = patterns.sorted(Part::Fitted);
        pairs.retain(|(session, ..)| *session != Session::Random);
        let sessions = Sessions { duplicates: DUPLICATES_START, sizes: BTreeMap::new() };
        let mut fit = Self { start: model.clone(), model, pairs, sessions, sizes: [0.0; CLASSES], twins: 0.0, women };
        let structured = Pass::over(&fit.pairs, |_, pair| (structured(pair), 1.0));
        match beginning {
            Beginning::Structured => fit.maximise(structured, &START_CLASSES),
            Beginning::Model => fit.maximise(structured, &[Class::Twin]),
        }
        fit.twins = fit.sizes[Class::Twin as usize];
        if beginning == Beginning::Model {
            for _ in 0..SIZE_ROUNDS {
                let pass = fit.expected();
                fit.maximise(pass, &[]);
            }
        }
        fit
    }

    fn expected(&self) -> Pass {
        let shares = self.sessions.all_shares(&self.model);
        Pass::over(&self.pairs, |session, pair| expect(&self.model, session, &shares[&session], pair))
    }

    /// One round.
    pub fn step(&mut self) -> Iteration {
        let before = *self.model.likelihoods();
        let pass = self.expected();
        let log_likelihood = pass.mean();
        self.maximise(pass, &ROUND_CLASSES);
        Iteration { log_likelihood, change_bits: change(&before, self.model.likelihoods()) }
    }

    fn maximise(&mut self, pass: Pass, classes: &[Class]) {
        self.sizes = [0.0; CLASSES];
        for sizes in pass.sessions.values() {
            for (sum, size) in self.sizes.iter_mut().zip(sizes) {
                *sum += size;
            }
        }
        self.sessions.sizes = pass.sessions;
        self.sessions.count_duplicates(&self.model);
        let table = self.maximised(&pass.counts, classes);
        self.model.replace_likelihoods(&table);
    }

    /// The likelihoods of the classes that are fitted.
    fn maximised(&self, counts: &Counts, classes: &[Class]) -> Likelihoods {
        let mut table = *self.model.likelihoods();
        for comparison in Comparison::ALL {
            for group in groups(comparison) {
                for class in classes.iter().map(|class| *class as usize) {
                    let reached = |level: &Level| self.women.reached(comparison, *level, class);
                    let of_start =
                        |level: &Level| self.start.likelihood(comparison, *level).all()[class] * reached(level);
                    let start_sum: f64 = group.iter().map(of_start).sum();
                    let found: f64 = group.iter().map(|l| counts[comparison as usize][*l as usize][class]).sum();
                    if self.sizes[class] < CLASS_PAIRS_MIN[class] {
                        continue;
                    }
                    for level in &group {
                        let count = counts[comparison as usize][*level as usize][class];
                        let fitted = START_PAIRS[class].mul_add(of_start(level) / start_sum, count)
                            / ((found + START_PAIRS[class]) * reached(level));
                        set(&mut table[comparison as usize][*level as usize], class, fitted.clamp(1e-12, 1.0));
                    }
                }
            }
        }
        table
    }

    pub fn model(&self, source: &str) -> Result<Model, ModelError> {
        self.model.with_likelihoods(self.model.likelihoods(), source)
    }

    pub const fn classes(&self) -> Shares {
        self.sizes
    }

    pub fn kept_from_start(&self) -> Vec<Class> {
        let found = [self.sizes[0], self.sizes[1], self.twins];
        let classes = Class::ALL.into_iter().zip(found).zip(CLASS_PAIRS_MIN);
        classes.filter(|((_, found), min)| found < min).map(|((class, _), _)| class).collect()
    }

    pub fn session_lines(&self, patterns: &Patterns) -> Vec<SessionLine> {
        let mut lines: BTreeMap<Session, f64> = BTreeMap::new();
        for (session, _, count) in patterns.sorted(Part::Fitted) {
            *lines.entry(session).or_default() += count;
        }
        let sizes = &self.sessions.sizes;
        let classes = |session: &Session| sizes.get(session).map_or([0.0, 0.0, 0.0, 1.0], |sizes| normalised(*sizes));
        let line = |(session, pairs): (&Session, &f64)| SessionLine {
            session: session.name(),
            pairs: *pairs as u64,
            classes: classes(session),
        };
        lines.iter().map(line).collect()
    }
}

/// Mean log-likelihood of the pairs held out under `model`, with the class sizes that suit it best.
pub fn held_out(model: &Model, patterns: &Patterns) -> f64 {
    sizes_under(model, &patterns.sorted(Part::HeldOut)).0
}

/// The class sizes that suit `model` best, and the mean log-likelihood of a pair with them.
fn sizes_under(model: &Model, pairs: &[Counted]) -> (f64, Sessions) {
    let sizes = pairs.iter().map(|(session, ..)| (*session, [1.0; CLASSES])).collect();
    let mut sessions = Sessions { duplicates: DUPLICATES_START, sizes };
    let mut mean = 0.0;
    for _ in 0..SIZE_ROUNDS {
        let shares = sessions.all_shares(model);
        let pass = Pass::over(pairs, |session, pair| expect(model, session, &shares[&session], pair));
        mean = pass.mean();
        sessions.sizes = pass.sessions;
        sessions.count_duplicates(model);
    }
    (mean, sessions)
}

/// The share of unrelated pairs from which a session is left out. Among many strangers of one birth date, say, some agree in
/// more by chance than any model of independent comparisons allows, and they would be taken for a kind of match.
const STRANGERS_MAX: f64 = 0.8;
/// Matches that must be left for that.
const MATCHES_LEFT_MIN: f64 = 1_000.0;

/// The rules whose pairs are mostly strangers under `start`, unless the others have too few matches.
pub fn sessions_of_strangers(start: &Model, patterns: &Patterns) -> Vec<Session> {
    let sizes = sizes_under(start, &patterns.sorted(Part::Fitted)).1.sizes;
    let is_strange = |sizes: &Shares| normalised(*sizes)[Class::Unrelated as usize] > STRANGERS_MAX;
    let of_rule = |session: &&Session| matches!(session, Session::Rule(_));
    let strange: Vec<Session> =
        sizes.keys().filter(of_rule).filter(|session| is_strange(&sizes[session])).copied().collect();
    let rest = sizes.iter().filter(|(session, _)| of_rule(session) && !strange.contains(session));
    let matches: f64 = rest.map(|(_, sizes)| sizes[Class::Match as usize]).sum();
    if matches < MATCHES_LEFT_MIN { Vec::new() } else { strange }
}

/// What a pair is by the rule of thumb with which training begins.
fn structured(pair: &Pair) -> Shares {
    let level = |comparison| pair.level(comparison);
    let given_agrees = matches!(
        level(Comparison::Given),
        Level::Exact
            | Level::Swapped
            | Level::Nickname
            | Level::Close
            | Level::Initial
            | Level::Middle
            | Level::Distorted
    );
    let is_born_alike = !pair.has_birth_date_conflict() && level(Comparison::BirthDate) != Level::Absent;
    let is_born_equal = matches!(level(Comparison::BirthDate), Level::Exact | Level::FirstOfJanuary);
    let agrees = |comparison| matches!(level(comparison), Level::Exact | Level::Part);
    let shares_home = agrees(Comparison::Address) || agrees(Comparison::Phone) || agrees(Comparison::Member);
    let is_personal =
        [Comparison::Email, Comparison::SocialSecurity, Comparison::MedicalRecord, Comparison::Identifier]
            .into_iter()
            .any(|comparison| matches!(level(comparison), Level::Exact | Level::LastFour));
    let is_anchored = shares_home || is_personal || agrees(Comparison::Family);
    let is_other = !given_agrees && !is_personal && level(Comparison::Given) != Level::Absent;
    match () {
        () if given_agrees && is_born_alike && is_anchored => [1.0, 0.0, 0.0, 0.0],
        () if shares_home && is_born_equal && is_other => [0.0, 0.0, 1.0, 0.0],
        () if shares_home => [0.0, 1.0, 0.0, 0.0],
        () => [0.0, 0.0, 0.0, 1.0],
    }
}

/// The shares of the classes in a pair, and its likelihood.
fn expect(model: &Model, session: Session, shares: &Shares, pair: &Pair) -> (Shares, f64) {
    let mut joint = *shares;
    match session {
        Session::Labelled(Label::Match) => joint = [1.0, 0.0, 0.0, 0.0],
        Session::Labelled(Label::NonMatch) => joint[0] = 0.0,
        Session::Random | Session::Rule(_) => {}
    }
    for comparison in Comparison::ALL {
        if pair.level(comparison) == Level::Absent || session.decides(comparison) {
            continue;
        }
        let (_, likelihood) = likelihood(model, pair, comparison);
        for (joint, likelihood) in joint.iter_mut().zip(likelihood.all()) {
            *joint *= likelihood;
        }
    }
    let sum: f64 = joint.iter().sum();
    (normalised(joint), sum.max(f64::MIN_POSITIVE))
}

fn normalised(shares: Shares) -> Shares {
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 { shares.map(|share| share / sum) } else { [0.0, 0.0, 0.0, 1.0] }
}

fn add(counts: &mut Counts, session: Session, pair: &Pair, shares: &Shares, count: f64) {
    let is_namesake = pair.level(Comparison::Given) == Level::Exact;
    for comparison in Comparison::ALL.into_iter().filter(|comparison| !session.decides(*comparison)) {
        let (level, _) = in_model(pair, comparison);
        if level == Level::Absent {
            continue;
        }
        // What relatives of one name have in common is weighed apart (see `score`), and is not counted here.
        let is_apart = is_namesake && matches!(comparison, Comparison::Middle | Comparison::BirthDate);
        for class in 0..CLASSES {
            if !(is_apart && class == Class::Household as usize) {
                counts[comparison as usize][level as usize][class] += shares[class] * count;
            }
        }
    }
}

/// The level under which the model has the likelihood.
fn in_model(pair: &Pair, comparison: Comparison) -> (Level, Comparison) {
    (crate::matching::score::in_context(pair, comparison), comparison)
}

/// Levels that exclude each other within a comparison; what the model fixes is in none.
fn groups(comparison: Comparison) -> Vec<Vec<Level>> {
    let levels = comparison.levels().iter().copied();
    match comparison {
        Comparison::Sex => vec![vec![Level::Exact, Level::Conflict], vec![Level::SameGiven, Level::OtherGiven]],
        Comparison::Family => vec![levels.filter(|level| *level != Level::Swapped).collect()],
        _ => vec![levels.collect()],
    }
}

const fn set(likelihood: &mut Likelihood, class: usize, value: f64) {
    match class {
        0 => likelihood.same = value,
        1 => likelihood.household = value,
        2 => likelihood.twin = value,
        _ => likelihood.unrelated = value,
    }
}

/// In how many pairs a woman is involved. Different surnames are one level where one is, another where none is, so each of
/// the two is a share of its own pairs. Which those are no pattern says where surnames agree; that random pairs seldom do
/// tells the share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Women {
    /// Of pairs of two people.
    of_two: f64,
}

impl Women {
    fn of(random: &Counts) -> Self {
        let of = |level: Level| random[Comparison::Family as usize][level as usize][Class::Unrelated as usize];
        // Without any, half of all people are women.
        let (changed, conflict) = (of(Level::Changed) + 3.0, of(Level::Conflict) + 1.0);
        Self { of_two: (changed / (changed + conflict)).clamp(0.01, 0.99) }
    }

    /// The share of a class's pairs that can have the level.
    fn reached(self, comparison: Comparison, level: Level, class: usize) -> f64 {
        // The two records of a match are one person's.
        let women = if class == Class::Match as usize { 1.0 - (1.0 - self.of_two).sqrt() } else { self.of_two };
        match (comparison, level) {
            (Comparison::Family, Level::Changed) => women,
            (Comparison::Family, Level::Conflict) => 1.0 - women,
            _ => 1.0,
        }
    }
}

/// u of random pairs, each counted as far as it is unrelated under the start.
fn unrelated(start: &Model, patterns: &Patterns, population: usize) -> (Likelihoods, Women) {
    const CLASS: usize = Class::Unrelated as usize;
    let mut counts: Counts = [[[0.0; CLASSES]; Level::COUNT]; Comparison::COUNT];
    for (session, pair, count) in patterns.sorted(Part::Fitted) {
        if session == Session::Random {
            let share = Classes::of(&pair, start, population).unrelated_probability();
            add(&mut counts, session, &pair, &[0.0, 0.0, 0.0, share], count);
        }
    }
    let women = Women::of(&counts);
    let mut table = *start.likelihoods();
    for comparison in Comparison::ALL {
        for group in groups(comparison) {
            let of = |level: &Level| counts[comparison as usize][*level as usize][CLASS];
            let sum: f64 = group.iter().map(of).sum();
            let u = |level: &Level| {
                let start = start.likelihood(comparison, *level).unrelated;
                (of(level) + START_EVENTS) / sum.mul_add(women.reached(comparison, *level, CLASS), START_EVENTS / start)
            };
            for level in &group {
                table[comparison as usize][*level as usize].unrelated = u(level).clamp(1e-12, 1.0);
            }
        }
    }
    (table, women)
}

/// Below this a likelihood's change is of no weight.
const SEEN_MIN: f64 = 1e-4;

fn change(before: &Likelihoods, after: &Likelihoods) -> f64 {
    let both = before.iter().flatten().zip(after.iter().flatten());
    let each = both.flat_map(|(before, after)| before.all().into_iter().zip(after.all()));
    each.filter(|(before, after)| before.max(*after) > SEEN_MIN)
        .map(|(before, after)| (before.max(SEEN_MIN) / after.max(SEEN_MIN)).log2().abs())
        .fold(0.0, f64::max)
}
