//! A row of the route table: an address and its handlers by method.
//!
//! From the rows come the routes themselves, the `Allow` of a method that is not served, and the addresses that the
//! OpenAPI document describes. Not here: which rows there are (see `fhir` and `health`).

use actix_web::body::BoxBody;
use actix_web::dev::HttpServiceFactory;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder};

use super::extract::AppData;
use super::fhir::unknown;
use super::guard::guard;
use super::present::present;

/// One address.
pub struct Row {
    pub path: &'static str,
    pub methods: Vec<Method>,
    /// What the handlers answer; another method gets 405 and nothing else.
    pub resource: Resource,
}

/// A row without handlers yet.
#[must_use]
pub fn at(path: &'static str) -> Row {
    Row { path, methods: Vec::new(), resource: web::resource(path) }
}

impl Row {
    /// GET, and HEAD, which is GET without the body (RFC 9110 §9.3.2): the same handler, whose body is not sent.
    #[must_use]
    pub fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, handler.clone()).on(Method::HEAD, handler)
    }

    #[must_use]
    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    #[must_use]
    pub fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PUT, handler)
    }

    #[must_use]
    pub fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, handler)
    }

    #[must_use]
    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    /// Any method.
    #[must_use]
    pub fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(handler));
        self.methods.push(method);
        self
    }

    /// The same, but another method gets an outcome and is audited.
    pub fn closed(self) -> impl HttpServiceFactory + 'static {
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        let allow = methods.join(", ");
        let closed = move |app: AppData, request: HttpRequest| unknown::method(app, request, allow.clone());
        let resource = self.resource.default_service(web::to(closed));
        // An operation has a row of its own; no general address is one that is not served (FHIR R4 Operations).
        let is_operation = self.path.contains('$');
        let resource = if is_operation { resource } else { resource.guard(fn_guard(|asked| !names_operation(asked))) };
        let path = self.path;
        resource.wrap(from_fn(move |request, next: Next<BoxBody>| guard(path, request, next)))
    }
}

fn names_operation(asked: &GuardContext<'_>) -> bool {
    asked.head().uri.path().contains("/$")
}

/// Serves `rows` of FHIR in order: a more special address stands before a more general one.
pub fn serve(config: &mut ServiceConfig, base: &str, rows: Vec<Row>) {
    let scope = rows.into_iter().fold(web::scope(base), |scope, row| scope.service(row.closed()));
    config.service(scope.wrap(from_fn(present)));
}
