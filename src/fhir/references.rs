//! Rewrites the links of a document whose targets get other addresses (FHIR R4 RESTful API, transaction processing rules).
//!
//! What: [`replace`] changes references, elements of type uri, url, oid and uuid, and `href` and `src` in narratives, where
//! they are equal to an address of the map; canonicals and plain strings stay. Not here: which addresses those are.

use std::borrow::Cow;
use std::collections::HashMap;

use super::document::{Layout, Member, Node, NotJson};

/// The elements of type uri, url, oid or uuid of the stored types and of the data types, and `Reference.reference`. No
/// element of these names is a canonical or a plain string there; a test compares with the element tables.
const LINKS: [&str; 13] = [
    "authority",
    "implicitRules",
    "instantiatesUri",
    "policy",
    "reference",
    "source",
    "system",
    "uri",
    "url",
    "valueOid",
    "valueUri",
    "valueUrl",
    "valueUuid",
];

/// `document` with every link that is a key of `map` replaced by its value; everything else stays as written.
///
/// # Errors
/// When `document` is not JSON.
pub fn replace<S: std::hash::BuildHasher>(document: &str, map: &HashMap<String, String, S>) -> Result<String, NotJson> {
    let mut node = Node::parse(document)?;
    let find = |link: &str| map.get(link).map(String::as_str);
    replace_in(&mut node, "", &find);
    Ok(node.write(Layout::Compact))
}

/// `name` is that of the member in which `node` stands, also where it stands in an array there.
fn replace_in<'m>(node: &mut Node<'_>, name: &str, find: &impl Fn(&str) -> Option<&'m str>) {
    match node {
        Node::Leaf(_) if name == "div" => {
            let changed = node.as_text().and_then(|text| replace_in_narrative(&text, find));
            if let Some(changed) = changed {
                *node = Node::string(&changed);
            }
        }
        Node::Leaf(_) if LINKS.contains(&name) => {
            if let Some(link) = node.as_text().and_then(|text| find(&text)) {
                *node = Node::string(link);
            }
        }
        Node::Leaf(_) => {}
        Node::Array(items) => items.iter_mut().for_each(|item| replace_in(item, name, find)),
        Node::Object(members) => {
            for Member { name, value } in members {
                replace_in(value, name, find);
            }
        }
    }
}

/// The narrative with the values of `href` and `src` replaced; `None` when none is.
fn replace_in_narrative<'m>(text: &str, find: &impl Fn(&str) -> Option<&'m str>) -> Option<String> {
    let mut copy = Copy { out: String::with_capacity(text.len()), is_changed: false };
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        copy.out.push_str(before);
        rest = copy.tag(tag, find);
    }
    copy.out.push_str(rest);
    copy.is_changed.then_some(copy.out)
}

/// A narrative that is being written again.
struct Copy {
    out: String,
    is_changed: bool,
}

impl Copy {
    /// Copies the tag that `text` begins with and gives what follows it.
    fn tag<'t, 'm>(&mut self, text: &'t str, find: &impl Fn(&str) -> Option<&'m str>) -> &'t str {
        let mut rest = text;
        while let Some(at) = rest.find(['=', '>']) {
            let (head, tail) = rest.split_at(at + 1);
            self.out.push_str(head);
            rest = tail;
            if head.ends_with('>') {
                return rest;
            }
            let Some((quote, value, after)) = quoted_value(rest) else { continue };
            self.out.push_str(quote);
            let link = if is_link(head) { find(&value.replace("&amp;", "&")) } else { None };
            self.is_changed |= link.is_some();
            self.out.push_str(&link.map_or(Cow::Borrowed(value), |link| Cow::Owned(link.replace('&', "&amp;"))));
            rest = after;
        }
        self.out.push_str(rest);
        ""
    }
}

/// What stands before a quoted value at the start of `text`, the value, and the rest from its closing quote.
fn quoted_value(text: &str) -> Option<(&str, &str, &str)> {
    let trimmed = text.trim_start();
    let quote = trimmed.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let start = text.len() - trimmed.len() + 1;
    let end = start + text.get(start..)?.find(quote)?;
    Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?))
}

