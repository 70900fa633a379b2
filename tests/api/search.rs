//! FHIR search of the stored types, and its pages.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::answer::{text, texts};
use crate::people::{organization, stranger};
use crate::support::TestApp;

on_both_databases! {
    each_parameter_finds_what_it_means,
    each_modifier_and_form_of_a_patient_search_finds_what_it_means,
    other_types_are_found_by_their_parameters,
    times_of_change_are_searched,
    what_cannot_be_searched_for_is_refused_with_its_parameter,
    what_is_not_known_is_warned_of_or_refused,
    a_form_is_searched_like_an_address,
    a_resource_is_found_by_all_of_its_values_or_not_stored,
    matches_come_in_the_order_that_is_asked_for,
    totals_are_counted_as_asked,
    what_is_referred_to_comes_along,
    pages_link_to_each_other_and_hold_everything_once,
    links_to_further_pages_are_sealed,
    pages_stay_without_repetition_while_another_thread_writes,
}

fn person(id: &str, names: &Value, birth_date: &str, identifiers: &Value) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": names, "birthDate": birth_date, "identifier": identifiers})
}

fn store_people(app: &TestApp) {
    let token = |system: &str, value: &str| json!({"system": system, "value": value});
    let people = [
        person(
            "p1",
            &json!([{"family": "Smith", "given": ["Ann", "Mary"]}]),
            "1980-02-03",
            &json!([token("urn:mrn", "1"), {"value": "7"}]),
        ),
        person(
            "p2",
            &json!([{"family": "Smithers"}, {"family": "Jones", "given": ["Mary"]}]),
            "1980",
            &json!([token("urn:mrn", "2")]),
        ),
        person("p3", &json!([{"family": "JONES", "given": ["Anna"]}]), "1981-05", &json!([token("urn:other", "1")])),
        person(
            "p4",
            &json!([{"family": "Müller", "given": ["José"]}]),
            "1980-12-31",
            &json!([token("urn:mrn", "7|8")]),
        ),
    ];
    people.iter().for_each(|person| app.store_patient(person));
    app.put("/Organization/o1", organization("o1")).send().expect(201);
}

fn each_parameter_finds_what_it_means(app: &TestApp) {
    store_people(app);
    let table: &[(&str, &[&str])] = &[
        ("", &["p1", "p2", "p3", "p4"]),
        ("?_id=p2", &["p2"]),
        ("?_id=p4,p2,nobody", &["p2", "p4"]),
        ("?identifier=urn:mrn|1", &["p1"]),
        ("?identifier=urn%3Amrn%7C1", &["p1"]),
        ("?identifier=1", &["p1", "p3"]),
        ("?identifier=|7", &["p1"]),
        ("?identifier=|1", &[]),
        ("?identifier=urn:mrn|", &["p1", "p2", "p4"]),
        ("?identifier=urn:mrn|1,urn:other|1", &["p1", "p3"]),
        ("?family=smith", &["p1", "p2"]),
        ("?family=Smithe", &["p2"]),
        ("?family=jones", &["p2", "p3"]),
        ("?family=MULLER", &["p4"]),
        ("?family=m%C3%BC", &["p4"]),
        ("?family=smithe,muller", &["p2", "p4"]),
        ("?given=ann", &["p1", "p3"]),
        ("?given=jose", &["p4"]),
        ("?given=ann&given=mary", &["p1"]),
        ("?family=jones&given=mary", &["p2"]),
        ("?birthdate=1980-02-03", &["p1"]),
        ("?birthdate=eq1980-02-03", &["p1"]),
        ("?birthdate=1980-02", &["p1"]),
        ("?birthdate=1980", &["p1", "p2", "p4"]),
        ("?birthdate=1981-05", &["p3"]),
        ("?birthdate=1981-05-01", &[]),
        ("?birthdate=1980-12-31,1981", &["p3", "p4"]),
        ("?birthdate=ne1980", &["p3"]),
        ("?birthdate=ge1981", &["p3"]),
        ("?birthdate=gt1980-12-31", &["p3"]),
        ("?birthdate=lt1980-02-03", &["p2"]),
        ("?birthdate=le1980-02-03", &["p1", "p2"]),
        ("?birthdate=sa1980-12", &["p3"]),
        ("?birthdate=eb1980-06", &["p1"]),
        ("?birthdate=ge1980-02&birthdate=lt1980-12", &["p1", "p2"]),
        ("?family=smith&birthdate=1980-02-03&identifier=7", &["p1"]),
        ("?family=%27%20OR%201%3D1%20--", &[]),
        ("?family=%25", &[]),
    ];
    for (query, expected) in table {
        let found = app.get(&format!("/Patient{query}")).send().expect(200).match_bundle();
        assert_eq!(found.ids(), *expected, "{query}");
        assert_eq!(found.total(), expected.len() as u64, "{query}");
        assert_eq!((&found.0["type"], found.issues().len()), (&json!("searchset"), 0), "{query}");
        for entry in found.entries("match") {
            assert_eq!(entry["fullUrl"], format!("{}/Patient/{}", app.base, entry["resource"]["id"].as_str().unwrap()));
        }
    }
    let found = app.get("/Organization?identifier=urn:orgs|o1").send().expect(200).match_bundle();
    assert_eq!(found.ids(), ["o1"]);
}

