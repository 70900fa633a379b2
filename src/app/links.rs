//! The links between records that a Patient itself declares: FHIR R4 Patient.link, `replaced-by` and `replaces`.
//!
//! They say that two records are one person, so they decide the identity before the matcher does. A record whose survivor
//! is on another server is no match here either. Links of other types say nothing here. Not here: links that this server computes (see `compose`).

use crate::fhir::json::Value;

/// Links to records of this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// The survivor, if this record was merged into another.
    pub replaced_by: Option<String>,
    /// Records that were merged into this one.
    pub replaces: Vec<String>,
}

/// Stands for a survivor on another server; no id of this one has a slash.
pub const ELSEWHERE: &str = "/";

/// Records that one Patient has replaced, read at most.
const LINKS_MAX: usize = 50;

/// The links of `patient`; `base_url` tells absolute references of this server.
#[must_use]
pub fn read_links(patient: &Value<'_>, base_url: &str) -> Links {
    let mut links = Links::default();
    for link in patient.list("link") {
        let reference = link.get("other").and_then(|other| other.text("reference"));
        let local = reference.and_then(|reference| local_id(reference, base_url));
        match (link.text("type"), local) {
            (Some("replaced-by"), local) => links.replaced_by = Some(local.unwrap_or(ELSEWHERE).to_owned()),
            (Some("replaces"), Some(local)) if links.replaces.len() < LINKS_MAX => {
                links.replaces.push(local.to_owned());
            }
            _ => {}
        }
    }
    links
}

/// The id in `Patient/ID`, relative or of this server.
pub(super) fn local_id<'r>(reference: &'r str, base_url: &str) -> Option<&'r str> {
    let relative = reference.strip_prefix(base_url).map_or(reference, |rest| rest.trim_start_matches('/'));
    let id = relative.strip_prefix("Patient/")?;
    id.split('/').next().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    #[test]
    fn only_merges_within_this_server_are_read() {
        let body = r#"{"link":[
            {"type":"replaced\u002dby","other":{"reference":"Patient/a"}},
            {"type":"replaces","other":{"reference":"http://h/fhir/Patient/b/_history/2"}},
            {"type":"replaces","other":{"reference":"http://elsewhere/fhir/Patient/c"}},
            {"type":"seealso","other":{"reference":"Patient/d"}},
            {"type":"replaces","other":{"display":"no reference"}}]}"#;
        let links = read_links(&parse(body.as_bytes(), &Limits::DEFAULT).expect("JSON"), "http://h/fhir");
        let elsewhere = r#"{"link":[{"type":"replaced-by","other":{"reference":"http://elsewhere/fhir/Patient/c"}}]}"#;
        let away = read_links(&parse(elsewhere.as_bytes(), &Limits::DEFAULT).expect("JSON"), "http://h/fhir");
        assert_eq!(away.replaced_by.as_deref(), Some(ELSEWHERE));
        assert_eq!(links, Links { replaced_by: Some("a".to_owned()), replaces: vec!["b".to_owned()] });
    }
}
