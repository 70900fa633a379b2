//! Jobs of bulk export: one planner at a time.

use idi_match::store::StoreError;
use idi_match::store::export_job::{
    self, COMPLETE, ExportJobRow, ExportPartRow, FAILED, PLANNING, claim, complete, count, delete, delete_expired,
    fail, find, find_part, find_waiting, insert, list_parts, release, renew,
};

use crate::database::{Database, in_transaction, write};

on_both_databases! {
    a_job_is_claimed_once_and_again_when_its_planner_falls_silent,
    only_who_has_claimed_a_job_ends_it,
    jobs_go_with_their_parts_and_when_they_expire,
    an_id_is_given_once,
}

fn job(id: &str, created_us: i64) -> ExportJobRow {
    ExportJobRow {
        id: id.to_owned(),
        caller: "open".to_owned(),
        level: "system".to_owned(),
        request: "http://h/fhir/$export".to_owned(),
        resource_types: "Patient,Task".to_owned(),
        since_us: None,
        at_us: 7,
        last_number: 9,
        remarks: "[]".to_owned(),
        state: PLANNING.to_owned(),
        permille: 0,
        worker: None,
        heartbeat_us: 0,
        attempts: 0,
        created_us,
        expires_us: 1_000,
        labels: "all".to_owned(),
    }
}

fn part(job_id: &str, part: i32) -> ExportPartRow {
    ExportPartRow {
        job_id: job_id.to_owned(),
        part,
        content: "resources".to_owned(),
        resource_type: "Patient".to_owned(),
        after_number: 0,
        last_number: 9,
        resources: 3,
    }
}

fn a_job_is_claimed_once_and_again_when_its_planner_falls_silent(database: &Database) {
    let store = database.open();
    write(&store, |conn| insert(conn, &job("younger", 2)));
    write(&store, |conn| insert(conn, &ExportJobRow { since_us: Some(5), ..job("older", 1) }));
    let waiting = |silent_us| find_waiting(&mut store.connection().unwrap(), silent_us).unwrap();
    let oldest = waiting(0).unwrap();
    assert_eq!(oldest, ExportJobRow { since_us: Some(5), ..job("older", 1) });
    assert!(write(&store, |conn| claim(conn, &oldest, "one", 100)));
    assert!(!write(&store, |conn| claim(conn, &oldest, "other", 100)), "it is taken");
    assert_eq!(waiting(100).map(|job| job.id).as_deref(), Some("younger"));
    let silent = waiting(101).unwrap();
    assert_eq!((silent.id.as_str(), silent.worker.as_deref(), silent.attempts), ("older", Some("one"), 1));
    assert!(write(&store, |conn| renew(conn, "older", "one", 200, 370)));
    assert_eq!(waiting(101).map(|job| job.id).as_deref(), Some("younger"), "it was heard of");
    let silent = waiting(201).unwrap();
    assert_eq!(silent.permille, 370);
    assert!(write(&store, |conn| claim(conn, &silent, "other", 300)));
    assert!(!write(&store, |conn| renew(conn, "older", "one", 301, 400)), "it was taken over");
    write(&store, |conn| release(conn, "older", "one"));
    assert_eq!(waiting(0).map(|job| job.id).as_deref(), Some("younger"), "it is not the former planner's to give up");
    write(&store, |conn| release(conn, "older", "other"));
    assert_eq!(waiting(0).map(|job| (job.id, job.worker)), Some(("older".to_owned(), None)));
}

fn only_who_has_claimed_a_job_ends_it(database: &Database) {
    let store = database.open();
    write(&store, |conn| insert(conn, &job("a", 1)));
    write(&store, |conn| insert(conn, &job("b", 2)));
    for (id, worker) in [("a", "one"), ("b", "other")] {
        let job = job(id, 0);
        assert!(write(&store, |conn| claim(conn, &job, worker, 1)));
    }
    assert!(!write(&store, |conn| complete(conn, "a", "other", &[part("a", 1)], 50)));
    assert!(!write(&store, |conn| fail(conn, "a", "other", 50)));
    assert!(write(&store, |conn| complete(conn, "a", "one", &[part("a", 1), part("a", 2)], 2_000)));
    assert!(!write(&store, |conn| complete(conn, "a", "one", &[part("a", 3)], 50)), "it has ended");
    assert!(write(&store, |conn| fail(conn, "b", "other", 2_000)));
    let connection = &mut store.connection().unwrap();
    let ended = |connection: &mut _, id| find(connection, id, 1_999).unwrap().map(|job| (job.state, job.permille));
    assert_eq!(ended(connection, "a"), Some((COMPLETE.to_owned(), 1000)));
    assert_eq!(ended(connection, "b"), Some((FAILED.to_owned(), 1000)));
    assert_eq!(list_parts(connection, "a").unwrap(), [part("a", 1), part("a", 2)]);
    assert_eq!(find_part(connection, "a", 2).unwrap(), Some(part("a", 2)));
    assert_eq!((find_part(connection, "a", 3).unwrap(), find_part(connection, "b", 1).unwrap()), (None, None));
    assert_eq!(find_waiting(connection, i64::MAX).unwrap(), None);
}

fn jobs_go_with_their_parts_and_when_they_expire(database: &Database) {
    let store = database.open();
    for (id, expires_us) in [("a", 10), ("b", 20), ("c", 30)] {
        let job = ExportJobRow { expires_us, ..job(id, 1) };
        write(&store, |conn| insert(conn, &job));
        write(&store, |conn| claim(conn, &job, "one", 1));
        write(&store, |conn| complete(conn, id, "one", &[part(id, 1)], expires_us));
    }
    let seen = |id, now_us| find(&mut store.connection().unwrap(), id, now_us).unwrap().is_some();
    assert_eq!((seen("a", 9), seen("a", 10), seen("b", 10)), (true, false, true));
    assert_eq!(write(&store, |conn| delete_expired(conn, 20)), 2);
    assert_eq!(write(&store, export_job::count), 1);
    assert!(write(&store, |conn| delete(conn, "c")));
    assert!(!write(&store, |conn| delete(conn, "c")));
    assert_eq!(write(&store, count), 0);
    for id in ["a", "b", "c"] {
        assert_eq!(list_parts(&mut store.connection().unwrap(), id).unwrap(), []);
    }
}

fn an_id_is_given_once(database: &Database) {
    let store = database.open();
    write(&store, |conn| insert(conn, &job("a", 1)));
    let again = in_transaction(&mut store.writer_connection().unwrap(), |conn| insert(conn, &job("a", 2)));
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
}
