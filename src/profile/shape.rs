//! The shape of base R4: which elements a type has, how often, of which types; and whether a document keeps to it.
//!
//! What: [`Shapes`] is the graph of all R4 types, read once from `profiles/r4-elements.json`; [`Shapes::validate`] walks
//! a document against it and [`Shapes::resolve`] answers what an element path means. Why: a received document is kept
//! as received, so nothing else notices an unknown or misspelt element. Not here: profiles, invariants, terminology
//! beyond the required bindings of code elements (see `definition` and `validate`).

pub mod subset;
mod table;
pub mod visit;
mod walk;

use std::collections::HashMap;

use crate::fhir::issue::Issue;
use crate::fhir::json::Value;

use super::primitive::Primitive;

/// More problems than this are counted, not listed.
pub const ISSUES_MAX: usize = 100;

/// All types of R4 and the value sets of their required bindings.
#[derive(Debug)]
pub struct Shapes {
    types: Vec<Type>,
    by_name: HashMap<Box<str>, TypeId>,
    value_sets: Vec<ValueSet>,
    /// The type `Element`: what stands in `_birthDate`.
    element: TypeId,
    extension: ExtensionRule,
}

/// A position in [`Shapes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(u16);

/// A type of R4. An element with children of its own has a type named by its path (`Patient.contact`).
#[derive(Debug)]
pub struct Type {
    name: Box<str>,
    kind: Kind,
    elements: Vec<Element>,
    /// The JSON member names of the elements, by length and then by bytes.
    members: Vec<Member>,
    required: ElementSet,
    /// The element `id`; it alone is no content (FHIR R4 `ele-1`).
    id: ElementSet,
}

/// What a type is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Primitive(Primitive),
    Complex,
    Resource,
    /// `Resource` and `DomainResource`: a resource of any type.
    AnyResource,
}

/// An element of a type.
#[derive(Debug)]
pub struct Element {
    name: Box<str>,
    choice: Choice,
    min: u32,
    cardinality: Cardinality,
    is_modifier: bool,
    /// Part of `_summary=true` (FHIR R4 ElementDefinition.isSummary).
    is_summary: bool,
    role: Role,
    types: Vec<TypeId>,
    value_set: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// `deceased[x]`: the type is part of the JSON name.
    ByName,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cardinality {
    One,
    Many,
}

/// Elements that have a rule beyond their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    Contained,
    ImplicitRules,
    ModifierExtension,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    element: u16,
    type_id: TypeId,
}

/// A set of the elements of one type, a bit for each.
type ElementSet = u128;

/// The codes of a required binding, sorted.
#[derive(Debug)]
struct ValueSet {
    name: Box<str>,
    codes: Vec<Box<str>>,
}

/// FHIR R4 `ext-1`: an extension has a value or extensions, not both.
#[derive(Debug, Clone, Copy)]
struct ExtensionRule {
    type_id: TypeId,
    value: ElementSet,
    nested: ElementSet,
}

/// What an element path of a profile means in base R4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementInfo<'s> {
    /// Names of types; more than one for a choice.
    pub types: Vec<&'s str>,
    pub is_list: bool,
    pub min: u32,
    pub is_modifier: bool,
    /// The value set of a required binding of codes, where the tables hold its codes.
    pub value_set: Option<&'s str>,
}

