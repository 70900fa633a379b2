//! Opening: migrations run once, under a lock, and never backwards.

use std::thread;

use diesel::connection::SimpleConnection;
use idi_match::store::{DatabaseUrl, Store, StoreError, identity, load_progress};

use crate::database::{Database, OPTIONS, identity_row, write};

on_both_databases! {
    opening_again_keeps_what_is_stored,
    four_processes_that_start_at_once_migrate_once,
    a_schema_newer_than_the_program_is_refused_and_left_alone,
    pooled_connections_cannot_write,
    statistics_can_be_renewed_while_others_write,
    the_progress_of_a_load_is_kept_and_replaced,
}

fn opening_again_keeps_what_is_stored(database: &Database) {
    write(&database.open(), |connection| identity::insert_many(connection, &[identity_row("i1")]));
    let again = database.open();
    assert_eq!(identity::find(&mut again.connection().unwrap(), "i1").unwrap(), Some(identity_row("i1")));
}

fn four_processes_that_start_at_once_migrate_once(database: &Database) {
    let url = database.url();
    let stores: Vec<Store> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| Store::open(&url, &OPTIONS).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for store in stores {
        assert_eq!(identity::count(&mut store.connection().unwrap()), Ok(0));
    }
}

fn a_schema_newer_than_the_program_is_refused_and_left_alone(database: &Database) {
    let store = database.open();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
    store.writer_connection().unwrap().batch_execute(newer).unwrap();
    let refused = Store::open(&database.url(), &OPTIONS).unwrap_err();
    assert_eq!(refused, StoreError::NewerSchema("9999".to_owned()));
    // Whoever was running goes on.
    assert_eq!(identity::count(&mut store.connection().unwrap()), Ok(0));
}

fn pooled_connections_cannot_write(database: &Database) {
    let store = database.open();
    let mut pooled = store.connection().unwrap();
    let refused = identity::insert_many(&mut pooled, &[identity_row("i1")]);
    assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    assert_eq!(identity::count(&mut pooled), Ok(0));
}

fn statistics_can_be_renewed_while_others_write(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        identity::insert_many(connection, &[identity_row("i1")])?;
        store.analyze()
    });
    assert_eq!(store.analyze(), Ok(()));
    assert_eq!(identity::count(&mut store.connection().unwrap()), Ok(1));
}

fn the_progress_of_a_load_is_kept_and_replaced(database: &Database) {
    let store = database.open();
    let progress = |lines| load_progress::LoadProgress {
        key: "people.ndjson".to_owned(),
        lines,
        bytes: lines * 900,
        loaded: lines - 1,
        rejected: 1,
        updated_us: 3,
    };
    assert_eq!(load_progress::find(&mut store.connection().unwrap(), "people.ndjson"), Ok(None));
    for lines in [10, 20] {
        write(&store, |connection| load_progress::upsert(connection, &progress(lines)));
        let stored = load_progress::find(&mut store.connection().unwrap(), "people.ndjson").unwrap();
        assert_eq!(stored, Some(progress(lines)));
    }
}

#[test]
fn a_new_sqlite_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.db");
    let store = Store::open(&DatabaseUrl::sqlite(&path), &OPTIONS).unwrap();
    // Held open: SQLite removes the files beside the database with the last connection.
    let _reader = store.connection().unwrap();
    write(&store, |connection| identity::insert_many(connection, &[identity_row("i1")]));
    for file in [path.clone(), path.with_extension("db-wal")] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_unavailable_and_its_password_is_not_shown() {
    // Port 1 is not listened on.
    let url = DatabaseUrl::parse("postgres://someone:SECRET@127.0.0.1:1/people").unwrap();
    let error = Store::open(&url, &OPTIONS).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("127.0.0.1") && !error.to_string().contains("SECRET"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.db");
    std::fs::write(&path, "this is a text, and long enough to have a header of a hundred bytes: ".repeat(20)).unwrap();
    let error = Store::open(&DatabaseUrl::sqlite(&path), &OPTIONS).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}
