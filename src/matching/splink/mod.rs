//! The model as settings of Splink 4, and back: for populations that one machine does not hold.
//!
//! What: [`settings`] writes comparisons with their levels as SQL of an engine, blocking rules, m and u; [`prepared`]
//! writes records in the columns that this SQL reads; [`imported`] takes m and u that were trained there. u of equal
//! names is their frequency, as a term frequency adjustment. Limits: one value of each kind of a record, and two classes:
//! correlated evidence stays here. Not here: the comparisons themselves (see `comparison`), of which `sql` is the same in
//! another language; a test with the real Splink holds the two together.

mod prepared;
mod sql;

use serde_json::{Value, json};

pub use prepared::{COLUMNS, prepared};

use super::comparison::{Comparison, Level};
use super::model::{Likelihoods, Model, ModelError};

/// The engine that is to run the SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    DuckDb,
    Spark,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Spark => "spark",
        }
    }
}

/// Settings for `splink.Linker`, for a population of `population` people.
#[must_use]
pub fn settings(model: &Model, engine: Engine, population: usize) -> Value {
    let comparisons: Vec<Value> = Comparison::ALL.into_iter().map(|c| comparison(model, engine, c)).collect();
    let blocking: Vec<Value> =
        sql::BLOCKING_RULES.iter().map(|rule| json!({ "blocking_rule": rule, "sql_dialect": engine.name() })).collect();
    json!({
        "link_type": "dedupe_only",
        "sql_dialect": engine.name(),
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": 1.0 / population.max(2) as f64,
        "retain_intermediate_calculation_columns": true,
        "retain_matching_columns": false,
        "blocking_rules_to_generate_predictions": blocking,
        "comparisons": comparisons,
        "linker_uid": linker_uid(model),
    })
}

/// Splink makes names of tables of it.
fn linker_uid(model: &Model) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("idi_match_{}", model.version().chars().map(letter).collect::<String>())
}

fn comparison(model: &Model, engine: Engine, comparison: Comparison) -> Value {
    let found = sql::levels(engine, comparison);
    let known = |name: &str| comparison.levels().iter().copied().find(|level| level.name() == name);
    let level = |(condition, name): (&str, &str)| {
        let likelihood = model.likelihood(comparison, known(name).unwrap_or(Level::Conflict));
        let mut written = json!({
            "sql_condition": condition,
            "label_for_charts": name,
            "m_probability": likelihood.same,
            "u_probability": likelihood.unrelated,
        });
        if let (Some(column), "exact") = (frequency_column(comparison), name) {
            written["tf_adjustment_column"] = json!(column);
            written["tf_adjustment_weight"] = json!(1.0);
            written["disable_tf_exact_match_detection"] = json!(true);
        }
        written
    };
    let null = json!({ "sql_condition": found.null, "label_for_charts": "absent", "is_null_level": true });
    let ordered = found.ordered.iter().map(|(condition, name)| (condition.as_str(), *name));
    let levels = ordered.chain([("ELSE", found.otherwise)]).map(level);
    let levels: Vec<Value> = std::iter::once(null).chain(levels).collect();
    json!({ "output_column_name": format!("c_{}", comparison.name()), "comparison_levels": levels })
}

/// The column whose frequencies are u where it is equal.
const fn frequency_column(comparison: Comparison) -> Option<&'static str> {
    match comparison {
        Comparison::Given => Some("given"),
        Comparison::Family => Some("family"),
        _ => None,
    }
}

/// `model` with m and u of settings that Splink has trained and saved, for the levels that are named as here. Returns
/// also how many those were.
///
/// # Errors
/// When the settings have no comparisons, or a number in them is no probability.
pub fn imported(model: &Model, settings: &Value) -> Result<(Model, usize), ModelError> {
    let refuse = |reason: &str| ModelError::new(format!("Splink settings: {reason}"));
    let comparisons = settings["comparisons"].as_array().ok_or_else(|| refuse("there are no comparisons"))?;
    let mut table: Likelihoods = *model.likelihoods();
    let mut taken = 0;
    for written in comparisons {
        let name = written["output_column_name"].as_str().unwrap_or_default();
        let known = Comparison::ALL.into_iter().find(|c| name.strip_prefix("c_") == Some(c.name()));
        let Some(comparison) = known else { continue };
        for level in comparison.levels() {
            let likelihood = &mut table[comparison as usize][*level as usize];
            if let Some((m, u)) = found(model, comparison, *level, &written["comparison_levels"]) {
                (likelihood.same, likelihood.unrelated) = (m, u);
                taken += 1;
            }
        }
    }
    if taken == 0 {
        return Err(refuse("no level is named as in the model"));
    }
    let source = format!("m and u of {taken} levels from Splink, the rest from model {}.", model.version());
    Ok((model.with_likelihoods(&table, &source)?, taken))
}

