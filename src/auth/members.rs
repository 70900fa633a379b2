//! Members of a JSON object that somebody has signed: each is there and of its type, or the object is refused.
//!
//! Why: serde would say what is wrong in words that repeat what it found. Not here: what the members mean.

use serde_json::{Map, Value};

use super::error::{OAuthError, Reason, Refusal};

/// Letters of one text at most; a URL fits.
const TEXT_BYTES_MAX: usize = 2048;
/// Entries of one list at most.
const ENTRIES_MAX: usize = 100;

/// Which reason is logged for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a signed token.
    Claim,
    /// Of a registration.
    Parameter,
    /// Of this extension.
    Extension(&'static str),
}

/// An object and how it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    object: &'a Map<String, Value>,
    kind: Kind,
    code: OAuthError,
    description: &'static str,
}

impl<'a> Members<'a> {
    #[must_use]
    pub const fn new(object: &'a Map<String, Value>, kind: Kind, code: OAuthError, description: &'static str) -> Self {
        Self { object, kind, code, description }
    }

    /// The members of `value`, if it is an object.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(value: &'a Value, kind: Kind, code: OAuthError, description: &'static str) -> Result<Self, Refusal> {
        let object = value.as_object().ok_or_else(|| Refusal::new(code, description, Reason::Malformed))?;
        Ok(Self::new(object, kind, code, description))
    }

    /// Another code from here on.
    #[must_use]
    pub const fn with_code(self, code: OAuthError) -> Self {
        Self { code, ..self }
    }

    /// The refusal of a member that is missing.
    #[must_use]
    pub const fn missing(&self, name: &'static str) -> Refusal {
        let reason = match self.kind {
            Kind::Claim => Reason::ClaimMissing(name),
            Kind::Parameter => Reason::ParameterMissing(name),
            Kind::Extension(extension) => Reason::ExtensionInvalid(extension),
        };
        Refusal::new(self.code, self.description, reason)
    }

    /// The refusal of a member that says something else than it must.
    #[must_use]
    pub const fn invalid(&self, name: &'static str) -> Refusal {
        let reason = match self.kind {
            Kind::Claim => Reason::ClaimInvalid(name),
            Kind::Parameter => Reason::ParameterInvalid(name),
            Kind::Extension(extension) => Reason::ExtensionInvalid(extension),
        };
        Refusal::new(self.code, self.description, reason)
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// A text that must be there, and not be empty.
    ///
    /// # Errors
    /// When it is missing or no such text.
    pub fn text(&self, name: &'static str) -> Result<&'a str, Refusal> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A text that is not empty, if there is a member of this name.
    ///
    /// # Errors
    /// When it is no such text.
    pub fn optional_text(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        self.get(name).map(|value| text_of(value).ok_or_else(|| self.invalid(name))).transpose()
    }

    /// A list of texts, which may be empty, if there is a member of this name.
    ///
    /// # Errors
    /// When it is no such list.
    pub fn optional_texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let entries = value.as_array().filter(|entries| entries.len() <= ENTRIES_MAX);
        let texts = entries.and_then(|entries| entries.iter().map(text_of).collect());
        texts.map(Some).ok_or_else(|| self.invalid(name))
    }

    /// A list of one or more texts that must be there.
    ///
    /// # Errors
    /// When it is missing, empty or no such list.
    pub fn texts(&self, name: &'static str) -> Result<Vec<&'a str>, Refusal> {
        let texts = self.optional_texts(name)?.ok_or_else(|| self.missing(name))?;
        if texts.is_empty() { Err(self.invalid(name)) } else { Ok(texts) }
    }
}

fn text_of(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX)
}

/// Whether `text` is an absolute https URL without fragment.
#[must_use]
pub fn is_https_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        !host.is_empty() && !host.contains('@') && !text.contains('#') && is_printable(text)
    })
}

/// Whether `text` has the form of a URI: a scheme and something after it.
#[must_use]
pub fn is_uri(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty()) && is_printable(text)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: &Value) -> Members<'_> {
        Members::of(value, Kind::Claim, OAuthError::InvalidRequest, "No.").expect("an object")
    }

    #[test]
    fn a_text_is_there_and_not_empty() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let table = [
            (json!({"a": "b"}), Ok("b")),
            (json!({}), Err(Reason::ClaimMissing("a"))),
            (json!({"a": ""}), Err(Reason::ClaimInvalid("a"))),
            (json!({"a": null}), Err(Reason::ClaimInvalid("a"))),
            (json!({"a": 1}), Err(Reason::ClaimInvalid("a"))),
            (json!({"a": long}), Err(Reason::ClaimInvalid("a"))),
        ];
        for (value, expected) in table {
            assert_eq!(members(&value).text("a").map_err(|refusal| refusal.log), expected, "{value}");
        }
        assert!(Members::of(&json!([]), Kind::Claim, OAuthError::InvalidRequest, "No.").is_err());
    }

    #[test]
    fn a_list_holds_texts_alone_and_a_bounded_number_of_them() {
        let many = vec!["x"; ENTRIES_MAX + 1];
        let table = [
            (json!({"a": ["b", "c"]}), Ok(vec!["b", "c"])),
            (json!({}), Err(Reason::ClaimMissing("a"))),
            (json!({"a": []}), Err(Reason::ClaimInvalid("a"))),
            (json!({"a": ["b", 1]}), Err(Reason::ClaimInvalid("a"))),
            (json!({"a": "b"}), Err(Reason::ClaimInvalid("a"))),
            (json!({"a": many}), Err(Reason::ClaimInvalid("a"))),
        ];
        for (value, expected) in table {
            assert_eq!(members(&value).texts("a").map_err(|refusal| refusal.log), expected, "{value}");
        }
        assert_eq!(members(&json!({"a": []})).optional_texts("a"), Ok(Some(Vec::new())));
        assert_eq!(members(&json!({})).optional_texts("a"), Ok(None));
    }

    #[test]
    fn urls_and_uris_are_told_from_other_texts() {
        for (text, is_url, is_a_uri) in [
            ("https://app.example/cb?x=1", true, true),
            ("https://app.example", true, true),
            ("http://app.example/cb", false, true),
            ("https://", false, true),
            ("https:///x", false, true),
            ("https://a.example/x#y", false, true),
            ("https://user@a.example/x", false, true),
            ("https://a.example/x y", false, false),
            ("urn:oid:1.2.3", false, true),
            ("1urn:x", false, false),
            ("urn:", false, false),
            ("no scheme", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_https_url(text), is_uri(text)), (is_url, is_a_uri), "{text}");
        }
    }
}
