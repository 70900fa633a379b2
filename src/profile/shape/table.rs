//! Reads the element tables and links them into one graph.
//!
//! Names become positions, inherited elements are copied into each type, and every JSON member name is listed, so that
//! a walk needs one search per member. Not here: walking a document.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::profile::primitive::Primitive;

use super::{
    Cardinality, Choice, Element, ElementSet, ExtensionRule, Kind, Member, Role, Shapes, Type, TypeId, ValueSet,
};

/// Elements of one type; the set of those seen is one machine word pair.
const ELEMENTS_MAX: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File<'a> {
    #[serde(rename = "source")]
    _source: &'a str,
    #[serde(rename = "format")]
    _format: &'a str,
    #[serde(borrow)]
    open_types: Vec<&'a str>,
    #[serde(borrow)]
    types: BTreeMap<&'a str, TypeRow<'a>>,
    #[serde(borrow)]
    value_sets: BTreeMap<&'a str, Vec<&'a str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeRow<'a> {
    kind: &'a str,
    #[serde(default)]
    base: Option<&'a str>,
    #[serde(default, rename = "abstract")]
    is_abstract: bool,
    #[serde(default, borrow)]
    elements: BTreeMap<&'a str, &'a str>,
}

struct Linker<'f> {
    file: &'f File<'f>,
    names: Vec<&'f str>,
    ids: HashMap<&'f str, TypeId>,
    value_sets: HashMap<&'f str, u16>,
    open_types: Vec<TypeId>,
}

pub(super) fn read(text: &str) -> Result<Shapes, String> {
    let file: File<'_> = serde_json::from_str(text).map_err(|error| format!("not an element table: {error}"))?;
    let number = |at: usize| u16::try_from(at).map_err(|_| "more than 65535 types or value sets".to_owned());
    let names = file.types.keys().copied().collect();
    let mut linker =
        Linker { file: &file, names, ids: HashMap::new(), value_sets: HashMap::new(), open_types: Vec::new() };
    for (at, name) in file.types.keys().enumerate() {
        linker.ids.insert(name, TypeId(number(at)?));
    }
    for (at, name) in file.value_sets.keys().enumerate() {
        linker.value_sets.insert(name, number(at)?);
    }
    linker.open_types = file.open_types.iter().map(|name| linker.find("openTypes", name)).collect::<Result<_, _>>()?;
    let types = file.types.iter().map(|(name, row)| linker.link(name, row)).collect::<Result<Vec<_>, _>>()?;
    let element = linker.find("the table", "Element")?;
    let extension = extension_rule(&types, linker.find("the table", "Extension")?)?;
    let by_name = linker.ids.iter().map(|(name, id)| (Box::from(*name), *id)).collect();
    let value_sets = file.value_sets.iter().map(|(name, codes)| value_set(name, codes)).collect();
    Ok(Shapes { types, by_name, value_sets, element, extension })
}

fn value_set(name: &str, codes: &[&str]) -> ValueSet {
    let mut codes: Vec<Box<str>> = codes.iter().map(|code| Box::from(*code)).collect();
    codes.sort_unstable();
    ValueSet { name: Box::from(name), codes }
}

fn extension_rule(types: &[Type], type_id: TypeId) -> Result<ExtensionRule, String> {
    let elements = &types[usize::from(type_id.0)].elements;
    let bit = |name: &str| {
        let at = elements.iter().position(|element| element.name() == name);
        at.map(|at| 1 << at).ok_or_else(|| format!("Extension has no element {name}"))
    };
    Ok(ExtensionRule { type_id, value: bit("value")?, nested: bit("extension")? })
}

impl<'f> Linker<'f> {
    fn find(&self, place: &str, name: &str) -> Result<TypeId, String> {
        self.ids.get(name).copied().ok_or_else(|| format!("{place}: the type {name} is not in the table"))
    }

    fn link(&self, name: &str, row: &TypeRow<'f>) -> Result<Type, String> {
        let kind = kind(name, row)?;
        let mut elements = Vec::new();
        for ancestor in self.lineage(name, row)? {
            for (element, text) in &ancestor.elements {
                elements.push(self.element(&format!("{name}.{element}"), element, text)?);
            }
        }
        if elements.len() > ELEMENTS_MAX {
            return Err(format!("{name}: more than {ELEMENTS_MAX} elements"));
        }
        let members = self.members(name, &elements)?;
        let required = bits(&elements, |element| element.min > 0);
        let id = bits(&elements, |element| element.name() == "id" && kind == Kind::Complex);
        Ok(Type { name: Box::from(name), kind, elements, members, required, id })
    }

