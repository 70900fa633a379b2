//! One person: the true facts, and what a registration desk writes down of them.
//!
//! Not here: who lives with whom (see `household`), errors of queries and duplicates (see `corruption`).

use super::calendar::{Day, years};
use super::fields::Fields;
use super::geography::{self, Address};
use super::names::{OriginNames, Sex, Tables};
use super::origins::{Spelling, fold};
use super::random::{Rng, draw};

/// A person of the population.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// What is true.
    pub(super) facts: Fields,
    pub(super) sex: Sex,
    pub(super) birth: Day,
    pub(super) role: Role,
    /// The surname at birth, when another is carried now.
    pub(super) maiden: String,
    pub(super) area_code: &'static str,
    lapse: Lapse,
}

/// The place of a person in the household.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Head,
    Partner,
    Child,
    Twin,
    Parent,
    Unrelated,
}

/// What the registration desk left out.
#[derive(Debug, Clone, Copy)]
struct Lapse {
    address: bool,
    birth_day: bool,
}

/// Who is to be made.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) sex: Sex,
    pub(super) birth: Day,
    pub(super) role: Role,
    pub(super) family: String,
    /// Drawn when nothing is said.
    pub(super) given: Option<String>,
}

/// What the people of a household share.
#[derive(Debug, Clone)]
pub(super) struct Home<'t> {
    pub(super) origin: Option<&'t OriginNames>,
    pub(super) spelling: Spelling,
    pub(super) address: Address,
    pub(super) phone: String,
}

const ADULT_AGE: i32 = 16;
const PHONE_NONE: u64 = 10;
const PHONE_OF_HOME: u64 = 25;
const EMAIL_ADULT: u32 = 580;
const EMAIL_CHILD: u32 = 150;
const SSN4: u32 = 450;
const MIDDLE: u32 = 700;
const MIDDLE_INITIAL: u32 = 500;
const ADDRESS_OMITTED: u32 = 40;
const BIRTH_DAY_OMITTED: u32 = 4;
/// Facilities of one example organisation (HL7's arc for examples).
const FACILITY_ARC: &str = "urn:oid:2.16.840.1.113883.19.5";
const FACILITIES: usize = 12;
/// Numbers below this belong to stored people, numbers from here on to records elsewhere: the two never meet by chance.
const MRN_STORED_BELOW: u64 = 5_000_000_000;

impl Person {
    pub(super) fn new(rng: &mut Rng, tables: &Tables, home: &Home<'_>, draft: Draft) -> Self {
        let year = draft.birth.year();
        let given =
            draft.given.unwrap_or_else(|| home.spelling.write(&tables.given(rng, home.origin, draft.sex, year)));
        let middle = middle(rng, tables, home, draft.sex, year);
        let is_adult = draft.birth.age() >= ADULT_AGE;
        let mut facts = Fields {
            family: draft.family,
            given,
            middle,
            sex: draft.sex.code().to_owned(),
            birth_date: draft.birth.to_text(),
            phone: phone_of(rng, home, is_adult),
            mrn_system: facility(rng.index_skewed(FACILITIES)),
            ..Fields::default()
        };
        put_address(&mut facts, &home.address);
        if rng.chance(if is_adult { EMAIL_ADULT } else { EMAIL_CHILD }) {
            facts.email = email(rng, &facts);
        }
        if rng.chance(SSN4) {
            facts.ssn4 = format!("{:04}", rng.between(1, 9_999));
        }
        let lapse = Lapse { address: rng.chance(ADDRESS_OMITTED), birth_day: rng.chance(BIRTH_DAY_OMITTED) };
        let Draft { sex, birth, role, .. } = draft;
        Self { facts, sex, birth, role, maiden: String::new(), area_code: home.address.area_code, lapse }
    }

    /// The record of this person, stored as the given number of the population.
    pub(super) fn recorded(&self, number: u64) -> Fields {
        let mut fields = self.facts.clone();
        fields.mrn = stored_mrn(number);
        if self.lapse.address {
            [&mut fields.line, &mut fields.city, &mut fields.state, &mut fields.zip]
                .into_iter()
                .for_each(String::clear);
        }
        if self.lapse.birth_day {
            fields.birth_date.replace_range(4.., "-01-01");
        }
        fields
    }

    /// Replaces the given name, and what follows from it.
    pub(super) fn rename(&mut self, rng: &mut Rng, given: &str) {
        given.clone_into(&mut self.facts.given);
        if !self.facts.email.is_empty() {
            self.facts.email = email(rng, &self.facts);
        }
    }

    pub(super) const fn is_related(&self) -> bool {
        !matches!(self.role, Role::Unrelated)
    }
}

/// A birthday of somebody who is `low` to `high` years old, both included.
pub(super) fn birth_at_age(rng: &mut Rng, low: i32, high: i32) -> Day {
    super::calendar::AS_OF.plus(-rng.between(years(low) + 1, years(high + 1) - 1))
}

