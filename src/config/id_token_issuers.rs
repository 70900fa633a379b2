//! `[[id_token_issuers]]`: providers whose identity tokens are believed, and how far.
//!
//! Not here: their keys (see `app::auth::id_tokens`).

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::assurance::level::{AuthenticationLevel, IdentityLevel};

/// A provider of identity tokens, such as a credential service provider of TEFCA.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdTokenIssuer {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// A file with its JWK set, or empty.
    #[serde(default)]
    pub jwks: String,
    /// Where its JWK set is fetched from, or empty.
    #[serde(default)]
    pub jwks_url: String,
    /// `aud` that is accepted, beside the organisation that asks, its client and this server.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// What its tokens are believed for: where they carry no `acr` and `amr`, and at most.
    pub identity_assurance: String,
    pub authentication_assurance: String,
}

const ISSUERS_MAX: usize = 100;

/// Refuses what cannot be meant.
pub(super) fn check(issuers: &[IdTokenIssuer]) -> Result<(), ConfigError> {
    let refuse = |name: String, reason: &str| Err(ConfigError::Value { name, reason: reason.to_owned() });
    if issuers.len() > ISSUERS_MAX {
        return refuse("id_token_issuers".to_owned(), "must be 100 at most");
    }
    for (at, issuer) in issuers.iter().enumerate() {
        let place = |name: &str| format!("id_token_issuers.{at}.{name}");
        if issuer.issuer.is_empty() || issuers[..at].iter().any(|other| other.issuer == issuer.issuer) {
            return refuse(place("issuer"), "must be there, and be that of no other");
        }
        if issuer.jwks.is_empty() == issuer.jwks_url.is_empty() {
            return refuse(place("jwks"), "either this file or jwks_url must be given");
        }
        if !issuer.jwks_url.is_empty() && !issuer.jwks_url.starts_with("https://") {
            return refuse(place("jwks_url"), "must be an https URL");
        }
        if IdentityLevel::parse(&issuer.identity_assurance).is_none() {
            return refuse(place("identity_assurance"), "must be a level such as IDIAL1.8");
        }
        if AuthenticationLevel::parse(&issuer.authentication_assurance).is_none() {
            return refuse(place("authentication_assurance"), "must be a level such as AAL2");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> IdTokenIssuer {
        IdTokenIssuer {
            issuer: "https://csp.example".into(),
            jwks: "csp.json".into(),
            jwks_url: String::new(),
            audiences: Vec::new(),
            identity_assurance: "IDIAL2".into(),
            authentication_assurance: "AAL2".into(),
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let table = [
            (vec![IdTokenIssuer { issuer: String::new(), ..issuer() }], "id_token_issuers.0.issuer"),
            (vec![issuer(), issuer()], "id_token_issuers.1.issuer"),
            (vec![IdTokenIssuer { jwks: String::new(), ..issuer() }], "id_token_issuers.0.jwks"),
            (vec![IdTokenIssuer { jwks_url: "https://csp.example/k".into(), ..issuer() }], "id_token_issuers.0.jwks"),
            (
                vec![IdTokenIssuer { jwks: String::new(), jwks_url: "http://csp.example/k".into(), ..issuer() }],
                "id_token_issuers.0.jwks_url",
            ),
            (vec![IdTokenIssuer { identity_assurance: "gold".into(), ..issuer() }], "0.identity_assurance"),
            (vec![IdTokenIssuer { authentication_assurance: "gold".into(), ..issuer() }], "0.authentication_assurance"),
        ];
        for (issuers, expected) in table {
            let error = check(&issuers).expect_err(expected).to_string();
            assert!(error.contains(expected) && !error.contains("gold"), "{error}");
        }
        assert!(check(&[issuer()]).is_ok());
    }
}
