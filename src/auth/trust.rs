//! Whether a chain of certificates leads to an anchor of a community (RFC 5280 section 6, FAST Security 7.1.6).
//!
//! What: [`validate`] takes the certificates of a token, those that were fetched, and a community's [`TrustStore`], and
//! says whose leaf it is or why not. All material and the time are arguments; whoever calls it may fetch more and ask
//! again. Path building, signatures, validity, constraints and revocation are rustls-webpki's, behind this one function, so
//! that another engine can take its place. What that leaves out is checked here: that a leaf's key may sign and an
//! issuer's may issue, that keys are strong, that anchors are valid and keep their own path length, that a list of
//! revocations is not from the future, and that both parsers read the same names.
//! Not here: fetching (see `outbound`), which name must be in the leaf (see `app`).

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
    anchor_from_trusted_cert, aws_lc_rs as algorithms,
};

use super::certificate::{Authority, Certificate};
use super::error::{OAuthError, Reason, Refusal};
use super::jws::{CERTIFICATES_MAX, PublicKey};

mod crl;

pub use crl::{CRL_BYTES_MAX, Crl, CrlError};

/// How far a list's `thisUpdate` may lie ahead of our clock.
const CRL_SKEW_US: i64 = 60_000_000;

/// Signatures on certificates and revocation lists. No SHA-1, no other curve; RSA of 2048 to 8192 bits.
static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 10] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// What holds for a certificate of which nobody says whether it was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownRevocation {
    /// It is refused: every certificate but the anchor needs a current list of its issuer.
    #[default]
    Refuse,
    /// It is accepted where no list of its issuer is configured; where one is, that list must be current.
    Accept,
}

/// What a community trusts.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    /// The newest first: the first that speaks for a certificate decides.
    crls: Vec<Arc<Crl>>,
    unknown_revocation: UnknownRevocation,
}

/// A certificate of the configuration that cannot stand where it stands; the number counts from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("there is no anchor")]
    NoAnchor,
    #[error("anchor {0} is not a certificate authority with a strong key")]
    Anchor(usize),
    #[error("intermediate certificate {0} is not a certificate authority with a strong key")]
    Intermediate(usize),
}

impl TrustStore {
    /// # Errors
    /// Where a certificate is no authority, or its key is too weak.
    pub fn new(anchors: &[Vec<u8>], intermediates: &[Vec<u8>]) -> Result<Self, TrustError> {
        if anchors.is_empty() {
            return Err(TrustError::NoAnchor);
        }
        let list = |ders: &[Vec<u8>], error: fn(usize) -> TrustError| -> Result<Vec<Certificate>, TrustError> {
            ders.iter().enumerate().map(|(at, der)| authority(der).ok_or_else(|| error(at))).collect()
        };
        Ok(Self {
            anchors: list(anchors, TrustError::Anchor)?,
            intermediates: list(intermediates, TrustError::Intermediate)?,
            ..Self::default()
        })
    }

    /// The same store with other lists of revocations.
    #[must_use]
    pub fn with_crls(mut self, crls: Vec<Arc<Crl>>) -> Self {
        self.crls = crls;
        self.crls.sort_by_key(|crl| std::cmp::Reverse(crl.this_update_us()));
        self
    }

    #[must_use]
    pub fn with_unknown_revocation(self, unknown_revocation: UnknownRevocation) -> Self {
        Self { unknown_revocation, ..self }
    }

    #[must_use]
    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    #[must_use]
    pub fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    #[must_use]
    pub fn crls(&self) -> &[Arc<Crl>] {
        &self.crls
    }

    /// Whether an anchor or intermediate of this store signed the list. A list that was fetched and is not so signed must
    /// not take the place of one that is.
    #[must_use]
    pub fn has_signer_of(&self, crl: &Crl) -> bool {
        self.anchors.iter().chain(&self.intermediates).any(|issuer| crl.is_signed_by(issuer, &ALGORITHMS))
    }

    /// Those that are not from the future, the newest first.
    fn current_crls(&self, now_us: i64) -> Vec<&Crl> {
        let latest_us = now_us.saturating_add(CRL_SKEW_US);
        self.crls.iter().map(Arc::as_ref).filter(|crl| crl.this_update_us() <= latest_us).collect()
    }
}

