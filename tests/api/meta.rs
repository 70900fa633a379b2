//! `$meta`: what the server says about a resource, without the resource.

use serde_json::json;

use crate::people::{example, stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    the_meta_of_a_resource_and_of_its_versions_is_that_of_a_read,
    what_has_no_meta_is_an_error,
}

fn the_meta_of_a_resource_and_of_its_versions_is_that_of_a_read(app: &TestApp) {
    let mut patient = with_id(&stranger(1), "p1");
    patient["meta"]["tag"] = json!([{"system": "urn:t", "code": "a"}]);
    app.store_patient(&patient);
    patient["active"] = json!(true);
    app.store_patient(&patient);
    app.put("/Task/t1", example("Task", "t1")).send().expect(201);
    for path in ["/Patient/p1", "/Patient/p1/_history/1", "/Patient/p1/_history/2", "/Task/t1"] {
        let expected = app.get(path).send().expect(200).json()["meta"].clone();
        let by_get = app.get(&format!("{path}/$meta")).send().expect(200).json();
        let wanted = json!({"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": expected}]});
        assert_eq!(by_get, wanted, "{path}");
        let by_post = app.post(&format!("{path}/$meta"), json!({"resourceType": "Parameters"})).send().expect(200);
        assert_eq!(by_post.json(), wanted, "{path}");
        let empty = app.request("POST", &format!("{path}/$meta")).send().expect(200);
        assert_eq!(empty.json(), wanted, "{path}");
    }
}

fn what_has_no_meta_is_an_error(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let table = [
        ("/Patient/nobody/$meta", 404),
        ("/Patient/p1/_history/7/$meta", 404),
        ("/Patient/p_1/$meta", 400),
        ("/Observation/p1/$meta", 404),
        ("/StructureDefinition/IDI-Patient/$meta", 404),
    ];
    for (path, status) in table {
        app.get(path).send().expect(status).issues();
    }
    app.put("/Patient/p1/$meta", stranger(1)).send().expect(405).issues();
    app.delete("/Patient/p1").send().expect(204);
    app.get("/Patient/p1/$meta").send().expect(410).issues();
}
