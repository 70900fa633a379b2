//! Where in a document: a FHIRPath location, kept as a chain on the stack and only written out for an issue.
//!
//! Not here: evaluating FHIRPath (see `profile`).

use std::fmt;

/// A location such as `Patient.name[0].given[1]`; each step borrows the one before it.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The root: the resource type.
    #[must_use]
    pub const fn root(name: &'a str) -> Self {
        Self { parent: None, step: Step::Name(name) }
    }

    #[must_use]
    pub const fn member(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Name(name) }
    }

    #[must_use]
    pub const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Name(name) if self.parent.is_some() => write!(f, ".{}", printable(name)),
            Step::Name(name) => f.write_str(printable(name)),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A member name as it may be shown: a received name that is no FHIR element name could hold anything.
#[must_use]
pub fn printable(name: &str) -> &str {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
    if plain && !name.is_empty() && name.len() <= 64 { name } else { "(unprintable name)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_fhirpath() {
        let root = Path::root("Patient");
        let name = root.member("name");
        let first = name.index(0);
        assert_eq!(first.member("given").index(1).to_string(), "Patient.name[0].given[1]");
        assert_eq!(root.member("Jane Doe 1980").to_string(), "Patient.(unprintable name)");
    }
}
