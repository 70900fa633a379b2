//! The part of a population that one query is about, read from elsewhere and judged as a whole index would judge it.
//!
//! What: the records that share a block with the query (see `matching::stored_blocks`), the other records of their
//! identities, and what is known of the rest: how many identities there are, how many candidates were left out. Not here:
//! the reading.

use std::sync::Arc;

use super::propose::{Ask, Layer, Proposal, propose};
use super::{Index, Member};
use crate::matching::model::Model;
use crate::matching::postings::Coverage;
use crate::matching::record::Record;

/// An index of the candidates of one query.
#[derive(Debug, Clone)]
pub struct Excerpt {
    index: Index,
    population: usize,
    left_out: usize,
    coverage: Coverage,
}

impl Excerpt {
    /// Of a population of so many identities; nothing is in it yet.
    #[must_use]
    pub fn new(model: Arc<Model>, population: usize, coverage: Coverage) -> Self {
        Self { index: Index::new(model), population, left_out: 0, coverage }
    }

    /// Adds a record that shares a block with the query.
    pub fn add_candidate(&mut self, member: Member<'_>, record: &Record) {
        self.index.upsert(member, record);
    }

    /// Adds a record that shares none, and is evidence of a candidate's identity.
    pub fn add_evidence(&mut self, member: Member<'_>, record: &Record) {
        self.index.keep(member, record);
    }

    /// Counts candidates that are beyond the limit.
    pub const fn leave_out(&mut self, candidates: usize) {
        self.left_out += candidates;
    }

    /// All of it, to propose from.
    #[must_use]
    pub const fn layer(&self) -> Layer<'_> {
        Layer { population: self.population, left_out: self.left_out, coverage: self.coverage, ..self.index.layer() }
    }

    /// The identities that `query` may mean, best first.
    #[must_use]
    pub fn propose(&self, query: &Record, ask: &Ask) -> Proposal {
        propose(&[self.layer()], query, ask)
    }
}
