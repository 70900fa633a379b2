//! `GET /metadata`: the CapabilityStatement.

use actix_web::{HttpRequest, HttpResponse};

use crate::app::auth::gate::Gate;
use crate::app::capability::Served;
use crate::app::clock::instant;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::audit::Action;

use super::super::extract::{AppData, State, check_accept, context, refuse, run};
use super::super::render::capability::{CapabilityInput, Operation, SearchParam, ServedResource, render};
use super::super::{FHIR_JSON, error};

pub async fn get(app: AppData, request: HttpRequest) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = check_accept(&request) {
        return refuse(&app, &ctx, Action::Read, error).await;
    }
    let asked = ctx.clone();
    match run(&app, move |app| statement(app, &asked)).await {
        Ok(statement) => HttpResponse::Ok().content_type(FHIR_JSON).body(statement),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

fn statement(state: &State, ctx: &Context) -> Result<Vec<u8>, AppError> {
    let capability = state.capability(ctx)?;
    let lists: Vec<Lists<'_>> = capability.served.iter().map(Lists::of).collect();
    let resources: Vec<ServedResource<'_>> =
        capability.served.iter().zip(&lists).map(|(served, lists)| resource(served, lists)).collect();
    let operations: Vec<Operation<'_>> = operations(capability.operations);
    let input = CapabilityInput {
        date: &instant(capability.date_us),
        software_version: env!("CARGO_PKG_VERSION"),
        description: "idi-match: person matching as the HL7 Interoperable Digital Identity and Patient Matching guide has it",
        security: security(state.gate()),
        formats: &["application/fhir+json", "json"],
        interactions: capability.interactions,
        patch_formats: &["application/json-patch+json"],
        instantiates: capability.instantiates,
        resources: &resources,
        operations: &operations,
    };
    super::render(render(&state.responder, &input))
}

const fn security(gate: &Gate) -> &'static str {
    match gate {
        Gate::Open => "Open: every caller on this machine is let in, without authorization.",
        Gate::Guarded(_) => {
            "Guarded: Bearer tokens of this server with SMART scopes (system/Type.cruds); the policy on identity assurance \
             decides beside them. AuditEvent and Stewardship (what stewards see and decide) have scopes of their own, which no \
             wildcard gives."
        }
    }
}

fn operations<'s>(listed: &'s [(&'s str, &'s str)]) -> Vec<Operation<'s>> {
    listed.iter().map(|(name, definition)| Operation { name, definition }).collect()
}

/// The lists of one type, as the rendering borrows them.
struct Lists<'s> {
    profiles: Vec<&'s str>,
    params: Vec<SearchParam<'s>>,
    includes: Vec<&'s str>,
    rev_includes: Vec<&'s str>,
    operations: Vec<Operation<'s>>,
}

impl<'s> Lists<'s> {
    fn of(served: &'s Served) -> Self {
        Self {
            profiles: served.supported_profiles.iter().map(String::as_str).collect(),
            params: served.search_params.iter().map(|(name, kind)| SearchParam { name, kind }).collect(),
            includes: served.search_includes.iter().map(String::as_str).collect(),
            rev_includes: served.search_rev_includes.iter().map(String::as_str).collect(),
            operations: operations(served.operations),
        }
    }
}

fn resource<'s>(served: &'s Served, lists: &'s Lists<'s>) -> ServedResource<'s> {
    ServedResource {
        resource_type: served.resource_type,
        profile: served.profile,
        supported_profiles: &lists.profiles,
        interactions: served.interactions,
        versioning: served.versioning,
        update_create: served.update_create,
        is_conditional: served.is_conditional,
        search_params: &lists.params,
        search_includes: &lists.includes,
        search_rev_includes: &lists.rev_includes,
        operations: &lists.operations,
    }
}
