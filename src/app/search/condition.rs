//! From a search parameter, its modifier and its value to conditions of the store (FHIR R4 Search).
//!
//! What is known and cannot be done is refused, for leaving a condition out would find too much. Not here: parameters
//! of the answer such as `_sort` (see `query`).

use crate::fhir::fold::fold;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::path::printable;
use crate::fhir::search_parameter::{SearchKind, SearchParameter, find, phonetic_codes};
use crate::store::resource::{DateTest, SearchCondition, StringMatch, Token};

use super::query::{PARAMETERS_MAX, values_of};
use super::value::{alternatives, contact, date, reference, token, unescape};
use crate::app::error::{AppError, ErrorKind};

/// What a value is read by.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The type that is searched.
    pub resource_type: &'a str,
    /// Of this server: references that begin with it are to its own resources.
    pub base_url: &'a str,
    /// For dates that are only approximate.
    pub now_us: i64,
    /// Values of one parameter at most.
    pub values_max: usize,
}

impl Reader<'_> {
    /// The conditions of one parameter, of which all must hold; `None` for a parameter that is not known.
    ///
    /// # Errors
    /// `Invalid` for a value, a modifier or a chain that cannot be searched for.
    pub fn read(&self, name: &str, value: &str) -> Result<Option<Vec<SearchCondition>>, AppError> {
        let (base, modifier) = name.split_once(':').map_or((name, None), |(base, modifier)| (base, Some(modifier)));
        let first = base.split('.').next().unwrap_or_default();
        let place = self.place(first);
        if value.chars().any(char::is_control) {
            return Err(refuse(IssueCode::Value, "The value has control characters.", &place));
        }
        let parameter = find(self.resource_type, first);
        if parameter.is_none() && !matches!(first, "_id" | "_lastUpdated") {
            return Ok(None);
        }
        if first != base {
            return Err(refuse(IssueCode::NotSupported, "Chained parameters are not supported.", &place));
        }
        let values = alternatives(value);
        if values.len() > self.values_max {
            return Err(refuse(IssueCode::TooCostly, "The parameter has too many values.", &place));
        }
        if values.is_empty() {
            return Err(refuse(IssueCode::Value, "The parameter has no value.", &place));
        }
        match (base, parameter, modifier) {
            ("_id", ..) if modifier.is_none() => {
                Ok(Some(vec![SearchCondition::Id(values.into_iter().map(unescape).collect())]))
            }
            ("_lastUpdated", ..) if modifier.is_none() => {
                Ok(Some(vec![SearchCondition::LastUpdated(self.dates(&values, &place)?)]))
            }
            (_, Some(parameter), modifier) => self.known(parameter, modifier, &values, &place).map(Some),
            _ => Err(unsupported_modifier(&place)),
        }
    }

    /// Where a parameter stands, for an issue: known names are shown.
    #[must_use]
    pub fn place(&self, base: &str) -> String {
        let known = find(self.resource_type, base).map(|parameter| parameter.name);
        format!("http.{}", known.unwrap_or_else(|| printable(base)))
    }

    fn known(
        &self,
        parameter: &SearchParameter,
        modifier: Option<&str>,
        values: &[&str],
        place: &str,
    ) -> Result<Vec<SearchCondition>, AppError> {
        let parameters = parameter.numbers();
        match (parameter.kind, modifier) {
            (_, Some("missing")) => {
                let is_missing = match values {
                    ["true"] => true,
                    ["false"] => false,
                    _ => return Err(refuse(IssueCode::Value, ":missing is true or false.", place)),
                };
                Ok(vec![SearchCondition::Missing { parameters, is_missing }])
            }
            (SearchKind::String, None) if parameter.is_phonetic() => phonetic(&parameters, values, place),
            (SearchKind::String, Some("exact" | "contains")) if parameter.is_phonetic() => {
                Err(unsupported_modifier(place))
            }
            (SearchKind::String, None) => strings(parameters, StringMatch::StartsWith, values, place),
            (SearchKind::String, Some("contains")) => strings(parameters, StringMatch::Contains, values, place),
            (SearchKind::String, Some("exact")) => strings(parameters, StringMatch::Exact, values, place),
            (SearchKind::Token, None) if parameter.is_contact() => tokens(parameters, values, contact, place),
            (SearchKind::Token, None) => tokens(parameters, values, token, place),
            (SearchKind::Reference, None) => {
                tokens(parameters, values, |value| reference(value, None, self.base_url), place)
            }
            (SearchKind::Reference, Some(of)) if parameter.targets.contains(&of) => {
                tokens(parameters, values, |value| reference(value, Some(of), self.base_url), place)
            }
            (SearchKind::Date, None) => {
                Ok(vec![SearchCondition::Dates { parameters, tests: self.dates(values, place)? }])
            }
            (_, Some(_)) => Err(unsupported_modifier(place)),
        }
    }

    fn dates(&self, values: &[&str], place: &str) -> Result<Vec<DateTest>, AppError> {
        let tests: Option<Vec<DateTest>> = values.iter().map(|value| date(value, self.now_us)).collect();
        let text = "The value must be a date or a time, whole or in part, with or without a prefix: eq, ne, gt, lt, ge, le, sa, eb or ap.";
        tests.ok_or_else(|| refuse(IssueCode::Value, text, place))
    }
}

