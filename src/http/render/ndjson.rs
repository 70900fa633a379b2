//! The lines of an export's files: `application/fhir+ndjson`.
//!
//! A stored resource leaves as it was received, but for line ends between its members, which become spaces: JSON has none
//! inside of a text. Not here: which resources, and in how many files.

use fhir_types::codes::{BundleType, HTTPVerb};
use fhir_types::resources::{Bundle, BundleEntry, BundleEntryRequest};
use fhir_types::write_bundle;

use super::{RenderError, list, outcome};
use crate::fhir::issue::Issue;

/// One line for each stored body.
#[must_use]
pub fn resources(bodies: &[String]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bodies.iter().map(|body| body.len() + 1).sum());
    for body in bodies {
        lines.extend(body.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        lines.push(b'\n');
    }
    lines
}

/// One line, a transaction that deletes all of `ids`; none without ids (Bulk Data Access IG 2.0, `deleted`).
///
/// # Errors
/// When the Bundle cannot be written.
pub fn deletions(resource_type: &str, ids: &[String]) -> Result<Vec<u8>, RenderError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let entry = |id: &String| {
        let request =
            BundleEntryRequest::builder().method(HTTPVerb::Delete).url(format!("{resource_type}/{id}")).build()?;
        Ok(BundleEntry::builder().request(request).build()?)
    };
    let entries: Result<Vec<BundleEntry>, RenderError> = ids.iter().map(entry).collect();
    let bundle = Bundle::builder().r#type(BundleType::Transaction).entry(list(entries?)).build()?;
    let mut line = write_bundle(bundle, &[])?.into_bytes();
    line.push(b'\n');
    Ok(line)
}

/// One OperationOutcome for each issue.
///
/// # Errors
/// When an outcome cannot be written.
pub fn outcomes(issues: &[Issue], request_id: &str) -> Result<Vec<u8>, RenderError> {
    let mut lines = Vec::new();
    for issue in issues {
        lines.extend(outcome::write(std::slice::from_ref(issue), request_id)?.into_bytes());
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fhir::issue::IssueCode;

    #[test]
    fn a_resource_is_one_line_however_it_was_written() {
        let bodies = ["{\r\n  \"a\" :\t\"x\\ny\"\n}".to_owned(), "{}".to_owned()];
        assert_eq!(resources(&bodies), b"{    \"a\" :\t\"x\\ny\" }\n{}\n");
        assert_eq!(resources(&[]), b"");
    }

    #[test]
    fn deletions_are_a_transaction() {
        let line = deletions("Patient", &["a".to_owned(), "b".to_owned()]).expect("written");
        assert_eq!(String::from_utf8_lossy(&line).lines().count(), 1);
        let bundle: Value = serde_json::from_slice(&line).expect("JSON");
        let delete = |id| json!({"request": {"method": "DELETE", "url": format!("Patient/{id}")}});
        let expected = json!({"resourceType": "Bundle", "type": "transaction", "entry": [delete("a"), delete("b")]});
        assert_eq!(bundle, expected);
        assert_eq!(deletions("Patient", &[]).expect("written"), b"");
    }

    #[test]
    fn every_remark_is_an_outcome_of_its_own() {
        let issue = |text: &str| Issue::warning(IssueCode::NotSupported, text).at("http._elements");
        let lines = outcomes(&[issue("One."), issue("Two.")], "r1").expect("written");
        let lines: Vec<Value> =
            String::from_utf8_lossy(&lines).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let texts: Vec<&Value> = lines.iter().map(|line| &line["issue"][0]["diagnostics"]).collect();
        assert_eq!(texts, ["One.", "Two."]);
    }
}
