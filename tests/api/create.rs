//! FHIR create.

use serde_json::json;

use crate::people::{organization, stranger};
use crate::support::TestApp;

on_both_databases! {
    a_created_resource_gets_an_id_a_location_and_an_etag,
    the_same_body_twice_makes_two_resources,
    what_is_not_the_type_of_the_address_is_refused,
}

fn a_created_resource_gets_an_id_a_location_and_an_etag(app: &TestApp) {
    for (kind, body) in [("Patient", stranger(1)), ("Organization", organization("o1"))] {
        let answer = app.post(&format!("/{kind}"), &body).send().expect(201);
        let created = answer.json();
        let id = created["id"].as_str().unwrap().to_owned();
        assert_ne!(created["id"], body["id"], "the id is the server's own");
        assert_eq!(created["meta"]["versionId"], "1");
        assert_eq!(answer.header("location"), Some(format!("{}/{kind}/{id}/_history/1", app.base).as_str()));
        assert_eq!(answer.header("etag"), Some("W/\"1\""));
        assert!(answer.header("last-modified").unwrap().ends_with("GMT"));
        assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
        for path in [answer.header("location").unwrap(), &format!("/{kind}/{id}")] {
            let read = app.get(path).send().expect(200);
            assert_eq!(
                (read.body, read.headers.get("etag")),
                (answer.body.clone(), answer.headers.get("etag")),
                "{path}"
            );
        }
        app.get(&format!("/{kind}/{}", body["id"].as_str().unwrap())).send().expect(404);
    }
}

fn the_same_body_twice_makes_two_resources(app: &TestApp) {
    let ids: Vec<_> =
        (0..2).map(|_| app.post("/Patient", stranger(1)).send().expect(201).json()["id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(app.get("/Patient").send().match_bundle().total(), 2);
    let found = app.idi_match(&stranger(1));
    assert_eq!(found.total(), 2, "both are records of one person");
}

fn what_is_not_the_type_of_the_address_is_refused(app: &TestApp) {
    let table = [
        ("/Patient", organization("o1"), 400),
        ("/Organization", stranger(1), 400),
        ("/Patient", json!({"resourceType": "Observation"}), 400),
        ("/Patient", json!({"name": [{"family": "X"}]}), 400),
        ("/Observation", json!({"resourceType": "Observation"}), 404),
    ];
    for (path, body, status) in table {
        app.post(path, &body).send().expect(status).issues();
        assert_eq!(app.get("/Patient").send().match_bundle().total(), 0, "{path}");
    }
}
