//! The values of a person, or of an identity, that combinations compare: all current and historical ones of all records,
//! without those that this rule-book takes for placeholders.
//!
//! Nothing is normalised again: everything comes from [`Record`]s. A birth date compares only when it is full and lies
//! between 1 January of 120 years ago and the day after tomorrow's; a street line only with its five-digit zip. Not here:
//! when two values agree (see `agreement`).

use super::book::{Book, NamespaceType};
use super::field::{Field, Fields};
use crate::matching::normalise::address::Address;
use crate::matching::normalise::identifier::{Identifier, Kind};
use crate::matching::normalise::name::{Name, Suffix};
use crate::matching::normalise::relationship::{Relationship, Role};
use crate::matching::record::{BirthDate, Record};

/// Days since 1 January 1970.
pub type Day = i64;

/// What is known of one side.
#[derive(Debug, Default)]
pub(super) struct Values<'r> {
    pub first_names: Vec<&'r Name>,
    pub last_names: Vec<&'r str>,
    pub middle_names: Vec<&'r str>,
    pub suffixes: Vec<Suffix>,
    pub birth_days: Vec<Day>,
    pub streets: Vec<Street<'r>>,
    /// Of every field that agrees only when equal.
    pub others: Vec<Other<'r>>,
    pub present: Fields,
}

/// A street line with its zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Street<'r> {
    pub line: &'r str,
    pub zip: &'r str,
    pub is_residence: bool,
}

/// A value that agrees only when equal, its scope (kind and issuer) included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Other<'r> {
    pub field: Field,
    pub kind: Option<Kind>,
    pub issuer: &'r str,
    pub value: &'r str,
}

/// How old a person can be (years), and how far ahead of today a birth date may be written (days).
const AGE_YEARS_MAX: i64 = 120;
const DAYS_AHEAD_MAX: Day = 2;

/// Digits kept of a social security or taxpayer number.
const LAST_DIGITS: usize = 4;

impl<'r> Values<'r> {
    pub fn of(records: impl Iterator<Item = &'r Record>, book: &Book, today: Day) -> Self {
        let mut values = Self::default();
        for record in records {
            values.add_names(record, book);
            values.add_birth_date(record.birth_date, book, today);
            for address in &record.addresses {
                values.add_address(address, book);
            }
            for phone in record.phones.iter().filter(|phone| !is_placeholder_phone(phone, book)) {
                values.add(Field::Phone, phone);
            }
            for email in record.emails.iter().filter(|email| !is_placeholder_email(email, book)) {
                values.add(Field::Email, email);
            }
            for identifier in &record.identifiers {
                values.add_identifier(identifier, book);
            }
            for relationship in &record.relationships {
                values.add_relationship(relationship, book);
            }
        }
        values.note_present();
        values
    }

    fn add_names(&mut self, record: &'r Record, book: &Book) {
        let known = &book.placeholders;
        for name in &record.names {
            let given = name.given.as_deref().unwrap_or_default();
            let family = name.family.as_deref().unwrap_or_default();
            self.suffixes.extend(name.suffix);
            if known.names.contains(&format!("{given} {family}")) {
                continue;
            }
            if !given.is_empty() && !is_letter(given) && !known.first_names.contains(given) {
                self.first_names.push(name);
            }
            if !family.is_empty() && !is_letter(family) && !known.last_names.contains(family) {
                self.last_names.push(family);
            }
            self.middle_names.extend(name.middle.iter().map(String::as_str));
        }
    }

    fn add_birth_date(&mut self, date: Option<BirthDate>, book: &Book, today: Day) {
        let Some(date) = date.filter(|date| date.is_full()) else { return };
        let text = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
        let day = day_number(i64::from(date.year), i64::from(date.month), i64::from(date.day));
        let earliest = day_number(year_of(today) - AGE_YEARS_MAX, 1, 1);
        if (earliest..=today + DAYS_AHEAD_MAX).contains(&day) && !book.placeholders.birth_dates.contains(&text) {
            self.birth_days.push(day);
        }
    }

