//! Seals and subjects of audit rows: appended, found again, and sealed by one at a time.

use idi_match::audit::chain::{LATE_US_MAX, Numbers, Seal, SealKey, Tail};
use idi_match::audit::{Action, AuditRecord, Detail, Outcome};
use idi_match::store::audit::AuditRow;
use idi_match::store::{Store, StoreError, audit, audit_seal, audit_subject, transaction};

use crate::database::{Database, write};

on_both_databases! {
    seals_come_back_as_they_were_written_and_no_number_twice,
    what_was_missed_or_late_is_found_for_as_long_as_it_may_come,
    rows_are_found_by_what_they_are_about,
    rows_of_a_time_are_from_one_number_to_another,
    one_seals_at_a_time,
}

fn record(number: i64, records: &[&str]) -> AuditRecord {
    AuditRecord {
        at_us: 100 * number,
        request_id: format!("r{number}"),
        action: Action::Read,
        outcome: Outcome::Success,
        caller: "open".to_owned(),
        resource_type: Some("Patient".to_owned()),
        detail: Detail { records: records.iter().map(|id| (*id).to_owned()).collect(), ..Detail::default() },
    }
}

fn append(store: &Store, records: &[AuditRecord]) -> Vec<AuditRow> {
    write(store, |conn| {
        audit::append(conn, records)?;
        audit::list_after(conn, 0, 100)
    })
}

/// A seal over all rows but those of `missing`.
fn seal(tail: &Tail, rows: &[AuditRow], missing: &[i64], sealed_us: i64) -> Seal {
    let kept: Vec<_> = rows.iter().filter(|row| !missing.contains(&row.seq)).map(AuditRow::as_row).collect();
    Seal::next(tail, &[], &kept, sealed_us, Some(&SealKey::derive(b"a secret"))).unwrap()
}

fn seals_come_back_as_they_were_written_and_no_number_twice(database: &Database) {
    let store = database.open();
    assert_eq!(audit_seal::find_last(&mut store.connection().unwrap()), Ok(None));
    let rows = append(&store, &[record(1, &["a"]), record(2, &[]), record(3, &["b"])]);
    let first = seal(&Tail::none(), &rows, &[2], 7);
    assert_eq!((first.missing.to_string().as_str(), first.row_count), ("2", 2));
    write(&store, |conn| audit_seal::insert(conn, &first));
    let late: Vec<_> = rows[1..2].iter().map(AuditRow::as_row).collect();
    let second = Seal::next(&Tail::of(&first), &late, &[], 8, None).unwrap();
    write(&store, |conn| audit_seal::insert(conn, &second));
    let conn = &mut store.connection().unwrap();
    assert_eq!(audit_seal::find_last(conn), Ok(Some(second.clone())));
    assert_eq!(audit_seal::list_after(conn, 0, 10), Ok(vec![first, second.clone()]));
    assert_eq!(audit_seal::list_after(conn, 1, 10), Ok(vec![second.clone()]));
    assert_eq!([1, 3, 4].map(|seq| audit_seal::number_before(conn, seq)), [Ok(0), Ok(0), Ok(2)]);
    let mut writer = store.writer_connection().unwrap();
    transaction::begin_write(&mut writer).unwrap();
    assert!(matches!(audit_seal::insert(&mut writer, &second), Err(StoreError::Conflict(_))));
    transaction::rollback(&mut writer).unwrap();
}

fn what_was_missed_or_late_is_found_for_as_long_as_it_may_come(database: &Database) {
    let store = database.open();
    let rows = append(&store, &[record(1, &[]), record(2, &[]), record(3, &[])]);
    let first = seal(&Tail::none(), &rows, &[1, 2], 7);
    let second = Seal { number: 2, missing: Numbers::default(), ..seal(&Tail::none(), &rows, &[], 9) };
    let third = Seal { number: 3, late: Numbers::of(&[2]), ..second.clone() };
    for seal in [&first, &second, &third] {
        write(&store, |conn| audit_seal::insert(conn, seal));
    }
    let conn = &mut store.connection().unwrap();
    for (after, since_us, expected) in [(0, 0, vec![1, 3]), (1, 0, vec![3]), (0, 8, vec![3]), (0, LATE_US_MAX, vec![])]
    {
        let found = audit_seal::list_incomplete(conn, after, since_us).unwrap();
        assert_eq!(found.iter().map(|seal| seal.number).collect::<Vec<_>>(), expected, "{after} {since_us}");
    }
    assert_eq!(audit::count_after(conn, 1), Ok((2, Some(200))));
    assert_eq!(audit::count_after(conn, 3), Ok((0, None)));
}

fn rows_are_found_by_what_they_are_about(database: &Database) {
    let store = database.open();
    let rows = append(&store, &[record(1, &["a", "b"]), record(2, &["a", "a"]), record(3, &[])]);
    let subjects = audit_subject::of_rows(&rows);
    for _ in 0..2 {
        write(&store, |conn| audit_subject::insert_many(conn, &subjects));
    }
    let conn = &mut store.connection().unwrap();
    for (subjects, max, expected) in [
        (&["Patient/a"][..], 9, vec![2, 1]),
        (&["Patient/a", "Patient/b"], 9, vec![2, 1]),
        (&["Patient/a"], 1, vec![2]),
        (&["Organization/a"], 9, vec![]),
        (&[], 9, vec![]),
    ] {
        assert_eq!(audit_subject::list_seqs(conn, subjects, max), Ok(expected), "{subjects:?}");
    }
}

fn rows_of_a_time_are_from_one_number_to_another(database: &Database) {
    let store = database.open();
    append(&store, &(1..=5).map(|number| record(number, &[])).collect::<Vec<_>>());
    let conn = &mut store.connection().unwrap();
    for (from_us, before_us, expected) in
        [(i64::MIN, i64::MAX, Some((1, 5))), (200, 400, Some((2, 3))), (600, i64::MAX, None)]
    {
        assert_eq!(audit::span(conn, from_us, before_us), Ok(expected), "{from_us} {before_us}");
    }
    let seqs = |rows: Vec<AuditRow>| rows.into_iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(seqs(audit::list_between(conn, 2, 4, 2).unwrap()), [2, 3]);
    assert_eq!(seqs(audit::list_newest_after(conn, 2, 2).unwrap()), [5, 4]);
    assert_eq!(seqs(audit::list_of(conn, &[4, 9, 1]).unwrap()), [1, 4]);
}

fn one_seals_at_a_time(database: &Database) {
    let store = database.open();
    let mut one = store.writer_connection().unwrap();
    transaction::begin_write(&mut one).unwrap();
    assert_eq!(transaction::try_lock_seals(&mut one), Ok(true));
    if let Database::Postgres(_) = database {
        // SQLite has one writer anyway.
        let mut other = store.writer_connection().unwrap();
        transaction::begin_write(&mut other).unwrap();
        assert_eq!(transaction::try_lock_seals(&mut other), Ok(false), "it waits for nobody");
        transaction::commit(&mut one).unwrap();
        assert_eq!(transaction::try_lock_seals(&mut other), Ok(true));
        transaction::rollback(&mut other).unwrap();
    }
}
