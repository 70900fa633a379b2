//! `tefca_ias`: an individual's own request through TEFCA (Facilitated FHIR SOP 2.0, Table 4).
//!
//! The identity token is required here; whether it is genuine is decided by `id_token`. Not here: which demographics count.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::Refusal;
use super::super::members::Members;
use super::{check_version, consent};

pub const NAME: &str = "tefca_ias";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TefcaIas {
    /// A FHIR RelatedPerson: the user, as seen from the patient.
    pub user_information: Value,
    /// A US Core Patient.
    pub patient_information: Value,
    pub consent_policy: Vec<String>,
    pub consent_reference: Vec<String>,
    /// The compact JWS of the credential service provider; empty in what a token remembers.
    pub id_token: String,
}

impl TefcaIas {
    /// # Errors
    /// `invalid_grant` for what does not follow the definition.
    pub fn read(members: &Members<'_>) -> Result<Self, Refusal> {
        check_version(members)?;
        let resource = |name: &'static str, kind: &str| {
            let value = members.get(name).ok_or_else(|| members.missing(name))?;
            if value["resourceType"] == *kind { Ok(value.clone()) } else { Err(members.invalid(name)) }
        };
        let user_information = resource("user_information", "RelatedPerson")?;
        let patient_information = resource("patient_information", "Patient")?;
        members.texts("consent_policy")?;
        let (consent_policy, consent_reference) = consent(members)?;
        // A token has the size of the whole assertion at most.
        let id_token = members.get("id_token").ok_or_else(|| members.missing("id_token"))?;
        let id_token = id_token.as_str().filter(|text| !text.is_empty()).ok_or_else(|| members.invalid("id_token"))?;
        Ok(Self {
            user_information,
            patient_information,
            consent_policy,
            consent_reference,
            id_token: id_token.to_owned(),
        })
    }

    /// Whether the user says to be the patient (relationship `ONESELF`).
    #[must_use]
    pub fn is_oneself(&self) -> bool {
        let codings = self.user_information["relationship"].as_array().map_or(&[][..], Vec::as_slice);
        codings
            .iter()
            .flat_map(|concept| concept["coding"].as_array().map_or(&[][..], Vec::as_slice))
            .any(|coding| coding["code"] == "ONESELF")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::error::Reason;
    use super::super::tests::refused;
    use super::*;

    fn good() -> Value {
        json!({
            "version": "1",
            "user_information": {
                "resourceType": "RelatedPerson",
                "relationship": [{"coding": [{"code": "ONESELF"}]}],
            },
            "patient_information": {"resourceType": "Patient"},
            "consent_policy": ["urn:oid:2.16.840.1.113883.3.7204.1.1.1.1.2.1"],
            "id_token": "a.b.c",
        })
    }

    #[test]
    fn line_52_the_object_follows_its_definition() {
        let table = [
            (json!({}), true),
            (json!({"version": null}), false),
            (json!({"user_information": null}), false),
            (json!({"user_information": {"resourceType": "Patient"}}), false),
            (json!({"patient_information": null}), false),
            (json!({"patient_information": {"resourceType": "Person"}}), false),
            (json!({"patient_information": "x"}), false),
            (json!({"consent_policy": null}), false),
            (json!({"consent_policy": []}), false),
            (json!({"consent_policy": ["x"]}), false),
            (json!({"consent_reference": ["https://x.example/fhir/Consent/1"]}), true),
            (json!({"id_token": null}), false),
            (json!({"id_token": ""}), false),
            (json!({"id_token": 7}), false),
        ];
        for (changes, is_good) in table {
            let expected = (!is_good).then_some(Reason::ExtensionInvalid(NAME));
            assert_eq!(refused(&good(), &changes, NAME, TefcaIas::read), expected, "{changes}");
        }
    }

    #[test]
    fn the_user_is_the_patient_when_the_relationship_says_so() {
        for (relationship, expected) in [
            (json!([{"coding": [{"code": "ONESELF"}]}]), true),
            (json!([{"coding": [{"code": "MTH"}]}]), false),
            (json!([]), false),
            (json!("ONESELF"), false),
        ] {
            let mut object = good();
            object["user_information"]["relationship"] = relationship.clone();
            let text = "No.";
            let members = Members::of(
                &object,
                super::super::super::members::Kind::Extension(NAME),
                super::super::super::error::OAuthError::InvalidGrant,
                text,
            );
            let read = TefcaIas::read(&members.expect("an object")).expect("read");
            assert_eq!(read.is_oneself(), expected, "{relationship}");
        }
    }
}
