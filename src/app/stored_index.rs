//! The candidate index as rows of the database, for a process that keeps no population in memory.
//!
//! The rows follow the change log inside the transaction that writes, so whatever appends to the log is found by its block
//! keys with the same commit. A query reads the blocks it shares, the features of who stands there and of the rest of
//! their identities, and the index of `matching` judges that excerpt as it judges a whole population. Not here: which
//! keys there are and how large blocks are read (see `matching::stored_blocks`).

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::identity::constraint::Constraints;
use crate::matching::blocking::BLOCKING_VERSION;
use crate::matching::component::{Components, components};
use crate::matching::dictionary::Dictionary;
use crate::matching::entry::Query;
use crate::matching::index::{Ask, Excerpt, Neighbourhood, Overlay, Reach, Space, rank, weight_of};
use crate::matching::record::{NORMALISER_VERSION, Record};
use crate::matching::stored_blocks::{self, Listings, stored_numbers};
use crate::store::block_key::{self, BlockState, Numbered, RecordKeys};
use crate::store::change::ChangeRow;
use crate::store::error::Unavailable;
use crate::store::record::RecordRow;
use crate::store::{Connection, Store, StoreError, change, identity, record, transaction};

use super::constraint_copy::ConstraintCopy;
use super::live_index::{features_of, member};
use super::rules::Rules;

/// How this program derives keys: another number asks for all of them anew.
pub const DERIVATION: i32 = NORMALISER_VERSION * 1000 + BLOCKING_VERSION;

/// Records whose keys are written in one transaction at most.
const PAGE_ROWS: u32 = 2000;
/// Records read for a query at a time.
const CANDIDATES_READ: usize = 1000;

/// Populations up to this size are counted after every change, larger ones when a hundredth has changed.
const COUNTED_AT_ONCE_MAX: usize = 2_000;

pub struct StoredIndex {
    census: Mutex<Census>,
    /// Changes that had no keys at the last look.
    behind: AtomicU64,
    /// Another program derives the keys differently: what is read by ours would be found by chance.
    is_foreign: AtomicBool,
    constraints: ConstraintCopy,
    rules: Arc<Rules>,
}

/// How many there were, up to a change.
#[derive(Debug, Clone, Copy, Default)]
struct Census {
    seq: i64,
    identities: usize,
    records: usize,
}

