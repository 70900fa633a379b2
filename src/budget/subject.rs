//! Whom a request probes: what somebody who looks for one person keeps, while he varies the rest.
//!
//! What: for each name of the request, names with birth date, with an address and with an email; and each strong
//! identifier by itself. Beside identifiers all else can be made up anew for each guess, so there the name counts alone
//! as well, for many people at once ([`Breadth`]). Names count by their formal form and by how they begin to sound, so that Bob is Robert and a slip
//! of the pen is nobody else. Every value of the request is one subject more, so that decoys hide nothing. Phones and the
//! last four digits of a social security number are what is guessed, and no subject. Not here: the secret behind which
//! subjects are kept (see `key`).

use rphonetic::{DoubleMetaphone, Encoder as _};

use crate::matching::normalise::identifier::{Identifier, Kind};
use crate::matching::normalise::name::Name;
use crate::matching::record::Record;

/// Letters of the sounds of a given and of a family name that count.
const GIVEN_SOUND_MAX: usize = 2;
const FAMILY_SOUND_MAX: usize = 3;

/// What of a request names a person, as parts of a key; the first part tells what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    parts: Vec<String>,
    pub breadth: Breadth,
}

/// Whom a subject names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    Person,
    /// All whose names begin to sound alike.
    Namesakes,
}

impl Subject {
    fn of(kind: &str, parts: &[&str]) -> Self {
        let parts = std::iter::once(kind).chain(parts.iter().copied()).map(str::to_owned).collect();
        Self { parts, breadth: Breadth::Person }
    }

    fn namesakes(given: &str, family: &str) -> Self {
        Self { breadth: Breadth::Namesakes, ..Self::of("name", &[given, family]) }
    }

    /// The parts, for a key.
    #[must_use]
    pub fn parts(&self) -> Vec<&[u8]> {
        self.parts.iter().map(String::as_bytes).collect()
    }
}

/// The subjects of a request, the name with the birth date first and the name alone last; none where nothing names anybody.
#[must_use]
pub fn subjects(record: &Record) -> Vec<Subject> {
    let names: Vec<(String, String)> = record.names.iter().map(sounds).collect();
    let mut subjects = Vec::new();
    let mut add = |subject: Subject| {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    };
    if let Some(date) = record.birth_date {
        let date = format!("{:04}{:02}{:02}", date.year, date.month, date.day);
        names.iter().for_each(|(given, family)| add(Subject::of("name-birth-date", &[given, family, &date])));
    }
    for identifier in record.identifiers.iter().filter(|one| is_strong(one)) {
        let kind = format!("{:?}", identifier.kind);
        add(Subject::of("identifier", &[&kind, &identifier.issuer, &identifier.value]));
    }
    for (given, family) in &names {
        for address in &record.addresses {
            let place = address.zip.as_deref().or(address.place.as_deref());
            if let (Some(line), Some(place)) = (address.line.as_deref(), place) {
                add(Subject::of("name-address", &[given, family, line, place]));
            }
        }
        record.emails.iter().for_each(|email| add(Subject::of("name-email", &[given, family, email])));
    }
    if record.identifiers.iter().any(is_enough_with_a_name) {
        names.iter().for_each(|(given, family)| add(Subject::namesakes(given, family)));
    }
    subjects
}

/// How many guesses a request makes at once: the most values of one kind that it has.
#[must_use]
pub fn guesses(record: &Record) -> u32 {
    let alike = |one: &Identifier| {
        let is_alike = |other: &&Identifier| other.kind == one.kind && other.issuer == one.issuer;
        record.identifiers.iter().filter(is_alike).count()
    };
    let identifiers = record.identifiers.iter().map(alike).max().unwrap_or(0);
    let others = [record.names.len(), record.addresses.len(), record.phones.len(), record.emails.len()];
    let most = others.into_iter().chain([identifiers]).max().unwrap_or(0);
    u32::try_from(most).unwrap_or(u32::MAX).max(1)
}

/// An identifier that is one person's own. Families share the numbers of members and subscribers.
const fn is_strong(identifier: &Identifier) -> bool {
    !matches!(identifier.kind, Kind::SocialSecurityLast4 | Kind::Other | Kind::Member | Kind::Subscriber)
}

/// A social security number needs the birth date; any other number may be found by a name alone (see `matching::grade`).
const fn is_enough_with_a_name(identifier: &Identifier) -> bool {
    !matches!(identifier.kind, Kind::SocialSecurity | Kind::SocialSecurityLast4)
}

fn sounds(name: &Name) -> (String, String) {
    let given = name.formal.iter().min().or(name.given.as_ref());
    let sound = |text: Option<&String>, letters_max| text.map(|text| sound(text, letters_max)).unwrap_or_default();
    (sound(given, GIVEN_SOUND_MAX), sound(name.family.as_ref(), FAMILY_SOUND_MAX))
}

