//! A whole search request: conditions, order, paging, what else comes along (FHIR R4 Search, result parameters).
//!
//! Not here: values of single parameters (see `condition`), running it.

use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::path::printable;
use crate::fhir::search_parameter::{SearchKind, SearchParameter, find, of_type};
use crate::store::resource::{Direction, SORTS_MAX, SearchCondition, Sort, SortKey};

use super::condition::{Reader, refuse};
use super::{AUDIT_EVENT, Handling};
use crate::app::error::AppError;

/// Parameters of one search at most.
pub(super) const PARAMETERS_MAX: usize = 50;
/// Parameters that say how an answer is written: they go from page to page as they are.
const PRESENTATION: [&str; 4] = ["_format", "_pretty", "_summary", "_elements"];

/// Whether a parameter says how an answer is written.
#[must_use]
pub fn is_presentation(name: &str) -> bool {
    PRESENTATION.contains(&name)
}

/// Sizes of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageSizes {
    pub size: u32,
    pub size_max: u32,
}

/// How the total is wanted (`_total`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedTotal {
    /// Not said: counted as far as is cheap.
    Default,
    None,
    Accurate,
}

/// A search as it was understood.
#[derive(Debug)]
pub struct Asked {
    pub conditions: Vec<SearchCondition>,
    pub sort: Vec<Sort>,
    pub count: u32,
    pub total: AskedTotal,
    pub includes: Vec<Include>,
    /// The parameters that were understood, for the links.
    pub understood: Vec<(String, String)>,
    pub presentation: Vec<(String, String)>,
    /// Warnings, for what was not.
    pub issues: Vec<Issue>,
    /// A link to a further page, instead of all that.
    pub page: Option<String>,
}

/// What comes along (FHIR R4 Search, Including other resources).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    pub way: Way,
    /// References of this type, under these parameters.
    pub source: &'static str,
    pub parameters: Vec<i16>,
    /// Only those to this type.
    pub target: Option<String>,
    pub reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `_include`: what a resource refers to.
    Forward,
    /// `_revinclude`: what refers to it.
    Reverse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From what was found.
    Matches,
    /// `:iterate`: from what came along too.
    Iterate,
}

/// Reads all pairs of a search.
///
/// # Errors
/// `Invalid` for what cannot be searched for, and under strict handling for what is not known.
pub fn read_query(
    reader: &Reader<'_>,
    pairs: &[(String, String)],
    handling: Handling,
    sizes: PageSizes,
) -> Result<Asked, AppError> {
    if pairs.len() > PARAMETERS_MAX {
        return Err(refuse(IssueCode::TooCostly, "The search has too many parameters.", "http"));
    }
    let mut asked = Asked {
        conditions: Vec::new(),
        sort: Vec::new(),
        count: sizes.size,
        total: AskedTotal::Default,
        includes: Vec::new(),
        understood: Vec::new(),
        presentation: Vec::new(),
        issues: Vec::new(),
        page: None,
    };
    for (name, value) in pairs {
        if is_presentation(name) {
            asked.presentation.push((name.clone(), value.clone()));
        }
        match asked.read(reader, name, value, sizes)? {
            Understood::Yes => asked.understood.push((name.clone(), value.clone())),
            Understood::Apart => {}
            Understood::No => asked.issues.push(unknown(&reader.place(name), handling)?),
        }
    }
    if asked.conditions.iter().map(values_of).sum::<usize>() > reader.values_max {
        return Err(refuse(IssueCode::TooCostly, "The search has too many values.", "http"));
    }
    Ok(asked)
}

enum Understood {
    Yes,
    /// Known, and no part of the search itself.
    Apart,
    No,
}

impl Understood {
    const fn of(is_known: Option<()>) -> Self {
        if is_known.is_some() { Self::Yes } else { Self::No }
    }
}

impl Asked {
    /// What was searched by, without the values: `Patient?family&_count`.
    #[must_use]
    pub fn names(&self, list: &str) -> String {
        let names: Vec<&str> = self.understood.iter().map(|(name, _)| name.as_str()).collect();
        format!("{list}?{}", names.join("&"))
    }

