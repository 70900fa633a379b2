//! Whether two descriptions are of one person: the user's against the Patient of a request.
//!
//! Name, birth date and one more thing must be equal after normalisation; nothing is close enough (Identity Matching guide,
//! Consumer Match; TEFCA IAS, demographics check). Request against request: nothing stored is looked at. Not here: the
//! likeness of records (see `matching`).

use std::collections::BTreeSet;

use crate::assurance::facts::User;
use crate::matching::normalise::identifier::{Identifier, Kind};
use crate::matching::normalise::name::Name;
use crate::matching::record::Record;

use super::attested::{is_attested, keep_attested};

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    Same,
    Different,
    /// One of them lacks names, a full birth date, or everything else that both have.
    Incomparable,
}

/// What the statements of a transaction say of its persons.
#[derive(Debug, Clone, Default)]
pub struct Persons {
    /// Each statement about the user.
    pub users: Vec<Described>,
    /// Each statement about the patient.
    pub patients: Vec<Described>,
    pub oneself: Oneself,
}

/// Whether a statement calls the user the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oneself {
    #[default]
    Unsaid,
    Yes,
    No,
}

/// A described person and the strict weight of the description.
#[derive(Debug, Clone)]
pub struct Described {
    pub record: Record,
    pub weight: u32,
}

impl Persons {
    /// The user, as far as every statement bears it out.
    #[must_use]
    pub fn user(&self) -> Option<Record> {
        let first = self.users.first()?.record.clone();
        Some(keep_attested(first, &records(&self.users)))
    }
}

fn records(described: &[Described]) -> Vec<&Record> {
    described.iter().map(|one| &one.record).collect()
}

/// The user against the Patient of a request, of whom nothing may be said that the statements do not say.
#[must_use]
pub fn relation(persons: &Persons, patient: &Record) -> User {
    if persons.patients.iter().any(|one| compare(&one.record, patient) != Agreement::Same) {
        return User::OtherPatient;
    }
    let Some((first, others)) = persons.users.split_first() else { return User::Unknown };
    if others.iter().any(|other| compare(&first.record, &other.record) != Agreement::Same) {
        return User::Contradictory;
    }
    let is_said_of_patient = persons.patients.is_empty() || is_attested(patient, &records(&persons.patients));
    match (compare(&first.record, patient), persons.oneself) {
        (Agreement::Incomparable, _) => User::Unknown,
        (Agreement::Same | Agreement::Different, _) if !is_said_of_patient => User::Unattested,
        (Agreement::Same, Oneself::Unsaid | Oneself::Yes) if is_attested(patient, &records(&persons.users)) => {
            User::Patient
        }
        (Agreement::Same, Oneself::Unsaid | Oneself::Yes) => User::Unattested,
        // Says to be somebody else and is described as the patient.
        (Agreement::Same, Oneself::No) => User::Contradictory,
        (Agreement::Different, Oneself::Yes) => User::OtherPatient,
        (Agreement::Different, Oneself::Unsaid | Oneself::No) => User::Representative { weight: first.weight },
    }
}

/// Compares two descriptions.
#[must_use]
pub fn compare(one: &Record, other: &Record) -> Agreement {
    let dates = one.birth_date.zip(other.birth_date).filter(|(one, other)| one.is_full() && other.is_full());
    let Some((born, other_born)) = dates else { return Agreement::Incomparable };
    let (Some(named), Some(located)) = (is_named_alike(one, other), is_located_alike(one, other)) else {
        return Agreement::Incomparable;
    };
    if born == other_born && named && located && !contradicts(one, other) {
        Agreement::Same
    } else {
        Agreement::Different
    }
}

/// `None` where one has no whole name.
fn is_named_alike(one: &Record, other: &Record) -> Option<bool> {
    let whole = |name: &&Name| name.given.is_some() && name.family.is_some();
    let names: Vec<&Name> = one.names.iter().filter(whole).collect();
    let mut others = other.names.iter().filter(whole).peekable();
    if names.is_empty() || others.peek().is_none() {
        return None;
    }
    let is_equal = |name: &Name, other: &Name| name.given == other.given && name.family == other.family;
    Some(others.any(|other| names.iter().any(|name| is_equal(name, other))))
}

