//! Conditions of adopting a fitted model.
//!
//! Class sizes, the likelihood of pairs held out, pairs whose nature is known, and levels in their order. Each condition
//! says what it found; one that fails is a reason to refuse.

use super::Check;
use super::em::{CLASS_PAIRS_MIN, Fit, held_out};
use super::patterns::Patterns;
use crate::matching::comparison::{Comparison, Level, Pair};
use crate::matching::model::Model;
use crate::matching::score::Classes;

/// A population in which the known pairs are judged.
const POPULATION: usize = 100_000;
/// Share of all pairs beyond which one class has swallowed the others.
const CLASS_SHARE_MAX: f64 = 0.95;

pub fn checks(start: &Model, model: &Model, patterns: &Patterns, fit: &Fit) -> Vec<Check> {
    let mut checks = vec![class_sizes(fit), swallowed(fit), likelihood_held_out(start, model, patterns)];
    checks.extend(known_pairs(model));
    checks.push(levels_in_order(model));
    checks
}

fn class_sizes(fit: &Fit) -> Check {
    let found = fit.classes()[0];
    let detail = format!("{found:.0} matches, {:.0} needed", CLASS_PAIRS_MIN[0]);
    Check { name: "enough-matches".to_owned(), passed: found >= CLASS_PAIRS_MIN[0], detail }
}

fn swallowed(fit: &Fit) -> Check {
    let sizes = fit.classes();
    let all: f64 = sizes.iter().sum();
    let largest = sizes[..3].iter().fold(0.0_f64, |a, b| a.max(*b)) / all.max(1.0);
    let detail = format!("the largest class beside unrelated has {:.1} % of pairs", largest * 100.0);
    Check { name: "class-sizes".to_owned(), passed: largest <= CLASS_SHARE_MAX, detail }
}

fn likelihood_held_out(start: &Model, model: &Model, patterns: &Patterns) -> Check {
    let (before, after) = (held_out(start, patterns), held_out(model, patterns));
    let detail = format!("mean log-likelihood {after:.4}, of the start {before:.4}");
    Check { name: "held-out-likelihood".to_owned(), passed: after >= before, detail }
}

/// What anybody can tell of two records.
struct Known {
    name: &'static str,
    levels: &'static [(Comparison, Level)],
    /// The match probability that it must have.
    least: f64,
    most: f64,
}

const KNOWN: &[Known] = {
    use Comparison as C;
    use Level as L;
    &[
        Known {
            name: "same-person",
            levels: &[
                (C::Given, L::Exact),
                (C::Family, L::Exact),
                (C::BirthDate, L::Exact),
                (C::Sex, L::Exact),
                (C::Address, L::Exact),
                (C::Phone, L::Exact),
            ],
            least: 0.99,
            most: 1.0,
        },
        Known {
            name: "same-person-moved",
            levels: &[
                (C::Given, L::Exact),
                (C::Family, L::Exact),
                (C::BirthDate, L::Exact),
                (C::Sex, L::Exact),
                (C::Address, L::Conflict),
                (C::Phone, L::Conflict),
            ],
            least: 0.8,
            most: 1.0,
        },
        Known {
            name: "sibling",
            levels: &[
                (C::Given, L::Conflict),
                (C::Family, L::Exact),
                (C::BirthDate, L::Conflict),
                (C::Sex, L::Exact),
                (C::Address, L::Exact),
                (C::Phone, L::Exact),
                (C::Member, L::Exact),
            ],
            least: 0.0,
            most: 0.05,
        },
        Known {
            name: "twin",
            levels: &[
                (C::Given, L::Conflict),
                (C::Family, L::Exact),
                (C::BirthDate, L::Exact),
                (C::Sex, L::Exact),
                (C::Address, L::Exact),
                (C::Phone, L::Exact),
                (C::Member, L::Exact),
            ],
            least: 0.0,
            most: 0.9,
        },
        Known {
            name: "father-and-son",
            levels: &[
                (C::Given, L::Exact),
                (C::Family, L::Exact),
                (C::BirthDate, L::Generation),
                (C::Sex, L::Exact),
                (C::Address, L::Exact),
                (C::Member, L::Exact),
            ],
            least: 0.0,
            most: 0.6,
        },
        Known {
            name: "stranger-of-one-birth-date",
            levels: &[
                (C::Given, L::Conflict),
                (C::Family, L::Conflict),
                (C::BirthDate, L::Exact),
                (C::Sex, L::Exact),
                (C::Address, L::Conflict),
            ],
            least: 0.0,
            most: 0.001,
        },
    ]
};

fn known_pairs(model: &Model) -> impl Iterator<Item = Check> {
    KNOWN.iter().map(|known| {
        let mut pair = Pair::EMPTY;
        (pair.given_frequency, pair.family_frequency) = (0.002, 0.0005);
        for (comparison, level) in known.levels {
            pair.set(*comparison, *level);
        }
        let probability = Classes::of(&pair, model, POPULATION).probability();
        let detail = format!("match probability {probability:.4}, from {} to {} expected", known.least, known.most);
        let passed = (known.least..=known.most).contains(&probability);
        Check { name: format!("known-pair-{}", known.name), passed, detail }
    })
}

/// Agreement never weighs less than disagreement.
fn levels_in_order(model: &Model) -> Check {
    let weight = |comparison, level| {
        let likelihood = model.likelihood(comparison, level);
        (likelihood.same / likelihood.unrelated).log2()
    };
    let wrong = Comparison::ALL.into_iter().find(|comparison| {
        let levels = comparison.levels();
        let (best, worst) = (levels[0], levels[levels.len() - 1]);
        weight(*comparison, best) <= weight(*comparison, worst) || weight(*comparison, worst) > 0.0
    });
    let detail = wrong.map_or("every comparison".to_owned(), |comparison| format!("{} is not", comparison.name()));
    Check { name: "levels-in-order".to_owned(), passed: wrong.is_none(), detail }
}
