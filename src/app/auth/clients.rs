//! Clients in the hands of an operator: added with their keys (SMART backend services) or as apps of people, listed, disabled.
//!
//! It opens a `Store`, never an [`App`](crate::app::App): clients are managed while servers run, and need no index. Each
//! change is one transaction with its audit row. Not here: clients that register themselves (see `register`).

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::StartError;
use crate::app::clock::{Clock, instant};
use crate::app::operator::{open_store, write};
use crate::audit::Action;
use crate::auth::jws::PublicKey;
use crate::auth::members::is_https_url;
use crate::auth::redirect_uri::{Kind, is_origin, kind_of};
use crate::auth::scope::{Level, Plain, Scopes};
use crate::auth::software_statement::{AUTHORIZATION_CODE, CLIENT_CREDENTIALS, PRIVATE_KEY_JWT, REFRESH_TOKEN};
use crate::config::Config;
use crate::store::StoreError;
use crate::store::client::{self, ACTIVE, ClientRow, DISABLED, Inserted, PUBLIC, SMART};

/// A client to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    pub name: String,
    /// Separated by spaces.
    pub scope: String,
    pub keys: ClientKeys,
    pub addresses: Addresses,
}

/// The addresses of an app of people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Where codes may go. Without any the client is a backend service.
    pub redirect_uris: Vec<String>,
    /// Where somebody who has signed out may be sent.
    pub logout_uris: Vec<String>,
    /// Whose scripts may read answers.
    pub origins: Vec<String>,
}

/// A client as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Client {
    pub client_id: String,
    pub kind: String,
    pub state: String,
    pub community: String,
    pub issuer: String,
    pub name: String,
    pub scope: String,
    /// FHIR instants.
    pub created: String,
    pub updated: String,
}

impl From<ClientRow> for Client {
    fn from(row: ClientRow) -> Self {
        Self {
            created: instant(row.created_us),
            updated: instant(row.updated_us),
            client_id: row.client_id,
            kind: row.kind,
            state: row.state,
            community: row.community,
            issuer: row.issuer,
            name: row.name,
            scope: row.scope,
        }
    }
}

/// Where a client's public keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientKeys {
    /// A JWK set.
    Inline(String),
    Url(String),
    /// It cannot keep one (RFC 6749 §2.1, public clients).
    None,
}

/// Why a client cannot be managed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(String),
}

/// Keys of one client at most.
const KEYS_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 200;
/// Clients read at a time.
const PAGE_CLIENTS: u32 = 200;

/// Adds a client, and gives it as stored.
///
/// # Errors
/// When it is not as it must be, or the database cannot be used.
pub fn add(config: &Config, clock: Clock, new: &NewClient) -> Result<Client, ClientError> {
    let row = row_of(new, (clock.uuid)(), (clock.now_us)())?;
    write(&open_store(config)?, clock, Action::ManageClient, |connection, audit| {
        audit.detail.records.push(row.client_id.clone());
        match client::insert(connection, &row)? {
            Inserted::Done => Ok(row.into()),
            Inserted::Taken => Err(ClientError::Refused("there is a client of this id".to_owned())),
        }
    })
}

/// Every client, the oldest first.
///
/// # Errors
/// When the database cannot be used.
pub fn list(config: &Config) -> Result<Vec<Client>, ClientError> {
    let mut connection = open_store(config)?.connection()?;
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let after = clients.last().map_or("", |row| row.client_id.as_str()).to_owned();
        let page = client::list_after(&mut connection, &after, PAGE_CLIENTS)?;
        if page.is_empty() {
            return Ok(clients);
        }
        clients.extend(page.into_iter().map(Client::from));
    }
}

/// Lets a client leave out what the rules ask for: for test suites. An empty list takes it back.
///
/// # Errors
/// When there is no such client that is active, or the database cannot be used.
pub fn relax(config: &Config, clock: Clock, client_id: &str, words: &[&str]) -> Result<(), ClientError> {
    write(&open_store(config)?, clock, Action::ManageClient, |connection, audit| {
        audit.detail.records.push(client_id.to_owned());
        audit.detail.reasons = words.iter().map(|word| format!("relaxed-{word}")).collect();
        let row = client::find(connection, client_id)?.filter(|row| row.state == ACTIVE);
        let row = row.ok_or_else(|| ClientError::Refused("there is no active client of this id".to_owned()))?;
        let row = ClientRow { compatibility: words.join(" "), updated_us: (clock.now_us)(), ..row };
        Ok(client::update(connection, &row)?)
    })
}