fn authority(der: &[u8]) -> Option<Certificate> {
    let certificate = Certificate::parse(der).ok()?;
    let known = anchor_from_trusted_cert(&CertificateDer::from(der)).is_ok();
    let strong = PublicKey::from_certificate(&certificate).is_ok();
    (known && strong && certificate.may_sign_certificates()).then_some(certificate)
}

/// A chain that leads to an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub leaf: Certificate,
    /// Those between the leaf and the anchor, as the signatures go, whatever else was brought.
    pub issuers: Vec<Certificate>,
    pub anchor_sha256: [u8; 32],
}

/// Why a chain is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainError {
    /// There is no certificate.
    Empty,
    Malformed,
    TooLong,
    /// A certificate stands in the list twice.
    Duplicate,
    /// A certificate is not the issuer of the one before it (RFC 7515 section 4.1.6).
    Unordered,
    /// No way leads to an anchor. More certificates may help (see [`missing_issuer`]).
    Untrusted,
    Expired,
    NotYetValid,
    Revoked,
    RevocationUnknown,
    /// The leaf's key is not for signatures.
    NoDigitalSignature,
    /// The leaf is a certificate authority.
    AuthorityAsLeaf,
    /// An issuer is no certificate authority.
    NotAnAuthority,
    /// An issuer's key is not for certificates.
    NoCertificateSigning,
    /// More intermediate certificates than one of them allows.
    PathTooLong,
    NameConstraint,
    WeakKey,
    AlgorithmNotAllowed,
    SignatureInvalid,
}

impl ChainError {
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Empty => Reason::CertificatesMissing,
            Self::Malformed => Reason::CertificateMalformed,
            Self::TooLong => Reason::TooManyCertificates,
            Self::Untrusted => Reason::Untrusted,
            Self::Expired => Reason::CertificateExpired,
            Self::NotYetValid => Reason::CertificateNotYetValid,
            Self::Revoked => Reason::Revoked,
            Self::RevocationUnknown => Reason::RevocationUnknown,
            Self::NoDigitalSignature | Self::AuthorityAsLeaf | Self::NotAnAuthority | Self::NoCertificateSigning => {
                Reason::CertificateUsage
            }
            Self::WeakKey => Reason::WeakKey,
            Self::Duplicate
            | Self::Unordered
            | Self::PathTooLong
            | Self::NameConstraint
            | Self::AlgorithmNotAllowed
            | Self::SignatureInvalid => Reason::ChainInvalid,
        }
    }

    /// As the refusal of an endpoint that has `code` for those whom nobody vouches for.
    #[must_use]
    pub const fn refusal(self, code: OAuthError) -> Refusal {
        Refusal::new(
            code,
            "The certificates do not lead to a trusted anchor, or one of them is not valid.",
            self.reason(),
        )
    }
}

/// Validates the chain of a token: its first certificate is the signer's, each further one the issuer of the one before.
///
/// # Errors
/// The most telling reason why no way leads from the leaf to an anchor.
pub fn validate(x5c: &[Vec<u8>], extra: &[Vec<u8>], store: &TrustStore, now_us: i64) -> Result<Chain, ChainError> {
    let presented = read(x5c)?;
    let leaf = presented.first().ok_or(ChainError::Empty)?;
    check_leaf(leaf)?;
    if extra.len() > CERTIFICATES_MAX {
        return Err(ChainError::TooLong);
    }
    let known = presented[1..].iter().chain(&store.intermediates).map(Certificate::der);
    let candidates: Vec<_> = known.chain(extra.iter().map(Vec::as_slice)).map(CertificateDer::from).collect();
    let engine = Engine { store, candidates: &candidates, now_us };
    let Way { anchor, issuers } = engine.build(leaf)?;
    Ok(Chain { leaf: leaf.clone(), issuers, anchor_sha256: anchor.sha256() })
}

/// The certificate at which the way to an anchor ends, for whoever can fetch its issuer (RFC 5280 section 4.2.2.1). `None`
/// where it ends at one that issued itself, or the chain cannot be read.
#[must_use]
pub fn missing_issuer(x5c: &[Vec<u8>], extra: &[Vec<u8>], store: &TrustStore) -> Option<Certificate> {
    let presented = read(x5c).ok()?;
    let mut pool = presented.get(1..)?.to_vec();
    pool.extend(extra.iter().filter_map(|der| Certificate::parse(der).ok()));
    pool.extend(store.intermediates.iter().cloned());
    let mut last = presented.first()?.clone();
    // Each certificate of the pool is passed at most once, so circles end.
    while let Some(at) = pool.iter().position(|issuer| issuer.subject() == last.issuer()) {
        last = pool.swap_remove(at);
    }
    (last.subject() != last.issuer()).then_some(last)
}

