//! From levels to a match probability, with the sum shown: prior, one bar per comparison, correlated evidence, total.
//!
//! What: a pair is one of four: a match, household relatives, twins, or unrelated; each class has its prior and its
//! likelihoods, and the probability is that of a match against the other three. A comparison's bar is its match weight,
//! log2 of m over u, u being that of unrelated records. What relatives share is evidence of a household as well: the bar
//! "correlated evidence" takes back what the others count twice. Prior plus bars is the total exactly. Not here: the
//! numbers (see `model`).

use serde::Serialize;

use super::comparison::{Comparison, Level, Pair};
use super::model::{Likelihood, Model};

/// A population smaller than this is taken as this large: a few records do not make a stranger a likely match.
const POPULATION_MIN: usize = 1000;

/// The name of the bar that is no comparison.
pub const CORRELATED: &str = "correlated_evidence";

/// The sum behind a match probability, in bits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waterfall {
    /// log2 of the odds before any comparison.
    pub prior: f64,
    /// One for each comparison, then [`CORRELATED`].
    pub bars: Vec<Bar>,
    /// `prior` plus the weights of all bars.
    pub total: f64,
    pub probability: f64,
}

/// What one comparison adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    pub comparison: &'static str,
    /// Of correlated evidence: the likeliest explanation other than a match.
    pub level: &'static str,
    /// Likelihood of the level for records of one person. Of correlated evidence: that of all levels for unrelated
    /// records, in proportion to `u`.
    pub m: f64,
    /// The same for unrelated records. Of correlated evidence: 1, for relatives, twins and unrelated records together.
    pub u: f64,
    /// Match weight: log2 of m / u.
    pub weight: f64,
}

/// How likely the four explanations of a pair are, in proportion to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classes {
    same: f64,
    household: f64,
    twin: f64,
    unrelated: f64,
}

impl Classes {
    /// Before any comparison, in a population of `population` identities.
    fn prior(model: &Model, population: usize) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a population is far below 2^52")]
        let people = population.max(POPULATION_MIN) as f64;
        let relatives = model.relatives_per_person();
        let (household, twin) = (relatives.household / people, relatives.twin / people);
        Self { same: 1.0 / (people - 1.0), household, twin, unrelated: 1.0 - household - twin }
    }

    /// After all comparisons of `pair`.
    #[must_use]
    pub fn of(pair: &Pair, model: &Model, population: usize) -> Self {
        let mut classes = Self::prior(model, population);
        for comparison in Comparison::ALL {
            if pair.level(comparison) != Level::Absent {
                let (_, likelihood) = likelihood(model, pair, comparison);
                classes.same *= likelihood.same;
                classes.household *= likelihood.household;
                classes.twin *= likelihood.twin;
                classes.unrelated *= likelihood.unrelated;
            }
        }
        classes
    }

    /// A match against the other three.
    #[must_use]
    pub fn odds(&self) -> f64 {
        self.same / self.others()
    }

    /// That the pair is one person.
    #[must_use]
    pub fn probability(&self) -> f64 {
        probability(self.odds())
    }

    /// That the pair is a twin's, or a relative's of the household.
    #[must_use]
    pub fn relatives_probability(&self) -> f64 {
        let all = self.same + self.others();
        if all > 0.0 { (self.household + self.twin) / all } else { 0.0 }
    }

    /// That the pair has no relation.
    #[must_use]
    pub fn unrelated_probability(&self) -> f64 {
        let all = self.same + self.others();
        if all > 0.0 { self.unrelated / all } else { 1.0 }
    }

    fn others(&self) -> f64 {
        self.household + self.twin + self.unrelated
    }

    /// What relatives explain of what unrelated records would have to explain by chance.
    fn correlated(&self, prior: &Self) -> Bar {
        let m = self.unrelated / prior.unrelated / self.others();
        let level = match () {
            () if self.unrelated >= self.household.max(self.twin) => "unrelated",
            () if self.twin > self.household => "twin",
            () => "household",
        };
        Bar { comparison: CORRELATED, level, m, u: 1.0, weight: m.log2() }
    }
}

/// The likelihood of the level that `comparison` has in `pair`, with what other comparisons say about its meaning.
#[must_use]
pub fn likelihood(model: &Model, pair: &Pair, comparison: Comparison) -> (Level, Likelihood) {
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
    if pair.level(Comparison::Given) == Level::Exact {
        likelihood.household = of_namesakes(model, comparison, level, &likelihood);
    }
    (level, likelihood)
}

/// Relatives of one given name are parent and child: the middle name is often the same too, and the birth dates lie a
/// generation apart.
fn of_namesakes(model: &Model, comparison: Comparison, level: Level, likelihood: &Likelihood) -> f64 {
    let namesakes = model.namesakes();
    match (comparison, level) {
        (Comparison::Middle, _) => {
            let share = namesakes.sharing_middle;
            share.mul_add(likelihood.same, (1.0 - share) * likelihood.household)
        }
        (Comparison::BirthDate, Level::Generation) => {
            let contemporaries = model.likelihood(comparison, Level::Conflict).household;
            (1.0 - namesakes.of_one_generation).mul_add(contemporaries, likelihood.household)
        }
        (Comparison::BirthDate, Level::Close | Level::MonthDay | Level::TwoDigits) => likelihood.household,
        (Comparison::BirthDate, _) => likelihood.household * namesakes.of_one_generation,
        _ => likelihood.household,
    }
}