/// Disables a client: its tokens end at once, and it gets no others.
///
/// # Errors
/// When there is no such client that is active, or the database cannot be used.
pub fn disable(config: &Config, clock: Clock, client_id: &str) -> Result<(), ClientError> {
    write(&open_store(config)?, clock, Action::ManageClient, |connection, audit| {
        audit.detail.records.push(client_id.to_owned());
        let row = client::find(connection, client_id)?.filter(|row| row.state == ACTIVE);
        let row = row.ok_or_else(|| ClientError::Refused("there is no active client of this id".to_owned()))?;
        let row = ClientRow { state: DISABLED.to_owned(), updated_us: (clock.now_us)(), ..row };
        Ok(client::update(connection, &row)?)
    })
}

fn row_of(new: &NewClient, client_id: String, now_us: i64) -> Result<ClientRow, ClientError> {
    let refuse = |text: &str| Err(ClientError::Refused(text.to_owned()));
    if new.name.trim().is_empty() || new.name.chars().count() > NAME_CHARS_MAX {
        return refuse("a client needs a name of 200 characters at most");
    }
    let refused = |text: &str| ClientError::Refused(text.to_owned());
    let (jwks, jwks_url) = match &new.keys {
        ClientKeys::Inline(text) => (Some(check_jwks(text).map_err(refused)?), None),
        ClientKeys::Url(url) if is_https_url(url) => (None, Some(url.clone())),
        ClientKeys::Url(_) => return refuse("the address of a key set is an https URL"),
        ClientKeys::None if new.addresses.redirect_uris.is_empty() => {
            return refuse("a client without keys needs a redirect URI");
        }
        ClientKeys::None => (None, None),
    };
    let auth_method = if new.keys == ClientKeys::None { PUBLIC } else { PRIVATE_KEY_JWT };
    check_addresses(&new.addresses).map_err(refused)?;
    let is_app = !new.addresses.redirect_uris.is_empty();
    let scope = check_scope(&new.scope, is_app).map_err(refused)?;
    let grant_types = grant_types(is_app, &scope);
    let registration = json!({
        "client_name": new.name, "grant_types": grant_types, "scope": scope,
        "token_endpoint_auth_method": auth_method, "redirect_uris": new.addresses.redirect_uris,
    });
    Ok(ClientRow {
        client_id,
        kind: SMART.to_owned(),
        state: ACTIVE.to_owned(),
        community: String::new(),
        issuer: String::new(),
        name: new.name.clone(),
        grant_types: grant_types.join(" "),
        scope,
        registration: registration.to_string(),
        certifications: "[]".to_owned(),
        certificate: None,
        anchor_sha256: None,
        jwks,
        jwks_url,
        created_us: now_us,
        updated_us: now_us,
        auth_method: auth_method.to_owned(),
        redirect_uris: json!(new.addresses.redirect_uris).to_string(),
        logout_uris: json!(new.addresses.logout_uris).to_string(),
        origins: json!(new.addresses.origins).to_string(),
        compatibility: String::new(),
    })
}

/// An app of people has their codes, and refresh tokens where it may ask for them.
fn grant_types(is_app: bool, scope: &str) -> Vec<&'static str> {
    if !is_app {
        return vec![CLIENT_CREDENTIALS];
    }
    let may_refresh = scope.split(' ').any(|one| one == Plain::OfflineAccess.code());
    if may_refresh { vec![AUTHORIZATION_CODE, REFRESH_TOKEN] } else { vec![AUTHORIZATION_CODE] }
}

/// Addresses of one kind at most.
const ADDRESSES_MAX: usize = 20;

fn check_addresses(addresses: &Addresses) -> Result<(), &'static str> {
    let Addresses { redirect_uris, logout_uris, origins } = addresses;
    if [redirect_uris, logout_uris, origins].iter().any(|list| list.len() > ADDRESSES_MAX) {
        return Err("a client has 20 addresses of each kind at most");
    }
    let is_accepted = |uri: &String| matches!(kind_of(uri), Some(Kind::Https | Kind::Loopback | Kind::PrivateUse));
    if !redirect_uris.iter().chain(logout_uris).all(is_accepted) {
        return Err(
            "a redirect URI is https, http://127.0.0.1 or http://[::1], or of a scheme such as org.example.app, without # and *",
        );
    }
    if redirect_uris.is_empty() && !(logout_uris.is_empty() && origins.is_empty()) {
        return Err("a client without redirect URIs has no people to sign out and no scripts");
    }
    if origins.iter().all(|origin| is_origin(origin)) {
        Ok(())
    } else {
        Err("an origin is such as https://app.example.org, without a path")
    }
}

