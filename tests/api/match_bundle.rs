//! The bundle that answers `$idi-match`, sentence by sentence (IG Patient Matching, response; US Core 6.1).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer::{MatchBundle, coded, extension, text, texts};
use crate::people::{MBI, SSN, claiming, identifier, licence, name, stranger, with, with_id, without};
use crate::support::TestApp;

on_both_databases! {
    the_bundle_is_identified_timed_counted_and_linked,
    the_responder_stands_in_it_once_and_can_be_reached,
    every_entry_has_an_address_of_this_server,
    a_match_is_scored_graded_and_explained,
    identities_come_by_score_and_their_records_together,
    records_of_one_person_are_joined_by_links,
    nobody_found_is_said_in_words,
    a_patient_leaves_in_the_shape_of_us_core_and_stays_as_received,
    a_social_security_number_never_leaves,
    the_weight_is_reported_with_its_parts,
    a_record_that_another_replaced_is_readable_and_no_match,
    a_record_whose_survivor_is_gone_is_found_again,
}

/// Two records of one person, and the answer to a request for them.
fn found(app: &TestApp) -> MatchBundle {
    app.store_patient(&with_id(&stranger(1), "p1"));
    app.store_patient(&with_id(&stranger(1), "p2"));
    app.idi_match(&stranger(1))
}

/// Answers with and without anybody in them.
fn both(app: &TestApp) -> [MatchBundle; 2] {
    [found(app), app.idi_match(&stranger(8))]
}

fn the_bundle_is_identified_timed_counted_and_linked(app: &TestApp) {
    let mut seen = BTreeSet::new();
    for (bundle, total) in both(app).iter().chain(&both(app)).zip([2, 0, 2, 0]) {
        let MatchBundle(json) = bundle;
        assert_eq!((text(json, "resourceType"), text(json, "type")), ("Bundle", "searchset"));
        assert_eq!(
            texts(&json["meta"]["profile"]),
            [format!("{}/StructureDefinition/idi-match-bundle", crate::people::GUIDE)]
        );
        assert_eq!(json["identifier"]["system"], "urn:ietf:rfc:3986");
        let value = text(&json["identifier"], "value");
        assert!(value.starts_with("urn:uuid:") && value.len() == 45, "{value}");
        assert!(seen.insert(value.to_owned()), "each answer has its own");
        let assigner = &json["identifier"]["assigner"];
        assert_eq!(text(assigner, "reference"), format!("{}/Organization/responder", app.base));
        assert_eq!(text(assigner, "display"), "Example Health");
        assert!(text(json, "timestamp").contains('T') && text(json, "timestamp").ends_with('Z'));
        assert_eq!((bundle.total(), bundle.entries("match").len() as u64), (total, total));
        assert_eq!(bundle.link("self"), Some(format!("{}/Patient/$idi-match", app.base).as_str()));
    }
}

fn the_responder_stands_in_it_once_and_can_be_reached(app: &TestApp) {
    for bundle in both(app) {
        let all = bundle.0["entry"].as_array().unwrap();
        let organizations: Vec<&Value> =
            all.iter().filter(|entry| entry["resource"]["resourceType"] == "Organization").collect();
        assert_eq!(organizations, bundle.entries("include"));
        assert_eq!(organizations.len(), 1);
        let organization = &organizations[0]["resource"];
        assert_eq!((&organization["active"], text(organization, "name")), (&json!(true), "Example Health"));
        assert_eq!(organization["telecom"], json!([{"system": "phone", "value": "+1-555-0100"}]));
        assert!(texts(&organization["meta"]["profile"])[0].ends_with("/us-core-organization"));
        let assigner = text(&bundle.0["identifier"]["assigner"], "reference");
        assert_eq!(text(organizations[0], "fullUrl"), assigner);
    }
}

fn every_entry_has_an_address_of_this_server(app: &TestApp) {
    for bundle in both(app) {
        let mut seen = BTreeSet::new();
        for entry in bundle.0["entry"].as_array().unwrap() {
            let resource = &entry["resource"];
            let expected = format!("{}/{}/{}", app.base, text(resource, "resourceType"), text(resource, "id"));
            assert_eq!(text(entry, "fullUrl"), expected);
            assert!(expected.starts_with("http://") && seen.insert(expected));
            assert!(matches!(text(&entry["search"], "mode"), "match" | "include" | "outcome"));
        }
    }
    for id in ["p1", "p2"] {
        app.get(&format!("/Patient/{id}")).send().expect(200);
    }
}