/// The ids that a search finds, in order.
fn found(app: &TestApp, query: &str) -> Vec<String> {
    let found = app.get(query).send().expect(200).match_bundle();
    assert_eq!(found.issues().len(), 0, "{query}: {:?}", found.issues());
    found.ids().into_iter().map(str::to_owned).collect()
}

fn store_all(app: &TestApp, resources: &[Value]) {
    for resource in resources {
        let path = format!("/{}/{}", text(resource, "resourceType"), text(resource, "id"));
        app.put(&path, resource).send().expect(201);
    }
}

/// What a search of the three Patients below finds.
const PATIENT_SEARCHES: &[(&str, &[&str])] = &[
    ("family=quinones", &["p1"]),
    ("family=carreno-q", &["p1"]),
    ("family:exact=Carre%C3%B1o-Qui%C3%B1ones", &["p1"]),
    ("family:exact=Carreno-Quinones", &[]),
    ("family:exact=Qui%C3%B1ones", &[]),
    ("family:contains=MIT", &["p2"]),
    ("family:contains=%25", &[]),
    ("family:missing=true", &[]),
    ("given:missing=true", &["p2", "p3"]),
    ("given:missing=false", &["p1"]),
    ("name=dr", &["p1"]),
    ("name=ana", &["p1"]),
    ("name=jr", &["p2"]),
    ("name=john", &["p2"]),
    ("name:contains=arre", &["p1"]),
    ("phonetic=smith", &["p2", "p3"]),
    ("phonetic=john%20smyth", &["p2"]),
    ("phonetic=karenyo", &["p1"]),
    ("phonetic=brown", &[]),
    ("active=true", &["p1"]),
    ("active=false", &["p2"]),
    ("active:missing=true", &["p3"]),
    ("gender=female", &["p1"]),
    ("gender=male,female", &["p1", "p2"]),
    ("gender=http://hl7.org/fhir/administrative-gender|male", &["p2"]),
    ("gender=|male", &[]),
    ("deceased=true", &["p2", "p3"]),
    ("deceased=false", &["p1"]),
    ("death-date=2020", &["p2"]),
    ("death-date=gt2020-05-06", &[]),
    ("email=ana@example.org", &["p1"]),
    ("email=ANA@EXAMPLE.ORG", &["p1"]),
    ("phone=614-555-0100", &["p1"]),
    ("phone=ana@example.org", &[]),
    ("telecom=6145550100", &["p1"]),
    ("telecom=ana@example.org", &["p1"]),
    ("telecom=http://ana.example", &["p1"]),
    ("telecom:missing=true", &["p2", "p3"]),
    ("address=columbus", &["p1"]),
    ("address=oak", &["p1"]),
    ("address=43004", &["p1"]),
    ("address-city=col", &["p1"]),
    ("address-state=oh", &["p1"]),
    ("address-postalcode=43", &["p1"]),
    ("address-country=us", &["p1"]),
    ("address-use=home", &["p1"]),
    ("address-use=work", &[]),
    ("language=es", &["p1"]),
    ("language=urn:ietf:bcp:47|es", &["p1"]),
    ("organization=o1", &["p1"]),
    ("organization=Organization/o1", &["p1"]),
    ("organization:Organization=o1", &["p1"]),
    ("organization=http://elsewhere.example/Organization/o1", &["p2"]),
    ("general-practitioner=Organization/o1", &["p1"]),
    ("general-practitioner:missing=true", &["p2", "p3"]),
    ("link=Patient/p1", &["p2"]),
    ("link:RelatedPerson=p1", &[]),
    ("identifier=urn:a%5C|b|1%5C,2", &["p2"]),
    ("identifier=1%5C,2", &["p2"]),
    ("identifier=1,2", &[]),
    ("gender:missing=false&active=true&name=ana&birthdate=lt1990&address=oh", &["p1"]),
    ("gender:missing=false&active=true&name=ana&birthdate=lt1970&address=oh", &[]),
];

