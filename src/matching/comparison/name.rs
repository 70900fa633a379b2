//! Levels of given, family and middle names.

use super::{Comparison, Evidence, Level, Pair};
use crate::matching::dictionary::{Dictionary, NameForm};
use crate::matching::entry::{Query, QueryName, Tag, View};
use crate::matching::record::Sex;
use crate::matching::similarity::{jaro_winkler_from, osa_within};

/// Jaro-Winkler similarity under which names are not alike, whatever they sound like.
const ALIKE: f64 = 0.7;
/// Jaro-Winkler similarity from which a given name is similar, a family name close or similar.
const SIMILAR_GIVEN: f64 = 0.80;
const CLOSE_FAMILY: f64 = 0.94;
/// The same of names in exchanged places.
const CLOSE_ACROSS: f64 = 0.9;
const SIMILAR_FAMILY: f64 = 0.85;

pub fn compare(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    compare_given(query, view, dictionary, pair);
    compare_family(query, view, dictionary, pair);
    let other_given = [Level::Distorted, Level::Similar, Level::Unrecognised, Level::Conflict];
    if other_given.contains(&pair.level(Comparison::Given))
        && matches!(pair.level(Comparison::Family), Level::Changed | Level::Conflict | Level::Similar)
        && is_swapped(query, view, dictionary)
    {
        pair.set(Comparison::Given, Level::Swapped);
        pair.set(Comparison::Family, Level::Swapped);
    }
    single_names(query, view, pair);
    if pair.level(Comparison::Given) != Level::Middle {
        compare_middle(query, view, dictionary, pair);
    }
}

fn compare_given(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    let mut best = Level::Absent;
    for name in &query.given {
        for id in view.ids(Tag::Given) {
            let stored = dictionary.name(id);
            let level = if name.id == id { Level::Exact } else { given_level(&name.form, stored) };
            note_given(level, &name.form, stored, pair);
            best = best.min(level);
        }
    }
    if best > Level::Middle && best != Level::Absent {
        best = best.min(elsewhere(query, view));
    }
    pair.set(Comparison::Given, best);
}

/// The level of two different given names.
fn given_level(a: &NameForm, b: &NameForm) -> Level {
    if is_short_form(a, b) {
        return Level::Nickname;
    }
    if are_short_forms_of_one(a, b) {
        return Level::ShortForms;
    }
    if a.is_initial() || b.is_initial() {
        return if a.initial() == b.initial() { Level::Initial } else { Level::Conflict };
    }
    let both_known = a.is_known_given && b.is_known_given;
    if is_near(&a.text, &b.text) {
        return match (both_known, a.metaphone == b.metaphone) {
            (false, _) => Level::Close,
            (true, true) => Level::Phonetic,
            (true, false) => Level::Confusable,
        };
    }
    let similarity = jaro_winkler_from(a.text.as_bytes(), b.text.as_bytes(), ALIKE);
    if a.metaphone == b.metaphone && similarity.is_some() {
        return Level::Phonetic;
    }
    match (both_known, similarity.is_some_and(|similarity| similarity >= SIMILAR_GIVEN)) {
        (true, true) => Level::Similar,
        (true, false) => Level::Conflict,
        (false, true) => Level::Distorted,
        (false, false) => Level::Unrecognised,
    }
}

/// One is a short form of the other.
fn is_short_form(a: &NameForm, b: &NameForm) -> bool {
    a.formal.iter().any(|formal| formal.hash == b.hash) || b.formal.iter().any(|formal| formal.hash == a.hash)
}

/// Both are short forms of one name: Nora and Ella of Eleanor.
fn are_short_forms_of_one(a: &NameForm, b: &NameForm) -> bool {
    a.formal.iter().any(|formal| b.formal.contains(formal))
}

/// One edit apart in four letters or more, two in seven or more.
fn is_near(a: &str, b: &str) -> bool {
    let longer = letters(a).max(letters(b));
    match osa_within(a.as_bytes(), b.as_bytes(), 2) {
        Some(1) => longer >= 4,
        Some(2) => longer >= 7,
        _ => false,
    }
}

fn letters(name: &str) -> usize {
    if name.is_ascii() { name.len() } else { name.chars().count() }
}

