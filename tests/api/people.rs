//! Who is stored and who is asked for.

use serde_json::{Value, json};

/// The canonical URLs of the guide begin so.
pub const GUIDE: &str = "http://hl7.org/fhir/us/identity-matching";
pub const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";
pub const MBI: &str = "http://hl7.org/fhir/sid/us-mbi";

/// An example Patient of the guide: `l1`.
pub fn guide(name: &str) -> Value {
    let path = format!("{}/fixtures/guide/patient-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The identifier with which a guide example is known to this server.
pub fn with_id(patient: &Value, id: &str) -> Value {
    with(patient, "id", json!(id))
}

/// `patient` with another value of a member.
pub fn with(patient: &Value, member: &str, value: Value) -> Value {
    let mut changed = patient.clone();
    changed[member] = value;
    changed
}

pub fn without(patient: &Value, member: &str) -> Value {
    let mut changed = patient.clone();
    changed.as_object_mut().unwrap().remove(member);
    changed
}

/// The claim of a profile: `IDI-Patient-L0`.
pub fn claiming(patient: &Value, profile: &str) -> Value {
    with(patient, "meta", json!({"profile": [format!("{GUIDE}/StructureDefinition/{profile}")]}))
}

pub fn parameters(name: &str, patient: &Value, options: &[Value]) -> Value {
    let mut list = vec![json!({"name": name, "resource": patient})];
    list.extend_from_slice(options);
    json!({"resourceType": "Parameters", "parameter": list})
}

pub fn option(name: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    let member = match &value {
        Value::Bool(_) => "valueBoolean",
        Value::String(_) => "valueCode",
        _ => "valueInteger",
    };
    json!({"name": name, member: value})
}

pub fn name(given: &str, family: &str) -> Value {
    json!([{"family": family, "given": [given]}])
}

pub fn identifier(code: &str, system: &str, value: &str) -> Value {
    let coding = json!([{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}]);
    json!({"type": {"coding": coding}, "system": system, "value": value, "assigner": {"display": "Issuer"}})
}

pub fn licence(value: &str) -> Value {
    identifier("DL", "urn:oid:2.16.840.1.113883.4.3.39", value)
}

pub fn telecom(system: &str, value: &str) -> Value {
    json!({"system": system, "value": value})
}

pub fn address(line: &str, city: &str, postal_code: &str) -> Value {
    json!([{"line": [line], "city": city, "state": "OH", "postalCode": postal_code}])
}

const GIVEN: [&str; 12] = [
    "Amara",
    "Bruno",
    "Celeste",
    "Dmitri",
    "Eleanor",
    "Farouk",
    "Gwendolyn",
    "Hiroshi",
    "Ingrid",
    "Joaquin",
    "Katya",
    "Lorenzo",
];
const FAMILY: [&str; 11] = [
    "Abernathy",
    "Bellweather",
    "Castellano",
    "Dragomir",
    "Eisenberg",
    "Fairweather",
    "Guadalupe",
    "Hawthorne",
    "Ivanovich",
    "Jankowski",
    "Kowalczyk",
];

/// One of many people who have little in common; claims L0 and has the weight for L1.
pub fn stranger(number: usize) -> Value {
    let birth_date = format!("{}-{:02}-{:02}", 1940 + number * 7 % 60, number % 12 + 1, number * 5 % 28 + 1);
    claiming(
        &json!({
            "resourceType": "Patient",
            "id": format!("stranger-{number:04}"),
            "identifier": [licence(&format!("SG{:06}", 100_003 * (number + 1) % 999_983))],
            "name": name(GIVEN[number % GIVEN.len()], FAMILY[number * 3 % FAMILY.len()]),
            "gender": if number.is_multiple_of(2) { "female" } else { "male" },
            "birthDate": birth_date,
            "telecom": [telecom("phone", &format!("614-555-{:04}", number * 37 % 10_000))],
            "address": address(&format!("{} Orchard Street", 100 + number), "Columbus", "43004"),
        }),
        "IDI-Patient-L0",
    )
}

pub fn organization(id: &str) -> Value {
    json!({
        "resourceType": "Organization",
        "id": id,
        "active": true,
        "name": "Clinic",
        "identifier": [{"system": "urn:orgs", "value": id}],
    })
}

/// A small resource of a stored type.
pub fn example(kind: &str, id: &str) -> Value {
    let patient = json!({"reference": "Patient/nobody-in-particular"});
    let mut resource = match kind {
        "Patient" => stranger(1),
        "Organization" => organization(id),
        "RelatedPerson" => json!({"patient": patient, "name": [{"family": "Example"}]}),
        "Person" => json!({"name": [{"family": "Example"}], "link": [{"target": patient}]}),
        "Consent" => json!({
            "status": "active",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": patient,
            "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]}
        }),
        "Provenance" => json!({
            "target": [patient],
            "recorded": "2026-01-02T03:04:05Z",
            "agent": [{"who": {"reference": "Organization/nobody-in-particular"}}]
        }),
        "Task" => json!({"status": "requested", "intent": "order", "for": patient}),
        other => panic!("{other} has no example"),
    };
    resource["resourceType"] = json!(kind);
    resource["id"] = json!(id);
    resource
}
