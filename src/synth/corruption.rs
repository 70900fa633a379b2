//! What goes wrong between a person and a record of them.
//!
//! What: each [`Event`] changes a copy of the facts in one way and has a label that the truth file shows; then facts are
//! left out and the writing varies. Why labelled: an evaluation can say which error costs how much. Not here: single
//! letters (see `misspelling`), which person is asked for (see `population`).

use super::Difficulty;
use super::calendar::{parse, to_text};
use super::fields::Fields;
use super::geography::{self, STREET_TYPES};
use super::misspelling::{garbled_digit, misheard, misread, mistyped, transliterated};
use super::names::{Sex, Tables};
use super::origins::{fold, spell_out};
use super::person::{self, Person};
use super::random::{Rng, draw};

/// One kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    GivenTypo,
    FamilyTypo,
    GivenPhonetic,
    FamilyPhonetic,
    OcrName,
    Transliteration,
    Nickname,
    GivenInitial,
    NameSwap,
    NameTruncated,
    MarriedSurname,
    FamilyDropPart,
    MiddleAsGiven,
    DobDigit,
    DobMonthDaySwap,
    DobYearOff,
    DobPlaceholder,
    Moved,
    MovedSameZip,
    PhoneChanged,
    EmailChanged,
    Ssn4Typo,
    SexWrong,
    MemberChanged,
    ZipTypo,
    StreetTypo,
    SuffixDropped,
    FamilyDataMixup,
    GivenMissing,
    DobMissing,
    LineMissing,
    ZipMissing,
}

/// How often each error is drawn, against the others.
const DRAWN: &[(Event, u32)] = &[
    (Event::GivenTypo, 12),
    (Event::FamilyTypo, 12),
    (Event::GivenPhonetic, 4),
    (Event::FamilyPhonetic, 5),
    (Event::OcrName, 2),
    (Event::Transliteration, 8),
    (Event::Nickname, 12),
    (Event::GivenInitial, 3),
    (Event::NameSwap, 3),
    (Event::NameTruncated, 1),
    (Event::MarriedSurname, 6),
    (Event::FamilyDropPart, 6),
    (Event::MiddleAsGiven, 3),
    (Event::DobDigit, 6),
    (Event::DobMonthDaySwap, 4),
    (Event::DobYearOff, 3),
    (Event::DobPlaceholder, 2),
    (Event::Moved, 14),
    (Event::MovedSameZip, 3),
    (Event::PhoneChanged, 8),
    (Event::EmailChanged, 5),
    (Event::Ssn4Typo, 3),
    (Event::SexWrong, 1),
    (Event::MemberChanged, 5),
    (Event::ZipTypo, 3),
    (Event::StreetTypo, 5),
    (Event::SuffixDropped, 2),
    (Event::FamilyDataMixup, 1),
];

impl Event {
    /// The label in the truth file.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::GivenTypo => "given_typo",
            Self::FamilyTypo => "family_typo",
            Self::GivenPhonetic => "given_phonetic",
            Self::FamilyPhonetic => "family_phonetic",
            Self::OcrName => "ocr_name",
            Self::Transliteration => "transliteration",
            Self::Nickname => "nickname",
            Self::GivenInitial => "given_initial",
            Self::NameSwap => "name_swap",
            Self::NameTruncated => "name_truncated",
            Self::MarriedSurname => "married_surname",
            Self::FamilyDropPart => "family_drop_part",
            Self::MiddleAsGiven => "middle_as_given",
            Self::DobDigit => "dob_digit",
            Self::DobMonthDaySwap => "dob_month_day_swap",
            Self::DobYearOff => "dob_year_off",
            Self::DobPlaceholder => "dob_placeholder",
            Self::Moved => "moved",
            Self::MovedSameZip => "moved_same_zip",
            Self::PhoneChanged => "phone_changed",
            Self::EmailChanged => "email_changed",
            Self::Ssn4Typo => "ssn4_typo",
            Self::SexWrong => "sex_wrong",
            Self::MemberChanged => "member_changed",
            Self::ZipTypo => "zip_typo",
            Self::StreetTypo => "street_typo",
            Self::SuffixDropped => "suffix_dropped",
            Self::FamilyDataMixup => "family_data_mixup",
            Self::GivenMissing => "given_missing",
            Self::DobMissing => "dob_missing",
            Self::LineMissing => "line_missing",
            Self::ZipMissing => "zip_missing",
        }
    }
}

