//! Records, identities, reviews, audit.

use idi_match::audit::{Action, AuditRecord, Detail, Outcome};
use idi_match::store::identity::Emptied;
use idi_match::store::review::ReviewRow;
use idi_match::store::{StoreError, audit, body, identity, record, resource, review};

use crate::database::{Database, identity_row, in_transaction, insert_person, patient, record_of, write};

on_both_databases! {
    a_record_is_written_replaced_and_deleted,
    of_two_rows_with_one_key_in_a_batch_the_last_one_counts,
    a_record_needs_its_identity,
    an_identity_goes_with_its_last_record_and_takes_its_reviews,
    the_records_of_identities_come_in_order,
    what_a_write_has_to_know_includes_tombstones,
    pages_of_records_are_complete,
    reviews_are_listed_by_page_and_replaced,
    audit_rows_are_appended_in_order,
}

fn a_record_is_written_replaced_and_deleted(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        identity::insert_many(connection, &[identity_row("i1"), identity_row("i2")])?;
        record::upsert_many(connection, &[record_of("a", "i1"), record_of("b", "i1")])
    });
    let moved = record::RecordRow {
        version: 2,
        normaliser: 3,
        features: Vec::new(),
        model_version: "m2".to_owned(),
        probability: None,
        assigned_us: 8,
        verification_level: Some("IDIAL1.5".to_owned()),
        verified_on: Some("2026-01-02".to_owned()),
        replaced_by: Some("b".to_owned()),
        ..record_of("a", "i2")
    };
    write(&store, |connection| record::upsert_many(connection, std::slice::from_ref(&moved)));
    let connection = &mut store.writer_connection().unwrap();
    assert_eq!(record::find_many(connection, &["b", "missing", "a"]), Ok(vec![moved, record_of("b", "i1")]));
    assert_eq!(record::count(connection), Ok(2));
    assert_eq!(record::delete(connection, "a"), Ok(Some("i2".to_owned())));
    assert_eq!(record::delete(connection, "a"), Ok(None));
    assert_eq!(record::count(connection), Ok(1));
}

fn of_two_rows_with_one_key_in_a_batch_the_last_one_counts(database: &Database) {
    let store = database.open();
    let twice = |probability| record::RecordRow { probability: Some(probability), ..record_of("a", "i1") };
    write(&store, |connection| {
        identity::insert_many(connection, &[identity_row("i1")])?;
        record::upsert_many(connection, &[twice(0.1), record_of("b", "i1"), twice(0.9)])?;
        review::insert_many(connection, &[review_of("a", "i1", 0.1), review_of("a", "i1", 0.9)])
    });
    let connection = &mut store.connection().unwrap();
    assert_eq!(record::find_many(connection, &["a"]), Ok(vec![twice(0.9)]));
    assert_eq!(review::list(connection, None, 10), Ok(vec![review_of("a", "i1", 0.9)]));
}

fn a_record_needs_its_identity(database: &Database) {
    let store = database.open();
    let mut connection = store.writer_connection().unwrap();
    let result = in_transaction(&mut connection, |connection| record::upsert_many(connection, &[record_of("a", "i1")]));
    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
    assert_eq!(record::count(&mut connection), Ok(0));
}

fn an_identity_goes_with_its_last_record_and_takes_its_reviews(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    insert_person(connection, "a", "i1").unwrap();
    insert_person(connection, "b", "i2").unwrap();
    review::insert_many(connection, &[review_of("a", "i2", 0.5), review_of("b", "i1", 0.5)]).unwrap();
    assert_eq!(identity::delete_if_empty(connection, "i1"), Ok(Emptied::Kept));
    record::delete(connection, "a").unwrap();
    assert_eq!(review::list(connection, None, 10), Ok(vec![review_of("b", "i1", 0.5)]));
    assert_eq!(identity::delete_if_empty(connection, "i1"), Ok(Emptied::Deleted));
    assert_eq!(identity::delete_if_empty(connection, "i1"), Ok(Emptied::Kept));
    assert_eq!(review::list(connection, None, 10), Ok(Vec::new()));
    assert_eq!(identity::find(connection, "i1"), Ok(None));
    assert_eq!(identity::count(connection), Ok(1));
}

fn the_records_of_identities_come_in_order(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (id, identity) in [("a", "i1"), ("b", "i2"), ("c", "i3")] {
        insert_person(connection, id, identity).unwrap();
    }
    record::upsert_many(connection, &[record_of("d", "i1")]).unwrap();
    let rows = record::list_of_identities(connection, &["i2", "i1", "missing"]).unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.identity_id.as_str(), row.id.as_str())).collect();
    assert_eq!(found, [("i1", "a"), ("i1", "d"), ("i2", "b")]);
    assert_eq!(rows[1], record_of("d", "i1"));
    assert_eq!(record::list_of_identities(connection, &[]), Ok(Vec::new()));
}