/// Whether the text up to an equals sign ends with an attribute name of a link.
fn is_link(head: &str) -> bool {
    let name = head.trim_end_matches('=').trim_end();
    ["href", "src"]
        .iter()
        .any(|link| name.strip_suffix(link).is_some_and(|before| before.ends_with(|c: char| c.is_ascii_whitespace())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn replaced(document: &str) -> String {
        let pairs = [
            ("urn:uuid:1", "Patient/p1"),
            ("urn:oid:1.2", "Organization/o1"),
            ("http://a.example/x?a=1&b=2", "Patient/p2"),
        ];
        let map = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        replace(document, &map.collect::<HashMap<_, _>>()).expect("JSON")
    }

    #[test]
    fn links_are_replaced_and_nothing_else() {
        let table = [
            (r#"{"reference":"urn:uuid:1"}"#, r#"{"reference":"Patient/p1"}"#),
            (r#"{"reference":"urn:\u0075uid:1"}"#, r#"{"reference":"Patient/p1"}"#),
            (
                r#"{"a":[{"managingOrganization":{"reference":"urn:oid:1.2","display":"urn:oid:1.2"}}]}"#,
                r#"{"a":[{"managingOrganization":{"reference":"Organization/o1","display":"urn:oid:1.2"}}]}"#,
            ),
            (r#"{"policy":["urn:uuid:1","urn:uuid:2"]}"#, r#"{"policy":["Patient/p1","urn:uuid:2"]}"#),
            (
                r#"{"valueUri":"urn:uuid:1","valueUuid":"urn:uuid:1","valueCanonical":"urn:uuid:1"}"#,
                r#"{"valueUri":"Patient/p1","valueUuid":"Patient/p1","valueCanonical":"urn:uuid:1"}"#,
            ),
            (
                r#"{"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}],"n":1.50}"#,
                r#"{"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}],"n":1.50}"#,
            ),
            (r#"{"url":"http://a.example/x?a=1&b=2"}"#, r#"{"url":"Patient/p2"}"#),
            (
                r#"{"reference":"urn:uuid:1#x","url":1,"uri":null}"#,
                r#"{"reference":"urn:uuid:1#x","url":1,"uri":null}"#,
            ),
        ];
        for (given, expected) in table {
            assert_eq!(replaced(given), expected);
        }
        assert_eq!(replace("[", &HashMap::new()), Err(NotJson));
    }

    #[test]
    fn links_of_narratives_are_replaced() {
        let table = [
            (r#"<a href="urn:uuid:1">urn:uuid:1</a>"#, r#"<a href="Patient/p1">urn:uuid:1</a>"#),
            (
                r#"<a class="x" href = 'urn:uuid:1'/><img src="urn:oid:1.2" alt="="/>"#,
                r#"<a class="x" href = 'Patient/p1'/><img src="Organization/o1" alt="="/>"#,
            ),
            (r#"<a href="http://a.example/x?a=1&amp;b=2">"#, r#"<a href="Patient/p2">"#),
            (
                r#"<a title="urn:uuid:1" xhref="urn:uuid:1">a = "b" href="#,
                r#"<a title="urn:uuid:1" xhref="urn:uuid:1">a = "b" href="#,
            ),
            (r#"<a title=" href='urn:uuid:1'">é = "#, r#"<a title=" href='urn:uuid:1'">é = "#),
            (r#"say = "<a href="urn:uuid:1">"#, r#"say = "<a href="Patient/p1">"#),
            (
                r#" href="urn:uuid:1" <a href="urn:uuid:9" src="urn:uuid:1"#,
                r#" href="urn:uuid:1" <a href="urn:uuid:9" src="urn:uuid:1"#,
            ),
        ];
        for (given, expected) in table {
            let document = |text: &str| serde_json::json!({"text": {"status": "generated", "div": text}}).to_string();
            let found: Value = serde_json::from_str(&replaced(&document(given))).expect("JSON");
            assert_eq!(found["text"]["div"], expected);
        }
    }

    /// Member name and type of every element that a stored resource can have.
    fn elements() -> BTreeSet<(String, String)> {
        let table: Value = serde_json::from_str(include_str!("../../profiles/r4-elements.json")).expect("JSON");
        let stored =
            ["Patient", "Organization", "RelatedPerson", "Person", "Consent", "Provenance", "Task", "AuditEvent"];
        let (mut waiting, mut seen) = (stored.map(str::to_owned).to_vec(), BTreeSet::new());
        let mut found = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            let row = &table["types"][&name];
            if !seen.insert(name) || row["kind"] == "primitive" {
                continue;
            }
            waiting.extend(row["base"].as_str().map(str::to_owned));
            for (element, cell) in row["elements"].as_object().into_iter().flatten() {
                let types = cell.as_str().and_then(|cell| cell.split(' ').nth(1)).expect("types");
                let open = table["openTypes"].as_array().expect("types").iter().filter_map(Value::as_str);
                let types: Vec<&str> = match types {
                    "*" => open.collect(),
                    types => types.trim_start_matches('#').split('|').collect(),
                };
                for of in types {
                    let suffix = of[..1].to_uppercase() + &of[1..];
                    let member = element.strip_suffix("[x]").map_or(element.clone(), |stem| stem.to_owned() + &suffix);
                    found.insert((member, of.to_owned()));
                    if table["types"][of]["kind"] == "complex" {
                        waiting.push(of.to_owned());
                    }
                }
            }
        }
        found
    }

    #[test]
    fn the_names_of_links_are_those_of_the_element_tables() {
        let is_uri = |of: &str| matches!(of, "uri" | "url" | "oid" | "uuid");
        let elements = elements();
        let mut expected: BTreeSet<&str> =
            elements.iter().filter(|(_, of)| is_uri(of)).map(|(name, _)| name.as_str()).collect();
        // `Reference.type` and others of that name: a type's name, never an address.
        expected.remove("type");
        assert_eq!(BTreeSet::from(LINKS), expected);
        for (name, of) in elements.iter().filter(|(name, _)| LINKS.contains(&name.as_str()) && name != "reference") {
            assert!(!matches!(of.as_str(), "string" | "canonical" | "markdown" | "id"), "{name} is a {of}");
        }
    }
}
