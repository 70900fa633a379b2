//! JSON schemas of FHIR R4 types, from the element tables (`profiles/r4-elements.json`).
//!
//! A schema is written when something refers to it. What may be of any type (`Task.input.value[x]`), further types within
//! themselves and resources inside of others are given as objects: what they hold is said by their own types. What is
//! taken fits its schema, but for a required element that has extensions in the place of its value. Not here: rules that
//! need more than one element (profiles and invariants; `$validate` tells them).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::profile::shape::{ElementInfo, Kind, Shapes, Type};

/// A choice of more types than this is one of any type.
const CHOICE_MAX: usize = 20;

/// Elements whose meaning this server cannot know; a document with one of them is refused.
const NEVER_TAKEN: [&str; 2] = ["modifierExtension", "implicitRules"];

/// Any resource, inside of another.
const ANY: &str = "AnyResource";

/// The schemas that were referred to.
pub struct Schemas<'s> {
    shapes: &'s Shapes,
    written: BTreeMap<String, Json>,
}

impl<'s> Schemas<'s> {
    #[must_use]
    pub const fn new(shapes: &'s Shapes) -> Self {
        Self { shapes, written: BTreeMap::new() }
    }

    /// A reference to the schema of a type, of an operation's input or of a JSON Patch.
    pub fn refer(&mut self, name: &str) -> Json {
        match self.written.get(name) {
            // Types refer to themselves (a Reference has an Identifier, which has a Reference): there the description
            // ends, for those who make up or judge documents by it.
            Some(Json::Null) => return json!({"type": "object", "description": format!("A further {name}.")}),
            Some(_) => {}
            None => {
                self.written.insert(name.to_owned(), Json::Null);
                let schema = self.schema(name);
                self.written.insert(name.to_owned(), schema);
            }
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// All of them by name.
    #[must_use]
    pub fn write(self) -> Map<String, Json> {
        self.written.into_iter().collect()
    }

    fn schema(&mut self, name: &str) -> Json {
        match name {
            ANY => any_resource(),
            "Extension" => self.extension(),
            "Element" => self.extended(),
            "JsonPatch" => json_patch(),
            "MatchParameters" => {
                let named = [("IDIPatient", "Patient"), ("patient", "Patient"), ("resource", "Patient")];
                let mut schema = self.operation_input(&named);
                schema["description"] = RULE_BOOK.into();
                schema
            }
            "ExplainParameters" => {
                self.operation_input(&[("patient", "Patient"), ("IDIPatient", "Patient"), ("record", "")])
            }
            "ValidateParameters" => self.operation_input(&[("resource", ANY), ("mode", ""), ("profile", "")]),
            _ => match self.shapes.find_type(name) {
                Some(found) => self.of_type(found),
                None => any_resource(),
            },
        }
    }

    fn of_type(&mut self, found: &'s Type) -> Json {
        match found.kind() {
            Kind::Primitive(_) => primitive(found.name()),
            Kind::Complex | Kind::Resource => self.object(found),
            Kind::AnyResource => any_resource(),
        }
    }

    fn object(&mut self, found: &'s Type) -> Json {
        let (mut members, mut required) = (Map::new(), Vec::new());
        if found.kind() == Kind::Resource {
            members.insert("resourceType".to_owned(), json!({"const": found.name()}));
            required.push("resourceType".to_owned());
        }
        let elements = self.shapes.elements(found).filter(|(name, _)| !NEVER_TAKEN.contains(name));
        for (name, info) in elements {
            let is_choice = info.types.len() > 1;
            required.extend((info.min > 0 && !is_choice).then(|| name.to_owned()));
            for type_name in &info.types {
                let member = if is_choice { format!("{name}{}", capitalised(type_name)) } else { name.to_owned() };
                if self.is_primitive(type_name) {
                    let beside = self.refer("Element");
                    members.insert(format!("_{member}"), repeated(&info, beside));
                }
                members.insert(member, self.element(&info, type_name));
            }
        }
        let mut schema = json!({"type": "object", "properties": members, "additionalProperties": false});
        if required.is_empty() {
            schema["minProperties"] = 1.into();
        } else {
            schema["required"] = required.into();
        }
        schema
    }

    /// What stands beside a primitive element: its id and extensions (FHIR R4 JSON).
    fn extended(&mut self) -> Json {
        let extensions = json!({"type": "array", "minItems": 1, "items": self.refer("Extension")});
        let members = json!({"id": self.refer("string"), "extension": extensions});
        json!({"type": "object", "properties": members, "minProperties": 1, "additionalProperties": false})
    }

    /// With one of the values that most have, or with anything else.
    fn extension(&mut self) -> Json {
        let mut kinds = Vec::new();
        for (member, type_name) in [("valueString", "string"), ("valueCode", "code"), ("valueBoolean", "boolean")] {
            kinds.push(json!({
                "type": "object", "required": ["url", member], "additionalProperties": false,
                "properties": {"url": self.refer("uri"), member: self.refer(type_name)},
            }));
        }
        kinds.push(json!({"type": "object", "required": ["url"], "properties": {"url": self.refer("uri")}}));
        json!({"anyOf": kinds})
    }

    fn is_primitive(&self, type_name: &str) -> bool {
        self.shapes.find_type(type_name).is_some_and(|found| matches!(found.kind(), Kind::Primitive(_)))
    }

    fn element(&mut self, info: &ElementInfo<'_>, type_name: &str) -> Json {
        let codes = info.value_set.and_then(|set| self.shapes.find_codes(set));
        let is_any = info.types.len() > CHOICE_MAX && !self.is_primitive(type_name);
        let one = match codes {
            _ if is_any => json!({"type": "object"}),
            Some(codes) => json!({"type": "string", "enum": codes.collect::<Vec<_>>()}),
            None if matches!(type_name, "Resource" | "DomainResource") => self.refer(ANY),
            None => self.refer(type_name),
        };
        repeated(info, one)
    }

    /// Parameters that hold resources under the given names, and anything else with a value.
    fn operation_input(&mut self, names: &[(&str, &str)]) -> Json {
        let mut kinds = Vec::new();
        for (name, resource) in names {
            let mut members = json!({"name": {"const": name}});
            let mut required = vec!["name"];
            if !resource.is_empty() {
                members["resource"] = self.refer(resource);
                required.push("resource");
            }
            kinds.push(json!({
                "type": "object", "required": required, "properties": members,
            }));
        }
        kinds.push(json!({
            "type": "object", "required": ["name"], "properties": {"name": self.refer("string")},
        }));
        json!({
            "type": "object",
            "required": ["resourceType", "parameter"],
            "properties": {
                "resourceType": {"const": "Parameters"},
                "parameter": {"type": "array", "minItems": 1, "items": {"anyOf": kinds}},
            },
        })
    }
}

/// What no operation definition of the guides says.
const RULE_BOOK: &str = "The parameter ruleBook (valueCode idi, cms or both) is this server's own: it chooses the rules that decide, and with both notes beside each grade what the CMS combinations say.";

fn repeated(info: &ElementInfo<'_>, one: Json) -> Json {
    if info.is_list { json!({"type": "array", "minItems": 1, "items": one}) } else { one }
}

/// A small one that is spelled out, or any.
fn any_resource() -> Json {
    let small = json!({
        "type": "object", "required": ["resourceType", "name"], "additionalProperties": false,
        "properties": {"resourceType": {"const": "Organization"}, "name": {"type": "string", "pattern": "^[A-Za-z]+$"}},
    });
    let any =
        json!({"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}});
    json!({"anyOf": [small, any]})
}

/// RFC 6902.
fn json_patch() -> Json {
    let with_value = json!({
        "type": "object", "required": ["op", "path", "value"],
        "properties": {"op": {"enum": ["add", "replace", "test"]}, "path": {"type": "string"}, "value": {}},
    });
    let with_from = json!({
        "type": "object", "required": ["op", "path", "from"],
        "properties": {"op": {"enum": ["move", "copy"]}, "path": {"type": "string"}, "from": {"type": "string"}},
    });
    let remove = json!({
        "type": "object", "required": ["op", "path"],
        "properties": {"op": {"const": "remove"}, "path": {"type": "string"}},
    });
    json!({"type": "array", "minItems": 1, "items": {"anyOf": [with_value, with_from, remove]}})
}

/// FHIR R4 datatypes, "Primitive Types", by the expressions given there, somewhat wider where those are long.
pub fn primitive(name: &str) -> Json {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let whole = |least: i64| json!({"type": "integer", "minimum": least, "maximum": i32::MAX});
    const YEAR: &str = "[0-9]{4}";
    const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?";
    const ZONE: &str = "(Z|(\\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))";
    let day = "(0[1-9]|[12][0-9]|3[01])";
    let month = "(0[1-9]|1[0-2])";
    match name {
        "boolean" => json!({"type": "boolean"}),
        "decimal" => json!({"type": "number"}),
        "integer" => whole(i64::from(i32::MIN)),
        "positiveInt" => whole(1),
        "unsignedInt" => whole(0),
        "base64Binary" => text("^[A-Za-z0-9+/=\\s]+$"),
        "code" => text("^[^\\s]+(\\s[^\\s]+)*$"),
        "date" => text(&format!("^{YEAR}(-{month}(-{day})?)?$")),
        "dateTime" => text(&format!("^{YEAR}(-{month}(-{day}(T{TIME}{ZONE})?)?)?$")),
        "instant" => text(&format!("^{YEAR}-{month}-{day}T{TIME}{ZONE}$")),
        "time" => text(&format!("^{TIME}$")),
        "id" => text("^[A-Za-z0-9\\-\\.]{1,64}$"),
        "oid" => text("^urn:oid:[0-2](\\.(0|[1-9][0-9]*))+$"),
        "uuid" => text("^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
        "canonical" | "uri" | "url" => text("^\\S+$"),
        "xhtml" => text("^\\s*<div[\\s\\S]*>\\s*$"),
        _ => text("\\S"),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}
