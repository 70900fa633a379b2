//! From levels to a match probability, with the sum shown: prior, one bar per comparison, total.
//!
//! What: the evidence is weighed against a mixture of three other explanations (household, twin, unrelated), each with
//! its own prior and likelihoods. A bar is the weight, in bits, that a comparison adds: log2 of m over the likelihood
//! of its level under the mixture as the bars before it left it. So bars of what families share shrink once a family is
//! the likely explanation, and prior plus bars is the total exactly. Not here: the numbers (see `model`).

use serde::Serialize;

use super::comparison::{Comparison, Level, Pair};
use super::model::{Likelihood, Model};

/// A population smaller than this is taken as this large: a few records do not make a stranger a likely match.
const POPULATION_MIN: usize = 1000;

/// The sum behind a match probability, in bits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waterfall {
    /// log2 of the odds before any comparison.
    pub prior: f64,
    pub bars: Vec<Bar>,
    /// `prior` plus the weights of all bars.
    pub total: f64,
    pub probability: f64,
}

/// What one comparison adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    pub comparison: &'static str,
    pub level: &'static str,
    /// Likelihood of the level for records of one person.
    pub m: f64,
    /// The same under the mixture of the other explanations, given the bars before.
    pub u: f64,
    /// Match weight: log2 of m / u.
    pub weight: f64,
}

/// Weights of the three explanations other than a match; they sum to 1.
#[derive(Debug, Clone, Copy)]
struct Others {
    household: f64,
    twin: f64,
    unrelated: f64,
}

/// The odds of a match before any comparison, and what the others are.
fn prior(model: &Model, population: usize) -> (f64, Others) {
    #[allow(clippy::cast_precision_loss, reason = "a population is far below 2^52")]
    let people = population.max(POPULATION_MIN) as f64;
    let relatives = model.relatives_per_person();
    let (household, twin) = (relatives.household / people, relatives.twin / people);
    (1.0 / (people - 1.0), Others { household, twin, unrelated: 1.0 - household - twin })
}

/// The likelihood of the level that `comparison` has in `pair`, with what other comparisons say about its meaning.
fn likelihood(model: &Model, pair: &Pair, comparison: Comparison) -> (Level, Likelihood) {
    let level = in_context(pair, comparison);
    if level == Level::Absent {
        return (level, Likelihood::NONE);
    }
    let mut likelihood = *model.likelihood(comparison, level);
    if level == Level::Exact {
        match comparison {
            Comparison::Given => likelihood.unrelated = f64::from(pair.given_frequency),
            Comparison::Family => likelihood.unrelated = f64::from(pair.family_frequency),
            _ => {}
        }
    }
    if comparison == Comparison::Middle && pair.level(Comparison::Given) == Level::Exact {
        let share = model.namesakes_sharing_middle();
        likelihood.household = share.mul_add(likelihood.same, (1.0 - share) * likelihood.household);
    }
    (level, likelihood)
}

/// Given names tell the sex: when they agree, so do the sexes of strangers.
fn in_context(pair: &Pair, comparison: Comparison) -> Level {
    let level = pair.level(comparison);
    let names_agree = matches!(
        pair.level(Comparison::Given),
        Level::Exact | Level::Swapped | Level::Nickname | Level::Close | Level::Phonetic | Level::Middle
    );
    match (comparison, level) {
        (Comparison::Sex, Level::Exact) if names_agree => Level::SameGiven,
        (Comparison::Sex, Level::Conflict) if names_agree => Level::OtherGiven,
        _ => level,
    }
}

/// The odds of a match in a population of `population` identities.
#[must_use]
pub fn odds(pair: &Pair, model: &Model, population: usize) -> f64 {
    let (mut odds, mut others) = prior(model, population);
    for comparison in Comparison::ALL {
        if pair.level(comparison) == Level::Absent {
            continue;
        }
        let (_, likelihood) = likelihood(model, pair, comparison);
        odds *= likelihood.same;
        others.household *= likelihood.household;
        others.twin *= likelihood.twin;
        others.unrelated *= likelihood.unrelated;
    }
    odds / (others.household + others.twin + others.unrelated)
}

/// The probability that belongs to `odds`.
#[must_use]
pub fn probability(odds: f64) -> f64 {
    if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
}

