//! The links between records that a Patient itself declares: FHIR R4 Patient.link, `replaced-by` and `replaces`.
//!
//! They say that two records are one person, so they decide the identity before the matcher does. A record whose survivor
//! is on another server is no match here either. Links of other types say nothing here.
//!
//! A merge of a steward is told in the stored Patients too, by links that carry the decision ([`STEWARD_DECISION`]). Those
//! are the server's: whatever a document says of them is replaced by what is decided ([`put_decided`]), so a client that
//! writes back what it read neither keeps a merge that was taken back nor loses one that stands. Not here: links that an
//! answer alone has (see `compose`), who writes them (see `steward::relink` and `keep`).

use crate::fhir::canonical::STEWARD_DECISION;
use crate::fhir::document::{Layout, Member, Node, NotJson};
use crate::fhir::json::Value;
use crate::fhir::operation_parameters::local_patient;
use crate::fhir::us_core::LinkKind;

/// Links to records of this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// The survivor, if this record was merged into another.
    pub replaced_by: Option<String>,
    /// Records that were merged into this one.
    pub replaces: Vec<String>,
    /// Decisions that links carry: such links are not the document's own and count for nothing above.
    pub decided: Vec<String>,
}

/// A link that a steward's merge has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedLink {
    pub kind: LinkKind,
    pub record_id: String,
    pub decision_id: String,
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
        let mut extensions = link.list("extension").iter();
        if let Some(decision) = extensions.find(|extension| extension.text("url") == Some(STEWARD_DECISION)) {
            links.decided.push(decision.text("valueId").unwrap_or_default().to_owned());
            continue;
        }
        let reference = link.get("other").and_then(|other| other.text("reference"));
        let local = reference.and_then(|reference| local_patient(reference, base_url));
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

/// `document` with exactly these links that carry a decision; its own links stay. `None` where nothing changes. A link that
/// the document declares itself is not put a second time.
///
/// # Errors
/// When `document` is not JSON.
pub fn put_decided(document: &str, wanted: &[DecidedLink]) -> Result<Option<String>, NotJson> {
    let mut node = Node::parse(document)?;
    let before = match node.get("link") {
        Some(Node::Array(links)) => links.clone(),
        _ => Vec::new(),
    };
    let is_wanted = |link: &Node<'_>| !is_decided(link) || wanted.iter().any(|one| one.is_written_as(link));
    let mut links: Vec<Node<'_>> = before.iter().filter(|link| is_wanted(link)).cloned().collect();
    for one in wanted {
        if !links.iter().any(|link| one.is_said_by(link)) {
            links.push(one.to_node());
        }
    }
    if links == before {
        return Ok(None);
    }
    if links.is_empty() {
        node.remove("link");
    } else {
        node.insert("link", Node::Array(links));
    }
    Ok(Some(node.write(Layout::Compact)))
}

/// `document` with the links its own that carry a decision not among `known`: a decision of another server, from which the
/// document has come, is to this one what the document says. `None` where there is none.
///
/// # Errors
/// When `document` is not JSON.
pub fn adopt_foreign(document: &str, known: &[&str]) -> Result<Option<String>, NotJson> {
    let mut node = Node::parse(document)?;
    let Some(Node::Array(links)) = node.get_mut("link") else { return Ok(None) };
    let mut is_changed = false;
    for link in links {
        if decision_of(link).is_none_or(|decision| known.contains(&decision.as_str())) {
            continue;
        }
        is_changed = true;
        if let Some(Node::Array(extensions)) = link.get_mut("extension") {
            extensions.retain(|extension| extension.text("url").as_deref() != Some(STEWARD_DECISION));
            if extensions.is_empty() {
                link.remove("extension");
            }
        }
    }
    Ok(is_changed.then(|| node.write(Layout::Compact)))
}

/// The decision that a link carries.
fn decision_of(link: &Node<'_>) -> Option<String> {
    let Some(Node::Array(extensions)) = link.get("extension") else { return None };
    let found = extensions.iter().find(|extension| extension.text("url").as_deref() == Some(STEWARD_DECISION));
    found.map(|extension| extension.text("valueId").unwrap_or_default().into_owned())
}

fn is_decided(link: &Node<'_>) -> bool {
    decision_of(link).is_some()
}

