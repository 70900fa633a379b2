//! An explanation as Parameters (`profiles/OperationDefinition-explain-match.json`).
//!
//! Weights are written in millionths of a bit, so that prior and weights sum to the final weight digit for digit. Not
//! here: the picture of the same (see `waterfall`).

use fhir_types::resources::{Parameters, ParametersParameter, Resource};
use fhir_types::write;

use super::parameters::{code, decimal, parts, reference, text};
use super::responder::Responder;
use super::{RenderError, list};
use crate::app::explain::Explanation;
use crate::matching::score::Bar;

/// The explanation as a Parameters resource.
///
/// # Errors
/// When a part of it cannot be written.
pub fn render(responder: &Responder, explanation: &Explanation) -> Result<Vec<u8>, RenderError> {
    let mut parameters = vec![
        reference("record", responder, &explanation.record)?,
        text("identity", &explanation.identity)?,
        text("model", &explanation.model)?,
        code("grade", explanation.grade)?,
        decimal("score", explanation.score)?,
        decimal("probability", explanation.probability)?,
    ];
    if let Some(row) = explanation.row {
        parameters.push(code("row", row)?);
    }
    for conflict in &explanation.capped_by {
        parameters.push(code("conflict", conflict.code())?);
    }
    for (attribute, result) in &explanation.attributes {
        parameters.push(parts("attribute", vec![code("name", attribute)?, code("result", result)?])?);
    }
    parameters.push(waterfall(explanation)?);
    let parameters = Parameters::builder().parameter(list(parameters)).build()?;
    Ok(write(&Resource::Parameters(parameters))?.into_bytes())
}

fn waterfall(explanation: &Explanation) -> Result<ParametersParameter, RenderError> {
    let mut total = Bits::of(explanation.waterfall.prior);
    let mut inside = vec![decimal("prior", total.value())?];
    for bar in &explanation.waterfall.bars {
        let weight = Bits::of(bar.weight);
        total = total.plus(weight);
        inside.push(comparison(bar, weight, total)?);
    }
    inside.push(decimal("final", total.value())?);
    parts("waterfall", inside)
}

fn comparison(bar: &Bar, weight: Bits, total: Bits) -> Result<ParametersParameter, RenderError> {
    let inside = vec![
        code("name", bar.comparison)?,
        code("level", bar.level)?,
        decimal("m", bar.m)?,
        decimal("u", bar.u)?,
        decimal("weight", weight.value())?,
        decimal("total", total.value())?,
    ];
    parts("comparison", inside)
}

/// A weight in millionths of a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bits(i64);

impl Bits {
    const PER_BIT: f64 = 1e6;

    fn of(weight: f64) -> Self {
        Self((weight * Self::PER_BIT).round() as i64)
    }

    const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    fn value(self) -> f64 {
        self.0 as f64 / Self::PER_BIT
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::super::responder::tests::responder;
    use super::*;
    use crate::matching::grade::Conflict;
    use crate::matching::score::Waterfall;

    fn bar(comparison: &'static str, level: &'static str, m: f64, u: f64) -> Bar {
        Bar { comparison, level, m, u, weight: (m / u).log2() }
    }

    /// Something of everything: for and against, absent, a conflict.
    pub fn explanation() -> Explanation {
        let bars = vec![
            bar("given", "exact", 0.8, 0.003_316),
            bar("family", "exact", 0.87, 0.000_41),
            bar("middle", "absent", 1.0, 1.0),
            bar("birth_date", "first_of_january", 0.014, 0.000_031),
            bar("sex", "same_given", 0.99, 0.97),
            bar("address", "conflict", 0.31, 0.94),
            bar("social_security", "conflict", 0.012, 0.99),
        ];
        let prior = -16.609_640_474_436_812;
        let total = bars.iter().fold(prior, |sum, bar| sum + bar.weight);
        let probability = 1.0 / (1.0 + (-total).exp2());
        Explanation {
            record: "p-1".to_owned(),
            identity: "0198c5f0-0000-7000-8000-000000000001".to_owned(),
            model: "1".to_owned(),
            grade: "possible",
            score: 0.6,
            row: Some("birth-date-sex"),
            capped_by: vec![Conflict::SocialSecurity],
            probability,
            attributes: vec![("birth-date", "exact"), ("address", "different")],
            waterfall: Waterfall { prior, bars, total, probability },
        }
    }

    fn named<'v>(list: &'v Value, name: &'v str) -> impl Iterator<Item = &'v Value> {
        list.as_array().expect("a list").iter().filter(move |parameter| parameter["name"] == name)
    }

    /// Millionths, from the digits that were written.
    fn millionths(parameter: &Value) -> i64 {
        let text = parameter["valueDecimal"].to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        assert!(fraction.len() <= 6, "{text}");
        let digits: i64 = format!("{whole}{fraction:0<6}").parse().expect("digits");
        digits
    }

    #[test]
    fn prior_and_weights_are_the_final_weight_digit_for_digit() {
        let bytes = render(&responder(), &explanation()).expect("rendered");
        fhir_types::parse(&bytes).expect("FHIR");
        let parameters: Value = serde_json::from_slice(&bytes).expect("JSON");
        let waterfall = &named(&parameters["parameter"], "waterfall").next().expect("a waterfall")["part"];
        let mut total = millionths(named(waterfall, "prior").next().expect("a prior"));
        for comparison in named(waterfall, "comparison") {
            total += millionths(named(&comparison["part"], "weight").next().expect("a weight"));
            assert_eq!(total, millionths(named(&comparison["part"], "total").next().expect("a total")));
        }
        assert_eq!(total, millionths(named(waterfall, "final").next().expect("a final weight")));
        assert_eq!(named(waterfall, "comparison").count(), 7);
    }

    #[test]
    fn every_part_is_written_under_its_name() {
        let bytes = render(&responder(), &explanation()).expect("rendered");
        let parameters: Value = serde_json::from_slice(&bytes).expect("JSON");
        let list = &parameters["parameter"];
        let one = |name: &'static str| named(list, name).next().unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(one("record")["valueReference"]["reference"], "https://match.example.org/fhir/Patient/p-1");
        assert_eq!(one("grade")["valueCode"], "possible");
        assert_eq!(one("conflict")["valueCode"], "social-security");
        assert_eq!(one("attribute")["part"][1]["valueCode"], "exact");
        let unmatched = Explanation { row: None, capped_by: Vec::new(), ..explanation() };
        let bytes = render(&responder(), &unmatched).expect("rendered");
        let parameters: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(named(&parameters["parameter"], "row").count(), 0);
    }
}
