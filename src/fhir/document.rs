//! A document as an editable tree: members in order, every leaf as it was written.
//!
//! What: [`Node`] is read from JSON text, changed, and written again, compact or pretty; a number keeps its digits and a
//! string its escapes. Why: `1.50` is not `1.5` in FHIR, and a patch of one element must not touch another. Not here:
//! limits and duplicate names (see `json`, which a received document passes first), what the members mean.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<'a> {
    /// null, true, false, a number or a string, as written.
    Leaf(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

/// A member of an object; its name without escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    pub name: Cow<'a, str>,
    pub value: Node<'a>,
}

/// How a document is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    #[default]
    Compact,
    Pretty,
}

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not JSON")]
pub struct NotJson;

impl<'a> Node<'a> {
    /// Reads a document of any size, up to 127 levels deep.
    ///
    /// # Errors
    /// When `text` is not JSON.
    pub fn parse(text: &'a str) -> Result<Self, NotJson> {
        // serde_json knows the syntax; what is left is to find where each value ends.
        let _: IgnoredAny = serde_json::from_str(text).map_err(|_| NotJson)?;
        Scanner { text, at: 0 }.value()
    }

    /// A string.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::Leaf(Cow::Owned(quoted(text)))
    }

    /// The text of a string, without its escapes.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        let Self::Leaf(raw) = self else { return None };
        unquoted(raw)
    }

    /// The member `name` of an object; `None` for anything else.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// The member `name` of an object, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node<'a>> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|member| member.name == name).map(|member| &mut member.value)
    }

    /// The text of the string member `name`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).and_then(Node::as_text)
    }

    /// Sets a member of an object and gives what it was; a new one comes last. Anything else stays as it is.
    pub fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: Node<'a>) -> Option<Node<'a>> {
        let Self::Object(members) = self else { return None };
        let name = name.into();
        match members.iter_mut().find(|member| member.name == name) {
            Some(known) => Some(std::mem::replace(&mut known.value, value)),
            None => {
                members.push(Member { name, value });
                None
            }
        }
    }

    /// Takes a member out of an object.
    pub fn remove(&mut self, name: &str) -> Option<Node<'a>> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|member| member.name == name)?;
        Some(members.remove(at).value)
    }

    /// The document as text.
    #[must_use]
    pub fn write(&self, layout: Layout) -> String {
        let mut out = String::new();
        match layout {
            Layout::Compact => self.write_compact(&mut out),
            Layout::Pretty => self.write_pretty(&mut out, 0),
        }
        out
    }

    fn write_compact(&self, out: &mut String) {
        match self {
            Self::Leaf(raw) => out.push_str(raw),
            Self::Array(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    separate(out, number);
                    item.write_compact(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (number, Member { name, value }) in members.iter().enumerate() {
                    separate(out, number);
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write_compact(out);
                }
                out.push('}');
            }
        }
    }

    fn write_pretty(&self, out: &mut String, depth: usize) {
        match self {
            Self::Array(items) if !items.is_empty() => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    separate(out, number);
                    new_line(out, depth + 1);
                    item.write_pretty(out, depth + 1);
                }
                new_line(out, depth);
                out.push(']');
            }
            Self::Object(members) if !members.is_empty() => {
                out.push('{');
                for (number, Member { name, value }) in members.iter().enumerate() {
                    separate(out, number);
                    new_line(out, depth + 1);
                    out.push_str(&quoted(name));
                    out.push_str(": ");
                    value.write_pretty(out, depth + 1);
                }
                new_line(out, depth);
                out.push('}');
            }
            _ => self.write_compact(out),
        }
    }
}

