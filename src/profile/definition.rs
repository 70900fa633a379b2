//! StructureDefinitions into rules that can be enforced (FHIR R4 StructureDefinition and ElementDefinition).
//!
//! What: each differential becomes a tree of [`Rule`]s, one per element and slice. Every path must exist in base R4,
//! every value set and profile it names must be loaded, and every key of an element must be one that is enforced or one
//! that only informs; anything else stops the start, because a rule that is read but not enforced would be a promise
//! broken in silence. Snapshots are ignored. Not here: applying the rules (see `validate`), one element (`element`),
//! discriminators (`slicing`).

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::element;
use super::fhirpath::Expression;
use super::shape::Shapes;
use super::slicing::{self, Slicing};
use super::terminology::{Terminology, without_version};
use super::{LoadError, SourceFile};
use crate::fhir::issue::Severity;

/// Profiles by canonical URL.
pub type Definitions = HashMap<String, Definition>;

/// One profile.
#[derive(Debug)]
pub struct Definition {
    /// The resource or datatype that it constrains.
    pub constrained_type: String,
    /// The profile that it derives from, if not straight from base R4: its rules hold too.
    pub base: Option<String>,
    pub root: Rule,
}

/// What must hold for one element or one slice of it.
#[derive(Debug, Default)]
pub struct Rule {
    /// `ElementDefinition.id`.
    pub id: String,
    /// Whether the differential has this element itself, not only elements below it.
    pub is_declared: bool,
    pub min: Option<usize>,
    /// Missing: as many as base R4 allows.
    pub max: Option<usize>,
    pub required_value: Option<RequiredValue>,
    pub types: Vec<TypeRule>,
    pub binding: Option<Binding>,
    pub invariants: Vec<Invariant>,
    pub children: Vec<Child>,
    pub slicing: Option<Slicing>,
    pub slices: Vec<(String, Self)>,
}

/// A rule for a child element.
#[derive(Debug)]
pub struct Child {
    /// As in the definition: `value[x]` for a choice.
    pub name: String,
    /// The JSON members that hold it, with the type each says.
    pub members: Vec<JsonMember>,
    pub rule: Rule,
}

#[derive(Debug, Clone)]
pub struct JsonMember {
    pub name: String,
    /// `_name`: the extensions of a primitive.
    pub sibling: String,
    pub type_name: String,
}

#[derive(Debug, Clone)]
pub enum RequiredValue {
    /// `fixed[x]`: equal, no more and no less.
    Fixed(Json),
    /// `pattern[x]`: at least this.
    Pattern(Json),
}

