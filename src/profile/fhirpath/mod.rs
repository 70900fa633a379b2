//! The subset of FHIRPath that profiles need: read once when a profile is loaded, evaluated over the JSON view.
//!
//! What: paths, the operators but `~`, and the functions of `ast::Function::TABLE`, with the meaning that FHIRPath N1
//! gives them (three-valued logic, empty collections, an error where one item is needed and several are given). Why
//! not a general library: those measured cost more per request than the whole match. Elements that are dates or times
//! have their order. Not here: their other operations and literals, quantities, regular expressions, terminology,
//! `resolve()`; an expression that uses them is refused by name.
//!
//! `and`, `or` and `implies` do not evaluate their right side when the left decides, so an error there goes unseen.

mod ast;
mod check;
mod evaluate;
mod function;
mod item;
mod lexer;
mod parser;

use std::fmt;

use crate::fhir::json::Value;

pub use item::{Collection, Item, Scalar};

use super::shape::Shapes;

/// Why an expression cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedExpression(String);

impl UnsupportedExpression {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for UnsupportedExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnsupportedExpression {}

/// Why an expression has no result on a given document. It never holds a value of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationError(&'static str);

impl EvaluationError {
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self(reason)
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for EvaluationError {}

/// An expression that can be evaluated.
#[derive(Debug, Clone)]
pub struct Expression {
    root: ast::Expr,
}

impl Expression {
    /// Reads `source`, which will be evaluated on elements of the types `context` (a resource, a datatype, or the path
    /// of a backbone element) within a `resource`. Every path in it must exist there.
    ///
    /// # Errors
    /// What in it is unknown or not supported.
    pub fn compile(
        source: &str,
        shapes: &Shapes,
        resource: &str,
        context: &[String],
    ) -> Result<Self, UnsupportedExpression> {
        let mut root = parser::parse(source)?;
        check::check(&mut root, shapes, resource, context)?;
        Ok(Self { root })
    }

    /// Evaluates on `context`, an element of `resource`.
    ///
    /// # Errors
    /// What FHIRPath leaves without a result, such as a comparison of two items with one.
    pub fn evaluate<'v>(
        &'v self,
        resource: &'v Value<'v>,
        context: Item<'v>,
    ) -> Result<Collection<'v>, EvaluationError> {
        evaluate::evaluate(&self.root, resource, context)
    }