fn read(x5c: &[Vec<u8>]) -> Result<Vec<Certificate>, ChainError> {
    if x5c.len() > CERTIFICATES_MAX {
        return Err(ChainError::TooLong);
    }
    let parsed = x5c.iter().map(|der| Certificate::parse(der).map_err(|_| ChainError::Malformed));
    let presented = parsed.collect::<Result<Vec<_>, _>>()?;
    for (at, certificate) in presented.iter().enumerate() {
        if presented[..at].iter().any(|earlier| earlier.sha256() == certificate.sha256()) {
            return Err(ChainError::Duplicate);
        }
        PublicKey::from_certificate(certificate).map_err(|_| ChainError::WeakKey)?;
    }
    if presented.windows(2).any(|pair| pair[0].issuer() != pair[1].subject()) {
        return Err(ChainError::Unordered);
    }
    Ok(presented)
}

fn check_leaf(leaf: &Certificate) -> Result<(), ChainError> {
    if leaf.is_authority() {
        return Err(ChainError::AuthorityAsLeaf);
    }
    if leaf.may_sign() { Ok(()) } else { Err(ChainError::NoDigitalSignature) }
}

/// FAST Security names no extended key usage, and certificates for servers are in use for clients.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut purposes = purposes;
        purposes.try_for_each(|purpose| purpose.map(|_| ()))
    }
}

/// A way that holds.
struct Way<'a> {
    anchor: &'a Certificate,
    issuers: Vec<Certificate>,
}

/// One validation by rustls-webpki.
struct Engine<'a> {
    store: &'a TrustStore,
    candidates: &'a [CertificateDer<'a>],
    now_us: i64,
}

impl Engine<'_> {
    fn build(&self, leaf: &Certificate) -> Result<Way<'_>, ChainError> {
        let der = CertificateDer::from(leaf.der());
        let end_entity = EndEntityCert::try_from(&der).map_err(|error| reason_of(&error))?;
        // A name that only one of two parsers sees is a name that somebody hides.
        if !end_entity.valid_uri_names().eq(leaf.uris().iter().map(String::as_str)) {
            return Err(ChainError::Malformed);
        }
        let crls = self.store.current_crls(self.now_us);
        let lists: Vec<&CertRevocationList<'_>> = crls.iter().map(|crl| crl.list()).collect();
        let Ok(options) = RevocationOptionsBuilder::new(&lists) else {
            let way = self.path(&end_entity, None, &|_| Ok(()))?;
            return match self.store.unknown_revocation {
                UnknownRevocation::Accept => Ok(way),
                UnknownRevocation::Refuse => Err(ChainError::RevocationUnknown),
            };
        };
        let options = options.with_depth(RevocationCheckDepth::Chain).with_expiration_policy(ExpirationPolicy::Enforce);
        let strict = options.with_status_policy(UnknownStatusPolicy::Deny).build();
        match (self.path(&end_entity, Some(strict), &|_| Ok(())), self.store.unknown_revocation) {
            (Err(ChainError::RevocationUnknown), UnknownRevocation::Accept) => {
                let lenient = options.with_status_policy(UnknownStatusPolicy::Allow).build();
                self.path(&end_entity, Some(lenient), &|path| no_part_is_missing(path, &crls))
            }
            (judged, _) => judged,
        }
    }

    /// The first way that holds.
    fn path(
        &self,
        leaf: &EndEntityCert<'_>,
        revocation: Option<RevocationOptions<'_>>,
        further: &dyn Fn(&VerifiedPath<'_>) -> Result<(), ChainError>,
    ) -> Result<Way<'_>, ChainError> {
        let ders: Vec<_> = self.store.anchors.iter().map(|anchor| CertificateDer::from(anchor.der())).collect();
        let anchors: Vec<_> = ders.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
        // The engine goes on after a refusal of ours and remembers none of its own kind for it.
        let refused = Cell::new(None);
        let found = RefCell::new(None);
        let check = |path: &VerifiedPath<'_>| {
            let judged = self.check(path).and_then(|way| further(path).map(|()| way));
            judged.map(|way| drop(found.replace(Some(way)))).map_err(|reason| {
                refused.set(Some(reason));
                Error::UnknownIssuer
            })
        };
        let seconds = u64::try_from(self.now_us.div_euclid(1_000_000)).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let built =
            leaf.verify_for_usage(&ALGORITHMS, &anchors, self.candidates, time, AnyUsage, revocation, Some(&check));
        match built {
            Ok(_) => found.take().ok_or(ChainError::Untrusted),
            Err(error) => Err(refused.get().unwrap_or_else(|| reason_of(&error))),
        }
    }

    /// What the engine does not look at, once a way has been found.
    fn check(&self, path: &VerifiedPath<'_>) -> Result<Way<'_>, ChainError> {
        let (mut below, mut issuers) = (0_u32, Vec::new());
        for issuer in path.intermediate_certificates() {
            let issuer = Certificate::parse(&issuer.der()).map_err(|_| ChainError::Malformed)?;
            PublicKey::from_certificate(&issuer).map_err(|_| ChainError::WeakKey)?;
            if !issuer.may_sign_certificates() {
                return Err(ChainError::NoCertificateSigning);
            }
            issuers.push(issuer);
            below += 1;
        }
        let anchor = self.anchor_of(path.anchor())?;
        match anchor.authority() {
            Authority::Limited(most) if below > most => Err(ChainError::PathTooLong),
            _ => Ok(Way { anchor, issuers }),
        }
    }

    /// An anchor is valid for as long as its certificate says; a renewed one has the same name and key.
    fn anchor_of(&self, anchor: &TrustAnchor<'_>) -> Result<&Certificate, ChainError> {
        let mut problem = ChainError::Untrusted;
        for known in &self.store.anchors {
            let der = CertificateDer::from(known.der());
            let same = anchor_from_trusted_cert(&der).is_ok_and(|known| {
                known.subject == anchor.subject && known.subject_public_key_info == anchor.subject_public_key_info
            });
            problem = match same {
                false => problem,
                true if self.now_us < known.not_before_us() => ChainError::NotYetValid,
                // The last second counts as a whole, as it does in the engine.
                true if self.now_us.div_euclid(1_000_000) > known.not_after_us().div_euclid(1_000_000) => {
                    ChainError::Expired
                }
                true => return Ok(known),
            };
        }
        Err(problem)
    }
}

