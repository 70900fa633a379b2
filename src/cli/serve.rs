//! `idi-match serve`: FHIR over HTTP until a stop signal.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::app::App;
use crate::app::auth::gate::{Gate, authorizes_nobody};
use crate::config::{Config, Transport};
use crate::http::server;
use crate::observe::traces::sender::Sender;

use super::arguments::ServeArgs;
use super::{CommandError, Ended, Environment, open, service_manager};

pub fn run(args: &ServeArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let (config, traces) = environment.config_of_server(&args.config)?;
    check_transport(&config)?;
    check_open(&config)?;
    let listener = listen(config.server.listen)?;
    let ended = serve(
        config,
        listener,
        |_| Ok(()),
        |_| {
            service_manager::ready(environment);
            Ok(())
        },
    );
    traces.inspect(Sender::stop);
    ended
}

/// `--open` lets every caller in without authorization: only on purpose, and only from this machine.
pub fn check_open(config: &Config) -> Result<(), CommandError> {
    if config.server.open && !config.server.listen.ip().is_loopback() {
        return Err(CommandError::Usage("--open is accepted on a loopback address only (server.listen)".to_owned()));
    }
    if !config.server.open && authorizes_nobody(config) {
        return Err(nobody());
    }
    Ok(())
}

/// A server that could let nobody in is a mistake of its configuration.
fn check_gate(app: &App) -> Result<(), CommandError> {
    if matches!(app.gate(), Gate::Open) {
        tracing::warn!("OPEN: every caller on this machine is let in, without authorization");
        return Ok(());
    }
    let is_useful = app.can_authorize().map_err(|error| CommandError::Failed(error.to_string()))?;
    if is_useful { Ok(()) } else { Err(nobody()) }
}

fn nobody() -> CommandError {
    let text = "nobody could be authorised: no trust community is configured and no client is active. Configure \
                [[communities]], or add a client (client add), or let every caller of this machine in with --open";
    CommandError::Usage(text.to_owned())
}

/// Tokens and people's data travel protected, or not beyond this machine.
pub fn check_transport(config: &Config) -> Result<(), CommandError> {
    if config.server.transport() == Transport::Plain && !config.server.listen.ip().is_loopback() {
        let text = "plain http is served on a loopback address only: give server.tls_cert and server.tls_key, \
            or name the proxies that end TLS in server.trusted_proxies";
        return Err(CommandError::Usage(text.to_owned()));
    }
    server::check_tls(&config.server).map_err(CommandError::Usage)
}

pub fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).map_err(|error| CommandError::Failed(format!("cannot listen on {address}: {error}")))
}

/// As many connections as the server keeps may wait to be taken in. The kernel drops what comes beyond that without a word,
/// and its callers try again after a second, where a refusal takes a millisecond. The standard library lets 128 wait; a
/// socket that listens already takes a new number (listen(2)), up to the system's own (`net.core.somaxconn`).
fn let_wait(listener: &TcpListener, connections_max: usize) -> Result<(), CommandError> {
    let waiting_max = i32::try_from(connections_max).unwrap_or(i32::MAX);
    rustix::net::listen(listener, waiting_max).map_err(|error| std::io::Error::from(error).into())
}

/// Opens the application, prepares it and serves; `ready` is called when requests are answered and a stop signal is heard.
pub fn serve(
    mut config: Config,
    listener: TcpListener,
    prepare: impl FnOnce(&App) -> Result<(), CommandError>,
    ready: impl FnOnce(&App) -> Result<(), CommandError>,
) -> Result<Ended, CommandError> {
    let address = listener.local_addr()?;
    if config.server.base_url == config.server.base_url_at(config.server.listen) {
        config.server.base_url = config.server.base_url_at(address);
    }
    config.server.listen = address;
    let_wait(&listener, config.limits.http_connections_max)?;
    // Before anything is measured.
    let metrics = crate::observe::metrics::start().map_err(CommandError::Failed)?;
    let app = Arc::new(open(config)?);
    check_gate(&app)?;
    prepare(&app)?;
    actix_web::rt::System::new().block_on(async {
        let running = actix_web::rt::spawn(server::start_until_signal(Arc::clone(&app), listener, metrics)?);
        // Its workers begin with the server's first step; `ready` may ask it at once.
        tokio::task::yield_now().await;
        tracing::info!(%address, records = app.indexed_records(), "ready");
        ready(&app)?;
        running.await.map_err(|error| CommandError::Failed(error.to_string()))??;
        Ok::<(), CommandError>(())
    })?;
    app.stop();
    tracing::info!("stopped");
    Ok(Ended::Done)
}
