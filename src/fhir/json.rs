//! The bounded JSON view: one pass over a received document, with limits, that refuses what JSON leaves open.
//!
//! What: [`parse`] checks UTF-8, syntax, size, depth, number of values, string length and duplicate member names, and
//! gives a tree that borrows its strings from the document. Why: serde_json alone keeps the last of two equal names and
//! has no limit but depth; for a person's record both can hide a fact. Errors carry a FHIRPath location and never a
//! received value. Not here: what the members mean (see `profile::shape`).

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::issue::{Issue, IssueCode};
use super::path::printable;

/// A JSON value that borrows from the document it was parsed from.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// A JSON number, as far as FHIR tells numbers apart. The written form stays in the document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Integer(i64),
    Decimal(f64),
}

/// Members in the order received; names are unique.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Object<'a> {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value<'a>> {
        self.members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Sets a member; a new one comes last, so that names stay unique.
    pub fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let name = name.into();
        match self.get_mut(&name) {
            Some(known) => *known = value,
            None => self.members.push((name, value)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        Some(self.members.remove(at).1)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value<'a>)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), value))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<'a> Value<'a> {
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    #[must_use]
    pub const fn as_i64(&self) -> Option<i64> {
        if let Self::Number(Number::Integer(number)) = self { Some(*number) } else { None }
    }

    #[must_use]
    pub const fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The member `name` of an object; `None` for anything else.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.as_object().and_then(|object| object.get(name))
    }

    /// The text of the string member `name`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The elements of the array member `name`; empty for anything else.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Value<'a>] {
        match self.get(name) {
            Some(Self::Array(items)) => items,
            _ => &[],
        }
    }

    /// What JSON calls this kind of value, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// What is said of an object with two members of the same name.
pub const SAME_NAME: &str = "An object has two members of the same name.";

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub body_bytes_max: usize,
    /// Nested arrays and objects; at most 120.
    pub depth_max: usize,
    /// Values of all kinds, together.
    pub values_max: usize,
    pub string_bytes_max: usize,
}

impl Limits {
    /// Fits a Patient with a photo; far above any real request to match.
    pub const DEFAULT: Self =
        Self { body_bytes_max: 1024 * 1024, depth_max: 32, values_max: 50_000, string_bytes_max: 1024 * 1024 };
}

/// Parses `bytes` within `limits`.
///
/// # Errors
/// One fatal issue with a location: `structure` for what is not JSON, `too-long` for a limit reached.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, Issue> {
    if bytes.len() > limits.body_bytes_max {
        return Err(too_long(format!("The document has more than {} bytes.", limits.body_bytes_max)));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        structure(format!("The document is not UTF-8: byte {} does not belong there.", error.valid_up_to()))
    })?;
    if text.starts_with('\u{feff}') {
        return Err(structure("The document begins with a byte order mark."));
    }
    let state = State { limits, values: RefCell::new(0), problem: RefCell::default(), trail: RefCell::default() };
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Seed { state: &state, depth: 0 };
    let parsed = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| state.into_issue(&error))
}

fn structure(text: impl Into<String>) -> Issue {
    Issue::new(super::issue::Severity::Fatal, IssueCode::Structure, text)
}

fn too_long(text: impl Into<String>) -> Issue {
    Issue::new(super::issue::Severity::Fatal, IssueCode::TooLong, text)
}

struct State<'l> {
    limits: &'l Limits,
    values: RefCell<usize>,
    problem: RefCell<Option<Issue>>,
    /// Steps from the error outwards, filled while it travels up.
    trail: RefCell<Vec<String>>,
}

impl State<'_> {
    fn refuse<E: de::Error>(&self, issue: Issue) -> E {
        *self.problem.borrow_mut() = Some(issue);
        E::custom("refused")
    }

    fn count<E: de::Error>(&self) -> Result<(), E> {
        let mut values = self.values.borrow_mut();
        *values += 1;
        if *values <= self.limits.values_max {
            return Ok(());
        }
        Err(self.refuse(too_long(format!("The document has more than {} values.", self.limits.values_max))))
    }

    fn check_length<E: de::Error>(&self, text: &str) -> Result<(), E> {
        if text.len() <= self.limits.string_bytes_max {
            return Ok(());
        }
        Err(self.refuse(too_long(format!("A string has more than {} bytes.", self.limits.string_bytes_max))))
    }

    fn into_issue(self, error: &serde_json::Error) -> Issue {
        let issue = self.problem.into_inner().unwrap_or_else(|| structure(describe(error)));
        let mut location = String::new();
        for step in self.trail.into_inner().iter().rev() {
            if !location.is_empty() && !step.starts_with('[') {
                location.push('.');
            }
            location.push_str(step);
        }
        if location.is_empty() { issue } else { issue.at(location) }
    }
}

/// serde_json's words name no content, but a number out of range may be quoted by a later version: keep the position.
fn describe(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "ends too early" } else { "is not valid JSON" };
    format!("The document {what} at line {} column {}.", error.line(), error.column())
}

#[derive(Clone, Copy)]
struct Seed<'s, 'l> {
    state: &'s State<'l>,
    depth: usize,
}

