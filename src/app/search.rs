//! FHIR search of the stored types: parameters in, one page out (FHIR R4 Search).
//!
//! Unknown parameters are ignored and said so, or refused under `handling=strict`. Paging is by id, so that writes
//! between pages neither repeat nor hide a resource that was there all along. Not here: SQL (see `store::resource`).

use crate::audit::Action;
use crate::fhir::date::Date;
use crate::fhir::fold::fold;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::search_parameter::{SearchKind, find, microseconds};
use crate::store::resource::{
    DatePrefix, DateTest, Position, SearchCondition, SearchQuery, StringMatch, Token, Total, search,
};
use crate::store::transaction;

use super::App;
use super::capability::is_search_param;
use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::ResourceKind;

/// Values of all parameters together (comma separated) at most: each is a look-up of its own.
const VALUES_MAX: usize = 50;
/// Parameters of one search at most.
const PARAMETERS_MAX: usize = 20;

/// What to do with parameters that are not known (`Prefer: handling=…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    Lenient,
    Strict,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    pub total: u64,
    /// Id and stored body.
    pub resources: Vec<(String, String)>,
    pub self_link: String,
    pub next_link: Option<String>,
    pub issues: Vec<Issue>,
    pub kind: ResourceKind,
}

impl App {
    /// Runs a search.
    ///
    /// # Errors
    /// `Invalid` for values that cannot be searched for.
    pub fn search(
        &self,
        ctx: &Context,
        resource_type: &str,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Page, AppError> {
        self.answer(ctx, Action::Search, |audit| {
            let kind = stored_kind(resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            let limits = &self.config.limits;
            let asked = read_search(kind, pairs, handling, limits.page_size, limits.page_size_max)?;
            let query = SearchQuery {
                resource_type: kind.name().to_owned(),
                conditions: asked.conditions,
                constraint: ctx.caller.search_constraint(),
                sort: Vec::new(),
                after: asked.after.map(|number| Position { keys: Vec::new(), number }),
                count: asked.count,
                total: Total::Accurate,
            };
            let mut conn = self.connection()?;
            let page = transaction::read_snapshot(&mut conn, |conn| search(conn, &query))?;
            audit.detail.records = page.rows.iter().map(|row| row.id.clone()).collect();
            let base = format!("{}/{}", self.config.server.base_url, kind.name());
            Ok(Page {
                total: u64::try_from(page.total.unwrap_or(0)).unwrap_or(0),
                self_link: link(&base, &asked.understood, None),
                next_link: page.next.map(|after| link(&base, &asked.understood, Some(&after.number.to_string()))),
                resources: page.rows.into_iter().map(|row| (row.id, row.body)).collect(),
                issues: asked.issues,
                kind,
            })
        })
    }
}

#[derive(Debug)]
struct Asked {
    conditions: Vec<SearchCondition>,
    count: u32,
    after: Option<i64>,
    /// The parameters that were understood, for the links.
    understood: Vec<(String, String)>,
    issues: Vec<Issue>,
}

fn read_search(
    kind: ResourceKind,
    pairs: &[(String, String)],
    handling: Handling,
    page_size: u32,
    page_size_max: u32,
) -> Result<Asked, AppError> {
    let mut asked =
        Asked { conditions: Vec::new(), count: page_size, after: None, understood: Vec::new(), issues: Vec::new() };
    if pairs.len() > PARAMETERS_MAX {
        return Err(refuse(IssueCode::TooCostly, "The search has too many parameters.", "http"));
    }
    if pairs.iter().map(|(_, value)| value.split(',').count()).sum::<usize>() > VALUES_MAX + PARAMETERS_MAX {
        return Err(refuse(IssueCode::TooCostly, "The search has too many values.", "http"));
    }
    for (name, value) in pairs {
        if value.chars().any(char::is_control) {
            let place = format!("http.{}", crate::fhir::path::printable(name));
            return Err(refuse(IssueCode::Value, "The value has control characters.", &place));
        }
        match name.as_str() {
            "_format" | "_pretty" => continue,
            "_count" => asked.count = read_count(value, page_size_max)?,
            "_after" => {
                let text = "The place to go on from is not one of this server.";
                asked.after = Some(value.parse().map_err(|_| refuse(IssueCode::Value, text, "http._after"))?);
                continue;
            }
            "_total" => {}
            _ => match read_condition(kind, name, value)? {
                Some(condition) => asked.conditions.push(condition),
                None => {
                    asked.issues.push(unknown(kind.name(), name, handling)?);
                    continue;
                }
            },
        }
        asked.understood.push((name.clone(), value.clone()));
    }
    Ok(asked)
}

/// What is said of a parameter that is not known. A known one with a modifier would find too much without it, and is
/// refused (FHIR R4 Search, Modifiers).
///
/// # Errors
/// `Invalid` for a modifier, and for everything under strict handling.
pub(super) fn unknown(resource_type: &str, name: &str, handling: Handling) -> Result<Issue, AppError> {
    if let Some((base, _)) = name.split_once(':').filter(|(base, _)| is_search_param(resource_type, base)) {
        let text = "Modifiers of this search parameter are not supported.";
        return Err(refuse(IssueCode::NotSupported, text, &format!("http.{base}")));
    }
    let text = "This search parameter is not known; it was not applied.";
    let place = format!("http.{}", crate::fhir::path::printable(name));
    match handling {
        Handling::Lenient => Ok(Issue::warning(IssueCode::NotSupported, text).at(place)),
        Handling::Strict => Err(refuse(IssueCode::NotSupported, "This search parameter is not known.", &place)),
    }
}

fn read_count(value: &str, page_size_max: u32) -> Result<u32, AppError> {
    let count =
        value.parse::<u32>().map_err(|_| refuse(IssueCode::Value, "_count must be a whole number.", "http._count"))?;
    Ok(count.min(page_size_max))
}

/// The condition of a known parameter; `None` for an unknown one.
fn read_condition(kind: ResourceKind, name: &str, value: &str) -> Result<Option<SearchCondition>, AppError> {
    let values: Vec<&str> = value.split(',').filter(|value| !value.is_empty()).collect();
    let place = format!("http.{}", crate::fhir::path::printable(name));
    if values.len() > VALUES_MAX {
        return Err(refuse(IssueCode::TooCostly, "The parameter has too many values.", &place));
    }
    if values.is_empty() {
        return Err(refuse(IssueCode::Value, "The parameter has no value.", &place));
    }
    let folded = || values.iter().map(|value| fold(value)).filter(|value| !value.is_empty()).collect::<Vec<_>>();
    if name == "_id" {
        return Ok(Some(SearchCondition::Id(values.iter().map(|value| (*value).to_owned()).collect())));
    }
    let Some(parameter) = find(kind.name(), name) else { return Ok(None) };
    let parameters = vec![parameter.number];
    Ok(Some(match parameter.kind {
        SearchKind::String => SearchCondition::Strings { parameters, how: StringMatch::StartsWith, values: folded() },
        SearchKind::Token | SearchKind::Reference => {
            SearchCondition::Tokens { parameters, values: values.iter().map(|value| token(value)).collect() }
        }
        SearchKind::Date => {
            let tests: Option<Vec<DateTest>> = values.iter().map(|value| date_test(value)).collect();
            let text = "The value must be a date, YYYY, YYYY-MM or YYYY-MM-DD, with or without eq, ge, gt, le or lt.";
            SearchCondition::Dates { parameters, tests: tests.ok_or_else(|| refuse(IssueCode::Value, text, &place))? }
        }
    }))
}

/// A date with or without a prefix (FHIR R4 Search, Prefixes).
fn date_test(text: &str) -> Option<DateTest> {
    let (prefix, date) = match text.split_at_checked(2) {
        Some(("eq", date)) => (DatePrefix::Eq, date),
        Some(("ge", date)) => (DatePrefix::Ge, date),
        Some(("gt", date)) => (DatePrefix::Gt, date),
        Some(("le", date)) => (DatePrefix::Le, date),
        Some(("lt", date)) => (DatePrefix::Lt, date),
        _ => (DatePrefix::Eq, text),
    };
    let (lo_us, hi_us) = microseconds(Date::parse(date)?);
    Some(DateTest { prefix, lo_us, hi_us })
}

/// `system|value`, `|value`, `system|` or `value` (FHIR R4 Search, token).
fn token(text: &str) -> Token {
    match text.split_once('|') {
        None => Token::Value(text.to_owned()),
        Some(("", value)) => Token::ValueWithoutSystem(value.to_owned()),
        Some((system, "")) => Token::System(system.to_owned()),
        Some((system, value)) => Token::SystemValue { system: system.to_owned(), value: value.to_owned() },
    }
}

fn refuse(code: IssueCode, text: &str, place: &str) -> AppError {
    AppError::new(super::error::ErrorKind::Invalid, vec![Issue::error(code, text).at(place)])
}

/// The address of a search, for `link`.
pub(super) fn link(base: &str, pairs: &[(String, String)], after: Option<&str>) -> String {
    let mut link = base.to_owned();
    let after = after.map(|after| ("_after", after));
    let all = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(after);
    for (number, (name, value)) in all.enumerate() {
        link.push(if number == 0 { '?' } else { '&' });
        link.push_str(&encode(name));
        link.push('=');
        link.push_str(&encode(value));
    }
    link
}

/// Percent-encoding of all but the unreserved characters (RFC 3986 §2.3).
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(list: &[(&str, &str)], handling: Handling) -> Result<Asked, AppError> {
        read_search(ResourceKind::Patient, &pairs(list), handling, 20, 200)
    }

    #[test]
    fn values_that_cannot_be_searched_for_are_refused_with_their_parameter() {
        for (name, value) in [
            ("_count", "x"),
            ("_count", "-1"),
            ("birthdate", "1980-13"),
            ("birthdate", "gt"),
            ("family", "a\0b"),
            ("_id", "\0"),
            ("family", ""),
            ("identifier", ","),
        ] {
            let error = read(&[(name, value)], Handling::Lenient).expect_err("refused");
            assert_eq!(error.issues[0].expression, [format!("http.{name}")], "{value}");
        }
    }

    #[test]
    fn unknown_parameters_are_said_or_refused() {
        let lenient = read(&[("shoe", "44"), ("family", "a")], Handling::Lenient).expect("read");
        assert_eq!(lenient.issues.len(), 1);
        assert_eq!(lenient.understood, pairs(&[("family", "a")]));
        assert!(read(&[("shoe", "44")], Handling::Strict).is_err());
    }

    #[test]
    fn links_encode_what_they_repeat() {
        let asked = read(&[("identifier", "urn:x|a b"), ("_count", "900")], Handling::Lenient).expect("read");
        assert_eq!(asked.count, 200);
        let link = link("http://h/fhir/Patient", &asked.understood, Some("p1"));
        assert_eq!(link, "http://h/fhir/Patient?identifier=urn%3Ax%7Ca%20b&_count=900&_after=p1");
    }
}
