//! Security labels: which documents are restricted (FHIR R4 Security Labels; HL7 v3 Confidentiality).
//!
//! Not here: to whom they are shown.

use super::json::{Limits, Value, parse};

/// Whether a code of confidentiality restricts: `R` and `V`.
#[must_use]
pub fn restricts(code: &str) -> bool {
    matches!(code, "R" | "V")
}

/// Whether a resource is labelled as restricted.
#[must_use]
pub fn is_restricted(resource: &Value<'_>) -> bool {
    let labels = resource.get("meta").map(|meta| meta.list("security")).unwrap_or_default();
    labels.iter().filter_map(|label| label.text("code")).any(restricts)
}

/// The same of a stored document, and what cannot be read is.
#[must_use]
pub fn is_restricted_document(body: &str) -> bool {
    // What is stored was within the limits of its day.
    let limits =
        Limits { body_bytes_max: usize::MAX, depth_max: 120, values_max: usize::MAX, string_bytes_max: usize::MAX };
    parse(body.as_bytes(), &limits).map_or(true, |resource| is_restricted(&resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_restricted_by_one_label_that_says_so() {
        for (body, expected) in [
            (r#"{"meta":{"security":[{"code":"N"},{"code":"R"}]}}"#, true),
            (r#"{"meta":{"securit\u0079":[{"code":"V"}]}}"#, true),
            (r#"{"meta":{"security":[{"code":"N"}]}}"#, false),
            (r#"{"meta":{"tag":[{"code":"R"}]}}"#, false),
            (r#"{"meta":{}}"#, false),
            ("{}", false),
            ("{", true),
        ] {
            assert_eq!(is_restricted_document(body), expected, "{body}");
        }
    }
}
