//! Every refusal of the gate: what the caller is told, and what the log is told.
//!
//! | error | status |
//! |---|---|
//! | `invalid_token` | 401 |
//! | `insufficient_scope` | 403 |
//! | `server_error` | 500 |
//! | `temporarily_unavailable` | 503 |
//! | everything else | 400 |
//!
//! Codes: RFC 6749 section 5.2 (token), RFC 7591 section 3.2.2 and UDAP Dynamic Client Registration section 5.2
//! (registration), RFC 6749 section 4.1.2.1 and OpenID Connect Core 3.1.2.6 (authorization), UDAP Certifications section 6.8, RFC 6750 section 3.1 (resources). A [`Refusal`] repeats no received
//! value. The finer [`Reason`] is for the log and the audit: it would help an attacker to try keys and names.
//! Not here: rendering.

use std::fmt;

use serde_json::Value;

/// The `error` of an OAuth answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthError {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    InvalidClientMetadata,
    InvalidRedirectUri,
    UnsupportedResponseType,
    AccessDenied,
    LoginRequired,
    ConsentRequired,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
    InvalidCertification,
    UnapprovedCertification,
    InvalidToken,
    InsufficientScope,
    TemporarilyUnavailable,
    ServerError,
}

impl OAuthError {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::InvalidCertification => "invalid_certification",
            Self::UnapprovedCertification => "unapproved_certification",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// The HTTP status. A failed client authentication is 400 as in UDAP's JWT-based client authentication section 7.2:
    /// 401 would have to name a scheme of the `Authorization` header, and none is in use there.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

/// Why, for the log and the audit. A reason holds no received value; a name in it is one of the program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    // The form of a token.
    Malformed,
    DuplicateMember,
    TooLong,
    AlgorithmNotAllowed,
    HeaderNotAllowed,
    TypeNotAllowed,
    CertificatesMissing,
    // Its signature.
    KeyUnknown,
    KeyMismatch,
    SignatureInvalid,
    // The chain of its certificates.
    CertificateMalformed,
    TooManyCertificates,
    Untrusted,
    MissingIntermediate,
    CertificateExpired,
    CertificateNotYetValid,
    Revoked,
    RevocationUnknown,
    CertificateUsage,
    WeakKey,
    ChainInvalid,
    // What it says.
    ClaimMissing(&'static str),
    ClaimInvalid(&'static str),
    SanMismatch,
    IssuerMismatch,
    SubjectMismatch,
    AudienceMismatch,
    Expired,
    ClockSkew,
    LifetimeTooLong,
    Replayed,
    TokenRevoked,
    GrantMismatch,
    // The client and what it asks for.
    ClientUnknown,
    ClientDisabled,
    CommunityUnknown,
    GrantTypeNotRegistered,
    ParameterMissing(&'static str),
    ParameterInvalid(&'static str),
    ExtensionMissing(&'static str),
    ExtensionInvalid(&'static str),
    PurposeNotAllowed,
    EntityTypeNotAllowed,
    OrganizationMismatch,
    CertificationMissing,
    CertifierNotAllowed,
    ConsentRequired,
    WildcardNotSupported,
    NoScopeLeft,
    ScopeTooSmall,
    // The person.
    NotSignedIn,
    NotAgreed,
    Denied,
    NoRecord,
    AccountNotUsable,
    // The server itself.
    Busy,
    Internal,
}

impl Reason {
    /// A code for logs, metrics and the audit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::DuplicateMember => "duplicate-member",
            Self::TooLong => "too-long",
            Self::AlgorithmNotAllowed => "algorithm-not-allowed",
            Self::HeaderNotAllowed => "header-not-allowed",
            Self::TypeNotAllowed => "type-not-allowed",
            Self::CertificatesMissing => "certificates-missing",
            Self::KeyUnknown => "key-unknown",
            Self::KeyMismatch => "key-mismatch",
            Self::SignatureInvalid => "signature-invalid",
            Self::CertificateMalformed => "certificate-malformed",
            Self::TooManyCertificates => "too-many-certificates",
            Self::Untrusted => "untrusted",
            Self::MissingIntermediate => "missing-intermediate",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotYetValid => "certificate-not-yet-valid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::CertificateUsage => "certificate-usage",
            Self::WeakKey => "weak-key",
            Self::ChainInvalid => "chain-invalid",
            Self::ClaimMissing(_) => "claim-missing",
            Self::ClaimInvalid(_) => "claim-invalid",
            Self::SanMismatch => "san-mismatch",
            Self::IssuerMismatch => "issuer-mismatch",
            Self::SubjectMismatch => "subject-mismatch",
            Self::AudienceMismatch => "audience-mismatch",
            Self::Expired => "expired",
            Self::ClockSkew => "clock-skew",
            Self::LifetimeTooLong => "lifetime-too-long",
            Self::Replayed => "replayed",
            Self::TokenRevoked => "token-revoked",
            Self::GrantMismatch => "grant-mismatch",
            _ => self.code_of_request(),
        }
    }

    const fn code_of_request(self) -> &'static str {
        match self {
            Self::ClientUnknown => "client-unknown",
            Self::ClientDisabled => "client-disabled",
            Self::CommunityUnknown => "community-unknown",
            Self::GrantTypeNotRegistered => "grant-type-not-registered",
            Self::ParameterMissing(_) => "parameter-missing",
            Self::ParameterInvalid(_) => "parameter-invalid",
            Self::ExtensionMissing(_) => "extension-missing",
            Self::ExtensionInvalid(_) => "extension-invalid",
            Self::PurposeNotAllowed => "purpose-not-allowed",
            Self::EntityTypeNotAllowed => "entity-type-not-allowed",
            Self::OrganizationMismatch => "organization-mismatch",
            Self::CertificationMissing => "certification-missing",
            Self::CertifierNotAllowed => "certifier-not-allowed",
            Self::ConsentRequired => "consent-required",
            Self::WildcardNotSupported => "wildcard-not-supported",
            Self::NoScopeLeft => "no-scope-left",
            Self::ScopeTooSmall => "scope-too-small",
            Self::NotSignedIn => "not-signed-in",
            Self::NotAgreed => "not-agreed",
            Self::Denied => "denied",
            Self::NoRecord => "no-record",
            Self::AccountNotUsable => "account-not-usable",
            Self::Busy => "busy",
            _ => "internal",
        }
    }

    /// Which claim, parameter or extension, where the code alone does not say.
    #[must_use]
    pub const fn subject(self) -> Option<&'static str> {
        match self {
            Self::ClaimMissing(name)
            | Self::ClaimInvalid(name)
            | Self::ParameterMissing(name)
            | Self::ParameterInvalid(name)
            | Self::ExtensionMissing(name)
            | Self::ExtensionInvalid(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())?;
        self.subject().map_or(Ok(()), |subject| write!(f, ": {subject}"))
    }
}

/// A request that the gate refuses.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: OAuthError,
    /// For the caller.
    pub description: &'static str,
    /// For the log and the audit.
    pub log: Reason,
    /// The `extensions` of an error answer (UDAP JWT-Based Authorization section 6.4).
    pub extensions: Option<Value>,
}

impl Refusal {
    #[must_use]
    pub const fn new(code: OAuthError, description: &'static str, log: Reason) -> Self {
        Self { code, description, log, extensions: None }
    }

    /// The same refusal at an endpoint that has another code for it.
    #[must_use]
    pub fn as_code(self, code: OAuthError) -> Self {
        Self { code, ..self }
    }

    #[must_use]
    pub fn with_extensions(self, extensions: Value) -> Self {
        Self { extensions: Some(extensions), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code.code(), self.log)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_the_table() {
        let table = [
            (OAuthError::InvalidRequest, "invalid_request", 400),
            (OAuthError::InvalidClient, "invalid_client", 400),
            (OAuthError::InvalidScope, "invalid_scope", 400),
            (OAuthError::UnapprovedSoftwareStatement, "unapproved_software_statement", 400),
            (OAuthError::InvalidToken, "invalid_token", 401),
            (OAuthError::InsufficientScope, "insufficient_scope", 403),
            (OAuthError::ServerError, "server_error", 500),
            (OAuthError::TemporarilyUnavailable, "temporarily_unavailable", 503),
        ];
        for (error, code, status) in table {
            assert_eq!((error.code(), error.status()), (code, status));
        }
    }

    #[test]
    fn a_reason_says_which_claim_it_is_about() {
        assert_eq!(Reason::ClaimMissing("jti").to_string(), "claim-missing: jti");
        assert_eq!(Reason::Revoked.to_string(), "revoked");
        let refusal = Refusal::new(OAuthError::InvalidGrant, "An extension is missing.", Reason::Internal);
        assert_eq!(refusal.as_code(OAuthError::InvalidClient).to_string(), "invalid_client (internal)");
    }
}