/// Street with zip, email, phone, last four of an SSN or Digital Identifier: one must be equal. `None` where there is none
/// that both have.
fn is_located_alike(one: &Record, other: &Record) -> Option<bool> {
    let streets = |record: &Record| -> BTreeSet<(String, String)> {
        let street = |line: &Option<String>, zip: &Option<String>| Some((line.clone()?, zip.clone()?));
        record.addresses.iter().filter_map(|address| street(&address.line, &address.zip)).collect()
    };
    let text = |list: &[String]| -> BTreeSet<(String, String)> {
        list.iter().map(|value| (value.clone(), String::new())).collect()
    };
    let pairs = [
        (streets(one), streets(other)),
        (text(&one.emails), text(&other.emails)),
        (text(&one.phones), text(&other.phones)),
        (last_four(one), last_four(other)),
        (of_kind(one, Kind::Digital), of_kind(other, Kind::Digital)),
    ];
    let comparable: Vec<_> = pairs.iter().filter(|(one, other)| !one.is_empty() && !other.is_empty()).collect();
    if comparable.is_empty() {
        return None;
    }
    Some(comparable.iter().any(|(one, other)| !one.is_disjoint(other)))
}

fn of_kind(record: &Record, kind: Kind) -> BTreeSet<(String, String)> {
    let of_kind = record.identifiers.iter().filter(|identifier| identifier.kind == kind);
    of_kind.map(|identifier| (identifier.issuer.clone(), identifier.value.clone())).collect()
}

fn last_four(record: &Record) -> BTreeSet<(String, String)> {
    let is_number = |identifier: &&Identifier| {
        matches!(identifier.kind, Kind::SocialSecurity | Kind::SocialSecurityLast4) && identifier.value.len() >= 4
    };
    let last = |identifier: &Identifier| identifier.value.get(identifier.value.len() - 4..).map(str::to_owned);
    record.identifiers.iter().filter(is_number).filter_map(last).map(|last| (last, String::new())).collect()
}

