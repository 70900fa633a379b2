//! Walks a document against the element tables.
//!
//! Nothing is allocated until something is wrong: the location is a chain on the stack. Not here: what the tables are.

use std::fmt::{self, Write as _};

use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::{Object, Value};
use crate::fhir::path::Path;

use super::{Choice, Element, ISSUES_MAX, Kind, Member, Role, Shapes, Type};

/// Codes of a value set up to this many are named in the message.
const CODES_NAMED_MAX: usize = 12;

/// Where a resource stands, which decides whether it may contain others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Standing,
    Contained,
}

pub(super) fn validate(
    shapes: &Shapes,
    resource: &Value<'_>,
    expected: Option<&str>,
    understood: &[&str],
) -> Vec<Issue> {
    let mut walk = Walk { shapes, understood, issues: Vec::new(), unlisted: 0 };
    let named = resource.text("resourceType").filter(|name| shapes.is_resource(name));
    let root = Path::root(named.or(expected).unwrap_or("Resource"));
    match (named, expected) {
        (Some(name), Some(expected)) if name != expected => {
            walk.report(IssueCode::Structure, &root, format_args!("The resource must be a {expected}."));
        }
        _ => walk.resource(&root, resource, Place::Standing),
    }
    walk.into_issues()
}

struct Walk<'w> {
    shapes: &'w Shapes,
    understood: &'w [&'w str],
    issues: Vec<Issue>,
    unlisted: usize,
}

