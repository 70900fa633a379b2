//! The OpenAPI document: what it describes is served, and what is answered is described.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer::{Answer, text};
use crate::people::{example, organization, parameters, stranger, with_id};
use crate::support::TestApp;

on_both_databases! {
    every_described_operation_is_served_and_answers_with_a_described_status,
    what_the_capability_statement_lists_is_described,
    every_reference_has_a_target_and_every_target_a_reference,
    the_schemas_hold_for_what_is_stored,
}

fn document(app: &TestApp) -> Value {
    let answer = app.get(&app.at_root("/openapi.json")).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// Path, method and operation of everything that is described.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut list = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            list.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    list
}

/// A resource of a type, with an id.
fn resource(app: &TestApp, kind: &str) -> Value {
    match kind {
        "AuditEvent" => app.get("/AuditEvent?_count=1").send().json()["entry"][0]["resource"].clone(),
        "Patient" => with_id(&stranger(1), "x1"),
        "Organization" => organization("x1"),
        kind => example(kind, "x1"),
    }
}

/// A body that fits an operation.
fn body(app: &TestApp, operation: &Value, kind: &str) -> Option<Value> {
    let content = operation["requestBody"]["content"].as_object()?;
    if content.contains_key("application/x-www-form-urlencoded") {
        return None;
    }
    let schema = content.values().next()?["schema"]["$ref"].as_str().unwrap_or_default();
    let patient = with_id(&stranger(1), "x1");
    Some(match schema.rsplit('/').next().unwrap_or_default() {
        "MatchParameters" => parameters("IDIPatient", &patient, &[]),
        "ExplainParameters" => parameters("patient", &patient, &[json!({"name": "record", "valueId": "x1"})]),
        "Parameters" => json!({"resourceType": "Parameters"}),
        "Bundle" => json!({"resourceType": "Bundle", "type": "batch"}),
        // Not FHIR.
        "" => json!({}),
        "JsonPatch" => json!([{"op": "add", "path": "/language", "value": "en"}]),
        _ => resource(app, kind),
    })
}

fn send(app: &TestApp, path: &str, method: &str, operation: &Value) -> Answer {
    let kind = path.split('/').nth(2).unwrap_or_default();
    let address = path.replace("{id}", "x1").replace("{version}", "1");
    let request = app.request(method, &app.at_root(&address));
    let media_types = operation["requestBody"]["content"].as_object();
    let media_type = media_types.and_then(|content| content.keys().next());
    match (body(app, operation, kind), media_type) {
        (Some(body), Some(media_type)) => request.body(body).header("content-type", media_type).send(),
        _ => request.send(),
    }
}

fn every_described_operation_is_served_and_answers_with_a_described_status(app: &TestApp) {
    let document = document(app);
    app.store_patient(&with_id(&stranger(1), "x1"));
    let operations = operations(&document);
    assert!(operations.len() > 80, "{}", operations.len());
    let ids: BTreeSet<&str> = operations.iter().map(|(_, _, operation)| text(operation, "operationId")).collect();
    assert_eq!(ids.len(), operations.len(), "operation ids are unique");
    for (path, method, operation) in &operations {
        let answer = send(app, path, method, operation);
        let status = answer.status;
        assert_ne!(status, 405, "{method} {path} is described and not served");
        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{method} {path} answers {status}, which is not described");
        let served_at_all = status != 404 || !answer.text().contains("There is nothing at this address");
        assert!(served_at_all, "{method} {path} is described and not served");
    }
    for (path, method, operation) in &operations {
        let broken = app.request(method, &app.at_root(&path.replace("{id}", "a_b").replace("{version}", "x")));
        let broken = if operation["requestBody"].is_object() { broken.body("no JSON") } else { broken };
        let status = broken.send().status;
        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{method} {path} answers {status}, which is not described");
    }
}

fn what_the_capability_statement_lists_is_described(app: &TestApp) {
    let (document, statement) = (document(app), app.get("/metadata").send().expect(200).json());
    let has = |path: String, method: &str| document["paths"][&path][method].is_object();
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        let kind = text(resource, "type");
        for interaction in resource["interaction"].as_array().unwrap() {
            let (path, method) = match text(interaction, "code") {
                "read" => ("/{id}", "get"),
                "vread" => ("/{id}/_history/{version}", "get"),
                "update" => ("/{id}", "put"),
                "patch" => ("/{id}", "patch"),
                "delete" => ("/{id}", "delete"),
                "create" => ("", "post"),
                "search-type" => ("", "get"),
                "history-instance" => ("/{id}/_history", "get"),
                "history-type" => ("/_history", "get"),
                other => panic!("{other} is not described"),
            };
            assert!(has(format!("/fhir/{kind}{path}"), method), "{kind} {interaction}");
        }
        for operation in resource["operation"].as_array().into_iter().flatten() {
            let name = text(operation, "name");
            let described = ["", "/{id}"].iter().any(|place| {
                let path = format!("/fhir/{kind}{place}/${name}");
                has(path.clone(), "post") || has(path, "get")
            });
            assert!(described, "{kind} ${name}");
        }
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            let described = document["paths"][format!("/fhir/{kind}")]["get"]["parameters"].as_array().unwrap();
            assert!(described.iter().any(|known| known["name"] == parameter["name"]), "{kind} {parameter}");
        }
    }
}

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                found.insert(target.to_owned());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn every_reference_has_a_target_and_every_target_a_reference(app: &TestApp) {
    let document = document(app);
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let mut targets = BTreeSet::new();
    for (section, members) in document["components"].as_object().unwrap() {
        targets.extend(members.as_object().unwrap().keys().map(|name| format!("#/components/{section}/{name}")));
    }
    let missing: Vec<_> = found.difference(&targets).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let idle: Vec<_> = targets.difference(&found).collect();
    assert!(idle.is_empty(), "{idle:?}");
}

/// Whether the members of a resource are those that its schema knows; formats are not looked at.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Value::Array(items) = value {
        items.iter().for_each(|item| fits(document, &schema["items"], item, place));
        return;
    }
    let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) else { return };
    for (name, member) in members {
        let place = format!("{place}.{name}");
        match known.get(name) {
            Some(schema) => fits(document, schema, member, &place),
            None => assert_ne!(schema["additionalProperties"], json!(false), "{place}"),
        }
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(members.contains_key(required.as_str().unwrap()), "{place} has no {required}");
    }
}

fn the_schemas_hold_for_what_is_stored(app: &TestApp) {
    let document = document(app);
    for kind in ["Patient", "Organization", "RelatedPerson", "Person", "Consent", "Provenance", "Task"] {
        let stored = app.post(&format!("/{kind}"), resource(app, kind)).send().expect(201).json();
        fits(&document, &document["components"]["schemas"][kind], &stored, kind);
    }
    let outcome = app.get("/Patient/nobody").send().expect(404).json();
    fits(&document, &document["components"]["schemas"]["OperationOutcome"], &outcome, "OperationOutcome");
    let statement = app.get("/metadata").send().expect(200).json();
    fits(&document, &document["components"]["schemas"]["CapabilityStatement"], &statement, "CapabilityStatement");
    let page = app.get("/Patient?family=x&nonsense=1").send().expect(200).json();
    fits(&document, &document["components"]["schemas"]["Bundle"], &page, "Bundle");
    let schema = &document["components"]["schemas"]["Patient"];
    assert_eq!(schema["properties"]["gender"]["enum"], json!(["female", "male", "other", "unknown"]));
    assert_eq!((&schema["additionalProperties"], &schema["required"]), (&json!(false), &json!(["resourceType"])));
}