/// Somebody, and the household whose data can be mixed up with theirs.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) tables: &'a Tables,
    pub(super) person: &'a Person,
    pub(super) household: &'a [Person],
}

/// Number of errors of a record, per hundred, from none upwards: means 0.6, 1.7 and 3.0.
const fn event_counts(difficulty: Difficulty) -> &'static [(usize, u32)] {
    match difficulty {
        Difficulty::Easy => &[(0, 55), (1, 33), (2, 9), (3, 3)],
        Difficulty::Normal => &[(0, 18), (1, 30), (2, 28), (3, 14), (4, 7), (5, 3)],
        Difficulty::Hard => &[(0, 4), (1, 11), (2, 24), (3, 27), (4, 17), (5, 10), (6, 5), (7, 2)],
    }
}

/// How much more or less is left out, per mille of the rates below.
const fn omission_scale(difficulty: Difficulty) -> u32 {
    match difficulty {
        Difficulty::Easy => 500,
        Difficulty::Normal => 1000,
        Difficulty::Hard => 1600,
    }
}

/// Facts left out, per mille. The label is shown for those that a match leans on.
type Omission = (fn(&mut Fields) -> &mut String, u32, Option<Event>);
const OMISSIONS: &[Omission] = &[
    (|facts| &mut facts.middle, 350, None),
    (|facts| &mut facts.ssn4, 300, None),
    (|facts| &mut facts.phone, 150, None),
    (|facts| &mut facts.email, 350, None),
    (|facts| &mut facts.member_id, 300, None),
    (|facts| &mut facts.line, 80, Some(Event::LineMissing)),
    (|facts| &mut facts.zip, 40, Some(Event::ZipMissing)),
    (|facts| &mut facts.sex, 20, None),
    (|facts| &mut facts.birth_date, 15, Some(Event::DobMissing)),
    (|facts| &mut facts.suffix, 250, None),
    (|facts| &mut facts.given, 4, Some(Event::GivenMissing)),
];

const TRIES_MAX: usize = 60;
const OTHER_FACILITY: u32 = 750;
const UPPER_CASE: u32 = 300;
const LONG_STREET_TYPE: u32 = 350;

/// Another record of a person: the facts with errors, omissions and another way of writing, and the errors made.
/// The record number stays empty where the facility is the person's own.
pub(super) fn corrupted(rng: &mut Rng, subject: Subject<'_>, difficulty: Difficulty) -> (Fields, Vec<Event>) {
    let mut facts = subject.person.facts.clone();
    let wanted = draw(rng, event_counts(difficulty), 0);
    let mut events = Vec::with_capacity(wanted);
    for _ in 0..TRIES_MAX {
        if events.len() >= wanted {
            break;
        }
        let event = draw(rng, DRAWN, Event::Moved);
        if !events.contains(&event) && apply(rng, subject, event, &mut facts) {
            events.push(event);
        }
    }
    omit(rng, difficulty, &mut facts, &mut events);
    rewrite(rng, &mut facts);
    (facts, events)
}

