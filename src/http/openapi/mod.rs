//! The OpenAPI 3.1 document of every route, at `/openapi.json`.
//!
//! What: the rows of the route table, each with its description, for each type that the capability table lists with that
//! interaction or operation; schemas come from the element tables that received documents are judged by. So nothing is
//! described that is not served, and a row without a description stops the start. Not here: what a route does.

mod authorization;
mod description;
mod parameter;
mod people;
mod schema;
mod stewardship;

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use serde_json::{Map, Value as Json, json};

use crate::app::App;
use crate::app::capability::Served;

use super::auth;
use super::fhir;
use super::health;
use super::pages;
use super::route::{Row, at};

use description::{Answer, Body, Code, Described};
use schema::Schemas;

const PATH: &str = "/openapi.json";
const FHIR_JSON: &str = "application/fhir+json";

/// The document, written once at the start.
pub struct Document {
    text: web::Bytes,
}

pub fn routes(config: &mut ServiceConfig) {
    for row in rows() {
        config.service(row.resource);
    }
}

/// The address of the document.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![at(PATH).get(get)]
}

async fn get(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.text.clone())
}

impl Document {
    /// The document of a running instance.
    ///
    /// # Errors
    /// The routes that no description fits, and the descriptions of no route.
    pub fn of(app: &App) -> Result<Self, String> {
        let root = app.config.server.base_url.trim_end_matches(fhir::BASE);
        let (document, undescribed) = Writer::new(app, root).write();
        let unserved = list_unserved();
        if undescribed.is_empty() && unserved.is_empty() {
            return Ok(Self { text: document.to_string().into() });
        }
        let (undescribed, unserved) = (undescribed.join(", "), unserved.join(", "));
        Err(format!("the OpenAPI document lacks routes [{undescribed}] or has descriptions of none [{unserved}]"))
    }
}

/// Every served address: base, row.
fn all_rows() -> Vec<(&'static str, Row)> {
    let fhir = fhir::rows().into_iter().map(|row| (fhir::BASE, row));
    let others = health::rows().into_iter().chain(rows()).chain(auth::rows()).chain(pages::rows()).map(|row| ("", row));
    fhir.chain(others).collect()
}

/// Descriptions that no row has.
fn list_unserved() -> Vec<String> {
    let rows = all_rows();
    let has = |row: &Row, known: &Described| {
        row.path == known.path && row.methods.iter().any(|method| method.as_str() == known.method)
    };
    let unserved = description::described().filter(|known| !rows.iter().any(|(_, row)| has(row, known)));
    unserved.map(|known| format!("{} {}", known.method, known.path)).collect()
}

