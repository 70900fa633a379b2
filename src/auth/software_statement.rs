//! The signed software statement of a registration request: what a client says of itself (FAST Security 3.1).
//!
//! What: [`SoftwareStatement::read`] judges the claims of a statement whose signature and chain were verified before
//! (UDAP Dynamic Client Registration 4). An empty `grant_types` asks for cancellation, a missing one is an error, and the
//! two are never confused. Not here: communities and certifications, what becomes of a registration that is there
//! (see `app::auth::register`).

use serde_json::{Map, Value};

use super::client_assertion::{LIFETIME_S_MAX, SKEW_S, token_id, usable_until_us};
use super::error::{OAuthError, Reason, Refusal};
use super::jws::Verified;
use super::jws::claims::{self, ClaimError};
use super::members::{self, Members, is_https_url};
use super::redirect_uri::{self, Kind};

pub const AUTHORIZATION_CODE: &str = "authorization_code";
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
pub const REFRESH_TOKEN: &str = "refresh_token";
pub const PRIVATE_KEY_JWT: &str = "private_key_jwt";

/// What is registered of a statement and told back; the claims of the token itself are not (FAST Security 3.2.3).
const PARAMETERS: [&str; 14] = [
    "client_name",
    "redirect_uris",
    "contacts",
    "logo_uri",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "scope",
    "client_uri",
    "tos_uri",
    "policy_uri",
    "software_id",
    "software_version",
    "jku",
];

/// A statement that follows the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftwareStatement {
    /// The URI of the client, which stands in its certificate.
    pub issuer: String,
    pub token_id: String,
    /// Until then the statement would be accepted, the clocks' difference included: so long it counts as used.
    pub usable_until_us: i64,
    pub wanted: Wanted,
}

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    Registration(Registration),
    Cancellation,
}

/// How a client wants to be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    pub client_name: String,
    pub grant_types: Vec<String>,
    pub scope: String,
    /// Where codes may go; none of a client without users.
    pub redirect_uris: Vec<String>,
    /// Every parameter that is kept, as it stands in the statement.
    pub parameters: Map<String, Value>,
}

/// What a statement is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// The registration endpoint.
    pub audience: &'a str,
    /// URIs of the certificate that the statement was signed with.
    pub uris: &'a [String],
    /// Grants that the community offers.
    pub grant_types: &'a [&'a str],
    pub redirects: Redirects,
    pub now_us: i64,
}

/// Which redirect URIs may be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// FAST Security 3.1.
    Https,
    /// By the operator's switch, of a test suite that has http.
    HttpToo,
}

const TEXT: &str = "The issuer of the software statement is not a URI of its certificate.";

impl SoftwareStatement {
    /// Judges a statement.
    ///
    /// # Errors
    /// `invalid_software_statement` for its claims, `invalid_client_metadata` and `invalid_redirect_uri` for the parameters.
    pub fn read(verified: &Verified, demand: &Demand<'_>) -> Result<Self, Refusal> {
        let refuse = |error: ClaimError| error.refusal(OAuthError::InvalidSoftwareStatement);
        let issuer = claims::issuer_and_subject(verified).map_err(refuse)?;
        // FAST Security 7.1.5: byte for byte.
        if !demand.uris.iter().any(|uri| uri == issuer) {
            return Err(Refusal::new(OAuthError::InvalidSoftwareStatement, TEXT, Reason::SanMismatch));
        }
        claims::audience(verified, &[demand.audience]).map_err(refuse)?;
        let times = claims::times(verified, demand.now_us, SKEW_S, LIFETIME_S_MAX).map_err(refuse)?;
        let token_id = token_id(verified).map_err(refuse)?.to_owned();
        let wanted = Wanted::read(&verified.claims, demand.grant_types, demand.redirects)?;
        Ok(Self { issuer: issuer.to_owned(), token_id, usable_until_us: usable_until_us(times), wanted })
    }
}

const METADATA: &str = "The registration parameters are not as they must be.";

