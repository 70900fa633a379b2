//! Each combination of the shipped rule-book: what it needs, what may be fuzzy in it, and what stands against it.

use super::book::tests::shipped;
use super::*;
use crate::matching::record::tests::record;

/// 1 November 2026.
const TODAY: Day = 20_758;

/// Values that agree on one field each; the second ones are near the first.
#[derive(Clone, Copy)]
enum Side {
    Asked,
    Near,
    Other,
}

const RELATIONSHIP: &str = "https://idi-match.example/StructureDefinition/relationship-linkage";

/// A Patient that has just these fields.
#[derive(Default, Clone)]
struct Person {
    given: Vec<String>,
    family: Option<&'static str>,
    suffix: Option<&'static str>,
    birth_date: Option<&'static str>,
    address: Option<(&'static str, &'static str)>,
    telecom: Vec<String>,
    identifiers: Vec<String>,
    extensions: Vec<String>,
}

impl Person {
    fn of(fields: Fields) -> Self {
        let mut person = Self::default();
        for field in fields.iter() {
            person.set(field, Side::Asked);
        }
        person
    }

    fn without(fields: Fields, left_out: Field) -> Self {
        Self::of(fields.without(Fields::one(left_out)))
    }

    fn but(&self, field: Field, side: Side) -> Self {
        let mut person = self.clone();
        person.set(field, side);
        person
    }

    fn named(&self, given: &[&str]) -> Self {
        Self { given: given.iter().map(ToString::to_string).collect(), ..self.clone() }
    }

