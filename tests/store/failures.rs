//! Failures: what is lost, busy or gone is said to be so, and what comes back is used again.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use idi_match::store::error::Unavailable;
use idi_match::store::{Connection, Store, StoreError, StoreOptions, identity, record, transaction};

use crate::database::{Database, OPTIONS, identity_row, in_transaction, insert_person, write};
use crate::postgres::Allow;

on_both_databases! {
    a_second_writer_waits_and_then_says_busy,
    an_exhausted_pool_says_so_in_time,
    a_waiting_writer_goes_on_when_the_first_one_ends,
}

const IMPATIENT: StoreOptions =
    StoreOptions { connections_max: 2, acquire_timeout_ms: 200, busy_timeout_ms: 200, statement_timeout_ms: 2_000 };

fn a_second_writer_waits_and_then_says_busy(database: &Database) {
    let store = Store::open(&database.url(), &IMPATIENT).unwrap();
    let mut first = store.writer_connection().unwrap();
    transaction::begin_write(&mut first).unwrap();
    transaction::lock_identities(&mut first).unwrap();
    let mut second = store.writer_connection().unwrap();
    let start = Instant::now();
    let result = transaction::begin_write(&mut second).and_then(|()| transaction::lock_identities(&mut second));
    assert_eq!(result, Err(StoreError::Unavailable(Unavailable::Busy)));
    assert!(start.elapsed() >= Duration::from_millis(150), "it waited");
    // On PostgreSQL the transaction is open, on SQLite it never began.
    let _ = transaction::rollback(&mut second);
    transaction::rollback(&mut first).unwrap();
    in_transaction(&mut second, |connection| identity::insert_many(connection, &[identity_row("i1")])).unwrap();
}

fn a_waiting_writer_goes_on_when_the_first_one_ends(database: &Database) {
    let store = database.open();
    let mut first = store.writer_connection().unwrap();
    transaction::begin_write(&mut first).unwrap();
    transaction::lock_identities(&mut first).unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            // What the first one commits is seen after the lock is taken.
            write(&store, identity::count)
        });
        thread::sleep(Duration::from_millis(100));
        identity::insert_many(&mut first, &[identity_row("i1")]).unwrap();
        transaction::commit(&mut first).unwrap();
        assert_eq!(second.join().unwrap(), 1);
    });
}

fn an_exhausted_pool_says_so_in_time(database: &Database) {
    let store = Store::open(&database.url(), &IMPATIENT).unwrap();
    let held = (store.connection().unwrap(), store.connection().unwrap());
    let refused = store.connection().err();
    assert!(matches!(refused, Some(StoreError::Unavailable(Unavailable::Pool(_)))), "{refused:?}");
    drop(held);
    assert_eq!(identity::count(&mut store.connection().unwrap()), Ok(0));
}

fn postgres_of(database: &Database) -> &crate::postgres::TestDatabase {
    match database {
        Database::Postgres(database) => database,
        Database::Sqlite(_) => panic!("this test is about PostgreSQL"),
    }
}

#[test]
fn a_cut_connection_is_unavailable_and_the_pool_recovers() {
    let database = Database::postgres();
    let store = database.open();
    let mut held = store.connection().unwrap();
    let mut writer = store.writer_connection().unwrap();
    transaction::begin_write(&mut writer).unwrap();
    insert_person(&mut writer, "a", "i1").unwrap();
    postgres_of(&database).cut_connections();
    let lost = StoreError::Unavailable(Unavailable::Lost);
    assert_eq!(identity::count(&mut held), Err(lost.clone()));
    assert_eq!(transaction::commit(&mut writer), Err(lost));
    drop(held);
    // Connections that were cut while they waited in the pool are not handed out.
    let all: Vec<_> = (0..OPTIONS.connections_max).map(|_| store.connection().unwrap()).collect();
    for mut connection in all {
        assert_eq!(record::count(&mut connection), Ok(0), "the open transaction was undone");
    }
    write(&store, |connection| insert_person(connection, "a", "i1"));
}

#[test]
fn a_database_that_is_away_is_unavailable_until_it_is_back() {
    let database = Database::postgres();
    let store = Store::open(&database.url(), &IMPATIENT).unwrap();
    let postgres = postgres_of(&database);
    postgres.allow_connections(Allow::No);
    postgres.cut_connections();
    let start = Instant::now();
    let refused = store.connection().err();
    assert!(refused.as_ref().is_some_and(StoreError::is_transient), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "the wait is bounded");
    let refused = store.writer_connection().err();
    assert!(refused.as_ref().is_some_and(StoreError::is_transient), "{refused:?}");
    postgres.allow_connections(Allow::Yes);
    let back = Instant::now();
    while store.connection().is_err() {
        assert!(back.elapsed() < Duration::from_secs(20), "the pool does not recover");
    }
    write(&store, |connection| insert_person(connection, "a", "i1"));
}

/// A SQLite database that may not grow beyond this many pages is a disk that is full.
fn limit_pages(connection: &mut Connection, pages: u32) {
    connection.batch_execute(&format!("PRAGMA max_page_count={pages}")).unwrap();
}

#[test]
fn a_database_without_space_says_full_and_goes_on_when_there_is_some() {
    let database = Database::sqlite();
    let mut connection = database.open().writer_connection().unwrap();
    limit_pages(&mut connection, 60);
    let mut stored = 0;
    let error = loop {
        let id = format!("p{stored}");
        match in_transaction(&mut connection, |connection| insert_person(connection, &id, &id)) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100_000, "the limit is not reached");
    };
    assert_eq!(error, StoreError::Full);
    assert_eq!(record::count(&mut connection), Ok(stored));
    limit_pages(&mut connection, 100_000);
    in_transaction(&mut connection, |connection| insert_person(connection, "later", "later")).unwrap();
    assert_eq!(record::count(&mut connection), Ok(stored + 1));
}

#[test]
fn a_batch_that_meets_a_full_disk_is_stored_as_far_as_its_verbs_said() {
    let database = Database::sqlite();
    let mut connection = database.open().writer_connection().unwrap();
    limit_pages(&mut connection, 60);
    transaction::begin_write(&mut connection).unwrap();
    let mut released = 0;
    let undone = loop {
        transaction::savepoint(&mut connection, 1).unwrap();
        let id = format!("p{released}");
        match insert_person(&mut connection, &id, &id) {
            Ok(()) => transaction::release(&mut connection, 1).unwrap(),
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                break transaction::rollback_to(&mut connection, 1);
            }
        }
        released += 1;
    };
    limit_pages(&mut connection, 100_000);
    let expected = match undone {
        Ok(()) => transaction::commit(&mut connection).map(|()| released),
        Err(_) => transaction::rollback(&mut connection).map(|()| 0),
    };
    assert_eq!(Ok(record::count(&mut connection).unwrap()), expected);
    in_transaction(&mut connection, |connection| insert_person(connection, "later", "later")).unwrap();
}
