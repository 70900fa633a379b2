//! Who a client is and what was granted: tokens, certificates, trust, scopes.
//!
//! What: every rule of the gate as a function of its arguments: signed tokens (RFC 7515, 7519, 8725), certificate chains
//! (RFC 5280), scopes (SMART App Launch 2.2), access tokens (RFC 9068), passwords and one-time codes of people (NIST SP 800-63B). Why: whatever decides here can be tried with forged
//! input and no server. Cryptography is the library's; it draws its own nonces. Not here: fetching (see `outbound`),
//! keeping (see `store`), the flows of the endpoints (see `app`), what a grant allows in a match (see `assurance`).

pub mod access_token;
pub mod authentication;
pub mod authorization_request;
pub mod certificate;
pub mod certification;
pub mod client_assertion;
pub mod community;
pub mod error;
pub mod extension;
pub mod id_token;
pub mod jws;
pub mod members;
pub mod metadata;
pub mod oauth_form;
pub mod open_id;
pub mod password;
pub mod pkce;
pub mod redirect_uri;
pub mod scope;
pub mod secret;
pub mod server_name;
pub mod session_token;
pub mod signing;
pub mod software_statement;
pub mod tefca;
pub mod throttle;
pub mod totp;
pub mod trust;
