//! "Who looked at me": every disclosure of one person's records, and nobody else's.

use serde_json::{Value, json};

use crate::answer::{MatchBundle, text};
use crate::export::{kick_off, manifest, output};
use crate::merge::{call, identity_id, input, patient, reason};
use crate::people::{stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    disclosures_of_all_records_of_a_person_are_listed_and_writes_are_not,
    of_others_in_the_same_answer_nothing_is_shown,
    records_that_were_moved_or_deleted_count_for_their_time,
    copies_that_may_have_held_a_record_are_listed,
    lists_go_on_page_by_page_and_take_times,
}

fn looked(app: &TestApp, path: &str) -> MatchBundle {
    let found = app.get(path).send().expect(200).match_bundle();
    assert_eq!(found.issues().len(), 0, "{path}");
    found
}

/// What was done, the newest first, without looks at this list itself.
fn codes(found: &MatchBundle) -> Vec<String> {
    let code = |event: &Value| {
        let subtypes = event["subtype"].as_array().unwrap();
        text(subtypes.last().unwrap(), "code").to_owned()
    };
    let all = found.entries("match").into_iter().map(|entry| code(&entry["resource"]));
    all.filter(|code| code != "who-looked").collect()
}

fn disclosures_of_all_records_of_a_person_are_listed_and_writes_are_not(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "a"));
    app.store_patient(&with_id(&stranger(1), "b"));
    assert_eq!(identity_id(app, "a"), identity_id(app, "b"), "one person");
    app.store_patient(&with_id(&stranger(5), "other"));
    app.get("/Patient/a").send().expect(200);
    app.get("/Patient/other").send().expect(200);
    app.idi_match(&stranger(1));
    app.get("/Patient/b/_history").send().expect(200);
    app.get("/Patient/nobody").send().expect(404);
    app.post("/Patient", stranger(1)).header("If-None-Exist", "_id=b").send().expect(200);
    let expected = ["create", "history", "match", "read", "review-queue", "review-queue"];
    for path in ["/Patient/a/$who-looked", "/Patient/b/$who-looked"] {
        assert_eq!(codes(&looked(app, path)), expected, "{path}");
    }
    let by_identity = format!("/Patient/$who-looked?identity={}", identity_id(app, "a"));
    assert_eq!(codes(&looked(app, &by_identity))[1..], expected);
    let body = input(&[json!({"name": "identity", "valueString": identity_id(app, "b")})]);
    let posted = app.post("/Patient/$who-looked", body).send().expect(200).match_bundle();
    assert_eq!(posted.total(), looked(app, &by_identity).total() - 1);
    for path in ["/Patient/nobody/$who-looked", "/Patient/$who-looked?identity=nobody"] {
        app.get(path).send().expect(404).issues();
    }
    app.get("/Patient/$who-looked").send().expect(400).issues();
    app.get("/Patient/a/$who-looked?action=R").send().expect(400).issues();
}

fn of_others_in_the_same_answer_nothing_is_shown(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "mine"));
    app.store_patient(&with_id(&stranger(5), "theirs"));
    app.get("/Patient?active=true").send().expect(200);
    app.get("/Patient?_id=mine,theirs").send().expect(200);
    let found = looked(app, "/Patient/mine/$who-looked");
    assert!(found.total() >= 1);
    assert!(found.0.to_string().contains("Patient/mine") && !found.0.to_string().contains("theirs"), "{}", found.0);
    for entry in found.entries("match") {
        app.post("/AuditEvent/$validate", &entry["resource"]).send().expect(200);
    }
}

fn records_that_were_moved_or_deleted_count_for_their_time(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "a"));
    app.store_patient(&with_id(&stranger(1), "b"));
    app.get("/Patient/b").send().expect(200);
    call(app, "unlink", &[patient("patient", "a"), patient("other-patient", "b"), reason()]).expect(200);
    app.get("/Patient/b").send().expect(200);
    // The one look at b was while it was taken for a's person; unlinking shows both to the steward.
    let moved = codes(&looked(app, "/Patient/a/$who-looked"));
    let reads = moved.iter().filter(|code| *code == "read").count();
    let of_b = codes(&looked(app, "/Patient/b/$who-looked"));
    let reads_of_b = of_b.iter().filter(|code| *code == "read").count();
    // Which of the two has kept the identity is the matcher's: the other one's past is part of it.
    assert_eq!(reads + reads_of_b, 3, "{moved:?} {of_b:?}");
    app.store_patient(&with_id(&stranger(5), "gone"));
    app.get("/Patient/gone").send().expect(200);
    let identity = identity_id(app, "gone");
    app.delete("/Patient/gone").send().expect(204);
    for path in ["/Patient/gone/$who-looked".to_owned(), format!("/Patient/$who-looked?identity={identity}")] {
        assert!(codes(&looked(app, &path)).contains(&"read".to_owned()), "{path}");
    }
}

fn copies_that_may_have_held_a_record_are_listed(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "before"));
    let files = manifest(app, &kick_off(app, "/$export"));
    assert!(output(app, &files).contains_key("Patient/before"));
    app.store_patient(&with_id(&stranger(5), "after"));
    assert_eq!(codes(&looked(app, "/Patient/before/$who-looked")), ["export"]);
    assert_eq!(codes(&looked(app, "/Patient/after/$who-looked")), Vec::<String>::new());
}

fn lists_go_on_page_by_page_and_take_times(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    for _ in 0..5 {
        app.get("/Patient/p1").send().expect(200);
    }
    let mut link = Some("/Patient/p1/$who-looked?_count=2&date=ge2020".to_owned());
    let mut ids = Vec::new();
    while let Some(page) = link {
        let found = looked(app, &page);
        ids.extend(found.ids().into_iter().map(str::to_owned));
        link = found.link("next").map(str::to_owned);
    }
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert_eq!(looked(app, "/Patient/p1/$who-looked?date=lt2020").total(), 0);
}
