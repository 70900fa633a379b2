//! A database of its own for each test, and what tests write into it.

use idi_match::fhir::search_parameter::SearchValues;
use idi_match::store::constraint::SearchConstraint;
use idi_match::store::history::{self, HistoryQuery, HistoryScope, HistoryVersion};
use idi_match::store::record::RecordRow;
use idi_match::store::resource::NewResource;
use idi_match::store::{
    Connection, DatabaseUrl, Store, StoreError, StoreOptions, identity, record, resource, transaction,
};

use crate::postgres::TestDatabase;

pub const OPTIONS: StoreOptions = StoreOptions {
    connections_max: 4,
    acquire_timeout_ms: 2_000,
    busy_timeout_ms: 10_000,
    statement_timeout_ms: 20_000,
};

pub enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(TestDatabase),
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        Self::Postgres(TestDatabase::create())
    }

    pub fn url(&self) -> DatabaseUrl {
        match self {
            Self::Sqlite(folder) => DatabaseUrl::sqlite(&folder.path().join("people.db")),
            Self::Postgres(database) => DatabaseUrl::parse(&database.url()).unwrap(),
        }
    }

    pub fn open(&self) -> Store {
        Store::open(&self.url(), &OPTIONS).unwrap()
    }
}

/// Runs `write` in one transaction of a new writer.
pub fn write<T>(store: &Store, write: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> T {
    let mut connection = store.writer_connection().unwrap();
    in_transaction(&mut connection, write).unwrap()
}

/// Runs `write` in one transaction; an error undoes it.
pub fn in_transaction<T>(
    connection: &mut Connection,
    write: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    transaction::begin_write(connection)?;
    let result = transaction::lock_identities(connection).and_then(|()| write(connection));
    match result {
        Ok(value) => transaction::commit(connection).map(|()| value),
        Err(error) => {
            transaction::rollback(connection)?;
            Err(error)
        }
    }
}

pub fn patient(id: &str, version: i64, body: &str) -> NewResource {
    NewResource {
        resource_type: "Patient".to_owned(),
        id: id.to_owned(),
        version,
        updated_us: 1_000 * version,
        body: body.to_owned(),
        search: SearchValues::default(),
    }
}

/// The newest `count` versions of a Patient.
pub fn history_of(connection: &mut Connection, id: &str, count: u32) -> Vec<HistoryVersion> {
    let query = HistoryQuery {
        resource_type: "Patient".to_owned(),
        scope: HistoryScope::Instance(id.to_owned()),
        since_us: None,
        at: None,
        constraint: SearchConstraint::NONE,
        after: None,
        count,
        bytes_max: 1 << 20,
    };
    history::list(connection, &query).unwrap().versions
}

pub fn record_of(id: &str, identity: &str) -> RecordRow {
    RecordRow {
        id: id.to_owned(),
        version: 1,
        normaliser: 1,
        features: vec![0, 1, 2, 255],
        identity_id: identity.to_owned(),
        model_version: "m1".to_owned(),
        probability: Some(0.25),
        assigned_us: 7,
        verification_level: None,
        verified_on: None,
        replaced_by: None,
        decision_id: None,
    }
}

pub fn identity_row(id: &str) -> identity::IdentityRow {
    identity::IdentityRow { id: id.to_owned(), created_us: 5 }
}

/// Stores a Patient with its record as the only one of a new identity.
pub fn insert_person(connection: &mut Connection, id: &str, identity: &str) -> Result<(), StoreError> {
    resource::insert_many(connection, &[patient(id, 1, &format!("{{\"id\":\"{id}\"}}"))])?;
    identity::insert_many(connection, &[identity_row(identity)])?;
    record::upsert_many(connection, &[record_of(id, identity)])
}