#[derive(Debug, Clone)]
pub struct TypeRule {
    pub code: String,
    /// Canonical URLs: one of them must hold.
    pub profiles: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Binding {
    pub value_set: String,
    /// How bad an unknown code is.
    pub severity: Severity,
}

#[derive(Debug)]
pub struct Invariant {
    pub key: String,
    pub severity: Severity,
    pub human: String,
    pub expression: Expression,
}

/// Keys of a StructureDefinition that only inform, or that [`check_head`] looks at.
const HEAD_KEYS: &[&str] = &[
    "abstract",
    "baseDefinition",
    "contact",
    "context",
    "copyright",
    "date",
    "derivation",
    "description",
    "differential",
    "experimental",
    "extension",
    "fhirVersion",
    "id",
    "identifier",
    "jurisdiction",
    "keyword",
    "kind",
    "language",
    "mapping",
    "meta",
    "name",
    "publisher",
    "purpose",
    "resourceType",
    "snapshot",
    "status",
    "text",
    "title",
    "type",
    "url",
    "useContext",
    "version",
];

/// Reads every StructureDefinition of `files`.
///
/// # Errors
/// The first thing that cannot be enforced.
pub(super) fn load(files: &[SourceFile<'_>], shapes: &Shapes, terms: &Terminology) -> Result<Definitions, LoadError> {
    let sources: Vec<_> = files.iter().filter(|file| file.is("StructureDefinition")).collect();
    let mut definitions = Definitions::new();
    for file in &sources {
        let definition = read(file, shapes)?;
        if definitions.insert(file.required("url")?.to_owned(), definition).is_some() {
            return Err(file.refuse("url", "another file has the same url"));
        }
    }
    for file in &sources {
        let definition = &definitions[file.required("url")?];
        check_head(file, definition, &definitions)?;
        check_references(file, &definition.root, &definitions, terms)?;
    }
    Ok(definitions)
}

fn read(file: &SourceFile<'_>, shapes: &Shapes) -> Result<Definition, LoadError> {
    let keys = file.json.as_object().into_iter().flat_map(Map::keys);
    for key in keys {
        if !HEAD_KEYS.contains(&key.as_str()) {
            return Err(file.refuse(key, "not supported"));
        }
    }
    let constrained_type = file.required("type")?.to_owned();
    let base = without_version(file.required("baseDefinition")?);
    let base_of_type = format!("http://hl7.org/fhir/StructureDefinition/{constrained_type}");
    let elements = file.json.pointer("/differential/element").and_then(Json::as_array);
    let elements = elements.ok_or_else(|| file.refuse("differential", "missing: there is nothing to enforce"))?;
    let mut builder = Builder { file, shapes, root: Rule { id: constrained_type.clone(), ..Rule::default() } };
    elements.iter().try_for_each(|element| builder.add(element))?;
    let mut root = builder.root;
    slicing::link(file, &mut root)?;
    Ok(Definition { constrained_type, base: (base != base_of_type).then(|| base.to_owned()), root })
}

fn check_head(file: &SourceFile<'_>, definition: &Definition, all: &Definitions) -> Result<(), LoadError> {
    let expected = [("derivation", "constraint"), ("fhirVersion", "4.0.1")];
    for (key, value) in expected {
        if file.required(key)? != value {
            return Err(file.refuse(key, format!("must be {value}")));
        }
    }
    if file.json.get("abstract").and_then(Json::as_bool) == Some(true) {
        return Err(file.refuse("abstract", "an abstract profile cannot be enforced"));
    }
    let mut base = definition.base.as_ref();
    for _ in 0..=all.len() {
        let Some(url) = base else { return Ok(()) };
        let parent = all.get(url).filter(|parent| parent.constrained_type == definition.constrained_type);
        let parent = parent.ok_or_else(|| {
            file.refuse(
                "baseDefinition",
                format!("{url} is neither base R4 of this type nor a profile among the files"),
            )
        })?;
        base = parent.base.as_ref();
    }
    Err(file.refuse("baseDefinition", "profiles derive from each other in a circle"))
}

/// Every value set and profile that a rule needs must be there.
fn check_references(
    file: &SourceFile<'_>,
    rule: &Rule,
    all: &Definitions,
    terms: &Terminology,
) -> Result<(), LoadError> {
    let unknown = rule.types.iter().flat_map(|rule| &rule.profiles).find(|profile| !all.contains_key(*profile));
    if let Some(profile) = unknown {
        return Err(file.refuse(&rule.id, format!("type.profile: the profile {profile} is not among the files")));
    }
    if let Some(binding) = rule.binding.as_ref().filter(|binding| terms.find_value_set(&binding.value_set).is_none()) {
        return Err(
            file.refuse(&rule.id, format!("binding: the value set {} is not among the files", binding.value_set))
        );
    }
    let children = rule.children.iter().map(|child| &child.rule);
    let slices = rule.slices.iter().map(|(_, slice)| slice);
    children.chain(slices).try_for_each(|rule| check_references(file, rule, all, terms))
}

struct Builder<'b> {
    file: &'b SourceFile<'b>,
    shapes: &'b Shapes,
    root: Rule,
}

impl Builder<'_> {
    fn add(&mut self, element: &Json) -> Result<(), LoadError> {
        let text = |name: &str| element.get(name).and_then(Json::as_str);
        let path = text("path").ok_or_else(|| self.file.refuse("differential.element.path", "missing"))?;
        let id = text("id").ok_or_else(|| self.file.refuse(path, "the element has no id"))?;
        self.check_place(id, path, text("sliceName"))?;
        let context = self.context_types(id, path)?;
        let parts = element::read(self.file, self.shapes, id, element, &context)?;
        let file = self.file;
        let rule = self.place(id)?;
        if rule.is_declared {
            return Err(file.refuse(id, "the element stands in the differential twice"));
        }
        let (children, slices) = (std::mem::take(&mut rule.children), std::mem::take(&mut rule.slices));
        *rule = Rule { children, slices, is_declared: true, ..parts };
        Ok(())
    }

