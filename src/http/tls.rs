//! TLS in this server: rustls with aws-lc-rs, versions 1.2 and 1.3, certificates that are read again while it runs.
//!
//! A certificate that cannot be used leaves the one before in force, and the log says so. Connections that stand keep
//! what they began with. Not here: proxies that end TLS (see `transport`).

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::app::auth::secret_file;
use crate::app::auth::stamp::Stamp;
use crate::config::{ClientCertificates, Server};

/// The certificate in force.
pub struct Certificate {
    cert_file: String,
    key_file: String,
    current: RwLock<Arc<CertifiedKey>>,
    stamp: Mutex<Stamp>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("cert_file", &self.cert_file).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Whether files are read again where they look as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Changed,
    All,
}

impl Certificate {
    /// Reads the files of `server`.
    ///
    /// # Errors
    /// Words that name the option and the file.
    pub fn read(server: &Server) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (cert_file, key_file) = (server.tls_cert.clone(), server.tls_key.clone());
        let stamp = Stamp::of([&cert_file, &key_file]);
        let current = certified_key(&cert_file, &key_file, &provider)?;
        Ok(Self { cert_file, key_file, current: RwLock::new(Arc::new(current)), stamp: Mutex::new(stamp), provider })
    }

    /// Reads them again where they have changed.
    pub fn reload(&self, reload: Reload) {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp.again();
        if reload == Reload::Changed && now == *stamp {
            return;
        }
        *stamp = now;
        match certified_key(&self.cert_file, &self.key_file, &self.provider) {
            Ok(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!("the TLS certificate was read again");
            }
            Err(reason) => tracing::error!(reason, "the TLS certificate cannot be used; the one before stays in force"),
        }
    }
}

fn certified_key(cert_file: &str, key_file: &str, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let refuse = |option: &str, file: &str, error: &dyn std::fmt::Display| format!("server.{option}: {file}: {error}");
    let chain = chain_of(cert_file).map_err(|error| refuse("tls_cert", cert_file, &error))?;
    let key = secret_file::read(key_file).map_err(|reason| format!("server.tls_key: {reason}"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| refuse("tls_key", key_file, &error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| refuse("tls_key", key_file, &error))
}

fn chain_of(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?.collect();
    let chain = chain.map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(chain) }
}

/// The certificate that connections are shown, as DER.
///
/// # Errors
/// Words that name the option and the file.
pub fn leaf(server: &Server) -> Result<Vec<u8>, String> {
    let refuse = |error: String| format!("server.tls_cert: {}: {error}", server.tls_cert);
    let chain = chain_of(&server.tls_cert).map_err(refuse)?;
    Ok(chain.first().map(|der| der.to_vec()).unwrap_or_default())
}

/// What connections are accepted by.
///
/// # Errors
/// Words about `server.tls_client_anchors`.
pub fn server_config(server: &Server, certificate: Arc<Certificate>) -> Result<ServerConfig, String> {
    let provider = Arc::clone(&certificate.provider);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?;
    let builder = match server.tls_client_anchors.as_str() {
        "" => builder.with_no_client_auth(),
        file => {
            let refuse = |error: &dyn std::fmt::Display| format!("server.tls_client_anchors: {file}: {error}");
            let mut roots = RootCertStore::empty();
            for anchor in chain_of(file).map_err(|error| refuse(&error))? {
                roots.add(anchor).map_err(|error| refuse(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match server.tls_client_certificates {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                ClientCertificates::Required => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| refuse(&error))?)
        }
    };
    Ok(builder.with_cert_resolver(certificate))
}
