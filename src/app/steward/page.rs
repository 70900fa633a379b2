//! Reviews and decisions page by page, each review with what speaks for it and against it.
//!
//! Pages go on by key, as those of a search do, and links to further pages are sealed like theirs: they hold record ids.
//! Not here: what waits and what was decided (see `queue`), FHIR resources made of it (see `http::render`).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::parse;
use crate::fhir::operation_parameters::{Definition, Kind, Occurs, OperationParameters};
use crate::identity;
use crate::matching::pool::IdentityMatch;
use crate::store::resource::{Position, SortValue};
use crate::store::review::{self, ReviewRow};
use crate::store::steward;
use crate::store::{Connection, record, transaction};

use super::check_steward;
use super::queue::{Decision, ReviewItem, decision, item};
use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::search::Handling;
use crate::app::search::condition::refuse;
use crate::app::search::link::link;
use crate::app::search::page_token::Continuation;
use crate::app::search::query::{is_presentation, read_count, unknown};

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub self_link: String,
    pub next_link: Option<String>,
    pub issues: Vec<Issue>,
}

/// A review that waits, and why somebody is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    pub item: ReviewItem,
    /// Other records of the identity that it asks about.
    pub members: Vec<String>,
    /// The record against those, comparison by comparison.
    pub found: Option<IdentityMatch>,
}

/// What the body of a POST asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListParameters {
    /// As the query of a GET has them.
    pub pairs: Vec<(String, String)>,
    pub warnings: Vec<Issue>,
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Reviews,
    Decisions,
}

impl List {
    /// The last part of its address.
    const fn name(self) -> &'static str {
        match self {
            Self::Reviews => "$review-queue",
            Self::Decisions => "$decisions",
        }
    }
}

/// Which page is asked for.
struct Wanted {
    count: u32,
    after: Option<Position>,
    understood: Vec<(String, String)>,
    presentation: Vec<(String, String)>,
    issues: Vec<Issue>,
}

