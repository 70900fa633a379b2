//! Resources: versions, conflicts, tombstones.

use idi_match::store::history::HistoryVersion;
use idi_match::store::resource::{self, Resource};
use idi_match::store::{Store, StoreError};

use crate::database::{Database, history_of, in_transaction, patient, write};

on_both_databases! {
    a_body_is_read_as_it_was_written,
    every_version_is_kept,
    an_update_of_another_version_conflicts_and_changes_nothing,
    an_id_is_given_once,
    a_deleted_resource_is_a_tombstone_and_can_come_back,
    types_do_not_mix,
}

fn find(store: &Store, id: &str) -> Option<Resource> {
    resource::find(&mut store.connection().unwrap(), "Patient", id).unwrap()
}

fn row_of(row: &HistoryVersion) -> (i64, i64, bool, &str) {
    (row.version, row.updated_us, row.deleted, &row.body)
}

fn version_of(resource: &Resource) -> (i64, i64, bool, &str) {
    (resource.version, resource.updated_us, resource.deleted, &resource.body)
}

fn a_body_is_read_as_it_was_written(database: &Database) {
    let store = database.open();
    let bodies = ["{}", "{\"a\":1.00,\n  \"b\" : \"\\u0000 é 漢字 \u{1F600}\"}", &"x".repeat(300_000)];
    let resources: Vec<_> = bodies.iter().zip(["a", "b", "c"]).map(|(body, id)| patient(id, 1, body)).collect();
    write(&store, |connection| resource::insert_many(connection, &resources));
    for (body, id) in bodies.iter().zip(["a", "b", "c"]) {
        assert_eq!(find(&store, id).unwrap().body, *body);
    }
    assert_eq!(find(&store, "A"), None);
}

fn every_version_is_kept(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &[patient("a", 1, "one")]));
    write(&store, |connection| resource::update(connection, &patient("a", 2, "two"), 1));
    write(&store, |connection| resource::update(connection, &patient("a", 3, "three"), 2));
    let connection = &mut store.connection().unwrap();
    let history = history_of(connection, "a", 10);
    let expected = [(3, 3_000, false, "three"), (2, 2_000, false, "two"), (1, 1_000, false, "one")];
    assert_eq!(history.iter().map(row_of).collect::<Vec<_>>(), expected);
    assert_eq!(history_of(connection, "a", 2).len(), 2);
    assert_eq!(history_of(connection, "b", 10), []);
    for (version, _, _, body) in expected {
        let found = resource::find_version(connection, "Patient", "a", version).unwrap().unwrap();
        assert_eq!((found.version, found.body.as_str()), (version, body));
    }
    for (id, version) in [("a", 0), ("a", 4), ("b", 1)] {
        assert_eq!(resource::find_version(connection, "Patient", id, version), Ok(None));
    }
}

fn an_update_of_another_version_conflicts_and_changes_nothing(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &[patient("a", 1, "one")]));
    write(&store, |connection| resource::update(connection, &patient("a", 2, "two"), 1));
    let mut connection = store.writer_connection().unwrap();
    for (id, new, expected) in [("a", 2, 1), ("a", 4, 3), ("missing", 2, 1)] {
        let result = in_transaction(&mut connection, |connection| {
            resource::update(connection, &patient(id, new, "lost"), expected)
        });
        assert!(matches!(result, Err(StoreError::Conflict(_))), "{id} {expected}: {result:?}");
    }
    let history = history_of(&mut connection, "a", 10);
    assert_eq!(history.iter().map(row_of).collect::<Vec<_>>(), [(2, 2_000, false, "two"), (1, 1_000, false, "one")]);
}

fn an_id_is_given_once(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &[patient("a", 1, "one")]));
    let mut connection = store.writer_connection().unwrap();
    for batch in [["b", "a"], ["c", "c"]] {
        let batch: Vec<_> = batch.iter().map(|id| patient(id, 1, "other")).collect();
        let result = in_transaction(&mut connection, |connection| resource::insert_many(connection, &batch));
        assert_eq!(result, Err(StoreError::Conflict("resource".to_owned())));
    }
    assert_eq!(find(&store, "a").unwrap().body, "one");
    assert_eq!((find(&store, "b"), find(&store, "c")), (None, None));
}

fn a_deleted_resource_is_a_tombstone_and_can_come_back(database: &Database) {
    let store = database.open();
    write(&store, |connection| resource::insert_many(connection, &[patient("a", 1, "one")]));
    let version = write(&store, |connection| resource::delete(connection, "Patient", "a", 1, 2_500));
    assert_eq!(version, 2);
    assert_eq!(version_of(&find(&store, "a").unwrap()), (2, 2_500, true, ""));
    let mut connection = store.writer_connection().unwrap();
    let again = in_transaction(&mut connection, |connection| resource::delete(connection, "Patient", "a", 1, 2_600));
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    write(&store, |connection| resource::update(connection, &patient("a", 3, "three"), 2));
    assert_eq!(version_of(&find(&store, "a").unwrap()), (3, 3_000, false, "three"));
    let history = history_of(&mut connection, "a", 10);
    let expected = [(3, 3_000, false, "three"), (2, 2_500, true, ""), (1, 1_000, false, "one")];
    assert_eq!(history.iter().map(row_of).collect::<Vec<_>>(), expected);
}

fn types_do_not_mix(database: &Database) {
    let store = database.open();
    let organization = resource::NewResource { resource_type: "Organization".to_owned(), ..patient("a", 1, "org") };
    write(&store, |connection| resource::insert_many(connection, &[patient("a", 1, "person"), organization]));
    write(&store, |connection| resource::delete(connection, "Patient", "a", 1, 9));
    let connection = &mut store.connection().unwrap();
    assert!(resource::find(connection, "Patient", "a").unwrap().unwrap().deleted);
    assert_eq!(resource::find(connection, "Organization", "a").unwrap().unwrap().body, "org");
}
