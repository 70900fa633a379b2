//! Transactions: all entries or none, references between them settled, problems told with their entry.

use std::thread;

use idi_match::store::audit::{self, AuditRow};
use idi_match::store::{change, identity, record};
use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::people::{organization, stranger, with, with_id, without};
use crate::support::TestApp;

on_both_databases! {
    entries_are_answered_in_their_order_and_done_in_that_of_the_rules,
    references_between_entries_become_addresses,
    criteria_are_resolved_inside_the_transaction,
    references_by_criteria_find_what_is_stored_and_what_is_written,
    a_transaction_that_fails_leaves_nothing,
    whatever_stops_a_transaction_is_told_with_its_entry,
    two_entries_never_write_one_resource,
    two_entries_with_equal_criteria_never_make_two_people,
    an_address_in_the_place_of_a_name_is_no_name_again,
    a_patch_leaves_references_that_it_does_not_touch,
    references_that_a_patch_brings_are_settled_or_refused,
    people_in_a_transaction_get_their_identity,
    a_bundle_that_is_too_large_is_refused_before_it_is_judged,
    a_bundle_that_asks_for_too_much_or_takes_too_long_is_refused,
    a_transaction_has_one_audit_row_with_all_its_records,
    equal_transactions_at_once_make_one_resource,
    preferences_decide_what_comes_back,
}

pub fn entry(method: &str, url: &str, resource: Option<&Value>) -> Value {
    let mut entry = json!({"request": {"method": method, "url": url}});
    if let Some(resource) = resource {
        entry["resource"] = resource.clone();
    }
    entry
}

/// An entry that others call by `name`.
fn named(name: &str, method: &str, url: &str, resource: &Value) -> Value {
    with(&entry(method, url, Some(resource)), "fullUrl", json!(name))
}

/// An entry whose request has one member more.
pub fn asking(entry: &Value, member: &str, value: &str) -> Value {
    let mut asking = entry.clone();
    asking["request"][member] = json!(value);
    asking
}

pub fn bundle(kind: &str, entries: &[Value]) -> Value {
    let mut bundle = json!({"resourceType": "Bundle", "type": kind});
    if !entries.is_empty() {
        bundle["entry"] = json!(entries);
    }
    bundle
}

fn transact(app: &TestApp, entries: &[Value]) -> Answer {
    app.post("", bundle("transaction", entries)).send()
}

pub fn patch(operations: &Value) -> Value {
    let data = base64(operations.to_string().as_bytes());
    json!({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data})
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunk = |chunk: &[u8]| {
        let word = chunk.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let letters = [18, 12, 6, 0].map(|shift| char::from(LETTERS[(word >> shift) as usize & 63]));
        letters.into_iter().take(chunk.len() + 1).chain("==".chars()).take(4).collect::<String>()
    };
    bytes.chunks(3).map(chunk).collect()
}

/// `(status, location)` of each response.
pub fn responses(bundle: &Value) -> Vec<(&str, &str)> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .map(|entry| (&text(&entry["response"], "status")[..3], text(&entry["response"], "location")))
        .collect()
}

/// The id at the end of a `fullUrl`.
fn id_of(entry: &Value) -> String {
    text(entry, "fullUrl").rsplit('/').next().unwrap().to_owned()
}

fn entries_are_answered_in_their_order_and_done_in_that_of_the_rules(app: &TestApp) {
    for id in ["gone", "changed", "patched"] {
        app.store_patient(&with_id(&stranger(1), id));
    }
    let changed = with(&with_id(&stranger(1), "changed"), "language", json!("en"));
    let language = patch(&json!([{"op": "add", "path": "/language", "value": "fr"}]));
    let answer = transact(
        app,
        &[
            entry("GET", "Patient/changed", None),
            entry("PATCH", "Patient/patched", Some(&language)),
            entry("PUT", "Patient/changed", Some(&changed)),
            entry("PUT", "Organization/fresh", Some(&organization("fresh"))),
            entry("POST", "Patient", Some(&stranger(2))),
            entry("DELETE", "Patient/gone", None),
            entry("DELETE", "Patient/never", None),
            entry("GET", "Patient?_id=gone,changed,patched", None),
            entry("GET", "Patient/gone/_history/1", None),
            entry("HEAD", "Organization/fresh", None),
        ],
    )
    .expect(200);
    let bundle = answer.json();
    assert_eq!((text(&bundle, "resourceType"), text(&bundle, "type")), ("Bundle", "transaction-response"));
    let statuses: Vec<&str> = responses(&bundle).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["200", "200", "200", "201", "201", "204", "204", "200", "200", "200"]);
    let read = &bundle["entry"][0];
    assert_eq!(read["resource"]["language"], "en", "a read sees what the transaction has written");
    assert_eq!(
        (text(&read["response"], "etag"), read["fullUrl"].clone()),
        ("W/\"2\"", json!(format!("{}/Patient/changed", app.base)))
    );
    let location = format!("{}/Organization/fresh/_history/1", app.base);
    assert_eq!(text(&bundle["entry"][3]["response"], "location"), location);
    assert!(text(&bundle["entry"][3]["response"], "lastModified").ends_with('Z'));
    assert_eq!(bundle["entry"][7]["resource"]["total"], 2, "and a search too");
    assert!(bundle["entry"][9]["resource"].is_null());
    assert_eq!(app.get("/Patient/patched").send().json()["language"], "fr");
    app.get("/Patient/gone").send().expect(410);
    assert!(bundle["entry"][1]["resource"].is_null(), "what was written is not sent unless it is asked for");
    let times: Vec<Value> = ["/Patient/patched", "/Patient/changed", "/Organization/fresh"]
        .iter()
        .map(|path| app.get(path).send().json()["meta"]["lastUpdated"].clone())
        .collect();
    assert_eq!((&times[0], &times[1]), (&times[1], &times[2]), "one commit, one time");
    assert!(transact(app, &[]).expect(200).json()["entry"].is_null());
    app.post("/", bundle_of_nothing()).send().expect(200);
}

