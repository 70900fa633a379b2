//! `$link`, `$unlink`, `$split`, `$decide`, `$revoke`, and what was decided: `$decisions`, `$identity-history`.

use serde_json::{Value, json};

use crate::answer::{coded, text};
use crate::merge::{call, identity, identity_id, named, patient, reason};
use crate::people::{stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    linked_records_are_one_identity_and_separated_ones_two,
    an_identity_is_split_into_groups_and_the_rest,
    what_a_split_has_separated_is_asked_of_none_of_its_records,
    revoking_an_old_decision_leaves_the_surviving_identity_of_a_later_one,
    what_contradicts_a_decision_is_a_conflict_until_that_is_revoked,
    every_decision_is_listed_with_who_when_and_why_and_revoked_by_its_id,
    where_a_record_has_been_is_told_with_the_decision,
    every_operation_refuses_what_it_cannot_mean,
    every_decision_and_every_look_has_its_audit_row,
}

const A: &str = "stranger-0001";
const B: &str = "stranger-0002";

fn store(app: &TestApp) {
    for number in 0..4 {
        app.store_patient(&stranger(number));
    }
}

/// The same person under three ids.
fn store_thrice(app: &TestApp) {
    for id in ["x1", "x2", "x3"] {
        app.store_patient(&with_id(&stranger(5), id));
    }
}

fn pair(a: &str, b: &str) -> Vec<Value> {
    vec![patient("patient", a), patient("other-patient", b), reason()]
}

fn decision(answer: &Value) -> String {
    text(named(answer, "decision")[0], "valueString").to_owned()
}

fn stewardship(app: &TestApp, id: &str) -> String {
    text(named(&identity(app, id), "stewardship")[0], "valueCode").to_owned()
}

fn linked_records_are_one_identity_and_separated_ones_two(app: &TestApp) {
    store(app);
    let before = [identity_id(app, A), identity_id(app, B)];
    assert_eq!(stewardship(app, A), "automatic");
    let linked = call(app, "link", &pair(A, B)).expect(200).json();
    assert_eq!([identity_id(app, A), identity_id(app, B)], [before[0].clone(), before[0].clone()]);
    assert_eq!(stewardship(app, A), "confirmed");
    let found = app.idi_match(&stranger(2));
    let mut ids = found.ids();
    ids.sort_unstable();
    assert_eq!(ids, [A, B], "both stay matches");
    assert_eq!(coded(found.entry(A), "stewardship"), Some("confirmed"));
    assert_eq!(found.entry(A)["resource"]["link"][0]["type"], "seealso");
    assert_eq!(app.get(&format!("/Patient/{A}")).send().json()["link"], Value::Null, "only matches tell it");
    call(app, "revoke", &[json!({"name": "decision", "valueId": decision(&linked)}), reason()]).expect(200);
    assert_eq!([identity_id(app, A), identity_id(app, B)], before);

    store_thrice(app);
    assert_eq!(identity_id(app, "x1"), identity_id(app, "x3"), "the matcher joins them");
    call(app, "unlink", &pair("x1", "x3")).expect(200);
    assert_ne!(identity_id(app, "x1"), identity_id(app, "x3"));
    assert_eq!(app.idi_match(&stranger(5)).total(), 3, "and a match tells both");
}

fn an_identity_is_split_into_groups_and_the_rest(app: &TestApp) {
    store_thrice(app);
    let whole = identity_id(app, "x1");
    let part = |id: &str| patient("patient", id);
    let group = |ids: &[&str]| json!({"name": "group", "part": ids.iter().map(|id| part(id)).collect::<Vec<_>>()});
    let named_identity = json!({"name": "identity", "valueId": whole});
    let preview = json!({"name": "preview", "valueBoolean": true});
    let asked = [named_identity.clone(), group(&["x2"]), reason()];
    call(app, "split", &[&asked[..], &[preview]].concat()).expect(200);
    assert_eq!(identity_id(app, "x2"), whole);
    let split = call(app, "split", &asked).expect(200).json();
    assert_eq!(named(&split, "placement").len(), 3);
    assert_eq!(identity_id(app, "x1"), identity_id(app, "x3"));
    assert_ne!(identity_id(app, "x1"), identity_id(app, "x2"));
    assert_eq!(stewardship(app, "x1"), "confirmed");
    let none = call(app, "split", &[named_identity.clone(), group(&["x1", "x3"]), reason()]);
    assert!(matches!(none.status, 422), "{}", none.text());
    let foreign = call(app, "split", &[named_identity.clone(), group(&["nobody"]), reason()]).expect(422);
    assert_eq!(foreign.errors()[0].0, "business-rule");
    assert_eq!(call(app, "split", &[named_identity, reason()]).expect(400).errors()[0].0, "required");
    let unknown = [json!({"name": "identity", "valueId": "nobody"}), group(&["x1"]), reason()];
    call(app, "split", &unknown).expect(404);
    // Updates and another look do not undo it.
    app.put("/Patient/x2", with_id(&crate::people::with(&stranger(5), "active", json!(true)), "x2")).send().expect(200);
    assert_ne!(identity_id(app, "x1"), identity_id(app, "x2"));
}

