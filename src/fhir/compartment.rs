//! The Patient compartment: which resources are about a Patient (FHIR R4 CompartmentDefinition Patient).
//!
//! Not here: finding them, and the Patients that they are about.

use super::json::Value;
use super::search_parameter::find;

/// The types of resource that can be in the compartment of a Patient and are stored here.
pub const PATIENT_COMPARTMENT: [&str; 5] = ["Patient", "RelatedPerson", "Person", "Consent", "Provenance"];

/// The number of the search parameter by which a resource of this type is in the compartment of a Patient; `None` of types
/// that are in none, and of Patient, which is in it by itself.
#[must_use]
pub fn reference_of(resource_type: &str) -> Option<i16> {
    let is_inside = resource_type != "Patient" && PATIENT_COMPARTMENT.contains(&resource_type);
    find(resource_type, "patient").filter(|_| is_inside).map(|parameter| parameter.number)
}

/// Whether `resource` is in the compartment of some Patient.
#[must_use]
pub fn is_of_a_patient(resource: &Value<'_>) -> bool {
    let one = |member: &str| resource.get(member).is_some_and(refers_to_patient);
    match resource.text("resourceType") {
        Some("Patient") => true,
        Some("RelatedPerson" | "Consent") => one("patient"),
        Some("Person") => resource.list("link").iter().filter_map(|link| link.get("target")).any(refers_to_patient),
        Some("Provenance") => resource.list("target").iter().any(refers_to_patient),
        _ => false,
    }
}

/// `Patient/ID`, relative or absolute, with or without a version; or a reference that says so by its type.
fn refers_to_patient(reference: &Value<'_>) -> bool {
    let names_type = reference.text("type") == Some("Patient");
    let by_address = reference.text("reference").is_some_and(|text| {
        let address = text.split("/_history/").next().unwrap_or_default();
        let mut parts = address.rsplit('/');
        let (id, resource_type) = (parts.next(), parts.next());
        id.is_some_and(|id| !id.is_empty()) && resource_type == Some("Patient")
    });
    names_type || by_address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    #[test]
    fn every_type_of_the_compartment_but_the_patient_is_found_by_one_reference() {
        for name in PATIENT_COMPARTMENT {
            assert_eq!(reference_of(name).is_some(), name != "Patient", "{name}");
        }
        assert_eq!(
            (reference_of("RelatedPerson"), reference_of("Task"), reference_of("Organization")),
            (Some(82), None, None)
        );
    }

    #[test]
    fn a_resource_is_of_a_patient_when_it_refers_to_one_where_the_definition_says() {
        for (text, expected) in [
            (r#"{"resourceType":"Patient"}"#, true),
            (r#"{"resourceType":"RelatedPerson","patient":{"reference":"Patient/a"}}"#, true),
            (r#"{"resourceType":"RelatedPerson","patient":{"reference":"http://h/fhir/Patient/a/_history/2"}}"#, true),
            (r#"{"resourceType":"RelatedPerson","patient":{"type":"Patient","identifier":{"value":"1"}}}"#, true),
            (r#"{"resourceType":"RelatedPerson","patient":{"display":"somebody"}}"#, false),
            (r#"{"resourceType":"Consent","patient":{"reference":"Patient/a"}}"#, true),
            (r#"{"resourceType":"Consent","patient":{"reference":"Group/a"}}"#, false),
            (r#"{"resourceType":"Consent","organization":[{"reference":"Patient/a"}]}"#, false),
            (r#"{"resourceType":"Person","link":[{"target":{"reference":"Patient/a"}}]}"#, true),
            (r#"{"resourceType":"Person","link":[{"target":{"reference":"Practitioner/a"}}]}"#, false),
            (r#"{"resourceType":"Person"}"#, false),
            (r#"{"resourceType":"Provenance","target":[{"reference":"Task/1"},{"reference":"Patient/a"}]}"#, true),
            (r#"{"resourceType":"Provenance","target":[{"reference":"Patient/"}]}"#, false),
            (r#"{"resourceType":"Task","for":{"reference":"Patient/a"}}"#, false),
            (r#"{"resourceType":"Organization"}"#, false),
        ] {
            let resource = parse(text.as_bytes(), &Limits::DEFAULT).expect("JSON");
            assert_eq!(is_of_a_patient(&resource), expected, "{text}");
        }
    }
}