/// Where unknown revocation is accepted, a list that covers only part of an issuer's certificates says nothing for sure
/// about the rest; whoever has configured one gets a definite answer or none.
fn no_part_is_missing(path: &VerifiedPath<'_>, crls: &[&Crl]) -> Result<(), ChainError> {
    let leaf: &webpki::Cert<'_> = path.end_entity();
    let mut issuers = path.intermediate_certificates().map(webpki::Cert::issuer).chain([leaf.issuer()]);
    let in_parts = |issuer: &[u8]| {
        let mut lists = crls.iter().filter(|crl| crl.list().issuer() == issuer).peekable();
        lists.peek().is_some() && lists.all(|crl| crl.is_partial())
    };
    if issuers.any(in_parts) { Err(ChainError::RevocationUnknown) } else { Ok(()) }
}

fn reason_of(error: &Error) -> ChainError {
    #[expect(deprecated, reason = "the engine still names them")]
    match error {
        Error::UnknownIssuer => ChainError::Untrusted,
        Error::CertExpired { .. } => ChainError::Expired,
        Error::CertNotValidYet { .. } => ChainError::NotYetValid,
        Error::CertRevoked => ChainError::Revoked,
        Error::UnknownRevocationStatus
        | Error::CrlExpired { .. }
        | Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner
        | Error::UnsupportedCrlSignatureAlgorithm
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => ChainError::RevocationUnknown,
        Error::CaUsedAsEndEntity => ChainError::AuthorityAsLeaf,
        Error::EndEntityUsedAsCa => ChainError::NotAnAuthority,
        Error::PathLenConstraintViolated
        | Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded => ChainError::PathTooLong,
        Error::NameConstraintViolation
        | Error::MalformedNameConstraint
        | Error::MaximumNameConstraintComparisonsExceeded
        | Error::InvalidNetworkMaskConstraint
        | Error::UnsupportedNameType => ChainError::NameConstraint,
        Error::InvalidSignatureForPublicKey => ChainError::SignatureInvalid,
        Error::UnsupportedSignatureAlgorithm
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKey
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => ChainError::AlgorithmNotAllowed,
        _ => ChainError::Malformed,
    }
}
