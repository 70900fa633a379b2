//! What this server serves: the table behind the CapabilityStatement.
//!
//! It stands beside the use cases and is compared with the routes by a test. Not here: FHIR JSON.

use crate::audit::Action;
use crate::fhir::canonical::{
    BULK_DATA_CAPABILITY, EXPLAIN_MATCH_OPERATION, EXPORT_OPERATION, IDI_MATCH_OPERATION, MATCH_OPERATION,
    META_OPERATION, PATIENT_EXPORT_OPERATION, US_CORE_ORGANIZATION, US_CORE_PATIENT, VALIDATE_OPERATION,
};
use crate::profile::artifact::ARTIFACT_TYPES;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::incoming::ResourceKind;

/// One type of resource.
#[derive(Debug, Clone)]
pub struct Served {
    pub resource_type: &'static str,
    pub profile: Option<&'static str>,
    pub supported_profiles: Vec<String>,
    pub interactions: &'static [&'static str],
    /// `versioned-update`, or `no-version` for what is only read.
    pub versioning: &'static str,
    pub update_create: bool,
    /// Conditional create, update and delete, of one resource at most.
    pub is_conditional: bool,
    /// Name and type.
    pub search_params: &'static [(&'static str, &'static str)],
    /// Name and definition.
    pub operations: &'static [(&'static str, &'static str)],
}

/// What the statement is made of.
#[derive(Debug, Clone)]
pub struct Capability {
    pub date_us: i64,
    /// Statements of guides that this server follows.
    pub instantiates: &'static [&'static str],
    /// Of the whole system.
    pub interactions: &'static [&'static str],
    pub served: Vec<Served>,
    /// Operations of the whole system: name and definition.
    pub operations: &'static [(&'static str, &'static str)],
}

const SYSTEM_INTERACTIONS: &[&str] = &["transaction", "batch"];
const STORED_INTERACTIONS: &[&str] =
    &["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];
const ARTIFACT_INTERACTIONS: &[&str] = &["read", "search-type"];
const PATIENT_PARAMS: &[(&str, &str)] =
    &[("_id", "token"), ("identifier", "token"), ("family", "string"), ("given", "string"), ("birthdate", "date")];
const ORGANIZATION_PARAMS: &[(&str, &str)] = &[("_id", "token"), ("identifier", "token")];
const ID_PARAMS: &[(&str, &str)] = &[("_id", "token")];
const URL_PARAMS: &[(&str, &str)] = &[("_id", "token"), ("url", "uri")];
const NAMING_PARAMS: &[(&str, &str)] = &[("_id", "token"), ("value", "string")];
const PATIENT_OPERATIONS: &[(&str, &str)] = &[
    ("idi-match", IDI_MATCH_OPERATION),
    ("match", MATCH_OPERATION),
    ("explain-match", EXPLAIN_MATCH_OPERATION),
    ("validate", VALIDATE_OPERATION),
    ("meta", META_OPERATION),
    ("export", PATIENT_EXPORT_OPERATION),
];
const SYSTEM_OPERATIONS: &[(&str, &str)] = &[("export", EXPORT_OPERATION)];
const STORED_OPERATIONS: &[(&str, &str)] = &[("validate", VALIDATE_OPERATION), ("meta", META_OPERATION)];

/// Name and type of the search parameters of a type.
#[must_use]
pub fn search_params(resource_type: &str) -> &'static [(&'static str, &'static str)] {
    match resource_type {
        "Patient" => PATIENT_PARAMS,
        "Organization" => ORGANIZATION_PARAMS,
        "NamingSystem" => NAMING_PARAMS,
        "RelatedPerson" | "Person" | "Consent" | "Provenance" | "Task" => ID_PARAMS,
        _ => URL_PARAMS,
    }
}

/// Whether `name` is a search parameter of a type.
#[must_use]
pub fn is_search_param(resource_type: &str, name: &str) -> bool {
    search_params(resource_type).iter().any(|(known, _)| *known == name)
}

impl App {
    /// What is served.
    ///
    /// # Errors
    /// When the audit row cannot be written.
    pub fn capability(&self, ctx: &Context) -> Result<Capability, AppError> {
        self.answer(ctx, Action::Read, |_| {
            let served = ResourceKind::ALL.into_iter().map(|kind| self.stored(kind));
            let served = served.chain(ARTIFACT_TYPES.iter().copied().map(artifact)).collect();
            Ok(Capability {
                date_us: self.started_us,
                instantiates: &[BULK_DATA_CAPABILITY],
                interactions: SYSTEM_INTERACTIONS,
                served,
                operations: SYSTEM_OPERATIONS,
            })
        })
    }

    fn stored(&self, kind: ResourceKind) -> Served {
        let (profile, operations) = match kind {
            ResourceKind::Patient => (Some(US_CORE_PATIENT), PATIENT_OPERATIONS),
            ResourceKind::Organization => (Some(US_CORE_ORGANIZATION), STORED_OPERATIONS),
            _ => (None, STORED_OPERATIONS),
        };
        let of_kind = self.rules.profiles.list_profiles_of(kind.name());
        Served {
            resource_type: kind.name(),
            profile,
            supported_profiles: of_kind,
            interactions: STORED_INTERACTIONS,
            versioning: "versioned-update",
            update_create: true,
            is_conditional: true,
            search_params: search_params(kind.name()),
            operations,
        }
    }
}

fn artifact(resource_type: &'static str) -> Served {
    Served {
        resource_type,
        profile: None,
        supported_profiles: Vec::new(),
        interactions: ARTIFACT_INTERACTIONS,
        versioning: "no-version",
        update_create: false,
        is_conditional: false,
        search_params: search_params(resource_type),
        operations: &[],
    }
}
