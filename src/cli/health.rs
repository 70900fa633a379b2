//! `idi-match health`: does the server of this configuration answer on this machine? For containers that have no shell.
//!
//! Exit code 0 when it does, 1 when not. Not here: why it does not (see `doctor`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Transport;
use crate::http::tls;
use crate::outbound::probe::{Seen, ask};

use super::arguments::HealthArgs;
use super::{CommandError, Ended, Environment};

pub fn run(args: &HealthArgs, environment: &Environment) -> Result<Ended, CommandError> {
    let config = environment.config(&args.config)?;
    let certificate = match config.server.transport() {
        Transport::Tls => Some(tls::leaf(&config.server).map_err(CommandError::Usage)?),
        Transport::Proxied | Transport::Plain => None,
    };
    let path = if args.ready { "/readyz" } else { "/livez" };
    let reason = match ask(on_this_machine(config.server.listen), path, certificate.as_deref()) {
        Ok(Seen::Status(200) | Seen::Certificate) => return Ok(Ended::Done),
        Ok(Seen::Status(status)) => format!("{path} answers {status}"),
        Err(reason) => reason,
    };
    eprintln!("idi-match: {reason}");
    Ok(Ended::ProblemsFound)
}

/// Where a server that listens at `address` is reached from here.
fn on_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_asked_on_loopback() {
        for (listens, asked) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("192.0.2.1:3", "192.0.2.1:3")] {
            assert_eq!(on_this_machine(listens.parse().expect("an address")).to_string(), asked);
        }
    }
}
