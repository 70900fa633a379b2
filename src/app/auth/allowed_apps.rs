//! What a person has allowed apps, and taking it back.
//!
//! An app is allowed something as long as a family of its tokens stands, or the agreement by which it may ask again without
//! a page: both are shown as one, and end together, with the codes that are out. Forms name an app by a handle that is sealed
//! for the account, so nobody else's is any. When a token was used last is not known: it is asked for often and written
//! nowhere. Not here: agreeing (see `authorize`), pages (see `web`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::audit::{Action, AuditRecord};
use crate::auth::error::Refusal;
use crate::auth::redirect_uri::shown_host;
use crate::auth::scope::Scopes;
use crate::store::client::{self, ACTIVE, ClientRow};
use crate::store::consent::{self, ConsentRow};
use crate::store::token_family::{self, FamilyRow};
use crate::store::transaction;
use crate::store::{Connection, StoreError};

use super::account::note_client;
use super::authorize::KnownBy;
use super::person_tokens::is_offline;
use super::{audit_of, refusal_of};

/// Families and agreements of one account that are read for a page, each; the newest.
const PERMISSIONS_READ_MAX: u32 = 1000;
/// Apps on a page.
const APPS_SHOWN_MAX: usize = 100;
/// Of a handle in a form; one of this program is far shorter.
const HANDLE_BYTES_MAX: usize = 1024;
/// The answer to a form that was taken.
const SEE_OTHER: u16 = 303;

/// The apps that somebody has allowed something, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedApps {
    pub apps: Vec<AllowedApp>,
    pub rest: Rest,
}

/// Whether all of them are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    None,
    /// More than one page has room for.
    LeftOut,
}

/// One app, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedApp {
    /// What a form names it by.
    pub handle: String,
    /// As it is registered.
    pub name: String,
    /// Where its answers go.
    pub hosts: Vec<String>,
    pub known_by: KnownBy,
    pub standing: Standing,
    /// All that it may do; none where that cannot be read, its key being gone.
    pub scopes: Option<Scopes>,
    pub since_us: i64,
    pub until_us: i64,
    pub lasting: Lasting,
}

/// Whether an app may do anything here at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Active,
    /// The operator, or itself, has ended its registration.
    Blocked,
}

/// How far an app gets without the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It has a refresh token.
    Offline,
    /// As long as an access token.
    Online,
}

/// Whose permission a person takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Of the app behind this handle.
    App(String),
    All,
}

/// What came of taking back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBack {
    App,
    All,
    /// The app had nothing, or is none that this account knows.
    Nothing,
}

/// What is known of one app before its client is read.
struct Permission {
    since_us: i64,
    until_us: i64,
    /// Each scope once, as it is written; none where some of it cannot be read.
    scopes: Option<Vec<String>>,
    lasting: Lasting,
}

/// What was read of an account.
struct Read {
    families: Vec<FamilyRow>,
    consents: Vec<ConsentRow>,
}

impl App {
    /// What somebody has allowed apps.
    ///
    /// # Errors
    /// Those of the database.
    pub fn allowed_apps(&self, ctx: &Context, account_id: &str) -> Result<AllowedApps, Refusal> {
        let audit = audit_of_person(ctx, Action::Authorize, account_id);
        let listed = self.list_allowed(account_id, ctx.now_us).map_err(|error| refusal_of(&error));
        self.end(ctx, audit, listed)
    }

    /// Takes back what somebody has allowed one app, or all of them: no token of it is good for anything any more.
    ///
    /// # Errors
    /// Those of the database.
    pub fn take_back(&self, ctx: &Context, account_id: &str, which: &Which) -> Result<TakenBack, Refusal> {
        let mut audit = audit_of_person(ctx, Action::RevokeToken, account_id);
        audit.detail.status = SEE_OTHER;
        let client = match which {
            Which::All => None,
            Which::App(handle) => match self.app_of(account_id, handle).map_err(|error| refusal_of(&error)) {
                Ok(Some(client)) => Some(client),
                Ok(None) => return self.end(ctx, audit, Ok(TakenBack::Nothing)),
                Err(refusal) => return self.end(ctx, audit, Err(refusal)),
            },
        };
        if let Some(client) = &client {
            note_client(&mut audit.detail, client);
        }
        let account_id = account_id.to_owned();
        self.commit(ctx, audit, move |unit, _| {
            transaction::lock_people(unit.conn)?;
            let Some(client) = client else {
                token_family::revoke_of_account(unit.conn, &account_id, unit.now_us)?;
                return Ok(Ok(TakenBack::All));
            };
            let ended = token_family::revoke_of_client(unit.conn, &account_id, &client.client_id, unit.now_us)?;
            Ok(Ok(if ended == 0 { TakenBack::Nothing } else { TakenBack::App }))
        })
    }

    fn list_allowed(&self, account_id: &str, now_us: i64) -> Result<AllowedApps, AppError> {
        let mut connection = self.connection()?;
        let read = read(&mut connection, account_id, now_us)?;
        let is_cut = read.families.len().max(read.consents.len()) > PERMISSIONS_READ_MAX as usize;
        let permissions = self.permissions(read, now_us);
        let shown: Vec<&str> = permissions.keys().map(String::as_str).take(APPS_SHOWN_MAX).collect();
        let clients = client::list_of(&mut connection, &shown)?;
        let rest = if is_cut || shown.len() < permissions.len() { Rest::LeftOut } else { Rest::None };
        let mut apps = Vec::with_capacity(clients.len());
        for client in &clients {
            if let Some(permission) = permissions.get(&client.client_id) {
                apps.push(self.allowed_app(account_id, client, permission)?);
            }
        }
        apps.sort_by(|one, other| (&one.name, one.since_us).cmp(&(&other.name, other.since_us)));
        Ok(AllowedApps { apps, rest })
    }