fn each_modifier_and_form_of_a_patient_search_finds_what_it_means(app: &TestApp) {
    store_all(
        app,
        &[
            json!({"resourceType": "Organization", "id": "o1", "name": "Clinic"}),
            json!({"resourceType": "Patient", "id": "p1", "active": true, "gender": "female", "birthDate": "1980-02-03",
                "name": [{"family": "Carreño-Quiñones", "given": ["Ana", "María"], "prefix": ["Dr."]}],
                "telecom": [{"system": "phone", "value": "(614) 555-0100"}, {"system": "email", "value": "Ana@Example.org"},
                    {"system": "url", "value": "http://ana.example"}],
                "address": [{"use": "home", "line": ["12 Oak Street"], "city": "Columbus", "state": "OH",
                    "postalCode": "43004", "country": "US"}],
                "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}],
                "generalPractitioner": [{"reference": format!("{}/Organization/o1", app.base)}],
                "managingOrganization": {"reference": "Organization/o1"}}),
            json!({"resourceType": "Patient", "id": "p2", "active": false, "gender": "male", "deceasedDateTime": "2020-05-06",
                "name": [{"text": "John Smith, Jr.", "family": "Smith"}],
                "identifier": [{"system": "urn:a|b", "value": "1,2"}],
                "managingOrganization": {"reference": "http://elsewhere.example/Organization/o1"},
                "link": [{"other": {"reference": "Patient/p1"}, "type": "seealso"}]}),
            json!({"resourceType": "Patient", "id": "p3", "deceasedBoolean": true, "name": [{"family": "Smyth"}]}),
        ],
    );
    for (query, expected) in PATIENT_SEARCHES {
        assert_eq!(found(app, &format!("/Patient?{query}")), *expected, "{query}");
    }
    let own = format!("/Patient?organization={}/Organization/o1", app.base);
    assert_eq!(found(app, &own), ["p1"]);
}

/// One of each other type, about `p1`.
fn store_others(app: &TestApp) {
    let about = json!({"reference": "Patient/p1"});
    let coded = |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
    store_all(
        app,
        &[
            json!({"resourceType": "Organization", "id": "o1", "active": true, "name": "General Hospital",
                "alias": ["The Old House"], "type": [coded("urn:types", "prov")]}),
            json!({"resourceType": "Organization", "id": "o2", "name": "Ward 9", "partOf": {"reference": "Organization/o1"}}),
            json!({"resourceType": "Patient", "id": "p1", "managingOrganization": {"reference": "Organization/o2"}}),
            json!({"resourceType": "RelatedPerson", "id": "r1", "patient": about, "name": [{"family": "Roe"}],
                "relationship": [coded("urn:rel", "MTH")]}),
            json!({"resourceType": "Person", "id": "n1", "name": [{"family": "Roe"}],
                "link": [{"target": about}, {"target": {"reference": "RelatedPerson/r1"}}]}),
            json!({"resourceType": "Consent", "id": "c1", "status": "active", "patient": about, "dateTime": "2025-03-04",
                "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
                "category": [coded("urn:cat", "x")], "policy": [{"uri": "http://policy.example"}],
                "provision": {"period": {"start": "2025-01-01", "end": "2025-12-31"}}}),
            json!({"resourceType": "Provenance", "id": "v1", "target": [about, {"reference": "Consent/c1"}],
                "recorded": "2025-03-04T05:06:07Z", "agent": [{"who": {"reference": "Organization/o1"}}]}),
            json!({"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order", "for": about,
                "focus": {"reference": "Consent/c1"}, "authoredOn": "2025-03-04T05:06:07+01:00",
                "owner": {"reference": "Organization/o1"}, "businessStatus": coded("urn:bs", "waiting")}),
        ],
    );
}

