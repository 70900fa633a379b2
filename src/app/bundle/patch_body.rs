//! The body of a PATCH inside a Bundle: a Binary that holds a JSON Patch (FHIR R4 RESTful API, patch in a batch).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::app::error::AppError;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::json::{Limits, parse};

/// The patch inside `body`.
///
/// # Errors
/// `Invalid` for anything but a Binary of `application/json-patch+json`.
pub fn patch_of(body: &str, limits: &Limits) -> Result<Vec<u8>, AppError> {
    let refuse = |code, text: &str, place: &str| AppError::invalid(vec![Issue::error(code, text).at(place)]);
    let binary = parse(body.as_bytes(), limits).map_err(|issue| AppError::invalid(vec![issue]))?;
    if binary.text("resourceType") != Some("Binary") {
        let text = "The resource of a PATCH is a Binary with a JSON Patch; other forms of patch are not supported.";
        return Err(refuse(IssueCode::NotSupported, text, "resourceType"));
    }
    let content_type = binary.text("contentType").and_then(|kind| kind.split(';').next()).map(str::trim);
    if content_type != Some("application/json-patch+json") {
        let text = "A patch is application/json-patch+json.";
        return Err(refuse(IssueCode::NotSupported, text, "Binary.contentType"));
    }
    let data = binary.text("data").unwrap_or_default();
    let compact: String = data.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    match STANDARD.decode(compact) {
        Ok(patch) if !patch.is_empty() => Ok(patch),
        _ => Err(refuse(IssueCode::Value, "The data of the Binary is a JSON Patch in base64.", "Binary.data")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_a_binary() {
        let read = |body: &str| patch_of(body, &Limits::DEFAULT);
        let good =
            r#"{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3Ai\nOiJ4In1d"}"#;
        assert_eq!(read(good).ok().as_deref(), Some(&br#"[{"op":"x"}]"#[..]));
        let table = [
            (r#"{"resourceType":"Parameters"}"#, "resourceType"),
            (r#"{"resourceType":"Binary","data":"W10="}"#, "Binary.contentType"),
            (
                r#"{"resourceType":"Binary","contentType":"application/xml-patch+xml","data":"W10="}"#,
                "Binary.contentType",
            ),
            (r#"{"resourceType":"Binary","contentType":"application/json-patch+json"}"#, "Binary.data"),
            (r#"{"resourceType":"Binary","contentType":"application/json-patch+json","data":"&"}"#, "Binary.data"),
        ];
        for (body, place) in table {
            assert_eq!(read(body).expect_err("refused").issues[0].expression, [place], "{body}");
        }
    }
}