fn what_a_split_has_separated_is_asked_of_none_of_its_records(app: &TestApp) {
    store_thrice(app);
    let identity = json!({"name": "identity", "valueId": identity_id(app, "x1")});
    let group = json!({"name": "group", "part": [patient("patient", "x2")]});
    call(app, "split", &[identity, group, reason()]).expect(200);
    for id in ["x1", "x2", "x3"] {
        let updated = with_id(&crate::people::with(&stranger(5), "active", json!(true)), id);
        app.put(&format!("/Patient/{id}"), updated).send().expect(200);
        let waiting = app.get("/Patient/$review-queue").send().expect(200).match_bundle();
        assert_eq!(waiting.ids(), Vec::<&str>::new(), "{id}");
    }
}

fn revoking_an_old_decision_leaves_the_surviving_identity_of_a_later_one(app: &TestApp) {
    const C: &str = "stranger-0003";
    store(app);
    let before = [A, B, C].map(|id| identity_id(app, id));
    let first = call(app, "link", &pair(A, B)).expect(200).json();
    let later = call(app, "link", &pair(C, A)).expect(200).json();
    let all = || [A, B, C].map(|id| identity_id(app, id));
    assert!(all().iter().all(|id| *id == before[2]), "{:?} {before:?}", all());
    let revoke = |made: &Value| {
        call(app, "revoke", &[json!({"name": "decision", "valueId": decision(made)}), reason()]).expect(200);
    };
    revoke(&first);
    assert!(all().iter().all(|id| *id == before[2]), "the later decision still stands: {:?} {before:?}", all());
    revoke(&later);
    assert_eq!(identity_id(app, C), before[2]);
    assert_ne!(identity_id(app, A), before[2]);
}

fn what_contradicts_a_decision_is_a_conflict_until_that_is_revoked(app: &TestApp) {
    store(app);
    let apart = call(app, "unlink", &pair(A, B)).expect(200).json();
    for operation in ["link", "unlink"] {
        let answer = call(app, operation, &pair(A, B));
        assert_eq!(answer.status, if operation == "link" { 409 } else { 200 });
    }
    let conflict = call(app, "merge", &[patient("source-patient", A), patient("target-patient", B), reason()]);
    assert_eq!(conflict.expect(409).errors()[0].0, "conflict");
    let id = json!({"name": "decision", "valueId": decision(&apart)});
    call(app, "revoke", &[id.clone(), reason()]).expect(200);
    assert_eq!(call(app, "revoke", &[id, reason()]).expect(409).errors()[0].0, "conflict");
    call(app, "link", &pair(A, B)).expect(409);
    let second = app.get("/Patient/$decisions?_count=1").send().match_bundle().ids()[0].to_owned();
    call(app, "revoke", &[json!({"name": "decision", "valueId": second}), reason()]).expect(200);
    call(app, "link", &pair(A, B)).expect(200);
    assert_eq!(call(app, "unlink", &pair(A, B)).expect(409).errors()[0].0, "conflict");
}

fn every_decision_is_listed_with_who_when_and_why_and_revoked_by_its_id(app: &TestApp) {
    store(app);
    let mut made = Vec::new();
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        let ids = [a, b].map(|number| format!("stranger-{number:04}"));
        made.insert(0, decision(&call(app, "unlink", &pair(&ids[0], &ids[1])).expect(200).json()));
    }
    let mut listed = Vec::new();
    let mut next = Some(format!("{}/Patient/$decisions?_count=2&shoe=1", app.base));
    let mut pages = 0;
    while let Some(url) = next {
        let page = app.get(&url).send().expect(200).match_bundle();
        listed.extend(page.ids().into_iter().map(str::to_owned));
        next = page.link("next").map(str::to_owned);
        assert!(!next.as_deref().unwrap_or_default().contains("stranger"), "links hold no ids");
        assert_eq!(page.remark("not-supported").is_some(), pages == 0);
        pages += 1;
    }
    assert_eq!((listed, pages), (made.clone(), 2));
    let one = app.get(&format!("/Patient/$decisions?_id={}", made[0])).send().expect(200).match_bundle();
    let provenance = &one.entries("match")[0]["resource"];
    assert_eq!(
        (text(provenance, "resourceType"), text(&provenance["reason"][0], "text")),
        ("Provenance", "the papers say so")
    );
    assert_eq!(provenance["activity"]["coding"][0]["code"], "unlink");
    assert_eq!(provenance["agent"][0]["who"]["display"], "open");
    assert_eq!(provenance["target"].as_array().unwrap().len(), 2);
    assert_eq!(one.entries("match")[0]["fullUrl"], format!("urn:uuid:{}", made[0]));
    let valid = app.post("/Provenance/$validate", provenance).send().expect(200);
    assert_eq!(valid.errors(), vec![], "{}", valid.text());
    call(app, "revoke", &[json!({"name": "decision", "valueString": made[0]}), reason()]).expect(200);
    let one = app.get(&format!("/Patient/$decisions?_id={}", made[0])).send().expect(200).match_bundle();
    let revocation = &one.entries("match")[0]["resource"]["extension"][0];
    assert!(text(revocation, "url").ends_with("/revocation"));
    assert_eq!(app.get("/Patient/$decisions?_id=nobody").send().expect(404).errors()[0].0, "not-found");
    app.get("/Patient/$decisions?_page=x").send().expect(400);
    app.get("/Patient/$decisions?_count=x").send().expect(400);
    app.get("/Patient/$decisions?shoe=1").header("Prefer", "handling=strict").send().expect(400);
}

