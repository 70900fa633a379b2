//! Slicing: telling the repetitions of an element apart (FHIR R4 Profiling, Discriminator).
//!
//! What: discriminators by value (`value`, `pattern`: the slice says which with `fixed[x]` or `pattern[x]`) and by the
//! type of a resource (`type`). Not here: other discriminators, ordered slices and `openAtEnd`; they are refused.

use serde_json::{Map, Value as Json};

use super::definition::{RequiredValue, Rule};
use super::{LoadError, SourceFile};
use crate::fhir::json::{Number, Value};

/// How the repetitions of an element are told apart.
#[derive(Debug)]
pub struct Slicing {
    discriminators: Vec<Discriminator>,
    /// Whether there may be repetitions that belong to no slice.
    pub rest: Rest,
    /// For each slice what decides, in the order of the slices; filled by [`link`].
    tests: Vec<Vec<Test>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Open,
    Closed,
}

#[derive(Debug, Clone)]
struct Discriminator {
    kind: Kind,
    /// Steps from the sliced element; none for `$this`.
    path: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    Type,
}

#[derive(Debug)]
struct Test {
    path: Vec<String>,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    Value(RequiredValue),
    ResourceTypes(Vec<String>),
}

impl Slicing {
    /// Reads `ElementDefinition.slicing`.
    pub(super) fn read(file: &SourceFile<'_>, id: &str, json: Option<&Json>) -> Result<Option<Self>, LoadError> {
        let Some(json) = json else { return Ok(None) };
        let keys = json.as_object().into_iter().flat_map(Map::keys);
        for key in keys {
            if !matches!(key.as_str(), "discriminator" | "rules" | "description" | "ordered") {
                return Err(file.refuse(id, format!("slicing.{key} is not supported")));
            }
        }
        if json.get("ordered").and_then(Json::as_bool) == Some(true) {
            return Err(file.refuse(id, "slicing.ordered is not supported"));
        }
        let rest = match json.get("rules").and_then(Json::as_str) {
            Some("open") => Rest::Open,
            Some("closed") => Rest::Closed,
            _ => return Err(file.refuse(id, "slicing.rules is neither open nor closed")),
        };
        let discriminators = json.get("discriminator").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        if discriminators.is_empty() {
            return Err(file.refuse(id, "slicing.discriminator is missing"));
        }
        let discriminators = discriminators.iter().map(|json| Discriminator::read(file, id, json));
        Ok(Some(Self { discriminators: discriminators.collect::<Result<_, _>>()?, rest, tests: Vec::new() }))
    }

    /// The position of the slice that `value` belongs to.
    #[must_use]
    pub fn find_slice(&self, value: &Value<'_>) -> Option<usize> {
        self.tests.iter().position(|tests| tests.iter().all(|test| test.holds(value, &test.path)))
    }
}

impl Discriminator {
    fn read(file: &SourceFile<'_>, id: &str, json: &Json) -> Result<Self, LoadError> {
        let text = |name: &str| json.get(name).and_then(Json::as_str);
        let kind = match text("type") {
            Some("value" | "pattern") => Kind::Value,
            Some("type") => Kind::Type,
            _ => return Err(file.refuse(id, "slicing.discriminator.type is not value, pattern or type")),
        };
        let path = text("path").ok_or_else(|| file.refuse(id, "slicing.discriminator.path is missing"))?;
        let plain = |step: &str| !step.is_empty() && step.chars().all(|c| c.is_ascii_alphanumeric());
        let path = match path {
            "$this" => Vec::new(),
            path if path.split('.').all(plain) => path.split('.').map(str::to_owned).collect(),
            _ => return Err(file.refuse(id, "slicing.discriminator.path is no plain path")),
        };
        Ok(Self { kind, path })
    }

    /// What `slice` expects at the path of the discriminator.
    fn test(&self, file: &SourceFile<'_>, slice: &Rule) -> Result<Test, LoadError> {
        let missing = || file.refuse(&slice.id, "the slice does not say what its discriminator expects");
        let mut rule = slice;
        for step in &self.path {
            rule =
                rule.children.iter().find(|child| child.name == *step).map(|child| &child.rule).ok_or_else(missing)?;
        }
        let expected = match self.kind {
            Kind::Value => Expected::Value(rule.required_value.clone().ok_or_else(missing)?),
            Kind::Type if rule.types.is_empty() => return Err(missing()),
            Kind::Type => Expected::ResourceTypes(rule.types.iter().map(|rule| rule.code.clone()).collect()),
        };
        Ok(Test { path: self.path.clone(), expected })
    }
}

/// Works out, for every sliced element at and below `rule`, what decides for each slice.
pub(super) fn link(file: &SourceFile<'_>, rule: &mut Rule) -> Result<(), LoadError> {
    if let Some(slicing) = &mut rule.slicing {
        for (_, slice) in &rule.slices {
            let tests = slicing.discriminators.iter().map(|discriminator| discriminator.test(file, slice));
            slicing.tests.push(tests.collect::<Result<_, _>>()?);
        }
    }
    let children = rule.children.iter_mut().map(|child| &mut child.rule);
    let slices = rule.slices.iter_mut().map(|(_, slice)| slice);
    for rule in children.chain(slices) {
        link(file, rule)?;
    }
    Ok(())
}

impl Test {
    /// Whether some value at the rest of the path is as expected.
    fn holds(&self, value: &Value<'_>, path: &[String]) -> bool {
        if let Value::Array(items) = value {
            return items.iter().any(|item| self.holds(item, path));
        }
        match path {
            [] => match &self.expected {
                Expected::Value(required) => required.accepts(value),
                Expected::ResourceTypes(types) => {
                    value.text("resourceType").is_some_and(|name| types.iter().any(|code| code == name))
                }
            },
            [step, rest @ ..] => value.get(step).is_some_and(|value| self.holds(value, rest)),
        }
    }
}

impl RequiredValue {
    /// Whether a value of the document is the fixed one or has the pattern.
    #[must_use]
    pub fn accepts(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Fixed(json) => matches(json, value, Extent::Equal),
            Self::Pattern(json) => matches(json, value, Extent::AtLeast),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Equal,
    AtLeast,
}

/// FHIR R4 ElementDefinition: a fixed value is met exactly; a pattern lists the least members and items.
#[allow(clippy::float_cmp, reason = "both come from the same parser")]
fn matches(json: &Json, value: &Value<'_>, extent: Extent) -> bool {
    match (json, value) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(a), Value::Bool(b)) => a == b,
        (Json::String(a), Value::String(b)) => a == b,
        (Json::Number(a), Value::Number(Number::Integer(b))) => a.as_i64() == Some(*b),
        (Json::Number(a), Value::Number(Number::Decimal(b))) => a.as_f64() == Some(*b),
        (Json::Array(a), Value::Array(b)) if extent == Extent::Equal => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| matches(a, b, extent))
        }
        (Json::Array(a), Value::Array(b)) => a.iter().all(|a| b.iter().any(|b| matches(a, b, extent))),
        (Json::Object(a), Value::Object(b)) => {
            let all = a.iter().all(|(name, a)| b.get(name).is_some_and(|b| matches(a, b, extent)));
            all && (extent == Extent::AtLeast || a.len() == b.len())
        }
        _ => false,
    }
}
