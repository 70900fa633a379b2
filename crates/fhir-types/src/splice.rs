//! Writes a typed Bundle or Parameters around resources that are given as JSON text and leave byte for byte.
//!
//! Not here: checking those texts; they come from the store or from a `write` function of this crate.

use std::mem::take;

use fhir_sdk::r4b::resources::{Bundle, Parameters};

use crate::WriteError;

/// Writes `bundle`; the entry at `i` gets `resources[i]` as its resource, where there is one.
///
/// # Errors
/// When the bundle holds a date or time that FHIR cannot write.
pub fn write_bundle(mut bundle: Bundle, resources: &[Option<&str>]) -> Result<String, WriteError> {
    let entries = take(&mut bundle.entry);
    let mut out = String::with_capacity(1024 + resources.iter().flatten().map(|text| text.len() + 1024).sum::<usize>());
    out.push_str(&serde_json::to_string(&bundle).map_err(WriteError::new)?);
    let texts = resources.iter().copied().chain(std::iter::repeat(None));
    let parts = entries.into_iter().flatten().zip(texts).map(|(mut entry, text)| {
        entry.resource = entry.resource.filter(|_| text.is_none());
        serde_json::to_string(&entry).map(|shell| (shell, text))
    });
    append(&mut out, "entry", parts)?;
    Ok(out)
}

/// Writes `parameters`; the parameter at `i` gets `resources[i]` as its resource, where there is one.
///
/// # Errors
/// See [`write_bundle`].
pub fn write_parameters(mut parameters: Parameters, resources: &[Option<&str>]) -> Result<String, WriteError> {
    let items = take(&mut parameters.parameter);
    let mut out = String::with_capacity(256 + resources.iter().flatten().map(|text| text.len() + 128).sum::<usize>());
    out.push_str(&serde_json::to_string(&parameters).map_err(WriteError::new)?);
    let texts = resources.iter().copied().chain(std::iter::repeat(None));
    let parts = items.into_iter().flatten().zip(texts).map(|(mut item, text)| {
        item.resource = item.resource.filter(|_| text.is_none());
        serde_json::to_string(&item).map(|shell| (shell, text))
    });
    append(&mut out, "parameter", parts)?;
    Ok(out)
}

/// Adds the list `name` of `(object, resource)` to the object in `out`. FHIR JSON has no empty lists.
fn append<'a>(
    out: &mut String,
    name: &str,
    parts: impl Iterator<Item = Result<(String, Option<&'a str>), serde_json::Error>>,
) -> Result<(), WriteError> {
    let mut open = false;
    for part in parts {
        let (shell, resource) = part.map_err(WriteError::new)?;
        if open {
            out.push(',');
        } else {
            reopen(out);
            out.push('"');
            out.push_str(name);
            out.push_str("\":[");
            open = true;
        }
        out.push_str(&shell);
        if let Some(resource) = resource {
            reopen(out);
            out.push_str("\"resource\":");
            out.push_str(resource);
            out.push('}');
        }
    }
    if open {
        out.push_str("]}");
    }
    Ok(())
}

/// Takes back the `}` of an object so that a member can follow.
fn reopen(out: &mut String) {
    out.pop();
    if !out.ends_with('{') {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Resource, parse};

    fn bundle(text: &str) -> Bundle {
        match parse(text.as_bytes()) {
            Ok(Resource::Bundle(bundle)) => bundle,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn given_texts_leave_byte_for_byte() {
        let table = [
            (r#"{"resourceType":"Bundle","type":"searchset","total":0}"#, vec![], ""),
            (
                r#"{"resourceType":"Bundle","type":"searchset","total":2,"entry":[{"fullUrl":"http://x/a"},{"search":{"score":0.8}},{}]}"#,
                vec![Some(r#"{ "x": 1.00 }"#), None, Some("{}")],
                r#","entry":[{"fullUrl":"http://x/a","resource":{ "x": 1.00 }},{"search":{"score":0.8}},{"resource":{}}]"#,
            ),
            (
                r#"{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient","id":"a"}},{"fullUrl":"http://x/b"}]}"#,
                vec![Some(r#"{"resourceType":"Basic"}"#)],
                r#","entry":[{"resource":{"resourceType":"Basic"}},{"fullUrl":"http://x/b"}]"#,
            ),
        ];
        for (shell, resources, expected) in table {
            let out = write_bundle(bundle(shell), &resources).expect("written");
            let head = out.split(",\"entry\"").next().expect("head").trim_end_matches('}');
            assert!(shell.starts_with(head), "{out}");
            assert_eq!(&out[head.len()..], format!("{expected}}}"), "{shell}");
        }
    }

    #[test]
    fn a_parameter_carries_a_given_resource() {
        let text =
            r#"{"resourceType":"Parameters","parameter":[{"name":"IDIMatchBundle"},{"name":"n","valueBoolean":true}]}"#;
        let Ok(Resource::Parameters(parameters)) = parse(text.as_bytes()) else { panic!("no parameters") };
        assert_eq!(
            write_parameters(parameters, &[Some(r#"{"a": 1.0}"#)]).expect("written"),
            r#"{"resourceType":"Parameters","parameter":[{"name":"IDIMatchBundle","resource":{"a": 1.0}},{"name":"n","valueBoolean":true}]}"#
        );
    }
}
