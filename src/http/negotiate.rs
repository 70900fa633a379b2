//! Content negotiation: what a caller sends and what it can read (FHIR R4 RESTful API, 3.1.0.1.9–11).
//!
//! Only an explicit wish for another format is refused: headers that cannot be parsed, `*/*` and any JSON get FHIR JSON.

/// Whether the `Content-Type` names JSON in UTF-8; a missing header counts as JSON.
#[must_use]
pub fn is_json_body(content_type: Option<&str>) -> bool {
    content_type.is_none_or(|content_type| is_utf8_of(content_type, is_json))
}

/// Whether the `Content-Type` names JSON Patch in UTF-8 (RFC 6902 §6). There are other kinds of patches, so a missing
/// header names none.
#[must_use]
pub fn is_json_patch(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|content_type| is_utf8_of(content_type, |kind| kind == "application/json-patch+json"))
}

fn is_utf8_of(content_type: &str, is_known: impl Fn(&str) -> bool) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let known = parts.next().is_some_and(|kind| is_known(&kind.to_ascii_lowercase()));
    let utf8 = parts.all(|parameter| {
        let parameter = parameter.to_ascii_lowercase();
        parameter.strip_prefix("charset=").is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
    });
    known && utf8
}

/// Whether the `Content-Type` names a form (FHIR R4 RESTful API, search).
#[must_use]
pub fn is_form_body(content_type: Option<&str>) -> bool {
    let kind = content_type.and_then(|content_type| content_type.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
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

/// In which form an answer that can be a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    FhirJson,
    Svg,
    Html,
}

impl Representation {
    /// In the order in which they are chosen where several are wanted alike, with the media types that name them.
    const ALL: [(Self, &'static [&'static str]); 3] = [
        (Self::FhirJson, &["application/fhir+json", "application/json", "text/json", "application/json+fhir"]),
        (Self::Svg, &["image/svg+xml"]),
        (Self::Html, &["text/html", "application/xhtml+xml"]),
    ];

    /// A value of `_format`. An unescaped plus sign of a query arrives as a space.
    fn of_format(format: &str) -> Option<Self> {
        match format.replace(' ', "+").as_str() {
            "svg" | "image/svg+xml" => Some(Self::Svg),
            "html" | "text/html" => Some(Self::Html),
            json => accepts_json(None, Some(json)).then_some(Self::FhirJson),
        }
    }
}

/// The form that is wanted most: by weight, then by how plainly it is named (RFC 9110 §12.5.1). `None` when only others
/// are wanted.
#[must_use]
pub fn representation(accept: Option<&str>, format: Option<&str>) -> Option<Representation> {
    if let Some(format) = format.map(str::trim).filter(|format| !format.is_empty()) {
        return Representation::of_format(&format.to_ascii_lowercase());
    }
    let named: Vec<(String, f32)> = accept.unwrap_or_default().split(',').filter_map(weighted_range).collect();
    if named.is_empty() {
        return Some(Representation::FhirJson);
    }
    let mut best = None;
    for (form, names) in Representation::ALL {
        let Some((plainness, weight)) = names.iter().filter_map(|name| wish(&named, name)).max_by_key(|wish| wish.0)
        else {
            continue;
        };
        let is_better = best.is_none_or(|(_, other)| (weight, plainness) > other);
        if weight > 0.0 && is_better {
            best = Some((form, (weight, plainness)));
        }
    }
    best.map(|(form, _)| form)
}

/// How plainly the ranges name a media type (1 is `*/*`, 3 its own name) and with which weight.
fn wish(named: &[(String, f32)], media_type: &str) -> Option<(u8, f32)> {
    let plainness = |range: &str| match range {
        "*/*" => Some(1),
        range if range == media_type => Some(3),
        range => range.strip_suffix('*').is_some_and(|prefix| media_type.starts_with(prefix)).then_some(2),
    };
    let wishes = named.iter().filter_map(|(range, weight)| plainness(range).map(|plainness| (plainness, *weight)));
    wishes.max_by_key(|(plainness, _)| *plainness)
}

/// A media range in lower case and its weight; `None` for what is none.
fn weighted_range(text: &str) -> Option<(String, f32)> {
    let kind = media_range(text.split(';').next()?)?;
    let mut parameters = text.split(';').skip(1).map(|part| part.trim().to_ascii_lowercase());
    let weight = parameters.find_map(|part| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()));
    Some((kind, weight.unwrap_or(1.0)))
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
    fn a_picture_is_sent_to_who_asks_for_one() {
        use Representation::{FhirJson, Html, Svg};
        let table = [
            (None, None, Some(FhirJson)),
            (Some("*/*"), None, Some(FhirJson)),
            (Some("garbage"), None, Some(FhirJson)),
            (Some("application/fhir+json"), None, Some(FhirJson)),
            (Some("application/json, image/svg+xml"), None, Some(FhirJson)),
            (Some("image/svg+xml"), None, Some(Svg)),
            (Some("IMAGE/SVG+XML, */*"), None, Some(Svg)),
            (Some("image/*"), None, Some(Svg)),
            (Some("application/json;q=0.5, image/svg+xml;q=0.8"), None, Some(Svg)),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), None, Some(Html)),
            (Some("image/svg+xml;q=0, */*"), None, Some(FhirJson)),
            (Some("application/fhir+xml"), None, None),
            (Some("image/png"), None, None),
            (Some("text/html;q=0"), None, None),
            (Some("application/json"), Some("svg"), Some(Svg)),
            (None, Some("image/svg xml"), Some(Svg)),
            (None, Some("text/html"), Some(Html)),
            (Some("text/html"), Some("application/fhir+json"), Some(FhirJson)),
            (Some("text/html"), Some("json"), Some(FhirJson)),
            (Some("text/html"), Some("xml"), None),
        ];
        for (accept, format, expected) in table {
            assert_eq!(representation(accept, format), expected, "{accept:?} {format:?}");
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

    #[test]
    fn a_patch_is_json_patch_by_its_name() {
        let table = [
            (Some("application/json-patch+json"), true),
            (Some("Application/JSON-Patch+JSON; charset=utf-8"), true),
            (Some("application/json-patch+json; charset=utf-16"), false),
            (Some("application/merge-patch+json"), false),
            (Some("application/fhir+json"), false),
            (Some("application/json"), false),
            (None, false),
        ];
        for (content_type, expected) in table {
            assert_eq!(is_json_patch(content_type), expected, "{content_type:?}");
        }
    }

    #[test]
    fn searches_by_post_are_forms() {
        for (content_type, expected) in [
            (None, false),
            (Some("application/x-www-form-urlencoded"), true),
            (Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), true),
            (Some("multipart/form-data"), false),
            (Some("application/fhir+json"), false),
        ] {
            assert_eq!(is_form_body(content_type), expected, "{content_type:?}");
        }
    }
}
