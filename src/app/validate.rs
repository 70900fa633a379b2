//! `$validate`: what is wrong with a resource, as data. The request itself succeeds.

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Value, parse};
use crate::fhir::name_text;
use crate::profile::idi::{self, ProfileRequirement, validate_idi_patient};

use super::App;
use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::rules::Rules;

impl App {
    /// Judges a resource by its base definition and by `profile`, or else the profiles it claims. A Parameters body has
    /// the two as parameters.
    ///
    /// # Errors
    /// `NotFound` for a type that is not stored, `Invalid` when the body is no JSON or a resource of another type than
    /// the address says.
    pub fn validate(
        &self,
        ctx: &Context,
        resource_type: &str,
        body: &[u8],
        profile: Option<&str>,
    ) -> Result<Vec<Issue>, AppError> {
        self.answer(ctx, Action::Validate, |audit| {
            let kind = stored_kind(resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            let document = parse(body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
            let mut profiles: Vec<String> = profile.map(str::to_owned).into_iter().collect();
            let resource = inner(document, &mut profiles);
            if resource.text("resourceType") != Some(kind.name()) {
                let text = "The resource is not of the type that the address names.";
                return Err(AppError::invalid(vec![Issue::error(IssueCode::Invalid, text).at("resourceType")]));
            }
            audit.detail.reasons.push("validated".to_owned());
            Ok(judge(&self.rules, resource, &profiles))
        })
    }
}

/// The resource inside a Parameters body (FHIR R4 Resource, operation validate); its `profile` joins `profiles`.
fn inner<'d>(document: Value<'d>, profiles: &mut Vec<String>) -> Value<'d> {
    if document.text("resourceType") != Some("Parameters") {
        return document;
    }
    let named = |name: &'static str| {
        document.list("parameter").iter().filter(move |parameter| parameter.text("name") == Some(name))
    };
    let urls = named("profile").filter_map(|parameter| parameter.text("valueUri").or(parameter.text("valueCanonical")));
    profiles.extend(urls.map(str::to_owned));
    let resource = named("resource").find_map(|parameter| parameter.get("resource")).cloned();
    resource.unwrap_or(document)
}

/// Everything there is to say about `resource`; profiles are judged only on what has the base shape.
#[must_use]
pub fn judge(rules: &Rules, resource: Value<'_>, profiles: &[String]) -> Vec<Issue> {
    let mut issues = rules.profiles.validate_base(&resource);
    if any_error(&issues) {
        return issues;
    }
    let is_patient = resource.text("resourceType") == Some("Patient");
    let (resource, remarks) = if is_patient { name_text::complete(resource) } else { (resource, Vec::new()) };
    issues.extend(remarks);
    let claimed = resource.get("meta").map(|meta| meta.list("profile")).unwrap_or_default();
    let claimed: Vec<String> = claimed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if is_patient && profiles.is_empty() && !idi::claimed_profiles(&resource).is_empty() {
        let judged = validate_idi_patient(&rules.profiles, &resource, ProfileRequirement::Required);
        // With an error the breakdown of the weight is among the issues already.
        let breakdown = if any_error(&judged.issues) { Vec::new() } else { judged.weight.issues() };
        issues.extend(judged.issues);
        issues.extend(breakdown);
        return issues;
    }
    for profile in &claimed {
        if profiles.is_empty() && !rules.profiles.is_known(profile) {
            let text = "A claimed profile is not known here and was not checked.";
            issues.push(Issue::warning(IssueCode::NotSupported, text).at("Resource.meta.profile"));
        } else if profiles.is_empty() {
            issues.extend(rules.profiles.validate(&resource, profile));
        }
    }
    // A profile that is asked for and unknown is an error: nothing was checked.
    for profile in profiles {
        issues.extend(rules.profiles.validate(&resource, canonical(rules, profile)));
    }
    issues
}

/// The canonical URL of a profile that is named by its URL or its id.
fn canonical<'a>(rules: &'a Rules, profile: &'a str) -> &'a str {
    let by_id = rules.profiles.find_artifact("StructureDefinition", profile);
    by_id.and_then(|artifact| artifact.url.as_deref()).unwrap_or(profile)
}
