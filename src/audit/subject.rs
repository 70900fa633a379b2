//! What an audit row is about, and whether it tells of a disclosure.
//!
//! Rows name records; this says by which texts rows are found again. A copy of many (an export, a backup) names nobody and
//! may hold anybody: it is found under [`ANY_PATIENT`]. Not here: who asks.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Row, Stretch};

/// The subject of rows that may be about any Patient.
pub const ANY_PATIENT: &str = "Patient/*";
/// Events about events are found by what they say, not by these.
const AUDIT_EVENT: &str = "AuditEvent";

/// The reason of a conditional create that has created nothing: its caller has learnt that somebody is there.
pub const FOUND: &str = "found";

/// Actions that bring data in, change it or compute with it, and show nobody anything that was not theirs.
const NOT_SHOWN: [&str; 9] =
    ["create", "update", "patch", "delete", "load", "validate", "partition", "train", "audit-export"];

/// `Type/id` of each record that the row names.
#[must_use]
pub fn records(row: &Row<'_>) -> Vec<String> {
    if row.resource_type == Some(AUDIT_EVENT) {
        return Vec::new();
    }
    let detail: Json = serde_json::from_str(row.detail).unwrap_or_default();
    let named = detail["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    named.iter().filter_map(Json::as_str).filter_map(|id| address(row.resource_type, id)).collect()
}

/// A record is named by its id where it is of the type of the request, else by type and id.
#[must_use]
pub fn address(resource_type: Option<&str>, id: &str) -> Option<String> {
    if id.contains('/') { Some(id.to_owned()) } else { resource_type.map(|kind| format!("{kind}/{id}")) }
}

/// The texts under which the row is found, each once.
#[must_use]
pub fn subjects(row: &Row<'_>) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = records(row).into_iter().collect();
    if copies_any_patient(row) {
        found.insert(ANY_PATIENT.to_owned());
    }
    found
}

/// Whether the row tells that Patients have left without being named.
fn copies_any_patient(row: &Row<'_>) -> bool {
    row.outcome == "success"
        && (row.action == "backup" || (row.resource_type == Some("Patient") && stretch(row).is_some()))
}

/// Of an export: which resources have left.
#[must_use]
pub fn stretch(row: &Row<'_>) -> Option<Stretch> {
    let mut detail: Json = serde_json::from_str(row.detail).ok()?;
    serde_json::from_value(detail["stretch"].take()).ok()
}

/// Whether somebody was shown what the row is about.
#[must_use]
pub fn is_disclosure(row: &Row<'_>) -> bool {
    let is_shown = !NOT_SHOWN.contains(&row.action) || (row.action == "create" && has_reason(row, FOUND));
    row.outcome == "success" && is_shown
}

fn has_reason(row: &Row<'_>, reason: &str) -> bool {
    let detail: Json = serde_json::from_str(row.detail).unwrap_or_default();
    detail["reasons"].as_array().is_some_and(|reasons| reasons.iter().any(|one| one == reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(action: &'static str, resource_type: Option<&'static str>, detail: &'static str) -> Row<'static> {
        Row { seq: 1, at_us: 1, request_id: "r", action, outcome: "success", caller: "open", resource_type, detail }
    }

    #[test]
    fn a_row_is_found_by_each_record_once_and_copies_by_anybody() {
        for (row, expected) in [
            (row("read", Some("Patient"), r#"{"records":["a","a"]}"#), vec!["Patient/a"]),
            (
                row("search", Some("Patient"), r#"{"records":["a","Organization/o"]}"#),
                vec!["Organization/o", "Patient/a"],
            ),
            (row("bundle", None, r#"{"records":["Patient/a"]}"#), vec!["Patient/a"]),
            (row("bundle", None, r#"{"records":["a"]}"#), vec![]),
            (row("read", Some("AuditEvent"), r#"{"records":["7"]}"#), vec![]),
            (row("read", Some("Patient"), "{"), vec![]),
            (row("backup", None, r#"{"status":200}"#), vec![ANY_PATIENT]),
            (
                row("export", Some("Patient"), r#"{"stretch":{"after_number":0,"last_number":2,"as_of_us":1}}"#),
                vec![ANY_PATIENT],
            ),
            (row("export", Some("Patient"), r#"{"job":"j"}"#), vec![]),
        ] {
            assert_eq!(subjects(&row).into_iter().collect::<Vec<_>>(), expected, "{row:?}");
        }
    }

    #[test]
    fn who_was_shown_something_is_told_apart_from_who_brought_it() {
        for (action, expected) in
            [("read", true), ("match", true), ("backup", true), ("update", false), ("load", false)]
        {
            assert_eq!(is_disclosure(&row(action, None, "{}")), expected, "{action}");
        }
        assert!(is_disclosure(&row("create", None, r#"{"reasons":["found"]}"#)), "it tells that somebody is there");
        assert!(!is_disclosure(&Row { outcome: "refused", ..row("read", None, "{}") }));
    }
}
