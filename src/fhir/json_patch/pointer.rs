//! JSON Pointer: a place in a document (RFC 6901).
//!
//! Not here: what stands at the place.

/// A place, as the steps that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    steps: Vec<Step>,
}

/// The name of a member, or a position in an array: which of them the document decides (RFC 6901 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step(String);

impl Pointer {
    /// Reads a pointer; `None` for what is none (RFC 6901 §3).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { steps: Vec::new() });
        }
        let steps = text.strip_prefix('/')?.split('/').map(Step::parse).collect::<Option<Vec<Step>>>()?;
        Some(Self { steps })
    }

    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The place that holds this one, and the step into it; `None` for the whole document.
    #[must_use]
    pub fn split(&self) -> Option<(&[Step], &Step)> {
        self.steps.split_last().map(|(last, parent)| (parent, last))
    }

    /// Whether this place is inside `other`, and not that place itself.
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        self.steps.len() > other.steps.len() && self.steps.starts_with(&other.steps)
    }

    /// Whether a change here changes the top-level member `name`.
    #[must_use]
    pub fn touches(&self, name: &str) -> bool {
        self.steps.first().is_none_or(|step| step.name() == name)
    }
}

impl Step {
    fn parse(text: &str) -> Option<Self> {
        let mut pieces = text.split('~');
        let mut name = pieces.next()?.to_owned();
        for piece in pieces {
            let (escaped, rest) = match piece.split_at_checked(1)? {
                ("0", rest) => ('~', rest),
                ("1", rest) => ('/', rest),
                _ => return None,
            };
            name.push(escaped);
            name.push_str(rest);
        }
        Some(Self(name))
    }

    /// The name of a member.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The position of an element of an array of that length.
    #[must_use]
    pub fn position(&self, len: usize) -> Option<usize> {
        self.number().filter(|at| *at < len)
    }

    /// The position before which something is inserted; `-` is the end.
    #[must_use]
    pub fn position_to_insert(&self, len: usize) -> Option<usize> {
        if self.0 == "-" { Some(len) } else { self.number().filter(|at| *at <= len) }
    }

    /// Digits without a leading zero.
    fn number(&self) -> Option<usize> {
        let plain = self.0 == "0" || !self.0.starts_with('0');
        let digits = self.0.bytes().all(|byte| byte.is_ascii_digit());
        if plain && digits { self.0.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_with_their_escapes() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("/", Some(&[""])),
            ("/a/0/-", Some(&["a", "0", "-"])),
            ("/a~1b/m~0n/~01", Some(&["a/b", "m~n", "~1"])),
            ("//é~0", Some(&["", "é~"])),
            ("a", None),
            ("#/a", None),
            ("/~", None),
            ("/~2", None),
            ("/a~é", None),
        ];
        for (text, expected) in table {
            let found = Pointer::parse(text);
            let names = found.as_ref().map(|pointer| pointer.steps().iter().map(Step::name).collect::<Vec<_>>());
            assert_eq!(names.as_deref(), *expected, "{text}");
        }
    }

    #[test]
    fn positions_are_digits_within_the_array() {
        let table = [
            ("0", Some(0), Some(0)),
            ("1", Some(1), Some(1)),
            ("2", None, Some(2)),
            ("3", None, None),
            ("-", None, Some(2)),
            ("01", None, None),
            ("00", None, None),
            ("+1", None, None),
            ("-1", None, None),
            ("1e0", None, None),
            ("", None, None),
            ("99999999999999999999999", None, None),
        ];
        for (text, position, insert) in table {
            let step = Step(text.to_owned());
            assert_eq!((step.position(2), step.position_to_insert(2)), (position, insert), "{text}");
        }
    }

    #[test]
    fn a_place_is_below_another_by_its_steps() {
        let table =
            [("/a/b", "/a", true), ("/ab", "/a", false), ("/a", "/a", false), ("/a", "/a/b", false), ("/a", "", true)];
        for (inner, outer, expected) in table {
            let [inner, outer] = [inner, outer].map(|text| Pointer::parse(text).expect("a pointer"));
            assert_eq!(inner.is_below(&outer), expected, "{inner:?} {outer:?}");
        }
    }
}