/// Whether the event changed anything.
fn apply(rng: &mut Rng, subject: Subject<'_>, event: Event, facts: &mut Fields) -> bool {
    let before = facts.clone();
    match event {
        Event::GivenTypo => facts.given = mistyped(rng, &facts.given),
        Event::FamilyTypo => facts.family = mistyped(rng, &facts.family),
        Event::GivenPhonetic => facts.given = misheard(rng, &facts.given),
        Event::FamilyPhonetic => facts.family = misheard(rng, &facts.family),
        Event::OcrName | Event::Transliteration | Event::NameTruncated => one_name(rng, event, facts),
        Event::Nickname => nickname(rng, subject.tables, facts),
        Event::GivenInitial => facts.given = facts.given.chars().take(1).collect(),
        Event::NameSwap => std::mem::swap(&mut facts.given, &mut facts.family),
        Event::MarriedSurname => change_surname(rng, subject, facts),
        Event::FamilyDropPart => drop_part(rng, facts),
        Event::MiddleAsGiven => middle_as_given(rng, facts),
        Event::DobDigit => birth_digit(rng, facts),
        Event::DobMonthDaySwap => change_birth(facts, |(year, month, day)| (year, day, month)),
        Event::DobYearOff => {
            let shift = draw(rng, &[(-1, 35), (1, 35), (-10, 15), (10, 15)], 1);
            change_birth(facts, |(year, month, day)| (year + shift, month, day));
        }
        Event::DobPlaceholder => change_birth(facts, |(year, _, _)| (year, 1, 1)),
        Event::Moved | Event::MovedSameZip => move_house(rng, subject, event, facts),
        Event::PhoneChanged => facts.phone = geography::phone(rng, subject.person.area_code),
        Event::EmailChanged if !facts.email.is_empty() => facts.email = person::email(rng, &subject.person.facts),
        Event::Ssn4Typo if !facts.ssn4.is_empty() => facts.ssn4 = ssn4_typo(rng, &facts.ssn4),
        Event::SexWrong => subject.person.sex.other().code().clone_into(&mut facts.sex),
        Event::MemberChanged if !facts.member_id.is_empty() => facts.member_id = person::member_number(rng),
        Event::ZipTypo => facts.zip = garbled_digit(rng, &facts.zip, &[1, 2, 3, 4]),
        Event::StreetTypo => street_typo(rng, facts),
        Event::SuffixDropped => facts.suffix.clear(),
        Event::FamilyDataMixup => mix_up(rng, subject, facts),
        _ => {}
    }
    *facts != before
}

fn one_name(rng: &mut Rng, event: Event, facts: &mut Fields) {
    const WIDTH_MAX: usize = 8;
    let mut names = [&mut facts.given, &mut facts.family];
    rng.shuffle(&mut names);
    for name in names {
        let changed = match event {
            Event::OcrName => misread(rng, name),
            Event::Transliteration => transliterated(rng, name),
            // Forms and old systems cut names off.
            _ => name.chars().take(WIDTH_MAX).collect(),
        };
        if *name != changed {
            *name = changed;
            return;
        }
    }
}

fn nickname(rng: &mut Rng, tables: &Tables, facts: &mut Fields) {
    let forms = tables.other_forms(&facts.given);
    if let Some(form) = forms.get(rng.index(forms.len())) {
        (*form).clone_into(&mut facts.given);
    }
}

/// A woman is recorded under the surname before or after a marriage.
fn change_surname(rng: &mut Rng, subject: Subject<'_>, facts: &mut Fields) {
    let person = subject.person;
    if person.sex != Sex::Female || person.birth.age() < 18 {
        return;
    }
    let new = fold(&subject.tables.surname(rng, None));
    facts.family = match rng.below(10) {
        _ if !person.maiden.is_empty() && rng.chance(600) => person.maiden.clone(),
        0..=2 if !facts.family.contains(['-', ' ']) => format!("{}-{new}", facts.family),
        _ => new,
    };
}

/// One of two surnames is lost, or both are written as one, or in the other order.
fn drop_part(rng: &mut Rng, facts: &mut Fields) {
    let parts: Vec<&str> = facts.family.split([' ', '-']).filter(|part| !part.is_empty()).collect();
    let Some((first, rest)) = parts.split_first().filter(|(_, rest)| !rest.is_empty()) else { return };
    let changed = match rng.below(10) {
        0..=4 => (*first).to_owned(),
        5..=6 => rest.join(" "),
        7..=8 => parts.concat(),
        _ => format!("{} {first}", rest.join(" ")),
    };
    facts.family = changed;
}

fn middle_as_given(rng: &mut Rng, facts: &mut Fields) {
    if facts.middle.chars().count() < 2 {
        return;
    }
    std::mem::swap(&mut facts.given, &mut facts.middle);
    if rng.chance(500) {
        facts.middle.clear();
    }
}

