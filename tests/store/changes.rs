//! The change log: the order of `seq` is the order of commits, without gaps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use idi_match::store::{Connection, StoreError, change, identity, record, transaction};

use crate::database::{Database, identity_row, in_transaction, insert_person, record_of, write};

on_both_databases! {
    entries_are_numbered_in_order_and_show_the_record_as_it_is_now,
    a_rolled_back_entry_leaves_no_gap,
    a_follower_of_eight_writers_misses_nothing_and_sees_no_gap,
}

fn entries_are_numbered_in_order_and_show_the_record_as_it_is_now(database: &Database) {
    let store = database.open();
    assert_eq!(change::last_seq(&mut store.connection().unwrap()), Ok(0));
    let last = write(&store, |connection| {
        insert_person(connection, "a", "i1")?;
        insert_person(connection, "b", "i2")?;
        change::append(connection, &["b", "a", "a"])
    });
    assert_eq!(last, 3);
    assert_eq!(write(&store, |connection| change::append(connection, &[])), 3);
    write(&store, |connection| {
        record::upsert_many(connection, &[record_of("a", "i2")])?;
        record::delete(connection, "b")?;
        change::append(connection, &["a", "b"])
    });
    let connection = &mut store.connection().unwrap();
    let rows = change::list_after(connection, 0, 100).unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.seq, row.record_id.as_str(), row.record.as_ref().map(|record| record.identity_id.as_str())))
        .collect();
    let expected = [(1, "b", None), (2, "a", Some("i2")), (3, "a", Some("i2")), (4, "a", Some("i2")), (5, "b", None)];
    assert_eq!(shown, expected);
    assert_eq!(rows[1].record, Some(record_of("a", "i2")));
    assert_eq!(change::list_after(connection, 2, 2).unwrap(), rows[2..4]);
    assert_eq!(change::list_after(connection, 5, 2), Ok(Vec::new()));
    assert_eq!(change::last_seq(connection), Ok(5));
}

fn a_rolled_back_entry_leaves_no_gap(database: &Database) {
    let store = database.open();
    let mut connection = store.writer_connection().unwrap();
    let failed = in_transaction(&mut connection, |connection| {
        change::append(connection, &["lost"])?;
        Err::<(), _>(StoreError::Full)
    });
    assert_eq!(failed, Err(StoreError::Full));
    write(&store, |connection| {
        change::append(connection, &["a"])?;
        transaction::savepoint(connection, 1)?;
        change::append(connection, &["lost"])?;
        transaction::rollback_to(connection, 1)?;
        change::append(connection, &["b"])
    });
    let rows = change::list_after(&mut connection, 0, 10).unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.seq, row.record_id.as_str())).collect();
    assert_eq!(shown, [(1, "a"), (2, "b")]);
}

const WRITERS: usize = 8;
const TRANSACTIONS: usize = 25;

/// Two entries per transaction, some of which are undone.
fn write_changes(connection: &mut Connection, writer: usize) {
    for number in 0..TRANSACTIONS {
        let (first, second) = (format!("w{writer}-{number}-1"), format!("w{writer}-{number}-2"));
        let result = in_transaction(connection, |connection| {
            change::append(connection, &[&first])?;
            record::upsert_many(connection, &[record_of(&first, "i1")])?;
            if number % 5 == 4 { Err(StoreError::Full) } else { change::append(connection, &[&second]) }
        });
        assert_eq!(result.is_err(), number % 5 == 4, "{result:?}");
    }
}

/// A follower asks for what comes after the last `seq` that it has seen. Were a lower `seq` to become visible after a
/// higher one, it would miss it; were one given and undone, it would see a gap.
fn a_follower_of_eight_writers_misses_nothing_and_sees_no_gap(database: &Database) {
    let store = database.open();
    write(&store, |connection| identity::insert_many(connection, &[identity_row("i1")]));
    let done = AtomicBool::new(false);
    let followed = thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let connection = &mut store.connection().unwrap();
            let mut seen = Vec::new();
            loop {
                let last_look = done.load(Ordering::SeqCst);
                let rows = change::list_after(connection, i64::try_from(seen.len()).unwrap(), 7).unwrap();
                if rows.is_empty() && last_look {
                    return seen;
                }
                seen.extend(rows);
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let mut connection = store.writer_connection().unwrap();
                scope.spawn(move || write_changes(&mut connection, writer))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        follower.join().unwrap()
    });
    let kept = WRITERS * TRANSACTIONS * 4 / 5 * 2;
    assert_eq!(followed.len(), kept);
    for (row, seq) in followed.iter().zip(1..) {
        assert_eq!(row.seq, seq);
    }
    for pair in followed.chunks(2) {
        assert_eq!(pair[0].record_id.trim_end_matches('1'), pair[1].record_id.trim_end_matches('2'), "one transaction");
        assert!(pair[0].record.is_some(), "what an entry names is there when the entry is");
    }
}