fn bundle_of_nothing() -> Value {
    bundle("transaction", &[])
}

fn references_between_entries_become_addresses(app: &TestApp) {
    let (org, person) =
        ("urn:uuid:0d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001", "urn:uuid:0d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0002");
    let away = "http://away.example.org/fhir";
    let patient = with(&stranger(1), "managingOrganization", json!({"reference": org, "display": org}));
    let patient = with(
        &patient,
        "text",
        json!({"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"{org}\">x</a></div>")}),
    );
    let related = json!({"resourceType": "RelatedPerson", "patient": {"reference": person}});
    // A reference to an entry by its place on another server, and one that stays there.
    let branch =
        json!({"resourceType": "Organization", "name": "Branch", "partOf": {"reference": "Organization/main"}});
    let stays = json!({"resourceType": "Organization", "name": "Stays", "partOf": {"reference": "Organization/main"}});
    let answer = transact(
        app,
        &[
            named("urn:uuid:0d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0003", "POST", "RelatedPerson", &related),
            named(person, "POST", "Patient", &patient),
            named(org, "PUT", "Organization/o1", &organization("o1")),
            named(
                &format!("{away}/Organization/main"),
                "POST",
                "Organization",
                &without(&organization("x"), "identifier"),
            ),
            named(&format!("{away}/Organization/branch"), "POST", "Organization", &branch),
            named("http://other.example.org/fhir/Organization/stays", "POST", "Organization", &stays),
        ],
    )
    .expect(200)
    .json();
    let ids: Vec<String> = (0..6).map(|number| id_of(&answer["entry"][number])).collect();
    let read = |kind: &str, id: &str| app.get(&format!("/{kind}/{id}")).send().expect(200).json();
    assert_eq!(read("RelatedPerson", &ids[0])["patient"]["reference"], format!("Patient/{}", ids[1]));
    let stored = read("Patient", &ids[1]);
    assert_eq!(stored["managingOrganization"], json!({"reference": "Organization/o1", "display": org}));
    assert!(text(&stored["text"], "div").contains("href=\"Organization/o1\""), "{stored}");
    assert_eq!(read("Organization", &ids[4])["partOf"]["reference"], format!("Organization/{}", ids[3]));
    assert_eq!(read("Organization", &ids[5])["partOf"]["reference"], "Organization/main", "not of the same server");
    let found = app.get(&format!("/RelatedPerson?patient=Patient/{}", ids[1])).send().match_bundle();
    assert_eq!(found.ids(), [ids[0].as_str()], "found by the address");
}

fn criteria_are_resolved_inside_the_transaction(app: &TestApp) {
    let by = |id: &str| format!("identifier=urn:orgs|{id}");
    app.put("/Organization/known", organization("known")).send().expect(201);
    app.put("/Organization/left", organization("left")).send().expect(201);
    let related =
        |reference: &str| json!({"resourceType": "Organization", "name": "Part", "partOf": {"reference": reference}});
    let names = [
        "urn:uuid:1d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001",
        "urn:uuid:1d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0002",
        "urn:uuid:1d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0003",
        "urn:uuid:1d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0004",
    ];
    let bare = |id: &str| without(&organization(id), "id");
    let create = |name: &str, id: &str| asking(&named(name, "POST", "Organization", &bare(id)), "ifNoneExist", &by(id));
    let answer = transact(
        app,
        &[
            create(names[0], "known"),
            create(names[1], "fresh"),
            create(names[2], "fresh"),
            named(
                names[3],
                "PUT",
                &format!("Organization?{}", by("left")),
                &with(&bare("left"), "name", json!("Renamed")),
            ),
            entry("PUT", &format!("Organization?{}", by("new")), Some(&bare("new"))),
            entry("DELETE", &format!("Organization?{}", by("nobody")), None),
            entry("POST", "Organization", Some(&related(names[0]))),
            entry("POST", "Organization", Some(&related(names[1]))),
            entry("POST", "Organization", Some(&related(names[2]))),
            entry("POST", "Organization", Some(&related(names[3]))),
        ],
    )
    .expect(200)
    .json();
    let statuses: Vec<&str> = responses(&answer).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["200", "201", "200", "200", "201", "204", "201", "201", "201", "201"]);
    let ids: Vec<String> = answer["entry"].as_array().unwrap().iter().map(id_of).collect();
    assert_eq!((ids[0].as_str(), ids[3].as_str()), ("known", "left"));
    assert_eq!(ids[1], ids[2], "the same criteria twice are one resource");
    for (part, whole) in [(6, "known"), (7, ids[1].as_str()), (8, ids[1].as_str()), (9, "left")] {
        let part = app.get(&format!("/Organization/{}", ids[part])).send().expect(200).json();
        assert_eq!(part["partOf"]["reference"], format!("Organization/{whole}"));
    }
    assert_eq!(app.get("/Organization/known").send().header("etag"), Some("W/\"1\""), "it stays as it was");
    assert_eq!(app.get("/Organization/left").send().json()["name"], "Renamed");
}

