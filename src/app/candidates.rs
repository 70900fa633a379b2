//! Where candidates are looked for: in this process's copy of all records, or in the database (`match.index`).
//!
//! Both give the same candidates and let the same engine judge them. Not here: either of the two (see `live_index` and
//! `stored_index`), following in the background (see `follower`).

use std::sync::Arc;

use crate::identity::constraint::Constraints;
use crate::matching::index::{Ask, Index, Overlay, Proposal, Space};
use crate::matching::model::Model;
use crate::matching::record::Record;
use crate::store::{Connection, Store, StoreError};

use super::live_index::LiveIndex;
use super::rules::Rules;
use super::stored_index::StoredIndex;

pub struct Candidates {
    place: Place,
    model: Arc<Model>,
}

enum Place {
    Memory(Box<LiveIndex>),
    Database(StoredIndex),
}

/// What a query may mean, and the identities against which that was weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposed {
    pub proposal: Proposal,
    pub population: usize,
}

impl Candidates {
    /// A copy of all records. Gives also the ids of rows that another version of the normaliser made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn in_memory(
        conn: &mut Connection,
        rules: &Arc<Rules>,
        progress: impl FnMut(usize),
    ) -> Result<(Self, Vec<String>), StoreError> {
        let (live, old) = LiveIndex::build(conn, Arc::clone(rules), progress)?;
        live.catch_up(conn)?;
        Ok((Self { place: Place::Memory(Box::new(live)), model: Arc::clone(&rules.model) }, old))
    }

    /// The rows of the database.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn in_database(store: &Store, rules: &Arc<Rules>, progress: impl FnMut(usize)) -> Result<Self, StoreError> {
        let stored = StoredIndex::open(store, Arc::clone(rules), progress)?;
        Ok(Self { place: Place::Database(stored), model: Arc::clone(&rules.model) })
    }

    /// The identities that `query` may mean.
    ///
    /// # Errors
    /// When the candidates are in the database and it does not answer.
    pub fn propose(&self, store: &Store, query: &Record, ask: &Ask) -> Result<Proposed, StoreError> {
        metrics::counter!("idi_match_candidate_searches_total").increment(1);
        match &self.place {
            Place::Memory(live) => {
                let index = live.read();
                Ok(Proposed { proposal: index.propose(query, ask), population: index.population() })
            }
            Place::Database(stored) => {
                let excerpt = stored.read(&mut *store.connection()?, query, ask)?;
                Ok(Proposed { proposal: excerpt.propose(query, ask), population: stored.population() })
            }
        }
    }

    /// The records and what hangs together with them, with what an open transaction has changed. `look` may be asked
    /// several times, and the last answer counts.
    ///
    /// # Errors
    /// When the candidates are in the database and it does not answer.
    pub fn with_space<T>(
        &self,
        conn: &mut Connection,
        overlay: &Overlay,
        candidates_max: usize,
        look: impl Fn(&Space<'_>) -> T,
    ) -> Result<T, StoreError> {
        match &self.place {
            Place::Memory(live) => Ok(look(&overlay.space(&live.read()))),
            Place::Database(stored) => stored.with_space(conn, overlay, candidates_max, look),
        }
    }

    /// All records at once, as they were at one moment; where the candidates are in the database they are read for it.
    ///
    /// # Errors
    /// When the candidates are in the database and it does not answer.
    pub fn with_everyone<T>(
        &self,
        store: &Store,
        look: impl FnOnce(&Index, &Constraints) -> T,
    ) -> Result<T, StoreError> {
        match &self.place {
            Place::Memory(live) => {
                let constraints = live.constraints();
                Ok(look(&live.read(), &constraints))
            }
            Place::Database(stored) => {
                let (live, _) = LiveIndex::build(&mut *store.connection()?, stored.rules(), |_| ())?;
                let constraints = live.constraints();
                Ok(look(&live.read(), &constraints))
            }
        }
    }

    /// Tells the overlay of a change.
    pub fn change<T>(&self, change: impl FnOnce(Option<&Index>) -> T) -> T {
        match &self.place {
            Place::Memory(live) => change(Some(&live.read())),
            Place::Database(_) => change(None),
        }
    }

    /// What is known of records beside their evidence.
    #[must_use]
    pub fn constraints(&self) -> Arc<Constraints> {
        match &self.place {
            Place::Memory(live) => live.constraints(),
            Place::Database(stored) => stored.constraints(),
        }
    }

    /// An overlay for [`Self::with_space`].
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        Overlay::new(Arc::clone(&self.model))
    }

    /// Under the identity lock, before anything is written: what others have written.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn catch_up(&self, conn: &mut Connection) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(live) => live.catch_up(conn).map(|_| ()),
            Place::Database(stored) => {
                stored.follow(conn)?;
                stored.follow_constraints(conn)
            }
        }
    }

    /// Under the identity lock, before the commit: what this transaction has changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn before_commit(&self, conn: &mut Connection) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(_) => Ok(()),
            Place::Database(stored) => stored.follow(conn),
        }
    }

    /// After a commit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn after_commit(&self, conn: &mut Connection) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(live) => live.catch_up(conn).map(|_| ()),
            Place::Database(stored) => stored.look(conn).map(|_| ()),
        }
    }

    /// Looks at the change log, outside of any transaction. What a copy lacks is in it afterwards.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn look(&self, conn: &mut Connection) -> Result<Followed, StoreError> {
        match &self.place {
            Place::Memory(live) => live.catch_up(conn).map(|_| Followed::All),
            Place::Database(stored) => Ok(match stored.look(conn)? {
                0 => Followed::All,
                changes => Followed::Lacks(changes),
            }),
        }
    }

    /// The value of `match.index`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.place {
            Place::Memory(_) => "memory",
            Place::Database(_) => "database",
        }
    }

    /// What there is to say about it.
    #[must_use]
    pub fn figures(&self) -> Figures {
        match &self.place {
            Place::Memory(live) => {
                let index = live.read();
                Figures {
                    records: index.len(),
                    identities: index.population(),
                    bytes: index.bytes(),
                    values_refused: index.values_refused(),
                    lag_changes: live.behind(),
                }
            }
            Place::Database(stored) => Figures {
                records: stored.records(),
                identities: stored.population(),
                bytes: 0,
                values_refused: 0,
                lag_changes: stored.behind(),
            },
        }
    }

    /// Records that can be found.
    #[must_use]
    pub fn records(&self) -> usize {
        match &self.place {
            Place::Memory(live) => live.records(),
            Place::Database(stored) => stored.records(),
        }
    }

    /// Identities against which a match is weighed.
    #[must_use]
    pub fn population(&self) -> usize {
        match &self.place {
            Place::Memory(live) => live.read().population(),
            Place::Database(stored) => stored.population(),
        }
    }
}

/// What a look at the change log has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    All,
    /// So many changes can be found only after the writer has followed.
    Lacks(u64),
}

/// What is told of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub records: usize,
    pub identities: usize,
    /// Memory held.
    pub bytes: usize,
    pub values_refused: u64,
    pub lag_changes: u64,
}
