//! `/livez`, `/readyz`, `/metrics`, and a database that goes away.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::answer::text;
use crate::people::{claiming, parameters, stranger, with, with_id};
use crate::postgres::Allow;
use crate::support::{Database, TestApp};
use crate::trust::{Trusting, ask_with, error};

on_both_databases! {
    probes_answer_and_count_the_records,
    metrics_count_requests_and_name_nobody,
}

/// This machine counts as one of the network here, behind a proxy.
fn figures_are_for_operators(database: Database) {
    let options = [
        ("server.trusted_proxies", "127.0.0.1"),
        ("server.metrics_networks", "192.0.2.0/24, 2001:db8::/32, 127.0.0.1"),
    ];
    let app = TestApp::start(database, &options);
    let ask = |path: &str, from: &str| {
        let request = app.get(&app.at_root(path)).header("X-Forwarded-Proto", "https");
        request.header("X-Forwarded-For", from).send()
    };
    for operator in ["192.0.2.7", "203.0.113.1, 192.0.2.7", "2001:db8::9"] {
        assert_eq!(ask("/readyz", operator).expect(200).json()["records"], 0, "{operator}");
        assert!(ask("/metrics", operator).expect(200).text().contains("idi_match_"), "{operator}");
    }
    let of_nobody = |path: &str| app.get(&app.at_root(path)).header("X-Forwarded-Proto", "https").send();
    assert_eq!(of_nobody("/readyz").expect(200).json(), serde_json::json!({"status": "ready"}));
    of_nobody("/metrics").expect(403);
    for other in ["203.0.113.1", "192.0.2.7, 203.0.113.1", "127.0.0.2", "nowhere"] {
        assert_eq!(ask("/readyz", other).expect(200).json(), serde_json::json!({"status": "ready"}), "{other}");
        assert!(!ask("/metrics", other).expect(403).text().contains("idi_match_"), "{other}");
        ask("/livez", other).expect(200);
    }
}

#[test]
fn figures_are_for_operators_on_sqlite() {
    figures_are_for_operators(Database::sqlite());
}

#[test]
fn figures_are_for_operators_on_postgres() {
    figures_are_for_operators(Database::postgres());
}

fn probes_answer_and_count_the_records(app: &TestApp) {
    assert_eq!(app.get(&app.at_root("/livez")).send().expect(200).json()["status"], "ok");
    assert_eq!(app.get(&app.at_root("/readyz")).send().expect(200).json()["records"], 0);
    app.store_patient(&stranger(1));
    app.store_patient(&stranger(2));
    assert_eq!(app.get(&app.at_root("/readyz")).send().expect(200).json()["records"], 2);
    app.delete("/Patient/stranger-0001").send().expect(204);
    assert_eq!(app.get(&app.at_root("/readyz")).send().expect(200).json()["records"], 1);
}

