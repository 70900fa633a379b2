//! `hl7-b2b`: which organisation asks, for which purpose, and who acts for it (FAST Security 5.2.1.1).
//!
//! Not here: whether the purpose is allowed.

use serde::{Deserialize, Serialize};

use super::super::error::Refusal;
use super::super::members::{Members, is_uri};
use super::{check_version, consent, owned};

pub const NAME: &str = "hl7-b2b";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hl7B2b {
    pub subject_name: Option<String>,
    pub subject_id: Option<String>,
    pub subject_role: Option<String>,
    pub organization_name: Option<String>,
    /// A URI.
    pub organization_id: String,
    /// As written: with the system of the code or without.
    pub purpose_of_use: Vec<String>,
    pub consent_policy: Vec<String>,
    pub consent_reference: Vec<String>,
}

impl Hl7B2b {
    /// # Errors
    /// `invalid_grant` for what does not follow the definition.
    pub fn read(members: &Members<'_>) -> Result<Self, Refusal> {
        check_version(members)?;
        let organization_id = members.text("organization_id")?;
        if !is_uri(organization_id) {
            return Err(members.invalid("organization_id"));
        }
        let (consent_policy, consent_reference) = consent(members)?;
        let optional = |name| members.optional_text(name).map(|text| text.map(str::to_owned));
        Ok(Self {
            subject_name: optional("subject_name")?,
            subject_id: optional("subject_id")?,
            subject_role: optional("subject_role")?,
            organization_name: optional("organization_name")?,
            organization_id: organization_id.to_owned(),
            purpose_of_use: owned(members.texts("purpose_of_use")?),
            consent_policy,
            consent_reference,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::error::Reason;
    use super::super::tests::refused;
    use super::*;

    fn good() -> Value {
        json!({
            "version": "1",
            "subject_name": "Sam Clerk",
            "subject_id": "urn:oid:2.16.840.1.113883.4.6#1234567893",
            "subject_role": "urn:oid:2.16.840.1.113883.6.101#207R00000X",
            "organization_name": "Example Clinic",
            "organization_id": "https://clinic.example",
            "purpose_of_use": ["urn:oid:2.16.840.1.113883.5.8#TREAT"],
            "consent_policy": ["urn:oid:1.2.3"],
            "consent_reference": ["https://clinic.example/fhir/Consent/1"],
        })
    }

    #[test]
    fn line_35_the_object_follows_its_definition() {
        let table = [
            (json!({}), true),
            (json!({"version": null}), false),
            (json!({"version": "2"}), false),
            (json!({"version": 1}), false),
            (json!({"subject_name": null, "subject_id": null, "subject_role": null}), true),
            (json!({"subject_name": ""}), false),
            (json!({"organization_name": null}), true),
            (json!({"organization_id": null}), false),
            (json!({"organization_id": "Example Clinic"}), false),
            (json!({"organization_id": "urn:oid:1.2.3"}), true),
            (json!({"purpose_of_use": null}), false),
            (json!({"purpose_of_use": []}), false),
            (json!({"purpose_of_use": "TREAT"}), false),
            (json!({"purpose_of_use": ["TREAT", "HPAYMT"]}), true),
            (json!({"consent_policy": null, "consent_reference": null}), true),
            (json!({"consent_policy": ["no uri"]}), false),
            (json!({"consent_policy": null}), false),
            (json!({"consent_policy": []}), false),
            (json!({"consent_reference": ["Consent/1"]}), false),
            (json!({"consent_reference": ["https://clinic.example/fhir/Patient/1"]}), false),
            (json!({"consent_reference": ["https://clinic.example/fhir/DocumentReference/1"]}), true),
        ];
        for (changes, is_good) in table {
            let expected = (!is_good).then_some(Reason::ExtensionInvalid(NAME));
            assert_eq!(refused(&good(), &changes, NAME, Hl7B2b::read), expected, "{changes}");
        }
    }
}
