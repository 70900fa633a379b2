//! One value of a search parameter: escapes, tokens, references and dates (FHIR R4 Search).
//!
//! Not here: which parameter a value belongs to (see `condition`).

use crate::fhir::moment::range_us;
use crate::fhir::search_parameter::{contact_key, reference_target};

use crate::store::resource::{DatePrefix, DateTest, Token};

/// The alternatives of a value: parts between commas, still escaped, without the empty ones.
#[must_use]
pub fn alternatives(value: &str) -> Vec<&str> {
    split(value, ',').into_iter().filter(|part| !part.is_empty()).collect()
}

/// The parts between separators that are not escaped (FHIR R4 Search, Escaping Search Parameters).
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if c == separator && !is_escaped {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// The text that an escaped one means: `\,`, `\|`, `\$` and `\\`.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match letters.peek() {
            Some(next) if c == '\\' && matches!(next, ',' | '|' | '$' | '\\') => plain.extend(letters.next()),
            _ => plain.push(c),
        }
    }
    plain
}

/// `system|value`, `|value`, `system|` or `value` (FHIR R4 Search, token); `None` without either.
#[must_use]
pub fn token(text: &str) -> Option<Token> {
    let parts = split(text, '|');
    let (first, rest) = parts.split_first()?;
    // A second separator is part of the value, as it always was.
    let value = (!rest.is_empty()).then(|| unescape(&text[first.len() + 1..]));
    match (unescape(first), value) {
        (value, None) if !value.is_empty() => Some(Token::Value(value)),
        (system, Some(value)) if system.is_empty() && !value.is_empty() => Some(Token::ValueWithoutSystem(value)),
        (system, Some(value)) if value.is_empty() && !system.is_empty() => Some(Token::System(system)),
        (system, Some(value)) if !value.is_empty() => Some(Token::SystemValue { system, value }),
        _ => None,
    }
}

/// The same for a contact, whose value is compared without case and punctuation.
#[must_use]
pub fn contact(text: &str) -> Option<Token> {
    token(text).map(|token| match token {
        Token::Value(value) => Token::Value(contact_key(&value)),
        Token::ValueWithoutSystem(value) => Token::ValueWithoutSystem(contact_key(&value)),
        Token::SystemValue { system, value } => Token::SystemValue { system, value: contact_key(&value) },
        Token::System(system) => Token::System(system),
    })
}

/// `id`, `Type/id` or a URL (FHIR R4 Search, reference); `of` is the type of the modifier.
#[must_use]
pub fn reference(text: &str, of: Option<&str>, base_url: &str) -> Option<Token> {
    let text = unescape(text);
    let is_id = !text.is_empty() && !text.contains(['/', ':', '#']);
    if is_id {
        return Some(match of {
            Some(of) => Token::SystemValue { system: of.to_owned(), value: text },
            None => Token::Value(text),
        });
    }
    let (system, value) = reference_target(&text, base_url)?;
    match of {
        Some(of) if !system.is_empty() && of != system => None,
        _ if system.is_empty() => Some(Token::ValueWithoutSystem(value)),
        _ => Some(Token::SystemValue { system, value }),
    }
}