    /// The id is the path with slice names put in; the last of them is the slice that the element describes.
    fn check_place(&self, id: &str, path: &str, slice_name: Option<&str>) -> Result<(), LoadError> {
        let without_slices: Vec<&str> = id.split('.').map(|step| step.split(':').next().unwrap_or(step)).collect();
        if without_slices.join(".") != path {
            return Err(self.file.refuse(id, "the id is not the path with slice names put in"));
        }
        let last = id.rsplit('.').next().and_then(|step| step.split_once(':')).map(|(_, name)| name);
        if last != slice_name {
            return Err(self.file.refuse(id, "sliceName is not the slice that the id names"));
        }
        Ok(())
    }

    /// The types that base R4 allows at `path`; the place where an unknown element is found.
    fn context_types(&self, id: &str, path: &str) -> Result<Vec<String>, LoadError> {
        if path.split('.').next() != Some(self.root.id.as_str()) {
            return Err(self.file.refuse(id, format!("the path does not begin with the type {}", self.root.id)));
        }
        let info = self.shapes.resolve(path).ok_or_else(|| self.file.refuse(id, "base R4 has no such element"))?;
        Ok(info.types.into_iter().map(str::to_owned).collect())
    }

    /// The rule of `id`, made if it is not there; a parent that the differential does not mention has no rules.
    fn place(&mut self, id: &str) -> Result<&mut Rule, LoadError> {
        let mut steps = id.split('.');
        let mut path = steps.next().unwrap_or_default().to_owned();
        let mut rule = &mut self.root;
        for step in steps {
            let (name, slice) = step.split_once(':').map_or((step, None), |(name, slice)| (name, Some(slice)));
            let members = json_members(self.shapes, &path, name);
            path = format!("{path}.{name}");
            rule = child(rule, &path, name, members);
            if let Some(slice) = slice {
                if rule.slicing.is_none() {
                    return Err(self.file.refuse(id, "a slice of an element that is not sliced"));
                }
                rule = slice_of(rule, slice);
            }
        }
        Ok(rule)
    }
}

fn child<'r>(rule: &'r mut Rule, path: &str, name: &str, members: Vec<JsonMember>) -> &'r mut Rule {
    let at = rule.children.iter().position(|child| child.name == name).unwrap_or_else(|| {
        let rule_of_child = Rule { id: path.to_owned(), ..Rule::default() };
        rule.children.push(Child { name: name.to_owned(), members, rule: rule_of_child });
        rule.children.len() - 1
    });
    &mut rule.children[at].rule
}

fn slice_of<'r>(rule: &'r mut Rule, name: &str) -> &'r mut Rule {
    let at = rule.slices.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        let id = format!("{}:{name}", rule.id);
        rule.slices.push((name.to_owned(), Rule { id, ..Rule::default() }));
        rule.slices.len() - 1
    });
    &mut rule.slices[at].1
}

/// The JSON members that hold the element `name`: of a choice, one for each type.
fn json_members(shapes: &Shapes, parent: &str, name: &str) -> Vec<JsonMember> {
    let info = shapes.resolve(&format!("{parent}.{name}"));
    let types = info.map(|info| info.types).unwrap_or_default();
    let member = |name: String, type_name: &str| JsonMember {
        sibling: format!("_{name}"),
        name,
        type_name: type_name.to_owned(),
    };
    match name.strip_suffix("[x]") {
        Some(stem) => types.iter().map(|type_name| member(choice_member(stem, type_name), type_name)).collect(),
        None => vec![member(name.to_owned(), types.first().copied().unwrap_or_default())],
    }
}

/// `value` and `dateTime` make `valueDateTime`.
pub fn choice_member(stem: &str, type_name: &str) -> String {
    let mut letters = type_name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase()).into_iter();
    stem.chars().chain(first).chain(letters).collect()
}
