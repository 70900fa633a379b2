//! One look at a server on this machine: does it answer?
//!
//! For containers without a shell, whose health is asked by the program itself. The certificate that an https server shows
//! must be the very one of its configuration: no authority is asked, and no name. Not here: what the answer means (see
//! `cli::health`).

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// Of each step: connecting, writing, reading.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The status line fits.
const HEAD_BYTES: usize = 64;

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Status(u16),
    /// The server showed its certificate and wants one of the caller, so it is there.
    Certificate,
}

/// Asks for a path; of an https server `certificate` is its own as DER.
///
/// # Errors
/// Why there is no answer.
pub fn ask(address: SocketAddr, path: &str, certificate: Option<&[u8]>) -> Result<Seen, String> {
    let failed = |error: std::io::Error| error.to_string();
    let socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(failed)?;
    socket.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
    socket.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let Some(der) = certificate else {
        return exchange(socket, &request).map(Seen::Status);
    };
    let connection = connection(der, address).map_err(|error| error.to_string())?;
    let mut stream = StreamOwned::new(connection, socket);
    match exchange(&mut stream, &request) {
        Ok(status) => Ok(Seen::Status(status)),
        Err(_) if stream.conn.peer_certificates().is_some() => Ok(Seen::Certificate),
        Err(reason) => Err(reason),
    }
}

fn exchange(mut stream: impl std::io::Read + std::io::Write, request: &str) -> Result<u16, String> {
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    stream.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|error| error.to_string())?;
    status(&head).ok_or_else(|| "the answer is no HTTP".to_owned())
}

/// The number of a status line (RFC 9112 section 4).
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

fn connection(der: &[u8], address: SocketAddr) -> Result<ClientConnection, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let own = Own { der: der.to_vec(), provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(own))
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::from(address.ip()))
}

/// Trusts one certificate.
#[derive(Debug)]
struct Own {
    der: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.der {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("another certificate is shown than that of server.tls_cert".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_nothing_else_is() {
        let table: [(&[u8], Option<u16>); 5] = [
            (b"HTTP/1.1 200 OK\r\n", Some(200)),
            (b"HTTP/1.0 503 x", Some(503)),
            (b"HTTP/1.1 ", None),
            (b"HTTP/2 200", None),
            (b"", None),
        ];
        for (head, expected) in table {
            assert_eq!(status(head), expected, "{head:?}");
        }
    }
}
