//! The store: everything that touches a database.
//!
//! What: resources and their versions, the matcher's records and identities, the change log, audit rows and the progress
//! of loads, clients and what they were given, people who sign in, on SQLite or PostgreSQL, chosen by URL scheme at run time. Why two: SQLite needs nothing installed;
//! PostgreSQL serves several processes. Both behave the same: one suite of tests runs on both.
//! How: [`Store`] opens pools; one module per table family has its queries; `dialect` has every query that differs.
//! Functions take a [`Connection`] and no decision: transactions are opened and closed by the caller with
//! [`transaction`]. Not here: rules, clocks, rendering, retries.
//!
//! Writing goes through one [`Store::writer_connection`] per process; pooled connections only read.

pub mod access_token;
pub mod as_of;
pub mod audit;
pub mod audit_seal;
pub mod audit_search;
pub mod audit_subject;
pub mod backup;
pub mod block_key;
pub mod body;
pub mod budget;
pub mod change;
pub mod client;
mod connection;
pub mod consent;
pub mod constraint;
mod database_url;
mod dialect;
pub mod error;
pub mod export_job;
pub mod history;
pub mod identity;
pub mod identity_history;
pub mod inspection;
pub mod load_progress;
mod migration;
pub mod person_account;
mod pool;
pub mod record;
pub mod reference;
pub mod replay;
pub mod resource;
pub mod review;
mod schema;
mod search;
pub mod secret;
pub mod session;
pub mod sign_in_attempt;
pub mod signing_key;
pub mod steward;
pub mod token_family;
pub mod transaction;

pub use connection::Connection;
pub use database_url::DatabaseUrl;
pub use error::StoreError;
pub use pool::{PooledConnection, Store, StoreOptions};