/// The sum behind [`odds`].
#[must_use]
pub fn waterfall(pair: &Pair, model: &Model, population: usize) -> Waterfall {
    let (odds, mut others) = prior(model, population);
    let prior = odds.log2();
    let mut bars = Vec::with_capacity(Comparison::COUNT);
    for comparison in Comparison::ALL {
        let (level, likelihood) = likelihood(model, pair, comparison);
        let (m, u) = (likelihood.same, others.see(&likelihood));
        bars.push(Bar { comparison: comparison.name(), level: level.name(), m, u, weight: (m / u).log2() });
    }
    let total = bars.iter().fold(prior, |sum, bar| sum + bar.weight);
    Waterfall { prior, bars, total, probability: probability(total.exp2()) }
}

impl Others {
    /// The likelihood under the mixture; afterwards the mixture is what this evidence makes of it.
    fn see(&mut self, likelihood: &Likelihood) -> f64 {
        let household = self.household * likelihood.household;
        let twin = self.twin * likelihood.twin;
        let unrelated = self.unrelated * likelihood.unrelated;
        let u = household + twin + unrelated;
        *self = Self { household: household / u, twin: twin / u, unrelated: unrelated / u };
        u
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::tests::pair;
    use crate::matching::model::tests::model;

    const PERSON: &str = r#""name":[{"family":"Novak","given":["Mary","Ann"]}],"birthDate":"1980-02-03","gender":"female",
        "address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],"telecom":[{"system":"phone","value":"212-555-0142"}],
        "identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"W12345678"}]"#;

    fn probability_of(query: &str, stored: &str) -> f64 {
        probability(odds(&pair(query, stored), model(), 100_000))
    }

    #[test]
    fn prior_and_bars_sum_to_the_total_and_the_total_is_the_probability() {
        let model = model();
        let sister = PERSON.replace("Mary", "Jane").replace("1980", "1978");
        for stored in [PERSON, sister.as_str(), r#""gender":"male""#, ""] {
            let pair = pair(PERSON, stored);
            let waterfall = waterfall(&pair, model, 100_000);
            let sum: f64 = waterfall.prior + waterfall.bars.iter().map(|bar| bar.weight).sum::<f64>();
            assert!((sum - waterfall.total).abs() < 1e-9);
            assert!((waterfall.total - odds(&pair, model, 100_000).log2()).abs() < 1e-6, "{waterfall:?}");
            assert_eq!(waterfall.bars.len(), Comparison::COUNT);
            let absent = waterfall.bars.iter().filter(|bar| bar.level == "absent");
            assert!(absent.into_iter().all(|bar| bar.weight.abs() < 1e-12), "missing is no evidence");
        }
    }

    #[test]
    fn what_a_household_shares_is_not_counted_as_independent_evidence() {
        let sister = PERSON.replace("Mary", "Jane").replace("Ann", "Lee").replace("1980-02-03", "1978-09-27");
        let twin = PERSON.replace("Mary", "Jane").replace("Ann", "Lee");
        let junior = PERSON.replace("1980-02-03", "1955-10-27");
        assert!(probability_of(PERSON, PERSON) > 0.999);
        assert!(probability_of(PERSON, &sister) < 0.001, "sister");
        assert!(probability_of(PERSON, &twin) < 0.5, "twin");
        assert!(probability_of(PERSON, &junior) < 0.9, "namesake of another generation");
    }

    #[test]
    fn a_common_name_proves_less_than_a_rare_one() {
        let named = |family: &str, given: &str| {
            format!(r#""name":[{{"family":"{family}","given":["{given}"]}}],"birthDate":"1980""#)
        };
        let (common, rare) = (named("Smith", "Mary"), named("Quixotrov", "Marzanna"));
        let (rare, common) = (probability_of(&rare, &rare), probability_of(&common, &common));
        assert!(rare > 0.99 && common < 0.85, "{rare} {common}");
    }

    #[test]
    fn more_people_make_a_match_less_likely() {
        let pair = pair(PERSON, PERSON);
        assert!(odds(&pair, model(), 1_000) > odds(&pair, model(), 1_000_000));
        assert!((odds(&pair, model(), 1) - odds(&pair, model(), 1_000)).abs() < 1e-12);
    }
}