fn other_types_are_found_by_their_parameters(app: &TestApp) {
    store_others(app);
    let table: &[(&str, &[&str])] = &[
        ("/Organization?name=general", &["o1"]),
        ("/Organization?name=old", &["o1"]),
        ("/Organization?name:exact=Ward%209", &["o2"]),
        ("/Organization?partof=o1", &["o2"]),
        ("/Organization?type=prov", &["o1"]),
        ("/Organization?phonetic=hospitle", &["o1"]),
        ("/RelatedPerson?patient=p1", &["r1"]),
        ("/RelatedPerson?patient=Patient/p2", &[]),
        ("/RelatedPerson?relationship=urn:rel|MTH&name=roe", &["r1"]),
        ("/Person?patient=p1", &["n1"]),
        ("/Person?relatedperson=r1", &["n1"]),
        ("/Person?practitioner:missing=true&name=roe", &["n1"]),
        ("/Person?link:Patient=p1", &["n1"]),
        ("/Consent?patient=p1&status=active", &["c1"]),
        ("/Consent?status=rejected", &[]),
        ("/Consent?date=2025-03", &["c1"]),
        ("/Consent?period=ge2025-06-01", &["c1"]),
        ("/Consent?period=sa2025-06-01", &[]),
        ("/Consent?scope=patient-privacy", &["c1"]),
        ("/Provenance?target=Patient/p1", &["v1"]),
        ("/Provenance?patient=p1", &["v1"]),
        ("/Provenance?target:Consent=c1", &["v1"]),
        ("/Provenance?recorded=2025-03-04T05:06:07Z", &["v1"]),
        ("/Provenance?recorded=2025-03-04T06:06:07%2B01:00", &["v1"]),
        ("/Provenance?recorded=gt2025-03-04T05:06:07Z", &[]),
        ("/Provenance?agent=o1", &["v1"]),
        ("/Task?subject=p1&status=requested&intent=order", &["t1"]),
        ("/Task?focus=Consent/c1", &["t1"]),
        ("/Task?authored-on=2025-03-04T04:06:07Z", &["t1"]),
        ("/Task?business-status=urn:bs|", &["t1"]),
        ("/Task?owner=Organization/o1&patient=p1", &["t1"]),
        ("/Patient?family=roe", &[]),
    ];
    for (query, expected) in table {
        assert_eq!(found(app, query), *expected, "{query}");
    }
}

fn times_of_change_are_searched(app: &TestApp) {
    store_people(app);
    let last = |id: &str| {
        let patient = app.get(&format!("/Patient/{id}")).send().expect(200).json();
        text(&patient["meta"], "lastUpdated").to_owned()
    };
    let (second, third) = (last("p2"), last("p3"));
    let table: &[(&str, &[&str])] = &[
        (&format!("_lastUpdated=gt{second}"), &["p3", "p4"]),
        (&format!("_lastUpdated=ge{second}&_lastUpdated=le{third}"), &["p2", "p3"]),
        (&format!("_lastUpdated={second},{third}"), &["p2", "p3"]),
        (&format!("_lastUpdated=lt{second}"), &["p1"]),
        ("_lastUpdated=ge2020&_sort=-_lastUpdated", &["p4", "p3", "p2", "p1"]),
        ("_lastUpdated=lt2020", &[]),
    ];
    for (query, expected) in table {
        assert_eq!(found(app, &format!("/Patient?{query}")), *expected, "{query}");
    }
}

