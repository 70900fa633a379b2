//! Reads and searches inside a Bundle: in a transaction they see what it has written (FHIR R4 RESTful API, transaction).
//!
//! Not here: what a read or a search is (see `read`, `search`).

use crate::app::context::Context;
use crate::app::create::stored_kind;
use crate::app::error::AppError;
use crate::app::incoming::{ResourceKind, check_id};
use crate::app::read::{Version, find_version};
use crate::app::write::Desk;
use crate::audit::AuditRecord;
use crate::store::Connection;
use crate::store::resource::Resource;

use super::answer::{AnsweredContent, AnsweredVersion, EntryAnswer};
use super::entry::{Request, Url};

/// A read or a search.
#[derive(Debug, Clone)]
pub struct Reading {
    pub wanted: Wanted,
    if_none_match: Option<String>,
    is_head: bool,
}

/// What is to be read.
#[derive(Debug, Clone)]
pub enum Wanted {
    Resource { resource_type: String, id: String, version: Version },
    Search { resource_type: String, query: String },
}

impl Wanted {
    /// What stands at an address; `None` when nothing is served there.
    #[must_use]
    pub fn of(url: Url<'_>) -> Option<Self> {
        let resource = |resource_type: &str, id: &str, version| Self::Resource {
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
            version,
        };
        let search = |resource_type: &str, query: &str| Self::Search {
            resource_type: resource_type.to_owned(),
            query: query.to_owned(),
        };
        match url {
            Url::Type(name) => Some(search(name, "")),
            Url::Query(name, query) => Some(search(name, query)),
            Url::Id(name, id, _) => Some(resource(name, id, Version::Current)),
            Url::Version(name, id, version) => Some(resource(name, id, Version::parse(version))),
            Url::Other => None,
        }
    }
}

impl Reading {
    #[must_use]
    pub fn new(wanted: Wanted, request: &Request, is_head: bool) -> Self {
        Self { wanted, if_none_match: request.if_none_match.clone(), is_head }
    }
}

impl Desk {
    /// Reads for an entry, and notes in `audit` what was seen.
    ///
    /// # Errors
    /// As the read or search alone.
    pub(super) fn read(
        &self,
        ctx: &Context,
        conn: &mut Connection,
        reading: &Reading,
        audit: &mut AuditRecord,
    ) -> Result<EntryAnswer, AppError> {
        match &reading.wanted {
            Wanted::Resource { resource_type, id, version } => {
                check_id(id)?;
                let kind = stored_kind(resource_type)?;
                let found = find_version(conn, kind, id, *version)?;
                audit.detail.records.push(noted(audit, kind, &found.id));
                Ok(reading.answer(kind, found))
            }
            Wanted::Search { .. } => Err(AppError::internal()),
        }
    }
}

/// The row of a single read has its type already.
fn noted(audit: &AuditRecord, kind: ResourceKind, id: &str) -> String {
    if audit.resource_type.is_some() { id.to_owned() } else { format!("{}/{id}", kind.name()) }
}

impl Reading {
    /// `If-None-Match` of a read: what the caller has already is not sent again (FHIR R4 RESTful API, conditional read).
    fn answer(&self, kind: ResourceKind, found: Resource) -> EntryAnswer {
        let Resource { id, version, updated_us, body, .. } = found;
        let etag = format!("W/\"{version}\"");
        let has_it = self.if_none_match.as_deref().is_some_and(|known| known.split(',').any(|one| one.trim() == etag));
        let version = AnsweredVersion { resource_type: kind.name(), id, version, updated_us };
        let content = if has_it || self.is_head { AnsweredContent::Nothing } else { AnsweredContent::Read(body) };
        EntryAnswer { status: if has_it { 304 } else { 200 }, version: Some(version), content }
    }
}
