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
/// `issue.details` of a refusal by the gate: what was missing.
pub const ASSURANCE_OUTCOME: &str = own!("CodeSystem/assurance-outcome");
/// On a stored Patient: how its identity was verified. Never leaves.
pub const IDENTITY_VERIFICATION: &str = own!("StructureDefinition/identity-verification");
/// On a Patient.link: the steward's decision that has made it. Such links are this server's own.
pub const STEWARD_DECISION: &str = own!("StructureDefinition/steward-decision");
/// On a Provenance of a decision: who has taken it back, when and why.
pub const REVOCATION: &str = own!("StructureDefinition/revocation");
/// On a golden record: the record that a value comes from.
pub const GOLDEN_SOURCE: &str = own!("StructureDefinition/golden-source");
/// `meta.tag` of a Patient that is no stored record, and the code of a golden record.
pub const RECORD_KIND: &str = own!("CodeSystem/record-kind");
pub const GOLDEN_RECORD: &str = "golden-record";
/// On a Patient: whose child the person is, by which source.
pub const RELATIONSHIP_LINKAGE: &str = own!("StructureDefinition/relationship-linkage");
/// `search.extension` of a match: the CMS combination that holds, and the outcome of that rule-book.
pub const CMS_COMBINATION: &str = own!("StructureDefinition/cms-combination");
/// This project's operation `$explain-match`.
pub const EXPLAIN_MATCH_OPERATION: &str = own!("OperationDefinition/explain-match");
/// What stewards decide: merge (in the shape of FHIR R5), and its like.
pub const MERGE_OPERATION: &str = own!("OperationDefinition/merge");
pub const UNMERGE_OPERATION: &str = own!("OperationDefinition/unmerge");
pub const LINK_OPERATION: &str = own!("OperationDefinition/link");
pub const UNLINK_OPERATION: &str = own!("OperationDefinition/unlink");
pub const SPLIT_OPERATION: &str = own!("OperationDefinition/split");
pub const DECIDE_OPERATION: &str = own!("OperationDefinition/decide");
pub const REVOKE_OPERATION: &str = own!("OperationDefinition/revoke");
/// What there is to decide, what was decided, and what explains an identity.
pub const REVIEW_QUEUE_OPERATION: &str = own!("OperationDefinition/review-queue");
pub const DECISIONS_OPERATION: &str = own!("OperationDefinition/decisions");
pub const IDENTITY_OPERATION: &str = own!("OperationDefinition/identity");
pub const IDENTITY_HISTORY_OPERATION: &str = own!("OperationDefinition/identity-history");
/// Who was shown the records of a person.
pub const WHO_LOOKED_OPERATION: &str = own!("OperationDefinition/who-looked");
/// `AuditEvent.subtype`: which operation or work of this server it was.
pub const AUDIT_ACTION: &str = own!("CodeSystem/audit-action");
/// The codes of reviews and of decisions.
pub const REVIEW_KIND: &str = own!("CodeSystem/review-kind");
pub const REVIEW_DETAIL: &str = own!("CodeSystem/review-detail");
pub const DECISION_KIND: &str = own!("CodeSystem/decision-kind");
/// Under the base URL of a server: the system of its identity ids.
pub const IDENTITY_PATH: &str = "NamingSystem/identity-id";
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
