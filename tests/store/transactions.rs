//! Transactions: savepoints, snapshots, durability of what was committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use idi_match::store::record::RecordRow;
use idi_match::store::{StoreError, audit, change, identity, record, resource, review, transaction};

use crate::database::{Database, history_of, identity_row, insert_person, patient, record_of, write};

on_both_databases! {
    a_savepoint_that_is_undone_leaves_no_trace,
    a_failed_job_does_not_harm_its_neighbours,
    a_snapshot_sees_one_moment_while_others_commit,
    a_snapshot_cannot_write_and_gives_its_connection_back,
    a_reader_of_identities_never_sees_half_a_transaction,
    an_open_transaction_ends_with_its_connection,
    verbs_out_of_order_are_errors,
}

fn a_savepoint_that_is_undone_leaves_no_trace(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        insert_person(connection, "a", "i1")?;
        transaction::savepoint(connection, 1)?;
        insert_person(connection, "b", "i2")?;
        resource::update(connection, &patient("a", 2, "lost"), 1)?;
        change::append(connection, &["a", "b"])?;
        transaction::rollback_to(connection, 1)?;
        transaction::savepoint(connection, 2)?;
        insert_person(connection, "c", "i3")?;
        transaction::release(connection, 2)
    });
    let connection = &mut store.connection().unwrap();
    let found = |connection: &mut _, id| resource::find(connection, "Patient", id).unwrap().map(|found| found.version);
    assert_eq!(["a", "b", "c"].map(|id| found(connection, id)), [Some(1), None, Some(1)]);
    assert_eq!(history_of(connection, "a", 9).len(), 1);
    assert_eq!((identity::count(connection), record::count(connection)), (Ok(2), Ok(2)));
    assert_eq!(change::last_seq(connection), Ok(0));
}

fn a_failed_job_does_not_harm_its_neighbours(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        for (number, id) in (0..).zip(["a", "b", "a", "c"]) {
            transaction::savepoint(connection, number)?;
            match insert_person(connection, id, &format!("i{number}")) {
                Ok(()) => transaction::release(connection, number)?,
                Err(StoreError::Conflict(_)) if number == 2 => transaction::rollback_to(connection, number)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    });
    let connection = &mut store.connection().unwrap();
    let members = record::list_of_identities(connection, &["i0", "i1", "i2", "i3"]).unwrap();
    let ids: Vec<_> = members.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

fn a_snapshot_sees_one_moment_while_others_commit(database: &Database) {
    let store = database.open();
    write(&store, |connection| insert_person(connection, "a", "i1"));
    let (before, during) = transaction::read_snapshot(&mut store.connection().unwrap(), |connection| {
        let before = record::list_of_identities(connection, &["i1"])?;
        write(&store, |connection| {
            record::upsert_many(connection, &[RecordRow { version: 2, ..record_of("a", "i1") }])?;
            insert_person(connection, "b", "i2")
        });
        let during = record::list_of_identities(connection, &["i1"])?;
        assert_eq!(record::count(connection)?, 1);
        Ok::<_, StoreError>((before, during))
    })
    .unwrap();
    assert_eq!(before, during);
    let after = record::list_of_identities(&mut store.connection().unwrap(), &["i1"]).unwrap();
    assert_eq!((before[0].version, after[0].version), (1, 2));
}

fn a_snapshot_cannot_write_and_gives_its_connection_back(database: &Database) {
    let store = database.open();
    for _ in 0..20 {
        let connection = &mut store.connection().unwrap();
        let refused = transaction::read_snapshot(connection, |connection| {
            identity::insert_many(connection, &[identity_row("i1")])
        });
        assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
        assert_eq!(transaction::read_snapshot(connection, identity::count), Ok(0));
    }
}

/// One writer moves a record to and fro between two identities; at every moment it is in exactly one.
fn a_reader_of_identities_never_sees_half_a_transaction(database: &Database) {
    let store = database.open();
    write(&store, |connection| {
        insert_person(connection, "a", "i1")?;
        identity::insert_many(connection, &[identity_row("i2")])
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let connection = &mut store.connection().unwrap();
            let mut looks = 0;
            while !done.load(Ordering::SeqCst) || looks < 50 {
                transaction::read_snapshot(connection, |connection| {
                    let one = record::list_of_identities(connection, &["i1"])?.len();
                    let other = record::list_of_identities(connection, &["i2"])?.len();
                    assert_eq!(one + other, 1);
                    let seq = change::last_seq(connection)?;
                    assert_eq!(usize::try_from(seq % 2).unwrap(), other);
                    Ok::<_, StoreError>(())
                })
                .unwrap();
                looks += 1;
            }
        });
        let mut connection = store.writer_connection().unwrap();
        for number in 0..100 {
            let identity = if number % 2 == 0 { "i2" } else { "i1" };
            crate::database::in_transaction(&mut connection, |connection| {
                record::upsert_many(connection, &[crate::database::record_of("a", identity)])?;
                change::append(connection, &["a"])
            })
            .unwrap();
        }
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
}

fn an_open_transaction_ends_with_its_connection(database: &Database) {
    let store = database.open();
    let mut connection = store.writer_connection().unwrap();
    transaction::begin_write(&mut connection).unwrap();
    transaction::lock_identities(&mut connection).unwrap();
    insert_person(&mut connection, "a", "i1").unwrap();
    drop(connection);
    write(&store, |connection| insert_person(connection, "a", "i1"));
    assert_eq!(record::count(&mut store.connection().unwrap()), Ok(1));
}

fn verbs_out_of_order_are_errors(database: &Database) {
    let store = database.open();
    let connection = &mut store.writer_connection().unwrap();
    assert!(transaction::commit(connection).is_err());
    assert!(transaction::savepoint(connection, 1).is_err());
    assert!(transaction::rollback_to(connection, 1).is_err());
    assert_eq!(transaction::rollback(connection), Ok(()), "nothing to undo");
    transaction::begin_write(connection).unwrap();
    assert!(transaction::begin_write(connection).is_err());
    assert_eq!(audit::count(connection), Ok(0));
    assert_eq!(review::list(connection, None, 1), Ok(Vec::new()));
    transaction::rollback(connection).unwrap();
}