impl Walk<'_> {
    fn report(&mut self, code: IssueCode, path: &Path<'_>, text: fmt::Arguments<'_>) {
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(Issue::error(code, text.to_string()).at(path));
        } else {
            self.unlisted += 1;
        }
    }

    fn into_issues(mut self) -> Vec<Issue> {
        if self.unlisted > 0 {
            let text = format!("{} more problems were found and are not listed.", self.unlisted);
            self.issues.push(Issue::information(IssueCode::Informational, text));
        }
        self.issues
    }

    fn resource(&mut self, path: &Path<'_>, value: &Value<'_>, place: Place) {
        let Value::Object(object) = value else {
            return self.report(
                IssueCode::Structure,
                path,
                format_args!("A resource is an object, not {}.", value.kind()),
            );
        };
        let shapes = self.shapes;
        let kind = match object.get("resourceType") {
            None => {
                return self.report(IssueCode::Structure, path, format_args!("The member resourceType is missing."));
            }
            Some(Value::String(name)) => shapes.find_type(name).filter(|found| found.kind == Kind::Resource),
            Some(_) => None,
        };
        match kind {
            Some(kind) => self.object(path, kind, object, place),
            None => {
                self.report(IssueCode::Structure, path, format_args!("The resourceType is no resource type of R4."));
            }
        }
    }

    fn object(&mut self, path: &Path<'_>, kind: &Type, object: &Object<'_>, place: Place) {
        let mut seen = 0_u128;
        for (name, value) in object.iter() {
            if kind.kind == Kind::Resource && name == "resourceType" {
                continue;
            }
            let Some((member, part)) = self.find_member(kind, name) else {
                self.report(
                    IssueCode::Structure,
                    &path.member(name),
                    format_args!("{} has no such element.", kind.name),
                );
                continue;
            };
            let element = kind.element(member);
            let at = path.member(&element.name);
            let bit = 1 << member.element;
            if element.choice == Choice::ByName && seen & bit != 0 && is_second_choice(kind, object, member) {
                let text = "Only one of the types of this element can be used at once.";
                self.report(IssueCode::Structure, &at, format_args!("{text}"));
            }
            seen |= bit;
            let here = Here { element, member, siblings: object, place };
            match part {
                Part::Value => self.element(&at, &here, value),
                Part::Extensions => self.extensions(&at, &here, value),
            }
        }
        self.finish(path, kind, object, seen);
    }

    /// What can only be said once all members were seen.
    fn finish(&mut self, path: &Path<'_>, kind: &Type, object: &Object<'_>, seen: u128) {
        let missing = kind.required & !seen;
        if missing != 0 {
            let required = kind.elements.iter().enumerate().filter(|(at, _)| missing & (1 << at) != 0);
            for (_, Element { name, .. }) in required {
                self.report(IssueCode::Required, path, format_args!("The required element {name} is missing."));
            }
        }
        let rule = self.shapes.extension;
        if object.is_empty() {
            self.report(IssueCode::Structure, path, format_args!("An object is not empty: leave the element out."));
        } else if std::ptr::eq(kind, self.shapes.get(rule.type_id)) {
            if (seen & rule.value == 0) == (seen & rule.nested == 0) {
                let text = "An extension has either a value or extensions of its own.";
                self.report(IssueCode::Extension, path, format_args!("{text}"));
            }
        } else if seen & !kind.id == 0 && seen != 0 && !std::ptr::eq(kind, self.shapes.get(self.shapes.element)) {
            self.report(IssueCode::Structure, path, format_args!("An element has more than an id."));
        }
    }

    /// The element that a JSON member name stands for, or whose extensions it holds (`_birthDate`).
    fn find_member<'t>(&self, kind: &'t Type, name: &str) -> Option<(&'t Member, Part)> {
        let Some(name) = name.strip_prefix('_') else {
            return kind.find_member(name).map(|member| (member, Part::Value));
        };
        let member = kind.find_member(name)?;
        matches!(self.shapes.get(member.type_id).kind, Kind::Primitive(_)).then_some((member, Part::Extensions))
    }

    fn element(&mut self, path: &Path<'_>, here: &Here<'_, '_>, value: &Value<'_>) {
        match (value, here.element.is_list()) {
            (Value::Array(items), true) => self.items(path, here, items),
            (_, true) => {
                self.report(
                    IssueCode::Structure,
                    path,
                    format_args!("This element is an array, not {}.", value.kind()),
                );
            }
            (Value::Array(_), false) => {
                self.report(IssueCode::Structure, path, format_args!("This element occurs at most once: no array."));
            }
            (_, false) => self.value(path, here, value),
        }
        match here.element.role {
            Role::Contained if here.place == Place::Contained => {
                self.report(IssueCode::Structure, path, format_args!("A contained resource contains no other."));
            }
            Role::ImplicitRules => {
                self.report(IssueCode::NotSupported, path, format_args!("This server knows no implicit rules."));
            }
            Role::ModifierExtension => self.modifier_extensions(path, value),
            Role::Plain | Role::Contained => {}
        }
    }

    fn items(&mut self, path: &Path<'_>, here: &Here<'_, '_>, items: &[Value<'_>]) {
        if items.is_empty() {
            self.report(IssueCode::Structure, path, format_args!("An array is not empty: leave the element out."));
        }
        for (at, item) in items.iter().enumerate() {
            let path = path.index(at);
            if !matches!(item, Value::Null) {
                self.value(&path, here, item);
            } else if !here.has_extensions_at(at) {
                self.report(
                    IssueCode::Structure,
                    &path,
                    format_args!("null stands only where extensions stand instead."),
                );
            }
        }
    }

    fn value(&mut self, path: &Path<'_>, here: &Here<'_, '_>, value: &Value<'_>) {
        let shapes = self.shapes;
        let kind = shapes.get(here.member.type_id);
        match (kind.kind, value) {
            (_, Value::Null) => {
                self.report(IssueCode::Structure, path, format_args!("null is no value: leave the element out."));
            }
            (Kind::Primitive(primitive), _) => match primitive.check(value) {
                Ok(()) => self.binding(path, here.element, value),
                Err(flaw) => self.report(flaw.code, path, format_args!("{}", flaw.rule)),
            },
            (Kind::Complex, Value::Object(object)) => self.object(path, kind, object, here.place),
            (Kind::Complex, _) => {
                let name = &kind.name;
                self.report(IssueCode::Structure, path, format_args!("A {name} is an object, not {}.", value.kind()));
            }
            (Kind::Resource | Kind::AnyResource, _) => self.resource(path, value, here.place_of_resource()),
        }
    }

    fn binding(&mut self, path: &Path<'_>, element: &Element, value: &Value<'_>) {
        let (Some(set), Some(code)) = (element.value_set, value.as_str()) else { return };
        let set = &self.shapes.value_sets[usize::from(set)];
        if set.codes.binary_search_by(|known| (**known).cmp(code)).is_ok() {
            return;
        }
        let mut text = format!("The code is not in the required value set {}", set.name);
        if set.codes.len() <= CODES_NAMED_MAX {
            let _ = write!(text, ": {}", set.codes.join(", "));
        }
        self.report(IssueCode::CodeInvalid, path, format_args!("{text}."));
    }

    /// FHIR R4 Extensibility: a reader that does not understand a modifier extension must not process the element.
    fn modifier_extensions(&mut self, path: &Path<'_>, value: &Value<'_>) {
        let Value::Array(items) = value else { return };
        for (at, item) in items.iter().enumerate() {
            if item.text("url").is_none_or(|url| !self.understood.contains(&url)) {
                let text = "This server does not understand the modifier extension.";
                self.report(IssueCode::Extension, &path.index(at), format_args!("{text}"));
            }
        }
    }

    /// FHIR R4 JSON, "Representing the FHIR Primitive Types": id and extensions of a primitive stand in `_name`, for a
    /// repeating one in an array of the same length, with null where there is nothing.
    fn extensions(&mut self, path: &Path<'_>, here: &Here<'_, '_>, value: &Value<'_>) {
        match (value, here.element.is_list()) {
            (Value::Array(items), true) => self.extension_items(path, here, items),
            (Value::Object(object), false) => {
                let shapes = self.shapes;
                self.object(path, shapes.get(shapes.element), object, here.place);
            }
            (_, true) => {
                self.report(IssueCode::Structure, path, format_args!("The extensions of this element are an array."));
            }
            (_, false) => {
                self.report(IssueCode::Structure, path, format_args!("The extensions of this element are one object."));
            }
        }
    }

    fn extension_items(&mut self, path: &Path<'_>, here: &Here<'_, '_>, items: &[Value<'_>]) {
        let values = match here.siblings.get(&here.member.name) {
            Some(Value::Array(values)) => Some(values),
            _ => None,
        };
        if items.is_empty() || values.is_some_and(|values| values.len() != items.len()) {
            let text = "The arrays of values and of their extensions have the same length.";
            self.report(IssueCode::Structure, path, format_args!("{text}"));
        }
        let shapes = self.shapes;
        for (at, item) in items.iter().enumerate() {
            let path = path.index(at);
            match item {
                Value::Object(object) => self.object(&path, shapes.get(shapes.element), object, here.place),
                Value::Null if values.is_some() => {}
                Value::Null => {
                    self.report(IssueCode::Structure, &path, format_args!("null stands only beside a value."));
                }
                _ => self.report(
                    IssueCode::Structure,
                    &path,
                    format_args!("Extensions are an object, not {}.", item.kind()),
                ),
            }
        }
    }
}

