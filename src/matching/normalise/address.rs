//! `Address`: street line in the abbreviations of USPS Publication 28, unit apart, city with state, five-digit zip.
//!
//! Not here: whether two lines are the same (see `comparison`), geocoding.

use serde::{Deserialize, Serialize};

use super::Normaliser;
use super::text::{bounded, fold, tokens};
use crate::fhir::json::Value;

/// An address in comparable form; each part absent when missing or a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address {
    /// All lines, without the unit.
    pub line: Option<String>,
    /// The one line that has the street, where it is not all of `line`.
    pub first_line: Option<String>,
    pub unit: Option<String>,
    /// City and state, `springfield, ma`, or the city alone; a state alone is no place.
    pub place: Option<String>,
    pub zip: Option<String>,
}

/// Characters of each part; of a longer one the beginning and a hash are kept.
const LINE_CHARS_MAX: usize = 128;
const UNIT_CHARS_MAX: usize = 64;
const CITY_CHARS_MAX: usize = 64;
const STATE_CHARS_MAX: usize = 64;
/// Characters read of a line, and of an address written as text.
const TEXT_CHARS_MAX: usize = 512;

/// Words that introduce a unit (USPS Publication 28, appendix C2).
const UNITS: &[&str] = &[
    "apt",
    "apartment",
    "unit",
    "ste",
    "suite",
    "rm",
    "room",
    "fl",
    "floor",
    "lot",
    "trlr",
    "trailer",
    "bldg",
    "building",
    "spc",
    "space",
    "no",
];

/// Street suffixes, directions and words of city names, each with its abbreviation (USPS Publication 28, C1 and B).
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("street", "st"),
    ("str", "st"),
    ("avenue", "ave"),
    ("av", "ave"),
    ("aven", "ave"),
    ("road", "rd"),
    ("drive", "dr"),
    ("drv", "dr"),
    ("lane", "ln"),
    ("court", "ct"),
    ("boulevard", "blvd"),
    ("boul", "blvd"),
    ("place", "pl"),
    ("circle", "cir"),
    ("circ", "cir"),
    ("terrace", "ter"),
    ("terr", "ter"),
    ("highway", "hwy"),
    ("parkway", "pkwy"),
    ("pkway", "pkwy"),
    ("trail", "trl"),
    ("square", "sq"),
    ("plaza", "plz"),
    ("expressway", "expy"),
    ("freeway", "fwy"),
    ("turnpike", "tpke"),
    ("alley", "aly"),
    ("crossing", "xing"),
    ("extension", "ext"),
    ("route", "rte"),
    ("cove", "cv"),
    ("point", "pt"),
    ("ridge", "rdg"),
    ("heights", "hts"),
    ("junction", "jct"),
    ("mount", "mt"),
    ("mountain", "mtn"),
    ("fort", "ft"),
    ("saint", "st"),
    ("sainte", "ste"),
    ("north", "n"),
    ("south", "s"),
    ("east", "e"),
    ("west", "w"),
    ("northeast", "ne"),
    ("northwest", "nw"),
    ("southeast", "se"),
    ("southwest", "sw"),
    ("first", "1st"),
    ("second", "2nd"),
    ("third", "3rd"),
    ("fourth", "4th"),
    ("fifth", "5th"),
    ("sixth", "6th"),
    ("seventh", "7th"),
    ("eighth", "8th"),
    ("ninth", "9th"),
    ("tenth", "10th"),
];

/// States and territories by name (USPS Publication 28, appendix B).
const STATES: &[(&str, &str)] = &[
    ("alabama", "al"),
    ("alaska", "ak"),
    ("arizona", "az"),
    ("arkansas", "ar"),
    ("california", "ca"),
    ("colorado", "co"),
    ("connecticut", "ct"),
    ("delaware", "de"),
    ("district of columbia", "dc"),
    ("florida", "fl"),
    ("georgia", "ga"),
    ("guam", "gu"),
    ("hawaii", "hi"),
    ("idaho", "id"),
    ("illinois", "il"),
    ("indiana", "in"),
    ("iowa", "ia"),
    ("kansas", "ks"),
    ("kentucky", "ky"),
    ("louisiana", "la"),
    ("maine", "me"),
    ("maryland", "md"),
    ("massachusetts", "ma"),
    ("michigan", "mi"),
    ("minnesota", "mn"),
    ("mississippi", "ms"),
    ("missouri", "mo"),
    ("montana", "mt"),
    ("nebraska", "ne"),
    ("nevada", "nv"),
    ("new hampshire", "nh"),
    ("new jersey", "nj"),
    ("new mexico", "nm"),
    ("new york", "ny"),
    ("north carolina", "nc"),
    ("north dakota", "nd"),
    ("ohio", "oh"),
    ("oklahoma", "ok"),
    ("oregon", "or"),
    ("pennsylvania", "pa"),
    ("puerto rico", "pr"),
    ("rhode island", "ri"),
    ("south carolina", "sc"),
    ("south dakota", "sd"),
    ("tennessee", "tn"),
    ("texas", "tx"),
    ("utah", "ut"),
    ("vermont", "vt"),
    ("virginia", "va"),
    ("washington", "wa"),
    ("west virginia", "wv"),
    ("wisconsin", "wi"),
    ("wyoming", "wy"),
];

