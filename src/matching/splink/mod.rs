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
        "linker_uid": format!("idi-match {}", model.version()),
    })
}

fn comparison(model: &Model, engine: Engine, comparison: Comparison) -> Value {
    let expression = sql::level(engine, comparison);
    let level = |level: &Level| {
        let likelihood = model.likelihood(comparison, *level);
        let mut written = json!({
            "sql_condition": format!("{expression} = '{}'", level.name()),
            "label_for_charts": level.name(),
            "m_probability": likelihood.same,
            "u_probability": likelihood.unrelated,
        });
        if let (Some(column), Level::Exact) = (frequency_column(comparison), level) {
            written["tf_adjustment_column"] = json!(column);
            written["tf_adjustment_weight"] = json!(1.0);
            written["disable_tf_exact_match_detection"] = json!(true);
        }
        written
    };
    let null = json!({ "sql_condition": format!("{expression} IS NULL"), "label_for_charts": "absent", "is_null_level": true });
    let levels: Vec<Value> = std::iter::once(null).chain(comparison.levels().iter().map(level)).collect();
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
        for level in written["comparison_levels"].as_array().into_iter().flatten() {
            let label = level["label_for_charts"].as_str().unwrap_or_default();
            let known = comparison.levels().iter().find(|level| level.name() == label);
            let (Some(known), Some(m), Some(u)) =
                (known, level["m_probability"].as_f64(), level["u_probability"].as_f64())
            else {
                continue;
            };
            let likelihood = &mut table[comparison as usize][*known as usize];
            (likelihood.same, likelihood.unrelated) = (m, u);
            taken += 1;
        }
    }
    if taken == 0 {
        return Err(refuse("no level is named as in the model"));
    }
    let source = format!("m and u of {taken} levels from Splink, the rest from model {}.", model.version());
    Ok((model.with_likelihoods(&table, &source)?, taken))
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
