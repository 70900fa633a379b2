//! The references between the entries of a Bundle: FHIR R4 RESTful API, transaction processing rules; Bundle, resolving
//! references.
//!
//! What: an entry is called by its `fullUrl`, and by `Type/id` among entries whose addresses begin alike; those names give
//! way to the addresses that the resources get. Not here: rewriting documents (see `fhir::references`).

use std::collections::{HashMap, HashSet};

use crate::app::conditional::Criteria;
use crate::app::context::Context;
use crate::app::create::stored_kind;
use crate::app::error::{AppError, ErrorKind};
use crate::app::incoming::ResourceKind;
use crate::config::Config;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::Value;
use crate::fhir::path::Path;
use crate::fhir::references::replace;

/// From the names that entries have inside a Bundle to their addresses here.
#[derive(Debug, Clone, Default)]
pub struct Names {
    absolute: HashMap<String, String>,
    /// By the beginning of a `fullUrl`: `Type/id` to an address.
    relative: HashMap<String, HashMap<String, String>>,
}

impl Names {
    /// The entry called `full_url` gets `address`.
    pub fn insert(&mut self, full_url: &str, address: &str) {
        self.absolute.insert(full_url.to_owned(), address.to_owned());
        if let Some((base, relative)) = split_restful(full_url)
            && relative != address
        {
            self.relative.entry(base.to_owned()).or_default().insert(relative.to_owned(), address.to_owned());
        }
    }

    /// Whether a document of the entry called `full_url` has to be written anew.
    #[must_use]
    pub fn concern(&self, full_url: Option<&str>, document: &Value<'_>) -> bool {
        let relative = self.relative_to(full_url);
        let is_name =
            |text: &str| self.absolute.contains_key(text) || relative.is_some_and(|map| map.contains_key(text));
        !self.absolute.is_empty() && has_link(document, &is_name)
    }

    /// `document` with the addresses in place of the names.
    ///
    /// # Errors
    /// `Internal` for what is no JSON; it was parsed before.
    pub fn settle(&self, full_url: Option<&str>, document: &str) -> Result<String, AppError> {
        // Each link is looked up once: an address that takes the place of a name must not be taken for one itself.
        let mut names = self.relative_to(full_url).cloned().unwrap_or_default();
        names.extend(self.absolute.iter().map(|(name, address)| (name.clone(), address.clone())));
        replace(document, &names).map_err(|_| AppError::internal())
    }

    /// `document` after a patch: most of it was there before, and only names made for this Bundle can be of it.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub fn settle_patched(&self, document: &str) -> Result<String, AppError> {
        let made = |(name, _): &(&String, &String)| name.starts_with("urn:");
        let names: HashMap<String, String> =
            self.absolute.iter().filter(made).map(|(name, address)| (name.clone(), address.clone())).collect();
        replace(document, &names).map_err(|_| AppError::internal())
    }

    fn relative_to(&self, full_url: Option<&str>) -> Option<&HashMap<String, String>> {
        self.relative.get(split_restful(full_url?)?.0)
    }

    fn knows(&self, reference: &str) -> bool {
        self.absolute.contains_key(reference)
    }
}

/// `http://example.org/fhir` and `Patient/1` of an address of a resource (FHIR R4 References, literal references).
fn split_restful(url: &str) -> Option<(&str, &str)> {
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    let id_at = url.rfind('/').filter(|_| is_http)?;
    let type_at = url[..id_at].rfind('/')?;
    let relative = &url[type_at + 1..];
    let begins_type = relative.starts_with(|letter: char| letter.is_ascii_uppercase());
    (begins_type && id_at + 1 < url.len()).then_some((&url[..type_at], relative))
}

/// Whether a text of `value` is a link that `is_name` knows, or may hold one as a narrative does.
fn has_link(value: &Value<'_>, is_name: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => {
            is_name(text) || (text.starts_with('<') && (text.contains("href") || text.contains("src")))
        }
        Value::Array(items) => items.iter().any(|item| has_link(item, is_name)),
        Value::Object(object) => object.iter().any(|(_, value)| has_link(value, is_name)),
        _ => false,
    }
}

/// A reference by criteria, as written, and what it asks for.
#[derive(Debug, Clone)]
pub struct Conditional {
    pub written: String,
    pub kind: ResourceKind,
    pub criteria: Criteria,
}