fn what_cannot_be_searched_for_is_refused_with_its_parameter(app: &TestApp) {
    store_people(app);
    let table = [
        ("?_count=x", "http._count"),
        ("?_count=-1", "http._count"),
        ("?birthdate=1980-13", "http.birthdate"),
        ("?birthdate=yesterday", "http.birthdate"),
        ("?family=a%00", "http.family"),
        ("?_id=%00", "http._id"),
        ("?_page=x", "http._page"),
        ("?_total=all", "http._total"),
        ("?_lastUpdated=yesterday", "http._lastUpdated"),
        ("?family:missing=maybe", "http.family"),
        ("?organization:Patient=1", "http.organization"),
        ("?organization.name=x", "http.organization"),
        ("?identifier=,", "http.identifier"),
        // FHIR R4 Search, Modifiers: one that is not supported is refused, not ignored.
        ("?family:near=Smith", "http.family"),
        ("?identifier:of-type=a|b|c", "http.identifier"),
        ("?birthdate:exact=1980", "http.birthdate"),
    ];
    for (query, place) in table {
        let answer = app.get(&format!("/Patient{query}")).send().expect(400);
        let errors = answer.errors();
        assert_eq!((errors.len(), &errors[0].1), (1, &vec![place.to_owned()]), "{query}");
    }
    let many: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
    app.get(&format!("/Patient?_id={}", many.join(","))).send().expect(400).issues();
    app.get(&format!("/Patient?{}", "family=a&".repeat(60))).send().expect(400).issues();
}

fn what_is_not_known_is_warned_of_or_refused(app: &TestApp) {
    store_people(app);
    for kind in ["Patient", "Organization", "StructureDefinition"] {
        let path = format!("/{kind}?_id=nobody&shoe-size=44");
        let found = app.get(&path).send().expect(200).match_bundle();
        let warning = found.remark("not-supported").unwrap();
        assert_eq!((&warning["severity"], found.total()), (&json!("warning"), 0), "{kind}");
        assert_eq!(texts(&warning["expression"]).len(), 1, "{kind}");
        assert!(!found.link("self").unwrap().contains("shoe"), "the link repeats what was understood");
        app.get(&path).header("Prefer", "handling=lenient").send().expect(200);
        let refused = app.get(&path).header("Prefer", "respond-async, handling=strict").send().expect(400);
        assert_eq!(refused.errors()[0].0, "not-supported", "{kind}");
    }
    let harmless = app.get("/Patient?_format=json&_pretty=true&_total=accurate").send().expect(200).match_bundle();
    assert_eq!((harmless.total(), harmless.issues().len()), (4, 0));
}

fn a_form_is_searched_like_an_address(app: &TestApp) {
    store_people(app);
    let form = |path: &str, body: &str| {
        app.post(path, body).header("Content-Type", "application/x-www-form-urlencoded").send()
    };
    let table: &[(&str, &str, &[&str])] = &[
        ("/Patient/_search", "family=smith", &["p1", "p2"]),
        ("/Patient/_search", "family=M%C3%BCller&given=jos%C3%A9", &["p4"]),
        ("/Patient/_search?given=mary", "family=smith", &["p1", "p2"]),
        ("/Patient/_search?given=ann", "family=smith", &["p1"]),
        ("/Patient/_search", "", &["p1", "p2", "p3", "p4"]),
        ("/Patient/_search", "identifier=urn%3Amrn%7C1", &["p1"]),
    ];
    for (path, body, expected) in table {
        let answer = form(path, body).expect(200).match_bundle();
        assert_eq!(answer.ids(), *expected, "{path} {body}");
    }
    let first = form("/Patient/_search", "_count=3").expect(200).match_bundle();
    let next = app.get(first.link("next").unwrap()).send().expect(200).match_bundle();
    assert_eq!(next.ids(), ["p4"]);
    let strict = app.post("/Patient/_search", "shoe=1").header("Prefer", "handling=strict");
    strict.header("Content-Type", "application/x-www-form-urlencoded").send().expect(400).issues();
    app.post("/Patient/_search", "family=smith").send().expect(415).issues();
    app.get("/Patient/_search").send().expect(405).issues();
    form("/Observation/_search", "").expect(404).issues();
    let artifacts = form("/StructureDefinition/_search", "_id=IDI-Patient").expect(200).match_bundle();
    assert_eq!(artifacts.ids(), ["IDI-Patient"]);
}

