//! The values under which a resource is found: FHIR R4 search parameters of Patient and Organization.
//!
//! Not here: reading a search request (see `search`), the columns (see `store::resource`).

use crate::fhir::date::Date;
use crate::fhir::fold::fold;
use crate::fhir::json::Value;
use crate::store::resource::{DayRange, Identifier, SearchValues};

/// Values of one parameter kept at most; a person with more names is searched by the first of them.
const VALUES_MAX: usize = 64;

/// The search values of a resource that has the base shape.
#[must_use]
pub fn search_values(resource: &Value<'_>) -> SearchValues {
    let mut values = SearchValues { identifiers: identifiers(resource), ..SearchValues::default() };
    if resource.text("resourceType") == Some("Patient") {
        for name in resource.list("name") {
            values.families.extend(name.text("family").map(fold));
            values.givens.extend(name.list("given").iter().filter_map(Value::as_str).map(fold));
        }
        values.birth_date = resource.text("birthDate").and_then(Date::parse).map(DayRange::of);
    }
    for list in [&mut values.families, &mut values.givens] {
        list.retain(|text| !text.is_empty());
        unique(list);
    }
    values
}

fn identifiers(resource: &Value<'_>) -> Vec<Identifier> {
    let token = |identifier: &Value<'_>| {
        let value = identifier.text("value")?.to_owned();
        Some(Identifier { system: identifier.text("system").map(str::to_owned), value })
    };
    let mut list: Vec<Identifier> = resource.list("identifier").iter().filter_map(token).collect();
    unique(&mut list);
    list
}

fn unique<T: PartialEq>(list: &mut Vec<T>) {
    list.truncate(VALUES_MAX);
    let mut kept = Vec::with_capacity(list.len());
    for item in list.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *list = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};

    #[test]
    fn a_patient_is_found_by_every_name_and_identifier() {
        let body = r#"{"resourceType":"Patient","birthDate":"1980-02","name":[{"family":"Muñoz","given":["José","Luis"]},{"family":"MUNOZ"}],
            "identifier":[{"system":"urn:a","value":"1"},{"value":"2"},{"system":"urn:a","value":"1"},{"system":"urn:b"}]}"#;
        let values = search_values(&parse(body.as_bytes(), &Limits::DEFAULT).expect("JSON"));
        assert_eq!(values.families, ["munoz"]);
        assert_eq!(values.givens, ["jose", "luis"]);
        assert_eq!(values.identifiers.len(), 2);
        assert_eq!(values.birth_date, Some(DayRange { lo: 19_800_201, hi: 19_800_229 }));
    }
}