fn references_by_criteria_find_what_is_stored_and_what_is_written(app: &TestApp) {
    app.put("/Organization/known", organization("known")).send().expect(201);
    let part = |id: &str| json!({"resourceType": "Organization", "name": "Part", "partOf": {"reference": format!("Organization?identifier=urn:orgs|{id}")}});
    let answer = transact(
        app,
        &[
            entry("POST", "Organization", Some(&part("known"))),
            entry("POST", "Organization", Some(&part("fresh"))),
            entry("POST", "Organization", Some(&organization("fresh"))),
        ],
    )
    .expect(200)
    .json();
    let ids: Vec<String> = answer["entry"].as_array().unwrap().iter().map(id_of).collect();
    for (part, whole) in [(&ids[0], "known"), (&ids[1], ids[2].as_str())] {
        let part = app.get(&format!("/Organization/{part}")).send().expect(200).json();
        assert_eq!(part["partOf"]["reference"], format!("Organization/{whole}"));
    }
    app.put("/Organization/twin", with_id(&organization("known"), "twin")).send().expect(201);
    for (id, code) in [("nobody", "conflict"), ("known", "multiple-matches")] {
        let answer = transact(app, &[entry("POST", "Organization", Some(&part(id)))]).expect(412);
        let place = "Bundle.entry[0].resource.partOf.reference".to_owned();
        assert_eq!(answer.errors(), [(code.to_owned(), vec![place])], "{id}");
    }
}

/// Everything that a write could have left.
fn traces(app: &TestApp) -> (i64, i64, i64, Vec<u64>) {
    let conn = &mut app.connection();
    let totals = ["Patient", "Organization", "RelatedPerson"]
        .map(|kind| app.get(&format!("/{kind}?_total=accurate")).send().expect(200).match_bundle().total());
    (record::count(conn).unwrap(), identity::count(conn).unwrap(), change::last_seq(conn).unwrap(), totals.to_vec())
}

fn a_transaction_that_fails_leaves_nothing(app: &TestApp) {
    for id in ["kept", "gone"] {
        app.store_patient(&with_id(&stranger(1), id));
    }
    let before = traces(app);
    let good: Vec<Value> = (10..30)
        .map(|number| entry("POST", "Patient", Some(&stranger(number))))
        .chain([
            entry("DELETE", "Patient/gone", None),
            entry("PUT", "Patient/kept", Some(&with(&with_id(&stranger(1), "kept"), "language", json!("en")))),
            entry("PATCH", "Patient?_id=kept-not", Some(&patch(&json!([])))),
        ])
        .take(22)
        .collect();
    let stale = asking(&entry("PUT", "Patient/other", Some(&with_id(&stranger(3), "other"))), "ifMatch", "W/\"7\"");
    let last = [
        (400, entry("POST", "Patient", Some(&json!({"resourceType": "Patient", "shoe": 1})))),
        (412, stale),
        (400, entry("GET", "Patient/nobody", None)),
        (400, entry("GET", "Patient/gone", None)),
        (400, entry("PATCH", "Patient/nobody", Some(&patch(&json!([{"op": "remove", "path": "/language"}]))))),
        (422, entry("PATCH", "Organization/responder-not", Some(&patch(&json!([{"op": "remove", "path": "/x"}]))))),
        (
            412,
            entry(
                "POST",
                "Organization",
                Some(
                    &json!({"resourceType": "Organization", "name": "x", "partOf": {"reference": "Organization?identifier=nobody"}}),
                ),
            ),
        ),
        (409, entry("PUT", "Organization/responder", Some(&organization("responder")))),
    ];
    app.put("/Organization/responder-not", organization("responder-not")).send().expect(201);
    let before = (before.0, before.1, before.2, traces(app).3);
    for (status, last) in last {
        let rows = app.audit_rows();
        let all: Vec<Value> = good.iter().cloned().chain([last.clone()]).collect();
        let answer = transact(app, &all).expect(status);
        let place = &answer.errors()[0].1[0];
        assert!(place.starts_with("Bundle.entry[22]"), "{last}: {place}");
        assert_eq!(app.audit_rows(), rows + 1, "the refusal is noted, once");
        assert_eq!(traces(app), before, "{last}");
        assert_eq!(app.get("/Patient/kept").send().header("etag"), Some("W/\"1\""));
        app.get("/Patient/kept/_history/2").send().expect(404);
        app.get("/Patient/gone").send().expect(200);
        assert_eq!(app.idi_match(&stranger(15)).total(), 0, "the index knows nothing of it");
    }
    transact(app, &good).expect(200);
    assert_eq!(app.idi_match(&stranger(15)).total(), 1);
}