    fn add_address(&mut self, address: &'r Address, book: &Book) {
        if let Some(place) = &address.place {
            let (city, state) = place.split_once(", ").unwrap_or((place, ""));
            self.add(Field::City, city);
            if !state.is_empty() {
                self.add(Field::State, state);
            }
        }
        let Some(zip) = address.zip.as_deref().filter(|zip| is_zip5(zip) && !book.placeholders.zips.contains(*zip))
        else {
            return;
        };
        self.add(Field::Zip, zip);
        let line = address.first_line.as_deref().or(address.line.as_deref());
        if let Some(line) = line.filter(|line| !is_placeholder_line(line, address, book)) {
            let words = address.line.as_deref().unwrap_or(line).split(' ');
            let is_institution = words.chain(line.split(' ')).any(|word| book.institutions.words.contains(word))
                || book.institutions.lines.contains(&format!("{line}|{zip}"));
            self.streets.push(Street { line, zip, is_residence: !is_institution });
        }
    }

    fn add_identifier(&mut self, identifier: &'r Identifier, book: &Book) {
        let value = identifier.value.as_str();
        let known = &book.placeholders;
        let scoped = |field| Other { field, kind: Some(identifier.kind), issuer: &identifier.issuer, value };
        match identifier.kind {
            Kind::SocialSecurity | Kind::SocialSecurityLast4 => self.add_last_4(Field::SsnLast4, value, book),
            Kind::Other if book.itin_systems.contains(&identifier.issuer) => {
                self.add_last_4(Field::ItinLast4, value, book);
            }
            Kind::Medicare => self.add(Field::Mbi, value),
            Kind::Licence | Kind::StateId | Kind::Passport => self.others.push(scoped(Field::LegalId)),
            Kind::Member if !is_placeholder_number(value, book) => self.others.push(scoped(Field::MemberId)),
            Kind::Subscriber if !is_placeholder_number(value, book) => self.others.push(scoped(Field::SubscriberId)),
            _ if is_namespace_id(identifier, book) && !known.insurance_ids.contains(value) => {
                self.others.push(scoped(Field::NamespaceId));
            }
            _ => {}
        }
    }

    fn add_last_4(&mut self, field: Field, number: &'r str, book: &Book) {
        let Some(last) = number.len().checked_sub(LAST_DIGITS).and_then(|from| number.get(from..)) else { return };
        let is_made_up = book.placeholders.last_4.contains(last)
            || !last.bytes().all(|byte| byte.is_ascii_digit())
            || last.bytes().all(|byte| byte == last.as_bytes()[0]);
        if !is_made_up {
            self.add(field, last);
        }
    }

    /// The other person counts when a rule of its own matches him: the one rule of a single number, the namespace id.
    fn add_relationship(&mut self, relationship: &'r Relationship, book: &Book) {
        let (relative, claim) = match relationship.role {
            Role::ChildOf => (Field::Guardian, Field::ChildOf),
            Role::NewbornOf => (Field::Mother, Field::NewbornOf),
        };
        let scoped = |field, identifier: &'r Identifier| Other {
            field,
            kind: Some(identifier.kind),
            issuer: &identifier.issuer,
            value: &identifier.value,
        };
        self.add(claim, claim.code());
        if is_namespace_id(&relationship.person, book) {
            self.others.push(scoped(relative, &relationship.person));
        }
        if let (Role::NewbornOf, Some(encounter)) = (relationship.role, &relationship.encounter) {
            self.others.push(scoped(Field::BirthEncounter, encounter));
        }
    }

    fn add(&mut self, field: Field, value: &'r str) {
        let other = Other { field, kind: None, issuer: "", value };
        if !self.others.contains(&other) {
            self.others.push(other);
        }
    }

    fn note_present(&mut self) {
        let lists = [
            (Field::FirstName, !self.first_names.is_empty()),
            (Field::LastName, !self.last_names.is_empty()),
            (Field::BirthDate, !self.birth_days.is_empty()),
            (Field::StreetLine, !self.streets.is_empty()),
            (Field::ResidenceLine, self.streets.iter().any(|street| street.is_residence)),
        ];
        let listed = lists.into_iter().filter(|(_, is_there)| *is_there).map(|(field, _)| field);
        self.present = listed.chain(self.others.iter().map(|other| other.field)).collect();
    }
}

fn is_namespace_id(identifier: &Identifier, book: &Book) -> bool {
    let is_of_type = |wanted: &NamespaceType| match wanted {
        NamespaceType::MedicalRecord => identifier.kind == Kind::MedicalRecord,
        NamespaceType::Number(number) => identifier.kind == Kind::Other && identifier.number_type == Some(*number),
    };
    book.namespace_types.iter().any(is_of_type) || book.namespace_systems.contains(&identifier.issuer)
}

