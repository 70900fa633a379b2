//! Identities: the records that belong to one person, as one candidate, and where an arriving record goes.
//!
//! What: [`evaluate`] gives for records read from the store the result that the index proposes; [`discreet`] the one for
//! those who must learn no number by it. [`partition`] is the one rule of who is with whom, on what hangs together
//! ([`component`]) or on everything ([`engine`]), under [`constraint`]s.
//! Not here: anything that reads or writes.

pub mod assign;
pub mod component;
pub mod constraint;
pub mod discreet;
pub mod engine;
pub mod golden;
pub mod partition;

use crate::matching::model::Model;
use crate::matching::pool::IdentityMatch;
use crate::matching::record::Record;

/// A record of an identity, as read from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    pub record_id: String,
    pub version: i64,
    pub record: Record,
}

/// Grades and weighs the identity of `members` for `query`, alone: the result that the index proposes for it.
#[must_use]
pub fn evaluate(
    query: &Record,
    identity_id: &str,
    members: &[MemberRecord],
    model: &Model,
    population: usize,
) -> IdentityMatch {
    crate::matching::pool::evaluate(
        query,
        identity_id,
        members.iter().map(|member| (member.record_id.as_str(), member.version, &member.record)),
        model,
        population,
    )
}

#[cfg(test)]
mod tests;