fn matches_come_in_the_order_that_is_asked_for(app: &TestApp) {
    store_people(app);
    app.store_patient(&json!({"resourceType": "Patient", "id": "p5", "gender": "male"}));
    let table: &[(&str, &[&str])] = &[
        ("family", &["p2", "p3", "p4", "p1", "p5"]),
        ("-family", &["p2", "p1", "p4", "p3", "p5"]),
        ("birthdate", &["p2", "p1", "p4", "p3", "p5"]),
        ("-birthdate", &["p3", "p2", "p4", "p1", "p5"]),
        ("_id", &["p1", "p2", "p3", "p4", "p5"]),
        ("-_id", &["p5", "p4", "p3", "p2", "p1"]),
        ("_lastUpdated", &["p1", "p2", "p3", "p4", "p5"]),
        ("given,-_id", &["p1", "p3", "p4", "p2", "p5"]),
        ("-gender,_id", &["p5", "p1", "p2", "p3", "p4"]),
    ];
    for (sort, expected) in table {
        assert_eq!(found(app, &format!("/Patient?_sort={sort}")), *expected, "{sort}");
        let (ids, _) = follow(app, &format!("/Patient?_sort={sort}&_count=2"));
        assert_eq!(ids, *expected, "{sort} in pages");
        let (ids, _) = follow(app, &format!("/Patient?_sort={sort}&_count=1&family=smith,jones"));
        let expected: Vec<&str> = expected.iter().copied().filter(|id| matches!(*id, "p1" | "p2" | "p3")).collect();
        assert_eq!(ids, expected, "{sort} of some, in pages");
    }
    app.get("/Patient?_sort=_id,_id,_id,_id").send().expect(400).issues();
    let warned = app.get("/Patient?_sort=shoe").send().expect(200).match_bundle();
    assert_eq!((warned.ids().len(), warned.issues().len()), (5, 1));
}

fn totals_are_counted_as_asked(app: &TestApp) {
    store_people(app);
    let total = |query: &str| app.get(query).send().expect(200).match_bundle().0["total"].as_u64();
    for query in ["/Patient", "/Patient?_total=accurate", "/Patient?_total=estimate", "/Patient?_summary=count"] {
        assert_eq!(total(query), Some(4), "{query}");
    }
    assert_eq!(total("/Patient?_total=none"), None);
    assert_eq!(app.get("/Patient?_summary=count").send().match_bundle().ids().len(), 0);
    assert_eq!(total("/Patient?family=smith&_count=0"), Some(2));
    let careful = app.beside(&[("limits.search_total_max", "3")]);
    let total = |query: &str| careful.get(query).send().expect(200).match_bundle().0["total"].as_u64();
    assert_eq!((total("/Patient"), total("/Patient?family=smith")), (None, Some(2)));
    assert_eq!(total("/Patient?_total=accurate"), Some(4));
    assert_eq!(total("/AuditEvent"), None);
}

fn a_resource_is_found_by_all_of_its_values_or_not_stored(app: &TestApp) {
    let person = |count: usize| {
        let identifiers: Vec<Value> =
            (0..count).map(|n| json!({"system": "urn:many", "value": format!("v{n}")})).collect();
        person("many", &json!([{"family": "Roe"}]), "1980", &json!(identifiers))
    };
    app.store_patient(&person(1_500));
    let found = |value: &str| app.get(&format!("/Patient?identifier=urn:many%7C{value}")).send().match_bundle().total();
    assert_eq!((found("v0"), found("v501"), found("v1499"), found("v1500")), (1, 1, 1, 0));
    let refused = app.put("/Patient/many", person(2_001)).send().expect(422);
    assert_eq!(refused.errors(), [("too-costly".to_owned(), vec!["Patient.identifier".to_owned()])]);
    assert_eq!((found("v1499"), found("v1500")), (1, 0));
}

