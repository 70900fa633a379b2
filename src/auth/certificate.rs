//! One X.509 certificate, parsed once (RFC 5280), with what the gate asks of it.
//!
//! What: names, times, key, usage and addresses of an owned DER certificate. Why: a name is compared byte for byte with what
//! a token says (FAST Security 7.1.5), so a certificate whose names can be read in two ways, or hold what no URI holds, is
//! refused here. Not here: whether anybody vouches for it (see `trust`).

use std::fmt;

use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Oid, Tag};
use x509_parser::certificate::{BasicExtension, X509Certificate};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, OID_PKIX_AUTHORITY_INFO_ACCESS};
use x509_parser::oid_registry::{OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CRL_DISTRIBUTION_POINTS};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as SubjectKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use super::jws::CERTIFICATE_BYTES_MAX;

/// URIs in one certificate.
pub const URIS_MAX: usize = 20;

/// Addresses of issuers or of revocation lists in one certificate.
const ADDRESSES_MAX: usize = 4;

/// Of a URI or an address.
const URI_BYTES_MAX: usize = 2048;

const SECOND_US: i64 = 1_000_000;

/// The curves P-256 and P-384, as the contents of their object identifiers (RFC 5480 section 2.1.1.1).
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// The bytes are no certificate of the accepted form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate that is read here")]
pub struct CertificateError;

/// The key of a certificate, as it stands there. How strong it is, `jws::PublicKey` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    P256(Vec<u8>),
    P384(Vec<u8>),
    /// Another algorithm or curve.
    Other,
}

/// What the key may be used for (RFC 5280 section 4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    /// The certificate does not say.
    Any,
    Only {
        signatures: bool,
        certificates: bool,
    },
}

/// Whether it may issue certificates, and how many may stand below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    None,
    Unlimited,
    /// So many intermediate certificates at most.
    Limited(u32),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    sha256: [u8; 32],
    subject: Vec<u8>,
    issuer: Vec<u8>,
    uris: Vec<String>,
    not_before_us: i64,
    not_after_us: i64,
    usage: Usage,
    authority: Authority,
    key: KeyMaterial,
    issuer_urls: Vec<String>,
    crl_urls: Vec<String>,
}

/// By its digest: the names in a certificate are nothing for a log.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:02x?})", &self.sha256[..4])
    }
}

impl Certificate {
    /// Parses one certificate of version 3, with nothing behind it.
    ///
    /// # Errors
    /// Where it is too large, no DER, or holds an extension twice or one that is read here and cannot be.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError)?;
        // `extensions_map` fails where one stands twice.
        if !rest.is_empty() || parsed.version() != X509Version::V3 || parsed.extensions_map().is_err() {
            return Err(CertificateError);
        }
        Ok(Self {
            der: der.to_vec(),
            sha256: Sha256::digest(der).into(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            uris: uris_of(&parsed)?,
            not_before_us: parsed.validity().not_before.timestamp().saturating_mul(SECOND_US),
            not_after_us: parsed.validity().not_after.timestamp().saturating_mul(SECOND_US),
            usage: usage_of(&parsed)?,
            authority: authority_of(&parsed)?,
            key: key_of(parsed.public_key()),
            issuer_urls: issuer_urls_of(&parsed)?,
            crl_urls: crl_urls_of(&parsed)?,
        })
    }

    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The URIs among the subject alternative names, as written.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    #[must_use]
    pub fn has_uri(&self, uri: &str) -> bool {
        self.uris.iter().any(|known| known == uri)
    }

    #[must_use]
    pub const fn not_before_us(&self) -> i64 {
        self.not_before_us
    }

    /// The last moment of validity, inclusive (RFC 5280 section 4.1.2.5).
    #[must_use]
    pub const fn not_after_us(&self) -> i64 {
        self.not_after_us
    }

    /// Whether its key may sign tokens: `digitalSignature`, where the certificate restricts the key at all.
    #[must_use]
    pub const fn may_sign(&self) -> bool {
        matches!(self.usage, Usage::Any | Usage::Only { signatures: true, .. })
    }

    /// Whether its key may sign certificates: an authority, and `keyCertSign`, which it has to say
    /// (RFC 5280 section 4.2.1.3).
    #[must_use]
    pub const fn may_sign_certificates(&self) -> bool {
        self.is_authority() && matches!(self.usage, Usage::Only { certificates: true, .. })
    }

    #[must_use]
    pub const fn is_authority(&self) -> bool {
        !matches!(self.authority, Authority::None)
    }

    #[must_use]
    pub const fn authority(&self) -> Authority {
        self.authority
    }

    #[must_use]
    pub const fn key(&self) -> &KeyMaterial {
        &self.key
    }

    /// Whether both are of one key, whoever they name.
    #[must_use]
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// DER of the subject's name.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// DER of the issuer's name.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Where the issuer's certificate can be fetched (RFC 5280 section 4.2.2.1), http and https only.
    #[must_use]
    pub fn issuer_urls(&self) -> &[String] {
        &self.issuer_urls
    }

    /// Where the issuer's revocation list can be fetched (RFC 5280 section 4.2.1.13), http and https only.
    #[must_use]
    pub fn crl_urls(&self) -> &[String] {
        &self.crl_urls
    }
}

