//! FHIR search of the stored types: parameters in, one page out (FHIR R4 Search).
//!
//! Unknown parameters are ignored and said so, or refused under `handling=strict`. A page goes on behind the last
//! resource of the one before, so that writes between pages neither repeat nor hide one that was there all along; the
//! link to it is sealed. Not here: SQL (see `store::search`).

pub mod condition;
mod include;
pub mod link;
pub mod page_token;
pub mod query;
mod value;

use crate::audit::Action;
use crate::config::Config;
use crate::fhir::issue::{Issue, IssueCode};
use crate::store::resource::{Position, Resource, SearchPage, SearchQuery, Total, search};
use crate::store::{Connection, transaction};

use super::App;
use super::context::{Caller, Context};
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::ResourceKind;
use condition::{Reader, refuse};
use include::AlongMax;
use page_token::{Continuation, PageKey};
use query::{Asked, AskedTotal, PageSizes, read_query};

/// What to do with parameters that are not known (`Prefer: handling=…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    Lenient,
    Strict,
}

/// Why a resource is in an answer (FHIR R4 `search-entry-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Match,
    Include,
}

/// A resource of a page, as stored.
#[derive(Debug, Clone)]
pub struct Entry {
    pub resource_type: String,
    pub id: String,
    pub body: String,
    pub mode: Mode,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Of all pages, where it was counted.
    pub total: Option<u64>,
    /// Matches in their order, then what comes along.
    pub entries: Vec<Entry>,
    pub self_link: String,
    pub next_link: Option<String>,
    pub issues: Vec<Issue>,
}

/// A search that is about to run: what was asked, and where it goes on.
pub(super) struct Paged {
    pub asked: Asked,
    pub after: Option<Position>,
    /// As counted for the first page.
    pub total: Option<i64>,
}

/// A search that only needs a connection.
pub struct PreparedSearch {
    paged: Paged,
    query: SearchQuery,
    includes_max: usize,
    /// Of a page and what comes along with it.
    bytes_max: usize,
    caller: Caller,
}

/// What a search has found.
#[derive(Debug, Clone)]
pub struct Found {
    page: SearchPage,
    along: include::Along,
}

impl PreparedSearch {
    /// Reads the page and what comes along, of what is there for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn run(&self, conn: &mut Connection) -> Result<Found, AppError> {
        let page = search(conn, &self.query)?;
        let taken = page.rows.iter().map(|row| row.body.len()).sum::<usize>();
        let max = AlongMax { bytes: bytes(self.bytes_max.saturating_sub(taken)), rows: self.includes_max };
        let along = include::find(conn, &self.caller, &self.paged.asked.includes, &page.rows, max)?;
        Ok(Found { page, along })
    }
}

impl Found {
    /// Of the resources that were found.
    pub(super) fn bytes(&self) -> usize {
        self.page.rows.iter().chain(&self.along.rows).map(|row| row.body.len()).sum()
    }

    /// `Type/id` of everything that was found.
    pub(super) fn addresses(&self) -> impl Iterator<Item = String> {
        self.page.rows.iter().chain(&self.along.rows).map(address)
    }
}

/// Where something is to come along, the matches leave it half of the room: a further page has further matches, and what is
/// left out of what comes along is on no page.
fn matches_bytes_max(asked: &Asked, page_bytes_max: usize) -> i64 {
    bytes(if asked.includes.is_empty() { page_bytes_max } else { page_bytes_max / 2 })
}