/// Ids of matches and of what comes along, each in order.
fn along(app: &TestApp, query: &str) -> (Vec<String>, Vec<String>) {
    let found = app.get(query).send().expect(200).match_bundle();
    assert_eq!(found.issues().len(), 0, "{query}");
    let ids = |mode| -> Vec<String> {
        found.entries(mode).iter().map(|entry| text(&entry["resource"], "id").to_owned()).collect()
    };
    for entry in found.entries("include") {
        let resource = &entry["resource"];
        let expected = format!("{}/{}/{}", app.base, text(resource, "resourceType"), text(resource, "id"));
        assert_eq!(text(entry, "fullUrl"), expected);
    }
    (ids("match"), ids("include"))
}

fn what_is_referred_to_comes_along(app: &TestApp) {
    store_others(app);
    let table: &[(&str, &[&str], &[&str])] = &[
        ("/Patient?_include=Patient:organization", &["p1"], &["o2"]),
        ("/Patient?_include=Patient:organization:Organization", &["p1"], &["o2"]),
        ("/Patient?_include=Patient:*", &["p1"], &["o2"]),
        ("/Patient?_include=Patient:organization&_include:iterate=Organization:partof", &["p1"], &["o2", "o1"]),
        ("/Patient?_include=Patient:organization&_include=Organization:partof", &["p1"], &["o2"]),
        ("/Patient?_revinclude=RelatedPerson:patient", &["p1"], &["r1"]),
        ("/Patient?_revinclude=Provenance:target&_revinclude=Task:subject", &["p1"], &["v1", "t1"]),
        ("/Patient?_revinclude=Person:link&_revinclude:iterate=Person:relatedperson", &["p1"], &["n1"]),
        ("/Task?_include=Task:focus:Consent", &["t1"], &["c1"]),
        ("/Task?_include=Task:*&_count=1", &["t1"], &["c1", "o1", "p1"]),
        ("/Person?_include=Person:link:RelatedPerson", &["n1"], &["r1"]),
        ("/Consent?_revinclude=Task:focus&_revinclude=Provenance:target", &["c1"], &["t1", "v1"]),
        ("/Organization?_id=o2,o1&_include=Organization:partof", &["o1", "o2"], &[]),
        ("/Patient?_include=Task:subject", &["p1"], &[]),
        ("/Patient?_id=nobody&_include=Patient:organization", &[], &[]),
    ];
    for (query, matches, includes) in table {
        let (found, mut came) = along(app, query);
        assert_eq!(found, *matches, "{query}");
        came.sort();
        let mut includes = includes.to_vec();
        includes.sort_unstable();
        assert_eq!(came, includes, "{query}");
    }
    app.delete("/Organization/o2").send().expect(204);
    assert_eq!(along(app, "/Patient?_include=Patient:organization").1, Vec::<String>::new());
    let warned = app.get("/Patient?_include=Patient:shoe").send().expect(200).match_bundle();
    assert_eq!(warned.issues().len(), 1);
    let careful = app.beside(&[("limits.search_includes_max", "1")]);
    let cut = careful.get("/Task?_include=Task:*").send().expect(200).match_bundle();
    assert_eq!((cut.entries("include").len(), cut.remark("incomplete").is_some()), (1, true));
}

fn links_to_further_pages_are_sealed(app: &TestApp) {
    for number in 0..5 {
        app.store_patient(&stranger(number));
    }
    let canary = "Zwyczajny";
    for number in 0..3 {
        let name = json!([{"family": canary, "given": [format!("Anna{number}")]}]);
        app.store_patient(&json!({"resourceType": "Patient", "id": format!("z{number}"), "name": name}));
    }
    let first = app.get(&format!("/Patient?family={canary}&_sort=given&_count=1&_elements=id")).send().match_bundle();
    let next = first.link("next").unwrap().to_owned();
    assert!(!next.to_lowercase().contains(&canary.to_lowercase()) && !next.contains("Anna"), "{next}");
    let query = next.split_once('?').unwrap().1;
    assert!(query.contains("_elements=id") && query.contains("_page="), "{query}");
    let second = app.get(&next).send().expect(200).match_bundle();
    assert_eq!((second.ids(), second.total()), (vec!["z1"], 3));
    let other = app.beside(&[]);
    let same = other.get(&format!("/Patient?{query}")).send().expect(200).match_bundle();
    assert_eq!(same.ids(), ["z1"], "every instance of a database goes on");
    let token = query.split("_page=").nth(1).unwrap();
    let changed: String = token.chars().rev().collect();
    for (path, token) in [("/Patient", changed.as_str()), ("/Task", token), ("/AuditEvent", token), ("/Patient", "")] {
        let refused = app.get(&format!("{path}?_page={token}")).send().expect(400);
        assert_eq!(refused.errors()[0].1, ["http._page"], "{path}");
    }
}

