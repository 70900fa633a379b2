//! A certificate revocation list (RFC 5280 section 5), parsed once and shared by all validations.
//!
//! Not here: whether it decides about a certificate (see `trust`), fetching and refreshing it.

use std::fmt;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{CertRevocationList, EndEntityCert, OwnedCertRevocationList};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::auth::certificate::Certificate;

/// Of one list: some hundred thousand revoked certificates.
pub const CRL_BYTES_MAX: usize = 16 * 1024 * 1024;

const SECOND_US: i64 = 1_000_000;

/// The bytes are no revocation list of the accepted form: version 2, with a time of the next one, complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a revocation list that is read here")]
pub struct CrlError;

pub struct Crl {
    der: Vec<u8>,
    list: CertRevocationList<'static>,
    this_update_us: i64,
    next_update_us: i64,
    revoked: usize,
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Crl");
        shown.field("this_update_us", &self.this_update_us).field("next_update_us", &self.next_update_us);
        shown.field("revoked", &self.revoked).finish_non_exhaustive()
    }
}

impl Crl {
    /// Parses one list, with nothing behind it.
    ///
    /// # Errors
    /// Where it is too large, no DER, or of a kind that is not read: a delta, an indirect list, one without `nextUpdate`.
    pub fn parse(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError);
        }
        let list = OwnedCertRevocationList::from_der(der).map_err(|_| CrlError)?;
        let (rest, parsed) = CertificateRevocationList::from_der(der).map_err(|_| CrlError)?;
        let next_update = parsed.next_update().ok_or(CrlError)?;
        if !rest.is_empty() {
            return Err(CrlError);
        }
        Ok(Self {
            der: der.to_vec(),
            list: list.into(),
            this_update_us: parsed.last_update().timestamp().saturating_mul(SECOND_US),
            next_update_us: next_update.timestamp().saturating_mul(SECOND_US),
            revoked: parsed.iter_revoked_certificates().count(),
        })
    }

    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    #[must_use]
    pub const fn this_update_us(&self) -> i64 {
        self.this_update_us
    }

    /// From then on the list decides nothing.
    #[must_use]
    pub const fn next_update_us(&self) -> i64 {
        self.next_update_us
    }

    /// How many certificates are on it.
    #[must_use]
    pub const fn revoked(&self) -> usize {
        self.revoked
    }

    /// Whether it is of the same issuer and about the same part of its certificates, so that the newer takes the place of
    /// the older.
    #[must_use]
    pub fn has_scope_of(&self, other: &Self) -> bool {
        self.list.issuer() == other.list.issuer()
            && self.list.issuing_distribution_point() == other.list.issuing_distribution_point()
    }

    pub(super) const fn list(&self) -> &CertRevocationList<'static> {
        &self.list
    }

    /// Whether it is about some of its issuer's certificates only (RFC 5280 section 5.2.5).
    pub(super) fn is_partial(&self) -> bool {
        self.list.issuing_distribution_point().is_some()
    }

    pub(super) fn is_signed_by(
        &self,
        issuer: &Certificate,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let Ok((_, parsed)) = CertificateRevocationList::from_der(&self.der) else { return false };
        let der = CertificateDer::from(issuer.der());
        let Ok(issuer) = EndEntityCert::try_from(&der) else { return false };
        let (signed, signature) = (parsed.tbs_cert_list.as_ref(), parsed.signature_value.data.as_ref());
        issuer.subject() == self.list.issuer()
            && algorithms.iter().any(|algorithm| issuer.verify_signature(*algorithm, signed, signature).is_ok())
    }
}