/// A stop of a transaction: what, its entries, status, code and place.
type Stop = (&'static str, Vec<Value>, u16, &'static str, &'static str);

#[allow(clippy::too_many_lines, reason = "a table")]
fn stops() -> Vec<Stop> {
    let patient = without(&stranger(5), "id");
    let post = |resource: &Value| entry("POST", "Patient", Some(resource));
    let put = |id: &str| entry("PUT", &format!("Patient/{id}"), Some(&with_id(&patient, id)));
    let get = |url: &str| vec![entry("GET", url, None)];
    let subsetted =
        json!({"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]});
    let name = "urn:uuid:2d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001";
    let refers = |reference: &str| with(&patient, "managingOrganization", json!({"reference": reference}));
    let binary = |members: Value| entry("PATCH", "Patient/p1", Some(&with(&members, "resourceType", json!("Binary"))));
    vec![
        ("no request", vec![json!({"resource": patient})], 400, "required", "Bundle.entry[0].request"),
        ("an entry of nothing", vec![json!({})], 400, "required", "Bundle.entry[0].request"),
        ("an entry that is none", vec![json!(7)], 400, "structure", "Bundle.entry[0]"),
        ("no method", vec![json!({"request": {"url": "Patient"}})], 400, "required", "Bundle.entry[0].request"),
        ("no address", vec![json!({"request": {"method": "GET"}})], 400, "required", "Bundle.entry[0].request"),
        (
            "an unknown method",
            vec![entry("BREW", "Patient", None)],
            400,
            "code-invalid",
            "Bundle.entry[0].request.method",
        ),
        (
            "a method in small letters",
            vec![entry("post", "Patient", Some(&patient))],
            400,
            "code-invalid",
            "Bundle.entry[0].request.method",
        ),
        ("an unknown element", vec![with(&put("p9"), "shoe", json!(1))], 400, "structure", "Bundle.entry[0].shoe"),
        (
            "an unknown element of a request",
            vec![asking(&put("p9"), "shoe", "1")],
            400,
            "structure",
            "Bundle.entry[0].request.shoe",
        ),
        (
            "a resource that is none",
            vec![with(&put("p9"), "resource", json!("x"))],
            400,
            "structure",
            "Bundle.entry[0].resource",
        ),
        (
            "a problem of a document",
            vec![put("p9"), post(&with(&patient, "birthDate", json!("1980-02-30")))],
            400,
            "value",
            "Bundle.entry[1].resource.birthDate",
        ),
        (
            "an unknown element of a document",
            vec![post(&with(&patient, "name", json!([{"shoe": 1}])))],
            400,
            "structure",
            "Bundle.entry[0].resource.name[0].shoe",
        ),
        (
            "a part of a record",
            vec![post(&with(&patient, "meta", subsetted))],
            422,
            "business-rule",
            "Bundle.entry[0].resource.meta.tag",
        ),
        (
            "a resource of another type",
            vec![entry("POST", "Organization", Some(&patient))],
            400,
            "invalid",
            "Bundle.entry[0].resource",
        ),
        (
            "a type that is not stored",
            vec![entry("POST", "Observation", Some(&json!({"resourceType": "Observation"})))],
            400,
            "not-found",
            "Bundle.entry[0]",
        ),
        (
            "a type that is only read",
            vec![entry("POST", "ValueSet", Some(&json!({"resourceType": "ValueSet"})))],
            400,
            "not-supported",
            "Bundle.entry[0].request.method",
        ),
        (
            "another id than the address has",
            vec![entry("PUT", "Patient/p1", Some(&with_id(&patient, "p2")))],
            400,
            "invalid",
            "Bundle.entry[0].resource.id",
        ),
        (
            "no id where the address has one",
            vec![entry("PUT", "Patient/p1", Some(&patient))],
            400,
            "invalid",
            "Bundle.entry[0].resource.id",
        ),
        (
            "an id that is none",
            vec![entry("PUT", "Patient/p_1", Some(&with_id(&patient, "p_1")))],
            400,
            "value",
            "Bundle.entry[0].request.url",
        ),
        (
            "a create with an id",
            vec![entry("POST", "Patient/p1", Some(&patient))],
            400,
            "not-supported",
            "Bundle.entry[0].request.url",
        ),
        (
            "an update of a type",
            vec![entry("PUT", "Patient", Some(&patient))],
            400,
            "not-supported",
            "Bundle.entry[0].request.url",
        ),
        (
            "an operation",
            vec![entry("POST", "Patient/$idi-match", Some(&patient))],
            400,
            "not-supported",
            "Bundle.entry[0].request.url",
        ),
        (
            "an address of another server",
            get("http://away.example.org/fhir/Patient/1"),
            400,
            "not-supported",
            "Bundle.entry[0].request.url",
        ),
        ("no address at all", get("/"), 400, "not-supported", "Bundle.entry[0].request.url"),
        ("a read of nobody", get("Patient/nobody"), 400, "not-found", "Bundle.entry[0]"),
        (
            "a create without a resource",
            vec![entry("POST", "Patient", None)],
            400,
            "required",
            "Bundle.entry[0].resource",
        ),
        (
            "a read with a resource",
            vec![entry("GET", "Patient/p1", Some(&patient))],
            400,
            "invalid",
            "Bundle.entry[0].resource",
        ),
        (
            "a delete with a resource",
            vec![entry("DELETE", "Patient/p1", Some(&patient))],
            400,
            "invalid",
            "Bundle.entry[0].resource",
        ),
        (
            "a create under a version",
            vec![asking(&post(&patient), "ifMatch", "W/\"1\"")],
            400,
            "not-supported",
            "Bundle.entry[0].request.ifMatch",
        ),
        (
            "an update if none exists",
            vec![asking(&put("p9"), "ifNoneExist", "identifier=x")],
            400,
            "not-supported",
            "Bundle.entry[0].request.ifNoneExist",
        ),
        (
            "a version that is none",
            vec![asking(&put("p9"), "ifMatch", "1")],
            400,
            "value",
            "Bundle.entry[0].request.ifMatch",
        ),
        (
            "a version that is not there",
            vec![asking(&put("p1"), "ifMatch", "W/\"9\"")],
            412,
            "conflict",
            "Bundle.entry[0].request.ifMatch",
        ),
        (
            "a delete of a version that is not there",
            vec![asking(&entry("DELETE", "Patient/p1", None), "ifMatch", "W/\"9\"")],
            412,
            "conflict",
            "Bundle.entry[0].request.ifMatch",
        ),
        (
            "nothing where something is",
            vec![asking(&put("p1"), "ifNoneMatch", "*")],
            412,
            "conflict",
            "Bundle.entry[0].request.ifNoneMatch",
        ),
        (
            "no criteria",
            vec![asking(&post(&patient), "ifNoneExist", "_format=json")],
            400,
            "required",
            "Bundle.entry[0].request.ifNoneExist",
        ),
        (
            "unknown criteria",
            vec![asking(&post(&patient), "ifNoneExist", "shoe=44")],
            400,
            "not-supported",
            "Bundle.entry[0].request.ifNoneExist",
        ),
        (
            "criteria of an unknown date",
            vec![asking(&post(&patient), "ifNoneExist", "birthdate=x")],
            400,
            "value",
            "Bundle.entry[0].request.ifNoneExist",
        ),
        (
            "criteria that several fit",
            vec![asking(&post(&patient), "ifNoneExist", "active=true")],
            412,
            "multiple-matches",
            "Bundle.entry[0].request.ifNoneExist",
        ),
        (
            "a change of several",
            vec![entry("PUT", "Patient?active=true", Some(&patient))],
            412,
            "multiple-matches",
            "Bundle.entry[0].request.url",
        ),
        (
            "a deletion of several",
            vec![entry("DELETE", "Patient?active=true", None)],
            412,
            "multiple-matches",
            "Bundle.entry[0].request.url",
        ),
        ("a deletion of all", vec![entry("DELETE", "Patient?", None)], 400, "required", "Bundle.entry[0].request.url"),
        (
            "a name that is used twice",
            vec![named(name, "POST", "Patient", &patient), named(name, "POST", "Patient", &patient)],
            400,
            "duplicate",
            "Bundle.entry[1].fullUrl",
        ),
        (
            "a reference to no entry",
            vec![put("p9"), post(&refers(name))],
            400,
            "not-found",
            "Bundle.entry[1].resource.managingOrganization.reference",
        ),
        (
            "a reference by no criteria",
            vec![post(&refers("Organization?"))],
            400,
            "required",
            "Bundle.entry[0].resource.managingOrganization.reference",
        ),
        (
            "a reference by unknown criteria",
            vec![post(&refers("Organization?shoe=44"))],
            400,
            "not-supported",
            "Bundle.entry[0].resource.managingOrganization.reference",
        ),
        (
            "a reference to a type that is not stored",
            vec![post(&refers("Practitioner?identifier=1"))],
            400,
            "not-found",
            "Bundle.entry[0].resource.managingOrganization.reference",
        ),
        (
            "a patch that is no Binary",
            vec![entry("PATCH", "Patient/p1", Some(&json!({"resourceType": "Parameters"})))],
            400,
            "not-supported",
            "Bundle.entry[0].resource",
        ),
        (
            "a patch of another kind",
            vec![binary(json!({"contentType": "text/plain", "data": "W10="}))],
            400,
            "not-supported",
            "Bundle.entry[0].resource.contentType",
        ),
        (
            "a patch that is no base64",
            vec![binary(json!({"contentType": "application/json-patch+json", "data": "%"}))],
            400,
            "value",
            "Bundle.entry[0].resource.data",
        ),
        (
            "a patch that is none",
            vec![entry("PATCH", "Patient/p1", Some(&patch(&json!({}))))],
            400,
            "structure",
            "Bundle.entry[0]",
        ),
        (
            "a patch that does not fit",
            vec![entry("PATCH", "Patient/p1", Some(&patch(&json!([{"op": "remove", "path": "/language"}]))))],
            422,
            "processing",
            "Bundle.entry[0].resource.data",
        ),
        (
            "a patch to what is no Patient",
            vec![entry("PATCH", "Patient/p1", Some(&patch(&json!([{"op": "add", "path": "/shoe", "value": 1}]))))],
            422,
            "structure",
            "Bundle.entry[0].resource.shoe",
        ),
    ]
}

fn whatever_stops_a_transaction_is_told_with_its_entry(app: &TestApp) {
    for id in ["p1", "p2"] {
        app.store_patient(&with(&with_id(&stranger(1), id), "active", json!(true)));
    }
    let before = traces(app);
    for (what, entries, status, code, place) in stops() {
        let answer = transact(app, &entries).expect(status);
        let errors = answer.errors();
        assert_eq!((errors[0].0.as_str(), errors[0].1[0].as_str()), (code, place), "{what}: {}", answer.text());
        assert_eq!(traces(app), before, "{what}");
    }
    let bundles = [
        (json!({"resourceType": "Bundle"}), "required", "Bundle.type"),
        (json!({"resourceType": "Bundle", "type": "collection"}), "invalid", "Bundle.type"),
        (json!({"resourceType": "Bundle", "type": "history"}), "invalid", "Bundle.type"),
        (json!({"resourceType": "Bundle", "type": 7}), "required", "Bundle.type"),
        (json!({"resourceType": "Bundle", "type": "transaction", "entry": []}), "structure", "Bundle.entry"),
        (json!({"resourceType": "Bundle", "type": "transaction", "entry": {}}), "structure", "Bundle.entry"),
        (json!({"resourceType": "Bundle", "type": "transaction", "shoe": 1}), "structure", "Bundle.shoe"),
        (json!({"resourceType": "Patient"}), "invalid", "resourceType"),
        (json!([]), "invalid", "resourceType"),
    ];
    for (body, code, place) in bundles {
        let errors = app.post("", &body).send().expect(400).errors();
        assert_eq!((errors[0].0.as_str(), errors[0].1[0].as_str()), (code, place), "{body}");
    }
    let twice = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"a","id":"b"}}]}"#;
    let errors = app.post("", twice).send().expect(400).errors();
    assert_eq!(errors, [("structure".to_owned(), vec!["Bundle.entry[0].resource.id".to_owned()])]);
    let bad = json!({"resourceType": "Patient", "active": 1, "shoe": 1});
    let many: Vec<Value> = (0..3).map(|_| entry("POST", "Patient", Some(&bad))).collect();
    assert_eq!(transact(app, &many).expect(400).errors().len(), 6, "every problem is told at once");
}

