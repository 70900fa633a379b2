//! What this server fetches from elsewhere: revocation lists, certificates of issuers, key sets, metadata.
//!
//! Everything goes through one client (`fetch`), and every address through one guard (`guard`): URLs stand in documents
//! that strangers send, so a fetch must never reach what only this server can reach (server-side request forgery). What an
//! operator types into a command goes its own way (`exchange`). Not here: what fetched documents mean, when they are
//! fetched (see `app::auth`).

pub mod certificates;
pub mod exchange;
pub mod fetch;
pub mod guard;
pub mod lookup;
pub mod probe;
#[cfg(test)]
mod tests;
