//! `$validate`: what is wrong with a resource, as data. The request itself succeeds.

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode, any_error};
use crate::fhir::json::{Value, parse};
use crate::fhir::name_text;
use crate::fhir::us_core::is_subsetted;
use crate::profile::idi::{self, ProfileRequirement, validate_idi_patient};
use crate::store::resource::{self, Resource};

use super::context::Context;
use super::create::stored_kind;
use super::error::AppError;
use super::incoming::{ResourceKind, check_id};
use super::read::check_seen;
use super::responder::check_not_responder;
use super::rules::Rules;
use super::search::AUDIT_EVENT;
use super::{App, STORED_LIMITS};

/// What is asked (FHIR R4 Resource, operation validate).
#[derive(Debug, Clone, Copy)]
pub struct ValidateRequest<'r> {
    pub resource_type: &'r str,
    /// Of the address, when one resource is asked about.
    pub id: Option<&'r str>,
    /// A resource, Parameters, or nothing.
    pub body: &'r [u8],
    /// `mode` and `profile` of the address; Parameters may have them instead.
    pub mode: Option<&'r str>,
    pub profile: Option<&'r str>,
}

/// `http://hl7.org/fhir/resource-validation-mode`: what the content would be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The content alone.
    Content,
    Create,
    Update,
    Delete,
    /// What is stored, against a profile.
    Profile,
}

impl Mode {
    fn of(code: &str) -> Option<Self> {
        match code {
            "create" => Some(Self::Create),
            "update" => Some(Self::Update),
            "delete" => Some(Self::Delete),
            "profile" => Some(Self::Profile),
            _ => None,
        }
    }
}

/// What the body and the address say together.
struct Asked<'d> {
    resource: Option<Value<'d>>,
    profiles: Vec<String>,
    mode: Mode,
}