fn two_entries_never_write_one_resource(app: &TestApp) {
    let patient = |id: &str| with_id(&stranger(1), id);
    app.store_patient(&patient("p1"));
    let put = entry("PUT", "Patient/p1", Some(&with(&patient("p1"), "language", json!("en"))));
    let delete = entry("DELETE", "Patient/p1", None);
    let by_criteria = entry("PUT", "Patient?_id=p1", Some(&without(&patient("p1"), "id")));
    let patch = entry("PATCH", "Patient/p1", Some(&patch(&json!([{"op": "add", "path": "/language", "value": "en"}]))));
    let fresh = entry("PUT", "Patient/p2", Some(&patient("p2")));
    let table = [
        [&put, &put],
        [&put, &delete],
        [&delete, &delete],
        [&patch, &put],
        [&by_criteria, &put],
        [&delete, &entry("DELETE", "Patient?_id=p1", None)],
        [&patch, &by_criteria],
        [&fresh, &fresh],
    ];
    for pair in table {
        let answer = transact(app, &pair.map(Clone::clone)).expect(400);
        let errors = answer.errors();
        assert_eq!(errors[0].0, "duplicate", "{pair:?}");
        assert!(errors[0].1[0].ends_with(".request.url"), "{pair:?}");
        assert_eq!(app.get("/Patient/p1").send().expect(200).header("etag"), Some("W/\"1\""));
    }
    app.get("/Patient/p2").send().expect(404);
}

