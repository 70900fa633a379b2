//! `GET /metadata`: the `CapabilityStatement`, from a table of what is served.
//!
//! Not here: the table (it stands beside the routes, so that it says what they do).

use std::str::FromStr;

use fhir_types::codes::{
    CapabilityStatementKind, ConditionalDeleteStatus, FHIRVersion, PublicationStatus, ResourceType,
    RestfulCapabilityMode,
};
use fhir_types::resources::{
    CapabilityStatement, CapabilityStatementImplementation, CapabilityStatementRest,
    CapabilityStatementRestInteraction, CapabilityStatementRestResource, CapabilityStatementRestResourceInteraction,
    CapabilityStatementRestResourceOperation, CapabilityStatementRestResourceSearchParam,
    CapabilityStatementRestSecurity, CapabilityStatementSoftware,
};
use fhir_types::{DateTime, write_capability_statement};

use super::responder::Responder;
use super::{RenderError, code, list};

/// What the server says about itself.
#[derive(Debug, Clone, Copy)]
pub struct CapabilityInput<'a> {
    /// When the statement last changed: a FHIR `dateTime`.
    pub date: &'a str,
    pub software_version: &'a str,
    pub description: &'a str,
    pub security: &'a str,
    /// Mime types.
    pub formats: &'a [&'a str],
    /// Codes of `http://hl7.org/fhir/restful-interaction`, system level.
    pub interactions: &'a [&'a str],
    pub patch_formats: &'a [&'a str],
    /// Canonical URLs of statements that this server follows.
    pub instantiates: &'a [&'a str],
    pub resources: &'a [ServedResource<'a>],
    /// Of the whole system.
    pub operations: &'a [Operation<'a>],
}

/// What can be done with one type of resource.
#[derive(Debug, Clone, Copy)]
pub struct ServedResource<'a> {
    pub resource_type: &'a str,
    pub profile: Option<&'a str>,
    pub supported_profiles: &'a [&'a str],
    /// Codes of `http://hl7.org/fhir/restful-interaction`, type level.
    pub interactions: &'a [&'a str],
    /// `no-version`, `versioned` or `versioned-update`.
    pub versioning: &'a str,
    /// Whether an update may create, under the client's id.
    pub update_create: bool,
    /// Whether create, update and delete take criteria, which one resource at most may fit.
    pub is_conditional: bool,
    pub search_params: &'a [SearchParam<'a>],
    /// `Type:parameter`
    pub search_includes: &'a [&'a str],
    pub search_rev_includes: &'a [&'a str],
    pub operations: &'a [Operation<'a>],
}

#[derive(Debug, Clone, Copy)]
pub struct SearchParam<'a> {
    pub name: &'a str,
    /// `string`, `token`, `date`, `uri`, …
    pub kind: &'a str,
}

#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// Without `$`.
    pub name: &'a str,
    /// Canonical URL of the `OperationDefinition`.
    pub definition: &'a str,
}

/// The statement as JSON.
///
/// # Errors
/// When the table or the date holds what FHIR does not know.
pub fn render(responder: &Responder, input: &CapabilityInput<'_>) -> Result<Vec<u8>, RenderError> {
    let date = DateTime::from_str(input.date).map_err(|_| RenderError::Code("CapabilityStatement.date"))?;
    let resources: Result<Vec<_>, RenderError> = input.resources.iter().map(resource).collect();
    let interactions: Result<Vec<_>, RenderError> = input.interactions.iter().map(|name| interaction(name)).collect();
    let security = CapabilityStatementRestSecurity::builder().description(input.security.to_owned()).build()?;
    let rest = CapabilityStatementRest::builder()
        .mode(RestfulCapabilityMode::Server)
        .security(security)
        .resource(list(resources?))
        .interaction(list(interactions?))
        .operation(list(operations(input.operations)?))
        .build()?;
    let software = CapabilityStatementSoftware::builder()
        .name("idi-match".to_owned())
        .version(input.software_version.to_owned())
        .build()?;
    let implementation = CapabilityStatementImplementation::builder()
        .description(input.description.to_owned())
        .url(responder.base_url().to_owned())
        .custodian(responder.reference()?)
        .build()?;
    let statement = CapabilityStatement::builder()
        .status(PublicationStatus::Active)
        .date(date)
        .publisher(responder.name().to_owned())
        .kind(CapabilityStatementKind::Instance)
        .instantiates(list(input.instantiates.iter().map(|&canonical| canonical.to_owned())))
        .software(software)
        .implementation(implementation)
        .fhir_version(FHIRVersion::N401)
        .format(list(input.formats.iter().map(|&format| format.to_owned())))
        .patch_format(list(input.patch_formats.iter().map(|&format| format.to_owned())))
        .rest(list([rest]))
        .build()?;
    Ok(write_capability_statement(&statement)?.into_bytes())
}