    /// `row` and the types that it inherits from, the furthest first.
    fn lineage<'r>(&self, name: &str, row: &'r TypeRow<'f>) -> Result<Vec<&'r TypeRow<'f>>, String>
    where
        'f: 'r,
    {
        let mut rows = vec![row];
        let mut base = row.base;
        while let Some(base_name) = base {
            let next = self.file.types.get(base_name);
            let next = next.ok_or_else(|| format!("{name}: the base {base_name} is not in the table"))?;
            if rows.len() > 8 {
                return Err(format!("{name}: its bases run in a circle"));
            }
            rows.push(next);
            base = next.base;
        }
        rows.reverse();
        Ok(rows)
    }

    /// One cell: cardinality, types, then `modifier`, `required:value-set` and `summary`.
    fn element(&self, path: &str, name: &str, text: &str) -> Result<Element, String> {
        let mut words = text.split(' ');
        let (min, cardinality) = match words.next() {
            Some("0..1") => (0, Cardinality::One),
            Some("1..1") => (1, Cardinality::One),
            Some("0..*") => (0, Cardinality::Many),
            Some("1..*") => (1, Cardinality::Many),
            _ => return Err(format!("{path}: the cardinality is not 0..1, 1..1, 0..* or 1..*")),
        };
        let types = self.types(path, words.next().unwrap_or_default())?;
        let (short, choice) = name.strip_suffix("[x]").map_or((name, Choice::None), |name| (name, Choice::ByName));
        let name = Box::from(short);
        let role = role(short);
        let mut element = Element {
            name,
            choice,
            min,
            cardinality,
            is_modifier: false,
            is_summary: false,
            role,
            types,
            value_set: None,
        };
        for word in words {
            match word.strip_prefix("required:") {
                Some(set) => {
                    let known = self.value_sets.get(set).copied();
                    element.value_set = Some(known.ok_or_else(|| format!("{path}: no value set {set} in the table"))?);
                }
                None if word == "modifier" => element.is_modifier = true,
                None if word == "summary" => element.is_summary = true,
                None => return Err(format!("{path}: {word} is not known")),
            }
        }
        Ok(element)
    }

    fn types(&self, path: &str, text: &str) -> Result<Vec<TypeId>, String> {
        if text == "*" {
            return Ok(self.open_types.clone());
        }
        text.strip_prefix('#').unwrap_or(text).split('|').map(|name| self.find(path, name)).collect()
    }

    fn members(&self, name: &str, elements: &[Element]) -> Result<Vec<Member>, String> {
        let mut members = Vec::new();
        for (element, at) in elements.iter().zip(0_u16..) {
            match (element.choice, element.types.as_slice()) {
                (Choice::ByName, types) => members.extend(types.iter().map(|id| Member {
                    name: format!("{}{}", element.name, capitalised(self.type_name(*id))).into(),
                    element: at,
                    type_id: *id,
                })),
                (Choice::None, [id]) => {
                    members.push(Member { name: element.name.clone(), element: at, type_id: *id });
                }
                (Choice::None, _) => return Err(format!("{name}.{}: several types, but no [x]", element.name)),
            }
        }
        members.sort_unstable_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(format!("{name}.{}: the name stands for two elements", pair[0].name));
        }
        Ok(members)
    }

    fn type_name(&self, id: TypeId) -> &str {
        self.names[usize::from(id.0)]
    }
}

fn kind(name: &str, row: &TypeRow<'_>) -> Result<Kind, String> {
    match (row.kind, row.is_abstract) {
        ("primitive", _) => {
            Primitive::find(name).map(Kind::Primitive).ok_or_else(|| format!("{name}: no such primitive type"))
        }
        ("complex", _) => Ok(Kind::Complex),
        ("resource", false) => Ok(Kind::Resource),
        ("resource", true) => Ok(Kind::AnyResource),
        _ => Err(format!("{name}: the kind is not primitive, complex or resource")),
    }
}

/// The names are reserved: no R4 type uses them for anything else.
fn role(name: &str) -> Role {
    match name {
        "contained" => Role::Contained,
        "implicitRules" => Role::ImplicitRules,
        "modifierExtension" => Role::ModifierExtension,
        _ => Role::Plain,
    }
}

fn bits(elements: &[Element], holds: impl Fn(&Element) -> bool) -> ElementSet {
    let chosen = elements.iter().enumerate().filter(|(_, element)| holds(element));
    chosen.fold(0, |set, (at, _)| set | 1 << at)
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}
