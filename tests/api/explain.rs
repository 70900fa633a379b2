//! `$explain-match`: the sum behind a score as Parameters and as a picture, and no value of anybody in it.

use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::people::{organization, parameters, stranger};
use crate::support::{Request, TestApp};

on_both_databases! {
    prior_and_weights_are_the_final_weight_and_the_score_is_that_of_the_match,
    a_picture_comes_to_who_asks_for_one_and_needs_nothing_else,
    no_value_of_the_record_or_of_the_request_is_repeated,
    what_cannot_be_explained_is_an_error_with_its_place,
}

const PATH: &str = "/Patient/$explain-match";

fn input(query: &Value, record: &str) -> Value {
    let record = json!({"name": "record", "valueReference": {"reference": format!("Patient/{record}")}});
    parameters("patient", query, &[record])
}

fn explain<'a>(app: &'a TestApp, query: &Value, record: &str) -> Request<'a> {
    app.post(PATH, input(query, record))
}

fn store(app: &TestApp) {
    for number in 0..4 {
        app.store_patient(&stranger(number));
    }
}

fn named<'v>(list: &'v Value, name: &'v str) -> impl Iterator<Item = &'v Value> {
    list.as_array().unwrap().iter().filter(move |parameter| parameter["name"] == name)
}

fn one<'v>(list: &'v Value, name: &'v str) -> &'v Value {
    let mut all = named(list, name);
    let first = all.next().unwrap_or_else(|| panic!("{name} is missing in {list}"));
    assert!(all.next().is_none(), "{name} is there twice");
    first
}

fn decimal(list: &Value, name: &str) -> f64 {
    one(list, name)["valueDecimal"].as_f64().unwrap()
}

fn prior_and_weights_are_the_final_weight_and_the_score_is_that_of_the_match(app: &TestApp) {
    store(app);
    for (query, record, grade) in [(1, 1, "certain"), (1, 2, "certainly-not")] {
        let record = format!("stranger-{record:04}");
        let answer = explain(app, &stranger(query), &record).send().expect(200);
        assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
        let list = &answer.json()["parameter"];
        assert_eq!(one(list, "record")["valueReference"]["reference"], format!("{}/Patient/{record}", app.base));
        assert_eq!(one(list, "grade")["valueCode"], grade);
        let waterfall = &one(list, "waterfall")["part"];
        let mut total = decimal(waterfall, "prior");
        for comparison in named(waterfall, "comparison") {
            let part = &comparison["part"];
            total += decimal(part, "weight");
            assert!((total - decimal(part, "total")).abs() < 1e-8, "{comparison}");
            let (m, u) = (decimal(part, "m"), decimal(part, "u"));
            assert!(((m / u).log2() - decimal(part, "weight")).abs() < 1e-5, "{comparison}");
        }
        assert!((total - decimal(waterfall, "final")).abs() < 1e-8);
        let probability = 1.0 / (1.0 + (-total).exp2());
        assert!((probability - decimal(list, "probability")).abs() < 1e-5);
        assert_eq!(named(list, "row").count(), usize::from(grade == "certain"));
    }
    let found = app.idi_match(&stranger(1));
    let entry = found.entry("stranger-0001");
    let list = &explain(app, &stranger(1), "stranger-0001").send().json()["parameter"];
    assert_eq!(entry["search"]["score"].as_f64(), Some(decimal(list, "score")));
    assert_eq!(crate::answer::coded(entry, "matched-row"), one(list, "row")["valueCode"].as_str());
    let by_id = json!({"name": "record", "valueId": "stranger-0001"});
    let again = app.post(PATH, parameters("IDIPatient", &stranger(1), &[by_id])).send().expect(200);
    assert_eq!(&again.json()["parameter"], list);
}

fn a_picture_comes_to_who_asks_for_one_and_needs_nothing_else(app: &TestApp) {
    store(app);
    let ask = |accept: &str, query: &str| {
        app.post(&format!("{PATH}{query}"), input(&stranger(1), "stranger-0002")).header("accept", accept).send()
    };
    let svg = "image/svg+xml";
    let html = "text/html; charset=utf-8";
    let table = [
        ("image/svg+xml", "", svg),
        ("application/fhir+json", "?_format=svg", svg),
        ("*/*", "?_format=image/svg%2Bxml", svg),
        ("text/html", "", html),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "", html),
        ("application/fhir+json", "?_format=text/html", html),
        ("text/html", "?_format=json", "application/fhir+json; charset=utf-8"),
        ("*/*", "", "application/fhir+json; charset=utf-8"),
    ];
    for (accept, query, expected) in table {
        let answer = ask(accept, query).expect(200);
        assert_eq!(answer.header("content-type"), Some(expected), "{accept} {query}");
        let is_picture = expected == svg || expected == html;
        assert_eq!(answer.header("content-security-policy").is_some(), is_picture, "{accept} {query}");
        if is_picture {
            check_picture(&answer);
        }
    }
    for (accept, query) in [("application/fhir+xml", ""), ("image/png", ""), ("text/html", "?_format=xml")] {
        assert_eq!(ask(accept, query).expect(406).errors()[0].0, "not-supported", "{accept} {query}");
    }
    let refused = app.post(PATH, "no JSON").header("accept", svg).send().expect(400);
    assert_eq!(refused.header("content-type"), Some("application/fhir+json; charset=utf-8"), "errors are outcomes");
}

fn check_picture(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let picture = answer.text();
    for part in ["<svg", "<title id=", "<desc id=", "Birth date", "Prior", "speaks for the match"] {
        assert!(picture.contains(part), "{part} is missing");
    }
    assert!(!picture.contains("<script") && !picture.contains("href"), "{picture}");
}

fn no_value_of_the_record_or_of_the_request_is_repeated(app: &TestApp) {
    store(app);
    let values = ["Bruno", "Celeste", "Dragomir", "Guadalupe", "Orchard", "Columbus", "43004", "614-555", "1947", "SG"];
    for accept in ["application/fhir+json", "image/svg+xml", "text/html"] {
        for record in ["stranger-0001", "stranger-0002"] {
            let answer = explain(app, &stranger(1), record).header("accept", accept).send().expect(200).text();
            for value in values {
                assert!(!answer.contains(value), "{value} in {accept} of {record}");
            }
        }
    }
}

fn what_cannot_be_explained_is_an_error_with_its_place(app: &TestApp) {
    store(app);
    let patient = stranger(1);
    let with = |record: Value| parameters("patient", &patient, &[record]);
    let elsewhere =
        json!({"name": "record", "valueReference": {"reference": "http://elsewhere/Patient/stranger-0001"}});
    let table = [
        (patient.clone(), 400, "required", "Parameters.parameter"),
        (parameters("patient", &patient, &[]), 400, "required", "Parameters.parameter"),
        (with(json!({"name": "record"})), 400, "invalid", "Parameters.parameter[1]"),
        (with(elsewhere), 400, "invalid", "Parameters.parameter[1]"),
        (with(json!({"name": "record", "valueId": "nobody"})), 404, "not-found", "record"),
        (input(&organization("o1"), "stranger-0001"), 400, "invalid", "Parameters.parameter[0]"),
    ];
    for (body, status, code, place) in table {
        let answer = app.post(PATH, &body).send().expect(status);
        assert_eq!(answer.errors(), [(code.to_owned(), vec![place.to_owned()])], "{body}");
    }
    app.delete("/Patient/stranger-0002").send().expect(204);
    explain(app, &patient, "stranger-0002").send().expect(404).issues();
    let definition = app.get("/OperationDefinition/explain-match").send().expect(200).json();
    assert_eq!(text(&definition, "code"), "explain-match");
}