impl Shapes {
    /// Reads the tables (`profiles/r4-elements.json`).
    ///
    /// # Errors
    /// What in the file cannot be used, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        table::read(text)
    }

    /// Every way in which `resource` departs from base R4; empty when it does not.
    ///
    /// `understood_modifier_extensions` are URLs; any other modifier extension is an error, as FHIR R4 Extensibility
    /// demands of a reader that does not know it. At most [`ISSUES_MAX`] problems are listed, then one issue says how
    /// many more there are. Codes of the issues:
    ///
    /// | code | what |
    /// |---|---|
    /// | `structure` | unknown type or element, wrong JSON type, array or single, two values of a choice, nothing inside |
    /// | `value` | format of a primitive |
    /// | `required` | an element that must be there is not (the location is its parent) |
    /// | `code-invalid` | not in the value set of a required binding |
    /// | `extension` | value and extensions, or neither; modifier extension not understood |
    /// | `not-supported` | `implicitRules`: rules that this server does not know may change the meaning |
    #[must_use]
    pub fn validate(&self, resource: &Value<'_>, understood_modifier_extensions: &[&str]) -> Vec<Issue> {
        walk::validate(self, resource, None, understood_modifier_extensions)
    }

    /// As [`Shapes::validate`], and the resource must be of type `expected`.
    #[must_use]
    pub fn validate_as(
        &self,
        expected: &str,
        resource: &Value<'_>,
        understood_modifier_extensions: &[&str],
    ) -> Vec<Issue> {
        walk::validate(self, resource, Some(expected), understood_modifier_extensions)
    }

    /// The type of that name: `Patient`, `HumanName`, `string`, `Patient.contact`.
    #[must_use]
    pub fn find_type(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name).map(|id| self.get(*id))
    }

    /// Whether `name` is a resource type that can be sent.
    #[must_use]
    pub fn is_resource(&self, name: &str) -> bool {
        self.find_type(name).is_some_and(|found| found.kind == Kind::Resource)
    }

    /// What `path` means: `Patient`, `Patient.identifier.type`, `Patient.contact.name.family`, `Patient.deceased[x]`,
    /// `Patient.deceased` or `Patient.deceasedBoolean`. Slice names (`:slice`) are not part of a path.
    #[must_use]
    pub fn resolve(&self, path: &str) -> Option<ElementInfo<'_>> {
        let mut steps = path.split('.');
        let root = *self.by_name.get(steps.next()?)?;
        let mut here =
            ElementInfo { types: vec![self.name(root)], is_list: true, min: 0, is_modifier: false, value_set: None };
        let mut types = vec![root];
        for step in steps {
            let (element, step_types) = types.iter().find_map(|id| self.get(*id).find_step(step))?;
            here = self.describe(element, &step_types);
            types = step_types;
        }
        Some(here)
    }

    /// The codes of a required value set, by the last part of its URL (`administrative-gender`).
    #[must_use]
    pub fn find_codes(&self, value_set: &str) -> Option<impl ExactSizeIterator<Item = &str>> {
        let found = self.value_sets.iter().find(|known| &*known.name == value_set)?;
        Some(found.codes.iter().map(AsRef::as_ref))
    }

    /// The elements of a type with what is known of each, inherited ones first.
    #[must_use]
    pub fn elements<'s>(&'s self, of: &'s Type) -> impl ExactSizeIterator<Item = (&'s str, ElementInfo<'s>)> {
        of.elements.iter().map(|element| (element.name(), self.describe(element, &element.types)))
    }

    fn describe(&self, element: &Element, types: &[TypeId]) -> ElementInfo<'_> {
        ElementInfo {
            types: types.iter().map(|id| self.name(*id)).collect(),
            is_list: element.is_list(),
            min: element.min,
            is_modifier: element.is_modifier,
            value_set: element.value_set.map(|set| &*self.value_sets[usize::from(set)].name),
        }
    }

    fn get(&self, id: TypeId) -> &Type {
        &self.types[usize::from(id.0)]
    }

    fn name(&self, id: TypeId) -> &str {
        &self.get(id).name
    }
}

impl Type {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    fn find_member(&self, name: &str) -> Option<&Member> {
        let order = |member: &Member| (member.name.len(), member.name.as_bytes()).cmp(&(name.len(), name.as_bytes()));
        self.members.binary_search_by(order).ok().map(|at| &self.members[at])
    }

    fn element(&self, member: &Member) -> &Element {
        &self.elements[usize::from(member.element)]
    }

    /// The element that a step of a path names, and the types that it may have there.
    fn find_step(&self, step: &str) -> Option<(&Element, Vec<TypeId>)> {
        if let Some(member) = self.find_member(step) {
            return Some((self.element(member), vec![member.type_id]));
        }
        let name = step.strip_suffix("[x]").unwrap_or(step);
        let element = self.elements.iter().find(|known| known.choice == Choice::ByName && known.name() == name)?;
        Some((element, element.types.clone()))
    }
}

impl Element {
    /// The name in a path; of a choice without `[x]`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self.cardinality, Cardinality::Many)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::fhir::json::{Limits, parse};

    const TABLES: &str = include_str!("../../profiles/r4-elements.json");

