//! Where in a Bundle a problem is: locations of an entry's own interaction become locations of the Bundle.
//!
//! FHIR R4 OperationOutcome: `expression` is a FHIRPath within the resource that was sent, and that is the Bundle.

use crate::app::error::{AppError, ErrorKind};
use crate::fhir::issue::Issue;

/// What a transaction answers when the entry at `entry` stops it. Statuses that speak of an address would speak of that of
/// the Bundle, so they become 400 (FHIR R4 RESTful API, transaction: "HTTP 400 or 500 type response").
#[must_use]
pub fn stop(error: AppError, entry: usize) -> AppError {
    let kind = match error.kind {
        ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::NotSupported => ErrorKind::Invalid,
        kind => kind,
    };
    let error = locate(error, entry);
    AppError { kind, ..error }
}

/// `error` with its places inside the Bundle.
#[must_use]
pub fn locate(mut error: AppError, entry: usize) -> AppError {
    if !matches!(
        error.kind,
        ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Full | ErrorKind::Internal
    ) {
        error.issues = error.issues.into_iter().map(|issue| locate_issue(issue, entry)).collect();
    }
    error
}

fn locate_issue(issue: Issue, entry: usize) -> Issue {
    let places: Vec<String> = issue.expression.iter().map(|place| within(place, entry)).collect();
    let expression = if places.is_empty() { vec![format!("Bundle.entry[{entry}]")] } else { places };
    Issue { expression, ..issue }
}

fn within(place: &str, entry: usize) -> String {
    let part = match place {
        "http.if-match" => "request.ifMatch",
        "http.if-none-match" => "request.ifNoneMatch",
        "http.if-modified-since" => "request.ifModifiedSince",
        "http.if-none-exist" => "request.ifNoneExist",
        "http.method" => "request.method",
        "resourceType" => "resource",
        "Resource.id" => "request.url",
        place if place == "http" || place.starts_with("http.") => "request.url",
        place if place.starts_with("Bundle.") => return place.to_owned(),
        // A place inside a patch.
        place if place.starts_with('[') => "resource.data",
        place => return inside_resource(place, entry),
    };
    format!("Bundle.entry[{entry}].{part}")
}

/// `Patient.name[0]` is `Bundle.entry[0].resource.name[0]`.
fn inside_resource(place: &str, entry: usize) -> String {
    let step = place.split_once('.').map_or(String::new(), |(_, rest)| format!(".{rest}"));
    format!("Bundle.entry[{entry}].resource{step}")
}

/// The entry that a place of the Bundle lies in.
#[must_use]
pub fn entry_of(place: &str) -> Option<usize> {
    place.strip_prefix("Bundle.entry[")?.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::issue::IssueCode;

    #[test]
    fn a_place_of_an_entry_is_a_place_of_the_bundle() {
        let table = [
            ("Patient.birthDate", "Bundle.entry[3].resource.birthDate"),
            ("Patient.name[0].given[1]", "Bundle.entry[3].resource.name[0].given[1]"),
            ("Patient", "Bundle.entry[3].resource"),
            ("resourceType", "Bundle.entry[3].resource"),
            ("http.if-match", "Bundle.entry[3].request.ifMatch"),
            ("http.if-none-match", "Bundle.entry[3].request.ifNoneMatch"),
            ("http.if-none-exist", "Bundle.entry[3].request.ifNoneExist"),
            ("http.method", "Bundle.entry[3].request.method"),
            ("http.identifier", "Bundle.entry[3].request.url"),
            ("http", "Bundle.entry[3].request.url"),
            ("Resource.id", "Bundle.entry[3].request.url"),
            ("[2].path", "Bundle.entry[3].resource.data"),
            ("Bundle.entry[1].fullUrl", "Bundle.entry[1].fullUrl"),
        ];
        for (place, expected) in table {
            let error = AppError::invalid(vec![Issue::error(IssueCode::Value, "x").at(place)]);
            assert_eq!(locate(error, 3).issues[0].expression, [expected], "{place}");
        }
        assert_eq!(locate(AppError::gone(), 2).issues[0].expression, ["Bundle.entry[2]"]);
        assert_eq!(locate(AppError::full(), 2).issues[0].expression, Vec::<String>::new(), "no fault of an entry");
    }

    #[test]
    fn an_entry_is_read_from_a_place() {
        for (place, entry) in [
            ("Bundle.entry[12].request.method", Some(12)),
            ("Bundle.entry[0]", Some(0)),
            ("Bundle.entry", None),
            ("Bundle.type", None),
        ] {
            assert_eq!(entry_of(place), entry, "{place}");
        }
    }
}
