//! Whether two values are equal for a test (RFC 6902 §4.6): strings by their characters, numbers by their value, arrays
//! by position, objects by name.
//!
//! Not here: equality of what is written, which is `Node`'s own.

use crate::fhir::document::{Member, Node};

#[must_use]
pub fn is_equal(a: &Node<'_>, b: &Node<'_>) -> bool {
    match (a, b) {
        (Node::Leaf(raw_a), Node::Leaf(raw_b)) => {
            raw_a == raw_b
                || match (a.as_text(), b.as_text()) {
                    (Some(a), Some(b)) => a == b,
                    (None, None) => Decimal::of(raw_a).is_some_and(|a| Some(a) == Decimal::of(raw_b)),
                    _ => false,
                }
        }
        (Node::Array(a), Node::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b)),
        (Node::Object(a), Node::Object(b)) => {
            let pairs = || by_name(a).into_iter().zip(by_name(b));
            a.len() == b.len() && pairs().all(|(a, b)| a.name == b.name && is_equal(&a.value, &b.value))
        }
        _ => false,
    }
}

fn by_name<'n, 'a>(members: &'n [Member<'a>]) -> Vec<&'n Member<'a>> {
    let mut sorted: Vec<&Member<'a>> = members.iter().collect();
    sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    sorted
}

/// A number by its value: digits without zeros at either end, times a power of ten.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `None` for what is no number, or has an exponent beyond all measure.
    fn of(raw: &str) -> Option<Self> {
        let (is_negative, unsigned) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
        if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self { is_negative: false, digits: String::new(), exponent: 0 });
        }
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        let shift = i64::try_from(zeros).ok()? - i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.parse::<i64>().ok()?.checked_add(shift)?;
        Some(Self { is_negative, digits: significant.to_owned(), exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_equal_by_what_they_say() {
        let table = [
            ("1", "1.0", true),
            ("1.50", "15e-1", true),
            ("100", "1E+2", true),
            ("0", "-0.0e7", true),
            ("0.1000000000000000000000000001", "0.1", false),
            ("9007199254740993", "9007199254740992", false),
            ("1", "-1", false),
            ("1", "\"1\"", false),
            ("0", "false", false),
            ("null", "null", true),
            ("null", "false", false),
            (r#""a""#, r#""\u0061""#, true),
            (r#""a""#, r#""A""#, false),
            ("[1,2]", "[1.0,2]", true),
            ("[1,2]", "[2,1]", false),
            ("[1]", "[1,1]", false),
            (r#"{"a":1,"b":[{}]}"#, r#"{"b":[{}],"a":1}"#, true),
            (r#"{"a":1}"#, r#"{"b":1}"#, false),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#, false),
            ("{}", "[]", false),
            ("1e99999999999999999999", "1e99999999999999999998", false),
        ];
        for (a, b, expected) in table {
            let [a, b] = [a, b].map(|text| Node::parse(text).expect("JSON"));
            assert_eq!((is_equal(&a, &b), is_equal(&b, &a)), (expected, expected), "{a:?} {b:?}");
        }
    }
}
