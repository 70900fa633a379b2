//! Searching the artifacts of `profiles/` by `_id`, `url`, or (NamingSystem, which has no url in R4) `value`.

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::path::printable;
use crate::profile::artifact::Artifact;

use super::App;
use super::context::Context;
use super::error::AppError;

/// What was found: all of it, there are few.
#[derive(Debug, Clone)]
pub struct ArtifactPage {
    pub resource_type: String,
    /// Id and JSON.
    pub resources: Vec<(String, String)>,
    pub issues: Vec<Issue>,
    pub self_link: String,
}

impl App {
    /// Artifacts of a type for which every known parameter holds.
    ///
    /// # Errors
    /// When the audit row cannot be written.
    pub fn search_artifacts(
        &self,
        ctx: &Context,
        resource_type: &str,
        pairs: &[(String, String)],
    ) -> Result<ArtifactPage, AppError> {
        self.answer(ctx, Action::Search, |audit| {
            audit.resource_type = Some(resource_type.to_owned());
            let known = |name: &str| matches!(name, "_id" | "url" | "value");
            let unknown = pairs.iter().filter(|(name, _)| !known(name) && !name.starts_with('_'));
            let issues = unknown.map(|(name, _)| {
                let text = "This search parameter is not known; it was not applied.";
                Issue::warning(IssueCode::NotSupported, text).at(format!("http.{}", printable(name)))
            });
            let issues = issues.collect();
            let found = self.rules.profiles.list_artifacts(resource_type).filter(|artifact| holds(artifact, pairs));
            Ok(ArtifactPage {
                resource_type: resource_type.to_owned(),
                resources: found.map(|artifact| (artifact.id.clone(), artifact.json.clone())).collect(),
                issues,
                self_link: format!("{}/{resource_type}", self.config.server.base_url),
            })
        })
    }
}

fn holds(artifact: &Artifact, pairs: &[(String, String)]) -> bool {
    pairs.iter().all(|(name, value)| match name.as_str() {
        "_id" => artifact.id == *value,
        "url" => artifact.url.as_deref() == Some(value),
        "value" => artifact.unique_ids.contains(value),
        _ => true,
    })
}