/// Follows `next` from `first` to the end; gives ids and totals.
fn follow(app: &TestApp, first: &str) -> (Vec<String>, Vec<u64>) {
    let (mut ids, mut totals) = (Vec::new(), Vec::new());
    let mut link = Some(first.to_owned());
    while let Some(page) = link {
        let page = app.get(&page).send().expect(200).match_bundle();
        ids.extend(page.ids().into_iter().map(str::to_owned));
        totals.push(page.total());
        assert!(totals.len() < 200, "the pages have no end");
        link = page.link("next").map(str::to_owned);
    }
    (ids, totals)
}

fn pages_link_to_each_other_and_hold_everything_once(app: &TestApp) {
    for number in 0..23 {
        app.store_patient(&stranger(number));
    }
    let expected: Vec<String> = (0..23).map(|number| format!("stranger-{number:04}")).collect();
    let table = [
        ("/Patient", 2, expected.clone()),
        ("/Patient?_count=1", 23, expected.clone()),
        ("/Patient?_count=5", 5, expected.clone()),
        ("/Patient?_count=23", 1, expected.clone()),
        ("/Patient?_count=9999", 1, expected.clone()),
        ("/Patient?identifier=urn:oid:2.16.840.1.113883.4.3.39%7C&_count=7", 4, expected.clone()),
        ("/Patient?_count=0", 1, vec![]),
    ];
    for (first, pages, expected) in table {
        let (ids, totals) = follow(app, first);
        assert_eq!(ids, expected, "{first}");
        assert_eq!(totals, vec![23; pages], "{first}");
    }
    let page = app.get("/Patient?family=b&_count=1&shoe=1").send().match_bundle();
    assert_eq!(page.link("self"), Some(format!("{}/Patient?family=b&_count=1", app.base).as_str()));
    assert!(page.link("next").unwrap().starts_with(&format!("{}/Patient?_page=", app.base)));
    let asked = "/Patient?_elements=name&family=b&_format=json&_include=Patient:link&_sort=family&_count=1&shoe=1";
    let first = app.get(asked).send().match_bundle();
    let second = app.get(first.link("next").unwrap()).send().match_bundle();
    let understood = "family=b&_include=Patient%3Alink&_sort=family&_count=1&_elements=name&_format=json";
    for page in [first, second] {
        assert_eq!(page.link("self"), Some(format!("{}/Patient?{understood}", app.base).as_str()));
    }
    let artifacts = app.get("/StructureDefinition?_elements=url&_id=IDI-Patient&shoe=1").send().match_bundle();
    let understood = format!("{}/StructureDefinition?_id=IDI-Patient&_elements=url", app.base);
    assert_eq!(artifacts.link("self"), Some(understood.as_str()));
}

fn pages_stay_without_repetition_while_another_thread_writes(app: &TestApp) {
    let body = |id: &str| json!({"resourceType": "Organization", "id": id, "name": "Clinic"});
    for number in 0..40 {
        let id = format!("m{number:02}");
        app.put(&format!("/Organization/{id}"), body(&id)).send().expect(201);
    }
    let is_done = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..300 {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                // Before, among and behind those that were there.
                let id = format!("{}{:05}", ["a", "m1", "z"][number % 3], number);
                app.put(&format!("/Organization/{id}"), body(&id)).send().expect(201);
            }
        });
        let found: Vec<Vec<String>> = (0..3).map(|_| follow(app, "/Organization?_count=10").0).collect();
        is_done.store(true, Ordering::Relaxed);
        found
    });
    for ids in found {
        let unique: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "none twice");
        for number in 0..40 {
            assert!(unique.contains(&format!("m{number:02}")), "m{number:02} was there all the time");
        }
    }
}
