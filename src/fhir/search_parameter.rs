//! The search parameters of the stored types, and the values under which a document is found (FHIR R4 Search).
//!
//! What: one table, [`SEARCH_PARAMETERS`], that searching, indexing and the CapabilityStatement share, and
//! [`search_values`], which reads a document's values. Not here: reading a search request, the tables of the database.

use super::date::{Date, days_in};
use super::fold::fold;
use super::json::Value;

/// Which version of this file made a resource's search values. Values of an older one are made again at the next start.
pub const SEARCH_VERSION: i32 = 1;

/// Values of one parameter kept at most; a person with more names is found by the first of them.
const VALUES_MAX: usize = 64;

/// How a parameter is compared (FHIR R4 Search, parameter types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    String,
    Token,
    Date,
    Reference,
}

impl SearchKind {
    /// The code in a CapabilityStatement.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Token => "token",
            Self::Date => "date",
            Self::Reference => "reference",
        }
    }
}

/// One search parameter of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchParameter {
    /// Names the parameter in the database; a number is never given to another parameter.
    pub number: i16,
    pub resource_type: &'static str,
    pub name: &'static str,
    pub kind: SearchKind,
}

const fn parameter(number: i16, resource_type: &'static str, name: &'static str, kind: SearchKind) -> SearchParameter {
    SearchParameter { number, resource_type, name, kind }
}

pub const SEARCH_PARAMETERS: &[SearchParameter] = &[
    parameter(1, "Patient", "identifier", SearchKind::Token),
    parameter(2, "Patient", "family", SearchKind::String),
    parameter(3, "Patient", "given", SearchKind::String),
    parameter(4, "Patient", "birthdate", SearchKind::Date),
    parameter(40, "Organization", "identifier", SearchKind::Token),
];

/// The parameter of that name.
#[must_use]
pub fn find(resource_type: &str, name: &str) -> Option<&'static SearchParameter> {
    SEARCH_PARAMETERS.iter().find(|known| known.resource_type == resource_type && known.name == name)
}

/// What a document is found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchValues {
    pub strings: Vec<StringValue>,
    pub tokens: Vec<TokenValue>,
    pub dates: Vec<DateValue>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringValue {
    pub parameter: i16,
    /// Folded: without case and accents.
    pub value: String,
    /// As received, for `:exact`.
    pub exact: String,
}

/// A token, or a reference: then the system is the type and the value the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenValue {
    pub parameter: i16,
    /// Empty when there is none.
    pub system: String,
    pub value: String,
}

/// The first and the last microsecond that a date or time may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateValue {
    pub parameter: i16,
    pub lo_us: i64,
    pub hi_us: i64,
}

/// The search values of a resource that has the base shape.
#[must_use]
pub fn search_values(resource: &Value<'_>) -> SearchValues {
    let mut values = SearchValues::default();
    let Some(resource_type) = resource.text("resourceType") else { return values };
    let number = |name| find(resource_type, name).map(|parameter| parameter.number);
    if let Some(parameter) = number("identifier") {
        values.tokens.extend(resource.list("identifier").iter().take(VALUES_MAX).filter_map(|identifier| {
            let system = identifier.text("system").unwrap_or_default().to_owned();
            Some(TokenValue { parameter, system, value: identifier.text("value")?.to_owned() })
        }));
    }
    for name in resource.list("name").iter().take(VALUES_MAX) {
        let given = name.list("given").iter().filter_map(Value::as_str).map(|text| ("given", text));
        for (code, text) in name.text("family").map(|text| ("family", text)).into_iter().chain(given) {
            let Some(parameter) = number(code) else { continue };
            values.strings.push(StringValue { parameter, value: fold(text), exact: text.to_owned() });
        }
    }
    if let (Some(parameter), Some(date)) = (number("birthdate"), resource.text("birthDate").and_then(Date::parse)) {
        let (lo_us, hi_us) = microseconds(date);
        values.dates.push(DateValue { parameter, lo_us, hi_us });
    }
    values.strings.retain(|string| !string.value.is_empty());
    values
}

/// The first and the last microsecond of a date of any precision, in UTC.
#[must_use]
pub fn microseconds(date: Date) -> (i64, i64) {
    const DAY_US: i64 = 86_400_000_000;
    let last_month = date.month().unwrap_or(12);
    let last_day = date.day().unwrap_or_else(|| days_in(date.year(), last_month));
    let first = day_number(date.year(), date.month().unwrap_or(1), date.day().unwrap_or(1));
    (first * DAY_US, (day_number(date.year(), last_month, last_day) + 1) * DAY_US - 1)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted from March so that leap days come last.
fn day_number(year: u16, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let month = i64::from((month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    #[test]
    fn a_patient_is_found_by_every_name_and_identifier() {
        let body = r#"{"resourceType":"Patient","birthDate":"1980-02","name":[{"family":"Muñoz","given":["José","Luis"]}],
            "identifier":[{"system":"urn:a","value":"1"},{"value":"2"},{"system":"urn:b"}]}"#;
        let values = search_values(&parse(body.as_bytes(), &Limits::DEFAULT).expect("JSON"));
        let strings: Vec<_> = values.strings.iter().map(|string| (string.parameter, string.value.as_str())).collect();
        assert_eq!(strings, [(2, "munoz"), (3, "jose"), (3, "luis")]);
        assert_eq!(values.strings[0].exact, "Muñoz");
        assert_eq!(values.tokens.len(), 2);
        assert_eq!(values.dates.len(), 1);
    }

    #[test]
    fn a_date_of_any_precision_is_a_range_of_microseconds() {
        const DAY: i64 = 86_400_000_000;
        for (text, first, days) in [
            ("1970", 0, 365),
            ("1970-01-02", 1, 1),
            ("1972-02", 761, 29),
            ("1969-12-31", -1, 1),
            ("2000-03-01", 11017, 1),
        ] {
            let date = Date::parse(text).expect("a date");
            assert_eq!(microseconds(date), (first * DAY, (first + days) * DAY - 1), "{text}");
        }
    }

    #[test]
    fn no_number_and_no_name_is_given_twice() {
        for (index, one) in SEARCH_PARAMETERS.iter().enumerate() {
            for other in &SEARCH_PARAMETERS[index + 1..] {
                assert_ne!(one.number, other.number);
                assert_ne!((one.resource_type, one.name), (other.resource_type, other.name));
            }
        }
    }
}
