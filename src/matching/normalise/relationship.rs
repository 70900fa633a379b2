//! Whose child a person is, as an extension of the Patient says (`profiles/StructureDefinition-relationship-linkage.json`).
//!
//! Why an extension: `Patient.link` has no family in it, `Patient.contact` names nobody by a number, and a RelatedPerson is
//! a resource that a request to match does not carry. Only what a clinical record says is kept: what people say of
//! themselves proves nothing. Not here: what it proves (see `combination`).

use serde::{Deserialize, Serialize};

use super::Normaliser;
use super::identifier::{self, Identifier};
use crate::fhir::canonical::RELATIONSHIP_LINKAGE;
use crate::fhir::json::Value;

/// A clinical record that somebody is this person's guardian or mother.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    pub role: Role,
    /// A number of the guardian's or mother's own.
    pub person: Identifier,
    /// The number of the birth itself.
    pub encounter: Option<Identifier>,
}

/// What this person is to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    ChildOf,
    NewbornOf,
}

/// Reads one `Extension` of a Patient; `None` when it is another one, is not from a clinical record or names nobody.
pub(in crate::matching) fn read(extension: &Value<'_>, rules: &Normaliser) -> Option<Relationship> {
    if extension.text("url") != Some(RELATIONSHIP_LINKAGE) {
        return None;
    }
    let part = |url: &str| extension.list("extension").iter().find(|part| part.text("url") == Some(url));
    let code = |url: &str| part(url).and_then(|part| part.text("valueCode"));
    let number = |url: &str| identifier::read(part(url)?.get("valueIdentifier")?, rules);
    if code("source") != Some("clinical") {
        return None;
    }
    let role = match code("type")? {
        "child-of" => Role::ChildOf,
        "newborn-of" => Role::NewbornOf,
        _ => return None,
    };
    Some(Relationship { role, person: number("person")?, encounter: number("encounter") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::record::tests::record;

    #[test]
    fn only_a_clinical_record_that_names_somebody_is_kept() {
        let person = r#"{"url":"person","valueIdentifier":{"system":"urn:h","value":"M77"}}"#;
        let extension =
            |url: &str, parts: &str| format!(r#"{{"extension":[{{"url":"{url}","extension":[{parts}]}}]}}"#);
        let said = |kind: &str, source: &str, person: &str| {
            let parts =
                format!(r#"{{"url":"type","valueCode":"{kind}"}},{{"url":"source","valueCode":"{source}"}}{person}"#);
            extension(RELATIONSHIP_LINKAGE, &parts)
        };
        let named = format!(",{person}");
        for (json, role) in [
            (said("child-of", "clinical", &named), Some(Role::ChildOf)),
            (said("newborn-of", "clinical", &named), Some(Role::NewbornOf)),
            (said("child-of", "self-reported", &named), None),
            (said("spouse-of", "clinical", &named), None),
            (said("child-of", "clinical", ""), None),
            (extension("urn:other", person), None),
        ] {
            assert_eq!(record(&json).relationships.first().map(|found| found.role), role, "{json}");
        }
    }
}
