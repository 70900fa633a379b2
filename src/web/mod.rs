//! Pages for people: signing in and out, and whatever a person is asked there.
//!
//! Made on the server and complete without scripts, which no page may run. A handler reads a form, calls one function of `app`
//! and answers with a page or leads on. Who serves gives [`Desk`], on which use cases run within the server's limits; the rows
//! of [`rows`] join its table of routes. Not here: rules, FHIR, the authorization server's endpoints for programs (see `http`).

mod account;
mod authorize;
mod consent;
pub mod csrf;
pub mod form;
pub mod layout;
mod logout;
pub mod refusal;
pub mod session;
pub mod sign_in;
mod sign_out;
pub mod style;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpMessage as _, HttpRequest, Resource, Responder, web};
use futures_util::future::LocalBoxFuture;

use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;

/// Work of a request, as the server runs it.
pub type Work = Box<dyn FnOnce(&App) + Send>;
/// Runs work on a thread that may block, if there is a place for it.
pub type Run = Box<dyn Fn(Work) -> LocalBoxFuture<'static, Result<(), AppError>> + Send + Sync>;

/// What every handler is given.
pub struct Desk {
    pub app: Arc<App>,
    /// What stands before the addresses of all pages: empty, or `/prefix` where the FHIR base is `/prefix/fhir`.
    pub root: String,
    /// Scheme, host and port, as browsers write an origin.
    pub origin: String,
    run: Run,
}

/// [`Desk`] as actix hands it on.
pub type DeskData = web::Data<Desk>;

impl Desk {
    #[must_use]
    pub fn new(app: Arc<App>, run: Run) -> Self {
        let site = app.config.server.base_url.strip_suffix("/fhir").unwrap_or_default().to_owned();
        let host = site.find("://").map_or(0, |at| at + 3);
        let path = site[host..].find('/').map_or(site.len(), |at| host + at);
        let (origin, root) = site.split_at(path);
        Self { app, root: root.to_owned(), origin: origin.to_ascii_lowercase(), run }
    }

    /// Runs a use case within the server's limits.
    ///
    /// # Errors
    /// `Overloaded` when there is no place for it; `Internal` when it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce(&App) -> T + Send + 'static) -> Result<T, AppError> {
        let (sender, receiver) = sync_channel(1);
        (self.run)(Box::new(move |app| drop(sender.send(work(app))))).await?;
        receiver.try_recv().map_err(|_| AppError::internal())
    }
}

/// The context that the server made for a request.
#[must_use]
pub fn context(request: &HttpRequest, app: &App) -> Context {
    let made = request.extensions().get::<Context>().cloned();
    made.unwrap_or_else(|| Context::new(app.gate().stranger(), app.clock))
}

/// One address and its handlers by method.
pub struct Row {
    pub path: &'static str,
    pub methods: Vec<Method>,
    pub resource: Resource,
}

impl Row {
    fn at(path: &'static str) -> Self {
        Self { path, methods: Vec::new(), resource: web::resource(path) }
    }

    /// GET, and HEAD, which is GET without the body.
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, handler.clone()).on(Method::HEAD, handler)
    }

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(handler));
        self.methods.push(method);
        self
    }
}

/// Every page.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        Row::at("/account").get(account::get).post(account::post),
        Row::at("/oauth/authorize").get(authorize::get).post(authorize::post),
        Row::at("/oauth/authorize/continue").get(authorize::proceed).post(authorize::answer),
        Row::at("/oauth/logout").get(logout::get).post(logout::post),
        Row::at("/sign-in").get(sign_in::get).post(sign_in::post),
        Row::at("/sign-out").post(sign_out::post),
        Row::at("/web/style.css").get(style::get),
    ]
}