    fn read(&mut self, reader: &Reader<'_>, name: &str, value: &str, sizes: PageSizes) -> Result<Understood, AppError> {
        match name {
            "_summary" if value == "count" => {
                (self.count, self.total) = (0, AskedTotal::Accurate);
                return Ok(Understood::Apart);
            }
            _ if is_presentation(name) => return Ok(Understood::Apart),
            "_page" => {
                self.page = Some(value.to_owned());
                return Ok(Understood::Apart);
            }
            "_count" => self.count = read_count(value, sizes.size_max)?,
            "_total" => self.total = read_total(value)?,
            "_sort" => return self.read_sort(reader, value).map(Understood::of),
            "_include" => return Ok(self.read_include(value, Way::Forward, Reach::Matches)),
            "_include:iterate" => return Ok(self.read_include(value, Way::Forward, Reach::Iterate)),
            "_revinclude" => return Ok(self.read_include(value, Way::Reverse, Reach::Matches)),
            "_revinclude:iterate" => return Ok(self.read_include(value, Way::Reverse, Reach::Iterate)),
            _ => {
                let Some(mut read) = reader.read(name, value)? else { return Ok(Understood::No) };
                self.conditions.append(&mut read);
            }
        }
        Ok(Understood::Yes)
    }

    /// `family,-birthdate`; `None` when one of them is not known.
    fn read_sort(&mut self, reader: &Reader<'_>, value: &str) -> Result<Option<()>, AppError> {
        let keys: Vec<&str> = value.split(',').filter(|key| !key.is_empty()).collect();
        if keys.len() > SORTS_MAX {
            return Err(refuse(IssueCode::TooCostly, "The search has too many sort keys.", "http._sort"));
        }
        let sorts: Option<Vec<Sort>> = keys.into_iter().map(|key| sort(reader.resource_type, key)).collect();
        let Some(sorts) = sorts else { return Ok(None) };
        self.sort = sorts;
        Ok(Some(()))
    }

    fn read_include(&mut self, value: &str, way: Way, reach: Reach) -> Understood {
        let include = include(value, way, reach);
        let is_known = include.is_some();
        self.includes.extend(include);
        Understood::of(is_known.then_some(()))
    }
}

pub(super) fn values_of(condition: &SearchCondition) -> usize {
    match condition {
        SearchCondition::Id(values) | SearchCondition::Strings { values, .. } => values.len(),
        SearchCondition::Tokens { values, .. } => values.len(),
        SearchCondition::LastUpdated(tests) | SearchCondition::Dates { tests, .. } => tests.len(),
        SearchCondition::Missing { .. } | SearchCondition::Unrestricted => 1,
    }
}

/// What is said of a parameter that is not known (FHIR R4 Search, Handling Errors).
///
/// # Errors
/// `Invalid` under strict handling.
pub fn unknown(place: &str, handling: Handling) -> Result<Issue, AppError> {
    let text = "This search parameter is not known; it was not applied.";
    match handling {
        Handling::Lenient => Ok(Issue::warning(IssueCode::NotSupported, text).at(place)),
        Handling::Strict => Err(refuse(IssueCode::NotSupported, "This search parameter is not known.", place)),
    }
}

/// `_count`, at most `size_max`.
///
/// # Errors
/// `Invalid` for what is no whole number.
pub(in crate::app) fn read_count(value: &str, size_max: u32) -> Result<u32, AppError> {
    let is_plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    // More digits than fit are more entries than there are.
    let count = if is_plain { Some(value.parse::<u32>().unwrap_or(u32::MAX)) } else { None };
    let count = count.ok_or_else(|| refuse(IssueCode::Value, "_count must be a whole number.", "http._count"))?;
    Ok(count.min(size_max))
}

fn read_total(value: &str) -> Result<AskedTotal, AppError> {
    match value {
        "none" => Ok(AskedTotal::None),
        "estimate" => Ok(AskedTotal::Default),
        "accurate" => Ok(AskedTotal::Accurate),
        _ => Err(refuse(IssueCode::Value, "_total is none, estimate or accurate.", "http._total")),
    }
}

/// One key of `_sort`. A parameter that is only made of others is ordered by the first of them: a name by the family.
fn sort(resource_type: &str, key: &str) -> Option<Sort> {
    let (name, direction) = match key.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (key, Direction::Ascending),
    };
    let by = match name {
        "_id" => SortKey::Id,
        "_lastUpdated" => SortKey::LastUpdated,
        _ => {
            let parameter = find(resource_type, name)?;
            let number = parameter.includes.first().copied().unwrap_or(parameter.number);
            match parameter.kind {
                SearchKind::String => SortKey::String(number),
                SearchKind::Token | SearchKind::Reference => SortKey::Token(number),
                SearchKind::Date => SortKey::Date(number),
            }
        }
    };
    Some(Sort { by, direction })
}

/// `Type:parameter`, `Type:parameter:Target` or `Type:*`.
fn include(value: &str, way: Way, reach: Reach) -> Option<Include> {
    let mut parts = value.splitn(3, ':');
    let (source, name, target) = (parts.next()?, parts.next()?, parts.next());
    // Events are not among what is stored and searched.
    if source == AUDIT_EVENT {
        return None;
    }
    let fits = |known: &&SearchParameter| {
        let is_meant = known.kind == SearchKind::Reference && (name == "*" || known.name == name);
        is_meant && target.is_none_or(|target| known.targets.contains(&target))
    };
    let found: Vec<&SearchParameter> = of_type(source).iter().filter(fits).collect();
    let source = found.first()?.resource_type;
    let parameters = found.iter().map(|known| known.number).collect();
    Some(Include { way, source, parameters, target: target.map(str::to_owned), reach })
}