impl Wanted {
    fn read(claims: &Map<String, Value>, supported: &[&str], redirects: Redirects) -> Result<Self, Refusal> {
        let members = Members::new(claims, members::Kind::Parameter, OAuthError::InvalidClientMetadata, METADATA);
        // FAST Security 3.4: an empty list cancels; the other parameters do not matter then.
        let grant_types = members.optional_texts("grant_types")?.ok_or_else(|| members.missing("grant_types"))?;
        if grant_types.is_empty() {
            return Ok(Self::Cancellation);
        }
        let grant = main_grant(&members, &grant_types, supported)?;
        check_contacts(&members)?;
        check_redirects(&members, grant, redirects)?;
        check_response_types(&members, grant)?;
        check_logo(&members, grant)?;
        if members.text("token_endpoint_auth_method")? != PRIVATE_KEY_JWT {
            return Err(members.invalid("token_endpoint_auth_method"));
        }
        let known = claims.iter().filter(|(name, _)| PARAMETERS.contains(&name.as_str()));
        Ok(Self::Registration(Registration {
            client_name: members.text("client_name")?.to_owned(),
            scope: members.text("scope")?.to_owned(),
            grant_types: grant_types.iter().map(|grant| (*grant).to_owned()).collect(),
            redirect_uris: members
                .optional_texts("redirect_uris")?
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            parameters: known.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }))
    }
}

/// The grant that a client registers for: exactly one, beside which a refresh token may stand (FAST Security 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MainGrant {
    Code,
    Client,
}

fn main_grant(members: &Members<'_>, grant_types: &[&str], supported: &[&str]) -> Result<MainGrant, Refusal> {
    let mut sorted = grant_types.to_vec();
    sorted.sort_unstable();
    let grant = match sorted.as_slice() {
        [AUTHORIZATION_CODE] | [AUTHORIZATION_CODE, REFRESH_TOKEN] => MainGrant::Code,
        [CLIENT_CREDENTIALS] => MainGrant::Client,
        _ => return Err(members.invalid("grant_types")),
    };
    if grant_types.iter().all(|grant| supported.contains(grant)) {
        return Ok(grant);
    }
    Err(members.invalid("grant_types"))
}

/// One or more, of which at least one is an address of mail.
fn check_contacts(members: &Members<'_>) -> Result<(), Refusal> {
    let contacts = members.texts("contacts")?;
    if contacts.iter().any(|contact| is_mail(contact)) { Ok(()) } else { Err(members.invalid("contacts")) }
}

fn is_mail(contact: &str) -> bool {
    let address = contact.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
    address.is_some_and(|(name, host)| {
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
        is_plain(name) && is_plain(host)
    })
}

fn check_redirects(members: &Members<'_>, grant: MainGrant, redirects: Redirects) -> Result<(), Refusal> {
    let is_accepted = |uri: &&str| match redirect_uri::kind_of(uri) {
        Some(Kind::Https) => true,
        Some(Kind::Http | Kind::Loopback) => redirects == Redirects::HttpToo,
        Some(Kind::PrivateUse) | None => false,
    };
    let members = members.with_code(OAuthError::InvalidRedirectUri);
    match grant {
        MainGrant::Client if members.has("redirect_uris") => Err(members.invalid("redirect_uris")),
        MainGrant::Client => Ok(()),
        MainGrant::Code if members.texts("redirect_uris")?.iter().all(is_accepted) => Ok(()),
        MainGrant::Code => Err(members.invalid("redirect_uris")),
    }
}

fn check_response_types(members: &Members<'_>, grant: MainGrant) -> Result<(), Refusal> {
    match (grant, members.optional_texts("response_types")?.as_deref()) {
        (MainGrant::Client, None) | (MainGrant::Code, Some(["code"])) => Ok(()),
        (MainGrant::Code, None) => Err(members.missing("response_types")),
        _ => Err(members.invalid("response_types")),
    }
}

fn check_logo(members: &Members<'_>, grant: MainGrant) -> Result<(), Refusal> {
    match members.optional_text("logo_uri")? {
        None if grant == MainGrant::Code => Err(members.missing("logo_uri")),
        Some(uri) if !is_https_url(uri) || !is_picture(uri) => Err(members.invalid("logo_uri")),
        _ => Ok(()),
    }
}

