//! One ElementDefinition into a [`Rule`] (FHIR R4 ElementDefinition).
//!
//! Each key is enforced, or changes nothing about what is valid, or is refused. Not here: where in the tree the rule
//! stands (see `definition`).

use serde_json::{Map, Value as Json};

use super::definition::{Binding, Invariant, RequiredValue, Rule, TypeRule};
use super::fhirpath::Expression;
use super::shape::Shapes;
use super::slicing::Slicing;
use super::terminology::without_version;
use super::{LoadError, SourceFile};
use crate::fhir::issue::Severity;

/// Keys that are enforced; `fixed[x]` and `pattern[x]` are recognised apart.
const ENFORCED_KEYS: &[&str] = &["binding", "constraint", "id", "max", "min", "path", "sliceName", "slicing", "type"];

/// Keys that change nothing about what is valid.
const INFORMING_KEYS: &[&str] = &[
    "alias",
    "base",
    "code",
    "comment",
    "condition",
    "definition",
    "example",
    "isSummary",
    "label",
    "mapping",
    "mustSupport",
    "requirements",
    "short",
];

/// Reads `element`, for which base R4 allows the types `context`.
pub(super) fn read(
    file: &SourceFile<'_>,
    shapes: &Shapes,
    id: &str,
    element: &Json,
    context: &[String],
) -> Result<Rule, LoadError> {
    let reader = Reader { file, shapes, id, element };
    reader.check_keys()?;
    let types = reader.types(context)?;
    let narrowed: Vec<String> = types.iter().map(|rule| rule.code.clone()).collect();
    let context = if narrowed.is_empty() { context } else { &narrowed };
    Ok(Rule {
        id: id.to_owned(),
        min: reader.min()?,
        max: reader.max()?,
        required_value: reader.required_value()?,
        binding: reader.binding()?,
        invariants: reader.invariants(context)?,
        slicing: Slicing::read(file, id, element.get("slicing"))?,
        types,
        ..Rule::default()
    })
}

struct Reader<'r> {
    file: &'r SourceFile<'r>,
    shapes: &'r Shapes,
    id: &'r str,
    element: &'r Json,
}

impl Reader<'_> {
    fn refuse(&self, reason: impl Into<String>) -> LoadError {
        self.file.refuse(self.id, reason)
    }

    fn list(&self, name: &str) -> &[Json] {
        self.element.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn check_keys(&self) -> Result<(), LoadError> {
        let keys = self.element.as_object().into_iter().flat_map(Map::keys);
        for key in keys {
            let known = ENFORCED_KEYS.contains(&key.as_str()) || INFORMING_KEYS.contains(&key.as_str());
            if !known && required_value_kind(key).is_none() {
                return Err(self.refuse(format!("{key} is not supported and cannot be enforced")));
            }
        }
        Ok(())
    }

    fn min(&self) -> Result<Option<usize>, LoadError> {
        let Some(min) = self.element.get("min") else { return Ok(None) };
        let min = min.as_u64().and_then(|min| usize::try_from(min).ok());
        min.map(Some).ok_or_else(|| self.refuse("min is no number"))
    }

    fn max(&self) -> Result<Option<usize>, LoadError> {
        match self.element.get("max").map(Json::as_str) {
            None | Some(Some("*")) => Ok(None),
            Some(max) => {
                let max = max.and_then(|max| max.parse().ok());
                max.map(Some).ok_or_else(|| self.refuse("max is neither a number nor *"))
            }
        }
    }

    fn required_value(&self) -> Result<Option<RequiredValue>, LoadError> {
        let members = self.element.as_object().into_iter().flatten();
        let mut values = members.filter_map(|(key, value)| Some(required_value_kind(key)?(value.clone())));
        let value = values.next();
        if values.next().is_some() {
            return Err(self.refuse("more than one fixed[x] or pattern[x]"));
        }
        Ok(value)
    }

    /// Within `what`, a member that is not among `known` would go unenforced.
    fn check_members(&self, what: &str, json: &Json, known: &[&str]) -> Result<(), LoadError> {
        let mut keys = json.as_object().into_iter().flat_map(Map::keys);
        match keys.find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.refuse(format!("{what}.{key} is not supported and cannot be enforced"))),
            None => Ok(()),
        }
    }

    fn types(&self, context: &[String]) -> Result<Vec<TypeRule>, LoadError> {
        self.list("type").iter().map(|json| self.type_rule(json, context)).collect()
    }

    fn type_rule(&self, json: &Json, context: &[String]) -> Result<TypeRule, LoadError> {
        // A target profile says what a reference points to; the target is not at hand to be judged.
        self.check_members("type", json, &["code", "profile", "targetProfile"])?;
        let code = json.get("code").and_then(Json::as_str).ok_or_else(|| self.refuse("type.code is missing"))?;
        let is_resource_of_any = context.iter().any(|of| of == "Resource") && self.shapes.is_resource(code);
        if !is_resource_of_any && !context.iter().any(|of| of == code) {
            return Err(self.refuse(format!("type.code: base R4 does not allow {code} here")));
        }
        let profiles = json.get("profile").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let profiles = profiles.iter().filter_map(Json::as_str).map(|url| without_version(url).to_owned());
        Ok(TypeRule { code: code.to_owned(), profiles: profiles.collect() })
    }

    fn binding(&self) -> Result<Option<Binding>, LoadError> {
        let Some(binding) = self.element.get("binding") else { return Ok(None) };
        self.check_members("binding", binding, &["strength", "valueSet", "description"])?;
        let text = |name: &str| binding.get(name).and_then(Json::as_str);
        let severity = match text("strength") {
            Some("required") => Severity::Error,
            Some("extensible") => Severity::Warning,
            Some("preferred" | "example") => return Ok(None),
            _ => return Err(self.refuse("binding.strength is missing or unknown")),
        };
        let value_set = text("valueSet").ok_or_else(|| self.refuse("binding.valueSet is missing"))?;
        Ok(Some(Binding { value_set: without_version(value_set).to_owned(), severity }))
    }

    fn invariants(&self, context: &[String]) -> Result<Vec<Invariant>, LoadError> {
        self.list("constraint").iter().map(|json| self.invariant(json, context)).collect()
    }

    fn invariant(&self, json: &Json, context: &[String]) -> Result<Invariant, LoadError> {
        let known = ["key", "severity", "human", "expression", "requirements", "source", "xpath"];
        self.check_members("constraint", json, &known)?;
        let text = |name: &str| {
            let found = json.get(name).and_then(Json::as_str);
            found.ok_or_else(|| self.refuse(format!("constraint.{name} is missing")))
        };
        let key = text("key")?;
        let severity = match text("severity")? {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => return Err(self.refuse(format!("constraint {key}: severity is neither error nor warning"))),
        };
        let root = self.id.split('.').next().unwrap_or_default();
        let expression = Expression::compile(text("expression")?, self.shapes, root, context)
            .map_err(|error| self.refuse(format!("constraint {key}: {error}")))?;
        Ok(Invariant { key: key.to_owned(), severity, human: text("human")?.to_owned(), expression })
    }
}

fn required_value_kind(key: &str) -> Option<fn(Json) -> RequiredValue> {
    let typed =
        |stem: &str| key.strip_prefix(stem).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    if typed("fixed") {
        return Some(RequiredValue::Fixed);
    }
    typed("pattern").then_some(RequiredValue::Pattern)
}