/// Below this a level was not seen.
const LEAST: f64 = 1e-12;

/// m and u of a level in a comparison of Splink's. A level that comes twice and was exported with the same numbers has
/// been trained apart; together they are the sums.
fn found(model: &Model, comparison: Comparison, level: Level, levels: &Value) -> Option<(f64, f64)> {
    let named = levels.as_array()?.iter().filter(|written| written["label_for_charts"] == level.name());
    let numbers = named.filter_map(|w| Some((w["m_probability"].as_f64()?, w["u_probability"].as_f64()?)));
    let numbers: Vec<(f64, f64)> = numbers.collect();
    let own = model.likelihood(comparison, level);
    if numbers.iter().all(|(m, u)| *m == own.same && *u == own.unrelated) {
        return numbers.first().copied();
    }
    let (m, u) = numbers.into_iter().fold((0.0, 0.0), |sum, (m, u)| (sum.0 + m, sum.1 + u));
    // What was not seen there is no impossibility: the level keeps its numbers.
    (m > LEAST && u > LEAST).then_some((f64::min(m, 1.0), f64::min(u, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::model::tests::model;

    #[test]
    fn what_is_exported_is_imported_again() {
        for engine in [Engine::DuckDb, Engine::Spark] {
            let mut written = settings(model(), engine, 100_000);
            let (same, taken) = imported(model(), &written).expect("settings");
            assert_eq!(same.likelihoods(), model().likelihoods());
            assert_eq!(taken, Comparison::ALL.into_iter().map(|c| c.levels().len()).sum::<usize>());
            let phone = &mut written["comparisons"][Comparison::Phone as usize]["comparison_levels"];
            phone[1]["m_probability"] = json!(0.25);
            let (other, _) = imported(model(), &written).expect("settings");
            assert!((other.likelihood(Comparison::Phone, Level::Exact).same - 0.25).abs() < 1e-12);
            phone_is_untouched_beside(&other);
        }
        assert!(imported(model(), &json!({})).is_err());
        assert!(imported(model(), &json!({ "comparisons": [] })).is_err());
    }

    #[test]
    fn a_level_that_was_never_seen_keeps_its_numbers_and_one_trained_twice_has_the_sum() {
        let mut written = settings(model(), Engine::DuckDb, 1000);
        let given =
            written["comparisons"][Comparison::Given as usize]["comparison_levels"].as_array_mut().expect("levels");
        for level in given.iter_mut() {
            match level["label_for_charts"].as_str() {
                Some("nickname") => level["m_probability"] = json!(0.02),
                Some("close") => level["m_probability"] = json!(0.0),
                _ => {}
            }
        }
        let (other, _) = imported(model(), &written).expect("settings");
        assert!((other.likelihood(Comparison::Given, Level::Nickname).same - 0.04).abs() < 1e-12);
        assert_eq!(
            other.likelihood(Comparison::Given, Level::Close),
            model().likelihood(Comparison::Given, Level::Close)
        );
    }

    fn phone_is_untouched_beside(other: &Model) {
        let (found, expected) =
            (other.likelihood(Comparison::Phone, Level::Exact), model().likelihood(Comparison::Phone, Level::Exact));
        assert_eq!((found.household, found.twin), (expected.household, expected.twin));
    }

    #[test]
    fn every_column_of_the_sql_is_prepared() {
        for engine in [Engine::DuckDb, Engine::Spark] {
            let text = settings(model(), engine, 1000).to_string();
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                if let Some(column) = word.strip_suffix("_l").or_else(|| word.strip_suffix("_r")) {
                    assert!(COLUMNS.contains(&column), "{column}");
                }
            }
        }
    }
}