impl StoredIndex {
    /// Fills in what is missing, page by page, each in a transaction of its own: a start that is cut off goes on at the
    /// next one, and several instances share the work.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn open(store: &Store, rules: Arc<Rules>, mut progress: impl FnMut(usize)) -> Result<Self, StoreError> {
        let mut conn = store.writer_connection()?;
        let seq = change::last_seq(&mut conn)?;
        let index = Self {
            census: Mutex::default(),
            behind: AtomicU64::new(0),
            is_foreign: AtomicBool::new(false),
            constraints: ConstraintCopy::read(&mut conn, seq)?,
            rules,
        };
        let mut filled = 0;
        while let Some(records) = index.in_transaction(&mut conn, Self::fill_page)? {
            filled += records;
            progress(filled);
        }
        index.in_transaction(&mut conn, Self::follow)?;
        index.look(&mut conn)?;
        Ok(index)
    }

    fn in_transaction<T>(
        &self,
        conn: &mut Connection,
        work: impl FnOnce(&Self, &mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        transaction::begin_write(conn)?;
        let done = transaction::lock_identities(conn).and_then(|()| work(self, conn));
        if done.is_err() {
            // The first error is the reason; a failed rollback adds nothing to it.
            let _ = transaction::rollback(conn);
        }
        let done = done?;
        transaction::commit(conn)?;
        Ok(done)
    }

    /// Writes the keys of the next page of records; `None` when all have theirs.
    fn fill_page(&self, conn: &mut Connection) -> Result<Option<usize>, StoreError> {
        let state = block_key::find_state(conn)?.filter(|state| state.derivation == DERIVATION);
        let mut state = match state {
            Some(state) => state,
            None => begin_filling(conn)?,
        };
        let Some(after) = state.filled_to.take() else { return Ok(None) };
        let mut page = block_key::list_numbered_page(conn, &after, PAGE_ROWS)?;
        let mut keys = Vec::with_capacity(page.len());
        let mut renewed = Vec::new();
        for Numbered { number, record } in &mut page {
            let features = features_of(conn, record, &self.rules)?;
            keys.push(self.keys_of(*number, &record.id, Some(&features)));
            if record.normaliser != NORMALISER_VERSION {
                (record.normaliser, record.features) = (NORMALISER_VERSION, features.encode());
                renewed.push(record.clone());
            }
        }
        block_key::replace_many(conn, &keys)?;
        record::upsert_many(conn, &renewed)?;
        state.filled_to = page.last().map(|last| last.record.id.clone());
        block_key::put_state(conn, &state)?;
        Ok(Some(page.len()))
    }

    fn keys_of(&self, number: i64, record_id: &str, features: Option<&Record>) -> RecordKeys {
        let dictionary = Dictionary::default();
        let keys = features.map(|features| stored_numbers(&Query::new(features, &dictionary, &self.rules.model)));
        RecordKeys { number, record_id: record_id.to_owned(), keys: keys.unwrap_or_default() }
    }

    /// Writes the keys of what the change log has beyond them. The caller is in a transaction that holds the identity
    /// lock.
    ///
    /// # Errors
    /// `Unavailable` when another program has derived the keys; those of the database.
    pub fn follow(&self, conn: &mut Connection) -> Result<(), StoreError> {
        let Some(mut state) = block_key::find_state(conn)?.filter(|state| state.derivation == DERIVATION) else {
            self.is_foreign.store(true, Ordering::Relaxed);
            return Err(foreign());
        };
        loop {
            let rows = change::list_after(conn, state.seq, PAGE_ROWS)?;
            let Some(last) = rows.last() else { break };
            state.seq = last.seq;
            self.write_keys(conn, &rows)?;
            block_key::put_state(conn, &state)?;
        }
        self.behind.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Takes over what is committed of constraints. Not what an open transaction has written: it may yet be undone, and its
    /// numbers in the log be given again.
    ///
    /// # Errors
    /// Those of the database.
    pub fn follow_constraints(&self, conn: &mut Connection) -> Result<(), StoreError> {
        self.constraints.catch_up(conn)
    }

    fn write_keys(&self, conn: &mut Connection, rows: &[ChangeRow]) -> Result<(), StoreError> {
        let ids: HashSet<&str> = rows.iter().map(|row| row.record_id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let numbers = block_key::list_numbers(conn, &ids)?;
        let mut keys = Vec::with_capacity(numbers.len());
        for (id, number) in numbers {
            let record = rows.iter().find(|row| row.record_id == id).and_then(|row| row.record.as_ref());
            let features = record.map(|record| features_of(conn, record, &self.rules)).transpose()?;
            keys.push(self.keys_of(number, &id, features.as_ref()));
        }
        block_key::replace_many(conn, &keys)
    }

    /// Looks whether the keys are still ours and complete, and counts anew; gives the changes that have no keys.
    ///
    /// # Errors
    /// `Unavailable` when another program has derived the keys; those of the database.
    pub fn look(&self, conn: &mut Connection) -> Result<u64, StoreError> {
        let state = block_key::find_state(conn)?.filter(|state| state.derivation == DERIVATION);
        self.is_foreign.store(state.is_none(), Ordering::Relaxed);
        let seq = state.ok_or_else(foreign)?.seq;
        self.constraints.catch_up(conn)?;
        let last = change::last_seq(conn)?;
        self.count(conn, last)?;
        let behind = u64::try_from(last - seq).unwrap_or(0);
        self.behind.store(behind, Ordering::Relaxed);
        Ok(behind)
    }

    /// Counts who is stored, unless the last count is near enough.
    fn count(&self, conn: &mut Connection, seq: i64) -> Result<(), StoreError> {
        let counted = self.census();
        let changes = usize::try_from(seq.abs_diff(counted.seq)).unwrap_or(usize::MAX);
        if changes == 0 || changes.saturating_mul(100) <= counted.records.saturating_sub(COUNTED_AT_ONCE_MAX) {
            return Ok(());
        }
        let number = |count: i64| usize::try_from(count).unwrap_or(0);
        let identities = number(identity::count_populated(conn)?);
        let census = Census { seq, identities, records: number(record::count(conn)?) };
        *self.census.lock().unwrap_or_else(PoisonError::into_inner) = census;
        Ok(())
    }

    fn census(&self) -> Census {
        *self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records at the last count.
    #[must_use]
    pub fn records(&self) -> usize {
        self.census().records
    }

    /// Identities at the last count.
    #[must_use]
    pub fn population(&self) -> usize {
        self.census().identities
    }

    /// Changes that had no keys at the last look.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// What is stored of the blocks of `query`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn read(&self, conn: &mut Connection, query: &Record, ask: &Ask) -> Result<Excerpt, StoreError> {
        if self.is_foreign.load(Ordering::Relaxed) {
            return Err(foreign());
        }
        let dictionary = Dictionary::default();
        let query = Query::new(query, &dictionary, &self.rules.model);
        let listings =
            stored_blocks::list(&query, ask.reach, ask.candidates_max, |ranges| block_key::list_ranges(conn, ranges))?;
        let mut found = self.candidates(conn, &components(&query), &listings)?;
        let model = Arc::clone(&self.rules.model);
        let mut excerpt = Excerpt::new(model, self.population(), listings.coverage);
        if found.len() > ask.candidates_max {
            found.sort_by_cached_key(|one| (Reverse((one.rules.count_ones(), one.shares_given)), rank(&one.row.id)));
            excerpt.leave_out(found.len() - ask.candidates_max);
            found.truncate(ask.candidates_max);
        }
        for one in &found {
            excerpt.add_candidate(member(&one.row), &one.features);
        }
        self.add_evidence(conn, &found, &mut excerpt)?;
        Ok(excerpt)
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    /// What is known of records beside their evidence.
    #[must_use]
    pub fn constraints(&self) -> Arc<Constraints> {
        self.constraints.get()
    }

    /// Looks at what hangs together, of which as much is read as is asked for.
    ///
    /// # Errors
    /// Those of the database.
    pub fn with_space<T>(
        &self,
        conn: &mut Connection,
        overlay: &Overlay,
        candidates_max: usize,
        look: impl Fn(&Space<'_>) -> T,
    ) -> Result<T, StoreError> {
        let mut base = Neighbourhood::new(Arc::clone(&self.rules.model));
        loop {
            let hidden = overlay.hidden_in(&base);
            let space = overlay.space_over(&base, &hidden);
            let seen = look(&space);
            let wanted = space.wanted();
            if wanted.is_empty() {
                return Ok(seen);
            }
            let mut near = Vec::with_capacity(wanted.neighbours.len());
            for place in wanted.neighbours {
                let found = self.near(conn, &space.query(place), candidates_max)?;
                near.push((space.record_id(place).to_string(), found));
            }
            drop(space);
            self.add_sought(conn, &wanted.records, &mut base)?;
            for (record_id, found) in near {
                self.add_near(conn, &record_id, &found, &mut base)?;
            }
        }
    }

    /// The records that meet `query` under enough blocking rules; of too many those that meet under most.
    fn near(
        &self,
        conn: &mut Connection,
        query: &Query<'_>,
        candidates_max: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let listings =
            stored_blocks::list(query, Reach::Blocks, candidates_max, |ranges| block_key::list_ranges(conn, ranges))?;
        let mut found = self.candidates(conn, &components(query), &listings)?;
        found.retain(|one| weight_of(one.rules).is_some());
        if found.len() > candidates_max {
            found.sort_by_cached_key(|one| (Reverse(weight_of(one.rules)), rank(&one.row.id)));
            found.truncate(candidates_max);
        }
        Ok(found)
    }

    fn add_sought(
        &self,
        conn: &mut Connection,
        record_ids: &[String],
        base: &mut Neighbourhood,
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = record_ids.iter().map(String::as_str).collect();
        for part in ids.chunks(CANDIDATES_READ) {
            let rows = record::find_many(conn, part)?;
            part.iter().for_each(|id| base.note_sought(id));
            let identities: HashSet<&str> = rows.iter().map(|row| row.identity_id.as_str()).collect();
            self.add_identities(conn, &identities, base)?;
        }
        Ok(())
    }

    fn add_near(
        &self,
        conn: &mut Connection,
        record_id: &str,
        found: &[Candidate],
        base: &mut Neighbourhood,
    ) -> Result<(), StoreError> {
        for one in found {
            base.add(member(&one.row), &one.features);
        }
        base.note_near(record_id, found.iter().map(|one| one.row.id.as_str()));
        let identities: HashSet<&str> = found.iter().map(|one| one.row.identity_id.as_str()).collect();
        self.add_identities(conn, &identities, base)
    }

    /// All records of these identities.
    fn add_identities(
        &self,
        conn: &mut Connection,
        identities: &HashSet<&str>,
        base: &mut Neighbourhood,
    ) -> Result<(), StoreError> {
        let identities: Vec<&str> = identities.iter().copied().collect();
        for part in identities.chunks(CANDIDATES_READ) {
            for row in record::list_of_identities(conn, part)? {
                let features = features_of(conn, &row, &self.rules)?;
                base.add(member(&row), &features);
            }
        }
        Ok(())
    }

    fn candidates(
        &self,
        conn: &mut Connection,
        asked: &Components,
        listings: &Listings,
    ) -> Result<Vec<Candidate>, StoreError> {
        let dictionary = Dictionary::default();
        let mut found = Vec::with_capacity(listings.found.len());
        for part in listings.found.chunks(CANDIDATES_READ) {
            let numbers: Vec<i64> = part.iter().map(|listing| listing.number).collect();
            for Numbered { number, record: row } in block_key::list_records(conn, &numbers)? {
                let features = features_of(conn, &row, &self.rules)?;
                let Ok(at) = part.binary_search_by_key(&number, |listing| listing.number) else { continue };
                let stored = components(&Query::new(&features, &dictionary, &self.rules.model));
                let rules = part[at].rules(asked, &stored);
                if rules != 0 {
                    found.push(Candidate { row, features, rules, shares_given: asked.share_given(&stored) });
                }
            }
        }
        Ok(found)
    }

    /// The other records of the candidates' identities.
    fn add_evidence(
        &self,
        conn: &mut Connection,
        found: &[Candidate],
        excerpt: &mut Excerpt,
    ) -> Result<(), StoreError> {
        let known: HashSet<&str> = found.iter().map(|one| one.row.id.as_str()).collect();
        let identities: HashSet<&str> = found.iter().map(|one| one.row.identity_id.as_str()).collect();
        let identities: Vec<&str> = identities.into_iter().collect();
        for part in identities.chunks(CANDIDATES_READ) {
            let rows = record::list_of_identities(conn, part)?;
            for row in rows.iter().filter(|row| !known.contains(row.id.as_str())) {
                let features = features_of(conn, row, &self.rules)?;
                excerpt.add_evidence(member(row), &features);
            }
        }
        Ok(())
    }
}

/// A record that shares blocks with a query.
struct Candidate {
    row: RecordRow,
    features: Record,
    /// A bit for each blocking rule under which they meet.
    rules: u32,
    shares_given: bool,
}

/// Keys of another derivation say nothing: they are all made anew, and what changes meanwhile is followed afterwards.
fn begin_filling(conn: &mut Connection) -> Result<BlockState, StoreError> {
    block_key::clear(conn)?;
    let seq = change::last_seq(conn)?;
    let state = BlockState { derivation: DERIVATION, seq, filled_to: Some(String::new()) };
    block_key::put_state(conn, &state)?;
    Ok(state)
}

const fn foreign() -> StoreError {
    StoreError::Unavailable(Unavailable::BlockKeys)
}