fn a_match_is_scored_graded_and_explained(app: &TestApp) {
    let bundle = found(app);
    for entry in bundle.entries("match") {
        assert_eq!(entry["search"]["score"], json!(0.99));
        let grade = extension(entry, "match-grade").unwrap();
        assert_eq!(
            grade,
            &json!({"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": "certain"})
        );
        assert_eq!(coded(entry, "matched-row"), Some("licence"));
        let probability = extension(entry, "match-probability").unwrap()["valueDecimal"].as_f64().unwrap();
        assert!((0.9..=1.0).contains(&probability), "{probability}");
        let attributes = extension(entry, "attribute-results").unwrap()["extension"].as_array().unwrap();
        let results = ["exact", "close", "partial", "conflict", "absent"];
        assert!(!attributes.is_empty() && attributes.iter().all(|result| results.contains(&text(result, "valueCode"))));
        assert!(coded(entry, "stewardship").is_some());
        for extension in entry["search"]["extension"].as_array().unwrap() {
            let url = text(extension, "url");
            let known = app.get(&format!("/StructureDefinition?url={url}")).send().match_bundle().total();
            assert_eq!(known, u64::from(url.starts_with("https://idi-match.example/")), "{url} is described here");
        }
    }
    let weak =
        with(&without(&stranger(1), "identifier"), "telecom", json!([{"system": "email", "value": "b@example.org"}]));
    let weak = app.idi_match(&with(
        &weak,
        "address",
        json!([{"line": ["9 Other Way"], "city": "Toledo", "state": "OH", "postalCode": "43601"}]),
    ));
    let entry = weak.entry("p1");
    assert_eq!((coded(entry, "match-grade"), &entry["search"]["score"]), (Some("possible"), &json!(0.6)));
    assert_eq!(coded(entry, "matched-row"), Some("birth-date-sex"));
}

fn identities_come_by_score_and_their_records_together(app: &TestApp) {
    let namesake =
        without(&without(&with(&stranger(1), "identifier", json!([licence("OTHER777")])), "telecom"), "address");
    for (id, patient) in
        [("z-best", &stranger(1)), ("m-other", &namesake), ("a-best", &stranger(1)), ("b-other", &namesake)]
    {
        app.store_patient(&with_id(patient, id));
    }
    let bundle = app.idi_match(&stranger(1));
    assert_eq!(bundle.ids(), ["a-best", "z-best", "b-other", "m-other"]);
    let scores: Vec<f64> =
        bundle.entries("match").iter().map(|entry| entry["search"]["score"].as_f64().unwrap()).collect();
    assert!(scores[0] == scores[1] && scores[1] > scores[2] && scores[2] == scores[3], "{scores:?}");
}

fn records_of_one_person_are_joined_by_links(app: &TestApp) {
    app.store_patient(&with_id(&stranger(5), "other"));
    app.store_patient(&with_id(&stranger(1), "p3"));
    let bundle = found(app);
    let links = |id: &str| -> BTreeSet<(String, String)> {
        let links = bundle.entry(id)["resource"]["link"].as_array().cloned().unwrap_or_default();
        links.iter().map(|link| (text(link, "type").to_owned(), text(&link["other"], "reference").to_owned())).collect()
    };
    let expected = |others: [&str; 2]| -> BTreeSet<(String, String)> {
        others.iter().map(|other| ("seealso".to_owned(), format!("{}/Patient/{other}", app.base))).collect()
    };
    assert_eq!(bundle.total(), 3);
    assert_eq!(links("p1"), expected(["p2", "p3"]));
    assert_eq!(links("p2"), expected(["p1", "p3"]));
    assert_eq!(links("p3"), expected(["p1", "p2"]));
    assert_eq!(app.get("/Patient/p1").send().json()["link"], Value::Null, "what is stored stays as received");
}

fn nobody_found_is_said_in_words(app: &TestApp) {
    let bundle = app.idi_match(&stranger(1));
    assert_eq!((bundle.total(), bundle.entries("match").len(), bundle.entries("include").len()), (0, 0, 1));
    let issue = bundle.remark("not-found").unwrap();
    assert_eq!((text(issue, "severity"), text(&issue["details"], "text")), ("information", "No Match Found"));
    let said = bundle.issues().iter().filter(|issue| issue["code"] == "not-found").count();
    assert_eq!(said, 1);
}

fn a_patient_leaves_in_the_shape_of_us_core_and_stays_as_received(app: &TestApp) {
    let mut sparse = with_id(&without(&without(&stranger(1), "gender"), "name"), "sparse");
    sparse["identifier"][0].as_object_mut().unwrap().remove("system");
    let mut mixed = with_id(&stranger(1), "mixed");
    mixed["identifier"].as_array_mut().unwrap().push(json!({"value": "without system"}));
    let whole = with_id(&stranger(1), "whole");
    for patient in [&sparse, &mixed, &whole] {
        app.store_patient(patient);
    }
    let bundle = app.idi_match(&stranger(1));
    let resource = |id: &str| &bundle.entry(id)["resource"];
    assert_eq!(resource("sparse")["gender"], "unknown");
    let own = format!("{}/NamingSystem/record-id", app.base);
    assert_eq!(resource("sparse")["identifier"], json!([{"system": own, "value": "sparse"}]));
    app.get(&own).send().expect(200);
    assert!(resource("sparse")["name"][0]["extension"][0]["url"].as_str().unwrap().ends_with("/data-absent-reason"));
    assert_eq!(resource("mixed")["identifier"], whole["identifier"]);
    for (id, stored) in [("sparse", &sparse), ("mixed", &mixed), ("whole", &whole)] {
        let rendered = resource(id);
        assert!(
            texts(&rendered["meta"]["profile"]).iter().any(|profile| profile.ends_with("/us-core-patient")),
            "{id}"
        );
        assert_eq!(rendered["meta"]["tag"][0]["code"], "SUBSETTED", "{id}: at least its links were added");
        let refused = app.put(&format!("/Patient/{id}"), rendered).send().expect(422);
        assert_eq!(refused.errors()[0].1, ["Patient.meta.tag"], "{id}");
        assert_eq!(app.post("/Patient", rendered).send().status, 422, "{id}");
        let read = app.get(&format!("/Patient/{id}")).send().expect(200).json();
        for member in ["identifier", "gender", "name"] {
            assert_eq!(read[member], stored[member], "{id}");
        }
    }
}