fn where_a_record_has_been_is_told_with_the_decision(app: &TestApp) {
    store(app);
    let before = identity_id(app, B);
    let id = decision(&call(app, "link", &pair(A, B)).expect(200).json());
    let history = app.get(&format!("/Patient/{B}/$identity-history")).send().expect(200).json();
    let stays = named(&history, "assignment");
    let part = |stay: &Value, name: &str| {
        let found = stay["part"].as_array().unwrap().iter().find(|part| part["name"] == name);
        found.and_then(|part| part["valueString"].as_str().or(part["valueInstant"].as_str())).map(str::to_owned)
    };
    assert_eq!(stays.len(), 2);
    assert_eq!((part(stays[0], "identity"), part(stays[0], "decision")), (Some(before), None));
    assert_eq!(part(stays[0], "until"), part(stays[1], "from"));
    assert_eq!((part(stays[1], "decision"), part(stays[1], "until")), (Some(id), None));
    app.get("/Patient/nobody/$identity-history").send().expect(404);
    app.get("/Patient/nobody/$identity").send().expect(404);
    app.get("/Patient/$identity?identity=nobody").send().expect(404);
    assert_eq!(app.get("/Patient/$identity").send().expect(400).errors()[0].0, "required");
}

fn every_operation_refuses_what_it_cannot_mean(app: &TestApp) {
    store(app);
    let unnamed = json!({"name": "decision", "valueId": "nobody"});
    let review = |verdict: &str| {
        vec![
            patient("patient", A),
            json!({"name": "identity", "valueId": identity_id(app, B)}),
            json!({"name": "verdict", "valueCode": verdict}),
            reason(),
        ]
    };
    let table = [
        ("link", pair(A, A), 422),
        ("link", pair(A, "nobody"), 404),
        ("link", vec![patient("patient", A), reason()], 400),
        ("link", pair(A, B)[..2].to_vec(), 400),
        ("unlink", pair(A, A), 422),
        ("unlink", pair("nobody", A), 404),
        ("unmerge", vec![patient("source-patient", A), reason()], 404),
        ("revoke", vec![unnamed, reason()], 404),
        ("revoke", vec![json!({"name": "decision", "valueId": "a b"}), reason()], 400),
        ("decide", review("same"), 404),
        ("decide", review("perhaps"), 400),
    ];
    for (operation, parameters, status) in table {
        let answer = call(app, operation, &parameters).expect(status);
        assert!(!answer.errors().is_empty(), "${operation}");
    }
}

fn every_decision_and_every_look_has_its_audit_row(app: &TestApp) {
    store(app);
    let before = app.audit_rows();
    let made = decision(&call(app, "link", &pair(A, B)).expect(200).json());
    call(app, "link", &pair(A, A)).expect(422);
    app.get("/Patient/$review-queue").send().expect(200);
    app.get("/Patient/$decisions").send().expect(200);
    app.get(&format!("/Patient/{A}/$identity")).send().expect(200);
    let rows = idi_match::store::audit::list_after(&mut app.connection(), before, 100).unwrap();
    let actions: Vec<(&str, &str)> = rows.iter().map(|row| (row.action.as_str(), row.outcome.as_str())).collect();
    let look = ("review-queue", "success");
    assert_eq!(actions, [("link", "success"), ("link", "refused"), look, look, look]);
    assert!(rows[0].detail.contains(&made) && rows[0].detail.contains(A) && !rows[0].detail.contains("papers"));
}
