//! A part of a resource, as a caller asks for it: `_summary` and `_elements` (FHIR R4 Search, Summary and Elements).
//!
//! What: [`Subset`] is what was asked for, [`cut`] leaves that much of a resource or of the entries of a Bundle and tags
//! it `SUBSETTED`, so that nobody stores the part in place of the whole. What is kept in each mode:
//!
//! | asked | kept beside `resourceType`, `id` and `meta` |
//! |---|---|
//! | `_summary=true` | elements flagged as summary, within elements too, and mandatory ones |
//! | `_summary=text` | `text` and mandatory elements |
//! | `_summary=data` | all but `text` |
//! | `_summary=count` | of a search its total, without entries; of a resource everything |
//! | `_elements` | what is named, mandatory elements and modifiers |
//!
//! Contained resources stay where a kept element refers to one. Not here: reading the parameters' encoding.

use crate::fhir::canonical::{OBSERVATION_VALUE, SUBSETTED};
use crate::fhir::document::{Member, Node};
use crate::fhir::issue::{Issue, IssueCode};

use super::{Element, Kind, Role, Shapes, Type};

/// Names in `_elements` at most.
const ELEMENTS_MAX: usize = 100;

/// What is asked of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Subset {
    #[default]
    All,
    Summary,
    Text,
    Data,
    Count,
    Elements(Vec<String>),
}

impl Subset {
    /// Reads the values of `_summary` and `_elements`.
    ///
    /// # Errors
    /// For a value that FHIR does not know, an element that no type of this server has, or both parameters.
    pub fn parse(shapes: &Shapes, summary: Option<&str>, elements: Option<&str>) -> Result<Self, Issue> {
        let asked = match summary {
            None | Some("false") => Self::All,
            Some("true") => Self::Summary,
            Some("text") => Self::Text,
            Some("data") => Self::Data,
            Some("count") => Self::Count,
            Some(_) => return Err(refuse("_summary must be true, text, data, count or false.", "_summary")),
        };
        match elements {
            None => Ok(asked),
            Some(_) if asked != Self::All => Err(refuse("_elements and _summary cannot be combined.", "_elements")),
            Some(list) => parse_elements(shapes, list).map(Self::Elements),
        }
    }
}

