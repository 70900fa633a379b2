//! The parameters of the OpenAPI document: in the address, in the query and in headers.
//!
//! Not here: which row has which (see `description`).

use serde_json::{Value as Json, json};

use super::schema::primitive;

/// A parameter by its name.
#[must_use]
pub fn shared(name: &str) -> Json {
    let text = || json!({"type": "string"});
    let id = || json!({"type": "string", "pattern": "^[A-Za-z0-9\\-\\.]{1,64}$"});
    let one_of = |values: &[&str]| json!({"type": "string", "enum": values});
    let (place, description, schema) = match name {
        "id" => ("path", "The id of the resource.", id()),
        "version" => ("path", "The id of the version.", id()),
        "job" => ("path", "The id of the export.", text()),
        "file" => ("path", "The name of the file.", text()),
        "_format" => {
            let formats = ["json", "application/json", "application/fhir+json", "text/json"];
            ("query", "The format of the answer, before Accept.", one_of(&formats))
        }
        "_format-picture" => {
            let formats = ["json", "application/fhir+json", "svg", "image/svg+xml", "html", "text/html"];
            ("query", "The format of the answer, before Accept.", one_of(&formats))
        }
        "_pretty" => ("query", "true for an answer on several lines.", one_of(&["true", "false"])),
        "_summary" => {
            ("query", "Which part of each resource is wanted.", one_of(&["true", "text", "data", "count", "false"]))
        }
        "_elements" => {
            let names = json!({"type": "string", "pattern": "^[a-z][A-Za-z]*(,[a-z][A-Za-z]*)*$"});
            ("query", "The elements that are wanted, with commas between them; not beside _summary.", names)
        }
        "_count" => ("query", "Entries of one page; the server has a limit of its own.", count()),
        "_sort" => {
            ("query", "Search parameters to order by, with commas between them; - before one for descending.", text())
        }
        "_total" => ("query", "How exact the total is wanted.", one_of(&["none", "estimate", "accurate"])),
        "_include" => ("query", "What the matches refer to comes along: Type:parameter.", many()),
        "_revinclude" => ("query", "What refers to the matches comes along: Type:parameter.", many()),
        "_since" => ("query", "Only what was written from this instant on.", primitive("instant")),
        "_at" => ("query", "Only versions that were current at some time within this one.", primitive("dateTime")),
        "_type" => ("query", "The types to export, with commas between them.", text()),
        "_outputFormat" => {
            let formats = ["ndjson", "application/ndjson", "application/fhir+ndjson"];
            ("query", "The format of the files.", one_of(&formats))
        }
        "_id" => ("query", "This one alone.", id()),
        "community" => ("query", "The URI of a trust community.", text()),
        "_page" => ("query", "Of a link to a further page.", text()),
        "identity" => ("query", "The id of the identity.", id()),
        "date" => ("query", "When it was recorded, with or without a prefix.", text()),
        "mode" => ("query", "What the content would be used for.", one_of(&["create", "update", "delete", "profile"])),
        "profile" => ("query", "The canonical URL of the profile to judge by.", primitive("canonical")),
        "If-Match" => {
            let etag = json!({"type": "string", "pattern": "^(W/)?\"[0-9]{1,18}\"$"});
            ("header", "The version that must be the current one: W/\"1\".", etag)
        }
        "If-None-Match" => {
            let etags = json!({"type": "string", "pattern": "^(\\*|(W/)?\"[0-9]{1,18}\")$"});
            ("header", "The version that is known already; * where nothing may be stored yet.", etags)
        }
        "If-None-Exist" => {
            let by_id = json!({"type": "string", "pattern": "^_id=[A-Za-z0-9]{1,64}$"});
            let criteria = json!({"anyOf": [by_id, {"type": "string", "minLength": 1}]});
            ("header", "Search parameters: nothing is created where something is found.", criteria)
        }
        "If-Modified-Since" => ("header", "Only when it was written later.", text()),
        "Prefer" => ("header", "return=… or handling=….", text()),
        "Prefer-async" => ("header", "An export goes on by itself.", one_of(&["respond-async"])),
        _ => ("query", "", text()),
    };
    // Two of a name differ in what they may say.
    let name = name.trim_end_matches("-picture").trim_end_matches("-async");
    json!({"name": name, "in": place, "required": place == "path", "description": description, "schema": schema})
}

fn count() -> Json {
    json!({"type": "integer", "minimum": 0})
}

fn many() -> Json {
    json!({"type": "array", "items": {"type": "string"}})
}

/// A search parameter of a type, which may be given several times.
#[must_use]
pub fn of_search(name: &str, kind: &str) -> Json {
    json!({
        "name": name, "in": "query", "required": false,
        "description": format!("Search parameter of type {kind}; its modifiers follow the name after a colon."),
        "schema": many(),
    })
}