fn metrics_count_requests_and_name_nobody(app: &TestApp) {
    let canary = "CanaryXyzzyq";
    let mut patient = with_id(&stranger(1), canary);
    patient["name"] = serde_json::json!([{"family": canary, "given": [canary]}]);
    patient["address"][0]["city"] = canary.into();
    app.store_patient(&patient);
    app.post("/Patient/$idi-match", parameters("IDIPatient", &patient, &[])).send().expect(200);
    app.post("/Patient/$idi-match", with(&patient, "birthDate", canary.into())).send().expect(400);
    for path in [
        "/Patient/CanaryXyzzyq",
        "/Patient?family=CanaryXyzzyq",
        "/CanaryXyzzyq",
        "/CanaryXyzzyq/x/y/z",
        "/Patient/CanaryXyzzyq/_history/1",
    ] {
        app.get(path).header("X-Request-Id", canary).send();
    }
    app.request(canary, "/Patient").send().expect(405);
    app.get(&app.at_root("/CanaryXyzzyq")).send().expect(404);
    let metrics = app.get(&app.at_root("/metrics")).send().expect(200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    let text = metrics.text();
    assert!(!text.contains("Xyzzyq"), "{text}");
    for line in [
        "idi_match_http_requests_total{method=\"POST\",route=\"/fhir/Patient/$idi-match\",status=\"200\"}",
        "idi_match_http_requests_total{method=\"GET\",route=\"/fhir/{type}/{id}\",status=\"200\"}",
        "idi_match_http_requests_total{method=\"OTHER\",route=\"/fhir/{type}\",status=\"405\"}",
        "idi_match_http_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"}",
        "idi_match_http_request_seconds_bucket",
        "idi_match_commit_batch_jobs",
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
}

/// Whatever was acknowledged is there afterwards, and what was not can be asked for again.
#[test]
fn a_gated_server_whose_database_is_away_grants_nothing_and_loses_nothing() {
    let options = [("limits.database_timeout_ms", "500")];
    let server = Trusting::start_with(Database::postgres(), &options, |_| {});
    let app = &server.app;
    let Database::Postgres(database) = app.database.as_ref() else { panic!("PostgreSQL") };
    let (client, id) = server.registered("https://client.example/a");
    let person = claiming(&stranger(1), "IDI-Patient-L0");
    let asked = |token: &str| {
        let request = app.post("/Patient/$idi-match", parameters("IDIPatient", &person, &[]));
        request.header("Authorization", &format!("Bearer {token}")).send()
    };
    let given = Mutex::new(vec![client.token(app, &id)]);
    let first = given.lock().unwrap()[0].clone();
    asked(&first).expect(200);
    let stop = AtomicBool::new(false);
    let unanswered = client.assertion(app, &id, &json!({}));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.ask(app, &id, &json!({}));
                    assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
                    if answer.status == 200 {
                        given.lock().unwrap().push(text(&answer.json(), "access_token").to_owned());
                    } else {
                        assert_eq!(error(&answer), "temporarily_unavailable");
                    }
                }
            });
        }
        app.wait_until("tokens are given", |_| given.lock().unwrap().len() > 5);
        database.allow_connections(Allow::No);
        database.cut_connections();
        let refused = ask_with(app, &unanswered, &[]).expect(503);
        assert_eq!(error(&refused), "temporarily_unavailable");
        assert_eq!(asked(&first).expect(503).errors()[0].0, "transient", "a token that nobody can look up");
        app.get(&app.at_root("/readyz")).send().expect(503);
        stop.store(true, Ordering::SeqCst);
    });
    database.allow_connections(Allow::Yes);
    app.wait_until("the server's recovery", |app| app.get(&app.at_root("/readyz")).send().status == 200);
    for token in given.lock().unwrap().iter() {
        asked(token).expect(200);
    }
    ask_with(app, &unanswered, &[]).expect(200);
}

#[test]
fn a_database_that_is_away_is_said_to_be_so_until_it_is_back() {
    let app = TestApp::start(Database::postgres(), &[("limits.database_timeout_ms", "500")]);
    let Database::Postgres(database) = app.database.as_ref() else { panic!("PostgreSQL") };
    app.store_patient(&stranger(1));
    database.allow_connections(Allow::No);
    database.cut_connections();
    let requests = || {
        [
            app.get("/Patient/stranger-0001"),
            app.get("/Patient"),
            app.put("/Patient/stranger-0002", stranger(2)),
            app.post("/Patient/$idi-match", stranger(1)),
            app.get("/metadata"),
            app.get("/nothing/at/all/here"),
        ]
    };
    for request in requests() {
        let what = format!("{request:?}");
        let answer = request.send().expect(503);
        assert_eq!(answer.errors()[0].0, "transient", "{what}");
        assert!(answer.header("retry-after").is_some(), "{what}");
    }
    app.get(&app.at_root("/readyz")).send().expect(503);
    app.get(&app.at_root("/livez")).send().expect(200);
    app.get(&app.at_root("/metrics")).send().expect(200);
    database.allow_connections(Allow::Yes);
    app.wait_until("the server's recovery", |app| app.get(&app.at_root("/readyz")).send().status == 200);
    for (request, status) in requests().into_iter().zip([200, 200, 201, 200, 200, 404]) {
        request.send().expect(status);
    }
}