fn two_entries_with_equal_criteria_never_make_two_people(app: &TestApp) {
    let criteria = "identifier=urn:mrn|7";
    let update = || entry("PUT", &format!("Patient?{criteria}"), Some(&without(&stranger(1), "id")));
    let create = asking(&entry("POST", "Patient", Some(&stranger(2))), "ifNoneExist", criteria);
    for entries in [[update(), update()], [create, update()]] {
        let refused = transact(app, &entries).expect(400);
        assert_eq!(refused.errors()[0].0, "duplicate");
        assert_eq!(app.get("/Patient").send().match_bundle().total(), 0);
    }
}

fn an_address_in_the_place_of_a_name_is_no_name_again(app: &TestApp) {
    let task = json!({"resourceType": "Task", "status": "requested", "intent": "order",
        "for": {"reference": "http://source.example/Patient/1"}});
    let entries = [
        named("http://source.example/Patient/1", "PUT", "Patient/2", &with_id(&stranger(1), "2")),
        named("http://source.example/Patient/2", "PUT", "Patient/3", &with_id(&stranger(2), "3")),
        named("http://source.example/Task/9", "PUT", "Task/9", &with_id(&task, "9")),
    ];
    transact(app, &entries).expect(200);
    assert_eq!(app.get("/Task/9").send().json()["for"]["reference"], "Patient/2");
}

fn a_patch_leaves_references_that_it_does_not_touch(app: &TestApp) {
    let patient = with(&with_id(&stranger(1), "p"), "managingOrganization", json!({"reference": "Organization/1"}));
    app.put("/Patient/p", &patient).send().expect(201);
    let body = patch(&json!([{"op": "add", "path": "/active", "value": true}]));
    let entries = [
        named("http://source.example/Patient/77", "PATCH", "Patient/p", &body),
        named("http://source.example/Organization/1", "POST", "Organization", &organization("1")),
    ];
    transact(app, &entries).expect(200);
    let patched = app.get("/Patient/p").send().json();
    assert_eq!(
        (&patched["active"], &patched["managingOrganization"]["reference"]),
        (&json!(true), &json!("Organization/1"))
    );
}

