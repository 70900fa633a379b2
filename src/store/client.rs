//! Clients of the authorization server: UDAP clients, which registered themselves, and those that an operator added.
//!
//! A row stays when its client is cancelled or disabled, because audit rows name it. Of one community and URI there is
//! one registration that is not cancelled, whoever writes at the same time. Not here: who may register, and as what.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::dialect;
use super::error::StoreError;
use super::schema::client;

/// It registered itself with a signed software statement.
pub const UDAP: &str = "udap";
/// An operator added it: with its keys (SMART App Launch, backend services), or as an app of people.
pub const SMART: &str = "smart";

pub const ACTIVE: &str = "active";
/// By the operator: it keeps its place, so that it cannot register itself again.
pub const DISABLED: &str = "disabled";
/// By itself.
pub const CANCELLED: &str = "cancelled";

/// A client, to write and as read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = client, primary_key(client_id), treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(deny_unknown_fields)]
pub struct ClientRow {
    pub client_id: String,
    pub kind: String,
    pub state: String,
    /// Empty of a client without UDAP.
    pub community: String,
    /// The URI that its certificate and its statements name; empty of a client without UDAP.
    pub issuer: String,
    pub name: String,
    /// Separated by spaces.
    pub grant_types: String,
    /// Separated by spaces.
    pub scope: String,
    /// The parameters of the registration, as JSON.
    pub registration: String,
    /// Accepted certifications, as a JSON list: their URIs and home community.
    pub certifications: String,
    /// Base64 of DER.
    pub certificate: Option<String>,
    /// Hexadecimal.
    pub anchor_sha256: Option<String>,
    pub jwks: Option<String>,
    pub jwks_url: Option<String>,
    pub created_us: i64,
    pub updated_us: i64,
    /// How it authenticates: `private_key_jwt`, or [`PUBLIC`].
    #[serde(default = "private_key_jwt")]
    pub auth_method: String,
    /// Where codes may be sent, as a JSON list.
    #[serde(default = "no_uris")]
    pub redirect_uris: String,
    /// Where somebody who has signed out may be sent, as a JSON list.
    #[serde(default = "no_uris")]
    pub logout_uris: String,
    /// Whose scripts may read answers, as a JSON list.
    #[serde(default = "no_uris")]
    pub origins: String,
    /// What the operator lets it leave out, separated by spaces.
    #[serde(default)]
    pub compatibility: String,
}

/// It has no key: its redirect URIs and PKCE stand in for that (RFC 6749 §2.1).
pub const PUBLIC: &str = "none";

fn private_key_jwt() -> String {
    "private_key_jwt".to_owned()
}

fn no_uris() -> String {
    "[]".to_owned()
}

impl ClientRow {
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.auth_method == PUBLIC
    }

    /// The entries of one of the lists; none where it is no list.
    #[must_use]
    pub fn uris(list: &str) -> Vec<String> {
        serde_json::from_str(list).unwrap_or_default()
    }
}

/// Whether a client was stored or another one has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    Done,
    /// The id, or the community and URI, are taken.
    Taken,
}

/// Stores a client, unless its place is taken. Nothing is undone by that, so the transaction goes on.
///
/// # Errors
/// Those of the database.
pub fn insert(connection: &mut Connection, row: &ClientRow) -> Result<Inserted, StoreError> {
    let rows = dialect::authorization::insert_client(connection, row)?;
    Ok(if rows == 0 { Inserted::Taken } else { Inserted::Done })
}

/// Puts a client in place of the one with its id.
///
/// # Errors
/// Those of the database.
pub fn update(connection: &mut Connection, row: &ClientRow) -> Result<(), StoreError> {
    diesel::update(client::table.find(&row.client_id)).set(row).execute(connection)?;
    Ok(())
}

/// The client of this id, whatever became of it.
///
/// # Errors
/// Those of the database.
pub fn find(connection: &mut Connection, client_id: &str) -> Result<Option<ClientRow>, StoreError> {
    Ok(client::table.find(client_id).select(ClientRow::as_select()).first(connection).optional()?)
}

/// The clients of these ids, whatever became of them; give no more than a page of ids.
///
/// # Errors
/// Those of the database.
pub fn list_of(connection: &mut Connection, client_ids: &[&str]) -> Result<Vec<ClientRow>, StoreError> {
    let those = client::table.filter(client::client_id.eq_any(client_ids));
    Ok(those.select(ClientRow::as_select()).load(connection)?)
}

/// The registration of a community and URI that is not cancelled.
///
/// # Errors
/// Those of the database.
pub fn find_registration(
    connection: &mut Connection,
    community: &str,
    issuer: &str,
) -> Result<Option<ClientRow>, StoreError> {
    Ok(client::table
        .filter(client::community.eq(community))
        .filter(client::issuer.eq(issuer))
        .filter(client::kind.eq(UDAP))
        .filter(client::state.ne(CANCELLED))
        .select(ClientRow::as_select())
        .first(connection)
        .optional()?)
}

/// Whether some client is active.
///
/// # Errors
/// Those of the database.
pub fn is_any_active(connection: &mut Connection) -> Result<bool, StoreError> {
    let active = client::table.filter(client::state.eq(ACTIVE)).select(client::client_id);
    Ok(active.first::<String>(connection).optional()?.is_some())
}

/// The lists of origins of all active clients that have any.
///
/// # Errors
/// Those of the database.
pub fn list_origins(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let active = client::table.filter(client::state.eq(ACTIVE)).filter(client::origins.ne("[]"));
    Ok(active.select(client::origins).load(connection)?)
}

/// The active clients that may leave something out, and what.
///
/// # Errors
/// Those of the database.
pub fn list_lenient(connection: &mut Connection) -> Result<Vec<(String, String)>, StoreError> {
    let active = client::table.filter(client::state.eq(ACTIVE)).filter(client::compatibility.ne(""));
    Ok(active.order(client::client_id).select((client::client_id, client::compatibility)).load(connection)?)
}

/// Up to `clients_max` clients after an id, in the order of ids, which is that of time.
///
/// # Errors
/// Those of the database.
pub fn list_after(
    connection: &mut Connection,
    client_id: &str,
    clients_max: u32,
) -> Result<Vec<ClientRow>, StoreError> {
    Ok(client::table
        .filter(client::client_id.gt(client_id))
        .order(client::client_id)
        .limit(i64::from(clients_max))
        .select(ClientRow::as_select())
        .load(connection)?)
}