/// A date or time with or without a prefix (FHIR R4 Search, Prefixes). `now_us` says how near is near for `ap`.
#[must_use]
pub fn date(text: &str, now_us: i64) -> Option<DateTest> {
    let text = unescape(text);
    let (prefix, date) = match text.split_at_checked(2) {
        Some(("eq", date)) => (DatePrefix::Eq, date),
        Some(("ne", date)) => (DatePrefix::Ne, date),
        Some(("gt", date)) => (DatePrefix::Gt, date),
        Some(("lt", date)) => (DatePrefix::Lt, date),
        Some(("ge", date)) => (DatePrefix::Ge, date),
        Some(("le", date)) => (DatePrefix::Le, date),
        Some(("sa", date)) => (DatePrefix::Sa, date),
        Some(("eb", date)) => (DatePrefix::Eb, date),
        Some(("ap", date)) => (DatePrefix::Ap, date),
        _ => (DatePrefix::Eq, text.as_str()),
    };
    // A time zone's `+` that was not percent-encoded arrives as a space.
    let (lo_us, hi_us) = range_us(&date.replace(' ', "+"))?;
    // Approximately: within a tenth of the time between then and now.
    let near_us = if prefix == DatePrefix::Ap { now_us.saturating_sub(lo_us).saturating_abs() / 10 } else { 0 };
    Some(DateTest { prefix, lo_us: lo_us - near_us, hi_us: hi_us + near_us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_separators_are_part_of_the_value() {
        for (value, expected) in [
            ("a,b", vec!["a", "b"]),
            (r"a\,b", vec!["a,b"]),
            (r"a\\,b", vec![r"a\", "b"]),
            (r"a\\\,b,", vec![r"a\,b"]),
            (r"\$\|\n\", vec![r"$|\n\"]),
            (",,", vec![]),
        ] {
            let found: Vec<String> = alternatives(value).into_iter().map(unescape).collect();
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn tokens_have_four_forms() {
        let both =
            |system: &str, value: &str| Token::SystemValue { system: system.to_owned(), value: value.to_owned() };
        for (text, expected) in [
            ("v", Some(Token::Value("v".to_owned()))),
            ("|v", Some(Token::ValueWithoutSystem("v".to_owned()))),
            ("s|", Some(Token::System("s".to_owned()))),
            ("s|v", Some(both("s", "v"))),
            (r"a\|b", Some(Token::Value("a|b".to_owned()))),
            (r"s|a\|b", Some(both("s", "a|b"))),
            ("s|a|b", Some(both("s", "a|b"))),
            ("|", None),
            ("", None),
        ] {
            assert_eq!(token(text), expected, "{text}");
        }
        assert_eq!(contact("(614) 555-0100"), Some(Token::Value("6145550100".to_owned())));
    }

    #[test]
    fn references_have_three_forms_and_may_be_of_one_type() {
        let base = "http://here.example/fhir";
        let own =
            |system: &str, value: &str| Some(Token::SystemValue { system: system.to_owned(), value: value.to_owned() });
        for (text, of, expected) in [
            ("1", None, Some(Token::Value("1".to_owned()))),
            ("1", Some("Patient"), own("Patient", "1")),
            ("Patient/1", None, own("Patient", "1")),
            ("Patient/1", Some("Patient"), own("Patient", "1")),
            ("Patient/1", Some("Organization"), None),
            ("http://here.example/fhir/Patient/1", None, own("Patient", "1")),
            ("http://x/Patient/1", None, Some(Token::ValueWithoutSystem("http://x/Patient/1".to_owned()))),
            ("#x", None, None),
            ("", None, None),
        ] {
            assert_eq!(reference(text, of, base), expected, "{text}");
        }
    }

    #[test]
    fn dates_have_prefixes_and_partial_forms() {
        const DAY: i64 = 86_400_000_000;
        for (text, prefix, lo_us, hi_us) in [
            ("1970-01-02", DatePrefix::Eq, DAY, 2 * DAY - 1),
            ("ne1970-01-02", DatePrefix::Ne, DAY, 2 * DAY - 1),
            ("sa1970", DatePrefix::Sa, 0, 365 * DAY - 1),
            ("eb1970-01-01T00:00Z", DatePrefix::Eb, 0, 59_999_999),
            ("ap1970-01-11", DatePrefix::Ap, 9 * DAY, 12 * DAY - 1),
        ] {
            assert_eq!(date(text, 20 * DAY), Some(DateTest { prefix, lo_us, hi_us }), "{text}");
        }
        for text in ["", "gt", "xx1970", "1970-13", "GT1970", "eq eq1970"] {
            assert_eq!(date(text, 0), None, "{text}");
        }
    }
}