fn strings(
    parameters: Vec<i16>,
    how: StringMatch,
    values: &[&str],
    place: &str,
) -> Result<Vec<SearchCondition>, AppError> {
    let plain = values.iter().map(|value| unescape(value));
    let values: Vec<String> = match how {
        StringMatch::Exact => plain.collect(),
        StringMatch::StartsWith | StringMatch::Contains => plain.map(|value| fold(&value)).collect(),
    };
    if values.iter().any(String::is_empty) {
        return Err(refuse(IssueCode::Value, "The value has no letters to search for.", place));
    }
    Ok(vec![SearchCondition::Strings { parameters, how, values }])
}

/// Every word of a value must sound like one of the names; alternatives are single words.
fn phonetic(parameters: &[i16], values: &[&str], place: &str) -> Result<Vec<SearchCondition>, AppError> {
    let codes: Vec<Vec<String>> = values.iter().map(|value| phonetic_codes(&unescape(value))).collect();
    let condition = |values: Vec<String>| SearchCondition::Strings {
        parameters: parameters.to_vec(),
        how: StringMatch::Exact,
        values,
    };
    match codes.as_slice() {
        [words] if !words.is_empty() => Ok(words.iter().map(|code| condition(vec![code.clone()])).collect()),
        several if several.iter().all(|words| words.len() == 1) => Ok(vec![condition(codes.concat())]),
        _ => Err(refuse(IssueCode::Value, "Alternatives of a phonetic search are single words.", place)),
    }
}

fn tokens(
    parameters: Vec<i16>,
    values: &[&str],
    read: impl Fn(&str) -> Option<Token>,
    place: &str,
) -> Result<Vec<SearchCondition>, AppError> {
    let tokens: Option<Vec<Token>> = values.iter().map(|value| read(value)).collect();
    let values =
        tokens.ok_or_else(|| refuse(IssueCode::Value, "The value is none of this parameter's forms.", place))?;
    Ok(vec![SearchCondition::Tokens { parameters, values }])
}

fn unsupported_modifier(place: &str) -> AppError {
    refuse(IssueCode::NotSupported, "This modifier of the search parameter is not supported.", place)
}

pub(in crate::app) fn refuse(code: IssueCode, text: &str, place: &str) -> AppError {
    AppError::new(ErrorKind::Invalid, vec![Issue::error(code, text).at(place)])
}