impl Seed<'_, '_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth <= self.state.limits.depth_max.min(120) {
            return Ok(Self { depth, ..self });
        }
        let text = format!("The document is nested deeper than {} levels.", self.state.limits.depth_max);
        Err(self.state.refuse(structure(text)))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Value<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        self.state.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Integer(number)))
    }

    #[allow(clippy::cast_precision_loss, reason = "beyond i64 it is no FHIR integer; only its being a number matters")]
    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(i64::try_from(number).map_or(Number::Decimal(number as f64), Number::Integer)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Decimal(number)))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        self.state.check_length(text)?;
        Ok(Value::String(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value<'de>, E> {
        self.state.check_length(text)?;
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        loop {
            match seq.next_element_seed(seed) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Value::Array(items)),
                Err(error) => {
                    self.state.trail.borrow_mut().push(format!("[{}]", items.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut names = Names::default();
        let mut members: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        let result = loop {
            let name = match map.next_key_seed(Key) {
                Ok(Some(name)) => name,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if names.repeats(&name, &members) {
                self.state.trail.borrow_mut().push(printable(&name).to_owned());
                break Err(self.state.refuse(structure(SAME_NAME)));
            }
            match map.next_value_seed(seed) {
                Ok(value) => members.push((name, value)),
                Err(error) => {
                    self.state.trail.borrow_mut().push(printable(&name).to_owned());
                    break Err(error);
                }
            }
        };
        if let Err(error) = result {
            let root = members.iter().find(|(name, _)| name == "resourceType").and_then(|(_, value)| value.as_str());
            if let Some(root) = root.filter(|_| self.depth == 0) {
                self.state.trail.borrow_mut().push(printable(root).to_owned());
            }
            return Err(error);
        }
        Ok(Value::Object(Object { members }))
    }
}

/// Finds a repeated name: by looking while an object is small, by hash when it is not.
#[derive(Default)]
struct Names<'de> {
    seen: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    fn repeats(&mut self, name: &str, members: &[(Cow<'de, str>, Value<'de>)]) -> bool {
        if members.len() < 24 {
            return members.iter().any(|(key, _)| key == name);
        }
        if self.seen.is_empty() {
            self.seen.extend(members.iter().map(|(key, _)| key.clone()));
        }
        !self.seen.insert(Cow::Owned(name.to_owned()))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { body_bytes_max: 200, depth_max: 4, values_max: 12, string_bytes_max: 20 }
    }

    #[test]
    fn what_json_leaves_open_is_refused_with_its_place() {
        let table: &[(&[u8], IssueCode, Option<&str>)] = &[
            (b"", IssueCode::Structure, None),
            (b"{", IssueCode::Structure, None),
            (b"\xff{}", IssueCode::Structure, None),
            (b"\xef\xbb\xbf{}", IssueCode::Structure, None),
            (b"{} {}", IssueCode::Structure, None),
            (b"NaN", IssueCode::Structure, None),
            (br#"{"resourceType":"Patient","active":1e400}"#, IssueCode::Structure, Some("Patient.active")),
            (br#"{"resourceType":"Patient","id":"\ud800"}"#, IssueCode::Structure, Some("Patient.id")),
            (br#"{"resourceType":"Patient","id":"a","id":"b"}"#, IssueCode::Structure, Some("Patient.id")),
            (br#"{"name":[{},{"family":"a","family":"b"}]}"#, IssueCode::Structure, Some("name[1].family")),
            (br#"{"a":[[[[[[]]]]]]}"#, IssueCode::Structure, Some("a[0][0][0]")),
            (br#"{"a":"012345678901234567890"}"#, IssueCode::TooLong, Some("a")),
            (br#"[1,2,3,4,5,6,7,8,9,10,11,12,13]"#, IssueCode::TooLong, Some("[11]")),
            (&[b' '; 201], IssueCode::TooLong, None),
        ];
        for (bytes, code, location) in table {
            let issue = parse(bytes, &limits()).expect_err("refused");
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(issue.code, *code, "{shown}");
            assert_eq!(issue.expression.first().map(String::as_str), *location, "{shown}");
        }
    }

    #[test]
    fn a_repeated_name_is_found_in_a_large_object_too() {
        let members: Vec<String> = (0..2000).map(|n| format!("\"k{n}\":{n}")).collect();
        let good = format!("{{{}}}", members.join(","));
        let bad = format!("{{{},\"k77\":1}}", members.join(","));
        assert!(parse(good.as_bytes(), &Limits::DEFAULT).is_ok());
        let issue = parse(bad.as_bytes(), &Limits::DEFAULT).expect_err("refused");
        assert_eq!(issue.expression, ["k77"]);
    }

    #[test]
    fn strings_borrow_and_escapes_are_read() {
        let value =
            parse(br#"{"a":"plain","b":"J\u00fcrgen","c":[true,null,-3,2.50]}"#, &Limits::DEFAULT).expect("valid");
        assert!(matches!(value.get("a"), Some(Value::String(Cow::Borrowed("plain")))));
        assert_eq!(value.text("b"), Some("Jürgen"));
        assert_eq!(value.list("c")[2].as_i64(), Some(-3));
        assert_eq!(value.list("c")[3], Value::Number(Number::Decimal(2.5)));
    }
}
