//! A stored resource for whoever reads it: as stored, without what never leaves, and of a Patient without the elements that
//! the reader is not entitled to.
//!
//! Social security numbers are dropped wherever identifiers stand, and so is how an identity was verified; the narrative
//! goes with anything else, for it may tell it. What lost something is tagged `SUBSETTED`, so that nobody writes it back
//! over what is stored. Nothing is filled in. Not here: answers to a match (see `us_core`), who is entitled to what.

use super::canonical::{IDENTITY_VERIFICATION, OBSERVATION_VALUE, SUBSETTED};
use super::disclosure::{Disclosure, Identifier};
use super::document::{Layout, Member, Node, NotJson};

/// `body` as it may leave; untouched where nothing is kept back.
///
/// # Errors
/// When `body` is not JSON.
pub fn redact(body: &str, disclosure: &Disclosure) -> Result<String, NotJson> {
    let mut resource = Node::parse(body)?;
    let mut kept_back = keep_back(&mut resource);
    if let Node::Object(members) = &mut resource
        && members.iter().any(|member| is_text(member, "resourceType", "Patient"))
    {
        let before = members.len();
        members.retain(|member| disclosure.allows(&member.name));
        kept_back += before - members.len();
    }
    if kept_back == 0 {
        return Ok(body.to_owned());
    }
    resource.remove("text");
    resource.remove("_text");
    tag(&mut resource);
    Ok(resource.write(Layout::Compact))
}

/// Whether something of `body` is kept back at or below its top-level member `name`; anywhere, for `None`.
///
/// # Errors
/// When `body` is not JSON.
pub fn keeps_back(body: &str, disclosure: &Disclosure, name: Option<&str>) -> Result<bool, NotJson> {
    let mut resource = Node::parse(body)?;
    let is_patient = resource.text("resourceType").is_some_and(|name| name == "Patient");
    let is_kept = |member: &str| is_patient && !disclosure.allows(member);
    // A narrative goes with anything else.
    if let Some(name) = name.filter(|name| !matches!(*name, "text" | "_text")) {
        let part = resource.remove(name).map(|value| Member { name: name.to_owned().into(), value });
        return Ok(is_kept(name) || keep_back(&mut Node::Object(part.into_iter().collect())) > 0);
    }
    let is_any_kept = matches!(&resource, Node::Object(members) if members.iter().any(|member| is_kept(&member.name)));
    Ok(is_any_kept || keep_back(&mut resource) > 0)
}

fn is_text(member: &Member<'_>, name: &str, text: &str) -> bool {
    member.name == name && member.value.as_text().is_some_and(|value| value == text)
}

/// Takes out what never leaves, at any depth; how much there was.
fn keep_back(node: &mut Node<'_>) -> usize {
    match node {
        Node::Leaf(_) => 0,
        Node::Array(items) => items.iter_mut().map(keep_back).sum(),
        Node::Object(members) => {
            let before = members.len();
            let mut kept_back = 0;
            for Member { name, value } in members.iter_mut() {
                kept_back += match name.as_ref() {
                    "identifier" => drop_items(value, is_ssn),
                    "extension" => drop_items(value, is_verification),
                    _ => 0,
                };
                kept_back += keep_back(value);
            }
            members.retain(|Member { name, value }| {
                let is_emptied = matches!(value, Node::Array(items) if items.is_empty());
                let is_number = name == "identifier" && matches!(value, Node::Object(_)) && is_ssn(value);
                let is_list = matches!(name.as_ref(), "identifier" | "extension");
                !(is_number || is_emptied && is_list)
            });
            let is_contained = kept_back > 0 && members.iter().any(|member| member.name == "resourceType");
            if is_contained {
                members.retain(|member| member.name != "text");
            }
            kept_back.max(before - members.len())
        }
    }
}

fn drop_items(list: &mut Node<'_>, is_dropped: fn(&Node<'_>) -> bool) -> usize {
    let Node::Array(items) = list else { return 0 };
    let before = items.len();
    items.retain(|item| !is_dropped(item));
    before - items.len()
}

/// In doubt it stays here: what cannot be read as an identifier is kept back too.
fn is_ssn(identifier: &Node<'_>) -> bool {
    let text = identifier.write(Layout::Compact);
    serde_json::from_str::<Identifier<'_>>(&text).map_or(true, |identifier| identifier.is_ssn())
}

fn is_verification(extension: &Node<'_>) -> bool {
    extension.text("url").is_some_and(|url| url == IDENTITY_VERIFICATION)
}

