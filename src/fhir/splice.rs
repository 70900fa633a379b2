//! Puts the server's `id`, `meta.versionId` and `meta.lastUpdated` into a received document and touches nothing else.
//!
//! Every other byte between the members stays as it was written: decimals, escapes, order, extensions.
//! Not here: deciding the id or the version.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// What the server owns of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a> {
    pub id: &'a str,
    pub version: i64,
    /// FHIR instant.
    pub last_updated: &'a str,
}

/// `document` (a JSON object that was parsed before) with the server's values in it.
///
/// # Errors
/// When the document, or its `meta`, is not a JSON object.
pub fn splice(document: &str, owned: Owned<'_>) -> Result<String, serde_json::Error> {
    let members = members(document)?;
    let mut out = String::with_capacity(document.len() + 120);
    let mut first = true;
    out.push('{');
    let resource_type = members.iter().find(|(name, _)| name == "resourceType");
    if let Some((name, value)) = resource_type {
        push(&mut out, &mut first, name, value.get());
    }
    push(&mut out, &mut first, "id", &quoted(owned.id));
    let mut stamp = format!("{{\"versionId\":\"{}\",\"lastUpdated\":{}", owned.version, quoted(owned.last_updated));
    if let Some((_, meta)) = members.iter().find(|(name, _)| name == "meta") {
        for (name, value) in self::members(meta.get())? {
            if !matches!(name.as_ref(), "versionId" | "lastUpdated") {
                push(&mut stamp, &mut false, &name, value.get());
            }
        }
    }
    stamp.push('}');
    push(&mut out, &mut first, "meta", &stamp);
    for (name, value) in &members {
        if !matches!(name.as_ref(), "resourceType" | "id" | "meta") {
            push(&mut out, &mut first, name, value.get());
        }
    }
    out.push('}');
    Ok(out)
}

fn push(out: &mut String, first: &mut bool, name: &str, value: &str) {
    if !std::mem::take(first) {
        out.push(',');
    }
    out.push_str(&quoted(name));
    out.push(':');
    out.push_str(value);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of a JSON object, in order, their values as written.
///
/// # Errors
/// When `text` is not a JSON object.
pub fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde::Deserializer::deserialize_map(&mut reader, Members)
}

struct Members;

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push((name.0, value));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNED: Owned<'static> = Owned { id: "p1", version: 3, last_updated: "2026-01-02T03:04:05.000Z" };

    #[test]
    fn only_id_version_and_time_change() {
        let table = [
            (
                r#"{"resourceType":"Patient","birthDate":"1980"}"#,
                r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.000Z"},"birthDate":"1980"}"#,
            ),
            (
                r#"{"id":"x","x":1.00, "meta":{"versionId":"9","profile":["a"],"tag":[]},"resourceType":"Patient","s":"\u00e9"}"#,
                r#"{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.000Z","profile":["a"],"tag":[]},"x":1.00,"s":"\u00e9"}"#,
            ),
        ];
        for (given, expected) in table {
            assert_eq!(splice(given, OWNED).expect("object"), expected);
        }
        assert_eq!(splice(table[1].1, OWNED).expect("object"), table[1].1, "splicing twice changes nothing");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(splice("[]", OWNED).is_err());
        assert!(splice(r#"{"meta":3}"#, OWNED).is_err());
    }
}