struct Writer<'a> {
    root: &'a str,
    served: Vec<Served>,
    schemas: Schemas<'a>,
    paths: Map<String, Json>,
    parameters: BTreeSet<&'static str>,
    tags: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    fn new(app: &'a App, root: &'a str) -> Self {
        Self {
            root,
            served: app.served(),
            schemas: Schemas::new(app.rules.profiles.shapes()),
            paths: Map::new(),
            parameters: BTreeSet::new(),
            tags: BTreeSet::new(),
        }
    }

    /// The document, and the routes that no description fits.
    fn write(mut self) -> (Json, Vec<String>) {
        let mut undescribed = Vec::new();
        for (base, row) in all_rows() {
            for method in &row.methods {
                // HEAD is GET without the body (RFC 9110 §9.3.2), and is described as such.
                let described_as = if method == Method::HEAD { "GET" } else { method.as_str() };
                // An address is the same with a slash at its end.
                let path = row.path.trim_end_matches('/');
                let found = description::described().find(|known| known.path == path && known.method == described_as);
                if !found.is_some_and(|described| self.describe(base, described, method)) {
                    undescribed.push(format!("{method} {base}{}", row.path));
                }
            }
        }
        (self.document(), undescribed)
    }

    fn document(self) -> Json {
        let tag = |name: &String| json!({"name": name, "description": description::tag(name)});
        let parameters = self.parameters.iter().map(|name| ((*name).to_owned(), parameter::shared(name)));
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "idi-match",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": "FHIR R4 server for person matching",
                "description": "HL7 Interoperable Digital Identity and Patient Matching over FHIR R4. The CapabilityStatement at /fhir/metadata says the same in FHIR's own words.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": if self.root.is_empty() { "/" } else { self.root }}],
            "security": [],
            "tags": self.tags.iter().map(tag).collect::<Vec<_>>(),
            "paths": self.paths,
            "components": {
                "parameters": parameters.collect::<Map<_, _>>(),
                "headers": description::headers(),
                "responses": description::responses(),
                "schemas": self.schemas.write(),
            },
        })
    }

    /// Adds the operations of one row and method; false when no type is served with it.
    fn describe(&mut self, base: &str, described: &'static Described, method: &Method) -> bool {
        if !described.path.contains("{type}") {
            let (first, tag) =
                described.path.split('/').nth(1).map_or(("", None), |first| {
                    (first, self.served.iter().find(|served| served.resource_type == first))
                });
            let tag = tag.map_or(if base.is_empty() { "Server" } else { "System" }, |_| first).to_owned();
            self.add(&format!("{base}{}", described.path), described, method, (&tag, None));
            return true;
        }
        let served: Vec<Served> = self.served.iter().filter(|served| offers(served, described.code)).cloned().collect();
        for served in &served {
            let path = format!("{base}{}", described.path.replace("{type}", served.resource_type));
            self.add(&path, described, method, (served.resource_type, Some(served)));
        }
        !served.is_empty()
    }

    fn add(
        &mut self,
        path: &str,
        described: &'static Described,
        method: &Method,
        (tag, served): (&str, Option<&Served>),
    ) {
        self.tags.insert(tag.to_owned());
        let own = served.map_or("", |served| served.resource_type);
        let mut operation = json!({
            "operationId": operation_id(method, described.path, own),
            "summary": described.summary.replace("{type}", own),
            "tags": [tag],
            "responses": self.answers(described, own),
        });
        if method == Method::HEAD {
            without_content(&mut operation["responses"]);
        }
        let parameters = self.parameters_of(path, described, served);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = self.body(described.body, own) {
            operation["requestBody"] = body;
        }
        // A more special row comes first; a general one that gives the same address is not reached.
        let entry = self.paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.entry(method.as_str().to_ascii_lowercase()).or_insert(operation);
        }
    }

    fn parameters_of(&mut self, path: &str, described: &'static Described, served: Option<&Served>) -> Vec<Json> {
        let of_path = ["id", "version", "job", "file"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
        let names: Vec<&'static str> = of_path.chain(described.parameters.iter().copied()).collect();
        self.parameters.extend(&names);
        let mut parameters: Vec<Json> =
            names.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
        if described.is_by_search() {
            let search = served.into_iter().flat_map(|served| served.search_params.iter());
            parameters.extend(search.map(|(name, kind)| parameter::of_search(name, kind)));
        }
        parameters
    }

    fn body(&mut self, body: Body, own: &str) -> Option<Json> {
        let (media_types, schema, required): (&[&str], Json, bool) = match body {
            Body::None => return None,
            Body::Own => (&[FHIR_JSON, "application/json"], self.schemas.refer(own), true),
            Body::Schema(name) => (&[FHIR_JSON, "application/json"], self.schemas.refer(name), true),
            Body::Optional(name) => (&[FHIR_JSON, "application/json"], self.schemas.refer(name), false),
            Body::OwnOrParameters => {
                let either = json!({"anyOf": [self.schemas.refer(own), self.schemas.refer("ValidateParameters")]});
                (&[FHIR_JSON, "application/json"], either, false)
            }
            Body::JsonPatch => (&["application/json-patch+json"], self.schemas.refer("JsonPatch"), true),
            Body::Json => (&["application/json"], json!({"type": "object"}), true),
            Body::Form => (&["application/x-www-form-urlencoded"], json!({"type": "object"}), false),
        };
        let content: Map<String, Json> =
            media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({"schema": schema}))).collect();
        Some(json!({"required": required, "content": content}))
    }

    fn answers(&mut self, described: &'static Described, own: &str) -> Json {
        let mut responses = Map::new();
        for (status, answer) in described.answers {
            responses.insert(status.to_string(), self.answer(*status, *answer, own));
        }
        if described.is_fhir() {
            self.schemas.refer("OperationOutcome");
            for status in description::ALWAYS.iter().chain(described.errors) {
                let name = description::response_name(*status);
                responses
                    .entry(status.to_string())
                    .or_insert(json!({"$ref": format!("#/components/responses/{name}")}));
            }
        }
        responses.into()
    }

    fn answer(&mut self, status: u16, answer: Answer, own: &str) -> Json {
        let of = |media_type: &str, schema: Json| json!({media_type: {"schema": schema}});
        let content = match answer {
            Answer::Nothing => None,
            Answer::Written => {
                let (own, outcome) = (self.schemas.refer(own), self.schemas.refer("OperationOutcome"));
                Some(of(FHIR_JSON, json!({"anyOf": [own, outcome]})))
            }
            Answer::Own => Some(of(FHIR_JSON, self.schemas.refer(own))),
            Answer::Schema(name) => Some(of(FHIR_JSON, self.schemas.refer(name))),
            Answer::Explanation => Some(json!({
                FHIR_JSON: {"schema": self.schemas.refer("Parameters")},
                "image/svg+xml": {"schema": {"type": "string"}},
                "text/html": {"schema": {"type": "string"}},
            })),
            Answer::Json => Some(of("application/json", json!({"type": "object"}))),
            Answer::Text(media_type) => Some(of(media_type, json!({"type": "string"}))),
            Answer::Manifest => Some(of("application/json", json!({"type": "object"}))),
            Answer::Ndjson => Some(of("application/fhir+ndjson", json!({"type": "string"}))),
        };
        // A probe refuses nothing but what is no HTTP.
        let refused = answer == Answer::Nothing && status == 400;
        let text = if refused { "The request is not well-formed HTTP." } else { description::status(status) };
        let mut response = json!({"description": text});
        if let Some(content) = content {
            response["content"] = content;
        }
        let headers = description::headers_of(answer, status);
        if !headers.is_empty() {
            let refer = |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
            response["headers"] = headers.iter().map(refer).collect::<Map<_, _>>().into();
        }
        response
    }
}

/// Whether a type is served with an interaction or operation.
fn offers(served: &Served, code: Code) -> bool {
    match code {
        Code::Interaction(code) => served.interactions.contains(&code),
        Code::Operation(code) => served.operations.iter().any(|(name, _)| *name == code),
        Code::Always => true,
    }
}

/// The same answers, of which only status and headers are sent.
fn without_content(responses: &mut Json) {
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        let headers = response.get("headers").cloned();
        *response = json!({"description": description::status(status.parse().unwrap_or(500))});
        if let Some(headers) = headers {
            response["headers"] = headers;
        }
    }
}

/// Method and address as one name.
fn operation_id(method: &Method, path: &str, own: &str) -> String {
    let path = path.replace("{type}", own);
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let method = method.as_str().to_ascii_lowercase();
    if words.is_empty() { format!("{method}-system") } else { format!("{method}-{}", words.join("-")) }
}