    /// Evaluates as a condition.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and a result of several items.
    pub fn holds(&self, resource: &Value<'_>, context: Item<'_>) -> Result<Option<bool>, EvaluationError> {
        evaluate::evaluate(&self.root, resource, context)?.condition()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use rh_fhirpath::{EvaluationContext, FhirPathEvaluator, FhirPathParser, FhirPathValue};
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::profile::definition::{Invariant, Rule};
    use crate::profile::tests::{fixture, parsed, shipped};

    fn compile(source: &str) -> Result<Expression, UnsupportedExpression> {
        Expression::compile(source, shipped().shapes(), "Patient", &["Patient".to_owned()])
    }

    /// One word for a result: what an item is, or how many there are.
    fn ours(source: &str, patient: &str) -> String {
        let expression = compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let value = parsed(patient);
        match expression.evaluate(&value, Item::element(&value)) {
            Err(_) => "error".to_owned(),
            Ok(collection) => match collection.items() {
                [item] => match item.scalar() {
                    Some(Scalar::Bool(flag)) => flag.to_string(),
                    Some(Scalar::Integer(number)) => number.to_string(),
                    Some(Scalar::Decimal(units)) => format!("{units} units"),
                    Some(Scalar::Text(text)) => format!("'{text}'"),
                    None => "element".to_owned(),
                },
                items => format!("{} items", items.len()),
            },
        }
    }

    fn theirs(source: &str, context: &Json) -> Result<FhirPathValue, String> {
        let expression = FhirPathParser::new().parse(source).map_err(|error| format!("{source}: {error}"))?;
        let context = EvaluationContext::new(context.clone());
        FhirPathEvaluator::new().evaluate(&expression, &context).map_err(|error| error.to_string())
    }

    fn shown(value: &FhirPathValue) -> String {
        match value {
            FhirPathValue::Boolean(flag) | FhirPathValue::TypedBoolean { value: flag, .. } => flag.to_string(),
            FhirPathValue::Integer(number) | FhirPathValue::Long(number) => number.to_string(),
            FhirPathValue::Number(number) => {
                format!("{} units", (number.to_string().parse::<f64>().expect("number") * 1e8).round())
            }
            FhirPathValue::String(text) | FhirPathValue::TypedString { value: text, .. } => format!("'{text}'"),
            FhirPathValue::Collection(items) if items.len() == 1 => shown(&items[0]),
            FhirPathValue::Collection(items) => format!("{} items", items.len()),
            FhirPathValue::Empty => "0 items".to_owned(),
            FhirPathValue::Object(_) => "element".to_owned(),
            other => format!("{other:?}"),
        }
    }

    const PATIENT: &str = r#"{"resourceType":"Patient","active":true,"deceasedBoolean":false,"multipleBirthInteger":2,
        "name":[{"family":"Ng","given":["Ada","Bo"],"use":"official"},{"given":["Ada"],"use":"old"}],
        "telecom":[{"system":"phone","value":"5","rank":2},{"system":"email","value":"a@b"},{"system":"phone"}],
        "birthDate":"1980-02-29","gender":"female",
        "extension":[{"url":"http://x/a","valueString":"yes"},{"url":"http://x/b","valueDecimal":0.25}]}"#;

    /// Source and expected result; both implementations must agree with it.
    const TABLE: &[(&str, &str)] = &[
        ("name.given.count()", "3"),
        ("name.given.distinct().count()", "2"),
        ("name[1].given", "'Ada'"),
        ("name[7].given", "0 items"),
        ("Patient.name.family", "'Ng'"),
        ("name.where(use = 'old').given", "'Ada'"),
        ("name.where(family = 'x').exists()", "false"),
        ("name.exists(use = 'old')", "true"),
        ("name.all(given.exists())", "true"),
        ("name.all(family.exists())", "false"),
        ("name.family = 'Ng'", "true"),
        ("name.family != 'Ng'", "false"),
        ("name.suffix = 'Jr'", "0 items"),
        ("name.given = 'Ada'", "false"),
        ("(name.suffix = 'Jr') or true", "true"),
        ("(name.suffix = 'Jr') and true", "0 items"),
        ("(name.suffix = 'Jr') and false", "false"),
        ("(name.suffix = 'Jr') implies true", "true"),
        ("(name.suffix = 'Jr') xor true", "0 items"),
        ("false implies (name.suffix = 'Jr')", "true"),
        ("true xor false", "true"),
        ("(name.suffix = 'Jr').not()", "0 items"),
        ("name.empty().not()", "true"),
        ("'Bo' in name.given", "true"),
        ("name.given contains 'Cy'", "false"),
        ("name.suffix in name.given", "0 items"),
        ("deceased", "false"),
        ("deceased.ofType(boolean)", "false"),
        ("deceased.ofType(dateTime).exists()", "false"),
        ("multipleBirth.ofType(integer) + 1", "3"),
        ("extension('http://x/a').value", "'yes'"),
        ("extension('http://x/b').value.ofType(decimal) * 2", "50000000 units"),
        ("extension('http://x/c').exists()", "false"),
        ("extension.where(url = 'http://x/a').value.exists()", "true"),
        ("1 + 2 * 3", "7"),
        ("7 div 2", "3"),
        ("7 mod 2", "1"),
        ("7 / 2", "350000000 units"),
        ("1 / 0", "0 items"),
        ("1 div 0", "0 items"),
        ("0.1 + 0.2 = 0.3", "true"),
        ("1 = 1.0", "true"),
        ("-3 + 1", "-2"),
        ("2 > 10", "false"),
        ("'2' > '10'", "true"),
        ("'a' & name.suffix & 'b'", "'ab'"),
        ("'a' + 'b'", "'ab'"),
        ("iif(active, 'y', 'n')", "'y'"),
        ("iif(name.suffix = 'Jr', 'y')", "0 items"),
        ("true.toInteger() + '4'.toInteger()", "5"),
        ("'x'.toInteger()", "0 items"),
        ("name.given.first().startsWith('A')", "true"),
        ("name.given.last().length()", "3"),
        ("name.family.lower()", "'ng'"),
        ("name.family.contains('g')", "true"),
        ("'abc'.substring(1, 1)", "'b'"),
        ("'abc'.indexOf('c')", "2"),
        ("(name.given | 'Cy').count()", "3"),
        ("name.given.combine('Ada').count()", "4"),
        ("name.given.exclude('Ada')", "'Bo'"),
        ("name.given.intersect('Ada')", "'Ada'"),
        ("name.given.skip(1).first()", "'Bo'"),
        ("name.given.take(2).count()", "2"),
        ("name.given.tail().count()", "2"),
        ("name.select(given.first()).count()", "2"),
        ("telecom.where($this.system = 'phone').count()", "2"),
        ("(1 | 2 | 3).select($this * 2).count()", "3"),
        ("telecom.rank.hasValue()", "true"),
        ("%resource.name.count()", "2"),
        ("name.given.isDistinct()", "false"),
        ("{}.exists()", "false"),
        ("true and name.family.single() = 'Ng'", "true"),
        ("name.`given`.count() // comment", "3"),
    ];

