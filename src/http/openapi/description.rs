//! What each row of the route table is called, takes and gives: the words of the OpenAPI document.
//!
//! Every status is one that can occur: [`ALWAYS`] on all FHIR routes, the others where they are listed. Errors are
//! OperationOutcomes. Not here: which rows and types there are, the parameters (see `parameter`).

use serde_json::{Map, Value as Json, json};

/// One row and method.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    pub method: &'static str,
    pub path: &'static str,
    pub code: Code,
    /// `{type}` stands for the type.
    pub summary: &'static str,
    /// Names in `parameter`, beside those of the address.
    pub parameters: &'static [&'static str],
    pub body: Body,
    pub answers: &'static [(u16, Answer)],
    pub errors: &'static [u16],
}

/// The interaction or operation of the capability table, which says for which types a row is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Interaction(&'static str),
    Operation(&'static str),
    /// Not of a type.
    Always,
}

#[derive(Debug, Clone, Copy)]
pub enum Body {
    None,
    /// A resource of the type.
    Own,
    Schema(&'static str),
    Optional(&'static str),
    OwnOrParameters,
    /// RFC 6902.
    JsonPatch,
    /// JSON that is not FHIR.
    Json,
    /// Search parameters, or those of a token request.
    Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Nothing,
    Own,
    /// The resource, an outcome, or nothing, as `Prefer: return` asks.
    Written,
    Schema(&'static str),
    /// Parameters or a picture.
    Explanation,
    /// Of a probe.
    Json,
    Text(&'static str),
    /// What is sent while an export goes on, and when it is complete.
    Manifest,
    Ndjson,
}

impl Described {
    /// Whether search parameters say what it works on: searches, and writes whose address has no id.
    pub fn is_by_search(&self) -> bool {
        self.path == "/{type}" && self.method != "POST"
    }

    /// Whether errors are OperationOutcomes.
    pub fn is_fhir(&self) -> bool {
        !matches!(self.answers, [(_, Answer::Json | Answer::Text(_)), ..])
    }
}

/// Statuses of every FHIR route.
pub const ALWAYS: &[u16] = &[400, 406, 408, 500, 503, 507];

/// Of every FHIR answer.
pub(super) const FORMAT: &[&str] = &["_format", "_pretty"];
/// Of answers that are resources or lists of them: also how much of them.
const PARTS: &[&str] = &["_format", "_pretty", "_summary", "_elements"];
const READ: &[&str] = &["_format", "_pretty", "_summary", "_elements", "If-None-Match", "If-Modified-Since"];
const SEARCH: &[&str] =
    &["_format", "_pretty", "_summary", "_elements", "_count", "_sort", "_total", "_include", "_revinclude", "Prefer"];
const VALIDATE: &[&str] = &["_format", "_pretty", "mode", "profile"];
const CREATE: &[&str] = &["_format", "_pretty", "_summary", "_elements", "If-None-Exist", "Prefer"];
const UPDATE: &[&str] = &["_format", "_pretty", "_summary", "_elements", "If-Match", "If-None-Match", "Prefer"];
const PATCH: &[&str] = &["_format", "_pretty", "_summary", "_elements", "If-Match", "Prefer"];
const DELETE: &[&str] = &["_format", "_pretty", "If-Match"];
const BUNDLED: &[&str] = &["_format", "_pretty", "Prefer"];
const HISTORY: &[&str] = &["_format", "_pretty", "_summary", "_elements", "_count", "_since", "_at", "Prefer"];
const EXPORT: &[&str] = &["_type", "_since", "_outputFormat", "Prefer-async"];
const ACCEPTED: &[(u16, Answer)] = &[(202, Answer::Schema("OperationOutcome"))];
pub(super) const WITH_BODY: &[u16] = &[413, 415];
const OUTCOME: &[(u16, Answer)] = &[(200, Answer::Schema("OperationOutcome"))];
pub(super) const BUNDLE: &[(u16, Answer)] = &[(200, Answer::Schema("Bundle"))];
pub(super) const PARAMETERS: &[(u16, Answer)] = &[(200, Answer::Schema("Parameters"))];
const FOUND: &[(u16, Answer)] = &[(200, Answer::Own), (304, Answer::Nothing)];
const WRITTEN: &[(u16, Answer)] = &[(200, Answer::Written), (201, Answer::Written)];

pub(super) const fn row(method: &'static str, path: &'static str, code: Code, summary: &'static str) -> Described {
    Described { method, path, code, summary, parameters: FORMAT, body: Body::None, answers: &[], errors: &[] }
}

/// Every row that is described.
pub fn described() -> impl Iterator<Item = &'static Described> {
    let others = [super::stewardship::DESCRIBED, super::authorization::DESCRIBED, super::people::DESCRIBED];
    DESCRIBED.iter().chain(others.into_iter().flatten())
}

const DESCRIBED: &[Described] = &[
    Described {
        answers: &[(200, Answer::Schema("CapabilityStatement"))],
        parameters: PARTS,
        ..row("GET", "/metadata", Code::Always, "What this server does")
    },
    Described {
        body: Body::Schema("MatchParameters"),
        answers: PARAMETERS,
        errors: &[413, 415, 422],
        ..row("POST", "/Patient/$idi-match", Code::Always, "Find the records of a person by verified identity")
    },
    Described {
        body: Body::Schema("MatchParameters"),
        answers: BUNDLE,
        errors: &[413, 415, 422],
        ..row("POST", "/Patient/$match", Code::Always, "Find the records of a person")
    },
    Described {
        parameters: &["_format-picture"],
        body: Body::Schema("ExplainParameters"),
        answers: &[(200, Answer::Explanation)],
        errors: &[404, 413, 415],
        ..row("POST", "/Patient/$explain-match", Code::Always, "Explain why a record has its score")
    },
    Described {
        parameters: VALIDATE,
        body: Body::OwnOrParameters,
        answers: OUTCOME,
        errors: WITH_BODY,
        ..row("POST", "/{type}/$validate", Code::Operation("validate"), "Validate a {type}")
    },
    Described {
        parameters: VALIDATE,
        body: Body::OwnOrParameters,
        answers: OUTCOME,
        errors: &[404, 410, 413, 415],
        ..row("POST", "/{type}/{id}/$validate", Code::Operation("validate"), "Validate a {type} for one that is stored")
    },
    Described {
        answers: PARAMETERS,
        errors: &[404, 410, 415],
        ..row("GET", "/{type}/{id}/$meta", Code::Operation("meta"), "The meta of a {type}")
    },
    Described {
        body: Body::Optional("Parameters"),
        answers: PARAMETERS,
        errors: &[404, 410, 413, 415],
        ..row("POST", "/{type}/{id}/$meta", Code::Operation("meta"), "The meta of a {type}")
    },
    Described {
        answers: PARAMETERS,
        errors: &[404, 410, 415],
        ..row(
            "GET",
            "/{type}/{id}/_history/{version}/$meta",
            Code::Operation("meta"),
            "The meta of a version of a {type}",
        )
    },
    Described {
        body: Body::Optional("Parameters"),
        answers: PARAMETERS,
        errors: &[404, 410, 413, 415],
        ..row(
            "POST",
            "/{type}/{id}/_history/{version}/$meta",
            Code::Operation("meta"),
            "The meta of a version of a {type}",
        )
    },
    Described {
        parameters: SEARCH,
        answers: BUNDLE,
        ..row("GET", "/{type}", Code::Interaction("search-type"), "Search {type} resources")
    },
    Described {
        parameters: CREATE,
        body: Body::Own,
        answers: WRITTEN,
        errors: &[409, 412, 413, 415, 422],
        ..row("POST", "/{type}", Code::Interaction("create"), "Create a {type}")
    },
    Described {
        parameters: HISTORY,
        answers: BUNDLE,
        ..row("GET", "/{type}/_history", Code::Interaction("history-type"), "History of all {type} resources")
    },
    Described {
        parameters: HISTORY,
        answers: BUNDLE,
        errors: &[404],
        ..row("GET", "/{type}/{id}/_history", Code::Interaction("history-instance"), "History of a {type}")
    },
    Described {
        parameters: READ,
        answers: FOUND,
        errors: &[404, 410],
        ..row("GET", "/{type}/{id}", Code::Interaction("read"), "Read a {type}")
    },
    Described {
        parameters: UPDATE,
        body: Body::Own,
        answers: WRITTEN,
        errors: &[409, 412, 413, 415, 422],
        ..row("PUT", "/{type}/{id}", Code::Interaction("update"), "Update a {type}, or create it under this id")
    },
    Described {
        parameters: DELETE,
        answers: &[(204, Answer::Nothing)],
        errors: &[409, 412],
        ..row("DELETE", "/{type}/{id}", Code::Interaction("delete"), "Delete a {type}")
    },
    Described {
        parameters: READ,
        answers: FOUND,
        errors: &[404, 410],
        ..row("GET", "/{type}/{id}/_history/{version}", Code::Interaction("vread"), "Read a version of a {type}")
    },
    Described {
        parameters: SEARCH,
        body: Body::Form,
        answers: BUNDLE,
        errors: &[404, 413, 415],
        ..row("POST", "/{type}/_search", Code::Interaction("search-type"), "Search {type} resources by a form")
    },
    Described {
        parameters: UPDATE,
        body: Body::Own,
        answers: WRITTEN,
        errors: &[404, 409, 412, 413, 415, 422],
        ..row("PUT", "/{type}", Code::Interaction("update"), "Update or create the {type} that a search finds")
    },
    Described {
        parameters: DELETE,
        answers: &[(204, Answer::Nothing)],
        errors: &[404, 409, 412],
        ..row("DELETE", "/{type}", Code::Interaction("delete"), "Delete the {type} that a search finds")
    },
    Described {
        parameters: PATCH,
        body: Body::JsonPatch,
        answers: WRITTEN,
        errors: &[404, 409, 410, 412, 413, 415, 422],
        ..row("PATCH", "/{type}", Code::Interaction("patch"), "Patch the {type} that a search finds")
    },
    Described {
        parameters: PATCH,
        body: Body::JsonPatch,
        answers: &[(200, Answer::Written)],
        errors: &[404, 409, 410, 412, 413, 415, 422],
        ..row("PATCH", "/{type}/{id}", Code::Interaction("patch"), "Patch a {type}")
    },
    Described {
        parameters: BUNDLED,
        body: Body::Schema("Bundle"),
        answers: BUNDLE,
        errors: &[404, 409, 410, 412, 413, 415, 422],
        ..row("POST", "", Code::Always, "Transaction or batch")
    },
    Described {
        parameters: EXPORT,
        answers: ACCEPTED,
        errors: &[429],
        ..row("GET", "/$export", Code::Always, "Begin an export of everything")
    },
    Described {
        body: Body::Optional("Parameters"),
        parameters: EXPORT,
        answers: ACCEPTED,
        errors: &[413, 415, 429],
        ..row("POST", "/$export", Code::Always, "Begin an export of everything")
    },
    Described {
        parameters: EXPORT,
        answers: ACCEPTED,
        errors: &[429],
        ..row("GET", "/Patient/$export", Code::Always, "Begin an export of patients")
    },
    Described {
        body: Body::Optional("Parameters"),
        parameters: EXPORT,
        answers: ACCEPTED,
        errors: &[413, 415, 429],
        ..row("POST", "/Patient/$export", Code::Always, "Begin an export of patients")
    },
    Described {
        answers: &[(200, Answer::Manifest), (202, Answer::Nothing)],
        errors: &[404],
        ..row("GET", "/$export/{job}", Code::Always, "How far an export is, and its files")
    },
    Described {
        answers: &[(202, Answer::Schema("OperationOutcome"))],
        errors: &[404],
        ..row("DELETE", "/$export/{job}", Code::Always, "Cancel an export")
    },
    Described {
        answers: &[(200, Answer::Ndjson)],
        errors: &[404],
        ..row("GET", "/$export/{job}/{file}", Code::Always, "A file of an export")
    },
    Described {
        parameters: &[],
        answers: &[(200, Answer::Json), (400, Answer::Nothing)],
        ..row("GET", "/livez", Code::Always, "Whether the process answers")
    },
    Described {
        parameters: &[],
        answers: &[(200, Answer::Json), (503, Answer::Json), (400, Answer::Nothing)],
        ..row("GET", "/readyz", Code::Always, "Whether the database answers too, and how far the index is behind it")
    },
    Described {
        parameters: &[],
        answers: &[(200, Answer::Text("text/plain")), (403, Answer::Json), (400, Answer::Nothing)],
        ..row("GET", "/metrics", Code::Always, "Metrics for Prometheus")
    },
    Described {
        parameters: &[],
        answers: &[(200, Answer::Json), (400, Answer::Nothing)],
        ..row("GET", "/openapi.json", Code::Always, "This document")
    },
];

/// The headers of answers.
#[must_use]
pub fn headers() -> Json {
    json!({
        "ETag": {"description": "The version: W/\"1\".", "schema": {"type": "string"}},
        "Last-Modified": {"description": "When the version was written.", "schema": {"type": "string"}},
        "Location": {"description": "The address of the new version.", "schema": {"type": "string"}},
        "Preference-Applied": {"description": "The preference that was heeded.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}},
    })
}

/// Which of [`headers`] an answer has.
#[must_use]
pub const fn headers_of(answer: Answer, status: u16) -> &'static [&'static str] {
    match (answer, status) {
        (Answer::Written, 201) => &["ETag", "Last-Modified", "Location", "Preference-Applied"],
        (Answer::Written, _) => &["ETag", "Last-Modified", "Preference-Applied"],
        (Answer::Own, _) | (Answer::Nothing, 304) => &["ETag", "Last-Modified"],
        _ => &[],
    }
}

/// The errors, each an OperationOutcome but for what is refused before there is a request.
#[must_use]
pub fn responses() -> Json {
    let content = json!({"application/fhir+json": {"schema": {"$ref": "#/components/schemas/OperationOutcome"}}});
    let all = [400, 403, 404, 406, 409, 410, 412, 413, 415, 422, 429, 500, 503, 507].map(|code| {
        let mut response = json!({"description": status(code), "content": content});
        if matches!(code, 429 | 503) {
            response["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/Retry-After"}});
        }
        (response_name(code).to_owned(), response)
    });
    let slow = (response_name(408).to_owned(), json!({"description": status(408)}));
    all.into_iter().chain([slow]).collect::<Map<_, _>>().into()
}

/// The name of an error among [`responses`].
#[must_use]
pub const fn response_name(status: u16) -> &'static str {
    match status {
        400 => "Invalid",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "NotAllowed",
        406 => "NotAcceptable",
        408 => "TooSlow",
        409 => "Conflict",
        410 => "Gone",
        412 => "PreconditionFailed",
        413 => "TooLarge",
        415 => "MediaType",
        422 => "Unprocessable",
        429 => "Throttled",
        503 => "Unavailable",
        507 => "Full",
        _ => "Internal",
    }
}

