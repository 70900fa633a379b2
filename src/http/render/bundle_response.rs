//! The answer to a transaction or batch: a Bundle with one response for each entry (FHIR R4 Bundle, transaction-response).
//!
//! Not here: what the entries did.

use std::borrow::Cow;

use fhir_types::codes::BundleType;
use fhir_types::resources::{Bundle, BundleEntry, BundleEntryResponse, Resource};
use fhir_types::write_bundle;

use super::responder::Responder;
use super::{RenderError, instant, list, outcome};
use crate::fhir::issue::Issue;

/// What is answered.
#[derive(Debug, Clone)]
pub struct BundleResponse<'a> {
    pub bundle_type: ResponseType,
    pub request_id: &'a str,
    pub entries: Vec<EntryResponse<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseType {
    Transaction,
    Batch,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct EntryResponse<'a> {
    pub status: u16,
    pub version: Option<EntryVersion<'a>>,
    pub outcome: Option<&'a [Issue]>,
    /// As it may leave.
    pub resource: Option<Cow<'a, str>>,
}

/// The version that an entry is about.
#[derive(Debug, Clone)]
pub struct EntryVersion<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    pub version: i64,
    /// FHIR instant.
    pub last_updated: String,
}

/// The Bundle.
///
/// # Errors
/// When a time is no instant.
pub fn render(responder: &Responder, response: &BundleResponse<'_>) -> Result<Vec<u8>, RenderError> {
    let entries: Result<Vec<BundleEntry>, RenderError> =
        response.entries.iter().map(|one| entry(responder, one, response.request_id)).collect();
    let bundle_type = match response.bundle_type {
        ResponseType::Transaction => BundleType::TransactionResponse,
        ResponseType::Batch => BundleType::BatchResponse,
    };
    let bundle = Bundle::builder().r#type(bundle_type).entry(list(entries?)).build()?;
    let bodies: Vec<Option<&str>> = response.entries.iter().map(|one| one.resource.as_deref()).collect();
    Ok(write_bundle(bundle, &bodies)?.into_bytes())
}

fn entry(responder: &Responder, one: &EntryResponse<'_>, request_id: &str) -> Result<BundleEntry, RenderError> {
    let mut response = BundleEntryResponse::builder().status(status_line(one.status)).build()?;
    if let Some(issues) = one.outcome {
        response.outcome = Some(Resource::from(outcome::build(issues, request_id)?));
    }
    let mut full_url = None;
    if let Some(version) = &one.version {
        let url = responder.url_of(version.resource_type, version.id);
        // As the Location of a create alone has it.
        response.location = (one.status == 201).then(|| format!("{url}/_history/{}", version.version));
        response.etag = Some(format!("W/\"{}\"", version.version));
        response.last_modified = Some(instant("Bundle.entry.response.lastModified", &version.last_updated)?);
        full_url = Some(url);
    }
    let mut entry = BundleEntry::builder().response(response).build()?;
    entry.full_url = full_url;
    Ok(entry)
}

/// "The status code SHALL start with a three digit HTTP code, and may contain the standard HTTP description."
fn status_line(status: u16) -> String {
    let words = match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => return status.to_string(),
    };
    format!("{status} {words}")
}

#[cfg(test)]
mod tests {
    use fhir_types::parse;
    use serde_json::{Value, json};

    use super::super::responder::tests::responder;
    use super::*;
    use crate::fhir::issue::IssueCode;

    #[test]
    fn each_entry_says_what_became_of_it() {
        let version = |id| {
            let last_updated = "2026-01-02T03:04:05Z".to_owned();
            Some(EntryVersion { resource_type: "Patient", id, version: 1, last_updated })
        };
        let issues = [Issue::error(IssueCode::Value, "No date.").at("Bundle.entry[2].resource.birthDate")];
        let entries = vec![
            EntryResponse { status: 201, version: version("a"), outcome: None, resource: None },
            EntryResponse {
                status: 200,
                version: version("b"),
                outcome: None,
                resource: Some(r#"{"resourceType": "Basic", "code": {} }"#.into()),
            },
            EntryResponse { status: 400, version: None, outcome: Some(&issues), resource: None },
            EntryResponse { status: 204, version: None, outcome: None, resource: None },
        ];
        let response = BundleResponse { bundle_type: ResponseType::Batch, request_id: "r1", entries };
        let bytes = render(&responder(), &response).expect("rendered");
        parse(&bytes).expect("FHIR");
        let bundle: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(bundle["type"], "batch-response");
        let base = "https://match.example.org/fhir/Patient";
        let expected = json!({
            "fullUrl": format!("{base}/a"),
            "response": {
                "status": "201 Created",
                "location": format!("{base}/a/_history/1"),
                "etag": "W/\"1\"",
                "lastModified": "2026-01-02T03:04:05Z",
            },
        });
        assert_eq!(bundle["entry"][0], expected);
        assert!(String::from_utf8_lossy(&bytes).contains(r#"{"resourceType": "Basic", "code": {} }"#), "as stored");
        assert!(bundle["entry"][1]["response"]["location"].is_null());
        assert_eq!(bundle["entry"][2]["response"]["status"], "400 Bad Request");
        assert_eq!(bundle["entry"][2]["response"]["outcome"]["issue"][0]["code"], "value");
        assert_eq!(bundle["entry"][3], json!({"response": {"status": "204 No Content"}}));
    }
}