/// Changes the birth date to another day that exists.
fn change_birth(facts: &mut Fields, change: impl FnOnce((i32, i32, i32)) -> (i32, i32, i32)) {
    let Some(date) = parse(&facts.birth_date) else { return };
    let (year, month, day) = change(date);
    let changed = to_text(year, month, day);
    if parse(&changed).is_some() {
        facts.birth_date = changed;
    }
}

fn birth_digit(rng: &mut Rng, facts: &mut Fields) {
    for _ in 0..TRIES_MAX {
        let changed = garbled_digit(rng, &facts.birth_date, &[2, 3, 5, 6, 8, 9]);
        if parse(&changed).is_some() {
            facts.birth_date = changed;
            return;
        }
    }
}

fn move_house(rng: &mut Rng, subject: Subject<'_>, event: Event, facts: &mut Fields) {
    if event == Event::MovedSameZip {
        facts.line = geography::line(rng);
        return;
    }
    let address = subject.tables.geography.address(rng);
    person::put_address(facts, &address);
    if rng.chance(350) {
        facts.phone = geography::phone(rng, address.area_code);
    }
}

fn ssn4_typo(rng: &mut Rng, ssn4: &str) -> String {
    if rng.chance(600) {
        return garbled_digit(rng, ssn4, &[0, 1, 2, 3]);
    }
    let mut digits: Vec<char> = ssn4.chars().collect();
    if digits.len() > 1 {
        let first = rng.index(digits.len() - 1);
        digits.swap(first, first + 1);
    }
    digits.into_iter().collect()
}

/// A slip in the longest word of the street, and sometimes in the number.
fn street_typo(rng: &mut Rng, facts: &mut Fields) {
    let mut words: Vec<String> = facts.line.split(' ').map(str::to_owned).collect();
    if let Some(longest) =
        words.iter_mut().max_by_key(|word| word.chars().filter(|letter| letter.is_alphabetic()).count())
    {
        *longest = mistyped(rng, longest);
    }
    if rng.chance(300)
        && let Some(number) = words.first_mut()
    {
        let places: Vec<usize> = (0..number.len()).collect();
        *number = garbled_digit(rng, number, &places);
    }
    facts.line = words.join(" ");
}

/// A relative's fact under this person's name.
fn mix_up(rng: &mut Rng, subject: Subject<'_>, facts: &mut Fields) {
    let relatives: Vec<&Person> = subject.household.iter().filter(|other| other.is_related()).collect();
    let Some(other) = relatives.get(rng.index(relatives.len())).map(|other| &other.facts) else { return };
    let (to, from) = match rng.below(4) {
        0 => (&mut facts.phone, &other.phone),
        1 => (&mut facts.email, &other.email),
        2 => (&mut facts.ssn4, &other.ssn4),
        _ => (&mut facts.birth_date, &other.birth_date),
    };
    if !from.is_empty() {
        to.clone_from(from);
    }
}

fn omit(rng: &mut Rng, difficulty: Difficulty, facts: &mut Fields, events: &mut Vec<Event>) {
    for (fact, rate, label) in OMISSIONS {
        let is_omitted = rng.chance(rate * omission_scale(difficulty) / 1000);
        let fact = fact(facts);
        if fact.is_empty() || !is_omitted {
            continue;
        }
        fact.clear();
        events.extend(label);
        // Without a street, the place is often not asked for either.
        if *label == Some(Event::LineMissing) && rng.chance(600) {
            [&mut facts.city, &mut facts.state, &mut facts.zip].into_iter().for_each(String::clear);
        }
    }
}

/// Another desk's way of writing the same facts; no error.
fn rewrite(rng: &mut Rng, facts: &mut Fields) {
    if rng.chance(400) {
        facts.middle = facts.middle.chars().take(1).collect();
    }
    if rng.chance(OTHER_FACILITY) {
        person::put_foreign_mrn(rng, facts);
    }
    if rng.chance(LONG_STREET_TYPE) {
        facts.line = rewritten_line(rng, &facts.line);
    }
    for name in [&mut facts.family, &mut facts.given] {
        match rng.below(10) {
            0..=4 if !name.is_ascii() => *name = fold(name),
            5..=6 if !name.is_ascii() => *name = spell_out(name),
            0..=2 if name.contains('\'') => *name = name.replace('\'', ""),
            3 if name.contains('-') => *name = name.replace('-', " "),
            _ => {}
        }
    }
    if rng.chance(UPPER_CASE) {
        let Fields { family, given, middle, suffix, line, city, .. } = facts;
        for text in [family, given, middle, suffix, line, city] {
            *text = text.to_uppercase();
        }
    }
}

