//! The primitive types of FHIR R4: which JSON type each has, and which format.
//!
//! What: [`Primitive::check`] judges one JSON value. Why here and not as regular expressions: it runs for every leaf of
//! every request. Rules are those of FHIR R4 datatypes, "Primitive Types". Not here: bindings of codes (see `shape`).

use crate::fhir::date::Date;
use crate::fhir::issue::IssueCode;
use crate::fhir::json::{Number, Value};

/// FHIR R4 datatypes, `string`: at most 1 MiB.
pub const STRING_BYTES_MAX: usize = 1024 * 1024;

/// A primitive type of FHIR R4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// What is wrong with a value; the text never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// `structure` for the wrong JSON type, `value` for the wrong format.
    pub code: IssueCode,
    pub rule: &'static str,
}

impl Primitive {
    const ALL: [(&'static str, Self); 20] = [
        ("base64Binary", Self::Base64Binary),
        ("boolean", Self::Boolean),
        ("canonical", Self::Canonical),
        ("code", Self::Code),
        ("date", Self::Date),
        ("dateTime", Self::DateTime),
        ("decimal", Self::Decimal),
        ("id", Self::Id),
        ("instant", Self::Instant),
        ("integer", Self::Integer),
        ("markdown", Self::Markdown),
        ("oid", Self::Oid),
        ("positiveInt", Self::PositiveInt),
        ("string", Self::String),
        ("time", Self::Time),
        ("unsignedInt", Self::UnsignedInt),
        ("uri", Self::Uri),
        ("url", Self::Url),
        ("uuid", Self::Uuid),
        ("xhtml", Self::Xhtml),
    ];

    /// The primitive type of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, primitive)| *primitive)
    }

    /// Judges JSON type and format of `value`.
    ///
    /// # Errors
    /// The rule that `value` breaks.
    pub fn check(self, value: &Value<'_>) -> Result<(), Flaw> {
        match self {
            Self::Boolean => typed(matches!(value, Value::Bool(_)), "A boolean is true or false, without quotes."),
            Self::Decimal => typed(matches!(value, Value::Number(_)), "A decimal is a JSON number, without quotes."),
            Self::Integer => whole(value, i64::from(i32::MIN), "An integer is a whole number of 32 bits."),
            Self::PositiveInt => whole(value, 1, "A positiveInt is a whole number from 1 to 2147483647."),
            Self::UnsignedInt => whole(value, 0, "An unsignedInt is a whole number from 0 to 2147483647."),
            _ => match value {
                Value::String(text) => self.check_text(text),
                _ => typed(false, "This value is a JSON string, in quotes."),
            },
        }
    }

    fn check_text(self, text: &str) -> Result<(), Flaw> {
        if text.is_empty() {
            return Err(Flaw { code: IssueCode::Value, rule: "A string is not empty: leave the element out." });
        }
        if text.len() > STRING_BYTES_MAX && self != Self::Base64Binary {
            return Err(Flaw { code: IssueCode::Value, rule: "A string has at most 1 MiB." });
        }
        let (holds, rule) = match self {
            Self::Base64Binary => (is_base64(text), "A base64Binary has groups of four base64 characters."),
            Self::Code => (is_code(text), "A code has no space at its ends and single spaces within."),
            Self::Date => (Date::parse(text).is_some(), "A date is a real date: YYYY, YYYY-MM or YYYY-MM-DD."),
            Self::DateTime => (
                is_date_time(text),
                "A dateTime is YYYY, YYYY-MM, YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with a time zone.",
            ),
            Self::Id => (is_id(text), "An id has 1 to 64 letters, digits, hyphens and dots."),
            Self::Instant => (is_instant(text), "An instant is YYYY-MM-DDThh:mm:ss with a time zone."),
            Self::Oid => (is_oid(text), "An oid begins with urn:oid: and has numbers with dots between them."),
            Self::Time => (is_time(text.as_bytes()), "A time is hh:mm:ss."),
            Self::Canonical | Self::Uri | Self::Url => (has_no_space(text), "A uri has no space."),
            Self::Uuid => (is_uuid(text), "A uuid begins with urn:uuid: and has 32 lower case hexadecimal digits."),
            Self::Xhtml => (is_div(text), "A narrative is one XHTML div element."),
            _ => (is_plain(text), "A string has something other than space, and no control characters."),
        };
        if holds { Ok(()) } else { Err(Flaw { code: IssueCode::Value, rule }) }
    }
}

fn typed(holds: bool, rule: &'static str) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(Flaw { code: IssueCode::Structure, rule }) }
}

