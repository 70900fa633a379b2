//! Many callers at once.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use idi_match::store::{identity, record, review};
use serde_json::{Value, json};

use crate::answer::text;
use crate::people::{parameters, stranger, with, with_id};
use crate::support::TestApp;

on_both_databases! {
    one_person_inserted_by_many_threads_is_one_identity,
    one_person_inserted_through_two_instances_is_one_identity,
    of_many_updates_of_one_version_exactly_one_wins,
    every_update_without_condition_is_a_version_of_its_own,
    mixed_requests_of_many_threads_are_all_answered,
}

/// Runs `work` on many threads that begin together; gives what each returns.
fn together<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let (barrier, work) = (&barrier, &work);
        let spawn = |number| {
            scope.spawn(move || {
                barrier.wait();
                work(number)
            })
        };
        let running: Vec<_> = (0..threads).map(spawn).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// All `count` records of the person come back as one identity.
fn assert_one_identity(app: &TestApp, count: usize) {
    let found = app.idi_match(&stranger(1));
    assert_eq!(found.ids().len(), count);
    let all: BTreeSet<String> = found.ids().iter().map(|id| format!("{}/Patient/{id}", app.base)).collect();
    for entry in found.entries("match") {
        let links = entry["resource"]["link"].as_array().unwrap();
        let mut joined: BTreeSet<String> =
            links.iter().map(|link| text(&link["other"], "reference").to_owned()).collect();
        joined.insert(text(entry, "fullUrl").to_owned());
        assert_eq!(joined, all);
    }
    assert_eq!(identity::count(&mut app.connection()), Ok(1));
    assert_eq!(record::count(&mut app.connection()), Ok(i64::try_from(count).unwrap()));
    assert!(review::list(&mut app.connection(), None, 10).unwrap().is_empty());
}

fn one_person_inserted_by_many_threads_is_one_identity(app: &TestApp) {
    together(32, |number| {
        let id = format!("p{number:02}");
        app.put(&format!("/Patient/{id}"), with_id(&stranger(1), &id)).send().expect(201);
    });
    assert_one_identity(app, 32);
}

fn one_person_inserted_through_two_instances_is_one_identity(app: &TestApp) {
    let other = app.beside(&[]);
    together(32, |number| {
        let app = if number.is_multiple_of(2) { app } else { &other };
        app.post("/Patient", stranger(1)).send().expect(201);
    });
    assert_one_identity(app, 32);
    other.wait_until("that the other sees them all", |other| other.idi_match(&stranger(1)).total() == 32);
    assert_one_identity(&other, 32);
}

fn of_many_updates_of_one_version_exactly_one_wins(app: &TestApp) {
    let patient = with_id(&stranger(1), "p1");
    app.store_patient(&patient);
    for version in 1..4 {
        let bodies: Vec<Value> =
            (0..16).map(|n| with(&patient, "language", json!(format!("x-{version}-{n}")))).collect();
        let etag = format!("W/\"{version}\"");
        let answers = together(16, |number| app.put("/Patient/p1", &bodies[number]).header("If-Match", &etag).send());
        let won: Vec<usize> = (0..16).filter(|number| answers[*number].status == 200).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 412)));
        let read = app.get("/Patient/p1").send().expect(200);
        assert_eq!(read.json()["language"], bodies[won[0]]["language"]);
        assert_eq!(read.header("etag"), Some(format!("W/\"{}\"", version + 1).as_str()));
    }
}

fn every_update_without_condition_is_a_version_of_its_own(app: &TestApp) {
    let patient = with_id(&stranger(1), "p1");
    let answers = together(24, |number| {
        let body = with(&patient, "language", json!(format!("x-{number}")));
        app.put("/Patient/p1", &body).send()
    });
    let mut versions: Vec<i64> =
        answers.iter().map(|answer| text(&answer.json()["meta"], "versionId").parse().unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "one has created it");
    versions.sort_unstable();
    assert_eq!(versions, (1..=24).collect::<Vec<i64>>());
    for answer in &answers {
        let version = text(&answer.json()["meta"], "versionId").to_owned();
        assert_eq!(app.get(&format!("/Patient/p1/_history/{version}")).send().expect(200).text(), answer.text());
    }
    assert_eq!(identity::count(&mut app.connection()), Ok(1));
}

fn mixed_requests_of_many_threads_are_all_answered(app: &TestApp) {
    for number in 0..8 {
        app.store_patient(&stranger(number));
    }
    let statuses = together(64, |number| {
        let person = stranger(number % 8);
        let path = format!("/Patient/{}", text(&person, "id"));
        let mut statuses = Vec::new();
        for round in 0..4 {
            let request = match (number + round) % 8 {
                0 => app.get(&path),
                1 => app.put(&path, with(&person, "language", json!(format!("x-{number}-{round}")))),
                2 => app.post("/Patient/$idi-match", parameters("IDIPatient", &person, &[])),
                3 => app.get("/Patient?_count=3&family=b"),
                4 => app.post("/Patient", stranger(100 + number)),
                5 => app.delete(&format!("/Patient/gone-{number}")),
                6 => app.post("/Patient/$match", "no JSON"),
                _ => app.get("/metadata"),
            };
            let what = format!("{request:?}");
            let answer = request.send();
            assert!(answer.status < 500, "{what}: {}", answer.text());
            statuses.push(answer.status);
        }
        statuses
    });
    let statuses: Vec<u16> = statuses.into_iter().flatten().collect();
    assert_eq!(statuses.len(), 256);
    for (status, count) in [(200, 160), (201, 32), (204, 32), (400, 32)] {
        assert_eq!(statuses.iter().filter(|other| **other == status).count(), count, "{status}");
    }
}
