//! Signed tokens: strict compact JWS (RFC 7515), read by the rules of RFC 8725.
//!
//! What: [`parse`] takes a token apart and gives it unverified; [`Jws::verify`] checks its signature with a key that the
//! caller chose, and only then gives a [`Verified`] token. Why: one accepted form. Base64 has one spelling, JSON has no
//! second member of the same name, an algorithm must be allowed and fit the key, a header that changes the meaning of the
//! rest is refused, and the type says what a token is for, so that one kind is never taken for another. The signature is
//! checked by jsonwebtoken; its reading of claims is not used, for it keeps the last of two equal members and forgives 60
//! seconds. Not here: what the claims must say (see [`claims`]), which key is trusted (see `trust`).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::error::{OAuthError, Reason, Refusal};
use crate::fhir::issue::IssueCode;
use crate::fhir::json::{self, Limits};

pub mod claims;
mod key;

pub use key::PublicKey;

/// Of a whole token: ten certificates with keys of 4096 bits, and extensions, fit.
pub const JWS_BYTES_MAX: usize = 64 * 1024;

/// Certificates in a header; a chain has three or four.
pub const CERTIFICATES_MAX: usize = 10;

/// Of one certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Of a `kid`, `typ` or `jku`.
const HEADER_TEXT_BYTES_MAX: usize = 2048;

/// Of the header and the claims, each.
const LIMITS: Limits =
    Limits { body_bytes_max: JWS_BYTES_MAX, depth_max: 16, values_max: 5_000, string_bytes_max: 32 * 1024 };

/// Header parameters that change what the token means, or bring a key of their own: RFC 7515 section 4.1 (`jwk`, `x5u`,
/// `crit`), RFC 7797 (`b64`), RFC 7516 (the others). Whatever else is unknown is ignored, as RFC 7515 section 4 says.
const REFUSED: [&str; 14] =
    ["crit", "b64", "jwk", "x5u", "zip", "enc", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c", "skid"];

/// The algorithms of FAST Security 7.1.2. No other is ever tried, whatever a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Es256,
    Es384,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Rs384, Self::Es256, Self::Es384];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// Names are compared as they are (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// What a token is for, by its `typ` (RFC 8725 section 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// `JWT`, or nothing: software statements, client assertions, certifications, metadata, ID tokens.
    Jwt,
    /// `at+jwt`, exactly (RFC 9068 section 2.1).
    AccessToken,
}

impl TokenType {
    fn fits(self, typ: Option<&str>) -> bool {
        match (self, typ) {
            (Self::Jwt, None) => true,
            // RFC 7515 section 4.1.9: a media type, so its case does not count.
            (Self::Jwt, Some(typ)) => typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("application/jwt"),
            (Self::AccessToken, typ) => typ == Some("at+jwt"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub alg: Algorithm,
    pub typ: Option<String>,
    pub kid: Option<String>,
    /// DER, the leaf first; empty where the header has none.
    pub x5c: Vec<Vec<u8>>,
    pub jku: Option<String>,
}

/// A token that was taken apart and not verified: nothing that it says is known to be true.
#[derive(Debug)]
pub struct Jws<'a> {
    pub header: Header,
    pub claims: Map<String, Value>,
    /// What is signed: header and claims as received.
    signed: &'a str,
    signature: &'a str,
}

/// A token whose signature was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub header: Header,
    pub claims: Map<String, Value>,
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JwsError {
    /// Not three parts of canonical base64url with a JSON object in each of the first two.
    Malformed,
    DuplicateMember,
    TooLong,
    /// `none`, HMAC, or whatever else is not allowed.
    AlgorithmNotAllowed,
    /// A header parameter that is refused, or not of its type.
    HeaderNotAllowed,
    /// `x5c` is not a list of certificates in standard base64.
    CertificatesMalformed,
    TypeNotAllowed,
    /// The algorithm is not one of the key's.
    KeyMismatch,
    /// The key is too short, too long, on another curve, or none.
    WeakKey,
    SignatureInvalid,
}

impl JwsError {
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Malformed => Reason::Malformed,
            Self::DuplicateMember => Reason::DuplicateMember,
            Self::TooLong => Reason::TooLong,
            Self::AlgorithmNotAllowed => Reason::AlgorithmNotAllowed,
            Self::HeaderNotAllowed => Reason::HeaderNotAllowed,
            Self::CertificatesMalformed => Reason::CertificateMalformed,
            Self::TypeNotAllowed => Reason::TypeNotAllowed,
            Self::KeyMismatch => Reason::KeyMismatch,
            Self::WeakKey => Reason::WeakKey,
            Self::SignatureInvalid => Reason::SignatureInvalid,
        }
    }