/// The references of `document` by criteria, each once (FHIR R4 RESTful API, conditional references).
///
/// # Errors
/// `Invalid` with every reference that cannot be settled: criteria that cannot be searched for, and names of no entry.
pub fn find_conditional(
    ctx: &Context,
    config: &Config,
    names: &Names,
    document: &Value<'_>,
) -> Result<Vec<Conditional>, AppError> {
    find_unsettled(ctx, config, names, HashSet::new(), document)
}

/// As [`find_conditional`], of the references that a patch has brought into `document`: those of `before` are left alone.
///
/// # Errors
/// As [`find_conditional`].
pub fn find_patched(
    ctx: &Context,
    config: &Config,
    names: &Names,
    before: &Value<'_>,
    document: &Value<'_>,
) -> Result<Vec<Conditional>, AppError> {
    let mut there = HashSet::new();
    add_references(before, &mut there);
    find_unsettled(ctx, config, names, there, document)
}

fn find_unsettled(
    ctx: &Context,
    config: &Config,
    names: &Names,
    seen: HashSet<String>,
    document: &Value<'_>,
) -> Result<Vec<Conditional>, AppError> {
    let mut found = Found { ctx, config, names, seen, conditional: Vec::new(), issues: Vec::new(), refused: None };
    found.walk(document, &Path::root(document.text("resourceType").unwrap_or("Resource")));
    match found.refused {
        Some(refused) => Err(refused),
        None if found.issues.is_empty() => Ok(found.conditional),
        None => Err(AppError::invalid(found.issues)),
    }
}

fn add_references(value: &Value<'_>, all: &mut HashSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_references(item, all)),
        Value::Object(object) => {
            all.extend(value.text("reference").map(str::to_owned));
            object.iter().for_each(|(_, member)| add_references(member, all));
        }
        _ => {}
    }
}

/// Whether a patch has a text that may become a reference by criteria: it waits for what the others write.
#[must_use]
pub fn has_criteria(patch: &Value<'_>) -> bool {
    match patch {
        Value::String(text) => text.split_once('?').is_some_and(|(name, _)| stored_kind(name).is_ok()),
        Value::Array(items) => items.iter().any(has_criteria),
        Value::Object(object) => object.iter().any(|(_, member)| has_criteria(member)),
        _ => false,
    }
}

struct Found<'f> {
    ctx: &'f Context,
    config: &'f Config,
    names: &'f Names,
    /// References that are not looked at again.
    seen: HashSet<String>,
    conditional: Vec<Conditional>,
    issues: Vec<Issue>,
    /// That the caller may not ask so.
    refused: Option<AppError>,
}

impl Found<'_> {
    fn walk(&mut self, value: &Value<'_>, path: &Path<'_>) {
        match value {
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(number, item)| self.walk(item, &path.index(number)));
            }
            Value::Object(object) => {
                for (name, member) in object.iter() {
                    match member {
                        Value::String(text) if name == "reference" => self.reference(text, &path.member(name)),
                        member => self.walk(member, &path.member(name)),
                    }
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, text: &str, path: &Path<'_>) {
        if text.starts_with("urn:uuid:") || text.starts_with("urn:oid:") {
            if !self.names.knows(text) && !self.seen.contains(text) {
                let why = "The reference names no entry of the Bundle that is stored.";
                self.issues.push(Issue::error(IssueCode::NotFound, why).at(path));
            }
            return;
        }
        let Some((name, query)) = text.split_once('?').filter(|(name, _)| is_type_name(name)) else { return };
        if !self.seen.insert(text.to_owned()) {
            return;
        }
        let place = path.to_string();
        let criteria = stored_kind(name)
            .map_err(|error| at(error, &place))
            .and_then(|kind| Ok((kind, Criteria::parse(self.ctx, self.config, kind, query, &place)?)));
        match criteria {
            Ok((kind, criteria)) => self.conditional.push(Conditional { written: text.to_owned(), kind, criteria }),
            Err(error) if matches!(error.kind, ErrorKind::Unauthorized | ErrorKind::Forbidden) => {
                self.refused.get_or_insert(at(error, &place));
            }
            Err(error) => self.issues.extend(error.issues),
        }
    }
}

fn is_type_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_alphabetic())
}

fn at(mut error: AppError, place: &str) -> AppError {
    error.issues.iter_mut().for_each(|issue| issue.expression = vec![place.to_owned()]);
    error
}