/// The street type in full, the unit under another designator.
fn rewritten_line(rng: &mut Rng, line: &str) -> String {
    let written = |(at, word): (usize, &str)| {
        let long = STREET_TYPES.iter().find(|((short, _), _)| at > 1 && *short == word).map(|((_, long), _)| *long);
        long.unwrap_or(word).to_owned()
    };
    let line = line.split(' ').enumerate().map(written).collect::<Vec<_>>().join(" ");
    line.replace(" Apt ", draw(rng, &[(" Unit ", 30), (" # ", 20), (" #", 15), (" Apt. ", 15), (" Apt ", 20)], " Apt "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::household::Household;
    use super::super::random::Purpose;
    use super::super::tests::tables;
    use super::*;

    #[test]
    fn every_event_happens_and_changes_only_its_fields() {
        let tables = tables();
        let mut rng = Rng::stream(3, Purpose::Query, 0);
        let mut seen: BTreeMap<Event, usize> = BTreeMap::new();
        let households: Vec<Household<'_>> = (0..1_500).map(|number| Household::make(&tables, 3, number)).collect();
        for (household, person) in households
            .iter()
            .flat_map(|household| household.people.iter().take(8).map(move |person| (household, person)))
        {
            let subject = Subject { tables: &tables, person, household: &household.people };
            for (event, _) in DRAWN {
                let mut facts = subject.person.facts.clone();
                if !apply(&mut rng, subject, *event, &mut facts) {
                    continue;
                }
                *seen.entry(*event).or_default() += 1;
                let before = &subject.person.facts;
                let names =
                    (&facts.given, &facts.family, &facts.middle) != (&before.given, &before.family, &before.middle);
                let changes_names = *event <= Event::MiddleAsGiven;
                let changes_birth =
                    (Event::DobDigit..=Event::DobPlaceholder).contains(event) || *event == Event::FamilyDataMixup;
                assert_eq!(names, changes_names, "{}", event.label());
                assert!(facts.birth_date == before.birth_date || changes_birth, "{}", event.label());
                assert!(facts.mrn == before.mrn && parse(&facts.birth_date).is_some(), "{}", event.label());
            }
        }
        for (event, _) in DRAWN {
            assert!(seen.get(event).is_some_and(|count| *count > 3), "{} {:?}", event.label(), seen.get(event));
        }
    }

    #[test]
    fn difficulty_sets_the_mean_number_of_errors() {
        for (difficulty, hundredths) in [(Difficulty::Easy, 60), (Difficulty::Normal, 171), (Difficulty::Hard, 302)] {
            let counts = event_counts(difficulty);
            assert_eq!(counts.iter().map(|(_, share)| share).sum::<u32>(), 100);
            let mean: u32 = counts.iter().map(|(count, share)| u32::try_from(*count).unwrap() * share).sum();
            assert_eq!(mean, hundredths, "{difficulty:?}");
        }
    }

    #[test]
    fn labels_are_distinct() {
        let mut labels: Vec<&str> = DRAWN.iter().map(|(event, _)| event.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), DRAWN.len());
    }

    #[test]
    fn lines_are_rewritten_without_changing_the_street() {
        let mut rng = Rng::stream(3, Purpose::Query, 1);
        assert_eq!(rewritten_line(&mut rng, "12 N Main St"), "12 N Main Street");
        assert_eq!(rewritten_line(&mut rng, "PO Box 12"), "PO Box 12");
        let units: Vec<String> = (0..100).map(|_| rewritten_line(&mut rng, "12 Oak Ave Apt 3B")).collect();
        for line in ["12 Oak Avenue Unit 3B", "12 Oak Avenue #3B", "12 Oak Avenue Apt 3B"] {
            assert!(units.iter().any(|found| found == line), "{line}");
        }
    }
}