/// Given names tell the sex: when they agree, so do the sexes of strangers.
#[must_use]
pub fn in_context(pair: &Pair, comparison: Comparison) -> Level {
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

/// The probability that belongs to `odds`.
#[must_use]
pub fn probability(odds: f64) -> f64 {
    if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
}

/// The sum behind the odds of [`Classes`].
#[must_use]
pub fn waterfall(pair: &Pair, model: &Model, population: usize) -> Waterfall {
    let before = Classes::prior(model, population);
    let prior = before.odds().log2();
    let mut bars = Vec::with_capacity(Comparison::COUNT + 1);
    for comparison in Comparison::ALL {
        let (level, likelihood) = likelihood(model, pair, comparison);
        let (m, u) = (likelihood.same, likelihood.unrelated);
        bars.push(Bar { comparison: comparison.name(), level: level.name(), m, u, weight: (m / u).log2() });
    }
    bars.push(Classes::of(pair, model, population).correlated(&before));
    let total = bars.iter().fold(prior, |sum, bar| sum + bar.weight);
    Waterfall { prior, bars, total, probability: probability(total.exp2()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Classes {
        /// A match of this probability, unrelated otherwise.
        pub const fn unrelated_otherwise(probability: f64) -> Self {
            Self { same: probability, household: 0.0, twin: 0.0, unrelated: 1.0 - probability }
        }

        /// A match of this probability, relatives otherwise.
        pub const fn relatives_otherwise(probability: f64) -> Self {
            Self { same: probability, household: 1.0 - probability, twin: 0.0, unrelated: 0.0 }
        }
    }
    use crate::matching::comparison::tests::pair;
    use crate::matching::model::tests::model;

    const PERSON: &str = r#""name":[{"family":"Novak","given":["Mary","Ann"]}],"birthDate":"1980-02-03","gender":"female",
        "address":[{"line":["12 Oak St"],"city":"Troy","state":"NY","postalCode":"12180"}],"telecom":[{"system":"phone","value":"212-555-0142"}],
        "identifier":[{"type":{"coding":[{"code":"MB"}]},"system":"urn:p","value":"W12345678"}]"#;

    fn probability_of(query: &str, stored: &str) -> f64 {
        Classes::of(&pair(query, stored), model(), 100_000).probability()
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
            let odds = Classes::of(&pair, model, 100_000).odds();
            assert!((waterfall.total - odds.log2()).abs() < 1e-6, "{waterfall:?}");
            assert_eq!(waterfall.bars.len(), Comparison::COUNT + 1);
            assert!(waterfall.bars.iter().all(|bar| ((bar.m / bar.u).log2() - bar.weight).abs() < 1e-9));
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
    fn a_bar_is_m_over_u_of_unrelated_records_and_the_last_takes_back_what_relatives_share() {
        let model = model();
        let sister = PERSON.replace("Mary", "Jane").replace("1980", "1978");
        let twin = PERSON.replace("Mary", "Jane");
        for (stored, explanation, is_taken_back) in [
            (sister.as_str(), "household", true),
            (twin.as_str(), "twin", true),
            (r#""gender":"male""#, "unrelated", false),
        ] {
            let waterfall = waterfall(&pair(PERSON, stored), model, 100_000);
            let last = waterfall.bars.last().expect("a bar");
            assert_eq!((last.comparison, last.level), (CORRELATED, explanation));
            assert_eq!(last.weight < -5.0, is_taken_back, "{last:?}");
            let phone = model.likelihood(Comparison::Phone, Level::Exact);
            let bar = waterfall.bars.iter().find(|bar| bar.comparison == "phone" && bar.level == "exact");
            assert!(bar.is_none_or(|bar| (bar.weight - (phone.same / phone.unrelated).log2()).abs() < 1e-12));
        }
    }

    #[test]
    fn the_posterior_of_relatives_is_high_where_they_are_the_explanation() {
        let relatives = |stored: &str| Classes::of(&pair(PERSON, stored), model(), 100_000).relatives_probability();
        assert!(relatives(PERSON) < 0.001);
        assert!(relatives(&PERSON.replace("Mary", "Jane").replace("Ann", "Lee")) > 0.5);
        assert!(relatives(&PERSON.replace("1980-02-03", "1955-10-27")) > 0.05, "father and son");
    }

    #[test]
    fn a_namesake_born_a_generation_apart_is_a_relative_and_one_born_close_is_an_error_of_the_date() {
        let born = |date: &str| {
            let stored = PERSON.replace("1980-02-03", date);
            Classes::of(&pair(PERSON, &stored), model(), 100_000).relatives_probability()
        };
        let (parent, error) = (born("1955-10-27"), born("1982-11-26"));
        assert!(parent > 0.5 && error < 0.1, "{parent} {error}");
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
        let odds = |population: usize| Classes::of(&pair, model(), population).odds();
        assert!(odds(1_000) > odds(1_000_000));
        assert!((odds(1) - odds(1_000)).abs() < 1e-12);
    }
}
