//! Stopping without losing a request: first callers are sent elsewhere, then the door is closed, then what is in flight ends.
//!
//! 1. From the signal on `/readyz` is 503, and every answer asks its caller to connect anew (RFC 9112 §9.6); everything is
//!    served for `server.drain_ms`, in which balancers turn away and connections in use end by themselves.
//! 2. The kernel is told to ignore new connections (a filter for SYN segments on the listening socket), and whoever has
//!    connected already is taken in. Without it, connections that wait to be taken in are reset when the socket closes.
//! 3. No connection is taken any more, idle ones end, and requests in flight have what is left of
//!    `limits.shutdown_timeout_ms`.
//!
//! SIGINT, which a person sends from a terminal, leaves out the waiting of step 1. A second signal ends at once.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use socket2::{SockFilter, SockRef};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;

/// Whether the server is about to stop.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The signals that stop a server, caught from the moment at which this is made.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Terminate,
    Interrupt,
}

impl StopSignals {
    /// # Errors
    /// When signals cannot be caught.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}

/// How long each step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    drain: Duration,
    /// Requests in flight have so long once no connection is taken any more.
    pub in_flight: Duration,
}

/// In which connections that were made before the filter are taken in.
const TAKE_IN: Duration = Duration::from_millis(100);

impl Pauses {
    /// All steps together take `limits.shutdown_timeout_ms` at most.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let total = Duration::from_millis(config.limits.shutdown_timeout_ms);
        let drain = Duration::from_millis(config.server.drain_ms).min(total);
        Self { drain, in_flight: total.saturating_sub(drain + TAKE_IN) }
    }
}

/// Waits for a stop signal and stops the server step by step.
pub async fn stop_on_signal(
    mut signals: StopSignals,
    draining: Draining,
    listener: TcpListener,
    pauses: Pauses,
    server: ServerHandle,
) {
    let stop = signals.next().await;
    draining.begin();
    tracing::info!("stopping: callers are sent elsewhere");
    let drain = if stop == Stop::Terminate { pauses.drain } else { Duration::ZERO };
    let steps = async {
        tokio::time::sleep(drain).await;
        ignore_new_connections(&listener);
        tokio::time::sleep(TAKE_IN).await;
        drop(listener);
        tracing::info!("stopping: no connection is taken any more");
        server.stop(true).await;
    };
    tokio::select! {
        () = steps => {}
        _ = signals.next() => {
            tracing::warn!("stopping at once, after a second signal");
            server.stop(false).await;
        }
    }
}

/// What the kernel asks of every segment that comes to the listening socket, in classic BPF: one that begins a connection
/// (SYN; bit 1 of byte 13 of the TCP header, RFC 9293 §3.1) is dropped, everything else passes. Who was ignored asks again
/// after a second and finds the port closed.
const NO_NEW_CONNECTIONS: [SockFilter; 4] = [
    SockFilter::new(0x30, 0, 0, 13),       // load byte 13
    SockFilter::new(0x45, 0, 1, 0x02),     // SYN: go on, else leave out one
    SockFilter::new(0x06, 0, 0, 0),        // drop
    SockFilter::new(0x06, 0, 0, u32::MAX), // pass
];

fn ignore_new_connections(listener: &TcpListener) {
    if let Err(error) = SockRef::from(listener).attach_filter(&NO_NEW_CONNECTIONS) {
        tracing::warn!(%error, "connections that are made at this moment may be reset");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_listener_with_the_filter_takes_in_who_came_before_and_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let before = TcpStream::connect(address).unwrap();
        ignore_new_connections(&listener);
        let after = TcpStream::connect_timeout(&address, Duration::from_millis(300));
        assert_eq!(after.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        let (taken, from) = listener.accept().unwrap();
        assert_eq!(from, before.local_addr().unwrap());
        std::io::Write::write_all(&mut &before, b"x").unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut &taken, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
    }

    #[test]
    fn all_steps_together_stay_within_the_timeout() {
        let table = [(2000, 10_000, 2000, 7900), (5000, 3000, 3000, 0), (0, 1000, 0, 900), (0, 0, 0, 0)];
        for (drain_ms, total_ms, drain, in_flight) in table {
            let mut config = Config::defaults().unwrap();
            config.server.drain_ms = drain_ms;
            config.limits.shutdown_timeout_ms = total_ms;
            let expected = Pauses { drain: Duration::from_millis(drain), in_flight: Duration::from_millis(in_flight) };
            assert_eq!(Pauses::of(&config), expected, "{drain_ms} of {total_ms}");
        }
    }
}
