//! Searching the artifacts of `profiles/` by `_id`, `url`, or (NamingSystem, which has no url in R4) `value`.

use crate::audit::Action;
use crate::fhir::issue::Issue;
use crate::profile::artifact::Artifact;

use super::App;
use super::capability::is_search_param;
use super::context::Context;
use super::error::AppError;
use super::search::query::{is_presentation, place_of, unknown as unknown_parameter};
use super::search::{Handling, link};

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
    /// `Invalid` for what is not known under strict handling; else when the audit row cannot be written.
    pub fn search_artifacts(
        &self,
        ctx: &Context,
        resource_type: &str,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<ArtifactPage, AppError> {
        self.answer(ctx, Action::Search, |audit| {
            audit.resource_type = Some(resource_type.to_owned());
            let asked = pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "_total" | "_count"));
            let (presentation, asked): (Vec<_>, Vec<_>) = asked.cloned().partition(|(name, _)| is_presentation(name));
            let (known, unknown): (Vec<_>, Vec<_>) =
                asked.into_iter().partition(|(name, _)| is_search_param(resource_type, name));
            let issues: Result<Vec<Issue>, AppError> =
                unknown.iter().map(|(name, _)| unsupported(resource_type, name, handling)).collect();
            let found = self.rules.profiles.list_artifacts(resource_type).filter(|artifact| holds(artifact, &known));
            Ok(ArtifactPage {
                resource_type: resource_type.to_owned(),
                resources: found.map(|artifact| (artifact.id.clone(), artifact.json.clone())).collect(),
                issues: issues?,
                self_link: link::link(
                    &format!("{}/{resource_type}", self.config.server.base_url),
                    &[known, presentation].concat(),
                ),
            })
        })
    }
}

/// A known parameter with a modifier would find too much without it, and is refused.
fn unsupported(resource_type: &str, name: &str, handling: Handling) -> Result<Issue, AppError> {
    let base = name.split(':').next().unwrap_or_default();
    let handling = if is_search_param(resource_type, base) { Handling::Strict } else { handling };
    unknown_parameter(&place_of(base), handling)
}

fn holds(artifact: &Artifact, pairs: &[(String, String)]) -> bool {
    pairs.iter().all(|(name, value)| match name.as_str() {
        "_id" => artifact.id == *value,
        "url" => artifact.url.as_deref() == Some(value),
        "value" => artifact.unique_ids.contains(value),
        _ => true,
    })
}
