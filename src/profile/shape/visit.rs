//! Visits every object of a document with the type that it has.
//!
//! For rules that belong to a type wherever it stands (see `profile::invariant`). The document has the base shape: what
//! has not is passed over. Not here: finding out whether it has (see `walk`).

use crate::fhir::json::{Object, Value};
use crate::fhir::path::Path;

use super::{Kind, Role, Shapes, Type};

/// An object at its place.
pub struct Visited<'v, 'p> {
    pub kind: &'v Type,
    pub value: &'v Value<'v>,
    /// The resource that it is part of; a contained one is part of its container.
    pub resource: &'v Value<'v>,
    pub path: &'p Path<'p>,
}

impl Shapes {
    /// Calls `visit` for every object of `resource`, itself included.
    pub fn visit<'v>(&'v self, resource: &'v Value<'v>, visit: &mut dyn FnMut(&Visited<'v, '_>)) {
        let Some(kind) = resource.text("resourceType").and_then(|name| self.find_type(name)) else { return };
        let mut visitor = Visitor { shapes: self, resource, visit };
        visitor.object(&Path::root(kind.name()), kind, resource);
    }
}

struct Visitor<'v, 'f> {
    shapes: &'v Shapes,
    resource: &'v Value<'v>,
    visit: &'f mut dyn FnMut(&Visited<'v, '_>),
}

impl<'v> Visitor<'v, '_> {
    fn object(&mut self, path: &Path<'_>, kind: &'v Type, value: &'v Value<'v>) {
        let Value::Object(object) = value else { return };
        (self.visit)(&Visited { kind, value, resource: self.resource, path });
        self.members(path, kind, object);
    }

    fn members(&mut self, path: &Path<'_>, kind: &'v Type, object: &'v Object<'v>) {
        for (name, value) in object.iter() {
            let Some(member) = kind.find_member(name.strip_prefix('_').unwrap_or(name)) else { continue };
            let found = self.shapes.get(member.type_id);
            let is_leaf = matches!(found.kind, Kind::Primitive(_));
            if is_leaf && !name.starts_with('_') {
                continue;
            }
            // Beside a primitive stand its id and extensions, as an Element.
            let found = if is_leaf { self.shapes.get(self.shapes.element) } else { found };
            let element = kind.element(member);
            let path = path.member(&element.name);
            match value {
                Value::Array(items) => {
                    for (at, item) in items.iter().enumerate() {
                        self.value(&path.index(at), found, element.role, item);
                    }
                }
                _ => self.value(&path, found, element.role, value),
            }
        }
    }

    fn value(&mut self, path: &Path<'_>, kind: &'v Type, role: Role, value: &'v Value<'v>) {
        if kind.kind != Kind::AnyResource {
            return self.object(path, kind, value);
        }
        let Some(kind) = value.text("resourceType").and_then(|name| self.shapes.find_type(name)) else { return };
        let outer = self.resource;
        if role != Role::Contained {
            self.resource = value;
        }
        self.object(path, kind, value);
        self.resource = outer;
    }
}
