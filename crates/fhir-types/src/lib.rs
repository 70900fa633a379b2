//! FHIR types.