/// Every scope means something, and is of the system for a client without people, of people for an app of theirs.
fn check_scope(scope: &str, is_app: bool) -> Result<String, &'static str> {
    let text = if is_app {
        "a scope of an app is one such as launch/patient, patient/Patient.rs or openid; several are separated by spaces"
    } else {
        "a scope is one such as system/Patient.rs; several are separated by spaces"
    };
    let scopes = Scopes::from_list(scope.split(' ')).map_err(|_| text)?;
    let levels: &[Level] = if is_app { &[Level::Patient, Level::User] } else { &[Level::System] };
    if scopes.at_levels(levels) == scopes && !scopes.is_empty() { Ok(scopes.to_string()) } else { Err(text) }
}

/// Public keys alone, each with a name of its own.
fn check_jwks(text: &str) -> Result<String, &'static str> {
    let set: Value = serde_json::from_str(text).map_err(|_| "the key set is not JSON")?;
    let keys = set["keys"].as_array().filter(|keys| (1..=KEYS_MAX).contains(&keys.len()));
    let keys = keys.ok_or("the key set has no list of 1 to 20 keys")?;
    let mut names: Vec<&str> = Vec::with_capacity(keys.len());
    for key in keys {
        let name = key["kid"].as_str().filter(|name| !name.is_empty()).ok_or("a key has no kid")?;
        if ["d", "p", "q", "k"].iter().any(|private| key.get(private).is_some()) {
            return Err("a key is private: give the public half only");
        }
        PublicKey::from_jwk(key).map_err(|_| "a key is not an RSA key of 2048 bits or more, or on P-256 or P-384")?;
        if names.contains(&name) {
            return Err("two keys have the same kid");
        }
        names.push(name);
    }
    Ok(set.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::signing::{Signer, generate};

    fn key(kid: &str) -> Value {
        Signer::from_der(generate().expect("drawn").der()).expect("read").with_kid(kid).public_jwk()
    }

    #[test]
    fn a_key_set_holds_public_keys_with_names_of_their_own() {
        let mut private = key("a");
        private["d"] = json!("AA");
        let table = [
            (json!({"keys": [key("a"), key("b")]}), true),
            (json!({"keys": []}), false),
            (json!({}), false),
            (json!([key("a")]), false),
            (json!({"keys": [key("a"), key("a")]}), false),
            (json!({"keys": [key("")]}), false),
            (json!({"keys": [private]}), false),
            (json!({"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}), false),
        ];
        for (set, is_good) in table {
            assert_eq!(check_jwks(&set.to_string()).is_ok(), is_good, "{set}");
        }
        assert!(check_jwks("no JSON").is_err());
    }

    #[test]
    fn scopes_of_an_added_client_are_known_and_of_the_system() {
        for (scope, is_good) in [
            ("system/Patient.rs", true),
            ("system/*.cruds system/Patient.read", true),
            ("", false),
            ("system/Patient", false),
            ("user/Patient.rs", false),
            ("system/Patient.rs patient/Patient.rs", false),
            ("system/Patient.rs  system/Task.rs", false),
        ] {
            assert_eq!(check_scope(scope, false).is_ok(), is_good, "{scope}");
        }
    }

    #[test]
    fn scopes_of_an_app_are_of_people() {
        for (scope, is_good) in [
            ("launch/patient openid fhirUser offline_access patient/Patient.rs", true),
            ("user/Patient.rs", true),
            ("system/Patient.rs", false),
            ("patient/Patient.rs system/Patient.rs", false),
            ("patient/Patient", false),
        ] {
            assert_eq!(check_scope(scope, true).is_ok(), is_good, "{scope}");
        }
    }

    #[test]
    fn addresses_of_an_app_are_safe_ones() {
        let check = |redirect: &str, logout: &[&str], origins: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            let redirect_uris = if redirect.is_empty() { Vec::new() } else { vec![redirect.to_owned()] };
            check_addresses(&Addresses { redirect_uris, logout_uris: owned(logout), origins: owned(origins) }).is_ok()
        };
        assert!(check("https://app.example/cb", &["https://app.example/bye"], &["https://app.example"]));
        assert!(
            check("http://127.0.0.1/cb", &[], &[]) && check("org.example.app:/cb", &[], &[]) && check("", &[], &[])
        );
        for redirect in
            ["http://app.example/cb", "http://localhost/cb", "https://*.example/cb", "https://app.example/cb#x"]
        {
            assert!(!check(redirect, &[], &[]), "{redirect}");
        }
        assert!(!check("https://app.example/cb", &["http://app.example/bye"], &[]));
        assert!(!check("https://app.example/cb", &[], &["*"]));
        assert!(!check("", &[], &["https://app.example"]));
    }
}