/// Which half of a primitive element a JSON member is.
#[derive(Debug, Clone, Copy)]
enum Part {
    Value,
    Extensions,
}

/// The element at hand and what stands around it.
struct Here<'h, 'd> {
    element: &'h Element,
    member: &'h Member,
    siblings: &'h Object<'d>,
    place: Place,
}

impl Here<'_, '_> {
    fn has_extensions_at(&self, at: usize) -> bool {
        let extensions = self.siblings.iter().find(|(name, _)| name.strip_prefix('_') == Some(&self.member.name));
        matches!(extensions, Some((_, Value::Array(items))) if matches!(items.get(at), Some(Value::Object(_))))
    }

    fn place_of_resource(&self) -> Place {
        if self.element.role == Role::Contained { Place::Contained } else { Place::Standing }
    }
}

/// Whether an element of a choice was given under another name already: `deceasedBoolean` beside `deceasedDateTime`,
/// but not `deceasedBoolean` beside `_deceasedBoolean`.
fn is_second_choice(kind: &Type, object: &Object<'_>, member: &Member) -> bool {
    let same_element = |name: &str| {
        kind.find_member(name.strip_prefix('_').unwrap_or(name))
            .filter(|other| other.element == member.element)
            .map(std::ptr::from_ref)
    };
    object.iter().filter_map(|(name, _)| same_element(name)).any(|other| !std::ptr::eq(other, member))
}
