//! What this server serves: the table behind the CapabilityStatement.
//!
//! It stands beside the use cases and is compared with the routes by a test. Not here: FHIR JSON.

use crate::audit::Action;
use crate::fhir::canonical::{
    BULK_DATA_CAPABILITY, DECIDE_OPERATION, DECISIONS_OPERATION, EXPLAIN_MATCH_OPERATION, EXPORT_OPERATION,
    IDENTITY_HISTORY_OPERATION, IDENTITY_OPERATION, IDI_MATCH_OPERATION, LINK_OPERATION, MATCH_OPERATION,
    MERGE_OPERATION, META_OPERATION, PATIENT_EXPORT_OPERATION, REVIEW_QUEUE_OPERATION, REVOKE_OPERATION,
    SPLIT_OPERATION, UNLINK_OPERATION, UNMERGE_OPERATION, US_CORE_ORGANIZATION, US_CORE_PATIENT, VALIDATE_OPERATION,
    WHO_LOOKED_OPERATION,
};
use crate::fhir::search_parameter::{self, SearchParameter};
use crate::profile::artifact::ARTIFACT_TYPES;

use super::App;
use super::context::Context;
use super::error::AppError;
use super::incoming::ResourceKind;
use super::search::AUDIT_EVENT;

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
    pub search_params: Vec<(&'static str, &'static str)>,
    /// `Type:parameter`
    pub search_includes: Vec<String>,
    pub search_rev_includes: Vec<String>,
    /// Name and definition.
    pub operations: &'static [(&'static str, &'static str)],
}

/// What the statement is made of.
#[derive(Debug, Clone)]
pub struct Capability {
    pub date_us: i64,
    /// Of the whole system.
    pub interactions: &'static [&'static str],
    /// Statements of guides that this server follows.
    pub instantiates: &'static [&'static str],
    pub served: Vec<Served>,
    /// Operations of the whole system: name and definition.
    pub operations: &'static [(&'static str, &'static str)],
}

const SYSTEM_INTERACTIONS: &[&str] = &["transaction", "batch"];
const STORED_INTERACTIONS: &[&str] =
    &["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];
const ARTIFACT_INTERACTIONS: &[&str] = &["read", "search-type"];
const AUDIT_INTERACTIONS: &[&str] = &["read", "search-type"];
/// What every type that is stored, and AuditEvent, is searched by.
const COMMON_PARAMS: [(&str, &str); 2] = [("_id", "token"), ("_lastUpdated", "date")];
const URL_PARAMS: [(&str, &str); 2] = [("_id", "token"), ("url", "uri")];
const NAMING_PARAMS: [(&str, &str); 2] = [("_id", "token"), ("value", "string")];
const PATIENT_OPERATIONS: &[(&str, &str)] = &[
    ("idi-match", IDI_MATCH_OPERATION),
    ("match", MATCH_OPERATION),
    ("explain-match", EXPLAIN_MATCH_OPERATION),
    ("validate", VALIDATE_OPERATION),
    ("meta", META_OPERATION),
    ("export", PATIENT_EXPORT_OPERATION),
    ("merge", MERGE_OPERATION),
    ("unmerge", UNMERGE_OPERATION),
    ("link", LINK_OPERATION),
    ("unlink", UNLINK_OPERATION),
    ("split", SPLIT_OPERATION),
    ("decide", DECIDE_OPERATION),
    ("revoke", REVOKE_OPERATION),
    ("review-queue", REVIEW_QUEUE_OPERATION),
    ("decisions", DECISIONS_OPERATION),
    ("identity", IDENTITY_OPERATION),
    ("identity-history", IDENTITY_HISTORY_OPERATION),
    ("who-looked", WHO_LOOKED_OPERATION),
];
const SYSTEM_OPERATIONS: &[(&str, &str)] = &[("export", EXPORT_OPERATION)];
const AUDIT_OPERATIONS: &[(&str, &str)] = &[("validate", VALIDATE_OPERATION)];
const STORED_OPERATIONS: &[(&str, &str)] = &[("validate", VALIDATE_OPERATION), ("meta", META_OPERATION)];

/// Name and type of the search parameters of a type.
#[must_use]
pub fn search_params(resource_type: &str) -> Vec<(&'static str, &'static str)> {
    match search_parameter::of_type(resource_type) {
        [] if resource_type == "NamingSystem" => NAMING_PARAMS.to_vec(),
        [] => URL_PARAMS.to_vec(),
        of_type => {
            let of_type = of_type.iter().map(|parameter| (parameter.name, parameter.kind.code()));
            COMMON_PARAMS.into_iter().chain(of_type).collect()
        }
    }
}

/// Whether `name` is a search parameter of a type.
#[must_use]
pub fn is_search_param(resource_type: &str, name: &str) -> bool {
    search_params(resource_type).iter().any(|(known, _)| *known == name)
}

/// References of the type to what is served, as `_include` names them.
fn search_includes(resource_type: &str) -> Vec<String> {
    let references = search_parameter::of_type(resource_type).iter();
    let to_served = |known: &&SearchParameter| known.targets.iter().any(|target| ResourceKind::of(target).is_some());
    references.filter(to_served).map(include_name).collect()
}

/// References to the type, as `_revinclude` names them.
fn search_rev_includes(resource_type: &str) -> Vec<String> {
    search_parameter::references_to(resource_type).map(include_name).collect()
}

fn include_name(parameter: &SearchParameter) -> String {
    format!("{}:{}", parameter.resource_type, parameter.name)
}

impl App {
    /// What is served.
    ///
    /// # Errors
    /// When the audit row cannot be written.
    pub fn capability(&self, ctx: &Context) -> Result<Capability, AppError> {
        self.answer(ctx, Action::Read, |_| {
            Ok(Capability {
                date_us: self.started_us,
                instantiates: &[BULK_DATA_CAPABILITY],
                interactions: SYSTEM_INTERACTIONS,
                served: self.served(),
                operations: SYSTEM_OPERATIONS,
            })
        })
    }

    /// The types with what is served of each.
    #[must_use]
    pub fn served(&self) -> Vec<Served> {
        let stored = ResourceKind::ALL.into_iter().map(|kind| self.stored(kind));
        stored.chain([audit_event()]).chain(ARTIFACT_TYPES.iter().copied().map(artifact)).collect()
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
            search_includes: search_includes(kind.name()),
            search_rev_includes: search_rev_includes(kind.name()),
            operations,
        }
    }
}

/// What is made of the audit.
fn audit_event() -> Served {
    Served { interactions: AUDIT_INTERACTIONS, operations: AUDIT_OPERATIONS, ..artifact(AUDIT_EVENT) }
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
        search_includes: Vec::new(),
        search_rev_includes: Vec::new(),
        operations: &[],
    }
}