fn tag(resource: &mut Node<'_>) {
    let text = |name: &'static str, value: &str| Member { name: name.into(), value: Node::string(value) };
    let subsetted = || Node::Object(vec![text("system", OBSERVATION_VALUE), text("code", SUBSETTED)]);
    if resource.get("meta").is_none() {
        resource.insert("meta", Node::Object(Vec::new()));
    }
    let Some(meta) = resource.get_mut("meta") else { return };
    match meta.get_mut("tag") {
        Some(Node::Array(tags)) => {
            if !tags.iter().any(|tag| tag.text("code").is_some_and(|code| code == SUBSETTED)) {
                tags.push(subsetted());
            }
        }
        _ => drop(meta.insert("tag", Node::Array(vec![subsetted()]))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SSN: &str = r#"{"system":"http://hl7.org/fhir/sid/us-ssn","value":"219-09-9999"}"#;

    fn redacted(body: &str, disclosure: &Disclosure) -> Value {
        serde_json::from_str(&redact(body, disclosure).expect("JSON")).expect("JSON")
    }

    #[test]
    fn what_keeps_nothing_back_is_not_touched() {
        for body in [
            r#"{"resourceType":"Patient","id":"a","text":{"div":"x"},"multipleBirthInteger":1.0}"#,
            r#"{"resourceType" : "Patient", "identifier":[{"system":"urn:mrn","value":"7"}]}"#,
            r#"{"resourceType":"Organization","identifier":[{"system":"urn:x","value":"7"}]}"#,
        ] {
            assert_eq!(redact(body, &Disclosure::full()).as_deref(), Ok(body));
        }
    }

    #[test]
    fn social_security_numbers_leave_from_no_type_and_no_depth() {
        let table = [
            format!(r#"{{"resourceType":"Patient","identifier":[{SSN}],"text":{{"div":"219-09-9999"}}}}"#),
            format!(r#"{{"resourceType":"Person","identifier":[{SSN},{{"system":"urn:x","value":"1"}}]}}"#),
            format!(r#"{{"resourceType":"RelatedPerson","identifier":[{SSN}]}}"#),
            format!(
                r#"{{"resourceType":"Consent","contained":[{{"resourceType":"Patient","identifier":[{SSN}],"text":{{"div":"219-09-9999"}}}}]}}"#
            ),
            format!(r#"{{"resourceType":"Consent","patient":{{"identifier":{SSN}}}}}"#),
            r#"{"resourceType":"Patient","identifier":[{"type":{"text":"SSN"},"value":"219-09-9999"}]}"#.to_owned(),
            r#"{"resourceType":"Patient","identifier":[{"system":5,"value":"219-09-9999"}]}"#.to_owned(),
        ];
        for body in table {
            let left = redacted(&body, &Disclosure::full());
            assert!(!left.to_string().contains("219-09-9999"), "{left}");
            assert_eq!(left["meta"]["tag"][0]["code"], "SUBSETTED", "{left}");
        }
    }

    #[test]
    fn what_is_kept_back_is_known_by_its_top_level_member() {
        let body = format!(
            r#"{{"resourceType":"Patient","meta":{{"versionId":"1"}},"text":{{"div":"x"}},"identifier":[{SSN}],"birthDate":"1980-02-03","photo":[]}}"#
        );
        let some = Disclosure::only(["identifier", "birthDate", "text"]);
        for (name, expected) in [
            (None, true),
            (Some("identifier"), true),
            (Some("text"), true),
            (Some("photo"), true),
            (Some("birthDate"), false),
            (Some("meta"), false),
        ] {
            assert_eq!(keeps_back(&body, &some, name), Ok(expected), "{name:?}");
        }
        let open = r#"{"resourceType":"Organization","text":{"div":"x"},"name":"y"}"#;
        for name in [None, Some("text"), Some("name")] {
            assert_eq!(keeps_back(open, &some, name), Ok(false), "{name:?}");
        }
    }

    #[test]
    fn how_an_identity_was_verified_does_not_leave() {
        let body = format!(
            r#"{{"resourceType":"Patient","extension":[{{"url":"{IDENTITY_VERIFICATION}","valueString":"x"}},{{"url":"urn:y"}}]}}"#
        );
        let left = redacted(&body, &Disclosure::full());
        assert_eq!(left["extension"], json!([{"url": "urn:y"}]));
    }

    #[test]
    fn elements_are_kept_back_of_patients_and_the_tag_is_set_once() {
        let body = r#"{"resourceType":"Patient","id":"a","meta":{"tag":[{"code":"SUBSETTED"}]},"birthDate":"1980-02-03","photo":[]}"#;
        let left = redacted(body, &Disclosure::only(["birthDate"]));
        assert_eq!(
            left,
            json!({"resourceType": "Patient", "id": "a", "meta": {"tag": [{"code": "SUBSETTED"}]}, "birthDate": "1980-02-03"})
        );
        let organization = r#"{"resourceType":"Organization","name":"x"}"#;
        assert_eq!(redact(organization, &Disclosure::only(["birthDate"])).as_deref(), Ok(organization));
    }
}