fn references_that_a_patch_brings_are_settled_or_refused(app: &TestApp) {
    let clinic = |value: &str| {
        with(&without(&organization("x"), "id"), "identifier", json!([{"system": "urn:orgs", "value": value}]))
    };
    let criteria = |value: &str| json!({"reference": format!("Organization?identifier=urn:orgs%7C{value}")});
    let known = id_of(&json!({"fullUrl": app.post("/Organization", clinic("one")).send().expect(201).json()["id"]}));
    let asking = with(&with_id(&stranger(1), "p"), "managingOrganization", criteria("never"));
    app.put("/Patient/p", &asking).send().expect(201);
    let brings = |reference: &Value| {
        let value = json!([{"op": "add", "path": "/generalPractitioner", "value": [reference]}]);
        entry("PATCH", "Patient/p", Some(&patch(&value)))
    };
    let stored = || {
        let patient = app.get("/Patient/p").send().expect(200).json();
        assert_eq!(patient["managingOrganization"], criteria("never"), "what no patch has brought stays as it is");
        patient["generalPractitioner"][0]["reference"].clone()
    };
    transact(app, &[brings(&criteria("one"))]).expect(200);
    assert_eq!(stored(), format!("Organization/{known}"));
    // What others write in the same transaction is found, also where that asks by criteria itself.
    let part = with(&clinic("two"), "partOf", criteria("one"));
    let answer = transact(app, &[brings(&criteria("two")), entry("POST", "Organization", Some(&part))]).expect(200);
    let written = text(&answer.json()["entry"][1]["response"], "location").split('/').nth_back(2).unwrap().to_owned();
    assert_eq!(stored(), format!("Organization/{written}"));
    let name = "urn:uuid:3d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0002";
    let named_one = named(name, "POST", "Organization", &clinic("three"));
    let answer = transact(app, &[brings(&json!({"reference": name})), named_one]).expect(200).json();
    let written = text(&answer["entry"][1]["response"], "location").split('/').nth_back(2).unwrap().to_owned();
    assert_eq!(stored(), format!("Organization/{written}"));

    let unknown = json!({"reference": "urn:uuid:3d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0003"});
    let place = "Bundle.entry[0].resource.generalPractitioner[0].reference";
    for (kind, reference, status, code) in [
        ("transaction", &unknown, 422, "not-found"),
        ("transaction", &criteria("nobody"), 412, "conflict"),
        ("transaction", &json!({"reference": "Organization?shoe=44"}), 422, "not-supported"),
        ("batch", &unknown, 422, "not-found"),
        ("batch", &criteria("one"), 422, "not-supported"),
    ] {
        let answer = app.post("", bundle(kind, &[brings(reference)])).send();
        let outcome = if kind == "batch" {
            let answered = answer.expect(200).json()["entry"][0]["response"].clone();
            assert_eq!(&text(&answered, "status")[..3], status.to_string());
            answered["outcome"].clone()
        } else {
            answer.expect(status).json()
        };
        let issue = &outcome["issue"][0];
        assert_eq!((text(issue, "code"), &issue["expression"]), (code, &json!([place])), "{kind} {reference}");
        assert_eq!(stored(), format!("Organization/{written}"));
    }
    let active = entry("PATCH", "Patient/p", Some(&patch(&json!([{"op": "add", "path": "/active", "value": false}]))));
    for kind in ["transaction", "batch"] {
        let answer = app.post("", bundle(kind, std::slice::from_ref(&active))).send().expect(200).json();
        assert_eq!(responses(&answer)[0].0, "200");
        assert_eq!(stored(), format!("Organization/{written}"));
    }
}

fn people_in_a_transaction_get_their_identity(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "before"));
    let name = "urn:uuid:3d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001";
    let merged = json!({"resourceType": "Patient", "id": "merged", "active": false,
        "link": [{"type": "replaced-by", "other": {"reference": name}}]});
    transact(
        app,
        &[
            entry("PUT", "Patient/again", Some(&with_id(&stranger(1), "again"))),
            entry("PUT", "Patient/merged", Some(&merged)),
            named(name, "POST", "Patient", &stranger(1)),
            entry("POST", "Patient", Some(&stranger(2))),
        ],
    )
    .expect(200);
    let found = app.idi_match(&stranger(1));
    assert_eq!(found.ids().len(), 3, "the three records of one person, and not the one that was merged");
    assert_eq!(identity::count(&mut app.connection()), Ok(2));
    assert_eq!(record::count(&mut app.connection()), Ok(5));
}

fn a_bundle_that_is_too_large_is_refused_before_it_is_judged(app: &TestApp) {
    let small = app.beside(&[("limits.bundle_entries_max", "3")]);
    let wide = app.beside(&[("limits.values_max", "10000000"), ("limits.body_bytes_max", "100000000")]);
    let read = || entry("GET", "Patient/nobody", None);
    for kind in ["transaction", "batch"] {
        let entries: Vec<Value> = (0..4).map(|_| read()).collect();
        let answer = small.post("", bundle(kind, &entries)).send().expect(413);
        assert_eq!(answer.errors(), [("too-long".to_owned(), vec!["Bundle.entry".to_owned()])]);
        assert!(small.post("", bundle(kind, &entries[..3])).send().status != 413);
        let huge =
            format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, vec!["{}"; 100_000].join(","));
        for app in [app, &wide] {
            assert_eq!(app.post("", &huge).send().expect(413).errors()[0].0, "too-long");
        }
    }
}