fn what_a_write_has_to_know_includes_tombstones(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    resource::insert_many(connection, &[patient("a", 1, "a"), patient("b", 1, "b")]).unwrap();
    resource::delete(connection, "Patient", "b", 1, 9).unwrap();
    let found = body::list_heads(connection, "Patient", &["a", "b", "missing"], 0).unwrap();
    let mut found: Vec<_> = found.iter().map(|row| (row.id.as_str(), row.version, row.deleted)).collect();
    found.sort_unstable();
    assert_eq!(found, [("a", 1, false), ("b", 2, true)]);
}

fn pages_of_records_are_complete(database: &Database) {
    let store = database.open();
    let rows: Vec<_> = (0..25).map(|n| record_of(&format!("r{n:02}"), "i1")).collect();
    write(&store, |connection| {
        identity::insert_many(connection, &[identity_row("i1")])?;
        record::upsert_many(connection, &rows)
    });
    let connection = &mut store.connection().unwrap();
    let mut found: Vec<record::RecordRow> = Vec::new();
    loop {
        let after = found.last().map(|row| row.id.clone());
        let page = record::list_page(connection, after.as_deref(), 10).unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, rows);
}

fn review_of(record: &str, identity: &str, probability: f64) -> ReviewRow {
    ReviewRow {
        record_id: record.to_owned(),
        identity_id: identity.to_owned(),
        probability,
        created_us: 3,
        model_version: "m1".to_owned(),
        state: review::OPEN.to_owned(),
        reason: None,
    }
}

fn reviews_are_listed_by_page_and_replaced(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    insert_person(connection, "a", "i1").unwrap();
    insert_person(connection, "b", "i2").unwrap();
    let reviews = [review_of("a", "i1", 0.1), review_of("a", "i2", 0.2), review_of("b", "i1", 0.3)];
    review::insert_many(connection, &reviews).unwrap();
    assert_eq!(review::list(connection, None, 2).unwrap(), reviews[..2]);
    assert_eq!(review::list(connection, Some(("a", "i2")), 2).unwrap(), reviews[2..]);
    review::insert_many(connection, &[review_of("a", "i2", 0.7)]).unwrap();
    assert_eq!(review::list(connection, Some(("a", "i1")), 1).unwrap(), [review_of("a", "i2", 0.7)]);
    let deferred = ReviewRow { state: review::DEFERRED.to_owned(), ..review_of("a", "i2", 0.7) };
    review::insert_many(connection, std::slice::from_ref(&deferred)).unwrap();
    assert_eq!(review::delete_open(connection, "a"), Ok(1));
    assert_eq!(review::list(connection, None, 10).unwrap(), [deferred, reviews[2].clone()]);
}

fn audit_rows_are_appended_in_order(database: &Database) {
    let store = database.open();
    let row = |request: &str, outcome| AuditRecord {
        at_us: 11,
        request_id: request.to_owned(),
        action: Action::Match,
        outcome,
        caller: "open".to_owned(),
        resource_type: Some("Patient".to_owned()),
        detail: Detail { status: 200, records: vec!["a".to_owned()], ..Detail::default() },
    };
    write(&store, |connection| audit::append(connection, &[row("r1", Outcome::Success), row("r2", Outcome::Refused)]));
    write(&store, |connection| {
        audit::append(connection, &[AuditRecord { resource_type: None, ..row("r3", Outcome::Error) }])
    });
    let connection = &mut store.connection().unwrap();
    assert_eq!(audit::count(connection), Ok(3));
    let rows = audit::list_after(connection, 0, 10).unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| (row.request_id.as_str(), row.action.as_str(), row.outcome.as_str())).collect();
    assert_eq!(shown, [("r1", "match", "success"), ("r2", "match", "refused"), ("r3", "match", "error")]);
    assert_eq!(rows[0].detail, r#"{"status":200,"records":["a"],"duration_us":0}"#);
    assert_eq!((rows[0].resource_type.as_deref(), rows[2].resource_type.as_deref()), (Some("Patient"), None));
    assert_eq!(audit::list_after(connection, rows[1].seq, 10).unwrap(), rows[2..]);
    assert_eq!(audit::list_after(connection, 0, 1).unwrap(), rows[..1]);
}