fn whole(value: &Value<'_>, least: i64, rule: &'static str) -> Result<(), Flaw> {
    match value {
        Value::Number(Number::Integer(number)) if (least..=i64::from(i32::MAX)).contains(number) => Ok(()),
        Value::Number(_) => Err(Flaw { code: IssueCode::Value, rule }),
        _ => Err(Flaw { code: IssueCode::Structure, rule }),
    }
}

/// `string` and `markdown`: R4 allows of the control characters below 32 only tab, carriage return and line feed.
fn is_plain(text: &str) -> bool {
    let clean = text.bytes().all(|b| b >= 0x20 || matches!(b, b'\t' | b'\r' | b'\n'));
    clean && !text.trim_start().is_empty()
}

fn has_no_space(text: &str) -> bool {
    if text.is_ascii() {
        return text.bytes().all(|b| b > 0x20 && b != 0x7f);
    }
    !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// `[^\s]+(\s[^\s]+)*`.
fn is_code(text: &str) -> bool {
    let mut space_before = true;
    for c in text.chars() {
        let space = c.is_whitespace();
        if space && space_before || c.is_control() {
            return false;
        }
        space_before = space;
    }
    !space_before
}

/// FHIR R4 datatypes, `id`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    let numeric = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc.len() == 1 || !arc.starts_with('0'))
    };
    let root = arcs.split('.').next().is_some_and(|arc| matches!(arc, "0" | "1" | "2"));
    root && arcs.contains('.') && arcs.split('.').all(numeric)
}

fn is_uuid(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("urn:uuid:") else { return false };
    digits.len() == 36
        && digits.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Groups of four, padded only at the very end; R4 allows white space between groups.
fn is_base64(text: &str) -> bool {
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => digits += 1,
            b'=' => padding += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return false,
        }
    }
    digits > 0 && padding <= 2 && (digits + padding).is_multiple_of(4)
}