/// The conditions of a conditional interaction (FHIR R4 RESTful API, 3.1.0.8.1): `query` is the text after the
/// question mark. What is not known is an error here, for the wrong resource would be changed.
///
/// # Errors
/// `Invalid`, also for a query without any condition.
pub fn conditions_of(reader: &Reader<'_>, query: &str) -> Result<Vec<SearchCondition>, AppError> {
    let pairs = super::link::pairs_of(query);
    if pairs.len() > PARAMETERS_MAX {
        return Err(refuse(IssueCode::TooCostly, "The condition has too many parameters.", "http"));
    }
    let mut conditions = Vec::new();
    for (name, value) in pairs {
        match reader.read(&name, &value)? {
            Some(mut read) => conditions.append(&mut read),
            None => {
                let text = "This parameter is not known, and a condition must be understood whole.";
                return Err(refuse(IssueCode::NotSupported, text, &reader.place(&name)));
            }
        }
    }
    if conditions.is_empty() {
        return Err(refuse(IssueCode::Required, "The condition has no search parameter.", "http"));
    }
    if conditions.iter().map(values_of).sum::<usize>() > reader.values_max {
        return Err(refuse(IssueCode::TooCostly, "The condition has too many values.", "http"));
    }
    // It is answered while all writes wait: what reads through everything is for searching alone.
    if conditions
        .iter()
        .any(|condition| matches!(condition, SearchCondition::Strings { how: StringMatch::Contains, .. }))
    {
        return Err(refuse(IssueCode::TooCostly, "A condition takes no :contains.", "http"));
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader<'_> =
        Reader { resource_type: "Patient", base_url: "http://here.example/fhir", now_us: 0, values_max: 5 };

    fn read(name: &str, value: &str) -> Result<Option<Vec<SearchCondition>>, AppError> {
        READER.read(name, value)
    }

    #[test]
    fn each_kind_of_parameter_becomes_a_condition() {
        let strings = |parameters: &[i16], how, values: &[&str]| SearchCondition::Strings {
            parameters: parameters.to_vec(),
            how,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let reference = |value: &str| SearchCondition::Tokens {
            parameters: vec![21],
            values: vec![Token::SystemValue { system: "Organization".to_owned(), value: value.to_owned() }],
        };
        for (name, value, expected) in [
            ("family", "Muñoz,B", strings(&[2], StringMatch::StartsWith, &["munoz", "b"])),
            ("family:exact", "Muñoz", strings(&[2], StringMatch::Exact, &["Muñoz"])),
            ("family:contains", r"A\,b", strings(&[2], StringMatch::Contains, &["a,b"])),
            ("name", "a", strings(&[5, 2, 3], StringMatch::StartsWith, &["a"])),
            ("address", "a", strings(&[8, 9, 10, 11, 12], StringMatch::StartsWith, &["a"])),
            ("phonetic", "Smyth", strings(&[6], StringMatch::Exact, &["sm0"])),
            ("organization", "Organization/1", reference("1")),
            ("organization:Organization", "1", reference("1")),
            ("telecom:missing", "true", SearchCondition::Missing { parameters: vec![23, 16, 22], is_missing: true }),
            ("_id", "a,b", SearchCondition::Id(vec!["a".to_owned(), "b".to_owned()])),
        ] {
            assert_eq!(read(name, value).expect(name), Some(vec![expected]), "{name}");
        }
        assert_eq!(read("phonetic", "Jon Smyth").expect("read").map(|conditions| conditions.len()), Some(2));
        assert_eq!(read("shoe", "44").expect("read"), None);
    }

    #[test]
    fn what_cannot_be_searched_for_is_refused_with_its_parameter() {
        for (name, value, code) in [
            ("birthdate", "1980-13", IssueCode::Value),
            ("birthdate:exact", "1980", IssueCode::NotSupported),
            ("family", "", IssueCode::Value),
            ("family", "\u{301}", IssueCode::Value),
            ("family", "a\0b", IssueCode::Value),
            ("family", "a,b,c,d,e,f", IssueCode::TooCostly),
            ("family:missing", "yes", IssueCode::Value),
            ("identifier", "|", IssueCode::Value),
            ("identifier:of-type", "a|b|c", IssueCode::NotSupported),
            ("phonetic", "a b,c", IssueCode::Value),
            ("phonetic:exact", "a", IssueCode::NotSupported),
            ("organization:Patient", "1", IssueCode::NotSupported),
            ("_id:exact", "1", IssueCode::NotSupported),
            ("_lastUpdated", "x", IssueCode::Value),
            ("general-practitioner", "#1", IssueCode::Value),
        ] {
            let error = read(name, value).expect_err(name);
            let base = name.split(':').next().unwrap_or_default();
            assert_eq!(error.issues[0].expression, [format!("http.{base}")], "{name}");
            assert_eq!(error.issues[0].code, code, "{name}={value}");
        }
        let chained = read("organization.name", "x").expect_err("a chain");
        assert_eq!(chained.issues[0].code, IssueCode::NotSupported);
    }

    #[test]
    fn a_condition_is_understood_whole_or_refused() {
        let of = |query: &str| conditions_of(&READER, query);
        assert_eq!(of("identifier=urn%3Aa%7C1&family=Roe").map(|conditions| conditions.len()).ok(), Some(2));
        for query in ["", "shoe=44", "identifier=urn:a|1&_sort=family", "identifier=", "family:near=x"] {
            assert!(of(query).is_err(), "{query}");
        }
    }
}
