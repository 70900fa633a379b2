//! Whether what a request says of a person was said when its token was issued.
//!
//! Two persons may share a birth date, an address and a telephone: a request that agrees with the user in those and adds the
//! name and the number of the other one would find the other one (Identity Matching guide, Consumer Match: every attribute
//! of the request is verified). A value is attested when it stands in each description that has values of its kind, and in
//! one at least. Not here: whether two descriptions are of one person (see `person`).

use crate::matching::normalise::address::Address;
use crate::matching::normalise::identifier::{Identifier, Kind};
use crate::matching::normalise::name::Name;
use crate::matching::record::Record;

/// Whether every name, address, telecom and identifier and the birth date are attested. A Digital Identifier of which no
/// description speaks is let through: the guide asks for it beside names and birth date, and a stored one must agree with
/// all of them.
#[must_use]
pub fn is_attested(asked: &Record, by: &[&Record]) -> bool {
    asked.names.iter().all(|name| has_name(name, by))
        && is_born_alike(asked, by)
        && asked.addresses.iter().all(|address| has_address(address, by))
        && asked.phones.iter().all(|phone| has_text(phone, by, |one| &one.phones))
        && asked.emails.iter().all(|email| has_text(email, by, |one| &one.emails))
        && asked.identifiers.iter().all(|identifier| has_identifier(identifier, by) || is_new_digital(identifier, by))
}

/// A description without what the others do not bear out.
#[must_use]
pub fn keep_attested(mut described: Record, by: &[&Record]) -> Record {
    described.names.retain(|name| has_name(name, by));
    described.addresses.retain(|address| has_address(address, by));
    described.phones.retain(|phone| has_text(phone, by, |one| &one.phones));
    described.emails.retain(|email| has_text(email, by, |one| &one.emails));
    described.identifiers.retain(|identifier| has_identifier(identifier, by));
    described.relationships.clear();
    described
}

/// Whether a value stands in each list that holds anything, and in one at least.
fn stands_in<'r, T: 'r>(mut lists: impl Iterator<Item = Vec<&'r T>>, is_it: impl Fn(&T) -> bool) -> bool {
    let mut is_spoken_of = false;
    let stands = lists.all(|list| {
        is_spoken_of |= !list.is_empty();
        list.is_empty() || list.into_iter().any(&is_it)
    });
    stands && is_spoken_of
}

fn has_text(text: &String, by: &[&Record], list: fn(&Record) -> &Vec<String>) -> bool {
    stands_in(by.iter().map(|one| list(one).iter().collect()), |known| known == text)
}

fn is_born_alike(asked: &Record, by: &[&Record]) -> bool {
    let Some(born) = asked.birth_date else { return true };
    stands_in(by.iter().map(|one| one.birth_date.iter().collect()), |known| *known == born)
}

fn has_name(name: &Name, by: &[&Record]) -> bool {
    stands_in(by.iter().map(|one| one.names.iter().collect()), |known| says_name(known, name))
}

/// A part that was left out says nothing; a middle name may be shortened to its first letter.
fn says_name(known: &Name, asked: &Name) -> bool {
    let is_middle = |middle: &String| {
        let is_initial = |known: &String| middle.chars().count() == 1 && known.starts_with(middle.as_str());
        known.middle.iter().any(|known| known == middle || is_initial(known))
    };
    says(&known.given, &asked.given)
        && says(&known.family, &asked.family)
        && asked.middle.iter().all(is_middle)
        && asked.suffix.is_none_or(|suffix| known.suffix.is_some_and(|known| known.agrees_with(suffix)))
}

fn says(known: &Option<String>, asked: &Option<String>) -> bool {
    asked.is_none() || known == asked
}

fn has_address(address: &Address, by: &[&Record]) -> bool {
    stands_in(by.iter().map(|one| one.addresses.iter().collect()), |known| says_address(known, address))
}