fn a_bundle_that_asks_for_too_much_or_takes_too_long_is_refused(app: &TestApp) {
    let narrow = app.beside(&[("limits.bundle_answer_bytes_max", "65536")]);
    let hasty = app.beside(&[("limits.transaction_ms_max", "10")]);
    let long = with(
        &with_id(&stranger(1), "long"),
        "text",
        json!({"status": "additional", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", "x".repeat(30_000))}),
    );
    app.store_patient(&long);
    let read = |count: usize| (0..count).map(|_| entry("GET", "Patient/long", None)).collect::<Vec<Value>>();
    assert_eq!(
        transact(&narrow, &read(3)).expect(413).errors()[0],
        ("too-costly".to_owned(), vec!["Bundle.entry[2].request.url".to_owned()])
    );
    transact(&narrow, &read(2)).expect(200);
    let answer = narrow.post("", bundle("batch", &read(4))).send().expect(200).json();
    let statuses: Vec<&str> = responses(&answer).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["200", "200", "413", "413"]);
    let searches: Vec<Value> = (0..51).map(|_| entry("GET", "Organization?name=x", None)).collect();
    assert_eq!(transact(app, &searches).expect(400).errors()[0].0, "too-costly");
    transact(app, &searches[1..]).expect(200);
    let before = app.audit_rows();
    let puts: Vec<Value> = (0..900)
        .map(|number| {
            entry("PUT", &format!("Patient/h{number}"), Some(&with_id(&stranger(number), &format!("h{number}"))))
        })
        .collect();
    let refused = transact(&hasty, &puts).expect(413);
    assert_eq!(refused.errors(), [("too-costly".to_owned(), vec!["Bundle.entry".to_owned()])]);
    app.get("/Patient/h1").send().expect(404);
    assert_eq!(app.audit_rows(), before + 2, "one transaction, and the read");
}

fn last_rows(app: &TestApp, before: i64) -> Vec<AuditRow> {
    audit::list_after(&mut app.connection(), 0, 10_000).unwrap().split_off(usize::try_from(before).unwrap())
}

fn a_transaction_has_one_audit_row_with_all_its_records(app: &TestApp) {
    for id in ["p1", "p2"] {
        app.store_patient(&with_id(&stranger(1), id));
    }
    let before = app.audit_rows();
    let answer = transact(
        app,
        &[
            entry("GET", "Patient/p1", None),
            entry("POST", "Organization", Some(&organization("x"))),
            entry("DELETE", "Patient/p2", None),
        ],
    )
    .expect(200);
    let rows = last_rows(app, before);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].action.as_str(), rows[0].outcome.as_str()), ("bundle", "success"));
    assert_eq!(Some(rows[0].request_id.as_str()), answer.header("x-request-id"));
    let detail: Value = serde_json::from_str(&rows[0].detail).unwrap();
    let fresh = format!("Organization/{}", id_of(&answer.json()["entry"][1]));
    assert_eq!(detail["records"], json!(["Patient/p2", fresh, "Patient/p1"]));
    let before = app.audit_rows();
    transact(app, &[entry("GET", "Patient/Dragomir", None)]).expect(400);
    app.post("", "{").send().expect(400);
    app.post("", "x").header("Content-Type", "text/plain").send().expect(415);
    let rows = last_rows(app, before);
    assert_eq!(rows.iter().map(|row| row.outcome.as_str()).collect::<Vec<_>>(), ["refused"; 3]);
    assert!(rows.iter().all(|row| row.action == "bundle"));
}

fn equal_transactions_at_once_make_one_resource(app: &TestApp) {
    let other = app.beside(&[]);
    let create = |number: usize| {
        let bare = without(&organization("one"), "id");
        let part = json!({"resourceType": "Organization", "name": format!("Part {number}"), "partOf": {"reference": "urn:uuid:4d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001"}});
        let whole = named("urn:uuid:4d5c7d2e-9f5b-4b5e-8a6b-2f6f6b9f0001", "POST", "Organization", &bare);
        [asking(&whole, "ifNoneExist", "identifier=urn:orgs|one"), entry("POST", "Organization", Some(&part))]
    };
    let mut ids: Vec<String> = thread::scope(|scope| {
        let run = |number: usize| {
            let app = if number.is_multiple_of(2) { app } else { &other };
            scope.spawn(move || id_of(&transact(app, &create(number)).expect(200).json()["entry"][0]))
        };
        let running: Vec<_> = (0..32).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let found = app.get("/Organization?identifier=urn:orgs%7Cone").send().match_bundle();
    assert_eq!(found.ids(), [ids[0].as_str()]);
    let parts = app.get(&format!("/Organization?partof=Organization/{}&_count=100", ids[0])).send().match_bundle();
    assert_eq!(parts.ids().len(), 32, "every part refers to it");
}

fn preferences_decide_what_comes_back(app: &TestApp) {
    for (prefer, has_resource, has_outcome) in [
        ("", false, false),
        ("return=minimal", false, false),
        ("return=representation", true, false),
        ("return=OperationOutcome", false, true),
    ] {
        for kind in ["transaction", "batch"] {
            let body = bundle(kind, &[entry("POST", "Patient", Some(&stranger(1)))]);
            let answer = app.post("", body).header("Prefer", prefer).send().expect(200).json();
            let created = &answer["entry"][0];
            assert_eq!(created["resource"]["resourceType"] == "Patient", has_resource, "{prefer}");
            assert_eq!(created["response"]["outcome"]["resourceType"] == "OperationOutcome", has_outcome, "{prefer}");
        }
    }
}
