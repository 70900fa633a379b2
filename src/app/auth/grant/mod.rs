//! The grants of the token endpoint, one file each (RFC 6749 §4).
//!
//! Not here: authenticating the client, issuing the token (see `token`).

pub mod authorization_code;
pub mod client_credentials;
pub mod refresh_token;

use crate::auth::error::{OAuthError, Reason, Refusal};
use crate::auth::software_statement::{AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN};
use crate::store::client::ClientRow;

/// A grant that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

impl GrantType {
    /// # Errors
    /// `unsupported_grant_type`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            AUTHORIZATION_CODE => Ok(Self::AuthorizationCode),
            REFRESH_TOKEN => Ok(Self::RefreshToken),
            CLIENT_CREDENTIALS => Ok(Self::ClientCredentials),
            _ => Err(Refusal::new(
                OAuthError::UnsupportedGrantType,
                "This grant type is not served.",
                Reason::ParameterInvalid("grant_type"),
            )),
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::AuthorizationCode => AUTHORIZATION_CODE,
            Self::RefreshToken => REFRESH_TOKEN,
            Self::ClientCredentials => CLIENT_CREDENTIALS,
        }
    }

    /// Refuses a grant that the client is not registered for.
    ///
    /// # Errors
    /// `unauthorized_client`.
    pub fn check_registered(self, client: &ClientRow) -> Result<(), Refusal> {
        if client.grant_types.split(' ').any(|registered| registered == self.code()) {
            return Ok(());
        }
        let text = "The client is not registered for this grant type.";
        Err(Refusal::new(OAuthError::UnauthorizedClient, text, Reason::GrantTypeNotRegistered))
    }
}
