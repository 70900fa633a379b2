//! `$review-queue` and `$decide`: the questions that wait, page by page, and what an answer changes.

use serde_json::{Value, json};

use crate::answer::{coded, text};
use crate::merge::{call, identity_id, input, named, patient, reason};
use crate::people::{name, stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    a_doubtful_pair_waits_as_a_task_with_what_speaks_for_it,
    an_answer_to_a_review_is_a_decision,
    a_record_that_contradicts_its_identity_is_asked_about,
    an_update_leaves_what_was_deferred_with_its_reason,
    pages_follow_each_other_by_sealed_links_and_by_body,
}

/// Someone who agrees with another of the number on name, birth date and sex alone.
fn alike(id: &str, number: usize) -> Value {
    let like = stranger(number);
    json!({
        "resourceType": "Patient",
        "id": id,
        "name": name(like["name"][0]["given"][0].as_str().unwrap(), text(&like["name"][0], "family")),
        "gender": like["gender"],
        "birthDate": like["birthDate"],
    })
}

fn tasks(app: &TestApp) -> Vec<Value> {
    let page = app.get("/Patient/$review-queue").send().expect(200).match_bundle();
    page.entries("match").into_iter().map(|entry| entry["resource"].clone()).collect()
}

fn detail<'t>(task: &'t Value, code: &str) -> Option<&'t Value> {
    let inputs = task["input"].as_array().unwrap();
    inputs.iter().find(|input| input["type"]["coding"][0]["code"] == code)
}

fn a_doubtful_pair_waits_as_a_task_with_what_speaks_for_it(app: &TestApp) {
    app.store_patient(&stranger(1));
    assert_eq!(tasks(app), Vec::<Value>::new());
    app.store_patient(&alike("alike", 1));
    let waiting = tasks(app);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let task = &waiting[0];
    assert_eq!((text(task, "status"), text(task, "intent")), ("requested", "proposal"));
    assert_eq!(task["code"]["coding"][0]["code"], "doubtful-pair");
    assert_eq!(task["focus"]["reference"], format!("{}/Patient/alike", app.base));
    assert_eq!(task["for"]["reference"], format!("{}/Patient/stranger-0001", app.base));
    assert_eq!(detail(task, "identity").unwrap()["valueId"], identity_id(app, "stranger-0001"));
    assert_eq!(detail(task, "own-identity").unwrap()["valueId"], identity_id(app, "alike"));
    let probability = detail(task, "probability").unwrap()["valueDecimal"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&probability));
    assert!(detail(task, "model-version").is_some() && detail(task, "grade").is_some());
    let results = task["extension"][0]["extension"].as_array().unwrap();
    assert!(results.iter().any(|result| result["valueCode"] == "exact"), "{results:?}");
    let valid = app.post("/Task/$validate", task).send().expect(200);
    assert_eq!(valid.errors(), vec![], "{}", valid.text());
    let found = app.idi_match(&stranger(1));
    assert_eq!(coded(found.entry("stranger-0001"), "stewardship"), Some("in-review"));
}

fn answer(app: &TestApp, verdict: &str) -> Value {
    let identity = json!({"name": "identity", "valueId": identity_id(app, "stranger-0001")});
    let verdict = json!({"name": "verdict", "valueCode": verdict});
    call(app, "decide", &[patient("patient", "alike"), identity, verdict, reason()]).expect(200).json()
}

fn revoke(app: &TestApp, made: &Value) {
    let id = text(named(made, "decision")[0], "valueString");
    call(app, "revoke", &[json!({"name": "decision", "valueId": id}), reason()]).expect(200);
}

fn an_answer_to_a_review_is_a_decision(app: &TestApp) {
    app.store_patient(&stranger(1));
    app.store_patient(&alike("alike", 1));
    let before = tasks(app);
    let own = identity_id(app, "alike");

    let deferred = answer(app, "defer");
    assert_eq!(
        (text(&tasks(app)[0], "status"), &tasks(app)[0]["statusReason"]["text"]),
        ("on-hold", &json!("the papers say so"))
    );
    revoke(app, &deferred);
    assert_eq!(tasks(app), before);

    let same = answer(app, "same");
    assert_eq!(tasks(app), Vec::<Value>::new());
    assert_eq!(identity_id(app, "alike"), identity_id(app, "stranger-0001"));
    assert_eq!(coded(app.idi_match(&stranger(1)).entry("stranger-0001"), "stewardship"), Some("confirmed"));
    revoke(app, &same);
    assert_eq!((identity_id(app, "alike"), tasks(app)), (own.clone(), before.clone()));

    let different = answer(app, "different");
    assert_eq!((identity_id(app, "alike"), tasks(app)), (own, Vec::new()));
    app.put("/Patient/alike", crate::people::with(&alike("alike", 1), "active", json!(true))).send().expect(200);
    assert_eq!(tasks(app), Vec::<Value>::new(), "what is decided is not asked again");
    revoke(app, &different);
}