/// What a status says.
#[must_use]
pub const fn status(status: u16) -> &'static str {
    match status {
        200 => "Done.",
        201 => "Created.",
        202 => "Accepted; the work goes on.",
        204 => "Done, and there is nothing to send.",
        303 => "Go on there.",
        304 => "Not modified.",
        400 => "The request has not the shape of FHIR.",
        401 => "The token is not accepted.",
        403 => "The caller may not do this.",
        404 => "There is nothing of that name.",
        405 => "The method is not served here.",
        406 => "No format that is wanted is served.",
        408 => "The head of the request did not come in time; there is no body.",
        409 => "The state of the resource stands against it.",
        410 => "The resource was deleted.",
        412 => "A condition of the request does not hold.",
        413 => "The request is too large.",
        415 => "The body is not in a format that is read.",
        422 => "The content breaks a profile or a rule.",
        429 => "There are too many of them already.",
        503 => "The server or its database is busy or away.",
        507 => "The database has no room.",
        _ => "The server failed.",
    }
}

/// What a tag groups.
#[must_use]
pub fn tag(name: &str) -> String {
    match name {
        "Server" => "Authorization, probes, metrics and this document".to_owned(),
        "System" => "What is not of one type".to_owned(),
        resource_type => format!("Resources of type {resource_type}"),
    }
}
