//! `$idi-match`: who may ask, and who is found (IG Patient Matching).
//!
//! Not here: the shape of the bundle (see `match_bundle`), the options (see `match_options`).

use idi_match::store::identity;
use serde_json::{Value, json};

use crate::answer::{attribute, coded, text};
use crate::people::{
    MBI, SSN, claiming, guide, identifier, licence, name, parameters, stranger, telecom, with, with_id, without,
};
use crate::support::TestApp;

on_both_databases! {
    the_patient_is_taken_under_every_name_and_the_shape_of_the_answer_follows_it,
    the_guides_examples_find_their_stored_copies_in_the_row_of_the_table,
    an_incomplete_patient_is_refused_with_its_weight_whoever_is_stored,
    a_claim_is_required_and_judged,
    a_name_given_as_text_is_recognised,
    evidence_of_several_records_of_one_identity_counts_together,
    a_chain_of_merges_leads_to_its_end_in_any_order_of_arrival,
    repetitions_beyond_the_limits_are_announced,
    a_record_is_found_by_what_it_says_now,
    a_request_that_is_none_is_refused_with_its_place,
}

fn the_patient_is_taken_under_every_name_and_the_shape_of_the_answer_follows_it(app: &TestApp) {
    let patient = guide("l1");
    app.store_patient(&patient);
    let bodies = [
        ("IDIPatient", parameters("IDIPatient", &patient, &[])),
        ("patient", parameters("patient", &patient, &[])),
        ("resource", parameters("resource", &patient, &[])),
        ("body", patient.clone()),
    ];
    let configured = [
        (app.beside(&[("match.response", "parameters")]), [true; 4]),
        (app.beside(&[("match.response", "bundle")]), [false; 4]),
        (app.beside(&[]), [true, false, false, false]),
    ];
    for (app, in_parameters) in &configured {
        for ((given_as, body), in_parameters) in bodies.iter().zip(in_parameters) {
            let answer = app.post("/Patient/$idi-match", body).send().expect(200);
            assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
            let json = answer.json();
            let expected = if *in_parameters { "Parameters" } else { "Bundle" };
            assert_eq!(json["resourceType"], expected, "{given_as}");
            if *in_parameters {
                assert_eq!(json["parameter"].as_array().unwrap().len(), 1);
                assert_eq!(json["parameter"][0]["name"], "IDIMatchBundle");
            }
            assert_eq!(answer.match_bundle().ids(), ["ExamplePatientL1"], "{given_as}");
        }
    }
}

fn the_guides_examples_find_their_stored_copies_in_the_row_of_the_table(app: &TestApp) {
    let table = [
        ("base", "digital-identifier", 15),
        ("l0", "digital-identifier", 14),
        ("l1", "licence", 15),
        // Its Digital Identifier is all noughts: a placeholder, which weighs and does not match.
        ("l2", "licence", 20),
    ];
    for (example, _, _) in table {
        app.store_patient(&guide(example));
    }
    for (example, row, weight) in table {
        let patient = guide(example);
        let found = app.idi_match(&patient);
        assert_eq!(found.ids(), [text(&patient, "id")], "{example}");
        let entry = found.entry(text(&patient, "id"));
        assert_eq!(coded(entry, "matched-row"), Some(row), "{example}");
        assert_eq!(coded(entry, "match-grade"), Some("certain"), "{example}");
        assert_eq!(entry["search"]["score"], json!(0.99), "{example}");
        let total = text(found.remark("input-weight").unwrap(), "diagnostics");
        assert!(total.contains(&weight.to_string()), "{example}: {total}");
    }
    let request = include_str!("../../fixtures/guide/request-l1.json");
    let found = app.post("/Patient/$idi-match", request).send().expect(200).match_bundle();
    assert_eq!(found.ids(), ["ExamplePatientL1"], "the guide's own request");
}