fn says_address(known: &Address, asked: &Address) -> bool {
    // A city without its state says less than the city with it.
    let is_city = |known: &str, asked: &str| known.strip_prefix(asked).is_some_and(|rest| rest.starts_with(", "));
    let is_place = match (&known.place, &asked.place) {
        (Some(known), Some(asked)) => known == asked || is_city(known, asked),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    is_place && says(&known.line, &asked.line) && says(&known.unit, &asked.unit) && says(&known.zip, &asked.zip)
}

fn has_identifier(asked: &Identifier, by: &[&Record]) -> bool {
    stands_in(by.iter().map(|one| of_kind(one, asked.kind)), |known| says_identifier(known, asked))
}

/// The numbers of a person that are compared with one of this kind: a social security number and its last four digits are.
fn of_kind(record: &Record, kind: Kind) -> Vec<&Identifier> {
    let of = |kind: Kind| if kind == Kind::SocialSecurityLast4 { Kind::SocialSecurity } else { kind };
    record.identifiers.iter().filter(|identifier| of(identifier.kind) == of(kind)).collect()
}

fn says_identifier(known: &Identifier, asked: &Identifier) -> bool {
    let is_end = asked.kind == Kind::SocialSecurityLast4 && known.value.ends_with(asked.value.as_str());
    is_end || (known.kind == asked.kind && known.issuer == asked.issuer && known.value == asked.value)
}

fn is_new_digital(asked: &Identifier, by: &[&Record]) -> bool {
    asked.kind == Kind::Digital && by.iter().all(|one| of_kind(one, Kind::Digital).is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use std::sync::LazyLock;

    use super::*;
    use crate::app::auth::asserted::describe;
    use crate::app::rules::Rules;

    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().expect("shipped"));
    const DIGITAL: &str = "http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier";
    const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";

    fn record(person: &Value) -> Record {
        describe(person, &RULES).expect("a record").record
    }

    fn twin() -> Value {
        json!({"resourceType": "Person", "name": [{"family": "Roe", "given": ["Robin", "Lee"]}], "birthDate": "1980-02-29",
            "telecom": [{"system": "phone", "value": "312-555-0142"}, {"system": "email", "value": "robin@mail.example.com"}],
            "address": [{"line": ["12 Elm Street"], "city": "Joliet", "state": "IL", "postalCode": "60431"}],
            "identifier": [{"system": SSN, "value": "219-45-6789"}, {"system": "urn:oid:2.999.1", "value": "R77"}]})
    }

    fn with(member: &str, value: Value) -> Value {
        let mut changed = twin();
        changed[member] = value;
        changed
    }

    #[test]
    fn what_the_descriptions_do_not_say_is_not_attested() {
        let name = |family: &str, given: &[&str]| json!({"family": family, "given": given});
        let phone = |value: &str| json!({"system": "phone", "value": value});
        let identifier = |system: &str, value: &str| json!([{"system": system, "value": value}]);
        let own = name("Roe", &["Robin"]);
        let table = [
            (twin(), true),
            (with("name", json!([own])), true),
            (with("name", json!([name("ROE", &["Robin", "L"])])), true),
            (with("name", json!([own, name("Roe", &["Sidney"])])), false),
            (with("name", json!([own, name("Doe", &["Robin"])])), false),
            (with("name", json!([name("Roe", &["Robin", "Sidney"])])), false),
            (with("name", json!([own, {"given": ["Sidney"]}])), false),
            (with("name", json!([{"family": "Roe", "given": ["Robin"], "suffix": ["Jr"]}])), false),
            (with("birthDate", json!("1980-02-28")), false),
            (with("telecom", json!([phone("(312) 555-0142")])), true),
            (with("telecom", json!([phone("312-555-0142"), phone("312-555-0143")])), false),
            (with("telecom", json!([{"system": "email", "value": "sidney@mail.example.com"}])), false),
            (with("address", json!([{"line": ["12 Elm St"], "postalCode": "60431"}])), true),
            (with("address", json!([{"city": "Joliet"}])), true),
            (with("address", json!([{"line": ["12 Elm St", "Apt 4"], "postalCode": "60431"}])), false),
            (with("address", json!([{"line": ["14 Elm St"], "city": "Joliet", "postalCode": "60431"}])), false),
            (with("identifier", json!([])), true),
            (with("identifier", identifier(SSN, "6789")), true),
            (with("identifier", identifier(SSN, "6780")), false),
            (with("identifier", identifier("urn:oid:2.999.1", "R77")), true),
            (with("identifier", identifier("urn:oid:2.999.1", "S78")), false),
            (with("identifier", identifier("urn:oid:2.999.2", "R77")), false),
            (with("identifier", identifier(DIGITAL, "0b9f7a3e-51d2-4c2b-9a57-0d7a9b1c2d3e")), true),
        ];
        let user = record(&twin());
        for (asked, expected) in table {
            assert_eq!(is_attested(&record(&asked), &[&user]), expected, "{asked}");
        }
    }

    #[test]
    fn a_value_stands_in_every_description_that_has_its_kind() {
        let bare = |member: &str, value: Value| {
            let mut bare = json!({"resourceType": "Patient", "name": twin()["name"], "birthDate": "1980-02-29"});
            bare[member] = value;
            record(&bare)
        };
        let user = record(&twin());
        let same = bare("telecom", twin()["telecom"].clone());
        let other = bare("telecom", json!([{"system": "phone", "value": "312-555-0199"}]));
        assert!(is_attested(&user, &[&user, &same]));
        assert!(!is_attested(&user, &[&user, &other]), "of two telephones neither is verified");
        assert!(!is_attested(&user, &[&same]), "the address stands nowhere");
        let digital = |value: &str| bare("identifier", json!([{"system": DIGITAL, "value": value}]));
        let (one, another) =
            (digital("0b9f7a3e-51d2-4c2b-9a57-0d7a9b1c2d3e"), digital("7c1d2e3f-51d2-4c2b-9a57-0d7a9b1c2d3e"));
        assert!(is_attested(&one, &[&user]) && is_attested(&one, &[&user, &one]));
        assert!(!is_attested(&one, &[&user, &another]));
    }

    #[test]
    fn a_user_is_left_with_what_every_statement_bears_out() {
        let name = json!([{"family": "Roe", "given": ["Robin"]}, {"family": "Roe", "given": ["Sidney"]}]);
        let (claimed, verified) = (record(&with("name", name)), record(&twin()));
        assert_eq!(claimed.names.len(), 2);
        let kept = keep_attested(claimed.clone(), &[&claimed, &verified]);
        assert_eq!(kept.names.len(), 1);
        assert_eq!(kept.names[0].given.as_deref(), Some("robin"));
        assert_eq!((kept.phones, kept.identifiers), (verified.phones, verified.identifiers));
    }
}