/// Reads one `Address`; `None` when nothing comparable is left.
pub(in crate::matching) fn read(address: &Value<'_>, rules: &Normaliser) -> Option<Address> {
    let lines: Vec<&str> = address.list("line").iter().filter_map(Value::as_str).take(4).collect();
    let mut read = Address {
        place: place(address.text("city").unwrap_or_default(), address.text("state").unwrap_or_default(), rules),
        zip: address.text("postalCode").and_then(|text| zip(text, rules)),
        ..Address::default()
    };
    (read.line, read.unit) = street(&lines, rules);
    read.first_line = first_line(&lines, rules).filter(|first| Some(first) != read.line.as_ref());
    if read == Address::default() {
        read = from_text(address.text("text").unwrap_or_default(), rules);
    }
    (read != Address::default()).then_some(read)
}

/// `Street, City, State Zip`, as one line of text.
fn from_text(text: &str, rules: &Normaliser) -> Address {
    let text = beginning(text);
    let parts: Vec<&str> = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect();
    let Some((tail, rest)) = parts.split_last().filter(|(_, rest)| rest.len() >= 2) else {
        return Address::default();
    };
    let is_code = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    let (state, postal) = match tail.split_once(' ') {
        Some(both) => both,
        None if is_code(tail) => ("", *tail),
        None => (*tail, ""),
    };
    let lines = &rest[..rest.len() - 1];
    let (line, unit) = street(lines, rules);
    let first_line = first_line(lines, rules).filter(|first| Some(first) != line.as_ref());
    Address { line, first_line, unit, place: place(rest[rest.len() - 1], state, rules), zip: zip(postal, rules) }
}

/// Of several lines the first that begins with a house number, else the first: one before it may say "care of" or name
/// the building.
fn first_line(lines: &[&str], rules: &Normaliser) -> Option<String> {
    let is_numbered = |line: &&&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let line = lines.iter().find(is_numbered).or_else(|| lines.first()).filter(|_| lines.len() > 1)?;
    street(&[line], rules).0
}

/// The street line and the unit of `lines`.
fn street(lines: &[&str], rules: &Normaliser) -> (Option<String>, Option<String>) {
    let spaced = lines.iter().map(|line| beginning(line)).collect::<Vec<_>>().join(" ").replace('#', " # ");
    let mut words: Vec<String> = Vec::new();
    for piece in spaced.split_whitespace() {
        if piece == "#" { words.push(piece.to_owned()) } else { words.extend(tokens(piece).0) }
    }
    let unit_at =
        words.iter().enumerate().skip(1).find(|(at, word)| is_unit(word, words.get(at + 1))).map(|(at, _)| at);
    let unit: String = unit_at
        .map(|at| words.split_off(at))
        .unwrap_or_default()
        .into_iter()
        .filter(|word| !is_unit_word(word))
        .collect();
    let line = words.iter().map(|word| abbreviate(word)).collect::<Vec<_>>().join(" ");
    let is_known = !line.is_empty() && !rules.placeholders.address_lines.contains(&line);
    let (line, unit) = (bounded(line, LINE_CHARS_MAX), bounded(unit, UNIT_CHARS_MAX));
    (is_known.then_some(line), (is_known && !unit.is_empty()).then_some(unit))
}

