//! The manifest of a complete export (Bulk Data Access IG 2.0, complete status): plain JSON, no resource.
//!
//! Not here: which files there are.

use serde::Serialize;

use super::RenderError;

/// What a manifest says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportManifest {
    /// FHIR instant.
    pub transaction_time: String,
    pub request: String,
    pub requires_access_token: bool,
    pub output: Vec<OutputFile>,
    /// What was deleted since `_since`.
    pub deleted: Vec<OutputFile>,
    /// What was passed over.
    pub error: Vec<OutputFile>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputFile {
    #[serde(rename = "type")]
    pub resource_type: String,
    pub url: String,
    /// Lines; left out where a line tells of several resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The manifest as JSON.
///
/// # Errors
/// None that this data can meet.
pub fn render(manifest: &ExportManifest) -> Result<Vec<u8>, RenderError> {
    Ok(serde_json::to_vec(manifest)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_manifest_has_the_members_of_the_guide() {
        let file = |resource_type: &str, count| OutputFile {
            resource_type: resource_type.to_owned(),
            url: format!("http://h/{resource_type}"),
            count,
        };
        let manifest = ExportManifest {
            transaction_time: "2026-01-02T03:04:05Z".to_owned(),
            request: "http://h/fhir/$export".to_owned(),
            requires_access_token: false,
            output: vec![file("Patient", Some(2))],
            deleted: vec![file("Bundle", None)],
            error: vec![],
        };
        let expected = json!({
            "transactionTime": "2026-01-02T03:04:05Z",
            "request": "http://h/fhir/$export",
            "requiresAccessToken": false,
            "output": [{"type": "Patient", "url": "http://h/Patient", "count": 2}],
            "deleted": [{"type": "Bundle", "url": "http://h/Bundle"}],
            "error": [],
        });
        assert_eq!(serde_json::from_slice::<Value>(&render(&manifest).expect("written")).expect("JSON"), expected);
    }
}