fn parse_elements(shapes: &Shapes, list: &str) -> Result<Vec<String>, Issue> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    if names.len() > ELEMENTS_MAX {
        return Err(refuse("_elements names too many elements.", "_elements"));
    }
    if names.iter().any(|name| !shapes.has_element(name)) {
        return Err(refuse("_elements must name elements at the top of a resource, separated by commas.", "_elements"));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn refuse(text: &str, parameter: &str) -> Issue {
    Issue::error(IssueCode::Value, text).at(format!("http.{parameter}"))
}

/// Leaves of `answer` what `subset` asks for: of a page of a search or a history in each entry, of any other resource in
/// itself. Outcomes and other Bundles stay whole: they speak of the request.
pub fn cut(shapes: &Shapes, answer: &mut Node<'_>, subset: &Subset) {
    let resource_type = answer.text("resourceType").unwrap_or_default().into_owned();
    let is_page = matches!(answer.text("type").as_deref(), Some("searchset" | "history"));
    match resource_type.as_str() {
        "OperationOutcome" => {}
        "Bundle" if is_page && *subset == Subset::Count => count_only(answer),
        "Bundle" if is_page => {
            let Some(Node::Array(entries)) = answer.get_mut("entry") else { return };
            entries.iter_mut().filter_map(|entry| entry.get_mut("resource")).for_each(|of| cut(shapes, of, subset));
        }
        "Bundle" => {}
        name => {
            if let Some(of) = shapes.find_type(name).filter(|of| of.kind == Kind::Resource) {
                cut_resource(shapes, of, answer, subset);
            }
        }
    }
}

/// The total, the link to itself and remarks stay.
fn count_only(bundle: &mut Node<'_>) {
    if let Some(Node::Array(entries)) = bundle.get_mut("entry") {
        let mode =
            |entry: &Node<'_>| entry.get("search").and_then(|search| search.text("mode").map(|m| m == "outcome"));
        entries.retain(|entry| mode(entry) == Some(true));
        if entries.is_empty() {
            bundle.remove("entry");
        }
    }
    if let Some(Node::Array(links)) = bundle.get_mut("link") {
        links.retain(|link| link.text("relation").as_deref() == Some("self"));
    }
}

fn cut_resource(shapes: &Shapes, of: &Type, resource: &mut Node<'_>, subset: &Subset) {
    if matches!(subset, Subset::All | Subset::Count) {
        return;
    }
    if let Node::Object(members) = resource {
        members.retain_mut(|Member { name, value }| {
            matches!(name.as_ref(), "resourceType" | "id" | "meta" | "contained")
                || keeps(shapes, of, name, value, subset)
        });
        let mut others = members.iter().filter(|member| member.name != "contained");
        if !asks_for_contained(subset) && !others.any(|member| refers_inside(&member.value)) {
            members.retain(|member| member.name != "contained");
        }
    }
    tag(resource);
}

/// Whether a member stays; within a summary it is cut itself.
fn keeps(shapes: &Shapes, of: &Type, name: &str, value: &mut Node<'_>, subset: &Subset) -> bool {
    let Some((element, type_of)) = shapes.element_of(of, name) else { return false };
    let is_mandatory = element.min > 0 || element.role == Role::ModifierExtension;
    match subset {
        Subset::Summary if element.is_summary => {
            summarise(shapes, type_of, value);
            is_mandatory || !is_bare(value)
        }
        Subset::Summary => is_mandatory,
        Subset::Text => is_mandatory || element.name() == "text",
        Subset::Data => element.name() != "text",
        Subset::Elements(names) => {
            is_mandatory || element.is_modifier || names.iter().any(|asked| asked == element.name())
        }
        Subset::All | Subset::Count => true,
    }
}

/// Leaves the summary elements of a value. Its id and its extensions are not cut: without them it may say something
/// else, or nothing.
fn summarise(shapes: &Shapes, of: &Type, value: &mut Node<'_>) {
    match value {
        Node::Array(items) => {
            items.iter_mut().for_each(|item| summarise(shapes, of, item));
            if of.kind == Kind::Complex {
                items.retain(|item| !is_bare(item));
            }
        }
        Node::Object(members) if of.kind == Kind::Complex && of.name() != "Extension" => {
            members.retain_mut(|Member { name, value }| {
                matches!(name.as_ref(), "id" | "extension") || keeps(shapes, of, name, value, &Subset::Summary)
            });
        }
        Node::Object(_) | Node::Leaf(_) => {}
    }
}

/// Nothing of it is in a summary: FHIR knows no empty values (FHIR R4 JSON, 2.6.2).
fn is_bare(value: &Node<'_>) -> bool {
    match value {
        Node::Array(items) => items.is_empty(),
        Node::Object(members) => members.is_empty(),
        Node::Leaf(_) => false,
    }
}

fn asks_for_contained(subset: &Subset) -> bool {
    match subset {
        Subset::Elements(names) => names.iter().any(|name| name == "contained"),
        other => *other == Subset::Data,
    }
}

/// Whether something in `node` is a reference to a contained resource.
fn refers_inside(node: &Node<'_>) -> bool {
    match node {
        Node::Leaf(_) => false,
        Node::Array(items) => items.iter().any(refers_inside),
        Node::Object(members) => members.iter().any(|Member { name, value }| {
            (name == "reference" && value.as_text().is_some_and(|text| text.starts_with('#'))) || refers_inside(value)
        }),
    }
}

/// FHIR R4 Search, Summary: a partial resource is tagged.
fn tag(resource: &mut Node<'_>) {
    if resource.get("meta").is_none() {
        resource.insert("meta", Node::Object(Vec::new()));
    }
    let Some(meta) = resource.get_mut("meta") else { return };
    if meta.get("tag").is_none() {
        meta.insert("tag", Node::Array(Vec::new()));
    }
    let Some(Node::Array(tags)) = meta.get_mut("tag") else { return };
    let is_known = |tag: &Node<'_>| {
        tag.text("system").as_deref() == Some(OBSERVATION_VALUE) && tag.text("code").as_deref() == Some(SUBSETTED)
    };
    if !tags.iter().any(is_known) {
        let member = |key: &'static str, text: &str| Member { name: key.into(), value: Node::string(text) };
        tags.push(Node::Object(vec![member("system", OBSERVATION_VALUE), member("code", SUBSETTED)]));
    }
}

