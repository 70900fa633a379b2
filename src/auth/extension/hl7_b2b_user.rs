//! `hl7-b2b-user`: the person for whom a client asks (Identity Matching guide, `hl7-b2b-user`).
//!
//! The person is a FHIR Person by the profile FASTIDUDAPPerson: family and given name, a phone, an email, the birth date,
//! and an address with line, city, state and postal code. The object carries no level of assurance. Not here: whether the
//! person is the patient.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::Refusal;
use super::super::members::Members;
use super::{check_version, consent, owned};
use crate::fhir::date::Date;

pub const NAME: &str = "hl7-b2b-user";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hl7B2bUser {
    pub purpose_of_use: Vec<String>,
    /// A FHIR Person.
    pub user_person: Value,
    pub consent_policy: Vec<String>,
    pub consent_reference: Vec<String>,
}

impl Hl7B2bUser {
    /// # Errors
    /// `invalid_grant` for what does not follow the definition.
    pub fn read(members: &Members<'_>) -> Result<Self, Refusal> {
        check_version(members)?;
        let person = members.get("user_person").ok_or_else(|| members.missing("user_person"))?;
        if !is_complete(person) {
            return Err(members.invalid("user_person"));
        }
        let (consent_policy, consent_reference) = consent(members)?;
        Ok(Self {
            purpose_of_use: owned(members.texts("purpose_of_use")?),
            user_person: person.clone(),
            consent_policy,
            consent_reference,
        })
    }
}

/// Whether a Person has what FASTIDUDAPPerson asks for.
fn is_complete(person: &Value) -> bool {
    let has_contact = |system: &str| {
        list(person, "telecom").iter().any(|contact| contact["system"] == *system && is_text(&contact["value"]))
    };
    let has_name =
        list(person, "name").iter().any(|name| is_text(&name["family"]) && list(name, "given").iter().any(is_text));
    let has_address = list(person, "address").iter().any(|address| {
        let has_parts = ["city", "state", "postalCode"].iter().all(|part| is_text(&address[*part]));
        has_parts && list(address, "line").iter().any(is_text)
    });
    let birth_date = person["birthDate"].as_str().and_then(Date::parse);
    person["resourceType"] == "Person"
        && has_name
        && has_contact("phone")
        && has_contact("email")
        && has_address
        && birth_date.is_some_and(|date| date.is_full())
}

fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::error::Reason;
    use super::super::tests::refused;
    use super::*;

    fn person() -> Value {
        json!({
            "resourceType": "Person",
            "name": [{"family": "Roe", "given": ["Robin"]}],
            "telecom": [{"system": "phone", "value": "+1-555-0100"}, {"system": "email", "value": "robin@example.org"}],
            "birthDate": "1980-02-29",
            "address": [{"line": ["1 Main St"], "city": "Springfield", "state": "IL", "postalCode": "62701"}],
        })
    }

    fn good() -> Value {
        json!({"version": "1", "purpose_of_use": ["PATRQT"], "user_person": person()})
    }

    fn without(member: &str) -> Value {
        let mut person = person();
        person.as_object_mut().expect("an object").remove(member);
        person
    }

    fn with(member: &str, value: Value) -> Value {
        let mut person = person();
        person[member] = value;
        person
    }

    #[test]
    fn line_35_the_person_has_everything_that_the_profile_asks_for() {
        let phone = json!({"system": "phone", "value": "1"});
        let email = json!({"system": "email", "value": "a@b.example"});
        let address = |part: &str, value: Value| {
            let mut address = person()["address"][0].clone();
            address[part] = value;
            with("address", json!([address]))
        };
        let table = [
            (person(), true),
            (with("gender", json!("female")), true),
            (with("resourceType", json!("Patient")), false),
            (without("name"), false),
            (with("name", json!([{"family": "Roe"}])), false),
            (with("name", json!([{"given": ["Robin"]}])), false),
            (with("name", json!([{"family": "Roe"}, {"given": ["Robin"]}])), false),
            (with("name", json!([{"family": " ", "given": ["Robin"]}])), false),
            (with("name", json!([{"family": "Roe", "given": []}])), false),
            (without("telecom"), false),
            (with("telecom", json!([phone])), false),
            (with("telecom", json!([email])), false),
            (with("telecom", json!([phone, {"system": "email"}])), false),
            (without("birthDate"), false),
            (with("birthDate", json!("1980")), false),
            (with("birthDate", json!("1980-02-30")), false),
            (without("address"), false),
            (address("line", json!([])), false),
            (address("city", json!("")), false),
            (address("state", Value::Null), false),
            (address("postalCode", json!(62701)), false),
            (json!("a text"), false),
        ];
        for (user_person, is_good) in table {
            let expected = (!is_good).then_some(Reason::ExtensionInvalid(NAME));
            let changes = json!({"user_person": user_person});
            assert_eq!(refused(&good(), &changes, NAME, Hl7B2bUser::read), expected, "{changes}");
        }
    }

    #[test]
    fn line_35_the_object_follows_its_definition() {
        let reference = "https://clinic.example/fhir/Consent/1";
        let table = [
            (json!({"version": "0"}), false),
            (json!({"purpose_of_use": null}), false),
            (json!({"purpose_of_use": []}), false),
            (json!({"user_person": null}), false),
            (json!({"consent_policy": ["urn:x:y"], "consent_reference": [reference]}), true),
            (json!({"consent_reference": [reference]}), false),
        ];
        for (changes, is_good) in table {
            let expected = (!is_good).then_some(Reason::ExtensionInvalid(NAME));
            assert_eq!(refused(&good(), &changes, NAME, Hl7B2bUser::read), expected, "{changes}");
        }
    }
}