fn is_picture(uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default().to_ascii_lowercase();
    [".png", ".jpg", ".jpeg", ".gif"].iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::jws::{Algorithm, Header};

    fn of_server() -> Value {
        json!({
            "client_name": "Example Client",
            "contacts": ["mailto:ops@client.example"],
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "private_key_jwt",
            "scope": "system/Patient.rs",
        })
    }

    fn of_app() -> Value {
        json!({
            "client_name": "Example App",
            "contacts": ["https://app.example/help", "mailto:ops@app.example"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "redirect_uris": ["https://app.example/cb"],
            "logo_uri": "https://app.example/logo.PNG?v=1",
            "token_endpoint_auth_method": "private_key_jwt",
            "scope": "openid user/Patient.rs",
        })
    }

    const ALL: [&str; 3] = [AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN];

    fn read(claims: &Value, supported: &[&str]) -> Result<Wanted, (OAuthError, Reason)> {
        let claims = claims.as_object().expect("an object");
        Wanted::read(claims, supported, Redirects::Https).map_err(|refusal| (refusal.code, refusal.log))
    }

    fn changed(good: &Value, changes: &Value) -> Value {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().expect("an object") {
            let claims = claims.as_object_mut().expect("an object");
            if value.is_null() { drop(claims.remove(name)) } else { drop(claims.insert(name.clone(), value.clone())) }
        }
        claims
    }

    const fn invalid(name: &'static str) -> (OAuthError, Reason) {
        (OAuthError::InvalidClientMetadata, Reason::ParameterInvalid(name))
    }

    const fn missing(name: &'static str) -> (OAuthError, Reason) {
        (OAuthError::InvalidClientMetadata, Reason::ParameterMissing(name))
    }

    const fn redirect(reason: Reason) -> (OAuthError, Reason) {
        (OAuthError::InvalidRedirectUri, reason)
    }

    #[test]
    fn line_15_parameters_of_a_client_without_users_are_judged() {
        let table = [
            (json!({}), None),
            (json!({"client_name": null}), Some(missing("client_name"))),
            (json!({"client_name": ""}), Some(invalid("client_name"))),
            (json!({"contacts": null}), Some(missing("contacts"))),
            (json!({"contacts": []}), Some(invalid("contacts"))),
            (json!({"contacts": "mailto:a@b.example"}), Some(invalid("contacts"))),
            (json!({"contacts": ["https://client.example"]}), Some(invalid("contacts"))),
            (json!({"contacts": ["mailto:"]}), Some(invalid("contacts"))),
            (json!({"contacts": ["mailto:a b@c.example"]}), Some(invalid("contacts"))),
            (json!({"contacts": ["https://client.example", "mailto:a@b.example"]}), None),
            (json!({"grant_types": null}), Some(missing("grant_types"))),
            (json!({"grant_types": "client_credentials"}), Some(invalid("grant_types"))),
            (json!({"grant_types": ["password"]}), Some(invalid("grant_types"))),
            (json!({"grant_types": ["client_credentials", "refresh_token"]}), Some(invalid("grant_types"))),
            (json!({"grant_types": ["client_credentials", "authorization_code"]}), Some(invalid("grant_types"))),
            (json!({"grant_types": ["refresh_token"]}), Some(invalid("grant_types"))),
            (json!({"response_types": ["code"]}), Some(invalid("response_types"))),
            (json!({"response_types": []}), Some(invalid("response_types"))),
            (
                json!({"redirect_uris": ["https://a.example/cb"]}),
                Some(redirect(Reason::ParameterInvalid("redirect_uris"))),
            ),
            (json!({"redirect_uris": []}), Some(redirect(Reason::ParameterInvalid("redirect_uris")))),
            (json!({"logo_uri": "https://client.example/logo.gif"}), None),
            (json!({"logo_uri": "http://client.example/logo.gif"}), Some(invalid("logo_uri"))),
            (json!({"token_endpoint_auth_method": null}), Some(missing("token_endpoint_auth_method"))),
            (json!({"token_endpoint_auth_method": "client_secret_basic"}), Some(invalid("token_endpoint_auth_method"))),
            (json!({"scope": null}), Some(missing("scope"))),
            (json!({"scope": ""}), Some(invalid("scope"))),
            (json!({"scope": ["system/Patient.rs"]}), Some(invalid("scope"))),
        ];
        for (changes, expected) in table {
            assert_eq!(read(&changed(&of_server(), &changes), &ALL).err(), expected, "{changes}");
        }
    }

    #[test]
    fn line_15_parameters_of_an_app_with_users_are_judged() {
        let table = [
            (json!({}), None),
            (json!({"grant_types": ["authorization_code"]}), None),
            (json!({"redirect_uris": null}), Some(redirect(Reason::ParameterMissing("redirect_uris")))),
            (json!({"redirect_uris": []}), Some(redirect(Reason::ParameterInvalid("redirect_uris")))),
            (
                json!({"redirect_uris": ["http://app.example/cb"]}),
                Some(redirect(Reason::ParameterInvalid("redirect_uris"))),
            ),
            (
                json!({"redirect_uris": ["https://app.example/cb", "app:cb"]}),
                Some(redirect(Reason::ParameterInvalid("redirect_uris"))),
            ),
            (json!({"response_types": null}), Some(missing("response_types"))),
            (json!({"response_types": ["token"]}), Some(invalid("response_types"))),
            (json!({"response_types": ["code", "token"]}), Some(invalid("response_types"))),
            (json!({"logo_uri": null}), Some(missing("logo_uri"))),
            (json!({"logo_uri": "https://app.example/logo.svg"}), Some(invalid("logo_uri"))),
        ];
        for (changes, expected) in table {
            assert_eq!(read(&changed(&of_app(), &changes), &ALL).err(), expected, "{changes}");
        }
    }

    #[test]
    fn a_grant_that_this_server_does_not_have_is_not_registered() {
        assert_eq!(read(&of_app(), &[CLIENT_CREDENTIALS]).err(), Some(invalid("grant_types")));
        assert!(read(&of_server(), &[CLIENT_CREDENTIALS]).is_ok());
    }

    #[test]
    fn line_15_the_claims_of_a_statement_are_judged() {
        const NOW_S: i64 = 1_800_000_000;
        let url = "https://server.example/oauth/register";
        let token = json!({"iss": "https://c.example/a", "sub": "https://c.example/a", "aud": url, "jti": "once",
            "iat": NOW_S, "exp": NOW_S + 300});
        let statement = |reason| Some((OAuthError::InvalidSoftwareStatement, reason));
        let table = [
            (json!({}), None),
            (json!({"aud": [url, "https://other.example"]}), None),
            (json!({"iss": "https://c.example/a/", "sub": "https://c.example/a/"}), statement(Reason::SanMismatch)),
            (json!({"iss": "https://C.example/a", "sub": "https://C.example/a"}), statement(Reason::SanMismatch)),
            (json!({"sub": "https://c.example/b"}), statement(Reason::SubjectMismatch)),
            (json!({"iss": null}), statement(Reason::ClaimMissing("iss"))),
            (json!({"aud": "https://server.example/oauth/token"}), statement(Reason::AudienceMismatch)),
            (json!({"aud": null}), statement(Reason::ClaimMissing("aud"))),
            (json!({"exp": NOW_S + 301}), statement(Reason::LifetimeTooLong)),
            (json!({"iat": NOW_S - 400, "exp": NOW_S - 100}), statement(Reason::Expired)),
            (json!({"iat": NOW_S + 100, "exp": NOW_S + 200}), statement(Reason::ClockSkew)),
            (json!({"jti": null}), statement(Reason::ClaimMissing("jti"))),
        ];
        for (changes, expected) in table {
            let mut claims = changed(&token, &changes);
            for (name, value) in of_server().as_object().expect("an object") {
                claims[name] = value.clone();
            }
            let header = Header { alg: Algorithm::Rs256, typ: None, kid: None, x5c: Vec::new(), jku: None };
            let verified = Verified { header, claims: claims.as_object().expect("an object").clone() };
            let demand = Demand {
                redirects: Redirects::Https,
                audience: url,
                uris: &["https://other.example".to_owned(), "https://c.example/a".to_owned()],
                grant_types: &ALL,
                now_us: NOW_S * 1_000_000,
            };
            let read = SoftwareStatement::read(&verified, &demand);
            assert_eq!(read.err().map(|refusal| (refusal.code, refusal.log)), expected, "{changes}");
        }
    }

    #[test]
    fn line_22_an_empty_list_of_grants_cancels_whatever_else_is_said() {
        for others in [json!({}), json!({"contacts": 5, "redirect_uris": "x", "scope": null, "client_name": null})] {
            let claims = changed(&changed(&of_server(), &others), &json!({"grant_types": []}));
            assert_eq!(read(&claims, &ALL), Ok(Wanted::Cancellation), "{others}");
        }
    }

    #[test]
    fn line_18_what_is_kept_are_parameters_and_not_the_claims_of_the_token() {
        let claims = changed(&of_server(), &json!({"iss": "a", "sub": "a", "aud": "b", "jti": "c", "other": 1}));
        let Ok(Wanted::Registration(registration)) = read(&claims, &ALL) else { panic!("refused") };
        assert_eq!(Value::Object(registration.parameters), of_server());
    }
}