/// `hh:mm:ss`, a fraction of any length, and a leap second.
fn is_time(bytes: &[u8]) -> bool {
    let pair = |at: usize| match (bytes.get(at), bytes.get(at + 1)) {
        (Some(tens @ b'0'..=b'9'), Some(ones @ b'0'..=b'9')) => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    };
    let colons = bytes.get(2) == Some(&b':') && bytes.get(5) == Some(&b':');
    let in_range =
        pair(0).is_some_and(|h| h < 24) && pair(3).is_some_and(|m| m < 60) && pair(6).is_some_and(|s| s <= 60);
    let fraction = match bytes.get(8..) {
        None | Some([]) => true,
        Some([b'.', digits @ ..]) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    colons && in_range && fraction
}

/// `Z`, or an offset of at most 14 hours.
fn is_zone(bytes: &[u8]) -> bool {
    match bytes {
        b"Z" | [b'+' | b'-', b'1', b'4', b':', b'0', b'0'] => true,
        [b'+' | b'-', h1, h2, b':', b'0'..=b'5', b'0'..=b'9'] => {
            matches!((h1, h2), (b'0', b'0'..=b'9') | (b'1', b'0'..=b'3'))
        }
        _ => false,
    }
}

fn is_instant(text: &str) -> bool {
    let (Some(date), Some(rest)) = (text.get(..10), text.get(10..)) else { return false };
    let Some(rest) = rest.strip_prefix('T') else { return false };
    let zone = rest.bytes().position(|b| matches!(b, b'Z' | b'+' | b'-')).unwrap_or(rest.len());
    let (time, zone) = rest.as_bytes().split_at(zone);
    Date::parse(date).is_some() && is_time(time) && is_zone(zone)
}

fn is_date_time(text: &str) -> bool {
    if text.len() <= 10 { Date::parse(text).is_some() } else { is_instant(text) }
}

/// Only that it is one `div`: whoever shows a narrative must clean it, so its inside is not judged here.
fn is_div(text: &str) -> bool {
    let text = text.trim();
    let opened = text.strip_prefix("<div").is_some_and(|rest| rest.starts_with(['>', ' ', '\t', '\r', '\n', '/']));
    opened && (text.ends_with("</div>") || text.ends_with("/>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    fn verdict(name: &str, json: &str) -> Option<IssueCode> {
        let value = parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON");
        let primitive = Primitive::find(name).expect("a primitive type");
        primitive.check(&value).err().map(|flaw| flaw.code)
    }

    #[test]
    fn values_of_the_right_format_are_accepted() {
        let table: &[(&str, &[&str])] = &[
            ("boolean", &["true", "false"]),
            ("integer", &["0", "-2147483648", "2147483647"]),
            ("positiveInt", &["1"]),
            ("unsignedInt", &["0"]),
            ("decimal", &["1", "-1.50", "1e-3"]),
            ("string", &[r#""a""#, r#"" a\tb\r\n""#, r#""名""#]),
            ("markdown", &[r##""# title\n\n* item""##]),
            ("code", &[r#""a""#, r#""a b""#]),
            ("id", &[r#""A-1.b""#]),
            ("uri", &[r#""urn:x""#, r#""http://a/b?c#d""#, r#""x""#]),
            ("url", &[r#""http://a.example""#]),
            ("canonical", &[r#""http://a.example/b|1.0""#]),
            ("oid", &[r#""urn:oid:2.16.840.1.113883.4.3.45""#, r#""urn:oid:1.0""#]),
            ("uuid", &[r#""urn:uuid:c757873d-ec9a-4326-a141-556f43239520""#]),
            ("base64Binary", &[r#""QUJD""#, r#""QUI=""#, r#""QQ==""#, r#""QUJD\nQUJD""#]),
            ("date", &[r#""1980""#, r#""1980-02""#, r#""1980-02-29""#]),
            ("dateTime", &[r#""1980""#, r#""1980-02-29""#, r#""2015-02-07T13:28:17.239+02:00""#]),
            ("instant", &[r#""2015-02-07T13:28:17Z""#, r#""2016-12-31T23:59:60.1-14:00""#]),
            ("time", &[r#""00:00:00""#, r#""23:59:59.123""#]),
            ("xhtml", &[r#""<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>""#, r#""<div>a</div>""#]),
        ];
        for (name, values) in table {
            for value in *values {
                assert_eq!(verdict(name, value), None, "{name} {value}");
            }
        }
    }

    #[test]
    fn values_of_the_wrong_format_are_refused() {
        let table: &[(&str, &[&str])] = &[
            ("integer", &["1.0", "1e2", "2147483648", "-2147483649", "99999999999999999999"]),
            ("positiveInt", &["0", "-1"]),
            ("unsignedInt", &["-1"]),
            ("string", &[r#""""#, r#"" ""#, r#""\u0000""#, r#""a\u001bb""#]),
            ("markdown", &[r#""\n""#]),
            ("code", &[r#"" a""#, r#""a ""#, r#""a  b""#, r#"" ""#, r#""a\u0000""#]),
            ("id", &[r#""a_b""#, r#""a/b""#, r#""é""#, &format!("\"{}\"", "a".repeat(65))]),
            ("uri", &[r#""a b""#, r#""a\u00a0b""#, r#""a\n""#]),
            ("oid", &[r#""2.16""#, r#""urn:oid:3.1""#, r#""urn:oid:1.02""#, r#""urn:oid:1""#, r#""urn:oid:1..2""#]),
            (
                "uuid",
                &[r#""c757873d-ec9a-4326-a141-556f43239520""#, r#""urn:uuid:C757873D-ec9a-4326-a141-556f43239520""#],
            ),
            ("base64Binary", &[r#""QUJ""#, r#""=""#, r#""Q=JD""#, r#""QU-D""#, r#"" ""#, r#""Q===""#]),
            ("date", &[r#""1981-02-29""#, r#""80-01-01""#, r#""1980-01-01T00:00:00Z""#]),
            (
                "dateTime",
                &[r#""1980-13""#, r#""2015-02-07T13:28:17""#, r#""2015-02-07T13:28Z""#, r#""2015-02-07 13:28:17Z""#],
            ),
            (
                "instant",
                &[
                    r#""2015-02-07""#,
                    r#""2015-02-07T24:00:00Z""#,
                    r#""2015-02-07T13:28:17+15:00""#,
                    r#""2015-02-07T13:28:17.Z""#,
                    r#""éééééééééééé""#,
                ],
            ),
            ("time", &[r#""24:00:00""#, r#""1:00:00""#, r#""12:00""#, r#""12:00:00Z""#]),
            ("xhtml", &[r#""<p>a</p>""#, r#""<divider>a</div>""#, r#""<div>a""#, r#""a""#]),
        ];
        for (name, values) in table {
            for value in *values {
                assert_eq!(verdict(name, value), Some(IssueCode::Value), "{name} {value}");
            }
        }
    }

    #[test]
    fn values_of_another_json_type_are_refused_as_structure() {
        let table: &[(&str, &[&str])] = &[
            ("boolean", &[r#""true""#, "1", "null", "{}"]),
            ("integer", &[r#""1""#, "true"]),
            ("decimal", &[r#""1.0""#]),
            ("string", &["1", "true", "{}", "[]"]),
            ("date", &["1980"]),
        ];
        for (name, values) in table {
            for value in *values {
                assert_eq!(verdict(name, value), Some(IssueCode::Structure), "{name} {value}");
            }
        }
    }
}