impl Shapes {
    /// The element that a JSON member belongs to (`_birthDate` to `birthDate`), and its type there.
    fn element_of<'s>(&'s self, of: &'s Type, member: &str) -> Option<(&'s Element, &'s Type)> {
        let found = of.find_member(member).or_else(|| of.find_member(member.strip_prefix('_')?))?;
        Some((of.element(found), self.get(found.type_id)))
    }

    /// Whether a resource of some type has an element of that name. In JSON the type is a member too, and some clients
    /// name it among the elements they want.
    fn has_element(&self, name: &str) -> bool {
        if name == "resourceType" {
            return true;
        }
        let resources = self.types.iter().filter(|of| of.kind == Kind::Resource);
        resources.flat_map(|of| &of.elements).any(|element| element.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::document::Layout;
    use crate::profile::shape::tests::shapes;

    const META: &str =
        r#""meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}"#;

    fn left(document: &str, subset: &Subset) -> String {
        let mut node = Node::parse(document).expect("JSON");
        cut(shapes(), &mut node, subset);
        node.write(Layout::Compact).replace(META, "META")
    }

    fn named(elements: &str) -> Subset {
        Subset::parse(shapes(), None, Some(elements)).expect("a subset")
    }

    #[test]
    fn what_is_asked_is_left() {
        let patient = r#"{"resourceType":"Patient","id":"p","text":{"status":"generated"},"extension":[{"url":"e"}],"active":true,"name":[{"family":"A","extension":[{"url":"e"}]}],"_birthDate":{"extension":[]},"deceasedBoolean":true,"multipleBirthInteger":2,"contact":[{"gender":"male"}],"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}"#;
        let table = [
            (
                patient,
                Subset::Summary,
                r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"A","extension":[{"url":"e"}]}],"_birthDate":{"extension":[]},"deceasedBoolean":true,"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}],META}"#,
            ),
            (
                r#"{"resourceType":"CapabilityStatement","status":"active","rest":[{"mode":"server","security":{"description":"d"}}]}"#,
                Subset::Summary,
                r#"{"resourceType":"CapabilityStatement","status":"active","rest":[{"mode":"server"}],META}"#,
            ),
            (patient, Subset::Text, r#"{"resourceType":"Patient","id":"p","text":{"status":"generated"},META}"#),
            (
                patient,
                named("resourceType,multipleBirth, name"),
                r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"A","extension":[{"url":"e"}]}],"deceasedBoolean":true,"multipleBirthInteger":2,"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}],META}"#,
            ),
            (
                r#"{"resourceType":"Patient","text":{},"gender":"male","meta":{"versionId":"1","tag":[{"code":"a"}]}}"#,
                Subset::Data,
                r#"{"resourceType":"Patient","gender":"male","meta":{"versionId":"1","tag":[{"code":"a"},{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}}"#,
            ),
            (
                r#"{"resourceType":"Patient","birthDate":"1980"}"#,
                Subset::Count,
                r#"{"resourceType":"Patient","birthDate":"1980"}"#,
            ),
            (
                r#"{"resourceType":"Patient","birthDate":"1980"}"#,
                Subset::All,
                r#"{"resourceType":"Patient","birthDate":"1980"}"#,
            ),
            // A mandatory element stays whole, though it is not of the summary; what is within an element is cut too.
            (
                r#"{"resourceType":"AuditEvent","agent":[{"name":"n","requestor":true}],"entity":[{"name":"e"}]}"#,
                Subset::Summary,
                r#"{"resourceType":"AuditEvent","agent":[{"name":"n","requestor":true}],META}"#,
            ),
            (
                r#"{"resourceType":"Consent","sourceAttachment":{"title":"t","data":"AA=="},"provision":{"data":[{"meaning":"instance"}],"period":{"start":"2020"},"purpose":[{"code":"a"}]},"modifierExtension":[1]}"#,
                Subset::Summary,
                r#"{"resourceType":"Consent","sourceAttachment":{"title":"t"},"provision":{"data":[{"meaning":"instance"}],"period":{"start":"2020"},"purpose":[{"code":"a"}]},"modifierExtension":[1],META}"#,
            ),
            // Contained resources stay with what refers to them.
            (
                r##"{"resourceType":"Patient","contained":[{"id":"c"}],"managingOrganization":{"reference":"#c"}}"##,
                Subset::Summary,
                r##"{"resourceType":"Patient","contained":[{"id":"c"}],"managingOrganization":{"reference":"#c"},META}"##,
            ),
            (
                r##"{"resourceType":"Patient","contained":[{"id":"c"}],"generalPractitioner":[{"reference":"#c"}]}"##,
                Subset::Summary,
                r#"{"resourceType":"Patient",META}"#,
            ),
            (
                r#"{"resourceType":"OperationOutcome","text":{},"issue":[]}"#,
                Subset::Data,
                r#"{"resourceType":"OperationOutcome","text":{},"issue":[]}"#,
            ),
            (
                r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"fullUrl":"u"}]}"#,
                Subset::Text,
                r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"fullUrl":"u"}]}"#,
            ),
            (r#"{"resourceType":"Nobody","a":1}"#, Subset::Summary, r#"{"resourceType":"Nobody","a":1}"#),
        ];
        for (document, subset, expected) in table {
            assert_eq!(left(document, &subset), expected, "{subset:?}");
            let once = left(document, &subset).replace("META", META);
            assert_eq!(left(&once, &subset), left(document, &subset), "a part of the part is the same: {subset:?}");
        }
    }

    #[test]
    fn of_a_page_each_entry_is_cut() {
        let page = |kind: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"{kind}","total":2,"link":[{{"relation":"self","url":"s"}},{{"relation":"next","url":"n"}}],"entry":[{{"fullUrl":"u","resource":{{"resourceType":"Patient","photo":[]}},"search":{{"mode":"match"}}}},{{"resource":{{"resourceType":"OperationOutcome","text":{{}}}},"search":{{"mode":"outcome"}}}}]}}"#
            )
        };
        let cut_page = page("searchset").replace(r#""photo":[]"#, "META");
        assert_eq!(left(&page("searchset"), &Subset::Summary), cut_page);
        assert_eq!(left(&page("history"), &named("name")), page("history").replace(r#""photo":[]"#, "META"));
        assert_eq!(
            left(&page("searchset"), &Subset::Count),
            r#"{"resourceType":"Bundle","type":"searchset","total":2,"link":[{"relation":"self","url":"s"}],"entry":[{"resource":{"resourceType":"OperationOutcome","text":{}},"search":{"mode":"outcome"}}]}"#
        );
        let none = r#"{"resourceType":"Bundle","type":"searchset","total":2,"entry":[{"search":{"mode":"match"}}]}"#;
        assert_eq!(left(none, &Subset::Count), r#"{"resourceType":"Bundle","type":"searchset","total":2}"#);
    }

    #[test]
    fn values_that_fhir_does_not_know_are_refused_with_their_parameter() {
        let long = ["name"; 101].join(",");
        let table = [
            (Some("yes"), None, "http._summary"),
            (Some(""), None, "http._summary"),
            (Some("TRUE"), None, "http._summary"),
            (None, Some(""), "http._elements"),
            (None, Some("name,"), "http._elements"),
            (None, Some("nmae"), "http._elements"),
            (None, Some("Patient.name"), "http._elements"),
            (None, Some(long.as_str()), "http._elements"),
            (Some("true"), Some("name"), "http._elements"),
        ];
        for (summary, elements, place) in table {
            let issue = Subset::parse(shapes(), summary, elements).expect_err("refused");
            assert_eq!(
                (issue.code, issue.expression),
                (IssueCode::Value, vec![place.to_owned()]),
                "{summary:?} {elements:?}"
            );
        }
        assert_eq!(Subset::parse(shapes(), Some("false"), Some("name")), Ok(named("name")));
        assert_eq!(Subset::parse(shapes(), None, None), Ok(Subset::All));
    }
}
