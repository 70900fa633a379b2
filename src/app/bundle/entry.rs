//! A Bundle as received, and what each of its entries asks: FHIR R4 Bundle, `entry.request`.
//!
//! What: the frame is judged as base R4, the resources inside are left to their interactions; an address is split into its
//! parts. Not here: doing any of it (see `transaction`, `batch`).

use serde_json::value::RawValue;

use crate::app::error::AppError;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::{Limits, Value, parse};
use crate::fhir::splice::members;
use crate::profile::Profiles;

use super::place::entry_of;

/// FHIR R4 Bundle.type, those that ask for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    Transaction,
    Batch,
}

/// A Bundle that asks.
#[derive(Debug)]
pub struct Received {
    pub kind: BundleKind,
    pub entries: Vec<Entry>,
}

/// One entry; `problems` are those of its frame.
#[derive(Debug, Clone)]
pub struct Entry {
    /// From 0.
    pub number: usize,
    pub full_url: Option<String>,
    pub request: Request,
    /// The resource as it was written.
    pub resource: Option<String>,
    pub problems: Vec<Issue>,
}

/// FHIR R4 Bundle.entry.request, as text.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<String>,
    pub if_none_exist: Option<String>,
}

/// An address, relative to the base of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Url<'a> {
    /// `Patient`
    Type(&'a str),
    /// `Patient?QUERY`
    Query(&'a str, &'a str),
    /// `Patient/ID`, with what follows a question mark.
    Id(&'a str, &'a str, &'a str),
    /// `Patient/ID/_history/VERSION`
    Version(&'a str, &'a str, &'a str),
    /// Anything else: an operation, a history, an address of another server.
    Other,
}

impl<'a> Url<'a> {
    /// Splits an address; one of this server may be absolute.
    #[must_use]
    pub fn split(url: &'a str, base_url: &str) -> Self {
        let relative = url.strip_prefix(base_url).unwrap_or(url);
        let relative = relative.strip_prefix('/').unwrap_or(relative);
        let (path, query) = relative.split_once('?').map_or((relative, None), |(path, query)| (path, Some(query)));
        let mut steps = path.split('/');
        let parts = [steps.next(), steps.next(), steps.next(), steps.next(), steps.next()];
        let is_name = |step: &str| !step.is_empty() && !step.starts_with(['$', '_']) && !step.contains(':');
        match (parts, query) {
            ([Some(kind), None, ..], None) if is_name(kind) => Self::Type(kind),
            ([Some(kind), None, ..], Some(query)) if is_name(kind) => Self::Query(kind, query),
            ([Some(kind), Some(id), None, ..], query) if is_name(kind) && is_name(id) => {
                Self::Id(kind, id, query.unwrap_or_default())
            }
            ([Some(kind), Some(id), Some("_history"), Some(version), None], None) if is_name(kind) && is_name(id) => {
                Self::Version(kind, id, version)
            }
            _ => Self::Other,
        }
    }
}

/// Reads a Bundle of at most `entries_max` entries.
///
/// # Errors
/// `Invalid` or `TooLarge` for what is no Bundle that asks for something.
pub fn read(body: &[u8], limits: &Limits, entries_max: usize, profiles: &Profiles) -> Result<Received, AppError> {
    let mut bundle = parse(body, limits).map_err(|issue| AppError::invalid(vec![issue]))?;
    let kind = bundle_kind(&bundle)?;
    if bundle.list("entry").len() > entries_max {
        let text = format!("The Bundle has more than {entries_max} entries.");
        return Err(AppError::invalid(vec![Issue::error(IssueCode::TooLong, text).at("Bundle.entry")]));
    }
    let mut problems = without_request(&bundle);
    problems.extend(repeated_urls(&bundle));
    take_resources(&mut bundle);
    problems.extend(profiles.validate_base(&bundle));
    // A problem that is none of an entry is one of the Bundle; so is a list of them that was cut short.
    if problems.iter().any(|issue| place_of(issue).is_none()) {
        return Err(AppError::invalid(problems));
    }
    // UTF-8 was checked by the parser.
    let text = String::from_utf8_lossy(body);
    let mut entries = entries(&bundle, &resources(&text)?);
    for issue in problems {
        if let Some(entry) = place_of(&issue).and_then(|number| entries.get_mut(number)) {
            entry.problems.push(issue);
        }
    }
    Ok(Received { kind, entries })
}

fn place_of(issue: &Issue) -> Option<usize> {
    issue.expression.first().and_then(|place| entry_of(place))
}

fn bundle_kind(bundle: &Value<'_>) -> Result<BundleKind, AppError> {
    let refuse = |code, text: &str, place: &str| Err(AppError::invalid(vec![Issue::error(code, text).at(place)]));
    if bundle.text("resourceType") != Some("Bundle") {
        return refuse(IssueCode::Invalid, "The body must be a Bundle resource.", "resourceType");
    }
    match bundle.text("type") {
        Some("transaction") => Ok(BundleKind::Transaction),
        Some("batch") => Ok(BundleKind::Batch),
        Some(_) => refuse(IssueCode::Invalid, "The Bundle must be a transaction or a batch.", "Bundle.type"),
        None => {
            refuse(IssueCode::Required, "The Bundle must say whether it is a transaction or a batch.", "Bundle.type")
        }
    }
}

/// FHIR R4 Bundle, bdl-3.
fn without_request(bundle: &Value<'_>) -> Vec<Issue> {
    let lacks = |entry: &Value<'_>| matches!(entry, Value::Object(_)) && entry.get("request").is_none();
    let numbers = bundle.list("entry").iter().enumerate().filter(|(_, entry)| lacks(entry)).map(|(number, _)| number);
    let issue = |number| {
        let text = "An entry of a transaction or batch says what it asks for.";
        Issue::error(IssueCode::Required, text).at(format!("Bundle.entry[{number}].request"))
    };
    numbers.map(issue).collect()
}

/// FHIR R4 Bundle, bdl-7.
fn repeated_urls(bundle: &Value<'_>) -> Vec<Issue> {
    let mut seen = std::collections::HashSet::new();
    let entries = bundle.list("entry").iter().enumerate();
    let urls = entries.filter_map(|(number, entry)| entry.text("fullUrl").map(|url| (number, url)));
    let issue = |(number, _)| {
        let text = "Another entry has the same fullUrl.";
        Issue::error(IssueCode::Duplicate, text).at(format!("Bundle.entry[{number}].fullUrl"))
    };
    urls.filter(|(_, url)| !seen.insert(*url)).map(issue).collect()
}

/// What stays of an entry is its frame.
fn take_resources(bundle: &mut Value<'_>) {
    let Value::Object(object) = bundle else { return };
    let Some(Value::Array(entries)) = object.get_mut("entry") else { return };
    for entry in entries {
        if let Value::Object(entry) = entry
            && entry.len() > 1
            && matches!(entry.get("resource"), Some(Value::Object(_)))
        {
            entry.remove("resource");
        }
    }
}

fn entries(bundle: &Value<'_>, resources: &[Option<&RawValue>]) -> Vec<Entry> {
    let entry = |(number, entry): (usize, &Value<'_>)| Entry {
        number,
        full_url: entry.text("fullUrl").map(str::to_owned),
        request: entry.get("request").map(request).unwrap_or_default(),
        resource: resources.get(number).copied().flatten().map(|raw| raw.get().to_owned()),
        problems: Vec::new(),
    };
    bundle.list("entry").iter().enumerate().map(entry).collect()
}

fn request(request: &Value<'_>) -> Request {
    let text = |name| request.text(name).map(str::to_owned);
    Request {
        method: text("method").unwrap_or_default(),
        url: text("url").unwrap_or_default(),
        if_match: text("ifMatch"),
        if_none_match: text("ifNoneMatch"),
        if_modified_since: text("ifModifiedSince"),
        if_none_exist: text("ifNoneExist"),
    }
}

/// The resources of the entries as they were written.
fn resources(text: &str) -> Result<Vec<Option<&RawValue>>, AppError> {
    let broken = |_| AppError::internal();
    let bundle = members(text).map_err(broken)?;
    let Some((_, list)) = bundle.iter().find(|(name, _)| name == "entry") else { return Ok(Vec::new()) };
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(broken)?;
    Ok(list.into_iter().map(resource_of).collect())
}

/// An entry that is no object has a problem already.
fn resource_of(entry: &RawValue) -> Option<&RawValue> {
    members(entry.get()).ok()?.into_iter().find(|(name, _)| name == "resource").map(|(_, value)| value)
}