fn interaction(name: &str) -> Result<CapabilityStatementRestInteraction, RenderError> {
    let name = code("CapabilityStatement.rest.interaction.code", name)?;
    Ok(CapabilityStatementRestInteraction::builder().code(name).build()?)
}

fn resource(served: &ServedResource<'_>) -> Result<CapabilityStatementRestResource, RenderError> {
    let interaction =
        |&name: &&str| CapabilityStatementRestResourceInteraction::builder().code(name.to_owned()).build();
    let interactions: Result<Vec<_>, _> = served.interactions.iter().map(interaction).collect();
    let search_params: Result<Vec<_>, RenderError> = served.search_params.iter().map(search_param).collect();
    let mut typed = CapabilityStatementRestResource::builder()
        .r#type(resource_type(served.resource_type)?)
        .supported_profile(list(served.supported_profiles.iter().map(|&profile| profile.to_owned())))
        .interaction(list(interactions?))
        .versioning(code("CapabilityStatement.rest.resource.versioning", served.versioning)?)
        .update_create(served.update_create)
        .search_include(list(served.search_includes.iter().map(|&name| name.to_owned())))
        .search_rev_include(list(served.search_rev_includes.iter().map(|&name| name.to_owned())))
        .search_param(list(search_params?))
        .operation(list(operations(served.operations)?))
        .build()?;
    if served.is_conditional {
        typed.conditional_create = Some(true);
        typed.conditional_update = Some(true);
        typed.conditional_delete = Some(ConditionalDeleteStatus::Single);
    }
    typed.profile = served.profile.map(str::to_owned);
    // Every read goes through the same conditions (see `app::read`).
    typed.conditional_read = Some(code("CapabilityStatement.rest.resource.conditionalRead", "full-support")?);
    Ok(typed)
}

fn operations(listed: &[Operation<'_>]) -> Result<Vec<CapabilityStatementRestResourceOperation>, RenderError> {
    let operation = |operation: &Operation<'_>| {
        Ok(CapabilityStatementRestResourceOperation::builder()
            .name(operation.name.to_owned())
            .definition(operation.definition.to_owned())
            .build()?)
    };
    listed.iter().map(operation).collect()
}

/// fhir-types takes any word for a type of resource, here it must be one of FHIR's.
fn resource_type(name: &str) -> Result<ResourceType, RenderError> {
    let element = "CapabilityStatement.rest.resource.type";
    match code(element, name)? {
        ResourceType::_Custom(_) => Err(RenderError::Code(element)),
        known => Ok(known),
    }
}

fn search_param(param: &SearchParam<'_>) -> Result<CapabilityStatementRestResourceSearchParam, RenderError> {
    Ok(CapabilityStatementRestResourceSearchParam::builder()
        .name(param.name.to_owned())
        .r#type(code("CapabilityStatement.rest.resource.searchParam.type", param.kind)?)
        .build()?)
}

#[cfg(test)]
mod tests {
    use fhir_types::parse;
    use serde_json::{Value, json};

    use super::super::responder::tests::responder;
    use super::*;
    use crate::fhir::canonical::{IDI_MATCH_OPERATION, MATCH_OPERATION};

