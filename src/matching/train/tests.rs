//! Training on pairs made up from known likelihoods.

use super::*;
use crate::matching::blocking::Rule;
use crate::matching::comparison::{Comparison, Level, Pair};
use crate::matching::dictionary::mix;
use crate::matching::model::tests::model;
use crate::matching::score::Classes;

/// A stream of numbers between 0 and 1.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = mix(self.0, 7);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A pair of `class` as the model has it, of comparisons that everybody has.
fn pair(model: &Model, class: Class, chance: &mut Chance) -> Pair {
    let mut pair = Pair::EMPTY;
    (pair.given_frequency, pair.family_frequency) = (0.002, 0.0005);
    let compared = [
        Comparison::Given,
        Comparison::Family,
        Comparison::BirthDate,
        Comparison::Address,
        Comparison::Phone,
        Comparison::Member,
    ];
    for comparison in compared {
        let levels: Vec<Level> = comparison
            .levels()
            .iter()
            .copied()
            .filter(|level| !matches!(level, Level::Swapped | Level::Changed | Level::ZipOnly | Level::PlaceOnly))
            .collect();
        let of = |level: &Level| model.likelihood(comparison, *level).all()[class as usize];
        let mut left = chance.next() * levels.iter().map(of).sum::<f64>();
        let drawn = levels.iter().find(|level| {
            left -= of(level);
            left <= 0.0
        });
        pair.set(comparison, drawn.copied().unwrap_or(Level::Conflict));
    }
    pair
}

/// Sessions of four rules, with the classes that such blocks have.
fn patterns(truth: &Model, pairs: u64) -> Patterns {
    let mut chance = Chance(42);
    let mut patterns = Patterns::default();
    for n in 0..pairs {
        for (rule, share) in [
            (Rule::BirthDateSex, [0.15, 0.0, 0.15]),
            (Rule::GivenSoundMonthDay, [0.02, 0.0, 0.0]),
            (Rule::Phone, [0.3, 0.4, 0.02]),
            (Rule::Line, [0.3, 0.5, 0.02]),
            (Rule::FamilyInitial, [0.3, 0.05, 0.0]),
        ] {
            let at = chance.next();
            let class = match () {
                () if at < share[0] => Class::Match,
                () if at < share[0] + share[1] => Class::Household,
                () if at < share.iter().sum() => Class::Twin,
                () => Class::Unrelated,
            };
            patterns.add(Session::Rule(rule as u8), mix(n, rule as u64), &pair(truth, class, &mut chance));
        }
        patterns.add(Session::Random, n, &pair(truth, Class::Unrelated, &mut chance));
    }
    patterns
}

/// The shipped model, with other habits of writing.
fn truth() -> Model {
    let mut table = *model().likelihoods();
    table[Comparison::Phone as usize][Level::Exact as usize].same = 0.30;
    table[Comparison::Phone as usize][Level::Conflict as usize].same = 0.68;
    table[Comparison::Given as usize][Level::Nickname as usize].same = 0.15;
    table[Comparison::Given as usize][Level::Exact as usize].same = 0.71;
    model().with_likelihoods(&table, "truth").expect("valid")
}

fn weight(model: &Model, comparison: Comparison, level: Level) -> f64 {
    let likelihood = model.likelihood(comparison, level);
    (likelihood.same / likelihood.unrelated).log2()
}

#[test]
fn what_records_are_like_is_found_from_the_shipped_and_from_a_blurred_start() {
    let truth = truth();
    let patterns = patterns(&truth, 8_000);
    for share in [0.0, 0.3] {
        let start = blurred(model(), share).expect("valid");
        let trained = train(&start, &patterns, &Options::of_population(100_000)).expect("a model");
        for (comparison, level) in [
            (Comparison::Phone, Level::Exact),
            (Comparison::Given, Level::Nickname),
            (Comparison::Address, Level::Exact),
            (Comparison::BirthDate, Level::Exact),
        ] {
            let (found, expected) =
                (trained.model.likelihood(comparison, level).same, truth.likelihood(comparison, level).same);
            assert!((found / expected).log2().abs() < 0.35, "{comparison:?} {level:?}: {found} for {expected}");
        }
        assert!(trained.report.iterations.len() > 2);
        assert_ne!(trained.model.version(), start.version());
    }
}