    /// As the refusal of an endpoint that has `code` for bad tokens.
    #[must_use]
    pub const fn refusal(self, code: OAuthError) -> Refusal {
        Refusal::new(code, "The token is not well-formed or its signature does not hold.", self.reason())
    }
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason().fmt(f)
    }
}

impl std::error::Error for JwsError {}

/// Takes a compact JWS apart.
///
/// # Errors
/// The first thing in which the token is not of the accepted form.
pub fn parse(text: &str) -> Result<Jws<'_>, JwsError> {
    if text.len() > JWS_BYTES_MAX {
        return Err(JwsError::TooLong);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(JwsError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(JwsError::Malformed)?;
    if claims.contains('.') || signature.is_empty() {
        return Err(JwsError::Malformed);
    }
    decode(signature)?;
    let header = header_of(&object(header)?)?;
    Ok(Jws { header, claims: object(claims)?, signed, signature })
}

impl Jws<'_> {
    /// Checks the signature of a token of type [`TokenType::Jwt`].
    ///
    /// # Errors
    /// Where type, key or signature do not fit.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, JwsError> {
        self.verify_as(TokenType::Jwt, key)
    }

    /// Checks the signature of a token of one type.
    ///
    /// # Errors
    /// Where type, key or signature do not fit.
    pub fn verify_as(self, expected: TokenType, key: &PublicKey) -> Result<Verified, JwsError> {
        if !expected.fits(self.header.typ.as_deref()) {
            return Err(JwsError::TypeNotAllowed);
        }
        key.verify(self.header.alg, self.signed.as_bytes(), self.signature)?;
        Ok(Verified { header: self.header, claims: self.claims })
    }
}

/// Base64url without padding, in its one spelling (RFC 7515 section 2).
fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed)
}

fn object(part: &str) -> Result<Map<String, Value>, JwsError> {
    let bytes = decode(part)?;
    // Reads everything once for its rules, duplicate members at any depth among them; what passes means one thing only.
    json::parse(&bytes, &LIMITS).map_err(|issue| match issue.code {
        IssueCode::TooLong => JwsError::TooLong,
        _ if issue.diagnostics == json::SAME_NAME => JwsError::DuplicateMember,
        _ => JwsError::Malformed,
    })?;
    serde_json::from_slice(&bytes).map_err(|_| JwsError::Malformed)
}

fn header_of(header: &Map<String, Value>) -> Result<Header, JwsError> {
    if REFUSED.iter().any(|name| header.contains_key(*name)) {
        return Err(JwsError::HeaderNotAllowed);
    }
    // A token within a token (RFC 7519 section 5.2) is not read.
    if header.contains_key("cty") {
        return Err(JwsError::HeaderNotAllowed);
    }
    let alg = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
    Ok(Header {
        alg: alg.ok_or(JwsError::AlgorithmNotAllowed)?,
        typ: header_text(header, "typ")?,
        kid: header_text(header, "kid")?,
        x5c: certificates(header)?,
        jku: header_text(header, "jku")?,
    })
}

fn header_text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, JwsError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= HEADER_TEXT_BYTES_MAX => Ok(Some(text.clone())),
        Some(_) => Err(JwsError::HeaderNotAllowed),
    }
}

/// `x5c`: standard base64 with padding, not base64url (RFC 7515 section 4.1.6).
fn certificates(header: &Map<String, Value>) -> Result<Vec<Vec<u8>>, JwsError> {
    let Some(x5c) = header.get("x5c") else { return Ok(Vec::new()) };
    let texts = x5c.as_array().filter(|texts| !texts.is_empty()).ok_or(JwsError::CertificatesMalformed)?;
    if texts.len() > CERTIFICATES_MAX {
        return Err(JwsError::TooLong);
    }
    texts.iter().map(certificate).collect()
}

