//! The claims of an identity token as a FHIR Patient, so that they are compared like every other description.
//!
//! Names of OpenID Connect Core 5.1, of the TEFCA IAS SOP and of the payloads of CMS-aligned networks; `verified_claims`
//! (OpenID Connect for Identity Assurance) count before claims beside them. What is historical is left out: it says who
//! somebody was. Not here: whether the token is genuine (see `auth::id_token`).

use serde_json::{Map, Value as Json, json};

/// US SSN, which tokens carry in full or by its last four digits.
const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";
const DIGITAL_IDENTIFIER: &str = "http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier";

/// The Patient that claims describe.
#[must_use]
pub fn patient_of(claims: &Map<String, Json>) -> Json {
    let inner = claims.get("verified_claims").and_then(|verified| verified.get("claims")).and_then(Json::as_object);
    let claims = inner.unwrap_or(claims);
    let text =
        |names: &[&str]| names.iter().find_map(|name| claims.get(*name)?.as_str()).filter(|text| !text.is_empty());
    let mut patient = Map::from_iter([("resourceType".to_owned(), json!("Patient"))]);
    let given: Vec<&str> =
        [text(&["given_name", "name_first"]), text(&["middle_name", "name_middle"])].into_iter().flatten().collect();
    if let Some(family) = text(&["family_name", "name_last"]) {
        let suffix: Vec<&str> = text(&["suffix"]).into_iter().collect();
        patient.insert("name".to_owned(), json!([{"family": family, "given": given, "suffix": suffix}]));
    }
    if let Some(birth_date) = text(&["birthdate", "birth_date", "date_birth"]) {
        patient.insert("birthDate".to_owned(), json!(birth_date));
    }
    let telecom = |system: &str, name: &str| text(&[name]).map(|value| json!({"system": system, "value": value}));
    let telecoms = [telecom("email", "email"), telecom("phone", "phone_number")];
    patient.insert("telecom".to_owned(), telecoms.into_iter().flatten().collect());
    patient.insert("address".to_owned(), addresses(claims));
    let identifier = |system: &str, names: &[&str]| text(names).map(|value| json!({"system": system, "value": value}));
    let identifiers = [
        identifier(DIGITAL_IDENTIFIER, &["hl7_person_identifier"]),
        identifier(SSN, &["ssn_itin", "ssn_itin_short", "ssn_last_four_digits"]),
    ];
    patient.insert("identifier".to_owned(), identifiers.into_iter().flatten().collect());
    Json::Object(patient)
}

/// One address or a list of them; its parts may stand among the claims themselves.
fn addresses(claims: &Map<String, Json>) -> Json {
    match claims.get("address") {
        Some(Json::Object(one)) => [address(one)].into_iter().collect(),
        Some(Json::Array(list)) => list.iter().filter_map(Json::as_object).map(address).collect(),
        _ if claims.contains_key("address_line1") || claims.contains_key("street_address") => {
            [address(claims)].into_iter().collect()
        }
        _ => json!([]),
    }
}

fn address(parts: &Map<String, Json>) -> Json {
    let text = |names: &[&str]| names.iter().find_map(|name| parts.get(*name)?.as_str());
    let lines: Vec<&str> = text(&["street_address", "address_line1"]).unwrap_or_default().lines().collect();
    json!({
        "line": lines,
        "city": text(&["locality", "city"]),
        "state": text(&["region", "regionality", "state"]),
        "postalCode": text(&["postal_code", "code_postal"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::auth::asserted::describe;
    use crate::app::auth::person::{Agreement, compare};
    use crate::app::rules::Rules;

    #[test]
    fn every_dialect_describes_the_same_person() {
        let rules = Rules::built_in().expect("shipped");
        let record = |claims: Json| {
            let patient = patient_of(claims.as_object().expect("claims"));
            describe(&patient, &rules).expect("a record").record
        };
        let openid = json!({"given_name": "Robin", "family_name": "Roe", "birthdate": "1980-02-29",
            "address": {"street_address": "1 Main St", "locality": "Springfield", "region": "IL", "postal_code": "62701"}});
        let table = [
            openid.clone(),
            json!({"given_name": "Robin", "family_name": "Roe", "birthdate": "1980-02-29",
                "address": {"street_address": "1 Main St", "locality": "Springfield", "regionality": "IL", "postal_code": "62701"}}),
            json!({"name_first": "Robin", "name_last": "Roe", "birth_date": "1980-02-29",
                "address_line1": "1 Main St", "city": "Springfield", "state": "IL", "postal_code": "62701"}),
            json!({"name_first": "Robin", "name_last": "Roe", "date_birth": "1980-02-29",
                "address": [{"address_line1": "1 Main Street", "city": "Springfield", "code_postal": "62701"}]}),
            json!({"given_name": "Somebody", "verified_claims": {"verification": {}, "claims": openid.clone()}}),
        ];
        for claims in table {
            assert_eq!(compare(&record(openid.clone()), &record(claims.clone())), Agreement::Same, "{claims}");
        }
        for claims in
            [json!({}), json!({"given_name": 5, "address": "x"}), json!({"given_name": "Robin", "family_name": "Roe"})]
        {
            assert_eq!(compare(&record(openid.clone()), &record(claims.clone())), Agreement::Incomparable, "{claims}");
        }
    }
}