#[test]
fn a_fit_on_good_pairs_is_adopted_and_its_report_says_what_it_saw() {
    let trained = train(model(), &patterns(&truth(), 8_000), &Options::of_population(100_000)).expect("a model");
    let refusals: Vec<&Check> = trained.report.refusals().collect();
    assert!(refusals.is_empty(), "{refusals:#?}");
    assert_eq!(trained.report.sessions.iter().filter(|line| line.session != "random").count(), 4);
    assert_eq!(trained.report.left_out, ["given-sound-month-day"], "nearly all of its pairs are strangers");
    assert!(trained.report.classes[0] > 4_000.0, "{:?}", trained.report.classes);
    let log_likelihoods: Vec<f64> = trained.report.iterations.iter().map(|i| i.log_likelihood).collect();
    assert!(log_likelihoods.last() > log_likelihoods.first(), "{log_likelihoods:?}");
}

#[test]
fn pairs_without_matches_are_refused_with_the_reason() {
    let mut chance = Chance(1);
    let mut patterns = Patterns::default();
    for n in 0..5_000 {
        patterns.add(Session::Rule(Rule::Line as u8), n, &pair(model(), Class::Household, &mut chance));
        patterns.add(Session::Random, n, &pair(model(), Class::Unrelated, &mut chance));
    }
    let trained = train(model(), &patterns, &Options::of_population(100_000)).expect("a model");
    assert!(trained.report.refusals().any(|check| check.name == "enough-matches"), "{:#?}", trained.report.checks);
    assert!(trained.report.kept_from_start.contains(&Class::Match));
}

#[test]
fn labelled_pairs_count_in_the_class_of_their_label() {
    let mut chance = Chance(3);
    let mut patterns = patterns(model(), 4_000);
    let before = train(model(), &patterns, &Options::of_population(100_000)).expect("a model").model;
    for n in 0..8_000 {
        let mut shown = pair(model(), Class::Match, &mut chance);
        shown.set(Comparison::Phone, Level::Conflict);
        patterns.add(Session::Labelled(Label::Match), n, &shown);
    }
    let after = train(model(), &patterns, &Options::of_population(100_000)).expect("a model").model;
    let (before, after) =
        (weight(&before, Comparison::Phone, Level::Conflict), weight(&after, Comparison::Phone, Level::Conflict));
    assert!(after > before + 0.5, "{before} {after}");
}

#[test]
fn the_same_pairs_give_the_same_model_in_whatever_order_they_came() {
    let all = patterns(model(), 2_000);
    let (mut even, mut odd) = (Patterns::default(), Patterns::default());
    let mut chance = Chance(9);
    for n in 0..4_000 {
        let shown = pair(model(), Class::Match, &mut chance);
        (if n % 2 == 0 { &mut even } else { &mut odd }).add(Session::Rule(1), n, &shown);
    }
    let one = all.clone().merged(even.clone()).merged(odd.clone());
    let other = odd.merged(all.merged(even));
    let version = |patterns: &Patterns| {
        train(model(), patterns, &Options::of_population(1000)).expect("a model").model.version().to_owned()
    };
    assert_eq!(version(&one), version(&other));
}

#[test]
fn a_blurred_model_knows_less() {
    let blurred = blurred(model(), 0.5).expect("valid");
    let shown = pair(model(), Class::Match, &mut Chance(5));
    let odds = |model: &Model| Classes::of(&shown, model, 100_000).odds();
    assert!(odds(&blurred) < odds(model()));
    assert!(weight(&blurred, Comparison::Phone, Level::Exact) < weight(model(), Comparison::Phone, Level::Exact));
}
