//! Content negotiation: what a caller sends and what it can read (FHIR R4 RESTful API, 3.1.0.1.9–11).
//!
//! Only an explicit wish for another format is refused: headers that cannot be parsed, `*/*` and any JSON get FHIR JSON.

/// Whether the `Content-Type` names JSON in UTF-8; a missing header counts as JSON.
#[must_use]
pub fn is_json_body(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| is_json(&kind.to_ascii_lowercase()));
    let utf8 = parts.all(|parameter| {
        let parameter = parameter.to_ascii_lowercase();
        parameter.strip_prefix("charset=").is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
    });
    json && utf8
}

/// Whether FHIR JSON may be sent for these `Accept` and `_format` values.
#[must_use]
pub fn accepts_json(accept: Option<&str>, format: Option<&str>) -> bool {
    if let Some(format) = format {
        let format = format.trim().to_ascii_lowercase();
        return format.is_empty() || format == "json" || is_json(format.split(';').next().unwrap_or_default().trim());
    }
    let Some(accept) = accept else { return true };
    let mut named = accept.split(',').filter_map(media_range).peekable();
    named.peek().is_none()
        || named.any(|kind| kind == "*/*" || kind == "application/*" || kind == "text/*" || is_json(&kind))
}

/// Whether lines of FHIR JSON may be sent for this `Accept` (Bulk Data Access IG 2.0, file request).
#[must_use]
pub fn accepts_ndjson(accept: Option<&str>) -> bool {
    let lines = |kind: &str| matches!(kind, "application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson");
    let named = || accept.into_iter().flat_map(|accept| accept.split(',')).filter_map(media_range);
    accepts_json(accept, None) || named().any(|kind| lines(&kind))
}

/// A media range in lower case; `None` for what is none or has weight 0.
fn media_range(text: &str) -> Option<String> {
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next()?;
    let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0)));
    let (main, sub) = kind.split_once('/')?;
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"*+-.".contains(&b));
    (!refused && plain(main) && plain(sub)).then_some(kind)
}

fn is_json(kind: &str) -> bool {
    matches!(kind, "application/fhir+json" | "application/json" | "text/json" | "application/json+fhir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_explicit_wish_for_another_format_is_refused() {
        let table = [
            (None, None, true),
            (Some("*/*"), None, true),
            (Some("application/json"), None, true),
            (Some("text/json"), None, true),
            (Some("application/fhir+json; fhirVersion=4.0"), None, true),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), None, true),
            (Some("garbage"), None, true),
            (Some(""), None, true),
            (Some("a/b/c, ;;"), None, true),
            (Some("application/fhir+xml"), None, false),
            (Some("text/turtle, application/xml"), None, false),
            (Some("application/xml, application/json;q=0"), None, false),
            (Some("application/fhir+xml"), Some("json"), true),
            (None, Some("xml"), false),
            (None, Some("application/fhir+json"), true),
        ];
        for (accept, format, expected) in table {
            assert_eq!(accepts_json(accept, format), expected, "{accept:?} {format:?}");
        }
    }

    #[test]
    fn lines_are_sent_to_whoever_takes_lines_or_json() {
        for (accept, expected) in [
            (None, true),
            (Some("*/*"), true),
            (Some("application/fhir+ndjson"), true),
            (Some("application/ndjson, text/csv"), true),
            (Some("application/json"), true),
            (Some("text/csv"), false),
            (Some("application/fhir+ndjson;q=0, text/csv"), false),
        ] {
            assert_eq!(accepts_ndjson(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn bodies_are_json_in_utf8() {
        let table = [
            (None, true),
            (Some("application/fhir+json"), true),
            (Some("application/json; charset=UTF-8"), true),
            (Some("application/json; charset=iso-8859-1"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("application/fhir+xml"), false),
        ];
        for (content_type, expected) in table {
            assert_eq!(is_json_body(content_type), expected, "{content_type:?}");
        }
    }
}
