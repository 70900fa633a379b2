//! The open transaction as the writing thread's jobs see it: the connection, the time, and an index that knows what the
//! transaction has changed.
//!
//! Not here: opening and committing (see `writer`), what jobs do (see `keep`, `settle`).

use std::sync::Arc;

use crate::budget::ledger::Ledger;
use crate::identity::constraint::Constraints;
use crate::matching::index::{Index, Member, Overlay, Space};
use crate::matching::record::Record;
use crate::store::{Connection, StoreError};

use super::candidates::Candidates;

/// The open transaction, as a job sees it.
pub struct Unit<'a> {
    pub conn: &'a mut Connection,
    /// The time of the transaction, taken under its lock: what this process commits later has a later one.
    pub now_us: i64,
    /// The buckets that the jobs of the transaction have said they need. What a job takes it has taken, whatever becomes of it.
    pub ledger: Ledger,
    candidates: &'a Candidates,
    overlay: Overlay,
    kept: Vec<IndexChange>,
    pending: Vec<IndexChange>,
    constraints: Arc<Constraints>,
    /// As they were before the job that is running.
    constraints_before: Arc<Constraints>,
    /// The log has entries that change no record.
    has_notes: bool,
    /// As it was before the job that is running.
    had_notes: bool,
}

#[derive(Clone)]
enum IndexChange {
    Upsert { record_id: String, version: i64, identity_id: String, record: Box<Record> },
    Move { record_id: String, identity_id: String },
    Remove { record_id: String },
}

impl<'a> Unit<'a> {
    pub(super) fn new(conn: &'a mut Connection, now_us: i64, candidates: &'a Candidates) -> Self {
        let constraints = candidates.constraints();
        Self {
            conn,
            now_us,
            ledger: Ledger::default(),
            candidates,
            overlay: candidates.overlay(),
            kept: Vec::new(),
            pending: Vec::new(),
            constraints_before: Arc::clone(&constraints),
            constraints,
            has_notes: false,
            had_notes: false,
        }
    }

    /// The records of the index and what is known of them, with what this transaction has changed. `look` may be asked
    /// several times, and the last answer counts.
    ///
    /// # Errors
    /// Those of the database, when the candidates are there.
    pub fn with_space<T>(
        &mut self,
        candidates_max: usize,
        look: impl Fn(&Space<'_>, &Constraints) -> T,
    ) -> Result<T, StoreError> {
        let Self { conn, candidates, overlay, constraints, .. } = self;
        candidates.with_space(conn, overlay, candidates_max, |space| look(space, constraints))
    }

    /// The change log was written to; the index follows it after the commit.
    pub fn note_change(&mut self) {
        self.has_notes = true;
    }

    #[must_use]
    pub fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// The same, to be changed together with what is stored.
    pub fn constraints_mut(&mut self) -> &mut Constraints {
        Arc::make_mut(&mut self.constraints)
    }

    /// Makes a written record visible to the jobs that follow in this transaction.
    pub fn index_upsert(&mut self, member: Member<'_>, record: &Record) {
        let change = IndexChange::Upsert {
            record_id: member.record_id.to_owned(),
            version: member.version,
            identity_id: member.identity_id.to_owned(),
            record: Box::new(record.clone()),
        };
        self.candidates.change(|base| apply(&mut self.overlay, base, &change));
        self.pending.push(change);
    }

    /// Puts a record that this transaction has written into another identity.
    pub fn index_move(&mut self, record_id: &str, identity_id: &str) {
        let change = IndexChange::Move { record_id: record_id.to_owned(), identity_id: identity_id.to_owned() };
        self.candidates.change(|base| apply(&mut self.overlay, base, &change));
        self.pending.push(change);
    }

    /// Hides a deleted record from the jobs that follow in this transaction.
    pub fn index_remove(&mut self, record_id: &str) {
        let change = IndexChange::Remove { record_id: record_id.to_owned() };
        self.candidates.change(|base| apply(&mut self.overlay, base, &change));
        self.pending.push(change);
    }

    /// Keeps what a job has changed.
    pub(super) fn keep_job(&mut self) {
        self.kept.append(&mut self.pending);
        self.constraints_before = Arc::clone(&self.constraints);
        self.had_notes = self.has_notes;
    }

    /// Whether indexes have something to follow.
    pub(super) const fn has_changes(&self) -> bool {
        !self.kept.is_empty() || self.has_notes
    }

    /// Forgets what a job has changed that was rolled back.
    pub(super) fn undo_job(&mut self) {
        self.constraints = Arc::clone(&self.constraints_before);
        self.has_notes = self.had_notes;
        if self.pending.is_empty() {
            return;
        }
        self.pending.clear();
        self.overlay = self.candidates.overlay();
        let (overlay, kept) = (&mut self.overlay, &self.kept);
        self.candidates.change(|base| kept.iter().for_each(|change| apply(overlay, base, change)));
    }
}

fn apply(overlay: &mut Overlay, base: Option<&Index>, change: &IndexChange) {
    match change {
        IndexChange::Upsert { record_id, version, identity_id, record } => {
            overlay.upsert(base, Member { record_id, version: *version, identity_id }, record);
        }
        IndexChange::Move { record_id, identity_id } => overlay.move_to(record_id, identity_id),
        IndexChange::Remove { record_id } => overlay.remove(base, record_id),
    }
}