    #[test]
    fn the_subset_means_what_fhirpath_says_and_an_independent_implementation_agrees() {
        let json: Json = serde_json::from_str(PATIENT).expect("json");
        for (source, expected) in TABLE {
            assert_eq!(ours(source, PATIENT), *expected, "{source}");
            match theirs(source, &json) {
                Ok(value) => assert_eq!(shown(&value), *expected, "theirs: {source}"),
                Err(error) => panic!("theirs: {source}: {error}"),
            }
        }
    }

    /// Start and end of a period, and whether the start is after the end. Both implementations must agree where dates are
    /// of one precision and times of one zone; beyond that the other compares texts.
    #[test]
    fn dates_and_times_are_ordered_by_what_they_mean() {
        let table = [
            ("2020-01-02", "2020-01-01", "true", true),
            ("2020-01-01", "2020-01-01", "false", true),
            ("2019", "2020", "false", true),
            ("2020-03", "2020-02", "true", true),
            ("2020-01-01T10:00:01Z", "2020-01-01T10:00:00Z", "true", true),
            ("2020-01-01T10:00:00Z", "2020-01-01T10:00:01Z", "false", true),
            // Of different precision: unknown where they overlap.
            ("2020-01", "2020-01-15", "0 items", false),
            ("2020-01-15", "2020-01", "0 items", false),
            ("2020-02", "2020-01-15", "true", false),
            ("2020-01-01", "2020-01-01T10:00:00Z", "0 items", false),
            ("2020-01-03", "2020-01-01T10:00:00Z", "true", false),
            // A date is not of the zone of a time: somewhere it is the day before, or after.
            ("2020-01-02T03:00:00Z", "2020-01-01", "0 items", false),
            // Of different zones.
            ("2020-01-02T00:30:00+05:00", "2020-01-01T20:00:00Z", "false", false),
            ("2020-01-01T23:30:00-05:00", "2020-01-02T01:00:00Z", "true", false),
            ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00.5Z", "false", false),
        ];
        for (start, end, expected, is_shared) in table {
            let text =
                format!(r#"{{"resourceType":"Patient","name":[{{"period":{{"start":"{start}","end":"{end}"}}}}]}}"#);
            assert_eq!(ours("name.period.start > name.period.end", &text), expected, "{start} {end}");
            let later = ours("name.period.start <= name.period.end", &text);
            assert_eq!(
                later,
                match expected {
                    "true" => "false",
                    "false" => "true",
                    none => none,
                },
                "{start} {end}"
            );
            if is_shared {
                let json = serde_json::from_str(&text).expect("json");
                let found = theirs("name.period.start > name.period.end", &json).expect("theirs");
                assert_eq!(shown(&found), expected, "theirs: {start} {end}");
            }
        }
    }

    #[test]
    fn several_items_where_one_is_needed_are_an_error() {
        let sources = [
            "name.given > 'A'",
            "name.given and true",
            "name.given.lower()",
            "name.single()",
            "name.given + 'x'",
            "1 + 'x'",
        ];
        for source in sources {
            assert_eq!(ours(source, PATIENT), "error", "{source}");
        }
    }

    #[test]
    fn an_element_with_extensions_and_no_value_exists_without_a_value() {
        let why = r#"{"extension":[{"url":"http://why","valueCode":"unknown"}]}"#;
        let patient = format!(
            r#"{{"resourceType":"Patient","_birthDate":{why},"name":[{{"given":[null,"Bo"],"_given":[{why},null]}}],"_active":{why}}}"#
        );
        let table = [
            ("birthDate.exists()", "true"),
            ("birthDate.hasValue()", "false"),
            ("birthDate.extension('http://why').value", "'unknown'"),
            ("name.given.count()", "2"),
            ("name.given.where(hasValue())", "'Bo'"),
            ("name.given.first().extension('http://why').exists()", "true"),
            ("active.not()", "0 items"),
        ];
        for (source, expected) in table {
            assert_eq!(ours(source, &patient), expected, "{source}");
        }
    }

    #[test]
    fn what_leads_nowhere_in_base_r4_is_refused() {
        let table = [
            ("telecon.exists()", "Patient has no element telecon"),
            ("name.famly.exists()", "HumanName has no element famly"),
            ("name.where(familly.exists())", "familly"),
            ("Organization.name.exists()", "type Organization"),
            ("deceasedBoolean", "deceasedBoolean"),
            ("deceased.ofType(string)", "never of type string"),
            ("contained.name.exists()", "ofType()"),
            ("birthDate > '1980'", "dates and times"),
            ("birthDate = '1980'", "dates and times"),
            ("birthDate = birthDate", "dates and times"),
            ("birthDate.startsWith('19')", "no text"),
            ("name.count().foo", "System has no element foo"),
            ("name.family is string", "is string"),
        ];
        for (source, part) in table {
            let error = compile(source).expect_err(source).to_string();
            assert!(error.contains(part), "{source}: {error}");
        }
        assert!(compile("contained.ofType(Patient).name.exists()").is_ok());
    }

    /// The weight expression of idi-L0, without its minimum.
    fn weight_expression() -> String {
        let artifact = shipped().find_artifact("StructureDefinition", "IDI-Patient-L0").expect("L0");
        let json: Json = serde_json::from_str(&artifact.json).expect("json");
        let text = json.pointer("/differential/element/0/constraint/0/expression").and_then(Json::as_str).expect("L0");
        text.strip_suffix(" >= 9").expect("minimum").to_owned()
    }

    #[test]
    fn the_weight_expression_gives_the_examples_of_the_guide_their_points() {
        let table = [
            ("patient-base.json", "10"),
            ("patient-l0.json", "9"),
            ("patient-l1.json", "14"),
            ("patient-l2.json", "15"),
            ("patient-incomplete.json", "11"),
        ];
        let source = weight_expression();
        for (name, expected) in table {
            let text = fixture(name);
            assert_eq!(ours(&source, &text), expected, "{name}");
            let json = serde_json::from_str(&text).expect("json");
            assert_eq!(shown(&theirs(&source, &json).expect("theirs")), expected, "theirs: {name}");
        }
    }

    #[test]
    fn an_identifier_with_two_matching_codings_is_no_error() {
        let patient = r#"{"resourceType":"Patient","identifier":[{"value":"1",
            "type":{"coding":[{"code":"DL"},{"code":"PPN"},{"code":"STID"}]}}]}"#;
        assert_eq!(ours(&weight_expression(), patient), "5");
    }

    fn invariants_of_patients() -> Vec<(String, &'static Invariant)> {
        fn collect(path: &str, rule: &'static Rule, into: &mut Vec<(String, &'static Invariant)>) {
            into.extend(rule.invariants.iter().map(|invariant| (path.to_owned(), invariant)));
            for child in &rule.children {
                collect(&child.name, &child.rule, into);
            }
        }
        let mut found = Vec::new();
        for definition in shipped().definitions.values().filter(|found| found.constrained_type == "Patient") {
            collect("", &definition.root, &mut found);
        }
        found
    }

    fn sources_by_key() -> Vec<(String, String)> {
        let mut found = Vec::new();
        for artifact in shipped().list_artifacts("StructureDefinition") {
            let json: Json = serde_json::from_str(&artifact.json).expect("json");
            let elements = json.pointer("/differential/element").and_then(Json::as_array).cloned().unwrap_or_default();
            for constraint in elements.iter().filter_map(|element| element.get("constraint")?.as_array()).flatten() {
                let text = |name: &str| constraint[name].as_str().expect(name).to_owned();
                found.push((text("key"), text("expression")));
            }
        }
        found
    }

    fn assemble(members: Vec<(&'static str, Option<Json>)>) -> Json {
        Json::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    fn one_of(values: &'static [&'static str]) -> impl Strategy<Value = Option<Json>> {
        prop::option::of(prop::sample::select(values).prop_map(|text| json!(text)))
    }

    fn some_of(element: impl Strategy<Value = Json>) -> impl Strategy<Value = Option<Json>> {
        prop::option::of(prop::collection::vec(element, 1..4)).prop_map(|items| {
            let items: Vec<_> = items?.into_iter().filter(|item| item != &json!({})).collect();
            (!items.is_empty()).then_some(Json::Array(items))
        })
    }

    fn any_identifier() -> impl Strategy<Value = Json> {
        let coding =
            (one_of(&["http://terminology.hl7.org/CodeSystem/v2-0203"]), one_of(&["PPN", "DL", "STID", "MR", "MB"]))
                .prop_map(|(system, code)| assemble(vec![("system", system), ("code", code)]));
        let kind = some_of(coding).prop_map(|coding| coding.map(|coding| json!({ "coding": coding })));
        (kind, one_of(&["http://x", "http://y"]), one_of(&["1", "2"]), one_of(&["North"])).prop_map(
            |(kind, system, value, assigner)| {
                let assigner = assigner.map(|display| json!({ "display": display }));
                assemble(vec![("type", kind), ("system", system), ("value", value), ("assigner", assigner)])
            },
        )
    }

    fn any_patient() -> impl Strategy<Value = Json> {
        let telecom = (one_of(&["phone", "email", "fax"]), one_of(&["1", "a@b"]))
            .prop_map(|(system, value)| assemble(vec![("system", system), ("value", value)]));
        let text = |value: &'static str| some_of(Just(json!(value)));
        let address =
            (one_of(&["home", "old", "work"]), text("1 Main"), one_of(&["Rye"]), one_of(&["NY"]), one_of(&["10580"]))
                .prop_map(|(of, line, city, state, zip)| {
                    assemble(vec![("use", of), ("line", line), ("city", city), ("state", state), ("postalCode", zip)])
                });
        let name = (one_of(&["official", "old"]), one_of(&["Ng"]), text("Ada"))
            .prop_map(|(of, family, given)| assemble(vec![("use", of), ("family", family), ("given", given)]));
        let photo = Just(json!({ "url": "http://x/p" }));
        let lists = (some_of(any_identifier()), some_of(telecom), some_of(address), some_of(name), some_of(photo));
        (lists, one_of(&["1980-01-31", "1980"])).prop_map(
            |((identifier, telecom, address, name, photo), birth_date)| {
                assemble(vec![
                    ("resourceType", Some(json!("Patient"))),
                    ("identifier", identifier),
                    ("name", name),
                    ("telecom", telecom),
                    ("birthDate", birth_date),
                    ("address", address),
                    ("photo", photo),
                ])
            },
        )
    }

    #[test]
    fn generated_patients_meet_and_break_every_invariant() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut counts: std::collections::BTreeMap<&str, [u32; 2]> = std::collections::BTreeMap::new();
        for _ in 0..256 {
            let text = any_patient().new_tree(&mut runner).expect("tree").current().to_string();
            let patient = parsed(&text);
            for (path, invariant) in invariants_of_patients() {
                let values = if path.is_empty() { std::slice::from_ref(&patient) } else { patient.list(&path) };
                for value in values {
                    let holds = invariant.expression.holds(&patient, Item::element(value)) == Ok(Some(true));
                    counts.entry(&invariant.key).or_default()[usize::from(holds)] += 1;
                }
            }
        }
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), ["idi-1", "idi-2", "idi-L0", "idi-L1"]);
        assert!(counts.values().flatten().all(|count| *count >= 5), "{counts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn invariants_of_datatypes_are_judged_as_an_independent_implementation_judges_them(
            (start, end, system, value) in (
                one_of(&["2020-01-01", "2020-01-02"]),
                one_of(&["2020-01-01", "2020-01-02"]),
                one_of(&["phone", "email"]),
                one_of(&["1"]),
            )
        ) {
            let table = [
                ("Period", assemble(vec![("start", start), ("end", end)])),
                ("ContactPoint", assemble(vec![("system", system), ("value", value)])),
            ];
            let file = include_str!("../../../profiles/r4-invariants.json");
            let file: Json = serde_json::from_str(file).expect("json");
            for (on, json) in table {
                let text = json.to_string();
                let element = parsed(&text);
                for row in file["invariants"].as_array().expect("rows").iter().filter(|row| row["on"][0] == on) {
                    let source = row["expression"].as_str().expect("expression");
                    let compiled = Expression::compile(source, shipped().shapes(), "Patient", &[on.to_owned()]);
                    let ours = compiled.expect("compiles").holds(&element, Item::element(&element));
                    let theirs = theirs(source, &json).map(|value| value.to_boolean());
                    prop_assert_eq!(ours.map(|held| held == Some(true)).ok(), theirs.ok(), "{} {}", source, text);
                }
            }
        }

        #[test]
        fn every_invariant_of_a_patient_is_judged_as_an_independent_implementation_judges_it(json in any_patient()) {
            let text = json.to_string();
            let patient = parsed(&text);
            let sources = sources_by_key();
            for (path, invariant) in invariants_of_patients() {
                let (_, source) = sources.iter().find(|(key, _)| *key == invariant.key).expect("source");
                let root = std::slice::from_ref(&json);
                let contexts = if path.is_empty() { root } else { json[&path].as_array().map_or(&[][..], Vec::as_slice) };
                let values = if path.is_empty() { std::slice::from_ref(&patient) } else { patient.list(&path) };
                for (context, value) in contexts.iter().zip(values) {
                    let ours = invariant.expression.holds(&patient, Item::element(value));
                    let ours = ours.map_err(|error| error.to_string());
                    let theirs = theirs(source, context).map(|value| value.to_boolean());
                    prop_assert_eq!(ours.map(|held| held == Some(true)), theirs, "{}", source);
                }
            }
        }
    }
}