    pub fn shapes() -> &'static Shapes {
        static SHAPES: LazyLock<Shapes> = LazyLock::new(|| Shapes::parse(TABLES).expect("the shipped tables"));
        &SHAPES
    }

    fn found(shapes: &Shapes, json: &str) -> Vec<(&'static str, String)> {
        let value = parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON");
        let issues = shapes.validate(&value, &["http://example.org/understood"]);
        issues.iter().map(|issue| (issue.code.code(), issue.expression.join(","))).collect()
    }

    /// The members of a Patient, and the one problem that they have.
    const BAD_PATIENTS: &[(&str, &str, &str)] = &[
        // unknown elements
        (r#""nmae":[{"family":"a"}]"#, "structure", "Patient.nmae"),
        (r#""name":[{"familly":"a"}]"#, "structure", "Patient.name[0].familly"),
        (r#""Name":[{"family":"a"}]"#, "structure", "Patient.Name"),
        (r#""deceased":true"#, "structure", "Patient.deceased"),
        (r#""deceasedString":"yes""#, "structure", "Patient.deceasedString"),
        (r#""deceasedboolean":true"#, "structure", "Patient.deceasedboolean"),
        (r#""animal":{"species":{"text":"a"}}"#, "structure", "Patient.animal"),
        (r#""_name":[{"id":"a"}]"#, "structure", "Patient._name"),
        (r#""__birthDate":{"id":"a"}"#, "structure", "Patient.__birthDate"),
        (r#""Jane Doe":1"#, "structure", "Patient.(unprintable name)"),
        (r#""contact":[{"resourceType":"Patient","gender":"male"}]"#, "structure", "Patient.contact[0].resourceType"),
        (
            r#""identifier":[{"value":"1","type":{"coding":[{"codes":"MR","code":"MR"}]}}]"#,
            "structure",
            "Patient.identifier[0].type.coding[0].codes",
        ),
        // JSON types
        (r#""active":"true""#, "structure", "Patient.active"),
        (r#""active":1"#, "structure", "Patient.active"),
        (r#""birthDate":1980"#, "structure", "Patient.birthDate"),
        (r#""birthDate":{"value":"1980"}"#, "structure", "Patient.birthDate"),
        (r#""name":["a"]"#, "structure", "Patient.name[0]"),
        (r#""multipleBirthInteger":"2""#, "structure", "Patient.multipleBirth"),
        (r#""maritalStatus":"M""#, "structure", "Patient.maritalStatus"),
        (r#""identifier":[{"value":12345}]"#, "structure", "Patient.identifier[0].value"),
        // one or many
        (r#""name":{"family":"a"}"#, "structure", "Patient.name"),
        (r#""name":[{"given":"a"}]"#, "structure", "Patient.name[0].given"),
        (r#""name":[{"family":["a"]}]"#, "structure", "Patient.name[0].family"),
        (r#""gender":["male"]"#, "structure", "Patient.gender"),
        (r#""name":[[{"family":"a"}]]"#, "structure", "Patient.name[0]"),
        // required
        (r#""link":[{"type":"seealso"}]"#, "required", "Patient.link[0]"),
        (r#""link":[{"other":{"reference":"Patient/1"}}]"#, "required", "Patient.link[0]"),
        (r#""communication":[{"preferred":true}]"#, "required", "Patient.communication[0]"),
        (r#""text":{"div":"<div>a</div>"}"#, "required", "Patient.text"),
        (r#""extension":[{"valueString":"a"}]"#, "required", "Patient.extension[0]"),
        // formats
        (r#""birthDate":"1980-02-30""#, "value", "Patient.birthDate"),
        (r#""birthDate":"02/03/1980""#, "value", "Patient.birthDate"),
        (r#""birthDate":"1980-02-03T00:00:00Z""#, "value", "Patient.birthDate"),
        (r#""deceasedDateTime":"2020-01-01T10:00""#, "value", "Patient.deceased"),
        (r#""id":"a/b""#, "value", "Patient.id"),
        (r#""id":"""#, "value", "Patient.id"),
        (r#""meta":{"lastUpdated":"2020-01-01"}"#, "value", "Patient.meta.lastUpdated"),
        (r#""meta":{"profile":["a b"]}"#, "value", "Patient.meta.profile[0]"),
        (r#""identifier":[{"system":"http://a b","value":"1"}]"#, "value", "Patient.identifier[0].system"),
        (r#""identifier":[{"value":" "}]"#, "value", "Patient.identifier[0].value"),
        (r#""name":[{"family":""}]"#, "value", "Patient.name[0].family"),
        (r#""name":[{"given":["a",""]}]"#, "value", "Patient.name[0].given[1]"),
        (r#""name":[{"family":"a\u0000b"}]"#, "value", "Patient.name[0].family"),
        (r#""telecom":[{"rank":0}]"#, "value", "Patient.telecom[0].rank"),
        (r#""telecom":[{"rank":1.5}]"#, "value", "Patient.telecom[0].rank"),
        (r#""multipleBirthInteger":2.0"#, "value", "Patient.multipleBirth"),
        (r#""photo":[{"data":"%%%%"}]"#, "value", "Patient.photo[0].data"),
        (r#""text":{"status":"generated","div":"hello"}"#, "value", "Patient.text.div"),
        (r#""managingOrganization":{"reference":""}"#, "value", "Patient.managingOrganization.reference"),
        // nothing inside
        (r#""name":[]"#, "structure", "Patient.name"),
        (r#""name":[{}]"#, "structure", "Patient.name[0]"),
        (r#""maritalStatus":{}"#, "structure", "Patient.maritalStatus"),
        (r#""maritalStatus":{"id":"a"}"#, "structure", "Patient.maritalStatus"),
        (r#""name":[{"given":[]}]"#, "structure", "Patient.name[0].given"),
        (r#""birthDate":null"#, "structure", "Patient.birthDate"),
        (r#""name":null"#, "structure", "Patient.name"),
        (r#""name":[null]"#, "structure", "Patient.name[0]"),
        (r#""name":[{"given":["a",null]}]"#, "structure", "Patient.name[0].given[1]"),
        (r#""managingOrganization":{}"#, "structure", "Patient.managingOrganization"),
        // choices
        (r#""deceasedBoolean":true,"deceasedDateTime":"2020-01-01""#, "structure", "Patient.deceased"),
        (r#""deceasedBoolean":true,"_deceasedDateTime":{"id":"a"}"#, "structure", "Patient.deceased"),
        (r#""multipleBirthInteger":1,"multipleBirthBoolean":true"#, "structure", "Patient.multipleBirth"),
        (r#""extension":[{"url":"u","valueString":"a","valueCode":"a"}]"#, "structure", "Patient.extension[0].value"),
        // extensions of primitives
        (r#""_birthDate":"a""#, "structure", "Patient.birthDate"),
        (r#""_birthDate":null"#, "structure", "Patient.birthDate"),
        (r#""_birthDate":{}"#, "structure", "Patient.birthDate"),
        (r#""_birthDate":{"value":"1980"}"#, "structure", "Patient.birthDate.value"),
        (r#""_birthDate":{"extension":[{"url":"u"}]}"#, "extension", "Patient.birthDate.extension[0]"),
        (r#""name":[{"_given":{"id":"a"}}]"#, "structure", "Patient.name[0].given"),
        (r#""name":[{"given":["a","b"],"_given":[{"id":"a"}]}]"#, "structure", "Patient.name[0].given"),
        (r#""name":[{"given":["a",null],"_given":[{"id":"a"},null]}]"#, "structure", "Patient.name[0].given[1]"),
        (r#""name":[{"_given":[null]}]"#, "structure", "Patient.name[0].given[0]"),
        (r#""name":[{"_given":[1]}]"#, "structure", "Patient.name[0].given[0]"),
        // extensions
        (r#""extension":[{"url":"u"}]"#, "extension", "Patient.extension[0]"),
        (
            r#""extension":[{"url":"u","valueString":"a","extension":[{"url":"v","valueCode":"a"}]}]"#,
            "extension",
            "Patient.extension[0]",
        ),
        (r#""extension":[{"url":"u","valueDate":"x"}]"#, "value", "Patient.extension[0].value"),
        (
            r#""extension":[{"url":"u","valueCode":"a","valuePatient":{}}]"#,
            "structure",
            "Patient.extension[0].valuePatient",
        ),
        (r#""modifierExtension":[{"url":"u","valueBoolean":true}]"#, "extension", "Patient.modifierExtension[0]"),
        (
            r#""contact":[{"modifierExtension":[{"url":"u","valueBoolean":true}]}]"#,
            "extension",
            "Patient.contact[0].modifierExtension[0]",
        ),
        (
            r#""name":[{"family":"a","modifierExtension":[{"url":"u","valueBoolean":true}]}]"#,
            "structure",
            "Patient.name[0].modifierExtension",
        ),
        (r#""implicitRules":"http://example.org/rules""#, "not-supported", "Patient.implicitRules"),
        // codes
        (r#""gender":"M""#, "code-invalid", "Patient.gender"),
        (r#""gender":"Male""#, "code-invalid", "Patient.gender"),
        (r#""name":[{"use":"legal"}]"#, "code-invalid", "Patient.name[0].use"),
        (r#""telecom":[{"system":"mobile"}]"#, "code-invalid", "Patient.telecom[0].system"),
        (r#""address":[{"use":"primary"}]"#, "code-invalid", "Patient.address[0].use"),
        (r#""address":[{"type":"home"}]"#, "code-invalid", "Patient.address[0].type"),
        (r#""identifier":[{"use":"primary","value":"1"}]"#, "code-invalid", "Patient.identifier[0].use"),
        (r#""link":[{"type":"same","other":{"reference":"Patient/1"}}]"#, "code-invalid", "Patient.link[0].type"),
        (r#""text":{"status":"ok","div":"<div>a</div>"}"#, "code-invalid", "Patient.text.status"),
        // contained resources
        (r#""contained":[{"id":"a"}]"#, "structure", "Patient.contained[0]"),
        (r#""contained":[{"resourceType":"Persona","id":"a"}]"#, "structure", "Patient.contained[0]"),
        (r#""contained":[{"resourceType":"DomainResource","id":"a"}]"#, "structure", "Patient.contained[0]"),
        (
            r#""contained":[{"resourceType":"Organization","id":"a","nam":"b"}]"#,
            "structure",
            "Patient.contained[0].nam",
        ),
        (
            r#""contained":[{"resourceType":"Organization","id":"a","contained":[{"resourceType":"Person"}]}]"#,
            "structure",
            "Patient.contained[0].contained",
        ),
        (r#""contained":{"resourceType":"Organization","id":"a"}"#, "structure", "Patient.contained"),
    ];

    #[test]
    fn each_malformed_patient_has_one_problem_at_its_place() {
        let shapes = shapes();
        for (members, code, location) in BAD_PATIENTS {
            let json = format!(r#"{{"resourceType":"Patient",{members}}}"#);
            assert_eq!(found(shapes, &json), [(*code, (*location).to_owned())], "{members}");
        }
    }

    #[test]
    fn each_malformed_document_has_its_problems_at_their_places() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("[]", &[("structure", "Resource")]),
            ("1", &[("structure", "Resource")]),
            ("{}", &[("structure", "Resource")]),
            (r#"{"resourceType":1}"#, &[("structure", "Resource")]),
            (r#"{"resourceType":"Jane Doe"}"#, &[("structure", "Resource")]),
            (r#"{"resourceType":"Resource"}"#, &[("structure", "Resource")]),
            (r#"{"resourceType":"HumanName","family":"a"}"#, &[("structure", "Resource")]),
            (
                r#"{"resourceType":"Parameters","parameter":[{"valueInteger":1}]}"#,
                &[("required", "Parameters.parameter[0]")],
            ),
            (r#"{"resourceType":"Parameters","parameter":{"name":"a"}}"#, &[("structure", "Parameters.parameter")]),
            (
                r#"{"resourceType":"Parameters","parameter":[{"name":"count","valueInteger":"1"}]}"#,
                &[("structure", "Parameters.parameter[0].value")],
            ),
            (
                r#"{"resourceType":"Parameters","parameter":[{"name":"count","valueInteger":1,"valueString":"1"}]}"#,
                &[("structure", "Parameters.parameter[0].value")],
            ),
            (
                r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","value":1}]}]}"#,
                &[("structure", "Parameters.parameter[0].part[0].value")],
            ),
            (
                r#"{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"birthDate":"1980"}}]}"#,
                &[("structure", "Parameters.parameter[0].resource")],
            ),
            (
                r#"{"resourceType":"Parameters","text":{},"parameter":[{"name":"a","resource":{"resourceType":"Patient","gender":"x","name":[{"given":[1]}]}}]}"#,
                &[
                    ("structure", "Parameters.text"),
                    ("code-invalid", "Parameters.parameter[0].resource.gender"),
                    ("structure", "Parameters.parameter[0].resource.name[0].given[0]"),
                ],
            ),
            (
                r#"{"resourceType":"Bundle","type":"search","entry":[{"search":{"mode":"best"},"resource":{"resourceType":"Person","link":[{}]}}]}"#,
                &[
                    ("code-invalid", "Bundle.type"),
                    ("code-invalid", "Bundle.entry[0].search.mode"),
                    ("required", "Bundle.entry[0].resource.link[0]"),
                    ("structure", "Bundle.entry[0].resource.link[0]"),
                ],
            ),
            (
                r#"{"resourceType":"Bundle","entry":[{"request":{"method":"get","url":"a"}}]}"#,
                &[("code-invalid", "Bundle.entry[0].request.method"), ("required", "Bundle")],
            ),
        ];
        let shapes = shapes();
        for (json, expected) in table {
            let found = found(shapes, json);
            let found: Vec<(&str, &str)> = found.iter().map(|(code, location)| (*code, location.as_str())).collect();
            assert_eq!(found, *expected, "{json}");
        }
    }

    #[test]
    fn legal_but_unusual_patients_are_clean() {
        let table = [
            "\"id\":\"a\"",
            r#""birthDate":"1980","_birthDate":{"id":"a","extension":[{"url":"u","valueTime":"10:00:00"}]}"#,
            r#""_birthDate":{"extension":[{"url":"u","valueCode":"unknown"}]}"#,
            r#""name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"u","valueCode":"unknown"}]}]}]"#,
            r#""name":[{"_given":[{"id":"a"}]}]"#,
            r#""deceasedBoolean":false,"_deceasedBoolean":{"id":"a"}"#,
            r#""extension":[{"url":"race","extension":[{"url":"text","valueString":"a"}]}]"#,
            r#""extension":[{"url":"u","_valueString":{"extension":[{"url":"v","valueCode":"a"}]}}]"#,
            r#""extension":[{"url":"u","valueReference":{"display":"a"}},{"url":"v","valueQuantity":{"value":1.50}}]"#,
            r#""modifierExtension":[{"url":"http://example.org/understood","valueBoolean":true}]"#,
            r##""contained":[{"resourceType":"Organization","id":"a","name":"b"}],"managingOrganization":{"reference":"#a"}"##,
            r#""contact":[{"relationship":[{"text":"a"}],"name":{"text":"b"},"gender":"other"}]"#,
            r#""link":[{"_type":{"extension":[{"url":"u","valueCode":"unknown"}]},"other":{"reference":"Patient/1"}}]"#,
            r#""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"}"#,
            r#""language":"en-US","meta":{"versionId":"1","lastUpdated":"2020-01-01T00:00:00Z","tag":[{"code":"a"}]}"#,
        ];
        let shapes = shapes();
        for members in table {
            let json = format!(r#"{{"resourceType":"Patient",{members}}}"#);
            assert_eq!(found(shapes, &json), [], "{members}");
        }
        assert_eq!(found(shapes, r#"{"resourceType":"Patient"}"#), []);
    }

    #[test]
    fn the_examples_of_the_guide_are_clean() {
        let shapes = shapes();
        let mut seen = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/guide")).expect("fixtures") {
            let path = entry.expect("entry").path();
            assert_eq!(found(shapes, &std::fs::read_to_string(&path).expect("text")), [], "{}", path.display());
            seen += 1;
        }
        assert_eq!(seen, 6);
    }

    #[test]
    fn a_resource_of_another_type_than_expected_is_refused() {
        let shapes = shapes();
        let value = parse(br#"{"resourceType":"Person"}"#, &Limits::DEFAULT).expect("JSON");
        let issues = shapes.validate_as("Patient", &value, &[]);
        assert_eq!(issues.len(), 1);
        assert_eq!(issues[0].code, crate::fhir::issue::IssueCode::Structure);
        assert_eq!(shapes.validate_as("Person", &value, &[]), []);
    }

    #[test]
    fn more_problems_than_are_listed_are_counted() {
        let names = vec![r#"{"family":"Secretname","x":1}"#; 1000].join(",");
        let json = format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#);
        let value = parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON");
        let issues = shapes().validate(&value, &[]);
        assert_eq!(issues.len(), ISSUES_MAX + 1);
        assert!(issues[ISSUES_MAX].diagnostics.contains("900 more"), "{}", issues[ISSUES_MAX].diagnostics);
    }

    #[test]
    fn no_text_repeats_a_received_value() {
        let shapes = shapes();
        let json = r#"{"resourceType":"Patient","gender":"Zzyzx","birthDate":"Zzyzx","id":"Zzyzx!","name":[{"family":"Zzyzx\u0001"}],"Zzyzx Zzyzx":1,"maritalStatus":"Zzyzx","link":[{"type":"Zzyzx","other":"Zzyzx"}],"contained":[{"resourceType":"Zzyzx"}]}"#;
        let value = parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON");
        let issues = shapes.validate(&value, &[]);
        assert_eq!(issues.len(), 9);
        for issue in issues {
            assert!(!issue.diagnostics.contains("Zzyzx") && !issue.expression.join(" ").contains("Zzyzx"), "{issue:?}");
        }
    }

    /// Types, whether a list, minimum.
    type Expected<'t> = Option<(&'t [&'t str], bool, u32)>;

    #[test]
    fn paths_of_profiles_are_resolved() {
        let shapes = shapes();
        let table: &[(&str, Expected<'_>)] = &[
            ("Patient", Some((&["Patient"], true, 0))),
            ("Patient.identifier", Some((&["Identifier"], true, 0))),
            ("Patient.identifier.type", Some((&["CodeableConcept"], false, 0))),
            ("Patient.identifier.type.coding.code", Some((&["code"], false, 0))),
            ("Patient.contact", Some((&["Patient.contact"], true, 0))),
            ("Patient.contact.name.family", Some((&["string"], false, 0))),
            ("Patient.link.other", Some((&["Reference"], false, 1))),
            ("Patient.deceased[x]", Some((&["boolean", "dateTime"], false, 0))),
            ("Patient.deceased", Some((&["boolean", "dateTime"], false, 0))),
            ("Patient.deceasedBoolean", Some((&["boolean"], false, 0))),
            ("Patient.id", Some((&["id"], false, 0))),
            ("Patient.meta.profile", Some((&["canonical"], true, 0))),
            ("Patient.contained", Some((&["Resource"], true, 0))),
            ("HumanName.given", Some((&["string"], true, 0))),
            ("Parameters.parameter.part.part.name", Some((&["string"], false, 1))),
            ("Bundle.entry.link.url", Some((&["uri"], false, 1))),
            ("Extension.value[x].coding", Some((&["Coding"], true, 0))),
            ("Patient.nmae", None),
            ("Patient.identifier:slice", None),
            ("Patient.identifier[x]", None),
            ("Patient.", None),
            ("", None),
            ("Nothing.id", None),
        ];
        for (path, expected) in table {
            let info = shapes.resolve(path);
            let found = info.as_ref().map(|info| (info.types.as_slice(), info.is_list, info.min));
            assert_eq!(found, *expected, "{path}");
        }
        let gender = shapes.resolve("Patient.gender").expect("gender");
        assert_eq!(gender.value_set, Some("administrative-gender"));
        assert!(shapes.resolve("Patient.active").is_some_and(|active| active.is_modifier));
        assert_eq!(
            shapes.find_codes("link-type").map(Iterator::collect),
            Some(vec!["refer", "replaced-by", "replaces", "seealso"])
        );
    }

    #[test]
    fn a_table_that_cannot_be_used_is_refused_with_its_place() {
        let head = r#""source":"s","format":"f","openTypes":["string"],"valueSets":{}"#;
        let base = r#""string":{"kind":"primitive"},"Element":{"kind":"complex","elements":{"id":"0..1 string"}},"Extension":{"kind":"complex","base":"Element","elements":{"value[x]":"0..1 *","extension":"0..* Extension"}}"#;
        let table = [
            ("", None),
            (r#","A":{"kind":"complex","elements":{"a":"0..2 string"}}"#, Some("A.a")),
            (r#","A":{"kind":"complex","elements":{"a":"0..1 text"}}"#, Some("A.a")),
            (r#","A":{"kind":"complex","elements":{"a":"0..1 string|Extension"}}"#, Some("A.a")),
            (r#","A":{"kind":"complex","elements":{"a":"0..1 string required:x"}}"#, Some("A.a")),
            (r#","A":{"kind":"complex","elements":{"a":"0..1 string modifer"}}"#, Some("A.a")),
            (r#","A":{"kind":"complex","base":"B"}"#, Some("A")),
            (r#","A":{"kind":"complex","base":"A"}"#, Some("A")),
            (r#","A":{"kind":"complex","base":"Element","elements":{"id":"0..1 string"}}"#, Some("A.id")),
            (r#","A":{"kind":"logical"}"#, Some("A")),
            (r#","text":{"kind":"primitive"}"#, Some("text")),
            (r#","A":{"kind":"complex","element":{}}"#, Some("element")),
        ];
        for (row, place) in table {
            let result = Shapes::parse(&format!("{{{head},\"types\":{{{base}{row}}}}}"));
            assert_eq!(result.as_ref().err().is_some(), place.is_some(), "{row}");
            assert!(result.err().unwrap_or_default().contains(place.unwrap_or_default()), "{row}");
        }
    }

    mod any {
        use proptest::prelude::*;

        use super::*;

        fn text() -> impl Strategy<Value = serde_json::Value> {
            "[ -~\u{a0}-\u{ff}]{0,8}[A-Za-z][ -~]{0,4}".prop_map(serde_json::Value::from)
        }

        fn texts() -> impl Strategy<Value = serde_json::Value> {
            prop::collection::vec(text(), 1..4).prop_map(serde_json::Value::from)
        }

        fn date() -> impl Strategy<Value = serde_json::Value> {
            (1_u16..10_000, 1_u8..13, 1_u8..29, 0_usize..3).prop_map(|(year, month, day, precision)| {
                serde_json::Value::from(&format!("{year:04}-{month:02}-{day:02}")[..[4, 7, 10][precision]])
            })
        }

        fn code(codes: &'static [&'static str]) -> impl Strategy<Value = serde_json::Value> {
            prop::sample::select(codes).prop_map(serde_json::Value::from)
        }

        /// An object with some of `members`, but not with none.
        fn object(members: Vec<(&'static str, BoxedStrategy<serde_json::Value>)>) -> BoxedStrategy<serde_json::Value> {
            let (names, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
            let chosen = prop::collection::vec(any::<bool>(), names.len());
            let build = move |(values, chosen): (Vec<serde_json::Value>, Vec<bool>)| {
                let last = names.len() - 1;
                let empty = !chosen.contains(&true);
                let kept = names.iter().zip(values).enumerate();
                let kept = kept.filter(|(at, _)| chosen[*at] || (empty && *at == last));
                kept.map(|(_, (name, value))| ((*name).to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
            };
            (values, chosen).prop_map(build).boxed()
        }

        fn list(item: BoxedStrategy<serde_json::Value>) -> BoxedStrategy<serde_json::Value> {
            prop::collection::vec(item, 1..3).prop_map(serde_json::Value::from).boxed()
        }

        fn patient() -> BoxedStrategy<serde_json::Value> {
            let period = object(vec![("start", date().boxed()), ("end", date().boxed())]);
            let name = object(vec![
                ("use", code(&["usual", "official", "maiden", "old"]).boxed()),
                ("family", text().boxed()),
                ("given", texts().boxed()),
                ("period", period.clone()),
            ]);
            let identifier = object(vec![("value", text().boxed()), ("period", period)]);
            let address = object(vec![("line", texts().boxed()), ("city", text().boxed())]);
            let telecom = object(vec![("system", code(&["phone", "email"]).boxed()), ("value", text().boxed())]);
            object(vec![
                ("name", list(name)),
                ("identifier", list(identifier)),
                ("address", list(address)),
                ("telecom", list(telecom)),
                ("gender", code(&["male", "female", "other", "unknown"]).boxed()),
                ("birthDate", date().boxed()),
                ("deceasedBoolean", any::<bool>().prop_map(serde_json::Value::from).boxed()),
            ])
        }

        fn anything() -> BoxedStrategy<serde_json::Value> {
            let names =
                ["name", "given", "_given", "extension", "url", "valueString", "contained", "resourceType", "id"];
            let leaf =
                prop_oneof![Just(serde_json::json!(null)), text(), Just(serde_json::json!(1)), code(&["Patient"])];
            leaf.prop_recursive(5, 40, 4, move |inner| {
                let member = (prop::sample::select(names.to_vec()), inner.clone());
                prop_oneof![
                    prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
                    prop::collection::vec(member, 0..4).prop_map(|members| {
                        members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<serde_json::Map<_, _>>().into()
                    }),
                ]
            })
            .boxed()
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn a_valid_patient_is_clean_and_a_misspelt_element_is_not(patient in patient()) {
                let shapes = shapes();
                let json = patient.to_string().replacen('{', r#"{"resourceType":"Patient","#, 1);
                prop_assert_eq!(found(shapes, &json), []);
                let misspelt = json.replacen('{', r#"{"bithDate":"1980","#, 1);
                prop_assert_eq!(found(shapes, &misspelt), [("structure", "Patient.bithDate".to_owned())]);
            }

            #[test]
            fn whatever_stands_in_a_patient_is_judged_within_the_limit(inner in anything()) {
                let json = serde_json::json!({"resourceType": "Patient", "name": inner, "contained": [inner]});
                let found = found(shapes(), &json.to_string());
                prop_assert!(!found.is_empty() && found.len() <= ISSUES_MAX + 1);
                prop_assert!(found.iter().all(|(_, place)| place.is_empty() || place.starts_with("Patient")));
            }
        }
    }
}
