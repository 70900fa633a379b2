//! One page of a search: a searchset Bundle.
//!
//! Not here: searching and paging.

use fhir_types::codes::{BundleType, SearchEntryMode};
use fhir_types::resources::{Bundle, BundleEntry, BundleEntrySearch, BundleLink};
use fhir_types::write_bundle;

use super::responder::Responder;
use super::{RenderError, instant, list, outcome};
use crate::fhir::issue::Issue;

/// One page of matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// Becomes the id of the outcome, where there is one.
    pub request_id: String,
    /// FHIR instant.
    pub timestamp: String,
    /// The search as it was understood (FHIR R4 search, self link).
    pub self_link: String,
    pub next_link: Option<String>,
    /// Matches of all pages, where they were counted.
    pub total: Option<u64>,
    pub resources: Vec<Found>,
    /// What is listed and not stored, after them.
    pub listed: Vec<Listed>,
    /// Warnings, for parameters that were not understood for instance.
    pub issues: Vec<Issue>,
}

/// A resource that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub resource_type: String,
    pub id: String,
    /// As it may leave.
    pub body: String,
    pub mode: SearchEntryMode,
}

/// A resource that is made for the answer and cannot be read anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// `urn:uuid:…`
    pub full_url: String,
    pub body: String,
}

/// The page as a Bundle.
///
/// # Errors
/// When the timestamp is no instant.
pub fn render(responder: &Responder, page: &SearchPage) -> Result<Vec<u8>, RenderError> {
    let outcome = if page.issues.is_empty() { None } else { Some(outcome::write(&page.issues, &page.request_id)?) };
    let found = page.resources.iter().map(|found| {
        let url = responder.url_of(&found.resource_type, &found.id);
        entry(url, found.mode).map(|entry| (entry, Some(found.body.as_str())))
    });
    let listed = page.listed.iter().map(|listed| {
        let entry = entry(listed.full_url.clone(), SearchEntryMode::Match);
        entry.map(|entry| (entry, Some(listed.body.as_str())))
    });
    let remarks = outcome.iter().map(|text| {
        let url = responder.url_of("OperationOutcome", &page.request_id);
        entry(url, SearchEntryMode::Outcome).map(|entry| (entry, Some(text.as_str())))
    });
    let (entries, bodies): (Vec<BundleEntry>, Vec<Option<&str>>) =
        found.chain(listed).chain(remarks).collect::<Result<Vec<_>, RenderError>>()?.into_iter().unzip();
    let mut bundle = Bundle::builder()
        .r#type(BundleType::Searchset)
        .timestamp(instant("Bundle.timestamp", &page.timestamp)?)
        .link(links(page)?)
        .entry(list(entries))
        .build()?;
    bundle.total = page.total.map(|total| u32::try_from(total).unwrap_or(u32::MAX));
    Ok(write_bundle(bundle, &bodies)?.into_bytes())
}

fn entry(full_url: String, mode: SearchEntryMode) -> Result<BundleEntry, RenderError> {
    let search = BundleEntrySearch::builder().mode(mode).build()?;
    Ok(BundleEntry::builder().full_url(full_url).search(search).build()?)
}

fn links(page: &SearchPage) -> Result<Vec<Option<BundleLink>>, RenderError> {
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
    use crate::fhir::issue::IssueCode;

    fn page() -> SearchPage {
        SearchPage {
            request_id: "r1".to_owned(),
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            self_link: "https://match.example.org/fhir/Patient?family=doe&_count=1".to_owned(),
            next_link: None,
            total: Some(7),
            resources: vec![],
            listed: vec![],
            issues: vec![],
        }
    }

    fn rendered(page: &SearchPage) -> Value {
        let bytes = render(&responder(), page).expect("rendered");
        parse(&bytes).expect("FHIR");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn a_page_has_total_links_matches_and_warnings() {
        let found = Found {
            resource_type: "Patient".to_owned(),
            id: "p1".to_owned(),
            body: r#"{"resourceType":"Patient", "id":"p1"}"#.to_owned(),
            mode: SearchEntryMode::Match,
        };
        let next = "https://match.example.org/fhir/Patient?family=doe&_page=x".to_owned();
        let issues = vec![Issue::warning(IssueCode::NotSupported, "The parameter was ignored")];
        let page = SearchPage { next_link: Some(next.clone()), resources: vec![found], issues, ..page() };
        let bundle = rendered(&page);
        assert_eq!((&bundle["type"], &bundle["total"]), (&json!("searchset"), &json!(7)));
        let links = json!([{"relation": "self", "url": page.self_link}, {"relation": "next", "url": next}]);
        assert_eq!(bundle["link"], links);
        let entry = json!({
            "fullUrl": "https://match.example.org/fhir/Patient/p1",
            "search": {"mode": "match"},
            "resource": {"resourceType": "Patient", "id": "p1"}
        });
        assert_eq!(bundle["entry"][0], entry);
        assert_eq!(bundle["entry"][1]["fullUrl"], "https://match.example.org/fhir/OperationOutcome/r1");
        assert_eq!(bundle["entry"][1]["search"]["mode"], "outcome");
        assert_eq!(bundle["entry"][1]["resource"]["issue"][0]["code"], "not-supported");
        let bytes = render(&responder(), &page).expect("rendered");
        assert!(
            String::from_utf8_lossy(&bytes).contains(r#""resource":{"resourceType":"Patient", "id":"p1"}"#),
            "as stored"
        );
    }

    #[test]
    fn an_empty_last_page_has_neither_entries_nor_next() {
        let bundle = rendered(&SearchPage { total: Some(0), ..page() });
        assert_eq!((&bundle["total"], &bundle["entry"]), (&json!(0), &Value::Null));
        assert_eq!(bundle["link"].as_array().map(Vec::len), Some(1));
    }
}
