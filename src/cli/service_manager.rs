//! Tells systemd that the server is ready (sd_notify(3)): one datagram to the socket that it names.
//!
//! So a unit with `Type=notify` counts as started when requests are answered, and whatever comes after it finds a server.
//! Not here: anything that systemd says to us; that comes as signals.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::Environment;

/// Names the socket; a leading `@` stands for the abstract namespace.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Says that requests are answered, where somebody wants to know. Failing to say so stops nothing: systemd would end the
/// unit by its own time limit, and the log says why.
pub fn ready(environment: &Environment) {
    let Some((_, socket)) = environment.variables.iter().find(|(name, _)| name == SOCKET) else { return };
    if let Err(error) = send(socket, b"READY=1") {
        tracing::warn!(%error, "the service manager cannot be told that the server is ready");
    }
}

fn send(socket: &str, message: &[u8]) -> std::io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_that_is_named_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let variables = vec![(SOCKET.to_owned(), path.display().to_string())];
        ready(&Environment { variables });
        let mut received = [0; 32];
        let length = socket.recv(&mut received).expect("a message");
        assert_eq!(&received[..length], b"READY=1");
        ready(&Environment { variables: Vec::new() });
        assert!(send("@idi-match-nobody-listens-here", b"READY=1").is_err());
    }
}