fn a_record_that_contradicts_its_identity_is_asked_about(app: &TestApp) {
    for id in ["x1", "x2"] {
        app.store_patient(&with_id(&stranger(5), id));
    }
    let linked = [patient("patient", "x1"), patient("other-patient", "x2"), reason()];
    let linked = call(app, "link", &linked).expect(200).json();
    app.put("/Patient/x2", with_id(&stranger(8), "x2")).send().expect(200);
    let waiting = tasks(app);
    let codes: Vec<&Value> = waiting.iter().map(|task| &task["code"]["coding"][0]["code"]).collect();
    assert_eq!(codes, ["mixed-identity"]);
    assert_eq!(waiting[0]["focus"]["reference"], format!("{}/Patient/x2", app.base));
    assert_eq!(waiting[0]["for"]["reference"], format!("{}/Patient/x1", app.base));
    let id = |code: &str| detail(&waiting[0], code).unwrap()["valueId"].clone();
    assert_eq!(id("identity"), id("own-identity"));
    let answer = |verdict: &str| {
        let identity = json!({"name": "identity", "valueId": identity_id(app, "x1")});
        let verdict = json!({"name": "verdict", "valueCode": verdict});
        call(app, "decide", &[patient("patient", "x2"), identity, verdict, reason()])
    };
    assert_eq!(answer("different").expect(409).errors()[0].0, "conflict", "a steward has linked them");
    answer("same").expect(200);
    assert_eq!(tasks(app), Vec::<Value>::new());
    revoke(app, &linked);
}

fn an_update_leaves_what_was_deferred_with_its_reason(app: &TestApp) {
    app.store_patient(&stranger(1));
    app.store_patient(&alike("alike", 1));
    answer(app, "defer");
    let status = || -> Vec<(String, Value)> {
        let of = |task: &Value| (text(task, "status").to_owned(), task["statusReason"]["text"].clone());
        tasks(app).iter().map(of).collect()
    };
    let deferred = vec![("on-hold".to_owned(), json!("the papers say so"))];
    assert_eq!(status(), deferred);
    let with = crate::people::with;
    app.put("/Patient/alike", with(&alike("alike", 1), "active", json!(true))).send().expect(200);
    assert_eq!(status(), deferred, "it is asked again, and somebody has looked at it");
    app.put("/Patient/stranger-0001", with(&stranger(1), "active", json!(true))).send().expect(200);
    assert!(status().contains(&deferred[0]), "{:?}", status());
    // What is no longer in doubt is no longer asked.
    app.put("/Patient/alike", with(&stranger(1), "id", json!("alike"))).send().expect(200);
    assert_eq!(identity_id(app, "alike"), identity_id(app, "stranger-0001"));
    assert_eq!(status(), Vec::new());
}

fn pages_follow_each_other_by_sealed_links_and_by_body(app: &TestApp) {
    for number in 0..5 {
        app.store_patient(&stranger(number));
        app.store_patient(&alike(&format!("alike-{number}"), number));
    }
    let all: Vec<String> = tasks(app).iter().map(|task| text(task, "id").to_owned()).collect();
    assert_eq!(all.len(), 5);
    let (mut paged, mut pages) = (Vec::new(), 0);
    let mut next = Some(format!("{}/Patient/$review-queue?_count=2", app.base));
    while let Some(url) = next {
        let page = app.get(&url).send().expect(200).match_bundle();
        paged.extend(page.ids().into_iter().map(str::to_owned));
        next = page.link("next").map(str::to_owned);
        pages += 1;
    }
    assert_eq!((&paged, pages), (&all, 3));
    let count = json!({"name": "_count", "valueInteger": 2});
    let first =
        app.post("/Patient/$review-queue", input(std::slice::from_ref(&count))).send().expect(200).match_bundle();
    let token = first.link("next").unwrap().split("_page=").nth(1).unwrap().to_owned();
    let page = json!({"name": "_page", "valueString": token});
    let second =
        app.post("/Patient/$review-queue", input(std::slice::from_ref(&page))).send().expect(200).match_bundle();
    assert_eq!([first.ids(), second.ids()].concat(), all[..4]);
    app.get(&format!("/Patient/$decisions?_page={token}")).send().expect(400);
    app.get(&format!("/Patient?_page={token}")).send().expect(400);
    app.post("/Patient/$review-queue", input(&[count.clone(), count])).send().expect(400);
    app.post("/Patient/$review-queue", stranger(1)).send().expect(400);
}