/// Where a parameter that is not of the search's own stands.
#[must_use]
pub fn place_of(name: &str) -> String {
    format!("http.{}", printable(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader<'_> =
        Reader { resource_type: "Patient", base_url: "http://here.example/fhir", now_us: 0, values_max: 5 };
    const SIZES: PageSizes = PageSizes { size: 20, size_max: 200 };

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(list: &[(&str, &str)], handling: Handling) -> Result<Asked, AppError> {
        read_query(&READER, &pairs(list), handling, SIZES)
    }

    fn lenient(name: &str, value: &str) -> Asked {
        read(&[(name, value)], Handling::Lenient).expect(value)
    }

    #[test]
    fn result_parameters_are_read() {
        for (value, count) in [("0", 0), ("7", 7), ("900", 200), ("99999999999999999999", 200)] {
            assert_eq!(lenient("_count", value).count, count);
        }
        for (value, total) in
            [("none", AskedTotal::None), ("estimate", AskedTotal::Default), ("accurate", AskedTotal::Accurate)]
        {
            assert_eq!(lenient("_total", value).total, total);
        }
        let key = |by, direction| Sort { by, direction };
        for (value, sorts) in [
            ("family", vec![key(SortKey::String(2), Direction::Ascending)]),
            ("-birthdate", vec![key(SortKey::Date(4), Direction::Descending)]),
            ("name", vec![key(SortKey::String(2), Direction::Ascending)]),
            (
                "gender,-_lastUpdated,_id",
                vec![
                    key(SortKey::Token(17), Direction::Ascending),
                    key(SortKey::LastUpdated, Direction::Descending),
                    key(SortKey::Id, Direction::Ascending),
                ],
            ),
        ] {
            assert_eq!(lenient("_sort", value).sort, sorts, "{value}");
        }
        assert_eq!((lenient("_summary", "count").count, lenient("_summary", "true").count), (0, 20));
        assert_eq!(lenient("_page", "abc").page.as_deref(), Some("abc"));
    }

    #[test]
    fn what_comes_along_is_named_by_type_and_parameter() {
        let names =
            |value: &str, way| include(value, way, Reach::Matches).map(|found| (found.source, found.parameters));
        assert_eq!(names("Patient:organization", Way::Forward), Some(("Patient", vec![21])));
        assert_eq!(names("Patient:link:RelatedPerson", Way::Forward), Some(("Patient", vec![20])));
        assert_eq!(names("Patient:*", Way::Forward), Some(("Patient", vec![18, 20, 21])));
        assert_eq!(names("Provenance:target", Way::Reverse), Some(("Provenance", vec![170])));
        for value in ["Patient", "Patient:family", "Observation:subject", "Patient:organization:Patient", ""] {
            assert_eq!(names(value, Way::Forward), None, "{value}");
        }
        assert_eq!(lenient("_include:iterate", "Patient:link").includes[0].reach, Reach::Iterate);
    }

    #[test]
    fn values_that_cannot_be_read_are_refused_with_their_parameter() {
        for (name, value) in [
            ("_count", "x"),
            ("_count", "-1"),
            ("_count", ""),
            ("_total", "all"),
            ("_sort", "_id,_id,_id,_id"),
            ("birthdate", "1980-13"),
            ("_id", "\0"),
        ] {
            let error = read(&[(name, value)], Handling::Lenient).expect_err("refused");
            assert_eq!(error.issues[0].expression, [format!("http.{name}")], "{value}");
        }
        let many = [("_id", "1,2,3"), ("family", "a,b,c")];
        assert!(read(&many, Handling::Lenient).is_err(), "more values together than are looked up");
        assert!(read(&[("family", "a"); 51], Handling::Lenient).is_err());
    }

    #[test]
    fn unknown_parameters_are_said_or_refused() {
        let asked = read(&[("shoe", "44"), ("family", "a")], Handling::Lenient).expect("read");
        assert_eq!((asked.issues.len(), asked.understood), (1, pairs(&[("family", "a")])));
        for (name, value) in [("shoe", "44"), ("_sort", "shoe"), ("_include", "Patient:shoe")] {
            assert_eq!(lenient(name, value).issues.len(), 1, "{name}");
            assert!(read(&[(name, value)], Handling::Strict).is_err(), "{name}");
        }
    }
}