fn an_incomplete_patient_is_refused_with_its_weight_whoever_is_stored(app: &TestApp) {
    let refuse = |body: &Value| {
        let request =
            app.post("/Patient/$idi-match", body).header("X-Request-Id", "0a0b0c0d-0000-4000-8000-000000000001");
        request.send().expect(422)
    };
    let (incomplete, poor) = (guide("incomplete"), without(&guide("l1"), "identifier"));
    let bodies = [parameters("IDIPatient", &incomplete, &[]), incomplete.clone(), parameters("IDIPatient", &poor, &[])];
    let before: Vec<_> = bodies.iter().map(&refuse).collect();
    app.store_patient(&guide("l1"));
    app.store_patient(&incomplete);
    for (body, before) in bodies.iter().zip(&before) {
        let after = refuse(body);
        assert_eq!(after.text(), before.text(), "nothing tells who is stored");
        let headers = |answer: &crate::answer::Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            headers
        };
        assert_eq!(headers(&after), headers(before));
    }
    let issues = before[0].issues();
    assert_eq!(before[0].errors(), [("business-rule".to_owned(), vec!["Patient".to_owned()])]);
    assert!(text(&issues[0], "diagnostics").starts_with("Match request not sufficiently specific"));
    assert!(text(&issues[0], "diagnostics").contains(" 6 "));
    let codes: Vec<&str> = issues.iter().map(|issue| text(&issue["details"]["coding"][0], "code")).collect();
    let expected = [
        "weight-too-low",
        "input-weight",
        "contact",
        "birth-date",
        "document-without-issuer",
        "raise-to-l0",
        "raise-to-l1",
    ];
    assert_eq!(codes, expected);
    assert_eq!(before[2].errors()[0].0, "invariant", "the expression of L1 fails too");
}

