//! The process's copy of the candidate index: built from feature rows at start, changed only by following `change`.
//!
//! Why: it only proposes; what is returned is read from the store. So a copy that lags by a moment can miss a record for
//! that moment and can never show a wrong one. Not here: blocking and scoring (see `matching::index`).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::fhir::json::parse;
use crate::fhir::name_text;
use crate::identity::constraint::Constraints;
use crate::matching::index::{Index, Member};
use crate::matching::record::{NORMALISER_VERSION, Record};
use crate::store::record::RecordRow;
use crate::store::{Connection, StoreError, change, record, resource};

use super::STORED_LIMITS;
use super::constraint_copy::ConstraintCopy;
use super::rules::Rules;

/// Rows read at a time.
const PAGE_ROWS: u32 = 2000;
/// Pages that wait at the start to be taken over.
const PAGES_AHEAD: usize = 4;

pub struct LiveIndex {
    index: RwLock<Index>,
    constraints: ConstraintCopy,
    /// The last `change.seq` that is in the index; held while following.
    followed: Mutex<i64>,
    records: AtomicUsize,
    /// Changes that were known and not in the index yet.
    behind: AtomicU64,
    rules: Arc<Rules>,
}

impl LiveIndex {
    /// Reads every feature row. Changes committed meanwhile are read again by the first [`Self::catch_up`]. Gives also the
    /// ids of rows that another version of the normaliser made.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn build(
        conn: &mut Connection,
        rules: Arc<Rules>,
        mut progress: impl FnMut(usize),
    ) -> Result<(Self, Vec<String>), StoreError> {
        let seq = change::last_seq(conn)?;
        let mut index = Index::new(Arc::clone(&rules.model));
        let constraints = ConstraintCopy::read(conn, seq)?;
        let mut old = Vec::new();
        std::thread::scope(|scope| {
            let (read, pages) = sync_channel::<Result<Page, StoreError>>(PAGES_AHEAD);
            let rules = &rules;
            scope.spawn(move || read_pages(conn, rules, &read));
            for page in pages {
                let Page { rows, features } = page?;
                let records: Vec<(Member<'_>, &Record)> = rows.iter().map(member).zip(&features).collect();
                index.extend(&records);
                old.extend(rows.iter().filter(|row| row.normaliser != NORMALISER_VERSION).map(|row| row.id.clone()));
                progress(index.len());
            }
            Ok::<(), StoreError>(())
        })?;
        index.settle();
        let records = AtomicUsize::new(index.len());
        let index = RwLock::new(index);
        Ok((Self { index, constraints, followed: Mutex::new(seq), records, behind: AtomicU64::new(0), rules }, old))
    }

    /// Applies every committed change that is not in the index yet; gives their number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn catch_up(&self, conn: &mut Connection) -> Result<usize, StoreError> {
        let mut followed = self.lock_followed();
        let mut applied = 0;
        loop {
            let rows = change::list_after(conn, *followed, PAGE_ROWS)?;
            let Some(last_seq) = rows.last().map(|row| row.seq) else { break };
            let is_last_page = rows.len() < PAGE_ROWS as usize;
            let known_seq = if is_last_page { last_seq } else { change::last_seq(conn)? };
            self.behind.store(u64::try_from(known_seq - *followed).unwrap_or(0), Ordering::Relaxed);
            let present: Vec<RecordRow> = rows.iter().filter_map(|row| row.record.clone()).collect();
            let decoded = decode_all(conn, &present, &self.rules)?;
            self.constraints.follow(conn, &rows)?;
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            for row in rows.iter().filter(|row| row.record.is_none()) {
                index.remove(&row.record_id);
            }
            for (row, features) in present.iter().zip(&decoded) {
                index.upsert(member(row), features);
            }
            self.records.store(index.len(), Ordering::Relaxed);
            drop(index);
            applied += rows.len();
            *followed = last_seq;
            self.behind.store(u64::try_from(known_seq - last_seq).unwrap_or(0), Ordering::Relaxed);
            if is_last_page {
                break;
            }
        }
        Ok(applied)
    }

    /// What is known of records beside their evidence.
    pub fn constraints(&self) -> Arc<Constraints> {
        self.constraints.get()
    }

    /// The index for proposing; hold it briefly.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records in the index.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Changes that were known at the last look and are not in the index.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    fn lock_followed(&self) -> MutexGuard<'_, i64> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows and their features.
struct Page {
    rows: Vec<RecordRow>,
    features: Vec<Record>,
}

/// Reads every row, until the end, an error, or nobody takes them any more.
fn read_pages(conn: &mut Connection, rules: &Rules, pages: &SyncSender<Result<Page, StoreError>>) {
    let mut after = None::<String>;
    loop {
        let page = read_page(conn, rules, after.as_deref());
        after = page.as_ref().ok().and_then(|page| page.rows.last()).map(|row| row.id.clone());
        if page.as_ref().is_ok_and(|page| page.rows.is_empty()) || pages.send(page).is_err() || after.is_none() {
            break;
        }
    }
}

fn read_page(conn: &mut Connection, rules: &Rules, after: Option<&str>) -> Result<Page, StoreError> {
    let rows = record::list_page(conn, after, PAGE_ROWS)?;
    let features = decode_all(conn, &rows, rules)?;
    Ok(Page { rows, features })
}

pub(super) fn member(row: &RecordRow) -> Member<'_> {
    Member { record_id: &row.id, version: row.version, identity_id: &row.identity_id }
}

fn decode_all(conn: &mut Connection, rows: &[RecordRow], rules: &Rules) -> Result<Vec<Record>, StoreError> {
    rows.iter().map(|row| features_of(conn, row, rules)).collect()
}

/// The features of a row; those of another normaliser version are made again from the stored Patient.
pub(super) fn features_of(conn: &mut Connection, row: &RecordRow, rules: &Rules) -> Result<Record, StoreError> {
    let is_current = row.normaliser == NORMALISER_VERSION;
    match is_current.then(|| Record::decode(&row.features)).and_then(Result::ok) {
        Some(features) => Ok(features),
        None => features_of_stored(conn, &row.id, rules),
    }
}

/// Features from the stored document; a record without one has none (and so is never proposed).
pub(super) fn features_of_stored(conn: &mut Connection, id: &str, rules: &Rules) -> Result<Record, StoreError> {
    let stored = resource::find(conn, "Patient", id)?;
    let body = stored.map_or_else(|| "{}".to_owned(), |stored| stored.body);
    let record = parse(body.as_bytes(), &STORED_LIMITS).map(|patient| {
        let (patient, _) = name_text::complete(patient);
        Record::from_patient(&patient, &rules.normaliser)
    });
    Ok(record.unwrap_or_default())
}
