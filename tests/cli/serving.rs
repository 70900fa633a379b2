//! `serve` beside other processes on the same database, its stop, and what it logs.

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
