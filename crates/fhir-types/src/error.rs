//! What can go wrong when reading or writing a resource. Texts carry no content: it may be personal data.

use std::fmt;

/// A text that is no resource the types can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    line: usize,
    column: usize,
}

impl ParseError {
    /// serde_json's own words may quote a received value: only the place is kept.
    pub(crate) fn new(error: &serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a FHIR resource (line {} column {})", self.line, self.column)
    }
}

impl std::error::Error for ParseError {}

/// A resource that cannot be written: only a date or time beyond the years that FHIR can write does this.
#[derive(Debug)]
pub struct WriteError(serde_json::Error);

impl WriteError {
    pub(crate) const fn new(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the resource cannot be written as JSON")
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
