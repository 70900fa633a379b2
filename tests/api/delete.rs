//! FHIR delete: gone from reads, searches and matches at once; its versions stay; an update brings it back.

use serde_json::json;

use crate::people::{organization, stranger, with};
use crate::support::TestApp;

on_both_databases! {
    a_deleted_patient_is_gone_everywhere_at_once_and_an_update_brings_it_back,
    a_deletion_that_finds_nothing_is_no_error,
    if_match_names_the_version_that_is_deleted,
    one_record_of_a_person_goes_and_the_others_stay,
}

fn a_deleted_patient_is_gone_everywhere_at_once_and_an_update_brings_it_back(app: &TestApp) {
    let patient = with(&stranger(1), "id", json!("p1"));
    app.store_patient(&patient);
    assert_eq!(app.idi_match(&patient).ids(), ["p1"]);
    let searches = ["", "?_id=p1", "?family=Drag", "?identifier=urn:oid:2.16.840.1.113883.4.3.39%7C"];
    let totals = || searches.map(|query| app.get(&format!("/Patient{query}")).send().match_bundle().total());
    assert_eq!(totals(), [1; 4]);
    let deleted = app.delete("/Patient/p1").send().expect(204);
    assert!(deleted.body.is_empty());
    assert_eq!(app.idi_match(&patient).total(), 0);
    assert_eq!(totals(), [0; 4]);
    assert_eq!(app.get("/Patient/p1").send().expect(410).errors()[0].0, "deleted");
    app.get("/Patient/p1/_history/2").send().expect(410);
    app.get("/Patient/p1/_history/1").send().expect(200);
    let back = app.put("/Patient/p1", &patient).send().expect(201);
    assert_eq!(back.header("etag"), Some("W/\"3\""));
    assert_eq!(back.header("location"), Some(format!("{}/Patient/p1/_history/3", app.base).as_str()));
    app.get("/Patient/p1").send().expect(200);
    app.get("/Patient/p1/_history/2").send().expect(410);
    assert_eq!(app.idi_match(&patient).ids(), ["p1"]);
    assert_eq!(totals(), [1; 4]);
}

fn a_deletion_that_finds_nothing_is_no_error(app: &TestApp) {
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    app.put("/Organization/o1", organization("o1")).send().expect(201);
    let table = [
        ("/Patient/never", 204),
        ("/Patient/p1", 204),
        ("/Patient/p1", 204),
        ("/Organization/o1", 204),
        ("/Organization/o1", 204),
        ("/Patient/p_1", 400),
        ("/Observation/p1", 404),
    ];
    for (path, status) in table {
        app.delete(path).send().expect(status);
    }
    app.get("/Organization/o1").send().expect(410);
    app.get("/Patient/p1/_history/3").send().expect(404);
}

fn if_match_names_the_version_that_is_deleted(app: &TestApp) {
    app.store_patient(&with(&stranger(1), "id", json!("p1")));
    for (etag, status) in [("W/\"2\"", 412), ("1", 400), ("\u{ff}", 400)] {
        app.delete("/Patient/p1").header("If-Match", etag).send().expect(status).issues();
    }
    app.delete("/Patient/never").header("If-Match", "W/\"1\"").send().expect(412).issues();
    app.get("/Patient/p1").send().expect(200);
    app.delete("/Patient/p1").header("If-Match", "W/\"1\"").send().expect(204);
    app.get("/Patient/p1").send().expect(410);
}

fn one_record_of_a_person_goes_and_the_others_stay(app: &TestApp) {
    for id in ["p1", "p2", "p3"] {
        app.store_patient(&with(&stranger(1), "id", json!(id)));
    }
    assert_eq!(app.idi_match(&stranger(1)).total(), 3);
    app.delete("/Patient/p2").send().expect(204);
    let found = app.idi_match(&stranger(1));
    assert_eq!(found.ids(), ["p1", "p3"]);
    assert!(!found.0.to_string().contains("Patient/p2"), "no link leads to it");
    app.store_patient(&with(&stranger(1), "id", json!("p2")));
    assert_eq!(app.idi_match(&stranger(1)).total(), 3, "and back into the same identity");
}