/// Whether they have different numbers of one issuer, of a kind that a person has one of.
fn contradicts(one: &Record, other: &Record) -> bool {
    let (last, other_last) = (last_four(one), last_four(other));
    if !last.is_empty() && !other_last.is_empty() && last.is_disjoint(&other_last) {
        return true;
    }
    [Kind::SocialSecurity, Kind::Licence, Kind::StateId, Kind::Passport, Kind::Digital].into_iter().any(|kind| {
        let (numbers, others) = (of_kind(one, kind), of_kind(other, kind));
        let is_shared = |(issuer, _): &&(String, String)| others.iter().any(|(other, _)| other == issuer);
        let shared: Vec<_> = numbers.iter().filter(is_shared).collect();
        !shared.is_empty() && shared.iter().all(|number| !others.contains(*number))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use std::sync::LazyLock;

    use super::*;
    use crate::app::auth::asserted::describe;
    use crate::app::rules::Rules;

    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().expect("shipped"));

    fn person() -> Value {
        json!({"resourceType": "Person", "name": [{"family": "Muñoz-Ortega", "given": ["José"]}],
            "telecom": [{"system": "phone", "value": "+1 (312) 555-0142"}, {"system": "email", "value": "j.m@mail.example.com"}],
            "birthDate": "1980-02-29",
            "address": [{"line": ["12 Elm Street"], "city": "Joliet", "state": "IL", "postalCode": "60431-1234"}],
            "identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "219-45-6789"}]})
    }

    fn with(changes: impl Into<Value>) -> Value {
        let mut person = person();
        for (member, value) in changes.into().as_object().expect("members") {
            person[member] = value.clone();
        }
        person
    }

    fn record(person: &Value) -> Record {
        describe(person, &RULES).expect("a record").record
    }

    #[test]
    fn one_person_has_equal_names_birth_date_and_one_thing_more() {
        let bare = json!({"telecom": [], "address": [], "identifier": []});
        let only = |member: &str, value: Value| {
            let mut changes = bare.clone();
            changes[member] = value;
            with(changes)
        };
        let ssn = |value: &str| json!([{"system": "http://hl7.org/fhir/sid/us-ssn", "value": value}]);
        let table = [
            (person(), Agreement::Same),
            (with(json!({"resourceType": "Patient", "gender": "male"})), Agreement::Same),
            (with(json!({"name": [{"family": "MUNOZ ORTEGA", "given": ["Jose", "Luis"]}]})), Agreement::Same),
            (with(json!({"name": [{"text": "José Muñoz-Ortega"}]})), Agreement::Same),
            (with(json!({"name": [{"family": "Muñoz-Ortega", "given": ["Pepe"]}]})), Agreement::Different),
            (with(json!({"name": [{"family": "Munos-Ortega", "given": ["José"]}]})), Agreement::Different),
            (with(json!({"name": [{"family": "Muñoz-Ortega"}]})), Agreement::Incomparable),
            (with(json!({"name": []})), Agreement::Incomparable),
            (with(json!({"birthDate": "1980-02-28"})), Agreement::Different),
            (with(json!({"birthDate": "1980-02"})), Agreement::Incomparable),
            (with(json!({"birthDate": null})), Agreement::Incomparable),
            (with(bare.clone()), Agreement::Incomparable),
            (only("telecom", json!([{"system": "phone", "value": "312-555-0142"}])), Agreement::Same),
            (only("telecom", json!([{"system": "phone", "value": "312-555-0143"}])), Agreement::Different),
            (only("telecom", json!([{"system": "email", "value": "J.M@mail.example.com"}])), Agreement::Same),
            (
                only("address", json!([{"line": ["12 Elm St"], "city": "Elsewhere", "postalCode": "60431"}])),
                Agreement::Same,
            ),
            (only("address", json!([{"line": ["12 Elm St"], "postalCode": "60432"}])), Agreement::Different),
            (only("address", json!([{"line": ["12 Elm St"], "city": "Joliet"}])), Agreement::Incomparable),
            (only("identifier", ssn("219-45-6789")), Agreement::Same),
            (only("identifier", ssn("6789")), Agreement::Same),
            (only("identifier", ssn("6780")), Agreement::Different),
            (with(json!({"identifier": ssn("219-45-6781")})), Agreement::Different),
            (with(json!({"identifier": ssn("218-45-6789")})), Agreement::Different),
        ];
        for (other, expected) in table {
            assert_eq!(compare(&record(&person()), &record(&other)), expected, "{other}");
            assert_eq!(compare(&record(&other), &record(&person())), expected, "the other way round: {other}");
        }
    }

    #[test]
    fn a_digital_identifier_stands_in_for_a_contact_and_contradicts() {
        let digital = |value: &str| {
            let system = "http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier";
            with(json!({"telecom": [], "address": [], "identifier": [{"system": system, "value": value}]}))
        };
        let one = record(&digital("0b9f7a3e-51d2-4c2b-9a57-0d7a9b1c2d3e"));
        assert_eq!(compare(&one, &one), Agreement::Same);
        assert_eq!(compare(&one, &record(&digital("7c1d2e3f-51d2-4c2b-9a57-0d7a9b1c2d3e"))), Agreement::Different);
    }

    #[test]
    fn the_user_is_the_patient_or_a_representative_or_not_known() {
        let described = |person: Value| Described { record: record(&person), weight: 10 };
        let stranger = || with(json!({"name": [{"family": "Osei", "given": ["Ama"]}]}));
        let nameless = || with(json!({"name": []}));
        let of = |users: Vec<Value>, patients: Vec<Value>, oneself| Persons {
            users: users.into_iter().map(described).collect(),
            patients: patients.into_iter().map(described).collect(),
            oneself,
        };
        let other = User::Representative { weight: 10 };
        let table = [
            (of(vec![], vec![], Oneself::Unsaid), User::Unknown),
            (of(vec![nameless()], vec![], Oneself::Unsaid), User::Unknown),
            (of(vec![person()], vec![], Oneself::Unsaid), User::Patient),
            (of(vec![person(), person()], vec![person()], Oneself::Yes), User::Patient),
            (of(vec![person(), stranger()], vec![], Oneself::Unsaid), User::Contradictory),
            (of(vec![person(), nameless()], vec![], Oneself::Unsaid), User::Contradictory),
            (of(vec![person()], vec![], Oneself::No), User::Contradictory),
            (of(vec![person()], vec![stranger()], Oneself::Yes), User::OtherPatient),
            (of(vec![stranger()], vec![], Oneself::Yes), User::OtherPatient),
            (of(vec![stranger()], vec![], Oneself::Unsaid), other),
            (of(vec![stranger()], vec![person()], Oneself::No), other),
            (of(vec![stranger()], vec![nameless()], Oneself::No), User::OtherPatient),
        ];
        for (persons, expected) in table {
            assert_eq!(relation(&persons, &record(&person())), expected, "{persons:?}");
        }
    }
}
