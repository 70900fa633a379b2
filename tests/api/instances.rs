//! Several instances on one database, and an instance that stops.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use idi_match::store::record::{self, RecordRow};
use serde_json::json;

use crate::people::{stranger, with, with_id};
use crate::support::{PATIENCE, TestApp, read_to_end};

on_both_databases! {
    what_one_instance_writes_the_other_finds,
    an_instance_that_starts_finds_what_was_stored,
    features_of_another_normaliser_are_made_again_at_the_start,
    a_request_in_flight_is_answered_before_the_stop,
    an_idle_connection_does_not_hold_up_the_stop,
    what_was_acknowledged_before_the_stop_is_stored,
}

fn what_one_instance_writes_the_other_finds(app: &TestApp) {
    let other = app.beside(&[]);
    for (writer, reader, number) in [(app, &other, 1), (&other, app, 2), (app, &other, 3)] {
        let patient = stranger(number);
        let path = format!("/Patient/{}", patient["id"].as_str().unwrap());
        writer.store_patient(&patient);
        reader.get(&path).send().expect(200);
        reader.wait_until("that the record is found", |reader| reader.idi_match(&patient).total() == 1);
        let changed = with(&patient, "language", json!("en"));
        writer.store_patient(&changed);
        let found = reader.idi_match(&patient);
        assert_eq!(found.entries("match")[0]["resource"]["language"], "en", "what is returned is what is stored now");
        writer.delete(&path).send().expect(204);
        assert_eq!(reader.idi_match(&patient).total(), 0, "what is deleted is returned no more, at once");
        reader.get(&path).send().expect(410);
    }
}

fn features_of_another_normaliser_are_made_again_at_the_start(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let current = record::find_many(&mut app.connection(), &["p1"]).unwrap();
    let old = RecordRow { normaliser: -1, features: b"of another form".to_vec(), ..current[0].clone() };
    app.write(|connection| record::upsert_many(connection, &[old]));
    assert_eq!(app.idi_match(&stranger(1)).ids(), ["p1"], "until then they are made on the fly");
    let upgraded = app.beside(&[]);
    assert_eq!(upgraded.idi_match(&stranger(1)).ids(), ["p1"]);
    assert_eq!(record::find_many(&mut app.connection(), &["p1"]).unwrap(), current);
}

fn an_instance_that_starts_finds_what_was_stored(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    app.store_patient(&with_id(&stranger(1), "p2"));
    app.store_patient(&with_id(&stranger(2), "p3"));
    app.delete("/Patient/p3").send().expect(204);
    let later = app.beside(&[]);
    assert_eq!(later.idi_match(&stranger(1)).total(), 2);
    assert_eq!(later.idi_match(&stranger(2)).total(), 0);
    later.store_patient(&with_id(&stranger(1), "p4"));
    assert_eq!(later.idi_match(&stranger(1)).total(), 3, "a record joins the identity of those before");
}

fn a_request_in_flight_is_answered_before_the_stop(app: &TestApp) {
    let stopping = app.beside(&[]);
    let body = with_id(&stranger(1), "p1").to_string();
    let (first, rest) = body.split_at(body.len() / 2);
    let mut stream = stopping.connect();
    let length = body.len();
    write!(stream, "PUT /fhir/Patient/p1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/fhir+json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n").unwrap();
    // What has been read is in flight; another worker's answers would not show that this was.
    let mut asked_on = [0; 25];
    stream.read_exact(&mut asked_on).unwrap();
    assert_eq!(&asked_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).unwrap();
    stopping.begin_stop();
    wait_until_closed(&stopping);
    stream.write_all(rest.as_bytes()).unwrap();
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    drop(stopping);
    app.get("/Patient/p1").send().expect(200);
}

/// The server would wait longer than the test does.
fn an_idle_connection_does_not_hold_up_the_stop(app: &TestApp) {
    let stopping = app.beside(&[("limits.shutdown_timeout_ms", "600000")]);
    let mut idle: Vec<_> = (0..3).map(|_| stopping.connect()).collect();
    for stream in &mut idle[1..] {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    drop(stopping);
    app.get("/metadata").send().expect(200);
}

fn wait_until_closed(app: &TestApp) {
    let start = std::time::Instant::now();
    let authority = app.base.strip_prefix("http://").unwrap().strip_suffix("/fhir").unwrap();
    loop {
        // A connection that was accepted by the system alone is closed without an answer.
        let taken = std::net::TcpStream::connect(authority).and_then(|mut stream| {
            stream.set_read_timeout(Some(std::time::Duration::from_millis(200)))?;
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            stream.read(&mut [0; 1])
        });
        if !matches!(taken, Ok(1)) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "the server takes connections still");
    }
}

fn what_was_acknowledged_before_the_stop_is_stored(app: &TestApp) {
    let stopping = app.beside(&[]);
    let is_stopped = AtomicBool::new(false);
    let acknowledged: Vec<String> = thread::scope(|scope| {
        let (stopping, is_stopped) = (&stopping, &is_stopped);
        let insert = |thread: usize| {
            scope.spawn(move || {
                let mut acknowledged = Vec::new();
                for round in 0..10_000 {
                    let id = format!("p-{thread}-{round}");
                    match stopping
                        .put(
                            &format!("/Organization/{id}"),
                            json!({"resourceType": "Organization", "id": id, "name": "x"}),
                        )
                        .try_send()
                    {
                        Ok(answer) => {
                            answer.expect(201);
                            acknowledged.push(id);
                        }
                        Err(_) => {
                            assert!(is_stopped.load(Ordering::SeqCst), "refused before the stop");
                            break;
                        }
                    }
                }
                acknowledged
            })
        };
        let running: Vec<_> = (0..8).map(insert).collect();
        stopping.wait_until("that there are some", |_| {
            app.get("/Organization?_count=0").send().match_bundle().total() > 40
        });
        is_stopped.store(true, Ordering::SeqCst);
        stopping.begin_stop();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    drop(stopping);
    assert!(acknowledged.len() > 40);
    for id in &acknowledged {
        app.get(&format!("/Organization/{id}")).send().expect(200);
    }
}
