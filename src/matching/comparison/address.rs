//! Levels of addresses: number and street, unit, city with state, postal code.

use super::{Comparison, Evidence, Level, Pair, same};
use crate::matching::dictionary::Dictionary;
use crate::matching::entry::{AddressIds, Query, QueryAddress, QueryText, UNKNOWN_ID, View};
use crate::matching::normalise::address::has_state;
use crate::matching::similarity::{jaro_winkler_from, osa_within};

/// Jaro-Winkler similarity from which two streets with the same number are one.
const CLOSE_STREET: f64 = 0.9;

pub fn compare(query: &Query<'_>, view: &View<'_>, dictionary: &Dictionary, pair: &mut Pair) {
    let mut best = Level::Absent;
    for address in &query.addresses {
        for stored in view.addresses() {
            best = best.min(level(address, &stored, dictionary, &mut pair.evidence));
        }
    }
    pair.set(Comparison::Address, best);
}

/// How one part of two addresses compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Same,
    Differs,
    Unknown,
}

fn part(query: Option<&QueryText>, stored: u32) -> Part {
    match query {
        Some(text) if stored != UNKNOWN_ID => {
            if same(text.id, stored) {
                Part::Same
            } else {
                Part::Differs
            }
        }
        _ => Part::Unknown,
    }
}

fn level(query: &QueryAddress, stored: &AddressIds, dictionary: &Dictionary, evidence: &mut Evidence) -> Level {
    let line = part(query.line.as_ref(), stored.line);
    let zip = part(query.zip.as_ref(), stored.zip);
    let place = part(query.place.as_ref(), stored.place);
    let unit = part(query.unit.as_ref(), stored.unit);
    if zip == Part::Same {
        evidence.add(Evidence::ZIP);
    }
    let is_near = zip == Part::Same || place == Part::Same;
    if line == Part::Same {
        let level = same_line(zip, place, unit, evidence);
        // A city without its state names many places: it is evidence of nearness, not of one address.
        if level == Level::Exact && place == Part::Same && query.place.as_ref().is_some_and(|p| has_state(&p.text)) {
            evidence.add(Evidence::LINE_AND_PLACE);
        }
        return level;
    }
    let has_lines = line == Part::Differs;
    match () {
        () if is_near && has_lines && is_close(query.line.as_ref(), stored.line, dictionary) => Level::Close,
        () if zip == Part::Same => {
            if has_lines {
                Level::Zip
            } else {
                Level::ZipOnly
            }
        }
        () if place == Part::Same => {
            if has_lines {
                Level::Place
            } else {
                Level::PlaceOnly
            }
        }
        () if [line, zip, place].contains(&Part::Differs) => Level::Conflict,
        () => Level::Absent,
    }
}

fn same_line(zip: Part, place: Part, unit: Part, evidence: &mut Evidence) -> Level {
    if zip != Part::Same && place != Part::Same {
        return Level::Line;
    }
    if unit == Part::Differs {
        return Level::Unit;
    }
    if zip == Part::Same {
        evidence.add(Evidence::LINE_AND_ZIP);
    }
    Level::Exact
}

/// Two edits apart in all, or the same number in nearly the same street, or the same street with a digit wrong.
fn is_close(query: Option<&QueryText>, stored: u32, dictionary: &Dictionary) -> bool {
    let query = query.map_or(&[][..], |text| &text.text);
    let stored = dictionary.bytes_of(stored);
    let split = |line: &[u8]| line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let ((number_a, street_a), (number_b, street_b)) = (query.split_at(split(query)), stored.split_at(split(stored)));
    if number_a == number_b {
        return jaro_winkler_from(street_a.trim_ascii_start(), street_b.trim_ascii_start(), CLOSE_STREET).is_some()
            || osa_within(street_a, street_b, 2).is_some();
    }
    street_a.len() >= 4 && street_a == street_b && osa_within(number_a, number_b, 1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::comparison::tests::pair;

    fn address((line, city, zip): (&str, &str, &str)) -> String {
        let line = if line.is_empty() { String::new() } else { format!(r#""line":["{line}"],"#) };
        let zip = if zip.is_empty() { String::new() } else { format!(r#","postalCode":"{zip}""#) };
        format!(r#""address":[{{{line}"city":"{city}","state":"NY"{zip}}}]"#)
    }

    #[test]
    fn addresses_are_compared_by_level() {
        let home = ("12 Oak St Apt 4", "Troy", "12180");
        for (other, level) in [
            (("12 OAK STREET #4", "Troy", "12180-1234"), Level::Exact),
            (("12 Oak St", "Troy", ""), Level::Exact),
            (("12 Oak St Apt 9", "Troy", "12180"), Level::Unit),
            (("12 Oka St", "Troy", "12180"), Level::Close),
            (("13 Oak St", "Troy", "12180"), Level::Close),
            (("12 Oak St", "Utica", "13501"), Level::Line),
            (("", "Troy", "12180"), Level::ZipOnly),
            (("", "Troy", ""), Level::PlaceOnly),
            (("7 Elm Rd", "Cohoes", "12180"), Level::Zip),
            (("7 Elm Rd", "Troy", "12182"), Level::Place),
            (("7 Elm Rd", "Utica", "13501"), Level::Conflict),
        ] {
            for (query, stored) in [(home, other), (other, home)] {
                assert_eq!(
                    pair(&address(query), &address(stored)).level(Comparison::Address),
                    level,
                    "{query:?} {stored:?}"
                );
            }
        }
    }

    #[test]
    fn another_unit_is_not_the_same_line() {
        let pair = pair(&address(("12 Oak St Apt 4", "Troy", "12180")), &address(("12 Oak St Apt 9", "Troy", "12180")));
        assert!(pair.evidence.has(Evidence::ZIP) && !pair.evidence.has(Evidence::LINE_AND_ZIP));
    }
}