    fn set(&mut self, field: Field, side: Side) {
        let choose = |asked: &'static str, near: &'static str, other: &'static str| match side {
            Side::Asked => asked,
            Side::Near => near,
            Side::Other => other,
        };
        let number = |code: &str, system: &str, value: &str| {
            format!(r#"{{"type":{{"coding":[{{"code":"{code}"}}]}},"system":"{system}","value":"{value}"}}"#)
        };
        match field {
            Field::FirstName => self.given = vec![choose("Marzanna", "Marzana", "Zoltan").to_owned()],
            Field::LastName => self.family = Some(choose("Oduya", "Oduja", "Quackenbush")),
            Field::BirthDate => self.birth_date = Some(choose("1980-02-28", "1980-02-29", "1971-07-14")),
            Field::StreetLine | Field::ResidenceLine => {
                self.address = Some((choose("12 Harbor Street", "12 Harbour Street", "77 Elm Road"), "12180"));
            }
            Field::Zip => {
                self.address = Some((self.address.map_or("", |(line, _)| line), choose("12180", "12181", "90210")));
            }
            Field::Phone | Field::Email => {
                let (system, value) = if field == Field::Phone {
                    ("phone", choose("212-664-7665", "212-664-7666", "646-229-8031"))
                } else {
                    ("email", choose("m@oduya.org", "n@oduya.org", "zoltan@quack.org"))
                };
                self.telecom.retain(|telecom| !telecom.contains(&format!("\"{system}\"")));
                self.telecom.push(format!(r#"{{"system":"{system}","value":"{value}"}}"#));
            }
            Field::Guardian | Field::Mother => {
                let kind = if field == Field::Guardian { "child-of" } else { "newborn-of" };
                let person = number("MR", "urn:hospital", choose("G77001", "G77002", "G99123"));
                let encounter = number("VN", "urn:births", "B1");
                self.extensions = vec![format!(
                    r#"{{"url":"{RELATIONSHIP}","extension":[{{"url":"type","valueCode":"{kind}"}},{{"url":"source","valueCode":"clinical"}},
                    {{"url":"person","valueIdentifier":{person}}},{{"url":"encounter","valueIdentifier":{encounter}}}]}}"#
                )];
            }
            Field::ChildOf | Field::NewbornOf | Field::BirthEncounter => {}
            Field::City | Field::State => {}
            _ => {
                let (code, system, value) = match field {
                    Field::SsnLast4 => {
                        ("SS", "http://hl7.org/fhir/sid/us-ssn", choose("219541235", "219541236", "219548820"))
                    }
                    Field::ItinLast4 => {
                        ("TAX", "urn:oid:2.16.840.1.113883.4.4", choose("912701237", "912701238", "912708820"))
                    }
                    Field::Mbi => {
                        ("MC", "http://hl7.org/fhir/sid/us-mbi", choose("1EG4TE5MK73", "1EG4TE5MK74", "9AA9AA9AA99"))
                    }
                    Field::LegalId => ("DL", "urn:oid:2.16.840.1.113883.4.3.36", choose("D77123", "D77124", "X88456")),
                    Field::MemberId => ("MB", "urn:payer", choose("M77123", "M77124", "X88456")),
                    Field::SubscriberId => ("SN", "urn:payer", choose("S77123", "S77124", "X88456")),
                    _ => ("PI", "urn:hospital", choose("P77123", "P77124", "X88456")),
                };
                self.identifiers.retain(|identifier| !identifier.contains(&format!("\"{code}\"")));
                self.identifiers.push(number(code, system, value));
            }
        }
    }

    fn record(&self) -> Record {
        let given: Vec<String> = self.given.iter().map(|given| format!("\"{given}\"")).collect();
        let text = |name: &str, value: Option<&str>| value.map(|value| format!(r#""{name}":"{value}""#));
        let suffix = self.suffix.map(|suffix| format!(r#""suffix":["{suffix}"]"#));
        let given = (!given.is_empty()).then(|| format!(r#""given":[{}]"#, given.join(",")));
        let name: Vec<String> = [text("family", self.family), given, suffix].into_iter().flatten().collect();
        let address = self.address.map(|(line, zip)| {
            let line = if line.is_empty() { String::new() } else { format!(r#""line":["{line}"],"#) };
            format!(r#"{{{line}"postalCode":"{zip}"}}"#)
        });
        let list = |name: &str, items: &[String]| format!(r#""{name}":[{}]"#, items.join(","));
        let members = [
            Some(format!(r#""name":[{{{}}}]"#, name.join(","))),
            text("birthDate", self.birth_date),
            address.map(|address| list("address", &[address])),
            Some(list("telecom", &self.telecom)),
            Some(list("identifier", &self.identifiers)),
            Some(list("extension", &self.extensions)),
        ];
        record(&format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(",")))
    }
}

fn judged(query: &Person, stored: &[Person]) -> Combined {
    let records: Vec<Record> = stored.iter().map(Person::record).collect();
    let identities: Vec<Vec<&Record>> = records.iter().map(|record| vec![record]).collect();
    combine(&shipped(), &query.record(), &identities, TODAY)
}

fn rule(combined: &Combined) -> Option<&str> {
    combined.verdicts[0].fired().map(|fired| fired.rule.as_str())
}

/// Fields that are read of another one: leaving it out, or another value, takes these with it.
fn carrier(field: Field) -> Field {
    match field {
        Field::ChildOf => Field::Guardian,
        Field::NewbornOf | Field::BirthEncounter => Field::Mother,
        field => field,
    }
}

/// The shipped book with this combination alone: others may hold where it does not.
fn alone(rule: &str) -> Book {
    let mut book = shipped();
    book.combinations.retain(|combination| combination.rule == rule);
    book
}

/// What `rule` alone uses to match `stored` for `query`: fields equal and nearly equal, and the collision probability.
fn used(rule: &str, query: &Person, stored: &Person) -> Option<(Fields, Fields, f64)> {
    let stored = stored.record();
    let combined = combine(&alone(rule), &query.record(), &[vec![&stored]], TODAY);
    match &combined.verdicts[0] {
        Verdict::Matched(fired) => Some((fired.exact, fired.fuzzy, fired.collision)),
        _ => None,
    }
}

fn is_about(found: f64, expected: f64) -> bool {
    (found / expected - 1.0).abs() < 1e-9
}

#[test]
fn each_combination_holds_with_its_fields_and_not_without_any_of_them() {
    let book = shipped();
    for combination in &book.combinations {
        let name = combination.rule.as_str();
        let whole = Person::of(combination.fields);
        let (exact, fuzzy, collision) = used(name, &whole, &whole).expect(name);
        assert_eq!((exact, fuzzy), (combination.fields, Fields::EMPTY), "{name}");
        assert!(is_about(collision, book.collision(combination.fields, Fields::EMPTY)), "{name}");
        assert_eq!(judged(&whole, std::slice::from_ref(&whole)).outcome, Outcome::Match, "{name}");
        for field in combination.fields.iter().map(carrier) {
            let left_out = Person::without(combination.fields, field);
            for (query, stored) in [(&whole, &left_out), (&left_out, &whole), (&whole, &whole.but(field, Side::Other))]
            {
                assert_eq!(used(name, query, stored), None, "{name} without {}", field.code());
            }
        }
    }
}

#[test]
fn a_field_may_be_near_where_it_is_starred_and_only_as_many_as_are_allowed() {
    let book = shipped();
    for combination in &book.combinations {
        let name = combination.rule.as_str();
        let whole = Person::of(combination.fields);
        for field in combination.fields.iter().filter(|field| carrier(*field) == *field) {
            let used = used(name, &whole, &whole.but(field, Side::Near));
            assert_eq!(used.is_some(), combination.starred.has(field), "{name} {}", field.code());
            if let Some((exact, fuzzy, collision)) = used {
                assert_eq!((exact.with(fuzzy), fuzzy), (combination.fields, Fields::one(field)), "{name}");
                assert!(is_about(collision, book.collision(exact, fuzzy)), "{name}");
            }
        }
        let (mut near, mut counted) = (whole.clone(), 0);
        for field in combination.starred.iter() {
            near = near.but(field, Side::Near);
            counted += u32::from(field != Field::BirthDate);
            assert_eq!(used(name, &whole, &near).is_some(), counted <= combination.fuzzy_max, "{name} {counted}");
        }
    }
}

#[test]
fn the_first_combination_of_the_book_that_holds_is_told() {
    let all: Fields = Field::ALL.into_iter().collect();
    let whole = Person::of(all);
    assert_eq!(rule(&judged(&whole, std::slice::from_ref(&whole))), Some("01"));
    let moved = Person { address: None, ..whole.clone() };
    assert_eq!(rule(&judged(&whole, std::slice::from_ref(&moved))), Some("02"));
}

#[test]
fn short_forms_are_equal_and_short_names_are_never_near() {
    let fields: Fields = [Field::FirstName, Field::LastName, Field::BirthDate, Field::SsnLast4].into_iter().collect();
    let base = Person::of(fields);
    for (asked, stored, fuzzy) in [
        ("Robert", "Bob", Some(Fields::EMPTY)),
        ("Bob", "Robert", Some(Fields::EMPTY)),
        ("Nora", "Ella", None),
        ("José", "Jose", Some(Fields::EMPTY)),
        ("Mary Ann", "Maryann", Some(Fields::EMPTY)),
        ("Marzanna", "Marzana", Some(Fields::one(Field::FirstName))),
        ("Marzanna", "Mazranna", Some(Fields::one(Field::FirstName))),
        ("Marzanna", "Marana", None),
        ("Robrt", "Bob", Some(Fields::one(Field::FirstName))),
        ("Anja", "Anya", None),
        ("Zoran", "Zorn", None),
        ("M", "M", None),
    ] {
        let found = judged(&base.named(&[asked]), &[base.named(&[stored])]);
        assert_eq!(found.verdicts[0].fired().map(|fired| fired.fuzzy), fuzzy, "{asked} {stored}");
    }
}

#[test]
fn different_generational_suffixes_veto_and_others_do_not() {
    let fields: Fields = [Field::Phone, Field::Mbi, Field::LastName].into_iter().collect();
    let with = |suffix| Person { suffix, ..Person::of(fields) };
    for (asked, stored, outcome) in [
        (Some("Jr"), Some("Sr"), Outcome::NoMatch),
        (Some("II"), Some("III"), Outcome::NoMatch),
        (Some("Jr"), Some("II"), Outcome::NoMatch),
        (Some("III"), Some("V"), Outcome::NoMatch),
        (Some("Jr."), Some("Junior"), Outcome::Match),
        (Some("Jr"), None, Outcome::Match),
        (Some("MD"), Some("Sr"), Outcome::Match),
    ] {
        let found = judged(&with(asked), &[with(stored)]);
        assert_eq!(found.outcome, outcome, "{asked:?} {stored:?}");
        assert_eq!(rule(&found), Some("17"), "what would hold is told");
        assert_eq!(found.verdicts[0].code() == "suffix-veto", outcome == Outcome::NoMatch);
    }
}

#[test]
fn all_values_of_all_records_of_an_identity_take_part() {
    let query = Person::of([Field::FirstName, Field::BirthDate, Field::Phone].into_iter().collect());
    let parts = [
        Person::of([Field::FirstName].into_iter().collect()),
        Person::of([Field::BirthDate, Field::LastName].into_iter().collect()),
        Person::of([Field::Phone].into_iter().collect()),
    ];
    let records: Vec<Record> = parts.iter().map(Person::record).collect();
    let together = combine(&shipped(), &query.record(), &[records.iter().collect()], TODAY);
    assert_eq!((together.outcome, rule(&together)), (Outcome::Match, Some("11")));
    let apart: Vec<Vec<&Record>> = records.iter().map(|record| vec![record]).collect();
    assert_eq!(combine(&shipped(), &query.record(), &apart, TODAY).outcome, Outcome::NoMatch);
}

#[test]
fn one_identity_is_a_match_several_are_ambiguous_and_too_little_is_said_to_be() {
    let whole = Person::of([Field::Phone, Field::Mbi].into_iter().collect());
    let phone = Person::of([Field::Phone].into_iter().collect());
    let name = Person::of([Field::FirstName, Field::LastName, Field::BirthDate].into_iter().collect());
    for (query, stored, outcome) in [
        (&whole, vec![], Outcome::NoMatch),
        (&whole, vec![whole.clone()], Outcome::Match),
        (&whole, vec![whole.clone(), phone.clone()], Outcome::Match),
        (&whole, vec![whole.clone(), whole.clone()], Outcome::Ambiguous),
        (&whole, vec![whole.clone(), whole.clone(), whole.clone()], Outcome::Ambiguous),
        (&phone, vec![whole.clone()], Outcome::InsufficientFields),
        (&name, vec![name.clone()], Outcome::InsufficientFields),
        (&Person::default(), vec![Person::default()], Outcome::InsufficientFields),
    ] {
        assert_eq!(judged(query, &stored).outcome, outcome);
    }
}

#[test]
fn a_household_alone_is_no_match_and_is_told() {
    let fields: Fields = [Field::Phone, Field::Email, Field::Zip].into_iter().collect();
    let found = judged(&Person::of(fields), &[Person::of(fields)]);
    assert_eq!(found.verdicts, [Verdict::Household("H-10".to_owned())]);
}

/// First name, birth date, phone and zip: what C2-34 needs.
fn member(given: &[&str]) -> Person {
    Person::of([Field::BirthDate, Field::Phone, Field::Zip].into_iter().collect()).named(given)
}

#[test]
fn a_first_name_is_near_enough_in_a_household_unless_a_twin_is_there() {
    let jaden = member(&["Jaden"]);
    let found = judged(&jaden, &[member(&["Jayden"])]);
    assert_eq!((found.outcome, rule(&found)), (Outcome::Match, Some("C2-34")));
    let both = judged(&jaden, &[member(&["Jayden"]), member(&["Jaden"])]);
    assert_eq!(
        (both.outcome, both.verdicts[0].code(), both.verdicts[1].code()),
        (Outcome::Match, "household", "matched")
    );
    let neither = judged(&member(&["Jaxden"]), &[member(&["Jayden"]), member(&["Jaden"])]);
    assert_eq!(neither.outcome, Outcome::NoMatch);
    let parent = member(&["Zoltan"]).but(Field::BirthDate, Side::Other);
    assert_eq!(judged(&jaden, &[member(&["Jayden"]), parent]).outcome, Outcome::Match, "a parent is no twin");
}

#[test]
fn twins_who_tie_are_told_apart_by_a_namespace_id_else_by_middle_names_else_not() {
    let twin = |middle: &[&str], number: Option<Side>| {
        let person = member(&[&["Alexis"], middle].concat());
        number.map_or(person.clone(), |side| person.but(Field::NamespaceId, side))
    };
    let (asked, near, other) = (Some(Side::Asked), Some(Side::Near), Some(Side::Other));
    let ambiguous = (Outcome::Ambiguous, "matched", "matched");
    for (what, query, stored, expected) in [
        ("nothing", twin(&[], None), [twin(&[], None), twin(&[], None)], ambiguous),
        (
            "middle",
            twin(&["Eva"], None),
            [twin(&["Eva"], None), twin(&["Zoe"], None)],
            (Outcome::Match, "matched", "other-twin"),
        ),
        ("one without middle", twin(&["Eva"], None), [twin(&["Eva"], None), twin(&[], None)], ambiguous),
        ("one middle", twin(&["Eva"], None), [twin(&["Eva"], None), twin(&["Eva"], None)], ambiguous),
        (
            "number first",
            twin(&["Eva"], asked),
            [twin(&["Eva"], other), twin(&["Zoe"], asked)],
            (Outcome::Match, "other-twin", "matched"),
        ),
        ("a number of neither", twin(&["Eva"], near), [twin(&["Eva"], other), twin(&["Zoe"], asked)], ambiguous),
    ] {
        let found = judged(&query, &stored);
        assert_eq!((found.outcome, found.verdicts[0].code(), found.verdicts[1].code()), expected, "{what}");
    }
}

#[test]
fn an_institution_s_address_makes_no_household() {
    let at = |line| Person {
        address: Some((line, "12180")),
        ..Person::of([Field::BirthDate, Field::Phone].into_iter().collect())
    };
    let residence = judged(&at("12 Harbor Street").named(&["Marzanna"]), &[at("12 Harbor Street").named(&["Marzana"])]);
    assert_eq!(residence.outcome, Outcome::Match);
    let asked = Person { address: Some(("12 Harbor Shelter Road", "12180")), ..at("").named(&["Marzanna"]) };
    let stored = Person { address: Some(("12 Harbor Shelter Road", "12180")), ..at("").named(&["Marzana"]) };
    let shelter = judged(&asked, &[stored]);
    assert_eq!(rule(&shelter), Some("C2-34"), "phone and zip hold all the same");
    let fields: Vec<Field> = shelter.verdicts[0].fired().expect("fired").exact.iter().collect();
    assert!(!fields.contains(&Field::ResidenceLine));
    let other = super::book::tests::SHIPPED.replacen(r#"["phone", "zip"]"#, r#"["phone", "city"]"#, 1);
    let book = Book::parse(&other).expect("valid");
    let (asked, stored) = (asked.record(), at("12 Harbor Shelter Road").named(&["Marzana"]).record());
    assert_eq!(combine(&book, &asked, &[vec![&stored]], TODAY).outcome, Outcome::NoMatch);
}