fn a_social_security_number_never_leaves(app: &TestApp) {
    let number = "987-65-4320";
    let mut patient = with_id(&stranger(1), "p1");
    let hidden = [
        json!({"system": SSN, "value": number}),
        json!({"system": "urn:oid:2.16.840.1.113883.4.1", "value": number}),
        identifier("SS", "urn:other", number),
        identifier("SSN4", "urn:last-four", "4320"),
    ];
    patient["identifier"].as_array_mut().unwrap().extend(hidden);
    patient["contained"] =
        json!([{"resourceType": "Patient", "id": "c", "identifier": [{"system": SSN, "value": number}]}]);
    patient["text"] =
        json!({"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{number}</div>")});
    app.store_patient(&patient);
    let mut asked = stranger(1);
    asked["identifier"].as_array_mut().unwrap().push(identifier("SS", SSN, number));
    for operation in ["$idi-match", "$match"] {
        let answer = app.post(&format!("/Patient/{operation}"), &asked).send().expect(200);
        assert_eq!(answer.match_bundle().ids(), ["p1"], "{operation}");
        for secret in [number, "987654320", "4320"] {
            assert!(!answer.text().contains(secret), "{operation} {secret}");
        }
        assert_eq!(answer.match_bundle().entry("p1")["resource"]["identifier"], stranger(1)["identifier"]);
    }
    assert!(app.get("/Patient/p1").send().text().contains(number), "the record itself is whole");
}

fn the_weight_is_reported_with_its_parts(app: &TestApp) {
    let asked = json!({
        "resourceType": "Patient",
        "name": name("Ann", "Ray"),
        "birthDate": "1980-02-03",
        "identifier": [licence("X1"), identifier("MB", MBI, "1EG4TE5MK73")],
    });
    let bundle = app.idi_match(&claiming(&asked, "IDI-Patient-L0"));
    let parts = [
        ("input-weight", "14"),
        ("identity-document", "5"),
        ("contact", "4"),
        ("first-and-last-name", "3"),
        ("birth-date", "2"),
    ];
    for (code, points) in parts {
        let issue = bundle.remark(code).unwrap();
        assert_eq!((text(issue, "severity"), text(issue, "code")), ("information", "informational"), "{code}");
        assert_eq!(
            issue["details"]["coding"][0]["system"], "https://idi-match.example/CodeSystem/match-outcome",
            "{code}"
        );
        assert!(text(issue, "diagnostics").contains(points), "{code}: {issue}");
    }
    let low = claiming(&without(&asked, "identifier"), "IDI-Patient");
    let bundle = app.idi_match(&low);
    assert!(bundle.remark("raise-to-l0").is_some() && bundle.remark("raise-to-l1").is_some());
}

fn a_record_that_another_replaced_is_readable_and_no_match(app: &TestApp) {
    let link = json!([{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]);
    app.store_patient(&with(&with_id(&stranger(1), "p1"), "link", link));
    app.store_patient(&with_id(&stranger(1), "p2"));
    assert_eq!(app.idi_match(&stranger(1)).ids(), ["p2"]);
    app.get("/Patient/p1").send().expect(200);
    app.store_patient(&with_id(&stranger(1), "p1"));
    assert_eq!(app.idi_match(&stranger(1)).total(), 2, "no longer replaced");
}

fn a_record_whose_survivor_is_gone_is_found_again(app: &TestApp) {
    let replaced_by = |id: &str| json!([{"type": "replaced-by", "other": {"reference": format!("Patient/{id}")}}]);
    let person = |id: &str, survivor: &str| with(&with_id(&stranger(1), id), "link", replaced_by(survivor));
    app.store_patient(&person("p1", "p2"));
    assert_eq!(app.idi_match(&stranger(1)).ids(), ["p1"], "the survivor never came");
    app.store_patient(&with_id(&stranger(1), "p2"));
    assert_eq!(app.idi_match(&stranger(1)).ids(), ["p2"]);
    app.store_patient(&person("p2", "p1"));
    assert_eq!(app.idi_match(&stranger(1)).total(), 2, "each says it of the other");
    app.delete("/Patient/p2").send().expect(204);
    assert_eq!(app.idi_match(&stranger(1)).ids(), ["p1"]);
}