pub(super) fn put_address(facts: &mut Fields, address: &Address) {
    facts.line.clone_from(&address.line);
    facts.city.clone_from(&address.city);
    address.state.clone_into(&mut facts.state);
    facts.zip.clone_from(&address.zip);
}

fn middle(rng: &mut Rng, tables: &Tables, home: &Home<'_>, sex: Sex, year: i32) -> String {
    let usual = home.origin.map_or("", |names| match sex {
        Sex::Male => names.origin.usual_middle.0,
        Sex::Female => names.origin.usual_middle.1,
    });
    if !rng.chance(MIDDLE) {
        return String::new();
    }
    if !usual.is_empty() && rng.chance(550) {
        return usual.to_owned();
    }
    let full = home.spelling.write(&tables.given(rng, home.origin, sex, year));
    if rng.chance(MIDDLE_INITIAL) { full.chars().take(1).collect() } else { full }
}

fn phone_of(rng: &mut Rng, home: &Home<'_>, is_adult: bool) -> String {
    match rng.below(100) {
        drawn if drawn < PHONE_NONE => String::new(),
        drawn if !is_adult || drawn < PHONE_NONE + PHONE_OF_HOME => home.phone.clone(),
        _ => geography::phone(rng, home.address.area_code),
    }
}

/// An address at a provider that cannot exist (RFC 2606 reserves `.example`).
pub(super) fn email(rng: &mut Rng, facts: &Fields) -> String {
    const PROVIDERS: &[(&str, u32)] = &[
        ("mail.example", 45),
        ("inbox.example", 18),
        ("post.example", 12),
        ("cloud.example", 10),
        ("online.example", 8),
        ("cable.example", 4),
        ("work.example", 3),
    ];
    let letters =
        |name: &str| fold(name).chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let (given, family) = (letters(&facts.given), letters(&facts.family));
    let initial: String = given.chars().take(1).collect();
    let year = facts.birth_date.get(2..4).unwrap_or_default();
    let mut local = match rng.below(20) {
        0..=6 => format!("{given}.{family}"),
        7..=10 => format!("{initial}{family}"),
        11..=13 => format!("{family}{initial}"),
        14..=15 => format!("{given}_{family}"),
        _ => format!("{given}{year}"),
    };
    if rng.chance(600) {
        local.push_str(&rng.between(1, 999).to_string());
    }
    format!("{local}@{}", draw(rng, PROVIDERS, "mail.example"))
}

pub(super) fn facility(index: usize) -> String {
    format!("{FACILITY_ARC}.{}", index + 1)
}

/// Another facility's number for somebody.
pub(super) fn put_foreign_mrn(rng: &mut Rng, facts: &mut Fields) {
    facts.mrn_system = facility(rng.index(FACILITIES));
    facts.mrn = format!("{:010}", MRN_STORED_BELOW + rng.below(MRN_STORED_BELOW));
}

/// A different ten-digit number for each number of a person: multiplication by a factor prime to the modulus.
pub(super) fn stored_mrn(number: u64) -> String {
    let scattered = u128::from(number) * 2_862_933_559 + 1_013_904_223;
    format!("{:010}", scattered % u128::from(MRN_STORED_BELOW))
}

pub(super) fn member_number(rng: &mut Rng) -> String {
    format!("W{:09}", rng.below(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn record_numbers_are_unique_and_apart_from_foreign_ones() {
        let stored: HashSet<String> = (0..100_000).map(stored_mrn).collect();
        assert_eq!(stored.len(), 100_000);
        let mut rng = Rng::stream(1, Purpose::Query, 1);
        for _ in 0..1_000 {
            let mut facts = Fields::default();
            put_foreign_mrn(&mut rng, &mut facts);
            assert!(facts.mrn.as_str() >= "5000000000" && facts.mrn.len() == 10);
        }
        assert!(stored.iter().all(|mrn| mrn.as_str() < "5000000000" && mrn.len() == 10));
    }

    #[test]
    fn ages_are_within_their_bounds() {
        let mut rng = Rng::stream(1, Purpose::Household, 1);
        for _ in 0..1_000 {
            let age = birth_at_age(&mut rng, 30, 31).age();
            assert!((30..=31).contains(&age), "{age}");
        }
    }

    #[test]
    fn email_addresses_are_ascii_and_cannot_be_delivered() {
        let mut rng = Rng::stream(1, Purpose::Household, 2);
        let facts = Fields {
            given: "Ángel Luis".into(),
            family: "Muñoz-O'Neal".into(),
            birth_date: "1980-01-02".into(),
            ..Fields::default()
        };
        for _ in 0..50 {
            let email = email(&mut rng, &facts);
            assert!(email.is_ascii() && email.ends_with(".example") && !email.contains([' ', '\'']), "{email}");
        }
    }
}