fn separate(out: &mut String, number: usize) {
    if number > 0 {
        out.push(',');
    }
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text of a string as written; `None` for another leaf.
fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// Finds where the values of a text that is JSON begin and end.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn value(&mut self) -> Result<Node<'a>, NotJson> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => Ok(Node::Leaf(Cow::Borrowed(self.string()?))),
            _ => Ok(Node::Leaf(Cow::Borrowed(self.word()))),
        }
    }

    fn object(&mut self) -> Result<Node<'a>, NotJson> {
        let mut members = Vec::new();
        self.at += 1;
        while self.peek()? != b'}' {
            let name = unquoted(self.string()?).ok_or(NotJson)?;
            // The colon.
            self.peek()?;
            self.at += 1;
            members.push(Member { name, value: self.value()? });
            self.skip_comma()?;
        }
        self.at += 1;
        Ok(Node::Object(members))
    }

    fn array(&mut self) -> Result<Node<'a>, NotJson> {
        let mut items = Vec::new();
        self.at += 1;
        while self.peek()? != b']' {
            items.push(self.value()?);
            self.skip_comma()?;
        }
        self.at += 1;
        Ok(Node::Array(items))
    }

    /// The next byte that is no white space, and stays there.
    fn peek(&mut self) -> Result<u8, NotJson> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += space;
        rest.get(space).copied().ok_or(NotJson)
    }

    fn skip_comma(&mut self) -> Result<(), NotJson> {
        if self.peek()? == b',' {
            self.at += 1;
        }
        Ok(())
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let mut is_escaped = false;
        let end = rest.iter().skip(1).position(|byte| match byte {
            _ if std::mem::take(&mut is_escaped) => false,
            b'\\' => {
                is_escaped = true;
                false
            }
            byte => *byte == b'"',
        });
        self.at = start + end.ok_or(NotJson)? + 2;
        self.text.get(start..self.at).ok_or(NotJson)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let table = [
            "0",
            "-1.50E+02",
            "true",
            "null",
            r#""""#,
            r#""a\u00e9\"\\""#,
            "[]",
            "{}",
            r#"{"b":1.50,"a":[1,{"x":{}},[],"é"],"c\"":null}"#,
            r#"[[[1e400]],0.10000000000000000000000000001]"#,
        ];
        for text in table {
            let node = Node::parse(text).expect(text);
            assert_eq!(node.write(Layout::Compact), text);
            let pretty = node.write(Layout::Pretty);
            assert_eq!(Node::parse(&pretty).expect("pretty"), node, "{pretty}");
        }
    }

    #[test]
    fn white_space_is_not_kept_between_values() {
        let node = Node::parse(" {\n\"a\" :\t[ 1 ,\r2 ] , \"b\":{ } } ").expect("JSON");
        assert_eq!(node.write(Layout::Compact), r#"{"a":[1,2],"b":{}}"#);
        assert_eq!(node.write(Layout::Pretty), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", " ", "{", "[1,]", "{\"a\"}", "{a:1}", "nul", "01", "\"a", "\"\u{1}\"", "1 2", "[1}", &deep] {
            assert_eq!(Node::parse(text), Err(NotJson), "{}", text.get(..9).unwrap_or(text));
        }
    }

    #[test]
    fn members_are_found_set_and_taken() {
        let mut node = Node::parse(r#"{"a":"x\u0041","b":1}"#).expect("JSON");
        assert_eq!((node.text("a").as_deref(), node.text("b"), node.text("c")), (Some("xA"), None, None));
        assert_eq!(node.insert("b", Node::string("q\"")), Some(Node::Leaf("1".into())));
        assert_eq!(node.insert("c", Node::Array(vec![])), None);
        assert!(node.remove("a").is_some() && node.remove("a").is_none());
        assert_eq!(node.write(Layout::Compact), r#"{"b":"q\"","c":[]}"#);
        let mut leaf = Node::string("x");
        assert!(leaf.insert("a", Node::string("y")).is_none() && leaf.remove("a").is_none() && leaf.get("a").is_none());
    }

    /// Documents with numbers of many forms and names that need escapes.
    fn documents() -> impl Strategy<Value = String> {
        let number =
            prop_oneof!["-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", Just("-0.0".to_owned())];
        let leaf = prop_oneof![
            number,
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<String>().prop_map(|text| quoted(&text)),
            Just(r#""\u00e9\/""#.to_owned())
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(",")));
            let object = prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| {
                let text: Vec<String> =
                    members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
                format!("{{{}}}", text.join(","))
            });
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_written_as_it_was_read(text in documents()) {
            let node = Node::parse(&text).expect("JSON");
            prop_assert_eq!(node.write(Layout::Compact), text.as_str());
            let pretty = node.write(Layout::Pretty);
            prop_assert_eq!(Node::parse(&pretty).expect("JSON"), node);
        }

        #[test]
        fn no_text_stops_the_reader(text in any::<String>()) {
            let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(Node::parse(&text).is_ok(), is_json);
        }
    }
}