/// How a name begins to sound; one without Latin letters stays as it is.
fn sound(text: &str, letters_max: usize) -> String {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let code = DoubleMetaphone::default().encode(&letters);
    if code.is_empty() { text.to_owned() } else { code.chars().take(letters_max).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::matching::record::tests::record as read;

    fn record(patient: &Json) -> Record {
        read(&patient.to_string())
    }

    fn person(rest: &Json) -> Record {
        let mut patient = json!({
            "resourceType": "Patient", "birthDate": "1971-04-22", "name": [{"given": ["Robert"], "family": "Fairweather"}],
        });
        for (member, value) in rest.as_object().expect("members") {
            patient[member] = value.clone();
        }
        record(&patient)
    }

    #[test]
    fn what_is_varied_leaves_the_name_with_the_birth_date() {
        let known = subjects(&person(&json!({})));
        assert_eq!(known.len(), 1);
        for rest in [
            json!({"telecom": [{"system": "phone", "value": "614-555-0134"}]}),
            json!({"address": [{"line": ["12 Orchard Street"], "city": "Columbus", "state": "OH", "postalCode": "43004"}]}),
            json!({"identifier": [{"type": {"coding": [{"code": "SSN4"}]}, "system": "http://hl7.org/fhir/sid/us-ssn", "value": "4471"}]}),
            json!({"name": [{"given": ["Bob"], "family": "Fairweather"}]}),
            json!({"name": [{"given": ["Robert"], "family": "Fairwether"}]}),
            json!({"name": [{"given": ["ROBERT", "James"], "family": "Fairweather"}], "gender": "male"}),
            json!({"name": [{"given": ["Xenia"], "family": "Decoy"}, {"given": ["Robert"], "family": "Fairweather"}]}),
        ] {
            assert!(subjects(&person(&rest)).contains(&known[0]), "{rest}");
        }
        for rest in [
            json!({"birthDate": "1971-04-23"}),
            json!({"name": [{"given": ["Robert"], "family": "Jankowski"}]}),
            json!({"name": [{"given": ["Ingrid"], "family": "Fairweather"}]}),
        ] {
            assert!(!subjects(&person(&rest)).contains(&known[0]), "{rest}");
        }
    }

    #[test]
    fn a_birth_date_that_is_varied_leaves_the_name_with_address_and_email() {
        let rest = json!({
            "address": [{"line": ["12 Orchard Street"], "city": "Columbus", "state": "OH", "postalCode": "43004"}],
            "telecom": [{"system": "email", "value": "r.f@mail.example"}],
        });
        let first = subjects(&person(&rest));
        let mut other = rest;
        other["birthDate"] = json!("1990-01-17");
        let second = subjects(&person(&other));
        assert_eq!(first.len(), 3);
        assert_eq!(second.iter().filter(|subject| first.contains(subject)).count(), 2);
    }

    #[test]
    fn a_strong_identifier_is_a_subject_by_itself() {
        let licence = json!([{
            "type": {"coding": [{"code": "DL"}]}, "system": "urn:oid:2.16.840.1.113883.4.3.39", "value": "SG104477",
        }]);
        let first = subjects(&person(&json!({"identifier": licence})));
        let second = subjects(&record(&json!({"resourceType": "Patient", "identifier": licence})));
        let first: Vec<Subject> = first.into_iter().filter(|one| one.breadth == Breadth::Person).collect();
        assert!(second.len() == 1 && first.contains(&second[0]), "{second:?}");
        let of_family = json!([{"type": {"coding": [{"code": "MB"}]}, "system": "urn:payer", "value": "W104477"}]);
        assert!(subjects(&record(&json!({"resourceType": "Patient", "identifier": of_family}))).is_empty());
        assert!(subjects(&record(&json!({"resourceType": "Patient"}))).is_empty());
    }

    #[test]
    fn beside_identifiers_the_name_is_a_subject_whatever_else_is_made_up() {
        let of = |code: &str, value: &str| json!({"type": {"coding": [{"code": code}]}, "system": "urn:clinic", "value": value});
        let guess = |birth_date: &str, phone: &str, value: &str| {
            subjects(&person(&json!({
                "birthDate": birth_date, "telecom": [{"system": "phone", "value": phone}], "identifier": [of("MR", value)],
            })))
        };
        let (first, second) =
            (guess("1971-04-22", "614-555-0134", "GH10447"), guess("1990-01-17", "614-555-0177", "GH20558"));
        let both: Vec<&Subject> = first.iter().filter(|subject| second.contains(subject)).collect();
        assert_eq!(both, [first.last().expect("a name")]);
        assert_eq!(both[0].breadth, Breadth::Namesakes);
        let member = subjects(&person(&json!({"birthDate": null, "identifier": [of("MB", "W104477")]})));
        assert_eq!(member, [both[0].clone()], "a member number is found by the name too");
        let four = json!([{"type": {"coding": [{"code": "SSN4"}]}, "system": "http://hl7.org/fhir/sid/us-ssn", "value": "4471"}]);
        assert!(subjects(&person(&json!({"identifier": four}))).iter().all(|one| one.breadth == Breadth::Person));
    }

    #[test]
    fn a_request_is_as_many_guesses_as_it_has_values_of_a_kind() {
        assert_eq!(guesses(&Record::default()), 1);
        let phones = |count: usize| {
            let list: Vec<Json> =
                (0..count).map(|at| json!({"system": "phone", "value": format!("614-555-01{at:02}")})).collect();
            person(&json!({ "telecom": list }))
        };
        assert_eq!((guesses(&phones(1)), guesses(&phones(6))), (1, 6));
        let four = |at: usize| json!({"type": {"coding": [{"code": "SSN4"}]}, "system": "http://hl7.org/fhir/sid/us-ssn", "value": format!("44{at:02}")});
        let list: Vec<Json> = (10..31).map(four).collect();
        assert_eq!(guesses(&person(&json!({ "identifier": list }))), 21);
    }
}
