//! What one entry asks for: an order to write, or something to read (FHIR R4 RESTful API, batch/transaction).
//!
//! Not here: the body of a write, which in a transaction is judged when the references in it are settled.

use crate::app::App;
use crate::app::auth::gate::permit_route;
use crate::app::context::Context;
use crate::app::create::stored_kind;
use crate::app::error::AppError;
use crate::app::update::{Address, Condition};
use crate::app::write::{Order, Verb};
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::entry::{Entry, Request, Url};
use super::reading::Reading;

/// What is to be done for an entry.
#[derive(Clone)]
pub enum Task {
    Write(Order),
    Read(Reading),
}

/// FHIR R4 `http-verb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn of(entry: &Entry) -> Result<Self, AppError> {
        match entry.request.method.as_str() {
            "GET" => Ok(Self::Get),
            "HEAD" => Ok(Self::Head),
            "POST" => Ok(Self::Post),
            "PUT" => Ok(Self::Put),
            "PATCH" => Ok(Self::Patch),
            "DELETE" => Ok(Self::Delete),
            _ => Err(refuse(IssueCode::CodeInvalid, "This is no method of a request.", "http.method")),
        }
    }

    const fn takes_resource(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// How the audit calls what an entry asks for.
#[must_use]
pub fn action(entry: &Entry) -> Action {
    match entry.request.method.as_str() {
        "POST" => Action::Create,
        "PUT" => Action::Update,
        "PATCH" => Action::Patch,
        "DELETE" => Action::Delete,
        _ if entry.request.url.contains('/') => Action::Read,
        _ => Action::Search,
    }
}

impl App {
    /// What `entry` asks for.
    ///
    /// # Errors
    /// The problems of its frame; what is not served inside a Bundle.
    pub(super) fn task(&self, ctx: &Context, entry: &Entry) -> Result<Task, AppError> {
        if !entry.problems.is_empty() {
            return Err(AppError::invalid(entry.problems.clone()));
        }
        let (method, request) = (Method::of(entry)?, &entry.request);
        check_resource(method, entry.resource.is_some())?;
        check_conditions(method, request)?;
        let url = Url::split(&request.url, &self.config.server.base_url);
        permit(ctx, url, &request.method)?;
        let condition =
            Condition { if_match: request.if_match.as_deref(), if_none_match: request.if_none_match.as_deref() };
        let order =
            |verb, resource_type, address| self.order(ctx, verb, resource_type, address, condition).map(Task::Write);
        match (method, url) {
            (Method::Post, Url::Type(name)) => {
                let kind = stored_kind(name)?;
                self.create_order(ctx, kind, request.if_none_exist.as_deref()).map(Task::Write)
            }
            (Method::Put, Url::Id(name, id, "")) => order(Verb::Store, name, Address::Id(id)),
            (Method::Put, Url::Query(name, query)) => order(Verb::Store, name, Address::Query(query)),
            (Method::Patch, Url::Id(name, id, "")) => order(Verb::Patch, name, Address::Id(id)),
            (Method::Patch, Url::Query(name, query)) => order(Verb::Patch, name, Address::Query(query)),
            (Method::Delete, Url::Id(name, id, "")) => order(Verb::Delete, name, Address::Id(id)),
            (Method::Delete, Url::Query(name, query)) => order(Verb::Delete, name, Address::Query(query)),
            (Method::Get | Method::Head, url) => {
                self.reading(ctx, url, request, method == Method::Head).map(Task::Read)
            }
            _ => Err(unknown_address()),
        }
    }
}

/// An entry needs what the same request needs alone.
fn permit(ctx: &Context, url: Url<'_>, method: &str) -> Result<(), AppError> {
    let (path, resource_type) = match url {
        Url::Type(name) | Url::Query(name, _) => ("/{type}", name),
        Url::Id(name, ..) => ("/{type}/{id}", name),
        Url::Version(name, ..) => ("/{type}/{id}/_history/{version}", name),
        Url::Other => return Ok(()),
    };
    permit_route(&ctx.caller, path, method, resource_type)
}

pub(super) fn unknown_address() -> AppError {
    let text =
        "This address is not served inside a Bundle by this method: reads, searches and writes of resources are.";
    refuse(IssueCode::NotSupported, text, "http")
}

fn check_resource(method: Method, is_there: bool) -> Result<(), AppError> {
    if is_there == method.takes_resource() {
        return Ok(());
    }
    let (code, text) = if is_there {
        (IssueCode::Invalid, "A request of this method has no resource.")
    } else {
        (IssueCode::Required, "A request of this method has a resource.")
    };
    Err(refuse(code, text, "Resource"))
}

/// A condition that would be passed over is refused: the caller relies on it.
fn check_conditions(method: Method, request: &Request) -> Result<(), AppError> {
    let is_read = matches!(method, Method::Get | Method::Head);
    let is_change = matches!(method, Method::Put | Method::Patch | Method::Delete);
    let table = [
        (&request.if_match, is_change, "http.if-match"),
        (&request.if_none_match, is_read || method == Method::Put, "http.if-none-match"),
        (&request.if_modified_since, is_read, "http.if-modified-since"),
        (&request.if_none_exist, method == Method::Post, "http.if-none-exist"),
    ];
    match table.into_iter().find(|(condition, is_known, _)| condition.is_some() && !is_known) {
        None => Ok(()),
        Some((_, _, place)) => {
            Err(refuse(IssueCode::NotSupported, "A request of this method takes no such condition.", place))
        }
    }
}

fn refuse(code: IssueCode, text: &str, place: &str) -> AppError {
    AppError::invalid(vec![Issue::error(code, text).at(place)])
}
