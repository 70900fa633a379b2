//! Export, load into an empty database of the other kind, export again: nothing is lost on the way.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::database::Database;
use crate::loading::load;
use crate::people::{Folder, patient};
use crate::program::{Server, run, wait_for};

on_both_databases! {
    what_is_exported_and_loaded_is_exported_the_same_from_another_database,
}

/// The responder is the same everywhere, for it is stored by each server.
const OPTIONS: [&str; 4] = ["--organization-phone", "+1-555-0100", "--limits-export-part-resources-max", "70"];

fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build())
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}/fhir{path}", server.address)
}

fn put(server: &Server, body: &str) {
    let resource: Value = serde_json::from_str(body).unwrap();
    let path = format!("/{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let answer = agent().put(url(server, &path)).header("content-type", "application/fhir+json").send(body).unwrap();
    assert!(matches!(answer.status().as_u16(), 200 | 201), "{path}: {}", answer.status());
}

fn delete(server: &Server, path: &str) {
    assert_eq!(agent().delete(url(server, path)).call().unwrap().status().as_u16(), 204, "{path}");
}

/// The files of an export of everything, by name.
fn export(server: &Server) -> BTreeMap<String, String> {
    let begun = agent().get(url(server, "/$export")).header("prefer", "respond-async").call().unwrap();
    assert_eq!(begun.status().as_u16(), 202);
    let location = begun.headers().get("content-location").unwrap().to_str().unwrap().to_owned();
    let manifest: Value = wait_for("the manifest", || {
        let mut answer = agent().get(&location).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16() == 200).then(|| serde_json::from_str(&text).unwrap())
    });
    assert_eq!((&manifest["deleted"], &manifest["error"]), (&json!([]), &json!([])));
    let file = |file: &Value| {
        let address = file["url"].as_str().unwrap();
        let mut answer = agent().get(address).call().unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        assert_eq!(file["count"], text.lines().count());
        (address.rsplit('/').next().unwrap().to_owned(), text)
    };
    manifest["output"].as_array().unwrap().iter().map(file).collect()
}

/// Every resource by type and id, its text without the two values that each server gives itself.
fn resources(files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let resource = |line: &str| {
        let parsed: Value = serde_json::from_str(line).unwrap();
        let meta = &parsed["meta"];
        let own = format!(r#""versionId":{},"lastUpdated":{}"#, meta["versionId"], meta["lastUpdated"]);
        assert!(line.contains(&own), "{own}");
        let name = format!("{}/{}", parsed["resourceType"].as_str().unwrap(), parsed["id"].as_str().unwrap());
        (name, line.replacen(&own, "", 1))
    };
    let all: Vec<(String, String)> = files.values().flat_map(|file| file.lines().map(resource)).collect();
    let by_name: BTreeMap<String, String> = all.iter().cloned().collect();
    assert_eq!(by_name.len(), all.len(), "a resource is there twice");
    by_name
}

/// Resources of every type, some of them odd to write: line ends between members, decimals, escapes.
fn others() -> Vec<String> {
    let patient = json!({"reference": "Patient/extra-1"});
    let mut all: Vec<String> = [
        json!({"resourceType": "RelatedPerson", "id": "r1", "patient": patient, "name": [{"family": "Example"}]}),
        json!({"resourceType": "Person", "id": "n1", "link": [{"target": patient, "assurance": "level2"}]}),
        json!({"resourceType": "Consent", "id": "c1", "status": "active", "patient": patient,
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]}}),
        json!({"resourceType": "Provenance", "id": "v1", "target": [patient], "recorded": "2026-01-02T03:04:05Z",
            "agent": [{"who": {"reference": "Organization/o1"}}]}),
        json!({"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order", "for": patient}),
        json!({"resourceType": "Organization", "id": "o2", "name": "Deleted later"}),
    ]
    .iter()
    .map(Value::to_string)
    .collect();
    let odd = "{\r\n  \"resourceType\" : \"Organization\",\n\t\"id\" : \"o1\",\n  \"name\" : \"Cl\\u00ednica \\n \u{6f22}\",\n  \
               \"extension\" : [ { \"url\" : \"urn:d\", \"valueDecimal\" : 1.50 } ]\n}";
    all.push(odd.to_owned());
    all
}

fn fill(server: &Server) {
    for number in 0..6 {
        put(server, &patient(&format!("extra-{number}"), 300 + number).to_string());
    }
    others().iter().for_each(|body| put(server, body));
    let mut changed = patient("extra-2", 302);
    changed["active"] = json!(false);
    put(server, &changed.to_string());
    delete(server, "/Patient/extra-3");
    delete(server, "/Organization/o2");
    put(server, &patient("extra-3", 303).to_string());
    delete(server, "/Patient/extra-4");
}

fn what_is_exported_and_loaded_is_exported_the_same_from_another_database(database: &Database) {
    let folder = Folder::new();
    let out = folder.text("people");
    run(["synth", "--people", "120", "--out", &out]).with_code(0);
    load(database, &format!("{out}/patients.ndjson"), &[]).with_code(0);
    let source = Server::start(&database.url(), &OPTIONS);
    fill(&source);
    let exported = export(&source);
    drop(source);
    let first = resources(&exported);
    assert_eq!(exported.keys().filter(|name| name.starts_with("Patient-")).count(), 2, "{:?}", exported.keys());
    for name in ["Patient/extra-3", "RelatedPerson/r1", "Person/n1", "Consent/c1", "Provenance/v1", "Task/t1"] {
        assert!(first.contains_key(name), "{name}");
    }
    for name in ["Patient/extra-4", "Organization/o2"] {
        assert!(!first.contains_key(name), "{name}");
    }
    let other = match database {
        Database::Sqlite(_) => Database::postgres(),
        Database::Postgres(_) => Database::sqlite(),
    };
    for (name, text) in &exported {
        let file = folder.write(name, text);
        let summary = load(&other, &file, &[]).json(0);
        assert_eq!((&summary["loaded"], &summary["rejected"]), (&json!(text.lines().count()), &json!(0)), "{name}");
    }
    let target = Server::start(&other.url(), &OPTIONS);
    let second = resources(&export(&target));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, text) in &first {
        assert_eq!(text, &second[name], "{name}");
    }
    let records = |database: &Database| database.number("SELECT COUNT(*) FROM record");
    assert_eq!(records(&other), records(database), "every person can be matched again");
}
