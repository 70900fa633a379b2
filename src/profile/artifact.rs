//! The conformance resources this server can send: every such file of `profiles/`, as text.
//!
//! Not here: searching (the caller filters the list) and what the files mean (see `definition`, `terminology`).

use serde_json::Value as Json;

/// The resource types of files that are served.
pub const ARTIFACT_TYPES: &[&str] =
    &["CodeSystem", "NamingSystem", "OperationDefinition", "StructureDefinition", "ValueSet"];

/// A conformance resource, ready to send.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub resource_type: String,
    pub id: String,
    /// The canonical URL; a NamingSystem of R4 has none.
    pub url: Option<String>,
    pub version: Option<String>,
    /// `NamingSystem.uniqueId.value`: what a search by `value` looks at.
    pub unique_ids: Vec<String>,
    /// The file.
    pub json: String,
}

impl Artifact {
    /// Reads what searches need. `None` of a resource without a type or an id.
    #[must_use]
    pub fn read(text: &str, json: &Json) -> Option<Self> {
        let member = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let unique_ids = json.get("uniqueId").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        Some(Self {
            resource_type: member("resourceType")?,
            id: member("id")?,
            url: member("url"),
            version: member("version"),
            unique_ids: unique_ids.iter().filter_map(|id| id.get("value")?.as_str()).map(str::to_owned).collect(),
            json: text.to_owned(),
        })
    }
}
