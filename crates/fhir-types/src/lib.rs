//! FHIR types: the one crate that names serde on fhir-sdk's types.
//!
//! What: the types and builders for answers (FHIR R4B; every element used by this server has the same name and meaning
//! in R4 4.0.1), [`parse`] and the `write` functions. Why a crate of its own: each crate that calls serde on these types
//! compiles every resource again, minutes of it; so nothing here is generic. Why [`write_bundle`] splices: reading a
//! stored resource into a type would drop what the type does not know and rewrite decimals, and it must leave as it came.
//! Not here: judging what was received, and what an answer says.

mod error;
mod splice;

pub use error::{ParseError, WriteError};
pub use fhir_sdk::r4b::resources::{
    self, Bundle, CapabilityStatement, OperationOutcome, Organization, Parameters, Resource,
};
pub use fhir_sdk::r4b::{codes, types};
pub use fhir_sdk::{BuilderError, Date, DateTime, Instant};
pub use splice::{write_bundle, write_parameters};

/// Reads a resource. For answers of others and for tests: what the types do not know is lost.
///
/// # Errors
/// When `bytes` are not a resource that the types can hold.
pub fn parse(bytes: &[u8]) -> Result<Resource, ParseError> {
    serde_json::from_slice(bytes).map_err(|error| ParseError::new(&error))
}

/// Writes a resource as JSON.
///
/// # Errors
/// When it holds a date or time that FHIR cannot write.
pub fn write(resource: &Resource) -> Result<String, WriteError> {
    serde_json::to_string(resource).map_err(WriteError::new)
}

/// Writes an `OperationOutcome` as JSON.
///
/// # Errors
/// See [`write`].
pub fn write_outcome(outcome: &OperationOutcome) -> Result<String, WriteError> {
    serde_json::to_string(outcome).map_err(WriteError::new)
}

/// Writes an `Organization` as JSON.
///
/// # Errors
/// See [`write`].
pub fn write_organization(organization: &Organization) -> Result<String, WriteError> {
    serde_json::to_string(organization).map_err(WriteError::new)
}

/// Writes a `CapabilityStatement` as JSON.
///
/// # Errors
/// See [`write`].
pub fn write_capability_statement(statement: &CapabilityStatement) -> Result<String, WriteError> {
    serde_json::to_string(statement).map_err(WriteError::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_survives_reading_and_writing() {
        let text = r#"{"resourceType":"OperationOutcome","id":"a","issue":[{"severity":"error","code":"invalid"}]}"#;
        let resource = parse(text.as_bytes()).expect("an outcome");
        assert!(matches!(resource, Resource::OperationOutcome(_)));
        assert_eq!(write(&resource).expect("written"), text);
    }

    #[test]
    fn a_parse_error_names_the_place_and_no_value() {
        let error = parse(br#"{"resourceType":"Patient","gender":"Jane Doe"}"#).expect_err("no gender");
        assert!(!error.to_string().contains("Jane"), "{error}");
        let error = parse(b"{\n  \"resourceType\"").expect_err("ends too early");
        assert_eq!(error.to_string(), "not a FHIR resource (line 2 column 16)");
    }

    #[test]
    fn the_version_of_this_server_can_be_written() {
        assert_eq!(codes::FHIRVersion::N401.as_ref(), "4.0.1");
    }
}