    /// What each client may do, by its id.
    fn permissions(&self, read: Read, now_us: i64) -> BTreeMap<String, Permission> {
        let mut permissions = BTreeMap::new();
        for family in read.families {
            let scopes = self.open_agreement(&family).and_then(|agreement| Scopes::parse(&agreement.scope).ok());
            add(&mut permissions, family.client_id, (family.created_us, family.expires_us), scopes.as_ref());
        }
        for consent in read.consents {
            let scopes = Scopes::parse(&consent.scope).unwrap_or_default();
            let until_us = self.agreed_until_us(&scopes, consent.granted_us);
            if until_us > now_us {
                add(&mut permissions, consent.client_id, (consent.granted_us, until_us), Some(&scopes));
            }
        }
        permissions
    }

    fn allowed_app(
        &self,
        account_id: &str,
        client: &ClientRow,
        permission: &Permission,
    ) -> Result<AllowedApp, AppError> {
        let place = place_of_handle(account_id);
        let sealed = self.sealer.seal(&place, client.client_id.as_bytes(), (self.clock.secret)());
        let mut hosts: Vec<String> =
            ClientRow::uris(&client.redirect_uris).iter().map(|uri| shown_host(uri).to_owned()).collect();
        hosts.sort();
        hosts.dedup();
        let scopes = permission.scopes.as_ref().map(|scopes| {
            // More of them than fit into one request: of these nothing is said in words.
            Scopes::parse(&scopes.join(" ")).unwrap_or_default()
        });
        Ok(AllowedApp {
            handle: URL_SAFE_NO_PAD.encode(sealed.ok_or_else(AppError::internal)?),
            name: client.name.clone(),
            hosts,
            known_by: KnownBy::of(client),
            standing: if client.state == ACTIVE { Standing::Active } else { Standing::Blocked },
            scopes,
            since_us: permission.since_us,
            until_us: permission.until_us,
            lasting: permission.lasting,
        })
    }

    /// The client behind a handle that was made for this account.
    fn app_of(&self, account_id: &str, handle: &str) -> Result<Option<ClientRow>, AppError> {
        let sealed = URL_SAFE_NO_PAD.decode(handle).ok().filter(|_| handle.len() <= HANDLE_BYTES_MAX);
        let plain = sealed.and_then(|sealed| self.sealer.open_sealed(&place_of_handle(account_id), &sealed));
        let Some(client_id) = plain.and_then(|plain| String::from_utf8(plain).ok()) else { return Ok(None) };
        Ok(client::find(&mut *self.connection()?, &client_id)?)
    }
}

/// Whose the handle of an app is.
fn place_of_handle(account_id: &str) -> String {
    format!("allowed_app/{account_id}")
}

fn audit_of_person(ctx: &Context, action: Action, account_id: &str) -> AuditRecord {
    let mut audit = audit_of(ctx, action);
    account_id.clone_into(&mut audit.caller);
    audit.detail.user = Some(account_id.to_owned());
    audit
}

fn read(connection: &mut Connection, account_id: &str, now_us: i64) -> Result<Read, StoreError> {
    // One more says whether there are more.
    let rows_max = PERMISSIONS_READ_MAX + 1;
    Ok(Read {
        families: token_family::list_standing(connection, account_id, now_us, rows_max)?,
        consents: consent::list_of_account(connection, account_id, rows_max)?,
    })
}

/// Adds what one family or agreement gives to what its client has.
fn add(
    permissions: &mut BTreeMap<String, Permission>,
    client_id: String,
    (since_us, until_us): (i64, i64),
    scopes: Option<&Scopes>,
) {
    let new = Permission { since_us, until_us, scopes: Some(Vec::new()), lasting: Lasting::Online };
    let known = permissions.entry(client_id).or_insert(new);
    known.since_us = known.since_us.min(since_us);
    known.until_us = known.until_us.max(until_us);
    let Some(scopes) = scopes else {
        known.scopes = None;
        return;
    };
    if is_offline(scopes) {
        known.lasting = Lasting::Offline;
    }
    for scope in scopes.iter() {
        if let Some(all) = &mut known.scopes
            && !all.contains(&scope)
        {
            all.push(scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_has_got_in_several_ways_is_one_permission() {
        let mut permissions = BTreeMap::new();
        let scopes = |text: &str| Scopes::parse(text).expect("scopes");
        let mut give = |client_id: &str, times, text: &str| {
            add(&mut permissions, client_id.to_owned(), times, Some(&scopes(text)));
        };
        give("one", (5, 20), "openid patient/Patient.rs");
        give("one", (3, 10), "openid offline_access");
        give("other", (7, 8), "openid");
        let one = &permissions["one"];
        assert_eq!((one.since_us, one.until_us, one.lasting), (3, 20, Lasting::Offline));
        let all = ["openid", "patient/Patient.rs", "offline_access"].map(str::to_owned);
        assert_eq!(one.scopes.as_deref(), Some(&all[..]));
        assert_eq!(permissions["other"].lasting, Lasting::Online);
        add(&mut permissions, "one".to_owned(), (4, 9), None);
        assert_eq!(permissions["one"].scopes, None, "some of it cannot be read, so nothing is said of the rest");
    }
}
