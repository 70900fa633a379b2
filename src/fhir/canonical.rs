//! The canonical URLs that this server writes: its own and those of the guides it follows.
//!
//! Why one file: no domain is registered for this project yet; when one is, only [`BASE`] and `own!` change here, and the
//! files in `profiles/` with them. Not here: the URL that a deployment serves under (that is configuration).

macro_rules! own {
    ($path:literal) => {
        concat!("https://idi-match.example/", $path)
    };
}

/// What the canonical URLs of this project begin with.
pub const BASE: &str = own!("");

/// `search.extension` of a match: the row of the guide's table that the grade rests on.
pub const MATCHED_ROW: &str = own!("StructureDefinition/matched-row");
/// `search.extension` of a match: the probability by the matching model.
pub const MATCH_PROBABILITY: &str = own!("StructureDefinition/match-probability");
/// `search.extension` of a match: one nested extension per attribute, its `url` the attribute, its code the result.
pub const ATTRIBUTE_RESULTS: &str = own!("StructureDefinition/attribute-results");
/// `search.extension` of a match: whether a person has confirmed the identity.
pub const STEWARDSHIP: &str = own!("StructureDefinition/stewardship");
/// On a stored Patient: how its identity was verified. Never leaves.
pub const IDENTITY_VERIFICATION: &str = own!("StructureDefinition/identity-verification");
/// On a Patient: whose child the person is, by which source.
pub const RELATIONSHIP_LINKAGE: &str = own!("StructureDefinition/relationship-linkage");
/// `search.extension` of a match: the CMS combination that holds, and the outcome of that rule-book.
pub const CMS_COMBINATION: &str = own!("StructureDefinition/cms-combination");
/// This project's operation `$explain-match`.
pub const EXPLAIN_MATCH_OPERATION: &str = own!("OperationDefinition/explain-match");
/// Under the base URL of a server: the system of its own record ids, which is also where its NamingSystem is read.
pub const RECORD_ID_PATH: &str = "NamingSystem/record-id";

/// FHIR R4 extension on `Bundle.entry.search`.
pub const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";
/// FHIR R4 extension for a value that is not there.
pub const DATA_ABSENT_REASON: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
/// US Core 6.1 Patient.
pub const US_CORE_PATIENT: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
/// US Core 6.1 Organization.
pub const US_CORE_ORGANIZATION: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization";
/// The code system of `SUBSETTED`.
pub const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
/// The code of a resource that is not whole (FHIR R4 Search, Summary).
pub const SUBSETTED: &str = "SUBSETTED";
/// Base operation `$match` (FHIR R4 Patient).
pub const MATCH_OPERATION: &str = "http://hl7.org/fhir/OperationDefinition/Patient-match";
/// Base operation `$validate` (FHIR R4 Resource).
pub const VALIDATE_OPERATION: &str = "http://hl7.org/fhir/OperationDefinition/Resource-validate";
/// System-level `$export`, and what its server says to follow (Bulk Data Access IG).
pub const EXPORT_OPERATION: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export";
/// `$export` of all Patients.
pub const PATIENT_EXPORT_OPERATION: &str = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export";
/// The guide's statement that a Bulk Data server names as its own.
pub const BULK_DATA_CAPABILITY: &str = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data";
/// Base operation `$meta` (FHIR R4 Resource).
pub const META_OPERATION: &str = "http://hl7.org/fhir/OperationDefinition/Resource-meta";
/// The guide's operation `$idi-match` (IG Patient Matching).
pub const IDI_MATCH_OPERATION: &str = "http://hl7.org/fhir/us/identity-matching/OperationDefinition/IDI-match";
/// The guide's profile on the Bundle that answers `$idi-match`.
pub const IDI_MATCH_BUNDLE: &str = "http://hl7.org/fhir/us/identity-matching/StructureDefinition/idi-match-bundle";