/// One letter of the alphabet stands for a name and is none; in other scripts it can be one.
fn is_letter(name: &str) -> bool {
    name.len() == 1
}

fn is_zip5(zip: &str) -> bool {
    zip.len() == 5 && zip.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exchange stands after the three digits of the area, in numbers of the North American plan.
fn is_placeholder_phone(phone: &str, book: &Book) -> bool {
    let known = &book.placeholders;
    known.phones.contains(phone)
        || (!phone.starts_with('+') && phone.get(3..6).is_some_and(|exchange| known.phone_exchanges.contains(exchange)))
}

fn is_placeholder_email(email: &str, book: &Book) -> bool {
    email.split_once('@').is_some_and(|(_, domain)| book.placeholders.email_domains.contains(domain))
}

fn is_placeholder_line(line: &str, address: &Address, book: &Book) -> bool {
    let known = &book.placeholders;
    known.street_lines.contains(line) || (address.unit.is_none() && known.street_lines_without_unit.contains(line))
}

/// Numbers of insurers: all zeros, all nines, and words that say that there is none yet.
fn is_placeholder_number(value: &str, book: &Book) -> bool {
    let repeats = |digit: u8| value.bytes().all(|byte| byte == digit);
    repeats(b'0') || repeats(b'9') || book.placeholders.insurance_ids.contains(value)
}

/// The number of a day of the Gregorian calendar; month and day from 1. March begins the year here, so that the leap day
/// ends it.
const fn day_number(year: i64, month: i64, day: i64) -> Day {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    const DAYS_TO_1970: i64 = 719_468;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970
}

/// The year of a day: the last one that does not begin after it.
const fn year_of(day: Day) -> i64 {
    let mut year = 1970 + if day < 0 { day.div_euclid(365) } else { day.div_euclid(366) };
    while day_number(year + 1, 1, 1) <= day {
        year += 1;
    }
    year
}

#[cfg(test)]
mod tests {
    use super::super::book::tests::shipped;
    use super::*;
    use crate::matching::record::tests::record;

    pub const TODAY: Day = day_number(2026, 11, 1);

    fn present(json: &str) -> Vec<&'static str> {
        let record = record(json);
        Values::of(std::iter::once(&record), &shipped(), TODAY).present.iter().map(Field::code).collect()
    }

    #[test]
    fn days_are_numbered_as_the_calendar_has_them() {
        for (year, month, day, number) in [
            (1970, 1, 1, 0),
            (1969, 12, 31, -1),
            (2000, 2, 29, 11_016),
            (2000, 3, 1, 11_017),
            (2100, 3, 1, 47_541),
            (1900, 3, 1, -25_508),
        ] {
            assert_eq!(day_number(year, month, day), number, "{year}-{month}-{day}");
            assert_eq!(year_of(number), year);
        }
        assert_eq!((year_of(TODAY), year_of(day_number(1850, 12, 31))), (2026, 1850));
    }

    #[test]
    fn placeholders_of_this_rule_book_do_not_compare_and_their_near_misses_do() {
        let telecom =
            |system: &str, value: &str| format!(r#"{{"telecom":[{{"system":"{system}","value":"{value}"}}]}}"#);
        let ssn = |value: &str| {
            format!(r#"{{"identifier":[{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"{value}"}}]}}"#)
        };
        let typed = |code: &str, system: &str, value: &str| {
            format!(r#"{{"identifier":[{{"type":{{"coding":[{{"code":"{code}"}}]}}{system},"value":"{value}"}}]}}"#)
        };
        let street = |lines: &str, zip: &str| format!(r#"{{"address":[{{"line":[{lines}],"postalCode":"{zip}"}}]}}"#);
        let name = |given: &str, family: &str| format!(r#"{{"name":[{{"given":["{given}"],"family":"{family}"}}]}}"#);
        let home = ["street-line", "residence-line", "zip"];
        let table: Vec<(String, Vec<&str>)> = vec![
            (name("Baby Boy", "Ray"), vec!["last-name"]),
            (name("Test", "Ray"), vec!["last-name"]),
            (name("J", "Ray"), vec!["last-name"]),
            (name("Ann", "Unknown"), vec!["first-name"]),
            (name("Ann", "Ray"), vec!["first-name", "last-name"]),
            (telecom("phone", "212-555-0142"), vec![]),
            (telecom("phone", "212-554-0142"), vec!["phone"]),
            (telecom("phone", "+46 8 555 123 45"), vec!["phone"]),
            (telecom("email", "ann@example.com"), vec![]),
            (telecom("email", "ann@example.co"), vec!["email"]),
            (ssn("219-54-1234"), vec![]),
            (ssn("219-54-7777"), vec![]),
            (ssn("219-54-9999"), vec![]),
            (ssn("219-54-1235"), vec!["ssn-last-4"]),
            (ssn("1235"), vec!["ssn-last-4"]),
            (typed("X", r#","system":"urn:oid:2.16.840.1.113883.4.4""#, "912-70-8231"), vec!["itin-last-4"]),
            (typed("X", r#","system":"urn:oid:2.16.840.1.113883.4.4""#, "912-70-9999"), vec![]),
            (typed("MB", r#","system":"urn:p""#, "W77123"), vec!["member-id"]),
            (typed("MB", r#","system":"urn:p""#, "PENDING"), vec![]),
            (typed("MB", "", "W77123"), vec![]),
            (typed("SN", r#","system":"urn:p""#, "W77123"), vec!["subscriber-id"]),
            (typed("SN", r#","system":"urn:p""#, "9999"), vec![]),
            (typed("DL", r#","system":"urn:ny""#, "W77123"), vec!["legal-id"]),
            (typed("PPN", r#","system":"urn:us""#, "W77123"), vec!["legal-id"]),
            (typed("MR", r#","system":"urn:h""#, "W77123"), vec!["namespace-id"]),
            (typed("PI", r#","system":"urn:h""#, "W77123"), vec!["namespace-id"]),
            (typed("AN", r#","system":"urn:h""#, "W77123"), vec!["namespace-id"]),
            (typed("XX", r#","system":"urn:h""#, "W77123"), vec![]),
            (
                typed("XX", r#","system":"http://hl7.org/fhir/us/identity-matching/ns/HL7PersonIdentifier""#, "W77123"),
                vec!["namespace-id"],
            ),
            (street(r#""12 Oak Street""#, "12180-1234"), home.to_vec()),
            (street(r#""12 Oak Street""#, "99999"), vec![]),
            (street(r#""12 Oak Street""#, "K1A 0B1"), vec![]),
            (street(r#""123 Main St""#, "12180"), vec!["zip"]),
            (street(r#""123 Main St Apt 4""#, "12180"), home.to_vec()),
            (street(r#""Mercy Shelter","12 Oak St""#, "12180"), vec!["street-line", "zip"]),
        ];
        for (json, expected) in table {
            assert_eq!(present(&json), expected, "{json}");
        }
    }

    #[test]
    fn a_birth_date_compares_when_it_is_full_and_possible() {
        for (date, is_there) in [
            ("1980-02-03", true),
            ("1980-02", false),
            ("1980", false),
            ("2000-01-01", false),
            ("2000-01-02", true),
            ("1906-01-01", true),
            ("1905-12-31", false),
            ("2026-11-03", true),
            ("2026-11-04", false),
        ] {
            assert_eq!(!present(&format!(r#"{{"birthDate":"{date}"}}"#)).is_empty(), is_there, "{date}");
        }
    }

    #[test]
    fn the_street_is_the_line_with_the_house_number_else_the_first() {
        for (lines, expected) in [
            (r#""12 Oak Street","Apt 4""#, "12 oak st"),
            (r#""c/o Eva Lang","12 Oak Street""#, "12 oak st"),
            (r#""12 Oak Street","Harbor Towers""#, "12 oak st"),
            (r#""Harbor Towers","Oak Street""#, "harbor towers"),
            (r#""12 Oak Street Apt 4B""#, "12 oak st"),
        ] {
            let record = record(&format!(r#"{{"address":[{{"line":[{lines}],"postalCode":"12180"}}]}}"#));
            let values = Values::of(std::iter::once(&record), &shipped(), TODAY).streets;
            assert_eq!(values.iter().map(|street| street.line).collect::<Vec<_>>(), [expected], "{lines}");
        }
    }
}