impl DecidedLink {
    fn reference(&self) -> String {
        format!("Patient/{}", self.record_id)
    }

    /// Whether the link names the same record in the same way.
    fn is_said_by(&self, link: &Node<'_>) -> bool {
        let reference = link.get("other").and_then(|other| other.text("reference"));
        link.text("type").as_deref() == Some(self.kind.code()) && reference.as_deref() == Some(&self.reference())
    }

    fn is_written_as(&self, link: &Node<'_>) -> bool {
        self.is_said_by(link) && decision_of(link).as_deref() == Some(&self.decision_id)
    }

    fn to_node(&self) -> Node<'static> {
        let member = |name: &'static str, value| Member { name: name.into(), value };
        let decision =
            vec![member("url", Node::string(STEWARD_DECISION)), member("valueId", Node::string(&self.decision_id))];
        Node::Object(vec![
            member("extension", Node::Array(vec![Node::Object(decision)])),
            member("other", Node::Object(vec![member("reference", Node::string(&self.reference()))])),
            member("type", Node::string(self.kind.code())),
        ])
    }
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
        assert_eq!(
            links,
            Links { replaced_by: Some("a".to_owned()), replaces: vec!["b".to_owned()], ..Links::default() }
        );
    }

    fn decided(kind: LinkKind, record_id: &str, decision_id: &str) -> DecidedLink {
        DecidedLink { kind, record_id: record_id.to_owned(), decision_id: decision_id.to_owned() }
    }

    fn put(document: &str, wanted: &[DecidedLink]) -> Option<String> {
        put_decided(document, wanted).expect("JSON")
    }

    #[test]
    fn links_of_decisions_are_those_that_are_decided_and_the_rest_stays_as_written() {
        let own =
            r#"{"resourceType":"Patient","x":1.50,"link":[{"type":"seealso","other":{"reference":"Patient/z"}}]}"#;
        let merged = decided(LinkKind::ReplacedBy, "b", "d1");
        let linked = put(own, std::slice::from_ref(&merged)).expect("changed");
        let links = read_links(&parse(linked.as_bytes(), &Limits::DEFAULT).expect("JSON"), "http://h/fhir");
        assert_eq!(
            links,
            Links { decided: vec!["d1".to_owned()], ..Links::default() },
            "the server's own are not the document's"
        );
        assert!(linked.contains(r#""x":1.50"#) && linked.contains(r#""reference":"Patient/z""#));
        assert_eq!(put(&linked, std::slice::from_ref(&merged)), None, "written back");
        assert_eq!(put(own, &[]), None);
        assert_eq!(put(&linked, &[]).as_deref(), Some(own), "taken back");
        let again = put(&linked, &[decided(LinkKind::ReplacedBy, "b", "d2")]).expect("changed");
        assert!(again.contains("d2") && !again.contains("d1"), "decided anew");
    }

    #[test]
    fn a_decision_of_another_server_is_what_the_document_says() {
        let merged = decided(LinkKind::ReplacedBy, "b", "d1");
        let linked = put(r#"{"resourceType":"Patient"}"#, std::slice::from_ref(&merged)).expect("changed");
        assert_eq!(adopt_foreign(&linked, &["d1"]).expect("JSON"), None);
        assert_eq!(adopt_foreign(r#"{"resourceType":"Patient"}"#, &[]).expect("JSON"), None);
        let adopted = adopt_foreign(&linked, &["d2"]).expect("JSON").expect("changed");
        let links = read_links(&parse(adopted.as_bytes(), &Limits::DEFAULT).expect("JSON"), "http://h/fhir");
        assert_eq!(links, Links { replaced_by: Some("b".to_owned()), ..Links::default() });
        assert_eq!(put(&adopted, &[]), None, "and stays");
    }

    #[test]
    fn the_last_link_leaves_no_empty_list_and_what_a_document_declares_is_not_repeated() {
        let merged = decided(LinkKind::Replaces, "b", "d1");
        let linked = put(r#"{"resourceType":"Patient"}"#, std::slice::from_ref(&merged)).expect("changed");
        assert_eq!(put(&linked, &[]).as_deref(), Some(r#"{"resourceType":"Patient"}"#));
        let declares = r#"{"link":[{"type":"replaces","other":{"reference":"Patient/b"}}]}"#;
        assert_eq!(put(declares, &[merged]), None);
    }
}