fn a_claim_is_required_and_judged(app: &TestApp) {
    let patient = stranger(1);
    app.store_patient(&patient);
    let lenient = app.beside(&[("match.require_profile", "false")]);
    let unclaimed = without(&patient, "meta");
    let foreign =
        with(&patient, "meta", json!({"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}));
    for patient in [&unclaimed, &foreign] {
        let refused = app.post("/Patient/$idi-match", parameters("IDIPatient", patient, &[])).send().expect(422);
        assert_eq!(refused.errors(), [("invariant".to_owned(), vec!["Patient.meta.profile".to_owned()])]);
        let found = lenient.idi_match(patient);
        assert_eq!(found.remark("no-profile-claimed").unwrap()["severity"], "warning");
        assert_eq!(found.total(), 1);
    }
    let empty = json!({"resourceType": "Patient", "gender": "male"});
    lenient.post("/Patient/$idi-match", &empty).send().expect(422).issues();
    let versioned = with(
        &patient,
        "meta",
        json!({"profile": [format!("{}/StructureDefinition/IDI-Patient-L1|2.0.0", crate::people::GUIDE)]}),
    );
    assert_eq!(app.idi_match(&versioned).total(), 1);
    let broken = [
        (
            "an identifier without type",
            with(&patient, "identifier", json!([{"system": "urn:a", "value": "1"}])),
            "required",
            "Patient.identifier[0]",
        ),
        (
            "a name of nobody",
            with(&patient, "name", json!([{"family": "A", "given": ["B"]}, {"use": "official"}])),
            "invariant",
            "Patient.name[1]",
        ),
    ];
    for (what, patient, code, place) in broken {
        let refused = app.post("/Patient/$idi-match", parameters("IDIPatient", &patient, &[])).send().expect(422);
        assert_eq!(refused.errors()[0], (code.to_owned(), vec![place.to_owned()]), "{what}");
    }
}

fn a_name_given_as_text_is_recognised(app: &TestApp) {
    let stored = with(&stranger(1), "name", json!([{"text": "Dr. Bruno Maria Dragomir Jr."}]));
    app.store_patient(&stored);
    let found = app.idi_match(&stranger(1));
    assert_eq!(attribute(found.entry("stranger-0001"), "family"), Some("exact"));
    let asked = app.idi_match(&with(&stranger(1), "name", json!([{"text": "DRAGOMIR, Bruno"}])));
    assert_eq!(asked.ids(), ["stranger-0001"]);
    assert!(asked.issues().iter().any(|issue| issue["severity"] == "warning"), "the reading is said");
    let unreadable = with(&stranger(1), "name", json!([{"text": "4711 ???"}]));
    app.post("/Patient/$idi-match", parameters("IDIPatient", &unreadable, &[])).send().expect(422).issues();
}

/// Three records of one person, none of which holds all of what is asked for: a Medicare number under a name of before,
/// a phone, an email.
fn evidence_of_several_records_of_one_identity_counts_together(app: &TestApp) {
    let base = json!({
        "resourceType": "Patient",
        "birthDate": "1961-04-17",
        "gender": "female",
        "name": name("Rosalind", "Featherstone"),
        "identifier": [licence("RF114477")],
    });
    let phone = with(&base, "telecom", json!([telecom("phone", "614-555-0142")]));
    let maiden = with(
        &with(&phone, "name", name("Rosalind", "Underhill")),
        "identifier",
        json!([licence("RF114477"), {"system": MBI, "value": "1EG4TE5MK73"}]),
    );
    app.store_patient(&with_id(&phone, "phone"));
    app.store_patient(&with_id(&maiden, "medicare"));
    app.store_patient(&with_id(&with(&base, "telecom", json!([telecom("email", "rosalind@example.org")])), "email"));
    let asked = with(&base, "identifier", json!([identifier("MB", MBI, "1EG4TE5MK73")]));
    let asked = with(
        &asked,
        "telecom",
        json!([telecom("phone", "+1 (614) 555-0142"), telecom("email", "Rosalind@Example.org")]),
    );
    let found = app.idi_match(&claiming(&asked, "IDI-Patient-L0"));
    let mut ids = found.ids();
    ids.sort_unstable();
    assert_eq!(ids, ["email", "medicare", "phone"]);
    for id in ids {
        let entry = found.entry(id);
        assert_eq!(
            (coded(entry, "matched-row"), coded(entry, "match-grade")),
            (Some("member"), Some("certain")),
            "{id}"
        );
        for name in ["phone", "email", "family", "given", "birth_date"] {
            assert_eq!(attribute(entry, name), Some("exact"), "{id} {name}: {entry}");
        }
    }
}

fn a_record_is_found_by_what_it_says_now(app: &TestApp) {
    let first = with_id(&stranger(1), "p1");
    let second = with_id(&stranger(2), "p1");
    app.store_patient(&first);
    app.store_patient(&second);
    assert_eq!(app.idi_match(&stranger(1)).total(), 0);
    let found = app.idi_match(&stranger(2));
    assert_eq!(found.ids(), ["p1"]);
    assert_eq!(found.entry("p1")["resource"]["birthDate"], second["birthDate"]);
    app.store_patient(&with_id(&stranger(2), "p2"));
    app.store_patient(&with_id(&stranger(3), "p1"));
    let (left, moved) = (app.idi_match(&stranger(2)), app.idi_match(&stranger(3)));
    assert_eq!((left.ids(), moved.ids()), (vec!["p2"], vec!["p1"]), "it has left the identity of the other");
    assert!(!left.0.to_string().contains("seealso") && !moved.0.to_string().contains("seealso"));
    app.store_patient(&with_id(&stranger(2), "p1"));
    assert_eq!(app.idi_match(&stranger(2)).total(), 2, "and is back");
    assert_eq!(identity::count(&mut app.connection()), Ok(1));
}

fn a_request_that_is_none_is_refused_with_its_place(app: &TestApp) {
    let patient = stranger(1);
    let given = json!({"name": "IDIPatient", "resource": patient});
    let list = |list: Value| json!({"resourceType": "Parameters", "parameter": list});
    let typed = |name: &str, member: &str, value: Value| list(json!([given, {"name": name, member: value}]));
    let first = "Parameters.parameter[1]";
    let table = [
        ("nothing", json!({"resourceType": "Parameters"}), "required", "Parameters.parameter"),
        ("no patient", list(json!([{"name": "count", "valueInteger": 1}])), "required", "Parameters.parameter"),
        ("two patients", list(json!([given, given])), "invalid", first),
        ("two names", list(json!([given, {"name": "patient", "resource": patient}])), "invalid", first),
        (
            "a Person",
            list(json!([{"name": "IDIPatient", "resource": {"resourceType": "Person"}}])),
            "invalid",
            "Parameters.parameter[0]",
        ),
        ("a text", list(json!([{"name": "IDIPatient", "valueString": "x"}])), "invalid", "Parameters.parameter[0]"),
        ("a text as boolean", typed("onlySingleMatch", "valueString", json!("true")), "invalid", first),
        ("a number as boolean", typed("onlyCertainMatches", "valueInteger", json!(1)), "invalid", first),
        ("a count of nought", typed("count", "valueInteger", json!(0)), "invalid", first),
        ("a negative count", typed("count", "valueInteger", json!(-1)), "invalid", first),
        ("a broken count", typed("count", "valueDecimal", json!(1.5)), "invalid", first),
        (
            "a count twice",
            list(json!([given, {"name": "count", "valueInteger": 1}, {"name": "count", "valueInteger": 1}])),
            "invalid",
            "Parameters.parameter[2]",
        ),
        ("another resource", json!({"resourceType": "Organization", "name": "x"}), "invalid", "$this"),
    ];
    for operation in ["$idi-match", "$match"] {
        for (what, body, code, place) in &table {
            let refused = app.post(&format!("/Patient/{operation}"), body).send().expect(400);
            assert_eq!(refused.errors(), [((*code).to_owned(), vec![(*place).to_owned()])], "{operation} {what}");
        }
    }
    let unknown = app.idi_match_with(&patient, &[json!({"name": "mode", "valueCode": "x"})]);
    let warning = unknown.remark("not-supported").unwrap();
    assert_eq!((&warning["severity"], &warning["expression"]), (&json!("warning"), &json!([first])));
    let ssn = with(&patient, "identifier", json!([{"system": SSN, "value": "987-65-4320"}]));
    app.post("/Patient/$idi-match", parameters("IDIPatient", &ssn, &[])).send().expect(422).issues();
}

/// a was merged into b, and b into c: whoever asks for any of them gets c, in whatever order they came.
fn a_chain_of_merges_leads_to_its_end_in_any_order_of_arrival(app: &TestApp) {
    let link = |kind: &str, id: &str| json!({"type": kind, "other": {"reference": format!("Patient/{id}")}});
    let orders = [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"], ["b", "c", "a"], ["c", "a", "b"], ["c", "b", "a"]];
    for (turn, order) in orders.iter().enumerate() {
        let person =
            |name: &str| stranger(10 * turn + ["a", "b", "c"].iter().position(|known| *known == name).unwrap());
        let id = |name: &str| format!("{name}{turn}");
        let links = |name: &str| match name {
            "a" => json!([link("replaced-by", &id("b"))]),
            "b" => json!([link("replaced-by", &id("c")), link("replaces", &id("a"))]),
            _ => json!([link("replaces", &id("b"))]),
        };
        for name in order {
            app.store_patient(&with(&with_id(&person(name), &id(name)), "link", links(name)));
        }
        for name in ["a", "b", "c"] {
            assert_eq!(app.idi_match(&person(name)).ids(), [id("c")], "{order:?}: asked for {name}");
        }
    }
}

/// What is beyond the limits does not take part, and that is said.
fn repetitions_beyond_the_limits_are_announced(app: &TestApp) {
    app.store_patient(&stranger(1));
    let many: Vec<_> = (0..30).map(|number| telecom("phone", &format!("614-555-01{number:02}"))).collect();
    let asked = app.idi_match(&with(&stranger(1), "telecom", json!(many)));
    let said = asked
        .issues()
        .into_iter()
        .any(|issue| issue["code"] == "incomplete" && issue["expression"] == json!(["Patient.telecom"]));
    assert!(said, "{:?}", asked.issues());
}