impl App {
    /// Reviews that wait, in the order of record and identity.
    ///
    /// # Errors
    /// `Invalid` for parameters that cannot be meant.
    pub fn list_reviews(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Listed<Explained>, AppError> {
        self.answer(ctx, Action::ReviewQueue, |audit| {
            check_steward(ctx)?;
            let wanted = self.read_list(ctx, List::Reviews, pairs, handling)?;
            let after = wanted.after.as_ref().and_then(texts);
            let after = after.as_ref().map(|(record, identity)| (record.as_str(), identity.as_str()));
            let conn = &mut *self.connection()?;
            let (items, next) = transaction::read_snapshot(conn, |conn| {
                let mut rows = review::list(conn, after, wanted.count + 1)?;
                let next =
                    cut(&mut rows, wanted.count).map(|row| key(vec![row.record_id.clone(), row.identity_id.clone()]));
                Ok::<_, AppError>((self.explain_reviews(conn, rows)?, next))
            })?;
            audit.resource_type = Some("Patient".to_owned());
            audit.detail.records = items.iter().map(|one| one.item.record_id.clone()).collect();
            self.listed(ctx, List::Reviews, wanted, items, next)
        })
    }

    /// The pairs that the body of a POST stands for.
    ///
    /// # Errors
    /// `Invalid` for what is no input of the operation.
    pub fn read_list_parameters(&self, body: &[u8]) -> Result<ListParameters, AppError> {
        const TABLE: &[Definition] = &[
            Definition { name: "_count", kind: Kind::Positive, occurs: Occurs::AtMostOnce },
            Definition { name: "_page", kind: Kind::Text, occurs: Occurs::AtMostOnce },
        ];
        self.read_pairs(body, TABLE)
    }

    /// The pairs that a body stands for whose parameters are texts and numbers.
    pub(in crate::app) fn read_pairs(
        &self,
        body: &[u8],
        table: &'static [Definition],
    ) -> Result<ListParameters, AppError> {
        if body.is_empty() {
            return Ok(ListParameters::default());
        }
        let document = parse(body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
        let issues = self.rules.profiles.validate_base(&document);
        if any_error(&issues) {
            return Err(AppError::invalid(issues));
        }
        let base_url = &self.config.server.base_url;
        let read = OperationParameters::read(&document, table, base_url).map_err(AppError::invalid)?;
        let pair = |known: &Definition| {
            let value = match known.kind {
                Kind::Positive => read.number(known.name).map(|number| number.to_string()),
                _ => read.text(known.name).map(str::to_owned),
            };
            value.map(|value| (known.name.to_owned(), value))
        };
        Ok(ListParameters { pairs: table.iter().filter_map(pair).collect(), warnings: read.warnings })
    }

    /// Decisions, newest first; of one id only that one.
    ///
    /// # Errors
    /// `Invalid` for parameters that cannot be meant, `NotFound` for an id that no decision has.
    pub fn list_decisions(
        &self,
        ctx: &Context,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Listed<Decision>, AppError> {
        if let Some((_, id)) = pairs.iter().find(|(name, _)| name == "_id") {
            let found = self.decision(ctx, id)?;
            let self_link = link(&self.list_url(List::Decisions), &[("_id".to_owned(), id.clone())]);
            return Ok(Listed { items: vec![found], self_link, next_link: None, issues: Vec::new() });
        }
        self.answer(ctx, Action::ReviewQueue, |_| {
            check_steward(ctx)?;
            let wanted = self.read_list(ctx, List::Decisions, pairs, handling)?;
            let before = wanted.after.as_ref().and_then(|position| Some((position.number, texts(position)?.0)));
            let before = before.as_ref().map(|(us, id)| (*us, id.as_str()));
            let mut rows = steward::list_decisions(&mut *self.connection()?, before, wanted.count + 1)?;
            let next = cut(&mut rows, wanted.count)
                .map(|row| Position { number: row.decided_us, ..key(vec![row.id.clone(), String::new()]) });
            let items = rows.into_iter().map(decision).collect::<Result<Vec<_>, _>>()?;
            self.listed(ctx, List::Decisions, wanted, items, next)
        })
    }

    fn list_url(&self, list: List) -> String {
        format!("{}/Patient/{}", self.config.server.base_url, list.name())
    }

    fn read_list(
        &self,
        ctx: &Context,
        list: List,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<Wanted, AppError> {
        let limits = &self.config.limits;
        let (mut understood, mut presentation) = (Vec::new(), Vec::new());
        let (mut count, mut page, mut issues) = (limits.page_size, None, Vec::new());
        for (name, value) in pairs {
            match name.as_str() {
                "_count" => {
                    count = read_count(value, limits.page_size_max)?;
                    understood.push((name.clone(), value.clone()));
                }
                "_page" => page = Some(value),
                name if is_presentation(name) => presentation.push((name.to_owned(), value.clone())),
                name => issues.push(unknown(&format!("http.{}", crate::fhir::path::printable(name)), handling)?),
            }
        }
        let Some(token) = page else { return Ok(Wanted { count, after: None, understood, presentation, issues }) };
        let holder = ctx.caller.page_holder(list.name());
        let further = Continuation::open(token, &self.page_key, &holder).ok_or_else(|| {
            let text = "The link to this page is not one of this server, or of another list.";
            refuse(IssueCode::Value, text, "http._page")
        })?;
        let count = further.pairs.iter().find(|(name, _)| name == "_count");
        let count = count.map_or(Ok(limits.page_size), |(_, value)| read_count(value, limits.page_size_max))?;
        let after = Some(further.position());
        Ok(Wanted { count, after, understood: further.pairs, presentation, issues })
    }

    fn listed<T>(
        &self,
        ctx: &Context,
        list: List,
        wanted: Wanted,
        items: Vec<T>,
        next: Option<Position>,
    ) -> Result<Listed<T>, AppError> {
        let base = self.list_url(list);
        let holder = ctx.caller.page_holder(list.name());
        let seal = |next| {
            let further = Continuation::new(wanted.understood.clone(), next, None);
            let token = further.seal(&self.page_key, &holder, &(ctx.clock.uuid)()).ok_or_else(AppError::internal)?;
            let mut pairs = wanted.presentation.clone();
            pairs.push(("_page".to_owned(), token));
            Ok::<_, AppError>(link(&base, &pairs))
        };
        let next_link = next.map(seal).transpose()?;
        let stated: Vec<_> = wanted.understood.iter().chain(&wanted.presentation).cloned().collect();
        Ok(Listed { items, self_link: link(&base, &stated), next_link, issues: wanted.issues })
    }

    /// Judges the record of each review against the identity that the review asks about.
    fn explain_reviews(&self, conn: &mut Connection, rows: Vec<ReviewRow>) -> Result<Vec<Explained>, AppError> {
        let ids: Vec<&str> = rows.iter().map(|row| row.record_id.as_str()).collect();
        let records = record::find_many(conn, &ids)?;
        let items: Vec<ReviewItem> = rows.into_iter().filter_map(|row| item(row, &records)).collect();
        let population = self.candidates.population();
        let mut explained = Vec::with_capacity(items.len());
        for item in items {
            let asked = [item.identity_id.as_str(), item.own_identity_id.as_str()];
            let rows = record::list_of_identities(conn, &asked)?;
            let read = self.members(conn, &asked[..1], &rows)?;
            let others = read.into_iter().flat_map(|(_, members)| members);
            let others: Vec<_> = others.filter(|member| member.record_id != item.record_id).collect();
            let own = self.members(conn, &asked[1..], &rows)?.into_iter().flat_map(|(_, members)| members);
            let own = own.into_iter().find(|member| member.record_id == item.record_id);
            let judged = own
                .map(|own| identity::evaluate(&own.record, &item.identity_id, &others, &self.rules.model, population));
            let found = judged.filter(|_| !others.is_empty());
            let members = others.into_iter().map(|member| member.record_id).collect();
            explained.push(Explained { item, members, found });
        }
        Ok(explained)
    }
}

/// Leaves `count` rows; the last of them, where there were more.
fn cut<T>(rows: &mut Vec<T>, count: u32) -> Option<&T> {
    let count = count as usize;
    let is_more = rows.len() > count;
    rows.truncate(count);
    rows.last().filter(|_| is_more)
}

fn key(texts: Vec<String>) -> Position {
    Position { keys: texts.into_iter().map(SortValue::Text).collect(), number: 0 }
}

fn texts(position: &Position) -> Option<(String, String)> {
    match position.keys.as_slice() {
        [SortValue::Text(a), SortValue::Text(b)] => Some((a.clone(), b.clone())),
        _ => None,
    }
}
