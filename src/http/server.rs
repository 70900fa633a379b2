//! The server: one route table, built the same for `serve` and for tests.
//!
//! Not here: how it stops (see `drain`).

use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as HttpApp, HttpServer, web};
use futures_util::future::{Either, select};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::app::auth::access;
use crate::config::{Organization, Server as ServerOptions, Transport};

use super::cors::cross_origin;
use super::drain::{Draining, Pauses, StopSignals, stop_on_signal};
use super::extract::State;
use super::middleware::around;
use super::render::responder::{Contact, OrganizationSummary, Responder};
use super::route::Row;
use super::tls::{Certificate, Reload};
use super::transport::only_protected;
use super::{auth, fhir, health, openapi, pages, tls};

/// Starts serving until SIGTERM or SIGINT, which are caught from now on.
///
/// # Errors
/// When the listener cannot be used.
pub fn start_until_signal(app: Arc<App>, listener: TcpListener, metrics: PrometheusHandle) -> std::io::Result<Server> {
    let (signals, pauses) = (StopSignals::catch()?, Pauses::of(&app.config));
    let door = listener.try_clone()?;
    let (server, draining) = assemble(app, listener, metrics)?;
    actix_web::rt::spawn(stop_on_signal(signals, draining, door, pauses, server.handle()));
    Ok(server)
}

/// Starts serving until the handle of the server stops it.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(app: Arc<App>, listener: TcpListener, metrics: PrometheusHandle) -> std::io::Result<Server> {
    assemble(app, listener, metrics).map(|(server, _)| server)
}

fn assemble(app: Arc<App>, listener: TcpListener, metrics: PrometheusHandle) -> std::io::Result<(Server, Draining)> {
    let (limits, in_flight) = (app.config.limits.clone(), Pauses::of(&app.config).in_flight);
    let workers = app.config.server.workers;
    let responder = responder(&app)?;
    app.keep_responder(responder.body()).map_err(std::io::Error::other)?;
    app.plan_exports_in_background()?;
    check_guarded()?;
    app.keep_trust_in_background()?;
    app.seal_audit_in_background()?;
    let document = web::Data::new(openapi::Document::of(&app).map_err(std::io::Error::other)?);
    let metrics = web::Data::new(metrics);
    let workers = worker_count(workers);
    let certificate = certificate(&app.config.server, &listener)?;
    watch(&app, certificate.clone())?;
    let tls = certificate.map(|certificate| tls::server_config(&app.config.server, certificate)).transpose();
    let tls = tls.map_err(std::io::Error::other)?;
    let data = web::Data::new(State::new(app, responder));
    let draining = data.draining.clone();
    let desk = web::Data::new(pages::desk(&data));
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(data.clone())
            .app_data(metrics.clone())
            .app_data(document.clone())
            .app_data(desk.clone())
            .wrap(from_fn(cross_origin))
            .wrap(from_fn(only_protected))
            .wrap(from_fn(around))
            .configure(health::routes)
            .configure(openapi::routes)
            .configure(auth::routes)
            .configure(pages::routes)
            .configure(fhir::routes)
            .default_service(web::to(fhir::unknown::route))
    })
    .workers(workers)
    .worker_max_blocking_threads(limits.request_threads_max.div_ceil(workers).max(2))
    .max_connections(limits.http_connections_max.div_ceil(workers))
    .client_request_timeout(Duration::from_millis(limits.header_timeout_ms))
    .client_disconnect_timeout(Duration::from_millis(limits.header_timeout_ms))
    .keep_alive(KEEP_ALIVE)
    .tls_handshake_timeout(Duration::from_millis(limits.header_timeout_ms))
    .disable_signals()
    .shutdown_timeout(in_flight.as_secs());
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok((server.run(), draining))
}

/// Whether `server` can be served: what concerns TLS is read and thrown away.
///
/// # Errors
/// Words that name the option.
pub fn check_tls(server: &ServerOptions) -> Result<(), String> {
    match server.transport() {
        Transport::Tls => tls::server_config(server, Arc::new(Certificate::read(server)?)).map(drop),
        Transport::Proxied | Transport::Plain => Ok(()),
    }
}

/// The certificate of this server when it speaks TLS itself; without one and without a proxy only loopback is served.
fn certificate(server: &ServerOptions, listener: &TcpListener) -> std::io::Result<Option<Arc<Certificate>>> {
    match server.transport() {
        Transport::Tls => Ok(Some(Arc::new(Certificate::read(server).map_err(std::io::Error::other)?))),
        Transport::Plain if !listener.local_addr()?.ip().is_loopback() => {
            Err(std::io::Error::other("plain http is served on a loopback address only"))
        }
        Transport::Proxied | Transport::Plain => Ok(None),
    }
}

/// Has files read again: on SIGHUP all, from time to time those that have changed.
fn watch(app: &Arc<App>, certificate: Option<Arc<Certificate>>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let pause = Duration::from_secs(app.config.auth.reload_s);
    let app = Arc::downgrade(app);
    actix_web::rt::spawn(async move {
        loop {
            let reload = match select(pin!(hangup.recv()), pin!(tokio::time::sleep(pause))).await {
                Either::Left((Some(()), _)) => Reload::All,
                Either::Left((None, _)) => return,
                Either::Right(_) => Reload::Changed,
            };
            if let (Reload::All, Some(app)) = (reload, app.upgrade()) {
                app.communities().reload();
            }
            let certificate = certificate.clone();
            let read = web::block(move || certificate.as_ref().map(|certificate| certificate.reload(reload))).await;
            if read.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Compares all routes with the table of what they need: one that nothing guards stops the start.
fn check_guarded() -> std::io::Result<()> {
    let rows = [fhir::rows(), auth::rows(), pages::rows(), health::rows(), openapi::rows()];
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let routes = rows.iter().flat_map(|row| row.methods.iter().map(|method| (row.path, method.as_str())));
    // HEAD is GET without the body (RFC 9110 §9.3.2).
    let routes: Vec<(&str, &str)> = routes.filter(|(_, method)| *method != "HEAD").collect();
    access::check(&routes).map_err(std::io::Error::other)
}

/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The responding Organization of every match answer; its base URL stands in for a contact that is not configured.
fn responder(app: &App) -> std::io::Result<Responder> {
    let Organization { id, name, phone, email, url } = app.config.organization.clone();
    let given = |text: String, kind: fn(String) -> Contact| (!text.is_empty()).then(|| kind(text));
    let contacts = [given(phone, Contact::Phone), given(email, Contact::Email), given(url, Contact::Url)];
    let mut contacts: Vec<Contact> = contacts.into_iter().flatten().collect();
    if contacts.is_empty() {
        contacts.push(Contact::Url(app.config.server.base_url.clone()));
    }
    Responder::new(&app.config.server.base_url, &OrganizationSummary { id, name, contacts })
        .map_err(std::io::Error::other)
}

fn worker_count(configured: usize) -> usize {
    if configured > 0 { configured } else { std::thread::available_parallelism().map_or(1, usize::from) }
}