fn is_latin(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_alphabetic())
}

/// Whether names a typing error apart may well be two children's: an error seldom hits the first letter, and which
/// names of another script are in use is not known here.
fn is_near_in_doubt(a: &NameForm, b: &NameForm) -> bool {
    a.initial() != b.initial() || !is_latin(&a.text) || !is_latin(&b.text)
}

fn note_given(level: Level, name: &NameForm, stored: &NameForm, pair: &mut Pair) {
    match level {
        Level::Exact => {
            pair.evidence.add(Evidence::FIRST.with(Evidence::FIRST_OR_NICKNAME).with(Evidence::FIRST_NEAR));
            pair.given_frequency = pair.given_frequency.min(stored.given_frequency);
            return;
        }
        Level::Nickname | Level::ShortForms => {
            pair.evidence.add(Evidence::FIRST.with(Evidence::FIRST_OR_NICKNAME));
        }
        _ => {}
    }
    let both_known = name.is_known_given && stored.is_known_given;
    if level == Level::Nickname && both_known {
        pair.evidence.add(Evidence::SHORT_FORM_IN_USE);
    }
    if level == Level::Close && is_near_in_doubt(name, stored) {
        pair.evidence.add(Evidence::NEAR_IN_DOUBT);
    }
    if matches!(level, Level::Nickname | Level::ShortForms | Level::Unrecognised | Level::Conflict)
        && letters(&name.text).abs_diff(letters(&stored.text)) > 2
    {
        return;
    }
    let distance = osa_within(name.text.as_bytes(), stored.text.as_bytes(), 2);
    if distance.is_some() {
        pair.evidence.add(Evidence::FIRST_NEAR);
    }
    if agrees_within_one(distance, &name.text, &stored.text) {
        pair.evidence.add(Evidence::FIRST);
    }
    if both_known {
        pair.evidence.add(Evidence::BOTH_GIVEN_KNOWN);
    }
}

/// Edit distance 1 on five letters or more (IG Patient Matching, match grades). Scripts whose letters are syllables or
/// words, and those whose names are not known here, agree only when equal.
fn agrees_within_one(distance: Option<usize>, a: &str, b: &str) -> bool {
    distance == Some(1) && letters(a).max(letters(b)) >= 5 && is_latin(a) && is_latin(b)
}

/// A given name found among the other's middle names, or as a word of a compound given name.
fn elsewhere(query: &Query<'_>, view: &View<'_>) -> Level {
    let stored_has = |tag: Tag, names: &[QueryName<'_>]| {
        names.iter().any(|name| !name.form.is_initial() && view.ids(tag).any(|id| id == name.id))
    };
    if stored_has(Tag::GivenPart, &query.given) || stored_has(Tag::Given, &query.given_parts) {
        return Level::Nickname;
    }
    if stored_has(Tag::Middle, &query.given) || stored_has(Tag::Given, &query.middle) {
        return Level::Middle;
    }
    // Jose Luis and Jose Carlos: the whole names differ by more than a typing error.
    if stored_has(Tag::GivenPart, &query.given_parts) {
        return Level::ShortForms;
    }
    Level::Absent
}

fn compare_family(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    let mut best = Level::Absent;
    for name in &query.family {
        for id in view.ids(Tag::Family) {
            let stored = dictionary.name(id);
            let level = if name.id == id { Level::Exact } else { family_level(&name.form, stored) };
            note_family(level, &name.form, stored, pair);
            best = best.min(level);
        }
    }
    if best > Level::Part && best != Level::Absent && shares_part(query, view) {
        best = Level::Part;
    }
    let is_female = [query.facts, view.facts].iter().any(|facts| facts.birth_sex.or(facts.gender) == Some(Sex::Female));
    if best == Level::Conflict && is_female {
        best = Level::Changed;
    }
    pair.set(Comparison::Family, best);
}

fn family_level(a: &NameForm, b: &NameForm) -> Level {
    let Some(similarity) = jaro_winkler_from(a.text.as_bytes(), b.text.as_bytes(), ALIKE) else {
        return Level::Conflict;
    };
    match () {
        () if similarity >= CLOSE_FAMILY || is_near(&a.text, &b.text) => Level::Close,
        () if a.metaphone == b.metaphone => Level::Phonetic,
        () if similarity >= SIMILAR_FAMILY => Level::Similar,
        () => Level::Conflict,
    }
}

