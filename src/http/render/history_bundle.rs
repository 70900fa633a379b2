//! One page of versions: a history Bundle (FHIR R4 RESTful API, history).
//!
//! Each entry says which write would bring its version about: PUT under its id, or DELETE; whether the id came from the
//! caller or from the server was never kept. Not here: which versions are listed.

use fhir_types::codes::{BundleType, HTTPVerb};
use fhir_types::resources::{Bundle, BundleEntry, BundleEntryRequest, BundleEntryResponse, BundleLink};
use fhir_types::write_bundle;

use super::responder::Responder;
use super::{RenderError, instant, list};

/// One page of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// FHIR instant.
    pub timestamp: String,
    pub self_link: String,
    pub next_link: Option<String>,
    /// Newest first.
    pub versions: Vec<Version>,
}

/// A version, or the deletion of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub resource_type: String,
    pub id: String,
    pub version: i64,
    /// FHIR instant.
    pub last_updated: String,
    /// As it may leave; `None` for a deletion.
    pub body: Option<String>,
}

/// The page as a Bundle.
///
/// # Errors
/// When a time is no instant.
pub fn render(responder: &Responder, page: &HistoryPage) -> Result<Vec<u8>, RenderError> {
    let entries: Result<Vec<BundleEntry>, RenderError> =
        page.versions.iter().map(|version| entry(responder, version)).collect();
    let bodies: Vec<Option<&str>> = page.versions.iter().map(|version| version.body.as_deref()).collect();
    let bundle = Bundle::builder()
        .r#type(BundleType::History)
        .timestamp(instant("Bundle.timestamp", &page.timestamp)?)
        .link(links(page)?)
        .entry(list(entries?))
        .build()?;
    Ok(write_bundle(bundle, &bodies)?.into_bytes())
}

fn entry(responder: &Responder, version: &Version) -> Result<BundleEntry, RenderError> {
    let address = format!("{}/{}", version.resource_type, version.id);
    let (method, status) = match (&version.body, version.version) {
        (None, _) => (HTTPVerb::Delete, "204"),
        (Some(_), 1) => (HTTPVerb::Put, "201"),
        (Some(_), _) => (HTTPVerb::Put, "200"),
    };
    let request = BundleEntryRequest::builder().method(method).url(address).build()?;
    let response = BundleEntryResponse::builder()
        .status(status.to_owned())
        .etag(format!("W/\"{}\"", version.version))
        .last_modified(instant("Bundle.entry.response.lastModified", &version.last_updated)?)
        .build()?;
    let full_url = responder.url_of(&version.resource_type, &version.id);
    Ok(BundleEntry::builder().full_url(full_url).request(request).response(response).build()?)
}

fn links(page: &HistoryPage) -> Result<Vec<Option<BundleLink>>, RenderError> {
    let link =
        |relation: &str, url: &str| BundleLink::builder().relation(relation.to_owned()).url(url.to_owned()).build();
    let mut links = list([link("self", &page.self_link)?]);
    if let Some(next) = &page.next_link {
        links.push(Some(link("next", next)?));
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use fhir_types::parse;
    use serde_json::{Value, json};

    use super::super::responder::tests::responder;
    use super::*;

    #[test]
    fn every_version_says_which_write_made_it_and_a_deletion_has_no_resource() {
        let version = |version, body: Option<&str>| Version {
            resource_type: "Patient".to_owned(),
            id: "p1".to_owned(),
            version,
            last_updated: format!("2026-01-02T03:04:0{version}.000006Z"),
            body: body.map(str::to_owned),
        };
        let stored = r#"{"resourceType":"Patient", "id":"p1"}"#;
        let page = HistoryPage {
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            self_link: "https://match.example.org/fhir/Patient/p1/_history".to_owned(),
            next_link: None,
            versions: vec![version(3, None), version(2, Some(stored)), version(1, Some(stored))],
        };
        let bytes = render(&responder(), &page).expect("rendered");
        parse(&bytes).expect("FHIR");
        assert!(String::from_utf8_lossy(&bytes).contains(&format!(r#""resource":{stored}"#)), "as stored");
        let bundle: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!((&bundle["type"], &bundle["total"]), (&json!("history"), &Value::Null));
        assert_eq!(bundle["link"], json!([{"relation": "self", "url": page.self_link}]));
        let url = "https://match.example.org/fhir/Patient/p1";
        let deletion = json!({
            "fullUrl": url,
            "request": {"method": "DELETE", "url": "Patient/p1"},
            "response": {"status": "204", "etag": "W/\"3\"", "lastModified": "2026-01-02T03:04:03.000006Z"}
        });
        assert_eq!(bundle["entry"][0], deletion);
        for (place, status) in [(1, "200"), (2, "201")] {
            let entry = &bundle["entry"][place];
            assert_eq!((&entry["request"]["method"], &entry["response"]["status"]), (&json!("PUT"), &json!(status)));
            assert_eq!((&entry["fullUrl"], &entry["resource"]["id"]), (&json!(url), &json!("p1")));
        }
    }
}
