//! `$match`, the operation of FHIR R4 itself, by the same engine.

use serde_json::{Value, json};

use crate::answer::{coded, text};
use crate::people::{guide, option, parameters, stranger, with_id, without};
use crate::support::TestApp;

on_both_databases! {
    the_answer_is_a_bare_bundle_of_scored_patients,
    the_rules_for_requests_are_the_same,
}

fn the_answer_is_a_bare_bundle_of_scored_patients(app: &TestApp) {
    for id in ["p1", "p2", "p3"] {
        app.store_patient(&with_id(&stranger(1), id));
    }
    let always = app.beside(&[("match.response", "parameters")]);
    let mut bodies: Vec<_> =
        ["resource", "IDIPatient", "patient"].map(|name| parameters(name, &stranger(1), &[])).into();
    bodies.push(stranger(1));
    for app in [app, &always] {
        for body in &bodies {
            let answer = app.post("/Patient/$match", body).send().expect(200);
            let json = answer.json();
            assert_eq!(
                (text(&json, "resourceType"), text(&json, "type"), &json["total"]),
                ("Bundle", "searchset", &json!(3))
            );
            let bundle = answer.match_bundle();
            assert_eq!(bundle.link("self"), Some(format!("{}/Patient/$match", app.base).as_str()));
            assert_eq!(
                bundle.entries("match").len(),
                json["entry"].as_array().unwrap().len(),
                "Patients and nothing else"
            );
            for entry in bundle.entries("match") {
                assert_eq!(
                    (text(&entry["resource"], "resourceType"), &entry["search"]["score"]),
                    ("Patient", &json!(0.99))
                );
                assert_eq!(coded(entry, "match-grade"), Some("certain"));
            }
        }
    }
    for (count, total) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let body = parameters("resource", &stranger(1), &[option("count", count)]);
        let bundle = app.post("/Patient/$match", body).send().expect(200).match_bundle();
        assert_eq!(
            (bundle.total(), bundle.ids().len()),
            (total, usize::try_from(total).unwrap()),
            "the count is of entries"
        );
    }
    let nobody = app.post("/Patient/$match", parameters("resource", &stranger(7), &[])).send().expect(200).json();
    assert_eq!((&nobody["total"], &nobody["entry"]), (&json!(0), &json!(null)));
}

fn the_rules_for_requests_are_the_same(app: &TestApp) {
    app.store_patient(&stranger(1));
    let ask = |patient: &Value| app.post("/Patient/$match", parameters("resource", patient, &[])).send();
    assert_eq!(ask(&without(&stranger(1), "meta")).expect(422).errors()[0].0, "invariant");
    assert_eq!(ask(&guide("incomplete")).expect(422).errors()[0].0, "business-rule");
    let certain =
        parameters("resource", &stranger(1), &[option("onlyCertainMatches", true), option("onlySingleMatch", true)]);
    assert_eq!(app.post("/Patient/$match", certain).send().match_bundle().total(), 1);
}
