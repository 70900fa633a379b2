//! `serve` beside other processes on the same database, its stop, and what it logs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::json;

use crate::database::Database;
use crate::loading::load;
use crate::people::{Folder, ndjson, request};
use crate::program::{PATIENCE, Server, patient_ids, wait_for};

on_both_databases! {
    people_loaded_beside_a_server_are_found_by_it,
    what_was_acknowledged_is_there_after_the_server_is_killed,
}

fn people_loaded_beside_a_server_are_found_by_it(database: &Database) {
    let folder = Folder::new();
    let server = Server::start(&database.url(), &[]);
    let (status, answer) = server.idi_match(&request(7));
    assert_eq!((status, patient_ids(&answer)), (200, Vec::new()), "nobody is stored yet");
    load(database, &folder.write("people.ndjson", ndjson("p", 0..20)), &[]).with_code(0);
    // Promised within a second; measured elsewhere, for a busy machine proves nothing.
    let loaded = Instant::now();
    let found = wait_for("the person who was loaded", || {
        let (status, answer) = server.idi_match(&request(7));
        assert_eq!(status, 200);
        Some(patient_ids(&answer)).filter(|ids| !ids.is_empty())
    });
    assert_eq!(found, ["p7"]);
    assert!(loaded.elapsed() < PATIENCE);
}

fn what_was_acknowledged_is_there_after_the_server_is_killed(database: &Database) {
    let mut server = Server::start(&database.url(), &[]);
    let patient = crate::people::patient("p3", 3);
    let url = format!("http://{}/fhir/Patient/p3", server.address);
    let agent = ureq::Agent::new_with_defaults();
    let created = agent.put(&url).header("content-type", "application/fhir+json").send(patient.to_string()).unwrap();
    assert_eq!(created.status(), 201);
    server.running.kill();
    let server = Server::start(&database.url(), &[]);
    let (_, answer) = server.idi_match(&request(3));
    assert_eq!(patient_ids(&answer), ["p3"]);
    let sql = "SELECT action || ' ' || outcome AS value FROM audit WHERE resource_type = 'Patient' ORDER BY seq";
    let audited = database.texts(sql);
    assert_eq!(audited, ["update success", "match success"], "one row a request");
}

#[test]
fn a_server_that_is_asked_to_stop_ends_well() {
    let database = Database::sqlite();
    let mut server = Server::start(&database.url(), &[]);
    let (status, answer) = server.idi_match(&json!({"resourceType": "Patient"}));
    assert_eq!((status, &answer["resourceType"]), (422, &json!("OperationOutcome")));
    assert!(server.running.stop().success());
}

/// A flood of connections that come while none is taken in: with the 128 of the standard library the kernel drops the
/// others, and they never connect.
#[test]
fn connections_that_come_at_once_wait_to_be_taken_in() {
    let database = Database::sqlite();
    let server = Server::start(&database.url(), &[]);
    let address = server.address.parse().unwrap();
    server.running.signal("STOP");
    let connect = |_| TcpStream::connect_timeout(&address, PATIENCE).expect("a place in the queue");
    let waiting: Vec<TcpStream> = (0..500).map(connect).collect();
    server.running.signal("CONT");
    for mut stream in waiting {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: queue.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}