fn certificate(text: &Value) -> Result<Vec<u8>, JwsError> {
    let text = text.as_str().ok_or(JwsError::CertificatesMalformed)?;
    let der = STANDARD.decode(text).map_err(|_| JwsError::CertificatesMalformed)?;
    match der.len() {
        0 => Err(JwsError::CertificatesMalformed),
        1..=CERTIFICATE_BYTES_MAX => Ok(der),
        _ => Err(JwsError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    /// A token with this header, no claims and a signature of six bytes.
    fn token(header: &str) -> String {
        format!("{}.{}.AAECAwQF", encode(header), encode("{}"))
    }

    #[test]
    fn a_header_is_read_with_everything_that_is_used() {
        let text =
            token(r#"{"alg":"RS256","typ":"JWT","kid":"a","x5c":["MA=="],"jku":"https://a.example/k","x5t":"z"}"#);
        let header = parse(&text).unwrap().header;
        assert_eq!(header.alg, Algorithm::Rs256);
        assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some("JWT"), Some("a")));
        assert_eq!(
            (header.x5c.as_slice(), header.jku.as_deref()),
            ([b"0".to_vec()].as_slice(), Some("https://a.example/k"))
        );
    }

    #[test]
    fn headers_that_are_not_of_the_accepted_form_are_refused() {
        let table = [
            ("{}", JwsError::AlgorithmNotAllowed),
            (r#"{"alg":null}"#, JwsError::AlgorithmNotAllowed),
            (r#"{"alg":["RS256"]}"#, JwsError::AlgorithmNotAllowed),
            (r#"{"alg":"none"}"#, JwsError::AlgorithmNotAllowed),
            (r#"{"alg":"HS256"}"#, JwsError::AlgorithmNotAllowed),
            (r#"{"alg":"rs256"}"#, JwsError::AlgorithmNotAllowed),
            (r#"{"alg":"PS256"}"#, JwsError::AlgorithmNotAllowed),
            (r#"{"alg":"RS256","alg":"RS256"}"#, JwsError::DuplicateMember),
            (r#"{"alg":"RS256","\u0061lg":"none"}"#, JwsError::DuplicateMember),
            (r#"{"alg":"RS256","x":{"a":1,"a":1}}"#, JwsError::DuplicateMember),
            (r#"{"alg":"RS256","crit":["exp"]}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","crit":[]}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","b64":true}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","jwk":{}}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","cty":"JWT"}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","kid":1}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","kid":""}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","typ":null}"#, JwsError::HeaderNotAllowed),
            (r#"{"alg":"RS256","x5c":[]}"#, JwsError::CertificatesMalformed),
            (r#"{"alg":"RS256","x5c":"MA=="}"#, JwsError::CertificatesMalformed),
            (r#"{"alg":"RS256","x5c":["MA"]}"#, JwsError::CertificatesMalformed),
            (r#"{"alg":"RS256","x5c":["MB=="]}"#, JwsError::CertificatesMalformed),
            (r#"{"alg":"RS256","x5c":["-_=="]}"#, JwsError::CertificatesMalformed),
            (r#"{"alg":"RS256","x5c":[""]}"#, JwsError::CertificatesMalformed),
            (r#"{"alg":"RS256","x5c":[7]}"#, JwsError::CertificatesMalformed),
            (r#"[{"alg":"RS256"}]"#, JwsError::Malformed),
            (r#"{"alg":"RS256"} {}"#, JwsError::Malformed),
            ("\u{feff}{\"alg\":\"RS256\"}", JwsError::Malformed),
        ];
        for (header, expected) in table {
            assert_eq!(parse(&token(header)).map(|_| ()), Err(expected), "{header}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(HEADER_TEXT_BYTES_MAX + 1));
        assert_eq!(parse(&token(&long)).map(|_| ()), Err(JwsError::HeaderNotAllowed));
        let many = format!(r#"{{"alg":"RS256","x5c":[{}]}}"#, ["\"MA==\""; CERTIFICATES_MAX + 1].join(","));
        assert_eq!(parse(&token(&many)).map(|_| ()), Err(JwsError::TooLong));
        let large = format!(r#"{{"alg":"RS256","x5c":["{}"]}}"#, "AAAA".repeat(CERTIFICATE_BYTES_MAX / 3 + 1));
        assert_eq!(parse(&token(&large)).map(|_| ()), Err(JwsError::TooLong));
        assert_eq!(parse(&"a".repeat(JWS_BYTES_MAX + 1)).map(|_| ()), Err(JwsError::TooLong));
        let deep = format!(r#"{{"alg":"RS256","x":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(parse(&token(&deep)).map(|_| ()), Err(JwsError::Malformed));
    }

    #[test]
    fn the_type_says_what_a_token_is_for() {
        let table = [
            (None, true, false),
            (Some("JWT"), true, false),
            (Some("jwt"), true, false),
            (Some("application/jwt"), true, false),
            (Some("at+jwt"), false, true),
            (Some("AT+JWT"), false, false),
            (Some("application/at+jwt"), false, false),
            (Some("dpop+jwt"), false, false),
            (Some("logout+jwt"), false, false),
            (Some(""), false, false),
        ];
        for (typ, plain, access) in table {
            assert_eq!(TokenType::Jwt.fits(typ), plain, "{typ:?}");
            assert_eq!(TokenType::AccessToken.fits(typ), access, "{typ:?}");
        }
    }
}