fn note_family(level: Level, name: &NameForm, stored: &NameForm, pair: &mut Pair) {
    if level == Level::Exact {
        pair.evidence.add(Evidence::LAST.with(Evidence::LAST_NEAR));
        pair.family_frequency = pair.family_frequency.min(stored.family_frequency);
    } else if let Some(distance) = osa_within(name.text.as_bytes(), stored.text.as_bytes(), 2) {
        pair.evidence.add(Evidence::LAST_NEAR);
        if agrees_within_one(Some(distance), &name.text, &stored.text) {
            pair.evidence.add(Evidence::LAST);
        }
    }
}

fn shares_part(query: &Query<'_>, view: &View<'_>) -> bool {
    let has = |tag: Tag, names: &[QueryName<'_>]| names.iter().any(|name| view.ids(tag).any(|id| id == name.id));
    has(Tag::FamilyPart, &query.family)
        || has(Tag::Family, &query.family_parts)
        || has(Tag::FamilyPart, &query.family_parts)
}

/// Given and family were written into each other's place: both agree, nearly, or as a short form, across.
fn is_swapped(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary) -> bool {
    let agree = |names: &[QueryName<'_>], tag: Tag| {
        names.iter().any(|name| view.ids(tag).any(|id| name.id == id || agree_across(&name.form, dictionary.name(id))))
    };
    agree(&query.given, Tag::Family) && agree(&query.family, Tag::Given)
}

fn agree_across(a: &NameForm, b: &NameForm) -> bool {
    is_near(&a.text, &b.text)
        || is_short_form(a, b)
        || (letters(&a.text) >= 4 && jaro_winkler_from(a.text.as_bytes(), b.text.as_bytes(), CLOSE_ACROSS).is_some())
}

/// A single legal name, equal on both sides, stands for first and last name (IG Patient Matching, input weight). What is
/// left of a name beside a placeholder is none.
fn single_names(query: &Query<'_>, view: &View<'_>, pair: &mut Pair) {
    if query.facts.is_name_incomplete || view.facts.is_name_incomplete {
        return;
    }
    let query_single = query.given.is_empty() != query.family.is_empty();
    let stored_single = view.ids(Tag::Given).next().is_none() != view.ids(Tag::Family).next().is_none();
    if !query_single || !stored_single {
        return;
    }
    let stored = || view.ids(Tag::Given).chain(view.ids(Tag::Family));
    if query.given.iter().chain(&query.family).any(|name| stored().any(|id| id == name.id)) {
        let first = Evidence::FIRST.with(Evidence::FIRST_OR_NICKNAME).with(Evidence::FIRST_NEAR);
        pair.evidence.add(first.with(Evidence::LAST).with(Evidence::LAST_NEAR));
    }
}

fn compare_middle(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    let mut best = Level::Absent;
    for name in &query.middle {
        for id in view.ids(Tag::Middle) {
            best = best.min(middle_level(name, id, dictionary.name(id)));
        }
    }
    pair.set(Comparison::Middle, best);
    match best {
        Level::Exact => pair.evidence.add(Evidence::MIDDLE.with(Evidence::MIDDLE_INITIAL)),
        Level::Initial => pair.evidence.add(Evidence::MIDDLE_INITIAL),
        _ => {}
    }
}

fn middle_level(name: &QueryName<'_>, id: u32, stored: &NameForm) -> Level {
    let initial = name.form.is_initial() || stored.is_initial();
    match () {
        () if initial && name.form.initial() == stored.initial() => Level::Initial,
        () if initial => Level::Conflict,
        () if name.id == id => Level::Exact,
        () if is_near(&name.form.text, &stored.text)
            || is_short_form(&name.form, stored)
            || are_short_forms_of_one(&name.form, stored) =>
        {
            Level::Close
        }
        () => Level::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::tests::pair;

    fn names(query: (&str, &str), stored: (&str, &str), gender: &str) -> Pair {
        let name = |(family, given): (&str, &str)| {
            let given: Vec<String> = given.split(' ').map(|word| format!("\"{word}\"")).collect();
            format!(r#""gender":"{gender}","name":[{{"family":"{family}","given":[{}]}}]"#, given.join(","))
        };
        pair(&name(query), &name(stored))
    }

    #[test]
    fn given_names_are_compared_by_level() {
        for (a, b, level) in [
            ("Robert", "ROBERT", Level::Exact),
            ("Bob", "Robert", Level::Nickname),
            ("Bill", "Willie", Level::ShortForms),
            ("Nora", "Ella", Level::ShortForms),
            ("Sanjana", "Ranjana", Level::Close),
            ("Иван", "Игоря", Level::Unrecognised),
            ("小明", "小红", Level::Unrecognised),
            ("Мария", "Марина", Level::Distorted),
            ("Алина", "Арина", Level::Close),
            ("Robert", "Robrt", Level::Close),
            ("Jayden", "Jaden", Level::Phonetic),
            ("Ethan", "Evan", Level::Similar),
            ("Maria", "Mary", Level::Nickname),
            ("Anna", "Hanna", Level::Close),
            ("Ella", "Emma", Level::Conflict),
            ("Julia", "Julie", Level::Nickname),
            ("Karla", "Marla", Level::Confusable),
            ("Katherine", "Kathryn", Level::Phonetic),
            ("R", "Robert", Level::Initial),
            ("R", "Peter", Level::Conflict),
            ("Robert", "Peter", Level::Conflict),
            ("Robert Lee", "Lee", Level::Middle),
            ("Ray Zoltan", "Ferdinand", Level::Unrecognised),
        ] {
            for (query, stored) in [(a, b), (b, a)] {
                assert_eq!(
                    names(("Ray", query), ("Ray", stored), "male").level(Comparison::Given),
                    level,
                    "{query} {stored}"
                );
            }
        }
    }

    #[test]
    fn compound_given_names_agree_with_their_beginning_and_not_with_each_other() {
        let of = |given: &str| format!(r#""name":[{{"family":"Ray","given":["{given}"]}}]"#);
        for (a, b, level) in [
            ("Jose Luis", "Jose", Level::Nickname),
            ("Jose Luis", "Luis", Level::Middle),
            ("Jose Luis", "Jose Luiz", Level::Close),
            ("Jose Luis", "Jose Carlos", Level::ShortForms),
        ] {
            for (query, stored) in [(a, b), (b, a)] {
                assert_eq!(pair(&of(query), &of(stored)).level(Comparison::Given), level, "{query} {stored}");
            }
        }
    }

    #[test]
    fn family_names_are_compared_by_level() {
        for (a, b, gender, level) in [
            ("De la Cruz", "delacruz", "male", Level::Exact),
            ("García López", "Lopez", "male", Level::Part),
            ("Smith", "Smyth", "male", Level::Close),
            ("Johnson", "Jonhson", "male", Level::Close),
            ("Schmidt", "Smith", "male", Level::Conflict),
            ("Ray", "Lang", "male", Level::Conflict),
            ("Ray", "Lang", "female", Level::Changed),
        ] {
            for (query, stored) in [(a, b), (b, a)] {
                assert_eq!(
                    names((query, "Kim"), (stored, "Kim"), gender).level(Comparison::Family),
                    level,
                    "{query} {stored}"
                );
            }
        }
    }

    #[test]
    fn exchanged_names_are_recognised_and_middle_names_compared() {
        let swapped = names(("Howard", "Ray"), ("Ray", "Howard"), "male");
        assert_eq!(
            (swapped.level(Comparison::Given), swapped.level(Comparison::Family)),
            (Level::Swapped, Level::Swapped)
        );
        for (a, b, level) in [
            ("Al May", "Al May", Level::Exact),
            ("Al M", "Al May", Level::Initial),
            ("Al K", "Al May", Level::Conflict),
            ("Al", "Al May", Level::Absent),
        ] {
            assert_eq!(names(("Ray", a), ("Ray", b), "male").level(Comparison::Middle), level, "{a} {b}");
        }
    }
}