    const PATIENT: ServedResource<'static> = ServedResource {
        resource_type: "Patient",
        profile: None,
        supported_profiles: &["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient"],
        interactions: &["create", "read", "update", "delete", "search-type"],
        versioning: "versioned-update",
        update_create: true,
        is_conditional: true,
        search_params: &[
            SearchParam { name: "family", kind: "string" },
            SearchParam { name: "identifier", kind: "token" },
        ],
        search_includes: &["Patient:organization"],
        search_rev_includes: &["Task:patient"],
        operations: &[
            Operation { name: "match", definition: MATCH_OPERATION },
            Operation { name: "idi-match", definition: IDI_MATCH_OPERATION },
        ],
    };

    fn input<'a>(resources: &'a [ServedResource<'a>]) -> CapabilityInput<'a> {
        CapabilityInput {
            date: "2026-01-02",
            software_version: "0.1.0",
            description: "Identity matching",
            security: "Open on a loopback address",
            formats: &["application/fhir+json"],
            interactions: &["transaction", "batch"],
            patch_formats: &["application/json-patch+json"],
            instantiates: &["http://guide/CapabilityStatement/a"],
            resources,
            operations: &[Operation { name: "export", definition: "http://guide/OperationDefinition/export" }],
        }
    }

    #[test]
    fn the_statement_says_what_the_table_says() {
        let bytes = render(&responder(), &input(&[PATIENT])).expect("rendered");
        parse(&bytes).expect("FHIR");
        let expected = json!({
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-01-02",
            "publisher": "Example Health",
            "kind": "instance",
            "instantiates": ["http://guide/CapabilityStatement/a"],
            "software": {"name": "idi-match", "version": "0.1.0"},
            "implementation": {
                "description": "Identity matching",
                "url": "https://match.example.org/fhir",
                "custodian": {"reference": "https://match.example.org/fhir/Organization/responder", "display": "Example Health"}
            },
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "patchFormat": ["application/json-patch+json"],
            "rest": [{
                "mode": "server",
                "security": {"description": "Open on a loopback address"},
                "resource": [{
                    "type": "Patient",
                    "supportedProfile": ["http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient"],
                    "interaction": [
                        {"code": "create"}, {"code": "read"}, {"code": "update"}, {"code": "delete"}, {"code": "search-type"}
                    ],
                    "versioning": "versioned-update",
                    "updateCreate": true,
                    "conditionalCreate": true,
                    "conditionalUpdate": true,
                    "conditionalDelete": "single",
                    "conditionalRead": "full-support",
                    "searchInclude": ["Patient:organization"],
                    "searchRevInclude": ["Task:patient"],
                    "searchParam": [{"name": "family", "type": "string"}, {"name": "identifier", "type": "token"}],
                    "operation": [
                        {"name": "match", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match"},
                        {"name": "idi-match", "definition": "http://hl7.org/fhir/us/identity-matching/OperationDefinition/IDI-match"}
                    ]
                }],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [{"name": "export", "definition": "http://guide/OperationDefinition/export"}]
            }]
        });
        assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), expected);
    }

    #[test]
    fn a_table_that_fhir_does_not_know_is_an_error() {
        let kind = [SearchParam { name: "family", kind: "text" }];
        let table = [
            ServedResource { resource_type: "Patients", ..PATIENT },
            ServedResource { versioning: "always", ..PATIENT },
            ServedResource { search_params: &kind, ..PATIENT },
        ];
        for row in table {
            assert!(matches!(render(&responder(), &input(&[row])), Err(RenderError::Code(_))), "{row:?}");
        }
        let dated = CapabilityInput { date: "yesterday", ..input(&[]) };
        assert!(matches!(render(&responder(), &dated), Err(RenderError::Code(_))));
    }

    #[test]
    fn the_resources_of_this_server_are_known_to_fhir() {
        for resource_type in [
            "Patient",
            "Organization",
            "StructureDefinition",
            "OperationDefinition",
            "ValueSet",
            "CodeSystem",
            "NamingSystem",
        ] {
            let row = ServedResource {
                resource_type,
                profile: Some("http://x"),
                search_params: &[],
                search_includes: &[],
                search_rev_includes: &[],
                operations: &[],
                ..PATIENT
            };
            let bytes = render(&responder(), &input(&[row])).expect("rendered");
            let statement: Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(statement["rest"][0]["resource"][0]["type"], resource_type);
            assert_eq!(statement["rest"][0]["resource"][0]["profile"], "http://x");
            assert!(statement["rest"][0]["resource"][0]["operation"].is_null());
        }
    }
}
