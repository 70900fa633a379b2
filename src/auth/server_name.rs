//! Whether a certificate of a web server is for a host (RFC 9525).
//!
//! Not here: whether anybody vouches for it.

use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// Whether a subject alternative name of the certificate is this host: a name, or an address.
#[must_use]
pub fn is_for(der: &[u8], host: &str) -> bool {
    let der = CertificateDer::from(der);
    let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']'));
    match (EndEntityCert::try_from(&der), name) {
        (Ok(certificate), Ok(name)) => certificate.verify_is_valid_for_subject_name(&name).is_ok(),
        _ => false,
    }
}
