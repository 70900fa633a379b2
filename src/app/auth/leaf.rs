//! Tokens that bring their certificate: verified with its key, before anybody asks whether it is trusted.
//!
//! Not here: the chain (see `communities`).

use crate::auth::certificate::Certificate;
use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::jws::{Jws, PublicKey, Verified};

/// A token that was signed with the key of its own first certificate; whether that is trusted is another question.
pub(super) struct SelfSigned {
    pub verified: Verified,
    pub leaf: Certificate,
}

/// Verifies a token with the key of its first certificate (FAST Security 7.1.3).
///
/// # Errors
/// With `code`, when there is no such certificate or the signature does not hold.
pub(super) fn verify_with_leaf(token: Jws<'_>, code: OAuthError) -> Result<SelfSigned, Refusal> {
    let text = "The token has no certificate to verify it with.";
    let der = token.header.x5c.first().ok_or_else(|| Refusal::new(code, text, Reason::CertificatesMissing))?;
    let leaf = Certificate::parse(der).map_err(|_| Refusal::new(code, text, Reason::CertificateMalformed))?;
    let key = PublicKey::from_certificate(&leaf).map_err(|error| error.refusal(code))?;
    let verified = token.verify(&key).map_err(|error| error.refusal(code))?;
    Ok(SelfSigned { verified, leaf })
}
