//! The gate's use cases and what they live on: trust that changes while the server runs, and secrets at rest.
//!
//! Not here: rules (see `auth`), fetching (see `outbound`), wire formats (see `http`).

pub mod communities;
mod issuers;
pub mod material;
mod revocation;
pub mod seal;
pub mod secret_file;
pub mod stamp;
