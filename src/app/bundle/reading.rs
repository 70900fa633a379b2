//! Reads and searches inside a Bundle: in a transaction they see what it has written (FHIR R4 RESTful API, transaction).
//!
//! All that needs no database is done outside of the lock. Not here: what a read or a search is (see `read`, `search`).

use std::sync::Arc;

use crate::app::App;
use crate::app::context::{Caller, Context};
use crate::app::create::stored_kind;
use crate::app::error::AppError;
use crate::app::incoming::{ResourceKind, check_id};
use crate::app::read::{ReadCondition, Version, check_own_version, check_seen, find_version, no_such};
use crate::app::search::link::pairs_of;
use crate::app::search::{AUDIT_EVENT, Handling, PreparedSearch};
use crate::audit::AuditRecord;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::moment;
use crate::profile::artifact::ARTIFACT_TYPES;
use crate::store::Connection;
use crate::store::resource::Resource;

use super::answer::{AnsweredContent, AnsweredVersion, EntryAnswer};
use super::entry::{Request, Url};

/// A read or a search, ready to be done.
#[derive(Clone)]
pub struct Reading {
    wanted: Wanted,
    condition: ReadCondition,
    is_head: bool,
    /// Of this server, to tell its own absolute references.
    base_url: String,
}

#[derive(Clone)]
enum Wanted {
    Resource { kind: ResourceKind, id: String, version: Version },
    Search(Arc<PreparedSearch>),
}

impl App {
    /// What stands at an address.
    ///
    /// # Errors
    /// `Invalid` for an address that cannot be read or searched, `NotFound` for an unknown type.
    pub(super) fn reading(
        &self,
        ctx: &Context,
        url: Url<'_>,
        request: &Request,
        is_head: bool,
    ) -> Result<Reading, AppError> {
        let wanted = match url {
            Url::Type(name) => self.searching(ctx, name, "")?,
            Url::Query(name, query) => self.searching(ctx, name, query)?,
            Url::Id(name, id, query) => {
                check_whole(query)?;
                resource(name, id, Version::Current)?
            }
            Url::Version(name, id, version) => resource(name, id, Version::parse(version))?,
            Url::Other => return Err(super::task::unknown_address()),
        };
        let base_url = self.config.server.base_url.clone();
        Ok(Reading { wanted, condition: condition(request)?, is_head, base_url })
    }

    fn searching(&self, ctx: &Context, name: &str, query: &str) -> Result<Wanted, AppError> {
        check_whole(query)?;
        let prepared = self.prepare_search(ctx, kind(name)?, &pairs_of(query), Handling::Lenient)?;
        Ok(Wanted::Search(Arc::new(prepared)))
    }
}

fn resource(name: &str, id: &str, version: Version) -> Result<Wanted, AppError> {
    check_id(id)?;
    Ok(Wanted::Resource { kind: kind(name)?, id: id.to_owned(), version })
}

/// FHIR R4 Bundle.entry.request.ifModifiedSince is an instant, not the date of the header.
fn condition(request: &Request) -> Result<ReadCondition, AppError> {
    let modified_since_us = match request.if_modified_since.as_deref().map(moment::instant_us) {
        None => None,
        Some(Some(us)) => Some(us),
        Some(None) => {
            let text = "The value is not an instant.";
            let issue = Issue::error(IssueCode::Value, text).at("http.if-modified-since");
            return Err(AppError::invalid(vec![issue]));
        }
    };
    Ok(ReadCondition { if_none_match: request.if_none_match.clone(), modified_since_us })
}

/// A page or a resource inside a Bundle is whole: what asks for a part of it is refused, not passed over.
fn check_whole(query: &str) -> Result<(), AppError> {
    match pairs_of(query).iter().find(|(name, _)| matches!(name.as_str(), "_summary" | "_elements")) {
        None => Ok(()),
        Some((name, _)) => {
            let text = "Parts of resources are not read inside a Bundle.";
            let issue = Issue::error(IssueCode::NotSupported, text).at(format!("http.{name}"));
            Err(AppError::invalid(vec![issue]))
        }
    }
}

fn kind(name: &str) -> Result<ResourceKind, AppError> {
    if name == AUDIT_EVENT || ARTIFACT_TYPES.contains(&name) {
        let text = "Resources of this type are not read inside a Bundle.";
        return Err(AppError::invalid(vec![Issue::error(IssueCode::NotSupported, text).at("http")]));
    }
    stored_kind(name)
}

impl Reading {
    /// Whether it is a search.
    #[must_use]
    pub const fn is_search(&self) -> bool {
        matches!(self.wanted, Wanted::Search(_))
    }

    /// Reads, and notes in `audit` what was seen.
    ///
    /// # Errors
    /// As the read or search alone.
    pub fn read(
        &self,
        caller: &Caller,
        conn: &mut Connection,
        audit: &mut AuditRecord,
    ) -> Result<EntryAnswer, AppError> {
        match &self.wanted {
            Wanted::Resource { kind, id, version } => {
                let address = format!("{}/{id}", kind.name());
                audit.detail.records.push(address);
                let constraint = caller.read_constraint(kind.name());
                check_seen(conn, &constraint, *kind, id)?;
                let found = find_version(conn, *kind, id, *version)?;
                // A version has its own label and its own subject too, and a caller who has it already is told that it is there.
                if !caller.may_see(&found.body) {
                    return Err(no_such());
                }
                check_own_version(conn, &constraint, &found, &self.base_url)?;
                Ok(self.answer(*kind, found))
            }
            Wanted::Search(search) => {
                let found = search.run(conn)?;
                audit.detail.records.extend(found.addresses());
                let content = if self.is_head {
                    AnsweredContent::Nothing
                } else {
                    AnsweredContent::Found(Arc::clone(search), found)
                };
                Ok(EntryAnswer { status: 200, version: None, content })
            }
        }
    }

    /// `If-None-Match` of a read: what the caller has already is not sent again (FHIR R4 RESTful API, conditional read).
    fn answer(&self, kind: ResourceKind, found: Resource) -> EntryAnswer {
        let Resource { id, version, updated_us, body, .. } = found;
        let has_it = self.condition.is_unchanged(version, updated_us);
        let version = AnsweredVersion { resource_type: kind.name(), id, version, updated_us };
        let content = if has_it || self.is_head { AnsweredContent::Nothing } else { AnsweredContent::Read(body) };
        EntryAnswer { status: if has_it { 304 } else { 200 }, version: Some(version), content }
    }
}