/// As much of a text as is read.
fn beginning(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

fn is_unit(word: &str, next: Option<&String>) -> bool {
    let has_number =
        next.is_some_and(|next| next == "#" || next.len() == 1 || next.bytes().any(|b| b.is_ascii_digit()));
    word == "#" || (UNITS.contains(&word) && has_number)
}

fn is_unit_word(word: &str) -> bool {
    word == "#" || UNITS.contains(&word)
}

fn abbreviate(word: &str) -> &str {
    ABBREVIATIONS.iter().find(|(long, _)| *long == word).map_or(word, |(_, short)| short)
}

fn place(city: &str, state: &str, rules: &Normaliser) -> Option<String> {
    let city = tokens(city).0.iter().map(|word| abbreviate(word)).collect::<Vec<_>>().join(" ");
    if city.is_empty() || rules.placeholders.cities.contains(&city) {
        return None;
    }
    let state = tokens(state).0.join(" ");
    let state = STATES.iter().find(|(name, _)| *name == state).map_or(state.as_str(), |(_, code)| code);
    let is_known = !state.is_empty() && !rules.placeholders.cities.contains(state);
    let (city, state) = (bounded(city, CITY_CHARS_MAX), bounded(state.to_owned(), STATE_CHARS_MAX));
    Some(if is_known { format!("{city}{STATE_MARK}{state}") } else { city })
}

/// Stands between city and state, and in neither.
const STATE_MARK: &str = ", ";

/// Whether a place has a state beside its city.
pub(in crate::matching) fn has_state(place: &[u8]) -> bool {
    place.contains(&b',')
}

/// The first five digits of a US code; any other code as letters and digits.
fn zip(text: &str, rules: &Normaliser) -> Option<String> {
    let code: String = fold(text).chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let is_us = matches!(code.len(), 5 | 9) && code.bytes().all(|b| b.is_ascii_digit());
    let code = if is_us { code[..5].to_owned() } else { code };
    let is_known = code.len() >= 3 && !rules.placeholders.postal_codes.contains(&code);
    is_known.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Limits, parse};
    use crate::matching::normalise::tests::rules;

    fn shown(json: &str) -> String {
        let read = read(&parse(json.as_bytes(), &Limits::DEFAULT).expect("JSON"), &rules());
        read.map(|a| [a.line, a.unit, a.place, a.zip].map(Option::unwrap_or_default).join("|")).unwrap_or_default()
    }

    #[test]
    fn addresses_are_read_in_postal_form() {
        let table = [
            (
                r#"{"line":["12 North Oak Street Apt. 4B"],"city":"St. Paul","state":"Minnesota","postalCode":"55101-2222"}"#,
                "12 n oak st|4b|st paul, mn|55101",
            ),
            (
                r##"{"line":["12 N Oak St","# 4B"],"city":"Saint Paul","state":"MN","postalCode":"551012222"}"##,
                "12 n oak st|4b|st paul, mn|55101",
            ),
            (r#"{"line":["12 N. OAK ST UNIT #4B"]}"#, "12 n oak st|4b||"),
            (r#"{"line":["P.O. Box 77"],"postalCode":"K1A 0B1"}"#, "po box 77|||k1a0b1"),
            (r#"{"text":"9 Elm Avenue, Troy, NY 12180"}"#, "9 elm ave||troy, ny|12180"),
            (r#"{"text":"9 Elm Avenue, Troy, 12180"}"#, "9 elm ave||troy|12180"),
            (r#"{"line":["9 Elm Avenue"],"city":"Troy","state":"Unknown"}"#, "9 elm ave||troy|"),
            (r#"{"line":["Homeless"],"city":"Unknown","postalCode":"99999"}"#, ""),
            (r#"{"state":"NY"}"#, ""),
        ];
        for (json, expected) in table {
            assert_eq!(shown(json), expected, "{json}");
        }
    }

    #[test]
    fn a_line_of_any_length_is_bounded_and_two_long_ones_stay_different() {
        let long = |end: &str| format!("12 {} apt {} {end}", "oak ".repeat(90), "4b".repeat(40));
        let read = |end: &str| {
            let (line, unit) = street(&[&long(end)], &rules());
            (line.expect("a line"), unit.expect("a unit"))
        };
        let (a, b) = (read("1"), read("2"));
        assert_eq!((a.0.len(), a.1.len()), (LINE_CHARS_MAX, UNIT_CHARS_MAX));
        assert_ne!(a.1, b.1);
        let huge = "12 oak, ".repeat(8192);
        let json = format!(r#"{{"line":["{huge}","{huge}"],"city":"{huge}","state":"{huge}","postalCode":"{huge}"}}"#);
        for json in [json, format!(r#"{{"text":"{huge}"}}"#)] {
            assert!(shown(&json).chars().count() <= LINE_CHARS_MAX + UNIT_CHARS_MAX + 150, "{}", shown(&json));
        }
    }

    #[test]
    fn a_normalised_address_is_not_changed_again() {
        for line in [
            "12 North Oak Street",
            "1 Saint James Place",
            "400 First Avenue West",
            "7 Unit Road",
            "5 Space Center Blvd",
        ] {
            let once = street(&[line], &rules()).0.expect("a line");
            assert_eq!(street(&[&once], &rules()).0, Some(once));
        }
    }
}
