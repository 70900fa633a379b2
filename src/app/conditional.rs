//! Criteria instead of an id: FHIR R4 RESTful API, conditional create, update, patch and delete; conditional references.
//!
//! They are searches that must find one resource at most, run in the transaction that writes. A caller learns from them
//! whether somebody is there, as from a search: so they pass through the same constraint. Not here: what follows from
//! a match (see `write`), search parameters (see `search`).

use crate::config::Config;
use crate::fhir::issue::{Issue, IssueCode};
use crate::store::Connection;
use crate::store::constraint::SearchConstraint;
use crate::store::resource::{self, Resource, SearchCondition, SearchQuery, Total};

use super::auth::gate::permit_route;
use super::context::Context;
use super::error::{AppError, ErrorKind};
use super::incoming::ResourceKind;
use super::search::condition::conditions_of;
use super::search::search_reader;

/// The place of the criteria in an address.
pub const HTTP_QUERY: &str = "http.query";

/// A search for at most one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    conditions: Vec<SearchCondition>,
    constraint: SearchConstraint,
    /// Where the caller has written them, for issues.
    place: String,
}

impl Criteria {
    /// Reads the query of a conditional interaction. Criteria that every resource fits are refused.
    ///
    /// # Errors
    /// `Invalid` for what cannot be searched for.
    pub fn parse(
        ctx: &Context,
        config: &Config,
        kind: ResourceKind,
        query: &str,
        place: &str,
    ) -> Result<Self, AppError> {
        // Whether somebody fits is told by what is done then, as a search tells it.
        permit_route(&ctx.caller, "/{type}", "GET", kind.name())?;
        let reader = search_reader(config, ctx, kind.name());
        let conditions = conditions_of(&reader, &criteria_of(query)).map_err(|error| located(error, place))?;
        Ok(Self { conditions, constraint: ctx.caller.search_constraint(kind.name()), place: place.to_owned() })
    }
}

impl Criteria {
    /// Whether both ask for the same, wherever they are written.
    #[must_use]
    pub fn is_equal(&self, other: &Self) -> bool {
        self.conditions == other.conditions && self.constraint == other.constraint
    }

    /// Where they are written.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where one resource has to be, there is none.
    #[must_use]
    pub fn no_match(&self) -> AppError {
        AppError::precondition_failed("No resource fits the criteria.", &self.place)
    }
}

/// A parameter of a query has its own place already; of other criteria the whole has one.
fn located(mut error: AppError, place: &str) -> AppError {
    if place != HTTP_QUERY {
        error.issues.iter_mut().for_each(|issue| issue.expression = vec![place.to_owned()]);
    }
    error
}

/// The query without what says how the answer is written (FHIR R4 RESTful API, general parameters).
fn criteria_of(query: &str) -> String {
    const GENERAL: [&str; 4] = ["_format", "_pretty", "_summary", "_elements"];
    let names = |pair: &&str| !pair.is_empty() && !GENERAL.contains(&pair.split('=').next().unwrap_or_default());
    query.split('&').filter(names).collect::<Vec<_>>().join("&")
}

/// The one resource that fits.
///
/// # Errors
/// `PreconditionFailed` when several do.
pub fn find_match(
    conn: &mut Connection,
    kind: ResourceKind,
    criteria: &Criteria,
) -> Result<Option<Resource>, AppError> {
    let query = SearchQuery {
        resource_type: kind.name().to_owned(),
        conditions: criteria.conditions.clone(),
        constraint: criteria.constraint.clone(),
        sort: Vec::new(),
        after: None,
        // One is enough to be found; whether there is another, the page says.
        count: 1,
        bytes_max: i64::MAX,
        total: Total::None,
    };
    let mut page = resource::search(conn, &query)?;
    if page.next.is_some() {
        let text = "More than one resource fits the criteria.";
        let issue = Issue::error(IssueCode::MultipleMatches, text).at(&criteria.place);
        return Err(AppError::new(ErrorKind::PreconditionFailed, vec![issue]));
    }
    Ok(page.rows.pop())
}
