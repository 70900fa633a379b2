//! The CapabilityStatement says what is served, and what it says is served; the artifacts of `profiles/` too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer::{Answer, text, texts};
use crate::people::{GUIDE, example, organization, parameters, stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    the_statement_describes_this_server,
    every_listed_interaction_operation_and_parameter_answers,
    types_that_are_not_listed_are_not_served,
    every_artifact_is_read_and_found_by_its_canonical_name,
}

fn statement(app: &TestApp) -> Value {
    let answer = app.get("/metadata").send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    answer.json()
}

fn resources(statement: &Value) -> Vec<Value> {
    statement["rest"][0]["resource"].as_array().unwrap().clone()
}

fn of<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|item| text(item, member)).collect()
}

fn the_statement_describes_this_server(app: &TestApp) {
    let statement = statement(app);
    assert_eq!((text(&statement, "resourceType"), text(&statement, "fhirVersion")), ("CapabilityStatement", "4.0.1"));
    assert_eq!((text(&statement, "kind"), text(&statement, "status")), ("instance", "active"));
    assert_eq!(statement["implementation"]["url"], app.base);
    assert!(texts(&statement["format"]).contains(&"application/fhir+json".to_owned()));
    assert_eq!(texts(&statement["patchFormat"]), [JSON_PATCH]);
    assert_eq!(statement["rest"].as_array().unwrap().len(), 1);
    let listed = resources(&statement);
    let types: Vec<&str> = listed.iter().map(|resource| text(resource, "type")).collect();
    let expected = [
        "Patient",
        "Organization",
        "RelatedPerson",
        "Person",
        "Consent",
        "Provenance",
        "Task",
        "AuditEvent",
        "CodeSystem",
        "NamingSystem",
        "OperationDefinition",
        "StructureDefinition",
        "ValueSet",
    ];
    assert_eq!(types, expected);
    let operations: Vec<(&str, &str)> =
        listed[0]["operation"].as_array().unwrap().iter().map(|o| (text(o, "name"), text(o, "definition"))).collect();
    let idi_match = format!("{GUIDE}/OperationDefinition/IDI-match");
    assert!(operations.contains(&("idi-match", idi_match.as_str())));
    assert!(operations.contains(&("match", "http://hl7.org/fhir/OperationDefinition/Patient-match")));
    let export =
        json!([{"name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}]);
    assert_eq!(statement["rest"][0]["operation"], export);
    for name in ["IDI-Patient", "IDI-Patient-L0", "IDI-Patient-L1", "IDI-Patient-L2"] {
        let profile = format!("{GUIDE}/StructureDefinition/{name}");
        assert!(texts(&listed[0]["supportedProfile"]).contains(&profile), "{name}");
    }
    assert_eq!((&listed[0]["versioning"], &listed[0]["updateCreate"]), (&json!("versioned-update"), &json!(true)));
    let system: Vec<&str> = of(&statement["rest"][0]["interaction"], "code");
    assert_eq!(system, ["transaction", "batch"]);
    for interaction in system {
        let answer = app.post("", json!({"resourceType": "Bundle", "type": interaction})).send().expect(200);
        assert_eq!(answer.json()["type"], format!("{interaction}-response"));
    }
    for resource in &listed {
        let is_written = of(&resource["interaction"], "code").contains(&"create");
        for (member, value) in [
            ("conditionalCreate", json!(true)),
            ("conditionalUpdate", json!(true)),
            ("conditionalDelete", json!("single")),
        ] {
            assert_eq!(resource[member] == value, is_written, "{resource} {member}");
        }
        conditional_interactions_are_as_listed(app, text(resource, "type"), is_written);
    }
    let again = app.post("/CapabilityStatement/$validate", &statement).send();
    assert!(again.status < 500);
}

const JSON_PATCH: &str = "application/json-patch+json";

fn conditional_interactions_are_as_listed(app: &TestApp, kind: &str, is_listed: bool) {
    let body = match kind {
        "Patient" => with_id(&stranger(1), "unless"),
        "Organization" => organization("unless"),
        _ if is_listed => example(kind, "unless"),
        _ => json!({"resourceType": kind}),
    };
    let criteria = "_id=nobody";
    let path = format!("/{kind}?{criteria}");
    let patch = app.request("PATCH", &path).header("Content-Type", "application/json-patch+json").body("[]").send();
    let created = app.post(&format!("/{kind}"), &body).header("If-None-Exist", criteria).send();
    let updated = app.put(&path, &body).send();
    let deleted = app.delete(&path).send();
    let expected = if is_listed { [404, 201, 201, 204] } else { [405; 4] };
    assert_eq!([patch, created, updated, deleted].map(|answer| answer.status), expected, "{kind}");
}

/// A request of each kind for a type, on the resource `id`.
fn interact(app: &TestApp, interaction: &str, kind: &str, body: &Value) -> Answer {
    let id = text(body, "id");
    match interaction {
        "read" => app.get(&format!("/{kind}/{id}")).send(),
        "vread" => app.get(&format!("/{kind}/{id}/_history/1")).send(),
        "update" => app.put(&format!("/{kind}/{id}"), body).send(),
        "patch" => {
            let request = app.request("PATCH", &format!("/{kind}/{id}")).header("Content-Type", JSON_PATCH);
            request.body(json!([{"op": "test", "path": "/id", "value": id}])).send()
        }
        "delete" => app.delete(&format!("/{kind}/{id}")).send(),
        "create" => app.post(&format!("/{kind}"), body).send(),
        "search-type" => app.get(&format!("/{kind}")).send(),
        "history-instance" => app.get(&format!("/{kind}/{id}/_history")).send(),
        "history-type" => app.get(&format!("/{kind}/_history")).send(),
        other => panic!("{other} is listed and has no request here"),
    }
}

/// An operation, invoked where its definition says, on a resource that is stored.
fn operate(app: &TestApp, operation: &str, kind: &str, body: &Value) -> Answer {
    let id = text(body, "id");
    match operation {
        "meta" => app.get(&format!("/{kind}/{id}/$meta")).send(),
        "explain-match" => {
            let record = json!({"name": "record", "valueId": id});
            app.post(&format!("/{kind}/$explain-match"), parameters("patient", body, &[record])).send()
        }
        "export" => app.get(&format!("/{kind}/$export")).send(),
        "review-queue" | "decisions" => app.get(&format!("/{kind}/${operation}")).send(),
        "identity" | "identity-history" | "who-looked" => app.get(&format!("/{kind}/{id}/${operation}")).send(),
        "merge" | "unmerge" | "link" | "unlink" | "split" | "decide" | "revoke" => {
            let answer = app
                .post(
                    &format!("/{kind}/${operation}"),
                    json!({"resourceType": "Parameters", "parameter": [{"name": "shoe", "valueInteger": 44}]}),
                )
                .send();
            // Whom and why is missing: the operation is there.
            let is_there = answer.status == 400 && answer.errors()[0].0 == "required";
            Answer { status: if is_there { 200 } else { answer.status }, ..answer }
        }
        _ => app.post(&format!("/{kind}/${operation}"), body).send(),
    }
}

fn type_of<'v>(resource: &'v Value, parameter: &str) -> &'v Value {
    let all = resource["searchParam"].as_array().unwrap();
    all.iter().find(|listed| listed["name"] == parameter).unwrap()
}

/// Every search parameter that any type has, and some that none has.
fn all_parameters(statement: &Value) -> BTreeSet<String> {
    let listed = resources(statement);
    let names = listed.iter().flat_map(|resource| of(&resource["searchParam"], "name"));
    names.chain(["version", "_profile", "_text", "general-practitioners"]).map(str::to_owned).collect()
}

fn every_listed_interaction_operation_and_parameter_answers(app: &TestApp) {
    let all = all_parameters(&statement(app));
    for resource in resources(&statement(app)) {
        let kind = text(&resource, "type");
        let body = match kind {
            "Patient" => with_id(&stranger(1), "p1"),
            "Organization" => organization("o1"),
            _ if of(&resource["interaction"], "code").contains(&"create") => example(kind, "e1"),
            _ => app.get(&format!("/{kind}")).send().match_bundle().0["entry"][0]["resource"].clone(),
        };
        let listed = of(&resource["interaction"], "code");
        if listed.contains(&"update") {
            app.put(&format!("/{kind}/{}", text(&body, "id")), &body).send().expect(201);
        }
        assert_eq!(resource["conditionalRead"], "full-support");
        let read = app.get(&format!("/{kind}/{}", text(&body, "id"))).send().expect(200);
        let again = app.get(&format!("/{kind}/{}", text(&body, "id")));
        again.header("If-None-Match", read.header("etag").unwrap()).send().expect(304);
        for operation in of(&resource["operation"], "name") {
            operate(app, operation, kind, &body).expect(if operation == "export" { 202 } else { 200 });
        }
        for operation in [
            "match",
            "idi-match",
            "explain-match",
            "validate",
            "meta",
            "export",
            "merge",
            "unmerge",
            "link",
            "unlink",
            "split",
            "decide",
            "revoke",
            "review-queue",
            "decisions",
            "identity",
            "identity-history",
            "who-looked",
            "everything",
        ] {
            let is_listed = of(&resource["operation"], "name").contains(&operation);
            let status = operate(app, operation, kind, &body).status;
            assert_eq!(matches!(status, 200 | 202), is_listed, "{kind} ${operation}: {status}");
        }
        for parameter in of(&resource["searchParam"], "name") {
            let value = if text(type_of(&resource, parameter), "type") == "date" { "1980" } else { "x" };
            let found = app.get(&format!("/{kind}?{parameter}={value}")).send().expect(200).match_bundle();
            assert!(found.remark("not-supported").is_none(), "{kind} {parameter}");
            app.get(&format!("/{kind}?{parameter}:shoe={value}")).send().expect(400).issues();
        }
        for parameter in all.iter().filter(|name| !of(&resource["searchParam"], "name").contains(&name.as_str())) {
            let found = app.get(&format!("/{kind}?{parameter}=x")).send().expect(200).match_bundle();
            assert!(found.remark("not-supported").is_some(), "{kind} {parameter} is served and not listed");
        }
        for interaction in
            ["read", "search-type", "create", "update", "patch", "vread", "history-instance", "history-type", "delete"]
        {
            let status = interact(app, interaction, kind, &body).status;
            let is_served = (200..300).contains(&status);
            assert_eq!(is_served, listed.contains(&interaction), "{kind} {interaction}: {status}");
        }
        assert_eq!(listed.len(), if listed.contains(&"update") { 9 } else { 2 }, "{kind}");
    }
}

fn types_that_are_not_listed_are_not_served(app: &TestApp) {
    let id = "1";
    for kind in ["Practitioner", "Observation", "Bundle", "Device", "Parameters", "patient", "Patients"] {
        let body = json!({"resourceType": kind, "id": id});
        for interaction in
            ["read", "vread", "update", "patch", "delete", "create", "search-type", "history-instance", "history-type"]
        {
            let answer = interact(app, interaction, kind, &body).expect(404);
            assert_eq!(answer.errors()[0].0, "not-found", "{kind} {interaction}");
        }
    }
}

fn every_artifact_is_read_and_found_by_its_canonical_name(app: &TestApp) {
    let expected = [
        ("StructureDefinition", "IDI-Patient"),
        ("StructureDefinition", "IDI-Patient-L0"),
        ("StructureDefinition", "IDI-Patient-L1"),
        ("StructureDefinition", "IDI-Patient-L2"),
        ("StructureDefinition", "idi-match-bundle"),
        ("StructureDefinition", "idi-match-input-parameters"),
        ("StructureDefinition", "idi-match-output-parameters"),
        ("OperationDefinition", "IDI-match"),
        ("ValueSet", "Identity-Identifier-vs"),
        ("CodeSystem", "Identity-Identifier-cs"),
    ];
    for (kind, id) in expected {
        let url = format!("{GUIDE}/{kind}/{id}");
        let read = app.get(&format!("/{kind}/{id}")).send().expect(200);
        assert_eq!((text(&read.json(), "resourceType"), text(&read.json(), "url")), (kind, url.as_str()));
        let found = app.get(&format!("/{kind}?url={url}")).send().expect(200).match_bundle();
        assert_eq!(found.ids(), [id], "{url}");
        assert_eq!(found.entry(id)["resource"], read.json(), "{url}");
        assert_eq!(text(found.entry(id), "fullUrl"), format!("{}/{kind}/{id}", app.base));
    }
    let naming = app.get(&format!("/NamingSystem?value={GUIDE}/ns/HL7PersonIdentifier")).send().match_bundle();
    assert_eq!(naming.ids(), ["HL7PersonIdentifier"]);
    for kind in ["StructureDefinition", "OperationDefinition", "ValueSet", "CodeSystem", "NamingSystem"] {
        let all = app.get(&format!("/{kind}")).send().expect(200).match_bundle();
        assert_eq!((all.total(), all.link("next")), (all.ids().len() as u64, None), "{kind}");
        for id in all.ids() {
            let resource = &all.entry(id)["resource"];
            assert_eq!(&app.get(&format!("/{kind}/{id}")).send().expect(200).json(), resource, "{kind}/{id}");
            assert_eq!(app.get(&format!("/{kind}?_id={id}")).send().match_bundle().ids(), [id]);
        }
        assert_eq!(app.get(&format!("/{kind}?_id=nobody")).send().match_bundle().total(), 0, "{kind}");
        app.get(&format!("/{kind}/nobody")).send().expect(404).issues();
    }
    assert_eq!(app.get("/StructureDefinition?url=urn:nobody").send().match_bundle().total(), 0);
}
