//! What the evidence of a pair, or of several pairs pooled, amounts to: odds and grade together.
//!
//! Not here: candidates weighed against each other (see `pool`), what follows from it (see `identity`).

use super::comparison::{Comparison, Pair};
use super::grade::{Graded, grade};
use super::model::Model;
use super::pool::AttributeResult;
use super::score::Classes;

/// The evidence of a pair, weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub pair: Pair,
    /// That both are one person's, against everything else.
    pub odds: f64,
    pub probability: f64,
    pub graded: Graded,
}

impl Judgement {
    /// Weighs `pair` in a population of `population` people.
    #[must_use]
    pub fn of(pair: Pair, model: &Model, population: usize) -> Self {
        Self::weighed(pair, &Classes::of(&pair, model, population), model)
    }

    /// The same, if the probability reaches `probability_min`: most pairs are not worth more than their odds.
    #[must_use]
    pub fn if_likely(pair: Pair, model: &Model, population: usize, probability_min: f64) -> Option<Self> {
        let classes = Classes::of(&pair, model, population);
        (classes.probability() >= probability_min).then(|| Self::weighed(pair, &classes, model))
    }

    fn weighed(pair: Pair, classes: &Classes, model: &Model) -> Self {
        let (odds, probability) = (classes.odds(), classes.probability());
        Self { pair, odds, probability, graded: grade(&pair, classes, model) }
    }

    /// How an attribute compared.
    #[must_use]
    pub const fn result(&self, attribute: Comparison) -> AttributeResult {
        AttributeResult::of(self.pair.level(attribute))
    }
}
