//! How much may be tried: buckets of tokens, leases on them, what one person is known by to whoever tries, and sweeps.
//!
//! What: arithmetic over values; the time is an argument. Why: who may match may also guess, and a guess costs an attacker
//! nothing but time. Not here: where buckets are kept (see `store::budget`), who is metered and what is refused (see
//! `app::metering`).

pub mod bucket;
pub mod key;
pub mod lease;
pub mod ledger;
pub mod subject;
pub mod sweep;