pub(super) fn bytes(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn address(row: &Resource) -> String {
    format!("{}/{}", row.resource_type, row.id)
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
            if resource_type == AUDIT_EVENT {
                return self.search_audit_events(ctx, audit, pairs, handling);
            }
            let kind = stored_kind(resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            let prepared = self.prepare_search(ctx, kind, pairs, handling)?;
            audit.detail.query = Some(prepared.paged.asked.names(kind.name()));
            let mut conn = self.connection()?;
            let found = transaction::read_snapshot(&mut conn, |conn| prepared.run(conn))?;
            drop(conn);
            audit.detail.records = found.page.rows.iter().map(|row| row.id.clone()).collect();
            audit.detail.records.extend(found.along.rows.iter().map(address));
            self.page_of(ctx, &prepared, found)
        })
    }

    /// All of a search that needs no database.
    ///
    /// # Errors
    /// `Invalid` for values that cannot be searched for.
    pub(super) fn prepare_search(
        &self,
        ctx: &Context,
        kind: ResourceKind,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<PreparedSearch, AppError> {
        let mut paged = self.read_page(ctx, kind.name(), pairs, handling)?;
        include::keep_permitted(&ctx.caller, &mut paged.asked);
        let query = SearchQuery {
            resource_type: kind.name().to_owned(),
            conditions: paged.asked.conditions.clone(),
            constraint: ctx.caller.search_constraint(kind.name()),
            sort: paged.asked.sort.clone(),
            after: paged.after.clone(),
            count: paged.asked.count,
            bytes_max: matches_bytes_max(&paged.asked, self.config.limits.page_bytes_max),
            total: self.total_of(&paged),
        };
        let includes_max = self.config.limits.search_includes_max;
        let bytes_max = self.config.limits.page_bytes_max;
        Ok(PreparedSearch { paged, query, includes_max, bytes_max, caller: ctx.caller.clone() })
    }

    /// The search that is asked for, or the one that a link goes on with.
    pub(super) fn read_page(
        &self,
        ctx: &Context,
        resource_type: &str,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Paged, AppError> {
        self.read_page_of(ctx, (resource_type, resource_type), pairs, handling)
    }

    /// The same, where links are to another address than that of the type.
    pub(super) fn read_page_of(
        &self,
        ctx: &Context,
        (resource_type, list): (&str, &str),
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Paged, AppError> {
        let reader = search_reader(&self.config, ctx, resource_type);
        let limits = &self.config.limits;
        let sizes = PageSizes { size: limits.page_size, size_max: limits.page_size_max };
        let asked = read_query(&reader, pairs, handling, sizes)?;
        let Some(token) = &asked.page else { return Ok(Paged { asked, after: None, total: None }) };
        let holder = ctx.caller.page_holder(list);
        let further = Continuation::open(token, &self.page_key, &holder).ok_or_else(|| {
            let text = "The link to this page is not one of this server, or of another search.";
            refuse(IssueCode::Value, text, "http._page")
        })?;
        let further_asked = read_query(&reader, &further.pairs, Handling::Lenient, sizes)?;
        let asked = Asked { presentation: asked.presentation, issues: asked.issues, ..further_asked };
        Ok(Paged { asked, after: Some(further.position()), total: further.total })
    }

    /// Further pages carry the total of the first one.
    pub(super) fn total_of(&self, paged: &Paged) -> Total {
        match paged.asked.total {
            _ if paged.after.is_some() => Total::None,
            AskedTotal::None => Total::None,
            AskedTotal::Accurate => Total::Accurate,
            AskedTotal::Default => Total::UpTo(i64::from(self.config.limits.search_total_max)),
        }
    }

    /// The page that is answered.
    ///
    /// # Errors
    /// `Internal` when the link to the next page cannot be sealed.
    pub(super) fn page_of(&self, ctx: &Context, prepared: &PreparedSearch, found: Found) -> Result<Page, AppError> {
        let (paged, Found { page, along }) = (&prepared.paged, found);
        let SearchPage { rows, total, next } = page;
        let total = paged.total.or(total);
        let (self_link, next_link) = self.links(ctx, &prepared.query.resource_type, &paged.asked, next, total)?;
        let mut issues = paged.asked.issues.clone();
        if along.is_cut {
            let text = "More resources come along than are returned (_include, _revinclude); some are left out.";
            issues.push(Issue::warning(IssueCode::Incomplete, text));
        }
        let matches = rows.into_iter().map(|row| Entry::of(row, Mode::Match));
        let along = along.rows.into_iter().map(|row| Entry::of(row, Mode::Include));
        // The search gives nothing that is restricted; should it ever, the rest of the page leaves all the same.
        let outgoing = |entry: Entry| {
            let body = ctx.caller.outgoing_if_seen(entry.body)?;
            Ok(body.map(|body| Entry { body, resource_type: entry.resource_type, id: entry.id, mode: entry.mode }))
        };
        let entries = matches.chain(along).filter_map(|entry| outgoing(entry).transpose());
        let entries = entries.collect::<Result<_, AppError>>()?;
        let total = total.map(|total| u64::try_from(total).unwrap_or(0));
        Ok(Page { total, entries, self_link, next_link, issues })
    }

    /// The search as it was understood, form of the answer included (FHIR R4 Search, self link), and the sealed link to the next page.
    pub(super) fn links(
        &self,
        ctx: &Context,
        resource_type: &str,
        asked: &Asked,
        next: Option<Position>,
        total: Option<i64>,
    ) -> Result<(String, Option<String>), AppError> {
        let base = format!("{}/{resource_type}", self.config.server.base_url);
        let holder = ctx.caller.page_holder(resource_type);
        let seal = |next| {
            let further = Continuation::new(asked.understood.clone(), next, total);
            let token = further.seal(&self.page_key, &holder, &(ctx.clock.uuid)()).ok_or_else(AppError::internal)?;
            let mut pairs = asked.presentation.clone();
            pairs.push(("_page".to_owned(), token));
            Ok::<_, AppError>(link::link(&base, &pairs))
        };
        let stated: Vec<_> = asked.understood.iter().chain(&asked.presentation).cloned().collect();
        Ok((link::link(&base, &stated), next.map(seal).transpose()?))
    }
}

/// What values of a search over `resource_type` are read by.
#[must_use]
pub fn search_reader<'a>(config: &'a Config, ctx: &Context, resource_type: &'a str) -> Reader<'a> {
    Reader {
        resource_type,
        base_url: &config.server.base_url,
        now_us: ctx.now_us,
        values_max: config.limits.search_values_max,
    }
}

/// Searched by rows of the audit, not of resources.
pub const AUDIT_EVENT: &str = "AuditEvent";

impl Entry {
    fn of(row: Resource, mode: Mode) -> Self {
        Self { resource_type: row.resource_type, id: row.id, body: row.body, mode }
    }
}

/// The name under which the store keeps the key of page links.
pub(super) const PAGE_KEY: &str = "page-link";

/// The key of this store, made when it has none.
pub(super) fn page_key(
    conn: &mut crate::store::Connection,
    clock: super::clock::Clock,
) -> Result<PageKey, crate::store::StoreError> {
    crate::store::secret::get_or_insert(conn, PAGE_KEY, (clock.secret)(), (clock.now_us)()).map(PageKey::new)
}
