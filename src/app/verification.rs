//! How the person on a record was verified: as the record says, else as is configured for its source.
//!
//! IG Guidance on Identity Assurance: the responder knows level and date of what it stores. A record without either
//! counts as IDIAL1. Kept beside the record, so that a decision needs no document. Not here: decisions.

use crate::config::Source;
use crate::fhir::canonical::IDENTITY_VERIFICATION;
use crate::fhir::json::Value;

/// A level and the date of its verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// As received or configured: a URI or a name such as `IDIAL1.5`.
    pub level: String,
    pub date: Option<String>,
}

/// The verification of a Patient that came from `source`.
#[must_use]
pub fn find_verification(patient: &Value<'_>, source: Option<&str>, sources: &[Source]) -> Option<Verification> {
    of_record(patient).or_else(|| {
        let configured = sources.iter().find(|configured| Some(configured.uri.as_str()) == source)?;
        Some(Verification { level: configured.level.clone(), date: Some(configured.date.clone()) })
    })
}

fn of_record(patient: &Value<'_>) -> Option<Verification> {
    let extension = patient.list("extension").iter().find(|item| item.text("url") == Some(IDENTITY_VERIFICATION))?;
    let part = |url: &str| extension.list("extension").iter().find(|part| part.text("url") == Some(url));
    let level = part("level").and_then(|part| part.text("valueUri"))?.to_owned();
    let date = part("date").and_then(|part| part.text("valueDate")).map(str::to_owned);
    Some(Verification { level, date })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    #[test]
    fn the_record_speaks_first_then_its_source() {
        let own = r#"{"extension":[{"url":"https://idi-match.example/StructureDefinition/identity-verification","extension":[
            {"url":"level","valueUri":"http://udap.org/code/id/idial1.8"},{"url":"date","valueDate":"2026-02-03"}]}]}"#;
        let sources =
            [Source { uri: "urn:clinic".to_owned(), level: "IDIAL1.5".to_owned(), date: "2026-01-02".to_owned() }];
        let table = [
            (own, Some("urn:clinic"), Some(("http://udap.org/code/id/idial1.8", "2026-02-03"))),
            ("{}", Some("urn:clinic"), Some(("IDIAL1.5", "2026-01-02"))),
            ("{}", Some("urn:other"), None),
            ("{}", None, None),
        ];
        for (patient, source, expected) in table {
            let patient = parse(patient.as_bytes(), &Limits::DEFAULT).expect("JSON");
            let found = find_verification(&patient, source, &sources);
            let found = found.as_ref().map(|found| (found.level.as_str(), found.date.as_deref().unwrap_or_default()));
            assert_eq!(found, expected);
        }
    }
}