/// An extension that stands at most once.
fn extension<'a, 'c>(
    parsed: &'a X509Certificate<'c>,
    oid: &Oid<'_>,
) -> Result<Option<&'a ParsedExtension<'c>>, CertificateError> {
    let found = parsed.get_extension_unique(oid).map_err(|_| CertificateError)?;
    Ok(found.map(X509Extension::parsed_extension))
}

fn uris_of(parsed: &X509Certificate<'_>) -> Result<Vec<String>, CertificateError> {
    let names = parsed.subject_alternative_name().map_err(|_| CertificateError)?;
    let names = names.map_or(&[][..], |extension| extension.value.general_names.as_slice());
    let mut uris = Vec::new();
    for name in names {
        match name {
            GeneralName::Invalid(..) => return Err(CertificateError),
            GeneralName::URI(uri) if is_uri(uri) => uris.push((*uri).to_owned()),
            GeneralName::URI(_) => return Err(CertificateError),
            _ => {}
        }
    }
    if uris.len() > URIS_MAX { Err(CertificateError) } else { Ok(uris) }
}

/// Printable ASCII without spaces (RFC 3986 section 2): what shows one name and is compared as another cannot come in.
fn is_uri(text: &str) -> bool {
    !text.is_empty() && text.len() <= URI_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn usage_of(parsed: &X509Certificate<'_>) -> Result<Usage, CertificateError> {
    let usage = parsed.key_usage().map_err(|_| CertificateError)?;
    Ok(usage.map_or(Usage::Any, |BasicExtension { value, .. }| Usage::Only {
        signatures: value.digital_signature(),
        certificates: value.key_cert_sign(),
    }))
}

fn authority_of(parsed: &X509Certificate<'_>) -> Result<Authority, CertificateError> {
    Ok(match extension(parsed, &OID_X509_EXT_BASIC_CONSTRAINTS)? {
        None => Authority::None,
        Some(ParsedExtension::BasicConstraints(constraints)) => match (constraints.ca, constraints.path_len_constraint)
        {
            (false, _) => Authority::None,
            (true, None) => Authority::Unlimited,
            (true, Some(count)) => Authority::Limited(count),
        },
        Some(_) => return Err(CertificateError),
    })
}

fn key_of(info: &SubjectPublicKeyInfo<'_>) -> KeyMaterial {
    match info.parsed() {
        Ok(SubjectKey::RSA(key)) => match (positive(key.modulus), positive(key.exponent)) {
            (Some(modulus), Some(exponent)) => KeyMaterial::Rsa { modulus, exponent },
            _ => KeyMaterial::Other,
        },
        Ok(SubjectKey::EC(point)) => {
            let curve = info.algorithm.parameters.as_ref().filter(|curve| curve.tag() == Tag::Oid);
            match curve.map(|curve| curve.data) {
                Some(P256) => KeyMaterial::P256(point.data().to_vec()),
                Some(P384) => KeyMaterial::P384(point.data().to_vec()),
                _ => KeyMaterial::Other,
            }
        }
        _ => KeyMaterial::Other,
    }
}

/// The bytes of a positive INTEGER, without the zero that keeps it positive.
fn positive(integer: &[u8]) -> Option<Vec<u8>> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest.to_vec()),
        [first, ..] if (1..0x80).contains(first) => Some(integer.to_vec()),
        _ => None,
    }
}

fn issuer_urls_of(parsed: &X509Certificate<'_>) -> Result<Vec<String>, CertificateError> {
    let access = match extension(parsed, &OID_PKIX_AUTHORITY_INFO_ACCESS)? {
        None => return Ok(Vec::new()),
        Some(ParsedExtension::AuthorityInfoAccess(access)) => access,
        Some(_) => return Err(CertificateError),
    };
    let issuers = access.iter().filter(|entry| entry.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS);
    Ok(addresses(issuers.map(|entry| &entry.access_location)))
}

fn crl_urls_of(parsed: &X509Certificate<'_>) -> Result<Vec<String>, CertificateError> {
    let points = match extension(parsed, &OID_X509_EXT_CRL_DISTRIBUTION_POINTS)? {
        None => return Ok(Vec::new()),
        Some(ParsedExtension::CRLDistributionPoints(points)) => points,
        Some(_) => return Err(CertificateError),
    };
    let names = points.iter().filter_map(|point| point.distribution_point.as_ref());
    Ok(addresses(names.flat_map(|name| match name {
        DistributionPointName::FullName(names) => names.as_slice(),
        DistributionPointName::NameRelativeToCRLIssuer(_) => &[],
    })))
}

/// The first few that can be fetched at all; the rest is as if it were not there.
fn addresses<'a, 'n: 'a>(names: impl Iterator<Item = &'a GeneralName<'n>>) -> Vec<String> {
    let fetched = |uri: &str| is_uri(uri) && (uri.starts_with("http://") || uri.starts_with("https://"));
    let uris = names.filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    uris.filter(|uri| fetched(uri)).take(ADDRESSES_MAX).map(str::to_owned).collect()
}
