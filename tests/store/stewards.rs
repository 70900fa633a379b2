//! Decisions of stewards, constraints, ended assignments, merged identities.

use idi_match::store::identity_history::{self, MergedRow};
use idi_match::store::steward::{self, ConstraintRow, DecisionRow, REPLACED_BY};
use idi_match::store::{StoreError, change};

use crate::database::{Database, insert_person, record_of};

on_both_databases! {
    a_decision_stays_when_it_is_revoked_and_its_constraints_go,
    decisions_are_listed_newest_first_by_page,
    constraints_are_found_by_either_record_and_listed_by_page,
    many_constraints_are_stored_at_once_and_none_twice,
    assignments_that_end_are_numbered_without_gaps,
    the_identities_of_one_that_has_gone_are_forgotten,
    changes_of_constraints_are_told_apart,
}

fn decision(id: &str, decided_us: i64) -> DecisionRow {
    DecisionRow {
        id: id.to_owned(),
        kind: "link".to_owned(),
        reason: "as the papers say".to_owned(),
        decided_by: "open".to_owned(),
        decided_us,
        detail: "{}".to_owned(),
        revoked_by: None,
        revoked_us: None,
        revoked_reason: None,
    }
}

fn constraint(a: &str, b: &str, kind: &str, decision_id: &str) -> ConstraintRow {
    let text = |text: &str| text.to_owned();
    ConstraintRow {
        record_a: text(a),
        record_b: text(b),
        kind: text(kind),
        decision_id: text(decision_id),
        created_us: 5,
    }
}

fn a_decision_stays_when_it_is_revoked_and_its_constraints_go(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for id in ["d1", "d2"] {
        steward::insert_decision(connection, &decision(id, 5)).unwrap();
    }
    assert!(matches!(steward::insert_decision(connection, &decision("d1", 6)), Err(StoreError::Conflict(_))));
    let rows = [
        constraint("a", "b", "must-link", "d1"),
        constraint("a", "b", "must-link", "d2"),
        constraint("b", "a", REPLACED_BY, "d1"),
    ];
    steward::insert_constraints(connection, &rows).unwrap();
    assert_eq!(steward::find_survivor(connection, "b"), Ok(Some("a".to_owned())));
    steward::revoke(connection, "d1", "open", 9, "decided too soon").unwrap();
    let revoked = steward::find_decision(connection, "d1").unwrap().unwrap();
    assert_eq!((revoked.revoked_us, revoked.revoked_reason.as_deref()), (Some(9), Some("decided too soon")));
    assert_eq!(
        steward::list_constraints_of(connection, &["a"]),
        Ok(vec![rows[1].clone()]),
        "the other decision's stays"
    );
    assert_eq!(steward::find_survivor(connection, "b"), Ok(None));
    assert_eq!(steward::find_decision(connection, "d3"), Ok(None));
}

fn decisions_are_listed_newest_first_by_page(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (id, at) in [("d1", 5), ("d2", 7), ("d3", 7), ("d4", 6)] {
        steward::insert_decision(connection, &decision(id, at)).unwrap();
    }
    let ids = |rows: Vec<DecisionRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(steward::list_decisions(connection, None, 2).unwrap()), ["d3", "d2"]);
    assert_eq!(ids(steward::list_decisions(connection, Some((7, "d2")), 9).unwrap()), ["d4", "d1"]);
    assert_eq!(ids(steward::find_decisions(connection, &["d3", "d1", "none"]).unwrap()), ["d1", "d3"]);
}

fn constraints_are_found_by_either_record_and_listed_by_page(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    let rows = [
        constraint("a", "b", "cannot-link", "d1"),
        constraint("a", "c", "continued", ""),
        constraint("b", "c", "must-link", "d1"),
        constraint("b", "c", "must-link", "d2"),
    ];
    steward::insert_constraints(connection, &rows).unwrap();
    assert_eq!(steward::list_constraints_of(connection, &["c"]), Ok(rows[1..].to_vec()));
    assert_eq!(steward::list_constraints_of(connection, &["a", "b"]), Ok(rows.to_vec()));
    assert_eq!(steward::list_constraints_by(connection, "d1"), Ok(vec![rows[0].clone(), rows[2].clone()]));
    let mut found: Vec<ConstraintRow> = Vec::new();
    loop {
        let page = steward::list_constraints(connection, found.last(), 1).unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, rows);
}

fn many_constraints_are_stored_at_once_and_none_twice(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    steward::insert_decision(connection, &decision("d1", 5)).unwrap();
    steward::insert_constraints(connection, &[]).unwrap();
    let rows: Vec<ConstraintRow> =
        (0..700).map(|number| constraint("a", &format!("b{number:03}"), "cannot-link", "d1")).collect();
    steward::insert_constraints(connection, &rows).unwrap();
    assert_eq!(steward::list_constraints_by(connection, "d1").unwrap(), rows);
    assert!(matches!(steward::insert_constraints(connection, &rows[699..]), Err(StoreError::Conflict(_))));
}

fn assignments_that_end_are_numbered_without_gaps(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    identity_history::end(connection, &[record_of("a", "i1"), record_of("b", "i1")], 7).unwrap();
    identity_history::end(connection, &[record_of("a", "i2")], 8).unwrap();
    let of_record = identity_history::list_of_record(connection, "a", 10).unwrap();
    let found: Vec<_> = of_record.iter().map(|row| (row.seq, row.identity_id.as_str(), row.until_us)).collect();
    assert_eq!(found, [(1, "i1", 7), (3, "i2", 8)]);
    let of_identity = identity_history::list_of_identity(connection, "i1", 10).unwrap();
    assert_eq!(of_identity.iter().map(|row| row.record_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(identity_history::list_of_identity(connection, "i1", 1).unwrap().len(), 1);
}

fn the_identities_of_one_that_has_gone_are_forgotten(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    for (id, survivor) in [("i1", "i2"), ("i2", "i3"), ("i4", "i5")] {
        let (id, survivor_id) = (id.to_owned(), survivor.to_owned());
        identity_history::insert_merged(connection, &MergedRow { id, survivor_id, merged_us: 3 }).unwrap();
    }
    let survivor = |connection: &mut _, id: &str| {
        identity_history::find_merged(connection, id).unwrap().map(|row: MergedRow| row.survivor_id)
    };
    assert_eq!(survivor(connection, "i1").as_deref(), Some("i2"));
    identity_history::forget_survivor(connection, "i3").unwrap();
    assert_eq!((survivor(connection, "i1"), survivor(connection, "i2")), (None, None));
    assert_eq!(survivor(connection, "i4").as_deref(), Some("i5"));
    identity_history::delete_merged(connection, "i4").unwrap();
    assert_eq!(survivor(connection, "i4"), None);
}

fn changes_of_constraints_are_told_apart(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    insert_person(connection, "a", "i1").unwrap();
    let before = change::last_seq(connection).unwrap();
    change::append(connection, &["a"]).unwrap();
    assert_eq!(change::append_binding(connection, &["a", "gone"]), Ok(before + 3));
    change::append(connection, &["a"]).unwrap();
    let rows = change::list_after(connection, before, 10).unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.record_id.as_str(), row.record.is_some(), row.binds)).collect();
    assert_eq!(found, [("a", true, false), ("a", true, true), ("gone", false, true), ("a", true, false)]);
}