impl App {
    /// Judges a resource by its base definition and by `profile`, or else the profiles it claims. With a mode, also
    /// whether it could be created, updated or deleted, or what is stored by a profile.
    ///
    /// # Errors
    /// `NotFound` for a type that is not stored, or where a stored resource is needed and there is none; `Invalid` when
    /// the body is no JSON, has no resource where one is needed, or one of another type than the address says.
    pub fn validate(&self, ctx: &Context, request: &ValidateRequest<'_>) -> Result<Vec<Issue>, AppError> {
        self.answer(ctx, Action::Validate, |audit| {
            if request.resource_type == AUDIT_EVENT {
                audit.resource_type = Some(AUDIT_EVENT.to_owned());
                return self.judge_audit_event(request);
            }
            let kind = stored_kind(request.resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            request.id.map_or(Ok(()), check_id)?;
            let asked = self.read_request(request)?;
            audit.detail.reasons.push("validated".to_owned());
            match (asked.mode, request.id) {
                (Mode::Delete | Mode::Profile, None) => {
                    Err(refused("This mode asks about one resource: name it in the address.", "mode"))
                }
                (Mode::Create, Some(_)) => Err(refused("A create is asked of the type, without an id.", "mode")),
                (Mode::Delete, Some(id)) => {
                    audit.detail.records.push(id.to_owned());
                    self.find_stored(ctx, kind, id)?;
                    Ok(check_not_responder(&self.config, kind, id).err().map(|error| error.issues).unwrap_or_default())
                }
                (Mode::Profile, Some(id)) => {
                    audit.detail.records.push(id.to_owned());
                    self.judge_stored(ctx, kind, id, &asked.profiles)
                }
                (mode, id) => self.judge_received(kind, id, mode, asked),
            }
        })
    }

    fn read_request<'r>(&self, request: &ValidateRequest<'r>) -> Result<Asked<'r>, AppError> {
        let mut asked = Asked { resource: None, profiles: Vec::new(), mode: Mode::Content };
        asked.profiles.extend(request.profile.map(str::to_owned));
        let mut mode = request.mode.map(str::to_owned);
        if !request.body.is_empty() {
            let document =
                parse(request.body, &self.document_limits()).map_err(|issue| AppError::invalid(vec![issue]))?;
            if document.text("resourceType") == Some("Parameters") {
                asked.read_parameters(&document, &mut mode);
            } else {
                asked.resource = Some(document);
            }
        }
        if let Some(code) = mode {
            let text = "The mode must be create, update, delete or profile.";
            asked.mode = Mode::of(&code).ok_or_else(|| refused(text, "mode"))?;
        }
        Ok(asked)
    }

    /// AuditEvents are made here and never received: there is nothing to judge but content.
    fn judge_audit_event(&self, request: &ValidateRequest<'_>) -> Result<Vec<Issue>, AppError> {
        let asked = self.read_request(request)?;
        if asked.mode != Mode::Content {
            return Err(refused("AuditEvents are not written by callers; a mode has no meaning.", "mode"));
        }
        let resource = received(AUDIT_EVENT, asked.resource)?;
        Ok(judge(&self.rules, resource, &asked.profiles))
    }

    fn judge_received(
        &self,
        kind: ResourceKind,
        id: Option<&str>,
        mode: Mode,
        asked: Asked<'_>,
    ) -> Result<Vec<Issue>, AppError> {
        let resource = received(kind.name(), asked.resource)?;
        let mut issues = match mode {
            Mode::Create | Mode::Update => unstorable(kind, &resource),
            _ => Vec::new(),
        };
        if mode == Mode::Update {
            issues.extend(self.not_updatable(kind, id, resource.text("id")));
        }
        issues.extend(judge(&self.rules, resource, &asked.profiles));
        Ok(issues)
    }

    /// What stands against an update beside the content; `id` is that of the address.
    fn not_updatable(&self, kind: ResourceKind, id: Option<&str>, own: Option<&str>) -> Vec<Issue> {
        let place = format!("{}.id", kind.name());
        match (id, own) {
            (_, None) => vec![Issue::error(IssueCode::Required, "An update carries the id of the resource.").at(place)],
            (Some(id), Some(own)) if id != own => {
                vec![Issue::error(IssueCode::Invalid, "The body must carry the id of the address.").at(place)]
            }
            (_, Some(own)) => {
                check_not_responder(&self.config, kind, own).err().map(|error| error.issues).unwrap_or_default()
            }
        }
    }

    fn judge_stored(
        &self,
        ctx: &Context,
        kind: ResourceKind,
        id: &str,
        profiles: &[String],
    ) -> Result<Vec<Issue>, AppError> {
        if profiles.is_empty() {
            let text = "The profile to judge the stored resource by is missing.";
            return Err(AppError::invalid(vec![Issue::error(IssueCode::Required, text).at("profile")]));
        }
        let stored = self.find_stored(ctx, kind, id)?;
        let resource = parse(stored.body.as_bytes(), &STORED_LIMITS).map_err(|_| AppError::internal())?;
        Ok(judge(&self.rules, resource, profiles))
    }

    fn find_stored(&self, ctx: &Context, kind: ResourceKind, id: &str) -> Result<Resource, AppError> {
        let mut conn = self.connection()?;
        check_seen(&mut conn, &ctx.caller.read_constraint(kind.name()), kind, id)?;
        let found = resource::find(&mut conn, kind.name(), id)?;
        let found = found.ok_or_else(|| AppError::not_found("There is no such resource."))?;
        if found.deleted { Err(AppError::gone()) } else { Ok(found) }
    }
}

impl<'d> Asked<'d> {
    /// The parameters of the operation; what the address says of the mode goes first.
    fn read_parameters(&mut self, document: &Value<'d>, mode: &mut Option<String>) {
        for parameter in document.list("parameter") {
            match parameter.text("name") {
                Some("resource") if self.resource.is_none() => self.resource = parameter.get("resource").cloned(),
                Some("profile") => {
                    let url = parameter.text("valueUri").or(parameter.text("valueCanonical"));
                    self.profiles.extend(url.map(str::to_owned));
                }
                Some("mode") if mode.is_none() => {
                    *mode = Some(parameter.text("valueCode").unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
    }
}

/// The resource to judge, which must be of the type that the address names.
fn received<'d>(resource_type: &str, resource: Option<Value<'d>>) -> Result<Value<'d>, AppError> {
    let Some(resource) = resource else {
        let text = "The resource to validate is missing.";
        return Err(AppError::invalid(vec![Issue::error(IssueCode::Required, text).at("Parameters.parameter")]));
    };
    if resource.text("resourceType") == Some(resource_type) {
        return Ok(resource);
    }
    Err(refused("The resource is not of the type that the address names.", "resourceType"))
}

fn refused(text: &str, place: &str) -> AppError {
    AppError::invalid(vec![Issue::error(IssueCode::Invalid, text).at(place)])
}

/// What stands against storing `resource` beside its content.
fn unstorable(kind: ResourceKind, resource: &Value<'_>) -> Vec<Issue> {
    if !is_subsetted(resource) {
        return Vec::new();
    }
    let text = "A SUBSETTED resource is incomplete and is not stored.";
    vec![Issue::error(IssueCode::BusinessRule, text).at(format!("{}.meta.tag", kind.name()))]
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
