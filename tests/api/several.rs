//! Several instances on one database: a cut network, a rolling restart, the same person at two doors at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, RwLock};
use std::thread;

use idi_match::store::record;

use crate::people::{stranger, with, with_id};
use crate::proxy::Proxy;
use crate::support::{Database, TestApp};

on_both_databases! {
    a_person_who_comes_to_two_instances_at_once_is_one_identity_in_every_round,
}

const PLACES: [&str; 2] = ["memory", "database"];

fn a_person_who_comes_to_two_instances_at_once_is_one_identity_in_every_round(app: &TestApp) {
    for place in PLACES {
        let other = app.beside(&[("match.index", place)]);
        for round in 0..40 {
            let patient = stranger(round);
            let ids = [format!("{place}-a-{round}"), format!("{place}-b-{round}")];
            let begin = Barrier::new(2);
            thread::scope(|scope| {
                for (app, id) in [app, &other].into_iter().zip(&ids) {
                    let (begin, patient) = (&begin, with_id(&patient, id));
                    scope.spawn(move || {
                        begin.wait();
                        app.store_patient(&patient);
                    });
                }
            });
            let rows = record::find_many(&mut app.connection(), &[&ids[0], &ids[1]]).unwrap();
            assert_eq!(rows.len(), 2);
            assert_eq!(rows[0].identity_id, rows[1].identity_id, "{place}, round {round}");
        }
    }
}

const WRITERS: usize = 4;

/// Clients go to another instance when theirs goes away, as behind a load balancer.
#[test]
fn a_rolling_restart_loses_nothing_that_was_acknowledged() {
    let app = &TestApp::start(Database::postgres(), &[]);
    let instances = RwLock::new(PLACES.map(|place| Some(app.beside(&[("match.index", place)]))));
    let (is_over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged: Vec<String> = thread::scope(|scope| {
        let (instances, is_over, written) = (&instances, &is_over, &written);
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write_until(is_over, writer, instances, written))).collect();
        for round in 0..2 {
            for at in 0..PLACES.len() {
                wait_for_more(written);
                let stopping = instances.write().unwrap()[at].take();
                drop(stopping);
                wait_for_more(written);
                let started = app.beside(&[("match.index", PLACES[(at + round) % 2])]);
                instances.write().unwrap()[at] = Some(started);
            }
        }
        wait_for_more(written);
        is_over.store(true, Ordering::SeqCst);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let ids: Vec<&str> = acknowledged.iter().map(String::as_str).collect();
    let stored: BTreeSet<String> =
        record::find_many(&mut app.connection(), &ids).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(stored.len(), acknowledged.len(), "what was acknowledged is stored");
    let instances = instances.into_inner().unwrap();
    for instance in instances.iter().flatten() {
        for id in ids.iter().step_by(7) {
            let number: usize = id.rsplit('-').next().unwrap().parse().unwrap();
            instance.wait_until("that every write is found", |instance| {
                instance.idi_match(&person(number)).ids().contains(id)
            });
        }
    }
}

/// A person of whom nobody else is a relative.
fn person(number: usize) -> serde_json::Value {
    with(&stranger(number), "birthDate", format!("{}-03-{:02}", 1930 + number % 80, number % 28 + 1).into())
}

fn write_until(
    is_over: &AtomicBool,
    writer: usize,
    instances: &RwLock<[Option<TestApp>; 2]>,
    written: &AtomicUsize,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut number = writer;
    while !is_over.load(Ordering::SeqCst) {
        let id = format!("w-{number}");
        let patient = with_id(&person(number), &id);
        let address = {
            let instances = instances.read().unwrap();
            let running: Vec<&TestApp> = instances.iter().flatten().collect();
            running[number / WRITERS % running.len()].base.clone()
        };
        let body = patient.to_string();
        let answer = ureq::put(format!("{address}/Patient/{id}"))
            .header("content-type", "application/fhir+json")
            .config()
            .http_status_as_error(false)
            .build()
            .send(&body);
        // What was not answered is sent again: it may have been stored.
        if answer.is_ok_and(|answer| matches!(answer.status().as_u16(), 200 | 201)) {
            acknowledged.push(id);
            number += WRITERS;
            written.fetch_add(1, Ordering::SeqCst);
        }
    }
    acknowledged
}

fn wait_for_more(written: &AtomicUsize) {
    let wanted = written.load(Ordering::SeqCst) + 20;
    let start = std::time::Instant::now();
    while written.load(Ordering::SeqCst) < wanted {
        assert!(start.elapsed() < crate::support::PATIENCE, "nothing is written any more");
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn an_instance_that_was_cut_off_says_so_and_catches_up() {
    let app = TestApp::start(Database::postgres(), &[]);
    let url = app.database.url();
    for place in PLACES {
        let proxy = Proxy::before(&url);
        let options = [
            ("server.database_url", proxy.url(&url)),
            ("match.index", place.to_owned()),
            ("limits.index_lag_ms_max", "600".to_owned()),
            ("limits.database_timeout_ms", "500".to_owned()),
        ];
        let options: Vec<(&str, &str)> = options.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let remote = app.beside(&options);
        let ready = |remote: &TestApp| remote.get(&remote.at_root("/readyz")).send();
        let written: Vec<_> = (0..3).map(|number| with_id(&stranger(number), &format!("{place}-{number}"))).collect();
        app.store_patient(&written[0]);
        remote.wait_until("that the first is found", |remote| remote.idi_match(&written[0]).total() == 1);
        proxy.cut();
        app.store_patient(&written[1]);
        app.delete(&format!("/Patient/{place}-0")).send().expect(204);
        remote.wait_until("that it says it is behind", |remote| {
            let answer = ready(remote);
            answer.status == 503 && answer.json()["status"] == "index behind"
        });
        let lag = gauge(&remote, "idi_match_index_lag_seconds");
        assert!(lag > 0.6, "{lag}");
        remote.put(&format!("/Patient/{place}-2"), &written[2]).send().expect(503);
        proxy.mend();
        remote.wait_until("that it has caught up", |remote| ready(remote).status == 200);
        assert_eq!(remote.idi_match(&written[1]).total(), 1, "what was written meanwhile is found");
        assert_eq!(remote.idi_match(&written[0]).total(), 0);
        remote.store_patient(&written[2]);
        app.wait_until("that its write is found", |app| app.idi_match(&written[2]).total() == 1);
        assert_eq!(gauge(&remote, "idi_match_index_lag_changes"), 0.0);
        for number in [1, 2] {
            app.delete(&format!("/Patient/{place}-{number}")).send().expect(204);
        }
    }
}

fn gauge(app: &TestApp, name: &str) -> f64 {
    let text = app.get(&app.at_root("/metrics")).send().expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().parse().unwrap()
}
